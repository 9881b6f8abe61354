/* DEPTHWISE_CONV_2D: every variant against the reference; models that must be refused.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conv_case.h"

static const char *const variants[] = {"uniform16", "storage", "any", NULL};

static const struct conv_shape shapes[] = {
    {.height = 9, .width = 11, .channels = 8, .filters = 8, .kernel_height = 3, .kernel_width = 3},
    {.height = 10, .width = 9, .channels = 5, .filters = 5, .kernel_height = 3, .kernel_width = 3,
     .stride_height = 2, .stride_width = 2, .per_channel = true, .activation = SHK_ACTIVATION_RELU6},
    {.height = 9, .width = 9, .channels = 12, .filters = 12, .kernel_height = 3, .kernel_width = 3, .legacy = true},
    {.height = 6, .width = 7, .channels = 3, .filters = 12, .kernel_height = 3, .kernel_width = 3, .legacy = true},
    {.batch = 2, .height = 6, .width = 7, .channels = 5, .filters = 10, .kernel_height = 2, .kernel_width = 4,
     .padding = SHK_PADDING_VALID, .per_channel = true, .gain = 100.0f},
    {.height = 13, .width = 14, .channels = 6, .filters = 6, .kernel_height = 5, .kernel_width = 5,
     .stride_height = 1, .stride_width = 2, .gain = 0.001f},
    {.height = 12, .width = 15, .channels = 7, .filters = 7, .kernel_height = 7, .kernel_width = 7, .no_bias = true},
    {.height = 12, .width = 12, .channels = 4, .filters = 4, .kernel_height = 3, .kernel_width = 3,
     .dilation_height = 3, .dilation_width = 2},
    {.height = 12, .width = 12, .channels = 4, .filters = 4, .kernel_height = 3, .kernel_width = 3,
     .dilation_height = 4, .activation = SHK_ACTIVATION_RELU},
    {.batch = 3, .height = 5, .width = 5, .channels = 1, .filters = 8, .kernel_height = 3, .kernel_width = 3,
     .per_channel = true},
    {.height = 20, .width = 30, .channels = 2, .filters = 2, .kernel_height = 1, .kernel_width = 21,
     .activation = SHK_ACTIVATION_RELU_N1_TO_1},
    {.height = 3, .width = 6, .channels = 900, .filters = 900, .kernel_height = 3, .kernel_width = 3,
     .per_channel = true}, /* above 16 KiB */
    {.height = 20, .width = 20, .channels = 3, .filters = 3, .kernel_height = 3, .kernel_width = 3,
     .stride_height = 7, .stride_width = 7},
};

START_TEST(test_shapes)
{
    conv_case_run("DEPTHWISE_CONV_2D", &shapes[_i], CONV_WEIGHTS_RANDOM, 400 + (uint64_t)_i, variants);
}
END_TEST

START_TEST(test_extreme_weights)
{
    struct conv_shape s = {.height = 8, .width = 8, .channels = 6, .filters = 6, .kernel_height = 5,
                           .kernel_width = 5, .gain = _i % 2 ? 0.01f : 10.0f, .legacy = _i / 2 % 2 == 1};
    conv_case_run("DEPTHWISE_CONV_2D", &s, _i / 4 ? CONV_WEIGHTS_MAX : CONV_WEIGHTS_MIN, 500 + (uint64_t)_i,
                  variants);
}
END_TEST

START_TEST(test_refused)
{
    static const float scale = 0.01f;
    static const int8_t weights[3 * 3 * 6];
    struct op_case c = op_case("DEPTHWISE_CONV_2D", "refused");
    op_case_input(&c, SHK_DTYPE_INT8, 4, (int32_t[]){1, 6, 6, 4}, 0.1f, 3);
    op_case_constant(&c, SHK_DTYPE_INT8, 4, (int32_t[]){1, 3, 3, 6}, 1, &scale, NULL, 0, weights);
    op_case_output(&c, SHK_DTYPE_INT8, 4, (int32_t[]){1, 6, 6, 6}, 0.1f, 3);
    op_case_attr(&c, "stride_h", 1);
    op_case_attr(&c, "stride_w", 1);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "6 filters");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("depthwise");
    TCase *tcase = tcase_create("depthwise");
    tcase_set_timeout(tcase, 0);
    tcase_add_loop_test(tcase, test_shapes, 0, (int)SHK_ARRAY_LEN(shapes));
    tcase_add_loop_test(tcase, test_extreme_weights, 0, 8);
    tcase_add_test(tcase, test_refused);
    suite_add_tcase(suite, tcase);
    return op_case_main(suite);
}
