/* Parts of a frame: the roi property, regions that an element upstream has found, a second network on them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shrike_meta.h"

#define WIDTH  64
#define HEIGHT 48
#define CAPS   "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"
#define HALF   "video/x-raw,format=GRAY8,width=32,height=48,framerate=25/1"

/* low, so that there is something on any picture */
#define DETECT "shrikedetect score-threshold=0.02 max-detections=8 "
#define LEFT   "roi=0,0,0.5,1 "
#define RIGHT  "roi=0.5,0,0.5,1 "

/* What `launch` makes of `buffer`, which is taken. */
static GstBuffer *detect(const char *launch, const char *caps, GstBuffer *buffer)
{
    GstBus *bus;
    GstHarness *harness = elements_harness(launch, caps, &bus);
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    GstBuffer *result = gst_harness_pull(harness);
    ck_assert_ptr_nonnull(result);
    ck_assert_str_eq(gst_structure_get_string(elements_latency(result), SHRIKE_FIELD_STATUS),
                     SHRIKE_STATUS_INFERRED);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    return result;
}

static guint count_regions(GstBuffer *buffer)
{
    return gst_buffer_get_n_meta(buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
}

/* Detections `first` and following of `buffer` are those of `part`, all of them, with x between `left` and
 * `right`. */
static void expect_part(GstBuffer *buffer, guint first, GstBuffer *part, double left, double right)
{
    guint count = elements_detection_count(part);
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_ge(elements_detection_count(buffer), first + count);
    for (guint i = 0; i < count; i++) {
        double found[6], expected[6];
        elements_detection(buffer, first + i, found);
        elements_detection(part, i, expected);
        for (guint k = 0; k < 6; k++)
            ck_assert_msg(found[k] == expected[k], "detection %u, value %u: %g, expected %g", i, k, found[k],
                          expected[k]);
        ck_assert_msg(found[2] >= left - 1e-6 && found[4] <= right + 1e-6, "%g to %g is not inside %g to %g",
                      found[2], found[4], left, right);
    }
}

/* ---- roi ---- */

/* The right half as a frame of its own. */
static GstBuffer *right_half(GstBuffer *picture)
{
    GstMapInfo from, to;
    GstBuffer *half = gst_buffer_new_allocate(NULL, WIDTH / 2 * HEIGHT, NULL);
    ck_assert(gst_buffer_map(picture, &from, GST_MAP_READ) && gst_buffer_map(half, &to, GST_MAP_WRITE));
    for (guint y = 0; y < HEIGHT; y++)
        memcpy(to.data + y * WIDTH / 2, from.data + y * WIDTH + WIDTH / 2, WIDTH / 2);
    gst_buffer_unmap(half, &to);
    gst_buffer_unmap(picture, &from);
    return half;
}

/* A part sees what the part as a frame of its own would show, and nothing around it. */
START_TEST(test_like_a_frame)
{
    GstBuffer *picture = elements_picture(CAPS, 1), *cut = right_half(picture);
    GstBuffer *of_part = detect(DETECT RIGHT, CAPS, picture), *of_frame = detect(DETECT, HALF, cut);
    guint count = elements_detection_count(of_frame);
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_eq(elements_detection_count(of_part), count);
    ck_assert_uint_eq(count_regions(of_part), count);
    for (guint i = 0; i < count; i++) {
        double found[6], expected[6];
        elements_detection(of_part, i, found);
        elements_detection(of_frame, i, expected);
        expected[2] = 0.5 + expected[2] / 2;
        expected[4] = 0.5 + expected[4] / 2;
        for (guint k = 0; k < 6; k++)
            ck_assert_double_eq_tol(found[k], expected[k], 1e-6);
    }
    gst_buffer_unref(of_part);
    gst_buffer_unref(of_frame);
}
END_TEST

START_TEST(test_several_parts)
{
    GstBuffer *both = detect(DETECT "roi=\"0,0,0.5,1; 0.5,0,0.5,1\"", CAPS, elements_picture(CAPS, 1)),
              *left = detect(DETECT LEFT, CAPS, elements_picture(CAPS, 1)),
              *right = detect(DETECT RIGHT, CAPS, elements_picture(CAPS, 1));
    expect_part(both, 0, left, 0.0, 0.5);
    expect_part(both, elements_detection_count(left), right, 0.5, 1.0);
    ck_assert_uint_eq(elements_detection_count(both),
                      elements_detection_count(left) + elements_detection_count(right));
    gst_buffer_unref(both);
    gst_buffer_unref(left);
    gst_buffer_unref(right);
}
END_TEST

/* ---- Regions of an element upstream ---- */

static void add_region(GstBuffer *buffer, const char *label, guint x, guint y, guint width, guint height)
{
    ck_assert_ptr_nonnull(gst_buffer_add_video_region_of_interest_meta(buffer, label, x, y, width, height));
}

/* A cat on the left, a dog on the right, and dogs that are nowhere. */
static GstBuffer *picture_with_regions(void)
{
    GstBuffer *buffer = elements_picture(CAPS, 1);
    add_region(buffer, "cat", 0, 0, WIDTH / 2, HEIGHT);
    add_region(buffer, "dog", WIDTH / 2, 0, WIDTH / 2, HEIGHT);
    add_region(buffer, "dog", WIDTH, 0, 10, 10);
    add_region(buffer, "dog", 5, 5, 0, 10);
    add_region(buffer, "dog", G_MAXUINT - 3, 5, 20, 10);
    return buffer;
}

#define LIST DETECT "inference-region=roi-list "

START_TEST(test_object_class)
{
    static const struct {
        const char *launch;
        gboolean left, right;
    } cases[] = {
        {LIST, TRUE, TRUE},
        {LIST "object-class=cat", TRUE, FALSE},
        {LIST "object-class=dog", FALSE, TRUE},
        {LIST "object-class=\"bird, dog ,cat\"", TRUE, TRUE},
        {LIST "object-class=bird", FALSE, FALSE},
    };
    GstBuffer *left = detect(DETECT LEFT, CAPS, elements_picture(CAPS, 1)),
              *right = detect(DETECT RIGHT, CAPS, elements_picture(CAPS, 1));
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        GstBuffer *buffer = detect(cases[i].launch, CAPS, picture_with_regions());
        guint count = 0;
        if (cases[i].left) {
            expect_part(buffer, 0, left, 0.0, 0.5);
            count += elements_detection_count(left);
        }
        if (cases[i].right) {
            expect_part(buffer, count, right, 0.5, 1.0);
            count += elements_detection_count(right);
        }
        ck_assert_msg(elements_detection_count(buffer) == count, "%s: %u detections, expected %u",
                      cases[i].launch, elements_detection_count(buffer), count);
        ck_assert_uint_eq(count_regions(buffer), 5 + count); /* those that came are still there */
        gst_buffer_unref(buffer);
    }
    gst_buffer_unref(left);
    gst_buffer_unref(right);
}
END_TEST

START_TEST(test_no_region)
{
    GstBuffer *buffer = detect(LIST, CAPS, elements_picture(CAPS, 1));
    ck_assert_uint_eq(elements_detection_count(buffer), 0);
    ck_assert_uint_eq(count_regions(buffer), 0);
    gst_buffer_unref(buffer);
}
END_TEST

/* The first 32 are looked at; said once. */
START_TEST(test_too_many)
{
    GstBus *bus;
    GstHarness *harness = elements_harness(LIST "batch-size=4", CAPS, &bus);
    for (guint i = 0; i < 3; i++) {
        GstBuffer *buffer = elements_picture(CAPS, i);
        for (guint k = 0; k < 40; k++)
            add_region(buffer, "cat", 0, 0, WIDTH / 2, HEIGHT);
        ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
        buffer = gst_harness_pull(harness);
        ck_assert_uint_eq(elements_detection_count(buffer) % 32, 0);
        ck_assert_uint_gt(elements_detection_count(buffer), 0);
        gst_buffer_unref(buffer);
        char *text = elements_pop_message(bus, GST_MESSAGE_WARNING);
        ck_assert(i == 0 ? text && strstr(text, "8 regions more than the 32") : text == NULL);
        g_free(text);
    }
    elements_teardown(&harness, &bus);
}
END_TEST

/* ---- Two networks in a row ---- */

/* One list, the first one's detections before the second one's. */
START_TEST(test_two_detectors)
{
    GstBuffer *both = detect(DETECT LEFT "! " DETECT RIGHT "name=second", CAPS, elements_picture(CAPS, 1)),
              *left = detect(DETECT LEFT, CAPS, elements_picture(CAPS, 1)),
              *right = detect(DETECT RIGHT, CAPS, elements_picture(CAPS, 1));
    guint count = elements_detection_count(left) + elements_detection_count(right);
    expect_part(both, 0, left, 0.0, 0.5);
    expect_part(both, elements_detection_count(left), right, 0.5, 1.0);
    ck_assert_uint_eq(elements_detection_count(both), count);
    ck_assert_uint_eq(count_regions(both), count);
    ck_assert_str_eq(gst_structure_get_string(elements_latency(both), SHRIKE_FIELD_STREAM), "second");
    gst_buffer_unref(both);
    gst_buffer_unref(left);
    gst_buffer_unref(right);
}
END_TEST

/* A second detector on the boxes of the first: its boxes are added, those that were there stay as they are.
 */
START_TEST(test_detector_on_boxes)
{
    GstBuffer *first = detect(DETECT, CAPS, elements_picture(CAPS, 1)),
              *both = detect(DETECT "! " LIST, CAPS, elements_picture(CAPS, 1));
    expect_part(both, 0, first, 0.0, 1.0);
    ck_assert_uint_gt(elements_detection_count(both), elements_detection_count(first));
    ck_assert_uint_eq(count_regions(both), elements_detection_count(both));
    gst_buffer_unref(first);
    gst_buffer_unref(both);
}
END_TEST

/* ---- A classifier ---- */

static char *with_classifier(const char *first, const char *settings)
{
    const char *path = test_kit("models/person_detect.tflite");
    if (!path || access(path, R_OK) != 0) {
        printf("skipped: no person_detect.tflite in SHRIKE_KIT\n");
        return NULL;
    }
    return g_strdup_printf("%s shrikedetect model-file=\"%s\" score-threshold=0 inference-region=roi-list %s",
                           first, path, settings);
}

static void check_class(const GstStructure *class)
{
    gint id;
    double confidence;
    ck_assert_ptr_nonnull(class);
    ck_assert_str_eq(gst_structure_get_name(class), SHRIKE_CLASS_PARAMS);
    ck_assert(gst_structure_get_int(class, SHRIKE_FIELD_LABEL_ID, &id));
    ck_assert(gst_structure_get_double(class, SHRIKE_FIELD_CONFIDENCE, &confidence));
    ck_assert(id >= 0 && id < 2 && confidence >= 0.5 && confidence <= 1.0);
    char *label = g_strdup_printf("class %d", id);
    ck_assert_str_eq(gst_structure_get_string(class, SHRIKE_FIELD_LABEL), label);
    g_free(label);
}

static const GstStructure *entry_at(GstBuffer *buffer, guint i)
{
    const GValue *list = gst_structure_get_value(elements_latency(buffer), SHRIKE_FIELD_DETECTIONS);
    return gst_value_get_structure(gst_value_array_get_value(list, i));
}

/* Each region of the first network and its entry in the list have a class, and there is nothing new. */
START_TEST(test_classifier)
{
    char *launch = with_classifier(DETECT "!", "");
    if (!launch)
        return;
    GstBuffer *first = detect(DETECT, CAPS, elements_picture(CAPS, 1)),
              *buffer = detect(launch, CAPS, elements_picture(CAPS, 1));
    elements_same_detections(first, buffer, 0.0);
    ck_assert_uint_eq(count_regions(buffer), count_regions(first));
    gpointer state = NULL;
    guint i = 0;
    for (GstMeta *meta; (meta = gst_buffer_iterate_meta_filtered(
                             buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE));) {
        const GstStructure *of_region, *of_entry = NULL;
        of_region = gst_video_region_of_interest_meta_get_param((GstVideoRegionOfInterestMeta *)meta,
                                                                SHRIKE_CLASS_PARAMS);
        check_class(of_region);
        of_entry =
            gst_value_get_structure(gst_structure_get_value(entry_at(buffer, i++), SHRIKE_CLASS_PARAMS));
        check_class(of_entry);
        ck_assert(gst_structure_is_equal(of_region, of_entry));
    }
    ck_assert_uint_eq(i, elements_detection_count(buffer));
    gst_buffer_unref(first);
    gst_buffer_unref(buffer);
    g_free(launch);
}
END_TEST

/* Regions of others have no entry in the list; those of other classes are let alone. */
START_TEST(test_classifier_of_others)
{
    char *launch = with_classifier("", "object-class=cat");
    if (!launch)
        return;
    GstBuffer *buffer = detect(launch, CAPS, picture_with_regions());
    gpointer state = NULL;
    for (GstMeta *meta; (meta = gst_buffer_iterate_meta_filtered(
                             buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE));) {
        GstVideoRegionOfInterestMeta *region = (GstVideoRegionOfInterestMeta *)meta;
        const GstStructure *class = gst_video_region_of_interest_meta_get_param(region, SHRIKE_CLASS_PARAMS);
        if (region->roi_type == g_quark_from_string("cat"))
            check_class(class);
        else
            ck_assert_ptr_null(class);
    }
    ck_assert_uint_eq(count_regions(buffer), 5);
    gst_buffer_unref(buffer);
    g_free(launch);
}
END_TEST

/* What was said of the regions of one frame is not said of those of the next, and makes no boxes there. */
START_TEST(test_classes_are_not_held)
{
    GstBus *bus;
    char *launch = with_classifier("", "drop-policy=hold inference-interval=2");
    if (!launch)
        return;
    GstHarness *harness = elements_harness(launch, CAPS, &bus);
    for (guint i = 0; i < 2; i++) {
        ck_assert_int_eq(gst_harness_push(harness, picture_with_regions()), GST_FLOW_OK);
        GstBuffer *buffer = gst_harness_pull(harness);
        ck_assert_str_eq(gst_structure_get_string(elements_latency(buffer), SHRIKE_FIELD_STATUS),
                         i ? SHRIKE_STATUS_PASSED : SHRIKE_STATUS_INFERRED);
        ck_assert_uint_eq(count_regions(buffer), 5);
        if (i == 1)
            ck_assert_uint_eq(elements_detection_count(buffer), 0);
        gst_buffer_unref(buffer);
    }
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    g_free(launch);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-regions");
    TCase *tcase = tcase_create("regions");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_like_a_frame);
    tcase_add_test(tcase, test_several_parts);
    tcase_add_test(tcase, test_object_class);
    tcase_add_test(tcase, test_no_region);
    tcase_add_test(tcase, test_too_many);
    tcase_add_test(tcase, test_two_detectors);
    tcase_add_test(tcase, test_detector_on_boxes);
    tcase_add_test(tcase, test_classifier);
    tcase_add_test(tcase, test_classifier_of_others);
    tcase_add_test(tcase, test_classes_are_not_held);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
