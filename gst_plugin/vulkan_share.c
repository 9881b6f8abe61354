/* Whose device: contexts, and the adoption of a GstVulkanDevice.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vulkan_share_private.h"

#include "frame_allocator.h"

#define GST_CAT_DEFAULT frame_memory_category()

enum shk_status vulkan_share_fail(struct shk_error *error, enum shk_status status, const char *format, ...)
{
    va_list arguments;

    error->status = status;
    va_start(arguments, format);
    g_vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return status;
}

gboolean vulkan_share_supported(void)
{
    return TRUE;
}

gboolean vulkan_share_wanted(const GstCaps *caps)
{
    const GstCapsFeatures *features = gst_caps_get_size(caps) ? gst_caps_get_features(caps, 0) : NULL;
    return features && (gst_caps_features_contains(features, VULKAN_SHARE_BUFFER_FEATURE) ||
                        gst_caps_features_contains(features, VULKAN_SHARE_IMAGE_FEATURE));
}

struct vulkan_share *vulkan_share_new(GstElement *element)
{
    struct vulkan_share *share = g_new0(struct vulkan_share, 1);

    share->element = element;
    g_mutex_init(&share->lock);
    return share;
}

void vulkan_share_free(struct vulkan_share *share)
{
    if (!share)
        return;
    vulkan_share_close(share);
    gst_clear_object(&share->given_device);
    gst_clear_object(&share->given_instance);
    g_mutex_clear(&share->lock);
    g_free(share);
}

void vulkan_share_finish(struct vulkan_share *share)
{
    if (share)
        vulkan_frame_close(share);
}

void vulkan_share_close(struct vulkan_share *share)
{
    if (!share)
        return;
    vulkan_frame_close(share);
    shk_device_destroy(&share->device);
    g_mutex_lock(&share->lock);
    GstVulkanQueue *queue = g_steal_pointer(&share->queue);
    g_mutex_unlock(&share->lock);
    gst_clear_object(&queue);
}

/* ---- Contexts ---- */

void vulkan_share_set_context(struct vulkan_share *share, GstContext *context)
{
    GstVulkanInstance *instance = NULL;
    GstVulkanDevice *device = NULL;

    if (!context)
        return;
    if (gst_context_has_context_type(context, GST_VULKAN_INSTANCE_CONTEXT_TYPE_STR))
        gst_context_get_vulkan_instance(context, &instance);
    else if (gst_context_has_context_type(context, GST_VULKAN_DEVICE_CONTEXT_TYPE_STR))
        gst_context_get_vulkan_device(context, &device);
    g_mutex_lock(&share->lock);
    if (instance)
        gst_object_replace((GstObject **)&share->given_instance, GST_OBJECT(instance));
    if (device)
        gst_object_replace((GstObject **)&share->given_device, GST_OBJECT(device));
    g_mutex_unlock(&share->lock);
    gst_clear_object(&instance);
    gst_clear_object(&device);
}

static gpointer ref_or_null(gpointer object)
{
    return object ? gst_object_ref(object) : NULL;
}

gboolean vulkan_share_answer(struct vulkan_share *share, GstQuery *query)
{
    g_mutex_lock(&share->lock);
    GstVulkanQueue *queue = ref_or_null(share->queue);
    GstVulkanDevice *device = ref_or_null(queue ? queue->device : share->given_device);
    GstVulkanInstance *instance = ref_or_null(device ? device->instance : share->given_instance);
    g_mutex_unlock(&share->lock);
    gboolean answered = gst_vulkan_handle_context_query(share->element, query, NULL, instance, device) ||
                        gst_vulkan_queue_handle_context_query(share->element, query, queue);
    gst_clear_object(&instance);
    gst_clear_object(&device);
    gst_clear_object(&queue);
    return answered;
}

static GstContext *ask(GstPad *pad, const char *type)
{
    GstContext *context = NULL;
    GstQuery *query = gst_query_new_context(type);

    if (gst_pad_peer_query(pad, query)) {
        gst_query_parse_context(query, &context);
        if (context)
            gst_context_ref(context);
    }
    gst_query_unref(query);
    return context;
}

/* A reference, or NULL. */
static GstVulkanDevice *find_device(struct vulkan_share *share, GstPad *pad)
{
    GstVulkanDevice *device = NULL;
    GstContext *context = ask(pad, GST_VULKAN_DEVICE_CONTEXT_TYPE_STR);

    if (context) {
        gst_context_get_vulkan_device(context, &device);
        gst_context_unref(context);
    }
    if (!device) {
        g_mutex_lock(&share->lock);
        device = ref_or_null(share->given_device);
        g_mutex_unlock(&share->lock);
    }
    return device;
}

/* ---- Queues ---- */

static gboolean computes(GstVulkanQueue *queue)
{
    const GstVulkanPhysicalDevice *physical = queue->device->physical_device;
    return queue->family < physical->n_queue_families &&
           physical->queue_family_props[queue->family].queueFlags & VK_QUEUE_COMPUTE_BIT;
}

static gboolean take_queue(GstVulkanDevice *device, GstVulkanQueue *queue, gpointer data)
{
    GstVulkanQueue **found = data;
    if (queue && computes(queue))
        *found = gst_object_ref(queue);
    return *found == NULL;
}

/* Upstream's own object if possible: the lock around submissions is the object's, not the VkQueue's. */
static GstVulkanQueue *find_queue(GstVulkanDevice *device, GstPad *pad)
{
    GstVulkanQueue *queue = NULL;
    GstContext *context = ask(pad, GST_VULKAN_QUEUE_CONTEXT_TYPE_STR);

    if (context) {
        gst_context_get_vulkan_queue(context, &queue);
        gst_context_unref(context);
    }
    if (queue && queue->device->device == device->device && computes(queue))
        return queue;
    gst_clear_object(&queue);
    gst_vulkan_device_foreach_queue(device, take_queue, &queue);
    return queue;
}

static void lock_queue(void *user)
{
    gst_vulkan_queue_submit_lock(user);
}

static void unlock_queue(void *user)
{
    gst_vulkan_queue_submit_unlock(user);
}

static void release_queue(void *user)
{
    gst_object_unref(user);
}

/* ---- The device ---- */

/* What was enabled on the device of those that Shrike has a use for. Which features were, GStreamer does not
 * say. */
static guint enabled_extensions(GstVulkanDevice *device, const char *names[5])
{
    static const char *const candidates[5] = {
        VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME,
        VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,    VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME,
        VK_EXT_MEMORY_BUDGET_EXTENSION_NAME,
    };
    guint count = 0;

    for (guint i = 0; i < G_N_ELEMENTS(candidates); i++)
        if (gst_vulkan_device_is_extension_enabled(device, candidates[i]))
            names[count++] = candidates[i];
    return count;
}

static enum shk_status adopt(GstVulkanQueue *queue, struct shk_log log, struct shk_device **adopted,
                             struct shk_error *error)
{
    GstVulkanDevice *device = queue->device;
    const char *extensions[5];
    const struct shk_device_adopt_params params = {
        .instance = device->instance->instance,
        .physical_device = gst_vulkan_device_get_physical_device(device),
        .device = device->device,
        .queue = queue->queue,
        .queue_family = queue->family,
        .extensions = extensions,
        .extension_count = enabled_extensions(device, extensions),
        .lock_queue = lock_queue,
        .unlock_queue = unlock_queue,
        .release = release_queue,
        .user = gst_object_ref(queue),
        .log = log,
    };

    if (!gst_vulkan_instance_check_version(device->instance, 1, 1, 0)) {
        gst_object_unref(queue);
        return vulkan_share_fail(error, SHK_ERROR_UNSUPPORTED,
                                 "the Vulkan instance of the pipeline is below 1.1, which Shrike needs: set "
                                 "requested-api-major and -minor of the GstVulkanInstance");
    }
    enum shk_status status = shk_device_adopt(&params, adopted, error);
    if (status)
        gst_object_unref(queue);
    return status;
}

static enum shk_status open_device(struct vulkan_share *share, GstVulkanDevice *device, GstPad *pad,
                                   struct shk_log log, struct shk_error *error)
{
    GError *reason = NULL;

    if (!gst_vulkan_device_open(device, &reason)) {
        vulkan_share_fail(error, SHK_ERROR_NO_DEVICE, "the pipeline's Vulkan device does not open: %s",
                          reason ? reason->message : "unknown reason");
        g_clear_error(&reason);
        return SHK_ERROR_NO_DEVICE;
    }
    GstVulkanQueue *queue = find_queue(device, pad);
    if (!queue)
        return vulkan_share_fail(error, SHK_ERROR_UNSUPPORTED,
                                 "the pipeline's Vulkan device \"%s\" has no queue that computes",
                                 device->physical_device->properties.deviceName);
    enum shk_status status = adopt(queue, log, &share->device, error);
    if (status) {
        gst_object_unref(queue);
        return status;
    }
    GST_INFO_OBJECT(share->element, "sharing %" GST_PTR_FORMAT ", queue %u of family %u", device,
                    queue->index, queue->family);
    g_mutex_lock(&share->lock);
    share->queue = queue;
    g_mutex_unlock(&share->lock);
    return SHK_OK;
}

enum shk_status vulkan_share_open(struct vulkan_share *share, GstPad *pad, guint frames, struct shk_log log,
                                  struct shk_device **device, struct shk_error *error)
{
    GstVulkanDevice *found = find_device(share, pad);
    enum shk_status status = SHK_OK;

    if (!found)
        return vulkan_share_fail(error, SHK_ERROR_NO_DEVICE,
                                 "no element upstream has said which Vulkan device its frames are on "
                                 "(a context " GST_VULKAN_DEVICE_CONTEXT_TYPE_STR
                                 "): put vulkandownload in between");
    if (share->device && share->queue->device->device != found->device)
        vulkan_share_close(share);
    if (share->frames != frames)
        vulkan_frame_close(share);
    share->frames = frames;
    if (!share->device)
        status = open_device(share, found, pad, log, error);
    if (status == SHK_OK)
        *device = shk_device_ref(share->device);
    gst_object_unref(found);
    return status;
}
