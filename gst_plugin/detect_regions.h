/* The parts of a frame that the network looks at: all of it, fixed rectangles, or the regions that an element upstream
 * has found.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_DETECT_REGIONS_H
#define SHRIKE_GST_DETECT_REGIONS_H

#include "detect_frame.h"

G_BEGIN_DECLS

enum detect_region_source {
    DETECT_REGION_FRAME, /* the whole frame, or the rectangles of `roi` */
    DETECT_REGION_LIST,  /* the buffer's GstVideoRegionOfInterestMeta */
};

/* A fixed rectangle: fractions of the frame. */
struct detect_rectangle {
    double x, y, width, height;
};

struct detect_regions {
    enum detect_region_source source;
    struct detect_rectangle rectangles[DETECT_MAX_REGIONS];
    guint rectangle_count; /* 0: the whole frame */
    GQuark *classes;       /* labels of the metas to look at, 0-terminated; NULL: all */
};

/* "x,y,width,height" in fractions of the frame, several with ';' between; NULL or "": none. FALSE with a line in
 * *message (to be freed) that says what is wrong; *regions is then as it was. */
gboolean detect_regions_parse(struct detect_regions *regions, const char *text, char **message);
/* "person,car". NULL or "": all. */
void detect_regions_set_classes(struct detect_regions *regions, const char *text);
void detect_regions_clear(struct detect_regions *regions);

/* One rectangle of the frame in memory for each part, and which of the buffer's ROI metas it comes from (0 is the
 * first) or -1. Returns how many, at most DETECT_MAX_REGIONS; *left_out counts what is more. */
guint detect_regions_find(const struct detect_regions *regions, const struct frame_layout *layout, GstBuffer *buffer,
                          struct shk_rect rects[DETECT_MAX_REGIONS], gint parents[DETECT_MAX_REGIONS],
                          guint *left_out);

G_END_DECLS
#endif
