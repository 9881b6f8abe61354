/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "support.h"

#define MIB         (UINT64_C(1) << 20)
#define MAX_BUFFERS 200

static struct shk_error error;

struct held {
    struct shk_buffer buffer;
    uint64_t seed; /* of its content, where it is mapped */
};

static void fill(struct held *h)
{
    struct test_rng rng = {h->seed};
    if (h->buffer.map)
        test_random_bytes(&rng, h->buffer.map, h->buffer.size);
}

/* Nobody else has written there. */
static void check_content(const struct held *h)
{
    struct test_rng rng = {h->seed};
    static uint8_t expected[1 << 20];
    if (!h->buffer.map)
        return;
    ck_assert_uint_le(h->buffer.size, sizeof(expected));
    test_random_bytes(&rng, expected, h->buffer.size);
    ck_assert_mem_eq(h->buffer.map, expected, h->buffer.size);
}

static void check_apart(const struct held *held, uint32_t count, const struct shk_buffer *b)
{
    bool overlap = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct shk_buffer *a = &held[i].buffer;
        overlap |=
            a->memory == b->memory && a->offset < b->offset + b->size && b->offset < a->offset + a->size;
    }
    ck_assert(!overlap);
}

static void check_alignment(const struct shk_device *device, const struct shk_buffer *b, uint64_t alignment)
{
    ck_assert_uint_eq(b->offset % SHK_MAX(alignment, 1), 0);
    ck_assert_uint_eq(b->offset % device->limits.minStorageBufferOffsetAlignment, 0);
    ck_assert_uint_eq(b->offset % device->limits.minUniformBufferOffsetAlignment, 0);
    if (b->map)
        ck_assert_uint_eq(b->offset % device->limits.nonCoherentAtomSize, 0);
}

static void check_stats(struct shk_device *device, const struct held *held, uint32_t count)
{
    struct shk_memory_stats stats;
    uint64_t asked = 0;

    shk_device_memory_stats(device, &stats);
    for (uint32_t i = 0; i < count; i++)
        asked += held[i].buffer.size;
    ck_assert_uint_eq(stats.allocations, count);
    ck_assert_uint_ge(stats.used, asked);
    ck_assert_uint_le(stats.used, asked + UINT64_C(4096) * count);
    ck_assert_uint_le(stats.used, stats.peak_used);
    ck_assert_uint_le(stats.used, stats.reserved);
    ck_assert_uint_le(stats.reserved, stats.budget);
    ck_assert_uint_le(stats.largest_free, stats.reserved - stats.used);
    ck_assert_uint_le(stats.blocks, stats.total_driver_allocations);
}

START_TEST(test_random_workload)
{
    struct shk_device *device = test_device_open(0);
    static struct held held[MAX_BUFFERS];
    struct test_rng rng = {11};
    uint32_t count = 0;

    for (int step = 0; step < 3000; step++) {
        bool grow = test_random_below(&rng, 100) < (step / 500 % 2 ? 35u : 65u);
        if (count && (!grow || count == MAX_BUFFERS)) {
            uint32_t i = test_random_below(&rng, count);
            check_content(&held[i]);
            shk_pool_free(device->pool, &held[i].buffer);
            ck_assert_ptr_null(held[i].buffer.block);
            held[i] = held[--count];
        } else {
            struct held *h = &held[count];
            uint64_t size = 1 + test_random_below(&rng, 2u << test_random_below(&rng, 18));
            uint64_t alignment = test_random_below(&rng, 2) << test_random_below(&rng, 13);
            enum shk_memory_kind kind = test_random_below(&rng, SHK_MEMORY_KIND_COUNT);
            test_ok(shk_pool_alloc(device->pool, kind, size, alignment, &h->buffer, &error), &error);
            ck_assert_uint_eq(h->buffer.size, size);
            ck_assert(h->buffer.map || kind == SHK_MEMORY_DEVICE);
            check_alignment(device, &h->buffer, alignment);
            check_apart(held, count, &h->buffer);
            h->seed = test_random(&rng);
            fill(h);
            count++;
        }
        check_stats(device, held, count);
    }
    while (count)
        shk_pool_free(device->pool, &held[--count].buffer);
    check_stats(device, held, 0);
    struct shk_memory_stats stats;
    shk_device_memory_stats(device, &stats);
    ck_assert_uint_eq(stats.used, 0);
    ck_assert_uint_le(stats.blocks, SHK_MEMORY_KIND_COUNT); /* at most one empty block kept for each kind */
    test_device_close(&device);
}
END_TEST

START_TEST(test_pairs_do_not_call_the_driver)
{
    struct shk_device *device = test_device_open(0);
    struct shk_memory_stats before, after;
    struct shk_buffer buffer;

    test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_UPLOAD, 1000, 0, &buffer, &error), &error);
    shk_pool_free(device->pool, &buffer);
    shk_pool_free(device->pool, &buffer); /* empty: fine */
    shk_device_memory_stats(device, &before);
    for (int i = 0; i < 100; i++) {
        test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_UPLOAD, MIB, 0, &buffer, &error), &error);
        shk_pool_free(device->pool, &buffer);
    }
    shk_device_memory_stats(device, &after);
    ck_assert_uint_eq(before.total_driver_allocations, after.total_driver_allocations);
    test_device_close(&device);
}
END_TEST

START_TEST(test_empty_blocks_go_back)
{
    struct shk_device *device = test_device_open(0);
    struct shk_buffer large, small[40];
    struct shk_memory_stats stats;

    /* a block of its own, returned at once */
    test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, 100 * MIB + 1, 0, &large, &error), &error);
    shk_device_memory_stats(device, &stats);
    ck_assert_uint_eq(stats.blocks, 1);
    ck_assert_uint_ge(stats.reserved, 100 * MIB + 1);
    ck_assert_uint_lt(stats.reserved, 101 * MIB);
    shk_pool_free(device->pool, &large);
    shk_device_memory_stats(device, &stats);
    ck_assert_uint_eq(stats.blocks, 0);
    ck_assert_uint_eq(stats.reserved, 0);

    for (int i = 0; i < 40; i++)
        test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, 4 * MIB, 0, &small[i], &error), &error);
    shk_device_memory_stats(device, &stats);
    ck_assert_uint_gt(stats.blocks, 1);
    ck_assert_uint_lt(stats.blocks, 10);
    for (int i = 0; i < 40; i++)
        shk_pool_free(device->pool, &small[i]);
    shk_device_memory_stats(device, &stats);
    ck_assert_uint_eq(stats.blocks, 1);
    ck_assert_uint_ge(stats.peak_used, 160 * MIB);
    test_device_close(&device);
}
END_TEST

START_TEST(test_largest_free_is_to_be_had)
{
    struct shk_device *device = test_device_open(0);
    struct shk_buffer buffers[3], rest;
    struct shk_memory_stats before, after;

    for (int i = 0; i < 3; i++)
        test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, 70000 * (i + 1), 0, &buffers[i], &error),
                &error);
    shk_pool_free(device->pool, &buffers[1]);
    shk_device_memory_stats(device, &before);
    test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, before.largest_free, 0, &rest, &error), &error);
    shk_device_memory_stats(device, &after);
    ck_assert_uint_eq(before.total_driver_allocations, after.total_driver_allocations);
    ck_assert_uint_eq(before.used + before.largest_free, after.used);
    shk_pool_free(device->pool, &rest);
    shk_pool_free(device->pool, &buffers[0]);
    shk_pool_free(device->pool, &buffers[2]);
    test_device_close(&device);
}
END_TEST

START_TEST(test_budget)
{
    struct shk_device *device = test_device_open(10 * MIB);
    struct shk_buffer buffers[32], one;
    struct shk_memory_stats stats;
    uint32_t count = 0;
    char number[32];
    enum shk_status status = SHK_OK;

    while (count < 32 && !status) {
        status = shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, MIB, 0, &buffers[count], &error);
        count += !status;
    }
    shk_device_memory_stats(device, &stats);
    ck_assert_int_eq(status, SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    ck_assert_uint_eq(count, 10);
    ck_assert_uint_eq(stats.budget, 10 * MIB);
    ck_assert_uint_eq(stats.reserved, 10 * MIB);
    const uint64_t numbers[] = {MIB, stats.used, stats.reserved, stats.largest_free, stats.budget};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        snprintf(number, sizeof(number), "%" PRIu64, numbers[i]);
        ck_assert_msg(strstr(error.message, number) != NULL, "%s is not in: %s", number, error.message);
    }
    while (count)
        shk_pool_free(device->pool, &buffers[--count]);

    /* the empty block that was kept makes way for a large one */
    test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_READBACK, 10 * MIB, 0, &one, &error), &error);
    shk_pool_free(device->pool, &one);
    ck_assert_int_eq(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, 10 * MIB + 1, 0, &one, &error),
                     SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    shk_device_memory_stats(device, &stats);
    ck_assert_uint_eq(stats.used, 0);
    test_device_close(&device);
}
END_TEST

START_TEST(test_refuses)
{
    struct shk_device *device = test_device();
    struct shk_buffer buffer = {.size = 4711};

    ck_assert_int_eq(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, 0, 0, &buffer, &error),
                     SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, 1, 3, &buffer, &error),
                     SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_pool_alloc(device->pool, SHK_MEMORY_KIND_COUNT, 1, 0, &buffer, &error),
                     SHK_ERROR_INVALID_ARGUMENT);
    for (uint64_t size = UINT64_MAX; size > UINT64_C(1) << 48; size /= 2)
        ck_assert_int_eq(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, size, 0, &buffer, &error),
                         SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    ck_assert_uint_eq(buffer.size, 4711);
}
END_TEST

/* The layer checks that what reaches Vulkan is made of whole atoms. */
START_TEST(test_flush_is_widened)
{
    struct shk_device *device = test_device_open(0);
    struct shk_buffer buffer;

    test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_READBACK, 1001, 0, &buffer, &error), &error);
    buffer.coherent = false;
    for (uint64_t offset = 0; offset < 1001; offset += 77) {
        test_ok(shk_buffer_flush(device, &buffer, offset, 1001 - offset, &error), &error);
        test_ok(shk_buffer_flush(device, &buffer, offset, 1, &error), &error);
        test_ok(shk_buffer_invalidate(device, &buffer, offset, 1, &error), &error);
        test_ok(shk_buffer_invalidate(device, &buffer, 0, offset, &error), &error);
    }
    ck_assert_int_eq(shk_buffer_flush(device, &buffer, 1, 1001, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_buffer_invalidate(device, &buffer, 1002, 0, &error), SHK_ERROR_INVALID_ARGUMENT);
    buffer.map = NULL;
    ck_assert_int_eq(shk_buffer_flush(device, &buffer, 0, 1, &error), SHK_ERROR_INVALID_ARGUMENT);
    shk_pool_free(device->pool, &buffer);
    test_device_close(&device);
}
END_TEST

struct hammer {
    pthread_t thread;
    struct shk_device *device;
    uint64_t seed;
};

static void *run_hammer(void *user)
{
    const struct hammer *hammer = user;
    struct shk_device *device = hammer->device;
    struct test_rng rng = {hammer->seed};
    struct shk_buffer buffers[8] = {0};
    uintptr_t failures = 0;

    for (int i = 0; i < 2000; i++) {
        struct shk_buffer *b = &buffers[test_random_below(&rng, 8)];
        if (b->block)
            shk_pool_free(device->pool, b);
        else
            failures += shk_pool_alloc(device->pool, test_random_below(&rng, SHK_MEMORY_KIND_COUNT),
                                       1 + test_random_below(&rng, 3000000), 0, b, NULL) != SHK_OK;
    }
    for (int i = 0; i < 8; i++)
        shk_pool_free(device->pool, &buffers[i]);
    return (void *)failures;
}

START_TEST(test_threads)
{
    struct shk_device *device = test_device_open(0);
    struct shk_memory_stats stats;
    struct hammer hammers[4];
    void *failures;

    for (uint64_t i = 0; i < 4; i++) {
        hammers[i] = (struct hammer){.device = device, .seed = i};
        ck_assert_int_eq(pthread_create(&hammers[i].thread, NULL, run_hammer, &hammers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(hammers[i].thread, &failures);
        ck_assert_ptr_null(failures);
    }
    shk_device_memory_stats(device, &stats);
    ck_assert_uint_eq(stats.used, 0);
    ck_assert_uint_eq(stats.allocations, 0);
    test_device_close(&device);
}
END_TEST

#define LOCAL    VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
#define VISIBLE  VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT
#define COHERENT VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
#define CACHED   VK_MEMORY_PROPERTY_HOST_CACHED_BIT

/* Memory types of machines that are not here. */
static const struct {
    const char *machine;
    uint32_t allowed;
    VkMemoryPropertyFlags flags[6];
    int expected[SHK_MEMORY_KIND_COUNT]; /* device, upload, readback, frame; -1: none */
} machines[] = {
    {"discrete with a window",
     0x1f,
     {0, LOCAL, VISIBLE | COHERENT, VISIBLE | COHERENT | CACHED, LOCAL | VISIBLE | COHERENT},
     {1, 2, 3, 3}},
    {"integrated", 0x3, {LOCAL | VISIBLE | COHERENT, LOCAL | VISIBLE | COHERENT | CACHED}, {0, 0, 1, 1}},
    {"Arm, cached but not coherent", 0x3, {LOCAL | VISIBLE | COHERENT, LOCAL | VISIBLE | CACHED}, {0, 0, 1, 1}},
    {"software", 0x1, {LOCAL | VISIBLE | COHERENT | CACHED}, {0, 0, 0, 0}},
    {"protected and lazy types first",
     0x7,
     {LOCAL | VK_MEMORY_PROPERTY_PROTECTED_BIT, LOCAL | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT,
      VISIBLE | COHERENT},
     {2, 2, 2, 2}},
    {"best type not allowed for buffers", 0x2, {LOCAL, VISIBLE | COHERENT}, {1, 1, 1, 1}},
    {"nothing visible", 0x1, {LOCAL}, {0, -1, -1, -1}},
};

START_TEST(test_memory_types)
{
    VkPhysicalDeviceMemoryProperties memory = {.memoryTypeCount = 6, .memoryHeapCount = 1};
    for (int i = 0; i < 6; i++)
        memory.memoryTypes[i].propertyFlags = machines[_i].flags[i];
    for (int kind = 0; kind < SHK_MEMORY_KIND_COUNT; kind++) {
        uint32_t type;
        bool found = shk_memory_type(&memory, machines[_i].allowed, kind, &type);
        ck_assert_msg((found ? (int)type : -1) == machines[_i].expected[kind], "%s: kind %d",
                      machines[_i].machine, kind);
    }
}
END_TEST

static Suite *types_suite(void)
{
    Suite *suite = suite_create("memory types");
    TCase *tc = tcase_create("memory types");
    tcase_add_loop_test(tc, test_memory_types, 0, sizeof(machines) / sizeof(machines[0]));
    suite_add_tcase(suite, tc);
    return suite;
}

static Suite *pool_suite(void)
{
    Suite *suite = suite_create("pool");
    TCase *tc = tcase_create("pool");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_random_workload);
    tcase_add_test(tc, test_pairs_do_not_call_the_driver);
    tcase_add_test(tc, test_empty_blocks_go_back);
    tcase_add_test(tc, test_largest_free_is_to_be_had);
    tcase_add_test(tc, test_budget);
    tcase_add_test(tc, test_refuses);
    tcase_add_test(tc, test_flush_is_widened);
    tcase_add_test(tc, test_threads);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    int failed = test_run(types_suite);
    int result = test_run_on_devices(pool_suite);
    return failed ? failed : result;
}
