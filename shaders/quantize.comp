/* float32 to int8 through thresholds, four channels per invocation. Only the guess uses float arithmetic; the
 * comparisons are of integers that order like the floats, so the result is exact on every device.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block { shk_quantize_push p; };

uint quantize(uint bits)
{
    int key = int(bits) ^ (int(bits) >> 31 & 0x7fffffff);
    float guess = uintBitsToFloat(bits) * p.inverse_scale + p.zero;
    int i = clamp(int(clamp(guess, 0.0, 255.0)), 0, 255); /* twice: a NaN may pass the first */
    while (i < 255 && key >= int(params[p.table + uint(i) + 1u]))
        i++;
    while (key < int(params[p.table + uint(i)]))
        i--;
    return uint(i) ^ 0x80u;
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uint row = index;
    uint w = shk_take_remainder(row, p.words);
    uint count = min(p.channels - w * 4u, 4u);
    uint from = p.src + row * p.src_stride + w * 4u;
    uint word = 0u;
    for (uint b = 0u; b < count; b++)
        word |= quantize(SHK_LOAD(from + b)) << (b * 8u);
    SHK_ARENA(p.dst + row * p.dst_stride + w) = word;
}
