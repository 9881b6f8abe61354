/* Pairs: a depthwise convolution in the kernel of the pointwise one behind it, with the reference's bytes; what does
 * not go together; what the tuner chooses and the cache remembers. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shrike/tune.h>

#include "fusion_net.h"

static struct shk_error error;

static void net_pointwise(struct net *n, int32_t filters, const char *attrs)
{
    int32_t x = n->x, w = net_constant(n, 4, (int32_t[]){filters, 1, 1, n->channels}, 0.01f);
    net_op(n, "CONV_2D", (int32_t[]){x, w}, 2, net_activation(n, n->height, n->width, filters, 5), attrs);
}

#define PLAIN "stride_w=1 stride_h=1"

/* The bytes, with every pair that there is in one kernel. Destroys the model. */
static void check(struct shk_model *model, uint32_t pairs)
{
    static const char *const variants[] = {"pair", "pair-32"};
    uint32_t count = shk_model_op_count(model), into[16];
    uint32_t separate = net_dispatches(model, 0);
    ck_assert_uint_le(count, 16);
    for (uint32_t v = 0; v < 2; v++) {
        setenv("SHRIKE_FORCE_VARIANT", variants[v], 1);
        ck_assert_uint_eq(net_dispatches(model, 0), separate - pairs);
        ck_assert_uint_eq(net_dispatches(model, SHK_FUSION_PAIR), separate);
        test_ok(shk_model_get_fusion(model, 0, into, count, &error), &error);
        net_check_without(shk_model_ref(model), 0, into); /* drops the reference */
    }
    unsetenv("SHRIKE_FORCE_VARIANT");
    shk_model_destroy(&model);
}

START_TEST(a_depthwise_convolution_goes_into_the_pointwise_one_behind_it)
{
    static const int32_t filters[] = {1, 4, 31, 33, 70}; /* less than a slice, several, not a multiple of 4 */
    for (uint32_t i = 0; i < 5; i++) {
        struct net n = net_int8(5 + (int32_t)i);
        net_depthwise(&n, i % 2);
        net_pointwise(&n, filters[i], i % 2 ? PLAIN " fused_activation_function=RELU6" : PLAIN);
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
        net_pointwise(&n, 9, PLAIN);
        check(net_finish(&n, &n.x, 1), 1);
    }
    struct net n = net_int8(3); /* two filters per channel: another kernel's */
    int32_t x = n.x, w = net_constant(&n, 4, (int32_t[]){1, 3, 3, 6}, 0.002f);
    net_op(&n, "DEPTHWISE_CONV_2D", (int32_t[]){x, w}, 2, net_activation(&n, NET_HEIGHT, NET_WIDTH, 6, -9),
           "stride_w=1 stride_h=1 depth_multiplier=2");
    net_pointwise(&n, 9, PLAIN);
    check(net_finish(&n, &n.x, 1), 0);
}
END_TEST

START_TEST(weights_may_have_zero_points)
{
    for (int32_t channels = 4; channels < 8; channels++) {
        struct net n = net_of(SHK_DTYPE_UINT8, channels);
        n.weight_zero_point = channels % 2 ? 17 : -128;
        net_depthwise(&n, channels % 3 != 0);
        net_pointwise(&n, 9, PLAIN);
        check(net_finish(&n, &n.x, 1), 1);
    }
}
END_TEST

START_TEST(what_either_absorbs_comes_along)
{
    struct net n = net_int8(6);
    net_pad(&n, 0, -3);
    net_depthwise(&n, false);
    net_pointwise(&n, 7, PLAIN);
    net_leaky(&n, 2);
    check(net_finish(&n, &n.x, 1), 1);
    n = net_int8(6); /* an inverted residual: expansion, pair, sum */
    int32_t x = n.x;
    net_pointwise(&n, 13, PLAIN " fused_activation_function=RELU6");
    net_depthwise(&n, true);
    net_pointwise(&n, 6, PLAIN);
    net_add(&n, n.x, x, NULL);
    check(net_finish(&n, &n.x, 1), 1);
    n = net_int8(6); /* the sum is with what the pair reads: it must not be written there */
    x = n.x;
    net_depthwise(&n, true);
    net_pointwise(&n, 6, PLAIN);
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
    net_pointwise(&n, 6, PLAIN);
    outputs[1] = n.x;
    check(net_finish(&n, outputs, 2), 0);
    n = net_int8(6); /* a table is between */
    net_depthwise(&n, true);
    net_leaky(&n, 2);
    net_pointwise(&n, 6, PLAIN);
    check(net_finish(&n, &n.x, 1), 0);
    n = net_int8(6); /* groups */
    net_depthwise(&n, true);
    int32_t x = n.x, w = net_constant(&n, 4, (int32_t[]){4, 1, 1, 3}, 0.01f);
    net_op(&n, "CONV_2D", (int32_t[]){x, w}, 2, net_activation(&n, n.height, n.width, 4, 5), PLAIN);
    check(net_finish(&n, &n.x, 1), 0);
}
END_TEST

/* ---- the tuner ---- */

static void remove_folder(const char *dir)
{
    DIR *folder = opendir(dir);
    char path[512];
    for (struct dirent *e; folder && (e = readdir(folder));) {
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (folder)
        closedir(folder);
    rmdir(dir);
}

/* In every "use" line of the cache's file of choices that is about a pair. */
static void choose_pairs(const char *dir)
{
    char command[512];
    snprintf(command, sizeof(command), "sed -i 's/^\\(use\\tPAIR [^\\t]*\\)\\t[^\\t]*/\\1\\tpair/' %s/*tuned*", dir);
    ck_assert_int_eq(system(command), 0);
}

/* Op 0 goes into op 1 or not, as sessions with that cache have it. */
static uint32_t dispatches(struct shk_model *model, const char *dir)
{
    uint32_t into[2];
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session_info info;
    struct shk_session *session = NULL;
    params.cache_dir = dir;
    test_ok(shk_session_create(test_device(), model, &params, &session, &error), &error);
    shk_session_get_info(session, &info);
    test_ok(shk_session_get_fusion(session, into, 2, &error), &error);
    ck_assert_int_eq(shk_session_get_fusion(session, into, 1, &error), SHK_ERROR_INVALID_ARGUMENT);
    shk_session_destroy(&session);
    ck_assert_uint_eq(into[0], info.dispatches == 1 ? 1 : 0);
    ck_assert_uint_eq(into[1], 1);
    return info.dispatches;
}

START_TEST(the_tuner_measures_pairs)
{
    char dir[] = "/tmp/shrike-pairs-XXXXXX";
    struct shk_tune_report report;
    struct net n = net_int8(6);
    net_depthwise(&n, true);
    net_pointwise(&n, 7, PLAIN);
    struct shk_model *model = net_finish(&n, &n.x, 1);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    struct shk_tune_params params = {.mode = SHK_TUNE_FAST, .cache_dir = dir};
    test_ok(shk_tune(test_device(), model, &params, &report, &error), &error);
    ck_assert_uint_eq(report.count, 3);
    ck_assert_int_eq(strncmp(report.layers[2].layer, "PAIR ", 5), 0);
    ck_assert_str_eq(report.layers[2].rule, "two kernels");
    ck_assert_uint_eq(report.layers[2].op, 1);
    ck_assert_uint_eq(report.layers[2].candidates, 2);
    bool won = strcmp(report.layers[2].variant, "two kernels") != 0;
    ck_assert_uint_eq(dispatches(model, dir), won ? 1 : 2);
    shk_tune_report_free(&report);
    choose_pairs(dir);
    ck_assert_uint_eq(dispatches(model, dir), 1);
    test_ok(shk_tune(test_device(), model, &params, &report, &error), &error); /* known by now */
    ck_assert_uint_eq(report.layers[2].candidates, 0);
    ck_assert_str_eq(report.layers[2].variant, "pair");
    shk_tune_report_free(&report);
    shk_model_destroy(&model);
    remove_folder(dir);
}
END_TEST

/* Parameters are packed wrongly: the session finds out, and goes on with two kernels. */
START_TEST(a_pair_that_computes_wrongly_is_taken_apart)
{
    char dir[] = "/tmp/shrike-pairs-XXXXXX";
    struct net n = net_int8(21); /* a kernel that was not checked yet */
    net_depthwise(&n, true);
    net_pointwise(&n, 7, PLAIN);
    struct shk_model *model = net_finish(&n, &n.x, 1);
    struct shk_tune_params params = {.mode = SHK_TUNE_FAST, .cache_dir = dir};
    ck_assert_ptr_nonnull(mkdtemp(dir));
    test_ok(shk_tune(test_device(), model, &params, NULL, &error), &error);
    choose_pairs(dir);
    setenv("SHRIKE_BREAK_VARIANT", "pair", 1);
    ck_assert_uint_eq(dispatches(model, dir), 2);
    unsetenv("SHRIKE_BREAK_VARIANT");
    ck_assert_uint_eq(dispatches(model, dir), 2); /* remembered */
    shk_model_destroy(&model);
    remove_folder(dir);
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
    tcase_add_test(tcase, the_tuner_measures_pairs);
    tcase_add_test(tcase, a_pair_that_computes_wrongly_is_taken_apart);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
