/* Where frames are: the allocator, the pool, imports.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE /* memfd_create */

#include <gst/allocators/gstdmabuf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elements.h"
#include "frame_allocator.h"
#include "frame_import.h"
#include "frame_pool.h"

static gboolean imports_host_memory(struct shk_device *device)
{
    struct shk_device_info info;
    shk_device_get_info(device, &info);
    if (!info.external_memory_host)
        printf("not checked: the driver does not offer VK_EXT_external_memory_host\n");
    return info.external_memory_host;
}

static guint8 *map_of(struct shk_memory *memory)
{
    struct shk_memory_info info;
    shk_memory_get_info(memory, &info);
    return info.map;
}

/* ---- The allocator ---- */

static GstMemory *new_memory(struct shk_device *device, gsize size, GstAllocationParams *params)
{
    GstAllocator *allocator = frame_allocator_new(device);
    GstMemory *memory = gst_allocator_alloc(allocator, size, params);
    ck_assert_ptr_nonnull(memory);
    gst_object_unref(allocator);
    return memory;
}

static void check_allocator(struct shk_device *device)
{
    GstMemory *memory = new_memory(device, 1000, NULL);
    GstMapInfo map;
    gsize offset = 1;
    struct shk_memory *frame = frame_memory_peek(memory, &offset);

    ck_assert_uint_eq(offset, 0);
    ck_assert(gst_memory_is_type(memory, FRAME_MEMORY_TYPE));
    ck_assert(gst_memory_map(memory, &map, GST_MAP_WRITE));
    ck_assert_ptr_eq(map.data, map_of(frame));
    ck_assert_uint_eq(map.size, 1000);
    for (guint i = 0; i < 1000; i++)
        map.data[i] = (guint8)(i / 4);
    gst_memory_unmap(memory, &map);

    GstMemory *part = gst_memory_share(memory, 100, 200);
    GstMemory *part_of_part = gst_memory_share(part, 8, -1);
    gst_memory_unref(part);
    gst_memory_unref(memory); /* its parent is what it needs */
    ck_assert_ptr_eq(frame_memory_peek(part_of_part, &offset), frame);
    ck_assert_uint_eq(offset, 108);
    ck_assert(gst_memory_map(part_of_part, &map, GST_MAP_READ));
    ck_assert_uint_eq(map.size, 192);
    ck_assert_ptr_eq(map.data, map_of(frame) + 108);
    ck_assert_uint_eq(map.data[0], 27);
    gst_memory_unmap(part_of_part, &map);
    ck_assert(!gst_memory_map(part_of_part, &map, GST_MAP_WRITE));

    GstMemory *copy = gst_memory_copy(part_of_part, 4, 16);
    ck_assert_ptr_ne(frame_memory_peek(copy, &offset), frame);
    ck_assert_ptr_nonnull(frame_memory_peek(copy, &offset));
    gst_memory_unref(part_of_part);
    ck_assert(gst_memory_map(copy, &map, GST_MAP_READWRITE));
    ck_assert_uint_eq(map.size, 16);
    ck_assert_uint_eq(map.data[0], 28);
    gst_memory_unmap(copy, &map);
    gst_memory_unref(copy);
}

START_TEST(test_allocator)
{
    struct shk_device *device = test_device_open(0);
    check_allocator(device);
    check_allocator(NULL);
    test_device_close(&device);
}
END_TEST

START_TEST(test_alignment)
{
    struct shk_device *device = test_device_open(0);
    GstAllocationParams params = {.prefix = 100, .padding = 7, .align = 4095};
    gsize offset;

    params.flags = GST_MEMORY_FLAG_ZERO_PREFIXED | GST_MEMORY_FLAG_ZERO_PADDED;
    GstMemory *memory = new_memory(device, 5000, &params);
    struct shk_memory *frame = frame_memory_peek(memory, &offset);
    ck_assert_uint_ge(offset, 100);
    ck_assert_uint_eq((guintptr)(map_of(frame) + offset) % 4096, 0);
    ck_assert_uint_ge(memory->maxsize - offset, 5007);
    for (gsize i = 0; i < offset; i++)
        ck_assert_uint_eq(map_of(frame)[i], 0);
    for (gsize i = offset + 5000; i < memory->maxsize; i++)
        ck_assert_uint_eq(map_of(frame)[i], 0);
    gst_memory_unref(memory);
    params.padding = G_MAXSIZE - 10;
    GstAllocator *allocator = frame_allocator_new(device);
    ck_assert_ptr_null(gst_allocator_alloc(allocator, 5000, &params));
    gst_object_unref(allocator);
    test_device_close(&device);
}
END_TEST

/* The last GstMemory ends the device, not the application. */
START_TEST(test_memory_keeps_the_device)
{
    struct shk_device *device = test_device_open(0), *last = shk_device_ref(device);
    GstMemory *memory = new_memory(device, 64, NULL);
    struct shk_memory_stats stats;
    gsize offset;

    shk_device_destroy(&device);
    memset(map_of(frame_memory_peek(memory, &offset)), 1, 64);
    shk_device_memory_stats(last, &stats);
    ck_assert_uint_eq(stats.allocations, 1);
    gst_memory_unref(memory);
    shk_device_memory_stats(last, &stats);
    ck_assert_uint_eq(stats.allocations, 0);
    test_device_close(&last);
}
END_TEST

START_TEST(test_no_room)
{
    struct shk_device *device = test_device_open(1 << 20);
    GstMemory *memory = new_memory(device, 2 << 20, NULL);
    struct shk_memory_info info;
    const char *reason = NULL;
    gsize offset;

    shk_memory_get_info(frame_memory_peek(memory, &offset), &info);
    ck_assert_ptr_null(info.device);
    memset(info.map, 1, 2 << 20);
    GstBuffer *buffer = gst_buffer_new();
    gst_buffer_append_memory(buffer, memory);
    ck_assert_ptr_null(frame_import(buffer, device, &offset, &reason));
    ck_assert_str_eq(reason, "the device had no room for it");
    gst_buffer_unref(buffer);
    test_device_close(&device);
}
END_TEST

/* ---- The pool ---- */

static const struct {
    const char *caps;
    guint left, right, top, bottom, stride_align;
} configs[] = {
    {"video/x-raw,format=NV12,width=1920,height=1080", 0, 0, 0, 8, 15},
    {"video/x-raw,format=I420,width=1921,height=1079", 0, 0, 0, 0, 0},
    {"video/x-raw,format=I420,width=642,height=5", 3, 1, 2, 1, 1},
    {"video/x-raw,format=RGB,width=33,height=9", 1, 5, 1, 1, 0},
    {"video/x-raw,format=GRAY8,width=5,height=3", 1, 1, 1, 1, 0},
    {"video/x-raw,format=YUY2,width=7,height=3", 1, 0, 0, 0, 63},
    {"video/x-raw,format=BGRx,width=7,height=3", 5, 0, 0, 0, 127},
};

static GstBufferPool *start_pool(struct shk_device *device, guint i, gboolean align)
{
    GstBufferPool *pool = frame_pool_new(device);
    GstStructure *config = gst_buffer_pool_get_config(pool);
    GstCaps *caps = gst_caps_from_string(configs[i].caps);
    GstAllocator *system = gst_allocator_find(GST_ALLOCATOR_SYSMEM);
    GstVideoInfo info;

    ck_assert(gst_video_info_from_caps(&info, caps));
    gst_buffer_pool_config_set_params(config, caps, (guint)info.size, 2, 2);
    gst_buffer_pool_config_set_allocator(config, system, NULL);
    gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
    if (align) {
        GstVideoAlignment alignment;
        gst_video_alignment_reset(&alignment);
        alignment.padding_left = configs[i].left;
        alignment.padding_right = configs[i].right;
        alignment.padding_top = configs[i].top;
        alignment.padding_bottom = configs[i].bottom;
        alignment.stride_align[0] = configs[i].stride_align;
        gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
        gst_buffer_pool_config_set_video_alignment(config, &alignment);
    }
    ck_assert(gst_buffer_pool_set_config(pool, config));
    ck_assert(gst_buffer_pool_set_active(pool, TRUE));
    gst_object_unref(system);
    gst_caps_unref(caps);
    return pool;
}

static void check_layout(GstBuffer *buffer, guint i, gboolean align)
{
    const GstVideoMeta *meta = gst_buffer_get_video_meta(buffer);
    GstMemory *memory = gst_buffer_peek_memory(buffer, 0);
    gsize offset;

    ck_assert_uint_eq(gst_buffer_n_memory(buffer), 1);
    ck_assert_ptr_nonnull(frame_memory_peek(memory, &offset));
    for (guint plane = 0; plane < meta->n_planes; plane++) {
        ck_assert_uint_eq((offset + meta->offset[plane]) % 4, 0);
        ck_assert_int_eq(meta->stride[plane] % 4, 0);
        ck_assert(!align || meta->stride[plane] % (gint)(configs[i].stride_align + 1) == 0);
    }
}

/* Writes every plane to its end and reads it back. */
static void check_pixels(GstBuffer *buffer, guint i, guint8 level)
{
    GstCaps *caps = gst_caps_from_string(configs[i].caps);
    GstVideoInfo info;
    GstVideoFrame frame;

    ck_assert(gst_video_info_from_caps(&info, caps));
    ck_assert(gst_video_frame_map(&frame, &info, buffer, GST_MAP_READWRITE));
    for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(&frame); plane++) {
        guint8 *data = GST_VIDEO_FRAME_PLANE_DATA(&frame, plane);
        gint stride = GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane);
        gint rows = GST_VIDEO_FRAME_COMP_HEIGHT(&frame, plane);
        for (gint y = 0; y < rows; y++)
            data[y * stride] = (guint8)(level + plane + (guint)y);
        for (gint y = 0; y < rows; y++)
            ck_assert_uint_eq(data[y * stride], (guint8)(level + plane + (guint)y));
    }
    gst_video_frame_unmap(&frame);
    gst_caps_unref(caps);
}

START_TEST(test_pool)
{
    struct shk_device *device = test_device_open(0);

    for (int align = 0; align < 2; align++) {
        GstBufferPool *pool = start_pool(device, (guint)_i, align);
        GstBuffer *buffers[2];
        for (guint8 k = 0; k < 2; k++) {
            ck_assert_int_eq(gst_buffer_pool_acquire_buffer(pool, &buffers[k], NULL), GST_FLOW_OK);
            check_layout(buffers[k], (guint)_i, align);
            check_pixels(buffers[k], (guint)_i, k);
            gsize offset;
            const char *reason;
            ck_assert_ptr_nonnull(frame_import(buffers[k], device, &offset, &reason));
        }
        ck_assert_ptr_ne(gst_buffer_peek_memory(buffers[0], 0), gst_buffer_peek_memory(buffers[1], 0));
        GstMemory *memory = gst_buffer_peek_memory(buffers[1], 0);
        gst_buffer_unref(buffers[1]);
        ck_assert_int_eq(gst_buffer_pool_acquire_buffer(pool, &buffers[1], NULL), GST_FLOW_OK);
        ck_assert_ptr_eq(gst_buffer_peek_memory(buffers[1], 0), memory); /* recycled */
        gst_buffer_unref(buffers[0]);
        gst_buffer_unref(buffers[1]);
        ck_assert(gst_buffer_pool_set_active(pool, FALSE));
        gst_object_unref(pool);
    }
    test_device_close(&device);
}
END_TEST

START_TEST(test_pool_refuses)
{
    GstBufferPool *pool = frame_pool_new(NULL);
    GstStructure *config = gst_buffer_pool_get_config(pool);
    GstCaps *caps = gst_caps_from_string("audio/x-raw");

    gst_buffer_pool_config_set_params(config, caps, 1000, 0, 0);
    ck_assert(!gst_buffer_pool_set_config(pool, config));
    gst_caps_unref(caps);
    gst_object_unref(pool);
}
END_TEST

/* ---- Imports ---- */

static void expect_reason(GstBuffer *buffer, struct shk_device *device, const char *expected)
{
    const char *reason = "";
    gsize offset;
    ck_assert_ptr_null(frame_import(buffer, device, &offset, &reason));
    ck_assert_str_eq(reason, expected);
}

static struct shk_memory *expect_import(GstBuffer *buffer, struct shk_device *device, gsize expected_offset)
{
    const char *reason = "";
    gsize offset = 77777;
    struct shk_memory *memory = frame_import(buffer, device, &offset, &reason);
    ck_assert_msg(memory != NULL, "copied, as it %s", reason);
    ck_assert_uint_eq(offset, expected_offset);
    return memory;
}

START_TEST(test_system_memory)
{
    struct shk_device *device = test_device_open(0), *other = test_device_open(0);
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, 10000, NULL);
    GstMapInfo map;
    struct shk_memory_info info;

    if (imports_host_memory(device)) {
        expect_reason(buffer, device, "seen for the first time");
        struct shk_memory *memory = expect_import(buffer, device, 0);
        shk_memory_get_info(memory, &info);
        ck_assert_int_eq(info.origin, SHK_ORIGIN_HOST);
        ck_assert_ptr_eq(info.device, device);
        ck_assert_uint_ge(info.size, 10000);
        ck_assert(gst_buffer_map(buffer, &map, GST_MAP_READ));
        ck_assert_ptr_eq(info.map, map.data);
        gst_buffer_unmap(buffer, &map);

        GstBuffer *part = gst_buffer_copy_region(buffer, GST_BUFFER_COPY_MEMORY, 400, 100);
        ck_assert_ptr_eq(expect_import(part, device, 400), memory);
        gst_buffer_unref(part);
        expect_reason(buffer, other, "seen for the first time");
        ck_assert_ptr_ne(expect_import(buffer, other, 0), memory);
        ck_assert_ptr_eq(expect_import(buffer, device, 0), memory);
    }
    expect_reason(buffer, NULL, "seen for the first time");
    shk_memory_get_info(expect_import(buffer, NULL, 0), &info);
    ck_assert_ptr_null(info.device);
    gst_buffer_unref(buffer);
    test_device_close(&other);
    test_device_close(&device);
}
END_TEST

/* The device is free of it when the buffer has gone. An import that stayed would be a leak to the sanitizer
 * build. */
START_TEST(test_import_goes_with_its_memory)
{
    struct shk_device *device = test_device_open(0), *last = shk_device_ref(device);
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, 10000, NULL);

    if (imports_host_memory(device)) {
        expect_reason(buffer, device, "seen for the first time");
        expect_import(buffer, device, 0);
    }
    shk_device_destroy(&device);
    gst_buffer_unref(buffer);
    test_device_close(&last);
}
END_TEST

START_TEST(test_refused_for_good)
{
    struct shk_device *device = test_device_open(0);
    static _Alignas(16) guint8 bytes[64];
    GstBuffer *odd = gst_buffer_new_wrapped_full(0, bytes + 1, 32, 0, 32, NULL, NULL);
    GstBuffer *two = gst_buffer_new_allocate(NULL, 100, NULL);

    if (imports_host_memory(device)) {
        expect_reason(odd, device, "seen for the first time");
        for (int i = 0; i < 3; i++)
            expect_reason(odd, device, "the device cannot import such memory");
    }
    gst_buffer_append_memory(two, gst_allocator_alloc(NULL, 100, NULL));
    expect_reason(two, device, "the buffer has not one memory");
    gst_buffer_unref(two);
    gst_buffer_unref(odd);
    test_device_close(&device);
}
END_TEST

START_TEST(test_memory_of_another_device)
{
    struct shk_device *device = test_device_open(0), *other = test_device_open(0);
    GstBuffer *buffer = gst_buffer_new();

    gst_buffer_append_memory(buffer, new_memory(device, 100, NULL));
    expect_import(buffer, device, 0);
    expect_reason(buffer, other, "is in the memory of another device");
    expect_reason(buffer, NULL, "is in the memory of another device");
    gst_buffer_unref(buffer);
    test_device_close(&other);
    test_device_close(&device);
}
END_TEST

START_TEST(test_too_many_devices)
{
    struct shk_device *devices[10];
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, 100, NULL);

    for (guint i = 0; i < 10; i++) /* names, no more: nothing is imported for them */
        devices[i] = test_device_open(0);
    if (imports_host_memory(devices[0]))
        for (guint i = 0; i < 10; i++)
            expect_reason(buffer, devices[i], i < 8 ? "seen for the first time" : "too many devices read it");
    gst_buffer_unref(buffer);
    for (guint i = 0; i < 10; i++)
        test_device_close(&devices[i]);
}
END_TEST

/* What claims to be a dma-buf and is none. */
START_TEST(test_dmabuf)
{
    struct shk_device *device = test_device_open(0);
    GstAllocator *allocator = gst_dmabuf_allocator_new();
    int fd = memfd_create("no dma-buf", MFD_CLOEXEC);

    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    GstBuffer *buffer = gst_buffer_new();
    gst_buffer_append_memory(buffer, gst_dmabuf_allocator_alloc(allocator, fd, 4096));
    for (int i = 0; i < 2; i++)
        expect_reason(buffer, device, "is not what it says it is");
    expect_reason(buffer, NULL, "memory of a kind that cannot be imported");
    gst_buffer_unref(buffer);
    gst_object_unref(allocator);
    test_device_close(&device);
}
END_TEST

struct importer {
    GstBuffer *buffer;
    struct shk_device *device;
    struct shk_memory *found; /* whenever it was there */
    gboolean same;
};

static gpointer import_many_times(gpointer data)
{
    struct importer *importer = data;
    for (int i = 0; i < 100; i++) {
        const char *reason;
        gsize offset;
        struct shk_memory *memory = frame_import(importer->buffer, importer->device, &offset, &reason);
        importer->same &= !importer->found || memory == importer->found;
        importer->found = memory;
    }
    return NULL;
}

START_TEST(test_threads)
{
    struct shk_device *devices[2] = {test_device_open(0), test_device_open(0)};
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, 10000, NULL);
    struct importer importers[4];
    GThread *threads[4];

    if (imports_host_memory(devices[0])) {
        for (int i = 0; i < 4; i++) {
            importers[i] = (struct importer){buffer, devices[i / 2], NULL, TRUE};
            threads[i] = g_thread_new("importer", import_many_times, &importers[i]);
        }
        for (int i = 0; i < 4; i++)
            g_thread_join(threads[i]);
        for (int i = 0; i < 4; i++) {
            ck_assert(importers[i].same);
            struct shk_memory *memory = expect_import(buffer, devices[i / 2], 0);
            ck_assert(!importers[i].found || importers[i].found == memory); /* none: the other was at it */
        }
    }
    gst_buffer_unref(buffer);
    test_device_close(&devices[1]);
    test_device_close(&devices[0]);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("frame-memory");
    TCase *tcase = tcase_create("frame memory");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_allocator);
    tcase_add_test(tcase, test_alignment);
    tcase_add_test(tcase, test_memory_keeps_the_device);
    tcase_add_test(tcase, test_no_room);
    tcase_add_loop_test(tcase, test_pool, 0, G_N_ELEMENTS(configs));
    tcase_add_test(tcase, test_pool_refuses);
    tcase_add_test(tcase, test_system_memory);
    tcase_add_test(tcase, test_import_goes_with_its_memory);
    tcase_add_test(tcase, test_refused_for_good);
    tcase_add_test(tcase, test_memory_of_another_device);
    tcase_add_test(tcase, test_too_many_devices);
    tcase_add_test(tcase, test_dmabuf);
    tcase_add_test(tcase, test_threads);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE | ELEMENTS_STATIC_PLUGIN);
}
