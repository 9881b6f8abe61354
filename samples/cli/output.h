/* Raw output tensors: read them back, show them as numbers.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <json-glib/json-glib.h>
#include <shrike/shrike.h>

/* All outputs of a frame that was waited for, as dense bytes. Free with g_ptr_array_unref(). */
int output_read(struct shk_session *session, const struct shk_model *model, uint64_t ticket, GPtrArray **outputs);
/* A table with the range and the first values of every output. */
void output_print(const struct shk_model *model, GPtrArray *outputs);
/* Member "outputs": every output with all its values, dequantized where there is a scale. */
void output_json(JsonBuilder *b, const struct shk_model *model, GPtrArray *outputs);

/* Element `i` of a tensor's bytes, as it is stored. */
double output_raw_value(const struct shk_tensor_info *info, const void *bytes, size_t i);

#endif
