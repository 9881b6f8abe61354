/* The buffer pool that shrikedetect offers upstream: video frames in memory that Vulkan reads in place.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_FRAME_POOL_H
#define SHRIKE_GST_FRAME_POOL_H

#include <gst/video/video.h>
#include <shrike/memory.h>

G_BEGIN_DECLS

/* A GstVideoBufferPool (video caps only; GST_BUFFER_POOL_OPTION_VIDEO_META and _VIDEO_ALIGNMENT) whose
 * buffers have one memory, of frame_allocator_new(device), with all planes in it. Whatever alignment is asked
 * for, every plane begins at a multiple of 4 and has a stride that is one: paddings and strides grow where
 * needed, and the config says so afterwards. An allocator in the config is replaced by the pool's own. */
GstBufferPool *frame_pool_new(struct shk_device *device);

G_END_DECLS
#endif
