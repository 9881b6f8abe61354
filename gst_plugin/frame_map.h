/* From GstBuffer to shk_frame: formats, colorimetry, strides, crop.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_FRAME_MAP_H
#define SHRIKE_GST_FRAME_MAP_H

#include <gst/video/video.h>
#include <shrike/session.h>

G_BEGIN_DECLS

#define FRAME_FORMATS "{ NV12, I420, YUY2, RGB, BGR, RGBx, BGRx, RGBA, BGRA, GRAY8 }"

/* The rectangle, in pixels of the frame in memory, that caps and metas speak of. It is the whole frame,
 * except where the caps have the size of a GstVideoCropMeta's rectangle and not of the frame, as after
 * videocrop. */
struct frame_area {
    guint frame_width, frame_height;
    guint x, y, width, height;
};

struct frame_map {
    GstVideoFrame video;
    struct shk_frame_format format;
    struct shk_frame frame; /* the planes are valid until frame_map_release() */
    struct frame_area area;
    gboolean bad_crop; /* the crop meta is empty or outside of the frame, and was ignored */
};

/* Maps for reading. `info` is that of the caps; GstVideoMeta overrides its strides, offsets and size.
 * FALSE: the buffer has not the memory that its caps or its GstVideoMeta promise. */
gboolean frame_map_acquire(struct frame_map *map, const GstVideoInfo *info, GstBuffer *buffer);
void frame_map_release(struct frame_map *map);

/* Turns coordinates that are normalised to the frame in memory into ones normalised to `area`, clipped to it.
 * FALSE: nothing of the rectangle lies inside. */
gboolean frame_area_transform(const struct frame_area *area, struct shk_detection *detection);

G_END_DECLS
#endif
