/* Two int8 inputs, one int8 output, four channels per invocation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "int8.glsl"

layout(constant_id = SHK_SPEC_FIRST + 1) const int KIND = SHK_ELEMENTWISE_ADD;

layout(push_constant, std430) uniform push_block { shk_elementwise_push p; };
layout(set = 0, binding = SHK_BINDING_UNIFORM, std140) uniform uniform_block { shk_elementwise_uniform q; };
#define SHK_GRID q.grid
#include "grid.glsl"

int combine(int a, int b)
{
    if (KIND == SHK_ELEMENTWISE_MAX)
        return max(a, b);
    if (KIND == SHK_ELEMENTWISE_MIN)
        return min(a, b);
    a -= q.zero_a;
    b -= q.zero_b;
    int y;
    if (KIND == SHK_ELEMENTWISE_MUL) {
        y = shk_mbqm(a * b, q.multiplier_out, q.shift_out);
    } else if (KIND == SHK_ELEMENTWISE_PRELU) {
        y = a >= 0 ? shk_mbqm(a, q.multiplier_a, q.shift_a) : shk_mbqm(a * b, q.multiplier_out, q.shift_out);
    } else {
        a = shk_mbqm(a << 20, q.multiplier_a, q.shift_a);
        b = shk_mbqm(b << 20, q.multiplier_b, q.shift_b);
        y = shk_mbqm(KIND == SHK_ELEMENTWISE_SUB ? a - b : a + b, q.multiplier_out, q.shift_out);
    }
    return clamp(y + q.zero_out, q.min, q.max);
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uvec3 at = shk_grid_offsets(index);
    uint a = SHK_LOAD(p.a + at.y);
    uint b = SHK_LOAD(p.b + at.z);
    if ((p.splat & SHK_SPLAT_A) != 0u)
        a = (a & 0xffu) * 0x01010101u;
    if ((p.splat & SHK_SPLAT_B) != 0u)
        b = (b & 0xffu) * 0x01010101u;
    SHK_ARENA(p.dst + at.x) =
        shk_pack4(combine(shk_byte(a, 0u), shk_byte(b, 0u)), combine(shk_byte(a, 1u), shk_byte(b, 1u)),
                  combine(shk_byte(a, 2u), shk_byte(b, 2u)), combine(shk_byte(a, 3u), shk_byte(b, 3u)));
}
