/* The latency panel: where the time of the frames goes, legible, a few times a second.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_OVERLAY_PANEL_H
#define SHRIKE_GST_OVERLAY_PANEL_H

#include "overlay_draw.h"

G_BEGIN_DECLS

#define OVERLAY_PANEL_STAGES 7
#define OVERLAY_PANEL_WINDOW 64

struct overlay_panel {
    struct overlay_canvas canvas;
    GstVideoOverlayRectangle *rectangle; /* as drawn last */
    gint64 drawn_at;                     /* microseconds */
    guint drawn_width, drawn_height;     /* of the frame */
    guint64 durations[OVERLAY_PANEL_STAGES][OVERLAY_PANEL_WINDOW];
    guint64 frames, frames_drawn;
    double rate;
    guint64 dropped;
    guint in_flight;
    char device[64];
};

/* Takes a frame's ShrikeLatency fields. */
void overlay_panel_add(struct overlay_panel *panel, const GstStructure *fields);

/* The panel for a frame of this size, drawn anew when it is due; NULL if no frame had the fields yet or the
 * frame is too small for it. Belongs to the panel. `now`: g_get_monotonic_time(). */
GstVideoOverlayRectangle *overlay_panel_get(struct overlay_panel *panel, struct overlay_text *text,
                                            guint frame_width, guint frame_height, gint64 now);

void overlay_panel_clear(struct overlay_panel *panel);

G_END_DECLS
#endif
