/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conv2d_pair.h"

#include <stdlib.h>

#include "depthwise.h"
#include "grid.h"

SHK_SHADER_DECLARE(conv2d_pair);
SHK_SHADER_DECLARE(conv2d_pair_dot);

uint32_t shk_conv2d_middle_words(const struct shk_graph *graph, const struct shk_op *op)
{
    return shk_div_round_up((uint32_t)shk_op_input(graph, op, SHK_CONV_INPUT)->shape.dims[3], 4);
}

bool shk_conv2d_is_pointwise(const struct shk_graph *graph, const struct shk_op *op)
{
    const struct shk_tensor *in = shk_op_input(graph, op, SHK_CONV_INPUT);
    const struct shk_tensor *weights = shk_op_input(graph, op, SHK_CONV_WEIGHTS);
    const struct shk_conv_attrs *a = op->attrs;
    if (in->shape.rank != 4 || weights->shape.rank != 4)
        return false;
    const int32_t *w = weights->shape.dims;
    return w[1] == 1 && w[2] == 1 && w[3] == in->shape.dims[3] && a->stride_height == 1 && a->stride_width == 1;
}

bool shk_conv2d_can_pair(const struct shk_graph *graph, const struct shk_op *op, const struct shk_op *depthwise)
{
    return shk_op_is_depthwise(depthwise) && shk_conv2d_is_pointwise(graph, op) &&
           shk_op_input(graph, depthwise, SHK_CONV_INPUT)->shape.dims[3] ==
               shk_op_input(graph, op, SHK_CONV_INPUT)->shape.dims[3];
}

bool shk_conv2d_pair_fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device)
{
    uint64_t shared = 4 * (uint64_t)SHK_PAIR_ROWS * (shk_conv2d_middle_words(graph, op) + 2);
    const int32_t *out = shk_op_output(graph, op, 0)->shape.dims;
    uint64_t rows = (uint64_t)(uint32_t)out[0] * (uint32_t)out[1] * (uint32_t)out[2];
    return shared <= device->limits.maxComputeSharedMemorySize && rows <= (uint64_t)SHK_PAIR_ROWS * SHK_MAX_GROUPS &&
           (uint32_t)out[3] <= SHK_PAIR_CHANNELS * (SHK_MAX_GROUPS / 4);
}

uint32_t shk_conv2d_bytes(int32_t a, int32_t b, int32_t c, int32_t d)
{
    return (uint8_t)a | (uint32_t)(uint8_t)b << 8 | (uint32_t)(uint8_t)c << 16 | (uint32_t)(uint8_t)d << 24;
}

static struct shk_pair_push make_push(const struct shk_conv *depthwise, const struct shk_filters *f, struct shk_view in,
                                      struct shk_view out, const struct shk_epilogue *epilogue)
{
    const struct shk_conv *c = &f->conv;
    return (struct shk_pair_push){
        .input_offset = in.offset,
        .input_stride = in.stride,
        .output_offset = out.offset,
        .output_stride = out.stride,
        .output_words = out.words,
        .rows = out.rows,
        .input_height = depthwise->input_height,
        .input_width = depthwise->input_width,
        .output_height = shk_divisor_of((uint32_t)depthwise->output_height),
        .output_width = shk_divisor_of((uint32_t)depthwise->output_width),
        .stride_height = depthwise->stride_height,
        .stride_width = depthwise->stride_width,
        .dilation_height = depthwise->dilation_height,
        .dilation_width = depthwise->dilation_width,
        .pad_top = depthwise->pad_top,
        .pad_left = depthwise->pad_left,
        .zero_points = shk_conv2d_bytes(depthwise->input_zero_point, depthwise->output_zero_point, c->output_zero_point,
                                        c->weight_zero_point),
        .depthwise_zero_point = depthwise->weight_zero_point,
        .limits = shk_conv2d_bytes(depthwise->range.min, depthwise->range.max, c->range.min, c->range.max),
        .slices = f->slices,
        .epilogue = epilogue->params,
    };
}

enum shk_status shk_conv2d_pair_emit(struct shk_lowering *lowering, const struct shk_op *op,
                                     const struct shk_filters *filters, const struct shk_variant *variant,
                                     struct shk_view in, struct shk_view out, const struct shk_epilogue *epilogue,
                                     const uint8_t *packed, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_model(lowering);
    const struct shk_fused_op *fused = shk_lower_fused(lowering);
    struct shk_conv depthwise = shk_conv_lowered(lowering, op);
    uint32_t words = shk_conv2d_middle_words(graph, fused->own), per_group = variant->channels ? 1 : filters->slices;
    size_t bytes = shk_depthwise_word_bytes(&depthwise) * words;
    uint8_t *parameters = shk_depthwise_pack(graph, fused->depthwise, &depthwise);
    if (!parameters)
        return shk_fail_oom(error, bytes, "packed depthwise weights");
    struct shk_pair_push push = make_push(&depthwise, filters, in, out, epilogue);
    push.depthwise = shk_lower_params(lowering, parameters, bytes, 16) / 4;
    push.pointwise = shk_lower_params(lowering, packed, filters->slice_bytes * filters->slices, 16) / 4;
    free(parameters);
    struct shk_dispatch dispatch = {
        .shader = variant->arithmetic == SHK_ARITHMETIC_DOT ? &shk_shader_conv2d_pair_dot : &shk_shader_conv2d_pair,
        .spec = {epilogue->steps, filters->conv.weight_zero_point != 0, words, (uint32_t)depthwise.kernel_height,
                 (uint32_t)depthwise.kernel_width, per_group},
        .spec_count = 6,
        .local_size = {SHK_PAIR_LOCAL, 1, 1},
        .groups = {shk_div_round_up(push.rows, SHK_PAIR_ROWS), shk_div_round_up(filters->slices, per_group), 1},
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}
