/* The LATENCY query and its message: what a frame may have to wait, and that the pipeline is told when it
 * changes. Times are not compared with clocks but with each other: an engine with more frames in flight takes
 * longer, whatever one takes. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#define CAPS "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"
#define DEEP "shrikedetect engine-id=latency max-in-flight=16"

static void pass(GstHarness *harness, guint i)
{
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, i)), GST_FLOW_OK);
    gst_buffer_unref(gst_harness_pull(harness));
}

static gboolean said(GstBus *bus)
{
    gboolean any = FALSE;
    for (GstMessage *message; (message = gst_bus_pop_filtered(bus, GST_MESSAGE_LATENCY)); any = TRUE)
        gst_message_unref(message);
    return any;
}

static guint64 latency_of(GstHarness *harness)
{
    GstStructure *stats = NULL;
    guint64 value = 0;
    gst_harness_get(harness, "shrikedetect", "stats", &stats, NULL);
    ck_assert(gst_structure_get_uint64(stats, "latency", &value));
    gst_structure_free(stats);
    return value;
}

/* Neighbours with 48 frames in flight come and go: the stream with one is told of both, and answers what it
 * says. */
START_TEST(test_changes)
{
    GstBus *bus, *buses[3];
    GstHarness *neighbours[3];
    GstHarness *harness = elements_harness("shrikedetect engine-id=latency max-in-flight=1", CAPS, &bus);
    gst_harness_set_upstream_latency(harness, 0);
    GstClockTime alone = gst_harness_query_latency(harness);
    ck_assert_uint_gt(alone, 0);
    pass(harness, 0);
    said(bus); /* what is measured may be more than what was tried out at the start */
    alone = gst_harness_query_latency(harness);
    for (guint i = 0; i < G_N_ELEMENTS(neighbours); i++)
        neighbours[i] = elements_harness(DEEP, CAPS, &buses[i]);
    pass(harness, 1);
    ck_assert(said(bus));
    GstClockTime among_others = gst_harness_query_latency(harness);
    ck_assert_uint_gt(among_others, alone);
    ck_assert_uint_eq(among_others, latency_of(harness));
    /* no change worth a word: not again */
    pass(harness, 2);
    for (guint i = 0; i < G_N_ELEMENTS(neighbours); i++)
        elements_teardown(&neighbours[i], &buses[i]);
    said(bus);
    pass(harness, 3);
    ck_assert(said(bus));
    ck_assert_uint_lt(gst_harness_query_latency(harness), among_others);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

static gboolean query(GstHarness *harness, gboolean *live, GstClockTime *min, GstClockTime *max)
{
    GstQuery *latency = gst_query_new_latency();
    gboolean answered = gst_pad_peer_query(harness->sinkpad, latency);
    gst_query_parse_latency(latency, live, min, max);
    gst_query_unref(latency);
    return answered;
}

static gboolean answer(GstPad *pad, GstObject *parent, GstQuery *latency)
{
    if (GST_QUERY_TYPE(latency) != GST_QUERY_LATENCY)
        return gst_pad_query_default(pad, parent, latency);
    gboolean live = GPOINTER_TO_INT(g_object_get_data(G_OBJECT(pad), "live"));
    gst_query_set_latency(latency, live, 3 * GST_MSECOND, live ? 5 * GST_MSECOND : GST_CLOCK_TIME_NONE);
    return TRUE;
}

/* A live source's own latency is added to, a file's is not: nobody waits there. */
START_TEST(test_live_or_not)
{
    GstBus *bus;
    gboolean live;
    GstClockTime min, max;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    gst_pad_set_query_function(harness->srcpad, answer);
    ck_assert(query(harness, &live, &min, &max));
    ck_assert(!live && min == 3 * GST_MSECOND && max == GST_CLOCK_TIME_NONE);
    pass(harness, 0);
    ck_assert(!said(bus));
    g_object_set_data(G_OBJECT(harness->srcpad), "live", GINT_TO_POINTER(TRUE));
    ck_assert(query(harness, &live, &min, &max));
    guint64 own = latency_of(harness);
    ck_assert(live && own > 0);
    ck_assert_uint_eq(min, 3 * GST_MSECOND + own);
    ck_assert_uint_eq(max, 5 * GST_MSECOND + own);
    elements_teardown(&harness, &bus);
}
END_TEST

struct told {
    GMutex lock;
    GCond changed;
    GstClockTime latency;
};

static GstPadProbeReturn on_event(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    struct told *told = data;
    if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) != GST_EVENT_LATENCY)
        return GST_PAD_PROBE_OK;
    g_mutex_lock(&told->lock);
    gst_event_parse_latency(GST_PAD_PROBE_INFO_EVENT(info), &told->latency);
    g_cond_broadcast(&told->changed);
    g_mutex_unlock(&told->lock);
    return GST_PAD_PROBE_OK;
}

/* Behind a live source the pipeline gives a synchronising sink the time that the element asks for: it waits
 * so long before it calls a frame late. */
START_TEST(test_sink_is_told)
{
    GError *error = NULL;
    struct told told = {.latency = GST_CLOCK_TIME_NONE};
    g_mutex_init(&told.lock);
    g_cond_init(&told.changed);
    GstElement *pipeline = gst_parse_launch("videotestsrc is-live=true num-buffers=3 ! " CAPS
                                            " ! shrikedetect name=detect ! fakesink sync=true",
                                            &error);
    ck_assert_ptr_null(error);
    GstElement *detect = gst_bin_get_by_name(GST_BIN(pipeline), "detect");
    GstPad *pad = gst_element_get_static_pad(detect, "src");
    GstBus *bus = gst_element_get_bus(pipeline);
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, on_event, &told, NULL);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    g_mutex_lock(&told.lock);
    while (!GST_CLOCK_TIME_IS_VALID(told.latency))
        g_cond_wait(&told.changed, &told.lock);
    g_mutex_unlock(&told.lock);
    GstMessage *message =
        gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    ck_assert_int_eq(GST_MESSAGE_TYPE(message), GST_MESSAGE_EOS);
    ck_assert(gst_bin_recalculate_latency(GST_BIN(pipeline))); /* as applications do on a LATENCY message */
    GstStructure *stats = NULL;
    guint64 own = 0;
    g_object_get(detect, "stats", &stats, NULL);
    ck_assert(gst_structure_get_uint64(stats, "latency", &own));
    ck_assert_uint_gt(own, 0);
    ck_assert_uint_ge(told.latency, own);
    gst_structure_free(stats);
    gst_message_unref(message);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(bus);
    gst_object_unref(pad);
    gst_object_unref(detect);
    gst_object_unref(pipeline);
    g_mutex_clear(&told.lock);
    g_cond_clear(&told.changed);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-latency");
    TCase *tcase = tcase_create("latency");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_changes);
    tcase_add_test(tcase, test_live_or_not);
    tcase_add_test(tcase, test_sink_is_told);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
