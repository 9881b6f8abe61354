/* Chains of convolutions in one kernel: what the tuner measures and chooses, and the cache remembers.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/tune.h>

#include "fusion_net.h"

static struct shk_error error;

/* In every "use" line of the cache's file of choices that begins with `kind`, "PAIR" or "INVERTED". */
static void choose(const char *dir, const char *kind, const char *variant)
{
    char command[512];
    snprintf(command, sizeof(command), "sed -i 's/^\\(use\t%s [^\t]*\\)\t[^\t]*/\\1\t%s/' %s/*tuned*", kind, variant,
             dir);
    ck_assert_int_eq(system(command), 0);
}

/* What sessions with that cache fuse: ops that went into the last one. */
static uint32_t absorbed(struct shk_model *model, const char *dir, uint32_t no_fusion)
{
    uint32_t into[8], count = shk_model_op_count(model), absorbed = 0;
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session_info info;
    struct shk_session *session = NULL;
    params.cache_dir = dir;
    params.no_fusion = no_fusion;
    test_ok(shk_session_create(test_device(), model, &params, &session, &error), &error);
    shk_session_get_info(session, &info);
    test_ok(shk_session_get_fusion(session, into, count, &error), &error);
    ck_assert_int_eq(shk_session_get_fusion(session, into, count - 1, &error), SHK_ERROR_INVALID_ARGUMENT);
    shk_session_destroy(&session);
    for (uint32_t i = 0; i + 1 < count; i++) {
        ck_assert(into[i] == i || into[i] == count - 1);
        absorbed += into[i] != i;
    }
    ck_assert_uint_eq(into[count - 1], count - 1);
    ck_assert_uint_eq(info.dispatches, count - absorbed);
    return absorbed;
}

static struct shk_model *make_pair(int32_t channels)
{
    struct net n = net_int8(channels);
    net_depthwise(&n, true);
    net_pointwise(&n, 7, NET_PLAIN);
    return net_finish(&n, &n.x, 1);
}

static struct shk_model *make_inverted(int32_t channels)
{
    struct net n = net_int8(channels);
    net_pointwise(&n, 3 * channels, NET_RELU6);
    net_depthwise(&n, true);
    net_pointwise(&n, 7, NET_PLAIN);
    return net_finish(&n, &n.x, 1);
}

static void check_chain(const struct shk_tune_layer *layer, const char *kind, const char *rule, uint32_t op)
{
    ck_assert_int_eq(strncmp(layer->layer, kind, strlen(kind)), 0);
    ck_assert_str_eq(layer->rule, rule);
    ck_assert_uint_eq(layer->op, op);
    ck_assert_uint_eq(layer->ops, op + 1);
}

START_TEST(the_tuner_measures_pairs)
{
    char dir[] = "/tmp/shrike-pairs-XXXXXX";
    struct shk_tune_report report;
    struct shk_model *model = make_pair(6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    struct shk_tune_params params = {.mode = SHK_TUNE_FAST, .cache_dir = dir};
    test_ok(shk_tune(test_device(), model, &params, &report, &error), &error);
    ck_assert_uint_eq(report.count, 3);
    check_chain(&report.layers[2], "PAIR ", "two kernels", 1);
    ck_assert_uint_eq(report.layers[0].ops, 1);
    ck_assert_uint_ge(report.layers[2].candidates, 2);
    bool won = strcmp(report.layers[2].variant, "two kernels") != 0;
    ck_assert_uint_eq(absorbed(model, dir, 0), won ? 1 : 0);
    shk_tune_report_free(&report);
    choose(dir, "PAIR", "pair");
    ck_assert_uint_eq(absorbed(model, dir, 0), 1);
    ck_assert_uint_eq(absorbed(model, dir, SHK_FUSION_PAIR), 0);
    test_ok(shk_tune(test_device(), model, &params, &report, &error), &error); /* known by now */
    ck_assert_uint_eq(report.layers[2].candidates, 0);
    ck_assert_str_eq(report.layers[2].variant, "pair");
    shk_tune_report_free(&report);
    shk_model_destroy(&model);
    test_remove_folder(dir);
}
END_TEST

START_TEST(the_tuner_measures_inverted_residuals)
{
    char dir[] = "/tmp/shrike-inverted-XXXXXX";
    struct shk_tune_report report;
    struct shk_model *model = make_inverted(6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    struct shk_tune_params params = {.mode = SHK_TUNE_FAST, .cache_dir = dir};
    test_ok(shk_tune(test_device(), model, &params, &report, &error), &error);
    ck_assert_uint_eq(report.count, 5); /* three ops, a pair, all three */
    check_chain(&report.layers[4], "INVERTED ", "three kernels", 2);
    ck_assert_uint_ge(report.layers[4].candidates, 1);
    shk_tune_report_free(&report);
    choose(dir, "PAIR", "pair");
    choose(dir, "INVERTED", "uniform"); /* as where the three lost */
    ck_assert_uint_eq(absorbed(model, dir, 0), 1);
    choose(dir, "INVERTED", "inverted"); /* counts for more than the pair that is in it */
    ck_assert_uint_eq(absorbed(model, dir, 0), 2);
    ck_assert_uint_eq(absorbed(model, dir, SHK_FUSION_INVERTED), 1);
    ck_assert_uint_eq(absorbed(model, dir, SHK_FUSION_INVERTED | SHK_FUSION_PAIR), 0);
    choose(dir, "INVERTED", "pair"); /* makes no sense, as in a file of somebody else's */
    ck_assert_uint_eq(absorbed(model, dir, 0), 1);
    shk_model_destroy(&model);
    test_remove_folder(dir);
}
END_TEST

/* Parameters are packed wrongly: the session finds out, and goes on with a kernel for each op. */
static void check_broken(struct shk_model *model, const char *kind, const char *variant, uint32_t ops)
{
    char dir[] = "/tmp/shrike-broken-XXXXXX";
    struct shk_tune_params params = {.mode = SHK_TUNE_FAST, .cache_dir = dir};
    ck_assert_ptr_nonnull(mkdtemp(dir));
    test_ok(shk_tune(test_device(), model, &params, NULL, &error), &error);
    choose(dir, kind, variant);
    setenv("SHRIKE_BREAK_VARIANT", variant, 1);
    ck_assert_uint_eq(absorbed(model, dir, 0), 0);
    unsetenv("SHRIKE_BREAK_VARIANT");
    ck_assert_uint_eq(absorbed(model, dir, 0), 0); /* remembered */
    ck_assert_uint_eq(shk_model_op_count(model), ops);
    shk_model_destroy(&model);
    test_remove_folder(dir);
}

/* Of channels whose kernels were not checked yet. */
START_TEST(a_chain_that_computes_wrongly_is_taken_apart)
{
    check_broken(make_pair(21), "PAIR", "pair", 2);
    check_broken(make_inverted(22), "INVERTED", "inverted", 3);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("fusion-tuned");
    TCase *tcase = tcase_create("fusion-tuned");
    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, the_tuner_measures_pairs);
    tcase_add_test(tcase, the_tuner_measures_inverted_residuals);
    tcase_add_test(tcase, a_chain_that_computes_wrongly_is_taken_apart);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
