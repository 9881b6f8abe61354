/* Bad input to shrikedetect: one clear message each, nothing leaks, and it works again once mended.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <glib/gstdio.h>
#include <string.h>

#define CAPS "video/x-raw,format=RGB,width=64,height=48,framerate=25/1"

static char *folder;

static void make_folder(void)
{
    folder = g_dir_make_tmp("shrike-errors-XXXXXX", NULL);
}

static void remove_folder(void)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while ((name = g_dir_read_name(dir))) {
        char *path = g_build_filename(folder, name, NULL);
        g_unlink(path);
        g_free(path);
    }
    g_dir_close(dir);
    g_rmdir(folder);
    g_clear_pointer(&folder, g_free);
}

static char *write_file(const char *name, const void *data, gsize size)
{
    char *path = g_build_filename(folder, name, NULL);
    ck_assert(g_file_set_contents(path, data, (gssize)size, NULL));
    return path;
}

static GstElement *make_element(GstBus **bus)
{
    GstElement *element = gst_element_factory_make("shrikedetect", NULL);
    ck_assert_ptr_nonnull(element);
    *bus = gst_bus_new();
    gst_element_set_bus(element, *bus);
    return gst_object_ref_sink(element);
}

static void free_element(GstElement *element, GstBus *bus)
{
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
    gst_element_set_bus(element, NULL);
    gst_object_unref(element);
    gst_bus_set_flushing(bus, TRUE);
    gst_object_unref(bus);
}

/* The element must refuse to start, say why in one message that has all the words, and start once `property`
 * is unset. */
static void expect_refusal(const char *property, const char *value, const char *const *words)
{
    GstBus *bus;
    GstElement *element = make_element(&bus);
    g_object_set(element, property, value, NULL);
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    char *text = elements_pop_message(bus, GST_MESSAGE_ERROR);
    ck_assert_msg(text != NULL, "%s=%s: no message", property, value);
    for (; *words; words++)
        ck_assert_msg(strstr(text, *words) != NULL, "%s=%s: no \"%s\" in: %s", property, value, *words, text);
    g_free(text);
    ck_assert_ptr_null(elements_pop_message(bus, GST_MESSAGE_ERROR));
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
    g_object_set(element, property, NULL, NULL);
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
    free_element(element, bus);
}

#define WORDS(...)                                                                                           \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

START_TEST(test_missing_files)
{
    expect_refusal("model-file", "/nonexistent/model.tflite", WORDS("/nonexistent/model.tflite"));
    expect_refusal("label-file", "/nonexistent/labels.txt", WORDS("/nonexistent/labels.txt"));
    expect_refusal("model-file", "/", WORDS("/"));
}
END_TEST

START_TEST(test_unknown_device)
{
    expect_refusal("device", "no such gpu", WORDS("no such gpu"));
    expect_refusal("device", "4711", WORDS("4711"));
}
END_TEST

START_TEST(test_corrupt_model)
{
    static const char noise[] = "this is not a model, whatever its name says, and it is longer than a header";
    char *path = write_file("empty.tflite", "", 0);
    expect_refusal("model-file", path, WORDS("empty.tflite"));
    g_free(path);
    path = write_file("noise.tflite", noise, sizeof(noise));
    expect_refusal("model-file", path, WORDS("noise.tflite"));
    g_free(path);
}
END_TEST

/* Whatever comes out: loaded or refused with a message, never a crash. */
START_TEST(test_damaged_model)
{
    gsize size;
    uint8_t *model = test_read_file(SHRIKE_DEFAULT_MODEL, &size);
    ck_assert_ptr_nonnull(model);
    struct test_rng rng = {1};
    GstBus *bus;
    GstElement *element = make_element(&bus);
    for (guint i = 0; i < 40; i++) {
        uint8_t *damaged = g_memdup2(model, size);
        gsize length = size;
        if (i % 2)
            length = test_random_below(&rng, (uint32_t)size);
        else
            for (guint k = 0; k < 8; k++)
                damaged[test_random_below(&rng, i % 4 ? MIN(4096, (uint32_t)size) : (uint32_t)size)] ^=
                    1u << test_random_below(&rng, 8);
        char *path = write_file("damaged.tflite", damaged, length);
        g_object_set(element, "model-file", path, NULL);
        gboolean refused = gst_element_set_state(element, GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE;
        char *text = elements_pop_message(bus, GST_MESSAGE_ERROR);
        ck_assert_msg(refused == (text != NULL), "damage %u: %s", i, text ? text : "refused without a word");
        g_free(text);
        ck_assert_int_eq(gst_element_set_state(element, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
        g_free(path);
        g_free(damaged);
    }
    free_element(element, bus);
    free(model);
}
END_TEST

START_TEST(test_bad_labels)
{
    char *path = write_file("one.txt", "lonely\n", 7);
    expect_refusal("label-file", path, WORDS("one.txt"));
    g_free(path);
    path = write_file("binary.txt", "a\n\xff\xfe\nb\n", 7);
    expect_refusal("label-file", path, WORDS("binary.txt"));
    g_free(path);
    path = write_file("empty.txt", "", 0);
    expect_refusal("label-file", path, WORDS("empty.txt"));
    g_free(path);
}
END_TEST

static void expect_range(const char *name, double minimum, double maximum, double initial)
{
    GstBus *bus;
    GstElement *element = make_element(&bus);
    GParamSpec *spec = g_object_class_find_property(G_OBJECT_GET_CLASS(element), name);
    ck_assert(spec != NULL && G_IS_PARAM_SPEC_FLOAT(spec));
    ck_assert_double_eq(G_PARAM_SPEC_FLOAT(spec)->minimum, minimum);
    ck_assert_double_eq(G_PARAM_SPEC_FLOAT(spec)->maximum, maximum);
    ck_assert_double_eq(G_PARAM_SPEC_FLOAT(spec)->default_value, initial);
    ck_assert_ptr_nonnull(g_param_spec_get_blurb(spec));
    free_element(element, bus);
}

START_TEST(test_thresholds)
{
    expect_range("score-threshold", 0, 1, 0.5);
    expect_range("iou-threshold", -1, 1, -1);
    static const char *const launches[] = {"shrikedetect score-threshold=1.5",
                                           "shrikedetect score-threshold=-0.1",
                                           "shrikedetect max-in-flight=0", "shrikedetect max-in-flight=17"};
    /* Debian 13's GLib says CRITICAL of a value outside of the property's range, which is fatal here */
    GLogLevelFlags fatal = g_log_set_always_fatal(G_LOG_FATAL_MASK);
    for (gsize i = 0; i < G_N_ELEMENTS(launches); i++) {
        GError *error = NULL;
        GstElement *element = gst_parse_launch(launches[i], &error);
        float score = 0.5f;
        guint slots = 2;
        /* GLib refuses or clamps, depending on its version; the element never sees it */
        if (element) {
            g_object_get(element, "score-threshold", &score, "max-in-flight", &slots, NULL);
            gst_object_unref(gst_object_ref_sink(element));
        }
        g_clear_error(&error);
        ck_assert(score >= 0 && score <= 1 && slots >= 1 && slots <= 16);
    }
    g_log_set_always_fatal(fatal);
}
END_TEST

START_TEST(test_unsupported_caps)
{
    static const char *const caps[] = {
        "video/x-raw,format=ARGB64,width=64,height=48,framerate=25/1",
        "video/x-raw(memory:DMABuf),format=ARGB64,width=64,height=48,framerate=25/1",
        "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12:0x0100000000000002,width=64,height=48,framerate=25/1",
        "video/x-raw(memory:GLMemory),format=RGBA,width=64,height=48,framerate=25/1",
        "video/x-h264,width=64,height=48,framerate=25/1",
        "audio/x-raw,format=S16LE,rate=8000,channels=1",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(caps); i++) {
        GstBus *bus;
        GstHarness *harness = elements_harness("shrikedetect", NULL, &bus);
        GstCaps *asked = gst_caps_from_string(caps[i]);
        GstPad *pad = gst_element_get_static_pad(harness->element, "sink");
        ck_assert_msg(!gst_pad_query_accept_caps(pad, asked), "%s accepted", caps[i]);
        gst_object_unref(pad);
        gst_caps_unref(asked);
        elements_teardown(&harness, &bus);
    }
}
END_TEST

START_TEST(test_no_caps)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", NULL, &bus);
    gst_harness_play(harness);
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(harness, gst_event_new_stream_start("test"));
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
    ck_assert_int_eq(gst_harness_push(harness, gst_buffer_new_allocate(NULL, 64, NULL)),
                     GST_FLOW_NOT_NEGOTIATED);
    elements_teardown(&harness, &bus);
}
END_TEST

/* By its caps, or by its GstVideoMeta, which caps may be smaller than (videocrop). */
START_TEST(test_too_large)
{
    const char *caps = "video/x-raw,format=GRAY8,width=16388,height=1,framerate=25/1";
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", caps, &bus);
    char *text = elements_pop_message(bus, GST_MESSAGE_ERROR);
    ck_assert_msg(text && strstr(text, "16388"), "error: %s", text);
    g_free(text);
    GstBuffer *buffer = elements_picture(caps, 1);
    ck_assert_int_eq(gst_harness_push(harness, gst_buffer_ref(buffer)), GST_FLOW_NOT_NEGOTIATED);
    gst_harness_set_src_caps_str(harness, "video/x-raw,format=GRAY8,width=64,height=1,framerate=25/1");
    gst_buffer_add_video_meta(buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_GRAY8, 16388, 1);
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_ERROR);
    text = elements_pop_message(bus, GST_MESSAGE_ERROR);
    ck_assert_msg(text && strstr(text, "16388"), "error: %s", text);
    g_free(text);
    elements_teardown(&harness, &bus);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-errors");
    TCase *tcase = tcase_create("errors");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, make_folder, remove_folder);
    tcase_add_test(tcase, test_missing_files);
    tcase_add_test(tcase, test_unknown_device);
    tcase_add_test(tcase, test_corrupt_model);
    tcase_add_test(tcase, test_damaged_model);
    tcase_add_test(tcase, test_bad_labels);
    tcase_add_test(tcase, test_thresholds);
    tcase_add_test(tcase, test_unsupported_caps);
    tcase_add_test(tcase, test_no_caps);
    tcase_add_test(tcase, test_too_large);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
