/* The latency panel: where the time of the frames goes, legible, a few times a second.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_OVERLAY_PANEL_H
#define SHRIKE_GST_OVERLAY_PANEL_H

#include "overlay_draw.h"

G_BEGIN_DECLS

#define OVERLAY_PANEL_STAGES    7
#define OVERLAY_PANEL_WINDOW    64
#define OVERLAY_PANEL_EMS       17 /* width, in text sizes */
#define OVERLAY_REDRAW_INTERVAL (G_USEC_PER_SEC / 4)

struct overlay_panel {
    struct overlay_canvas canvas;
    GstVideoOverlayRectangle *rectangle; /* as drawn last */
    gint64 drawn_at;                     /* microseconds */
    guint drawn_width, drawn_height;     /* of the frame */
    guint64 durations[OVERLAY_PANEL_STAGES][OVERLAY_PANEL_WINDOW];
    guint64 frames, frames_drawn;
    guint64 inferred; /* frames that `durations` is of: the others have no stages */
    double rate;
    guint64 dropped, held, passed;
    gboolean has_status; /* held and passed are known */
    guint in_flight, batch_size;
    char device[64];
};

/* Takes a frame's ShrikeLatency fields. */
void overlay_panel_add(struct overlay_panel *panel, const GstStructure *fields);

/* The panel for a frame of this size, drawn anew when it is due; NULL if no frame had the fields yet or the
 * frame is too small for it. Belongs to the panel. `now`: g_get_monotonic_time(). */
GstVideoOverlayRectangle *overlay_panel_get(struct overlay_panel *panel, struct overlay_text *text,
                                            guint frame_width, guint frame_height, gint64 now);

void overlay_panel_clear(struct overlay_panel *panel);

/* ---- What the histogram looks like, too ---- */

double overlay_panel_text_size(guint frame_width, guint frame_height);
void overlay_panel_background(cairo_t *cairo, double width, double height, double size);
void overlay_show_text(cairo_t *cairo, struct overlay_text *text, const char *string, double x, double y,
                       double width, PangoAlignment alignment);
/* Three digits: "1.23", "12.3", "123". */
void overlay_milliseconds(char *string, gsize size, guint64 ns);

G_END_DECLS
#endif
