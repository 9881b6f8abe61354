/* Sessions of a model share its parameters on the device, whichever of them goes first.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fusion_net.h"

#define THREADS 6

static struct shk_error error;

/* 36 KB of weights, more than everything else a session has. */
static struct shk_model *make_model(void)
{
    struct net n = net_int8(16);
    for (int i = 0; i < 4; i++)
        net_conv(&n, 56, true);
    return net_finish(&n, &n.x, 1);
}

static uint64_t used_bytes(void)
{
    struct shk_memory_stats stats;
    shk_device_memory_stats(test_device(), &stats);
    return stats.used;
}

static struct shk_session *create(struct shk_device *device, struct shk_model *model, uint32_t batch, uint32_t no_fusion)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL;
    struct shk_error failure;
    params.batch_size = batch;
    params.no_fusion = no_fusion;
    if (shk_session_create(device, model, &params, &session, &failure))
        abort(); /* from threads, too */
    return session;
}

static struct shk_session_info info_of(const struct shk_session *session)
{
    struct shk_session_info info;
    shk_session_get_info(session, &info);
    return info;
}

static void run(struct shk_session *session, uint8_t *out, size_t bytes)
{
    uint8_t input[NET_HEIGHT * NET_WIDTH * 16];
    const void *inputs[] = {input};
    struct shk_result result;
    struct test_rng rng = {3};
    test_random_bytes(&rng, input, sizeof(input));
    test_ok(shk_session_submit_tensors(session, inputs, 1, NULL, NULL, &error), &error);
    test_ok(shk_session_wait(session, UINT64_MAX, &result, &error), &error);
    test_ok(shk_session_read_output(session, result.ticket, 0, 0, out, bytes, &error), &error);
    shk_session_release(session, result.ticket);
}

static void expect_reference(struct shk_session *session, struct shk_model *model)
{
    uint8_t got[NET_HEIGHT * NET_WIDTH * 56], want[sizeof(got)];
    struct shk_session *cpu = create(NULL, model, 1, 0);
    run(session, got, sizeof(got));
    run(cpu, want, sizeof(want));
    ck_assert_mem_eq(got, want, sizeof(got));
    shk_session_destroy(&cpu);
}

START_TEST(the_last_session_frees_them)
{
    for (int first = 0; first < 2; first++) {
        struct shk_model *model = make_model();
        uint64_t before = used_bytes();
        struct shk_session *sessions[2] = {create(test_device(), model, 1, 0)};
        uint64_t one = used_bytes() - before;
        sessions[1] = create(test_device(), model, 2, 0);
        uint64_t both = used_bytes() - before;
        ck_assert(!info_of(sessions[0]).parameters_shared);
        ck_assert(info_of(sessions[1]).parameters_shared);
        ck_assert_uint_eq(info_of(sessions[0]).memory.parameter_bytes, info_of(sessions[1]).memory.parameter_bytes);
        ck_assert_uint_gt(one, info_of(sessions[0]).memory.parameter_bytes);
        ck_assert_uint_lt(both, 2 * one);
        shk_session_destroy(&sessions[first]);
        expect_reference(sessions[!first], model);
        shk_session_destroy(&sessions[!first]);
        ck_assert_uint_eq(used_bytes(), before);
        shk_model_destroy(&model);
    }
}
END_TEST

START_TEST(other_parameters_are_not_shared)
{
    struct shk_model *model = make_model(), *other = make_model();
    struct shk_session *a = create(test_device(), model, 1, 0), *b = create(test_device(), other, 1, 0);
    ck_assert(!info_of(b).parameters_shared); /* another model, whatever is in it */
    shk_session_destroy(&a);
    a = create(test_device(), model, 1, 0);
    ck_assert(!info_of(a).parameters_shared); /* they went with the last session */
    expect_reference(a, model);
    expect_reference(b, other);
    shk_session_destroy(&a);
    shk_session_destroy(&b);
    shk_model_destroy(&model);
    shk_model_destroy(&other);
}
END_TEST

START_TEST(other_packing_is_not_shared)
{
    struct net n = net_int8(16);
    net_conv(&n, 56, true);
    net_leaky(&n, 3);
    struct shk_model *model = net_finish(&n, &n.x, 1);
    struct shk_session *a = create(test_device(), model, 1, 0), *b = create(test_device(), model, 1, SHK_FUSION_ALL);
    ck_assert(!info_of(b).parameters_shared);
    expect_reference(a, model);
    expect_reference(b, model);
    shk_session_destroy(&a);
    shk_session_destroy(&b);
    shk_model_destroy(&model);
}
END_TEST

struct job {
    struct shk_device *device;
    struct shk_model *model;
    struct shk_session *session;
};

static void *create_in_thread(void *data)
{
    struct job *job = data;
    job->session = create(job->device, job->model, 1, 0);
    return NULL;
}

START_TEST(threads_share_one_upload)
{
    for (int round = 0; round < 5; round++) {
        struct shk_model *model = make_model();
        pthread_t threads[THREADS];
        struct job jobs[THREADS];
        uint32_t uploads = 0;
        for (int i = 0; i < THREADS; i++) {
            jobs[i] = (struct job){test_device(), model, NULL};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, create_in_thread, &jobs[i]), 0);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < THREADS; i++)
            uploads += !info_of(jobs[i].session).parameters_shared;
        ck_assert_uint_eq(uploads, 1);
        for (int i = 0; i < THREADS; i++) {
            expect_reference(jobs[(i + round) % THREADS].session, model);
            shk_session_destroy(&jobs[(i + round) % THREADS].session);
        }
        shk_model_destroy(&model);
    }
}
END_TEST

/* A device without room for them says so, and goes on to be of use. */
START_TEST(a_failed_upload_leaves_nothing)
{
    struct shk_device *small = test_device_open(96 << 10);
    struct shk_model *model = make_model();
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_ne(shk_session_create(small, model, &params, &session, &error), SHK_OK);
        ck_assert_ptr_null(session);
    }
    shk_model_destroy(&model);
    test_device_close(&small);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("shared parameters");
    TCase *tcase = tcase_create("shared parameters");
    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, the_last_session_frees_them);
    tcase_add_test(tcase, other_parameters_are_not_shared);
    tcase_add_test(tcase, other_packing_is_not_shared);
    tcase_add_test(tcase, threads_share_one_upload);
    tcase_add_test(tcase, a_failed_upload_leaves_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
