/* The elements of a tensor in rows of another length, one word of the destination per invocation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block { shk_reshape_push p; };

uint load_byte(uint row, uint c)
{
    return bitfieldExtract(SHK_LOAD(p.src + row * p.src_stride + (c >> 2)), int(c & 3u) * 8, 8);
}

uint gather(uint row, uint c, uint count)
{
    uint word = 0u;
    for (uint b = 0u; b < count; b++) {
        word |= load_byte(row, c) << (b * 8u);
        if (++c == p.src_channels.n) {
            c = 0u;
            row++;
        }
    }
    return word;
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uint dst_row = index;
    uint w = shk_take_remainder(dst_row, p.dst_words);
    uint per_word = 4u / p.bytes;
    uint row = dst_row * p.dst_channels + w * per_word;
    uint c = shk_take_remainder(row, p.src_channels);
    uint word;
    if (p.bytes == 4u)
        word = SHK_LOAD(p.src + row * p.src_stride + c);
    else if (((p.src_channels.n | p.dst_channels) & 3u) == 0u)
        word = SHK_LOAD(p.src + row * p.src_stride + (c >> 2));
    else
        word = gather(row, c, min(p.dst_channels - w * 4u, 4u));
    SHK_ARENA(p.dst + dst_row * p.dst_stride + w) = word;
}
