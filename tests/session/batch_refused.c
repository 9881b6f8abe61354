/* What a batch refuses, with its reason, and that nothing is sent then; and batches that do not fit the
 * device. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame_memory.h"
#include "image_model.h"
#include "pictures.h"
#include "support.h"

#define BATCH  3
#define WIDTH  20
#define HEIGHT 10

static struct shk_error error;

/* NV12: Y of 20 x 10 at 0, CbCr of 20 x 5 behind it. */
#define LUMA  (WIDTH * HEIGHT)
#define TOTAL (LUMA + WIDTH * HEIGHT / 2)

struct fixture {
    struct shk_model *model;
    struct shk_session *session;
    struct shk_stream *stream;
    struct shk_memory *memory;
    struct shk_frame good;
};

static struct fixture setup(struct shk_device *device)
{
    struct fixture f = {.model = make_model()};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    const struct shk_frame_format format = {SHK_FORMAT_NV12, WIDTH, HEIGHT, SHK_YUV_BT709, SHK_YUV_FULL};
    params.batch_size = BATCH;
    params.log = test_log();
    test_ok(shk_session_create(device, f.model, &params, &f.session, &error), &error);
    test_ok(shk_stream_create(f.session, &format, &f.stream, &error), &error);
    test_ok(shk_memory_alloc(device, TOTAL, &f.memory, &error), &error);
    memset(f.memory->info.map, 77, TOTAL);
    f.good = (struct shk_frame){.memory = f.memory, .offset = {0, LUMA}, .stride = {WIDTH, WIDTH}};
    return f;
}

static void teardown(struct fixture *f)
{
    shk_stream_destroy(&f->stream);
    shk_session_destroy(&f->session);
    shk_memory_unref(&f->memory);
    shk_model_destroy(&f->model);
}

static void expect(enum shk_status got, enum shk_status wanted, const char *part)
{
    ck_assert_msg(got == wanted, "%s, expected %s: %s", shk_status_string(got), shk_status_string(wanted),
                  got ? error.message : "");
    ck_assert_msg(strstr(error.message, part) != NULL, "\"%s\" lacks \"%s\"", error.message, part);
}

/* Frame 1 of 3 is `bad`: refused by check and by submit, and nothing sent. */
static void expect_refused(struct fixture *f, const struct shk_frame *bad, enum shk_status status,
                           const char *part)
{
    const struct shk_batch_frame frames[BATCH] = {
        {f->stream, f->good}, {f->stream, *bad}, {f->stream, f->good}};
    struct shk_result result;
    expect(shk_stream_check(f->stream, bad, &error), status, part);
    expect(shk_session_submit_batch(f->session, frames, BATCH, NULL, &error), status, part);
    ck_assert_msg(strstr(error.message, "frame 1 of the batch") != NULL, "%s", error.message);
    ck_assert_int_eq(shk_session_wait(f->session, 0, &result, &error), SHK_ERROR_INVALID_ARGUMENT);
}

static void expect_works(struct fixture *f)
{
    const struct shk_batch_frame frames[BATCH] = {
        {f->stream, f->good}, {f->stream, f->good}, {f->stream, f->good}};
    struct shk_result result;
    test_ok(shk_stream_check(f->stream, &f->good, &error), &error);
    test_ok(shk_session_submit_batch(f->session, frames, BATCH, NULL, &error), &error);
    test_ok(shk_session_wait(f->session, UINT64_MAX, &result, &error), &error);
    ck_assert_uint_eq(result.frame_count, BATCH);
    shk_session_release(f->session, result.ticket);
}

START_TEST(test_bad_planes)
{
    static const struct {
        size_t offset[2];
        uint32_t stride[2];
        enum shk_status status;
        const char *part;
    } cases[] = {
        {{0, LUMA + 4},
         {WIDTH, WIDTH},
         SHK_ERROR_INVALID_ARGUMENT,
         "plane 1 is at byte 204 of a memory of 300"},
        {{TOTAL - LUMA + 4, 0}, {WIDTH, WIDTH}, SHK_ERROR_INVALID_ARGUMENT, "plane 0 is at byte 104"},
        {{0, TOTAL + 4}, {WIDTH, WIDTH}, SHK_ERROR_INVALID_ARGUMENT, "plane 1 is at byte 304"},
        {{0, SIZE_MAX - 3}, {WIDTH, WIDTH}, SHK_ERROR_INVALID_ARGUMENT, "plane 1 is at byte"},
        {{0, LUMA}, {WIDTH, WIDTH + 4}, SHK_ERROR_INVALID_ARGUMENT, "then 116 bytes"},
        {{0, LUMA}, {UINT32_MAX - 3, WIDTH}, SHK_ERROR_INVALID_ARGUMENT, "plane 0"},
        {{0, LUMA}, {WIDTH - 4, WIDTH}, SHK_ERROR_INVALID_ARGUMENT, "stride of at least 20"},
        {{0, LUMA}, {0, WIDTH}, SHK_ERROR_INVALID_ARGUMENT, "with stride 0"},
        {{0, LUMA - 2}, {WIDTH, WIDTH}, SHK_ERROR_UNSUPPORTED, "plane 1 is at byte 198 with stride 20"},
        {{0, LUMA - 20}, {WIDTH, WIDTH + 2}, SHK_ERROR_UNSUPPORTED, "must be multiples of 4"},
    };
    struct fixture f = setup(_i ? NULL : test_device());
    for (size_t i = 0; i < SHK_ARRAY_LEN(cases); i++) {
        struct shk_frame bad = f.good;
        memcpy(bad.offset, cases[i].offset, sizeof(cases[i].offset));
        memcpy(bad.stride, cases[i].stride, sizeof(cases[i].stride));
        expect_refused(&f, &bad, cases[i].status, cases[i].part);
    }
    expect_works(&f);
    teardown(&f);
}
END_TEST

START_TEST(test_bad_crops)
{
    static const struct shk_rect crops[] = {
        {0, 0, WIDTH + 1, HEIGHT},
        {WIDTH, 0, 1, 1},
        {1, 1, WIDTH, 1},
        {3, 3, 0, 2},
        {3, 3, 2, 0},
        {1, 0, 0, 0},
        {0, 5, 4, HEIGHT - 4},
        {4, 4, UINT32_MAX - 3, 2},
    };
    struct fixture f = setup(_i ? NULL : test_device());
    for (size_t i = 0; i < SHK_ARRAY_LEN(crops); i++) {
        struct shk_frame bad = f.good;
        bad.crop = crops[i];
        expect_refused(&f, &bad, SHK_ERROR_INVALID_ARGUMENT, "is empty or not inside the frame of 20x10");
    }
    expect_works(&f);
    teardown(&f);
}
END_TEST

START_TEST(test_bad_memory)
{
    struct fixture f = setup(test_device()), cpu = setup(NULL);
    struct shk_device *another = test_device_open(0);
    struct shk_memory *foreign = NULL;
    struct shk_frame bad = f.good;
    test_ok(shk_memory_alloc(another, TOTAL, &foreign, &error), &error);
    bad.memory = NULL;
    expect_refused(&f, &bad, SHK_ERROR_INVALID_ARGUMENT, "the frame has no memory");
    bad.memory = foreign;
    expect_refused(&f, &bad, SHK_ERROR_UNSUPPORTED, "by another shk_device");
    bad.memory = cpu.memory;
    expect_refused(&f, &bad, SHK_ERROR_UNSUPPORTED, "in memory of no device, the session runs on");
    bad.memory = f.memory;
    expect_refused(&cpu, &bad, SHK_ERROR_UNSUPPORTED, "the session runs on no device");
    expect_works(&f);
    expect_works(&cpu);
    shk_memory_unref(&foreign);
    test_device_close(&another);
    teardown(&f);
    teardown(&cpu);
}
END_TEST

START_TEST(test_bad_calls)
{
    struct fixture f = setup(_i ? NULL : test_device()), other = setup(_i ? NULL : test_device());
    struct shk_batch_frame frames[BATCH + 1];
    struct shk_stream *stream = NULL;
    struct shk_result result;
    uint8_t output[BYTES / 4], tensors[3][BYTES] = {{0}};
    const void *inputs[BATCH + 1] = {tensors[0], tensors[1], tensors[2], tensors[0]};
    struct shk_frame_format format = {SHK_FORMAT_RGB, 0, 1, SHK_YUV_BT601, SHK_YUV_FULL};
    for (int i = 0; i <= BATCH; i++)
        frames[i] = (struct shk_batch_frame){f.stream, f.good};

    expect(shk_session_submit_batch(f.session, frames, 0, NULL, &error), SHK_ERROR_INVALID_ARGUMENT,
           "takes 1 to 3");
    expect(shk_session_submit_batch(f.session, frames, BATCH + 1, NULL, &error), SHK_ERROR_INVALID_ARGUMENT,
           "4 frames were given");
    expect(shk_session_submit_tensors(f.session, inputs, 0, NULL, NULL, &error), SHK_ERROR_INVALID_ARGUMENT,
           "1 to 3 frames at once");
    expect(shk_session_submit_tensors(f.session, inputs, BATCH + 1, NULL, NULL, &error),
           SHK_ERROR_INVALID_ARGUMENT, "4 input tensors");
    frames[2].stream = other.stream;
    expect(shk_session_submit_batch(f.session, frames, BATCH, NULL, &error), SHK_ERROR_INVALID_ARGUMENT,
           "frame 2 of the batch has no stream of this session");
    frames[2].stream = NULL;
    expect(shk_session_submit_batch(f.session, frames, BATCH, NULL, &error), SHK_ERROR_INVALID_ARGUMENT,
           "frame 2");
    expect(shk_stream_create(f.session, &format, &stream, &error), SHK_ERROR_INVALID_ARGUMENT, "0x1");
    format = (struct shk_frame_format){SHK_FORMAT_COUNT, 8, 8, SHK_YUV_BT601, SHK_YUV_FULL};
    expect(shk_stream_create(f.session, &format, &stream, &error), SHK_ERROR_INVALID_ARGUMENT, "unknown");
    ck_assert_ptr_null(stream);
    shk_stream_destroy(&stream);
    shk_stream_destroy(NULL);

    ck_assert_int_eq(shk_session_get_frame(f.session, 1, 0, &result, &error), SHK_ERROR_INVALID_ARGUMENT);
    test_ok(shk_session_submit_batch(f.session, frames, 2, NULL, &error), &error);
    ck_assert_int_eq(shk_session_get_frame(f.session, 1, 0, &result, &error), SHK_ERROR_INVALID_ARGUMENT);
    test_ok(shk_session_submit_batch(f.session, frames, 1, NULL, &error), &error);
    expect(shk_session_submit_batch(f.session, frames, 1, NULL, &error), SHK_ERROR_BUSY, "all 2 frame slots");
    test_ok(shk_session_wait(f.session, UINT64_MAX, &result, &error), &error);
    expect(shk_session_submit_batch(f.session, frames, 1, NULL, &error), SHK_ERROR_BUSY, "all 2 frame slots");
    test_ok(shk_session_get_frame(f.session, 1, 1, &result, &error), &error);
    expect(shk_session_get_frame(f.session, 1, 2, &result, &error), SHK_ERROR_INVALID_ARGUMENT,
           "batch 1 has 2");
    expect(shk_session_read_output(f.session, 1, 2, 0, output, sizeof(output), &error),
           SHK_ERROR_INVALID_ARGUMENT, "batch 1 has 2");
    shk_session_release(f.session, 1);
    ck_assert_int_eq(shk_session_get_frame(f.session, 1, 0, &result, &error), SHK_ERROR_INVALID_ARGUMENT);
    test_ok(shk_session_submit_batch(f.session, frames, 1, NULL, &error), &error);
    teardown(&f); /* two batches are in flight */
    teardown(&other);
}
END_TEST

/* Nothing is copied, so that nothing is uploaded; the rest is there and in order. */
START_TEST(test_stages)
{
    struct fixture f = setup(_i ? NULL : test_device());
    const struct shk_batch_frame frames[2] = {{f.stream, f.good}, {f.stream, f.good}};
    struct shk_result result;
    test_ok(shk_session_submit_batch(f.session, frames, 2, NULL, &error), &error);
    test_ok(shk_session_wait(f.session, UINT64_MAX, &result, &error), &error);
    for (uint32_t i = 0; i < 2; i++) {
        const struct shk_stage_time *stages = result.stages, *total = &stages[SHK_STAGE_TOTAL];
        test_ok(shk_session_get_frame(f.session, result.ticket, i, &result, &error), &error);
        ck_assert_uint_eq(stages[SHK_STAGE_UPLOAD].duration, 0);
        ck_assert_uint_gt(total->duration, 0);
        for (int stage = 0; stage < SHK_STAGE_TOTAL; stage++) {
            ck_assert_uint_ge(stages[stage].start, total->start);
            ck_assert_uint_le(stages[stage].start + stages[stage].duration, total->start + total->duration);
        }
    }
    teardown(&f);
}
END_TEST

static enum shk_status create(struct shk_device *device, struct shk_model *model, uint32_t batch)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL;
    params.batch_size = batch;
    enum shk_status status = shk_session_create(device, model, &params, &session, &error);
    shk_session_destroy(&session);
    return status;
}

/* The number behind "the largest batch_size is" or the like. */
static uint32_t number_behind(const char *words)
{
    const char *at = strstr(error.message, words);
    ck_assert_msg(at != NULL, "\"%s\" lacks \"%s\"", error.message, words);
    return (uint32_t)strtoul(at + strlen(words), NULL, 10);
}

/* A device that binds little: the message has the largest batch, which works, and one more does not. */
START_TEST(test_largest_batch_that_can_be_bound)
{
    struct shk_device *device = test_device_open(0);
    struct shk_model *model = make_model();
    const uint32_t limits[] = {5000, 8000, 11111};
    test_ok(create(device, model, 32), &error);
    for (size_t i = 0; i < SHK_ARRAY_LEN(limits); i++) {
        device->limits.maxStorageBufferRange = limits[i];
        expect(create(device, model, 32), SHK_ERROR_UNSUPPORTED, "activations of a batch of 32");
        uint32_t largest = number_behind("largest batch_size is ");
        ck_assert_uint_ge(largest, 1);
        ck_assert_uint_lt(largest, 32);
        expect(create(device, model, largest + 1), SHK_ERROR_UNSUPPORTED, "activations of a batch of");
        ck_assert_uint_eq(number_behind("largest batch_size is "), largest);
        test_ok(create(device, model, largest), &error);
    }
    shk_model_destroy(&model);
    test_device_close(&device);
}
END_TEST

/* Likewise one that has little memory. */
START_TEST(test_largest_batch_that_fits_the_budget)
{
    struct shk_device *device = test_device_open(UINT64_C(20) << 20);
    struct shk_model *model = make_model_of(512);
    expect(create(device, model, 32), SHK_ERROR_OUT_OF_DEVICE_MEMORY,
           "activations of a batch of 32 need 32 times");
    uint32_t most = number_behind("a batch_size of at most ");
    ck_assert_uint_ge(most, 4);
    ck_assert_uint_lt(most, 20);
    test_ok(create(device, model, most / 4), &error); /* staging wants memory, too */
    shk_model_destroy(&model);
    test_device_close(&device);
}
END_TEST

/* And frames in more memory than can be bound. */
START_TEST(test_memory_that_cannot_be_bound)
{
    struct shk_device *device = test_device_open(0);
    struct fixture f = setup(device);
    const struct shk_frame_format large = {SHK_FORMAT_RGB, 100, 100, SHK_YUV_BT601, SHK_YUV_FULL};
    uint32_t real = device->limits.maxStorageBufferRange;
    device->limits.maxStorageBufferRange = TOTAL - 4;
    expect(shk_stream_check(f.stream, &f.good, &error), SHK_ERROR_UNSUPPORTED,
           "in a memory of 300 bytes, 296 can be bound");
    expect(shk_session_configure(f.session, &large, &error), SHK_ERROR_UNSUPPORTED,
           "this device can bind 296");
    device->limits.maxStorageBufferRange = real;
    expect_works(&f);
    teardown(&f);
    test_device_close(&device);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("batch refused");
    TCase *tests = tcase_create("batch refused");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_bad_planes, 0, 2);
    tcase_add_loop_test(tests, test_bad_crops, 0, 2);
    tcase_add_test(tests, test_bad_memory);
    tcase_add_loop_test(tests, test_bad_calls, 0, 2);
    tcase_add_loop_test(tests, test_stages, 0, 2);
    tcase_add_test(tests, test_largest_batch_that_can_be_bound);
    tcase_add_test(tests, test_largest_batch_that_fits_the_budget);
    tcase_add_test(tests, test_memory_that_cannot_be_bound);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
