/* A tensor with a border, one word of the destination per invocation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint DIMS = 0;
layout(constant_id = SHK_SPEC_FIRST + 1) const bool WHOLE_WORDS = true;

layout(push_constant, std430) uniform push_block { shk_pad_push p; };
layout(set = 0, binding = SHK_BINDING_UNIFORM, std140) uniform uniform_block { shk_pad_uniform u; };

/* The word of a source row that starts at word `row`, for elements first.. of the inner part. */
uint gather(uint row, int first)
{
    int inner = int(p.last_inner);
    if (p.bytes == 4u)
        return first >= 0 && first < inner ? SHK_LOAD(row + uint(first)) : p.value;
    if ((first & 3) == 0 && first >= 0 && first + 4 <= inner)
        return SHK_LOAD(row + (uint(first) >> 2));
    uint word = 0u;
    for (int b = 0; b < 4; b++) {
        int c = first + b;
        bool inside = c >= 0 && c < inner;
        uint from = inside ? SHK_LOAD(row + (uint(c) >> 2)) >> (uint(c & 3) * 8u) : p.value;
        word |= (from & 0xffu) << (b * 8);
    }
    return word;
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uint row = index;
    uint w = shk_take_remainder(row, p.dst_words);
    uint from = p.src;
    bool inside = true;
    uint rest = row;
    for (uint k = DIMS; k-- > 0u;) {
        uint i = shk_take_remainder(rest, shk_divisor(u.dims[k].n, u.dims[k].magic, u.dims[k].shift));
        i -= u.dims[k].before; /* wraps to a large number in front */
        inside = inside && i < u.dims[k].inner;
        from += i * u.dims[k].src_step;
    }
    uint word = p.value;
    if (inside)
        word = WHOLE_WORDS ? SHK_LOAD(from + w) : gather(from, int(w * (4u / p.bytes)) - int(p.last_before));
    SHK_ARENA(p.dst + row * p.dst_stride + w) = word;
}
