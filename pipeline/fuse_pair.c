/* A depthwise convolution goes into the pointwise one behind it, where a device was found to be faster so (tune.h): its
 * output is never written. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse.h"
#include "ops/conv2d_pair.h"
#include "ops/conv2d.h"

/* The plain depthwise convolution that writes what op `i`, a CONV_2D, reads, and nobody else does; or UINT32_MAX. */
static uint32_t find_depthwise(const struct shk_fused *fused, uint32_t i)
{
    const struct shk_op *op = &fused->own->ops[i];
    const struct shk_fused_op *f = &fused->ops[i];
    if (!shk_op_is_conv2d(op) || f->into != i || f->pad_top || f->pad_left ||
        fused->graph.ops[i].inputs[SHK_CONV_INPUT] != op->inputs[SHK_CONV_INPUT])
        return UINT32_MAX;
    uint32_t writer = shk_fuse_writer(fused, op->inputs[SHK_CONV_INPUT]);
    if (writer == UINT32_MAX || writer >= i)
        return UINT32_MAX;
    const struct shk_fused_op *w = &fused->ops[writer];
    bool plain = w->into == writer && !w->before && !w->add && !w->after && !w->row_channels;
    return plain && shk_conv2d_can_pair(fused->own, op, w->own) ? writer : UINT32_MAX;
}

void shk_fuse_pair(struct shk_fused *fused, uint32_t i)
{
    uint32_t depthwise = find_depthwise(fused, i);
    if (depthwise == UINT32_MAX)
        return;
    struct shk_fused_op *f = &fused->ops[i];
    f->depthwise = fused->ops[depthwise].own;
    f->pad_top = fused->ops[depthwise].pad_top;
    f->pad_left = fused->ops[depthwise].pad_left;
    fused->graph.ops[i].inputs[SHK_CONV_INPUT] = fused->graph.ops[depthwise].inputs[SHK_CONV_INPUT];
    for (uint32_t k = 0; k < i; k++) /* itself, and a PAD that it absorbed */
        if (fused->ops[k].into == depthwise)
            fused->ops[k].into = i;
}
