/* Several elements on one engine: batches, order, and that what happens to one never hurts the others.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shrike_meta.h"

#define CAPS  "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"
#define OTHER "video/x-raw,format=RGB,width=80,height=60,framerate=25/1"

static guint uint_field(GstBuffer *buffer, const char *field)
{
    guint value = 0;
    ck_assert_msg(gst_structure_get_uint(elements_latency(buffer), field, &value), "no %s", field);
    return value;
}

static void push(GstHarness *harness, const char *caps, guint i)
{
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(caps, i)), GST_FLOW_OK);
}

static GstBuffer *pull(GstHarness *harness, guint expected)
{
    GstBuffer *buffer = gst_harness_pull(harness);
    ck_assert_ptr_nonnull(buffer);
    ck_assert_uint_eq(GST_BUFFER_PTS(buffer), expected * 40 * GST_MSECOND);
    return buffer;
}

/* ---- Batches ---- */

/* A frame waits for that of the other stream, whatever its format, and both get what they get alone. */
START_TEST(test_one_batch)
{
    static const char launch[] =
        "shrikedetect engine-id=one batch-size=2 batch-timeout=10000 max-in-flight=4 score-threshold=0.05";
    GstBus *buses[3];
    GstHarness *a = elements_harness(launch, CAPS, &buses[0]), *b = elements_harness(launch, OTHER, &buses[1]);
    GstHarness *alone_a = elements_harness("shrikedetect score-threshold=0.05", CAPS, &buses[2]);
    GstBus *alone_bus;
    GstHarness *alone_b = elements_harness("shrikedetect score-threshold=0.05", OTHER, &alone_bus);
    for (guint i = 0; i < 10; i++) {
        push(a, CAPS, i);
        push(b, OTHER, i);
        push(alone_a, CAPS, i);
        push(alone_b, OTHER, i);
        GstBuffer *of_a = pull(a, i), *of_b = pull(b, i), *expected_a = pull(alone_a, i),
                  *expected_b = pull(alone_b, i);
        ck_assert_uint_eq(uint_field(of_a, SHRIKE_FIELD_BATCH_SIZE), 2);
        ck_assert_uint_eq(uint_field(of_b, SHRIKE_FIELD_BATCH_SIZE), 2);
        elements_same_detections(of_a, expected_a, 0.0);
        elements_same_detections(of_b, expected_b, 0.0);
        gst_buffer_unref(of_a);
        gst_buffer_unref(of_b);
        gst_buffer_unref(expected_a);
        gst_buffer_unref(expected_b);
    }
    elements_teardown(&alone_b, &alone_bus);
    elements_teardown(&alone_a, &buses[2]);
    elements_teardown(&a, &buses[0]);
    elements_teardown(&b, &buses[1]);
}
END_TEST

/* A full batch needs nobody else, and a frame that waits in vain goes alone. */
START_TEST(test_timeout)
{
    GstBus *bus, *idle_bus;
    static const char launch[] = "shrikedetect engine-id=late batch-size=2 batch-timeout=1 max-in-flight=1";
    GstHarness *busy = elements_harness(launch, CAPS, &bus), *idle = elements_harness(launch, CAPS, &idle_bus);
    for (guint i = 0; i < 5; i++) {
        push(busy, CAPS, i);
        GstBuffer *buffer = pull(busy, i);
        ck_assert_uint_eq(uint_field(buffer, SHRIKE_FIELD_BATCH_SIZE), 1);
        gst_buffer_unref(buffer);
    }
    elements_teardown(&busy, &bus);
    elements_teardown(&idle, &idle_bus);
}
END_TEST

/* ---- Other settings ---- */

START_TEST(test_different_models)
{
    GstBus *bus, *other_bus = gst_bus_new();
    GstHarness *first = elements_harness("shrikedetect engine-id=shared", CAPS, &bus);
    GstElement *second = gst_element_factory_make("shrikedetect", NULL);
    gst_object_ref_sink(second);
    gst_element_set_bus(second, other_bus);
    g_object_set(second, "engine-id", "shared", "model-file", "other.tflite", NULL);
    ck_assert_int_eq(gst_element_set_state(second, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    char *message = elements_pop_message(other_bus, GST_MESSAGE_ERROR);
    ck_assert_ptr_nonnull(message);
    ck_assert_msg(strstr(message, "shared") && strstr(message, "model-file") && strstr(message, "other.tflite"),
                  "%s", message);
    g_free(message);
    gst_element_set_state(second, GST_STATE_NULL);
    /* the first one does not notice, and the second one may join with the same settings */
    push(first, CAPS, 0);
    gst_buffer_unref(pull(first, 0));
    g_object_set(second, "model-file", NULL, NULL);
    ck_assert_int_eq(gst_element_set_state(second, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
    gst_element_set_state(second, GST_STATE_NULL);
    gst_element_set_bus(second, NULL);
    gst_object_unref(second);
    gst_object_unref(other_bus);
    elements_teardown(&first, &bus);
}
END_TEST

/* ---- Trouble in one stream ---- */

START_TEST(test_failing_neighbour)
{
    static const char launch[] = "shrikedetect engine-id=hurt batch-size=2 batch-timeout=1";
    GstBus *good_bus, *bad_bus;
    GstHarness *good = elements_harness(launch, CAPS, &good_bus), *bad = elements_harness(launch, CAPS, &bad_bus);
    push(good, CAPS, 0);
    gst_buffer_unref(pull(good, 0));
    ck_assert_int_eq(gst_harness_push(bad, gst_buffer_new_allocate(NULL, 10, NULL)), GST_FLOW_ERROR);
    char *message = elements_pop_message(bad_bus, GST_MESSAGE_ERROR);
    ck_assert_ptr_nonnull(message);
    g_free(message);
    for (guint i = 1; i < 5; i++) {
        push(good, CAPS, i);
        gst_buffer_unref(pull(good, i));
    }
    elements_teardown(&bad, &bad_bus);
    for (guint i = 5; i < 10; i++) {
        push(good, CAPS, i);
        gst_buffer_unref(pull(good, i));
    }
    elements_no_error(good_bus);
    elements_teardown(&good, &good_bus);
}
END_TEST

/* One stream's downstream stands still: the other goes on, as the engine keeps nothing for the first one. */
START_TEST(test_blocked_neighbour)
{
    static const char launch[] = "shrikedetect engine-id=blocked batch-size=4 batch-timeout=1 drop-policy=leaky";
    GstBus *bus, *blocked_bus;
    GstHarness *free_one = elements_harness(launch, CAPS, &bus);
    GstHarness *blocked = elements_harness(launch, CAPS, &blocked_bus);
    gulong probe = gst_pad_add_probe(blocked->sinkpad, GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER, NULL,
                                     NULL, NULL);
    for (guint i = 0; i < 20; i++) {
        push(blocked, CAPS, i);
        push(free_one, CAPS, i);
        gst_buffer_unref(pull(free_one, i));
    }
    gst_pad_remove_probe(blocked->sinkpad, probe);
    for (guint i = 0; i < 20; i++)
        gst_buffer_unref(pull(blocked, i));
    elements_teardown(&blocked, &blocked_bus);
    elements_teardown(&free_one, &bus);
}
END_TEST

struct flusher {
    GstHarness *harness;
    GMutex pushing;
    gint stop;
};

/* The flush comes at any moment; only between its end and the new segment there are no frames. */
static void flush(struct flusher *flusher)
{
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    ck_assert(gst_harness_push_event(flusher->harness, gst_event_new_flush_start()));
    g_mutex_lock(&flusher->pushing);
    ck_assert(gst_harness_push_event(flusher->harness, gst_event_new_flush_stop(TRUE)));
    ck_assert(gst_harness_push_event(flusher->harness, gst_event_new_segment(&segment)));
    g_mutex_unlock(&flusher->pushing);
}

static gpointer push_until_stopped(gpointer data)
{
    struct flusher *flusher = data;
    for (guint i = 0; !g_atomic_int_get(&flusher->stop); i++) {
        g_mutex_lock(&flusher->pushing);
        GstFlowReturn flow = gst_harness_push(flusher->harness, elements_picture(CAPS, i));
        g_mutex_unlock(&flusher->pushing);
        ck_assert_msg(flow == GST_FLOW_OK || flow == GST_FLOW_FLUSHING, "%s", gst_flow_get_name(flow));
        while (gst_harness_buffers_in_queue(flusher->harness))
            gst_buffer_unref(gst_harness_pull(flusher->harness));
    }
    return NULL;
}

/* One of two is flushed at random moments, from another thread than the one that pushes, for a minute
 * (SHRIKE_TEST_SECONDS to change that). The other loses nothing. */
START_TEST(test_random_flushes)
{
    static const char launch[] = "shrikedetect engine-id=flushed batch-size=3 batch-timeout=2 max-in-flight=3";
    const char *seconds = g_getenv("SHRIKE_TEST_SECONDS");
    gint64 end = g_get_monotonic_time() + (seconds ? atoi(seconds) : 60) * G_USEC_PER_SEC;
    GstBus *bus, *flushed_bus;
    GstHarness *steady = elements_harness(launch, OTHER, &bus);
    struct flusher flusher = {.harness = elements_harness(launch, CAPS, &flushed_bus)};
    GThread *thread = g_thread_new("flushed", push_until_stopped, &flusher);
    struct test_rng rng = {7};
    guint frames = 0, flushes = 0;
    while (g_get_monotonic_time() < end) {
        guint count = 1 + test_random_below(&rng, 4);
        for (guint i = 0; i < count; i++) {
            push(steady, OTHER, frames);
            gst_buffer_unref(pull(steady, frames++));
        }
        flush(&flusher);
        flushes++;
    }
    g_atomic_int_set(&flusher.stop, 1);
    g_thread_join(thread);
    printf("%u frames passed beside %u flushes\n", frames, flushes);
    elements_no_error(bus);
    elements_no_error(flushed_bus);
    elements_teardown(&flusher.harness, &flushed_bus);
    elements_teardown(&steady, &bus);
}
END_TEST

/* ---- Many streams ---- */

#define STREAMS 16
#define FRAMES  20

static GstPadProbeReturn count_buffer(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    guint *next = data;
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    /* each stream in its own order, every frame with a result */
    ck_assert_uint_eq(GST_BUFFER_OFFSET(buffer), *next);
    ck_assert_str_eq(gst_structure_get_string(elements_latency(buffer), SHRIKE_FIELD_STATUS),
                     SHRIKE_STATUS_INFERRED);
    (*next)++;
    return GST_PAD_PROBE_OK;
}

START_TEST(test_sixteen_streams)
{
    GString *launch = g_string_new(NULL);
    guint counts[STREAMS] = {0};
    for (guint i = 0; i < STREAMS; i++)
        g_string_append_printf(launch,
                               "videotestsrc pattern=ball num-buffers=%d ! "
                               "video/x-raw,format=NV12,width=320,height=240 ! shrikedetect engine-id=many "
                               "batch-size=8 batch-timeout=20 ! fakesink name=sink%u sync=false ",
                               FRAMES, i);
    GError *error = NULL;
    GstElement *pipeline = gst_parse_launch(launch->str, &error);
    ck_assert_msg(pipeline && !error, "%s", error ? error->message : "");
    for (guint i = 0; i < STREAMS; i++) {
        char name[16];
        g_snprintf(name, sizeof(name), "sink%u", i);
        GstElement *sink = gst_bin_get_by_name(GST_BIN(pipeline), name);
        GstPad *pad = gst_element_get_static_pad(sink, "sink");
        gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, count_buffer, &counts[i], NULL);
        gst_object_unref(pad);
        gst_object_unref(sink);
    }
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    ck_assert_int_eq(GST_MESSAGE_TYPE(message), GST_MESSAGE_EOS);
    gst_message_unref(message);
    gst_object_unref(bus);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    for (guint i = 0; i < STREAMS; i++)
        ck_assert_uint_eq(counts[i], FRAMES);
    gst_object_unref(pipeline);
    g_string_free(launch, TRUE);
}
END_TEST

/* ---- Several pipelines ---- */

struct branch {
    GstElement *pipeline;
    GMutex lock;
    GCond changed;
    guint frames;
};

static GstPadProbeReturn note_buffer(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    struct branch *branch = data;
    g_mutex_lock(&branch->lock);
    branch->frames++;
    g_cond_broadcast(&branch->changed);
    g_mutex_unlock(&branch->lock);
    return GST_PAD_PROBE_OK;
}

static void start_branch(struct branch *branch, guint frames, const char *behind)
{
    GError *error = NULL;
    char *launch =
        g_strdup_printf("videotestsrc pattern=ball num-buffers=%u ! "
                        "video/x-raw,format=NV12,width=320,height=240 ! shrikedetect engine-id=several "
                        "batch-size=4 batch-timeout=5 ! %s fakesink name=sink sync=false",
                        frames, behind);
    *branch = (struct branch){.pipeline = gst_parse_launch(launch, &error)};
    ck_assert_msg(branch->pipeline && !error, "%s", error ? error->message : "");
    g_mutex_init(&branch->lock);
    g_cond_init(&branch->changed);
    GstElement *sink = gst_bin_get_by_name(GST_BIN(branch->pipeline), "sink");
    GstPad *pad = gst_element_get_static_pad(sink, "sink");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, note_buffer, branch, NULL);
    gst_object_unref(pad);
    gst_object_unref(sink);
    gst_element_set_state(branch->pipeline, GST_STATE_PLAYING);
    g_free(launch);
}

static void end_branch(struct branch *branch)
{
    gst_element_set_state(branch->pipeline, GST_STATE_NULL);
    gst_clear_object(&branch->pipeline);
    g_mutex_clear(&branch->lock);
    g_cond_clear(&branch->changed);
}

static void wait_for_frames(struct branch *branch, guint frames)
{
    g_mutex_lock(&branch->lock);
    while (branch->frames < frames)
        g_cond_wait(&branch->changed, &branch->lock);
    g_mutex_unlock(&branch->lock);
}

static void expect_end(struct branch *branch, GstMessageType type)
{
    GstBus *bus = gst_element_get_bus(branch->pipeline);
    GstMessage *message =
        gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    ck_assert_str_eq(GST_MESSAGE_TYPE_NAME(message), gst_message_type_get_name(type));
    gst_message_unref(message);
    gst_object_unref(bus);
}

/* One is taken away with frames on the device, one fails downstream, others come late: those that stay lose
 * nothing. */
START_TEST(test_pipelines_come_and_go)
{
    enum { STAY, STAY_TOO, TAKEN, FAILING, LATE, BRANCHES };
    struct branch branches[BRANCHES];
    start_branch(&branches[STAY], 60, "");
    start_branch(&branches[STAY_TOO], 60, "");
    for (guint round = 0; round < 4; round++) {
        start_branch(&branches[TAKEN], 100000, "");
        start_branch(&branches[FAILING], 100000, "identity error-after=3 !");
        wait_for_frames(&branches[TAKEN], 1 + round);
        end_branch(&branches[TAKEN]);
        expect_end(&branches[FAILING], GST_MESSAGE_ERROR);
        end_branch(&branches[FAILING]);
    }
    start_branch(&branches[LATE], 10, "");
    static const guint staying[][2] = {{STAY, 60}, {STAY_TOO, 60}, {LATE, 10}};
    for (guint i = 0; i < G_N_ELEMENTS(staying); i++) {
        struct branch *branch = &branches[staying[i][0]];
        expect_end(branch, GST_MESSAGE_EOS);
        ck_assert_uint_eq(branch->frames, staying[i][1]);
    }
    for (guint i = 0; i < G_N_ELEMENTS(staying); i++)
        end_branch(&branches[staying[i][0]]);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("engine-share");
    TCase *tcase = tcase_create("share");
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, test_one_batch);
    tcase_add_test(tcase, test_timeout);
    tcase_add_test(tcase, test_different_models);
    tcase_add_test(tcase, test_failing_neighbour);
    tcase_add_test(tcase, test_blocked_neighbour);
    tcase_add_test(tcase, test_random_flushes);
    tcase_add_test(tcase, test_sixteen_streams);
    tcase_add_test(tcase, test_pipelines_come_and_go);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
