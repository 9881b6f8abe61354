/* Another model while frames flow.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <glib/gstdio.h>
#include <string.h>

#include "shrike_meta.h"

#define CAPS "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"

/* Each opens a model and compiles its shaders: sanitizers make a hundred of them a matter of many minutes. */
#if defined(__SANITIZE_THREAD__)
#define CHANGES 16
#elif defined(__SANITIZE_ADDRESS__)
#define CHANGES 32
#else
#define CHANGES 100
#endif

/* The default model as a file: loaded by name it has no labels, so that detections tell which of the two ran. */
static char *labels_path;

static const char *label_of(GstBuffer *buffer)
{
    const GValue *list = gst_structure_get_value(elements_latency(buffer), SHRIKE_FIELD_DETECTIONS);
    ck_assert_uint_gt(gst_value_array_get_size(list), 0);
    const GstStructure *detection = gst_value_get_structure(gst_value_array_get_value(list, 0));
    return gst_structure_get_string(detection, SHRIKE_FIELD_LABEL);
}

static gboolean by_number(GstBuffer *buffer)
{
    return g_str_has_prefix(label_of(buffer), "class ");
}

static GstBuffer *pass(GstHarness *harness, guint i)
{
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, i)), GST_FLOW_OK);
    GstBuffer *buffer = gst_harness_pull(harness);
    ck_assert_uint_eq(GST_BUFFER_PTS(buffer), i * 40 * GST_MSECOND);
    return buffer;
}

static void wait_for_model(GstBus *bus, const char *expected)
{
    for (;;) {
        GstMessage *message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE,
                                                         GST_MESSAGE_ELEMENT | GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
        ck_assert_int_eq(GST_MESSAGE_TYPE(message), GST_MESSAGE_ELEMENT);
        const GstStructure *fields = gst_message_get_structure(message);
        gboolean found = gst_structure_has_name(fields, "shrike-model");
        if (found)
            ck_assert_str_eq(gst_structure_get_string(fields, "model-file"), expected);
        gst_message_unref(message);
        if (found)
            return;
    }
}

START_TEST(test_takes_over)
{
    GstBus *bus;
    char *model = NULL;
    GstHarness *harness = elements_harness("shrikedetect score-threshold=0.05", CAPS, &bus);
    GstBuffer *buffer = pass(harness, 0);
    ck_assert(!by_number(buffer));
    gst_buffer_unref(buffer);
    gst_harness_set(harness, "shrikedetect", "model-file", SHRIKE_DEFAULT_MODEL, NULL);
    wait_for_model(bus, SHRIKE_DEFAULT_MODEL);
    buffer = pass(harness, 1);
    ck_assert(by_number(buffer));
    gst_buffer_unref(buffer);
    /* names first, then the model that they are for */
    gst_harness_set(harness, "shrikedetect", "label-file", labels_path, NULL);
    gst_harness_set(harness, "shrikedetect", "model-file", SHRIKE_DEFAULT_MODEL, NULL);
    wait_for_model(bus, SHRIKE_DEFAULT_MODEL);
    buffer = pass(harness, 2);
    ck_assert_str_eq(label_of(buffer), "one");
    gst_buffer_unref(buffer);
    gst_harness_get(harness, "shrikedetect", "model-file", &model, NULL);
    ck_assert_str_eq(model, SHRIKE_DEFAULT_MODEL);
    g_free(model);
    elements_teardown(&harness, &bus);
}
END_TEST

START_TEST(test_bad_model)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect score-threshold=0.05", CAPS, &bus);
    gst_buffer_unref(pass(harness, 0));
    gst_harness_set(harness, "shrikedetect", "model-file", "/nowhere/model.tflite", NULL);
    GstMessage *message =
        gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
    ck_assert_int_eq(GST_MESSAGE_TYPE(message), GST_MESSAGE_WARNING);
    GError *error = NULL;
    gst_message_parse_warning(message, &error, NULL);
    ck_assert_msg(strstr(error->message, "/nowhere/model.tflite") != NULL, "%s", error->message);
    g_error_free(error);
    gst_message_unref(message);
    GstBuffer *buffer = pass(harness, 1);
    ck_assert(!by_number(buffer));
    gst_buffer_unref(buffer);
    elements_teardown(&harness, &bus);
}
END_TEST

struct loader {
    GstHarness *harness;
    gint stop;
    guint frames;
};

static gpointer push_frames(gpointer data)
{
    struct loader *loader = data;
    while (!g_atomic_int_get(&loader->stop))
        gst_buffer_unref(pass(loader->harness, loader->frames++));
    return NULL;
}

/* A hundred changes under load, two streams on the engine: every frame comes out, in order. */
START_TEST(test_hundred_times)
{
    static const char launch[] = "shrikedetect engine-id=swap score-threshold=0.05 batch-size=2 batch-timeout=1";
    GstBus *bus, *other_bus;
    struct loader loader = {.harness = elements_harness(launch, CAPS, &bus)};
    struct loader other = {.harness = elements_harness(launch, CAPS, &other_bus)};
    GThread *thread = g_thread_new("load", push_frames, &loader), *second = g_thread_new("load", push_frames, &other);
    for (guint i = 0; i < CHANGES; i++) {
        const char *model = i % 2 ? "" : SHRIKE_DEFAULT_MODEL;
        gst_harness_set(loader.harness, "shrikedetect", "model-file", model, NULL);
        wait_for_model(bus, model);
    }
    g_atomic_int_set(&loader.stop, 1);
    g_atomic_int_set(&other.stop, 1);
    g_thread_join(thread);
    g_thread_join(second);
    ck_assert_uint_gt(loader.frames, 0);
    ck_assert_uint_gt(other.frames, 0);
    /* the neighbour's property follows with the first frame of the last model: it could be stopped and started */
    char *model = NULL;
    gst_buffer_unref(pass(other.harness, other.frames));
    gst_harness_get(other.harness, "shrikedetect", "model-file", &model, NULL);
    ck_assert_str_eq(model, "");
    g_free(model);
    elements_no_error(other_bus);
    elements_teardown(&other.harness, &other_bus);
    elements_teardown(&loader.harness, &bus);
}
END_TEST

/* Stopped while the new model is being loaded. */
START_TEST(test_stop_while_loading)
{
    for (guint i = 0; i < 10; i++) {
        GstBus *bus;
        GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
        gst_buffer_unref(pass(harness, 0));
        for (guint k = 0; k <= i % 3; k++)
            gst_harness_set(harness, "shrikedetect", "model-file", SHRIKE_DEFAULT_MODEL, NULL);
        elements_teardown(&harness, &bus);
    }
}
END_TEST

static void write_labels(void)
{
    char *folder = g_dir_make_tmp("shrike-swap-XXXXXX", NULL);
    labels_path = g_build_filename(folder, "labels.txt", NULL);
    ck_assert(g_file_set_contents(labels_path, "one\none\none\none\none\none\n", -1, NULL));
    g_free(folder);
}

static void remove_labels(void)
{
    char *folder = g_path_get_dirname(labels_path);
    g_unlink(labels_path);
    g_rmdir(folder);
    g_free(folder);
    g_clear_pointer(&labels_path, g_free);
}

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-swap");
    TCase *tcase = tcase_create("swap");
    tcase_set_timeout(tcase, 240);
    tcase_add_checked_fixture(tcase, write_labels, remove_labels);
    tcase_add_test(tcase, test_takes_over);
    tcase_add_test(tcase, test_bad_model);
    tcase_add_test(tcase, test_hundred_times);
    tcase_add_test(tcase, test_stop_while_loading);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
