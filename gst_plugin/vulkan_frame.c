/* Whose frames: from the images and buffers of a GstBuffer to memory that a session reads.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vulkan_share_private.h"

#include <string.h>

#include "frame_allocator.h"
#include "frame_import.h"

#define GST_CAT_DEFAULT frame_memory_category()

#define WORD       4 /* shaders read 32-bit words: planes and rows begin at one */
#define MAX_PLANES 3

static const char not_vulkan[] = "the buffer is not in Vulkan memory";
static const char other_device[] = "is in the memory of another Vulkan device";
static const char other_queue[] = "was written by another queue, and says nothing to wait for";
static const char other_family[] = "belongs to a queue family that this device's queue is not of";
static const char no_transfer[] = "was created without TRANSFER_SRC: it cannot be copied";

/* One plane of the frame, and where it is. */
struct plane {
    gsize offset; /* in the buffer */
    gsize stride;
    gsize row, rows; /* bytes that count, and how often */
    GstMemory *memory;
    gsize skip; /* in the memory */
};

struct planes {
    struct plane plane[MAX_PLANES];
    guint count;
    struct shk_gather_wait waits[MAX_PLANES];
    guint wait_count;
};

/* ---- What the buffer says ---- */

static void describe_rows(const GstVideoInfo *info, guint index, struct plane *plane)
{
    gint component[GST_VIDEO_MAX_COMPONENTS];

    gst_video_format_info_component(info->finfo, index, component);
    plane->rows = (gsize)GST_VIDEO_INFO_COMP_HEIGHT(info, component[0]);
    plane->row = (gsize)GST_VIDEO_INFO_COMP_WIDTH(info, component[0]) *
                 (gsize)GST_VIDEO_INFO_COMP_PSTRIDE(info, component[0]);
    if (GST_VIDEO_INFO_FORMAT(info) == GST_VIDEO_FORMAT_YUY2) /* two pixels are in one word */
        plane->row = GST_ROUND_UP_4(plane->row);
}

static gboolean describe(struct planes *planes, const GstVideoInfo *caps_info, GstBuffer *buffer)
{
    const GstVideoMeta *meta = gst_buffer_get_video_meta(buffer);
    GstVideoInfo info = *caps_info;

    planes->count = GST_VIDEO_INFO_N_PLANES(caps_info);
    if (planes->count < 1 || planes->count > MAX_PLANES)
        return FALSE;
    if (meta &&
        (meta->format != GST_VIDEO_INFO_FORMAT(caps_info) || meta->n_planes != planes->count ||
         meta->width < 1 || meta->height < 1 || meta->width > G_MAXUINT16 || meta->height > G_MAXUINT16 ||
         !gst_video_info_set_format(&info, meta->format, meta->width, meta->height)))
        return FALSE;
    for (guint i = 0; i < planes->count; i++) {
        gint stride = meta ? meta->stride[i] : GST_VIDEO_INFO_PLANE_STRIDE(&info, i);
        struct plane *plane = &planes->plane[i];
        describe_rows(&info, i, plane);
        plane->offset = meta ? meta->offset[i] : GST_VIDEO_INFO_PLANE_OFFSET(&info, i);
        plane->stride = stride > 0 ? (gsize)stride : 0;
    }
    return TRUE;
}

static gboolean check_order(struct vulkan_share *share, struct planes *planes,
                            const GstVulkanBarrierMemoryInfo *barrier, VkSharingMode sharing,
                            const char **reason)
{
    const GstVulkanQueue *writer = barrier->queue, *reader = share->queue;

    if (writer && sharing == VK_SHARING_MODE_EXCLUSIVE && writer->family != reader->family) {
        *reason = other_family;
        return FALSE;
    }
#if GST_CHECK_VERSION(1, 24, 0)
    if (barrier->semaphore) {
        planes->waits[planes->wait_count++] =
            (struct shk_gather_wait){barrier->semaphore, barrier->semaphore_value};
        return TRUE;
    }
#endif
    if (writer && writer->queue != reader->queue) {
        *reason = other_queue;
        return FALSE;
    }
    return TRUE;
}

/* ---- Images ---- */

/* Bytes of a texel of that plane; 0: no format that is read here. */
static guint texel_size(VkFormat format, guint plane)
{
    switch (format) {
    case VK_FORMAT_R8_UNORM:
    case VK_FORMAT_G8_B8_R8_3PLANE_420_UNORM:
        return 1;
    case VK_FORMAT_R8G8_UNORM:
        return 2;
    case VK_FORMAT_G8_B8R8_2PLANE_420_UNORM:
        return plane == 0 ? 1 : 2;
    case VK_FORMAT_R8G8B8A8_UNORM:
    case VK_FORMAT_R8G8B8A8_SRGB:
    case VK_FORMAT_B8G8R8A8_UNORM:
    case VK_FORMAT_B8G8R8A8_SRGB:
        return 4;
    default:
        return 0;
    }
}

static gboolean check_image(const GstVulkanImageMemory *image, const char **reason)
{
    const VkImageCreateInfo *info = &image->create_info;

    if (!(image->usage & VK_IMAGE_USAGE_TRANSFER_SRC_BIT))
        *reason = no_transfer;
    else if (info->imageType != VK_IMAGE_TYPE_2D || info->samples != VK_SAMPLE_COUNT_1_BIT ||
             info->arrayLayers != 1)
        *reason = "is an image of several layers or samples";
    else if (image->barrier.image_layout == VK_IMAGE_LAYOUT_UNDEFINED ||
             image->barrier.image_layout == VK_IMAGE_LAYOUT_PREINITIALIZED)
        *reason = "is an image that nobody has written yet";
    else
        return TRUE;
    return FALSE;
}

/* An image for each plane, or one with all of them. */
static gboolean take_image(struct vulkan_share *share, struct planes *planes, guint index, gboolean alone,
                           struct shk_gather_plane *to, const char **reason)
{
    const struct plane *plane = &planes->plane[index];
    const GstVulkanImageMemory *image = (GstVulkanImageMemory *)plane->memory;
    gboolean half = !alone && index > 0;

    if (!gst_is_vulkan_image_memory(plane->memory)) {
        *reason = not_vulkan;
        return FALSE;
    }
    if (image->device->device != share->queue->device->device) {
        *reason = other_device;
        return FALSE;
    }
    const VkExtent3D *extent = &image->create_info.extent;
    guint texel = texel_size(image->create_info.format, alone ? 0 : index);
    if (!texel || plane->row % texel || plane->row / texel > (half ? extent->width / 2 : extent->width) ||
        plane->rows > (half ? extent->height / 2 : extent->height)) {
        *reason = "is an image of another format or size than its caps say";
        return FALSE;
    }
    if (!check_image(image, reason) ||
        ((alone || index == 0) &&
         !check_order(share, planes, &image->barrier.parent, image->create_info.sharingMode, reason)))
        return FALSE;
    to->image = image->image;
    to->layout = image->barrier.image_layout;
    to->aspect = alone ? VK_IMAGE_ASPECT_COLOR_BIT : VK_IMAGE_ASPECT_PLANE_0_BIT << index;
    to->width = (guint32)(plane->row / texel);
    to->height = (guint32)plane->rows;
    to->texel_size = texel;
    return TRUE;
}

static gboolean take_images(struct vulkan_share *share, struct planes *planes, GstBuffer *buffer,
                            struct shk_gather_plane *to, const char **reason)
{
    guint memories = gst_buffer_n_memory(buffer);

    if (memories != planes->count && memories != 1) {
        *reason = "has neither one image nor one for each plane";
        return FALSE;
    }
    for (guint i = 0; i < planes->count; i++) {
        struct plane *plane = &planes->plane[i];
        plane->memory = gst_buffer_peek_memory(buffer, memories == 1 ? 0 : i);
        plane->stride = GST_ROUND_UP_4(plane->row);
        if (!take_image(share, planes, i, memories == planes->count, &to[i], reason))
            return FALSE;
    }
    return TRUE;
}

/* ---- Buffers ---- */

static gsize plane_bytes(const struct plane *plane)
{
    return plane->stride * (plane->rows - 1) + plane->row; /* below 2^48 */
}

/* Finds the one memory that holds a plane. */
static gboolean find_memory(struct plane *plane, GstBuffer *buffer)
{
    guint index, length;

    if (plane->stride < plane->row || plane->offset > G_MAXSSIZE - plane_bytes(plane) ||
        !gst_buffer_find_memory(buffer, plane->offset, plane_bytes(plane), &index, &length, &plane->skip) ||
        length != 1)
        return FALSE;
    plane->memory = gst_buffer_peek_memory(buffer, index);
    plane->skip += plane->memory->offset;
    return TRUE;
}

static gboolean check_buffer(struct vulkan_share *share, const struct plane *plane, const char **reason)
{
    const GstVulkanBufferMemory *memory = (GstVulkanBufferMemory *)plane->memory;

    if (!gst_is_vulkan_buffer_memory(plane->memory))
        *reason = not_vulkan;
    else if (memory->device->device != share->queue->device->device)
        *reason = other_device;
    else if (plane->stride % WORD)
        *reason = "has rows that do not begin at multiples of 4";
    else
        return TRUE;
    return FALSE;
}

static gboolean take_buffers(struct vulkan_share *share, struct planes *planes, struct shk_gather_plane *to,
                             const char **reason)
{
    for (guint i = 0; i < planes->count; i++) {
        const struct plane *plane = &planes->plane[i];
        const GstVulkanBufferMemory *memory = (GstVulkanBufferMemory *)plane->memory;
        if (!check_buffer(share, plane, reason))
            return FALSE;
        if ((i == 0 || plane->memory != plane[-1].memory) &&
            !check_order(share, planes, &memory->barrier.parent, VK_SHARING_MODE_EXCLUSIVE, reason))
            return FALSE;
        to[i].buffer = memory->buffer;
        to[i].buffer_offset = plane->skip;
        to[i].buffer_size = plane_bytes(plane);
    }
    return TRUE;
}

/* ---- In place ---- */

static enum shk_status import_buffer(GstMemory *memory, struct shk_device *device, gsize size,
                                     struct shk_memory **imported, struct shk_error *error)
{
    return shk_memory_wrap_buffer(device, ((GstVulkanBufferMemory *)memory)->buffer, 0, size, imported,
                                  error);
}

/* Bytes from the VkBuffer's first one to the frame's last; 0: not to be bound. The size of a VkBuffer that
 * was wrapped is not known, so none of it is bound that no plane has. */
static gsize bound_size(const struct planes *planes)
{
    const GstVulkanBufferMemory *memory = (GstVulkanBufferMemory *)planes->plane[0].memory;
    gsize size = 0;

    for (guint i = 0; i < planes->count; i++) {
        const struct plane *plane = &planes->plane[i];
        if (plane->memory != planes->plane[0].memory || plane->skip % WORD)
            return 0;
        size = MAX(size, plane->skip + plane_bytes(plane));
    }
    return memory->usage & VK_BUFFER_USAGE_STORAGE_BUFFER_BIT && size % WORD == 0 ? size : 0;
}

/* A borrowed memory, or NULL. */
static struct shk_memory *find_in_place(struct vulkan_share *share, const struct planes *planes)
{
    struct shk_memory_info info;
    const char *reason;
    gsize size = bound_size(planes);
    struct shk_memory *memory =
        size ? frame_import_by(planes->plane[0].memory, share->device, size, import_buffer, &reason) : NULL;

    if (!memory)
        return NULL;
    shk_memory_get_info(memory, &info);
    return info.size >= size ? memory : NULL;
}

static enum shk_status use_in_place(struct vulkan_share *share, const struct planes *planes,
                                    struct shk_memory *memory, struct shk_frame *pixels,
                                    struct shk_error *error)
{
    struct shk_memory *none = NULL;
    enum shk_status status = SHK_OK;

    if (!share->order)
        status = shk_gather_create(share->device, share->frames, 0, &share->order, error);
    if (!status)
        status = shk_gather_submit(share->order, NULL, 0, planes->waits, planes->wait_count, &none, error);
    if (status)
        return status;
    for (guint i = 0; i < planes->count; i++) {
        pixels->offset[i] = planes->plane[i].skip;
        pixels->stride[i] = (guint32)planes->plane[i].stride;
    }
    pixels->memory = shk_memory_ref(memory);
    return SHK_OK;
}

/* ---- Copies ---- */

static enum shk_status prepare_copies(struct vulkan_share *share, gsize size, struct shk_error *error)
{
    if (share->copies && share->copy_size == size)
        return SHK_OK;
    shk_gather_destroy(&share->copies);
    share->copy_size = size;
    return shk_gather_create(share->device, share->frames, size, &share->copies, error);
}

static enum shk_status copy(struct vulkan_share *share, const struct planes *planes,
                            struct shk_gather_plane *to, struct shk_frame *pixels, struct shk_error *error)
{
    struct shk_memory *memory = NULL;
    gsize size = 0;

    for (guint i = 0; i < planes->count; i++) {
        to[i].offset = size;
        to[i].stride = (guint32)planes->plane[i].stride;
        size += planes->plane[i].stride * planes->plane[i].rows;
    }
    enum shk_status status = prepare_copies(share, size, error);
    if (!status)
        status = shk_gather_submit(share->copies, to, planes->count, planes->waits, planes->wait_count,
                                   &memory, error);
    if (status)
        return status;
    for (guint i = 0; i < planes->count; i++) {
        pixels->offset[i] = to[i].offset;
        pixels->stride[i] = to[i].stride;
    }
    pixels->memory = memory;
    return SHK_OK;
}

void vulkan_frame_close(struct vulkan_share *share)
{
    shk_gather_destroy(&share->order);
    shk_gather_destroy(&share->copies);
}

/* ---- The frame ---- */

static enum shk_status refuse(const char *reason, struct shk_error *error)
{
    return vulkan_share_fail(error, SHK_ERROR_UNSUPPORTED, "the frame %s", reason);
}

static enum shk_status buffer_frame(struct vulkan_share *share, struct planes *planes,
                                    struct shk_gather_plane *to, GstBuffer *buffer, struct shk_frame *pixels,
                                    const char **reason, struct shk_error *error)
{
    for (guint i = 0; i < planes->count; i++)
        if (!find_memory(&planes->plane[i], buffer))
            return vulkan_share_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                                     "plane %u (%" G_GSIZE_FORMAT " rows, stride %" G_GSIZE_FORMAT
                                     ", offset %" G_GSIZE_FORMAT ") is not in one memory of the buffer",
                                     i, planes->plane[i].rows, planes->plane[i].stride,
                                     planes->plane[i].offset);
    if (!take_buffers(share, planes, to, reason))
        return refuse(*reason, error);
    struct shk_memory *memory = find_in_place(share, planes);
    if (memory)
        return use_in_place(share, planes, memory, pixels, error);
    for (guint i = 0; i < planes->count; i++)
        if (!(((GstVulkanBufferMemory *)planes->plane[i].memory)->usage & VK_BUFFER_USAGE_TRANSFER_SRC_BIT)) {
            *reason = no_transfer;
            return refuse(no_transfer, error);
        }
    return copy(share, planes, to, pixels, error);
}

enum shk_status vulkan_share_frame(struct vulkan_share *share, const GstVideoInfo *info, GstBuffer *buffer,
                                   struct shk_frame *pixels, const char **reason, struct shk_error *error)
{
    struct shk_gather_plane to[MAX_PLANES];
    struct planes planes;

    *reason = NULL;
    memset(to, 0, sizeof(to));
    memset(&planes, 0, sizeof(planes));
    if (!share->device || gst_buffer_n_memory(buffer) == 0 || !describe(&planes, info, buffer))
        return vulkan_share_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%s",
                                 share->device ? "the buffer has no memory, or another format than its caps"
                                               : "a frame in Vulkan memory came before vulkan_share_open()");
    if (!gst_is_vulkan_image_memory(gst_buffer_peek_memory(buffer, 0)))
        return buffer_frame(share, &planes, to, buffer, pixels, reason, error);
    if (!take_images(share, &planes, buffer, to, reason))
        return refuse(*reason, error);
    return copy(share, &planes, to, pixels, error);
}
