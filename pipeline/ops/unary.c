/* Unary int8 ops: whatever they compute, on the device they are a table of 256 values.
 * tflite/kernels/activations.cc (PopulateLookupTable, ReluX, LeakyRelu), internal/reference/hard_swish.h,
 * elementwise.cc (ABS).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>

#include "move.h"
#include "quant.h"

SHK_OP_DECLARE(unary);

enum { LOGISTIC, TANH, ELU, HARD_SWISH, LEAKY_RELU, RELU, RELU6, RELU_N1_TO_1, ABS };

struct attrs {
    float alpha;
};

/* ---- functions of a real number, in float ---- */

static float logistic(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static float elu(float x)
{
    return x < 0.0f ? expm1f(x) : x;
}

static int32_t quantized_function(int32_t q, const struct shk_tensor *in, const struct shk_tensor *out,
                                  float (*function)(float))
{
    float inverse = 1.0f / out->quant.scales[0];
    float x = in->quant.scales[0] * (float)(q - in->quant.zero_points[0]);
    float product = function(x) * inverse;
    float y = roundf(product) + (float)out->quant.zero_points[0];
    return (int32_t)SHK_CLAMP(y, -1000.0f, 1000.0f);
}

/* ---- HARD_SWISH, in 16-bit fixed point ---- */

struct hard_swish {
    int16_t output_multiplier, relu_multiplier;
    int32_t output_exponent, relu_exponent;
};

static int16_t multiplier16(int32_t multiplier)
{
    if (multiplier >= INT32_MAX - (1 << 15))
        return INT16_MAX;
    return (int16_t)((multiplier + (1 << 15)) >> 16);
}

static struct hard_swish hard_swish_constants(const struct shk_tensor *in, const struct shk_tensor *out)
{
    float fine_scale = (1.0f / 128.0f) * in->quant.scales[0];
    float to_output = fine_scale / out->quant.scales[0];
    float to_relu = fine_scale / (3.0f / 32768.0f);
    struct shk_multiplier o = shk_quantize_multiplier((double)to_output),
                          r = shk_quantize_multiplier((double)to_relu);
    return (struct hard_swish){multiplier16(o.multiplier), multiplier16(r.multiplier), o.shift, r.shift};
}

static int16_t saturate16(int64_t x)
{
    return (int16_t)SHK_CLAMP(x, INT16_MIN, INT16_MAX);
}

static int16_t rounding_high_mul16(int16_t a, int16_t b)
{
    int32_t ab = (int32_t)a * b;
    return saturate16((ab + (ab >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15));
}

static int32_t hard_swish(int32_t q, const struct shk_tensor *in, const struct shk_tensor *out)
{
    struct hard_swish c = hard_swish_constants(in, out);
    int16_t fine = (int16_t)((q - in->quant.zero_points[0]) * 128);
    int16_t on_output_scale = rounding_high_mul16(fine, c.output_multiplier);
    /* x / 3 with 32768 standing for 1: as much of a left shift as cannot matter comes before the product */
    int16_t relu = fine;
    if (c.relu_exponent > 0)
        relu = saturate16((int64_t)relu * (INT64_C(1) << (c.relu_exponent - 1)));
    relu = rounding_high_mul16(relu, c.relu_multiplier);
    if (c.relu_exponent > 0)
        relu = saturate16((int64_t)relu * 2);
    if (c.relu_exponent < 0)
        relu = (int16_t)shk_rounding_divide_by_pot(relu, -c.relu_exponent);
    relu = (int16_t)((relu + (1 << 15)) >> 1); /* from [-1, 1] to [0, 1] */
    int16_t product = saturate16((int32_t)relu * on_output_scale / (1 << 15));
    return shk_rounding_divide_by_pot(product, -c.output_exponent) + out->quant.zero_points[0];
}

/* ---- rescaling ops ---- */

static int32_t leaky_relu(int32_t q, const struct shk_tensor *in, const struct shk_tensor *out, float alpha)
{
    int32_t x = q - in->quant.zero_points[0];
    float scaled = in->quant.scales[0] * alpha;
    float ratio = x >= 0 ? in->quant.scales[0] / out->quant.scales[0] : scaled / out->quant.scales[0];
    return shk_mbqm(x, shk_quantize_multiplier((double)ratio)) + out->quant.zero_points[0];
}

static int32_t relu(int32_t q, const struct shk_tensor *in, const struct shk_tensor *out,
                    enum shk_activation activation)
{
    struct shk_range range = shk_activation_range(activation, out);
    float ratio = in->quant.scales[0] / out->quant.scales[0];
    int32_t y = shk_mbqm(q - in->quant.zero_points[0], shk_quantize_multiplier((double)ratio));
    return SHK_CLAMP(y + out->quant.zero_points[0], range.min, range.max);
}

static int32_t absolute(int32_t q, const struct shk_tensor *in, const struct shk_tensor *out)
{
    int32_t x = abs(q - in->quant.zero_points[0]);
    float ratio = in->quant.scales[0] / out->quant.scales[0];
    if (in->quant.scales[0] != out->quant.scales[0])
        x = shk_mbqm(x, shk_quantize_multiplier((double)ratio));
    return x + out->quant.zero_points[0];
}

static int32_t evaluate(const struct shk_graph *graph, const struct shk_op *op, int32_t q)
{
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    switch (op->spelling->kind) {
    case LOGISTIC:
        return quantized_function(q, in, out, logistic);
    case TANH:
        return quantized_function(q, in, out, tanhf);
    case ELU:
        return quantized_function(q, in, out, elu);
    case HARD_SWISH:
        return hard_swish(q, in, out);
    case LEAKY_RELU:
        return leaky_relu(q, in, out, ((const struct attrs *)op->attrs)->alpha);
    case RELU:
        return relu(q, in, out, SHK_ACTIVATION_RELU);
    case RELU6:
        return relu(q, in, out, SHK_ACTIVATION_RELU6);
    case RELU_N1_TO_1:
        return relu(q, in, out, SHK_ACTIVATION_RELU_N1_TO_1);
    default:
        return absolute(q, in, out);
    }
}

static void build_table(const struct shk_graph *graph, const struct shk_op *op, int8_t table[256])
{
    for (int32_t q = INT8_MIN; q <= INT8_MAX; q++) {
        int32_t y = evaluate(graph, op, q);
        table[q - INT8_MIN] = (int8_t)SHK_CLAMP(y, INT8_MIN, INT8_MAX);
    }
}

/* ---- the op ---- */

static enum shk_status check_scales(const struct shk_graph *graph, const struct shk_op *op,
                                    struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    float alpha = op->spelling->kind == LEAKY_RELU ? ((const struct attrs *)op->attrs)->alpha : 1.0f;
    float ratio = in->quant.scales[0] / out->quant.scales[0];
    if (op->spelling->kind == LOGISTIC && out->quant.scales[0] != 1.0f / 256.0f)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "the output's scale is %g, it must be 1/256", (double)out->quant.scales[0]);
    if (!(alpha >= 0.0f && alpha <= 1e4f))
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error, "alpha is %g, supported are 0 to 10000",
                           (double)alpha);
    /* 2^17: multipliers whose left shift keeps a 9-bit value inside int32 */
    if (op->spelling->kind >= LEAKY_RELU && !(ratio * SHK_MAX(alpha, 1.0f) < 131072.0f))
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "the output's scale %g is too small for the input's %g",
                           (double)out->quant.scales[0], (double)in->quant.scales[0]);
    if (op->spelling->kind == HARD_SWISH) {
        struct hard_swish c = hard_swish_constants(in, out);
        if (c.output_exponent > 0 || c.relu_exponent > 30)
            return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                               "input scale %g and output scale %g: their ratio must be at most 128",
                               (double)in->quant.scales[0], (double)out->quant.scales[0]);
    }
    return SHK_OK;
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    enum shk_status status = shk_check_counts(graph, op, 1, 1, 1, error);
    if (!status)
        status = shk_check_int8(graph, op, op->inputs[0], error);
    if (!status)
        status = shk_check_int8(graph, op, op->outputs[0], error);
    if (!status)
        status = shk_move_check_types(graph, op, 0, 1, error);
    if (!status)
        status = shk_check_output_shape(graph, op, &shk_op_input(graph, op, 0)->shape, error);
    return status ? status : check_scales(graph, op, error);
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    int8_t table[256];
    const int8_t *src = run->inputs[0];
    int8_t *dst = run->outputs[0];
    build_table(run->graph, run->op, table);
    for (size_t i = 0; i < shk_op_output(run->graph, run->op, 0)->bytes; i++)
        dst[i] = table[src[i] - INT8_MIN];
    return SHK_OK;
}

static bool table(const struct shk_graph *graph, const struct shk_op *op, int8_t values[256])
{
    build_table(graph, op, values);
    return true;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    int8_t table[256];
    build_table(shk_lower_graph(lowering), op, table);
    struct shk_move move = shk_move_between(lowering, op->outputs[0], op->inputs[0]);
    move.table = table;
    shk_move_emit(lowering, &move);
    return SHK_OK;
}

static const struct shk_attr leaky_relu_attrs[] = {
    {"alpha", SHK_ATTR_FLOAT, 0, offsetof(struct attrs, alpha), 0, NULL},
};
static const struct shk_op_spelling spellings[] = {
    {&shk_op_unary, "LOGISTIC", 14, 0, LOGISTIC, 3, NULL, 0},
    {&shk_op_unary, "TANH", 28, 0, TANH, 3, NULL, 0},
    {&shk_op_unary, "ELU", 111, 0, ELU, 1, NULL, 0},
    {&shk_op_unary, "HARD_SWISH", 117, 91, HARD_SWISH, 1, NULL, 0},
    {&shk_op_unary, "LEAKY_RELU", 98, 75, LEAKY_RELU, 2, leaky_relu_attrs, SHK_ARRAY_LEN(leaky_relu_attrs)},
    {&shk_op_unary, "RELU", 19, 0, RELU, 3, NULL, 0},
    {&shk_op_unary, "RELU6", 21, 0, RELU6, 3, NULL, 0},
    {&shk_op_unary, "RELU_N1_TO_1", 20, 0, RELU_N1_TO_1, 1, NULL, 0},
    {&shk_op_unary, "ABS", 101, 78, ABS, 5, NULL, 0},
};

const struct shk_op_def shk_op_unary = {
    .name = "unary",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .check = check,
    .reference = reference,
    .lower = lower,
    .table = table,
    .in_place_inputs = 1,
};
