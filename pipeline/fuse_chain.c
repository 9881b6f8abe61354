/* A depthwise convolution goes into the pointwise one behind it, and with it the pointwise one in front of both, where
 * a device was found to be faster so (tune.h): what lies between is never written. SPDX-License-Identifier:
 * LGPL-2.1-or-later */
#include "fuse.h"
#include "ops/conv2d.h"
#include "ops/conv2d_inverted.h"
#include "ops/conv2d_pair.h"

/* The op before `i` that writes `tensor`, which nobody else reads, and does nothing besides; or UINT32_MAX. */
static uint32_t find_plain_writer(const struct shk_fused *fused, uint32_t tensor, uint32_t i)
{
    uint32_t writer = shk_fuse_writer(fused, tensor);
    if (writer == UINT32_MAX || writer >= i)
        return UINT32_MAX;
    const struct shk_fused_op *w = &fused->ops[writer];
    bool plain =
        w->into == writer && !w->before && !w->add && !w->after && !w->row_channels && !w->depthwise && !w->expand;
    return plain ? writer : UINT32_MAX;
}

static bool absorbed_pad(const struct shk_fused *fused, uint32_t i)
{
    return fused->graph.ops[i].inputs[SHK_CONV_INPUT] != fused->ops[i].own->inputs[SHK_CONV_INPUT];
}

/* The depthwise convolution that writes what op `i`, a CONV_2D, reads; or UINT32_MAX. */
static uint32_t find_depthwise(const struct shk_fused *fused, uint32_t i)
{
    const struct shk_op *op = &fused->own->ops[i];
    const struct shk_fused_op *f = &fused->ops[i];
    if (!shk_op_is_conv2d(op) || f->into != i || absorbed_pad(fused, i))
        return UINT32_MAX;
    uint32_t writer = find_plain_writer(fused, op->inputs[SHK_CONV_INPUT], i);
    if (writer == UINT32_MAX || !shk_conv2d_can_pair(fused->own, op, fused->ops[writer].own))
        return UINT32_MAX;
    return writer;
}

/* The convolution that writes what `depthwise` reads, if both can go into the one behind them; or UINT32_MAX. */
static uint32_t find_expansion(const struct shk_fused *fused, uint32_t depthwise)
{
    uint32_t input = fused->graph.ops[depthwise].inputs[SHK_CONV_INPUT];
    uint32_t padded = fused->ops[depthwise].own->inputs[SHK_CONV_INPUT]; /* the same, or what an absorbed PAD wrote */
    uint32_t writer = find_plain_writer(fused, input, depthwise);
    if (writer == UINT32_MAX || fused->users[padded] != 1 || absorbed_pad(fused, writer) ||
        !shk_conv2d_can_invert(fused->own, fused->ops[writer].own, fused->ops[depthwise].own))
        return UINT32_MAX;
    return writer;
}

/* `from`, and what it absorbed, into op `i`, which reads what that did. */
static void absorb_input(struct shk_fused *fused, uint32_t from, uint32_t i)
{
    fused->graph.ops[i].inputs[SHK_CONV_INPUT] = fused->graph.ops[from].inputs[SHK_CONV_INPUT];
    for (uint32_t k = 0; k < i; k++) /* itself, and a PAD that it absorbed */
        if (fused->ops[k].into == from)
            fused->ops[k].into = i;
}

void shk_fuse_chain(struct shk_fused *fused, uint32_t i, enum shk_chain chain)
{
    struct shk_fused_op *f = &fused->ops[i];
    uint32_t depthwise = find_depthwise(fused, i);
    uint32_t expansion = depthwise != UINT32_MAX ? find_expansion(fused, depthwise) : UINT32_MAX;
    if (depthwise == UINT32_MAX || (chain == SHK_CHAIN_INVERTED && expansion == UINT32_MAX))
        return;
    f->depthwise = fused->ops[depthwise].own;
    f->pad_top = fused->ops[depthwise].pad_top;
    f->pad_left = fused->ops[depthwise].pad_left;
    absorb_input(fused, depthwise, i);
    if (chain == SHK_CHAIN_INVERTED) {
        f->expand = fused->ops[expansion].own;
        absorb_input(fused, expansion, i);
    }
}
