/* TRANSPOSE: dimension k of the output is dimension perm[k] of the input.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "move.h"

SHK_OP_DECLARE(transpose);

static uint32_t permuted(const struct shk_graph *graph, const struct shk_op *op, uint32_t k)
{
    return (uint32_t)shk_const_int(shk_op_input(graph, op, 1), k);
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    uint32_t count, seen = 0;
    enum shk_status status = shk_check_counts(graph, op, 2, 2, 1, error);
    if (!status)
        status = shk_move_check_types(graph, op, 0, 1, error);
    if (!status)
        status = shk_check_const_ints(graph, op, 1, &count, error);
    if (status)
        return status;
    const struct shk_shape *in = &shk_op_input(graph, op, 0)->shape;
    struct shk_shape expected = {.rank = in->rank};
    for (uint32_t k = 0; k < in->rank && count == in->rank; k++) {
        uint32_t from = permuted(graph, op, k);
        if (from >= in->rank)
            break;
        seen |= 1u << from;
        expected.dims[k] = in->dims[from];
    }
    if (count != in->rank || seen != (1u << in->rank) - 1)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "'%s' with %u values is no permutation of the input's %u dimensions",
                           shk_op_input(graph, op, 1)->name, count, in->rank);
    return shk_check_output_shape(graph, op, &expected, error);
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct shk_shape *in = &shk_op_input(run->graph, run->op, 0)->shape;
    const struct shk_tensor *out = shk_op_output(run->graph, run->op, 0);
    size_t size = shk_dtype_size(out->dtype), strides[SHK_MAX_RANK], stride = 1;
    for (uint32_t k = in->rank; k-- > 0; stride *= (size_t)in->dims[k])
        strides[k] = stride;
    const uint8_t *src = run->inputs[0];
    uint8_t *dst = run->outputs[0];
    int32_t at[SHK_MAX_RANK] = {0};
    for (size_t i = 0; i < stride; i++) {
        size_t from = 0;
        for (uint32_t k = 0; k < in->rank; k++)
            from += (size_t)at[k] * strides[permuted(run->graph, run->op, k)];
        memcpy(dst + i * size, src + from * size, size);
        for (uint32_t k = in->rank; k-- > 0 && ++at[k] == out->shape.dims[k];)
            at[k] = 0;
    }
    return SHK_OK;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    const struct shk_tensor *out = shk_op_output(graph, op, 0);
    uint32_t steps[SHK_MAX_RANK] = {0};
    struct shk_move move = {
        .element_bytes = (uint32_t)shk_dtype_size(out->dtype),
        .rank = out->shape.rank,
        .whole_rows = true,
    };
    move.dst = shk_move_locate(lowering, op->outputs[0], move.dst_steps);
    move.src = shk_move_locate(lowering, op->inputs[0], steps);
    for (uint32_t k = 0; k < move.rank; k++) {
        move.n[k] = (uint32_t)out->shape.dims[k];
        move.src_steps[k] = steps[permuted(graph, op, k)];
    }
    shk_move_emit(lowering, &move);
    return SHK_OK;
}

static const struct shk_op_spelling spellings[] = {
    {&shk_op_transpose, "TRANSPOSE", 39, 26, 0, 6, NULL, 0},
};

const struct shk_op_def shk_op_transpose = {
    .name = "transpose",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .parameter_inputs = 1u << 1,
    .check = check,
    .reference = reference,
    .lower = lower,
};
