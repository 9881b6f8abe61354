/* A tensor with a border, one word of the destination per invocation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block { shk_pad_push p; };

/* The word of a source row that starts at word `row`, for elements first, first + 1, ... of the inner part. */
uint gather(uint row, int first)
{
    int inner = int(p.last_inner);
    if (p.bytes == 4u)
        return first >= 0 && first < inner ? arena[row + uint(first)] : p.value;
    if ((first & 3) == 0 && first >= 0 && first + 4 <= inner)
        return arena[row + (uint(first) >> 2)];
    uint word = 0u;
    for (int b = 0; b < 4; b++) {
        int c = first + b;
        bool inside = c >= 0 && c < inner;
        uint from = inside ? arena[row + (uint(c) >> 2)] >> (uint(c & 3) * 8u) : p.value;
        word |= (from & 0xffu) << (b * 8);
    }
    return word;
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uint row = index / p.dst_words;
    uint w = index - row * p.dst_words;
    uint from = p.src;
    bool inside = true;
    uint rest = row;
    for (int k = int(p.rank) - 2; k >= 0; k--) {
        uint outer = rest / p.n[k];
        uint i = rest - outer * p.n[k] - p.before[k]; /* wraps to a large number in front */
        rest = outer;
        inside = inside && i < p.inner[k];
        from += i * p.src_step[k];
    }
    uint word = inside ? gather(from, int(w * (4u / p.bytes)) - int(p.last_before)) : p.value;
    arena[p.dst + row * p.dst_stride + w] = word;
}
