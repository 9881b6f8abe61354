/* Seeded input for measurements and comparisons: the same bytes on every machine.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RANDOM_H
#define RANDOM_H

#include <glib.h>
#include <shrike/model.h>

/* Any byte for integers; -1 to 1 for floats. One block per model input; free with g_ptr_array_unref(). */
GPtrArray *random_inputs(const struct shk_model *model, uint64_t seed);
void random_bytes(void *bytes, size_t size, uint64_t *state);

#endif
