/* Draws boxes with label plates, in cairo and pango, as rectangles for a GstVideoOverlayComposition.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Everything scales with the frame. One thread at a time. */
#ifndef SHRIKE_GST_OVERLAY_DRAW_H
#define SHRIKE_GST_OVERLAY_DRAW_H

#include <gst/video/video.h>
#include <pango/pangocairo.h>

G_BEGIN_DECLS

struct overlay_color {
    double red, green, blue;
};

/* One colour per class, the same in every run: from its number, or from the name where there is none (< 0).
 */
struct overlay_color overlay_class_color(gint class_id, const char *name);

/* Objects that a tracker has numbered: the number, or 0, and its colour. */
gint overlay_track_id(GstVideoRegionOfInterestMeta *region);
struct overlay_color overlay_track_color(gint track_id);

/* Text on a canvas. Kept between frames, as pango's font look-up is slow. */
struct overlay_text {
    PangoContext *context;
    PangoLayout *layout;
    PangoFontDescription *font;
    double size;
};

void overlay_text_init(struct overlay_text *text);
void overlay_text_clear(struct overlay_text *text);
void overlay_text_set_size(struct overlay_text *text, double pixels);

/* Text height that suits a frame of this size, in pixels. */
double overlay_text_size_for(guint frame_width, guint frame_height);

/* Pixels that cairo draws on and GStreamer blends: BGRA, premultiplied. The memory is reused as soon as
 * nobody else holds it. */
struct overlay_canvas {
    GstBuffer *buffer;
    gsize capacity;
    GstMapInfo map;
    cairo_surface_t *surface;
    cairo_t *cairo;
    guint width, height;
};

/* Clears `width` x `height` pixels to transparent and opens them for drawing; FALSE if there is no memory. */
gboolean overlay_canvas_begin(struct overlay_canvas *canvas, guint width, guint height);
/* Ends drawing. The rectangle shows the canvas at x, y of the video. */
GstVideoOverlayRectangle *overlay_canvas_end(struct overlay_canvas *canvas, gint x, gint y);
void overlay_canvas_clear(struct overlay_canvas *canvas);

void overlay_rounded_rectangle(cairo_t *cairo, double x, double y, double width, double height,
                               double radius);

struct overlay_box {
    double x, y, width, height; /* pixels of the frame */
    struct overlay_color color;
    char label[112];
};

/* NULL if nothing is to be drawn inside the frame. Boxes are clipped to it. */
GstVideoOverlayRectangle *overlay_draw_boxes(struct overlay_canvas *canvas, struct overlay_text *text,
                                             const struct overlay_box *boxes, guint count, guint frame_width,
                                             guint frame_height);

G_END_DECLS
#endif
