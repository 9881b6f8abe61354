/* shrikedetect between system memory and other elements' Vulkan memory: caps that change while frames are on
 * their way, flushes, states, policies.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "shrike_meta.h"
#include "vulkan.h"

GST_PLUGIN_STATIC_DECLARE(shrike);

#define FORMAT      "format=RGBA,width=64,height=48,framerate=25/1"
#define SYSTEM_CAPS "video/x-raw," FORMAT
#define BUFFER_CAPS "video/x-raw(memory:VulkanBuffer)," FORMAT
#define IMAGE_CAPS  "video/x-raw(memory:VulkanImage)," FORMAT

/* ---- The same picture in every kind of memory ---- */

enum kind { SYSTEM, BOUND_BUFFER, COPIED_BUFFER, IMAGE, KINDS };
static const char *const caps_of[KINDS] = {SYSTEM_CAPS, BUFFER_CAPS, BUFFER_CAPS, IMAGE_CAPS};

struct source {
    GstHarness *upload; /* NULL: there is no vulkanupload, and images are buffers */
    GstVulkanDevice *device;
    GstBuffer *picture[KINDS];
};

static gboolean have_elements(void)
{
    GstElementFactory *factory = gst_element_factory_find("vulkanupload");
    if (factory)
        gst_object_unref(factory);
    return factory != NULL;
}

static GstVulkanDevice *device_of(GstPad *pad)
{
    GstVulkanDevice *device = NULL;
    GstContext *context = NULL;
    GstQuery *query = gst_query_new_context(GST_VULKAN_DEVICE_CONTEXT_TYPE_STR);
    ck_assert(gst_pad_peer_query(pad, query));
    gst_query_parse_context(query, &context);
    ck_assert(gst_context_get_vulkan_device(context, &device));
    gst_query_unref(query);
    return device;
}

/* The device is idle afterwards: the queue has a lock of its own for everybody who asks GStreamer 1.22 for
 * it, so that upload and element must not submit at the same time. */
static GstBuffer *upload_image(struct source *source)
{
    GstElement *bin = gst_parse_bin_from_description(
        "vulkanupload ! capsfilter caps=video/x-raw(memory:VulkanImage)", TRUE, NULL);
    GstContext *context = vulkan_instance_context();
    gst_element_set_context(bin, context);
    gst_context_unref(context);
    source->upload = gst_harness_new_with_element(bin, "sink", "src");
    gst_object_unref(bin);
    gst_harness_set_src_caps_str(source->upload, SYSTEM_CAPS);
    ck_assert_int_eq(gst_harness_push(source->upload, gst_buffer_ref(source->picture[SYSTEM])), GST_FLOW_OK);
    GstBuffer *image = gst_harness_pull(source->upload);
    source->device = device_of(source->upload->sinkpad);
    PFN_vkDeviceWaitIdle wait_idle =
        (PFN_vkDeviceWaitIdle)gst_vulkan_device_get_proc_address(source->device, "vkDeviceWaitIdle");
    ck_assert_int_eq(wait_idle(source->device->device), VK_SUCCESS);
    return image;
}

static GstBuffer *fill_buffer(struct source *source, VkBufferUsageFlags usage)
{
    GstVideoInfo info;
    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_RGBA, 64, 48);
    GstBuffer *buffer = gst_buffer_new();
    gst_buffer_append_memory(buffer,
                             gst_vulkan_buffer_memory_alloc(source->device, GST_VIDEO_INFO_SIZE(&info), usage,
                                                            VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT));
    vulkan_fill(buffer, &info, source->picture[SYSTEM]);
    return buffer;
}

static void open_source(struct source *source)
{
    *source = (struct source){.picture = {elements_picture(SYSTEM_CAPS, 3)}};
    if (have_elements())
        source->picture[IMAGE] = upload_image(source);
    else
        source->device = vulkan_new_device();
    source->picture[BOUND_BUFFER] = fill_buffer(source, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
    source->picture[COPIED_BUFFER] = fill_buffer(source, VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
}

static void close_source(struct source *source)
{
    for (guint i = 0; i < KINDS; i++)
        gst_clear_buffer(&source->picture[i]);
    gst_clear_object(&source->device);
    if (source->upload)
        gst_harness_teardown(source->upload);
}

static enum kind there(const struct source *source, enum kind kind)
{
    return source->picture[kind] ? kind : COPIED_BUFFER;
}

/* Another buffer with the same memory. */
static GstBuffer *frame(const struct source *source, enum kind kind, guint i)
{
    GstBuffer *buffer = gst_buffer_copy(source->picture[there(source, kind)]);
    GST_BUFFER_PTS(buffer) = i * 40 * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = 40 * GST_MSECOND;
    return buffer;
}

/* ---- The element ---- */

static GstHarness *open_detect(const struct source *source, const char *launch, enum kind kind, GstBus **bus)
{
    GstElement *element = gst_parse_launch(launch, NULL);
    GstContext *context = vulkan_device_context(source->device);
    gst_element_set_context(element, context);
    gst_context_unref(context);
    return elements_harness_of(element, caps_of[there(source, kind)], bus);
}

static gboolean push_caps(GstHarness *harness, const struct source *source, enum kind kind)
{
    GstCaps *caps = gst_caps_from_string(caps_of[there(source, kind)]);
    gboolean taken = gst_pad_push_event(harness->srcpad, gst_event_new_caps(caps));
    gst_caps_unref(caps);
    return taken;
}

static guint64 counter(GstHarness *harness, const char *field)
{
    GstStructure *stats = NULL;
    guint64 value = 0;
    gst_harness_get(harness, "shrikedetect", "stats", &stats, NULL);
    ck_assert_msg(gst_structure_get_uint64(stats, field, &value), "no %s", field);
    gst_structure_free(stats);
    return value;
}

/* ---- Caps ---- */

/* Frames are pushed and pulled only afterwards, so that caps change while some are on the device. */
START_TEST(test_caps_change)
{
    static const enum kind kinds[] = {SYSTEM,       BOUND_BUFFER, SYSTEM, IMAGE, COPIED_BUFFER,
                                      BOUND_BUFFER, IMAGE,        SYSTEM, SYSTEM};
    struct source source;
    GstBus *bus;
    GstBuffer *first = NULL;

    open_source(&source);
    GstHarness *harness =
        open_detect(&source, "shrikedetect score-threshold=0.1 max-in-flight=3", SYSTEM, &bus);
    for (guint i = 0; i < 4 * G_N_ELEMENTS(kinds); i++) {
        enum kind kind = kinds[i / 4];
        if (i % 4 == 0)
            ck_assert(push_caps(harness, &source, kind));
        ck_assert_int_eq(gst_harness_push(harness, frame(&source, kind, i)), GST_FLOW_OK);
    }
    for (guint i = 0; i < 4 * G_N_ELEMENTS(kinds); i++) {
        GstBuffer *buffer = gst_harness_pull(harness);
        ck_assert_uint_eq(GST_BUFFER_PTS(buffer), i * 40 * GST_MSECOND);
        elements_check_latency(buffer);
        if (first)
            elements_same_detections(buffer, first, 0.0);
        else
            first = gst_buffer_ref(buffer);
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_gt(elements_detection_count(first), 0);
    ck_assert_uint_eq(counter(harness, "in-place") + counter(harness, "copied"), 4 * G_N_ELEMENTS(kinds));
    ck_assert_uint_ge(counter(harness, "in-place"), 8);
    ck_assert_uint_ge(counter(harness, "copied"), 12);
    elements_no_error(bus);
    gst_buffer_unref(first);
    elements_teardown(&harness, &bus);
    close_source(&source);
}
END_TEST

/* The built-in model knows names; the same in a file does not. */
static gboolean by_number(GstBuffer *buffer)
{
    const GstStructure *fields = elements_latency(buffer);
    const GValue *objects = gst_structure_get_value(fields, SHRIKE_FIELD_DETECTIONS);
    ck_assert_uint_gt(gst_value_array_get_size(objects), 0);
    const GstStructure *first = gst_value_get_structure(gst_value_array_get_value(objects, 0));
    return g_str_has_prefix(gst_structure_get_string(first, SHRIKE_FIELD_LABEL), "class ");
}

/* A model that was set just before the element moves has to arrive there. */
START_TEST(test_model_on_the_way)
{
    struct source source;
    GstBus *bus;

    open_source(&source);
    for (guint i = 0; i < 2; i++) {
        char *model = NULL;
        GstHarness *harness = open_detect(&source, "shrikedetect score-threshold=0.05", SYSTEM, &bus);
        gst_harness_set(harness, "shrikedetect", "model-file", SHRIKE_DEFAULT_MODEL, NULL);
        ck_assert(push_caps(harness, &source, BOUND_BUFFER));
        for (gboolean arrived = FALSE; !arrived;) {
            ck_assert_int_eq(gst_harness_push(harness, frame(&source, BOUND_BUFFER, i)), GST_FLOW_OK);
            GstBuffer *buffer = gst_harness_pull(harness);
            arrived = by_number(buffer);
            gst_buffer_unref(buffer);
        }
        gst_harness_get(harness, "shrikedetect", "model-file", &model, NULL);
        ck_assert_pstr_eq(model, SHRIKE_DEFAULT_MODEL);
        g_free(model);
        elements_no_error(bus);
        elements_teardown(&harness, &bus);
    }
    close_source(&source);
}
END_TEST

/* ---- Policies ---- */

START_TEST(test_policies)
{
    static const char *const policies[] = {"leaky", "skip"};
    struct source source;
    GstBus *bus;

    open_source(&source);
    for (gsize p = 0; p < G_N_ELEMENTS(policies); p++) {
        char *launch = g_strdup_printf("shrikedetect drop-policy=%s", policies[p]);
        GstHarness *harness = open_detect(&source, launch, IMAGE, &bus);
        for (guint i = 0; i < 40; i++)
            ck_assert_int_eq(gst_harness_push(harness, frame(&source, IMAGE, i)), GST_FLOW_OK);
        ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
        guint64 dropped = counter(harness, "dropped");
        for (guint64 i = dropped; i < 40; i++)
            gst_buffer_unref(gst_harness_pull(harness));
        ck_assert(dropped == 0 || strcmp(policies[p], "skip") == 0);
        ck_assert_uint_ge(counter(harness, "inferred"), 2);
        elements_no_error(bus);
        elements_teardown(&harness, &bus);
        g_free(launch);
    }
    close_source(&source);
}
END_TEST

/* ---- Flushes and states ---- */

struct pusher {
    struct source source;
    GstHarness *harness;
    GMutex pushing;
    gint stop;
};

/* Other memory every third frame. */
static gpointer push_frames(gpointer data)
{
    struct pusher *pusher = data;
    for (guint i = 0; !g_atomic_int_get(&pusher->stop); i++) {
        enum kind kind = i / 3 % KINDS;
        g_mutex_lock(&pusher->pushing);
        if (i % 3 == 0)
            push_caps(pusher->harness, &pusher->source, kind);
        GstFlowReturn flow = gst_harness_push(pusher->harness, frame(&pusher->source, kind, i));
        g_mutex_unlock(&pusher->pushing);
        ck_assert_msg(flow == GST_FLOW_OK || flow == GST_FLOW_FLUSHING, "%s", gst_flow_get_name(flow));
        while (gst_harness_buffers_in_queue(pusher->harness))
            gst_buffer_unref(gst_harness_pull(pusher->harness));
    }
    return NULL;
}

/* At any moment; only between the flush's end and the new segment there are no frames. */
static void flush(struct pusher *pusher)
{
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    ck_assert(gst_harness_push_event(pusher->harness, gst_event_new_flush_start()));
    g_mutex_lock(&pusher->pushing);
    ck_assert(gst_harness_push_event(pusher->harness, gst_event_new_flush_stop(TRUE)));
    ck_assert(gst_harness_push_event(pusher->harness, gst_event_new_segment(&segment)));
    g_mutex_unlock(&pusher->pushing);
}

START_TEST(test_flushes)
{
    struct pusher pusher = {.stop = 0};
    GstBus *bus;

    open_source(&pusher.source);
    g_mutex_init(&pusher.pushing);
    pusher.harness = open_detect(&pusher.source, "shrikedetect max-in-flight=3", SYSTEM, &bus);
    GThread *thread = g_thread_new("push", push_frames, &pusher);
    GRand *random = g_rand_new_with_seed(5);
    for (guint i = 0; i < 60; i++) {
        /* frames that came meanwhile are the clock */
        for (guint64 n = counter(pusher.harness, "frames") + (guint64)g_rand_int_range(random, 0, 5);
             counter(pusher.harness, "frames") < n;)
            g_thread_yield();
        flush(&pusher);
    }
    g_rand_free(random);
    g_atomic_int_set(&pusher.stop, 1);
    g_thread_join(thread);
    elements_no_error(bus);
    elements_teardown(&pusher.harness, &bus);
    g_mutex_clear(&pusher.pushing);
    close_source(&pusher.source);
}
END_TEST

/* READY and back with frames on the device: the element begins again on a device of its own. */
START_TEST(test_states)
{
    struct source source;
    GstBus *bus;

    open_source(&source);
    GstHarness *harness = open_detect(&source, "shrikedetect max-in-flight=3", IMAGE, &bus);
    for (guint i = 0; i < 6; i++) {
        enum kind kind = i % 2 ? IMAGE : i % 4 ? COPIED_BUFFER : SYSTEM;
        GstSegment segment;
        gst_segment_init(&segment, GST_FORMAT_TIME);
        gst_harness_push_event(harness, gst_event_new_stream_start("again"));
        ck_assert(push_caps(harness, &source, kind));
        gst_harness_push_event(harness, gst_event_new_segment(&segment));
        for (guint k = 0; k < 3; k++)
            ck_assert_int_eq(gst_harness_push(harness, frame(&source, kind, k)), GST_FLOW_OK);
        GstState state = i % 3 == 2 ? GST_STATE_NULL : GST_STATE_READY;
        ck_assert_int_eq(gst_element_set_state(harness->element, state), GST_STATE_CHANGE_SUCCESS);
        ck_assert_int_eq(gst_element_set_state(harness->element, GST_STATE_PLAYING),
                         GST_STATE_CHANGE_SUCCESS);
    }
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    close_source(&source);
}
END_TEST

/* A pipeline whose device is vulkanupload's, to its end. Not stopped before: GStreamer 1.22's vulkanupload,
 * when it stops, frees buffers that the device still copies from. */
START_TEST(test_pipeline)
{
    for (guint i = 0; i < 2; i++) {
        GError *error = NULL;
        GstElement *pipeline =
            gst_parse_launch("videotestsrc num-buffers=40 ! " SYSTEM_CAPS " ! vulkanupload ! "
                             "shrikedetect name=detect ! fakesink sync=false",
                             &error);
        ck_assert_msg(pipeline && !error, "%s", error ? error->message : "");
        GstBus *bus = gst_element_get_bus(pipeline);
        for (guint k = 0; k < 6; k++)
            ck_assert_int_ne(gst_element_set_state(pipeline, k % 2 ? GST_STATE_PLAYING : GST_STATE_PAUSED),
                             GST_STATE_CHANGE_FAILURE);
        GstMessage *message =
            gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
        ck_assert_int_eq(GST_MESSAGE_TYPE(message), GST_MESSAGE_EOS);
        gst_message_unref(message);
        gst_object_unref(bus);
        gst_element_set_state(pipeline, GST_STATE_NULL);
        gst_object_unref(pipeline);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-vulkan-flow");
    TCase *tcase = tcase_create("detect vulkan flow");

    GST_PLUGIN_STATIC_REGISTER(shrike);
    tcase_set_timeout(tcase, 240);
    tcase_add_unchecked_fixture(tcase, vulkan_open_instance, vulkan_close_instance);
    tcase_add_test(tcase, test_caps_change);
    tcase_add_test(tcase, test_model_on_the_way);
    tcase_add_test(tcase, test_policies);
    tcase_add_test(tcase, test_flushes);
    tcase_add_test(tcase, test_states);
    if (have_elements())
        tcase_add_test(tcase, test_pipeline);
    else
        printf("not checked: images, as there is no vulkanupload (install gstreamer1.0-plugins-bad)\n");
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE | ELEMENTS_STATIC_PLUGIN | ELEMENTS_VULKAN_PLUGIN);
}
