/* CONV_2D by tiles of neighbouring outputs, whose inputs stay in registers: the variants of form SHK_FORM_ROWS. For
 * filters that see few input words, as those of small groups and of the first layer do.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_CONV2D_ROWS_H
#define SHK_CONV2D_ROWS_H

#include "conv2d_filters.h"

/* Whether such a variant computes the op: no dilation, no weights in parts, nothing too large to be unrolled, and a slice of
 * filters fits what the kernel sees of the weights. */
bool shk_conv2d_rows_fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device,
                          const struct shk_variant *variant);

/* The dispatches. `out`: pixels, with all of their words in one row. */
void shk_conv2d_rows_emit(struct shk_lowering *lowering, const struct shk_filters *filters,
                          const struct shk_variant *variant, struct shk_view in, struct shk_view out,
                          const struct shk_epilogue *epilogue, const uint8_t *packed);

#endif
