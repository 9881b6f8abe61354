/* Read detections and stage latencies off buffers in an application.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     shrike-appsink [--every N] [PIPELINE...]
 *
 * PIPELINE is written as for gst-launch-1.0 and ends in "appsink name=out". Prints the detections of every
 * N-th frame (default 1) as they come, and at the end the percentiles of every stage. Without a PIPELINE it
 * watches videotestsrc's ball. The fields read here are listed in the README under "Metadata". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gst/app/gstappsink.h>
#include <gst/video/video.h>

#define STAGES 7
static const char *const stages[STAGES] = {"queue",    "upload", "preprocess", "inference",
                                           "readback", "decode", "total"};

struct report {
    guint every, frames, detections, dropped;
    GArray *durations[STAGES]; /* guint64 nanoseconds, one per frame */
};

static void print_detections(GstBuffer *buffer)
{
    gpointer state = NULL;
    GstMeta *meta;
    while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
        GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)meta;
        GstStructure *detection = gst_video_region_of_interest_meta_get_param(roi, "detection");
        double confidence = 0;
        if (!detection || !gst_structure_get_double(detection, "confidence", &confidence))
            continue; /* somebody else's region */
        printf("%9.3f  %-16s  %5.3f  %5u  %5u  %5u  %5u\n", GST_BUFFER_PTS(buffer) / 1e9,
               g_quark_to_string(roi->roi_type), confidence, roi->x, roi->y, roi->w, roi->h);
    }
}

static void read_latency(struct report *report, GstBuffer *buffer)
{
    GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, "ShrikeLatency");
    if (!meta)
        return;
    GstStructure *fields = gst_custom_meta_get_structure(meta);
    guint dropped = 0;
    gst_structure_get_uint(fields, "dropped", &dropped);
    report->dropped += dropped;
    const GValue *detections = gst_structure_get_value(fields, "detections");
    report->detections += detections ? gst_value_array_get_size(detections) : 0;
    for (int i = 0; i < STAGES; i++) {
        char name[32];
        guint64 duration;
        snprintf(name, sizeof(name), "%s-duration", stages[i]);
        if (gst_structure_get_uint64(fields, name, &duration))
            g_array_append_val(report->durations[i], duration);
    }
}

/* On appsink's streaming thread. */
static GstFlowReturn on_sample(GstAppSink *sink, gpointer user)
{
    struct report *report = user;
    GstSample *sample = gst_app_sink_pull_sample(sink);
    if (!sample)
        return GST_FLOW_EOS;
    GstBuffer *buffer = gst_sample_get_buffer(sample);
    read_latency(report, buffer);
    if (report->frames++ % report->every == 0)
        print_detections(buffer);
    gst_sample_unref(sample);
    return GST_FLOW_OK;
}

static int compare(const void *a, const void *b)
{
    guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
    return (x > y) - (x < y);
}

static double percentile_ms(GArray *sorted, guint percent)
{
    guint rank = (sorted->len * percent + 99) / 100;
    return sorted->len ? g_array_index(sorted, guint64, rank ? rank - 1 : 0) / 1e6 : 0;
}

static void print_summary(struct report *report)
{
    printf("\n%u frames, %u detections, %u frames dropped\n\n", report->frames, report->detections, report->dropped);
    printf("%-10s  %9s  %9s  %9s\n", "stage", "p50 ms", "p95 ms", "p99 ms");
    for (int i = 0; i < STAGES; i++) {
        g_array_sort(report->durations[i], compare);
        printf("%-10s  %9.3f  %9.3f  %9.3f\n", stages[i], percentile_ms(report->durations[i], 50),
               percentile_ms(report->durations[i], 95), percentile_ms(report->durations[i], 99));
    }
}

static GstElement *make_pipeline(char **words, struct report *report)
{
    GError *error = NULL;
    GstElement *pipeline =
        *words ? gst_parse_launchv((const gchar **)words, &error)
               : gst_parse_launch("videotestsrc pattern=ball num-buffers=100 ! shrikedetect ! appsink name=out", &error);
    if (error) {
        fprintf(stderr, "%s\n", error->message);
        g_error_free(error);
        g_clear_pointer(&pipeline, gst_object_unref);
        return NULL;
    }
    GstElement *sink = GST_IS_BIN(pipeline) ? gst_bin_get_by_name(GST_BIN(pipeline), "out") : NULL;
    if (!GST_IS_APP_SINK(sink)) {
        fprintf(stderr, "the pipeline has no \"appsink name=out\"\n");
        g_clear_pointer(&sink, gst_object_unref);
        gst_object_unref(pipeline);
        return NULL;
    }
    GstAppSinkCallbacks callbacks = {.new_sample = on_sample};
    g_object_set(sink, "sync", FALSE, "max-buffers", 4, NULL);
    gst_app_sink_set_callbacks(GST_APP_SINK(sink), &callbacks, report, NULL);
    gst_object_unref(sink);
    return pipeline;
}

/* Until EOS (0) or an error (1), which it prints. */
static int run(GstElement *pipeline)
{
    GstBus *bus = gst_element_get_bus(pipeline);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstMessage *message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_ERROR | GST_MESSAGE_EOS);
    int rc = GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR;
    if (rc) {
        GError *error;
        gst_message_parse_error(message, &error, NULL);
        fprintf(stderr, "%s: %s\n", GST_MESSAGE_SRC_NAME(message), error->message);
        g_error_free(error);
    }
    gst_message_unref(message);
    gst_object_unref(bus);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    return rc;
}

int main(int argc, char **argv)
{
    struct report report = {.every = 1};
    gst_init(&argc, &argv);
    char **words = argv + 1;
    if (argc > 2 && strcmp(words[0], "--every") == 0) {
        report.every = MAX(1, atoi(words[1]));
        words += 2;
    }
    GstElement *pipeline = make_pipeline(words, &report);
    if (!pipeline)
        return 1;
    for (int i = 0; i < STAGES; i++)
        report.durations[i] = g_array_new(FALSE, FALSE, sizeof(guint64));
    printf("%9s  %-16s  %5s  %5s  %5s  %5s  %5s\n", "time s", "label", "score", "x", "y", "width", "height");
    int rc = run(pipeline);
    if (rc == 0)
        print_summary(&report);
    for (int i = 0; i < STAGES; i++)
        g_array_unref(report.durations[i]);
    gst_object_unref(pipeline);
    return rc;
}
