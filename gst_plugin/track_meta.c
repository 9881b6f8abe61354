/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "track_meta.h"

#include <math.h>

#include "shrike_meta.h"
#include "track_analytics.h"

/* A region's pixels are whole and may have been scaled since; what has another label must lie closer. */
#define EDGE_TOLERANCE 1.0
#define SAME_BOX       0.5
#define SAME_REGION    0.9

static GstStructure *latency_of(GstBuffer *buffer)
{
    GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, SHRIKE_LATENCY_META);
    return meta ? gst_custom_meta_get_structure(meta) : NULL;
}

/* NULL if there is no list of structures. An array has entries of one type. */
static const GValue *detections_of(const GstStructure *fields)
{
    const GValue *list = fields ? gst_structure_get_value(fields, SHRIKE_FIELD_DETECTIONS) : NULL;
    if (!list || !GST_VALUE_HOLDS_ARRAY(list))
        return NULL;
    gboolean empty = gst_value_array_get_size(list) == 0;
    return empty || GST_VALUE_HOLDS_STRUCTURE(gst_value_array_get_value(list, 0)) ? list : NULL;
}

/* ---- Reading ---- */

static void read_status(struct track_frame *frame, const GstStructure *fields)
{
    const char *status = fields ? gst_structure_get_string(fields, SHRIKE_FIELD_STATUS) : NULL;
    frame->status = TRACK_INFERRED;
    frame->age = 0;
    if (g_strcmp0(status, SHRIKE_STATUS_PASSED) == 0)
        frame->status = TRACK_PASSED;
    if (g_strcmp0(status, SHRIKE_STATUS_HELD) == 0) {
        frame->status = TRACK_HELD;
        gst_structure_get_uint64(fields, SHRIKE_FIELD_AGE, &frame->age);
    }
}

static void read_class(struct tracker_object *object, const GstStructure *detection)
{
    if (!detection)
        return;
    gst_structure_get_int(detection, SHRIKE_FIELD_LABEL_ID, &object->label_id);
    gst_structure_get_double(detection, SHRIKE_FIELD_CONFIDENCE, &object->confidence);
}

static void append(struct track_frame *frame, const struct tracker_object *object,
                   GstVideoRegionOfInterestMeta *region, gint entry)
{
    if (frame->count == TRACKER_MAX_OBJECTS) {
        frame->left_out++;
        return;
    }
    frame->objects[frame->count] = *object;
    frame->regions[frame->count] = region;
    frame->entries[frame->count++] = entry;
}

static void read_regions(struct track_frame *frame, GstBuffer *buffer)
{
    gpointer state = NULL;
    GstMeta *meta;
    while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state,
                                                    GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
        GstVideoRegionOfInterestMeta *region = (GstVideoRegionOfInterestMeta *)meta;
        double x = region->x, y = region->y;
        struct tracker_object object = {.box = {x, y, x + region->w, y + region->h},
                                        .class_id = region->roi_type,
                                        .label_id = -1,
                                        .confidence = -1};
        read_class(&object, gst_video_region_of_interest_meta_get_param(region, SHRIKE_DETECTION_PARAMS));
        append(frame, &object, region, -1);
        frame->kinds |= DETECT_META_ROI;
    }
}

static void read_entry(struct tracker_object *object, const GstStructure *entry, double width, double height)
{
    const char *label = gst_structure_get_string(entry, SHRIKE_FIELD_LABEL);
    double x_min = NAN, y_min = NAN, x_max = NAN, y_max = NAN;
    gst_structure_get_double(entry, SHRIKE_FIELD_X_MIN, &x_min);
    gst_structure_get_double(entry, SHRIKE_FIELD_Y_MIN, &y_min);
    gst_structure_get_double(entry, SHRIKE_FIELD_X_MAX, &x_max);
    gst_structure_get_double(entry, SHRIKE_FIELD_Y_MAX, &y_max);
    *object = (struct tracker_object){.box = {x_min * width, y_min * height, x_max * width, y_max * height},
                                      .class_id = label ? g_quark_from_string(label) : 0,
                                      .label_id = -1,
                                      .confidence = -1};
    read_class(object, entry);
}

static gboolean near_by(const struct tracker_box *a, const struct tracker_box *b)
{
    return fabs(a->x_min - b->x_min) <= EDGE_TOLERANCE && fabs(a->y_min - b->y_min) <= EDGE_TOLERANCE &&
           fabs(a->x_max - b->x_max) <= EDGE_TOLERANCE && fabs(a->y_max - b->y_max) <= EDGE_TOLERANCE;
}

/* How much a region looks like an entry's object: more than 0 if it may be the same. */
static double likeness(const struct tracker_object *region, const struct tracker_object *entry)
{
    double overlap = tracker_box_overlap(&region->box, &entry->box);
    gboolean same_label = region->class_id == entry->class_id;
    if (same_label && (overlap >= SAME_BOX || near_by(&region->box, &entry->box)))
        return 1 + overlap;
    return overlap >= SAME_REGION ? overlap : 0;
}

/* The region of the same object that has no entry yet, or -1. Both lists are in the same order, so of equals
 * it is the first. A classifier's entry has the box of a region, but a label of its own. */
static gint find_region(const struct track_frame *frame, const struct tracker_object *entry)
{
    gint best = -1;
    double most = 0;
    for (guint i = 0; i < frame->count; i++) {
        if (!frame->regions[i] || frame->entries[i] >= 0)
            continue;
        double like = likeness(&frame->objects[i], entry);
        if (like > most) {
            most = like;
            best = (gint)i;
        }
    }
    return best;
}

static void read_detections(struct track_frame *frame, const GValue *list, double width, double height)
{
    for (guint e = 0; list && e < gst_value_array_get_size(list); e++) {
        const GstStructure *entry = gst_value_get_structure(gst_value_array_get_value(list, e));
        struct tracker_object object;
        if (!entry)
            continue;
        read_entry(&object, entry, width, height);
        gint region = find_region(frame, &object);
        if (region < 0) {
            append(frame, &object, NULL, (gint)e);
            continue;
        }
        frame->entries[region] = (gint)e;
        if (frame->objects[region].confidence < 0)
            read_class(&frame->objects[region], entry);
    }
}

void track_meta_read(struct track_frame *frame, GstBuffer *buffer, guint width, guint height)
{
    const GstStructure *fields = latency_of(buffer);
    frame->count = frame->left_out = 0;
    frame->width = width;
    frame->height = height;
    frame->kinds = track_analytics_present(buffer) ? DETECT_META_ANALYTICS : 0;
    read_status(frame, fields);
    read_regions(frame, buffer);
    read_detections(frame, detections_of(fields), width, height);
}

/* ---- Writing ---- */

static void set_id(GstStructure *structure, const char *field, gint id)
{
    if (id > 0)
        gst_structure_set(structure, field, G_TYPE_INT, id, NULL);
    else
        gst_structure_remove_field(structure, field);
}

static void number_region(GstVideoRegionOfInterestMeta *region, gint id)
{
    GstStructure *detection = gst_video_region_of_interest_meta_get_param(region, SHRIKE_DETECTION_PARAMS);
    GstStructure *object_id = gst_video_region_of_interest_meta_get_param(region, SHRIKE_TRACK_PARAMS);
    if (detection)
        set_id(detection, SHRIKE_FIELD_TRACK_ID, id);
    if (object_id) /* of another tracker: two kinds of numbers would be worse than none */
        set_id(object_id, SHRIKE_FIELD_ID, id);
    else if (id > 0)
        gst_video_region_of_interest_meta_add_param(
            region, gst_structure_new(SHRIKE_TRACK_PARAMS, SHRIKE_FIELD_ID, G_TYPE_INT, id, NULL));
}

static gint id_of_entry(const struct track_frame *frame, guint entry)
{
    for (guint i = 0; i < frame->count; i++)
        if (frame->entries[i] == (gint)entry)
            return frame->objects[i].track_id;
    return 0;
}

/* What is in a structure is not ours to change: the list is made anew. */
static void number_detections(const struct track_frame *frame, GstStructure *fields)
{
    const GValue *list = detections_of(fields);
    GValue numbered = G_VALUE_INIT;
    if (!list || gst_value_array_get_size(list) == 0)
        return;
    g_value_init(&numbered, GST_TYPE_ARRAY);
    for (guint e = 0; e < gst_value_array_get_size(list); e++) {
        GValue entry = G_VALUE_INIT;
        gst_value_init_and_copy(&entry, gst_value_array_get_value(list, e));
        if (g_value_get_boxed(&entry))
            set_id(g_value_get_boxed(&entry), SHRIKE_FIELD_TRACK_ID, id_of_entry(frame, e));
        gst_value_array_append_and_take_value(&numbered, &entry);
    }
    gst_structure_take_value(fields, SHRIKE_FIELD_DETECTIONS, &numbered);
}

/* As shrikedetect rounds, in float. */
static guint to_pixel(double value, guint size)
{
    return (guint)CLAMP((gfloat)(value / size) * (gfloat)size + 0.5f, 0, (gfloat)size);
}

static struct detect_analytics_object to_pixels(const struct track_frame *frame,
                                                const struct tracker_object *object)
{
    guint left = to_pixel(object->box.x_min, frame->width), top = to_pixel(object->box.y_min, frame->height);
    guint right = to_pixel(object->box.x_max, frame->width),
          bottom = to_pixel(object->box.y_max, frame->height);
    return (struct detect_analytics_object){object->class_id, left,         top,
                                            right - left,     bottom - top, (gfloat)object->confidence};
}

static void number_analytics(GstBuffer *buffer, const struct tracker_object *object,
                             const struct detect_analytics_object *at)
{
    const struct track_analytics_object track = {.track_id = (guint64)object->track_id,
                                                 .label = at->label,
                                                 .x = at->x,
                                                 .y = at->y,
                                                 .width = at->width,
                                                 .height = at->height,
                                                 .first_seen = object->first_seen,
                                                 .last_seen = object->last_seen};
    track_analytics_attach(buffer, &track);
}

static void number_object(const struct track_frame *frame, GstBuffer *buffer, guint index)
{
    const struct tracker_object *object = &frame->objects[index];
    GstVideoRegionOfInterestMeta *region = frame->regions[index];
    if (region)
        number_region(region, object->track_id);
    if (object->track_id > 0 && frame->kinds & DETECT_META_ANALYTICS) {
        struct detect_analytics_object at = to_pixels(frame, object);
        number_analytics(buffer, object, &at);
    }
}

void track_meta_write(const struct track_frame *frame, GstBuffer *buffer)
{
    for (guint i = 0; i < frame->count; i++)
        number_object(frame, buffer, i);
    GstStructure *fields = latency_of(buffer);
    if (fields)
        number_detections(frame, fields);
}

/* ---- Predictions ---- */

static GstStructure *describe(const struct tracker_object *object, double width, double height)
{
    const struct tracker_box *box = &object->box;
    GstStructure *detection =
        gst_structure_new(SHRIKE_DETECTION_PARAMS, SHRIKE_FIELD_X_MIN, G_TYPE_DOUBLE, box->x_min / width,
                          SHRIKE_FIELD_Y_MIN, G_TYPE_DOUBLE, box->y_min / height, SHRIKE_FIELD_X_MAX,
                          G_TYPE_DOUBLE, box->x_max / width, SHRIKE_FIELD_Y_MAX, G_TYPE_DOUBLE,
                          box->y_max / height, SHRIKE_FIELD_PREDICTED, G_TYPE_BOOLEAN, TRUE, NULL);
    if (object->label_id >= 0)
        gst_structure_set(detection, SHRIKE_FIELD_LABEL_ID, G_TYPE_INT, object->label_id, NULL);
    if (object->confidence >= 0)
        gst_structure_set(detection, SHRIKE_FIELD_CONFIDENCE, G_TYPE_DOUBLE, object->confidence, NULL);
    return detection;
}

static void add_region(GstBuffer *buffer, const struct detect_analytics_object *at, gint id,
                       const GstStructure *detection)
{
    GstVideoRegionOfInterestMeta *region = gst_buffer_add_video_region_of_interest_meta_id(
        buffer, at->label, at->x, at->y, at->width, at->height);
    gst_video_region_of_interest_meta_add_param(region, gst_structure_copy(detection));
    number_region(region, id);
}

static void add_analytics(GstBuffer *buffer, const struct tracker_object *object,
                          const struct detect_analytics_object *at)
{
    detect_analytics_attach(buffer, at, 1, FALSE);
    if (object->track_id > 0)
        number_analytics(buffer, object, at);
}

/* Takes `detection`. */
static void append_entry(GValue *list, const struct tracker_object *object, GstStructure *detection)
{
    GValue value = G_VALUE_INIT;
    if (object->class_id)
        gst_structure_set(detection, SHRIKE_FIELD_LABEL, G_TYPE_STRING, g_quark_to_string(object->class_id),
                          NULL);
    set_id(detection, SHRIKE_FIELD_TRACK_ID, object->track_id);
    g_value_init(&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed(&value, detection);
    gst_value_array_append_and_take_value(list, &value);
}

/* FALSE: nothing of it is inside. */
static gboolean clip(struct tracker_box *box, double width, double height)
{
    box->x_min = CLAMP(box->x_min, 0, width);
    box->y_min = CLAMP(box->y_min, 0, height);
    box->x_max = CLAMP(box->x_max, 0, width);
    box->y_max = CLAMP(box->y_max, 0, height);
    return box->x_max - box->x_min >= 1 && box->y_max - box->y_min >= 1;
}

static gboolean add_object(const struct track_frame *frame, GstBuffer *buffer, GValue *list,
                           const struct tracker_object *predicted, guint kinds)
{
    struct tracker_object object = *predicted;
    if (!clip(&object.box, frame->width, frame->height))
        return FALSE;
    struct detect_analytics_object at = to_pixels(frame, &object);
    GstStructure *detection = describe(&object, frame->width, frame->height);
    if (kinds & DETECT_META_ROI)
        add_region(buffer, &at, object.track_id, detection);
    if (kinds & DETECT_META_ANALYTICS)
        add_analytics(buffer, &object, &at);
    append_entry(list, &object, detection);
    return TRUE;
}

guint track_meta_add_predicted(const struct track_frame *frame, GstBuffer *buffer,
                               const struct tracker_object objects[], guint count, guint kinds)
{
    GstStructure *fields = latency_of(buffer);
    const GValue *found = detections_of(fields);
    GValue list = G_VALUE_INIT;
    guint added = 0;
    if (found)
        gst_value_init_and_copy(&list, found);
    else
        g_value_init(&list, GST_TYPE_ARRAY);
    for (guint i = 0; i < count; i++)
        added += add_object(frame, buffer, &list, &objects[i], kinds);
    /* adding metas does not move the others */
    if (fields)
        gst_structure_take_value(fields, SHRIKE_FIELD_DETECTIONS, &list);
    else
        g_value_unset(&list);
    return added;
}
