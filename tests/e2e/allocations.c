/* Nothing is allocated per frame after the first frames: neither by libshrike on the heap, which an interposer
 * of the allocator counts, nor from the device's memory. What drivers do inside their calls is theirs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/shrike.h>

#define WIDTH  640
#define HEIGHT 480
#define WARMUP 4
#define FRAMES 24
#define BATCH  3
#define POOL   7

static atomic_bool counting;
static atomic_uint ours, others;
static _Thread_local bool inside;
static void *libshrike, *libc_base;
static void *offender[32];
static int offender_depth;

static void *base_of(const void *address)
{
    Dl_info info;
    return dladdr(address, &info) ? info.dli_fbase : NULL;
}

/* Whoever asked libc for memory, directly or through strdup(), qsort() and the like: the first caller outside
 * of the interposer and of libc. */
static void count(void)
{
    if (!atomic_load(&counting) || inside)
        return;
    inside = true;
    void *frames[32];
    int depth = backtrace(frames, 32);
    void *caller = NULL;
    for (int i = 2; i < depth && !caller; i++) {
        void *base = base_of(frames[i]);
        caller = base != libc_base ? base : NULL;
    }
    if (caller == libshrike && atomic_fetch_add(&ours, 1) == 0) {
        memcpy(offender, frames, sizeof(offender));
        offender_depth = depth;
    } else if (caller != libshrike) {
        atomic_fetch_add(&others, 1);
    }
    inside = false;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

__attribute__((noinline)) void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

__attribute__((noinline)) void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

__attribute__((noinline)) void *realloc(void *old, size_t size)
{
    count();
    return __libc_realloc(old, size);
}

__attribute__((noinline)) void *aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

__attribute__((noinline)) int posix_memalign(void **out, size_t alignment, size_t size)
{
    count();
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}

static struct shk_device *device;
static struct shk_model *model;
static uint8_t pixels[WIDTH * HEIGHT * 3 / 2];

/* Sessions for single frames that are copied, or for batches in memory that the device reads. */
struct way {
    const char *name;
    struct shk_session *(*open)(void);
    void (*run)(struct shk_session *session, int frames);
    void (*close)(struct shk_session **session);
};

static struct shk_session *open_session(void)
{
    struct shk_session *session;
    struct shk_error error = {0};
    const struct shk_frame_format format = {SHK_FORMAT_I420, WIDTH, HEIGHT};
    ck_assert_msg(!shk_session_create(device, model, NULL, &session, &error), "%s", error.message);
    ck_assert_msg(!shk_session_configure(session, &format, &error), "%s", error.message);
    return session;
}

/* Two frames in flight, a picture that changes. */
static void run_frames(struct shk_session *session, int frames)
{
    struct shk_error error;
    struct shk_result result;
    const size_t luma = WIDTH * HEIGHT;
    const struct shk_frame frame = {
        .plane = {pixels, pixels + luma, pixels + luma * 5 / 4},
        .plane_size = {luma, luma / 4, luma / 4},
        .stride = {WIDTH, WIDTH / 2, WIDTH / 2},
    };
    for (int i = 0; i < frames + 1; i++) {
        for (int k = 0; k < 2000; k++)
            pixels[(size_t)(i * 7919 + k * 131) % sizeof(pixels)] ^= 0x5a;
        if (i < frames)
            ck_assert_msg(!shk_session_submit(session, &frame, NULL, &error), "%s", error.message);
        if (i > 0) {
            ck_assert_msg(!shk_session_wait(session, UINT64_MAX, &result, &error), "%s", error.message);
            shk_session_release(session, result.ticket);
        }
    }
}

/* ---- batches ---- */

static struct shk_stream *streams[2]; /* of whole frames, and of their upper half */
static struct shk_memory *memories[POOL];

static struct shk_session *open_batches(void)
{
    struct shk_session *session;
    struct shk_error error = {0};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    const struct shk_frame_format formats[2] = {{SHK_FORMAT_I420, WIDTH, HEIGHT}, {SHK_FORMAT_GRAY8, WIDTH, HEIGHT / 2}};
    params.batch_size = BATCH;
    ck_assert_msg(!shk_session_create(device, model, &params, &session, &error), "%s", error.message);
    for (int i = 0; i < 2; i++)
        ck_assert_msg(!shk_stream_create(session, &formats[i], &streams[i], &error), "%s", error.message);
    for (int i = 0; i < POOL; i++) {
        struct shk_memory_info info;
        ck_assert_msg(!shk_memory_alloc(device, sizeof(pixels), &memories[i], &error), "%s", error.message);
        shk_memory_get_info(memories[i], &info);
        memset(info.map, i * 40, info.size);
    }
    return session;
}

static void close_batches(struct shk_session **session)
{
    for (int i = 0; i < 2; i++)
        shk_stream_destroy(&streams[i]);
    shk_session_destroy(session);
    for (int i = 0; i < POOL; i++)
        shk_memory_unref(&memories[i]);
}

/* Another memory, another stream and another number of frames every time. */
static void run_batches(struct shk_session *session, int batches)
{
    struct shk_error error;
    struct shk_result result;
    const size_t luma = WIDTH * HEIGHT;
    for (int i = 0; i < batches + 1; i++) {
        struct shk_batch_frame frames[BATCH];
        uint32_t count = 1 + (uint32_t)i % BATCH;
        for (uint32_t k = 0; k < count; k++)
            frames[k] = (struct shk_batch_frame){
                .stream = streams[((uint32_t)i + k) / 2 % 2],
                .frame = {.memory = memories[((uint32_t)i * BATCH + k) % POOL],
                          .offset = {0, luma, luma * 5 / 4},
                          .stride = {WIDTH, WIDTH / 2, WIDTH / 2}},
            };
        if (i < batches)
            ck_assert_msg(!shk_session_submit_batch(session, frames, count, NULL, &error), "%s", error.message);
        if (i == 0)
            continue;
        ck_assert_msg(!shk_session_wait(session, UINT64_MAX, &result, &error), "%s", error.message);
        for (uint32_t k = 0; k < result.frame_count; k++) {
            struct shk_result frame;
            ck_assert(!shk_session_get_frame(session, result.ticket, k, &frame, &error));
        }
        shk_session_release(session, result.ticket);
    }
}

static const struct way ways[] = {
    {"frames", open_session, run_frames, shk_session_destroy},
    {"batches", open_batches, run_batches, close_batches},
};

START_TEST(interposer_sees_libshrike)
{
    atomic_store(&ours, 0);
    atomic_store(&counting, true);
    struct shk_session *session = open_session();
    atomic_store(&counting, false);
    shk_session_destroy(&session);
    ck_assert_uint_gt(atomic_load(&ours), 10);
}
END_TEST

START_TEST(steady_state)
{
    struct shk_memory_stats before, after;
    const struct way *way = &ways[_i];
    struct shk_session *session = way->open();
    way->run(session, WARMUP);
    shk_device_memory_stats(device, &before);
    atomic_store(&ours, 0);
    atomic_store(&others, 0);
    atomic_store(&counting, true);
    way->run(session, FRAMES);
    atomic_store(&counting, false);
    shk_device_memory_stats(device, &after);
    way->close(&session);
    printf("%d %s: %u allocations by libshrike, %u by drivers\n", FRAMES, way->name, atomic_load(&ours),
           atomic_load(&others));
    if (atomic_load(&ours) > 0)
        backtrace_symbols_fd(offender, offender_depth, 2);
    ck_assert_uint_eq(atomic_load(&ours), 0);
    ck_assert_uint_eq(before.total_driver_allocations, after.total_driver_allocations);
    ck_assert_uint_eq(before.allocations, after.allocations);
    ck_assert_uint_eq(before.used, after.used);
}
END_TEST

int main(void)
{
    struct shk_error error;
    void *warm[4];
    backtrace(warm, 4); /* loads the unwinder, which allocates */
    libshrike = base_of(dlsym(RTLD_DEFAULT, "shk_session_submit"));
    libc_base = base_of(dlsym(RTLD_DEFAULT, "abort"));
    if (libshrike == base_of((void *)open_session)) {
        fprintf(stderr, "libshrike is linked statically: its allocations cannot be told from the test's\n");
        return 1;
    }
    if (shk_device_create(NULL, &device, &error)) {
        printf("skipped: %s\n", error.message);
        return error.status == SHK_ERROR_NO_DEVICE ? 77 : 1;
    }
    if (shk_model_load_default(&model, &error)) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    Suite *suite = suite_create("allocations");
    TCase *tcase = tcase_create("allocations");
    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, interposer_sees_libshrike);
    tcase_add_loop_test(tcase, steady_state, 0, sizeof(ways) / sizeof(ways[0]));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    shk_model_destroy(&model);
    shk_device_destroy(&device);
    return failed != 0;
}
