/* A RESHAPE that cuts the channels of a convolution into rows, as in front of SSD's concatenations (1x19x19x273 to
 * 1x1083x91): where rows end within a word, the convolution writes each from a word of its own on. Other shapes have the
 * same words before and after, and cost nothing. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse.h"

void shk_fuse_reshape(struct shk_fused *fused, uint32_t i)
{
    const struct shk_op *op = &fused->own->ops[i];
    uint32_t into = op->def->is_view ? shk_fuse_writer(fused, op->inputs[0]) : UINT32_MAX;
    if (into == UINT32_MAX || !(fused->ops[into].own->def->absorbs & SHK_FUSION_RESHAPE) || fused->ops[into].add ||
        fused->ops[into].row_channels)
        return;
    const struct shk_op *convolution = fused->ops[into].own;
    const struct shk_shape *cut = &shk_op_output(fused->own, op, 0)->shape;
    int32_t channels = shk_op_output(fused->own, convolution, 0)->shape.dims[3];
    int32_t row = cut->rank ? cut->dims[cut->rank - 1] : 1;
    bool grouped = shk_op_input(fused->own, convolution, 0)->shape.dims[3] !=
                   shk_op_input(fused->own, convolution, 1)->shape.dims[3];
    if (grouped || channels % row != 0 || channels == row || row % 4 == 0)
        return;
    fused->ops[into].row_channels = (uint32_t)row;
    fused->graph.ops[into].dense_output = true;
    shk_fuse_absorb(fused, i, into);
}
