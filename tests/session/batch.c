/* Batches: whatever shares a batch, each frame has the bytes that it has alone.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "frame_memory.h"
#include "image_model.h"
#include "pictures.h"
#include "support.h"

#define BATCH    5
#define PICTURES 14
#define PAGE     4096

static struct shk_error error;

/* A session under test, and what each picture comes to in a session for single frames. */
struct fixture {
    struct shk_model *model;
    struct shk_session *session, *alone;
    struct picture pictures[PICTURES];
    struct shk_stream *streams[PICTURES];
    struct shk_memory *memory[PICTURES];
    uint8_t expected[PICTURES][BYTES / 2];
    uint64_t ticket;
};

static void make_alone(struct fixture *f, struct shk_device *device, struct shk_session_params params)
{
    params.batch_size = 1;
    test_ok(shk_session_create(device, f->model, &params, &f->alone, &error), &error);
}

static struct fixture setup(struct shk_device *device, enum shk_resize resize, enum shk_filter filter)
{
    struct fixture f = {.model = make_model()};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    params.batch_size = BATCH;
    params.resize = resize;
    params.filter = filter;
    params.log = test_log();
    test_ok(shk_session_create(device, f.model, &params, &f.session, &error), &error);
    make_alone(&f, device, params);
    for (int i = 0; i < PICTURES; i++) {
        enum shk_pixel_format format = (enum shk_pixel_format)(i % SHK_FORMAT_COUNT);
        f.pictures[i] = picture_make(f.model, format, 60, (uint64_t)i + 1);
        f.memory[i] = picture_upload(&f.pictures[i], device);
        test_ok(shk_stream_create(f.session, &f.pictures[i].format, &f.streams[i], &error), &error);
        picture_run_alone(&f.pictures[i], f.alone, f.expected[i]);
    }
    return f;
}

static void teardown(struct fixture *f)
{
    for (int i = 0; i < PICTURES; i++) {
        shk_stream_destroy(&f->streams[i]);
        shk_memory_unref(&f->memory[i]);
    }
    shk_session_destroy(&f->session);
    shk_session_destroy(&f->alone);
    shk_model_destroy(&f->model);
    for (int i = 0; i < PICTURES; i++)
        picture_free(&f->pictures[i]);
}

static void submit(struct fixture *f, const uint32_t *which, uint32_t count)
{
    struct shk_batch_frame frames[BATCH];
    for (uint32_t i = 0; i < count; i++)
        frames[i] = (struct shk_batch_frame){f->streams[which[i]],
                                             picture_in(&f->pictures[which[i]], f->memory[which[i]])};
    test_ok(shk_session_submit_batch(f->session, frames, count, &f->ticket, &error), &error);
}

static void check_outputs(struct fixture *f, uint64_t ticket, uint32_t frame, const uint8_t *expected)
{
    uint8_t found[BYTES / 4];
    for (uint32_t k = 0; k < 2; k++) {
        test_ok(shk_session_read_output(f->session, ticket, frame, k, found, sizeof(found), &error), &error);
        ck_assert_msg(memcmp(found, expected + k * sizeof(found), sizeof(found)) == 0,
                      "batch %llu, frame %u: output %u is not that of the frame alone",
                      (unsigned long long)ticket, frame, k);
    }
}

/* Waits for the oldest batch, which must be just these pictures. */
static void take(struct fixture *f, const uint32_t *which, uint32_t count)
{
    struct shk_result batch, result;
    test_ok(shk_session_wait(f->session, UINT64_MAX, &batch, &error), &error);
    ck_assert_uint_eq(batch.frame_count, count);
    for (uint32_t i = 0; i < count; i++) {
        test_ok(shk_session_get_frame(f->session, batch.ticket, i, &result, &error), &error);
        ck_assert_uint_eq(result.ticket, batch.ticket);
        ck_assert_uint_eq(result.frame_count, count);
        ck_assert_ptr_eq(result.user, &f->pictures[which[i]]);
        check_outputs(f, batch.ticket, i, f->expected[which[i]]);
    }
    ck_assert_ptr_eq(batch.user, &f->pictures[which[0]]);
    shk_session_release(f->session, batch.ticket);
}

/* Every count, formats and sizes in every mixture, two batches in flight; stretch and letterbox, bilinear and
 * area, on the device and on the reference. */
START_TEST(test_frames_have_the_bytes_they_have_alone)
{
    struct fixture f =
        setup(_i & 4 ? NULL : test_device(), (enum shk_resize)(_i & 1), (enum shk_filter)(_i >> 1 & 1));
    struct test_rng rng = {99};
    uint32_t which[2][BATCH], count[2] = {0};
    for (uint32_t round = 0; round < 6 * BATCH; round++) {
        uint32_t now = round % 2;
        count[now] = 1 + (round + round / BATCH) % BATCH;
        for (uint32_t i = 0; i < count[now]; i++)
            which[now][i] = test_random_below(&rng, PICTURES);
        submit(&f, which[now], count[now]);
        ck_assert_uint_eq(f.ticket, round + 1);
        if (round > 0)
            take(&f, which[!now], count[!now]);
    }
    take(&f, which[1], count[1]);
    teardown(&f);
}
END_TEST

/* The reference agrees with the device about the frames alone, too. */
START_TEST(test_device_equals_reference)
{
    struct fixture device = setup(test_device(), SHK_RESIZE_LETTERBOX, SHK_FILTER_BILINEAR);
    struct fixture cpu = setup(NULL, SHK_RESIZE_LETTERBOX, SHK_FILTER_BILINEAR);
    ck_assert_mem_eq(device.expected, cpu.expected, sizeof(cpu.expected));
    ck_assert_mem_ne(cpu.expected[0], cpu.expected[1], BYTES / 2);
    teardown(&device);
    teardown(&cpu);
}
END_TEST

static void fill_again(struct fixture *f, uint32_t index, uint64_t seed)
{
    struct test_rng rng = {seed};
    struct picture *picture = &f->pictures[index];
    test_random_bytes(&rng, picture->bytes, picture->size);
    picture_run_alone(picture, f->alone, f->expected[index]);
}

static void run(struct fixture *f, const uint32_t *which, uint32_t count)
{
    submit(f, which, count);
    take(f, which, count);
}

/* The same memory with new bytes, new memory where the old one was, and memories that change places. */
START_TEST(test_memory_is_used_again)
{
    struct fixture f = setup(test_device(), SHK_RESIZE_STRETCH, SHK_FILTER_BILINEAR);
    for (uint64_t round = 0; round < 12; round++) {
        uint32_t which[] = {(uint32_t)round % 3, 3};
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t k = which[i];
            fill_again(&f, k, round * 2 + i);
            if (round >= 6) { /* new, most likely in the same place */
                shk_memory_unref(&f.memory[k]);
                f.memory[k] = picture_upload(&f.pictures[k], test_device());
            } else {
                memcpy(f.memory[k]->info.map, f.pictures[k].bytes, f.pictures[k].size);
            }
        }
        run(&f, which, 2);
        uint32_t swapped[] = {which[1], which[0]};
        run(&f, swapped, 2);
        run(&f, which, 1 + round % 2);
    }
    teardown(&f);
}
END_TEST

/* As from a decoder's pool: frames of one stream in memories that take turns. Nothing but the memory differs.
 */
START_TEST(test_memories_take_turns)
{
    enum { MEMORIES = 3 };
    struct fixture f = setup(test_device(), SHK_RESIZE_STRETCH, SHK_FILTER_BILINEAR);
    struct shk_memory *pool[MEMORIES], *own = f.memory[0];
    uint8_t expected[MEMORIES][BYTES / 2];
    struct shk_result result;
    for (uint32_t i = 0; i < MEMORIES; i++) {
        fill_again(&f, 0, i);
        memcpy(expected[i], f.expected[0], sizeof(expected[i]));
        pool[i] = picture_upload(&f.pictures[0], test_device());
    }
    for (uint32_t round = 0; round < 4 * MEMORIES; round++) {
        struct shk_batch_frame frames[2];
        for (uint32_t i = 0; i < 2; i++) {
            f.memory[0] = pool[(round + i) % MEMORIES];
            frames[i] = (struct shk_batch_frame){f.streams[0], picture_in(&f.pictures[0], f.memory[0])};
        }
        test_ok(shk_session_submit_batch(f.session, frames, 2, NULL, &error), &error);
        test_ok(shk_session_wait(f.session, UINT64_MAX, &result, &error), &error);
        for (uint32_t i = 0; i < 2; i++)
            check_outputs(&f, result.ticket, i, expected[(round + i) % MEMORIES]);
        shk_session_release(f.session, result.ticket);
    }
    for (uint32_t i = 0; i < MEMORIES; i++)
        shk_memory_unref(&pool[i]);
    f.memory[0] = own;
    teardown(&f);
}
END_TEST

/* Pictures one behind the other in one memory: all of a batch, and none at its beginning. */
START_TEST(test_frames_share_a_memory)
{
    struct fixture f = setup(test_device(), SHK_RESIZE_LETTERBOX, SHK_FILTER_AREA);
    struct shk_memory *memory = NULL;
    struct shk_batch_frame frames[BATCH];
    struct shk_result result;
    size_t size = 64, at = 64;
    for (int i = 0; i < BATCH; i++)
        size += shk_align_up(f.pictures[i].size, 4);
    test_ok(shk_memory_alloc(test_device(), size, &memory, &error), &error);
    for (int i = 0; i < BATCH; i++) {
        memcpy((uint8_t *)memory->info.map + at, f.pictures[i].bytes, f.pictures[i].size);
        frames[i] = (struct shk_batch_frame){f.streams[i], picture_in(&f.pictures[i], memory)};
        for (int plane = 0; plane < 3; plane++)
            frames[i].frame.offset[plane] += at;
        at += shk_align_up(f.pictures[i].size, 4);
    }
    test_ok(shk_session_submit_batch(f.session, frames, BATCH, NULL, &error), &error);
    test_ok(shk_session_wait(f.session, UINT64_MAX, &result, &error), &error);
    for (uint32_t i = 0; i < BATCH; i++)
        check_outputs(&f, result.ticket, i, f.expected[i]);
    shk_session_release(f.session, result.ticket);
    shk_memory_unref(&memory);
    teardown(&f);
}
END_TEST

/* The caller's own pages, read where they are: from the middle of a page, and not from where a storage buffer
 * may begin. The last word ends where the caller's bytes do. */
START_TEST(test_imported_host_memory)
{
    struct fixture f = setup(test_device(), SHK_RESIZE_STRETCH, SHK_FILTER_BILINEAR);
    struct shk_device_info info;
    shk_device_get_info(test_device(), &info);
    if (!info.external_memory_host) {
        printf("not checked: the driver does not offer VK_EXT_external_memory_host\n");
        teardown(&f);
        return;
    }
    uint8_t *pages[BATCH];
    const uint32_t which[] = {0, 1, 2, 7, 8};
    for (uint32_t i = 0; i < BATCH; i++) {
        struct picture *picture = &f.pictures[which[i]];
        pages[i] = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert_uint_le(picture->size, 15 * PAGE);
        shk_memory_unref(&f.memory[which[i]]);
        test_ok(shk_memory_import_host(test_device(), pages[i] + 20 * i, picture->size, &f.memory[which[i]],
                                       &error),
                &error);
    }
    for (uint64_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < BATCH; i++) {
            fill_again(&f, which[i], round * BATCH + i);
            memcpy(pages[i] + 20 * i, f.pictures[which[i]].bytes, f.pictures[which[i]].size);
        }
        run(&f, which, BATCH);
    }
    teardown(&f);
    for (uint32_t i = 0; i < BATCH; i++)
        munmap(pages[i], 16 * PAGE);
}
END_TEST

struct stream_maker {
    struct shk_session *session;
    atomic_uint made;
    unsigned wrong;
};

/* Every format, so that pipelines are built and their table grows. */
static void *make_streams(void *data)
{
    struct stream_maker *maker = data;
    struct shk_error local;
    for (uint32_t i = 0; i < 8 * SHK_FORMAT_COUNT; i++) {
        struct shk_stream *stream = NULL;
        const struct shk_frame_format format = {(enum shk_pixel_format)(i % SHK_FORMAT_COUNT), 10 + i, 20,
                                                i & 1, 0};
        const struct shk_frame nothing = {0};
        maker->wrong += shk_stream_create(maker->session, &format, &stream, &local) != SHK_OK;
        maker->wrong += shk_stream_check(stream, &nothing, &local) != SHK_ERROR_INVALID_ARGUMENT;
        shk_stream_destroy(&stream);
        atomic_fetch_add(&maker->made, 1);
    }
    return NULL;
}

/* Streams come and go while another thread has frames on the device. */
START_TEST(test_streams_from_another_thread)
{
    struct fixture f = setup(test_device(), SHK_RESIZE_STRETCH, SHK_FILTER_BILINEAR);
    struct stream_maker maker;
    struct shk_session *fresh = NULL; /* without a pipeline for frames */
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    const uint32_t which[] = {0, 1, 2};
    pthread_t thread;
    params.batch_size = BATCH;
    test_ok(shk_session_create(test_device(), f.model, &params, &fresh, &error), &error);
    for (int i = 0; i < PICTURES; i++)
        shk_stream_destroy(&f.streams[i]);
    shk_session_destroy(&f.session);
    f.session = fresh;
    for (int i = 0; i < 3; i++)
        test_ok(shk_stream_create(f.session, &f.pictures[i].format, &f.streams[i], &error), &error);
    maker = (struct stream_maker){.session = f.session};
    submit(&f, which, 3);
    ck_assert_int_eq(pthread_create(&thread, NULL, make_streams, &maker), 0);
    do { /* count changes: commands are recorded again and again */
        submit(&f, which, 1 + atomic_load(&maker.made) % 3);
        struct shk_result result;
        test_ok(shk_session_wait(f.session, UINT64_MAX, &result, &error), &error);
        for (uint32_t i = 0; i < result.frame_count; i++)
            check_outputs(&f, result.ticket, i, f.expected[which[i]]);
        shk_session_release(f.session, result.ticket);
    } while (atomic_load(&maker.made) < 8 * SHK_FORMAT_COUNT);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(maker.wrong, 0);
    teardown(&f); /* a batch is still in flight */
}
END_TEST

static void random_tensors(uint8_t bytes[BATCH][BYTES], const void *inputs[BATCH], uint64_t seed)
{
    struct test_rng rng = {seed};
    for (int i = 0; i < BATCH; i++) {
        test_random_bytes(&rng, bytes[i], BYTES);
        inputs[i] = bytes[i];
    }
}

/* Output of a tensor alone. */
static void run_tensor_alone(struct fixture *f, const void *input, uint8_t expected[BYTES / 2])
{
    struct shk_result result;
    test_ok(shk_session_submit_tensors(f->alone, &input, 1, NULL, NULL, &error), &error);
    test_ok(shk_session_wait(f->alone, UINT64_MAX, &result, &error), &error);
    for (uint32_t k = 0; k < 2; k++)
        test_ok(shk_session_read_output(f->alone, result.ticket, 0, k, expected + k * BYTES / 4, BYTES / 4,
                                        &error),
                &error);
    shk_session_release(f->alone, result.ticket);
}

/* Raw tensors, every count; and between them frames by pointer and batches of frames, in the same slots. */
START_TEST(test_tensors_and_frames_take_turns)
{
    struct fixture f = setup(_i ? NULL : test_device(), SHK_RESIZE_STRETCH, SHK_FILTER_BILINEAR);
    uint8_t tensors[BATCH][BYTES], expected[BYTES / 2];
    const void *inputs[BATCH];
    struct shk_result result;
    for (uint32_t round = 0; round < 3 * BATCH; round++) {
        uint32_t count = 1 + round % BATCH, which[] = {round % PICTURES, (round + 5) % PICTURES};
        random_tensors(tensors, inputs, round);
        test_ok(shk_session_submit_tensors(f.session, inputs, count, &f, NULL, &error), &error);
        memset(tensors, 0, sizeof(tensors)); /* may be reused when the call returns */
        submit(&f, which, 2);
        random_tensors(tensors, inputs, round);
        test_ok(shk_session_wait(f.session, UINT64_MAX, &result, &error), &error);
        ck_assert_uint_eq(result.frame_count, count);
        for (uint32_t i = 0; i < count; i++) {
            run_tensor_alone(&f, inputs[i], expected);
            check_outputs(&f, result.ticket, i, expected);
            test_ok(shk_session_get_frame(f.session, result.ticket, i, &result, &error), &error);
            ck_assert_ptr_eq(result.user, &f);
        }
        shk_session_release(f.session, result.ticket);
        take(&f, which, 2);
        picture_run_alone(&f.pictures[which[0]], f.session, expected);
        ck_assert_mem_eq(expected, f.expected[which[0]], sizeof(expected));
    }
    teardown(&f);
}
END_TEST

/* Boxes are those of each frame alone: placement, decoding and users are of the frame, not of the batch. */
START_TEST(test_detections)
{
    struct fixture f = {0};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_detection expected[3][100];
    struct shk_batch_frame frames[3];
    struct shk_result result;
    uint32_t counts[3];
    if (shk_model_load_default(&f.model, &error))
        return;                       /* built without one */
    params.score_threshold = 0.0001f; /* noise has objects, too */
    params.max_detections = 100;
    params.resize = SHK_RESIZE_LETTERBOX;
    make_alone(&f, test_device(), params);
    params.batch_size = 3;
    test_ok(shk_session_create(test_device(), f.model, &params, &f.session, &error), &error);
    for (int i = 0; i < 3; i++) {
        f.pictures[i] = picture_make(f.model, (enum shk_pixel_format)(SHK_FORMAT_GRAY8 + i), 300, 5);
        f.memory[i] = picture_upload(&f.pictures[i], test_device());
        struct shk_frame frame = picture_by_pointers(&f.pictures[i]);
        test_ok(shk_stream_create(f.session, &f.pictures[i].format, &f.streams[i], &error), &error);
        test_ok(shk_session_configure(f.alone, &f.pictures[i].format, &error), &error);
        test_ok(shk_session_submit(f.alone, &frame, NULL, &error), &error);
        test_ok(shk_session_wait(f.alone, UINT64_MAX, &result, &error), &error);
        counts[i] = result.detection_count;
        memcpy(expected[i], result.detections, counts[i] * sizeof(*expected[i]));
        shk_session_release(f.alone, result.ticket);
        frames[i] = (struct shk_batch_frame){f.streams[i], picture_in(&f.pictures[i], f.memory[i])};
    }
    test_ok(shk_session_submit_batch(f.session, frames, 3, NULL, &error), &error);
    test_ok(shk_session_wait(f.session, UINT64_MAX, &result, &error), &error);
    for (uint32_t i = 0; i < 3; i++) {
        test_ok(shk_session_get_frame(f.session, result.ticket, i, &result, &error), &error);
        ck_assert_uint_gt(counts[i], 0);
        ck_assert_uint_eq(result.detection_count, counts[i]);
        ck_assert_mem_eq(result.detections, expected[i], counts[i] * sizeof(*expected[i]));
    }
    teardown(&f);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("batch");
    TCase *tests = tcase_create("batch");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_frames_have_the_bytes_they_have_alone, 0, 8);
    tcase_add_test(tests, test_device_equals_reference);
    tcase_add_test(tests, test_memory_is_used_again);
    tcase_add_test(tests, test_memories_take_turns);
    tcase_add_test(tests, test_frames_share_a_memory);
    tcase_add_test(tests, test_imported_host_memory);
    tcase_add_test(tests, test_streams_from_another_thread);
    tcase_add_loop_test(tests, test_tensors_and_frames_take_turns, 0, 2);
    tcase_add_test(tests, test_detections);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
