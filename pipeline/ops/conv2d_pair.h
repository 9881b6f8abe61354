/* CONV_2D of 1 x 1 with the depthwise convolution in front of it in one kernel: the variants of form SHK_FORM_PAIR,
 * which an op takes if and only if it absorbed one (fuse_chain.c). SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_CONV2D_PAIR_H
#define SHK_CONV2D_PAIR_H

#include "conv2d_filters.h"

/* Whether `op`, a CONV_2D, computes each pixel from the same pixel of all channels. */
bool shk_conv2d_is_pointwise(const struct shk_graph *graph, const struct shk_op *op);

/* Whether `op`, a CONV_2D, could absorb `depthwise`, as far as the two themselves are concerned. */
bool shk_conv2d_can_pair(const struct shk_graph *graph, const struct shk_op *op, const struct shk_op *depthwise);

/* Words of a pixel's channels between the two. */
uint32_t shk_conv2d_middle_words(const struct shk_graph *graph, const struct shk_op *op);

/* Four integers of a byte each, as the kernels take them, the first one lowest. */
uint32_t shk_conv2d_bytes(int32_t a, int32_t b, int32_t c, int32_t d);

/* Whether the device runs such a kernel of the op: its middle fits shared memory. */
bool shk_conv2d_pair_fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device);

/* The dispatch of the op that is being lowered. `out`: pixels, with all of their words in one row. */
enum shk_status shk_conv2d_pair_emit(struct shk_lowering *lowering, const struct shk_op *op,
                                     const struct shk_filters *filters, const struct shk_variant *variant,
                                     struct shk_view in, struct shk_view out, const struct shk_epilogue *epilogue,
                                     const uint8_t *packed, struct shk_error *error);

#endif
