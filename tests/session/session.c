/* Sessions: what the header promises about slots, order, misuse, frames and the pipeline cache.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image_model.h"
#include "support.h"

static struct shk_error error;

static struct shk_session *make_session(struct shk_device *device, struct shk_model *model, uint32_t slots)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL;
    params.frames_in_flight = slots;
    params.log = test_log();
    test_ok(shk_session_create(device, model, &params, &session, &error), &error);
    return session;
}

static void submit_seeded(struct shk_session *session, uint64_t seed)
{
    struct test_rng rng = {seed};
    uint8_t input[BYTES];
    const void *inputs[] = {input};
    test_random_bytes(&rng, input, sizeof(input));
    test_ok(shk_session_submit_tensors(session, inputs, 1, (void *)(uintptr_t)seed, NULL, &error), &error);
}

/* Waits for the oldest frame and copies output 1. */
static uint64_t take(struct shk_session *session, uint8_t output[BYTES / 4], struct shk_result *result)
{
    test_ok(shk_session_wait(session, UINT64_MAX, result, &error), &error);
    test_ok(shk_session_read_output(session, result->ticket, 0, 1, output, BYTES / 4, &error), &error);
    shk_session_release(session, result->ticket);
    return (uint64_t)(uintptr_t)result->user;
}

START_TEST(test_frames_in_flight_keep_order_and_bytes)
{
    struct shk_model *model = make_model();
    struct shk_session *device = make_session(test_device(), model, 3), *cpu = make_session(NULL, model, 1);
    struct shk_result result;
    uint8_t got[BYTES / 4], want[BYTES / 4];
    for (uint64_t seed = 1; seed < 60; seed++) {
        submit_seeded(device, seed);
        if (seed < 3)
            continue;
        ck_assert_uint_eq(take(device, got, &result), seed - 2);
        ck_assert_uint_eq(result.ticket, seed - 2);
        submit_seeded(cpu, seed - 2);
        take(cpu, want, &result);
        ck_assert_mem_eq(got, want, sizeof(want));
    }
    shk_session_destroy(&device); /* two frames are still in flight */
    shk_session_destroy(&cpu);
    shk_model_destroy(&model);
}
END_TEST

START_TEST(test_misuse)
{
    struct shk_model *model = make_model();
    struct shk_session *session = make_session(_i ? test_device() : NULL, model, 2);
    uint8_t pixels[BYTES] = {0}, output[BYTES];
    const void *inputs[] = {pixels};
    struct shk_frame frame = {.plane = {pixels}, .plane_size = {BYTES}, .stride = {SIZE * 3}};
    struct shk_frame_format format = {SHK_FORMAT_RGB, SIZE, SIZE, SHK_YUV_BT601, SHK_YUV_LIMITED};
    struct shk_result result;

    ck_assert_int_eq(shk_session_wait(session, 0, &result, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_session_submit(session, &frame, NULL, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_session_submit_tensors(session, inputs, 2, NULL, NULL, &error), SHK_ERROR_INVALID_ARGUMENT);
    test_ok(shk_session_configure(session, &format, &error), &error);
    frame.stride[0] = SIZE * 3 - 1;
    ck_assert_int_eq(shk_session_submit(session, &frame, NULL, &error), SHK_ERROR_INVALID_ARGUMENT);
    frame.stride[0] = SIZE * 3;
    frame.crop = (struct shk_rect){SIZE - 1, 0, 2, 2};
    ck_assert_int_eq(shk_session_submit(session, &frame, NULL, &error), SHK_ERROR_INVALID_ARGUMENT);
    frame.crop = (struct shk_rect){0};

    test_ok(shk_session_submit(session, &frame, NULL, &error), &error);
    test_ok(shk_session_submit(session, &frame, NULL, &error), &error);
    ck_assert_int_eq(shk_session_submit(session, &frame, NULL, &error), SHK_ERROR_BUSY);
    ck_assert_int_eq(shk_session_configure(session, &format, &error), SHK_ERROR_BUSY);
    ck_assert_int_eq(shk_session_read_output(session, 1, 0, 0, output, BYTES / 4, &error), SHK_ERROR_INVALID_ARGUMENT);
    test_ok(shk_session_wait(session, UINT64_MAX, &result, &error), &error);
    ck_assert_int_eq(shk_session_read_output(session, 1, 0, 2, output, BYTES / 4, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_session_read_output(session, 1, 0, 0, output, BYTES, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_session_read_tensor(session, 1, 0, output, BYTES, &error), SHK_ERROR_INVALID_ARGUMENT);
    shk_session_release(session, 2); /* not its turn: ignored */
    ck_assert_int_eq(shk_session_submit(session, &frame, NULL, &error), SHK_ERROR_BUSY);
    shk_session_release(session, 1);
    test_ok(shk_session_submit(session, &frame, NULL, &error), &error);
    shk_session_destroy(&session);
    shk_session_destroy(&session);
    shk_session_destroy(NULL);
    shk_model_destroy(&model);
}
END_TEST

START_TEST(test_bad_params)
{
    struct shk_model *model = make_model();
    struct shk_session_params good = SHK_SESSION_PARAMS_DEFAULT, bad[9];
    struct shk_session *session = NULL;
    for (size_t i = 0; i < 9; i++)
        bad[i] = good;
    bad[0].frames_in_flight = 0;
    bad[1].frames_in_flight = 17;
    bad[2].score_threshold = 1.5f;
    bad[3].iou_threshold = 2.0f;
    bad[4].max_detections = 1001;
    bad[5].std[0] = -1.0f;
    bad[6].resize = (enum shk_resize)9;
    bad[7].batch_size = 0;
    bad[8].batch_size = 33;
    for (size_t i = 0; i < 9; i++) {
        ck_assert_int_eq(shk_session_create(test_device(), model, &bad[i], &session, &error),
                         SHK_ERROR_INVALID_ARGUMENT);
        ck_assert_ptr_null(session);
        ck_assert_uint_gt(strlen(error.message), 10);
    }
    shk_model_destroy(&model);
}
END_TEST

/* Frames, raw tensors, a larger format and frames again: each re-records what it must. */
START_TEST(test_sources_mix)
{
    struct shk_model *model = make_model();
    struct shk_session *session[2] = {make_session(test_device(), model, 2), make_session(NULL, model, 2)};
    static uint8_t pixels[200 * 100 * 3];
    struct test_rng rng = {3};
    test_random_bytes(&rng, pixels, sizeof(pixels));
    for (int round = 0; round < 4; round++) {
        uint32_t width = round < 2 ? 20 : 200, height = round < 2 ? 10 : 100;
        struct shk_frame_format format = {SHK_FORMAT_RGB, width, height, SHK_YUV_BT601, SHK_YUV_LIMITED};
        struct shk_frame frame = {.plane = {pixels}, .plane_size = {sizeof(pixels)}, .stride = {width * 3}};
        uint8_t outputs[2][3][BYTES / 4];
        for (int s = 0; s < 2; s++) {
            struct shk_result result;
            test_ok(shk_session_configure(session[s], &format, &error), &error);
            test_ok(shk_session_submit(session[s], &frame, NULL, &error), &error);
            submit_seeded(session[s], 9);
            take(session[s], outputs[s][0], &result);
            frame.crop = (struct shk_rect){3, 2, 7, 5};
            test_ok(shk_session_submit(session[s], &frame, NULL, &error), &error);
            frame.crop = (struct shk_rect){0};
            take(session[s], outputs[s][1], &result);
            take(session[s], outputs[s][2], &result);
        }
        ck_assert_mem_eq(outputs[0], outputs[1], sizeof(outputs[0]));
        ck_assert_mem_ne(outputs[0][0], outputs[0][2], BYTES / 4);
    }
    shk_session_destroy(&session[0]);
    shk_session_destroy(&session[1]);
    shk_model_destroy(&model);
}
END_TEST

START_TEST(test_keep_tensors_and_op_times)
{
    struct shk_model *model = make_model();
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session[2];
    uint8_t tensors[2][3][BYTES] = {0};
    params.keep_tensors = params.profile_ops = true;
    for (int s = 0; s < 2; s++) {
        struct shk_result result;
        uint64_t ns[2];
        test_ok(shk_session_create(s ? NULL : test_device(), model, &params, &session[s], &error), &error);
        submit_seeded(session[s], 77);
        test_ok(shk_session_wait(session[s], UINT64_MAX, &result, &error), &error);
        for (uint32_t t = 0; t < 3; t++)
            test_ok(shk_session_read_tensor(session[s], 1, t, tensors[s][t], t ? BYTES / 4 : BYTES, &error), &error);
        test_ok(shk_session_op_times(session[s], 1, ns, 2, &error), &error);
        ck_assert_int_eq(shk_session_op_times(session[s], 1, ns, 1, &error), SHK_ERROR_INVALID_ARGUMENT);
        for (int stage = 0; stage < SHK_STAGE_TOTAL; stage++) {
            ck_assert_uint_ge(result.stages[stage].start, result.stages[SHK_STAGE_TOTAL].start);
            ck_assert_uint_le(result.stages[stage].start + result.stages[stage].duration,
                              result.stages[SHK_STAGE_TOTAL].start + result.stages[SHK_STAGE_TOTAL].duration);
        }
        shk_session_destroy(&session[s]);
    }
    ck_assert_mem_eq(tensors[0], tensors[1], sizeof(tensors[0]));
    shk_model_destroy(&model);
}
END_TEST

/* The second of three ops only gives its input another shape. */
START_TEST(test_op_without_dispatch)
{
    const int32_t picture[] = {1, 8, 8, 4}, list[] = {1, 64, 4}, zero = 0;
    const float scale = 0.5f;
    struct shk_builder *builder = shk_builder_create();
    int32_t tensor[4];
    for (int t = 0; t < 4; t++)
        tensor[t] = shk_builder_tensor(builder, "", SHK_DTYPE_INT8, t < 2 ? 4 : 3, t < 2 ? picture : list, 1,
                                       &scale, &zero, 0, NULL, 0);
    shk_builder_op(builder, "LEAKY_RELU", &tensor[0], 1, &tensor[1], 1, "alpha=0.1");
    shk_builder_op(builder, "RESHAPE", &tensor[1], 1, &tensor[2], 1, NULL);
    shk_builder_op(builder, "LEAKY_RELU", &tensor[2], 1, &tensor[3], 1, "alpha=0.1");
    shk_builder_set_inputs(builder, &tensor[0], 1);
    shk_builder_set_outputs(builder, &tensor[3], 1);
    void *data;
    size_t size;
    struct shk_model *model;
    test_ok(shk_builder_serialize(builder, &data, &size, &error), &error);
    test_ok(shk_model_load_memory(data, size, "reshape", &model, &error), &error);
    free(data);
    shk_builder_destroy(&builder);

    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session;
    struct shk_device_info info;
    struct shk_result result;
    uint8_t input[8 * 8 * 4] = {0};
    const void *inputs[] = {input};
    uint64_t ns[3];
    params.profile_ops = true;
    test_ok(shk_session_create(test_device(), model, &params, &session, &error), &error);
    test_ok(shk_session_submit_tensors(session, inputs, 1, NULL, NULL, &error), &error);
    test_ok(shk_session_wait(session, UINT64_MAX, &result, &error), &error);
    test_ok(shk_session_op_times(session, 1, ns, 3, &error), &error);
    shk_device_get_info(test_device(), &info);
    ck_assert_int_eq(ns[0] > 0, info.timestamps);
    ck_assert_uint_eq(ns[1], 0);
    ck_assert_int_eq(ns[2] > 0, info.timestamps);
    shk_session_destroy(&session);
    shk_model_destroy(&model);
}
END_TEST

struct consumer {
    struct shk_session *session;
    uint64_t frames, wrong;
};

static void *consume(void *data)
{
    struct consumer *c = data;
    while (c->frames < 300) {
        struct shk_result result;
        struct shk_error local;
        enum shk_status status = shk_session_wait(c->session, UINT64_MAX, &result, &local);
        if (status == SHK_ERROR_INVALID_ARGUMENT) /* nothing submitted yet */
            continue;
        c->frames++;
        c->wrong += status != SHK_OK || (uintptr_t)result.user != c->frames;
        shk_session_release(c->session, result.ticket);
    }
    return NULL;
}

/* One thread submits, another waits; after the first frames neither host nor device memory is asked for. */
START_TEST(test_two_threads)
{
    struct shk_model *model = make_model();
    struct consumer c = {.session = make_session(test_device(), model, 4)};
    struct shk_memory_stats before, after;
    pthread_t thread;
    uint8_t input[BYTES] = {0};
    const void *inputs[] = {input};
    shk_device_memory_stats(test_device(), &before);
    ck_assert_int_eq(pthread_create(&thread, NULL, consume, &c), 0);
    for (uintptr_t i = 1; i <= 300;) {
        enum shk_status status = shk_session_submit_tensors(c.session, inputs, 1, (void *)i, NULL, &error);
        ck_assert(status == SHK_OK || status == SHK_ERROR_BUSY);
        i += status == SHK_OK;
    }
    pthread_join(thread, NULL);
    shk_device_memory_stats(test_device(), &after);
    ck_assert_uint_eq(c.wrong, 0);
    ck_assert_uint_eq(after.total_driver_allocations, before.total_driver_allocations);
    ck_assert_uint_eq(after.used, before.used);
    shk_session_destroy(&c.session);
    shk_model_destroy(&model);
}
END_TEST

static unsigned cache_warnings;

static void count_cache_warnings(void *user, enum shk_log_level level, const char *message)
{
    (void)user;
    if (level == SHK_LOG_WARNING && strstr(message, "pipeline cache"))
        cache_warnings++;
}

static void with_cache(struct shk_model *model, const char *dir)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session;
    params.cache_dir = dir;
    params.log.fn = count_cache_warnings;
    test_ok(shk_session_create(test_device(), model, &params, &session, &error), &error);
    shk_session_destroy(&session);
}

/* Calls `visit` for the files in `dir`, which it may remove; returns how many there were. */
static unsigned visit_files(const char *dir, void (*visit)(const char *path))
{
    DIR *d = opendir(dir);
    unsigned count = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        visit(path);
        count++;
    }
    if (d)
        closedir(d);
    return count;
}

static void corrupt(const char *path)
{
    FILE *f = fopen(path, "wb");
    fputs("this is no pipeline cache, but it is long enough to look like one at first", f);
    fclose(f);
}

static void delete(const char *path)
{
    remove(path);
}

START_TEST(test_pipeline_cache)
{
    struct shk_model *model = make_model();
    char base[] = "/tmp/shrike-test-XXXXXX", dir[64];
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(dir, sizeof(dir), "%s/deep/er", base);
    cache_warnings = 0;
    with_cache(model, dir);
    with_cache(model, dir);
    ck_assert_uint_eq(cache_warnings, 0);
    unsigned files = visit_files(dir, corrupt); /* none: a driver without a cache, as lavapipe of Mesa 26 */
    ck_assert_uint_le(files, 1);
    with_cache(model, dir);
    ck_assert_uint_eq(cache_warnings, files);
    with_cache(model, "/dev/null/nowhere");
    ck_assert_uint_eq(cache_warnings, files + 1);
    visit_files(dir, delete);
    rmdir(dir);
    snprintf(dir, sizeof(dir), "%s/deep", base);
    rmdir(dir);
    rmdir(base);
    shk_model_destroy(&model);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("session");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_frames_in_flight_keep_order_and_bytes);
    tcase_add_loop_test(tests, test_misuse, 0, 2);
    tcase_add_test(tests, test_bad_params);
    tcase_add_test(tests, test_sources_mix);
    tcase_add_test(tests, test_keep_tensors_and_op_times);
    tcase_add_test(tests, test_op_without_dispatch);
    tcase_add_test(tests, test_two_threads);
    tcase_add_test(tests, test_pipeline_cache);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
