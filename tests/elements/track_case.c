/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "track_case.h"

/* ---- Frames ---- */

GstVideoRegionOfInterestMeta *add_region(GstBuffer *buffer, const struct thing *thing)
{
    return gst_buffer_add_video_region_of_interest_meta(buffer, thing->label, thing->x, thing->y, thing->w,
                                                        thing->h);
}

static GstStructure *detection_of(const struct thing *thing)
{
    return gst_structure_new(
        "detection", "label_id", G_TYPE_INT, thing->label_id, "confidence", G_TYPE_DOUBLE, 0.75, "x_min",
        G_TYPE_DOUBLE, thing->x / 640.0, "y_min", G_TYPE_DOUBLE, thing->y / 480.0, "x_max", G_TYPE_DOUBLE,
        (thing->x + thing->w) / 640.0, "y_max", G_TYPE_DOUBLE, (thing->y + thing->h) / 480.0, NULL);
}

void append_entry(GValue *list, const struct thing *thing)
{
    GValue value = G_VALUE_INIT;
    GstStructure *entry = detection_of(thing);
    gst_structure_set(entry, "label", G_TYPE_STRING, thing->label, NULL);
    g_value_init(&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed(&value, entry);
    gst_value_array_append_and_take_value(list, &value);
}

GstBuffer *empty_frame(guint number)
{
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, 100, NULL);
    gst_buffer_memset(buffer, 0, 77, 100);
    GST_BUFFER_PTS(buffer) = number * 40 * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = 40 * GST_MSECOND;
    return buffer;
}

void set_list(GstBuffer *buffer, GValue *list, const char *status, guint64 age)
{
    GstStructure *fields = gst_custom_meta_get_structure(gst_buffer_add_custom_meta(buffer, "ShrikeLatency"));
    if (status)
        gst_structure_set(fields, "status", G_TYPE_STRING, status, "age", G_TYPE_UINT64, age, NULL);
    gst_structure_take_value(fields, "detections", list);
}

GstBuffer *frame(guint number, const char *status, guint64 age, const struct thing *things, guint count)
{
    GstBuffer *buffer = empty_frame(number);
    GValue list = G_VALUE_INIT;
    g_value_init(&list, GST_TYPE_ARRAY);
    for (guint i = 0; i < count; i++) {
        gst_video_region_of_interest_meta_add_param(add_region(buffer, &things[i]), detection_of(&things[i]));
        append_entry(&list, &things[i]);
    }
    set_list(buffer, &list, status, age);
    return buffer;
}

GstBuffer *inferred(guint number, guint x)
{
    const struct thing person = {"person", 0, x, 100, 60, 150};
    return frame(number, "inferred", 0, &person, 1);
}

GstBuffer *track(GstHarness *harness, GstBuffer *buffer)
{
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    return gst_harness_pull(harness);
}

/* ---- Results ---- */

GstVideoRegionOfInterestMeta *nth_region(GstBuffer *buffer, guint index)
{
    gpointer state = NULL;
    GstMeta *meta = NULL;
    for (guint i = 0; i <= index; i++)
        meta = gst_buffer_iterate_meta_filtered(buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
    ck_assert_ptr_nonnull(meta);
    return (GstVideoRegionOfInterestMeta *)meta;
}

guint count_regions(GstBuffer *buffer)
{
    return gst_buffer_get_n_meta(buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
}

/* 0 without the field; a number that is not positive fails the test. */
static gint number_in(const GstStructure *structure, const char *field)
{
    gint id;
    if (!structure || !gst_structure_has_field(structure, field))
        return 0;
    ck_assert(gst_structure_get_int(structure, field, &id));
    ck_assert_int_gt(id, 0);
    return id;
}

/* The same in both structures, where there is a "detection". */
gint region_id(GstBuffer *buffer, guint index)
{
    GstVideoRegionOfInterestMeta *region = nth_region(buffer, index);
    const GstStructure *detection = gst_video_region_of_interest_meta_get_param(region, "detection");
    gint id = number_in(gst_video_region_of_interest_meta_get_param(region, "object_id"), "id");
    if (detection)
        ck_assert_int_eq(number_in(detection, "track_id"), id);
    return id;
}

const GstStructure *entry(GstBuffer *buffer, guint index)
{
    const GValue *list = gst_structure_get_value(elements_latency(buffer), "detections");
    ck_assert_uint_lt(index, gst_value_array_get_size(list));
    return gst_value_get_structure(gst_value_array_get_value(list, index));
}

gint entry_id(GstBuffer *buffer, guint index)
{
    return number_in(entry(buffer, index), "track_id");
}

/* Of an object that is region and entry `index`. */
gint id_of(GstBuffer *buffer, guint index)
{
    gint id = region_id(buffer, index);
    ck_assert_int_eq(entry_id(buffer, index), id);
    return id;
}

gint track_id(GstHarness *harness, GstBuffer *buffer)
{
    buffer = track(harness, buffer);
    gint id = id_of(buffer, 0);
    gst_buffer_unref(buffer);
    return id;
}

guint64 stat_of(GstHarness *harness, const char *field)
{
    GstStructure *stats;
    guint64 value;
    GstElement *element = gst_harness_find_element(harness, "shriketrack");
    g_object_get(element, "stats", &stats, NULL);
    ck_assert_msg(gst_structure_get_uint64(stats, field, &value), "no %s in stats", field);
    gst_structure_free(stats);
    gst_object_unref(element);
    return value;
}
