/* Pairs: a depthwise convolution in the kernel of the pointwise one behind it, with the reference's bytes; what does
 * not go together. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fusion_net.h"

/* The bytes, with every pair that there is in one kernel. Destroys the model. */
static void check(struct shk_model *model, uint32_t pairs)
{
    static const char *const variants[] = {"pair", "pair-32", "pair-dot", "pair-dot-32"};
    for (uint32_t v = 0; v < NET_VARIANTS(4u); v++)
        net_check_chains(model, variants[v], SHK_FUSION_PAIR, pairs);
    shk_model_destroy(&model);
}

START_TEST(a_depthwise_convolution_goes_into_the_pointwise_one_behind_it)
{
    static const int32_t filters[] = {1, 4, 31, 33, 70}; /* less than a slice, several, not a multiple of 4 */
    for (uint32_t i = 0; i < 5; i++) {
        struct net n = net_int8(5 + (int32_t)i);
        net_depthwise(&n, i % 2);
        net_pointwise(&n, filters[i], i % 2 ? NET_RELU6 : NET_PLAIN);
        check(net_finish(&n, &n.x, 1), 1);
    }
}
END_TEST

START_TEST(strides_dilations_and_multipliers_are_kept)
{
    static const char *const attrs[] = {
        "stride_w=2 stride_h=1 depth_multiplier=1", "stride_w=1 stride_h=3 depth_multiplier=1",
        "stride_w=1 stride_h=1 dilation_w_factor=2 dilation_h_factor=1 depth_multiplier=1"};
    static const int32_t sizes[][2] = {{NET_HEIGHT, NET_WIDTH / 2}, {3, NET_WIDTH}, {NET_HEIGHT, NET_WIDTH}};
    for (uint32_t i = 0; i < 3; i++) {
        struct net n = net_int8(6);
        int32_t x = n.x, w = net_constant(&n, 4, (int32_t[]){1, 5, 3, 6}, 0.002f);
        net_op(&n, "DEPTHWISE_CONV_2D", (int32_t[]){x, w}, 2, net_activation(&n, sizes[i][0], sizes[i][1], 6, -9),
               attrs[i]);
        net_pointwise(&n, 9, NET_PLAIN);
        check(net_finish(&n, &n.x, 1), 1);
    }
    struct net n = net_int8(3); /* two filters per channel: another kernel's */
    int32_t x = n.x, w = net_constant(&n, 4, (int32_t[]){1, 3, 3, 6}, 0.002f);
    net_op(&n, "DEPTHWISE_CONV_2D", (int32_t[]){x, w}, 2, net_activation(&n, NET_HEIGHT, NET_WIDTH, 6, -9),
           "stride_w=1 stride_h=1 depth_multiplier=2");
    net_pointwise(&n, 9, NET_PLAIN);
    check(net_finish(&n, &n.x, 1), 0);
}
END_TEST

START_TEST(weights_may_have_zero_points)
{
    for (int32_t channels = 4; channels < 8; channels++) {
        struct net n = net_of(SHK_DTYPE_UINT8, channels);
        n.weight_zero_point = channels % 2 ? 17 : -128;
        net_depthwise(&n, channels % 3 != 0);
        net_pointwise(&n, 9, NET_PLAIN);
        check(net_finish(&n, &n.x, 1), 1);
    }
}
END_TEST

START_TEST(what_either_absorbs_comes_along)
{
    struct net n = net_int8(6);
    net_pad(&n, 0, -3);
    net_depthwise(&n, false);
    net_pointwise(&n, 7, NET_PLAIN);
    net_leaky(&n, 2);
    check(net_finish(&n, &n.x, 1), 1);
    n = net_int8(6); /* an inverted residual: expansion, pair, sum */
    int32_t x = n.x;
    net_pointwise(&n, 13, NET_RELU6);
    net_depthwise(&n, true);
    net_pointwise(&n, 6, NET_PLAIN);
    net_add(&n, n.x, x, NULL);
    check(net_finish(&n, &n.x, 1), 1);
    n = net_int8(6); /* the sum is with what the pair reads: it must not be written there */
    x = n.x;
    net_depthwise(&n, true);
    net_pointwise(&n, 6, NET_PLAIN);
    net_add(&n, x, n.x, NULL);
    check(net_finish(&n, &n.x, 1), 1);
}
END_TEST

START_TEST(what_is_no_pair_stays)
{
    struct net n = net_int8(6); /* not pointwise */
    net_depthwise(&n, true);
    net_conv(&n, 4, true);
    check(net_finish(&n, &n.x, 1), 0);
    n = net_int8(6); /* somebody else reads what is between */
    net_depthwise(&n, true);
    int32_t outputs[2] = {n.x, 0};
    net_pointwise(&n, 6, NET_PLAIN);
    outputs[1] = n.x;
    check(net_finish(&n, outputs, 2), 0);
    n = net_int8(6); /* a table is between */
    net_depthwise(&n, true);
    net_leaky(&n, 2);
    net_pointwise(&n, 6, NET_PLAIN);
    check(net_finish(&n, &n.x, 1), 0);
    n = net_int8(6); /* a border is between */
    net_depthwise(&n, true);
    net_pad_behind(&n, 5);
    net_pointwise(&n, 6, NET_PLAIN);
    check(net_finish(&n, &n.x, 1), 0);
    n = net_int8(6); /* groups */
    net_depthwise(&n, true);
    int32_t x = n.x, w = net_constant(&n, 4, (int32_t[]){4, 1, 1, 3}, 0.01f);
    net_op(&n, "CONV_2D", (int32_t[]){x, w}, 2, net_activation(&n, n.height, n.width, 4, 5), NET_PLAIN);
    check(net_finish(&n, &n.x, 1), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("fusion-pair");
    TCase *tcase = tcase_create("fusion-pair");
    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, a_depthwise_convolution_goes_into_the_pointwise_one_behind_it);
    tcase_add_test(tcase, strides_dilations_and_multipliers_are_kept);
    tcase_add_test(tcase, weights_may_have_zero_points);
    tcase_add_test(tcase, what_either_absorbs_comes_along);
    tcase_add_test(tcase, what_is_no_pair_stays);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
