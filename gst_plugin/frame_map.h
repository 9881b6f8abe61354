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

/* What a buffer holds, as its caps and its metas describe it. */
struct frame_layout {
    struct shk_frame_format format;
    guint plane_count;
    gsize offset[3]; /* in the buffer */
    guint stride[3];
    struct shk_rect crop; /* {0}: none */
    struct frame_area area;
    gboolean bad_crop; /* the crop meta is empty or outside of the frame, and was ignored */
};

/* `info` is that of the caps; GstVideoMeta overrides its strides, offsets and size. FALSE: the buffer is smaller
 * than that, or its GstVideoMeta makes no sense. */
gboolean frame_layout_describe(struct frame_layout *layout, const GstVideoInfo *info, GstBuffer *buffer);
/* The same without offsets and strides, which are 0: for memory whose rows the buffer does not describe. */
gboolean frame_layout_describe_frame(struct frame_layout *layout, const GstVideoInfo *info, GstBuffer *buffer);

/* Bytes of a plane that count in a row, and its rows, for a frame of that format and size (each at most 65535). */
void frame_plane_size(GstVideoFormat format, guint plane, guint width, guint height, guint *row, guint *rows);

/* The format with default strides: what a copy of the frame has. */
void frame_layout_video_info(const struct frame_layout *layout, const GstVideoInfo *caps_info, GstVideoInfo *info);

/* Turns coordinates that are normalised to the frame in memory into ones normalised to `area`, clipped to it.
 * FALSE: nothing of the rectangle lies inside. */
gboolean frame_area_transform(const struct frame_area *area, struct shk_detection *detection);

G_END_DECLS
#endif
