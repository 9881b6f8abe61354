/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

#include <math.h>
#include <stdio.h>

/* Names and labels come from untrusted files: JSON is UTF-8 or it is nothing. */
void json_string(JsonBuilder *b, const char *name, const char *value)
{
    char *valid = g_utf8_make_valid(value, -1);
    json_builder_set_member_name(b, name);
    json_builder_add_string_value(b, valid);
    g_free(valid);
}

void json_integer(JsonBuilder *b, const char *name, gint64 value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_int_value(b, value);
}

void json_number(JsonBuilder *b, const char *name, double value)
{
    json_builder_set_member_name(b, name);
    if (isfinite(value))
        json_builder_add_double_value(b, value);
    else
        json_builder_add_null_value(b);
}

void json_bool(JsonBuilder *b, const char *name, gboolean value)
{
    json_builder_set_member_name(b, name);
    json_builder_add_boolean_value(b, value);
}

void json_open_object(JsonBuilder *b, const char *name)
{
    if (name)
        json_builder_set_member_name(b, name);
    json_builder_begin_object(b);
}

void json_open_array(JsonBuilder *b, const char *name)
{
    if (name)
        json_builder_set_member_name(b, name);
    json_builder_begin_array(b);
}

static void write_quantization(JsonBuilder *b, const struct shk_tensor_info *info)
{
    json_open_object(b, "quantization");
    json_integer(b, "axis", info->quant_count > 1 ? (gint64)info->quant_axis : -1);
    json_open_array(b, "scales");
    for (uint32_t i = 0; i < info->quant_count; i++)
        json_builder_add_double_value(b, isfinite(info->scales[i]) ? info->scales[i] : 0.0);
    json_builder_end_array(b);
    json_open_array(b, "zero_points");
    for (uint32_t i = 0; i < info->quant_count; i++)
        json_builder_add_int_value(b, info->zero_points[i]);
    json_builder_end_array(b);
    json_builder_end_object(b);
}

void json_tensor(JsonBuilder *b, const char *name, const struct shk_model *model, uint32_t index)
{
    struct shk_tensor_info info;
    shk_model_get_tensor(model, index, &info);
    json_open_object(b, name);
    json_integer(b, "index", index);
    json_string(b, "name", info.name);
    json_string(b, "dtype", shk_dtype_string(info.dtype));
    json_open_array(b, "shape");
    for (uint32_t d = 0; d < info.rank; d++)
        json_builder_add_int_value(b, info.dims[d]);
    json_builder_end_array(b);
    if (info.quant_count > 0)
        write_quantization(b, &info);
    json_builder_end_object(b);
}

gboolean json_write(JsonBuilder *b, const char *path, GError **error)
{
    JsonNode *root = json_builder_get_root(b);
    char *text = json_to_string(root, TRUE), *file = g_strconcat(text, "\n", NULL);
    gboolean done = g_file_set_contents(path, file, -1, error);
    g_free(text);
    g_free(file);
    json_node_unref(root);
    g_object_unref(b);
    return done;
}

void json_finish(JsonBuilder *b)
{
    JsonNode *root = json_builder_get_root(b);
    char *text = json_to_string(root, TRUE);
    puts(text);
    g_free(text);
    json_node_unref(root);
    g_object_unref(b);
}
