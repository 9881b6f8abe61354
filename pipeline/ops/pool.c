/* AVERAGE_POOL_2D, MAX_POOL_2D: tflite/kernels/pooling.cc,
 * internal/reference/{pooling.h,integer_ops/pooling.h}. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>

#include "fuse.h"
#include "grid.h"
#include "quant.h"

SHK_OP_DECLARE(pool);
SHK_SHADER_DECLARE(pool);

struct attrs {
    int32_t padding, stride_w, stride_h, filter_w, filter_h, activation;
};

enum { AVERAGE, MAXIMUM };

static enum shk_status check_quantization(const struct shk_graph *graph, const struct shk_op *op,
                                          struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    enum shk_status status = shk_check_int8(graph, op, op->inputs[0], error);
    if (!status)
        status = shk_check_int8(graph, op, op->outputs[0], error);
    if (status)
        return status;
    if (in->legacy_uint8 != out->legacy_uint8 || in->quant.zero_points[0] != out->quant.zero_points[0] ||
        fabsf(in->quant.scales[0] - out->quant.scales[0]) > 1e-6f)
        return shk_op_fail(
            graph, op, SHK_ERROR_BAD_MODEL, error,
            "input and output must have the same type, scale and zero point; found scales %g and %g",
            (double)in->quant.scales[0], (double)out->quant.scales[0]);
    return SHK_OK;
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    const struct attrs *a = op->attrs;
    enum shk_status status = shk_check_counts(graph, op, 1, 1, 1, error);
    if (!status)
        status = check_quantization(graph, op, error);
    if (status)
        return status;
    const struct shk_shape *in = &shk_op_input(graph, op, 0)->shape;
    if (in->rank != 4)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "input has %u dimensions, expected 4 (NHWC)", in->rank);
    if (a->stride_w < 1 || a->stride_h < 1 || a->filter_w < 1 || a->filter_h < 1)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "filter %dx%d, stride %dx%d: all must be at least 1", a->filter_h, a->filter_w,
                           a->stride_h, a->stride_w);
    if ((uint32_t)a->activation > SHK_ACTIVATION_RELU6)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "fused activation %d; supported are NONE, RELU, RELU_N1_TO_1, RELU6",
                           a->activation);
    /* sums of int8 stay inside int32, coordinates too */
    if ((int64_t)a->filter_w * a->filter_h > 1 << 20 || a->stride_w > 1 << 20 || a->stride_h > 1 << 20)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "filter %dx%d or stride %dx%d is too large", a->filter_h, a->filter_w, a->stride_h,
                           a->stride_w);
    struct shk_shape expected = *in;
    expected.dims[1] = shk_window_compute(in->dims[1], a->filter_h, a->stride_h, 1, a->padding).output;
    expected.dims[2] = shk_window_compute(in->dims[2], a->filter_w, a->stride_w, 1, a->padding).output;
    return shk_check_output_shape(graph, op, &expected, error);
}

/* One output value; `at` is the first value of the image in the channel, `channels` apart from the next. */
static int32_t pool_window(const int8_t *at, const struct shk_shape *in, const struct attrs *a, int32_t y0,
                           int32_t x0, bool maximum, bool legacy_uint8)
{
    int32_t best = INT8_MIN, sum = 0, taps = 0;
    for (int32_t y = SHK_MAX(y0, 0); y < SHK_MIN(y0 + a->filter_h, in->dims[1]); y++)
        for (int32_t x = SHK_MAX(x0, 0); x < SHK_MIN(x0 + a->filter_w, in->dims[2]); x++) {
            int32_t value = at[((size_t)y * (size_t)in->dims[2] + (size_t)x) * (size_t)in->dims[3]];
            best = SHK_MAX(best, value);
            sum += value;
            taps++;
        }
    if (maximum)
        return best;
    if (legacy_uint8)
        return (sum + 128 * taps + taps / 2) / taps - 128;
    return sum > 0 ? (sum + taps / 2) / taps : (sum - taps / 2) / taps;
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct attrs *a = run->op->attrs;
    const struct shk_tensor *in = shk_op_input(run->graph, run->op, 0);
    const struct shk_tensor *output = shk_op_output(run->graph, run->op, 0);
    const struct shk_shape *shape = &output->shape;
    struct shk_range range = shk_activation_range(a->activation, output);
    int32_t top = shk_window_compute(in->shape.dims[1], a->filter_h, a->stride_h, 1, a->padding).before;
    int32_t left = shk_window_compute(in->shape.dims[2], a->filter_w, a->stride_w, 1, a->padding).before;
    size_t image = shk_shape_elements(&in->shape) / (size_t)in->shape.dims[0];
    const int8_t *src = run->inputs[0];
    int8_t *dst = run->outputs[0];
    for (int32_t n = 0; n < shape->dims[0]; n++, src += image)
        for (int32_t y = 0; y < shape->dims[1]; y++)
            for (int32_t x = 0; x < shape->dims[2]; x++)
                for (int32_t c = 0; c < shape->dims[3]; c++) {
                    int32_t value =
                        pool_window(src + c, &in->shape, a, y * a->stride_h - top, x * a->stride_w - left,
                                    run->op->spelling->kind == MAXIMUM, in->legacy_uint8);
                    *dst++ = (int8_t)SHK_CLAMP(value, range.min, range.max);
                }
    return SHK_OK;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    const struct attrs *a = op->attrs;
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    struct shk_view src = shk_lower_view(lowering, op->inputs[0]),
                    dst = shk_lower_view(lowering, op->outputs[0]);
    const struct shk_fused_op *fused = shk_lower_fused(lowering);
    const int32_t *size = shk_op_input(graph, fused->own, 0)->shape.dims;
    struct shk_range range = shk_activation_range(a->activation, out);
    struct shk_pool_push push = {
        .items = dst.rows * dst.words,
        .src = src.offset,
        .src_stride = src.stride,
        .dst = dst.offset,
        .dst_stride = dst.stride,
        .words = shk_divisor_of(dst.words),
        .out_w = shk_divisor_of((uint32_t)out->shape.dims[2]),
        .out_h = shk_divisor_of((uint32_t)out->shape.dims[1]),
        .in_h = in->shape.dims[1],
        .in_w = in->shape.dims[2],
        .filter_h = a->filter_h,
        .filter_w = a->filter_w,
        .stride_h = a->stride_h,
        .stride_w = a->stride_w,
        .pad_h = shk_window_compute(size[1], a->filter_h, a->stride_h, 1, a->padding).before + fused->pad_top,
        .pad_w = shk_window_compute(size[2], a->filter_w, a->stride_w, 1, a->padding).before + fused->pad_left,
        .min = range.min,
        .max = range.max,
    };
    uint32_t kind = op->spelling->kind == MAXIMUM ? SHK_POOL_MAX
                    : in->legacy_uint8            ? SHK_POOL_AVERAGE_U8
                                                  : SHK_POOL_AVERAGE;
    struct shk_dispatch dispatch = {
        .shader = &shk_shader_pool,
        .spec = {kind},
        .spec_count = 1,
        .push = &push,
        .push_size = sizeof(push),
        .iterations = (uint64_t)SHK_MIN(push.filter_h, push.in_h) * (1 + (uint32_t)SHK_MIN(push.filter_w, push.in_w)),
    };
    shk_dispatch_linear(&dispatch, push.items, 64);
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}

static void describe(const struct shk_graph *graph, const struct shk_op *op, char *text, size_t size)
{
    const struct attrs *a = op->attrs;
    snprintf(text, size, "%dx%d stride %dx%d %s%s%s", a->filter_h, a->filter_w, a->stride_h, a->stride_w,
             shk_padding_names[a->padding], a->activation ? " " : "",
             a->activation ? shk_activation_names[a->activation] : "");
}

/* The smallest value changes no maximum. A mean leaves out what is past the edge, but not a border. */
static bool takes_border(const struct shk_graph *graph, const struct shk_op *op, int8_t value)
{
    (void)graph;
    return op->spelling->kind == MAXIMUM && value == INT8_MIN;
}

static const struct shk_attr attributes[] = {
    {"padding", SHK_ATTR_ENUM, 0, offsetof(struct attrs, padding), 0, shk_padding_names},
    {"stride_w", SHK_ATTR_INT32, 1, offsetof(struct attrs, stride_w), 0, NULL},
    {"stride_h", SHK_ATTR_INT32, 2, offsetof(struct attrs, stride_h), 0, NULL},
    {"filter_width", SHK_ATTR_INT32, 3, offsetof(struct attrs, filter_w), 0, NULL},
    {"filter_height", SHK_ATTR_INT32, 4, offsetof(struct attrs, filter_h), 0, NULL},
    {"fused_activation_function", SHK_ATTR_ENUM, 5, offsetof(struct attrs, activation), 0,
     shk_activation_names},
};
static const struct shk_op_spelling spellings[] = {
    {&shk_op_pool, "AVERAGE_POOL_2D", 1, 5, AVERAGE, 3, attributes, SHK_ARRAY_LEN(attributes)},
    {&shk_op_pool, "MAX_POOL_2D", 17, 5, MAXIMUM, 3, attributes, SHK_ARRAY_LEN(attributes)},
};

const struct shk_op_def shk_op_pool = {
    .name = "pool",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .check = check,
    .reference = reference,
    .lower = lower,
    .describe = describe,
    .takes_border = takes_border,
};
