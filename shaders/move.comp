/* Strided copies, one word of the destination per invocation, through a table of 256 bytes if there is one.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = SHK_SPEC_FIRST + 1) const int KIND = SHK_MOVE_WORDS;
layout(constant_id = SHK_SPEC_FIRST + 2) const int TABLE = SHK_TABLE_NONE;

layout(push_constant, std430) uniform push_block { shk_move_push p; };
layout(set = 0, binding = SHK_BINDING_UNIFORM, std140) uniform uniform_block {
    shk_grid grid;
    uvec4 table[256]; /* SHK_TABLE_UNIFORM only */
} u;
#define SHK_GRID u.grid
#include "grid.glsl"

uint load_byte(uint address)
{
    return bitfieldExtract(SHK_LOAD(address >> 2), int(address & 3u) * 8, 8);
}

uint look_up(uint word)
{
    if (TABLE == SHK_TABLE_NONE)
        return word;
    uint i = word ^ 0x80808080u;
    if (TABLE == SHK_TABLE_UNIFORM)
        return u.table[i & 0xffu].x | u.table[i >> 8 & 0xffu].y | u.table[i >> 16 & 0xffu].z |
               u.table[i >> 24].w;
    return params[p.table + (i & 0xffu)] | params[p.table + (i >> 8 & 0xffu)] << 8 |
           params[p.table + (i >> 16 & 0xffu)] << 16 | params[p.table + (i >> 24)] << 24;
}

/* Bytes first..first + 3 of a row whose neighbours lie p.src_step apart; those outside the row are 0. */
uint gather(uint row, int first)
{
    int count = int(p.count);
    if (p.src_step == 1u && first >= 0 && first + 4 <= count) {
        uint address = row + uint(first);
        uint shift = (address & 3u) * 8u;
        uint word = SHK_LOAD(address >> 2) >> shift;
        return shift == 0u ? word : word | SHK_LOAD((address >> 2) + 1u) << (32u - shift);
    }
    uint word = 0u;
    for (int b = 0; b < 4; b++) {
        int c = first + b;
        if (c >= 0 && c < count)
            word |= load_byte(row + uint(c) * p.src_step) << (b * 8);
    }
    return word;
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    if (KIND == SHK_MOVE_WORDS) {
        uvec3 at = shk_grid_offsets(index);
        SHK_ARENA(p.dst + at.x) = look_up(SHK_LOAD(p.src + at.y));
        return;
    }
    uint outer = index;
    uint w = shk_take_remainder(outer, p.words);
    uvec3 at = shk_grid_offsets(outer);
    int first = int(w * 4u) - int(p.lead);
    uint word = look_up(gather(p.src + at.y, first));

    /* what lies in the word before the first and after the last element belongs to somebody else */
    uint target = p.dst + at.x + w;
    uint mask = 0xffffffffu;
    if (first < 0)
        mask <<= uint(-first) * 8u;
    if (first + 4 > int(p.count))
        mask &= 0xffffffffu >> (uint(first + 4) - p.count) * 8u;
    if (mask != 0xffffffffu)
        word = (word & mask) | (SHK_ARENA(target) & ~mask);
    SHK_ARENA(target) = word;
}
