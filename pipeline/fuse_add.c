/* The sum of a convolution and something that was there before it goes into the convolution.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse.h"
#include "ops/elementwise.h"

/* Whether op `into`, which writes the sum's operand `tensor`, can add `residual`: it must be computed by then. */
static bool can_add(const struct shk_fused *fused, uint32_t into, uint32_t tensor, uint32_t residual)
{
    const struct shk_fused_op *f = &fused->ops[into];
    uint32_t producer = fused->producer[residual];
    return (f->own->def->absorbs & SHK_FUSION_ADD) && !f->add && !f->row_channels &&
           shk_shape_equal(&fused->own->tensors[residual].shape, &fused->own->tensors[tensor].shape) &&
           (producer == UINT32_MAX || fused->ops[producer].into < into);
}

void shk_fuse_add(struct shk_fused *fused, uint32_t i)
{
    const struct shk_op *op = &fused->own->ops[i];
    if (!shk_op_is_add(op))
        return;
    for (uint32_t k = 0; k < 2; k++) {
        uint32_t tensor = op->inputs[k], residual = op->inputs[1 - k], into = shk_fuse_writer(fused, tensor);
        if (into == UINT32_MAX || !can_add(fused, into, tensor, residual))
            continue;
        fused->ops[into].add = op;
        fused->graph.ops[into].inputs[SHK_FUSED_RESIDUAL] = residual;
        fused->graph.ops[into].input_count = SHK_FUSED_INPUTS;
        shk_fuse_absorb(fused, i, into);
        return;
    }
}
