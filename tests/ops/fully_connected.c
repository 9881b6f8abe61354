/* FULLY_CONNECTED: both roundings, exact halves and the ends of the range; models that must be refused.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>

#include "op_case.h"

struct shape {
    int32_t dims[4]; /* of the input */
    int32_t depth, channels;
    bool legacy, per_channel, no_bias;
    float scale_in, scale_weights, scale_out;
};

/* Where the real multiplier is a power of two every second or fourth sum is an exact half. */
static const struct shape shapes[] = {
    {{1, 1, 1, 64}, 64, 10, .scale_in = 0.05f, .scale_weights = 0.004f, .scale_out = 0.3f},
    {{5, 1, 1, 33}, 33, 7, .per_channel = true, .scale_in = 0.1f, .scale_weights = 0.007f, .scale_out = 0.5f},
    {{1, 2, 3, 6}, 36, 9, .scale_in = 0.1f, .scale_weights = 0.01f, .scale_out = 1.0f},
    {{4, 3, 1, 5}, 15, 3, .legacy = true, .scale_in = 0.1f, .scale_weights = 0.01f, .scale_out = 0.7f},
    {{2, 1, 1, 128}, 128, 130, .legacy = true, .no_bias = true, .scale_in = 0.02f, .scale_weights = 0.01f,
     .scale_out = 0.4f},
    {{3, 1, 1, 40}, 40, 64, .scale_in = 0.5f, .scale_weights = 0.5f, .scale_out = 256.0f},
    {{3, 1, 1, 40}, 40, 64, .scale_in = 1.0f, .scale_weights = 1.0f, .scale_out = 2.0f},
    {{3, 1, 1, 7}, 7, 21, .scale_in = 1000.0f, .scale_weights = 1000.0f, .scale_out = 1e-3f},
    {{3, 1, 1, 7}, 7, 21, .scale_in = 1e-20f, .scale_weights = 1e-20f, .scale_out = 1e10f},
    {{9, 1, 1, 300}, 300, 33, .scale_in = 0.3333333f, .scale_weights = 0.0033333f, .scale_out = 2.9999999f},
};

static void run(const struct shape *s, uint64_t seed, int32_t activation)
{
    uint64_t state = seed;
    size_t count = (size_t)s->depth * (size_t)s->channels, n = (size_t)s->channels;
    int8_t *weights = malloc(count);
    int32_t *bias = malloc(n * sizeof(*bias)), *zero_points = calloc(n, sizeof(*zero_points));
    float *scales = malloc(n * sizeof(*scales));
    op_random_int8(&state, weights, count);
    for (size_t i = 0; i < n; i++) {
        bias[i] = op_random_range(&state, -3000, 3000);
        scales[i] = s->scale_weights * (i == 0 ? 1.0f : op_random_float(&state, 0.2f, 2.0f));
    }
    if (s->per_channel && n > 1)
        scales[n / 2] = 0.0f; /* a dead channel */
    enum shk_dtype dtype = s->legacy ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8;
    int32_t offset = s->legacy ? 128 : 0;
    if (!s->per_channel)
        zero_points[0] = op_random_range(&state, -128, 127) + offset;
    struct op_case c = op_case("FULLY_CONNECTED", "random");
    c.seed = seed;
    op_case_input(&c, dtype, 4, s->dims, s->scale_in, op_random_range(&state, -128, 127) + offset);
    op_case_constant(&c, dtype, 2, (int32_t[]){s->channels, s->depth}, s->per_channel ? (uint32_t)n : 1, scales,
                     zero_points, 0, weights);
    if (s->no_bias)
        op_case_absent(&c);
    else
        op_case_constant(&c, SHK_DTYPE_INT32, 1, &s->channels, 0, NULL, NULL, 0, bias);
    int32_t vectors = s->dims[0] * s->dims[1] * s->dims[2] * s->dims[3] / s->depth;
    op_case_output(&c, dtype, 2, (int32_t[]){vectors, s->channels}, s->scale_out,
                   op_random_range(&state, -20, 20) + offset);
    op_case_attr(&c, "fused_activation_function", activation);
    op_case_run(&c);
    free(weights);
    free(bias);
    free(zero_points);
    free(scales);
}

START_TEST(test_shapes)
{
    run(&shapes[_i], 600 + (uint64_t)_i, _i % 3 == 2 ? SHK_ACTIVATION_RELU : SHK_ACTIVATION_NONE);
}
END_TEST

/* Sums chosen by the bias alone, so that products land on and next to exact halves. */
START_TEST(test_halves)
{
    enum { CHANNELS = 4096 };
    static int8_t weights[CHANNELS];
    static int32_t bias[CHANNELS];
    static const float outputs[] = {2.0f, 64.0f, 1024.0f, 3.0f, 7.0f, 1e6f, 0.7f, 0x1p24f};
    const float one = 1.0f, sy = outputs[_i];
    uint64_t state = 7;
    for (int i = 0; i < CHANNELS; i++) {
        double target = op_random_range(&state, -140, 140) + 0.5;
        bias[i] = (int32_t)SHK_CLAMP(round(target * (double)sy) + op_random_range(&state, -1, 1), -2e9, 2e9);
    }
    struct op_case c = op_case("FULLY_CONNECTED", "halves");
    op_case_input(&c, SHK_DTYPE_INT8, 2, (int32_t[]){1, 1}, 1.0f, 0);
    op_case_constant(&c, SHK_DTYPE_INT8, 2, (int32_t[]){CHANNELS, 1}, 1, &one, NULL, 0, weights);
    op_case_constant(&c, SHK_DTYPE_INT32, 1, (int32_t[]){CHANNELS}, 0, NULL, NULL, 0, bias);
    op_case_output(&c, SHK_DTYPE_INT8, 2, (int32_t[]){1, CHANNELS}, sy, 0);
    op_case_run(&c);
}
END_TEST

START_TEST(test_refused)
{
    static const float scale = 0.01f;
    static const int8_t weights[3 * 6];
    struct op_case c = op_case("FULLY_CONNECTED", "refused");
    op_case_input(&c, SHK_DTYPE_INT8, 2, (int32_t[]){1, 8}, 0.1f, 3);
    op_case_constant(&c, SHK_DTYPE_INT8, 2, (int32_t[]){3, 6}, 1, &scale, NULL, 0, weights);
    op_case_absent(&c);
    op_case_output(&c, SHK_DTYPE_INT8, 2, (int32_t[]){1, 3}, 0.1f, 3);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "whole vectors");
    c.inputs[0].desc.shape.dims[1] = 6;
    c.outputs[0].desc.shape.dims[1] = 4;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "1 vectors of 3");
    c.outputs[0].desc.shape.dims[1] = 3;
    op_case_attr(&c, "weights_format", 1);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "weights format");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fully_connected");
    TCase *tcase = tcase_create("fully_connected");
    tcase_set_timeout(tcase, 0);
    tcase_add_loop_test(tcase, test_shapes, 0, (int)SHK_ARRAY_LEN(shapes));
    tcase_add_loop_test(tcase, test_halves, 0, 8);
    tcase_add_test(tcase, test_refused);
    suite_add_tcase(suite, tcase);
    return op_case_main(suite);
}
