/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE /* memfd_create */

#include "frame_memory.h"

#include <fcntl.h>
#include <linux/udmabuf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "slot.h"
#include "support.h"

#define MIB  ((size_t)1 << 20)
#define PAGE ((size_t)4096)

static struct shk_error error;

static uint32_t allocations(struct shk_device *device)
{
    struct shk_memory_stats stats;
    shk_device_memory_stats(device, &stats);
    return stats.allocations;
}

/* The device, reading by a copy of its own, finds `expected` at the caller's first byte. */
static void expect_device_reads(struct shk_memory *memory, const void *expected)
{
    size_t size = memory->info.size;
    uint8_t *seen = malloc(size);

    ck_assert_uint_eq(memory->delta % 4, 0);
    ck_assert_uint_eq(memory->buffer.offset % memory->info.device->limits.minStorageBufferOffsetAlignment, 0);
    ck_assert_uint_ge(memory->buffer.size, memory->delta + shk_align_up(size, 4));
    test_ok(shk_memory_flush(memory, &error), &error);
    test_ok(shk_buffer_read(memory->info.device, &memory->buffer, memory->delta, seen, size, &error), &error);
    ck_assert_mem_eq(seen, expected, size);
    free(seen);
}

static void fill(void *bytes, size_t size, uint64_t seed)
{
    struct test_rng rng = {seed};
    test_random_bytes(&rng, bytes, size);
}

START_TEST(test_alloc)
{
    static const size_t sizes[] = {1, 3, 4, 4097, 640 * 480 * 3 / 2, 9 * MIB + 1};
    struct shk_device *device = test_device();
    uint32_t before = allocations(device);

    for (size_t i = 0; i < SHK_ARRAY_LEN(sizes); i++) {
        struct shk_memory *memory = NULL;
        struct shk_memory_info info;
        test_ok(shk_memory_alloc(device, sizes[i], &memory, &error), &error);
        shk_memory_get_info(memory, &info);
        ck_assert_int_eq(info.origin, SHK_ORIGIN_POOL);
        ck_assert_uint_eq(info.size, sizes[i]);
        ck_assert_ptr_eq(info.device, device);
        ck_assert_uint_eq((uintptr_t)info.map % 64, 0);
        uint8_t *expected = malloc(sizes[i]);
        fill(expected, sizes[i], i);
        memcpy(info.map, expected, sizes[i]);
        expect_device_reads(memory, expected);
        ck_assert_uint_eq(allocations(device), before + 1);
        shk_memory_unref(&memory);
        ck_assert_ptr_null(memory);
        shk_memory_unref(&memory);
        ck_assert_uint_eq(allocations(device), before);
        free(expected);
    }
    shk_memory_unref(NULL);
}
END_TEST

START_TEST(test_last_reference)
{
    struct shk_device *device = test_device();
    uint32_t before = allocations(device);
    struct shk_memory *first = NULL;

    test_ok(shk_memory_alloc(device, 100, &first, &error), &error);
    struct shk_memory *second = shk_memory_ref(first);
    ck_assert_ptr_eq(first, second);
    shk_memory_unref(&first);
    memset(second->info.map, 7, 100);
    ck_assert_uint_eq(allocations(device), before + 1);
    shk_memory_unref(&second);
    ck_assert_uint_eq(allocations(device), before);
}
END_TEST

START_TEST(test_keeps_its_device)
{
    struct shk_device *device = test_device_open(0);
    struct shk_memory *memory = NULL;
    char text[6];

    test_ok(shk_memory_alloc(device, sizeof(text), &memory, &error), &error);
    shk_device_destroy(&device);
    memcpy(memory->info.map, "hello", 6);
    expect_device_reads(memory, "hello");
    device = shk_device_ref(memory->info.device);
    shk_memory_unref(&memory);
    test_device_close(&device);
}
END_TEST

START_TEST(test_budget)
{
    struct shk_device *device = test_device_open(8 * MIB);
    struct shk_memory *memory[9] = {NULL};
    enum shk_status status = SHK_OK;
    int count = 0;

    for (; count < 9 && !status; count++)
        status = shk_memory_alloc(device, MIB, &memory[count], &error);
    ck_assert_int_eq(status, SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    ck_assert_ptr_null(memory[count - 1]);
    ck_assert_msg(strstr(error.message, "frame memory") && strstr(error.message, "budget 8388608"), "%s",
                  error.message);
    ck_assert_int_eq(shk_memory_alloc(device, SIZE_MAX / 4, &memory[8], &error),
                     SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    shk_memory_unref(&memory[0]);
    test_ok(shk_memory_alloc(device, MIB, &memory[0], &error), &error);
    while (count)
        shk_memory_unref(&memory[--count]);
    ck_assert_uint_eq(allocations(device), 0);
    test_device_close(&device);
}
END_TEST

static void *allocate_and_share(void *shared)
{
    for (int i = 0; i < 200; i++) {
        struct shk_memory *mine = NULL, *ours = shk_memory_ref(shared);
        if (shk_memory_alloc(ours->info.device, 1000 + i, &mine, NULL))
            return NULL;
        memset(mine->info.map, i, mine->info.size);
        shk_memory_unref(&mine);
        shk_memory_unref(&ours);
    }
    return shared;
}

START_TEST(test_threads)
{
    struct shk_memory *shared = NULL;
    pthread_t threads[4];

    test_ok(shk_memory_alloc(test_device(), 64, &shared, &error), &error);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, allocate_and_share, shared), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_eq(result, shared);
    }
    ck_assert_uint_eq(atomic_load(&shared->refs), 1);
    shk_memory_unref(&shared);
}
END_TEST

START_TEST(test_host_import)
{
    /* whole pages; inside of a page; odd sizes; across pages; the last word of a page */
    static const size_t starts[] = {0, 64, 4, 4092, 100, 4096, 8};
    static const size_t sizes[] = {2 * PAGE, 100, 3, 9001, 1, 2 * PAGE - 1, PAGE - 8};
    struct shk_device *device = test_device();
    uint8_t *pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (!device->info.external_memory_host) {
        printf("not checked: the driver does not offer VK_EXT_external_memory_host\n");
        munmap(pages, 4 * PAGE);
        return;
    }
    uint32_t before = allocations(device);
    for (size_t i = 0; i < SHK_ARRAY_LEN(starts); i++) {
        struct shk_memory *memory = NULL;
        struct shk_memory_info info;
        test_ok(shk_memory_import_host(device, pages + starts[i], sizes[i], &memory, &error), &error);
        shk_memory_get_info(memory, &info);
        ck_assert_int_eq(info.origin, SHK_ORIGIN_HOST);
        ck_assert_ptr_eq(info.map, pages + starts[i]);
        ck_assert_uint_eq(info.size, sizes[i]);
        ck_assert_uint_lt(memory->delta, SHK_MAX(device->limits.minStorageBufferOffsetAlignment, 4));
        for (uint64_t seed = 0; seed < 2; seed++) { /* written after the import */
            fill(pages, 4 * PAGE, i * 2 + seed);
            expect_device_reads(memory, pages + starts[i]);
        }
        shk_memory_unref(&memory);
    }
    ck_assert_uint_eq(allocations(device), before);
    munmap(pages, 4 * PAGE);
}
END_TEST

/* As it is where a device binds only at multiples of 256: pages are imported, and the range begins before the
 * caller's first byte. */
START_TEST(test_host_import_coarse_alignment)
{
    struct shk_device *device = test_device_open(0);
    uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct shk_memory *memory = NULL;

    device->limits.minStorageBufferOffsetAlignment = 256;
    if (device->info.external_memory_host) {
        fill(pages, 2 * PAGE, 5);
        test_ok(shk_memory_import_host(device, pages + 256 + 20, 5000, &memory, &error), &error);
        ck_assert_uint_eq(memory->delta, 20);
        ck_assert_uint_eq(memory->buffer.offset, 256);
        ck_assert_uint_eq(memory->buffer.size, 5020);
        expect_device_reads(memory, pages + 276);
        shk_memory_unref(&memory);
    }
    test_device_close(&device);
    munmap(pages, 2 * PAGE);
}
END_TEST

static void expect_message(enum shk_status got, enum shk_status expected, const char *part)
{
    ck_assert_msg(got == expected, "%s: %s", shk_status_string(got), got ? error.message : "");
    ck_assert_msg(strstr(error.message, part) != NULL, "\"%s\" lacks \"%s\"", error.message, part);
}

START_TEST(test_host_import_refuses)
{
    struct shk_device *device = test_device();
    struct shk_memory *memory = NULL;
    _Alignas(4) uint8_t bytes[64];

    expect_message(shk_memory_import_host(device, NULL, 4, &memory, &error), SHK_ERROR_INVALID_ARGUMENT,
                   "import");
    expect_message(shk_memory_import_host(device, bytes, 0, &memory, &error), SHK_ERROR_INVALID_ARGUMENT,
                   "0 bytes");
    expect_message(shk_memory_import_host(device, bytes, SIZE_MAX, &memory, &error),
                   SHK_ERROR_INVALID_ARGUMENT, "bytes at");
    if (device->info.external_memory_host) {
        expect_message(shk_memory_import_host(device, bytes + 1, 32, &memory, &error), SHK_ERROR_UNSUPPORTED,
                       "multiple of 4");
        expect_message(shk_memory_import_host(device, (void *)(uintptr_t)-64, 63, &memory, &error),
                       SHK_ERROR_INVALID_ARGUMENT, "end of the address space");
    }
    ck_assert_ptr_null(memory);
}
END_TEST

/* A driver that refuses, which lavapipe never does. */
static VkResult VKAPI_PTR no_host_pointers(VkDevice device, VkExternalMemoryHandleTypeFlagBits handle,
                                           const void *pointer, VkMemoryHostPointerPropertiesEXT *properties)
{
    return VK_ERROR_INVALID_EXTERNAL_HANDLE;
}

static VkResult VKAPI_PTR no_types(VkDevice device, VkExternalMemoryHandleTypeFlagBits handle,
                                   const void *pointer, VkMemoryHostPointerPropertiesEXT *properties)
{
    properties->memoryTypeBits = UINT32_C(1) << 31;
    return VK_SUCCESS;
}

START_TEST(test_driver_refuses)
{
    struct shk_device *device = test_device_open(0);
    struct shk_memory *memory = NULL;
    void *page = aligned_alloc(PAGE, PAGE);

    if (device->info.external_memory_host) {
        device->get_host_pointer_properties = no_host_pointers;
        expect_message(shk_memory_import_host(device, page, PAGE, &memory, &error), SHK_ERROR_UNSUPPORTED,
                       "VK_ERROR_INVALID_EXTERNAL_HANDLE");
        device->get_host_pointer_properties = no_types;
        expect_message(shk_memory_import_host(device, page, PAGE, &memory, &error), SHK_ERROR_UNSUPPORTED,
                       "no memory type for this host memory");
    }
    device->get_host_pointer_properties = NULL;
    expect_message(shk_memory_import_host(device, page, PAGE, &memory, &error), SHK_ERROR_UNSUPPORTED,
                   "VK_EXT_external_memory_host is not offered");
    ck_assert_ptr_null(memory);
    free(page);
    test_device_close(&device);
}
END_TEST

/* -1 where the kernel makes no dma-bufs of memory. */
static int udmabuf(size_t size, uint8_t **map)
{
    int dmabuf = -1;
    int control = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return -1;
    int fd = memfd_create("frame", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0) {
        *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        const struct udmabuf_create create = {
            .memfd = (uint32_t)fd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = size};
        dmabuf = ioctl(control, UDMABUF_CREATE, &create);
    }
    close(fd);
    close(control);
    return dmabuf;
}

START_TEST(test_dmabuf)
{
    struct shk_device *device = test_device();
    struct shk_memory *memory = NULL;
    uint8_t *map;

    int fd = udmabuf(4 * PAGE, &map);
    if (fd < 0) {
        printf("not checked: this kernel has no /dev/udmabuf to make a dma-buf with\n");
        return;
    }
    expect_message(shk_memory_import_dmabuf(device, fd, 4 * PAGE + 1, &memory, &error),
                   SHK_ERROR_INVALID_ARGUMENT, "has 16384 bytes");
    enum shk_status status = shk_memory_import_dmabuf(device, fd, 4 * PAGE - 1, &memory, &error);
    close(fd);
    if (!device->info.dma_buf) {
        expect_message(status, SHK_ERROR_UNSUPPORTED, "VK_EXT_external_memory_dma_buf is not offered");
    } else if (status == SHK_ERROR_UNSUPPORTED) {
        printf("not checked: %s\n", error.message);
    } else {
        test_ok(status, &error);
        ck_assert_int_eq(memory->info.origin, SHK_ORIGIN_DMABUF);
        ck_assert_ptr_null(memory->info.map);
        fill(map, 4 * PAGE, 9);
        expect_device_reads(memory, map);
        shk_memory_unref(&memory);
    }
    munmap(map, 4 * PAGE);
}
END_TEST

START_TEST(test_dmabuf_refuses)
{
    struct shk_device *device = test_device();
    struct shk_memory *memory = NULL;
    int ends[2];
    int fd = memfd_create("not a dma-buf", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, PAGE), 0);
    expect_message(shk_memory_import_dmabuf(device, fd, PAGE, &memory, &error), SHK_ERROR_INVALID_ARGUMENT,
                   "is not a dma-buf");
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC); /* still the caller's */
    expect_message(shk_memory_import_dmabuf(device, fd, 0, &memory, &error), SHK_ERROR_INVALID_ARGUMENT,
                   "0 bytes");
    expect_message(shk_memory_import_dmabuf(NULL, fd, PAGE, &memory, &error), SHK_ERROR_INVALID_ARGUMENT,
                   "no device");
    close(fd);
    expect_message(shk_memory_import_dmabuf(device, fd, PAGE, &memory, &error), SHK_ERROR_INVALID_ARGUMENT,
                   "Bad file descriptor");
    expect_message(shk_memory_import_dmabuf(device, -1, PAGE, &memory, &error), SHK_ERROR_INVALID_ARGUMENT,
                   "Bad file descriptor");
    ck_assert_int_eq(pipe(ends), 0);
    expect_message(shk_memory_import_dmabuf(device, ends[0], PAGE, &memory, &error),
                   SHK_ERROR_INVALID_ARGUMENT, "is not a dma-buf");
    close(ends[0]);
    close(ends[1]);
    ck_assert_ptr_null(memory);
}
END_TEST

/* The owner's device, which enables nothing and has one queue, as GStreamer's is. */
static struct shk_device *adopt(struct shk_device *owner)
{
    const struct shk_device_adopt_params params = {
        .instance = owner->instance,
        .physical_device = owner->physical,
        .device = owner->device,
        .queue = owner->queue,
        .queue_family = owner->queue_family,
        .log = test_log(),
    };
    struct shk_device *device = NULL;
    test_ok(shk_device_adopt(&params, &device, &error), &error);
    return device;
}

START_TEST(test_wrap)
{
    struct shk_device *owner = test_device_open(0), *device = adopt(owner);
    struct shk_memory *memory = NULL;
    struct shk_buffer buffer;
    uint8_t bytes[1024];

    test_ok(shk_pool_alloc(owner->pool, SHK_MEMORY_DEVICE, sizeof(bytes), 256, &buffer, &error), &error);
    fill(bytes, sizeof(bytes), 3);
    test_ok(shk_buffer_write(owner, &buffer, 0, bytes, sizeof(bytes), &error), &error);
    test_ok(shk_memory_wrap_buffer(device, buffer.buffer, buffer.offset + 256, 512, &memory, &error), &error);
    ck_assert_int_eq(memory->info.origin, SHK_ORIGIN_BUFFER);
    ck_assert_ptr_null(memory->info.map);
    ck_assert_ptr_eq(memory->info.device, device);
    expect_device_reads(memory, bytes + 256);
    shk_memory_unref(&memory);
    shk_pool_free(owner->pool, &buffer);
    shk_device_destroy(&device);
    test_device_close(&owner);
}
END_TEST

START_TEST(test_wrap_refuses)
{
    struct shk_device *owner = test_device_open(0), *device = adopt(owner);
    struct shk_memory *memory = NULL;
    struct shk_buffer buffer;

    test_ok(shk_pool_alloc(owner->pool, SHK_MEMORY_DEVICE, 4096, 256, &buffer, &error), &error);
    expect_message(shk_memory_wrap_buffer(owner, buffer.buffer, 0, 512, &memory, &error),
                   SHK_ERROR_INVALID_ARGUMENT, "adopt the device");
    expect_message(shk_memory_wrap_buffer(NULL, buffer.buffer, 0, 512, &memory, &error),
                   SHK_ERROR_INVALID_ARGUMENT, "no device");
    expect_message(shk_memory_wrap_buffer(device, VK_NULL_HANDLE, 0, 512, &memory, &error),
                   SHK_ERROR_INVALID_ARGUMENT, "no buffer");
    expect_message(shk_memory_wrap_buffer(device, buffer.buffer, 0, 0, &memory, &error),
                   SHK_ERROR_INVALID_ARGUMENT, "[0, +0)");
    expect_message(shk_memory_wrap_buffer(device, buffer.buffer, UINT64_MAX - 3, 8, &memory, &error),
                   SHK_ERROR_INVALID_ARGUMENT, "range");
    expect_message(shk_memory_wrap_buffer(device, buffer.buffer, 2, 512, &memory, &error),
                   SHK_ERROR_UNSUPPORTED, "at multiples of");
    expect_message(shk_memory_wrap_buffer(device, buffer.buffer, 0, 510, &memory, &error),
                   SHK_ERROR_UNSUPPORTED, "multiples of 4");
    ck_assert_ptr_null(memory);
    shk_pool_free(owner->pool, &buffer);
    shk_device_destroy(&device);
    test_device_close(&owner);
}
END_TEST

/* No extension is enabled: the pool is all there is. */
START_TEST(test_adopted)
{
    struct shk_device *owner = test_device_open(0), *device = adopt(owner);
    struct shk_memory *memory = NULL;
    _Alignas(4) uint8_t bytes[64];

    expect_message(shk_memory_import_host(device, bytes, 64, &memory, &error), SHK_ERROR_UNSUPPORTED,
                   "was not among the extensions given to shk_device_adopt()");
    test_ok(shk_memory_alloc(device, 64, &memory, &error), &error);
    fill(memory->info.map, 64, 1);
    memcpy(bytes, memory->info.map, 64);
    expect_device_reads(memory, bytes);
    shk_memory_unref(&memory);
    shk_device_destroy(&device);
    test_device_close(&owner);
}
END_TEST

START_TEST(test_without_device)
{
    struct shk_memory *memory = NULL;
    uint8_t byte = 1;

    for (size_t size = 1; size < 200; size += 7) {
        test_ok(shk_memory_alloc(NULL, size, &memory, &error), &error);
        ck_assert_ptr_null(memory->info.device);
        ck_assert_int_eq(memory->info.origin, SHK_ORIGIN_POOL);
        ck_assert_uint_eq((uintptr_t)memory->info.map % 64, 0);
        memset(memory->info.map, 1, shk_align_up(size, 4));
        test_ok(shk_memory_flush(memory, &error), &error);
        shk_memory_unref(&memory);
    }
    test_ok(shk_memory_import_host(NULL, &byte, 1, &memory, &error), &error);
    ck_assert_ptr_eq(memory->info.map, &byte);
    shk_memory_unref(&memory);
    ck_assert_int_eq(byte, 1);
    ck_assert_int_eq(shk_memory_alloc(NULL, 0, &memory, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_memory_alloc(NULL, SIZE_MAX, &memory, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_memory_alloc(NULL, SIZE_MAX - 8, &memory, &error), SHK_ERROR_OUT_OF_HOST_MEMORY);
    ck_assert_ptr_null(memory);
}
END_TEST

static Suite *plain_suite(void)
{
    Suite *suite = suite_create("frame memory: no device");
    TCase *tc = tcase_create("no device");
    tcase_add_test(tc, test_without_device);
    suite_add_tcase(suite, tc);
    return suite;
}

static Suite *memory_suite(void)
{
    Suite *suite = suite_create("frame memory");
    TCase *tc = tcase_create("frame memory");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_alloc);
    tcase_add_test(tc, test_last_reference);
    tcase_add_test(tc, test_keeps_its_device);
    tcase_add_test(tc, test_budget);
    tcase_add_test(tc, test_threads);
    tcase_add_test(tc, test_host_import);
    tcase_add_test(tc, test_host_import_coarse_alignment);
    tcase_add_test(tc, test_host_import_refuses);
    tcase_add_test(tc, test_driver_refuses);
    tcase_add_test(tc, test_dmabuf);
    tcase_add_test(tc, test_dmabuf_refuses);
    tcase_add_test(tc, test_wrap);
    tcase_add_test(tc, test_wrap_refuses);
    tcase_add_test(tc, test_adopted);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    int failed = test_run(plain_suite);
    int result = test_run_on_devices(memory_suite);
    return failed ? failed : result;
}
