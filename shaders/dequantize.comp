/* int8 to float32 through a table, four channels per invocation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block { shk_dequantize_push p; };

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uint row = index;
    uint w = shk_take_remainder(row, p.words);
    uint count = min(p.channels - w * 4u, 4u);
    uint word = SHK_LOAD(p.src + row * p.src_stride + w) ^ 0x80808080u;
    uint to = p.dst + row * p.dst_stride + w * 4u;
    for (uint b = 0u; b < count; b++)
        SHK_ARENA(to + b) = params[p.table + (word >> (b * 8u) & 0xffu)];
}
