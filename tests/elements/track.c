/* shriketrack: the numbers and boxes that it writes on frames.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "track_case.h"

/* ---- Numbers ---- */

START_TEST(test_numbers)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shriketrack", CAPS, &bus);
    for (guint i = 0; i < 8; i++) {
        const struct thing things[] = {{"person", 0, 100 + 8 * i, 100, 60, 150},
                                       {"dog", 17, 400, 300, 80, 60}};
        GstBuffer *buffer = track(harness, frame(i, i % 2 ? "inferred" : NULL, 0, things, 2));
        ck_assert_int_eq(id_of(buffer, 0), i < 2 ? 0 : 1);
        ck_assert_int_eq(id_of(buffer, 1), i < 2 ? 0 : 2);
        ck_assert_uint_eq(count_regions(buffer), 2);
        ck_assert_uint_eq(elements_detection_count(buffer), 2);
        ck_assert(!gst_structure_has_field(entry(buffer, 0), "predicted"));
        ck_assert_str_eq(gst_structure_get_string(entry(buffer, 1), "label"), "dog");
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_eq(stat_of(harness, "created"), 2);
    ck_assert_uint_eq(stat_of(harness, "alive"), 2);
    ck_assert_uint_eq(stat_of(harness, "lost"), 0);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

/* Two that overlap a lot: each region has its own entry, in whatever order. */
START_TEST(test_close_together)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
    gst_harness_set_src_caps_str(harness, CAPS);
    for (guint i = 0; i < 4; i++) {
        const struct thing left = {"person", 0, 100, 100, 60, 150}, right = {"person", 0, 112, 100, 60, 150};
        const struct thing things[] = {i % 2 ? right : left, i % 2 ? left : right};
        GstBuffer *buffer = track(harness, frame(i, "inferred", 0, things, 2));
        ck_assert_int_eq(id_of(buffer, i % 2), 1);
        ck_assert_int_eq(id_of(buffer, 1 - i % 2), 2);
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_eq(stat_of(harness, "created"), 2);
    gst_harness_teardown(harness);
}
END_TEST

/* The same box twice: the first entry is the first region's. */
START_TEST(test_same_box_twice)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
    gst_harness_set_src_caps_str(harness, CAPS);
    for (guint i = 0; i < 3; i++) {
        const struct thing things[] = {{"person", 0, 100, 100, 60, 150}, {"person", 0, 100, 100, 60, 150}};
        GstBuffer *buffer = track(harness, frame(i, "inferred", 0, things, 2));
        ck_assert_int_ne(id_of(buffer, 0), id_of(buffer, 1));
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_eq(stat_of(harness, "created"), 2);
    gst_harness_teardown(harness);
}
END_TEST

/* Regions of other elements: no "detection", no ShrikeLatency. Nothing of that kind is made up. */
START_TEST(test_others_regions)
{
    GstHarness *harness = gst_harness_new("shriketrack");
    gst_harness_set_src_caps_str(harness, CAPS);
    for (guint i = 0; i < 5; i++) {
        const struct thing face = {"face", -1, 200 + 10 * i, 50, 50, 50};
        GstBuffer *buffer = empty_frame(i);
        add_region(buffer, &face);
        buffer = track(harness, buffer);
        ck_assert_int_eq(region_id(buffer, 0), i < 2 ? 0 : 1);
        ck_assert_ptr_null(gst_video_region_of_interest_meta_get_param(nth_region(buffer, 0), "detection"));
        ck_assert_ptr_null(gst_buffer_get_custom_meta(buffer, "ShrikeLatency"));
        gst_buffer_unref(buffer);
    }
    gst_harness_teardown(harness);
}
END_TEST

/* As they are behind a converter that drops regions. */
START_TEST(test_only_entries)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
    gst_harness_set_src_caps_str(harness, CAPS);
    for (guint i = 0; i < 5; i++) {
        const struct thing things[] = {{"cat", 16, 50 + 5 * i, 50, 90, 50},
                                       {"cat", 16, 300, 50 + 5 * i, 90, 50}};
        GstBuffer *buffer = empty_frame(i);
        GValue list = G_VALUE_INIT;
        g_value_init(&list, GST_TYPE_ARRAY);
        append_entry(&list, &things[i % 2]);
        append_entry(&list, &things[1 - i % 2]);
        set_list(buffer, &list, "inferred", 0);
        buffer = track(harness, buffer);
        ck_assert_uint_eq(count_regions(buffer), 0);
        ck_assert_int_eq(entry_id(buffer, i % 2), 1);
        ck_assert_int_eq(entry_id(buffer, 1 - i % 2), 2);
        gst_buffer_unref(buffer);
    }
    gst_harness_teardown(harness);
}
END_TEST

/* The regions of another element, and a classifier's entries about them: one object each. */
START_TEST(test_classified_regions)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
    gst_harness_set_src_caps_str(harness, CAPS);
    const struct thing dog = {"dog", 17, 400, 300, 81, 61}, breed = {"beagle", 3, 400, 300, 81, 61},
                       other = {"dog", 17, 100, 100, 50, 50};
    for (guint i = 0; i < 3; i++) {
        GstBuffer *buffer = empty_frame(i);
        GValue list = G_VALUE_INIT;
        add_region(buffer, &other);
        add_region(buffer, &dog);
        g_value_init(&list, GST_TYPE_ARRAY);
        append_entry(&list, &breed);
        set_list(buffer, &list, "inferred", 0);
        buffer = track(harness, buffer);
        ck_assert_int_eq(region_id(buffer, 0), 1);
        ck_assert_int_eq(region_id(buffer, 1), 2);
        ck_assert_int_eq(entry_id(buffer, 0), 2);
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_eq(stat_of(harness, "created"), 2);
    gst_harness_teardown(harness);
}
END_TEST

/* Numbers of another tracker give way, also where we have none. */
START_TEST(test_others_numbers)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=2");
    gst_harness_set_src_caps_str(harness, CAPS);
    for (guint i = 0; i < 3; i++) {
        GstBuffer *buffer = inferred(i, 100);
        gst_video_region_of_interest_meta_add_param(
            nth_region(buffer, 0), gst_structure_new("object_id", "id", G_TYPE_INT, 55, NULL));
        ck_assert_int_eq(track_id(harness, buffer), i < 1 ? 0 : 1);
    }
    gst_harness_teardown(harness);
}
END_TEST

START_TEST(test_match_classes)
{
    for (guint match = 0; match < 2; match++) {
        GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
        gst_harness_set(harness, "shriketrack", "match-classes", match, NULL);
        gst_harness_set_src_caps_str(harness, CAPS);
        const struct thing dog = {"dog", 17, 100, 100, 60, 150};
        ck_assert_int_eq(track_id(harness, inferred(0, 100)), 1);
        ck_assert_int_eq(track_id(harness, frame(1, NULL, 0, &dog, 1)), match ? 2 : 1);
        gst_harness_teardown(harness);
    }
}
END_TEST

/* ---- Frames without inference ---- */

static void check_predicted(GstBuffer *buffer, guint x, gint id)
{
    double value, found[6];
    gboolean predicted = FALSE;
    GstVideoRegionOfInterestMeta *region = nth_region(buffer, 0);
    const GstStructure *detection = gst_video_region_of_interest_meta_get_param(region, "detection");
    ck_assert_int_eq(id_of(buffer, 0), id);
    ck_assert_str_eq(g_quark_to_string(region->roi_type), "person");
    ck_assert_double_eq_tol(region->x, x, 2);
    ck_assert_double_eq_tol(region->y, 100, 2);
    ck_assert_double_eq_tol(region->w, 60, 3);
    ck_assert_double_eq_tol(region->h, 150, 3);
    ck_assert(gst_structure_get_boolean(detection, "predicted", &predicted) && predicted);
    predicted = FALSE;
    ck_assert(gst_structure_get_boolean(entry(buffer, 0), "predicted", &predicted) && predicted);
    ck_assert(gst_structure_get_double(detection, "confidence", &value) && value == 0.75);
    elements_detection(buffer, 0, found);
    ck_assert_double_eq(found[0], 0);
    ck_assert_double_eq_tol(found[2] * 640, region->x, 0.6);
    ck_assert_double_eq_tol(found[5] * 480, region->y + region->h, 0.6);
    ck_assert_str_eq(gst_structure_get_string(entry(buffer, 0), "label"), "person");
}

/* Two of three frames pass: each has a box where the person walks. */
START_TEST(test_passed)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack");
    gst_harness_set_src_caps_str(harness, CAPS);
    for (guint i = 0; i < 45; i++) {
        if (i % 3 == 0) {
            ck_assert_int_eq(track_id(harness, inferred(i, 100 + 5 * i)), i < 6 ? 0 : 1);
            continue;
        }
        GstBuffer *buffer = track(harness, frame(i, "passed", 0, NULL, 0));
        ck_assert_uint_eq(count_regions(buffer), 1);
        ck_assert_uint_eq(elements_detection_count(buffer), 1);
        if (i > 12)
            check_predicted(buffer, 100 + 5 * i, 1);
        else
            ck_assert_int_eq(id_of(buffer, 0), i < 6 ? 0 : 1);
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_eq(stat_of(harness, "created"), 1);
    gst_harness_teardown(harness);
}
END_TEST

/* Predictions are written as the objects were: here as entries only. */
START_TEST(test_predicted_as_found)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
    const struct thing cat = {"cat", 16, 50, 50, 90, 50};
    GstBuffer *buffer = empty_frame(0);
    GValue list = G_VALUE_INIT;
    gst_harness_set_src_caps_str(harness, CAPS);
    g_value_init(&list, GST_TYPE_ARRAY);
    append_entry(&list, &cat);
    set_list(buffer, &list, "inferred", 0);
    gst_buffer_unref(track(harness, buffer));
    for (guint i = 1; i < 4; i++) {
        buffer = track(harness, frame(i, "passed", 0, NULL, 0));
        ck_assert_uint_eq(count_regions(buffer), 0);
        ck_assert_uint_eq(elements_detection_count(buffer), 1);
        ck_assert_int_eq(entry_id(buffer, 0), 1);
        gst_buffer_unref(buffer);
    }
    gst_harness_teardown(harness);
}
END_TEST

/* However many frames pass: only time ends a track. */
START_TEST(test_passing_is_no_miss)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack predict=false max-age=2000");
    gst_harness_set_src_caps_str(harness, CAPS);
    guint i;
    for (i = 0; i < 3; i++)
        track_id(harness, inferred(i, 100));
    for (; i < 50; i++) {
        GstBuffer *buffer = track(harness, frame(i, "passed", 0, NULL, 0));
        ck_assert_uint_eq(count_regions(buffer), 0);
        ck_assert_uint_eq(elements_detection_count(buffer), 0);
        gst_buffer_unref(buffer);
    }
    ck_assert_int_eq(track_id(harness, inferred(i, 100)), 1);
    for (i++; i < 102; i++)
        gst_buffer_unref(track(harness, frame(i, "passed", 0, NULL, 0)));
    ck_assert_uint_eq(stat_of(harness, "lost"), 1);
    gst_harness_teardown(harness);
}
END_TEST

/* Predictions end at the edge of the frame. */
START_TEST(test_leaving)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1 max-age=10000");
    gst_harness_set_src_caps_str(harness, CAPS);
    guint i, regions = 1;
    for (i = 0; i < 10; i++)
        track_id(harness, inferred(i, 440 + 15 * i)); /* the last one ends at pixel 635 */
    for (; i < 30; i++) {
        GstBuffer *buffer = track(harness, frame(i, "passed", 0, NULL, 0));
        ck_assert_uint_le(count_regions(buffer), regions);
        regions = count_regions(buffer);
        if (regions) {
            GstVideoRegionOfInterestMeta *region = nth_region(buffer, 0);
            ck_assert_uint_le(region->x + region->w, 640);
            ck_assert_uint_ge(region->w, 1);
        }
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_eq(regions, 0);
    gst_harness_teardown(harness);
}
END_TEST

/* Boxes of an earlier frame keep the numbers that they had there. */
START_TEST(test_held)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack");
    gst_harness_set_src_caps_str(harness, CAPS);
    const struct thing unknown = {"person", 0, 10, 300, 60, 150};
    guint i;
    for (i = 0; i < 5; i++)
        track_id(harness, inferred(i, 100 + 20 * i));
    const struct thing held = {"person", 0, 180, 100, 60, 150}, things[] = {unknown, held};
    for (guint age = 1; age <= 10; age++, i++) {
        GstBuffer *buffer = track(harness, frame(i, "held", age * 40 * GST_MSECOND, things, 2));
        ck_assert_uint_eq(count_regions(buffer), 2);
        ck_assert_int_eq(id_of(buffer, 0), 0);
        ck_assert_int_eq(id_of(buffer, 1), 1);
        gst_buffer_unref(buffer);
    }
    ck_assert_int_eq(track_id(harness, inferred(i, 100 + 20 * i)), 1);
    gst_harness_teardown(harness);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("track");
    TCase *tcase = tcase_create("track");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_numbers);
    tcase_add_test(tcase, test_close_together);
    tcase_add_test(tcase, test_same_box_twice);
    tcase_add_test(tcase, test_others_regions);
    tcase_add_test(tcase, test_only_entries);
    tcase_add_test(tcase, test_classified_regions);
    tcase_add_test(tcase, test_others_numbers);
    tcase_add_test(tcase, test_match_classes);
    tcase_add_test(tcase, test_passed);
    tcase_add_test(tcase, test_predicted_as_found);
    tcase_add_test(tcase, test_passing_is_no_miss);
    tcase_add_test(tcase, test_leaving);
    tcase_add_test(tcase, test_held);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, 0);
}
