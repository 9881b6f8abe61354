/* Numbers on the kit's clip of persons who walk in and out one by one: each has one, and it is nobody else's.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <check.h>
#include <gst/app/gstappsink.h>
#include <gst/video/video.h>
#include <stdio.h>

/* Who is to be seen in this part of the clip, and when: taken from its pictures. */
#define FIRST 66
#define LAST  97
static const struct visit {
    double from, to;          /* seconds: any part of the person is in the picture */
    double stands, walks_off; /* all of the person is, and does not move much */
} visits[] = {{FIRST, 70.0, 67.5, 68.0}, {74.3, 87.0, 77.0, 85.0}, {92.3, LAST, 95.0, 96.8}};
#define VISITS G_N_ELEMENTS(visits)

struct walk {
    guint frames, inferred, predicted;
    gint ids[VISITS]; /* of the person in each visit */
};

static char *kit_file(const char *name)
{
    return g_build_filename(g_getenv("SHRIKE_KIT"), name, NULL);
}

static guint visit_at(double seconds)
{
    for (guint v = 0; v < VISITS; v++)
        if (seconds >= visits[v].from && seconds <= visits[v].to)
            return v;
    return VISITS;
}

/* Numbered persons in the frame; each must have the number of the visit. */
static guint check_persons(struct walk *walk, GstBuffer *buffer, double seconds)
{
    gpointer state = NULL;
    GstVideoRegionOfInterestMeta *region;
    guint visit = visit_at(seconds), count = 0;
    while ((region = (GstVideoRegionOfInterestMeta *)gst_buffer_iterate_meta_filtered(
                buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
        const GstStructure *number = gst_video_region_of_interest_meta_get_param(region, "object_id");
        gint id = 0;
        if (g_strcmp0(g_quark_to_string(region->roi_type), "person") != 0 || !number)
            continue;
        ck_assert(gst_structure_get_int(number, "id", &id));
        ck_assert_msg(visit < VISITS, "person #%d at %.1f s, when nobody is there", id, seconds);
        if (walk->ids[visit] == 0)
            walk->ids[visit] = id;
        ck_assert_msg(walk->ids[visit] == id, "person #%d at %.1f s was #%d before", id, seconds,
                      walk->ids[visit]);
        count++;
    }
    return count;
}

static void check_frame(struct walk *walk, GstBuffer *buffer)
{
    double seconds = (double)GST_BUFFER_PTS(buffer) * 1e-9;
    GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, "ShrikeLatency");
    ck_assert_ptr_nonnull(meta);
    const char *status = gst_structure_get_string(gst_custom_meta_get_structure(meta), "status");
    gboolean passed = g_strcmp0(status, "passed") == 0;
    guint count = check_persons(walk, buffer, seconds), visit = visit_at(seconds);
    if (visit < VISITS && seconds >= visits[visit].stands && seconds <= visits[visit].walks_off)
        ck_assert_msg(count == 1, "%u persons at %.1f s (%s)", count, seconds, status);
    walk->frames++;
    walk->inferred += !passed;
    walk->predicted += passed && count > 0;
}

static GstElement *open_clip(void)
{
    GError *error = NULL;
    /* two frames a second are inferred, four are predicted */
    GstElement *pipeline =
        gst_parse_launch("filesrc name=src ! decodebin ! videorate drop-only=true ! "
                         "video/x-raw,framerate=6/1 ! videoconvert ! shrikedetect name=detect "
                         "score-threshold=0.4 inference-interval=3 ! shriketrack ! "
                         "appsink name=out sync=false max-buffers=2",
                         &error);
    ck_assert_msg(!error, "%s", error ? error->message : "");
    char *location = kit_file("video/one-by-one-person-detection.mp4");
    char *model = kit_file("models/qeng_detect.tflite"), *labels = kit_file("labels/coco.txt");
    gst_child_proxy_set(GST_CHILD_PROXY(pipeline), "src::location", location, "detect::model-file", model,
                        "detect::label-file", labels, NULL);
    g_free(location);
    g_free(model);
    g_free(labels);
    gst_element_set_state(pipeline, GST_STATE_PAUSED);
    ck_assert_int_eq(gst_element_get_state(pipeline, NULL, NULL, GST_CLOCK_TIME_NONE),
                     GST_STATE_CHANGE_SUCCESS);
    ck_assert(gst_element_seek(pipeline, 1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE,
                               GST_SEEK_TYPE_SET, FIRST * GST_SECOND, GST_SEEK_TYPE_SET, LAST * GST_SECOND));
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    return pipeline;
}

START_TEST(persons)
{
    struct walk walk = {0};
    GstSample *sample;
    GstElement *pipeline = open_clip(), *out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
    while ((sample = gst_app_sink_pull_sample(GST_APP_SINK(out)))) {
        check_frame(&walk, gst_sample_get_buffer(sample));
        gst_sample_unref(sample);
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(out);
    gst_object_unref(pipeline);
    printf("%u frames, %u inferred, persons in %u of the others; numbers %d, %d, %d\n", walk.frames,
           walk.inferred, walk.predicted, walk.ids[0], walk.ids[1], walk.ids[2]);
    ck_assert_uint_ge(walk.frames, (LAST - FIRST) * 6 - 1);
    ck_assert_uint_le(walk.inferred, walk.frames / 3 + 1);
    for (guint v = 0; v < VISITS; v++) {
        ck_assert_int_gt(walk.ids[v], 0);
        ck_assert(v == 0 || walk.ids[v] > walk.ids[v - 1]);
    }
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
    Suite *suite = suite_create("tracks");
    TCase *tcase = tcase_create("tracks");
    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, persons);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
