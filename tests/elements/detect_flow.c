/* The stream through shrikedetect: order, EOS, flush, renegotiation, back-pressure, what downstream answers.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <string.h>

#define CAPS "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"

/* ---- Order ---- */

/* What passed a pad: names of events, "buffer <pts in ms>", "query <type>". */
struct recording {
    GMutex lock;
    GCond changed;
    GPtrArray *lines;
};

static GstPadProbeReturn record(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    struct recording *recording = data;
    char *line = NULL;
    if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER)
        line = g_strdup_printf("buffer %" G_GUINT64_FORMAT,
                               GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info)) / GST_MSECOND);
    else if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM)
        line = g_strdup_printf("%s %u", GST_EVENT_TYPE_NAME(GST_PAD_PROBE_INFO_EVENT(info)),
                               gst_event_get_seqnum(GST_PAD_PROBE_INFO_EVENT(info)));
    else if (GST_QUERY_IS_SERIALIZED(GST_PAD_PROBE_INFO_QUERY(info)))
        line = g_strdup_printf("query %s", GST_QUERY_TYPE_NAME(GST_PAD_PROBE_INFO_QUERY(info)));
    if (line) {
        g_mutex_lock(&recording->lock);
        g_ptr_array_add(recording->lines, line);
        g_cond_broadcast(&recording->changed);
        g_mutex_unlock(&recording->lock);
    }
    return GST_PAD_PROBE_OK;
}

static void record_pad(struct recording *recording, GstHarness *harness, const char *name)
{
    GstPad *pad = gst_element_get_static_pad(harness->element, name);
    g_mutex_init(&recording->lock);
    g_cond_init(&recording->changed);
    recording->lines = g_ptr_array_new_with_free_func(g_free);
    gst_pad_add_probe(pad,
                      GST_PAD_PROBE_TYPE_DATA_DOWNSTREAM | GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM |
                          GST_PAD_PROBE_TYPE_PUSH,
                      record, recording, NULL);
    gst_object_unref(pad);
}

static void free_recording(struct recording *recording)
{
    g_ptr_array_unref(recording->lines);
    g_mutex_clear(&recording->lock);
    g_cond_clear(&recording->changed);
}

static void wait_for_lines(struct recording *recording, guint count)
{
    g_mutex_lock(&recording->lock);
    while (recording->lines->len < count)
        g_cond_wait(&recording->changed, &recording->lock);
    g_mutex_unlock(&recording->lock);
}

static void push_custom(GstHarness *harness, GstEventType type)
{
    ck_assert(gst_harness_push_event(harness, gst_event_new_custom(type, gst_structure_new_empty("test"))));
}

START_TEST(test_order)
{
    GstBus *bus;
    struct recording in = {0}, out = {0};
    GstHarness *harness = elements_harness("shrikedetect max-in-flight=3", NULL, &bus);
    record_pad(&in, harness, "sink");
    record_pad(&out, harness, "src");
    gst_harness_set_src_caps_str(harness, CAPS);
    struct test_rng rng = {1};
    for (guint i = 0; i < 120; i++) {
        switch (test_random_below(&rng, 8)) {
        case 0:
            gst_harness_push_event(harness, gst_event_new_gap(i * 40 * GST_MSECOND, 40 * GST_MSECOND));
            break;
        case 1:
            gst_harness_push_event(harness, gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "test", NULL)));
            break;
        case 2:
            push_custom(harness, GST_EVENT_CUSTOM_DOWNSTREAM);
            break;
        case 3: {
            GstQuery *query = gst_query_new_custom(GST_QUERY_DRAIN, NULL);
            gst_pad_peer_query(harness->srcpad, query);
            gst_query_unref(query);
            break;
        }
        case 4:
            gst_harness_set_src_caps_str(
                harness, i % 2 ? CAPS : "video/x-raw,format=RGB,width=50,height=40,framerate=25/1");
            break;
        default: {
            GstCaps *caps = gst_pad_get_current_caps(harness->srcpad);
            char *text = gst_caps_to_string(caps);
            ck_assert_int_eq(gst_harness_push(harness, elements_picture(text, i)), GST_FLOW_OK);
            g_free(text);
            gst_caps_unref(caps);
            break;
        }
        }
    }
    gst_harness_push_event(harness, gst_event_new_eos());
    wait_for_lines(&out, in.lines->len);
    ck_assert_uint_eq(in.lines->len, out.lines->len);
    for (guint i = 0; i < in.lines->len; i++)
        ck_assert_str_eq(g_ptr_array_index(in.lines, i), g_ptr_array_index(out.lines, i));
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    free_recording(&in);
    free_recording(&out);
}
END_TEST

START_TEST(test_eos_drains)
{
    GstBus *bus;
    struct recording out = {0};
    GstHarness *harness = elements_harness("shrikedetect max-in-flight=4", CAPS, &bus);
    record_pad(&out, harness, "src");
    for (guint i = 0; i < 4; i++)
        ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, i)), GST_FLOW_OK);
    ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
    for (guint i = 0; i < 4; i++) {
        GstBuffer *buffer = gst_harness_pull(harness);
        ck_assert_uint_eq(GST_BUFFER_PTS(buffer), i * 40 * GST_MSECOND);
        gst_buffer_unref(buffer);
    }
    /* stream-start, caps and segment may have come before the probe */
    g_mutex_lock(&out.lock);
    while (out.lines->len == 0 || !g_str_has_prefix(g_ptr_array_index(out.lines, out.lines->len - 1), "eos"))
        g_cond_wait(&out.changed, &out.lock);
    g_mutex_unlock(&out.lock);

    GstMessage *message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_ELEMENT);
    const GstStructure *stats = gst_message_get_structure(message);
    guint64 frames, p50, p99;
    ck_assert_str_eq(gst_structure_get_name(stats), "shrike-stats");
    ck_assert(gst_structure_get_uint64(stats, "frames", &frames) && frames == 4);
    ck_assert(gst_structure_get_uint64(stats, "total-p50", &p50) &&
              gst_structure_get_uint64(stats, "total-p99", &p99));
    ck_assert(p50 > 0 && p50 <= p99);
    gst_message_unref(message);
    elements_teardown(&harness, &bus);
    free_recording(&out);
}
END_TEST

/* ---- Flush ---- */

static void push_flush(GstHarness *harness)
{
    ck_assert(gst_harness_push_event(harness, gst_event_new_flush_start()));
    ck_assert(gst_harness_push_event(harness, gst_event_new_flush_stop(TRUE)));
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    ck_assert(gst_harness_push_event(harness, gst_event_new_segment(&segment)));
}

START_TEST(test_flush)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect max-in-flight=4", CAPS, &bus);
    for (guint round = 0; round < 50; round++) {
        for (guint i = 0; i < round % 5; i++)
            ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, 1)), GST_FLOW_OK);
        push_flush(harness);
        while (gst_harness_buffers_in_queue(harness))
            gst_buffer_unref(gst_harness_pull(harness));
        /* nothing from before the flush comes after it, and the stream goes on */
        ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, 2 + round)), GST_FLOW_OK);
        GstBuffer *buffer = gst_harness_pull(harness);
        ck_assert_uint_eq(GST_BUFFER_PTS(buffer), (2 + round) * 40 * GST_MSECOND);
        gst_buffer_unref(buffer);
    }
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

/* Caps that a flush caught in the queue are not lost. */
START_TEST(test_flush_keeps_caps)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    for (guint i = 0; i < 50; i++) {
        const char *caps = i % 2 ? CAPS : "video/x-raw,format=RGB,width=50,height=40,framerate=25/1";
        gst_harness_set_src_caps_str(harness, caps);
        push_flush(harness);
        ck_assert_int_eq(gst_harness_push(harness, elements_picture(caps, i)), GST_FLOW_OK);
        GstBuffer *buffer = gst_harness_pull(harness);
        GstCaps *expected = gst_caps_from_string(caps), *found = gst_pad_get_current_caps(harness->sinkpad);
        ck_assert(gst_caps_is_equal(expected, found));
        gst_caps_unref(expected);
        gst_caps_unref(found);
        gst_buffer_unref(buffer);
    }
    elements_teardown(&harness, &bus);
}
END_TEST

/* ---- Back-pressure ---- */

struct pusher {
    GstHarness *harness;
    guint accepted; /* atomic */
    GMutex lock;
    GCond changed;
    GstFlowReturn flow;
};

static gpointer push_frames(gpointer data)
{
    struct pusher *pusher = data;
    GstFlowReturn flow = GST_FLOW_OK;
    for (guint i = 0; i < 1000 && flow == GST_FLOW_OK; i++) {
        flow = gst_harness_push(pusher->harness, elements_picture(CAPS, i));
        g_mutex_lock(&pusher->lock);
        pusher->accepted += flow == GST_FLOW_OK;
        pusher->flow = flow;
        g_cond_broadcast(&pusher->changed);
        g_mutex_unlock(&pusher->lock);
    }
    return NULL;
}

/* Of an element with max-in-flight=3. */
#define PLACES (3 * 3 + 2)

static GThread *start_blocked(struct pusher *pusher, gulong *probe, guint frames)
{
    g_mutex_init(&pusher->lock);
    g_cond_init(&pusher->changed);
    *probe = gst_pad_add_probe(pusher->harness->sinkpad, GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER,
                               NULL, NULL, NULL);
    GThread *thread = g_thread_new("pusher", push_frames, pusher);
    g_mutex_lock(&pusher->lock);
    while (pusher->accepted < frames)
        g_cond_wait(&pusher->changed, &pusher->lock);
    g_mutex_unlock(&pusher->lock);
    return thread;
}

static void end_blocked(struct pusher *pusher, GThread *thread)
{
    g_thread_join(thread);
    g_mutex_clear(&pusher->lock);
    g_cond_clear(&pusher->changed);
}

/* Downstream stands still, as a live sink does until it is time: the device goes on with the frames behind the one that
 * is to be pushed. When all places are taken the next frame blocks upstream until the element stops. */
START_TEST(test_back_pressure)
{
    GstBus *bus;
    gulong probe;
    struct pusher pusher = {.harness = elements_harness("shrikedetect max-in-flight=3", CAPS, &bus)};
    GThread *thread = start_blocked(&pusher, &probe, PLACES + 1);
    gst_pad_set_active(pusher.harness->sinkpad, FALSE); /* as a bin stops its sinks first */
    ck_assert_int_eq(gst_element_set_state(pusher.harness->element, GST_STATE_NULL),
                     GST_STATE_CHANGE_SUCCESS);
    end_blocked(&pusher, thread);
    ck_assert_uint_eq(pusher.accepted, PLACES + 1);
    ck_assert_int_eq(pusher.flow, GST_FLOW_FLUSHING);
    gst_pad_remove_probe(pusher.harness->sinkpad, probe);
    elements_no_error(bus);
    elements_teardown(&pusher.harness, &bus);
}
END_TEST

/* A live sink may hold frames back for long, as what it was told is the worst case: the device goes on all the same. */
START_TEST(test_live_sink_waits)
{
    GstBus *bus;
    gulong probe;
    struct pusher pusher = {.harness = elements_harness("shrikedetect max-in-flight=1", CAPS, &bus)};
    gst_harness_set_upstream_latency(pusher.harness, 0); /* the query tells the element that this is live */
    ck_assert_uint_gt(gst_harness_query_latency(pusher.harness), 0);
    GThread *thread = start_blocked(&pusher, &probe, 60);
    ck_assert(gst_harness_push_event(pusher.harness, gst_event_new_flush_start()));
    end_blocked(&pusher, thread);
    gst_pad_remove_probe(pusher.harness->sinkpad, probe);
    ck_assert(gst_harness_push_event(pusher.harness, gst_event_new_flush_stop(TRUE)));
    elements_no_error(bus);
    elements_teardown(&pusher.harness, &bus);
}
END_TEST

START_TEST(test_flush_unblocks)
{
    GstBus *bus;
    gulong probe;
    struct pusher pusher = {.harness = elements_harness("shrikedetect max-in-flight=3", CAPS, &bus)};
    GThread *thread = start_blocked(&pusher, &probe, PLACES + 1);
    ck_assert(gst_harness_push_event(pusher.harness, gst_event_new_flush_start()));
    end_blocked(&pusher, thread);
    ck_assert_int_eq(pusher.flow, GST_FLOW_FLUSHING);
    gst_pad_remove_probe(pusher.harness->sinkpad, probe);
    ck_assert(gst_harness_push_event(pusher.harness, gst_event_new_flush_stop(TRUE)));
    elements_teardown(&pusher.harness, &bus);
}
END_TEST

/* ---- What downstream answers ---- */

static GstPadProbeReturn answer(GstPad *pad, GstPadProbeInfo *info, gpointer flow)
{
    gst_buffer_unref(GST_PAD_PROBE_INFO_BUFFER(info));
    GST_PAD_PROBE_INFO_DATA(info) = NULL;
    GST_PAD_PROBE_INFO_FLOW_RETURN(info) = GPOINTER_TO_INT(flow);
    return GST_PAD_PROBE_HANDLED;
}

static GstFlowReturn push_until_refused(GstHarness *harness)
{
    GstFlowReturn flow = GST_FLOW_OK;
    for (guint i = 0; flow == GST_FLOW_OK && i < 10; i++)
        flow = gst_harness_push(harness, elements_picture(CAPS, i));
    return flow;
}

START_TEST(test_downstream_eos)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    gulong probe = gst_pad_add_probe(harness->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, answer,
                                     GINT_TO_POINTER(GST_FLOW_EOS), NULL);
    ck_assert_int_eq(push_until_refused(harness), GST_FLOW_EOS);
    gst_pad_remove_probe(harness->sinkpad, probe);
    /* a new segment begins: frames are wanted again */
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    ck_assert(gst_harness_push_event(harness, gst_event_new_segment(&segment)));
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, 77)), GST_FLOW_OK);
    GstBuffer *buffer = gst_harness_pull(harness);
    ck_assert_uint_eq(GST_BUFFER_PTS(buffer), 77 * 40 * GST_MSECOND);
    gst_buffer_unref(buffer);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

START_TEST(test_downstream_error)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    gst_pad_add_probe(harness->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, answer,
                      GINT_TO_POINTER(GST_FLOW_NOT_NEGOTIATED), NULL);
    ck_assert_int_eq(push_until_refused(harness), GST_FLOW_NOT_NEGOTIATED);
    elements_no_error(bus);
    ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
    GstMessage *message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_ERROR);
    gst_message_unref(message);
    elements_teardown(&harness, &bus);
}
END_TEST

/* ---- Queries ---- */

START_TEST(test_latency_query)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect max-in-flight=2", CAPS, &bus);
    gst_harness_set_upstream_latency(harness, 10 * GST_MSECOND);
    /* the model was tried out at the start: a live sink must not be told 0 */
    ck_assert_uint_gt(gst_harness_query_latency(harness), 10 * GST_MSECOND);
    for (guint i = 0; i < 16; i++) {
        ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, i)), GST_FLOW_OK);
        gst_buffer_unref(gst_harness_pull(harness));
    }
    ck_assert_uint_gt(gst_harness_query_latency(harness), 10 * GST_MSECOND);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

START_TEST(test_allocation_query)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    GstCaps *caps = gst_caps_from_string(CAPS);
    GstQuery *query = gst_query_new_allocation(caps, TRUE);
    gst_harness_add_propose_allocation_meta(harness, GST_VIDEO_META_API_TYPE, NULL);
    ck_assert(gst_pad_peer_query(harness->srcpad, query));
    ck_assert(gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL));
    gst_query_unref(query);
    gst_caps_unref(caps);
    elements_teardown(&harness, &bus);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-flow");
    TCase *tcase = tcase_create("flow");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_order);
    tcase_add_test(tcase, test_eos_drains);
    tcase_add_test(tcase, test_flush);
    tcase_add_test(tcase, test_flush_keeps_caps);
    tcase_add_test(tcase, test_back_pressure);
    tcase_add_test(tcase, test_live_sink_waits);
    tcase_add_test(tcase, test_flush_unblocks);
    tcase_add_test(tcase, test_downstream_eos);
    tcase_add_test(tcase, test_downstream_error);
    tcase_add_test(tcase, test_latency_query);
    tcase_add_test(tcase, test_allocation_query);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
