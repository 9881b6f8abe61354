/* CONV_2D by tiles in shared memory, with integers, packed dot products or cooperative matrices: the variants of forms
 * SHK_FORM_SHARED and SHK_FORM_MATRIX. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_CONV2D_TILE_H
#define SHK_CONV2D_TILE_H

#include "conv2d_filters.h"

static inline bool shk_conv2d_is_tile(const struct shk_variant *variant)
{
    return variant->form == SHK_FORM_SHARED || variant->form == SHK_FORM_MATRIX;
}

/* Whether such a variant computes the op on the device: one group only. */
bool shk_conv2d_tile_fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device,
                          const struct shk_variant *variant);

/* Output channels of a workgroup: those of a slice of filters. */
uint32_t shk_conv2d_tile_channels(const struct shk_device *device, const struct shk_variant *variant);

/* The dispatch. `out`: pixels, with all of their words in one row. */
void shk_conv2d_tile_emit(struct shk_lowering *lowering, const struct shk_filters *filters,
                          const struct shk_variant *variant, struct shk_view in, struct shk_view out,
                          const struct shk_epilogue *epilogue, const uint8_t *packed);

#endif
