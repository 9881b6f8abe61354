/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conv2d_inverted.h"

#include <stdlib.h>

#include "conv2d.h"
#include "conv2d_pair.h"
#include "depthwise.h"
#include "grid.h"

SHK_SHADER_DECLARE(conv2d_inverted);
SHK_SHADER_DECLARE(conv2d_inverted_dot);

#define TILE_WIDTH  SHK_INVERTED_WIDTH
#define TILE_HEIGHT (SHK_PAIR_ROWS / SHK_INVERTED_WIDTH)

/* Inputs in a row that so many windows in a row see. */
static int64_t seen(int32_t outputs, int32_t kernel, int32_t stride, int32_t dilation)
{
    return (int64_t)(outputs - 1) * stride + (int64_t)(kernel - 1) * dilation + 1;
}

bool shk_conv2d_can_invert(const struct shk_graph *graph, const struct shk_op *expansion,
                           const struct shk_op *depthwise)
{
    if (!shk_op_is_conv2d(expansion) || !shk_conv2d_is_pointwise(graph, expansion) ||
        shk_conv_describe(graph, expansion).weight_zero_point != 0)
        return false;
    struct shk_conv c = shk_conv_describe(graph, depthwise);
    int64_t height = seen(TILE_HEIGHT, c.kernel_height, c.stride_height, c.dilation_height);
    int64_t width = seen(TILE_WIDTH, c.kernel_width, c.stride_width, c.dilation_width);
    return height <= SHK_INVERTED_SEEN && width <= SHK_INVERTED_SEEN && height * width <= SHK_INVERTED_SEEN;
}

static uint64_t count_tiles(const int32_t out[4])
{
    return (uint64_t)(uint32_t)out[0] * shk_div_round_up((uint32_t)out[1], TILE_HEIGHT) *
           shk_div_round_up((uint32_t)out[2], TILE_WIDTH);
}

bool shk_conv2d_inverted_fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device)
{
    uint64_t middle = (uint64_t)SHK_PAIR_ROWS * (shk_conv2d_middle_words(graph, op) + 2);
    uint64_t shared = 4 * middle + SHK_INVERTED_SEEN * SHK_INVERTED_CHUNK;
    return shared <= device->limits.maxComputeSharedMemorySize &&
           device->limits.maxComputeWorkGroupInvocations >= SHK_INVERTED_LOCAL &&
           count_tiles(shk_op_output(graph, op, 0)->shape.dims) <= SHK_MAX_GROUPS;
}

static struct shk_inverted_push make_push(const struct shk_conv *expand, const struct shk_conv *depthwise,
                                          const struct shk_filters *f, struct shk_view in, struct shk_view out,
                                          const struct shk_epilogue *epilogue)
{
    const struct shk_conv *c = &f->conv;
    return (struct shk_inverted_push){
        .input_offset = in.offset,
        .input_stride = in.stride,
        .output_offset = out.offset,
        .output_stride = out.stride,
        .output_words = out.words,
        .tiles_per_row = shk_divisor_of(shk_div_round_up((uint32_t)depthwise->output_width, TILE_WIDTH)),
        .tiles_per_column = shk_divisor_of(shk_div_round_up((uint32_t)depthwise->output_height, TILE_HEIGHT)),
        .input_height = depthwise->input_height,
        .input_width = depthwise->input_width,
        .output_height = depthwise->output_height,
        .output_width = depthwise->output_width,
        .stride_height = depthwise->stride_height,
        .stride_width = depthwise->stride_width,
        .dilation_height = depthwise->dilation_height,
        .dilation_width = depthwise->dilation_width,
        .pad_top = depthwise->pad_top,
        .pad_left = depthwise->pad_left,
        .zero_points = shk_conv2d_bytes(depthwise->input_zero_point, depthwise->output_zero_point, c->output_zero_point,
                                        c->weight_zero_point),
        .limits = shk_conv2d_bytes(depthwise->range.min, depthwise->range.max, c->range.min, c->range.max),
        .expand_limits = shk_conv2d_bytes(expand->range.min, expand->range.max, 0, 0),
        .depthwise_zero_point = depthwise->weight_zero_point,
        .slices = f->slices,
        .epilogue = epilogue->params,
    };
}

/* Packs the filters of what was absorbed; false: out of memory. */
static bool append_filters(struct shk_lowering *lowering, const struct shk_filters *expand,
                           const struct shk_conv *depthwise, uint32_t words, struct shk_inverted_push *push)
{
    const struct shk_graph *graph = shk_lower_model(lowering);
    const struct shk_fused_op *fused = shk_lower_fused(lowering);
    uint8_t *first = shk_filters_pack(graph, fused->expand, expand);
    uint8_t *second = shk_depthwise_pack(graph, fused->depthwise, depthwise);
    bool packed = first && second;
    if (packed) {
        push->expand = shk_lower_params(lowering, first, expand->slice_bytes * expand->slices, 16) / 4;
        push->depthwise = shk_lower_params(lowering, second, shk_depthwise_word_bytes(depthwise) * words, 16) / 4;
    }
    free(first);
    free(second);
    return packed;
}

enum shk_status shk_conv2d_inverted_emit(struct shk_lowering *lowering, const struct shk_op *op,
                                         const struct shk_filters *filters, const struct shk_variant *variant,
                                         struct shk_view in, struct shk_view out, const struct shk_epilogue *epilogue,
                                         const uint8_t *packed, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_model(lowering);
    const struct shk_fused_op *fused = shk_lower_fused(lowering);
    struct shk_conv d = shk_conv_lowered(lowering, op);
    struct shk_filters expand = shk_filters_plan(graph, fused->expand, 0, SHK_INVERTED_CHUNK, false);
    uint32_t words = shk_conv2d_middle_words(graph, fused->own);
    struct shk_inverted_push push = make_push(&expand.conv, &d, filters, in, out, epilogue);
    if (!append_filters(lowering, &expand, &d, words, &push))
        return shk_fail_oom(error, expand.slice_bytes * expand.slices, "packed weights of an inverted residual");
    push.pointwise = shk_lower_params(lowering, packed, filters->slice_bytes * filters->slices, 16) / 4;
    bool dot = variant->arithmetic == SHK_ARITHMETIC_DOT;
    struct shk_dispatch dispatch = {
        .shader = dot ? &shk_shader_conv2d_inverted_dot : &shk_shader_conv2d_inverted,
        .spec = {epilogue->steps, filters->conv.weight_zero_point != 0, words, (uint32_t)d.kernel_height,
                 (uint32_t)d.kernel_width,
                 (uint32_t)seen(TILE_HEIGHT, d.kernel_height, d.stride_height, d.dilation_height),
                 (uint32_t)seen(TILE_WIDTH, d.kernel_width, d.stride_width, d.dilation_width), expand.words},
        .spec_count = 8,
        .local_size = {SHK_INVERTED_LOCAL, 1, 1},
        .groups = {(uint32_t)count_tiles(shk_op_output(graph, fused->own, 0)->shape.dims), 1, 1},
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}
