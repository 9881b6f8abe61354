/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"

#include <math.h>

#include "cli.h"
#include "json.h"
#include "table.h"

int output_read(struct shk_session *session, const struct shk_model *model, uint64_t ticket, GPtrArray **outputs)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    for (uint32_t i = 0; i < shk_model_output_count(model); i++) {
        struct shk_tensor_info info;
        struct shk_error error;
        shk_model_get_tensor(model, shk_model_output(model, i), &info);
        g_ptr_array_add(list, g_malloc(info.bytes));
        if (shk_session_read_output(session, ticket, 0, i, list->pdata[i], info.bytes, &error)) {
            g_ptr_array_unref(list);
            return cli_fail_status(&error);
        }
    }
    *outputs = list;
    return CLI_OK;
}

double output_raw_value(const struct shk_tensor_info *info, const void *bytes, size_t i)
{
    switch (info->dtype) {
    case SHK_DTYPE_INT8:
        return ((const int8_t *)bytes)[i];
    case SHK_DTYPE_UINT8:
        return ((const uint8_t *)bytes)[i];
    case SHK_DTYPE_INT32:
        return ((const int32_t *)bytes)[i];
    case SHK_DTYPE_INT64:
        return ((const int64_t *)bytes)[i];
    case SHK_DTYPE_FLOAT32:
        return ((const float *)bytes)[i];
    }
    return NAN;
}

static double real_value(const struct shk_tensor_info *info, const void *bytes, size_t i)
{
    double raw = output_raw_value(info, bytes, i);
    return info->quant_count == 1 ? info->scales[0] * (raw - info->zero_points[0]) : raw;
}

void output_print(const struct shk_model *model, GPtrArray *outputs)
{
    struct table *table = table_new(">output|name|type|>minimum|>maximum|first values");
    for (guint k = 0; k < outputs->len; k++) {
        struct shk_tensor_info info;
        shk_model_get_tensor(model, shk_model_output(model, k), &info);
        size_t count = info.bytes / shk_dtype_size(info.dtype);
        double low = INFINITY, high = -INFINITY;
        GString *first = g_string_new(NULL);
        for (size_t i = 0; i < count; i++) {
            double value = real_value(&info, outputs->pdata[k], i);
            low = fmin(low, value);
            high = fmax(high, value);
            if (i < 6)
                g_string_append_printf(first, "%s%.4g", i ? " " : "", value);
        }
        table_cell(table, "%u", k);
        table_cell(table, "%s", info.name);
        table_take(table, cli_tensor(&info));
        table_cell(table, "%.4g", low);
        table_cell(table, "%.4g", high);
        table_take(table, g_string_free(first, FALSE));
    }
    table_finish(table);
}

void output_json(JsonBuilder *b, const struct shk_model *model, GPtrArray *outputs)
{
    json_open_array(b, "outputs");
    for (guint k = 0; k < outputs->len; k++) {
        struct shk_tensor_info info;
        uint32_t index = shk_model_output(model, k);
        shk_model_get_tensor(model, index, &info);
        json_open_object(b, NULL);
        json_tensor(b, "tensor", model, index);
        json_open_array(b, "values");
        for (size_t i = 0; i < info.bytes / shk_dtype_size(info.dtype); i++) {
            double value = real_value(&info, outputs->pdata[k], i);
            if (isfinite(value))
                json_builder_add_double_value(b, value);
            else
                json_builder_add_null_value(b);
        }
        json_builder_end_array(b);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
}
