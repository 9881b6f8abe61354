/* GstAnalytics metadata: what shrikedetect writes, tracks; and what
 * `meta` says where GStreamer is older. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <glib/gstdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/builder.h>

#include "track_analytics.h"

#ifdef SHRIKE_HAVE_ANALYTICS
#include <gst/analytics/analytics.h>
#endif

#define CAPS   "video/x-raw,format=RGB,width=160,height=120,framerate=25/1"
#define DETECT "shrikedetect score-threshold=0.02 max-detections=7"

static GstBuffer *run(const char *launch, GstBuffer *buffer)
{
    GstBus *bus;
    GstHarness *harness = elements_harness(launch, CAPS, &bus);
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    GstBuffer *result = gst_harness_pull(harness);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    return result;
}

static guint count_regions(GstBuffer *buffer)
{
    return gst_buffer_get_n_meta(buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
}

#ifdef SHRIKE_HAVE_ANALYTICS

static guint count_mtds(GstBuffer *buffer, GstAnalyticsMtdType type)
{
    GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta(buffer);
    GstAnalyticsMtd mtd;
    gpointer state = NULL;
    guint count = 0;
    ck_assert_ptr_nonnull(meta);
    while (gst_analytics_relation_meta_iterate(meta, &state, type, &mtd))
        count++;
    return count;
}

static void check_detection(const GstAnalyticsODMtd *mtd, const GstVideoRegionOfInterestMeta *region,
                            double confidence)
{
    gint x, y, w, h;
    gfloat found;
    ck_assert(gst_analytics_od_mtd_get_location(mtd, &x, &y, &w, &h, &found));
    ck_assert(x == (gint)region->x && y == (gint)region->y && w == (gint)region->w && h == (gint)region->h);
    ck_assert_uint_eq(gst_analytics_od_mtd_get_obj_type(mtd), region->roi_type);
    ck_assert(fabs(found - confidence) < 1e-6);
}

/* By default both metas are there and say the same, in the same order. */
START_TEST(test_detections)
{
    GstBuffer *buffer = run(DETECT, elements_picture(CAPS, 4));
    GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta(buffer);
    GstAnalyticsODMtd mtd;
    gpointer regions = NULL, state = NULL;
    guint i = 0;
    ck_assert_ptr_nonnull(meta);
    while (gst_analytics_relation_meta_iterate(meta, &state, gst_analytics_od_mtd_get_mtd_type(), &mtd)) {
        double values[6];
        GstMeta *region =
            gst_buffer_iterate_meta_filtered(buffer, &regions, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
        ck_assert_ptr_nonnull(region);
        elements_detection(buffer, i++, values);
        check_detection(&mtd, (GstVideoRegionOfInterestMeta *)region, values[1]);
    }
    ck_assert_uint_ge(i, 1);
    ck_assert_uint_eq(i, count_regions(buffer));
    ck_assert_uint_eq(count_mtds(buffer, gst_analytics_cls_mtd_get_mtd_type()), 0);
    gst_buffer_unref(buffer);
}
END_TEST

START_TEST(test_kinds)
{
    GstBuffer *roi = run(DETECT " meta=roi", elements_picture(CAPS, 4)),
              *analytics = run(DETECT " meta=analytics", elements_picture(CAPS, 4));
    guint count = elements_detection_count(roi);
    ck_assert_uint_ge(count, 1);
    ck_assert_uint_eq(count_regions(roi), count);
    ck_assert_ptr_null(gst_buffer_get_analytics_relation_meta(roi));
    ck_assert_uint_eq(count_regions(analytics), 0);
    ck_assert_uint_eq(count_mtds(analytics, gst_analytics_od_mtd_get_mtd_type()), count);
    elements_same_detections(roi, analytics, 0);
    gst_buffer_unref(roi);
    gst_buffer_unref(analytics);
}
END_TEST

/* What another analyser wrote stays, and there is one relation meta still. */
START_TEST(test_added)
{
    GstBuffer *buffer = elements_picture(CAPS, 4);
    GstAnalyticsRelationMeta *meta = gst_buffer_add_analytics_relation_meta(buffer);
    GstAnalyticsODMtd other;
    gint x, y, w, h;
    gfloat confidence;
    ck_assert(gst_analytics_relation_meta_add_od_mtd(meta, g_quark_from_string("other"), 3, 4, 50, 60, 0.25f,
                                                     &other));
    buffer = run(DETECT, buffer);
    ck_assert_uint_eq(gst_buffer_get_n_meta(buffer, GST_ANALYTICS_RELATION_META_API_TYPE), 1);
    ck_assert_uint_eq(count_mtds(buffer, gst_analytics_od_mtd_get_mtd_type()),
                      1 + elements_detection_count(buffer));
    meta = gst_buffer_get_analytics_relation_meta(buffer);
    ck_assert(gst_analytics_relation_meta_get_od_mtd(meta, other.id, &other));
    ck_assert(gst_analytics_od_mtd_get_location(&other, &x, &y, &w, &h, &confidence));
    ck_assert(x == 3 && y == 4 && w == 50 && h == 60 && confidence == 0.25f);
    ck_assert_str_eq(g_quark_to_string(gst_analytics_od_mtd_get_obj_type(&other)), "other");
    gst_buffer_unref(buffer);
}
END_TEST

/* ---- Classification ---- */

static gint32 tensor(struct shk_builder *b, const char *name, guint32 rank, const gint32 *dims, float scale)
{
    const gint32 zero_point = -128;
    return shk_builder_tensor(b, name, SHK_DTYPE_INT8, rank, dims, 1, &scale, &zero_point, 0, NULL, 0);
}

/* Mean colour, softmax: three classes. */
static void save_classifier(const char *path)
{
    static const gint32 image_dims[] = {1, 8, 8, 3}, vector_dims[] = {1, 3}, axes_dims[] = {2},
                        axes[] = {1, 2};
    struct shk_builder *b = shk_builder_create();
    struct shk_error error;
    gint32 image = tensor(b, "image", 4, image_dims, 1 / 255.0f),
           mean = tensor(b, "mean", 2, vector_dims, 1 / 255.0f),
           scores = tensor(b, "scores", 2, vector_dims, 1 / 256.0f),
           axis = shk_builder_tensor(b, "axes", SHK_DTYPE_INT32, 1, axes_dims, 0, NULL, NULL, 0, axes,
                                     sizeof(axes));
    shk_builder_op(b, "MEAN", (gint32[]){image, axis}, 2, &mean, 1, NULL);
    shk_builder_op(b, "SOFTMAX", &mean, 1, &scores, 1, "beta=1.0");
    shk_builder_set_inputs(b, &image, 1);
    shk_builder_set_outputs(b, &scores, 1);
    test_ok(shk_builder_save(b, path, &error), &error);
    shk_builder_destroy(&b);
}

static GstBuffer *classify(const char *options)
{
    char *folder = g_dir_make_tmp("shrike-analytics-XXXXXX", NULL),
         *model = g_build_filename(folder, "m.tflite", NULL),
         *labels = g_build_filename(folder, "labels.txt", NULL);
    save_classifier(model);
    ck_assert(g_file_set_contents(labels, "red\ngreen\nblue\n", -1, NULL));
    char *launch = g_strdup_printf("shrikedetect model-file=%s label-file=%s %s", model, labels, options);
    GstBuffer *buffer = run(launch, elements_picture(CAPS, 4));
    g_free(launch);
    g_unlink(model);
    g_unlink(labels);
    g_rmdir(folder);
    g_free(labels);
    g_free(model);
    g_free(folder);
    return buffer;
}

/* A classifier's results are classes of the frame, not objects in it. */
START_TEST(test_classes)
{
    GstBuffer *buffer = classify("score-threshold=0.1");
    GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta(buffer);
    GstAnalyticsClsMtd mtd;
    gpointer state = NULL;
    ck_assert_uint_eq(elements_detection_count(buffer), 3);
    ck_assert_uint_eq(count_mtds(buffer, gst_analytics_od_mtd_get_mtd_type()), 0);
    ck_assert_uint_eq(count_mtds(buffer, gst_analytics_cls_mtd_get_mtd_type()), 1);
    ck_assert(gst_analytics_relation_meta_iterate(meta, &state, gst_analytics_cls_mtd_get_mtd_type(), &mtd));
    ck_assert_uint_eq(gst_analytics_cls_mtd_get_length(&mtd), 3);
    for (guint i = 0; i < 3; i++) {
        static const char *const names[] = {"red", "green", "blue"};
        double values[6];
        elements_detection(buffer, i, values);
        ck_assert_str_eq(g_quark_to_string(gst_analytics_cls_mtd_get_quark(&mtd, i)), names[(gint)values[0]]);
        ck_assert(fabs(gst_analytics_cls_mtd_get_level(&mtd, i) - values[1]) < 1e-6);
    }
    gst_buffer_unref(buffer);
}
END_TEST

START_TEST(test_no_class)
{
    GstBuffer *buffer = classify("score-threshold=0.9");
    ck_assert_uint_eq(elements_detection_count(buffer), 0);
    ck_assert_uint_eq(count_mtds(buffer, GST_ANALYTICS_MTD_TYPE_ANY), 0);
    gst_buffer_unref(buffer);
}
END_TEST

/* ---- Tracks ---- */

START_TEST(test_tracks)
{
    const GQuark ball = g_quark_from_string("ball"), box = g_quark_from_string("box");
    GstBuffer *buffer = gst_buffer_new();
    struct track_analytics_object object = {7, ball, 10, 20, 30, 40, GST_SECOND, 3 * GST_SECOND};
    GstAnalyticsODMtd other, same_box, same, twin;
    GstAnalyticsTrackingMtd track;
    guint64 id;
    GstClockTime first, last;
    gboolean lost;
    ck_assert(!track_analytics_attach(buffer, &object)); /* no meta: none is made */
    ck_assert_ptr_null(gst_buffer_get_analytics_relation_meta(buffer));
    GstAnalyticsRelationMeta *meta = gst_buffer_add_analytics_relation_meta(buffer);
    gst_analytics_relation_meta_add_od_mtd(meta, ball, 11, 20, 30, 40, 0.5f, &other);
    gst_analytics_relation_meta_add_od_mtd(meta, box, 10, 20, 30, 40, 0.5f, &same_box);
    ck_assert(!track_analytics_attach(buffer, &object));
    ck_assert_uint_eq(count_mtds(buffer, gst_analytics_tracking_mtd_get_mtd_type()), 0);
    gst_analytics_relation_meta_add_od_mtd(meta, ball, 10, 20, 30, 40, 0.5f, &same);
    gst_analytics_relation_meta_add_od_mtd(meta, ball, 10, 20, 30, 40, 0.4f, &twin);
    ck_assert(track_analytics_attach(buffer, &object));
    ck_assert(gst_analytics_relation_meta_get_direct_related(meta, same.id, GST_ANALYTICS_REL_TYPE_RELATE_TO,
                                                             gst_analytics_tracking_mtd_get_mtd_type(), NULL,
                                                             &track));
    ck_assert(gst_analytics_tracking_mtd_get_info(&track, &id, &first, &last, &lost));
    ck_assert(id == 7 && first == GST_SECOND && last == 3 * GST_SECOND && !lost);
    object.track_id = 8; /* the next one with the same box gets the next detection */
    ck_assert(track_analytics_attach(buffer, &object));
    ck_assert(gst_analytics_relation_meta_get_direct_related(meta, twin.id, GST_ANALYTICS_REL_TYPE_RELATE_TO,
                                                             gst_analytics_tracking_mtd_get_mtd_type(), NULL,
                                                             &track));
    ck_assert(gst_analytics_tracking_mtd_get_info(&track, &id, &first, &last, &lost) && id == 8);
    ck_assert(!track_analytics_attach(buffer, &object));
    object.label = 0;
    ck_assert(track_analytics_attach(buffer, &object)); /* the box of another label */
    ck_assert_uint_eq(count_mtds(buffer, gst_analytics_tracking_mtd_get_mtd_type()), 3);
    gst_buffer_unref(buffer);
}
END_TEST

/* Every detection has a track with the number of its entry. */
static void check_numbers(GstBuffer *buffer)
{
    GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta(buffer);
    const GValue *list = gst_structure_get_value(elements_latency(buffer), "detections");
    GstAnalyticsODMtd detection;
    gpointer state = NULL;
    guint i = 0;
    while (
        gst_analytics_relation_meta_iterate(meta, &state, gst_analytics_od_mtd_get_mtd_type(), &detection)) {
        GstAnalyticsTrackingMtd track;
        GstClockTime first, last;
        guint64 number;
        gboolean lost;
        gint id;
        ck_assert_uint_lt(i, gst_value_array_get_size(list));
        ck_assert(gst_structure_get_int(gst_value_get_structure(gst_value_array_get_value(list, i++)),
                                        "track_id", &id));
        ck_assert(gst_analytics_relation_meta_get_direct_related(
            meta, detection.id, GST_ANALYTICS_REL_TYPE_RELATE_TO, gst_analytics_tracking_mtd_get_mtd_type(),
            NULL, &track));
        ck_assert(gst_analytics_tracking_mtd_get_info(&track, &number, &first, &last, &lost));
        ck_assert(number == (guint64)id && first == 0 && last == 0 && !lost);
    }
    ck_assert_uint_eq(i, gst_value_array_get_size(list));
    ck_assert_uint_eq(count_mtds(buffer, gst_analytics_tracking_mtd_get_mtd_type()), i);
}

/* On a frame that was inferred, and on one for which the boxes are predicted. */
START_TEST(test_tracker)
{
    static const char *const kinds[] = {"both", "analytics"};
    for (gsize k = 0; k < G_N_ELEMENTS(kinds); k++) {
        GstBus *bus;
        char *launch =
            g_strdup_printf(DETECT " inference-interval=2 meta=%s ! shriketrack min-hits=1", kinds[k]);
        GstHarness *harness = elements_harness(launch, CAPS, &bus);
        for (guint i = 0; i < 2; i++) {
            GstBuffer *buffer = elements_picture(CAPS, 4);
            GST_BUFFER_PTS(buffer) = i * 40 * GST_MSECOND;
            ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
            buffer = gst_harness_pull(harness);
            ck_assert_uint_ge(elements_detection_count(buffer), 1);
            ck_assert_uint_eq(count_regions(buffer), k == 0 ? elements_detection_count(buffer) : 0);
            check_numbers(buffer);
            gst_buffer_unref(buffer);
        }
        elements_no_error(bus);
        elements_teardown(&harness, &bus);
        g_free(launch);
    }
}
END_TEST

#else

/* Only what the build can write is the default; asking for more is a warning, and ROI metas. */
START_TEST(test_too_old)
{
    static const char *const kinds[] = {"analytics", "both"};
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        GstBus *bus;
        char *launch = g_strdup_printf(DETECT " meta=%s", kinds[i]);
        GstHarness *harness = elements_harness(launch, CAPS, &bus);
        char *text = elements_pop_message(bus, GST_MESSAGE_WARNING);
        ck_assert_msg(text && strstr(text, kinds[i]) && strstr(text, "GStreamer 1.24"), "%s", text);
        ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, 4)), GST_FLOW_OK);
        GstBuffer *buffer = gst_harness_pull(harness);
        ck_assert_uint_ge(count_regions(buffer), 1);
        elements_no_error(bus);
        gst_buffer_unref(buffer);
        elements_teardown(&harness, &bus);
        g_free(text);
        g_free(launch);
    }
}
END_TEST

START_TEST(test_default)
{
    GstBuffer *buffer = run(DETECT, elements_picture(CAPS, 4)); /* asserts that there is no warning */
    struct track_analytics_object object = {7, 0, 10, 20, 30, 40, 0, 0};
    ck_assert_uint_ge(count_regions(buffer), 1);
    ck_assert(!track_analytics_attach(buffer, &object));
    gst_buffer_unref(buffer);
}
END_TEST

#endif

static Suite *make_suite(void)
{
    Suite *suite = suite_create("analytics");
    TCase *tcase = tcase_create("analytics");
    tcase_set_timeout(tcase, 120);
#ifdef SHRIKE_HAVE_ANALYTICS
    tcase_add_test(tcase, test_detections);
    tcase_add_test(tcase, test_kinds);
    tcase_add_test(tcase, test_added);
    tcase_add_test(tcase, test_classes);
    tcase_add_test(tcase, test_no_class);
    tcase_add_test(tcase, test_tracks);
    tcase_add_test(tcase, test_tracker);
#else
    tcase_add_test(tcase, test_too_old);
    tcase_add_test(tcase, test_default);
#endif
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
