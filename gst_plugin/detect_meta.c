/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_meta.h"

#include "shrike_meta.h"

static gpointer register_latency_meta(gpointer unused)
{
    static const gchar *no_tags[] = {NULL};
    /* a static and a shared build of the plugin may meet in one process */
    if (!gst_meta_get_info(SHRIKE_LATENCY_META))
        gst_meta_register_custom(SHRIKE_LATENCY_META, no_tags, NULL, NULL, NULL);
    return NULL;
}

void detect_meta_register(void)
{
    static GOnce once = G_ONCE_INIT;
    g_once(&once, register_latency_meta, NULL);
}

static GQuark class_name(const struct engine_labels *labels, guint class_id)
{
    if (labels && class_id < labels->count)
        return labels->names[class_id];
    char name[32];
    g_snprintf(name, sizeof(name), "class %u", class_id);
    return g_quark_from_string(name);
}

static GstStructure *describe_detection(const struct shk_detection *detection)
{
    return gst_structure_new(
        SHRIKE_DETECTION_PARAMS, SHRIKE_FIELD_LABEL_ID, G_TYPE_INT, (gint)detection->class_id,
        SHRIKE_FIELD_CONFIDENCE, G_TYPE_DOUBLE, (gdouble)detection->confidence, SHRIKE_FIELD_X_MIN,
        G_TYPE_DOUBLE, (gdouble)detection->x_min, SHRIKE_FIELD_Y_MIN, G_TYPE_DOUBLE,
        (gdouble)detection->y_min, SHRIKE_FIELD_X_MAX, G_TYPE_DOUBLE, (gdouble)detection->x_max,
        SHRIKE_FIELD_Y_MAX, G_TYPE_DOUBLE, (gdouble)detection->y_max, NULL);
}

/* In pixels. */
static struct detect_analytics_object describe_object(GQuark name, const struct frame_area *area,
                                                      const struct shk_detection *detection)
{
    guint left = (guint)(detection->x_min * area->width + 0.5f);
    guint top = (guint)(detection->y_min * area->height + 0.5f);
    guint right = (guint)(detection->x_max * area->width + 0.5f);
    guint bottom = (guint)(detection->y_max * area->height + 0.5f);
    return (struct detect_analytics_object){name,         left,         top,
                                            right - left, bottom - top, detection->confidence};
}

static void add_region(GstBuffer *buffer, const struct detect_analytics_object *object,
                       const struct shk_detection *detection)
{
    GstVideoRegionOfInterestMeta *meta = gst_buffer_add_video_region_of_interest_meta_id(
        buffer, object->label, object->x, object->y, object->width, object->height);
    gst_video_region_of_interest_meta_add_param(meta, describe_detection(detection));
}

static void append_detection(GValue *list, GQuark name, const struct shk_detection *detection)
{
    GstStructure *structure = describe_detection(detection);
    gst_structure_set(structure, SHRIKE_FIELD_LABEL, G_TYPE_STRING, g_quark_to_string(name), NULL);
    GValue value = G_VALUE_INIT;
    g_value_init(&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed(&value, structure);
    gst_value_array_append_and_take_value(list, &value);
}

/* The core counts CLOCK_MONOTONIC, which a monotonic GstSystemClock is too, apart from its calibration.
 * Its subclasses (audio, network) have a time of their own. */
static guint64 to_pipeline_clock(GstClock *clock, guint64 ns)
{
    GstClockType type = GST_CLOCK_TYPE_OTHER;
    if (!clock || G_OBJECT_TYPE(clock) != GST_TYPE_SYSTEM_CLOCK)
        return ns;
    g_object_get(clock, "clock-type", &type, NULL);
    if (type != GST_CLOCK_TYPE_MONOTONIC)
        return ns;
    GstClockTime internal, external, rate_num, rate_denom;
    gst_clock_get_calibration(clock, &internal, &external, &rate_num, &rate_denom);
    return gst_clock_adjust_with_calibration(clock, ns, internal, external, rate_num, rate_denom);
}

static void set_stages(GstStructure *fields, GstClock *clock, const struct shk_stage_time *stages)
{
    for (guint i = 0; i < SHK_STAGE_COUNT; i++) {
        char start[32], duration[32];
        g_snprintf(start, sizeof(start), "%s-start", shk_stage_string(i));
        g_snprintf(duration, sizeof(duration), "%s-duration", shk_stage_string(i));
        gst_structure_set(fields, start, G_TYPE_UINT64, to_pipeline_clock(clock, stages[i].start), duration,
                          G_TYPE_UINT64, stages[i].duration, NULL);
    }
}

/* ROI meta `index` of the buffer, or NULL. */
static GstVideoRegionOfInterestMeta *nth_region(GstBuffer *buffer, gint index)
{
    gpointer state = NULL;
    GstMeta *meta = NULL;
    for (gint i = 0; i <= index; i++) {
        meta = gst_buffer_iterate_meta_filtered(buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
        if (!meta)
            return NULL;
    }
    return (GstVideoRegionOfInterestMeta *)meta;
}

static GstStructure *describe_class(GQuark name, const struct shk_detection *detection)
{
    return gst_structure_new(SHRIKE_CLASS_PARAMS, SHRIKE_FIELD_LABEL_ID, G_TYPE_INT, (gint)detection->class_id,
                             SHRIKE_FIELD_LABEL, G_TYPE_STRING, g_quark_to_string(name), SHRIKE_FIELD_CONFIDENCE,
                             G_TYPE_DOUBLE, (gdouble)detection->confidence, NULL);
}

/* Whether an entry of `detections` and a region's params were written together. */
static gboolean same_detection(const GstStructure *entry, const GstStructure *params)
{
    static const char *const edges[] = {SHRIKE_FIELD_X_MIN, SHRIKE_FIELD_Y_MIN, SHRIKE_FIELD_X_MAX,
                                        SHRIKE_FIELD_Y_MAX};
    gint class_a, class_b;
    if (!gst_structure_get_int(entry, SHRIKE_FIELD_LABEL_ID, &class_a) ||
        !gst_structure_get_int(params, SHRIKE_FIELD_LABEL_ID, &class_b) || class_a != class_b)
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(edges); i++) {
        double a, b;
        if (!gst_structure_get_double(entry, edges[i], &a) || !gst_structure_get_double(params, edges[i], &b) ||
            a != b)
            return FALSE;
    }
    return TRUE;
}

/* FALSE: nothing in the list is that region. */
static gboolean classify_entry(GValue *list, GstVideoRegionOfInterestMeta *region, GQuark name,
                               const struct shk_detection *detection)
{
    const GstStructure *params = gst_video_region_of_interest_meta_get_param(region, SHRIKE_DETECTION_PARAMS);
    for (guint i = 0; params && i < gst_value_array_get_size(list); i++) {
        GstStructure *entry = g_value_get_boxed(gst_value_array_get_value(list, i));
        if (!entry || !same_detection(entry, params))
            continue;
        GstStructure *class = describe_class(name, detection);
        gst_structure_set(entry, SHRIKE_CLASS_PARAMS, GST_TYPE_STRUCTURE, class, NULL);
        gst_structure_free(class);
        return TRUE;
    }
    return FALSE;
}

/* The most confident class of a region is said of the region and its detection; boxes in it are regions of their own. */
static void attach_part(GstBuffer *buffer, const struct detect_meta_context *context,
                        const struct detect_meta_frame *frame, const struct detect_meta_part *part, GValue *list)
{
    gboolean classes = context->labels && context->labels->decoder == SHK_DECODER_CLASSIFICATION;
    GstVideoRegionOfInterestMeta *parent = classes && part->parent >= 0 ? nth_region(buffer, part->parent) : NULL;
    struct detect_analytics_object *objects = g_new(struct detect_analytics_object, part->count);
    guint count = 0;
    guint wanted = parent ? MIN(part->count, 1) : part->count;
    for (guint i = 0; i < wanted; i++) {
        struct shk_detection detection = part->detections[i];
        GQuark name = class_name(context->labels, detection.class_id);
        if (!frame_area_transform(&frame->area, &detection))
            continue;
        if (parent)
            gst_video_region_of_interest_meta_add_param(parent, describe_class(name, &detection));
        if (parent && classify_entry(list, parent, name, &detection))
            continue;
        objects[count] = describe_object(name, &frame->area, &detection);
        if (!parent && context->kinds & DETECT_META_ROI)
            add_region(buffer, &objects[count], &detection);
        count++;
        append_detection(list, name, &detection);
    }
    if (!parent && context->kinds & DETECT_META_ANALYTICS)
        detect_analytics_attach(buffer, objects, count, classes);
    g_free(objects);
}

static const char *status_string(const struct detect_meta_frame *frame)
{
    if (frame->reason == DETECT_REASON_NONE)
        return SHRIKE_STATUS_INFERRED;
    return frame->held ? SHRIKE_STATUS_HELD : SHRIKE_STATUS_PASSED;
}

/* With what detectors upstream have found. */
static void begin_list(GValue *list, const GstStructure *fields)
{
    const GValue *found = gst_structure_get_value(fields, SHRIKE_FIELD_DETECTIONS);
    g_value_init(list, GST_TYPE_ARRAY);
    if (found && GST_VALUE_HOLDS_ARRAY(found))
        g_value_copy(found, list);
}

void detect_meta_attach(GstBuffer *buffer, const struct detect_meta_context *context,
                        const struct detect_meta_frame *frame)
{
    /* Readers see one such meta only. So that of several detectors in a row has the detections of all, and the times
     * of the last. */
    GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, SHRIKE_LATENCY_META);
    if (!meta)
        meta = gst_buffer_add_custom_meta(buffer, SHRIKE_LATENCY_META);
    GstStructure *fields = gst_custom_meta_get_structure(meta);
    GValue list = G_VALUE_INIT;
    begin_list(&list, fields);
    for (guint i = 0; i < frame->part_count; i++)
        attach_part(buffer, context, frame, &frame->parts[i], &list);
    set_stages(fields, context->clock, frame->stages);
    gst_structure_set(fields, SHRIKE_FIELD_STATUS, G_TYPE_STRING, status_string(frame), SHRIKE_FIELD_REASON,
                      G_TYPE_STRING, detect_reason_string(frame->reason), SHRIKE_FIELD_AGE, G_TYPE_UINT64,
                      (guint64)frame->age, SHRIKE_FIELD_STREAM, G_TYPE_STRING, context->stream,
                      SHRIKE_FIELD_FRAME, G_TYPE_UINT64, frame->number, SHRIKE_FIELD_DROPPED, G_TYPE_UINT,
                      frame->dropped, SHRIKE_FIELD_IN_FLIGHT, G_TYPE_UINT, frame->in_flight,
                      SHRIKE_FIELD_BATCH_SIZE, G_TYPE_UINT, frame->batch_size, SHRIKE_FIELD_DEVICE, G_TYPE_STRING,
                      context->device, NULL);
    gst_structure_take_value(fields, SHRIKE_FIELD_DETECTIONS, &list);
}
