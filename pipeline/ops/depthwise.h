/* What the kernel of a pair (conv2d_pair.h) uses of DEPTHWISE_CONV_2D. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_DEPTHWISE_H
#define SHK_DEPTHWISE_H

#include "convolution.h"

bool shk_op_is_depthwise(const struct shk_op *op);

/* Bytes of the parameters of one word of four output channels (abi.h). */
size_t shk_depthwise_word_bytes(const struct shk_conv *conv);

/* The parameters of all words, one behind the other, to be freed; NULL when out of memory. */
uint8_t *shk_depthwise_pack(const struct shk_graph *graph, const struct shk_op *op, const struct shk_conv *conv);

#endif
