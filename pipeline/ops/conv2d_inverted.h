/* Inverted residuals (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018) in one kernel: a
 * CONV_2D of 1 x 1, the projection, with the depthwise convolution in front of it and the CONV_2D of 1 x 1 in front of
 * that, the expansion. The variants of form SHK_FORM_INVERTED, which an op takes if and only if it absorbed both
 * (fuse_chain.c). SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_CONV2D_INVERTED_H
#define SHK_CONV2D_INVERTED_H

#include "conv2d_filters.h"

/* Whether a projection that could absorb `depthwise` (shk_conv2d_can_pair) could absorb `expansion`, too. */
bool shk_conv2d_can_invert(const struct shk_graph *graph, const struct shk_op *expansion,
                           const struct shk_op *depthwise);

/* Whether the device runs such a kernel of the projection `op`: what is between fits shared memory. */
bool shk_conv2d_inverted_fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device);

/* The dispatch of the projection that is being lowered, as shk_conv2d_pair_emit(). */
enum shk_status shk_conv2d_inverted_emit(struct shk_lowering *lowering, const struct shk_op *op,
                                         const struct shk_filters *filters, const struct shk_variant *variant,
                                         struct shk_view in, struct shk_view out, const struct shk_epilogue *epilogue,
                                         const uint8_t *packed, struct shk_error *error);

#endif
