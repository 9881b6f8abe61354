/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conv_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arrays {
    uint8_t *weights;
    int32_t *bias;
    float *scales;
    int32_t *zero_points;
};

static void fill_weights(uint8_t *w, size_t count, enum conv_weights how, bool legacy, uint64_t *state)
{
    uint8_t min = legacy ? 0 : 0x80, max = legacy ? 0xff : 0x7f;
    for (size_t i = 0; i < count; i++)
        w[i] = how == CONV_WEIGHTS_RANDOM ? (uint8_t)op_random(state) : how == CONV_WEIGHTS_MIN ? min : max;
}

static struct arrays make_arrays(const struct conv_shape *s, size_t weight_count, enum conv_weights how,
                                 uint64_t *state)
{
    size_t n = (size_t)s->filters;
    struct arrays a = {malloc(weight_count), malloc(n * 4), malloc(n * 4), calloc(n, 4)};
    fill_weights(a.weights, weight_count, how, s->legacy, state);
    for (size_t i = 0; i < n; i++) {
        a.bias[i] = op_random_range(state, -20000, 20000);
        a.scales[i] = op_random_float(state, 0.001f, 0.02f);
    }
    if (s->per_channel && n > 1)
        a.scales[n / 2] = 0.0f; /* a dead channel */
    if (s->legacy)
        a.zero_points[0] = op_random_range(state, 0, 255);
    return a;
}

static int32_t at_least_one(int32_t x)
{
    return x ? x : 1;
}

void conv_case_run(const char *op, const struct conv_shape *shape, enum conv_weights how, uint64_t seed,
                   const char *const *variants)
{
    struct conv_shape s = *shape;
    uint64_t state = seed;
    char label[160];
    bool depthwise = strcmp(op, "DEPTHWISE_CONV_2D") == 0;
    int32_t depth = depthwise ? 1 : s.channels / at_least_one(s.groups);
    int32_t sh = at_least_one(s.stride_height), sw = at_least_one(s.stride_width);
    int32_t dh = at_least_one(s.dilation_height), dw = at_least_one(s.dilation_width);
    int32_t taps = s.kernel_height * s.kernel_width;
    int32_t oh = shk_window_compute(s.height, s.kernel_height, sh, dh, s.padding).output;
    int32_t ow = shk_window_compute(s.width, s.kernel_width, sw, dw, s.padding).output;
    enum shk_dtype dtype = s.legacy ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8;
    int32_t offset = s.legacy ? 128 : 0;
    struct arrays a = make_arrays(&s, (size_t)s.filters * taps * depth, how, &state);

    snprintf(label, sizeof(label), "%dx%dx%dx%d to %d, %dx%d groups %d stride %dx%d dilation %dx%d seed %d%s",
             at_least_one(s.batch), s.height, s.width, s.channels, s.filters, s.kernel_height, s.kernel_width,
             s.groups, sh, sw, dh, dw, (int)seed, s.legacy ? " legacy" : "");
    struct op_case c = op_case(op, label);
    c.seed = seed;
    c.variants = variants;
    float sx = op_random_float(&state, 0.005f, 0.1f);
    float sy = sx * 0.01f * 5000.0f * sqrtf((float)(taps * depth)) / 64.0f / (s.gain > 0.0f ? s.gain : 1.0f);
    op_case_input(&c, dtype, 4, (int32_t[]){at_least_one(s.batch), s.height, s.width, s.channels}, sx,
                  op_random_range(&state, -128, 127) + offset);
    int32_t conv_dims[] = {s.filters, s.kernel_height, s.kernel_width, depth};
    int32_t depthwise_dims[] = {1, s.kernel_height, s.kernel_width, s.filters};
    op_case_constant(&c, dtype, 4, depthwise ? depthwise_dims : conv_dims,
                     s.per_channel ? (uint32_t)s.filters : 1, a.scales, a.zero_points, depthwise ? 3 : 0,
                     a.weights);
    if (!s.no_bias)
        op_case_constant(&c, SHK_DTYPE_INT32, 1, &s.filters, 0, NULL, NULL, 0, a.bias);
    op_case_output(&c, dtype, 4, (int32_t[]){at_least_one(s.batch), oh, ow, s.filters}, sy,
                   op_random_range(&state, -128, 127) + offset);
    op_case_attr(&c, "stride_h", sh);
    op_case_attr(&c, "stride_w", sw);
    op_case_attr(&c, "dilation_h_factor", dh);
    op_case_attr(&c, "dilation_w_factor", dw);
    op_case_attr(&c, "padding", s.padding);
    op_case_attr(&c, "fused_activation_function", s.activation);
    op_case_run(&c);
    free(a.weights);
    free(a.bias);
    free(a.scales);
    free(a.zero_points);
}
