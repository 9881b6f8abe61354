/* What the suites about Vulkan sharing have in common: GStreamer's instance under the validation layer,
 * devices, shares, uploads.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_VULKAN_H
#define TEST_VULKAN_H

#include "elements.h"
#include "vulkan_share.h"

#define GST_USE_UNSTABLE_API
#include <gst/vulkan/vulkan.h>

/* Frames that a share of these tests has room for. */
#define VULKAN_FRAMES 3

/* An unchecked fixture. Closing fails where the layer had anything to say, be it on GStreamer's own calls. */
void vulkan_open_instance(void);
void vulkan_close_instance(void);

GstVulkanDevice *vulkan_new_device(void);
GstContext *vulkan_instance_context(void);
GstContext *vulkan_device_context(GstVulkanDevice *device);

/* A share of a device that an application gave, with nobody upstream. */
struct vulkan_alone {
    GstHarness *harness;
    GstVulkanDevice *gst;
    struct vulkan_share *share;
    struct shk_device *device;
};
void vulkan_open_alone(struct vulkan_alone *alone);
void vulkan_close_alone(struct vulkan_alone *alone);

/* One VkBuffer with all planes, undefined contents. */
GstBuffer *vulkan_buffer(struct vulkan_alone *alone, const GstVideoInfo *info, VkBufferUsageFlags usage);

/* Writes the pixels of `from` into `to`. */
void vulkan_fill(GstBuffer *to, const GstVideoInfo *info, GstBuffer *from);

/* The pool that vulkanupload, in a harness that has caps, offers to what is upstream of it; active. Close it
 * when the device is done: GStreamer 1.22 gives buffers back to it that the device still reads.
 * gst_harness_create_buffer() does not do: it wants buffers of a frame's very size, and those of a device may
 * be larger. */
GstBufferPool *vulkan_upload_pool(GstHarness *harness);
void vulkan_close_pool(GstBufferPool **pool);

/* Asserts that vulkan_share_frame() succeeds with memory from there, or fails with `text` in its message and,
 * where there is one, in its reason. */
struct shk_frame vulkan_expect_frame(struct vulkan_share *share, const GstVideoInfo *info, GstBuffer *buffer,
                                     enum shk_memory_origin origin);
void vulkan_expect_refusal(struct vulkan_share *share, const GstVideoInfo *info, GstBuffer *buffer,
                           enum shk_status status, const char *text);

#endif
