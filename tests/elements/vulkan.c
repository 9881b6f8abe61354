/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vulkan.h"

#include <stdio.h>
#include <string.h>

#include "validation.h"

#define LAYER "VK_LAYER_KHRONOS_validation"

static struct shk_error error;

/* ---- GStreamer's instance, under the validation layer ---- */

static GstVulkanInstance *instance;
static VkDebugUtilsMessengerEXT messenger;
static gint messages;

static VkBool32 on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                           VkDebugUtilsMessageTypeFlagsEXT types,
                           const VkDebugUtilsMessengerCallbackDataEXT *data, void *unused)
{
    fprintf(stderr, "validation: %s\n", data->pMessage);
    g_atomic_int_inc(&messages);
    return VK_FALSE;
}

static void listen(void)
{
    const VkDebugUtilsMessengerCreateInfoEXT info = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
    };
    PFN_vkCreateDebugUtilsMessengerEXT create =
        gst_vulkan_instance_get_proc_address(instance, "vkCreateDebugUtilsMessengerEXT");
    if (!create || create(instance->instance, &info, NULL, &messenger) != VK_SUCCESS)
        printf("not checked: GStreamer's instance has no debug messages\n");
}

void vulkan_open_instance(void)
{
    GError *failure = NULL;

    instance = gst_vulkan_instance_new();
    ck_assert(gst_vulkan_instance_fill_info(instance, &failure));
    if (test_validation() && (!gst_vulkan_instance_enable_layer(instance, LAYER) ||
                              !gst_vulkan_instance_enable_extension(instance, VK_EXT_DEBUG_UTILS_EXTENSION_NAME)))
        printf("not checked: no " LAYER "\n");
    ck_assert_msg(gst_vulkan_instance_open(instance, &failure), "%s", failure ? failure->message : "");
    if (test_validation())
        listen();
}

void vulkan_close_instance(void)
{
    PFN_vkDestroyDebugUtilsMessengerEXT destroy =
        gst_vulkan_instance_get_proc_address(instance, "vkDestroyDebugUtilsMessengerEXT");
    if (messenger && destroy)
        destroy(instance->instance, messenger, NULL);
    messenger = VK_NULL_HANDLE;
    gst_clear_object(&instance);
    ck_assert_msg(messages == 0, "%d messages from the validation layer", messages);
}

GstVulkanDevice *vulkan_new_device(void)
{
    GError *failure = NULL;
    GstVulkanDevice *device = gst_vulkan_instance_create_device(instance, &failure);
    ck_assert_msg(device != NULL, "%s", failure ? failure->message : "");
    return device;
}

GstContext *vulkan_instance_context(void)
{
    GstContext *context = gst_context_new(GST_VULKAN_INSTANCE_CONTEXT_TYPE_STR, TRUE);
    gst_context_set_vulkan_instance(context, instance);
    return context;
}

GstContext *vulkan_device_context(GstVulkanDevice *device)
{
    GstContext *context = gst_context_new(GST_VULKAN_DEVICE_CONTEXT_TYPE_STR, TRUE);
    gst_context_set_vulkan_device(context, device);
    return context;
}

/* ---- Shares ---- */

struct shk_frame vulkan_expect_frame(struct vulkan_share *share, const GstVideoInfo *info, GstBuffer *buffer,
                                     enum shk_memory_origin origin)
{
    struct shk_frame pixels = {0};
    struct shk_memory_info memory;
    const char *reason;

    test_ok(vulkan_share_frame(share, info, buffer, &pixels, &reason, &error), &error);
    ck_assert_ptr_null(reason);
    shk_memory_get_info(pixels.memory, &memory);
    ck_assert_int_eq(memory.origin, origin);
    return pixels;
}

void vulkan_expect_refusal(struct vulkan_share *share, const GstVideoInfo *info, GstBuffer *buffer,
                           enum shk_status status, const char *text)
{
    struct shk_frame pixels = {0};
    const char *reason = "";

    ck_assert_int_eq(vulkan_share_frame(share, info, buffer, &pixels, &reason, &error), status);
    ck_assert_int_eq(error.status, status);
    ck_assert_msg(strstr(error.message, text) != NULL, "%s", error.message);
    ck_assert_int_eq(reason != NULL, status == SHK_ERROR_UNSUPPORTED);
    ck_assert_msg(!reason || strstr(reason, text), "%s", reason);
    ck_assert_ptr_null(pixels.memory);
}

void vulkan_open_alone(struct vulkan_alone *alone)
{
    alone->harness = gst_harness_new("identity");
    alone->gst = vulkan_new_device();
    alone->share = vulkan_share_new(alone->harness->element);
    GstContext *context = vulkan_device_context(alone->gst);
    vulkan_share_set_context(alone->share, context);
    gst_context_unref(context);
    alone->device = NULL;
    test_ok(vulkan_share_open(alone->share, alone->harness->sinkpad, VULKAN_FRAMES, test_log(),
                              &alone->device, &error),
            &error);
}

void vulkan_close_alone(struct vulkan_alone *alone)
{
    vulkan_share_free(alone->share);
    shk_device_destroy(&alone->device);
    gst_object_unref(alone->gst);
    gst_harness_teardown(alone->harness);
}

GstBuffer *vulkan_buffer(struct vulkan_alone *alone, const GstVideoInfo *info, VkBufferUsageFlags usage)
{
    GstBuffer *buffer = gst_buffer_new();
    gst_buffer_append_memory(buffer,
                             gst_vulkan_buffer_memory_alloc(alone->gst, GST_VIDEO_INFO_SIZE(info), usage,
                                                            VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT));
    return buffer;
}

/* ---- Uploads ---- */

void vulkan_fill(GstBuffer *to, const GstVideoInfo *info, GstBuffer *from)
{
    GstVideoFrame target, source;
    ck_assert(gst_video_frame_map(&target, info, to, GST_MAP_WRITE));
    ck_assert(gst_video_frame_map(&source, info, from, GST_MAP_READ));
    ck_assert(gst_video_frame_copy(&target, &source));
    gst_video_frame_unmap(&source);
    gst_video_frame_unmap(&target);
}

GstBufferPool *vulkan_upload_pool(GstHarness *harness)
{
    GstCaps *caps = gst_pad_get_current_caps(harness->srcpad);
    GstQuery *query = gst_query_new_allocation(caps, TRUE);
    GstBufferPool *pool = NULL;

    ck_assert(gst_pad_peer_query(harness->srcpad, query));
    gst_query_parse_nth_allocation_pool(query, 0, &pool, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(pool);
    ck_assert(gst_buffer_pool_set_active(pool, TRUE));
    gst_query_unref(query);
    gst_caps_unref(caps);
    return pool;
}

void vulkan_close_pool(GstBufferPool **pool)
{
    if (*pool)
        gst_buffer_pool_set_active(*pool, FALSE);
    gst_clear_object(pool);
}
