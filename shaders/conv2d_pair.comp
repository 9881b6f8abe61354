/* A depthwise convolution and the pointwise one behind it. A workgroup computes the depthwise outputs of TILE_ROWS pixels
 * into shared memory, all channels of them, and from there SLICES slices of the pointwise convolution's channels, an
 * invocation four channels of ROWS pixels. SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
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

const uint TILE_ROWS = SHK_PAIR_ROWS;
const uint TILE_CHANNELS = SHK_PAIR_CHANNELS;
const uint TILE_QUADS = TILE_CHANNELS / 4u;
const uint ROWS = TILE_ROWS * TILE_QUADS / SHK_PAIR_LOCAL;
const uint ROW_STRIDE = WORDS + 1u; /* the next rows are in other banks */
const uint TAP_WORDS = (KERNEL_WIDTH + 3u) / 4u * 4u; /* per row of the kernel */
const uint SLICE_WORDS = 4u * SHK_CONV_HEADER + 3u * TILE_CHANNELS + WORDS * TILE_CHANNELS;

shared uint middle[TILE_ROWS * ROW_STRIDE];
shared int window_sum[TILE_ROWS];

int zero_point(uint i)
{
    return shk_byte(p.zero_points, i);
}

ivec4 load_ivec4(uint at)
{
    return ivec4(params[at], params[at + 1u], params[at + 2u], params[at + 3u]);
}

/* Word `word` of the depthwise output of pixel `row`. */
uint depthwise(uint row, uint word)
{
    uint x = shk_take_remainder(row, p.output_width);
    uint y = shk_take_remainder(row, p.output_height); /* leaves the picture of the batch in `row` */
    uint at = p.depthwise + word * 4u * (SHK_DEPTHWISE_HEADER + KERNEL_HEIGHT * TAP_WORDS / 4u);
    int top = int(y) * p.stride_height - p.pad_top, left = int(x) * p.stride_width - p.pad_left;
    ivec4 sum = load_ivec4(at);
    for (uint ky = 0u; ky < KERNEL_HEIGHT; ky++)
        for (uint kx = 0u; kx < KERNEL_WIDTH; kx++) {
            int input_y = top + int(ky) * p.dilation_height, input_x = left + int(kx) * p.dilation_width;
            ivec4 value = ivec4(zero_point(0u));
            if (uint(input_y) < uint(p.input_height) && uint(input_x) < uint(p.input_width)) {
                uint pixel = uint((int(row) * p.input_height + input_y) * p.input_width + input_x);
                value = shk_unpack4(SHK_LOAD(p.input_offset + pixel * p.input_stride + word));
            }
            uint tap = params[at + 4u * SHK_DEPTHWISE_HEADER + ky * TAP_WORDS + kx];
            sum += value * (shk_unpack4(tap) - p.depthwise_zero_point);
        }
    int zero = zero_point(1u);
    ivec4 y4 = shk_mbqm(sum, load_ivec4(at + 4u), load_ivec4(at + 8u));
    y4 = clamp(y4, shk_byte(p.limits, 0u) - zero, shk_byte(p.limits, 1u) - zero) + zero;
    return shk_pack4(y4.x, y4.y, y4.z, y4.w);
}

/* Of four signed bytes. */
int sum_bytes(uint word)
{
    word ^= 0x80808080u;
    uint pairs = (word & 0x00ff00ffu) + (word >> 8 & 0x00ff00ffu);
    return int((pairs & 0xffffu) + (pairs >> 16)) - 4 * 128;
}

void fill_middle(uint first)
{
    uint last = params[p.pointwise + 3u]; /* which bytes of a pixel's last word are channels */
    for (uint i = gl_LocalInvocationID.x; i < TILE_ROWS * WORDS; i += SHK_PAIR_LOCAL) {
        uint r = i / WORDS;
        uint word = i - r * WORDS;
        middle[r * ROW_STRIDE + word] =
            depthwise(min(first + r, p.rows - 1u), word) & (word == WORDS - 1u ? last : 0xffffffffu);
    }
}

void sum_windows()
{
    for (uint r = gl_LocalInvocationID.x; r < TILE_ROWS; r += SHK_PAIR_LOCAL) {
        window_sum[r] = 0;
        for (uint k = 0u; k < WORDS; k++)
            window_sum[r] += sum_bytes(middle[r * ROW_STRIDE + k]);
    }
}

void pointwise(uint first, uint slice)
{
    uint quad = gl_LocalInvocationID.x % TILE_QUADS, first_row = gl_LocalInvocationID.x / TILE_QUADS * ROWS;
    uint word = slice * TILE_QUADS + quad;
    uint quant = p.pointwise + slice * SLICE_WORDS + 4u * SHK_CONV_HEADER + quad * 4u;
    uint weights = quant + 3u * TILE_CHANNELS;
    ivec4 acc[ROWS];
    [[unroll]] for (uint i = 0u; i < ROWS; i++)
        acc[i] = load_ivec4(quant);
    for (uint k = 0u; k < WORDS; k++) {
        ivec4 w = load_ivec4(weights + k * TILE_CHANNELS);
        [[unroll]] for (uint i = 0u; i < ROWS; i++) {
            uint values = middle[(first_row + i) * ROW_STRIDE + k];
            [[unroll]] for (uint j = 0u; j < 4u; j++)
                acc[i] += shk_byte(values, j) * bitfieldExtract(w, int(j * 8u), 8);
        }
    }
    ivec4 multiplier = load_ivec4(quant + TILE_CHANNELS), shift = load_ivec4(quant + 2u * TILE_CHANNELS);
    int zero = zero_point(2u);
    [[unroll]] for (uint i = 0u; i < ROWS; i++) {
        uint row = first + first_row + i;
        if (row >= p.rows || word >= p.output_words)
            continue;
        if (WINDOW_SUM != 0u)
            acc[i] -= zero_point(3u) * window_sum[first_row + i];
        ivec4 y = shk_mbqm(acc[i], multiplier, shift);
        y = clamp(y, shk_byte(p.limits, 2u) - zero, shk_byte(p.limits, 3u) - zero) + zero;
        uint residual = 0u;
        if ((EPILOGUE & SHK_EPILOGUE_ADD) != 0u)
            residual = SHK_LOAD(shk_add.residual_offset + row * shk_add.residual_stride + word);
        y = shk_epilogue(p.epilogue, y, residual);
        SHK_ARENA(p.output_offset + row * p.output_stride + word) = shk_pack4(y.x, y.y, y.z, y.w);
    }
}

void main()
{
    uint first = gl_WorkGroupID.x * TILE_ROWS;
    fill_middle(first);
    barrier();
    if (WINDOW_SUM != 0u) {
        sum_windows();
        barrier();
    }
    shk_load_epilogue(p.epilogue);
    uint end = min((gl_WorkGroupID.y + 1u) * SLICES, p.slices);
    for (uint slice = gl_WorkGroupID.y * SLICES; slice < end; slice++)
        pointwise(first, slice);
}
