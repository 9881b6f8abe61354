/* 2-D convolution without dilation that sees few input words, any group count: an invocation computes CHANNELS output
 * channels of ROWS x PIXELS neighbouring outputs, so that each input word is loaded once for all windows that it lies in.
 * For groups of few channels, and for the picture itself.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SHK_DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
#define SHK_LANE (SHK_LANE_STRIDE == 0u ? 0u : gl_WorkGroupID.z / p.slices) /* z: lane * slices + slice */
#include "common.glsl"
#include "int8.glsl"
#include "weights.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint CHANNELS = 4u; /* multiple of 4 */
layout(constant_id = SHK_SPEC_FIRST + 1) const uint PIXELS = 4u;
layout(constant_id = SHK_SPEC_FIRST + 2) const uint ROWS = 2u;
layout(constant_id = SHK_SPEC_FIRST + 3) const uint KERNEL_WIDTH = 3u;
layout(constant_id = SHK_SPEC_FIRST + 4) const uint KERNEL_HEIGHT = 3u;
layout(constant_id = SHK_SPEC_FIRST + 5) const uint STRIDE_WIDTH = 1u;
layout(constant_id = SHK_SPEC_FIRST + 6) const uint STRIDE_HEIGHT = 1u;
layout(constant_id = SHK_SPEC_FIRST + 7) const uint WINDOW_SUM = 0u; /* weights have a zero point */
layout(constant_id = SHK_SPEC_FIRST + 8) const uint EPILOGUE = 0u;   /* SHK_EPILOGUE_* */
#include "epilogue.glsl"

layout(push_constant, std430) uniform push_block { shk_conv_rows_push p; };

const uint QUADS = CHANNELS / 4u;
const uint OUTPUTS = ROWS * PIXELS;
const uint COLUMNS = (PIXELS - 1u) * STRIDE_WIDTH + KERNEL_WIDTH;
const uint LINES = (ROWS - 1u) * STRIDE_HEIGHT + KERNEL_HEIGHT;

ivec4 acc[OUTPUTS * QUADS];
int window_sum[OUTPUTS];

/* Where the tile starts in the output, and the input line and column that its first window starts at. */
uint image, first_row, first;
int top, left;

/* Word `k` of a line of the tile; past the edges of the picture the input's zero point. */
void load_line(uint line, uint k, uint mask, out uint words[COLUMNS])
{
    int y = top + int(line);
    bool row_inside = uint(y) < uint(p.input_height);
    uint row = (image * uint(p.input_height) + (row_inside ? uint(y) : 0u)) * uint(p.input_width);
    [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
        int x = left + int(c);
        bool inside = row_inside && uint(x) < uint(p.input_width);
        uint bytes = SHK_LOAD(p.input_offset + (row + (inside ? uint(x) : 0u)) * p.input_stride + k);
        words[c] = (inside ? bytes : (uint(p.zero_points) & 0xffu) * 0x01010101u) & mask;
    }
}

/* What a tap's weights `w` give with the words of an output row. */
void add_tap(uint row, uint kx, uint words[COLUMNS], uvec4 w[QUADS])
{
#ifdef SHK_DOT
    [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
        uint word = words[i * STRIDE_WIDTH + kx];
        if (WINDOW_SUM != 0u)
            window_sum[row * PIXELS + i] += shk_dot4(word, 0x01010101u);
        [[unroll]] for (uint q = 0u; q < QUADS; q++)
            acc[(row * PIXELS + i) * QUADS + q] +=
                ivec4(shk_dot4(word, w[q].x), shk_dot4(word, w[q].y), shk_dot4(word, w[q].z), shk_dot4(word, w[q].w));
    }
#else
    [[unroll]] for (uint j = 0u; j < 4u; j++)
        [[unroll]] for (uint q = 0u; q < QUADS; q++) {
            ivec4 weight = bitfieldExtract(ivec4(w[q]), int(j * 8u), 8);
            [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
                int value = shk_byte(words[i * STRIDE_WIDTH + kx], j);
                acc[(row * PIXELS + i) * QUADS + q] += value * weight;
                if (WINDOW_SUM != 0u && q == 0u)
                    window_sum[row * PIXELS + i] += value;
            }
        }
#endif
}

void store(uint slice, uint quant)
{
    shk_load_epilogue(p.epilogue);
    [[unroll]] for (uint q = 0u; q < QUADS; q++) {
        uint word = (p.first_slice + slice) * QUADS + q;
        ivec4 multiplier = ivec4(SHK_WEIGHTS(p.params, quant + QUADS + q));
        ivec4 shift = ivec4(SHK_WEIGHTS(p.params, quant + 2u * QUADS + q));
        [[unroll]] for (uint i = 0u; i < OUTPUTS; i++) {
            uint y = first_row + i / PIXELS;
            uint x = first + i % PIXELS;
            ivec4 sum = acc[i * QUADS + q];
            if (WINDOW_SUM != 0u)
                sum -= (p.zero_points >> 8) * window_sum[i];
            ivec4 value = shk_mbqm(sum, multiplier, shift);
            value = clamp(value, p.output_min, p.output_max) + p.output_zero_point;
            if (word < p.output_words && y < uint(p.output_height) && x < uint(p.output_width)) {
                uint pixel = (image * uint(p.output_height) + y) * uint(p.output_width) + x;
                uint residual = 0u;
                if ((EPILOGUE & SHK_EPILOGUE_ADD) != 0u)
                    residual = SHK_LOAD(shk_add.residual_offset + pixel * shk_add.residual_stride + word);
                value = shk_epilogue(p.epilogue, value, residual);
                SHK_ARENA(p.output_offset + pixel * p.output_stride + word) =
                    shk_pack4(value.x, value.y, value.z, value.w);
            }
        }
    }
}

void main()
{
    uint item = shk_linear_index();
    if (item >= p.items)
        return;
    uint slice = gl_WorkGroupID.z - SHK_LANE * p.slices;
    uint base = slice * p.slice_stride;
    uint quant = base + SHK_CONV_HEADER;
    uvec4 header = SHK_WEIGHTS(p.params, base);
    first = shk_take_remainder(item, p.tiles_per_row) * PIXELS;
    first_row = shk_take_remainder(item, p.tiles_per_column) * ROWS;
    image = item;
    top = int(first_row * STRIDE_HEIGHT) - p.pad_top;
    left = int(first * STRIDE_WIDTH) - p.pad_left;
    [[unroll]] for (uint i = 0u; i < OUTPUTS * QUADS; i++)
        acc[i] = ivec4(SHK_WEIGHTS(p.params, quant + i % QUADS));
    [[unroll]] for (uint i = 0u; i < OUTPUTS; i++)
        window_sum[i] = 0;

    for (uint k = 0u; k < header.y; k++) {
        uint weights = quant + 3u * QUADS + k * QUADS;
        uint mask = 0xffffffffu;
        if (WINDOW_SUM != 0u)
            mask = (k == 0u ? header.z : mask) & (k == header.y - 1u ? header.w : mask);
        [[unroll]] for (uint line = 0u; line < LINES; line++) {
            uint words[COLUMNS];
            load_line(line, header.x + k, mask, words);
            [[unroll]] for (uint row = 0u; row < ROWS; row++) {
                if (line < row * STRIDE_HEIGHT || line >= row * STRIDE_HEIGHT + KERNEL_HEIGHT)
                    continue;
                [[unroll]] for (uint kx = 0u; kx < KERNEL_WIDTH; kx++) {
                    uint tap = (line - row * STRIDE_HEIGHT) * KERNEL_WIDTH + kx;
                    uvec4 w[QUADS];
                    [[unroll]] for (uint q = 0u; q < QUADS; q++)
                        w[q] = SHK_WEIGHTS(p.params, weights + tap * header.y * QUADS + q);
                    add_tap(row, kx, words, w);
                }
            }
        }
    }
    store(slice, quant);
}
