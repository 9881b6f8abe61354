/* shrikedetect and frames in the Vulkan memory of other elements: what it reads, and what it says where it
 * cannot.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "shrike_meta.h"
#include "vulkan.h"

GST_PLUGIN_STATIC_DECLARE(shrike);

#define SIZE   ",width=320,height=240,framerate=25/1"
#define FRAMES 3

/* The suite vulkan_frames has them all. */
static const char *const formats[] = {"NV12", "YUY2", "BGRA"};

static char *system_caps(const char *format)
{
    return g_strdup_printf("video/x-raw,format=%s" SIZE, format);
}

static char *vulkan_caps(const char *feature, const char *format)
{
    return g_strdup_printf("video/x-raw(%s),format=%s" SIZE, feature, format);
}

static GstVideoInfo video_info(const char *format)
{
    GstVideoInfo info;
    gst_video_info_set_format(&info, gst_video_format_from_string(format), 320, 240);
    return info;
}

static GstBuffer *system_picture(const char *format, guint seed)
{
    char *caps = system_caps(format);
    GstBuffer *buffer = elements_picture(caps, seed);
    g_free(caps);
    return buffer;
}

static GstStructure *take_stats(GstHarness *harness)
{
    GstStructure *stats = NULL;
    gst_harness_get(harness, "shrikedetect", "stats", &stats, NULL);
    return stats;
}

static guint64 counter(GstHarness *harness, const char *field)
{
    GstStructure *stats = take_stats(harness);
    guint64 value = 0;
    ck_assert_msg(gst_structure_get_uint64(stats, field, &value), "no %s", field);
    gst_structure_free(stats);
    return value;
}

static void expect_reason(GstHarness *harness, const char *expected)
{
    GstStructure *stats = take_stats(harness);
    const char *reason = gst_structure_get_string(stats, "copy-reason");
    ck_assert_msg(strstr(reason, expected) && !*reason == !*expected, "copied, as it %s", reason);
    gst_structure_free(stats);
}

/* ---- The same detections ---- */

/* What the same pictures give in system memory; buffers to be dropped. */
static void look_at_system_memory(const char *format, GstBuffer *seen[FRAMES])
{
    GstBus *bus;
    char *caps = system_caps(format);
    GstHarness *harness = elements_harness("shrikedetect score-threshold=0.1", caps, &bus);
    guint detections = 0;

    for (guint i = 0; i < FRAMES; i++) {
        ck_assert_int_eq(gst_harness_push(harness, system_picture(format, i)), GST_FLOW_OK);
        seen[i] = gst_harness_pull(harness);
        detections += elements_detection_count(seen[i]);
    }
    ck_assert_uint_gt(detections, 0);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    g_free(caps);
}

static void drop(GstBuffer *buffers[FRAMES])
{
    for (guint i = 0; i < FRAMES; i++)
        gst_clear_buffer(&buffers[i]);
}

static GstHarness *open_upload(const char *feature, const char *format, GstBus **bus)
{
    char *caps = system_caps(format),
         *launch =
             g_strdup_printf("vulkanupload ! video/x-raw(%s) ! shrikedetect score-threshold=0.1", feature);
    GstElement *bin = gst_parse_bin_from_description(launch, TRUE, NULL);
    GstContext *context = vulkan_instance_context();

    gst_element_set_context(bin, context);
    gst_context_unref(context);
    GstHarness *harness = elements_harness_of(bin, caps, bus);
    g_free(launch);
    g_free(caps);
    return harness;
}

/* One by one: see vulkan_upload_pool(). */
static void check_upload(const char *feature, const char *format, const char *reason)
{
    GstBus *bus;
    GstBuffer *expected[FRAMES];
    GstVideoInfo info = video_info(format);

    look_at_system_memory(format, expected);
    GstHarness *harness = open_upload(feature, format, &bus);
    GstBufferPool *pool = vulkan_upload_pool(harness);
    for (guint i = 0; i < FRAMES; i++) {
        GstBuffer *picture = system_picture(format, i), *buffer = NULL;
        ck_assert_int_eq(gst_buffer_pool_acquire_buffer(pool, &buffer, NULL), GST_FLOW_OK);
        vulkan_fill(buffer, &info, picture);
        gst_buffer_copy_into(buffer, picture, GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
        ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
        buffer = gst_harness_pull(harness);
        elements_same_detections(buffer, expected[i], 0.0);
        elements_check_latency(buffer);
        gst_buffer_unref(buffer);
        gst_buffer_unref(picture);
    }
    ck_assert_uint_eq(counter(harness, "copied"), FRAMES);
    ck_assert_uint_eq(counter(harness, "in-place"), 0);
    expect_reason(harness, reason);
    elements_no_error(bus);
    vulkan_close_pool(&pool);
    elements_teardown(&harness, &bus);
    drop(expected);
}

START_TEST(test_images)
{
    check_upload(VULKAN_SHARE_IMAGE_FEATURE, formats[_i], "copies images");
}
END_TEST

START_TEST(test_buffers)
{
    check_upload(VULKAN_SHARE_BUFFER_FEATURE, formats[_i], "cannot bind");
}
END_TEST

/* ---- A device that the application gives ---- */

static GstHarness *open_given(GstVulkanDevice *device, const char *launch, const char *caps, GstBus **bus)
{
    GstElement *element = gst_parse_launch(launch, NULL);
    GstContext *context = vulkan_device_context(device);

    gst_element_set_context(element, context);
    gst_context_unref(context);
    return elements_harness_of(element, caps, bus);
}

static guint64 upload_duration(GstBuffer *buffer)
{
    guint64 duration = 0;
    ck_assert(gst_structure_get_uint64(elements_latency(buffer), "upload-duration", &duration));
    return duration;
}

static GstBuffer *buffer_with(struct vulkan_alone *alone, const char *format, guint seed,
                              VkBufferUsageFlags usage)
{
    GstVideoInfo info = video_info(format);
    GstBuffer *picture = system_picture(format, seed), *buffer = vulkan_buffer(alone, &info, usage);
    vulkan_fill(buffer, &info, picture);
    gst_buffer_unref(picture);
    return buffer;
}

/* Buffers that shaders may read are read in place; those that may only be copied are copied by the device,
 * and those that may neither by the CPU. */
START_TEST(test_usages)
{
    static const struct {
        VkBufferUsageFlags usage;
        const char *reason;
    } cases[] = {
        {VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, ""},
        {VK_BUFFER_USAGE_TRANSFER_SRC_BIT, "cannot bind"},
        {VK_BUFFER_USAGE_TRANSFER_DST_BIT, "without TRANSFER_SRC"},
    };
    struct vulkan_alone alone;
    GstBus *bus;
    GstBuffer *expected[FRAMES];
    char *caps = vulkan_caps(VULKAN_SHARE_BUFFER_FEATURE, formats[_i]);

    look_at_system_memory(formats[_i], expected);
    vulkan_open_alone(&alone);
    for (gsize c = 0; c < G_N_ELEMENTS(cases); c++) {
        GstHarness *harness = open_given(alone.gst, "shrikedetect score-threshold=0.1", caps, &bus);
        gboolean in_place = !*cases[c].reason;
        for (guint i = 0; i < FRAMES; i++) {
            GstBuffer *buffer = buffer_with(&alone, formats[_i], i, cases[c].usage);
            ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
            buffer = gst_harness_pull(harness);
            elements_same_detections(buffer, expected[i], 0.0);
            ck_assert_int_eq(upload_duration(buffer) == 0, in_place);
            gst_buffer_unref(buffer);
        }
        ck_assert_uint_eq(counter(harness, "in-place"), in_place ? FRAMES : 0);
        ck_assert_uint_eq(counter(harness, "copied"), in_place ? 0 : FRAMES);
        expect_reason(harness, cases[c].reason);
        elements_no_error(bus);
        elements_teardown(&harness, &bus);
    }
    vulkan_close_alone(&alone);
    g_free(caps);
    drop(expected);
}
END_TEST

static gboolean answers(GstPad *pad, const char *type)
{
    GstQuery *query = gst_query_new_context(type);
    gboolean answered = gst_pad_query(pad, query);
    gst_query_unref(query);
    return answered;
}

/* Neighbours on both sides get the device from the element. */
START_TEST(test_context_queries)
{
    GstBus *bus;
    GstVulkanDevice *device = vulkan_new_device();
    GstHarness *harness = open_given(device, "shrikedetect", NULL, &bus);

    for (guint i = 0; i < 2; i++) {
        GstPad *pad = gst_element_get_static_pad(harness->element, i ? "src" : "sink");
        ck_assert(answers(pad, GST_VULKAN_DEVICE_CONTEXT_TYPE_STR));
        ck_assert(answers(pad, GST_VULKAN_INSTANCE_CONTEXT_TYPE_STR));
        ck_assert(!answers(pad, "gst.gl.GLDisplay"));
        gst_object_unref(pad);
    }
    elements_teardown(&harness, &bus);
    gst_object_unref(device);
}
END_TEST

/* A region list that is empty: nobody looks at the frame, so nobody copies it. */
START_TEST(test_no_regions)
{
    struct vulkan_alone alone;
    GstBus *bus;
    char *caps = vulkan_caps(VULKAN_SHARE_BUFFER_FEATURE, "GRAY8");

    vulkan_open_alone(&alone);
    GstHarness *harness = open_given(alone.gst, "shrikedetect inference-region=roi-list", caps, &bus);
    for (guint i = 0; i < FRAMES; i++) {
        GstBuffer *buffer = buffer_with(&alone, "GRAY8", i, VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
        ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
        gst_buffer_unref(gst_harness_pull(harness));
    }
    ck_assert_uint_eq(counter(harness, "copied"), 0);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    vulkan_close_alone(&alone);
    g_free(caps);
}
END_TEST

/* ---- What is refused ---- */

static void expect_error(GstBus *bus, const char *text, const char *more)
{
    char *message = elements_pop_message(bus, GST_MESSAGE_ERROR);
    ck_assert_msg(message && strstr(message, text) && strstr(message, more), "%s",
                  message ? message : "no error");
    g_free(message);
}

/* The caps are refused, and system memory is as good as ever. */
static void check_refused_caps(GstVulkanDevice *device, const char *launch, const char *text,
                               const char *more)
{
    GstBus *bus;
    GstElement *element = gst_parse_launch(launch, NULL);
    if (device) {
        GstContext *context = vulkan_device_context(device);
        gst_element_set_context(element, context);
        gst_context_unref(context);
    }
    char *caps = vulkan_caps(VULKAN_SHARE_BUFFER_FEATURE, "GRAY8"), *system = system_caps("GRAY8");
    GstHarness *harness = elements_harness_of(element, NULL, &bus);
    gst_harness_set_src_caps_str(harness, caps);
    ck_assert_int_eq(gst_harness_push(harness, system_picture("GRAY8", 0)), GST_FLOW_NOT_NEGOTIATED);
    expect_error(bus, text, more);
    gst_bus_set_flushing(bus, TRUE); /* said again, for the caps that came with the buffer */
    gst_bus_set_flushing(bus, FALSE);
    gst_harness_set_src_caps_str(harness, system);
    ck_assert_int_eq(gst_harness_push(harness, system_picture("GRAY8", 0)), GST_FLOW_OK);
    gst_buffer_unref(gst_harness_pull(harness));
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    g_free(caps);
    g_free(system);
}

START_TEST(test_no_device)
{
    check_refused_caps(NULL, "shrikedetect", "no element upstream has said which Vulkan device",
                       "vulkandownload");
}
END_TEST

START_TEST(test_engine_id)
{
    GstVulkanDevice *device = vulkan_new_device();
    check_refused_caps(device, "shrikedetect engine-id=doors", "engine-id \"doors\"", "vulkandownload");
    gst_object_unref(device);
}
END_TEST

START_TEST(test_other_hardware)
{
    GstVulkanDevice *device = vulkan_new_device();
    check_refused_caps(device, "shrikedetect device=cpu-reference", "device=cpu-reference", "vulkandownload");
    gst_object_unref(device);
}
END_TEST

/* The device that the property names, by another VkDevice. */
START_TEST(test_same_hardware)
{
    struct vulkan_alone alone;
    GstBus *bus;
    struct shk_device_info hardware;
    char *caps = vulkan_caps(VULKAN_SHARE_BUFFER_FEATURE, "GRAY8");

    vulkan_open_alone(&alone);
    shk_device_get_info(alone.device, &hardware);
    char *launch = g_strdup_printf("shrikedetect device=\"%s\"", hardware.name);
    GstHarness *harness = open_given(alone.gst, launch, caps, &bus);
    GstBuffer *buffer = buffer_with(&alone, "GRAY8", 0, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    gst_buffer_unref(gst_harness_pull(harness));
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    vulkan_close_alone(&alone);
    g_free(launch);
    g_free(caps);
}
END_TEST

/* Images that the device cannot copy; images there are none. */
START_TEST(test_refused_images)
{
    GstBus *bus;
    GstVulkanDevice *device = vulkan_new_device();
    char *caps = vulkan_caps(VULKAN_SHARE_IMAGE_FEATURE, "RGBA");

    for (guint i = 0; i < 2; i++) {
        GstHarness *harness = open_given(device, "shrikedetect", caps, &bus);
        GstBuffer *buffer = i == 0 ? gst_buffer_new() : system_picture("RGBA", 0);
        if (i == 0)
            gst_buffer_append_memory(
                buffer, gst_vulkan_image_memory_alloc(device, VK_FORMAT_R8G8B8A8_UNORM, 320, 240,
                                                      VK_IMAGE_TILING_OPTIMAL, VK_IMAGE_USAGE_SAMPLED_BIT,
                                                      VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT));
        ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_ERROR);
        expect_error(bus, i == 0 ? "without TRANSFER_SRC" : "not in Vulkan memory", "vulkandownload");
        elements_teardown(&harness, &bus);
    }
    g_free(caps);
    gst_object_unref(device);
}
END_TEST

static gboolean have_elements(void)
{
    GstElementFactory *factory = gst_element_factory_find("vulkanupload");
    if (factory)
        gst_object_unref(factory);
    return factory != NULL;
}

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-vulkan");
    TCase *tcase = tcase_create("detect vulkan");

    GST_PLUGIN_STATIC_REGISTER(shrike);
    tcase_set_timeout(tcase, 240);
    tcase_add_unchecked_fixture(tcase, vulkan_open_instance, vulkan_close_instance);
    if (have_elements()) {
        tcase_add_loop_test(tcase, test_images, 0, G_N_ELEMENTS(formats));
        tcase_add_loop_test(tcase, test_buffers, 0, G_N_ELEMENTS(formats));
    } else {
        printf("not checked: pipelines, as there is no vulkanupload (install gstreamer1.0-plugins-bad)\n");
    }
    tcase_add_loop_test(tcase, test_usages, 0, 2);
    tcase_add_test(tcase, test_context_queries);
    tcase_add_test(tcase, test_no_regions);
    tcase_add_test(tcase, test_no_device);
    tcase_add_test(tcase, test_engine_id);
    tcase_add_test(tcase, test_other_hardware);
    tcase_add_test(tcase, test_same_hardware);
    tcase_add_test(tcase, test_refused_images);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE | ELEMENTS_STATIC_PLUGIN | ELEMENTS_VULKAN_PLUGIN);
}
