/* Depthwise convolution without dilation, one output channel per input channel: an invocation computes four channels of
 * ROWS x PIXELS neighbouring outputs, so that each input word is loaded and unpacked once for all windows that it lies in.
 * Loads are what takes longest, even on a CPU.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SHK_DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "common.glsl"
#include "int8.glsl"
#include "weights.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint PIXELS = 4u;
layout(constant_id = SHK_SPEC_FIRST + 1) const uint ROWS = 1u;
layout(constant_id = SHK_SPEC_FIRST + 2) const uint KERNEL_WIDTH = 3u;
layout(constant_id = SHK_SPEC_FIRST + 3) const uint KERNEL_HEIGHT = 3u;
layout(constant_id = SHK_SPEC_FIRST + 4) const uint STRIDE_WIDTH = 1u;
layout(constant_id = SHK_SPEC_FIRST + 5) const uint STRIDE_HEIGHT = 1u;
layout(constant_id = SHK_SPEC_FIRST + 6) const uint FLOAT = 0u; /* sums in floats; the caller knows that they are exact */
layout(constant_id = SHK_SPEC_FIRST + 7) const uint ZERO_POINT = 0u; /* the weights have one */
layout(constant_id = SHK_SPEC_FIRST + 8) const uint EPILOGUE = 0u; /* SHK_EPILOGUE_BEFORE or nothing */
#include "epilogue.glsl"

layout(push_constant, std430) uniform push_block { shk_depthwise_push p; };

const uint COLUMNS = (PIXELS - 1u) * STRIDE_WIDTH + KERNEL_WIDTH;
const uint LINES = (ROWS - 1u) * STRIDE_HEIGHT + KERNEL_HEIGHT;
const uint QUADS = (KERNEL_WIDTH + 3u) / 4u; /* uvec4 per row of the kernel */

ivec4 acc[ROWS * PIXELS];
vec4 float_acc[ROWS * PIXELS]; /* FLOAT */

#ifdef SHK_DOT
/* Four neighbouring pixels of four channels each, as four channels of four pixels each, and so the taps: a product is four
 * taps of a row. The weights have no zero point. */
uvec4 transpose(uvec4 pixels)
{
    uvec2 even = pixels.xz & 0x00ff00ffu | (pixels.yw & 0x00ff00ffu) << 8;
    uvec2 odd = pixels.xz >> 8 & 0x00ff00ffu | pixels.yw & 0xff00ff00u;
    return uvec4(even.x & 0xffffu | even.y << 16, odd.x & 0xffffu | odd.y << 16, even.x >> 16 | even.y & 0xffff0000u,
                 odd.x >> 16 | odd.y & 0xffff0000u);
}

const uint PACKS = (COLUMNS + 3u) / 4u + QUADS; /* the last ones are zeros, which weights of zero are multiplied with */

uvec4 weights[KERNEL_HEIGHT * QUADS];

void load_weights(uint base)
{
    [[unroll]] for (uint i = 0u; i < KERNEL_HEIGHT * QUADS; i++)
        weights[i] = transpose(SHK_WEIGHTS(p.params, base + SHK_DEPTHWISE_HEADER + i));
}

/* Adds what input line `line` of the tile gives to every output row whose window it lies in. */
void add_line(uint line, uint words[COLUMNS])
{
    uvec4 packs[PACKS];
    [[unroll]] for (uint j = 0u; j < PACKS; j++) {
        uvec4 pixels = uvec4(0u);
        [[unroll]] for (uint k = 0u; k < 4u; k++)
            if (j * 4u + k < COLUMNS)
                pixels[k] = words[j * 4u + k];
        packs[j] = transpose(pixels);
    }
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        if (line < r * STRIDE_HEIGHT || line >= r * STRIDE_HEIGHT + KERNEL_HEIGHT)
            continue;
        [[unroll]] for (uint i = 0u; i < PIXELS; i++)
            [[unroll]] for (uint q = 0u; q < QUADS; q++) {
                uint start = i * STRIDE_WIDTH + q * 4u, bits = start % 4u * 8u;
                uvec4 x = packs[start / 4u];
                if (bits != 0u)
                    x = x >> bits | packs[start / 4u + 1u] << (32u - bits);
                uvec4 w = weights[(line - r * STRIDE_HEIGHT) * QUADS + q];
                acc[r * PIXELS + i] +=
                    ivec4(shk_dot4(x.x, w.x), shk_dot4(x.y, w.y), shk_dot4(x.z, w.z), shk_dot4(x.w, w.w));
            }
    }
}
#else
ivec4 weights[KERNEL_HEIGHT * KERNEL_WIDTH];

void load_weights(uint base)
{
    [[unroll]] for (uint ky = 0u; ky < KERNEL_HEIGHT; ky++) {
        uvec4 taps[QUADS];
        [[unroll]] for (uint q = 0u; q < QUADS; q++)
            taps[q] = SHK_WEIGHTS(p.params, base + SHK_DEPTHWISE_HEADER + ky * QUADS + q);
        [[unroll]] for (uint kx = 0u; kx < KERNEL_WIDTH; kx++) {
            ivec4 weight = shk_unpack4(taps[kx / 4u][kx % 4u]);
            weights[ky * KERNEL_WIDTH + kx] = ZERO_POINT != 0u ? weight - p.weight_zero_point : weight;
        }
    }
}

/* Adds what input line `line` of the tile gives to every output row whose window it lies in. */
void add_line(uint line, uint words[COLUMNS])
{
    ivec4 values[COLUMNS];
    [[unroll]] for (uint c = 0u; c < COLUMNS; c++)
        values[c] = shk_unpack4(words[c]);
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        if (line < r * STRIDE_HEIGHT || line >= r * STRIDE_HEIGHT + KERNEL_HEIGHT)
            continue;
        uint row = (line - r * STRIDE_HEIGHT) * KERNEL_WIDTH;
        [[unroll]] for (uint i = 0u; i < PIXELS; i++)
            [[unroll]] for (uint kx = 0u; kx < KERNEL_WIDTH; kx++) {
                if (FLOAT != 0u)
                    float_acc[r * PIXELS + i] += vec4(weights[row + kx]) * vec4(values[i * STRIDE_WIDTH + kx]);
                else
                    acc[r * PIXELS + i] += weights[row + kx] * values[i * STRIDE_WIDTH + kx];
            }
    }
}
#endif

void store(uint base, uint at, uint first_row, uint first)
{
    ivec4 multiplier = ivec4(SHK_WEIGHTS(p.params, base + 1u));
    ivec4 shift = ivec4(SHK_WEIGHTS(p.params, base + 2u));
    [[unroll]] for (uint r = 0u; r < ROWS; r++)
        [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
            ivec4 sum = acc[r * PIXELS + i];
            if (FLOAT != 0u)
                sum += ivec4(float_acc[r * PIXELS + i]);
            ivec4 y = shk_mbqm(sum, multiplier, shift);
            y = clamp(y, p.output_min, p.output_max) + p.output_zero_point;
            y = shk_epilogue(p.epilogue, y, 0u);
            if (first_row + r < uint(p.output_height) && first + i < uint(p.output_width))
                SHK_ARENA(at + (r * uint(p.output_width) + i) * p.output_stride) = shk_pack4(y.x, y.y, y.z, y.w);
        }
}

void main()
{
    uint rest = shk_linear_index();
    if (rest >= p.items)
        return;
    uint word = shk_take_remainder(rest, p.words);
    uint first = shk_take_remainder(rest, p.tiles_per_row) * PIXELS;
    uint first_row = shk_take_remainder(rest, p.tiles_per_column) * ROWS;
    uint b = rest, base = word * p.word_stride;
    int top = int(first_row * STRIDE_HEIGHT) - p.pad_top;
    int left = int(first * STRIDE_WIDTH) - p.pad_left;

    load_weights(base);
    [[unroll]] for (uint i = 0u; i < ROWS * PIXELS; i++) {
        acc[i] = ivec4(SHK_WEIGHTS(p.params, base));
        float_acc[i] = vec4(0.0);
    }
    [[unroll]] for (uint line = 0u; line < LINES; line++) {
        int y = top + int(line);
        bool row_inside = uint(y) < uint(p.input_height);
        uint row = (b * uint(p.input_height) + (row_inside ? uint(y) : 0u)) * uint(p.input_width);
        uint words[COLUMNS];
        [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
            int x = left + int(c);
            bool inside = row_inside && uint(x) < uint(p.input_width);
            uint at = p.input_offset + (row + (inside ? uint(x) : 0u)) * p.input_stride + p.first_word + word;
            uint bytes = SHK_LOAD(at);
            words[c] = inside ? bytes : p.padding;
        }
        add_line(line, words);
    }
    uint pixel = (b * uint(p.output_height) + first_row) * uint(p.output_width) + first;
    store(base, p.output_offset + pixel * p.output_stride + p.first_word + word, first_row, first);
}
