/* PAD, PADV2: tflite/kernels/pad.cc, internal/reference/pad.h. PAD writes the output's zero point, PADV2 its
 * third input.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "move.h"
#include "pad.h"

SHK_OP_DECLARE(pad);
SHK_SHADER_DECLARE(pad);

enum { PAD, PADV2 };

static int32_t padding(const struct shk_graph *graph, const struct shk_op *op, uint32_t dim, uint32_t side)
{
    return shk_const_int(shk_op_input(graph, op, 1), dim * 2 + side);
}

static enum shk_status check_paddings(const struct shk_graph *graph, const struct shk_op *op,
                                      struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *t = shk_op_input(graph, op, 1);
    enum shk_status status = shk_check_constant(graph, op, 1, error);
    if (status)
        return status;
    uint32_t rank = in->shape.rank;
    if ((t->dtype != SHK_DTYPE_INT32 && t->dtype != SHK_DTYPE_INT64) || t->shape.rank != 2 ||
        t->shape.dims[0] != (int32_t)rank || t->shape.dims[1] != 2)
        return shk_op_fail(
            graph, op, SHK_ERROR_BAD_MODEL, error,
            "paddings '%s' must be int32 of shape %ux2, a pair for each of the input's dimensions", t->name,
            rank);
    struct shk_shape expected = in->shape;
    for (uint32_t k = 0; k < rank; k++) {
        int32_t before = padding(graph, op, k, 0), after = padding(graph, op, k, 1);
        if (before < 0 || after < 0 || __builtin_add_overflow(expected.dims[k], before, &expected.dims[k]) ||
            __builtin_add_overflow(expected.dims[k], after, &expected.dims[k]))
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "dimension %u: padding by %d and %d", k,
                               before, after);
    }
    return shk_check_output_shape(graph, op, &expected, error);
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    bool v2 = op->spelling->kind == PADV2;
    enum shk_status status = shk_check_counts(graph, op, v2 ? 3 : 2, v2 ? 3 : 2, 1, error);
    if (!status)
        status = shk_move_check_types(graph, op, 0, 1, error);
    if (!status)
        status = check_paddings(graph, op, error);
    if (status || !v2)
        return status;
    const struct shk_tensor *value = shk_op_input(graph, op, 2), *out = shk_op_output(graph, op, 0);
    status = shk_check_constant(graph, op, 2, error);
    if (!status && (value->dtype != out->dtype || value->legacy_uint8 != out->legacy_uint8 ||
                    shk_shape_elements(&value->shape) != 1))
        status = shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                             "the padding value '%s' must be one number of the output's type", value->name);
    return status;
}

/* The bits of one element of the border. */
static uint32_t border(const struct shk_graph *graph, const struct shk_op *op)
{
    const struct shk_tensor *out = shk_op_output(graph, op, 0);
    uint32_t bits = 0;
    if (op->spelling->kind == PADV2)
        memcpy(&bits, shk_op_input(graph, op, 2)->data, shk_dtype_size(out->dtype));
    else if (out->dtype == SHK_DTYPE_INT8)
        bits = (uint32_t)(out->quant.count ? out->quant.zero_points[0] : out->legacy_uint8 ? -128 : 0) & 0xff;
    return bits;
}

bool shk_op_is_pad(const struct shk_op *op)
{
    return op->def == &shk_op_pad;
}

struct shk_pad shk_pad_describe(const struct shk_graph *graph, const struct shk_op *op)
{
    struct shk_pad pad = {.value = border(graph, op)};
    for (uint32_t k = 0; k < shk_op_input(graph, op, 0)->shape.rank; k++)
        pad.before[k] = padding(graph, op, k, 0);
    return pad;
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(run->graph, run->op, 0),
                            *out = shk_op_output(run->graph, run->op, 0);
    size_t size = shk_dtype_size(out->dtype);
    uint32_t value = border(run->graph, run->op), rank = in->shape.rank;
    const uint8_t *src = run->inputs[0];
    uint8_t *dst = run->outputs[0];
    int32_t at[SHK_MAX_RANK] = {0};
    for (size_t i = 0; i < shk_shape_elements(&out->shape); i++) {
        size_t from = 0;
        bool inside = true;
        for (uint32_t k = 0; k < rank; k++) {
            int32_t c = at[k] - padding(run->graph, run->op, k, 0);
            inside = inside && c >= 0 && c < in->shape.dims[k];
            from = from * (size_t)in->shape.dims[k] + (size_t)(inside ? c : 0);
        }
        memcpy(dst + i * size, inside ? (const void *)(src + from * size) : &value, size);
        for (uint32_t k = rank; k-- > 0 && ++at[k] == out->shape.dims[k];)
            at[k] = 0;
    }
    return SHK_OK;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    const struct shk_shape *in = &shk_op_input(graph, op, 0)->shape;
    const struct shk_tensor *out = shk_op_output(graph, op, 0);
    struct shk_view src = shk_lower_view(lowering, op->inputs[0]),
                    dst = shk_lower_view(lowering, op->outputs[0]);
    uint32_t bits = border(graph, op);
    struct shk_pad_push push = {
        .items = dst.rows * dst.words,
        .src = src.offset,
        .dst = dst.offset,
        .dst_stride = dst.stride,
        .dst_words = shk_divisor_of(dst.words),
        .last_before = (uint32_t)padding(graph, op, in->rank - 1, 0),
        .last_inner = src.channels,
        .value = out->dtype == SHK_DTYPE_INT8 ? bits * 0x01010101u : bits,
        .bytes = (uint32_t)shk_dtype_size(out->dtype),
    };
    struct shk_pad_uniform uniform = {0};
    uint32_t dims = 0;
    for (uint32_t k = 0; k + 1 < in->rank; k++) {
        if (out->shape.dims[k] == 1)
            continue;
        struct shk_divisor d = shk_divisor_of((uint32_t)out->shape.dims[k]);
        uniform.dims[dims++] = (struct shk_pad_dim){
            .n = d.n,
            .magic = d.magic,
            .shift = d.shift,
            .before = (uint32_t)padding(graph, op, k, 0),
            .inner = (uint32_t)in->dims[k],
            .src_step = shk_grid_row_step(in, &src, k),
        };
    }
    struct shk_dispatch dispatch = {
        .shader = &shk_shader_pad,
        .spec = {dims, src.channels == dst.channels},
        .spec_count = 2,
        .push = &push,
        .push_size = sizeof(push),
        .uniform_offset = shk_lower_params(lowering, &uniform, sizeof(uniform), SHK_UNIFORM_ALIGNMENT),
    };
    shk_dispatch_linear(&dispatch, push.items, 64);
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}

static const struct shk_op_spelling spellings[] = {
    {&shk_op_pad, "PAD", 34, 22, PAD, 4, NULL, 0},
    {&shk_op_pad, "PADV2", 60, 43, PADV2, 4, NULL, 0},
};

const struct shk_op_def shk_op_pad = {
    .name = "pad",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .parameter_inputs = 1u << 1 | 1u << 2,
    .check = check,
    .reference = reference,
    .lower = lower,
};
