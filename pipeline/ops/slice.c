/* SLICE, STRIDED_SLICE: tflite/kernels/{slice,strided_slice}.cc, internal/strided_slice_logic.h.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "move.h"

SHK_OP_DECLARE(slice);

enum { SLICE, STRIDED_SLICE };

struct attrs {
    int32_t begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask;
    bool offset;
};

/* What is taken of one dimension: elements begin, begin + stride, ...; `shrunk` ones leave the shape. */
struct range {
    int32_t begin, count, stride;
    bool shrunk;
};

static int64_t clamp64(int64_t x, int64_t min, int64_t max)
{
    return SHK_CLAMP(x, min, max);
}

static struct range strided_range(const struct shk_graph *graph, const struct shk_op *op, uint32_t k)
{
    const struct attrs *a = op->attrs;
    int64_t size = shk_op_input(graph, op, 0)->shape.dims[k];
    struct range r = {0, (int32_t)size, 1, false};
    if (k >= shk_shape_elements(&shk_op_input(graph, op, 1)->shape))
        return r; /* fewer values than dimensions: the rest is taken whole */
    int64_t begin = shk_const_int(shk_op_input(graph, op, 1), k),
            end = shk_const_int(shk_op_input(graph, op, 2), k);
    int64_t stride = shk_const_int(shk_op_input(graph, op, 3), k);
    int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? size : size - 1; /* one past either end */
    if (stride == 0)
        return (struct range){0, 0, 0, false};
    if (a->offset)
        end += begin;
    begin = begin < 0 ? begin + size : begin;
    end = end < 0 ? end + size : end;
    if (a->begin_mask >> k & 1)
        begin = stride > 0 ? 0 : size - 1;
    if (a->shrink_axis_mask >> k & 1) {
        bool inside = begin >= 0 && begin < size;
        return (struct range){(int32_t)(inside ? begin : 0), inside, 1, true};
    }
    if (a->end_mask >> k & 1)
        end = stride > 0 ? size : -1;
    begin = clamp64(begin, low, high);
    end = clamp64(end, low, high);
    int64_t span = stride > 0 ? end - begin : begin - end, step = stride > 0 ? stride : -stride;
    r.begin = (int32_t)begin;
    r.count = span > 0 ? (int32_t)((span + step - 1) / step) : 0;
    r.stride = (int32_t)stride;
    return r;
}

static struct range slice_range(const struct shk_graph *graph, const struct shk_op *op, uint32_t k)
{
    int64_t size = shk_op_input(graph, op, 0)->shape.dims[k];
    int64_t begin = shk_const_int(shk_op_input(graph, op, 1), k),
            count = shk_const_int(shk_op_input(graph, op, 2), k);
    if (count == -1)
        count = size - begin;
    if (begin < 0 || count < 1 || begin + count > size)
        return (struct range){0, 0, 1, false};
    return (struct range){(int32_t)begin, (int32_t)count, 1, false};
}

static struct range range_of(const struct shk_graph *graph, const struct shk_op *op, uint32_t k)
{
    return op->spelling->kind == SLICE ? slice_range(graph, op, k) : strided_range(graph, op, k);
}

static enum shk_status check_vectors(const struct shk_graph *graph, const struct shk_op *op,
                                     struct shk_error *error)
{
    uint32_t rank = shk_op_input(graph, op, 0)->shape.rank, first = 0;
    bool strided = op->spelling->kind == STRIDED_SLICE;
    for (uint32_t i = 1; i < op->input_count; i++) {
        uint32_t count;
        enum shk_status status = shk_check_const_ints(graph, op, i, &count, error);
        if (status)
            return status;
        if (i == 1)
            first = count;
        if (count != first || (strided ? count > rank : count != rank))
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                               "input %u ('%s') has %u values; the input has %u dimensions", i,
                               shk_op_input(graph, op, i)->name, count, rank);
    }
    return SHK_OK;
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    const struct attrs *a = op->attrs;
    uint32_t inputs = op->spelling->kind == SLICE ? 3 : 4;
    enum shk_status status = shk_check_counts(graph, op, inputs, inputs, 1, error);
    if (!status)
        status = shk_move_check_types(graph, op, 0, 1, error);
    if (!status)
        status = check_vectors(graph, op, error);
    if (status)
        return status;
    if (a->ellipsis_mask || a->new_axis_mask)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "ellipsis mask %d and new axis mask %d; only 0 is supported", a->ellipsis_mask,
                           a->new_axis_mask);
    const struct shk_shape *in = &shk_op_input(graph, op, 0)->shape;
    struct shk_shape expected = {0};
    for (uint32_t k = 0; k < in->rank; k++) {
        struct range r = range_of(graph, op, k);
        if (r.count < 1)
            return shk_op_fail(
                graph, op, SHK_ERROR_BAD_MODEL, error,
                "dimension %u of size %d: nothing is left, or a stride of 0, or a slice that starts or "
                "ends outside",
                k, in->dims[k]);
        if (!r.shrunk)
            expected.dims[expected.rank++] = r.count;
    }
    return shk_check_output_shape(graph, op, &expected, error);
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct shk_shape *in = &shk_op_input(run->graph, run->op, 0)->shape;
    const struct shk_tensor *out = shk_op_output(run->graph, run->op, 0);
    size_t size = shk_dtype_size(out->dtype), n = shk_shape_elements(&out->shape);
    struct range ranges[SHK_MAX_RANK];
    for (uint32_t k = 0; k < in->rank; k++)
        ranges[k] = range_of(run->graph, run->op, k);
    const uint8_t *src = run->inputs[0];
    uint8_t *dst = run->outputs[0];
    int32_t at[SHK_MAX_RANK] = {0};
    for (size_t i = 0; i < n; i++) {
        size_t from = 0;
        for (uint32_t k = 0; k < in->rank; k++)
            from = from * (size_t)in->dims[k] + (size_t)(ranges[k].begin + at[k] * ranges[k].stride);
        memcpy(dst + i * size, src + from * size, size);
        for (uint32_t k = in->rank; k-- > 0 && ++at[k] == ranges[k].count;)
            at[k] = 0;
    }
    return SHK_OK;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    const struct shk_shape *in = &shk_op_input(graph, op, 0)->shape;
    uint32_t steps[SHK_MAX_RANK] = {0};
    struct shk_move move = {
        .element_bytes = (uint32_t)shk_dtype_size(shk_op_output(graph, op, 0)->dtype),
        .whole_rows = true,
    };
    move.dst = shk_move_locate(lowering, op->outputs[0], move.dst_steps);
    move.src = shk_move_locate(lowering, op->inputs[0], steps);
    for (uint32_t k = 0; k < in->rank; k++) {
        struct range r = range_of(graph, op, k);
        move.src += (uint32_t)r.begin * steps[k];
        if (r.shrunk)
            continue;
        move.n[move.rank] = (uint32_t)r.count;
        move.src_steps[move.rank++] = (uint32_t)r.stride * steps[k];
    }
    shk_move_emit(lowering, &move);
    return SHK_OK;
}

static const struct shk_attr strided_attrs[] = {
    {"begin_mask", SHK_ATTR_INT32, 0, offsetof(struct attrs, begin_mask), 0, NULL},
    {"end_mask", SHK_ATTR_INT32, 1, offsetof(struct attrs, end_mask), 0, NULL},
    {"ellipsis_mask", SHK_ATTR_INT32, 2, offsetof(struct attrs, ellipsis_mask), 0, NULL},
    {"new_axis_mask", SHK_ATTR_INT32, 3, offsetof(struct attrs, new_axis_mask), 0, NULL},
    {"shrink_axis_mask", SHK_ATTR_INT32, 4, offsetof(struct attrs, shrink_axis_mask), 0, NULL},
    {"offset", SHK_ATTR_BOOL, 5, offsetof(struct attrs, offset), 0, NULL},
};
static const struct shk_op_spelling spellings[] = {
    {&shk_op_slice, "SLICE", 65, 48, SLICE, 6, NULL, 0},
    {&shk_op_slice, "STRIDED_SLICE", 45, 32, STRIDED_SLICE, 8, strided_attrs, SHK_ARRAY_LEN(strided_attrs)},
};

const struct shk_op_def shk_op_slice = {
    .name = "slice",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .parameter_inputs = 1u << 1 | 1u << 2 | 1u << 3,
    .check = check,
    .reference = reference,
    .lower = lower,
};
