/* The only fixed-point arithmetic in C: TensorFlow Lite's reference rounding, bit for bit.
 * Source: tflite/kernels/internal/{common,quantization_util}.cc, gemmlowp/fixedpoint/fixedpoint.h.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_QUANT_H
#define SHK_QUANT_H

#include "op.h"

/* real = multiplier * 2^(shift - 31); multiplier in [2^30, 2^31) or 0. */
struct shk_multiplier {
    int32_t multiplier;
    int32_t shift; /* positive: left */
};

/* QuantizeMultiplier. `real` must be finite and >= 0. */
struct shk_multiplier shk_quantize_multiplier(double real);
/* SaturatingRoundingDoublingHighMul. */
int32_t shk_srdhm(int32_t a, int32_t b);
/* RoundingDivideByPOT, 0 <= exponent <= 31. */
int32_t shk_rounding_divide_by_pot(int32_t x, int exponent);
/* MultiplyByQuantizedMultiplier (double rounding). The left shift wraps like the hardware's. */
int32_t shk_mbqm(int32_t x, struct shk_multiplier m);

/* Halves away from zero; the result saturates to int32. */
int32_t shk_round_half_away(double x);

/* CalculateActivationRangeQuantized for an int8 output tensor (legacy uint8 mapped: the range follows the
 * mapped zero point). */
struct shk_range {
    int32_t min, max;
};
struct shk_range shk_activation_range(enum shk_activation activation, const struct shk_tensor *output);

#endif
