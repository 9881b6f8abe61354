/* Softmax in fixed point, one row per invocation; the twin of pipeline/ops/softmax.c.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "int8.glsl"

layout(push_constant, std430) uniform push_block { shk_softmax_push p; };

int exp_below(int maximum, int value)
{
    return int(params[p.table + uint(maximum - value)]);
}

int saturating_shift(int x, int exponent)
{
    int limit = (1 << (31 - exponent)) - 1;
    return x > limit ? 0x7fffffff : x < -limit - 1 ? int(0x80000000) : x << exponent;
}

int one_over_one_plus(int a)
{
    int half_denominator = int((uint(a) + 0x80000000u) >> 1);
    int x = 1515870810 + shk_srdhm(half_denominator, -1010580540);
    for (int i = 0; i < 3; i++) {
        int rest = (1 << 29) - shk_srdhm(half_denominator, x);
        x += saturating_shift(shk_srdhm(x, rest), 2);
    }
    return saturating_shift(x, 1);
}

void main()
{
    uint row = shk_linear_index();
    if (row >= p.items)
        return;
    uint src = p.src + row * p.src_stride;
    uint dst = p.dst + row * p.dst_stride;

    int maximum = -128;
    for (uint c = 0u; c < p.channels; c++)
        maximum = max(maximum, shk_byte(SHK_LOAD(src + (c >> 2)), c & 3u));
    uint sum = 0u;
    for (uint c = 0u; c < p.channels; c++)
        sum += uint(shk_rounding_divide_by_pot(exp_below(maximum, shk_byte(SHK_LOAD(src + (c >> 2)), c & 3u)), 12));

    int headroom = 31 - findMSB(sum);
    int reciprocal = one_over_one_plus(int((sum << uint(headroom)) - 0x80000000u));
    int exponent = 12 - headroom + 31 - 8;
    for (uint w = 0u; w < p.words; w++) {
        uint values = SHK_LOAD(src + w);
        uint word = 0u;
        for (uint b = 0u; b < min(p.channels - w * 4u, 4u); b++) {
            int y = shk_srdhm(reciprocal, exp_below(maximum, shk_byte(values, b)));
            y = exponent > 31 ? -128 : min(shk_rounding_divide_by_pot(y, exponent) - 128, 127);
            word |= (uint(y) & 0xffu) << (b * 8u);
        }
        SHK_ARENA(dst + w) = word;
    }
}
