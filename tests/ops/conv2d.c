/* CONV_2D: every variant against the reference; models that must be refused.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conv_case.h"

static const char *const variants[] = {"uniform16", "storage", "split", NULL};

static const struct conv_shape shapes[] = {
    {.height = 9, .width = 7, .channels = 8, .filters = 16, .kernel_height = 1, .kernel_width = 1},
    {.height = 5, .width = 9, .channels = 7, .filters = 5, .kernel_height = 1, .kernel_width = 1, .stride_height = 2,
     .stride_width = 3, .no_bias = true},
    {.height = 8, .width = 8, .channels = 3, .filters = 24, .kernel_height = 3, .kernel_width = 3,
     .stride_height = 2, .stride_width = 2, .per_channel = true, .activation = SHK_ACTIVATION_RELU6},
    {.batch = 3, .height = 6, .width = 5, .channels = 9, .filters = 33, .kernel_height = 2, .kernel_width = 3,
     .padding = SHK_PADDING_VALID, .per_channel = true, .gain = 100.0f},
    {.height = 11, .width = 12, .channels = 4, .filters = 6, .kernel_height = 3, .kernel_width = 5,
     .dilation_height = 3, .dilation_width = 2, .gain = 0.001f, .activation = SHK_ACTIVATION_RELU},
    {.height = 7, .width = 7, .channels = 5, .filters = 7, .kernel_height = 3, .kernel_width = 3, .legacy = true},
    {.height = 10, .width = 10, .channels = 20, .filters = 50, .kernel_height = 1, .kernel_width = 1,
     .legacy = true, .activation = SHK_ACTIVATION_RELU6},
    {.height = 1, .width = 1, .channels = 256, .filters = 40, .kernel_height = 1, .kernel_width = 1},
    {.height = 3, .width = 3, .channels = 600, .filters = 9, .kernel_height = 3, .kernel_width = 3,
     .activation = SHK_ACTIVATION_RELU_N1_TO_1, .per_channel = true}, /* 4 channels are above 16 KiB */
    /* multipliers above 1, at 2^-30 and below 2^-31 */
    {.height = 4, .width = 4, .channels = 2, .filters = 6, .kernel_height = 1, .kernel_width = 1, .gain = 1e5f},
    {.height = 4, .width = 4, .channels = 512, .filters = 6, .kernel_height = 1, .kernel_width = 1, .gain = 3e-6f},
    {.height = 4, .width = 4, .channels = 2, .filters = 6, .kernel_height = 1, .kernel_width = 1, .gain = 1e-9f},
};

/* Groups whose channels fill words and slices, cross them, and are smaller than them. */
static const struct conv_shape grouped[] = {
    {.channels = 8, .filters = 32, .groups = 2},  {.channels = 12, .filters = 24, .groups = 4},
    {.channels = 6, .filters = 9, .groups = 3},   {.channels = 10, .filters = 30, .groups = 10},
    {.channels = 20, .filters = 20, .groups = 5}, {.channels = 64, .filters = 64, .groups = 32},
    {.channels = 15, .filters = 25, .groups = 5}, {.channels = 24, .filters = 48, .groups = 3},
    {.channels = 18, .filters = 24, .groups = 3},
};

START_TEST(test_shapes)
{
    conv_case_run("CONV_2D", &shapes[_i], CONV_WEIGHTS_RANDOM, 100 + (uint64_t)_i, variants);
}
END_TEST

START_TEST(test_groups)
{
    struct conv_shape s = grouped[_i / 2];
    s.height = 5;
    s.width = 6;
    s.kernel_height = s.kernel_width = _i % 3 == 0 ? 1 : 3;
    s.legacy = _i % 2 == 1;
    s.per_channel = !s.legacy;
    conv_case_run("CONV_2D", &s, CONV_WEIGHTS_RANDOM, 200 + (uint64_t)_i, variants);
}
END_TEST

/* The largest sums there are: all weights and all inputs at the ends of their ranges. */
START_TEST(test_extreme_weights)
{
    struct conv_shape s = {.height = 4, .width = 4, .channels = 512, .filters = 8, .kernel_height = 3,
                           .kernel_width = 3, .gain = _i % 2 ? 0.01f : 10.0f, .legacy = _i / 2 % 2 == 1};
    conv_case_run("CONV_2D", &s, _i / 4 ? CONV_WEIGHTS_MAX : CONV_WEIGHTS_MIN, 300 + (uint64_t)_i, NULL);
}
END_TEST

static struct op_case valid_case(void)
{
    static const float scale = 0.01f;
    static const int8_t weights[4 * 3 * 3 * 8];
    static const int32_t bias[8];
    struct op_case c = op_case("CONV_2D", "refused");
    op_case_input(&c, SHK_DTYPE_INT8, 4, (int32_t[]){1, 6, 6, 8}, 0.1f, 3);
    op_case_constant(&c, SHK_DTYPE_INT8, 4, (int32_t[]){4, 3, 3, 8}, 1, &scale, NULL, 0, weights);
    op_case_constant(&c, SHK_DTYPE_INT32, 1, (int32_t[]){4}, 0, NULL, NULL, 0, bias);
    op_case_output(&c, SHK_DTYPE_INT8, 4, (int32_t[]){1, 6, 6, 4}, 0.1f, 3);
    op_case_attr(&c, "stride_h", 1);
    op_case_attr(&c, "stride_w", 1);
    return c;
}

START_TEST(test_refused)
{
    struct op_case c = valid_case();
    c.attrs[0].value = 0;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "stride 0");

    c = valid_case();
    op_case_attr(&c, "fused_activation_function", SHK_ACTIVATION_TANH);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "activation");

    c = valid_case();
    c.outputs[0].desc.shape.dims[1] = 5;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "1x6x6x4");

    c = valid_case();
    c.inputs[1].desc.shape = (struct shk_shape){4, {1, 288, 1, 1}};
    op_case_attr(&c, "dilation_h_factor", 65536);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "larger than");

    c = valid_case();
    c.inputs[0].desc.shape.dims[3] = 12; /* no whole number of groups of depth 8 */
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "groups");

    c = valid_case();
    c.inputs[0].desc.shape.dims[3] = 24; /* 3 groups, 4 filters */
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "groups");

    c = valid_case();
    c.inputs[0].desc.dtype = SHK_DTYPE_FLOAT32;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "float32");

    c = valid_case();
    c.inputs[1].desc.data = NULL;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "constant");

    c = valid_case();
    c.inputs[2].desc.shape.dims[0] = 8;
    c.inputs[2].desc.data_bytes = 32;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "bias");

    c = valid_case();
    c.inputs[0].desc.shape.dims[1] = 2;
    op_case_attr(&c, "padding", SHK_PADDING_VALID);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "does not fit");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv2d");
    TCase *tcase = tcase_create("conv2d");
    tcase_set_timeout(tcase, 0);
    tcase_add_loop_test(tcase, test_shapes, 0, (int)SHK_ARRAY_LEN(shapes));
    tcase_add_loop_test(tcase, test_groups, 0, 2 * (int)SHK_ARRAY_LEN(grouped));
    tcase_add_loop_test(tcase, test_extreme_weights, 0, 8);
    tcase_add_test(tcase, test_refused);
    suite_add_tcase(suite, tcase);
    return op_case_main(suite);
}
