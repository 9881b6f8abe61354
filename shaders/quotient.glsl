// Division of floats as the CPU does it: Vulkan allows devices to be less exact. Operands are positive and normal.
// SPDX-License-Identifier: LGPL-2.1-or-later

// Would a / b, rounded to a float, be above a threshold, which shk_iou_split() made mantissa and exponent of?
bool shk_quotient_above(float a, float b, uint mantissa, int exponent)
{
    uint ua = floatBitsToUint(a);
    uint ub = floatBitsToUint(b);
    uint ma = (ua & 0x7fffffu) | 0x800000u;
    uint mb = (ub & 0x7fffffu) | 0x800000u;
    // a * 2^150 = ma << (ua >> 23): compare ma << d with mantissa * mb, which lies in [2^47, 2^49)
    int d = int(ua >> 23) - int(ub >> 23) - exponent;
    if (d < 24 || d > 25)
        return d > 25;
    uint high;
    uint low;
    umulExtended(mantissa, mb, high, low);
    uint a_high = ma >> uint(32 - d);
    uint a_low = ma << uint(d);
    return a_high > high || (a_high == high && a_low > low);
}

// a / b, rounded to the nearest float, which is a normal one, too.
float shk_quotient(float a, float b)
{
    uint ua = floatBitsToUint(a);
    uint ub = floatBitsToUint(b);
    uint ma = (ua & 0x7fffffu) | 0x800000u;
    uint mb = (ub & 0x7fffffu) | 0x800000u;
    uint exponent = (ua >> 23) + 127u - (ub >> 23);
    if (ma < mb) {
        ma <<= 1;
        exponent--;
    }
    uint quotient = 0u; // 24 bits, and one to round by: none is in the middle between two floats
    for (int i = 0; i < 25; i++) {
        quotient <<= 1;
        if (ma >= mb) {
            ma -= mb;
            quotient++;
        }
        ma <<= 1;
    }
    return uintBitsToFloat((exponent << 23) + ((quotient + 1u) >> 1) - 0x800000u);
}
