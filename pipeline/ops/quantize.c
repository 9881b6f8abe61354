/* QUANTIZE: float32 to int8, or int8 to another scale; tflite/kernels/quantize.cc,
 * internal/reference/quantize.h. From float: round_half_away(x / scale) + zero point, with the division in
 * float32. Division is not correctly rounded on GPUs, so the device compares with thresholds: for each result
 * the smallest x that gives it. NaN goes to the end of the range that its sign bit points to.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "move.h"
#include "quant.h"
#include "quantize.h"

SHK_OP_DECLARE(quantize);
SHK_SHADER_DECLARE(quantize);

/* The output's shape and type; the input's type is either of the two. */
static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    enum shk_status status = shk_check_counts(graph, op, 1, 1, 1, error);
    if (!status)
        status = shk_check_int8(graph, op, op->outputs[0], error);
    if (!status)
        status = shk_check_output_shape(graph, op, &shk_op_input(graph, op, 0)->shape, error);
    if (status)
        return status;
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    if (in->dtype == SHK_DTYPE_FLOAT32)
        return SHK_OK;
    status = shk_check_int8(graph, op, op->inputs[0], error);
    if (!status && !((double)in->quant.scales[0] / (double)out->quant.scales[0] < 131072.0))
        status = shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                             "the output's scale %g is too small for the input's %g",
                             (double)out->quant.scales[0], (double)in->quant.scales[0]);
    return status;
}

bool shk_op_is_quantize(const struct shk_op *op)
{
    return op->def == &shk_op_quantize;
}

int8_t shk_quantize_float(float x, const struct shk_quant *quant)
{
    float rounded = roundf(x / quant->scales[0]);
    if (isnan(rounded))
        return signbit(x) ? INT8_MIN : INT8_MAX;
    int32_t q = (int32_t)SHK_CLAMP(rounded, -1000.0f, 1000.0f) + quant->zero_points[0];
    return (int8_t)SHK_CLAMP(q, INT8_MIN, INT8_MAX);
}

static void requantize_table(const struct shk_tensor *in, const struct shk_tensor *out, int8_t table[256])
{
    struct shk_multiplier m =
        shk_quantize_multiplier((double)in->quant.scales[0] / (double)out->quant.scales[0]);
    for (int32_t q = INT8_MIN; q <= INT8_MAX; q++) {
        int32_t y = shk_mbqm(q - in->quant.zero_points[0], m) + out->quant.zero_points[0];
        table[q - INT8_MIN] = (int8_t)SHK_CLAMP(y, INT8_MIN, INT8_MAX);
    }
}

/* From float to int8 is no table. */
static bool table(const struct shk_graph *graph, const struct shk_op *op, int8_t values[256])
{
    const struct shk_tensor *in = shk_op_input(graph, op, 0);
    if (in->dtype == SHK_DTYPE_INT8)
        requantize_table(in, shk_op_output(graph, op, 0), values);
    return in->dtype == SHK_DTYPE_INT8;
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(run->graph, run->op, 0),
                            *out = shk_op_output(run->graph, run->op, 0);
    int8_t *dst = run->outputs[0], table[256];
    requantize_table(in->quant.count ? in : out, out, table);
    for (size_t i = 0; i < out->bytes; i++)
        dst[i] = in->dtype == SHK_DTYPE_FLOAT32 ? shk_quantize_float(((const float *)run->inputs[0])[i], &out->quant)
                                                : table[((const int8_t *)run->inputs[0])[i] - INT8_MIN];
    return SHK_OK;
}

/* Floats in ascending order as integers in ascending order, and back. */
static float float_of_key(int32_t key)
{
    int32_t bits = key ^ (key < 0 ? INT32_MAX : 0);
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}
#define KEY_OF_INFINITY 0x7f800000

/* thresholds[i]: the key of the smallest float that becomes i - 128 or more. */
static void build_thresholds(const struct shk_quant *quant, int32_t thresholds[256])
{
    thresholds[0] = INT32_MIN;
    for (int32_t i = 1; i < 256; i++) {
        int64_t low = -KEY_OF_INFINITY - INT64_C(1), high = KEY_OF_INFINITY; /* gives less; gives as much */
        while (high - low > 1) {
            int64_t middle = (low + high) >> 1;
            if (shk_quantize_float(float_of_key((int32_t)middle), quant) >= i + INT8_MIN)
                high = middle;
            else
                low = middle;
        }
        thresholds[i] = (int32_t)high;
    }
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    if (in->dtype == SHK_DTYPE_INT8) {
        int8_t table[256];
        requantize_table(in, out, table);
        struct shk_move move = shk_move_between(lowering, op->outputs[0], op->inputs[0]);
        move.table = table;
        shk_move_emit(lowering, &move);
        return SHK_OK;
    }
    int32_t thresholds[256];
    build_thresholds(&out->quant, thresholds);
    struct shk_view src = shk_lower_view(lowering, op->inputs[0]),
                    dst = shk_lower_view(lowering, op->outputs[0]);
    struct shk_quantize_push push = {
        .items = dst.rows * dst.words,
        .src = src.offset,
        .src_stride = src.stride,
        .dst = dst.offset,
        .dst_stride = dst.stride,
        .words = shk_divisor_of(dst.words),
        .channels = dst.channels,
        .table = shk_lower_params(lowering, thresholds, sizeof(thresholds), 4) / 4,
        .inverse_scale = 1.0f / out->quant.scales[0],
        .zero = (float)(out->quant.zero_points[0] - INT8_MIN),
    };
    struct shk_dispatch dispatch = {.shader = &shk_shader_quantize, .push = &push, .push_size = sizeof(push)};
    shk_dispatch_linear(&dispatch, push.items, 64);
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}

static const struct shk_op_spelling spellings[] = {
    {&shk_op_quantize, "QUANTIZE", 114, 89, 0, 3, NULL, 0},
};

const struct shk_op_def shk_op_quantize = {
    .name = "quantize",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .check = check,
    .reference = reference,
    .lower = lower,
    .table = table,
    .in_place_inputs = 1,
};
