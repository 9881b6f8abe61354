/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_line.h"

#include <math.h>
#include <shrike/session.h>

#include "json_text.h"
#include "shrike_meta.h"

/* ---- Members from fields ---- */

static void write_uint64(GString *out, const char *member, const GstStructure *fields, const char *field)
{
    guint64 value;
    json_text_member(out, member);
    if (gst_structure_get_uint64(fields, field, &value))
        json_text_uint(out, value);
    else
        json_text_null(out);
}

static void write_uint(GString *out, const char *member, const GstStructure *fields, const char *field)
{
    guint value;
    json_text_member(out, member);
    if (gst_structure_get_uint(fields, field, &value))
        json_text_uint(out, value);
    else
        json_text_null(out);
}

static void write_int(GString *out, const char *member, const GstStructure *fields, const char *field)
{
    gint value;
    json_text_member(out, member);
    if (gst_structure_get_int(fields, field, &value))
        json_text_int(out, value);
    else
        json_text_null(out);
}

/* An empty string says as much as none. */
static void write_string(GString *out, const char *member, const GstStructure *fields, const char *field)
{
    const char *text = gst_structure_get_string(fields, field);
    json_text_member(out, member);
    json_text_string(out, text && *text ? text : NULL);
}

/* ---- Frame ---- */

static void write_pixels(GString *out, const char *member, guint pixels)
{
    json_text_member(out, member);
    if (pixels)
        json_text_uint(out, pixels);
    else
        json_text_null(out);
}

static void write_durations(GString *out, const GstStructure *fields)
{
    json_text_member(out, "latency");
    json_text_open(out, '{');
    for (guint i = 0; i < SHK_STAGE_COUNT; i++) {
        char field[32];
        g_snprintf(field, sizeof(field), "%s-duration", shk_stage_string(i));
        write_uint64(out, shk_stage_string(i), fields, field);
    }
    g_string_append_c(out, '}');
}

/* ---- Detections ---- */

static const GValue *detections_of(const GstStructure *fields)
{
    const GValue *list = gst_structure_get_value(fields, SHRIKE_FIELD_DETECTIONS);
    return list && GST_VALUE_HOLDS_ARRAY(list) ? list : NULL;
}

static double read_double(const GstStructure *fields, const char *field)
{
    gdouble value;
    return gst_structure_get_double(fields, field, &value) ? value : NAN;
}

/* The edge as a pixel position inside the frame, rounded as in the region of interest meta; -1: not known. */
static gint64 edge(double position, guint pixels)
{
    if (!pixels || !isfinite(position))
        return -1;
    return (gint64)(CLAMP(position, 0.0, 1.0) * pixels + 0.5);
}

static void write_span(GString *out, const char *member, gint64 from, gint64 to)
{
    json_text_member(out, member);
    if (from < 0 || to < from)
        json_text_null(out);
    else
        json_text_int(out, to - from);
}

static void write_box(GString *out, const struct json_line_frame *frame, const GstStructure *detection)
{
    static const char *const members[] = {SHRIKE_FIELD_X_MIN, SHRIKE_FIELD_Y_MIN, SHRIKE_FIELD_X_MAX,
                                          SHRIKE_FIELD_Y_MAX};
    gint64 edges[4];
    for (guint i = 0; i < 4; i++) {
        double position = read_double(detection, members[i]);
        json_text_member(out, members[i]);
        json_text_double(out, position);
        edges[i] = edge(position, i % 2 ? frame->height : frame->width);
    }
    write_span(out, "x", 0, edges[0]);
    write_span(out, "y", 0, edges[1]);
    write_span(out, "w", edges[0], edges[2]);
    write_span(out, "h", edges[1], edges[3]);
}

static void write_predicted(GString *out, const GstStructure *detection)
{
    gboolean predicted = FALSE;
    if (!gst_structure_get_boolean(detection, SHRIKE_FIELD_PREDICTED, &predicted) || !predicted)
        return;
    json_text_member(out, SHRIKE_FIELD_PREDICTED);
    g_string_append(out, "true");
}

/* What a second network says of the same object. */
static void write_class(GString *out, const GstStructure *detection)
{
    const GValue *value = gst_structure_get_value(detection, SHRIKE_CLASS_PARAMS);
    if (!value || !GST_VALUE_HOLDS_STRUCTURE(value) || !gst_value_get_structure(value))
        return;
    const GstStructure *class = gst_value_get_structure(value);
    json_text_member(out, SHRIKE_CLASS_PARAMS);
    json_text_open(out, '{');
    write_string(out, "label", class, SHRIKE_FIELD_LABEL);
    write_int(out, "label_id", class, SHRIKE_FIELD_LABEL_ID);
    json_text_member(out, "confidence");
    json_text_double(out, read_double(class, SHRIKE_FIELD_CONFIDENCE));
    g_string_append_c(out, '}');
}

static void write_detection(GString *out, const struct json_line_frame *frame, const GstStructure *detection)
{
    json_text_open(out, '{');
    write_string(out, "label", detection, SHRIKE_FIELD_LABEL);
    write_int(out, "label_id", detection, SHRIKE_FIELD_LABEL_ID);
    json_text_member(out, "confidence");
    json_text_double(out, read_double(detection, SHRIKE_FIELD_CONFIDENCE));
    write_box(out, frame, detection);
    if (gst_structure_has_field(detection, SHRIKE_FIELD_TRACK_ID))
        write_int(out, SHRIKE_FIELD_TRACK_ID, detection, SHRIKE_FIELD_TRACK_ID);
    write_predicted(out, detection);
    write_class(out, detection);
    g_string_append_c(out, '}');
}

static void write_detections(GString *out, const struct json_line_frame *frame, const GstStructure *fields)
{
    const GValue *list = detections_of(fields);
    guint count = list ? gst_value_array_get_size(list) : 0;
    json_text_member(out, "detections");
    json_text_open(out, '[');
    for (guint i = 0; i < count; i++) {
        const GValue *value = gst_value_array_get_value(list, i);
        const GstStructure *detection =
            GST_VALUE_HOLDS_STRUCTURE(value) ? gst_value_get_structure(value) : NULL;
        if (detection)
            write_detection(out, frame, detection);
    }
    g_string_append_c(out, ']');
}

void json_line_append(GString *out, const struct json_line_frame *frame, const GstStructure *fields)
{
    g_string_append_c(out, '{');
    json_text_member(out, "schema");
    json_text_uint(out, JSON_LINE_SCHEMA);
    write_string(out, "stream", fields, SHRIKE_FIELD_STREAM);
    write_uint64(out, "frame", fields, SHRIKE_FIELD_FRAME);
    json_text_member(out, "pts");
    if (GST_CLOCK_TIME_IS_VALID(frame->pts))
        json_text_uint(out, frame->pts);
    else
        json_text_null(out);
    write_pixels(out, "width", frame->width);
    write_pixels(out, "height", frame->height);
    write_string(out, "status", fields, SHRIKE_FIELD_STATUS);
    write_uint64(out, "age", fields, SHRIKE_FIELD_AGE);
    write_string(out, "reason", fields, SHRIKE_FIELD_REASON);
    write_uint(out, "dropped", fields, SHRIKE_FIELD_DROPPED);
    write_uint(out, "in_flight", fields, SHRIKE_FIELD_IN_FLIGHT);
    write_uint(out, "batch_size", fields, SHRIKE_FIELD_BATCH_SIZE);
    write_string(out, "device", fields, SHRIKE_FIELD_DEVICE);
    if (frame->with_latency)
        write_durations(out, fields);
    write_detections(out, frame, fields);
    g_string_append(out, "}\n");
}
