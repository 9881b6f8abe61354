/* The kit's clips through the whole pipeline: what the CPU reference finds in sampled frames, the device must
 * find in at least nine of ten, at the same place.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <check.h>
#include <gst/app/gstappsink.h>
#include <gst/video/video.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_FRAMES 16
#define MAX_BOXES  16

struct box {
    double x_min, y_min, x_max, y_max;
};

struct frames {
    guint count;
    guint boxes[MAX_FRAMES]; /* per frame */
    struct box box[MAX_FRAMES][MAX_BOXES];
    gboolean with_latency[MAX_FRAMES];
};

static char *kit_file(const char *name)
{
    return g_build_filename(g_getenv("SHRIKE_KIT"), name, NULL);
}

static void collect(GstSample *sample, const char *label, struct frames *frames)
{
    GstBuffer *buffer = gst_sample_get_buffer(sample);
    gpointer state = NULL;
    GstVideoRegionOfInterestMeta *roi;
    guint f = frames->count++;
    ck_assert_uint_lt(f, MAX_FRAMES);
    frames->with_latency[f] = gst_buffer_get_custom_meta(buffer, "ShrikeLatency") != NULL;
    while ((roi = (GstVideoRegionOfInterestMeta *)gst_buffer_iterate_meta_filtered(
                buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
        GstStructure *detection = gst_video_region_of_interest_meta_get_param(roi, "detection");
        gboolean wanted = !label || g_strcmp0(g_quark_to_string(roi->roi_type), label) == 0;
        if (!detection || !wanted || frames->boxes[f] == MAX_BOXES)
            continue;
        struct box *box = &frames->box[f][frames->boxes[f]++];
        ck_assert(gst_structure_get(detection, "x_min", G_TYPE_DOUBLE, &box->x_min, "y_min", G_TYPE_DOUBLE,
                                    &box->y_min, "x_max", G_TYPE_DOUBLE, &box->x_max, "y_max", G_TYPE_DOUBLE,
                                    &box->y_max, NULL));
    }
}

/* One frame every `seconds` of `clip`, through shrikedetect on `device`. `label` NULL: any object. */
static void run_clip(const char *clip, int seconds, const char *label, const char *device, struct frames *frames)
{
    GError *error = NULL;
    char *text = g_strdup_printf("filesrc name=src ! decodebin ! videorate drop-only=true ! "
                                 "video/x-raw,framerate=1/%d ! videoconvert ! shrikedetect name=detect "
                                 "score-threshold=0.4 ! appsink name=out sync=false max-buffers=2", seconds);
    GstElement *pipeline = gst_parse_launch(text, &error);
    ck_assert_msg(!error, "%s", error ? error->message : "");
    char *location = kit_file(clip), *model = kit_file("models/qeng_detect.tflite");
    char *labels = kit_file("labels/coco.txt");
    GstElement *src = gst_bin_get_by_name(GST_BIN(pipeline), "src");
    GstElement *detect = gst_bin_get_by_name(GST_BIN(pipeline), "detect");
    GstElement *out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
    g_object_set(src, "location", location, NULL);
    g_object_set(detect, "model-file", model, "label-file", labels, "device", device, NULL);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstSample *sample;
    while ((sample = gst_app_sink_pull_sample(GST_APP_SINK(out)))) {
        collect(sample, label, frames);
        gst_sample_unref(sample);
    }
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    if (message)
        gst_message_parse_error(message, &error, NULL);
    ck_assert_msg(!message, "%s", error ? error->message : "");
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(bus);
    gst_object_unref(src);
    gst_object_unref(detect);
    gst_object_unref(out);
    gst_object_unref(pipeline);
    g_free(text);
    g_free(location);
    g_free(model);
    g_free(labels);
}

static double overlap(const struct box *a, const struct box *b)
{
    double w = MIN(a->x_max, b->x_max) - MAX(a->x_min, b->x_min);
    double h = MIN(a->y_max, b->y_max) - MAX(a->y_min, b->y_min);
    double both = w > 0 && h > 0 ? w * h : 0;
    double sum = (a->x_max - a->x_min) * (a->y_max - a->y_min) + (b->x_max - b->x_min) * (b->y_max - b->y_min);
    return both / (sum - both);
}

static gboolean finds(const struct frames *frames, guint f, const struct box *wanted)
{
    for (guint i = 0; i < frames->boxes[f]; i++)
        if (overlap(&frames->box[f][i], wanted) > 0.5)
            return TRUE;
    return FALSE;
}

/* `least`: in how many frames the reference must find the label, or the clip shows nothing. */
static void check_clip(const char *clip, int seconds, const char *label, guint least)
{
    struct frames device = {0}, reference = {0};
    run_clip(clip, seconds, label, "cpu-reference", &reference);
    run_clip(clip, seconds, label, "", &device);
    ck_assert_uint_eq(device.count, reference.count);
    guint wanted = 0, found = 0;
    for (guint f = 0; f < reference.count; f++) {
        ck_assert(device.with_latency[f]);
        if (reference.boxes[f] == 0)
            continue;
        wanted++;
        found += finds(&device, f, &reference.box[f][0]);
    }
    printf("%s: %s in %u of the %u frames where the reference finds one (%u frames)\n", clip, label ? label : "object",
           found, wanted, reference.count);
    ck_assert_uint_ge(wanted, least);
    ck_assert_uint_ge(found * 10, wanted * 9);
}

START_TEST(people)
{
    check_clip("video/one-by-one-person-detection.mp4", 12, "person", 4);
}
END_TEST

/* Seen from above, the model takes most cars for cell phones, and so does the reference. */
START_TEST(cars)
{
    check_clip("video/car-detection.mp4", 3, NULL, 3);
}
END_TEST

int main(int argc, char **argv)
{
    char *model = g_getenv("SHRIKE_KIT") ? kit_file("models/qeng_detect.tflite") : NULL;
    gboolean there = model && g_file_test(model, G_FILE_TEST_EXISTS);
    g_free(model);
    if (!there) {
        printf("skipped: no kit in SHRIKE_KIT\n");
        return 77;
    }
    gst_init(&argc, &argv);
    Suite *suite = suite_create("clips");
    TCase *tcase = tcase_create("clips");
    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, people);
    tcase_add_test(tcase, cars);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
