/* An inverted residual: a pointwise convolution that expands, a depthwise one, and a pointwise one that projects. A
 * workgroup computes a tile of TILE_WIDTH x TILE_HEIGHT outputs: CHUNK_WORDS words of the expanded channels at a time for all
 * pixels that the tile's windows see, from these the depthwise outputs, and when it has all of those, the projection.
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
layout(constant_id = SHK_SPEC_FIRST + 1) const uint WINDOW_SUM = 0u; /* the projection's weights have a zero point */
layout(constant_id = SHK_SPEC_FIRST + 2) const uint WORDS = 8u; /* of the expanded channels */
layout(constant_id = SHK_SPEC_FIRST + 3) const uint KERNEL_HEIGHT = 3u;
layout(constant_id = SHK_SPEC_FIRST + 4) const uint KERNEL_WIDTH = 3u;
layout(constant_id = SHK_SPEC_FIRST + 5) const uint SEEN_HEIGHT = 6u; /* expanded pixels that a tile sees */
layout(constant_id = SHK_SPEC_FIRST + 6) const uint SEEN_WIDTH = 10u;
layout(constant_id = SHK_SPEC_FIRST + 7) const uint INPUT_WORDS = 4u;
#include "epilogue.glsl"

layout(push_constant, std430) uniform push_block { shk_inverted_push p; };

const uint LOCAL = SHK_INVERTED_LOCAL;
#include "conv2d_chain.glsl"

const uint TILE_WIDTH = SHK_INVERTED_WIDTH;
const uint CHUNK_WORDS = SHK_INVERTED_CHUNK / 4u;
const uint CHUNK_PARAMS = 4u * SHK_CONV_HEADER + (3u + INPUT_WORDS) * SHK_INVERTED_CHUNK; /* words */
const uint EXPANDED = 2u; /* words of the chunk that an invocation expands at a time */

shared uint expanded[SHK_INVERTED_SEEN * CHUNK_WORDS];

uint picture, tile_x, tile_y;

void find_tile()
{
    picture = gl_WorkGroupID.x;
    tile_x = shk_take_remainder(picture, p.tiles_per_row) * TILE_WIDTH;
    tile_y = shk_take_remainder(picture, p.tiles_per_column) * (TILE_ROWS / TILE_WIDTH);
}

bool find_row(uint r, out uint row)
{
    uint x = tile_x + r % TILE_WIDTH, y = tile_y + r / TILE_WIDTH;
    row = (picture * uint(p.output_height) + y) * uint(p.output_width) + x;
    return x < uint(p.output_width) && y < uint(p.output_height);
}

/* EXPANDED words of input pixel `pixel`, from word `word` of the chunk with the parameters `chunk` on. */
void expand(uint pixel, uint chunk, uint word, uint to)
{
    uint quant = chunk + 4u * SHK_CONV_HEADER + word * 4u;
    uint weights = quant + 3u * SHK_INVERTED_CHUNK, from = p.input_offset + pixel * p.input_stride;
    ivec4 acc[EXPANDED];
    [[unroll]] for (uint i = 0u; i < EXPANDED; i++)
        acc[i] = load_ivec4(quant + i * 4u);
    for (uint k = 0u; k < INPUT_WORDS; k++) {
        uint values = SHK_LOAD(from + k);
        [[unroll]] for (uint i = 0u; i < EXPANDED; i++)
            acc[i] += multiply(values, load_ivec4(weights + k * SHK_INVERTED_CHUNK + i * 4u));
    }
    int zero = zero_point(0u);
    [[unroll]] for (uint i = 0u; i < EXPANDED; i++) {
        ivec4 multiplier = load_ivec4(quant + SHK_INVERTED_CHUNK + i * 4u);
        ivec4 y = shk_mbqm(acc[i], multiplier, load_ivec4(quant + 2u * SHK_INVERTED_CHUNK + i * 4u));
        y = clamp(y, shk_byte(p.expand_limits, 0u) - zero, shk_byte(p.expand_limits, 1u) - zero) + zero;
        expanded[to + i] = shk_pack4(y.x, y.y, y.z, y.w);
    }
}

/* What the tile sees of chunk number `number`; the depthwise convolution's zero point outside of the picture. */
void fill_expanded(uint number)
{
    int top = int(tile_y) * p.stride_height - p.pad_top, left = int(tile_x) * p.stride_width - p.pad_left;
    const uint parts = CHUNK_WORDS / EXPANDED;
    for (uint i = gl_LocalInvocationID.x; i < SEEN_HEIGHT * SEEN_WIDTH * parts; i += LOCAL) {
        uint seen = i / parts;
        uint word = i % parts * EXPANDED;
        int y = top + int(seen / SEEN_WIDTH), x = left + int(seen % SEEN_WIDTH);
        if (uint(y) < uint(p.input_height) && uint(x) < uint(p.input_width)) {
            uint pixel = uint((int(picture) * p.input_height + y) * p.input_width + x);
            expand(pixel, p.expand + number * CHUNK_PARAMS, word, seen * CHUNK_WORDS + word);
        } else {
            [[unroll]] for (uint k = 0u; k < EXPANDED; k++)
                expanded[seen * CHUNK_WORDS + word + k] = 0x01010101u * (uint(zero_point(0u)) & 0xffu);
        }
    }
}

/* Word `word` of the depthwise output of pixel `r` of the tile; `at`: its place in the chunk. */
uint depthwise(uint r, uint word, uint at)
{
    uint top = r / TILE_WIDTH * uint(p.stride_height), left = r % TILE_WIDTH * uint(p.stride_width);
    uint filters = depthwise_filters(word);
    ivec4 sum = load_ivec4(filters);
    for (uint ky = 0u; ky < KERNEL_HEIGHT; ky++)
        for (uint kx = 0u; kx < KERNEL_WIDTH; kx++) {
            uint y = top + ky * uint(p.dilation_height), x = left + kx * uint(p.dilation_width);
            sum += multiply_tap(expanded[(y * SEEN_WIDTH + x) * CHUNK_WORDS + at], filters, ky, kx);
        }
    return requantize_depthwise(sum, filters);
}

void fill_middle(uint number)
{
    for (uint i = gl_LocalInvocationID.x; i < TILE_ROWS * CHUNK_WORDS; i += LOCAL) {
        uint r = i / CHUNK_WORDS;
        uint at = i % CHUNK_WORDS;
        uint word = number * CHUNK_WORDS + at;
        if (word < WORDS)
            middle[r * ROW_STRIDE + word] = depthwise(r, word, at) & channel_mask(word);
    }
}

void main()
{
    find_tile();
    for (uint number = 0u; number * CHUNK_WORDS < WORDS; number++) {
        fill_expanded(number);
        barrier();
        fill_middle(number);
        barrier();
    }
    if (WINDOW_SUM != 0u) {
        sum_windows();
        barrier();
    }
    shk_load_epilogue(p.epilogue);
    for (uint slice = 0u; slice < p.slices; slice++)
        pointwise(slice);
}
