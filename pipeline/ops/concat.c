/* CONCATENATION, PACK: tflite/kernels/{concatenation,pack}.cc, internal/reference/concatenation.h. Inputs
 * that the planner has placed inside the output cost nothing. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "concat.h"
#include "move.h"

SHK_OP_DECLARE(concat);

enum { CONCATENATION, PACK };

struct attrs {
    int32_t axis, activation, values_count;
};

/* The concatenated dimension of the output. */
static int32_t axis_of(const struct shk_graph *graph, const struct shk_op *op)
{
    return shk_normalize_axis(((const struct attrs *)op->attrs)->axis,
                              shk_op_output(graph, op, 0)->shape.rank);
}

/* How far input i reaches along the axis. */
static int32_t extent(const struct shk_graph *graph, const struct shk_op *op, uint32_t i)
{
    return op->spelling->kind == PACK ? 1 : shk_op_input(graph, op, i)->shape.dims[axis_of(graph, op)];
}

bool shk_op_is_concat(const struct shk_op *op)
{
    return op->def == &shk_op_concat && op->spelling->kind == CONCATENATION;
}

bool shk_concat_same_scale(const struct shk_tensor *a, const struct shk_tensor *b)
{
    if (a->quant.count == 0 || b->quant.count == 0)
        return true;
    return a->quant.scales[0] == b->quant.scales[0] && a->quant.zero_points[0] == b->quant.zero_points[0];
}

static enum shk_status check_quantization(const struct shk_graph *graph, const struct shk_op *op,
                                          struct shk_error *error)
{
    const struct shk_tensor *out = shk_op_output(graph, op, 0);
    if (op->spelling->kind == PACK || out->dtype != SHK_DTYPE_INT8)
        return SHK_OK;
    for (uint32_t i = 0; i < op->input_count; i++) {
        const struct shk_tensor *in = shk_op_input(graph, op, i);
        if (!out->legacy_uint8 && !shk_concat_same_scale(in, out))
            return shk_op_fail(
                graph, op, SHK_ERROR_BAD_MODEL, error,
                "int8 input %u ('%s') has scale %g and zero point %d, the output %g and %d; they "
                "must be equal",
                i, in->name, (double)in->quant.scales[0], in->quant.zero_points[0],
                (double)out->quant.scales[0], out->quant.zero_points[0]);
    }
    return SHK_OK;
}

/* Input i has the output's shape but for the axis. */
static bool shape_fits(const struct shk_graph *graph, const struct shk_op *op, uint32_t i, uint32_t axis)
{
    const struct shk_shape *in = &shk_op_input(graph, op, i)->shape,
                           *out = &shk_op_output(graph, op, 0)->shape;
    bool pack = op->spelling->kind == PACK;
    if (in->rank + pack != out->rank)
        return false;
    for (uint32_t k = 0; k < out->rank; k++)
        if (k != axis && in->dims[k - (pack && k > axis)] != out->dims[k])
            return false;
    return true;
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    const struct attrs *a = op->attrs;
    char in_text[64], out_text[64];
    enum shk_status status = shk_check_counts(graph, op, 1, UINT32_MAX, 1, error);
    if (!status)
        status = shk_move_check_types(graph, op, 0, op->input_count, error);
    if (!status)
        status = check_quantization(graph, op, error);
    if (status)
        return status;
    if (a->activation != SHK_ACTIVATION_NONE)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "fused activation %d; only NONE is supported", a->activation);
    const struct shk_shape *out = &shk_op_output(graph, op, 0)->shape;
    int32_t axis = axis_of(graph, op);
    if (axis < 0)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "axis %d, but the output has %u dimensions",
                           a->axis, out->rank);
    int64_t sum = 0;
    for (uint32_t i = 0; i < op->input_count; i++) {
        if (!shape_fits(graph, op, i, (uint32_t)axis))
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                               "input %u has shape %s, which does not fit output %s along axis %d", i,
                               shk_shape_string(&shk_op_input(graph, op, i)->shape, in_text),
                               shk_shape_string(out, out_text), axis);
        sum += extent(graph, op, i);
    }
    if (sum != out->dims[axis])
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "the inputs' sizes along axis %d add up to %lld, the output has %d", axis,
                           (long long)sum, out->dims[axis]);
    return SHK_OK;
}

/* ConcatenationWithScaling for legacy uint8, in float without fused multiply-add; values as the file has
 * them. */
static int8_t rescale(int32_t value, const struct shk_quant *in, const struct shk_quant *out)
{
    float inverse = 1.0f / out->scales[0];
    float scale = in->scales[0] * inverse;
    float bias = (float)-in->file_zero_points[0] * scale;
    float product = (float)value * scale;
    float rounded = roundf(product + bias);
    float clamped = SHK_CLAMP(rounded, -1000.0f, 1000.0f);
    int32_t y = (int32_t)clamped + out->file_zero_points[0];
    return (int8_t)(SHK_CLAMP(y, 0, 255) - 128);
}

void shk_concat_table(const struct shk_tensor *in, const struct shk_tensor *out, int8_t table[256])
{
    for (int32_t v = 0; v < 256; v++)
        table[v] = rescale(v, &in->quant, &out->quant);
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct shk_tensor *out = shk_op_output(run->graph, run->op, 0);
    uint32_t axis = (uint32_t)axis_of(run->graph, run->op);
    size_t outer = 1, inner = shk_dtype_size(out->dtype);
    for (uint32_t k = 0; k < axis; k++)
        outer *= (size_t)out->shape.dims[k];
    for (uint32_t k = axis + 1; k < out->shape.rank; k++)
        inner *= (size_t)out->shape.dims[k];
    uint8_t *dst = run->outputs[0];
    for (size_t o = 0; o < outer; o++)
        for (uint32_t i = 0; i < run->op->input_count; i++) {
            const struct shk_tensor *in = shk_op_input(run->graph, run->op, i);
            size_t bytes = (size_t)extent(run->graph, run->op, i) * inner;
            const uint8_t *src = (const uint8_t *)run->inputs[i] + o * bytes;
            if (run->op->spelling->kind == CONCATENATION && !shk_concat_same_scale(in, out))
                for (size_t b = 0; b < bytes; b++)
                    dst[b] = (uint8_t)rescale((int8_t)src[b] + 128, &in->quant, &out->quant);
            else
                memcpy(dst, src, bytes);
            dst += bytes;
        }
    return SHK_OK;
}

/* The block of the output that input i becomes, `at` steps along the axis. */
static struct shk_move piece(const struct shk_lowering *lowering, const struct shk_op *op, uint32_t i,
                             uint32_t at)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    const struct shk_tensor *out = shk_op_output(graph, op, 0);
    uint32_t axis = (uint32_t)axis_of(graph, op), rank = out->shape.rank, steps[SHK_MAX_RANK] = {0};
    bool pack = op->spelling->kind == PACK;
    struct shk_move move = {.element_bytes = (uint32_t)shk_dtype_size(out->dtype), .rank = rank};
    move.dst = shk_move_locate(lowering, op->outputs[0], move.dst_steps);
    move.src = shk_move_locate(lowering, op->inputs[i], steps);
    for (uint32_t k = 0; k < rank; k++) {
        move.n[k] = (uint32_t)(k == axis ? extent(graph, op, i) : out->shape.dims[k]);
        move.src_steps[k] = pack && k == axis ? 0 : steps[k - (pack && k > axis)];
    }
    move.dst += at * move.dst_steps[axis];
    move.whole_rows = axis + 1 < rank || at + move.n[axis] == (uint32_t)out->shape.dims[axis];
    return move;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    const struct shk_tensor *out = shk_op_output(graph, op, 0);
    int8_t table[256];
    uint32_t at = 0;
    bool emitted = false;
    for (uint32_t i = 0; i < op->input_count; i++) {
        const struct shk_tensor *in = shk_op_input(graph, op, i);
        struct shk_move move = piece(lowering, op, i, at);
        at += (uint32_t)extent(graph, op, i);
        if (op->spelling->kind == CONCATENATION && !shk_concat_same_scale(in, out)) {
            shk_concat_table(in, out, table);
            move.table = table;
        }
        if (!move.table && shk_move_is_in_place(&move))
            continue;
        if (emitted && move.element_bytes == 1 && move.dst % 4)
            shk_lower_barrier(lowering); /* the piece before ends in this one's first word */
        shk_move_emit(lowering, &move);
        emitted = true;
    }
    return SHK_OK;
}

static const struct shk_attr concatenation_attrs[] = {
    {"axis", SHK_ATTR_INT32, 0, offsetof(struct attrs, axis), 0, NULL},
    {"fused_activation_function", SHK_ATTR_ENUM, 1, offsetof(struct attrs, activation), 0,
     shk_activation_names},
};
static const struct shk_attr pack_attrs[] = {
    {"values_count", SHK_ATTR_INT32, 0, offsetof(struct attrs, values_count), 0, NULL},
    {"axis", SHK_ATTR_INT32, 1, offsetof(struct attrs, axis), 0, NULL},
};
static const struct shk_op_spelling spellings[] = {
    {&shk_op_concat, "CONCATENATION", 2, 10, CONCATENATION, 4, concatenation_attrs,
     SHK_ARRAY_LEN(concatenation_attrs)},
    {&shk_op_concat, "PACK", 83, 59, PACK, 4, pack_attrs, SHK_ARRAY_LEN(pack_attrs)},
};

const struct shk_op_def shk_op_concat = {
    .name = "concat",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .check = check,
    .reference = reference,
    .lower = lower,
};
