/* Cases of CONV_2D and DEPTHWISE_CONV_2D with seeded random weights, scales and zero points.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_TEST_CONV_CASE_H
#define SHK_TEST_CONV_CASE_H

#include "op_case.h"

/* What a case is; 0 where it does not matter. */
struct conv_shape {
    int32_t batch, height, width, channels;
    int32_t filters; /* output channels */
    int32_t kernel_height, kernel_width;
    int32_t groups; /* CONV_2D; DEPTHWISE_CONV_2D: multiplier = filters / channels */
    int32_t stride_height, stride_width, dilation_height, dilation_width;
    int32_t padding, activation;
    bool legacy; /* uint8 with a zero point of the weights */
    bool per_channel;
    bool no_bias;
    float gain; /* output spread over its range: 1: fits mostly; 100: saturates; 0.001: near the zero point */
};

enum conv_weights { CONV_WEIGHTS_RANDOM, CONV_WEIGHTS_MIN, CONV_WEIGHTS_MAX, CONV_WEIGHTS_COUNT };

/* Builds the case, runs it on everything in every variant (see op_case_run) and frees it. */
void conv_case_run(const char *op, const struct conv_shape *shape, enum conv_weights how, uint64_t seed,
                   const char *const *variants);

#endif
