/* Images of another size, one word (four channels) per invocation; positions and weights come from the host.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "int8.glsl"

layout(constant_id = SHK_SPEC_FIRST) const int KIND = SHK_RESIZE_NEAREST;

layout(push_constant, std430) uniform push_block { shk_resize_push p; };

uint load_word(uint image, uint y, uint x, uint word)
{
    return SHK_LOAD(p.src + ((image * p.in_h + y) * p.in_w + x) * p.src_stride + word);
}

ivec4 load(uint image, uint y, uint x, uint word)
{
    uint v = load_word(image, y, x, word);
    return ivec4(shk_byte(v, 0u), shk_byte(v, 1u), shk_byte(v, 2u), shk_byte(v, 3u));
}

/* Halves away from zero; the sum of the weights is 2^20. */
ivec4 blend_integers(ivec4 v00, ivec4 v10, ivec4 v01, ivec4 v11, int wy, int wx)
{
    ivec4 sum = v00 * ((1024 - wy) * (1024 - wx)) + v10 * (wy * (1024 - wx)) +
                v01 * ((1024 - wy) * wx) + v11 * (wy * wx);
    ivec4 magnitude = (abs(sum) + (1 << 19)) >> 20;
    return sign(sum) * magnitude;
}

/* In the order of the reference, each operation rounded by itself. */
ivec4 blend_floats(ivec4 i00, ivec4 i10, ivec4 i01, ivec4 i11, float wy, float wx)
{
    precise vec4 v00 = vec4(i00 + 128), v10 = vec4(i10 + 128), v01 = vec4(i01 + 128), v11 = vec4(i11 + 128);
    precise float wy0 = 1.0 - wy, wx0 = 1.0 - wx;
    precise vec4 sum = v00 * wy0 * wx0 + v10 * wy * wx0 + v01 * wy0 * wx + v11 * wy * wx + 0.5;
    return ivec4(sum) - 128;
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uint row = index;
    uint word = shk_take_remainder(row, p.words);
    uint image = row;
    uint at_x = p.map_x + shk_take_remainder(image, p.out_w) * 3u;
    uint at_y = p.map_y + shk_take_remainder(image, p.out_h) * 3u;
    uint to = p.dst + row * p.dst_stride + word;
    uint x0 = params[at_x], y0 = params[at_y];
    if (KIND == SHK_RESIZE_NEAREST) {
        SHK_ARENA(to) = load_word(image, y0, x0, word);
        return;
    }
    uint x1 = params[at_x + 1u], wx = params[at_x + 2u];
    uint y1 = params[at_y + 1u], wy = params[at_y + 2u];
    ivec4 v00 = load(image, y0, x0, word), v10 = load(image, y1, x0, word);
    ivec4 v01 = load(image, y0, x1, word), v11 = load(image, y1, x1, word);
    ivec4 v = KIND == SHK_RESIZE_INT8
                  ? blend_integers(v00, v10, v01, v11, int(wy), int(wx))
                  : blend_floats(v00, v10, v01, v11, uintBitsToFloat(wy), uintBitsToFloat(wx));
    SHK_ARENA(to) = shk_pack4(v.x, v.y, v.z, v.w);
}
