/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "quant.h"

#include <math.h>

struct shk_multiplier shk_quantize_multiplier(double real)
{
    struct shk_multiplier m = {0, 0};
    if (real == 0.0)
        return m;
    int shift;
    double q = frexp(fmin(real, 0x1p31), &shift); /* a product of float scales may be infinite */
    int64_t fixed = (int64_t)round(q * 2147483648.0);
    if (fixed == INT64_C(1) << 31) {
        fixed /= 2;
        shift++;
    }
    if (shift < -31)
        return m;
    if (shift > 30) { /* saturates as the reference does for multipliers this large */
        shift = 30;
        fixed = INT32_MAX;
    }
    m.multiplier = (int32_t)fixed;
    m.shift = shift;
    return m;
}

int32_t shk_srdhm(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    int64_t ab = (int64_t)a * b;
    int64_t nudge = ab >= 0 ? INT64_C(1) << 30 : 1 - (INT64_C(1) << 30);
    return (int32_t)((ab + nudge) / (INT64_C(1) << 31));
}

int32_t shk_rounding_divide_by_pot(int32_t x, int exponent)
{
    int32_t mask = (int32_t)((INT64_C(1) << exponent) - 1);
    int32_t remainder = x & mask;
    int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

int32_t shk_mbqm(int32_t x, struct shk_multiplier m)
{
    int left = m.shift > 0 ? m.shift : 0;
    int right = m.shift > 0 ? 0 : -m.shift;
    int32_t shifted = (int32_t)((uint32_t)x << left);
    return shk_rounding_divide_by_pot(shk_srdhm(shifted, m.multiplier), right);
}

int32_t shk_round_half_away(double x)
{
    double r = round(x);
    if (r >= 2147483647.0)
        return INT32_MAX;
    if (r <= -2147483648.0)
        return INT32_MIN;
    return (int32_t)r;
}

static int32_t quantize_bound(float real, float scale, int32_t zero_point)
{
    int64_t q = (int64_t)zero_point + shk_round_half_away(roundf(real / scale));
    return (int32_t)SHK_CLAMP(q, INT8_MIN, INT8_MAX);
}

struct shk_range shk_activation_range(enum shk_activation activation, const struct shk_tensor *output)
{
    struct shk_range range = {INT8_MIN, INT8_MAX};
    if (output->quant.count == 0)
        return range;
    float scale = output->quant.scales[0];
    int32_t zero_point = output->quant.zero_points[0];
    if (activation == SHK_ACTIVATION_RELU || activation == SHK_ACTIVATION_RELU6)
        range.min = SHK_MAX(range.min, zero_point);
    if (activation == SHK_ACTIVATION_RELU6)
        range.max = quantize_bound(6.0f, scale, zero_point);
    if (activation == SHK_ACTIVATION_RELU_N1_TO_1) {
        range.min = quantize_bound(-1.0f, scale, zero_point);
        range.max = quantize_bound(1.0f, scale, zero_point);
    }
    return range;
}
