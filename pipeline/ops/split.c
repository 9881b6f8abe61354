/* SPLIT, SPLIT_V, UNPACK: one tensor into several along one dimension; UNPACK drops that dimension.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "move.h"

SHK_OP_DECLARE(split);

enum { SPLIT, SPLIT_V, UNPACK };

struct attrs {
    int32_t num, axis;
};

/* Where the tensor to be split is among the inputs, and where the axis. */
static uint32_t value_input(const struct shk_op *op)
{
    return op->spelling->kind == SPLIT ? 1 : 0;
}

static int32_t axis_of(const struct shk_graph *graph, const struct shk_op *op)
{
    int32_t axis = op->spelling->kind == UNPACK  ? ((const struct attrs *)op->attrs)->axis
                   : op->spelling->kind == SPLIT ? shk_const_int(shk_op_input(graph, op, 0), 0)
                                                 : shk_const_int(shk_op_input(graph, op, 2), 0);
    return shk_normalize_axis(axis, shk_op_input(graph, op, value_input(op))->shape.rank);
}

/* UNPACK has other shapes. */
static uint32_t split_input(const struct shk_op *op)
{
    return value_input(op);
}

/* Size of output i along the axis. */
static int32_t extent(const struct shk_graph *graph, const struct shk_op *op, uint32_t i)
{
    return op->spelling->kind == UNPACK ? 1 : shk_op_output(graph, op, i)->shape.dims[axis_of(graph, op)];
}

static enum shk_status check_output(const struct shk_graph *graph, const struct shk_op *op, uint32_t i,
                                    uint32_t axis, struct shk_error *error)
{
    const struct shk_shape *in = &shk_op_input(graph, op, value_input(op))->shape;
    const struct shk_shape *out = &shk_op_output(graph, op, i)->shape;
    bool unpack = op->spelling->kind == UNPACK, fits = out->rank + unpack == in->rank;
    for (uint32_t k = 0; k < in->rank && fits; k++)
        fits = k == axis || out->dims[k - (unpack && k > axis)] == in->dims[k];
    if (fits && op->spelling->kind == SPLIT)
        fits = (int64_t)out->dims[axis] * op->output_count == in->dims[axis];
    if (fits && op->spelling->kind == SPLIT_V) {
        int32_t want = shk_const_int(shk_op_input(graph, op, 1), i);
        fits = want == -1 || want == out->dims[axis];
    }
    char in_text[64], out_text[64];
    if (!fits)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "output %u of %u has shape %s, which is no part of %s along axis %u", i,
                           op->output_count, shk_shape_string(out, out_text), shk_shape_string(in, in_text),
                           axis);
    return SHK_OK;
}

static enum shk_status check_parameters(const struct shk_graph *graph, const struct shk_op *op,
                                        struct shk_error *error)
{
    uint32_t count = 1, sizes;
    enum shk_status status = SHK_OK;
    if (op->spelling->kind != UNPACK)
        status = shk_check_const_ints(graph, op, op->spelling->kind == SPLIT ? 0 : 2, &count, error);
    if (!status && op->spelling->kind == SPLIT_V) {
        status = shk_check_const_ints(graph, op, 1, &sizes, error);
        if (!status && sizes != op->output_count)
            status = shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "%u sizes for %u outputs", sizes,
                                 op->output_count);
    }
    if (!status && (count != 1 || axis_of(graph, op) < 0))
        status = shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "the axis is no dimension of the input");
    return status;
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    static const uint32_t input_counts[] = {[SPLIT] = 2, [SPLIT_V] = 3, [UNPACK] = 1};
    uint32_t inputs = input_counts[op->spelling->kind];
    enum shk_status status =
        shk_check_counts(graph, op, inputs, inputs, SHK_MAX(op->output_count, 1u), error);
    if (!status)
        status = shk_move_check_types(graph, op, value_input(op), 1, error);
    if (!status)
        status = check_parameters(graph, op, error);
    if (status)
        return status;
    uint32_t axis = (uint32_t)axis_of(graph, op);
    int64_t sum = 0;
    for (uint32_t i = 0; i < op->output_count; i++) {
        status = check_output(graph, op, i, axis, error);
        if (status)
            return status;
        sum += extent(graph, op, i);
    }
    int32_t whole = shk_op_input(graph, op, value_input(op))->shape.dims[axis];
    if (sum != whole)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "the outputs' sizes along axis %u add up to %lld, the input has %d", axis,
                           (long long)sum, whole);
    return SHK_OK;
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(run->graph, run->op, value_input(run->op));
    uint32_t axis = (uint32_t)axis_of(run->graph, run->op);
    size_t outer = 1, inner = shk_dtype_size(in->dtype);
    for (uint32_t k = 0; k < axis; k++)
        outer *= (size_t)in->shape.dims[k];
    for (uint32_t k = axis + 1; k < in->shape.rank; k++)
        inner *= (size_t)in->shape.dims[k];
    const uint8_t *src = run->inputs[value_input(run->op)];
    for (size_t o = 0; o < outer; o++)
        for (uint32_t i = 0; i < run->op->output_count; i++) {
            size_t bytes = (size_t)extent(run->graph, run->op, i) * inner;
            memcpy((uint8_t *)run->outputs[i] + o * bytes, src, bytes);
            src += bytes;
        }
    return SHK_OK;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    uint32_t value = value_input(op), axis = (uint32_t)axis_of(graph, op), steps[SHK_MAX_RANK] = {0};
    const struct shk_tensor *in = shk_op_input(graph, op, value);
    uint32_t src = shk_move_locate(lowering, op->inputs[value], steps);
    for (uint32_t i = 0; i < op->output_count; i++) {
        struct shk_move move = {
            .element_bytes = (uint32_t)shk_dtype_size(in->dtype),
            .src = src,
            .whole_rows = true,
        };
        move.dst = shk_move_locate(lowering, op->outputs[i], move.dst_steps);
        for (uint32_t k = 0; k < in->shape.rank; k++) {
            if (op->spelling->kind == UNPACK && k == axis)
                continue;
            move.n[move.rank] = (uint32_t)(k == axis ? extent(graph, op, i) : in->shape.dims[k]);
            move.src_steps[move.rank++] = steps[k];
        }
        if (!shk_move_is_in_place(&move))
            shk_move_emit(lowering, &move);
        src += (uint32_t)extent(graph, op, i) * steps[axis];
    }
    return SHK_OK;
}

static const struct shk_attr split_attrs[] = {
    {"num_splits", SHK_ATTR_INT32, 0, offsetof(struct attrs, num), 0, NULL},
};
static const struct shk_attr unpack_attrs[] = {
    {"num", SHK_ATTR_INT32, 0, offsetof(struct attrs, num), 0, NULL},
    {"axis", SHK_ATTR_INT32, 1, offsetof(struct attrs, axis), 0, NULL},
};
static const struct shk_op_spelling spellings[] = {
    {&shk_op_split, "SPLIT", 49, 35, SPLIT, 4, split_attrs, SHK_ARRAY_LEN(split_attrs)},
    {&shk_op_split, "SPLIT_V", 102, 79, SPLIT_V, 2, split_attrs, SHK_ARRAY_LEN(split_attrs)},
    {&shk_op_split, "UNPACK", 88, 64, UNPACK, 4, unpack_attrs, SHK_ARRAY_LEN(unpack_attrs)},
};

const struct shk_op_def shk_op_split = {
    .name = "split",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .check = check,
    .reference = reference,
    .lower = lower,
    .split_input = split_input,
};
