/* FULLY_CONNECTED: output[n][o] = sum over k of weights[o][k] * input[n][k] + bias[o].
 * Source: tflite/kernels/internal/reference/{fully_connected.h,integer_ops/fully_connected.h}; int8 rounds in
 * double precision as these do since April 2025, legacy uint8 by multiplier and shift.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lower.h"
#include "quant.h"

SHK_OP_DECLARE(fully_connected);
SHK_SHADER_DECLARE(fully_connected);
SHK_SHADER_DECLARE(fully_connected_dot);

enum { INPUT, WEIGHTS, BIAS };

struct attrs {
    int32_t activation; /* enum shk_activation */
    int32_t weights_format;
    bool keep_num_dims;
    bool asymmetric_quantize_inputs; /* hybrid models only */
};

static const char *const weights_formats[] = {"DEFAULT", "SHUFFLED4x16INT8", NULL};

#define ATTR(field) offsetof(struct attrs, field)
static const struct shk_attr attr_list[] = {
    {"fused_activation_function", SHK_ATTR_ENUM, 0, ATTR(activation), SHK_ACTIVATION_NONE,
     shk_activation_names},
    {"weights_format", SHK_ATTR_ENUM, 1, ATTR(weights_format), 0, weights_formats},
    {"keep_num_dims", SHK_ATTR_BOOL, 2, ATTR(keep_num_dims), 0, NULL},
    {"asymmetric_quantize_inputs", SHK_ATTR_BOOL, 3, ATTR(asymmetric_quantize_inputs), 0, NULL},
};

static enum shk_status check_weights(const struct shk_graph *graph, const struct shk_op *op,
                                     struct shk_error *error)
{
    const struct shk_tensor *x = shk_op_input(graph, op, INPUT), *w = shk_op_input(graph, op, WEIGHTS);
    const struct shk_tensor *b = shk_op_input(graph, op, BIAS), *y = shk_op_output(graph, op, 0);
    if (w->dtype != SHK_DTYPE_INT8 || w->legacy_uint8 != x->legacy_uint8 ||
        y->legacy_uint8 != x->legacy_uint8)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "weights '%s' and output '%s' must be of the input's type", w->name, y->name);
    if (w->shape.rank != 2)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "weights '%s' have %u dimensions, expected 2", w->name, w->shape.rank);
    if (w->quant.count == 0 || (w->quant.count > 1 && (w->quant.axis != 0 || x->legacy_uint8)))
        return shk_op_fail(
            graph, op, SHK_ERROR_UNSUPPORTED, error,
            "weights '%s' have %u scales along dimension %u; supported are one, or for int8 one "
            "per index of dimension 0",
            w->name, w->quant.count, w->quant.axis);
    if (b && (!b->data || b->dtype != SHK_DTYPE_INT32 ||
              shk_shape_elements(&b->shape) != (size_t)w->shape.dims[0]))
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "bias '%s' is %zu elements of %s, expected %d constants of int32", b->name,
                           shk_shape_elements(&b->shape), shk_dtype_string(b->dtype), w->shape.dims[0]);
    return SHK_OK;
}

static enum shk_status check_shapes(const struct shk_graph *graph, const struct shk_op *op,
                                    struct shk_error *error)
{
    const struct shk_tensor *x = shk_op_input(graph, op, INPUT), *y = shk_op_output(graph, op, 0);
    const int32_t *w = shk_op_input(graph, op, WEIGHTS)->shape.dims;
    size_t elements = shk_shape_elements(&x->shape), depth = (size_t)w[1];
    size_t last = x->shape.rank ? (size_t)x->shape.dims[x->shape.rank - 1] : 1;
    if (elements % depth != 0 || depth % last != 0)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "input '%s' of %zu elements in rows of %zu does not make whole vectors of %zu",
                           x->name, elements, last, depth);
    if (y->shape.rank == 0 || y->shape.dims[y->shape.rank - 1] != w[0] ||
        shk_shape_elements(&y->shape) != elements / depth * (size_t)w[0]) {
        char text[64];
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "output '%s' is %s, expected %zu vectors of %d", y->name,
                           shk_shape_string(&y->shape, text), elements / depth, w[0]);
    }
    return SHK_OK;
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    const struct attrs *a = op->attrs;
    enum shk_status status = shk_check_counts(graph, op, 2, 3, 1, error);
    if (!status)
        status = shk_check_int8(graph, op, op->inputs[INPUT], error);
    if (!status)
        status = shk_check_int8(graph, op, op->outputs[0], error);
    if (!status)
        status = shk_check_constant(graph, op, WEIGHTS, error);
    if (!status)
        status = check_weights(graph, op, error);
    if (!status)
        status = check_shapes(graph, op, error);
    if (!status && a->weights_format != 0)
        status = shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                             "weights format %d, supported is DEFAULT", a->weights_format);
    if (!status && (a->activation < SHK_ACTIVATION_NONE || a->activation > SHK_ACTIVATION_RELU6))
        status =
            shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                        "fused activation %d; supported are NONE, RELU, RELU_N1_TO_1, RELU6", a->activation);
    return status;
}

/* ---- arithmetic ---- */

struct dense {
    bool legacy;
    uint32_t vectors, depth, channels;
    int32_t input_zero_point, weight_zero_point, output_zero_point;
    struct shk_range range;
    const int8_t *weights;
    const int32_t *bias;
};

static struct dense dense_describe(const struct shk_graph *graph, const struct shk_op *op)
{
    const struct attrs *a = op->attrs;
    const struct shk_tensor *x = shk_op_input(graph, op, INPUT), *w = shk_op_input(graph, op, WEIGHTS);
    const struct shk_tensor *b = shk_op_input(graph, op, BIAS), *y = shk_op_output(graph, op, 0);
    return (struct dense){
        .legacy = x->legacy_uint8,
        .vectors = (uint32_t)(shk_shape_elements(&x->shape) / (size_t)w->shape.dims[1]),
        .depth = (uint32_t)w->shape.dims[1],
        .channels = (uint32_t)w->shape.dims[0],
        .input_zero_point = x->quant.zero_points[0],
        /* the per-channel kernel takes it for 0, whatever the file says */
        .weight_zero_point = w->quant.count == 1 ? w->quant.zero_points[0] : 0,
        .output_zero_point = y->quant.zero_points[0],
        .range = shk_activation_range((enum shk_activation)a->activation, y),
        .weights = (const int8_t *)w->data,
        .bias = b ? (const int32_t *)(const void *)b->data : NULL,
    };
}

/* Scale of the sums of one output channel to the output. */
static double dense_scale(const struct shk_graph *graph, const struct shk_op *op, uint32_t channel)
{
    const struct shk_tensor *x = shk_op_input(graph, op, INPUT);
    const struct shk_quant *w = &shk_op_input(graph, op, WEIGHTS)->quant;
    float sx = x->quant.scales[0], sw = w->scales[w->count > 1 ? channel : 0];
    double sy = (double)shk_op_output(graph, op, 0)->quant.scales[0];
    return x->legacy_uint8 ? (double)(sx * sw) / sy : (double)sx * (double)sw / sy;
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    struct dense d = dense_describe(run->graph, run->op);
    const int8_t *x = run->inputs[0];
    int8_t *out = run->outputs[0];
    for (uint32_t n = 0; n < d.vectors; n++, x += d.depth)
        for (uint32_t o = 0; o < d.channels; o++) {
            const int8_t *w = d.weights + (size_t)o * d.depth;
            uint32_t sum = d.bias ? (uint32_t)d.bias[o] : 0;
            for (uint32_t k = 0; k < d.depth; k++)
                sum += (uint32_t)((x[k] - d.input_zero_point) * (w[k] - d.weight_zero_point));
            double scale = dense_scale(run->graph, run->op, o);
            int64_t y = d.legacy ? shk_mbqm((int32_t)sum, shk_quantize_multiplier(scale))
                                 : shk_round_half_away((double)(int32_t)sum * scale);
            y += d.output_zero_point;
            *out++ = (int8_t)SHK_CLAMP(y, d.range.min, d.range.max);
        }
    return SHK_OK;
}

static uint64_t macs(const struct shk_graph *graph, const struct shk_op *op)
{
    return (uint64_t)shk_shape_elements(&shk_op_output(graph, op, 0)->shape) *
           (uint64_t)shk_op_input(graph, op, WEIGHTS)->shape.dims[1];
}

static void describe(const struct shk_graph *graph, const struct shk_op *op, char *text, size_t size)
{
    const struct attrs *a = op->attrs;
    struct dense d = dense_describe(graph, op);
    snprintf(text, size, "%u to %u %s", d.depth, d.channels, shk_activation_names[a->activation]);
}

/* ---- lowering ---- */

/* Name, channels, pixels, weights, arithmetic, form, fast, full. */
static const struct shk_variant variants[] = {
    {"storage", 4, 1, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, false},
    {"dot-4x1", 4, 1, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_DOT, SHK_FORM_PLAIN, true, true},
};

/* Fills lane `o` % 4 of a quantization block: bias; multiplier or significand of the double; shift. */
static void pack_quantization(const struct shk_graph *graph, const struct shk_op *op, const struct dense *d,
                              uint32_t o, uint32_t *block)
{
    uint32_t sum = 0, bias = d->bias ? (uint32_t)d->bias[o] : 0;
    for (uint32_t k = 0; k < d->depth; k++)
        sum += (uint32_t)(d->weights[(size_t)o * d->depth + k] - d->weight_zero_point);
    uint32_t *at = block + o % 4;
    at[0] = bias - (uint32_t)d->input_zero_point * sum;
    double scale = dense_scale(graph, op, o);
    if (d->legacy) {
        struct shk_multiplier m = shk_quantize_multiplier(scale);
        at[4] = (uint32_t)m.multiplier;
        at[12] = (uint32_t)m.shift;
    } else {
        int exponent;
        uint64_t significand = (uint64_t)ldexp(frexp(scale, &exponent), 53);
        at[4] = (uint32_t)significand;
        at[8] = (uint32_t)(significand >> 32);
        at[12] = scale == 0.0 ? 97 : (uint32_t)(53 - exponent); /* 97: everything is shifted out */
    }
}

/* Four words of weights per input word and output word; input rows of the device start on words. */
static void pack_weights(const struct dense *d, uint32_t row_channels, uint32_t row_words,
                         uint32_t output_words, int8_t *packed)
{
    for (uint32_t o = 0; o < d->channels; o++)
        for (uint32_t k = 0; k < d->depth; k++) {
            uint32_t word = k / row_channels * row_words + k % row_channels / 4;
            size_t at = ((size_t)word * output_words + o / 4) * 4 + o % 4;
            packed[at * 4 + k % row_channels % 4] = d->weights[(size_t)o * d->depth + k];
        }
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    struct dense d = dense_describe(graph, op);
    struct shk_view in = shk_lower_view(lowering, op->inputs[INPUT]);
    struct shk_view out = shk_lower_view(lowering, op->outputs[0]);
    const struct shk_variant *variant = shk_lower_variant(lowering);
    uint32_t rows = d.depth / in.channels, blocks = out.words, tail = in.channels % 4;
    size_t quant_bytes = (size_t)blocks * SHK_DENSE_QUANT * 4;
    size_t weight_bytes = (size_t)rows * in.words * blocks * 16;
    uint8_t *packed = calloc(1, quant_bytes + weight_bytes);
    if (!packed)
        return shk_fail_oom(error, quant_bytes + weight_bytes, "packed weights");
    for (uint32_t o = 0; o < d.channels; o++)
        pack_quantization(graph, op, &d, o, (uint32_t *)(void *)packed + (size_t)(o / 4) * SHK_DENSE_QUANT);
    pack_weights(&d, in.channels, in.words, blocks, (int8_t *)packed + quant_bytes);
    struct shk_dense_push push = {
        .input_offset = in.offset,
        .input_stride = in.stride,
        .input_words = in.words,
        .input_rows = rows,
        .last_mask = tail ? (UINT32_C(1) << (8 * tail)) - 1 : UINT32_MAX,
        .weight_zero_point = d.weight_zero_point,
        .output_offset = out.offset,
        .output_stride = out.stride,
        .output_words = blocks,
        .items = d.vectors * blocks,
        .quant = shk_lower_params(lowering, packed, quant_bytes, 16) / 4,
        .weights = shk_lower_params(lowering, packed + quant_bytes, weight_bytes, 16) / 4,
        .output_zero_point = d.output_zero_point,
        .output_min = d.range.min - d.output_zero_point,
        .output_max = d.range.max - d.output_zero_point,
    };
    struct shk_dispatch dispatch = {
        .shader =
            variant->arithmetic == SHK_ARITHMETIC_DOT ? &shk_shader_fully_connected_dot : &shk_shader_fully_connected,
        .spec = {!d.legacy},
        .spec_count = 1,
        .push = &push,
        .push_size = sizeof(push),
        .iterations = push.input_rows * (UINT64_C(1) + push.input_words),
    };
    shk_dispatch_linear(&dispatch, push.items, 32);
    shk_lower_dispatch(lowering, &dispatch);
    free(packed);
    return SHK_OK;
}

static const struct shk_op_spelling spellings[] = {
    {&shk_op_fully_connected, "FULLY_CONNECTED", 9, 8, 0, 13, attr_list, SHK_ARRAY_LEN(attr_list)},
};

const struct shk_op_def shk_op_fully_connected = {
    .name = "fully_connected",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .parameter_inputs = 1u << WEIGHTS | 1u << BIAS,
    .check = check,
    .reference = reference,
    .lower = lower,
    .macs = macs,
    .describe = describe,
    .variants = variants,
    .variant_count = SHK_ARRAY_LEN(variants),
};
