/* An op that maps each value by itself goes into the convolution in front of it; through ops that only move values, into
 * all convolutions whose values it sees. A concatenation of parts with scales of their own is such a map of each part.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse.h"
#include "ops/concat.h"

/* Views and concatenations that a table may go through, one behind the other. */
#define MAX_DEPTH 8

static bool moves_values(const struct shk_fused *fused, const struct shk_op *op)
{
    if (op->def->is_view)
        return true;
    if (!shk_op_is_concat(op))
        return false;
    for (uint32_t k = 0; k < op->input_count; k++)
        if (!shk_concat_same_scale(&fused->graph.tensors[op->inputs[k]], &fused->graph.tensors[op->outputs[0]]))
            return false;
    return true;
}

static uint32_t values_of(const struct shk_op *op)
{
    return op->def->is_view ? 1 : op->input_count; /* a RESHAPE has a shape as well */
}

static bool can_push(const struct shk_fused *fused, uint32_t tensor, uint32_t depth)
{
    uint32_t writer = shk_fuse_writer(fused, tensor);
    if (writer == UINT32_MAX || depth == MAX_DEPTH)
        return false;
    const struct shk_op *op = &fused->graph.ops[writer];
    if (op->def->absorbs & SHK_FUSION_TABLE)
        return true;
    if (!moves_values(fused, op))
        return false;
    for (uint32_t k = 0; k < values_of(op); k++)
        if (!can_push(fused, op->inputs[k], depth + 1))
            return false;
    return true;
}

/* The op looks every value up in `table`, after whatever it did with it so far. */
static void look_up(struct shk_fused *fused, uint32_t op, const int8_t table[256])
{
    struct shk_fused_op *f = &fused->ops[op];
    const int8_t *first = f->add ? f->after : f->before;
    int8_t *joined = fused->tables[op][f->add != NULL];
    for (int32_t i = 0; i < 256; i++)
        joined[i] = table[first ? first[i] - INT8_MIN : i];
    if (f->add)
        f->after = joined;
    else
        f->before = joined;
}

/* `like`: what the tensor holds then. */
static void push(struct shk_fused *fused, uint32_t tensor, const int8_t table[256], const struct shk_quant *like)
{
    uint32_t writer = shk_fuse_writer(fused, tensor);
    const struct shk_op *op = &fused->graph.ops[writer];
    fused->graph.tensors[tensor].quant = *like;
    if (op->def->absorbs & SHK_FUSION_TABLE) {
        look_up(fused, writer, table);
        return;
    }
    for (uint32_t k = 0; k < values_of(op); k++)
        push(fused, op->inputs[k], table, like);
}

void shk_fuse_table(struct shk_fused *fused, uint32_t i)
{
    const struct shk_op *op = &fused->own->ops[i];
    int8_t table[256];
    if (!op->def->table || !can_push(fused, op->inputs[0], 0) || !op->def->table(fused->own, op, table))
        return;
    uint32_t writer = shk_fuse_writer(fused, op->inputs[0]);
    push(fused, op->inputs[0], table, &shk_op_output(fused->own, op, 0)->quant);
    shk_fuse_absorb(fused, i, writer);
}

void shk_fuse_scales(struct shk_fused *fused, uint32_t i)
{
    const struct shk_op *op = &fused->own->ops[i];
    const struct shk_tensor *out = shk_op_output(fused->own, op, 0);
    int8_t table[256];
    if (!shk_op_is_concat(op))
        return;
    for (uint32_t k = 0; k < op->input_count; k++) {
        const struct shk_tensor *in = &fused->graph.tensors[op->inputs[k]];
        if (shk_concat_same_scale(in, out) || !can_push(fused, op->inputs[k], 0))
            continue;
        shk_concat_table(in, out, table);
        push(fused, op->inputs[k], table, &out->quant);
    }
}
