/* Packed int8 and the fixed-point arithmetic of NUMERICS: the GLSL twin of pipeline/quant.c.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Byte i of a word, sign extended. */
int shk_byte(uint word, uint i)
{
    return bitfieldExtract(int(word), int(i * 8u), 8);
}

ivec4 shk_unpack4(uint word)
{
    return ivec4(shk_byte(word, 0u), shk_byte(word, 1u), shk_byte(word, 2u), shk_byte(word, 3u));
}

#ifdef SHK_DOT
/* OpSDot of four signed bytes each, by number: glslang 12 does not know GL_EXT_integer_dot_product. The last operand
 * is the packed format, PackedVectorFormat4x8Bit. */
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int shk_dot_packed(uint a, uint b, spirv_literal int format);
#define shk_dot4(a, b) shk_dot_packed(a, b, 0)
/* OpSUDot: signed bytes of `a`, unsigned ones of `b`. */
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4452)
int shk_dot_mixed_packed(uint a, uint b, spirv_literal int format);
#define shk_dot4_mixed(a, b) shk_dot_mixed_packed(a, b, 0)
#endif

uint shk_pack4(int a, int b, int c, int d)
{
    return (uint(a) & 0xffu) | (uint(b) & 0xffu) << 8 | (uint(c) & 0xffu) << 16 | uint(d) << 24;
}

/* SaturatingRoundingDoublingHighMul: (a * b + 2^30) >> 31 in 64 bits. The only saturating case, both
 * INT32_MIN, cannot happen: multipliers are never negative. */
int shk_srdhm(int a, int b)
{
    int hi;
    int lo;
    imulExtended(a, b, hi, lo);
    uint sum = uint(lo) + 0x40000000u;
    int carry = sum < 0x40000000u ? 1 : 0;
    return int(uint(hi + carry) << 1 | sum >> 31);
}

/* RoundingDivideByPOT: nearest, exact halves away from zero. 0 <= exponent <= 31. */
int shk_rounding_divide_by_pot(int x, int exponent)
{
    int mask = int((1u << uint(exponent)) - 1u);
    int remainder = x & mask;
    int threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/* MultiplyByQuantizedMultiplier with double rounding; positive shift is left. */
int shk_mbqm(int x, int multiplier, int shift)
{
    int left = max(shift, 0);
    int right = max(-shift, 0);
    return shk_rounding_divide_by_pot(shk_srdhm(x << left, multiplier), right);
}

/* The same of four values at once: drivers for CPUs compile a quarter of the code. */
ivec4 shk_mbqm(ivec4 x, ivec4 multiplier, ivec4 shift)
{
    ivec4 hi, lo;
    imulExtended(x << max(shift, 0), multiplier, hi, lo);
    uvec4 sum = uvec4(lo) + 0x40000000u;
    ivec4 carry = ivec4(lessThan(sum, uvec4(0x40000000u)));
    ivec4 high = ivec4(uvec4(hi + carry) << 1 | sum >> 31);
    ivec4 right = max(-shift, 0);
    ivec4 mask = ivec4((uvec4(1u) << uvec4(right)) - 1u);
    ivec4 threshold = (mask >> 1) + ivec4(lessThan(high, ivec4(0)));
    return (high >> right) + ivec4(greaterThan(high & mask, threshold));
}
