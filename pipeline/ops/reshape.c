/* RESHAPE, SQUEEZE, EXPAND_DIMS: the same elements in the same order under another shape. Costs nothing where
 * the planner lets input and output share storage.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "move.h"

SHK_OP_DECLARE(reshape);
SHK_SHADER_DECLARE(reshape);

enum { RESHAPE, SQUEEZE, EXPAND_DIMS };

struct attrs {
    struct shk_int32_list list; /* new_shape or squeeze_dims */
};

/* The shape that RESHAPE's second input or attribute asks for, if there is one. */
static enum shk_status requested_shape(const struct shk_graph *graph, const struct shk_op *op,
                                       struct shk_shape *shape, bool *found, struct shk_error *error)
{
    const struct shk_int32_list *list = &((const struct attrs *)op->attrs)->list;
    const struct shk_tensor *t = shk_op_input(graph, op, 1);
    shape->rank = list->count;
    *found = t || list->count > 0;
    if (t) {
        enum shk_status status = shk_check_const_ints(graph, op, 1, &shape->rank, error);
        if (status)
            return status;
    }
    if (shape->rank > SHK_MAX_RANK)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error, "%u dimensions, at most %d are supported",
                           shape->rank, SHK_MAX_RANK);
    for (uint32_t k = 0; k < shape->rank; k++)
        shape->dims[k] = t ? shk_const_int(t, k) : list->values[k];
    return SHK_OK;
}

static enum shk_status check_reshape(const struct shk_graph *graph, const struct shk_op *op,
                                     struct shk_error *error)
{
    const struct shk_shape *out = &shk_op_output(graph, op, 0)->shape;
    struct shk_shape want;
    bool found;
    enum shk_status status = requested_shape(graph, op, &want, &found, error);
    if (status || !found)
        return status;
    for (uint32_t k = 0; k < want.rank && k < out->rank; k++)
        if (want.dims[k] == -1)
            want.dims[k] = out->dims[k]; /* what is left over: the element count below decides */
    return shk_check_output_shape(graph, op, &want, error);
}

static enum shk_status check_squeeze(const struct shk_graph *graph, const struct shk_op *op,
                                     struct shk_error *error)
{
    const struct shk_int32_list *list = &((const struct attrs *)op->attrs)->list;
    const struct shk_shape *in = &shk_op_input(graph, op, 0)->shape;
    struct shk_shape want = {0};
    bool drop[SHK_MAX_RANK] = {false};
    for (uint32_t i = 0; i < list->count; i++) {
        int32_t axis = shk_normalize_axis(list->values[i], in->rank);
        if (axis < 0 || in->dims[axis] != 1)
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "dimension %d is not one of size 1",
                               list->values[i]);
        drop[axis] = true;
    }
    for (uint32_t k = 0; k < in->rank; k++)
        if (list->count ? !drop[k] : in->dims[k] != 1)
            want.dims[want.rank++] = in->dims[k];
    return shk_check_output_shape(graph, op, &want, error);
}

static enum shk_status check_expand_dims(const struct shk_graph *graph, const struct shk_op *op,
                                         struct shk_error *error)
{
    const struct shk_shape *in = &shk_op_input(graph, op, 0)->shape;
    struct shk_shape want = {.rank = in->rank + 1};
    uint32_t count;
    if (op->input_count != 2)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "the axis is missing");
    enum shk_status status = shk_check_const_ints(graph, op, 1, &count, error);
    if (status)
        return status;
    int32_t axis = shk_normalize_axis(shk_const_int(shk_op_input(graph, op, 1), 0), want.rank);
    if (count != 1 || axis < 0 || want.rank > SHK_MAX_RANK)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "axis %d does not fit an input of %u dimensions",
                           shk_const_int(shk_op_input(graph, op, 1), 0), in->rank);
    for (uint32_t k = 0; k < want.rank; k++)
        want.dims[k] = k == (uint32_t)axis ? 1 : in->dims[k - (k > (uint32_t)axis)];
    return shk_check_output_shape(graph, op, &want, error);
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    char from[64], to[64];
    enum shk_status status = shk_check_counts(graph, op, 1, op->spelling->kind == SQUEEZE ? 1 : 2, 1, error);
    if (!status)
        status = shk_move_check_types(graph, op, 0, 1, error);
    if (!status)
        status = op->spelling->kind == RESHAPE   ? check_reshape(graph, op, error)
                 : op->spelling->kind == SQUEEZE ? check_squeeze(graph, op, error)
                                                 : check_expand_dims(graph, op, error);
    if (status)
        return status;
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    if (shk_shape_elements(&in->shape) != shk_shape_elements(&out->shape))
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "%s cannot become %s: the numbers of elements differ",
                           shk_shape_string(&in->shape, from), shk_shape_string(&out->shape, to));
    return SHK_OK;
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    memcpy(run->outputs[0], run->inputs[0], shk_op_output(run->graph, run->op, 0)->bytes);
    return SHK_OK;
}

/* No byte between one row's last element and the next row's first. */
static bool dense(const struct shk_view *view, uint32_t per_word)
{
    return view->rows == 1 || view->stride * per_word == view->channels;
}

static bool same_storage(const struct shk_view *a, const struct shk_view *b, uint32_t per_word)
{
    if (a->offset != b->offset)
        return false;
    if (a->channels == b->channels)
        return a->stride == b->stride || a->rows == 1;
    return dense(a, per_word) && dense(b, per_word);
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_tensor *out = shk_op_output(shk_lower_graph(lowering), op, 0);
    struct shk_view src = shk_lower_view(lowering, op->inputs[0]),
                    dst = shk_lower_view(lowering, op->outputs[0]);
    uint32_t bytes = (uint32_t)shk_dtype_size(out->dtype);
    if (same_storage(&src, &dst, 4 / bytes))
        return SHK_OK;
    struct shk_reshape_push push = {
        .items = dst.rows * dst.words,
        .src = src.offset,
        .src_stride = src.stride,
        .src_channels = shk_divisor_of(src.channels),
        .dst = dst.offset,
        .dst_stride = dst.stride,
        .dst_channels = dst.channels,
        .dst_words = shk_divisor_of(dst.words),
        .bytes = bytes,
    };
    struct shk_dispatch dispatch = {.shader = &shk_shader_reshape, .push = &push, .push_size = sizeof(push)};
    shk_dispatch_linear(&dispatch, push.items, 64);
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}

static const struct shk_attr reshape_attrs[] = {
    {"new_shape", SHK_ATTR_LIST, 0, offsetof(struct attrs, list), 0, NULL},
};
static const struct shk_attr squeeze_attrs[] = {
    {"squeeze_dims", SHK_ATTR_LIST, 0, offsetof(struct attrs, list), 0, NULL},
};
static const struct shk_op_spelling spellings[] = {
    {&shk_op_reshape, "RESHAPE", 22, 17, RESHAPE, 2, reshape_attrs, SHK_ARRAY_LEN(reshape_attrs)},
    {&shk_op_reshape, "SQUEEZE", 43, 30, SQUEEZE, 2, squeeze_attrs, SHK_ARRAY_LEN(squeeze_attrs)},
    {&shk_op_reshape, "EXPAND_DIMS", 70, 52, EXPAND_DIMS, 2, NULL, 0},
};

const struct shk_op_def shk_op_reshape = {
    .name = "reshape",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .parameter_inputs = 1u << 1,
    .check = check,
    .reference = reference,
    .lower = lower,
    .is_view = true,
};
