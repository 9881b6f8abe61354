/* Depthwise convolution with multiplier 1 and no horizontal dilation: an invocation computes four channels of
 * PIXELS neighbouring output pixels of a row, and loads every input word that they share once.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "int8.glsl"
#include "weights.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint PIXELS = 4u;
layout(constant_id = SHK_SPEC_FIRST + 1) const uint KERNEL_WIDTH = 3u;
layout(constant_id = SHK_SPEC_FIRST + 2) const uint STRIDE_WIDTH = 1u;

layout(constant_id = SHK_SPEC_FIRST + 3) const uint FLOAT = 0u; /* sums in floats; the caller knows that they are exact */

layout(constant_id = SHK_SPEC_FIRST + 4) const uint EPILOGUE = 0u; /* SHK_EPILOGUE_BEFORE or nothing */
#include "epilogue.glsl"

layout(push_constant, std430) uniform push_block { shk_depthwise_push p; };

const uint COLUMNS = (PIXELS - 1u) * STRIDE_WIDTH + KERNEL_WIDTH;
const uint QUADS = (KERNEL_WIDTH + 3u) / 4u; /* uvec4 per row of the kernel */

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uint group = index / p.words;
    uint word = index - group * p.words;
    uint base = word * p.word_stride;
    uint line = group / p.groups_per_row; /* output row, batch included */
    uint first = (group - line * p.groups_per_row) * PIXELS;
    uint b = line / uint(p.output_height);
    int top = int(line - b * uint(p.output_height)) * p.stride_height - p.pad_top;
    int left = int(first * STRIDE_WIDTH) - p.pad_left;

    ivec4 acc[PIXELS];
    vec4 float_acc[PIXELS];
    for (uint i = 0u; i < PIXELS; i++) {
        acc[i] = ivec4(SHK_WEIGHTS(p.params, base));
        float_acc[i] = vec4(0.0);
    }

    for (int ky = 0; ky < p.kernel_height; ky++) {
        int y = top + ky * p.dilation_height;
        bool row_inside = uint(y) < uint(p.input_height);
        uint row = uint(int(b) * p.input_height + (row_inside ? y : 0)) * uint(p.input_width);
        uvec4 taps[QUADS];
        for (uint q = 0u; q < QUADS; q++)
            taps[q] = SHK_WEIGHTS(p.params, base + SHK_DEPTHWISE_HEADER + uint(ky) * QUADS + q);
        ivec4 values[COLUMNS];
        for (uint c = 0u; c < COLUMNS; c++) {
            int x = left + int(c);
            bool inside = row_inside && uint(x) < uint(p.input_width);
            uint at = p.input_offset + (row + (inside ? uint(x) : 0u)) * p.input_stride + p.first_word + word;
            uint bytes = inside ? SHK_ARENA(at) : p.padding;
            values[c] = shk_unpack4(bytes);
        }
        for (uint kx = 0u; kx < KERNEL_WIDTH; kx++) {
            ivec4 weight = shk_unpack4(taps[kx / 4u][kx % 4u]) - p.weight_zero_point;
            for (uint i = 0u; i < PIXELS; i++) {
                if (FLOAT != 0u)
                    float_acc[i] += vec4(weight) * vec4(values[i * STRIDE_WIDTH + kx]);
                else
                    acc[i] += weight * values[i * STRIDE_WIDTH + kx];
            }
        }
    }

    ivec4 multiplier = ivec4(SHK_WEIGHTS(p.params, base + 1u));
    ivec4 shift = ivec4(SHK_WEIGHTS(p.params, base + 2u));
    for (uint i = 0u; i < PIXELS; i++) {
        ivec4 y;
        for (uint j = 0u; j < 4u; j++)
            y[j] = shk_mbqm(FLOAT != 0u ? acc[i][j] + int(float_acc[i][j]) : acc[i][j], multiplier[j], shift[j]);
        y = clamp(y, p.output_min, p.output_max) + p.output_zero_point;
        y = shk_epilogue(p.epilogue, y, 0u);
        uint x = first + i;
        if (x < uint(p.output_width))
            SHK_ARENA(p.output_offset + (line * uint(p.output_width) + x) * p.output_stride + p.first_word + word) =
                shk_pack4(y.x, y.y, y.z, y.w);
    }
}
