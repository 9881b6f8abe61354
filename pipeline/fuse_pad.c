/* A PAD goes into the ops behind it, if all of them see the same when they read past the edge of what was padded.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse.h"
#include "ops/pad.h"

static bool same_quant(const struct shk_tensor *a, const struct shk_tensor *b)
{
    return a->dtype == SHK_DTYPE_INT8 && b->dtype == SHK_DTYPE_INT8 && a->legacy_uint8 == b->legacy_uint8 &&
           a->quant.count == 1 && b->quant.count == 1 && a->quant.scales[0] == b->quant.scales[0] &&
           a->quant.zero_points[0] == b->quant.zero_points[0];
}

/* Pads rows and columns of pictures only. */
static bool is_picture_pad(const struct shk_graph *graph, const struct shk_op *op, struct shk_pad *pad)
{
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    if (in->shape.rank != 4 || !same_quant(in, out))
        return false;
    *pad = shk_pad_describe(graph, op);
    return in->shape.dims[0] == out->shape.dims[0] && in->shape.dims[3] == out->shape.dims[3];
}

static bool reads(const struct shk_op *op, uint32_t tensor)
{
    return op->def->takes_border && op->input_count > 0 && op->inputs[0] == tensor;
}

/* Every user of the padded tensor is an op that takes the border. */
static bool all_take(const struct shk_fused *fused, uint32_t tensor, int8_t value)
{
    const struct shk_graph *own = fused->own;
    uint32_t takers = 0;
    for (uint32_t i = 0; i < own->op_count; i++)
        takers += reads(&own->ops[i], tensor) && own->ops[i].def->takes_border(own, &own->ops[i], value);
    return takers > 0 && takers == fused->users[tensor];
}

void shk_fuse_pads(struct shk_fused *fused)
{
    const struct shk_graph *own = fused->own;
    for (uint32_t i = 0; i < own->op_count; i++) {
        const struct shk_op *op = &own->ops[i];
        struct shk_pad pad;
        if (!shk_op_is_pad(op) || !is_picture_pad(own, op, &pad) ||
            !all_take(fused, op->outputs[0], (int8_t)pad.value))
            continue;
        for (uint32_t k = own->op_count; k-- > 0;) {
            if (!reads(&own->ops[k], op->outputs[0]))
                continue;
            fused->graph.ops[k].inputs[0] = op->inputs[0];
            fused->ops[k].pad_top = pad.before[1];
            fused->ops[k].pad_left = pad.before[2];
            fused->ops[i].into = k; /* the first of them, in the end */
        }
    }
}
