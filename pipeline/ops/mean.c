/* MEAN over any dimensions; tflite/kernels/reduce.cc, internal/reference/reduce.h (QuantizedMeanOrSum).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "move.h"
#include "quant.h"

SHK_OP_DECLARE(mean);
SHK_SHADER_DECLARE(mean);

#define MAX_TAPS (1 << 23) /* the sum of int8 values stays inside int32 */

struct attrs {
    bool keep_dims;
};

/* Bit k: dimension k is averaged over. UINT32_MAX: an axis is out of range. */
static uint32_t reduced_dims(const struct shk_graph *graph, const struct shk_op *op)
{
    const struct shk_tensor *axes = shk_op_input(graph, op, 1);
    uint32_t mask = 0;
    for (size_t i = 0; i < shk_shape_elements(&axes->shape); i++) {
        int32_t axis = shk_normalize_axis(shk_const_int(axes, i), shk_op_input(graph, op, 0)->shape.rank);
        if (axis < 0)
            return UINT32_MAX;
        mask |= 1u << axis;
    }
    return mask;
}

static int32_t taps_of(const struct shk_shape *in, uint32_t mask)
{
    int32_t taps = 1;
    for (uint32_t k = 0; k < in->rank; k++)
        if (mask >> k & 1)
            taps *= in->dims[k];
    return taps;
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    uint32_t count;
    enum shk_status status = shk_check_counts(graph, op, 2, 2, 1, error);
    if (!status)
        status = shk_check_int8(graph, op, op->inputs[0], error);
    if (!status)
        status = shk_check_int8(graph, op, op->outputs[0], error);
    if (!status)
        status = shk_move_check_types(graph, op, 0, 1, error);
    if (!status)
        status = shk_check_const_ints(graph, op, 1, &count, error);
    if (status)
        return status;
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    uint32_t mask = reduced_dims(graph, op);
    if (mask == UINT32_MAX)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "an axis is no dimension of an input of %u",
                           in->shape.rank);
    if (taps_of(&in->shape, mask) > MAX_TAPS)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "a mean of %d values, at most %d are supported", taps_of(&in->shape, mask),
                           MAX_TAPS);
    if (!((double)in->quant.scales[0] / (double)out->quant.scales[0] < 131072.0))
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "the output's scale %g is too small for the input's %g",
                           (double)out->quant.scales[0], (double)in->quant.scales[0]);
    struct shk_shape expected = {0};
    for (uint32_t k = 0; k < in->shape.rank; k++)
        if (!(mask >> k & 1))
            expected.dims[expected.rank++] = in->shape.dims[k];
        else if (((const struct attrs *)op->attrs)->keep_dims)
            expected.dims[expected.rank++] = 1;
    return shk_check_output_shape(graph, op, &expected, error);
}

/* The scales' ratio divided by the number of taps. */
static struct shk_multiplier mean_multiplier(const struct shk_tensor *in, const struct shk_tensor *out,
                                             int32_t taps)
{
    struct shk_multiplier m =
        shk_quantize_multiplier((double)in->quant.scales[0] / (double)out->quant.scales[0]);
    int k = 31 - __builtin_clz((uint32_t)taps);
    k = SHK_MIN(k, 31 + m.shift);
    m.multiplier = (int32_t)(((int64_t)m.multiplier << k) / taps);
    m.shift -= k;
    return m;
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(run->graph, run->op, 0),
                            *out = shk_op_output(run->graph, run->op, 0);
    uint32_t mask = reduced_dims(run->graph, run->op), rank = in->shape.rank;
    int32_t taps = taps_of(&in->shape, mask);
    struct shk_multiplier m = mean_multiplier(in, out, taps);
    const int8_t *src = run->inputs[0];
    int8_t *dst = run->outputs[0];
    for (size_t o = 0; o < out->bytes; o++) {
        int32_t at[SHK_MAX_RANK] = {0}, sum = 0;
        size_t rest = o;
        for (uint32_t k = rank; k-- > 0;)
            if (!(mask >> k & 1)) {
                at[k] = (int32_t)(rest % (size_t)in->shape.dims[k]);
                rest /= (size_t)in->shape.dims[k];
            }
        for (int32_t t = 0; t < taps; t++) {
            size_t from = 0;
            for (uint32_t k = 0; k < rank; k++)
                from = from * (size_t)in->shape.dims[k] + (size_t)at[k];
            sum += src[from];
            for (uint32_t k = rank; k-- > 0;)
                if (mask >> k & 1) {
                    if (++at[k] < in->shape.dims[k])
                        break;
                    at[k] = 0;
                }
        }
        int32_t y = shk_mbqm(sum - in->quant.zero_points[0] * taps, m) + out->quant.zero_points[0];
        dst[o] = (int8_t)SHK_CLAMP(y, INT8_MIN, INT8_MAX);
    }
    return SHK_OK;
}

/* The dimensions summed over, joined where they are contiguous: of six, four are left at most (0, 2, 4 and 5
 * where rows are padded). */
static void fill_uniform(struct shk_mean_uniform *u, const struct shk_grid *reduced)
{
    uint32_t n[4] = {1, 1, 1, 1}, steps[4] = {0, 0, 0, 0}, first = 4 - reduced->rank;
    for (uint32_t k = 0; k < reduced->rank; k++) {
        n[first + k] = reduced->dims[k].n;
        steps[first + k] = reduced->dims[k].a;
    }
    u->n0 = n[0];
    u->n1 = n[1];
    u->n2 = n[2];
    u->n3 = n[3];
    u->step0 = steps[0];
    u->step1 = steps[1];
    u->step2 = steps[2];
    u->step3 = steps[3];
}

static uint64_t count_iterations(const struct shk_mean_uniform *u)
{
    return u->n0 * (1 + u->n1 * (1 + u->n2 * (UINT64_C(1) + u->n3)));
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    uint32_t mask = reduced_dims(graph, op), rank = in->shape.rank, kept = 0;
    bool keep_dims = ((const struct attrs *)op->attrs)->keep_dims;
    bool bytes = rank > 0 && mask >> (rank - 1) & 1;
    uint32_t unit = bytes ? 1 : 4; /* of the source's steps */
    uint32_t src_steps[SHK_MAX_RANK] = {0}, dst_steps[SHK_MAX_RANK] = {0};
    int32_t taps = taps_of(&in->shape, mask);
    struct shk_multiplier m = mean_multiplier(in, out, taps);
    struct shk_mean_push push = {.count = 1};
    struct shk_grid reduced = {0};
    struct shk_mean_uniform uniform = {
        .multiplier = m.multiplier,
        .shift = m.shift,
        .zero_in = in->quant.zero_points[0] * taps,
        .zero_out = out->quant.zero_points[0],
    };
    push.src = shk_move_locate(lowering, op->inputs[0], src_steps) / unit;
    push.dst = shk_move_locate(lowering, op->outputs[0], dst_steps) / 4;
    for (uint32_t k = 0; k < rank; k++) {
        uint32_t n = (uint32_t)in->shape.dims[k], step = src_steps[k] / unit;
        uint32_t dst_dim = keep_dims ? k : kept;
        if (mask >> k & 1) {
            shk_grid_push(&reduced, n, 0, step, 0);
            continue;
        }
        kept++;
        if (!bytes && k + 1 == rank) {
            shk_grid_push(&uniform.grid, shk_div_round_up(n, 4), 1, 1, 0);
        } else if (bytes && dst_dim + 1 == out->shape.rank) {
            push.count = n;
            push.src_step = step;
        } else {
            shk_grid_push(&uniform.grid, n, dst_steps[dst_dim] / 4, step, 0);
        }
    }
    shk_grid_collapse(&uniform.grid);
    shk_grid_collapse(&reduced);
    push.words = shk_divisor_of((push.count + 3) / 4);
    push.items = shk_grid_items(&uniform.grid) * (bytes ? push.words.n : 1);
    fill_uniform(&uniform, &reduced);
    struct shk_dispatch dispatch = {
        .shader = &shk_shader_mean,
        .spec = {shk_grid_spec(&uniform.grid), bytes ? SHK_MEAN_BYTES : SHK_MEAN_WORDS},
        .spec_count = 2,
        .push = &push,
        .push_size = sizeof(push),
        .iterations = count_iterations(&uniform) * (bytes ? SHK_MIN(push.count, 4u) : 1),
        .uniform_offset = shk_lower_params(lowering, &uniform, sizeof(uniform), SHK_UNIFORM_ALIGNMENT),
    };
    shk_dispatch_linear(&dispatch, push.items, 64);
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}

static const struct shk_attr attributes[] = {
    {"keep_dims", SHK_ATTR_BOOL, 0, offsetof(struct attrs, keep_dims), 0, NULL},
};
static const struct shk_op_spelling spellings[] = {
    {&shk_op_mean, "MEAN", 40, 27, 0, 3, attributes, SHK_ARRAY_LEN(attributes)},
};

const struct shk_op_def shk_op_mean = {
    .name = "mean",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .parameter_inputs = 1u << 1,
    .check = check,
    .reference = reference,
    .lower = lower,
};
