/* Means over dimensions of an int8 tensor, one word of the output per invocation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "int8.glsl"

layout(constant_id = SHK_SPEC_FIRST + 1) const int KIND = SHK_MEAN_WORDS;

layout(push_constant, std430) uniform push_block { shk_mean_push p; };
layout(set = 0, binding = SHK_BINDING_UNIFORM, std140) uniform uniform_block { shk_mean_uniform q; };
#define SHK_GRID q.grid
#include "grid.glsl"

/* Four channels in `at` (words), or one in x (bytes). */
ivec4 load(uint at)
{
    if (KIND == SHK_MEAN_BYTES)
        return ivec4(shk_byte(SHK_LOAD(at >> 2), at & 3u), 0, 0, 0);
    uint word = SHK_LOAD(at);
    return ivec4(shk_byte(word, 0u), shk_byte(word, 1u), shk_byte(word, 2u), shk_byte(word, 3u));
}

ivec4 sum_from(uint first)
{
    ivec4 sum = ivec4(0);
    for (uint i = 0u; i < q.n0; i++)
        for (uint j = 0u; j < q.n1; j++)
            for (uint k = 0u; k < q.n2; k++) {
                uint at = first + i * q.step0 + j * q.step1 + k * q.step2;
                for (uint l = 0u; l < q.n3; l++, at += q.step3)
                    sum += load(at);
            }
    return sum;
}

int requantize(int sum)
{
    return clamp(shk_mbqm(sum - q.zero_in, q.multiplier, q.shift) + q.zero_out, -128, 127);
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    ivec4 sum = ivec4(0);
    uint to;
    if (KIND == SHK_MEAN_WORDS) {
        uvec3 at = shk_grid_offsets(index);
        sum = sum_from(p.src + at.y);
        to = p.dst + at.x;
    } else {
        uint outer = index;
        uint w = shk_take_remainder(outer, p.words);
        uvec3 at = shk_grid_offsets(outer);
        for (uint b = 0u; b < min(p.count - w * 4u, 4u); b++)
            sum[b] = sum_from(p.src + at.y + (w * 4u + b) * p.src_step).x;
        to = p.dst + at.x + w;
    }
    SHK_ARENA(to) = shk_pack4(requantize(sum.x), requantize(sum.y), requantize(sum.z), requantize(sum.w));
}
