/* What happens to every value of a convolution's output goes into the convolution: the sum with a residual, and ops that
 * map each value by itself. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "fuse.h"
#include "ops/elementwise.h"

/* `first`, then `second`. */
static const int8_t *join(struct shk_fused *fused, const int8_t *first, const int8_t second[256])
{
    int8_t *table = fused->tables[fused->table_count++];
    for (uint32_t i = 0; i < 256; i++)
        table[i] = second[first ? first[i] - INT8_MIN : (int32_t)i];
    return table;
}

static bool absorb_table(struct shk_fused *fused, const struct shk_graph *own, uint32_t into, uint32_t op)
{
    const struct shk_op *next = &own->ops[op];
    struct shk_fused_op *f = &fused->ops[into];
    int8_t table[256];
    if (!next->def->table || !next->def->table(own, next, table))
        return false;
    const int8_t **place = f->add ? &f->after : &f->before;
    *place = join(fused, *place, table);
    return true;
}

/* The other operand must be there before the convolution runs. */
static bool absorb_add(struct shk_fused *fused, const struct shk_graph *own, uint32_t into, uint32_t op)
{
    const struct shk_op *next = &own->ops[op];
    struct shk_op *convolution = &fused->graph.ops[into];
    uint32_t tensor = convolution->outputs[0];
    if (fused->ops[into].add || !shk_op_is_add(next))
        return false;
    uint32_t residual = next->inputs[next->inputs[0] == tensor];
    uint32_t producer = fused->producer[residual];
    if (!shk_shape_equal(&own->tensors[residual].shape, &own->tensors[tensor].shape) ||
        (producer != UINT32_MAX && fused->ops[producer].into >= into))
        return false;
    fused->ops[into].add = next;
    convolution->inputs[SHK_FUSED_RESIDUAL] = residual;
    convolution->input_count = SHK_FUSED_INPUTS;
    return true;
}

/* The op behind, if it is the only one that sees the output. */
static bool absorb_next(struct shk_fused *fused, const struct shk_graph *own, uint32_t into, uint32_t kinds)
{
    uint32_t tensor = fused->graph.ops[into].outputs[0];
    if (fused->users[tensor] != 1 || fused->producer[tensor] == UINT32_MAX)
        return false;
    uint32_t next = fused->user[tensor];
    if (next <= into || own->ops[next].input_count == 0 || fused->ops[next].into != next)
        return false;
    for (uint32_t i = 0; i < own->output_count; i++)
        if (own->outputs[i] == tensor)
            return false;
    if (!((kinds & SHK_FUSION_TABLE) && absorb_table(fused, own, into, next)) &&
        !((kinds & SHK_FUSION_ADD) && absorb_add(fused, own, into, next)))
        return false;
    fused->ops[next].into = into;
    fused->graph.ops[into].outputs[0] = own->ops[next].outputs[0];
    return true;
}

void shk_fuse_epilogues(struct shk_fused *fused, const struct shk_graph *own, uint32_t without)
{
    for (uint32_t i = 0; i < own->op_count; i++)
        while (fused->ops[i].into == i && absorb_next(fused, own, i, own->ops[i].def->absorbs & ~without))
            continue;
}
