/* Depthwise convolution of any kernel, dilation and channel multiplier: an invocation computes four channels of
 * one output pixel.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#define SHK_STORAGE
#include "common.glsl"
#include "int8.glsl"
#include "weights.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint EPILOGUE = 0u; /* SHK_EPILOGUE_BEFORE or nothing */
#include "epilogue.glsl"

layout(push_constant, std430) uniform push_block { shk_depthwise_any_push p; };

/* The input values that the four output channels see at a pixel. */
ivec4 gather(uint pixel, uvec4 channel)
{
    uint row = p.input_offset + pixel * p.input_stride;
    uint word = SHK_LOAD(row + channel.x / 4u);
    ivec4 values;
    for (uint j = 0u; j < 4u; j++) {
        if (j > 0u && channel[j] / 4u != channel[j - 1u] / 4u)
            word = SHK_LOAD(row + channel[j] / 4u);
        values[j] = shk_byte(word, channel[j] % 4u);
    }
    return values;
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uint pixel = index / p.words;
    uint word = index - pixel * p.words;
    uint base = word * p.word_stride;
    uint line = pixel / uint(p.output_width);
    uint b = line / uint(p.output_height);
    int top = int(line - b * uint(p.output_height)) * p.stride_height - p.pad_top;
    int left = int(pixel - line * uint(p.output_width)) * p.stride_width - p.pad_left;
    /* the last word may have lanes past the last channel: let them read what is there */
    uvec4 channel = min((word * 4u + uvec4(0u, 1u, 2u, 3u)) / p.multiplier, uvec4(p.input_channels - 1u));

    ivec4 acc = ivec4(SHK_WEIGHTS(p.params, base));
    uint weights = p.params + (base + SHK_DEPTHWISE_HEADER) * 4u;
    uint row_words = (uint(p.kernel_width) + 3u) / 4u * 4u;
    for (int ky = 0; ky < p.kernel_height; ky++) {
        int y = top + ky * p.dilation_height;
        for (int kx = 0; kx < p.kernel_width; kx++) {
            int x = left + kx * p.dilation_width;
            bool inside = uint(y) < uint(p.input_height) && uint(x) < uint(p.input_width);
            uint at = inside ? uint((int(b) * p.input_height + y) * p.input_width + x) : 0u;
            ivec4 values = inside ? gather(at, channel) : shk_unpack4(p.padding);
            acc += values * (shk_unpack4(params[weights + uint(kx)]) - p.weight_zero_point);
        }
        weights += row_words;
    }

    ivec4 multiplier = ivec4(SHK_WEIGHTS(p.params, base + 1u));
    ivec4 shift = ivec4(SHK_WEIGHTS(p.params, base + 2u));
    ivec4 y;
    for (uint j = 0u; j < 4u; j++)
        y[j] = shk_mbqm(acc[j], multiplier[j], shift[j]);
    y = clamp(y, p.output_min, p.output_max) + p.output_zero_point;
    y = shk_epilogue(p.epilogue, y, 0u);
    SHK_ARENA(p.output_offset + pixel * p.output_stride + word) = shk_pack4(y.x, y.y, y.z, y.w);
}
