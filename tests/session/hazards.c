/* Barriers: none is missing, which no result shows on a driver that runs one dispatch at a time, and where branches do
 * not depend on each other there is none.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hazards.h"

#include <stdlib.h>
#include <string.h>

#include <shrike/shrike.h>

#include "hazard_check.h"
#include "support.h"

static struct shk_error error;

/* ---- views ---- */

static bool share_a_word(const struct shk_view *a, const struct shk_view *b)
{
    uint8_t words[4096] = {0};
    for (uint32_t row = 0; row < a->rows; row++)
        memset(words + a->offset + row * a->stride, 1, a->words);
    for (uint32_t row = 0; row < b->rows; row++)
        for (uint32_t i = 0; i < b->words; i++)
            if (words[b->offset + row * b->stride + i])
                return true;
    return false;
}

static struct shk_view random_view(struct test_rng *rng, uint32_t stride)
{
    struct shk_view view = {.offset = test_random_below(rng, 40), .stride = stride, .rows = test_random_below(rng, 6)};
    view.words = 1 + test_random_below(rng, stride);
    return view;
}

START_TEST(views_that_share_a_word_overlap)
{
    struct test_rng rng = {1};
    uint32_t shared = 0, apart = 0;
    for (int i = 0; i < 20000; i++) {
        uint32_t stride = 1 + test_random_below(&rng, 9);
        struct shk_view a = random_view(&rng, stride);
        struct shk_view b = random_view(&rng, test_random_below(&rng, 2) ? stride : 1 + test_random_below(&rng, 9));
        bool found = shk_views_overlap(&a, &b);
        ck_assert(found == shk_views_overlap(&b, &a));
        if (share_a_word(&a, &b)) {
            ck_assert(found);
            shared++;
        }
        apart += !found;
    }
    ck_assert_uint_gt(shared, 1000);
    ck_assert_uint_gt(apart, 1000);
}
END_TEST

START_TEST(parts_of_a_concatenation_are_apart)
{
    struct shk_view whole = {.offset = 100, .stride = 5, .rows = 7, .words = 5};
    struct shk_view left = {.offset = 100, .stride = 5, .rows = 7, .words = 2};
    struct shk_view right = {.offset = 102, .stride = 5, .rows = 7, .words = 3};
    struct shk_view behind = {.offset = 135, .stride = 5, .rows = 1, .words = 5};
    ck_assert(!shk_views_overlap(&left, &right));
    ck_assert(!shk_views_overlap(&right, &left));
    ck_assert(shk_views_overlap(&whole, &left));
    ck_assert(shk_views_overlap(&right, &whole));
    ck_assert(!shk_views_overlap(&whole, &behind));
    behind.offset--;
    ck_assert(shk_views_overlap(&whole, &behind));
    ck_assert(!shk_views_overlap(&left, &behind)); /* by columns: 134 is the last of `right` */
}
END_TEST

/* ---- networks ---- */

#define BRANCHES 4

static int32_t activation(struct shk_builder *b, int32_t channels)
{
    const float scale = 0.05f;
    const int32_t zero_point = 0, dims[] = {1, 6, 6, channels};
    return shk_builder_tensor(b, "t", SHK_DTYPE_INT8, 4, dims, 1, &scale, &zero_point, 0, NULL, 0);
}

static int32_t leaky(struct shk_builder *b, int32_t x)
{
    int32_t y = activation(b, 8);
    shk_builder_op(b, "LEAKY_RELU", &x, 1, &y, 1, "alpha=0.1");
    return y;
}

/* x -> BRANCHES chains of two ops, all first ops before all second ones (`crossed`) or one chain after the other, which
 * a concatenation joins. */
static struct shk_session *branched(bool crossed, bool keep_tensors)
{
    struct shk_builder *b = shk_builder_create();
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL;
    struct shk_model *model = NULL;
    int32_t x = activation(b, 8), ends[BRANCHES], all;
    for (int i = 0; i < BRANCHES; i++)
        ends[i] = crossed ? leaky(b, x) : leaky(b, leaky(b, x));
    for (int i = 0; i < BRANCHES && crossed; i++)
        ends[i] = leaky(b, ends[i]);
    all = activation(b, 8 * BRANCHES);
    shk_builder_op(b, "CONCATENATION", ends, BRANCHES, &all, 1, "axis=3");
    int32_t out = activation(b, 8 * BRANCHES);
    shk_builder_op(b, "LEAKY_RELU", &all, 1, &out, 1, "alpha=0.1");
    shk_builder_set_inputs(b, &x, 1);
    shk_builder_set_outputs(b, &out, 1);
    void *data;
    size_t size;
    test_ok(shk_builder_serialize(b, &data, &size, &error), &error);
    test_ok(shk_model_load_memory(data, size, "branched", &model, &error), &error);
    shk_builder_destroy(&b);
    free(data);
    params.keep_tensors = keep_tensors;
    test_ok(shk_session_create(test_device(), model, &params, &session, &error), &error);
    shk_model_destroy(&model);
    return session;
}

static uint32_t barriers(const struct shk_session *session)
{
    struct shk_session_info info;
    uint32_t count = 0;
    for (uint32_t i = 0; i < session->lowering.count; i++)
        count += session->lowering.dispatches[i].barrier;
    shk_session_get_info(session, &info);
    ck_assert_uint_eq(info.barriers, count);
    ck_assert_uint_eq(info.dispatches, session->lowering.count);
    return count;
}

START_TEST(branches_run_side_by_side)
{
    /* keep_tensors: nothing is in the place of anything else. All first ops, all second ones, the last. */
    struct shk_session *session = branched(true, true);
    ck_assert_uint_eq(session->lowering.count, 2 * BRANCHES + 1);
    ck_assert_uint_eq(barriers(session), 2);
    hazard_check(session);
    shk_session_destroy(&session);
}
END_TEST

START_TEST(chains_wait)
{
    /* A second op waits for the first, and a first one never. */
    struct shk_session *session = branched(false, true);
    ck_assert_uint_eq(barriers(session), BRANCHES + 1);
    hazard_check(session);
    shk_session_destroy(&session);
}
END_TEST

START_TEST(storage_that_is_used_again_waits)
{
    for (int crossed = 0; crossed < 2; crossed++) {
        struct shk_session *session = branched(crossed, false);
        hazard_check(session);
        ck_assert_uint_lt(barriers(session), session->lowering.count);
        shk_session_destroy(&session);
    }
}
END_TEST

START_TEST(a_missing_barrier_is_noticed)
{
    for (int kind = 0; kind < 4; kind++) {
        struct shk_session *session = branched(kind & 1, kind & 2);
        struct hazard h;
        for (uint32_t i = 0; i < session->lowering.count; i++) {
            struct shk_lowered *dispatch = &session->lowering.dispatches[i];
            if (!dispatch->barrier)
                continue;
            dispatch->barrier = false;
            ck_assert_msg(hazard_find(session, &h), "network %d without the barrier before dispatch %u", kind, i);
            dispatch->barrier = true;
        }
        shk_session_destroy(&session);
    }
}
END_TEST

START_TEST(measured_ops_run_alone)
{
    struct shk_session *plain = branched(true, false), *session = NULL;
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    params.profile_ops = true;
    test_ok(shk_session_create(test_device(), plain->model, &params, &session, &error), &error);
    ck_assert_uint_eq(barriers(session), session->lowering.count);
    shk_session_destroy(&session);
    shk_session_destroy(&plain);
}
END_TEST

/* More readers and writers than are remembered. */
START_TEST(many_branches)
{
    struct shk_builder *b = shk_builder_create();
    struct shk_model *model = NULL;
    struct shk_session *session = NULL;
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    int32_t x = activation(b, 8), ends[SHK_MAX_HAZARDS * 2];
    for (uint32_t i = 0; i < SHK_ARRAY_LEN(ends); i++)
        ends[i] = leaky(b, x);
    shk_builder_set_inputs(b, &x, 1);
    shk_builder_set_outputs(b, ends, SHK_ARRAY_LEN(ends));
    void *data;
    size_t size;
    test_ok(shk_builder_serialize(b, &data, &size, &error), &error);
    test_ok(shk_model_load_memory(data, size, "many", &model, &error), &error);
    shk_builder_destroy(&b);
    free(data);
    test_ok(shk_session_create(test_device(), model, &params, &session, &error), &error);
    ck_assert_uint_eq(session->lowering.count, SHK_ARRAY_LEN(ends));
    ck_assert_uint_ge(barriers(session), 1);
    ck_assert_uint_le(barriers(session), 2);
    hazard_check(session);
    shk_session_destroy(&session);
    shk_model_destroy(&model);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("hazards");
    TCase *views = tcase_create("views"), *networks = tcase_create("networks");
    tcase_add_test(views, views_that_share_a_word_overlap);
    tcase_add_test(views, parts_of_a_concatenation_are_apart);
    tcase_add_test(networks, branches_run_side_by_side);
    tcase_add_test(networks, chains_wait);
    tcase_add_test(networks, storage_that_is_used_again_waits);
    tcase_add_test(networks, a_missing_barrier_is_noticed);
    tcase_add_test(networks, measured_ops_run_alone);
    tcase_add_test(networks, many_branches);
    suite_add_tcase(suite, views);
    suite_add_tcase(suite, networks);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
