/* A depthwise convolution and the pointwise one behind it. A workgroup computes the depthwise outputs of TILE_ROWS pixels
 * into shared memory, all channels of them, and from there SLICES slices of the pointwise convolution's channels.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SHK_DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "common.glsl"
#include "int8.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint EPILOGUE = 0u; /* SHK_EPILOGUE_* */
layout(constant_id = SHK_SPEC_FIRST + 1) const uint WINDOW_SUM = 0u; /* pointwise weights have a zero point */
layout(constant_id = SHK_SPEC_FIRST + 2) const uint WORDS = 8u; /* of the depthwise convolution's channels */
layout(constant_id = SHK_SPEC_FIRST + 3) const uint KERNEL_HEIGHT = 3u;
layout(constant_id = SHK_SPEC_FIRST + 4) const uint KERNEL_WIDTH = 3u;
layout(constant_id = SHK_SPEC_FIRST + 5) const uint SLICES = 1u;
#include "epilogue.glsl"

layout(push_constant, std430) uniform push_block { shk_pair_push p; };

const uint LOCAL = SHK_PAIR_LOCAL;
#include "conv2d_chain.glsl"

bool find_row(uint r, out uint row)
{
    row = gl_WorkGroupID.x * TILE_ROWS + r;
    return row < p.rows;
}

/* Word `word` of the depthwise output of pixel `row`. */
uint depthwise(uint row, uint word)
{
    uint x = shk_take_remainder(row, p.output_width);
    uint y = shk_take_remainder(row, p.output_height); /* leaves the picture of the batch in `row` */
    uint filters = depthwise_filters(word);
    int top = int(y) * p.stride_height - p.pad_top, left = int(x) * p.stride_width - p.pad_left;
    ivec4 sum = load_ivec4(filters);
    for (uint ky = 0u; ky < KERNEL_HEIGHT; ky++)
        for (uint kx = 0u; kx < KERNEL_WIDTH; kx++) {
            int input_y = top + int(ky) * p.dilation_height, input_x = left + int(kx) * p.dilation_width;
            uint values = 0x01010101u * (uint(zero_point(0u)) & 0xffu);
            if (uint(input_y) < uint(p.input_height) && uint(input_x) < uint(p.input_width)) {
                uint pixel = uint((int(row) * p.input_height + input_y) * p.input_width + input_x);
                values = SHK_LOAD(p.input_offset + pixel * p.input_stride + word);
            }
            sum += multiply_tap(values, filters, ky, kx);
        }
    return requantize_depthwise(sum, filters);
}

void fill_middle()
{
    uint first = gl_WorkGroupID.x * TILE_ROWS;
    for (uint i = gl_LocalInvocationID.x; i < TILE_ROWS * WORDS; i += LOCAL) {
        uint r = i / WORDS;
        uint word = i - r * WORDS;
        middle[r * ROW_STRIDE + word] = depthwise(min(first + r, p.rows - 1u), word) & channel_mask(word);
    }
}

void main()
{
    fill_middle();
    barrier();
    if (WINDOW_SUM != 0u) {
        sum_windows();
        barrier();
    }
    shk_load_epilogue(p.epilogue);
    uint end = min((gl_WorkGroupID.y + 1u) * SLICES, p.slices);
    for (uint slice = gl_WorkGroupID.y * SLICES; slice < end; slice++)
        pointwise(slice);
}
