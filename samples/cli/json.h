/* Short names for what the subcommands write with json-glib.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef JSON_H
#define JSON_H

#include <json-glib/json-glib.h>
#include <shrike/model.h>

void json_string(JsonBuilder *b, const char *name, const char *value);
void json_integer(JsonBuilder *b, const char *name, gint64 value);
void json_number(JsonBuilder *b, const char *name, double value);
void json_bool(JsonBuilder *b, const char *name, gboolean value);
/* name NULL: an element of an array. */
void json_open_object(JsonBuilder *b, const char *name);
void json_open_array(JsonBuilder *b, const char *name);
/* Members "index", "name", "dtype", "shape" and, if there is one, "quantization". */
void json_tensor(JsonBuilder *b, const char *name, const struct shk_model *model, uint32_t index);
/* Writes a file and frees. FALSE with *error, which names the file. */
gboolean json_write(JsonBuilder *b, const char *path, GError **error);
/* Prints on stdout and frees. */
void json_finish(JsonBuilder *b);

#endif
