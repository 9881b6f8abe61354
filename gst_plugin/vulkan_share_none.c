/* For builds without gstreamer-vulkan-1.0.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vulkan_share.h"

gboolean vulkan_share_supported(void)
{
    return FALSE;
}

gboolean vulkan_share_wanted(const GstCaps *caps)
{
    return FALSE;
}

struct vulkan_share *vulkan_share_new(GstElement *element)
{
    return NULL;
}

void vulkan_share_free(struct vulkan_share *share)
{
}

void vulkan_share_set_context(struct vulkan_share *share, GstContext *context)
{
}

gboolean vulkan_share_answer(struct vulkan_share *share, GstQuery *query)
{
    return FALSE;
}

static enum shk_status refuse(struct shk_error *error)
{
    error->status = SHK_ERROR_NO_DEVICE;
    g_strlcpy(error->message,
              "this build of the plugin is without gstreamer-vulkan-1.0 and cannot share Vulkan devices: put "
              "vulkandownload in between, or build it with the package that has gstreamer-vulkan-1.0.pc",
              sizeof(error->message));
    return SHK_ERROR_NO_DEVICE;
}

enum shk_status vulkan_share_open(struct vulkan_share *share, GstPad *pad, guint frames, struct shk_log log,
                                  struct shk_device **device, struct shk_error *error)
{
    return refuse(error);
}

void vulkan_share_finish(struct vulkan_share *share)
{
}

void vulkan_share_close(struct vulkan_share *share)
{
}

enum shk_status vulkan_share_frame(struct vulkan_share *share, const GstVideoInfo *info, GstBuffer *buffer,
                                   struct shk_frame *pixels, const char **reason, struct shk_error *error)
{
    *reason = NULL;
    return refuse(error);
}
