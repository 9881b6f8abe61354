/* Who shares storage with whom. A child lies inside its parent's rows; a parent may itself be a child.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"

struct shk_view shk_view_dense(const struct shk_tensor *tensor)
{
    const struct shk_shape *shape = &tensor->shape;
    struct shk_view view = {.channels = shape->rank ? (uint32_t)shape->dims[shape->rank - 1] : 1};
    view.rows = (uint32_t)(shk_shape_elements(shape) / view.channels);
    view.words = tensor->dtype == SHK_DTYPE_INT8 ? shk_div_round_up(view.channels, 4) : view.channels;
    view.stride = view.words;
    return view;
}

uint64_t shk_view_bytes(const struct shk_view *view)
{
    return view->rows ? ((uint64_t)(view->rows - 1) * view->stride + view->words) * 4 : 0;
}

uint32_t shk_storage_root(const struct shk_storage *storage, uint32_t tensor, uint32_t *offset)
{
    *offset = 0;
    while (storage[tensor].parent != SHK_TENSOR_NONE) {
        *offset += storage[tensor].offset;
        tensor = storage[tensor].parent;
    }
    return tensor;
}

static void use(struct shk_storage *storage, uint32_t tensor, uint32_t step)
{
    struct shk_storage *s = &storage[tensor];
    s->first = s->used ? SHK_MIN(s->first, step) : step;
    s->last = s->used ? SHK_MAX(s->last, step) : step;
    s->until = SHK_MAX(s->until, s->last);
    s->used = true;
}

static void find_lifetimes(const struct shk_graph *graph, bool keep_tensors, struct shk_storage *storage)
{
    uint32_t end = graph->op_count + 1;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        use(storage, graph->inputs[i], 0);
        storage[graph->inputs[i]].dense = true;
    }
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct shk_op *op = &graph->ops[i];
        for (uint32_t k = 0; k < op->input_count; k++)
            if (op->inputs[k] != SHK_TENSOR_NONE && !(k < 32 && op->def->parameter_inputs >> k & 1))
                use(storage, op->inputs[k], i + 1);
        for (uint32_t k = 0; k < op->output_count; k++) {
            use(storage, op->outputs[k], i + 1);
            storage[op->outputs[k]].dense |= op->dense_output;
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++)
        use(storage, graph->outputs[i], end);
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        if (!storage[t].used)
            continue;
        if (graph->tensors[t].data || keep_tensors)
            storage[t].last = storage[t].until = end;
        if (graph->tensors[t].data)
            storage[t].first = 0;
    }
}

static bool is_inside(const struct shk_storage *storage, uint32_t tensor, uint32_t ancestor)
{
    for (; tensor != SHK_TENSOR_NONE; tensor = storage[tensor].parent)
        if (tensor == ancestor)
            return true;
    return false;
}

/* Rows of both tensors are the same words in the same order: equal last dimension, or no padding in either. */
static bool same_rows(const struct shk_graph *graph, const struct shk_storage *storage, uint32_t a, uint32_t b)
{
    struct shk_view x = shk_view_dense(&graph->tensors[a]), y = shk_view_dense(&graph->tensors[b]);
    if (x.channels == y.channels)
        return true;
    bool padded = graph->tensors[a].dtype == SHK_DTYPE_INT8 && (x.channels % 4 || y.channels % 4);
    return !padded && storage[a].stride == x.words && storage[b].stride == y.words;
}

/* Nothing of the child may be read once the parent, or what that lies in, is written over. */
static bool is_over_in_time(const struct shk_storage *storage, uint32_t child, uint32_t parent)
{
    for (; parent != SHK_TENSOR_NONE; parent = storage[parent].parent)
        if (storage[child].until >= storage[parent].limit)
            return false;
    return true;
}

static void link(struct shk_storage *storage, uint32_t child, uint32_t parent, uint32_t offset)
{
    storage[child].parent = parent;
    storage[child].offset = offset;
    storage[parent].is_parent = true;
    for (; parent != SHK_TENSOR_NONE; parent = storage[parent].parent)
        storage[parent].until = SHK_MAX(storage[parent].until, storage[child].until);
}

static void adopt(const struct shk_graph *graph, struct shk_storage *storage, uint32_t child, uint32_t parent)
{
    link(storage, child, parent, 0);
    if (shk_view_dense(&graph->tensors[child]).channels == shk_view_dense(&graph->tensors[parent]).channels)
        storage[child].stride = storage[parent].stride;
}

/* Input and output of a RESHAPE: the earlier one is a child of the later, so that concatenations further on
 * can claim both; the other way round if the earlier one is spoken for. */
static void share_view(const struct shk_graph *graph, const struct shk_op *op, struct shk_storage *storage)
{
    uint32_t in = op->inputs[0], out = op->outputs[0];
    if (graph->tensors[in].data || graph->tensors[in].dtype != graph->tensors[out].dtype ||
        !same_rows(graph, storage, in, out))
        return;
    bool input_must_be_dense = storage[in].dense && storage[out].stride != shk_view_dense(&graph->tensors[out]).words;
    if (storage[in].parent == SHK_TENSOR_NONE && !input_must_be_dense && !is_inside(storage, out, in) &&
        is_over_in_time(storage, in, out))
        adopt(graph, storage, in, out);
    else if (storage[out].parent == SHK_TENSOR_NONE && !is_inside(storage, in, out) &&
             is_over_in_time(storage, out, in))
        adopt(graph, storage, out, in);
}

/* The concatenated dimension: the one in which the output differs from some input, or the last. */
static uint32_t concat_axis(const struct shk_graph *graph, const struct shk_op *op)
{
    const struct shk_shape *out = &graph->tensors[op->outputs[0]].shape;
    for (uint32_t i = 0; i < op->input_count; i++) {
        const struct shk_shape *in = &graph->tensors[op->inputs[i]].shape;
        for (uint32_t d = 0; d < out->rank; d++)
            if (in->dims[d] != out->dims[d])
                return d;
    }
    return out->rank ? out->rank - 1 : 0;
}

static bool same_quant(const struct shk_tensor *a, const struct shk_tensor *b)
{
    if (a->dtype != b->dtype || a->quant.count != b->quant.count)
        return false;
    return a->quant.count == 0 ||
           (a->quant.scales[0] == b->quant.scales[0] && a->quant.zero_points[0] == b->quant.zero_points[0]);
}

/* Places each input of a concatenation inside its output where it can be: along the last dimension when it
 * starts on a word and no other input shares its last word, along an outer one when the rows are contiguous. */
static void share_concat(const struct shk_graph *graph, const struct shk_op *op, struct shk_storage *storage)
{
    uint32_t out = op->outputs[0], axis = concat_axis(graph, op), at = 0;
    const struct shk_tensor *whole = &graph->tensors[out];
    struct shk_view view = shk_view_dense(whole);
    bool last = axis + 1 == whole->shape.rank, contiguous = true;
    for (uint32_t d = 0; d < axis; d++)
        contiguous = contiguous && whole->shape.dims[d] == 1;

    for (uint32_t i = 0; i < op->input_count; i++) {
        uint32_t in = op->inputs[i];
        const struct shk_tensor *part = &graph->tensors[in];
        struct shk_view part_view = shk_view_dense(part);
        uint32_t lanes = part->dtype == SHK_DTYPE_INT8 ? 4 : 1;
        bool fits =
            last ? at % lanes == 0 && (part_view.channels % lanes == 0 || at + part_view.channels == view.channels)
                 : contiguous;
        uint32_t offset = last ? at / lanes : at * storage[out].stride;
        at += last ? part_view.channels : part_view.rows;
        bool dense = storage[out].stride == part_view.words;
        bool free_to_move = storage[in].parent == SHK_TENSOR_NONE && !part->data && same_quant(part, whole) &&
                            (dense || !storage[in].dense) && !is_inside(storage, out, in) &&
                            is_over_in_time(storage, in, out);
        if (!fits || !free_to_move)
            continue;
        link(storage, in, out, offset);
        storage[in].stride = storage[out].stride;
    }
}

/* Outputs of a SPLIT lie in the input where they can: along the last dimension if they start on a word, along an outer
 * one if the rows are contiguous. What shares a last word with another part is only read. */
static void share_split(const struct shk_graph *graph, const struct shk_op *op, struct shk_storage *storage)
{
    uint32_t in = op->inputs[op->def->split_input(op)], axis = 0, at = 0;
    const struct shk_tensor *whole = &graph->tensors[in];
    const struct shk_shape *first = &graph->tensors[op->outputs[0]].shape;
    bool contiguous = true;
    if (first->rank != whole->shape.rank) /* UNPACK */
        return;
    for (; axis + 1 < whole->shape.rank && first->dims[axis] == whole->shape.dims[axis]; axis++)
        contiguous = contiguous && whole->shape.dims[axis] == 1;
    bool last = axis + 1 == whole->shape.rank;
    uint32_t lanes = whole->dtype == SHK_DTYPE_INT8 ? 4 : 1;
    for (uint32_t i = 0; i < op->output_count && !whole->data; i++) {
        uint32_t out = op->outputs[i];
        struct shk_view part = shk_view_dense(&graph->tensors[out]);
        uint32_t offset = last ? at / lanes : at * storage[in].stride;
        bool fits = last ? at % lanes == 0 : contiguous;
        at += last ? part.channels : part.rows;
        if (!fits || storage[out].parent != SHK_TENSOR_NONE || storage[out].is_parent || storage[out].dense ||
            is_inside(storage, in, out) || !is_over_in_time(storage, out, in))
            continue;
        link(storage, out, in, offset);
        storage[out].stride = storage[in].stride;
    }
}

/* The output takes the place of an input of its shape that is read here for the last time, and nowhere else in the op.
 */
static void share_in_place(const struct shk_graph *graph, uint32_t index, struct shk_storage *storage)
{
    const struct shk_op *op = &graph->ops[index];
    uint32_t out = op->output_count == 1 ? op->outputs[0] : 0, offset, root;
    for (uint32_t k = 0; k < op->input_count && op->output_count == 1; k++) {
        uint32_t in = op->inputs[k], times = 0;
        if (!(k < 32 && op->def->in_place_inputs >> k & 1) || in == SHK_TENSOR_NONE)
            continue;
        for (uint32_t other = 0; other < op->input_count; other++)
            times += op->inputs[other] == in;
        root = shk_storage_root(storage, out, &offset);
        struct shk_view whole = shk_view_dense(&graph->tensors[root]), view = shk_view_dense(&graph->tensors[out]);
        if (times != 1 || graph->tensors[in].data || graph->tensors[in].dtype != graph->tensors[out].dtype ||
            !shk_shape_equal(&graph->tensors[in].shape, &graph->tensors[out].shape) ||
            shk_view_bytes(&whole) != shk_view_bytes(&view) || storage[in].last != index + 1 ||
            storage[in].parent != SHK_TENSOR_NONE || (storage[in].dense && storage[out].stride != view.words) ||
            !is_over_in_time(storage, in, out))
            continue;
        adopt(graph, storage, in, out);
        storage[in].limit = index + 1;
        return;
    }
}

void shk_storage_assign(const struct shk_graph *graph, bool keep_tensors, const bool *parts,
                        struct shk_storage *storage)
{
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        storage[t] = (struct shk_storage){.parent = SHK_TENSOR_NONE, .limit = UINT32_MAX};
        storage[t].stride = shk_view_dense(&graph->tensors[t]).words;
    }
    find_lifetimes(graph, keep_tensors, storage);
    /* Last op first: the stride of a parent is final before its children take it. */
    for (uint32_t i = graph->op_count; i-- > 0;) {
        const struct shk_op *op = &graph->ops[i];
        if (op->input_count == 0)
            continue;
        if (op->def->is_view)
            share_view(graph, op, storage);
        else if (op->spelling->builtin == SHK_BUILTIN_CONCATENATION && parts[i])
            share_concat(graph, op, storage);
        else if (op->def->in_place_inputs && !keep_tensors)
            share_in_place(graph, i, storage);
    }
    /* First op first: the place of what is split is final. */
    for (uint32_t i = 0; i < graph->op_count; i++)
        if (graph->ops[i].def->split_input && graph->ops[i].output_count > 0 && parts[i])
            share_split(graph, &graph->ops[i], storage);
}
