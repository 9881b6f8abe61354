/* The histogram of the total latency: how the last frames are spread, and what the slowest of them took.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One bar per interval of latency, lines at p50, p95 and p99 with their values, the range below. Frames above
 * the range, rare ones, are in the last bar. As large as the panel is wide; drawn a few times a second. */
#ifndef SHRIKE_GST_OVERLAY_HISTOGRAM_H
#define SHRIKE_GST_OVERLAY_HISTOGRAM_H

#include "overlay_draw.h"

G_BEGIN_DECLS

#define OVERLAY_HISTOGRAM_WINDOW 500

struct overlay_histogram {
    struct overlay_canvas canvas;
    GstVideoOverlayRectangle *rectangle; /* as drawn last */
    gint64 drawn_at;                     /* microseconds */
    guint drawn_width, drawn_height;     /* of the frame */
    gboolean drawn_below;
    guint64 totals[OVERLAY_HISTOGRAM_WINDOW]; /* nanoseconds */
    guint64 frames;
};

/* Takes a frame's ShrikeLatency fields. Frames that were not inferred count like all others. */
void overlay_histogram_add(struct overlay_histogram *histogram, const GstStructure *fields);

/* As overlay_panel_get(). Below `panel` where there is one and room, else in the lower left corner; without
 * one in its place. */
GstVideoOverlayRectangle *overlay_histogram_get(struct overlay_histogram *histogram,
                                                struct overlay_text *text, GstVideoOverlayRectangle *panel,
                                                guint frame_width, guint frame_height, gint64 now);

void overlay_histogram_clear(struct overlay_histogram *histogram);

/* ---- For tests ---- */

/* The latencies that the axis shows: round numbers of nanoseconds, around all but the rare slow frames.
 * `sorted` holds `count` > 0 of them. */
void overlay_histogram_range(const guint64 *sorted, gsize count, guint64 *low, guint64 *high);

G_END_DECLS
#endif
