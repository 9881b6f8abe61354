/* What shrikedetect writes on buffers, and what becomes of it further down.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <math.h>
#include <string.h>

#define SIZE(w, h) "video/x-raw,format=RGB,width=" #w ",height=" #h ",framerate=25/1"
#define CAPS       SIZE(160, 120)
#define DETECT     "shrikedetect score-threshold=0.02 max-detections=7"

static GstBuffer *run(const char *launch, const char *caps)
{
    GstBus *bus;
    GstHarness *harness = elements_harness(launch, caps, &bus);
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(caps, 4)), GST_FLOW_OK);
    GstBuffer *buffer = gst_harness_pull(harness);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    return buffer;
}

static guint count_regions(GstBuffer *buffer)
{
    return gst_buffer_get_n_meta(buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
}

START_TEST(test_regions)
{
    GstBuffer *buffer = run(DETECT, CAPS);
    guint count = elements_detection_count(buffer), i = 0;
    gpointer state = NULL;
    GstMeta *meta;
    double last = 1;
    ck_assert(count >= 1 && count <= 7);
    ck_assert_uint_eq(count_regions(buffer), count);
    while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state,
                                                    GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
        GstVideoRegionOfInterestMeta *region = (GstVideoRegionOfInterestMeta *)meta;
        const GstStructure *params = gst_video_region_of_interest_meta_get_param(region, "detection");
        double expected[6], found[6];
        gint label_id;
        ck_assert_ptr_nonnull(params);
        elements_detection(buffer, i++, expected);
        ck_assert(gst_structure_get(params, "label_id", G_TYPE_INT, &label_id, "confidence", G_TYPE_DOUBLE,
                                    &found[1], "x_min", G_TYPE_DOUBLE, &found[2], "y_min", G_TYPE_DOUBLE,
                                    &found[3], "x_max", G_TYPE_DOUBLE, &found[4], "y_max", G_TYPE_DOUBLE,
                                    &found[5], NULL));
        found[0] = label_id;
        for (guint k = 0; k < 6; k++)
            ck_assert_double_eq(found[k], expected[k]);
        ck_assert(found[1] >= 0.02 && found[1] <= last);
        last = found[1];
        ck_assert(fabs(region->x - found[2] * 160) <= 0.51 && fabs(region->y - found[3] * 120) <= 0.51);
        ck_assert(fabs(region->x + region->w - found[4] * 160) <= 0.51);
        ck_assert(fabs(region->y + region->h - found[5] * 120) <= 0.51);
        ck_assert(region->x + region->w <= 160 && region->y + region->h <= 120);
        ck_assert_ptr_nonnull(g_quark_to_string(region->roi_type));
    }
    elements_check_latency(buffer);
    gst_buffer_unref(buffer);
}
END_TEST

/* The GPU and the C reference write the same. */
START_TEST(test_reference)
{
    GstBuffer *device = run(DETECT, CAPS), *reference = run(DETECT " device=cpu-reference", CAPS);
    ck_assert_str_eq(gst_structure_get_string(elements_latency(reference), "device"), "cpu-reference");
    ck_assert_str_ne(gst_structure_get_string(elements_latency(device), "device"), "cpu-reference");
    elements_same_detections(device, reference, 1e-6);
    gst_buffer_unref(device);
    gst_buffer_unref(reference);
}
END_TEST

START_TEST(test_threshold)
{
    GstBuffer *all = run(DETECT, CAPS), *none = run("shrikedetect score-threshold=1", CAPS);
    ck_assert_uint_gt(count_regions(all), 0);
    ck_assert_uint_eq(count_regions(none), 0);
    ck_assert_uint_eq(elements_detection_count(none), 0);
    gst_buffer_unref(all);
    gst_buffer_unref(none);
}
END_TEST

/* Normalised detections and latency pass scalers and converters. */
START_TEST(test_survives)
{
    static const char *const elements[] = {"identity", "queue", "videoconvert", "videoscale"};
    GstBuffer *plain = run(DETECT, CAPS);
    for (gsize i = 0; i < G_N_ELEMENTS(elements); i++) {
        char *launch =
            g_strdup_printf(DETECT " ! %s ! capsfilter caps=%s", elements[i],
                            strcmp(elements[i], "videoscale") == 0     ? "video/x-raw,width=80,height=60"
                            : strcmp(elements[i], "videoconvert") == 0 ? "video/x-raw,format=NV12"
                                                                       : "video/x-raw");
        GstBuffer *buffer = run(launch, CAPS);
        elements_check_latency(buffer);
        elements_same_detections(plain, buffer, 0);
        gst_buffer_unref(buffer);
        g_free(launch);
    }
    gst_buffer_unref(plain);
}
END_TEST

START_TEST(test_in_flight)
{
    GstBus *bus;
    guint most = 0;
    GstHarness *harness = elements_harness("shrikedetect max-in-flight=3", CAPS, &bus);
    for (guint i = 0; i < 20; i++)
        ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, i)), GST_FLOW_OK);
    for (guint i = 0; i < 20; i++) {
        guint in_flight;
        GstBuffer *buffer = gst_harness_pull(harness);
        ck_assert(gst_structure_get_uint(elements_latency(buffer), "in-flight", &in_flight));
        ck_assert(in_flight >= 1 && in_flight <= 3);
        most = MAX(most, in_flight);
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_gt(most, 1);
    elements_teardown(&harness, &bus);
}
END_TEST

START_TEST(test_stats)
{
    static const char *const stages[] = {"queue",    "upload", "preprocess", "inference",
                                         "readback", "decode", "total"};
    GstBus *bus;
    GstStructure *stats;
    guint64 frames, messages;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    for (guint i = 0; i < 5; i++) {
        gst_harness_push(harness, elements_picture(CAPS, i));
        gst_buffer_unref(gst_harness_pull(harness));
    }
    g_object_get(harness->element, "stats", &stats, NULL);
    ck_assert(gst_structure_get_uint64(stats, "frames", &frames) && frames == 5);
    ck_assert(gst_structure_get_uint64(stats, "dropped", &frames) && frames == 0);
    ck_assert(gst_structure_get_uint64(stats, "validation-messages", &messages) && messages == 0);
    for (gsize i = 0; i < G_N_ELEMENTS(stages); i++) {
        guint64 values[3] = {0};
        static const char *const names[] = {"p50", "p95", "p99"};
        for (guint k = 0; k < 3; k++) {
            char *field = g_strdup_printf("%s-%s", stages[i], names[k]);
            ck_assert_msg(gst_structure_get_uint64(stats, field, &values[k]), "no %s", field);
            g_free(field);
        }
        ck_assert(values[0] <= values[1] && values[1] <= values[2]);
    }
    gst_structure_free(stats);
    elements_teardown(&harness, &bus);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-meta");
    TCase *tcase = tcase_create("meta");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_regions);
    tcase_add_test(tcase, test_reference);
    tcase_add_test(tcase, test_threshold);
    tcase_add_test(tcase, test_survives);
    tcase_add_test(tcase, test_in_flight);
    tcase_add_test(tcase, test_stats);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
