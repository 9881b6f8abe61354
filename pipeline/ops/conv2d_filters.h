/* The filters of a CONV_2D as its kernels read them: cut into slices of output channels (abi.h), so that the weights of
 * a slice fit a uniform buffer. A slice may span groups: it then reads the input channels of all of them, with weights
 * of 0 between what does not belong together. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_CONV2D_FILTERS_H
#define SHK_CONV2D_FILTERS_H

#include "convolution.h"

struct shk_filters {
    struct shk_conv conv;
    uint32_t depth, filters_per_group;
    uint32_t channels; /* per slice: a multiple of 4 */
    uint32_t slices;   /* 0: a slice does not fit where it is to be read from */
    uint32_t words;    /* input words per tap, at most */
    uint32_t parts;    /* 1; 3 if weight - zero point is stored as a sum of three bytes */
    uint32_t taps;
    uint32_t input_offset; /* what the kernel adds to each input, padding included; shk_filters_plan() sets 0 */
    size_t slice_bytes;
    /* Of a pixel's channels as the output has them: all of them, in one row, or rows of fewer (fuse_reshape.c). The
     * last word of a row may have lanes without a channel. */
    uint32_t row_channels, row_words, rows;
};

/* Input channels that a filter sees. */
int32_t shk_filters_depth(const struct shk_graph *graph, const struct shk_op *op);

/* `row_channels`: of struct shk_fused_op. `split`: three bytes per weight, also where one would do. */
struct shk_filters shk_filters_plan(const struct shk_graph *graph, const struct shk_op *op, uint32_t row_channels,
                                    uint32_t channels, bool split);

/* The channel in lane `lane` of a pixel's words, or UINT32_MAX. */
uint32_t shk_filters_channel(const struct shk_filters *f, uint32_t lane);

/* Bias with zero point and input_offset folded in, multiplier and shift of channel `o`. */
struct shk_channel_quant {
    int32_t bias, multiplier, shift;
};
struct shk_channel_quant shk_filters_quant(const struct shk_graph *graph, const struct shk_op *op,
                                           const struct shk_filters *f, uint32_t o);

/* All slices, one behind the other, to be freed; NULL when out of memory. */
uint8_t *shk_filters_pack(const struct shk_graph *graph, const struct shk_op *op, const struct shk_filters *f);

#endif
