/* shriketrack in a stream: resets, memory, any caps, bad input, other elements.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "track_case.h"

#include <math.h>

/* ---- Stream ---- */

static void check_new_number(GstHarness *harness, guint number, gint id)
{
    ck_assert_int_eq(track_id(harness, inferred(number, 100)), id);
    ck_assert_uint_eq(stat_of(harness, "created"), (guint64)id);
    ck_assert_uint_eq(stat_of(harness, "lost"), (guint64)id - 1);
}

START_TEST(test_reset)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_set_src_caps_str(harness, CAPS);
    check_new_number(harness, 0, 1);
    gst_harness_push_event(harness, gst_event_new_flush_start());
    gst_harness_push_event(harness, gst_event_new_flush_stop(TRUE));
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
    check_new_number(harness, 1, 2);
    gst_harness_set_src_caps_str(harness, "video/x-raw,format=NV12,width=640,height=480,framerate=25/1");
    ck_assert_int_eq(track_id(harness, inferred(2, 100)), 2); /* the same picture */
    gst_harness_set_src_caps_str(harness, SIZE(642, 480));    /* entries still lie on their regions */
    check_new_number(harness, 3, 3);
    gst_harness_push_event(harness, gst_event_new_stream_start("another"));
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
    check_new_number(harness, 4, 4);
    gst_element_set_state(harness->element, GST_STATE_READY);
    gst_element_set_state(harness->element, GST_STATE_PLAYING);
    gst_harness_push_event(harness, gst_event_new_stream_start("another"));
    gst_harness_set_src_caps_str(harness, CAPS);
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
    check_new_number(harness, 5, 5);
    gst_harness_teardown(harness);
}
END_TEST

/* The pixels stay where they are, and a frame that others hold stays as it was. */
START_TEST(test_shared_buffer)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
    gst_harness_set_src_caps_str(harness, CAPS);
    GstBuffer *buffer = inferred(0, 100), *result = track(harness, gst_buffer_ref(buffer));
    ck_assert_ptr_ne(result, buffer);
    ck_assert_ptr_eq(gst_buffer_peek_memory(result, 0), gst_buffer_peek_memory(buffer, 0));
    ck_assert_int_eq(id_of(result, 0), 1);
    ck_assert_int_eq(id_of(buffer, 0), 0);
    ck_assert_uint_eq(GST_BUFFER_PTS(result), GST_BUFFER_PTS(buffer));
    gst_buffer_unref(buffer);
    gst_buffer_unref(result);
    buffer = inferred(1, 100);
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_GAP);
    result = track(harness, buffer);
    ck_assert_ptr_eq(result, buffer);
    ck_assert(GST_BUFFER_FLAG_IS_SET(result, GST_BUFFER_FLAG_GAP));
    ck_assert_int_eq(id_of(result, 0), 1);
    gst_buffer_unref(result);
    gst_harness_teardown(harness);
}
END_TEST

static const char *const any_caps[] = {
    "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12,width=640,height=480,framerate=25/1",
    "video/x-raw(memory:VulkanImage),format=NV12,width=640,height=480,framerate=0/1",
    "video/x-raw,format=GRAY16_LE,width=640,height=480,framerate=25/1",
    "video/x-raw(memory:SystemMemory,meta:GstVideoOverlayComposition),format=RGB,width=640,height=480"};

START_TEST(test_any_caps)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
    gst_harness_set_src_caps_str(harness, any_caps[_i]);
    GstBuffer *buffer = inferred(0, 100);
    GST_BUFFER_DURATION(buffer) = GST_CLOCK_TIME_NONE;
    ck_assert_int_eq(track_id(harness, buffer), 1);
    gst_harness_teardown(harness);
}
END_TEST

/* Upstream asks downstream about memory, through us. */
START_TEST(test_allocation)
{
    GstHarness *harness = gst_harness_new("shriketrack");
    gst_harness_add_propose_allocation_meta(harness, GST_VIDEO_META_API_TYPE, NULL);
    gst_harness_set_src_caps_str(harness, CAPS);
    gst_buffer_unref(track(harness, inferred(0, 100)));
    GstCaps *caps = gst_caps_from_string(CAPS);
    GstQuery *query = gst_query_new_allocation(caps, TRUE);
    ck_assert(gst_pad_peer_query(harness->srcpad, query));
    ck_assert(gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL));
    gst_query_unref(query);
    gst_caps_unref(caps);
    gst_harness_teardown(harness);
}
END_TEST

/* ---- Bad input ---- */

static void append_strange(GValue *list, GstStructure *structure)
{
    GValue value = G_VALUE_INIT;
    g_value_init(&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed(&value, structure);
    gst_value_array_append_and_take_value(list, &value);
}

static GstBuffer *strange_frame(guint number)
{
    static const struct thing regions[] = {{"a", 0, 0, 0, 0, 0},
                                           {"a", 0, 4294967295u, 4294967295u, 4294967295u, 4294967295u},
                                           {"a", 0, 5, 5, 0, 100},
                                           {"a", -5, 10000, 10000, 20, 20}};
    GstBuffer *buffer = empty_frame(number);
    GValue list = G_VALUE_INIT;
    for (gsize i = 0; i < G_N_ELEMENTS(regions); i++)
        add_region(buffer, &regions[i]);
    g_value_init(&list, GST_TYPE_ARRAY);
    append_strange(&list, NULL);
    append_strange(&list, gst_structure_new_empty("nothing"));
    append_strange(&list, gst_structure_new("detection", "x_min", G_TYPE_DOUBLE, NAN, "y_min", G_TYPE_DOUBLE,
                                            -INFINITY, "x_max", G_TYPE_DOUBLE, INFINITY, "y_max",
                                            G_TYPE_DOUBLE, 1e308, "label", G_TYPE_INT, 5, NULL));
    append_strange(&list, gst_structure_new("detection", "x_min", G_TYPE_STRING, "0.1", "y_min", G_TYPE_INT,
                                            0, "x_max", G_TYPE_FLOAT, 0.5f, NULL));
    set_list(buffer, &list, "inferred", 0);
    return buffer;
}

START_TEST(test_strange_boxes)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shriketrack min-hits=1", CAPS, &bus);
    for (guint i = 0; i < 3; i++) {
        GstBuffer *buffer = track(harness, strange_frame(i));
        ck_assert_uint_eq(count_regions(buffer), 4);
        ck_assert_uint_eq(elements_detection_count(buffer), 4);
        for (guint k = 0; k < 3; k++)
            ck_assert_int_eq(region_id(buffer, k), 0);
        ck_assert_int_eq(region_id(buffer, 3), 1); /* outside of the frame, but a box */
        for (guint k = 1; k < 4; k++)
            ck_assert_int_eq(entry_id(buffer, k), 0);
        gst_buffer_unref(buffer);
    }
    GstBuffer *buffer = track(harness, frame(3, "passed", 0, NULL, 0));
    ck_assert_uint_eq(count_regions(buffer), 0);
    gst_buffer_unref(buffer);
    ck_assert_uint_gt(stat_of(harness, "invalid"), 0);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

/* Fields of other types than ours. */
START_TEST(test_strange_meta)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
    gst_harness_set_src_caps_str(harness, CAPS);
    for (guint i = 0; i < 4; i++) {
        const struct thing person = {"person", 0, 100, 100, 60, 150};
        GstBuffer *buffer = empty_frame(i);
        GstStructure *fields =
            gst_custom_meta_get_structure(gst_buffer_add_custom_meta(buffer, "ShrikeLatency"));
        add_region(buffer, &person);
        if (i == 1)
            gst_structure_set(fields, "status", G_TYPE_INT, 5, "detections", G_TYPE_STRING, "none", NULL);
        if (i == 2)
            gst_structure_set(fields, "status", G_TYPE_STRING, "held", "age", G_TYPE_STRING, "old", NULL);
        if (i == 3)
            gst_structure_set(fields, "status", G_TYPE_STRING, "held", "age", G_TYPE_UINT64, G_MAXUINT64,
                              NULL);
        buffer = track(harness, buffer);
        ck_assert_int_eq(region_id(buffer, 0), 1);
        gst_buffer_unref(buffer);
    }
    GValue texts = G_VALUE_INIT, text = G_VALUE_INIT;
    g_value_init(&texts, GST_TYPE_ARRAY);
    g_value_init(&text, G_TYPE_STRING);
    g_value_set_string(&text, "not a structure");
    gst_value_array_append_and_take_value(&texts, &text);
    GstBuffer *buffer = empty_frame(4);
    set_list(buffer, &texts, "passed", 0);
    buffer = track(harness, buffer);
    ck_assert_uint_eq(elements_detection_count(buffer), 1);
    ck_assert_int_eq(id_of(buffer, 0), 1);
    gst_buffer_unref(buffer);
    buffer = empty_frame(5);
    gst_structure_set(gst_custom_meta_get_structure(gst_buffer_add_custom_meta(buffer, "ShrikeLatency")),
                      "status", G_TYPE_STRING, "passed", NULL);
    buffer = track(harness, buffer);
    ck_assert_uint_eq(elements_detection_count(buffer), 1);
    ck_assert_int_eq(id_of(buffer, 0), 1);
    gst_buffer_unref(buffer);
    gst_harness_teardown(harness);
}
END_TEST

START_TEST(test_too_many)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack min-hits=1");
    gst_harness_set_src_caps_str(harness, CAPS);
    for (guint i = 0; i < 2; i++) {
        struct thing things[400];
        for (guint k = 0; k < 400; k++)
            things[k] = (struct thing){"ant", 2, k % 25 * 25, k / 25 * 25, 20, 20};
        GstBuffer *buffer = track(harness, frame(i, "inferred", 0, things, 400));
        for (guint k = 0; k < 400; k++)
            ck_assert_int_eq(id_of(buffer, k), k < 256 ? (gint)k + 1 : 0);
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_eq(stat_of(harness, "alive"), 256);
    ck_assert_uint_ge(stat_of(harness, "crowded"), 2 * 144);
    gst_harness_teardown(harness);
}
END_TEST

START_TEST(test_times)
{
    GstHarness *harness = gst_harness_new_parse("shriketrack");
    static const guint64 times[] = {0, 1, 2, 1, 0, G_MAXUINT64, G_MAXUINT64, 3, 3, 3, 2};
    gst_harness_set_src_caps_str(harness, CAPS);
    for (guint i = 0; i < G_N_ELEMENTS(times); i++) {
        GstBuffer *buffer = inferred(0, 100 + 10 * i);
        GST_BUFFER_PTS(buffer) = times[i] == G_MAXUINT64 ? times[i] : times[i] * 40 * GST_MSECOND;
        ck_assert_int_eq(track_id(harness, buffer), i < 2 ? 0 : 1);
    }
    gst_harness_teardown(harness);
}
END_TEST

/* ---- Together ---- */

/* One frame of three is inferred; all have boxes, with the numbers of the last inferred one. */
START_TEST(test_after_detector)
{
    GstBus *bus;
    GstHarness *harness =
        elements_harness("shrikedetect device=cpu-reference score-threshold=0.02 max-detections=5 "
                         "inference-interval=3 max-in-flight=1 ! shriketrack min-hits=1 ! shrikeoverlay",
                         SIZE(160, 120), &bus);
    for (guint i = 0; i < 7; i++) {
        GstBuffer *buffer = elements_picture(SIZE(160, 120), 1);
        GST_BUFFER_PTS(buffer) = i * 40 * GST_MSECOND;
        buffer = track(harness, buffer);
        guint count = elements_detection_count(buffer);
        const char *status = gst_structure_get_string(elements_latency(buffer), "status");
        ck_assert_str_eq(status, i % 3 ? "passed" : "inferred");
        ck_assert_uint_ge(count, 1);
        ck_assert_uint_eq(count_regions(buffer), count);
        for (guint k = 0; k < count; k++) {
            ck_assert_int_ge(id_of(buffer, k), 1);
            ck_assert_int_le(id_of(buffer, k), 5);
            ck_assert_int_eq(gst_structure_has_field(entry(buffer, k), "predicted"), i % 3 != 0);
        }
        gst_buffer_unref(buffer);
    }
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

START_TEST(test_properties)
{
    gfloat threshold;
    guint age, hits;
    gboolean match, predict;
    GstElement *element = gst_element_factory_make("shriketrack", NULL);
    g_object_get(element, "iou-threshold", &threshold, "max-age", &age, "min-hits", &hits, "match-classes",
                 &match, "predict", &predict, NULL);
    ck_assert(threshold == 0.3f && age == 1000 && hits == 3 && match && predict);
    g_object_set(element, "iou-threshold", 0.5, "max-age", G_MAXUINT, "min-hits", 7, "match-classes", FALSE,
                 "predict", FALSE, NULL);
    g_object_get(element, "iou-threshold", &threshold, "max-age", &age, "min-hits", &hits, "match-classes",
                 &match, "predict", &predict, NULL);
    ck_assert(threshold == 0.5f && age == G_MAXUINT && hits == 7 && !match && !predict);
    gst_object_unref(gst_object_ref_sink(element));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("track-stream");
    TCase *tcase = tcase_create("track-stream");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_reset);
    tcase_add_test(tcase, test_shared_buffer);
    tcase_add_loop_test(tcase, test_any_caps, 0, G_N_ELEMENTS(any_caps));
    tcase_add_test(tcase, test_allocation);
    tcase_add_test(tcase, test_strange_boxes);
    tcase_add_test(tcase, test_strange_meta);
    tcase_add_test(tcase, test_too_many);
    tcase_add_test(tcase, test_times);
    tcase_add_test(tcase, test_after_detector);
    tcase_add_test(tcase, test_properties);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, 0);
}
