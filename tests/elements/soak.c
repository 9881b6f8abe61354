/* Thousands of frames: neither the process nor the device's memory grows. This program stands between
 * libshrike and the Vulkan loader and counts what is allocated. SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "elements.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <vulkan/vulkan.h>

#include "shrike_meta.h"

/* Frames of it in device memory that were not given back would make the pool take more, long before the end. */
#define CAPS "video/x-raw,format=GRAY8,width=160,height=120,framerate=25/1"

/* Allocators of sanitizers keep what was freed, so that the size of the process says nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LESS      20
#define JUDGE_RSS FALSE
#else
#define LESS      1
#define JUDGE_RSS TRUE
#endif
#define OUTSTANDING 8 /* frames that are in the element at a time: more than it has places for */

/* The process is measured after a quarter of the frames, its warm-up, and after each of three more. A leak grows
 * in each of them; what a thread of malloc() or of the driver comes to use late, a megabyte at once, in one. A leak
 * of 300 bytes per frame, a buffer's header, is more than the room of a stretch. */
#define STRETCHES    3
#define STRETCH_ROOM (256 << 10)
#define RSS_ROOM     (3 << 20)

/* ---- Device memory ---- */

/* Live VkDeviceMemory objects, imported ones among them. */
static struct {
    GMutex lock;
    VkDeviceMemory handles[1024];
    guint64 sizes[1024];
    guint count;
    guint64 bytes, calls;
} live;

VKAPI_ATTR VkResult VKAPI_CALL vkAllocateMemory(VkDevice device, const VkMemoryAllocateInfo *info,
                                                const VkAllocationCallbacks *callbacks,
                                                VkDeviceMemory *memory)
{
    PFN_vkAllocateMemory real = (PFN_vkAllocateMemory)dlsym(RTLD_NEXT, "vkAllocateMemory");
    VkResult result = real(device, info, callbacks, memory);
    if (result != VK_SUCCESS)
        return result;
    g_mutex_lock(&live.lock);
    g_assert(live.count < G_N_ELEMENTS(live.handles));
    live.handles[live.count] = *memory;
    live.sizes[live.count++] = info->allocationSize;
    live.bytes += info->allocationSize;
    live.calls++;
    g_mutex_unlock(&live.lock);
    return result;
}

VKAPI_ATTR void VKAPI_CALL vkFreeMemory(VkDevice device, VkDeviceMemory memory,
                                        const VkAllocationCallbacks *callbacks)
{
    PFN_vkFreeMemory real = (PFN_vkFreeMemory)dlsym(RTLD_NEXT, "vkFreeMemory");
    g_mutex_lock(&live.lock);
    for (guint i = 0; i < live.count; i++) {
        if (live.handles[i] != memory)
            continue;
        live.bytes -= live.sizes[i];
        live.handles[i] = live.handles[--live.count];
        live.sizes[i] = live.sizes[live.count];
        break;
    }
    g_mutex_unlock(&live.lock);
    real(device, memory, callbacks);
}

/* ---- What is used ---- */

struct usage {
    gsize rss;
    guint64 device_bytes, device_calls;
    guint device_objects;
};

static gsize read_rss(void)
{
    unsigned long total, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu %lu", &total, &resident), 2);
    fclose(file);
    return resident * (gsize)sysconf(_SC_PAGESIZE);
}

static struct usage measure(void)
{
    g_mutex_lock(&live.lock);
    struct usage usage = {0, live.bytes, live.calls, live.count};
    g_mutex_unlock(&live.lock);
    usage.rss = read_rss();
    return usage;
}

/* `usage`: after the warm-up, and after each stretch. */
static void expect_flat(const char *what, const struct usage usage[STRETCHES + 1])
{
    const struct usage *before = &usage[0], *after = &usage[STRETCHES];
    gssize least = G_MAXSSIZE;
    printf("%s: device memory %" G_GUINT64_FORMAT " KiB in %u objects, then %" G_GUINT64_FORMAT " KiB in %u; RSS",
           what, before->device_bytes >> 10, before->device_objects, after->device_bytes >> 10,
           after->device_objects);
    for (guint i = 0; i <= STRETCHES; i++) {
        printf(" %" G_GSIZE_FORMAT " KiB", usage[i].rss >> 10);
        if (i)
            least = MIN(least, (gssize)usage[i].rss - (gssize)usage[i - 1].rss);
    }
    printf("\n");
    ck_assert_uint_gt(before->device_bytes, 0);
    ck_assert_uint_eq(after->device_bytes, before->device_bytes);
    ck_assert_uint_eq(after->device_objects, before->device_objects);
    ck_assert_uint_eq(after->device_calls, before->device_calls);
    if (!JUDGE_RSS)
        return;
    ck_assert_int_le(least, STRETCH_ROOM);
    ck_assert_uint_le(after->rss, before->rss + RSS_ROOM);
}

/* ---- Frames ---- */

struct flow {
    GstHarness *harness;
    GstMemory *memory; /* comes with every other frame, as from a pool of somebody else's */
    guint pushed, pulled, inferred;
};

static GstBuffer *next_frame(const struct flow *flow)
{
    if (flow->pushed % 2)
        return elements_picture(CAPS, flow->pushed);
    GstBuffer *buffer = gst_buffer_new();
    gst_buffer_append_memory(buffer, gst_memory_ref(flow->memory));
    GST_BUFFER_PTS(buffer) = flow->pushed * 40 * GST_MSECOND;
    return buffer;
}

static void pull(struct flow *flow)
{
    GstBuffer *buffer = gst_harness_pull(flow->harness);
    ck_assert_ptr_nonnull(buffer);
    ck_assert_uint_eq(GST_BUFFER_PTS(buffer), flow->pulled * 40 * GST_MSECOND);
    flow->inferred += g_str_equal(gst_structure_get_string(elements_latency(buffer), SHRIKE_FIELD_STATUS),
                                  SHRIKE_STATUS_INFERRED);
    flow->pulled++;
    gst_buffer_unref(buffer);
}

/* Up to frame `end`, and until all have left. */
static struct usage run(struct flow *flow, guint end)
{
    for (; flow->pushed < end; flow->pushed++) {
        ck_assert_int_eq(gst_harness_push(flow->harness, next_frame(flow)), GST_FLOW_OK);
        while (gst_harness_buffers_in_queue(flow->harness) || flow->pushed + 1 - flow->pulled >= OUTSTANDING)
            pull(flow);
    }
    while (flow->pulled < flow->pushed)
        pull(flow);
    return measure();
}

/* SHRIKE_TEST_FRAMES in place of `frames`. */
static guint count_frames(guint frames)
{
    const char *asked = g_getenv("SHRIKE_TEST_FRAMES");
    return asked ? (guint)MAX(atoi(asked), 10) : frames / LESS;
}

static void soak(const char *launch, guint count)
{
    GstBus *bus;
    guint frames = count_frames(count);
    /* the layer keeps books of its own, and takes most of the time */
    g_setenv("SHRIKE_VALIDATION", "0", TRUE);
    struct flow flow = {.harness = elements_harness(launch, CAPS, &bus)};
    GstBuffer *picture = elements_picture(CAPS, 0);
    flow.memory = gst_buffer_get_memory(picture, 0);
    gst_buffer_unref(picture);
    struct usage usage[STRETCHES + 1];
    for (guint i = 0; i <= STRETCHES; i++)
        usage[i] = run(&flow, frames * (i + 1) / (STRETCHES + 1));
    expect_flat(launch, usage);
    printf("%u of %u frames were inferred\n", flow.inferred, flow.pulled);
    ck_assert_uint_gt(flow.inferred, 0);
    gst_memory_unref(flow.memory);
    elements_no_error(bus);
    elements_teardown(&flow.harness, &bus);
}

/* All of them on the device: half as many, as they take longer. */
START_TEST(test_none)
{
    soak("shrikedetect drop-policy=none", 5000);
}
END_TEST

START_TEST(test_leaky)
{
    soak("shrikedetect drop-policy=leaky", 10000);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("soak");
    TCase *tcase = tcase_create("soak");
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, test_none);
    tcase_add_test(tcase, test_leaky);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
