/* SOFTMAX over the last dimension in fixed point; tflite/kernels/internal/reference/softmax.h,
 * gemmlowp/fixedpoint/fixedpoint.h. The exponential of each of the 256 possible differences from the maximum
 * is a table on the device; sum, reciprocal and product are integer arithmetic there.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "lower.h"
#include "quant.h"

SHK_OP_DECLARE(softmax);
SHK_SHADER_DECLARE(softmax);

#define DIFF_FRACTION_BITS 26   /* of the exponential's argument: Q5.26 */
#define SUM_INTEGER_BITS   12   /* of the sum of exponentials: Q12.19 */
#define MAX_CHANNELS       8191 /* the sum stays below 2^32 */

struct attrs {
    float beta;
};

static double multiplier_of(const struct shk_graph *graph, const struct shk_op *op)
{
    double beta = (double)((const struct attrs *)op->attrs)->beta;
    double real =
        beta * (double)shk_op_input(graph, op, 0)->quant.scales[0] * (double)(1 << DIFF_FRACTION_BITS);
    return SHK_MIN(real, 2147483647.0);
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    enum shk_status status = shk_check_counts(graph, op, 1, 1, 1, error);
    if (!status)
        status = shk_check_int8(graph, op, op->inputs[0], error);
    if (!status)
        status = shk_check_int8(graph, op, op->outputs[0], error);
    if (!status)
        status = shk_check_output_shape(graph, op, &shk_op_input(graph, op, 0)->shape, error);
    if (status)
        return status;
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    if (in->legacy_uint8 != out->legacy_uint8 || in->shape.rank == 0)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "input and output must have one type and at least one dimension");
    if (fabsf(out->quant.scales[0] - 1.0f / 256.0f) > 0.001f / 256.0f ||
        out->quant.zero_points[0] != INT8_MIN)
        return shk_op_fail(
            graph, op, SHK_ERROR_BAD_MODEL, error,
            "the output has scale %g and zero point %d; they must be 1/256 and the type's minimum",
            (double)out->quant.scales[0], out->quant.file_zero_points[0]);
    if (in->shape.dims[in->shape.rank - 1] > MAX_CHANNELS)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "%d values in a row, at most %d are supported", in->shape.dims[in->shape.rank - 1],
                           MAX_CHANNELS);
    if (!isfinite(((const struct attrs *)op->attrs)->beta) || multiplier_of(graph, op) < 1.0)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "beta %g times the input's scale %g is too small (below 2^-26) or no number",
                           (double)((const struct attrs *)op->attrs)->beta, (double)in->quant.scales[0]);
    return SHK_OK;
}

/* x * 2^exponent, saturating. */
static int32_t saturating_shift(int32_t x, int exponent)
{
    int64_t wide = (int64_t)x * (INT64_C(1) << exponent);
    return (int32_t)SHK_CLAMP(wide, INT32_MIN, INT32_MAX);
}

/* exp(a) in Q0.31 for a in [-1/4, 0) in Q0.31: a Taylor series around -1/8. */
static int32_t exp_of_small(int32_t a)
{
    int32_t x = a + (1 << 28);
    int32_t x2 = shk_srdhm(x, x), x3 = shk_srdhm(x2, x), x4 = shk_srdhm(x2, x2);
    int32_t x4_over_4 = shk_rounding_divide_by_pot(x4, 2);
    int32_t terms = shk_rounding_divide_by_pot(shk_srdhm(x4_over_4 + x3, 715827883 /* 1/3 */) + x2, 1);
    int32_t at_eighth = 1895147668; /* exp(-1/8) */
    return at_eighth + shk_srdhm(at_eighth, x + terms);
}

/* exp(a) in Q0.31 for a <= 0 in Q5.26. */
static int32_t exp_of_negative(int32_t a)
{
    static const int32_t powers[] = {/* exp(-2^i) for i = -2..4 */
                                     1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << (DIFF_FRACTION_BITS - 2);
    int32_t small = (a & (quarter - 1)) - quarter;
    int32_t remainder = (int32_t)((uint32_t)small - (uint32_t)a);
    int32_t result = exp_of_small(saturating_shift(small, 31 - DIFF_FRACTION_BITS));
    for (int i = 0; i < 7; i++)
        if (remainder & quarter << i)
            result = shk_srdhm(result, powers[i]);
    return a == 0 ? INT32_MAX : result;
}

/* exps[d]: the exponential of an input d steps below the maximum, Q0.31. */
static void build_exps(const struct shk_graph *graph, const struct shk_op *op, int32_t exps[256])
{
    struct shk_multiplier m = shk_quantize_multiplier(multiplier_of(graph, op));
    double radius = 31.0 * (double)(1 << DIFF_FRACTION_BITS) / (double)(INT64_C(1) << m.shift);
    for (int32_t d = 0; d < 256; d++) {
        int32_t shifted = (int32_t)((uint32_t)-d << m.shift);
        exps[d] = d <= floor(radius) ? exp_of_negative(shk_srdhm(shifted, m.multiplier)) : 0;
    }
}

/* 1 / (1 + a) in Q0.31 for a in [0, 1]: three Newton-Raphson steps on half the denominator, in Q2.29. */
static int32_t one_over_one_plus(int32_t a)
{
    int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 /* 48/17 */ + shk_srdhm(half_denominator, -1010580540 /* -32/17 */);
    for (int i = 0; i < 3; i++) {
        int32_t rest = (1 << 29) - shk_srdhm(half_denominator, x);
        x += saturating_shift(shk_srdhm(x, rest), 2);
    }
    return saturating_shift(x, 1);
}

static void softmax_row(const int8_t *src, int8_t *dst, size_t channels, const int32_t exps[256])
{
    int32_t max = INT8_MIN;
    uint32_t sum = 0;
    for (size_t c = 0; c < channels; c++)
        max = SHK_MAX(max, src[c]);
    for (size_t c = 0; c < channels; c++)
        sum += (uint32_t)shk_rounding_divide_by_pot(exps[max - src[c]], SUM_INTEGER_BITS);
    int headroom = __builtin_clz(sum);
    int32_t fraction = (int32_t)((sum << headroom) - (UINT32_C(1) << 31));
    int32_t reciprocal = one_over_one_plus(fraction);
    int exponent = SUM_INTEGER_BITS - headroom + 31 - 8;
    for (size_t c = 0; c < channels; c++) {
        int32_t product = shk_srdhm(reciprocal, exps[max - src[c]]);
        /* sums of 2^28 and more: what is left is below half a step */
        int32_t y = exponent > 31 ? 0 : shk_rounding_divide_by_pot(product, exponent);
        dst[c] = (int8_t)SHK_MIN(y + INT8_MIN, INT8_MAX);
    }
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(run->graph, run->op, 0);
    size_t channels = (size_t)in->shape.dims[in->shape.rank - 1];
    int32_t exps[256];
    build_exps(run->graph, run->op, exps);
    for (size_t at = 0; at < in->bytes; at += channels)
        softmax_row((const int8_t *)run->inputs[0] + at, (int8_t *)run->outputs[0] + at, channels, exps);
    return SHK_OK;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    struct shk_view src = shk_lower_view(lowering, op->inputs[0]),
                    dst = shk_lower_view(lowering, op->outputs[0]);
    int32_t exps[256];
    build_exps(shk_lower_graph(lowering), op, exps);
    struct shk_softmax_push push = {
        .items = src.rows,
        .src = src.offset,
        .src_stride = src.stride,
        .dst = dst.offset,
        .dst_stride = dst.stride,
        .words = src.words,
        .channels = src.channels,
        .table = shk_lower_params(lowering, exps, sizeof(exps), 4) / 4,
    };
    struct shk_dispatch dispatch = {
        .shader = &shk_shader_softmax,
        .push = &push,
        .push_size = sizeof(push),
        .iterations = UINT64_C(3) * push.channels + push.words,
    };
    shk_dispatch_linear(&dispatch, push.items, 64);
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}

static const struct shk_attr attributes[] = {
    {"beta", SHK_ATTR_FLOAT, 0, offsetof(struct attrs, beta), 0, NULL},
};
static const struct shk_op_spelling spellings[] = {
    {&shk_op_softmax, "SOFTMAX", 25, 9, 0, 3, attributes, SHK_ARRAY_LEN(attributes)},
};

const struct shk_op_def shk_op_softmax = {
    .name = "softmax",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .check = check,
    .reference = reference,
    .lower = lower,
};
