/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "op_table.h"

const char *const shk_activation_names[] = {"NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT", NULL};
const char *const shk_padding_names[] = {"SAME", "VALID", NULL};

/* `custom` NULL: look for the builtin, else for the custom code. */
static const struct shk_op_spelling *find(int32_t builtin, const char *name)
{
    for (const struct shk_op_def *const *def = shk_op_table; *def; def++)
        for (uint32_t i = 0; i < (*def)->spelling_count; i++) {
            const struct shk_op_spelling *s = &(*def)->spellings[i];
            if (name ? strcmp(s->name, name) == 0 && (builtin < 0 || s->builtin == builtin) : s->builtin == builtin)
                return s;
        }
    return NULL;
}

const struct shk_op_spelling *shk_op_find_builtin(int32_t builtin)
{
    return builtin < 0 || builtin == SHK_BUILTIN_CUSTOM ? NULL : find(builtin, NULL);
}

const struct shk_op_spelling *shk_op_find_custom(const char *custom_code)
{
    return find(SHK_BUILTIN_CUSTOM, custom_code);
}

const struct shk_op_spelling *shk_op_find_name(const char *name)
{
    return find(-1, name);
}

void shk_op_list_supported(char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (const struct shk_op_def *const *def = shk_op_table; *def; def++)
        for (uint32_t i = 0; i < (*def)->spelling_count && at < size; i++)
            at += (size_t)snprintf(text + at, size - at, at ? ", %s" : "%s", (*def)->spellings[i].name);
}

enum shk_status shk_op_fail(const struct shk_graph *graph, const struct shk_op *op, enum shk_status status,
                            struct shk_error *error, const char *format, ...)
{
    char message[900];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    shk_trim_utf8(message);
    return shk_fail(error, status, "%s: op %u %s: %s", graph->name, op->file_index, op->spelling->name, message);
}

bool shk_op_get_attr(const struct shk_op *op, const char *name, double *value)
{
    for (uint32_t i = 0; i < op->spelling->attr_count; i++) {
        const struct shk_attr *a = &op->spelling->attrs[i];
        const unsigned char *at = (const unsigned char *)op->attrs + a->offset;
        if (strcmp(a->name, name) != 0 || a->type == SHK_ATTR_LIST)
            continue;
        if (a->type == SHK_ATTR_FLOAT)
            *value = (double)*(const float *)(const void *)at;
        else if (a->type == SHK_ATTR_BOOL)
            *value = *(const bool *)at;
        else
            *value = *(const int32_t *)(const void *)at;
        return true;
    }
    return false;
}

void shk_op_default_attrs(const struct shk_op_spelling *spelling, void *attrs)
{
    for (uint32_t i = 0; i < spelling->attr_count; i++) {
        const struct shk_attr *a = &spelling->attrs[i];
        unsigned char *at = (unsigned char *)attrs + a->offset;
        if (a->type == SHK_ATTR_LIST)
            *(struct shk_int32_list *)(void *)at = (struct shk_int32_list){0};
        else if (a->type == SHK_ATTR_FLOAT)
            *(float *)(void *)at = (float)a->default_value;
        else if (a->type == SHK_ATTR_BOOL)
            *(bool *)at = a->default_value != 0.0;
        else
            *(int32_t *)(void *)at = (int32_t)a->default_value;
    }
}

enum shk_status shk_check_counts(const struct shk_graph *graph, const struct shk_op *op, uint32_t min_inputs,
                                 uint32_t max_inputs, uint32_t outputs, struct shk_error *error)
{
    if (op->input_count < min_inputs || op->input_count > max_inputs || op->output_count != outputs)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "%u inputs and %u outputs, expected %u to %u inputs and %u outputs", op->input_count,
                           op->output_count, min_inputs, max_inputs, outputs);
    for (uint32_t i = 0; i < min_inputs; i++)
        if (op->inputs[i] == SHK_TENSOR_NONE)
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "input %u is missing", i);
    return SHK_OK;
}

enum shk_status shk_check_int8(const struct shk_graph *graph, const struct shk_op *op, uint32_t tensor,
                               struct shk_error *error)
{
    const struct shk_tensor *t = &graph->tensors[tensor];
    if (t->dtype != SHK_DTYPE_INT8)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "tensor '%s' is %s; only int8 and uint8 models run (float ops are supported as QUANTIZE "
                           "first and DEQUANTIZE last)",
                           t->name, shk_dtype_string(t->dtype));
    if (t->quant.count != 1)
        return shk_op_fail(graph, op, t->quant.count ? SHK_ERROR_UNSUPPORTED : SHK_ERROR_BAD_MODEL, error,
                           "activation '%s' has %u quantization scales, expected 1", t->name, t->quant.count);
    return SHK_OK;
}

enum shk_status shk_check_constant(const struct shk_graph *graph, const struct shk_op *op, uint32_t input,
                                   struct shk_error *error)
{
    const struct shk_tensor *t = shk_op_input(graph, op, input);
    if (!t || !t->data)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error, "input %u ('%s') must be a constant", input,
                           t ? t->name : "missing");
    return SHK_OK;
}

enum shk_status shk_check_output_shape(const struct shk_graph *graph, const struct shk_op *op,
                                       const struct shk_shape *expected, struct shk_error *error)
{
    const struct shk_tensor *t = shk_op_output(graph, op, 0);
    char found[64], want[64];
    if (!shk_shape_equal(&t->shape, expected))
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "output '%s' is %s, the op computes %s", t->name,
                           shk_shape_string(&t->shape, found), shk_shape_string(expected, want));
    return SHK_OK;
}

struct shk_window shk_window_compute(int32_t input, int32_t kernel, int32_t stride, int32_t dilation,
                                     enum shk_padding padding)
{
    int64_t effective = ((int64_t)kernel - 1) * dilation + 1;
    struct shk_window w = {0, 0};
    if (padding == SHK_PADDING_VALID) {
        if (input >= effective)
            w.output = (int32_t)((input - effective) / stride + 1);
        return w;
    }
    w.output = (input - 1) / stride + 1;
    int64_t total = (int64_t)(w.output - 1) * stride + effective - input;
    w.before = (int32_t)SHK_CLAMP(total / 2, 0, INT32_MAX);
    return w;
}
