/* shrikedetect in a pipeline that is sought, ends, and changes states from several threads: right time
 * stamps, nothing from before, nothing lost. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <string.h>

#include "shrike_meta.h"

#define SOURCE "videotestsrc pattern=ball ! video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1 ! "
#define SINK   " ! fakesink sync=false"
#define FRAME  (40 * GST_MSECOND)

/* ---- What leaves the element ---- */

struct watch {
    GstElement *pipeline;
    GMutex lock;
    GCond changed;
    gboolean flushing; /* between flush-start and flush-stop pushes may still be under way, to nobody */
    gboolean in_segment;
    GstClockTime start;     /* of the segment */
    GstClockTime expected;  /* time stamp of the next frame */
    guint segments, frames; /* frames: in this segment */
    guint entered, left;    /* frames, in all */
    GPtrArray *statuses;    /* of the frames of this segment */
    char *complaint;        /* NULL: all is well */
};

static void see_event(struct watch *watch, GstEvent *event)
{
    const GstSegment *segment;
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_START)
        watch->flushing = TRUE;
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP)
        watch->flushing = watch->in_segment = FALSE;
    if (GST_EVENT_TYPE(event) != GST_EVENT_SEGMENT)
        return;
    gst_event_parse_segment(event, &segment);
    watch->in_segment = TRUE;
    watch->start = watch->expected = segment->start;
    watch->frames = 0;
    watch->segments++;
    g_ptr_array_set_size(watch->statuses, 0);
}

/* Said where the test waits: a test cannot end in a streaming thread. */
static void complain(struct watch *watch, const char *what, GstBuffer *buffer)
{
    if (!watch->complaint)
        watch->complaint = g_strdup_printf(
            "frame %u of the segment from %" GST_TIME_FORMAT " is at %" GST_TIME_FORMAT ": %s", watch->frames,
            GST_TIME_ARGS(watch->start), GST_TIME_ARGS(GST_BUFFER_PTS(buffer)), what);
}

static void see_frame(struct watch *watch, GstBuffer *buffer)
{
    if (watch->flushing)
        return;
    if (!watch->in_segment)
        complain(watch, "after a flush and before the segment", buffer);
    else if (GST_BUFFER_PTS(buffer) != watch->expected)
        complain(watch, "not in its turn", buffer);
    watch->expected += FRAME;
    watch->frames++;
    watch->left++;
    const char *status = gst_structure_get_string(elements_latency(buffer), SHRIKE_FIELD_STATUS);
    g_ptr_array_add(watch->statuses, (gpointer)g_intern_string(status));
}

static GstPadProbeReturn on_output(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    struct watch *watch = data;
    g_mutex_lock(&watch->lock);
    if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER)
        see_frame(watch, GST_PAD_PROBE_INFO_BUFFER(info));
    else
        see_event(watch, GST_PAD_PROBE_INFO_EVENT(info));
    g_cond_broadcast(&watch->changed);
    g_mutex_unlock(&watch->lock);
    return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn on_input(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    struct watch *watch = data;
    g_mutex_lock(&watch->lock);
    watch->entered++;
    g_mutex_unlock(&watch->lock);
    return GST_PAD_PROBE_OK;
}

static void probe(struct watch *watch, const char *name, GstPadProbeType type, GstPadProbeCallback callback)
{
    GstElement *element = gst_bin_get_by_name(GST_BIN(watch->pipeline), "detect");
    GstPad *pad = gst_element_get_static_pad(element, name);
    gst_pad_add_probe(pad, type, callback, watch, NULL);
    gst_object_unref(pad);
    gst_object_unref(element);
}

static void open_pipeline(struct watch *watch, const char *description)
{
    GError *error = NULL;
    *watch = (struct watch){.pipeline = gst_parse_launch(description, &error), .statuses = g_ptr_array_new()};
    ck_assert_msg(watch->pipeline && !error, "%s: %s", description, error ? error->message : "");
    g_mutex_init(&watch->lock);
    g_cond_init(&watch->changed);
    probe(watch, "src",
          GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH,
          on_output);
    probe(watch, "sink", GST_PAD_PROBE_TYPE_BUFFER, on_input);
}

static void close_pipeline(struct watch *watch)
{
    ck_assert_int_eq(gst_element_set_state(watch->pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
    gst_clear_object(&watch->pipeline);
    ck_assert_msg(!watch->complaint, "%s", watch->complaint);
    g_ptr_array_unref(watch->statuses);
    g_mutex_clear(&watch->lock);
    g_cond_clear(&watch->changed);
}

static void play(struct watch *watch, GstState state)
{
    gst_element_set_state(watch->pipeline, state);
    ck_assert_int_eq(gst_element_get_state(watch->pipeline, NULL, NULL, GST_CLOCK_TIME_NONE),
                     GST_STATE_CHANGE_SUCCESS);
}

static void expect_eos(struct watch *watch)
{
    GstBus *bus = gst_element_get_bus(watch->pipeline);
    GstMessage *message =
        gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    ck_assert_int_eq(GST_MESSAGE_TYPE(message), GST_MESSAGE_EOS);
    gst_message_unref(message);
    gst_object_unref(bus);
}

/* Until so many frames of the segment from `start` have left. */
static void wait_for_frames(struct watch *watch, GstClockTime start, guint frames)
{
    g_mutex_lock(&watch->lock);
    while (!watch->complaint && (watch->flushing || watch->start != start || watch->frames < frames))
        g_cond_wait(&watch->changed, &watch->lock);
    const char *complaint = watch->complaint;
    g_mutex_unlock(&watch->lock);
    ck_assert_msg(!complaint, "%s", complaint);
}

static void seek(struct watch *watch, GstSeekFlags flags, GstClockTime start, GstClockTime stop)
{
    ck_assert(gst_element_seek(watch->pipeline, 1.0, GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET, (gint64)start,
                               stop ? GST_SEEK_TYPE_SET : GST_SEEK_TYPE_NONE, (gint64)stop));
}

/* ---- Seeks ---- */

static const GstSeekFlags kinds[] = {GST_SEEK_FLAG_FLUSH, GST_SEEK_FLAG_NONE};

/* Frames of each segment are those of its own time from the first one on; without a flush none is lost,
 * either. */
START_TEST(test_seeks)
{
    struct watch watch;
    struct test_rng rng = {5};
    open_pipeline(&watch, SOURCE "shrikedetect name=detect max-in-flight=4" SINK);
    play(&watch, GST_STATE_PLAYING);
    wait_for_frames(&watch, 0, 3);
    for (guint i = 1; i <= 20; i++) {
        GstClockTime start = i * GST_SECOND;
        seek(&watch, kinds[_i], start, 0);
        wait_for_frames(&watch, start, test_random_below(&rng, 5));
    }
    ck_assert(gst_element_send_event(watch.pipeline, gst_event_new_eos()));
    expect_eos(&watch);
    ck_assert_uint_eq(watch.segments, 21);
    if (kinds[_i] == GST_SEEK_FLAG_NONE)
        ck_assert_uint_eq(watch.left, watch.entered);
    close_pipeline(&watch);
}
END_TEST

static void expect_statuses(const struct watch *watch, const char *first, const char *others)
{
    for (guint i = 0; i < watch->statuses->len; i++)
        ck_assert_str_eq(g_ptr_array_index(watch->statuses, i), i == 0 ? first : others);
}

/* Only the very first frame is inferred: those of the segment before hold on to it, those after a seek have
 * nothing. */
START_TEST(test_held_is_forgotten)
{
    struct watch watch;
    open_pipeline(&watch,
                  SOURCE "shrikedetect name=detect drop-policy=hold inference-interval=2147483647" SINK);
    play(&watch, GST_STATE_PLAYING);
    wait_for_frames(&watch, 0, 4);
    g_mutex_lock(&watch.lock);
    expect_statuses(&watch, SHRIKE_STATUS_INFERRED, SHRIKE_STATUS_HELD);
    g_mutex_unlock(&watch.lock);
    seek(&watch, kinds[_i], GST_SECOND, 0);
    wait_for_frames(&watch, GST_SECOND, 4);
    g_mutex_lock(&watch.lock);
    expect_statuses(&watch, SHRIKE_STATUS_PASSED, SHRIKE_STATUS_PASSED);
    g_mutex_unlock(&watch.lock);
    close_pipeline(&watch);
}
END_TEST

/* ---- EOS ---- */

/* However many frames are in flight when the stream ends, all leave before EOS; and a stream that has ended
 * may be sought. */
START_TEST(test_ends)
{
    struct watch watch;
    open_pipeline(&watch, SOURCE "shrikedetect name=detect max-in-flight=4" SINK);
    play(&watch, GST_STATE_PAUSED);
    for (guint frames = 1; frames <= 8; frames++) {
        GstClockTime start = frames * GST_SECOND;
        seek(&watch, GST_SEEK_FLAG_FLUSH, start, start + frames * FRAME);
        play(&watch, GST_STATE_PLAYING);
        expect_eos(&watch);
        ck_assert_uint_eq(watch.start, start);
        ck_assert_uint_eq(watch.frames, frames);
    }
    close_pipeline(&watch);
}
END_TEST

/* ---- Several threads ---- */

struct meddler {
    GstElement *pipeline;
    GstState states[3];
    gint stop;
};

/* Whatever comes of it: the pipeline's other users are at it, too. */
static gpointer change_states(gpointer data)
{
    struct meddler *meddler = data;
    for (guint i = 0; !g_atomic_int_get(&meddler->stop); i++)
        gst_element_set_state(meddler->pipeline, meddler->states[i % G_N_ELEMENTS(meddler->states)]);
    return NULL;
}

static void read_stats(GstElement *pipeline)
{
    GstStructure *stats = NULL;
    GstElement *detect = gst_bin_get_by_name(GST_BIN(pipeline), "detect");
    g_object_get(detect, "stats", &stats, NULL);
    ck_assert_ptr_nonnull(stats);
    gst_structure_free(stats);
    gst_object_unref(detect);
}

static void set_policy(GstElement *pipeline, guint i)
{
    static const char *const policies[] = {"none", "leaky", "skip", "hold"};
    GstElement *detect = gst_bin_get_by_name(GST_BIN(pipeline), "detect");
    gst_util_set_object_arg(G_OBJECT(detect), "drop-policy", policies[i % G_N_ELEMENTS(policies)]);
    gst_object_unref(detect);
}

/* One thread pauses and plays, one seeks, changes properties and reads them. */
START_TEST(test_seeks_while_pausing)
{
    struct watch watch;
    open_pipeline(&watch, SOURCE "shrikedetect name=detect max-in-flight=3" SINK);
    play(&watch, GST_STATE_PAUSED);
    struct meddler meddler = {watch.pipeline, {GST_STATE_PLAYING, GST_STATE_PAUSED, GST_STATE_PLAYING}, 0};
    GThread *thread = g_thread_new("states", change_states, &meddler);
    for (guint i = 1; i <= 30; i++) {
        seek(&watch, GST_SEEK_FLAG_FLUSH, i * GST_SECOND, 0);
        read_stats(watch.pipeline);
        wait_for_frames(&watch, i * GST_SECOND, 1);
    }
    g_atomic_int_set(&meddler.stop, 1);
    g_thread_join(thread);
    play(&watch, GST_STATE_PLAYING);
    close_pipeline(&watch);
}
END_TEST

/* One thread stops and starts the pipeline, device and all, while others read and set. Time stamps begin anew
 * with each start: what the frames are is not looked at here. */
START_TEST(test_stops_meanwhile)
{
    GError *error = NULL;
    GstElement *pipeline =
        gst_parse_launch(SOURCE "shrikedetect name=detect max-in-flight=3 stats-interval=1" SINK, &error);
    ck_assert_ptr_null(error);
    struct meddler meddler = {pipeline, {GST_STATE_PLAYING, GST_STATE_READY, GST_STATE_NULL}, 0};
    GThread *thread = g_thread_new("states", change_states, &meddler);
    GstBus *bus = gst_element_get_bus(pipeline);
    for (guint i = 0; i < 40; i++) {
        /* until something has happened since */
        gst_message_unref(gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_STATE_CHANGED));
        gst_bus_set_flushing(bus, TRUE);
        gst_bus_set_flushing(bus, FALSE);
        read_stats(pipeline);
        set_policy(pipeline, i);
    }
    g_atomic_int_set(&meddler.stop, 1);
    g_thread_join(thread);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    ck_assert_ptr_null(message);
    ck_assert_int_eq(gst_element_set_state(pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
    gst_object_unref(bus);
    gst_object_unref(pipeline);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-seek");
    TCase *tcase = tcase_create("seek");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_seeks, 0, G_N_ELEMENTS(kinds));
    tcase_add_loop_test(tcase, test_held_is_forgotten, 0, G_N_ELEMENTS(kinds));
    tcase_add_test(tcase, test_ends);
    tcase_add_test(tcase, test_seeks_while_pausing);
    tcase_add_test(tcase, test_stops_meanwhile);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
