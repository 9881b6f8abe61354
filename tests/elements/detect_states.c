/* shrikedetect through state changes and in pipelines: cycles for ever, several elements, never a deadlock.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#define CAPS "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"

static GstElement *launch(const char *description)
{
    GError *error = NULL;
    GstElement *pipeline = gst_parse_launch(description, &error);
    ck_assert_msg(pipeline && !error, "%s: %s", description, error ? error->message : "");
    return pipeline;
}

static void set_state(GstElement *element, GstState state)
{
    GstStateChangeReturn result = gst_element_set_state(element, state);
    ck_assert_int_ne(result, GST_STATE_CHANGE_FAILURE);
    if (result == GST_STATE_CHANGE_ASYNC)
        ck_assert_int_eq(gst_element_get_state(element, NULL, NULL, GST_CLOCK_TIME_NONE),
                         GST_STATE_CHANGE_SUCCESS);
}

static void expect_eos(GstElement *pipeline)
{
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message =
        gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
        GError *error = NULL;
        gst_message_parse_error(message, &error, NULL);
        ck_abort_msg("%s", error->message);
    }
    gst_message_unref(message);
    gst_object_unref(bus);
}

/* Stopped at whatever moment, with frames in flight. */
START_TEST(test_cycles)
{
    GstElement *pipeline =
        launch("videotestsrc ! " CAPS " ! shrikedetect max-in-flight=3 ! fakesink sync=false");
    for (guint i = 0; i < 100; i++) {
        set_state(pipeline, i % 3 ? GST_STATE_PLAYING : GST_STATE_PAUSED);
        set_state(pipeline, i % 10 == 9 ? GST_STATE_NULL : GST_STATE_READY);
    }
    set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}
END_TEST

START_TEST(test_paused_playing)
{
    GstElement *pipeline =
        launch("videotestsrc num-buffers=200 ! " CAPS " ! shrikedetect ! fakesink sync=false");
    set_state(pipeline, GST_STATE_PLAYING);
    for (guint i = 0; i < 50; i++)
        set_state(pipeline, i % 2 ? GST_STATE_PLAYING : GST_STATE_PAUSED);
    expect_eos(pipeline);
    set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}
END_TEST

static gpointer stop(gpointer pipeline)
{
    gst_element_set_state(pipeline, GST_STATE_NULL);
    return NULL;
}

START_TEST(test_stop_from_other_thread)
{
    for (guint i = 0; i < 10; i++) {
        GstElement *pipeline =
            launch("videotestsrc ! " CAPS " ! shrikedetect ! identity ! fakesink sync=false");
        gst_element_set_state(pipeline, GST_STATE_PLAYING);
        GThread *thread = g_thread_new("stop", stop, pipeline);
        g_thread_join(thread);
        gst_object_unref(pipeline);
    }
}
END_TEST

/* New settings apply with the next start, from READY too. */
START_TEST(test_reopen_from_ready)
{
    GstElement *element = gst_object_ref_sink(gst_element_factory_make("shrikedetect", NULL));
    GstStructure *stats;
    g_object_set(element, "device", "cpu-reference", NULL);
    set_state(element, GST_STATE_PAUSED);
    g_object_get(element, "stats", &stats, NULL);
    ck_assert_str_eq(gst_structure_get_string(stats, "device"), "cpu-reference");
    gst_structure_free(stats);
    set_state(element, GST_STATE_READY);
    g_object_set(element, "device", NULL, NULL);
    set_state(element, GST_STATE_PAUSED);
    g_object_get(element, "stats", &stats, NULL);
    ck_assert_str_ne(gst_structure_get_string(stats, "device"), "cpu-reference");
    gst_structure_free(stats);
    set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
}
END_TEST

START_TEST(test_several_elements)
{
    GstElement *pipeline =
        launch("videotestsrc num-buffers=20 ! " CAPS " ! shrikedetect ! tee name=t "
               "t. ! queue ! shrikedetect max-in-flight=1 ! fakesink sync=false "
               "t. ! queue ! shrikedetect max-in-flight=4 ! shrikedetect ! fakesink sync=false "
               "videotestsrc num-buffers=20 ! video/x-raw,format=NV12,width=33,height=31 ! shrikedetect ! "
               "fakesink sync=false");
    set_state(pipeline, GST_STATE_PLAYING);
    expect_eos(pipeline);
    set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}
END_TEST

/* A seek flushes from the application's thread while frames are in flight. */
START_TEST(test_seeks)
{
    GstElement *pipeline =
        launch("videotestsrc num-buffers=100000 ! " CAPS " ! shrikedetect ! fakesink sync=false");
    set_state(pipeline, GST_STATE_PLAYING);
    for (guint i = 0; i < 30; i++) {
        ck_assert(gst_element_seek_simple(pipeline, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, i * GST_SECOND));
        ck_assert_int_eq(gst_element_get_state(pipeline, NULL, NULL, GST_CLOCK_TIME_NONE),
                         GST_STATE_CHANGE_SUCCESS);
    }
    ck_assert(gst_element_send_event(pipeline, gst_event_new_eos()));
    expect_eos(pipeline);
    set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-states");
    TCase *tcase = tcase_create("states");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_cycles);
    tcase_add_test(tcase, test_paused_playing);
    tcase_add_test(tcase, test_stop_from_other_thread);
    tcase_add_test(tcase, test_reopen_from_ready);
    tcase_add_test(tcase, test_several_elements);
    tcase_add_test(tcase, test_seeks);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
