/* Batch search: the choice from made-up points, and what the default model gives. Nothing asserts what is fast.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <shrike/shrike.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define MS UINT64_C(1000000)

static struct shk_error error;

/* ---- The choice ---- */

/* Milliseconds for batches of 1, 2, 4, ... */
static uint32_t choose(const double *ms, uint32_t count, uint64_t budget_ms, float tolerance)
{
    struct shk_batch_point points[8];
    for (uint32_t i = 0; i < count; i++)
        points[i] = (struct shk_batch_point){1u << i, (uint64_t)(ms[i] * 1e6), 1000.0 * (1u << i) / ms[i]};
    return shk_batch_choose(points, count, budget_ms * MS, tolerance);
}

START_TEST(test_choose)
{
    static const double narrow[] = {10, 20, 40, 80}, wide[] = {10, 10, 10.2, 15, 30}, sunk[] = {10, 8, 9, 20},
                        dip[] = {10, 12, 10.1, 20}, noisy[] = {10, 9.9, 10.1, 10, 10.15};
    ck_assert_uint_eq(choose(narrow, 4, 0, 0.03f), 1);
    ck_assert_uint_eq(choose(wide, 5, 0, 0.03f), 4);
    ck_assert_uint_eq(choose(wide, 5, 0, 0.0f), 2);
    ck_assert_uint_eq(choose(wide, 5, 0, 0.5f), 8);
    ck_assert_uint_eq(choose(wide, 5, 10, 0.5f), 2);
    ck_assert_uint_eq(choose(sunk, 4, 0, 0.03f), 2);
    ck_assert_uint_eq(choose(sunk, 4, 9, 0.2f), 4);
    ck_assert_uint_eq(choose(dip, 4, 0, 0.03f), 4);
    ck_assert_uint_eq(choose(noisy, 5, 0, 0.03f), 16);
    ck_assert_uint_eq(choose(noisy, 5, 10, 0.03f), 8);
    /* nothing within the budget */
    ck_assert_uint_eq(choose(wide, 5, 5, 0.03f), 1);
    /* what is over the budget does not set the mark for the others */
    ck_assert_uint_eq(choose((double[]){10, 10, 3}, 3, 0, 0.03f), 4);
    ck_assert_uint_eq(choose((double[]){20, 10, 10}, 3, 15, 0.03f), 4);
    ck_assert_uint_eq(choose((double[]){10}, 1, 0, 0.03f), 1);
}
END_TEST

/* ---- The search ---- */

struct seen {
    uint32_t calls, warm_ups, largest, last, run;
};

static void note(void *user, uint32_t batch, uint32_t run)
{
    struct seen *seen = user;
    ck_assert_uint_ge(batch, seen->last);
    ck_assert_uint_eq(run, batch == seen->last ? seen->run + 1 : 0);
    seen->last = batch;
    seen->run = run;
    seen->calls++;
    seen->warm_ups += run == 0;
    seen->largest = batch;
}

static struct shk_model *default_model(void)
{
    struct shk_model *model = NULL;
    test_ok(shk_model_load_default(&model, &error), &error);
    return model;
}

static struct shk_batch_search_params few_runs(uint32_t max_batch)
{
    struct shk_batch_search_params params = SHK_BATCH_SEARCH_PARAMS_DEFAULT;
    params.max_batch = max_batch;
    params.runs = 3;
    params.session.log = test_log();
    return params;
}

static void assert_points(const struct shk_batch_point *points, uint32_t count, const uint32_t *batches)
{
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(points[i].batch, batches[i]);
        ck_assert_uint_gt(points[i].latency_ns, 0);
        ck_assert_double_eq_tol(points[i].frames_per_second, points[i].batch * 1e9 / points[i].latency_ns,
                                1e-3);
    }
}

START_TEST(test_powers_of_two)
{
    static const uint32_t batches[] = {1, 2, 4, 6};
    struct shk_model *model = default_model();
    struct shk_batch_search_params params = few_runs(6);
    struct shk_batch_point points[SHK_MAX_BATCH_SIZE];
    struct seen seen = {0};
    uint32_t count = SHK_MAX_BATCH_SIZE, best = 0;
    params.progress = note;
    params.user = &seen;
    test_ok(shk_batch_search(test_device(), model, &params, points, &count, &best, &error), &error);
    ck_assert_uint_eq(count, 4);
    assert_points(points, count, batches);
    ck_assert_uint_eq(best, shk_batch_choose(points, count, 0, params.tolerance));
    ck_assert_uint_eq(seen.largest, 6);
    ck_assert_uint_eq(seen.warm_ups, 4);
    ck_assert_uint_eq(seen.calls, 4 * (1 + params.runs));
    shk_model_destroy(&model);
}
END_TEST

START_TEST(test_every_batch)
{
    static const uint32_t batches[] = {1, 2, 3, 4, 5};
    struct shk_model *model = default_model();
    struct shk_batch_search_params params = few_runs(5);
    struct shk_batch_point points[5];
    uint32_t count = 5, best = 0;
    params.every_batch = true;
    params.runs = 1;
    params.session.frames_in_flight = 3;
    test_ok(shk_batch_search(test_device(), model, &params, points, &count, &best, &error), &error);
    ck_assert_uint_eq(count, 5);
    assert_points(points, count, batches);
    ck_assert(best >= 1 && best <= 5);
    shk_model_destroy(&model);
}
END_TEST

/* No batch ends in a nanosecond: one point, and a single frame. */
START_TEST(test_budget_too_small)
{
    struct shk_model *model = default_model();
    for (int quick = 0; quick < 2; quick++) {
        struct shk_batch_search_params params = few_runs(32);
        struct shk_batch_point points[SHK_MAX_BATCH_SIZE];
        uint32_t count = SHK_MAX_BATCH_SIZE, best = 0;
        params.latency_budget_ns = 1;
        params.quick = quick;
        test_ok(shk_batch_search(test_device(), model, &params, points, &count, &best, &error), &error);
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(best, 1);
        ck_assert_uint_gt(points[0].latency_ns, 1);
    }
    shk_model_destroy(&model);
}
END_TEST

START_TEST(test_quick)
{
    struct shk_model *model = default_model();
    struct shk_batch_search_params params = SHK_BATCH_SEARCH_PARAMS_QUICK;
    struct shk_batch_point points[SHK_MAX_BATCH_SIZE];
    struct seen seen = {0};
    uint32_t count = SHK_MAX_BATCH_SIZE, best = 0;
    params.session.log = test_log();
    params.progress = note;
    params.user = &seen;
    /* a budget that every batch keeps, so that it is the growth that ends it, or the last batch */
    params.latency_budget_ns = 3600 * 1000 * MS;
    test_ok(shk_batch_search(test_device(), model, &params, points, &count, &best, &error), &error);
    ck_assert_uint_ge(count, 1);
    for (uint32_t i = 0; i + 1 < count; i++)
        ck_assert_uint_le(points[i].latency_ns, points[0].latency_ns + points[0].latency_ns / 2);
    ck_assert_uint_eq(seen.largest, points[count - 1].batch);
    ck_assert_uint_le(best, points[count - 1].batch);
    shk_model_destroy(&model);
}
END_TEST

static unsigned notes_about_size;

static void count_notes(void *user, enum shk_log_level level, const char *message)
{
    (void)user;
    if (level == SHK_LOG_INFO && strstr(message, "no batches of"))
        notes_about_size++;
}

static uint64_t peak_of(uint32_t batch)
{
    struct shk_device *device = test_device_open(0);
    struct shk_model *model = default_model();
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL;
    struct shk_memory_stats stats;
    params.batch_size = batch;
    test_ok(shk_session_create(device, model, &params, &session, &error), &error);
    shk_device_memory_stats(device, &stats);
    shk_session_destroy(&session);
    shk_model_destroy(&model);
    test_device_close(&device);
    return stats.reserved;
}

/* Room for a batch of 4, or for hardly more than one, but not for 32. */
START_TEST(test_memory_too_small)
{
    struct shk_model *model = default_model();
    for (int quick = 0; quick < 2; quick++) {
        struct shk_device *device = test_device_open(peak_of(4));
        struct shk_batch_search_params params = few_runs(32);
        struct shk_batch_point points[SHK_MAX_BATCH_SIZE];
        uint32_t count = SHK_MAX_BATCH_SIZE, best = 0;
        params.session.log = (struct shk_log){count_notes, NULL};
        params.quick = quick;
        params.tolerance = 1.0f;
        notes_about_size = 0;
        test_ok(shk_batch_search(device, model, &params, points, &count, &best, &error), &error);
        ck_assert_uint_ge(count, 1);
        ck_assert_uint_lt(points[count - 1].batch, 32);
        ck_assert_uint_le(best, points[count - 1].batch);
        if (!quick) {
            ck_assert_uint_ge(points[count - 1].batch, 4);
            ck_assert_uint_gt(notes_about_size, 0);
        }
        test_device_close(&device);
    }
    shk_model_destroy(&model);
}
END_TEST

START_TEST(test_no_memory_at_all)
{
    struct shk_device *device = test_device_open(4096);
    struct shk_model *model = default_model();
    struct shk_batch_search_params params = few_runs(32);
    struct shk_batch_point points[SHK_MAX_BATCH_SIZE];
    uint32_t count = SHK_MAX_BATCH_SIZE, best = 77;
    params.session.log = (struct shk_log){NULL, NULL};
    ck_assert_int_eq(shk_batch_search(device, model, &params, points, &count, &best, &error),
                     SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    ck_assert_uint_eq(best, 77);
    ck_assert_uint_eq(count, SHK_MAX_BATCH_SIZE);
    ck_assert_ptr_nonnull(strstr(error.message, "4096"));
    shk_model_destroy(&model);
    test_device_close(&device);
}
END_TEST

START_TEST(test_reference)
{
    static const uint32_t batches[] = {1, 2};
    struct shk_model *model = default_model();
    struct shk_batch_search_params params = few_runs(2);
    struct shk_batch_point points[2];
    uint32_t count = 2, best = 0;
    params.runs = 1;
    test_ok(shk_batch_search(NULL, model, &params, points, &count, &best, &error), &error);
    ck_assert_uint_eq(count, 2);
    assert_points(points, count, batches);
    ck_assert(best == 1 || best == 2);
    shk_model_destroy(&model);
}
END_TEST

/* The caller's tensors are what is sent: what they hold does not matter, where they are does. */
START_TEST(test_inputs)
{
    struct shk_model *model = default_model();
    struct shk_batch_search_params params = few_runs(2);
    struct shk_batch_point points[2];
    struct shk_tensor_info info;
    uint32_t count = 2, best = 0;
    ck_assert_uint_eq(shk_model_input_count(model), 1);
    shk_model_get_tensor(model, shk_model_input(model, 0), &info);
    uint8_t *bytes = malloc(info.bytes);
    struct test_rng rng = {1};
    test_random_bytes(&rng, bytes, info.bytes);
    params.inputs = (const void *const[]){bytes};
    test_ok(shk_batch_search(test_device(), model, &params, points, &count, &best, &error), &error);
    free(bytes);
    shk_model_destroy(&model);
}
END_TEST

static void refused(const struct shk_batch_search_params *params, uint32_t room, const char *words)
{
    struct shk_model *model = default_model();
    struct shk_batch_point points[SHK_MAX_BATCH_SIZE];
    uint32_t best = 77, count = room;
    ck_assert_int_eq(shk_batch_search(test_device(), model, params, points, &count, &best, &error),
                     SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_msg(strstr(error.message, words) != NULL, "'%s' does not say '%s'", error.message, words);
    ck_assert_uint_eq(best, 77);
    ck_assert_uint_eq(count, room);
    shk_model_destroy(&model);
}

START_TEST(test_misuse)
{
    struct shk_batch_search_params params = few_runs(0);
    refused(&params, 32, "max_batch is 0");
    params = few_runs(33);
    refused(&params, 32, "max_batch is 33");
    params = few_runs(4);
    params.runs = 0;
    refused(&params, 32, "runs is 0");
    params = few_runs(4);
    params.tolerance = -0.5f;
    refused(&params, 32, "tolerance is -0.5");
    params.tolerance = NAN;
    refused(&params, 32, "tolerance");
    params = few_runs(32);
    refused(&params, 5, "make 6");
    params.every_batch = true;
    refused(&params, 31, "make 32");
    params = few_runs(4);
    params.session.frames_in_flight = 99;
    refused(&params, 32, "frames_in_flight");
    uint32_t count = 1, best;
    ck_assert_int_eq(shk_batch_search(test_device(), NULL, NULL, NULL, &count, &best, NULL),
                     SHK_ERROR_INVALID_ARGUMENT);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("batch-search");
    TCase *tcase = tcase_create("batch-search");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_choose);
    tcase_add_test(tcase, test_powers_of_two);
    tcase_add_test(tcase, test_every_batch);
    tcase_add_test(tcase, test_budget_too_small);
    tcase_add_test(tcase, test_quick);
    tcase_add_test(tcase, test_memory_too_small);
    tcase_add_test(tcase, test_no_memory_at_all);
    tcase_add_test(tcase, test_reference);
    tcase_add_test(tcase, test_inputs);
    tcase_add_test(tcase, test_misuse);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
