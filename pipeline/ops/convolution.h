/* What CONV_2D and DEPTHWISE_CONV_2D share: attributes, checks, geometry, quantization.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Inputs: 0 image (NHWC, int8), 1 weights (constant), 2 bias (constant int32, optional). Output 0: image. */
#ifndef SHK_CONVOLUTION_H
#define SHK_CONVOLUTION_H

#include "epilogue.h"
#include "fuse.h"
#include "quant.h"

enum { SHK_CONV_INPUT, SHK_CONV_WEIGHTS, SHK_CONV_BIAS };

struct shk_conv_attrs {
    int32_t padding; /* enum shk_padding */
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t depth_multiplier; /* depthwise only; implied by the shapes, which decide */
    int32_t activation;       /* enum shk_activation */
};

struct shk_conv {
    int32_t batch, input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width, dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t input_zero_point, weight_zero_point, output_zero_point;
    struct shk_range range;
    const int8_t *weights;
    const int32_t *bias; /* NULL: none */
};

/* Everything but what relates channels to each other: types, quantization, constness, attributes, and the
 * output's shape. `channel_axis` is the dimension of the weights that counts output channels. */
enum shk_status shk_conv_check(const struct shk_graph *graph, const struct shk_op *op, uint32_t channel_axis,
                               struct shk_error *error);

struct shk_conv shk_conv_describe(const struct shk_graph *graph, const struct shk_op *op);

/* The same of the op that is being lowered, which reads what an absorbed PAD read and pads it by itself. Of the depthwise
 * convolution, if it absorbed one. */
struct shk_conv shk_conv_lowered(const struct shk_lowering *lowering, const struct shk_op *op);

/* shk_op_def.takes_border: a border of the input's zero point adds nothing to any sum. */
bool shk_conv_takes_border(const struct shk_graph *graph, const struct shk_op *op, int8_t value);

/* Scale of the sums of one output channel to the output, as the reference kernels calculate it. */
struct shk_multiplier shk_conv_multiplier(const struct shk_graph *graph, const struct shk_op *op,
                                          uint32_t channel);

/* The same for all channels, to be freed with free(); NULL, with *error filled in, when out of memory. */
struct shk_multiplier *shk_conv_multipliers(const struct shk_graph *graph, const struct shk_op *op,
                                            struct shk_error *error);

/* "3x3 stride 2x2 SAME dilation 1x1 groups 4 RELU6"; `relation` is the "groups 4". */
void shk_conv_print(const struct shk_graph *graph, const struct shk_op *op, const char *relation, char *text,
                    size_t size);

/* Bias with the input's zero point folded in: sum w * x + this == sum w * (x - zero point) + bias, where
 * `weight_sum` is the sum of a channel's weights. Modulo 2^32, as the sums themselves. */
int32_t shk_conv_fold_bias(const struct shk_conv *conv, uint32_t channel, int32_t weight_sum);

/* Whether no sum of products of the weights with any 8 bit inputs leaves the integers that a float holds, 2^24: then
 * floats compute exactly, in whatever order. Filter o is weights[o * filter_stride + i * stride], i < size. */
bool shk_conv_exact_in_float(const int8_t *weights, uint32_t filters, size_t size, size_t filter_stride, size_t stride);

/* Whether `rows` x `pixels` neighbouring outputs suit a kernel that is unrolled and keeps what they read in registers:
 * no dilation, at most SHK_CONV_UNROLLED inputs in either direction, and at most `products` of an input and a tap. */
#define SHK_CONV_UNROLLED 16
bool shk_conv_unrolls(const struct shk_conv *conv, uint32_t pixels, uint32_t rows, uint32_t products);

/* The value, clamped, of an output whose products sum to `sum`. */
int8_t shk_conv_output(const struct shk_conv *conv, struct shk_multiplier multiplier, int32_t sum);

#endif
