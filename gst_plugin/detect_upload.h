/* Where the device finds a frame's pixels: in the buffer itself if it can read that, else in a copy, which the CPU makes,
 * or the device where the pixels are in other elements' Vulkan memory.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * For the sink pad's streaming thread only, but for detect_upload_propose(). */
#ifndef SHRIKE_GST_DETECT_UPLOAD_H
#define SHRIKE_GST_DETECT_UPLOAD_H

#include "detect_frame.h"
#include "vulkan_share.h"

G_BEGIN_DECLS

struct detect_upload {
    GstElement *element; /* for log lines; borrowed */
    struct engine_device *device;
    guint depth; /* copies at most */
    struct vulkan_share *share; /* frames are in other elements' Vulkan memory; borrowed; else NULL */
    gboolean images;            /* and are images: the CPU cannot read them */

    GstBufferPool *staging;
    GstVideoInfo staging_info;

    const char *reason; /* why frames are copied, as last logged (static string); NULL: they are not */
    guint64 copied, in_place;
};

void detect_upload_init(struct detect_upload *upload, GstElement *element, guint depth);
void detect_upload_clear(struct detect_upload *upload);

/* The device to read from now on; takes the reference. TRUE: it is another one than before. */
gboolean detect_upload_set_device(struct detect_upload *upload, struct engine_device *device);

/* Where the frames to come are: `share` is open for `device` by the time that they come. NULL: nowhere special. */
void detect_upload_set_share(struct detect_upload *upload, struct vulkan_share *share, gboolean images);

/* Fills `memory`, `offset` and `stride` of *pixels, and frame->upload and frame->staging. Copies unless `stream` and
 * the device accept the buffer as it is. FALSE with *error: nor could it be copied.
 *
 * With a share frame->memory keeps what is read, offsets and strides of `layout` are not used, and the buffer has to stay
 * as it is until the frame's jobs are done. */
gboolean detect_upload_frame(struct detect_upload *upload, struct detect_frame *frame,
                             const struct shk_stream *stream, const struct frame_layout *layout,
                             const GstVideoInfo *info, GstBuffer *buffer, struct shk_frame *pixels,
                             struct shk_error *error);

/* Puts a pool of memory that the device reads first into the answer to an ALLOCATION query. Any thread. */
void detect_upload_propose(struct engine_device *device, GstQuery *query, guint buffers);

G_END_DECLS
#endif
