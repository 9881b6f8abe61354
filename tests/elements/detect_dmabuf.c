/* shrikedetect and dma-bufs: which caps it takes, and that frames which the device cannot import are copied.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE /* memfd_create */

#include <fcntl.h>
#include <gst/allocators/gstdmabuf.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <shrike/device.h>

#include "elements.h"

#define SIZE    "width=320,height=240,framerate=25/1"
#define DMABUF  "video/x-raw(memory:DMABuf)"
#define FRAMES  3
#define MAPPING (512 * 1024) /* whole pages, at least a frame */

static const char *const formats[] = {"NV12", "I420", "YUY2", "RGB", "BGRx", "GRAY8"};

static char *caps_for(const char *media, const char *format)
{
    return g_strdup_printf("%s,format=%s," SIZE, media, format);
}

/* ---- File descriptors ---- */

static int memory_file(void)
{
    int fd = memfd_create("frame", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, MAPPING), 0);
    return fd;
}

/* A true dma-buf, or -1. */
static int dma_buffer(void)
{
    int control = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), fd = -1;
    if (control < 0)
        return -1;
    int memory = memory_file();
    struct udmabuf_create create = {
        .memfd = (guint32)memory, .flags = UDMABUF_FLAGS_CLOEXEC, .size = MAPPING};
    if (fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0)
        fd = ioctl(control, UDMABUF_CREATE, &create);
    close(memory);
    close(control);
    return fd;
}

/* The picture behind that descriptor, which is the buffer's afterwards. */
static GstBuffer *wrap(GstBuffer *picture, int fd)
{
    GstAllocator *allocator = gst_dmabuf_allocator_new();
    GstBuffer *buffer = gst_buffer_new();
    gsize size = gst_buffer_get_size(picture);
    guint8 *map = mmap(NULL, MAPPING, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert(map != MAP_FAILED && size <= MAPPING);
    gst_buffer_extract(picture, 0, map, size);
    munmap(map, MAPPING);
    gst_buffer_append_memory(buffer, gst_dmabuf_allocator_alloc(allocator, fd, size));
    gst_buffer_copy_into(buffer, picture, GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
    gst_object_unref(allocator);
    return buffer;
}

/* ---- Frames ---- */

static guint64 counter(GstHarness *harness, const char *field)
{
    GstStructure *stats = NULL;
    guint64 value = 0;
    gst_harness_get(harness, "shrikedetect", "stats", &stats, NULL);
    ck_assert_msg(gst_structure_get_uint64(stats, field, &value), "no %s", field);
    gst_structure_free(stats);
    return value;
}

/* A reason why frames are copied, "" if they are not; to be freed. */
static char *copy_reason(GstHarness *harness)
{
    GstStructure *stats = NULL;
    gst_harness_get(harness, "shrikedetect", "stats", &stats, NULL);
    char *reason = g_strdup(gst_structure_get_string(stats, "copy-reason"));
    gst_structure_free(stats);
    return reason;
}

/* The frames of two elements, one of which gets dma-bufs. Returns why the last one was copied, to be freed.
 */
static char *compare(const char *format, const char *dmabuf_caps, int (*make)(void),
                     void (*mark)(GstBuffer *buffer))
{
    GstBus *bus, *dmabuf_bus;
    char *caps = caps_for("video/x-raw", format);
    GstHarness *plain = elements_harness("shrikedetect score-threshold=0.1", caps, &bus),
               *dmabuf = elements_harness("shrikedetect score-threshold=0.1", dmabuf_caps, &dmabuf_bus);
    guint detections = 0;

    for (guint i = 0; i < FRAMES; i++) {
        GstBuffer *picture = elements_picture(caps, i), *buffer = wrap(picture, make());
        if (mark)
            mark(buffer);
        ck_assert_int_eq(gst_harness_push(dmabuf, buffer), GST_FLOW_OK);
        ck_assert_int_eq(gst_harness_push(plain, picture), GST_FLOW_OK);
        buffer = gst_harness_pull(dmabuf);
        picture = gst_harness_pull(plain);
        elements_same_detections(buffer, picture, 0.0);
        elements_check_latency(buffer);
        detections += elements_detection_count(buffer);
        gst_buffer_unref(buffer);
        gst_buffer_unref(picture);
    }
    ck_assert_uint_gt(detections, 0);
    char *reason = copy_reason(dmabuf);
    ck_assert_uint_eq(counter(dmabuf, "copied"), *reason ? FRAMES : 0);
    ck_assert_uint_eq(counter(dmabuf, "in-place"), *reason ? 0 : FRAMES);
    elements_no_error(bus);
    elements_no_error(dmabuf_bus);
    elements_teardown(&plain, &bus);
    elements_teardown(&dmabuf, &dmabuf_bus);
    g_free(caps);
    return reason;
}

/* Descriptors that are none of dma-bufs: no device imports them, and the CPU reads them all the same. */
START_TEST(test_not_importable)
{
    char *caps = caps_for(DMABUF, formats[_i]), *reason = compare(formats[_i], caps, memory_file, NULL);
    ck_assert_msg(strstr(reason, "cannot import") || strstr(reason, "not what it says"), "%s", reason);
    g_free(reason);
    g_free(caps);
}
END_TEST

START_TEST(test_importable)
{
    struct shk_device *device = NULL;
    struct shk_device_info info;
    struct shk_error error;
    int fd = dma_buffer();
    if (fd < 0) {
        printf("not checked: this kernel has no /dev/udmabuf to make a dma-buf with\n");
        return;
    }
    close(fd);
    test_ok(shk_device_create(NULL, &device, &error), &error);
    shk_device_get_info(device, &info);
    shk_device_destroy(&device);
    char *caps = caps_for(DMABUF, formats[_i]), *reason = compare(formats[_i], caps, dma_buffer, NULL);
    ck_assert_msg(!*reason == info.dma_buf, "%s", reason);
    g_free(reason);
    g_free(caps);
}
END_TEST

/* ---- Caps ---- */

static gboolean accepts(const char *text)
{
    GstElement *element = gst_object_ref_sink(gst_element_factory_make("shrikedetect", NULL));
    GstPad *pad = gst_element_get_static_pad(element, "sink");
    GstCaps *caps = gst_caps_from_string(text);
    gboolean accepted = gst_pad_query_accept_caps(pad, caps);
    gst_caps_unref(caps);
    gst_object_unref(pad);
    gst_object_unref(element);
    return accepted;
}

/* Our pool is system memory: upstream's own makes dma-bufs. */
START_TEST(test_proposes_nothing)
{
    GstBus *bus;
    char *text = caps_for(DMABUF, "NV12");
    GstHarness *harness = elements_harness("shrikedetect", text, &bus);
    GstCaps *caps = gst_caps_from_string(text);
    GstQuery *query = gst_query_new_allocation(caps, TRUE);
    gst_pad_peer_query(harness->srcpad, query);
    ck_assert_uint_eq(gst_query_get_n_allocation_pools(query), 0);
    gst_query_unref(query);
    gst_caps_unref(caps);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    g_free(text);
}
END_TEST

START_TEST(test_tiled)
{
    ck_assert(accepts(DMABUF ",format=NV12," SIZE));
    ck_assert(!accepts(DMABUF ",format=DMA_DRM,drm-format=NV12:0x0100000000000002," SIZE));
    ck_assert(!accepts(DMABUF ",format=DMA_DRM,drm-format=P010," SIZE));
}
END_TEST

#if GST_CHECK_VERSION(1, 24, 0)

/* As elements write it that know nothing of the format but its fourcc. */
static void mark_as_drm(GstBuffer *buffer)
{
    GstVideoInfo info;
    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_NV12, 320, 240);
    gst_buffer_add_video_meta_full(buffer, 0, GST_VIDEO_FORMAT_DMA_DRM, 320, 240, 2, info.offset,
                                   info.stride);
}

START_TEST(test_drm_format)
{
    static const char caps[] = DMABUF ",format=DMA_DRM,drm-format=NV12," SIZE;
    ck_assert(accepts(caps));
    for (guint i = 0; i < 2; i++) {
        char *reason = compare("NV12", caps, memory_file, i ? mark_as_drm : NULL);
        ck_assert_msg(strstr(reason, "cannot import") || strstr(reason, "not what it says"), "%s", reason);
        g_free(reason);
    }
}
END_TEST

#endif

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-dmabuf");
    TCase *tcase = tcase_create("detect dmabuf");

    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, test_not_importable, 0, G_N_ELEMENTS(formats));
    tcase_add_loop_test(tcase, test_importable, 0, 1);
    tcase_add_test(tcase, test_proposes_nothing);
    tcase_add_test(tcase, test_tiled);
#if GST_CHECK_VERSION(1, 24, 0)
    tcase_add_test(tcase, test_drm_format);
#else
    printf("not checked: drm-format, which came with GStreamer 1.24\n");
#endif
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
