/* Inverted residuals: a depthwise convolution and the pointwise ones around it in one kernel, with the reference's
 * bytes; what does not go together. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fusion_net.h"
#include "util.h"

/* The bytes, with so many inverted residuals in a kernel each. Destroys the model. */
static void check(struct shk_model *model, uint32_t inverted)
{
    static const char *const variants[] = {"inverted", "inverted-dot"};
    for (uint32_t v = 0; v < NET_VARIANTS(2u); v++)
        net_check_chains(model, variants[v], SHK_FUSION_INVERTED, 2 * inverted);
    shk_model_destroy(&model);
}

/* Height, width, channels, expanded ones, projected ones: around the sizes of tiles (4 x 8), chunks (16) and slices. */
static const int32_t sizes[][5] = {{7, 6, 5, 13, 6},  {1, 1, 1, 1, 1},   {4, 8, 4, 16, 32},    {5, 9, 8, 17, 33},
                                   {12, 3, 3, 15, 4}, {9, 17, 6, 64, 9}, {4, 16, 33, 132, 70}, {13, 8, 24, 36, 31}};

START_TEST(all_three_are_one_kernel)
{
    const int32_t *size = sizes[_i];
    struct net n = net_sized(SHK_DTYPE_INT8, size[0], size[1], size[2]);
    net_pointwise(&n, size[3], _i % 2 ? NET_PLAIN : NET_RELU6);
    net_depthwise(&n, true);
    net_pointwise(&n, size[4], _i % 3 ? NET_PLAIN : NET_RELU6);
    check(net_finish(&n, &n.x, 1), 1);
}
END_TEST

/* Kernel (height, width), output (height, width), attributes, of 11 x 21. */
static const struct {
    int32_t kernel[2], out[2];
    const char *attrs;
    uint32_t inverted;
} windows[] = {
    {{5, 5}, {11, 21}, NET_PLAIN " depth_multiplier=1", 1},
    {{3, 3}, {6, 11}, "stride_w=2 stride_h=2 depth_multiplier=1", 1},
    {{5, 3}, {4, 21}, "stride_w=1 stride_h=3 depth_multiplier=1", 1},
    {{3, 5}, {11, 7}, "stride_w=3 stride_h=1 depth_multiplier=1", 1},
    {{7, 7}, {11, 21}, NET_PLAIN " depth_multiplier=1", 1},
    {{1, 1}, {6, 11}, "stride_w=2 stride_h=2 depth_multiplier=1", 1},
    {{3, 3}, {11, 21}, NET_PLAIN " dilation_w_factor=2 dilation_h_factor=3 depth_multiplier=1", 1},
    {{2, 4}, {10, 18}, NET_PLAIN " padding=VALID depth_multiplier=1", 1},
    {{7, 7}, {4, 7}, "stride_w=3 stride_h=3 depth_multiplier=1", 0}, /* sees 16 x 28 */
};

START_TEST(windows_are_kept)
{
    const int32_t *k = windows[_i].kernel, *out = windows[_i].out;
    struct net n = net_sized(SHK_DTYPE_INT8, 11, 21, 6);
    net_pointwise(&n, 21, NET_RELU6);
    int32_t x = n.x, w = net_constant(&n, 4, (int32_t[]){1, k[0], k[1], 21}, 0.002f);
    net_op(&n, "DEPTHWISE_CONV_2D", (int32_t[]){x, w}, 2, net_activation(&n, out[0], out[1], 21, -9),
           windows[_i].attrs);
    net_pointwise(&n, 9, NET_PLAIN);
    check(net_finish(&n, &n.x, 1), windows[_i].inverted);
}
END_TEST

/* But those of the expansion. */
START_TEST(weights_may_have_zero_points)
{
    for (int32_t first = 0; first < 2; first++) {
        struct net n = net_of(SHK_DTYPE_UINT8, 6);
        n.weight_zero_point = first ? 17 : 0;
        net_pointwise(&n, 18, NET_RELU6);
        n.weight_zero_point = -128;
        net_depthwise(&n, true);
        n.weight_zero_point = 9;
        net_pointwise(&n, 10, NET_PLAIN);
        check(net_finish(&n, &n.x, 1), first ? 0 : 1);
    }
}
END_TEST

START_TEST(what_they_absorb_comes_along)
{
    struct net n =
        net_sized(SHK_DTYPE_INT8, 9, 10, 6); /* the sum is with what the expansion reads, around each pixel */
    int32_t x = n.x;
    net_pointwise(&n, 24, NET_RELU6);
    net_depthwise(&n, true);
    net_pointwise(&n, 6, NET_PLAIN);
    net_add(&n, n.x, x, NULL);
    check(net_finish(&n, &n.x, 1), 1);
    n = net_int8(6); /* a border between expansion and depthwise convolution, of the zero point */
    net_pointwise(&n, 11, NET_PLAIN);
    net_pad_behind(&n, 5);
    net_depthwise(&n, false);
    net_pointwise(&n, 7, NET_PLAIN);
    net_leaky(&n, 2);
    check(net_finish(&n, &n.x, 1), 1);
    n = net_int8(6); /* two of them: the second begins with a convolution that nobody else absorbed */
    net_pointwise(&n, 16, NET_RELU6);
    net_depthwise(&n, true);
    net_pointwise(&n, 8, NET_PLAIN);
    net_pointwise(&n, 32, NET_RELU6);
    net_depthwise(&n, true);
    net_pointwise(&n, 8, NET_PLAIN);
    check(net_finish(&n, &n.x, 1), 2);
}
END_TEST

START_TEST(what_is_none_stays)
{
    struct net n = net_int8(6); /* somebody else reads what was expanded */
    net_pointwise(&n, 12, NET_PLAIN);
    int32_t outputs[2] = {0, n.x};
    net_depthwise(&n, true);
    net_pointwise(&n, 6, NET_PLAIN);
    outputs[0] = n.x;
    check(net_finish(&n, outputs, 2), 0);
    n = net_int8(6); /* ... through a PAD that two ops absorb */
    net_pointwise(&n, 12, NET_PLAIN);
    net_pad_behind(&n, 5);
    int32_t padded = n.x;
    net_depthwise(&n, false);
    net_pointwise(&n, 6, NET_PLAIN);
    outputs[0] = n.x;
    net_activation(&n, NET_HEIGHT + 2, NET_WIDTH + 2, 12, 5); /* the shape of `padded` again */
    n.x = padded;
    net_depthwise(&n, false);
    net_pointwise(&n, 6, NET_PLAIN);
    outputs[1] = n.x;
    check(net_finish(&n, outputs, 2), 0);
    n = net_int8(6); /* not pointwise */
    net_conv(&n, 12, true);
    net_depthwise(&n, true);
    net_pointwise(&n, 6, NET_PLAIN);
    check(net_finish(&n, &n.x, 1), 0);
    n = net_int8(6); /* a table is between */
    net_pointwise(&n, 12, NET_PLAIN);
    net_leaky(&n, 2);
    net_depthwise(&n, true);
    net_pointwise(&n, 6, NET_PLAIN);
    check(net_finish(&n, &n.x, 1), 0);
    n = net_int8(6); /* the expansion's own border: what is outside is not the zero point there */
    net_pad_behind(&n, -3);
    net_pointwise(&n, 12, NET_PLAIN);
    net_depthwise(&n, true);
    net_pointwise(&n, 6, NET_PLAIN);
    check(net_finish(&n, &n.x, 1), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("fusion-inverted");
    TCase *tcase = tcase_create("fusion-inverted");
    tcase_set_timeout(tcase, 0);
    tcase_add_loop_test(tcase, all_three_are_one_kernel, 0, (int)SHK_ARRAY_LEN(sizes));
    tcase_add_loop_test(tcase, windows_are_kept, 0, (int)SHK_ARRAY_LEN(windows));
    tcase_add_test(tcase, weights_may_have_zero_points);
    tcase_add_test(tcase, what_they_absorb_comes_along);
    tcase_add_test(tcase, what_is_none_stays);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
