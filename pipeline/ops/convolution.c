/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convolution.h"

#include <stdio.h>
#include <stdlib.h>

/* Larger ones make no sense and would overflow the window arithmetic. */
#define MAX_STEP   65536
#define MAX_WINDOW (1 << 24)

static enum shk_status check_attrs(const struct shk_graph *graph, const struct shk_op *op,
                                   struct shk_error *error)
{
    const struct shk_conv_attrs *a = op->attrs;
    const int32_t steps[] = {a->stride_height, a->stride_width, a->dilation_height, a->dilation_width};
    for (uint32_t i = 0; i < SHK_ARRAY_LEN(steps); i++)
        if (steps[i] < 1 || steps[i] > MAX_STEP)
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "%s %d is outside 1 to %d",
                               i < 2 ? "stride" : "dilation", steps[i], MAX_STEP);
    if (a->activation < SHK_ACTIVATION_NONE || a->activation > SHK_ACTIVATION_RELU6)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "fused activation %d; supported are NONE, RELU, RELU_N1_TO_1, RELU6",
                           a->activation);
    if (a->padding != SHK_PADDING_SAME && a->padding != SHK_PADDING_VALID)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "padding %d is neither SAME nor VALID",
                           a->padding);
    return SHK_OK;
}

static enum shk_status check_weights(const struct shk_graph *graph, const struct shk_op *op,
                                     uint32_t channel_axis, struct shk_error *error)
{
    const struct shk_tensor *x = shk_op_input(graph, op, SHK_CONV_INPUT);
    const struct shk_tensor *w = shk_op_input(graph, op, SHK_CONV_WEIGHTS);
    const struct shk_tensor *y = shk_op_output(graph, op, 0);
    if (w->dtype != SHK_DTYPE_INT8 || w->legacy_uint8 != x->legacy_uint8 ||
        y->legacy_uint8 != x->legacy_uint8)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "weights '%s' and output '%s' must be of the input's type", w->name, y->name);
    bool per_channel = w->quant.count > 1;
    if (w->quant.count == 0 || (per_channel && (w->quant.axis != channel_axis || x->legacy_uint8)))
        return shk_op_fail(
            graph, op, SHK_ERROR_UNSUPPORTED, error,
            "weights '%s' have %u scales along dimension %u; supported are one, or for int8 one "
            "per index of dimension %u",
            w->name, w->quant.count, w->quant.axis, channel_axis);
    if (x->shape.rank != 4 || w->shape.rank != 4)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "input '%s' and weights '%s' have %u and %u dimensions, expected 4", x->name,
                           w->name, x->shape.rank, w->shape.rank);
    return SHK_OK;
}

static enum shk_status check_bias(const struct shk_graph *graph, const struct shk_op *op, int32_t channels,
                                  struct shk_error *error)
{
    const struct shk_tensor *b = shk_op_input(graph, op, SHK_CONV_BIAS);
    if (!b)
        return SHK_OK;
    enum shk_status status = shk_check_constant(graph, op, SHK_CONV_BIAS, error);
    if (!status && (b->dtype != SHK_DTYPE_INT32 || shk_shape_elements(&b->shape) != (size_t)channels))
        status = shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                             "bias '%s' is %zu elements of %s, expected %d of int32", b->name,
                             shk_shape_elements(&b->shape), shk_dtype_string(b->dtype), channels);
    return status;
}

enum shk_status shk_conv_check(const struct shk_graph *graph, const struct shk_op *op, uint32_t channel_axis,
                               struct shk_error *error)
{
    enum shk_status status = shk_check_counts(graph, op, 2, 3, 1, error);
    if (!status)
        status = shk_check_int8(graph, op, op->inputs[SHK_CONV_INPUT], error);
    if (!status)
        status = shk_check_int8(graph, op, op->outputs[0], error);
    if (!status)
        status = shk_check_constant(graph, op, SHK_CONV_WEIGHTS, error);
    if (!status)
        status = check_weights(graph, op, channel_axis, error);
    if (!status)
        status = check_attrs(graph, op, error);
    if (status)
        return status;

    const struct shk_conv_attrs *a = op->attrs;
    const struct shk_shape *x = &shk_op_input(graph, op, SHK_CONV_INPUT)->shape;
    const struct shk_shape *w = &shk_op_input(graph, op, SHK_CONV_WEIGHTS)->shape;
    if ((int64_t)(w->dims[1] - 1) * a->dilation_height >= MAX_WINDOW ||
        (int64_t)(w->dims[2] - 1) * a->dilation_width >= MAX_WINDOW)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "a kernel of %dx%d dilated by %dx%d is larger than %d", w->dims[1], w->dims[2],
                           a->dilation_height, a->dilation_width, MAX_WINDOW);
    int32_t height =
        shk_window_compute(x->dims[1], w->dims[1], a->stride_height, a->dilation_height, a->padding).output;
    int32_t width =
        shk_window_compute(x->dims[2], w->dims[2], a->stride_width, a->dilation_width, a->padding).output;
    if (height < 1 || width < 1)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "a kernel of %dx%d dilated by %dx%d does not fit an input of %dx%d", w->dims[1],
                           w->dims[2], a->dilation_height, a->dilation_width, x->dims[1], x->dims[2]);
    struct shk_shape expected = {4, {x->dims[0], height, width, w->dims[channel_axis]}};
    status = shk_check_output_shape(graph, op, &expected, error);
    return status ? status : check_bias(graph, op, w->dims[channel_axis], error);
}

struct shk_conv shk_conv_describe(const struct shk_graph *graph, const struct shk_op *op)
{
    const struct shk_conv_attrs *a = op->attrs;
    const struct shk_tensor *x = shk_op_input(graph, op, SHK_CONV_INPUT);
    const struct shk_tensor *w = shk_op_input(graph, op, SHK_CONV_WEIGHTS);
    const struct shk_tensor *b = shk_op_input(graph, op, SHK_CONV_BIAS);
    const struct shk_tensor *y = shk_op_output(graph, op, 0);
    struct shk_conv c = {
        .batch = x->shape.dims[0],
        .input_height = x->shape.dims[1],
        .input_width = x->shape.dims[2],
        .input_channels = x->shape.dims[3],
        .output_height = y->shape.dims[1],
        .output_width = y->shape.dims[2],
        .output_channels = y->shape.dims[3],
        .kernel_height = w->shape.dims[1],
        .kernel_width = w->shape.dims[2],
        .stride_height = a->stride_height,
        .stride_width = a->stride_width,
        .dilation_height = a->dilation_height,
        .dilation_width = a->dilation_width,
        .input_zero_point = x->quant.zero_points[0],
        /* the int8 kernels take it for 0, whatever the file says */
        .weight_zero_point = w->legacy_uint8 ? w->quant.zero_points[0] : 0,
        .output_zero_point = y->quant.zero_points[0],
        .range = shk_activation_range((enum shk_activation)a->activation, y),
        .weights = (const int8_t *)w->data,
        .bias = b ? (const int32_t *)(const void *)b->data : NULL,
    };
    struct shk_window rows =
        shk_window_compute(c.input_height, c.kernel_height, c.stride_height, c.dilation_height, a->padding);
    struct shk_window columns =
        shk_window_compute(c.input_width, c.kernel_width, c.stride_width, c.dilation_width, a->padding);
    c.pad_top = rows.before;
    c.pad_left = columns.before;
    return c;
}

struct shk_conv shk_conv_lowered(const struct shk_lowering *lowering, const struct shk_op *op)
{
    const struct shk_fused_op *fused = shk_lower_fused(lowering);
    const struct shk_shape *in = &shk_op_input(shk_lower_graph(lowering), op, SHK_CONV_INPUT)->shape;
    struct shk_conv c = shk_conv_describe(shk_lower_model(lowering), fused->depthwise ? fused->depthwise : fused->own);
    c.input_height = in->dims[1];
    c.input_width = in->dims[2];
    c.pad_top += fused->pad_top;
    c.pad_left += fused->pad_left;
    return c;
}

bool shk_conv_takes_border(const struct shk_graph *graph, const struct shk_op *op, int8_t value)
{
    return value == shk_op_input(graph, op, SHK_CONV_INPUT)->quant.zero_points[0];
}

struct shk_multiplier shk_conv_multiplier(const struct shk_graph *graph, const struct shk_op *op,
                                          uint32_t channel)
{
    const struct shk_tensor *x = shk_op_input(graph, op, SHK_CONV_INPUT);
    const struct shk_quant *w = &shk_op_input(graph, op, SHK_CONV_WEIGHTS)->quant;
    float sx = x->quant.scales[0], sw = w->scales[w->count > 1 ? channel : 0];
    float sy = shk_op_output(graph, op, 0)->quant.scales[0];
    if (x->legacy_uint8)
        return shk_quantize_multiplier((double)(sx * sw) / (double)sy);
    return shk_quantize_multiplier((double)sx * (double)sw / (double)sy);
}

struct shk_multiplier *shk_conv_multipliers(const struct shk_graph *graph, const struct shk_op *op,
                                            struct shk_error *error)
{
    uint32_t count = (uint32_t)shk_op_output(graph, op, 0)->shape.dims[3];
    struct shk_multiplier *multipliers = malloc(count * sizeof(*multipliers));
    if (!multipliers)
        shk_fail_oom(error, count * sizeof(*multipliers), "multipliers");
    for (uint32_t i = 0; multipliers && i < count; i++)
        multipliers[i] = shk_conv_multiplier(graph, op, i);
    return multipliers;
}

void shk_conv_print(const struct shk_graph *graph, const struct shk_op *op, const char *relation, char *text,
                    size_t size)
{
    const struct shk_conv_attrs *a = op->attrs;
    const int32_t *w = shk_op_input(graph, op, SHK_CONV_WEIGHTS)->shape.dims;
    snprintf(text, size, "%dx%d stride %dx%d %s dilation %dx%d %s %s", w[1], w[2], a->stride_height,
             a->stride_width, shk_padding_names[a->padding], a->dilation_height, a->dilation_width, relation,
             shk_activation_names[a->activation]);
}

int32_t shk_conv_fold_bias(const struct shk_conv *conv, uint32_t channel, int32_t weight_sum)
{
    uint32_t bias = conv->bias ? (uint32_t)conv->bias[channel] : 0;
    return (int32_t)(bias - (uint32_t)conv->input_zero_point * (uint32_t)weight_sum);
}

bool shk_conv_exact_in_float(const int8_t *weights, uint32_t filters, size_t size, size_t filter_stride, size_t stride)
{
    for (uint32_t o = 0; o < filters; o++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < size; i++)
            sum += (uint64_t)abs(weights[o * filter_stride + i * stride]);
        if (sum > (UINT64_C(1) << 24) / 128)
            return false;
    }
    return true;
}

bool shk_conv_unrolls(const struct shk_conv *c, uint32_t pixels, uint32_t rows, uint32_t products)
{
    const int32_t most = SHK_CONV_UNROLLED;
    if (c->dilation_width != 1 || c->dilation_height != 1 || c->stride_width > most || c->stride_height > most ||
        c->kernel_width > most || c->kernel_height > most)
        return false;
    uint32_t columns = (pixels - 1) * (uint32_t)c->stride_width + (uint32_t)c->kernel_width;
    uint32_t lines = (rows - 1) * (uint32_t)c->stride_height + (uint32_t)c->kernel_height;
    return columns <= SHK_CONV_UNROLLED && lines <= SHK_CONV_UNROLLED &&
           pixels * rows * (uint32_t)c->kernel_width * (uint32_t)c->kernel_height <= products;
}

int8_t shk_conv_output(const struct shk_conv *conv, struct shk_multiplier multiplier, int32_t sum)
{
    int64_t y = (int64_t)shk_mbqm(sum, multiplier) + conv->output_zero_point;
    return (int8_t)SHK_CLAMP(y, conv->range.min, conv->range.max);
}
