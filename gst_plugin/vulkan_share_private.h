/* What vulkan_share.c (whose device) and vulkan_frame.c (whose frames) share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_VULKAN_SHARE_PRIVATE_H
#define SHRIKE_GST_VULKAN_SHARE_PRIVATE_H

#include <shrike/gather.h>

#define GST_USE_UNSTABLE_API
#include <gst/vulkan/vulkan.h>

#include "vulkan_share.h"

G_BEGIN_DECLS

struct vulkan_share {
    GstElement *element;

    GMutex lock; /* of what contexts say; held for moments */
    GstVulkanInstance *given_instance;
    GstVulkanDevice *given_device;
    GstVulkanQueue *queue; /* of the device that is open, or NULL */

    /* The streaming thread's. */
    struct shk_device *device;
    guint frames;
    struct shk_gather *order;  /* copies nothing */
    struct shk_gather *copies; /* of frames of copy_size bytes */
    gsize copy_size;
};

/* Ends the copies. */
void vulkan_frame_close(struct vulkan_share *share);

enum shk_status vulkan_share_fail(struct shk_error *error, enum shk_status status, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

G_END_DECLS
#endif
