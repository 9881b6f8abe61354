/* One frame's result as one line of JSON; the README has the table of its members.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_JSON_LINE_H
#define SHRIKE_GST_JSON_LINE_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* Raised when a member is taken away or means something else; new members may come without. */
#define JSON_LINE_SCHEMA 1

struct json_line_frame {
    GstClockTime pts;      /* GST_CLOCK_TIME_NONE: not known */
    guint width, height;   /* pixels; 0: not known, as where the caps are not of video */
    gboolean with_latency; /* "latency" is in the line */
};

/* Appends the line with its '\n' to `out`. `fields` are those of "ShrikeLatency"; what is missing in them, is
 * of another type, is no finite number or an empty string, is null in the line. */
void json_line_append(GString *out, const struct json_line_frame *frame, const GstStructure *fields);

G_END_DECLS
#endif
