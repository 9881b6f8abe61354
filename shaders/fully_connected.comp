/* Fully connected layer: an invocation computes four output channels of one vector.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef SHK_DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "common.glsl"
#include "int8.glsl"

/* How a sum becomes an output. 0: by multiplier and shift; 1: by a product in double precision. */
layout(constant_id = SHK_SPEC_FIRST) const uint DOUBLE = 0u;

layout(push_constant, std430) uniform push_block { shk_dense_push p; };

/* floor(value / 2^n) of a 96 bit value, 0 <= n; saturated to 0x7fffffff. */
uint shift_right(uvec3 v, uint n)
{
    for (; n >= 32u; n -= 32u)
        v = uvec3(v.y, v.z, 0u);
    if (n > 0u)
        v = uvec3(v.x >> n | v.y << (32u - n), v.y >> n | v.z << (32u - n), v.z >> n);
    return (v.y | v.z) != 0u ? 0x7fffffffu : min(v.x, 0x7fffffffu);
}

/* v + 2^n. */
uvec3 add_bit(uvec3 v, uint n)
{
    uint carry = 0u;
    uint bit = 1u << (n & 31u);
    for (uint i = 0u; i < 3u; i++) {
        uint c;
        v[i] = uaddCarry(v[i], carry + (n / 32u == i ? bit : 0u), c);
        carry = c;
    }
    return v;
}

/* The 84 bit product rounded to the 53 bits of a double, halves to even. Its first bit is 52 or higher. */
uvec3 round_to_double(uvec3 v)
{
    uint length = v.z != 0u ? 65u + uint(findMSB(v.z)) : 33u + uint(findMSB(v.y));
    uint drop = length - 53u;
    if (drop == 0u)
        return v;
    uint rest = v.x & ((1u << drop) - 1u);
    uint half_way = 1u << (drop - 1u);
    bool odd = (v.x >> drop & 1u) != 0u;
    v.x -= rest;
    return rest > half_way || (rest == half_way && odd) ? add_bit(v, drop) : v;
}

/* round_half_away(double(x) * significand * 2^-shift), where the significand has bit 52 set. */
int multiply_double(int x, uint low, uint high, int shift)
{
    uint a = uint(abs(x));
    if (a == 0u || shift > 96)
        return 0;
    if (shift < 1)
        return x < 0 ? -0x7fffffff : 0x7fffffff;
    uvec3 product;
    uint middle;
    uint carry;
    umulExtended(a, low, product.y, product.x);
    umulExtended(a, high, product.z, middle);
    product.y = uaddCarry(product.y, middle, carry);
    product.z += carry;
    product = add_bit(round_to_double(product), uint(shift) - 1u);
    int magnitude = int(shift_right(product, uint(shift)));
    return x < 0 ? -magnitude : magnitude;
}

int requantize(int sum, uint at, uint channel)
{
    int shift = int(params[at + 12u + channel]);
    uint low = params[at + 4u + channel];
    int y = DOUBLE != 0u ? multiply_double(sum, low, params[at + 8u + channel], shift)
                         : shk_mbqm(sum, int(low), shift);
    return clamp(y, p.output_min, p.output_max) + p.output_zero_point;
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uint vector = index / p.output_words;
    uint word = index - vector * p.output_words;
    uint quant = p.quant + word * SHK_DENSE_QUANT;

    ivec4 acc;
    for (uint c = 0u; c < 4u; c++)
        acc[c] = int(params[quant + c]);
    int sum = 0;
    uint weights = p.weights + word * 4u;
    for (uint r = 0u; r < p.input_rows; r++) {
        uint row = p.input_offset + (vector * p.input_rows + r) * p.input_stride;
        for (uint k = 0u; k < p.input_words; k++) {
            uint word_mask = k + 1u == p.input_words ? p.last_mask : 0xffffffffu;
            uint word_in = SHK_LOAD(row + k) & word_mask;
#ifdef SHK_DOT
            sum += shk_dot4(word_in, 0x01010101u);
            for (uint c = 0u; c < 4u; c++)
                acc[c] += shk_dot4(word_in, params[weights + c]);
#else
            ivec4 x = shk_unpack4(word_in);
            sum += x.x + x.y + x.z + x.w;
            for (uint c = 0u; c < 4u; c++) {
                ivec4 products = x * shk_unpack4(params[weights + c]);
                acc[c] += products.x + products.y + products.z + products.w;
            }
#endif
            weights += p.output_words * 4u;
        }
    }
    int y[4];
    for (uint c = 0u; c < 4u; c++)
        y[c] = requantize(acc[c] - p.weight_zero_point * sum, quant, c);
    SHK_ARENA(p.output_offset + vector * p.output_stride + word) = shk_pack4(y[0], y[1], y[2], y[3]);
}
