/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_upload.h"

#include <string.h>

#include "frame_drm.h"
#include "frame_import.h"
#include "frame_pool.h"

GST_DEBUG_CATEGORY_EXTERN(shrike_detect_debug);
#define GST_CAT_DEFAULT shrike_detect_debug

void detect_upload_init(struct detect_upload *upload, GstElement *element, guint depth)
{
    *upload = (struct detect_upload){.element = element, .depth = depth};
}

static void drop_staging(struct detect_upload *upload)
{
    if (upload->staging)
        gst_buffer_pool_set_active(upload->staging, FALSE);
    gst_clear_object(&upload->staging);
}

void detect_upload_clear(struct detect_upload *upload)
{
    drop_staging(upload);
    g_clear_pointer(&upload->device, engine_device_unref);
}

gboolean detect_upload_set_device(struct detect_upload *upload, struct engine_device *device)
{
    if (upload->device && upload->device->number == device->number) {
        engine_device_unref(device);
        return FALSE;
    }
    gboolean another = upload->device != NULL;
    drop_staging(upload);
    engine_device_unref(upload->device);
    upload->device = device;
    return another;
}

void detect_upload_set_share(struct detect_upload *upload, struct vulkan_share *share, gboolean images)
{
    upload->share = share;
    upload->images = images;
}

/* ---- in place ---- */

static void place(struct shk_frame *pixels, struct shk_memory *memory, gsize base, const struct frame_layout *layout)
{
    pixels->memory = memory;
    for (guint i = 0; i < layout->plane_count; i++) {
        pixels->offset[i] = base + layout->offset[i];
        pixels->stride[i] = layout->stride[i];
    }
}

static gboolean use_in_place(struct detect_upload *upload, const struct shk_stream *stream,
                             const struct frame_layout *layout, GstBuffer *buffer, struct shk_frame *pixels,
                             const char **reason)
{
    gsize base = 0;
    struct shk_error error;
    struct shk_memory *memory = frame_import(buffer, upload->device->device, &base, reason);
    if (!memory)
        return FALSE;
    place(pixels, memory, base, layout);
    if (shk_stream_check(stream, pixels, &error) == SHK_OK)
        return TRUE;
    *reason = "the network cannot read it where it is";
    if (*reason != upload->reason)
        GST_INFO_OBJECT(upload->element, "%s", error.message);
    return FALSE;
}

static void note_in_place(struct detect_upload *upload, struct detect_frame *frame, GstClockTime start)
{
    if (upload->reason)
        GST_INFO_OBJECT(upload->element, "frames are read where they are");
    upload->reason = NULL;
    upload->in_place++;
    frame->upload = (struct shk_stage_time){start, 0};
}

/* Once for each reason, not for each frame. */
static void log_reason(struct detect_upload *upload, const char *reason)
{
    if (reason == upload->reason)
        return;
    upload->reason = reason;
    GST_INFO_OBJECT(upload->element, "frames are copied for the device: %s", reason);
}

/* ---- copied ---- */

static GstBufferPool *pool_new(struct engine_device *device, const GstVideoInfo *info, guint most)
{
    GstBufferPool *pool = frame_pool_new(device->device);
    GstCaps *caps = gst_video_info_to_caps(info);
    GstStructure *config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, caps, GST_VIDEO_INFO_SIZE(info), 0, most);
    gst_caps_unref(caps);
    if (!gst_buffer_pool_set_config(pool, config))
        gst_clear_object(&pool);
    return pool;
}

static gboolean prepare_staging(struct detect_upload *upload, const GstVideoInfo *info)
{
    if (upload->staging && gst_video_info_is_equal(&upload->staging_info, info))
        return TRUE;
    drop_staging(upload);
    upload->staging_info = *info;
    upload->staging = pool_new(upload->device, info, upload->depth);
    return upload->staging && gst_buffer_pool_set_active(upload->staging, TRUE);
}

/* A reference of the buffer, or of one with the same memory whose GstVideoMeta names the format, where that leaves it to
 * caps with drm-format: GStreamer does not map it then. */
static GstBuffer *with_format(GstBuffer *buffer, const GstVideoInfo *info)
{
    const GstVideoMeta *meta = gst_buffer_get_video_meta(buffer);
    if (!meta || !frame_drm_is_format(meta->format))
        return gst_buffer_ref(buffer);
    GstBuffer *copy = gst_buffer_copy(buffer);
    gst_buffer_get_video_meta(copy)->format = GST_VIDEO_INFO_FORMAT(info);
    return copy;
}

/* gst_video_frame_copy() leaves out a part of the last pixel of an odd number in YUY2. FALSE: a plane's rows are shorter
 * than what they hold. */
static gboolean copy_planes(GstVideoFrame *to, const GstVideoFrame *from)
{
    for (guint i = 0; i < GST_VIDEO_FRAME_N_PLANES(from); i++) {
        guint row, rows;
        frame_plane_size(GST_VIDEO_FRAME_FORMAT(from), i, (guint)GST_VIDEO_FRAME_WIDTH(from),
                         (guint)GST_VIDEO_FRAME_HEIGHT(from), &row, &rows);
        gsize from_stride = (gsize)GST_VIDEO_FRAME_PLANE_STRIDE(from, i),
              to_stride = (gsize)GST_VIDEO_FRAME_PLANE_STRIDE(to, i);
        const guint8 *source = GST_VIDEO_FRAME_PLANE_DATA(from, i);
        guint8 *target = GST_VIDEO_FRAME_PLANE_DATA(to, i);
        if (from_stride < row || to_stride < row)
            return FALSE;
        for (gsize y = 0; y < rows; y++)
            memcpy(target + y * to_stride, source + y * from_stride, row);
    }
    return TRUE;
}

static gboolean copy_pixels(struct detect_upload *upload, const GstVideoInfo *info, GstBuffer *from, GstBuffer *to)
{
    GstVideoFrame source, target;
    GstBuffer *readable = with_format(from, info);
    gboolean mapped = gst_video_frame_map(&source, info, readable, GST_MAP_READ);
    gst_buffer_unref(readable); /* kept by the map */
    if (!mapped)
        return FALSE;
    gboolean copied = gst_video_frame_map(&target, &upload->staging_info, to, GST_MAP_WRITE);
    if (copied) {
        copied = copy_planes(&target, &source);
        gst_video_frame_unmap(&target);
    }
    gst_video_frame_unmap(&source);
    return copied;
}

static gboolean fail(struct shk_error *error, enum shk_status status, const char *what, const GstVideoInfo *info)
{
    error->status = status;
    g_snprintf(error->message, sizeof(error->message), "%s of a %dx%d %s frame", what, GST_VIDEO_INFO_WIDTH(info),
               GST_VIDEO_INFO_HEIGHT(info), gst_video_format_to_string(GST_VIDEO_INFO_FORMAT(info)));
    return FALSE;
}

static gboolean use_copy(struct detect_upload *upload, struct detect_frame *frame, const struct frame_layout *layout,
                         const GstVideoInfo *info, GstBuffer *buffer, struct shk_frame *pixels,
                         struct shk_error *error)
{
    GstVideoInfo staged_info;
    struct frame_layout staged;
    gsize base;
    const char *reason;
    frame_layout_video_info(layout, info, &staged_info);
    if (!prepare_staging(upload, &staged_info) ||
        gst_buffer_pool_acquire_buffer(upload->staging, &frame->staging, NULL) != GST_FLOW_OK)
        return fail(error, SHK_ERROR_OUT_OF_DEVICE_MEMORY, "no memory that the device reads for a copy", info);
    if (!copy_pixels(upload, info, buffer, frame->staging))
        return fail(error, SHK_ERROR_IO, "the element upstream gives memory that cannot be read: no copy", info);
    struct shk_memory *memory = frame_import(frame->staging, upload->device->device, &base, &reason);
    if (!memory || !frame_layout_describe(&staged, &staged_info, frame->staging))
        return fail(error, SHK_ERROR_UNSUPPORTED, "the device cannot read the copy", info);
    place(pixels, memory, base, &staged);
    return TRUE;
}

static void note_copy(struct detect_upload *upload, struct detect_frame *frame, GstClockTime start)
{
    upload->copied++;
    frame->upload = (struct shk_stage_time){start, gst_util_get_timestamp() - start};
}

/* ---- other elements' Vulkan memory ---- */

/* SHK_OK: read in place, or *reason says why the device copies it. SHK_ERROR_UNSUPPORTED with *reason: neither. */
static enum shk_status use_shared(struct detect_upload *upload, struct detect_frame *frame,
                                  const struct shk_stream *stream, const GstVideoInfo *info, GstBuffer *buffer,
                                  struct shk_frame *pixels, const char **reason, struct shk_error *error)
{
    struct shk_memory_info memory;
    enum shk_status status = vulkan_share_frame(upload->share, info, buffer, pixels, reason, error);
    if (status != SHK_OK)
        return status;
    frame->memory = pixels->memory;
    shk_memory_get_info(frame->memory, &memory);
    if (memory.origin != SHK_ORIGIN_BUFFER)
        *reason = upload->images ? "the device copies images" : "the device copies buffers that it cannot bind";
    if (shk_stream_check(stream, pixels, error) == SHK_OK)
        return SHK_OK;
    *reason = "the network cannot read it where it is";
    vulkan_share_finish(upload->share);
    shk_memory_unref(&frame->memory);
    return SHK_ERROR_UNSUPPORTED;
}

static gboolean refuse_shared(const struct detect_upload *upload, const char *reason, struct shk_error *error)
{
    error->status = SHK_ERROR_UNSUPPORTED;
    g_snprintf(error->message, sizeof(error->message),
               "a frame in %s %s: put vulkandownload in between, or mend the element upstream that made it",
               upload->images ? VULKAN_SHARE_IMAGE_FEATURE : VULKAN_SHARE_BUFFER_FEATURE, reason);
    return FALSE;
}

static gboolean read_shared(struct detect_upload *upload, struct detect_frame *frame,
                            const struct shk_stream *stream, const GstVideoInfo *info, GstBuffer *buffer,
                            struct shk_frame *pixels, struct shk_error *error)
{
    struct frame_layout layout;
    const char *reason = NULL;
    GstClockTime start = gst_util_get_timestamp();
    enum shk_status status = use_shared(upload, frame, stream, info, buffer, pixels, &reason, error);
    if (status == SHK_OK && !reason) {
        note_in_place(upload, frame, start);
        return TRUE;
    }
    if (status != SHK_OK && status != SHK_ERROR_UNSUPPORTED)
        return FALSE;
    if (status != SHK_OK && (upload->images || !frame_layout_describe(&layout, info, buffer)))
        return refuse_shared(upload, reason, error);
    log_reason(upload, reason);
    if (status != SHK_OK && !use_copy(upload, frame, &layout, info, buffer, pixels, error))
        return FALSE;
    note_copy(upload, frame, start);
    return TRUE;
}

/* ---- all of it ---- */

gboolean detect_upload_frame(struct detect_upload *upload, struct detect_frame *frame,
                             const struct shk_stream *stream, const struct frame_layout *layout,
                             const GstVideoInfo *info, GstBuffer *buffer, struct shk_frame *pixels,
                             struct shk_error *error)
{
    const char *reason = NULL;
    if (upload->share)
        return read_shared(upload, frame, stream, info, buffer, pixels, error);
    GstClockTime start = gst_util_get_timestamp();
    if (use_in_place(upload, stream, layout, buffer, pixels, &reason)) {
        note_in_place(upload, frame, start);
        return TRUE;
    }
    log_reason(upload, reason);
    if (!use_copy(upload, frame, layout, info, buffer, pixels, error))
        return FALSE;
    note_copy(upload, frame, start);
    return TRUE;
}

/* ---- for upstream ---- */

/* In front of what downstream offers: a decoder that writes there saves a copy of every frame. */
static void put_first(GstQuery *query, GstBufferPool *pool, guint size, guint least)
{
    guint count = gst_query_get_n_allocation_pools(query);
    gst_query_add_allocation_pool(query, pool, size, least, 0);
    for (guint i = count; i > 0; i--) {
        GstBufferPool *other = NULL;
        guint other_size, other_min, other_max;
        gst_query_parse_nth_allocation_pool(query, i - 1, &other, &other_size, &other_min, &other_max);
        gst_query_set_nth_allocation_pool(query, i, other, other_size, other_min, other_max);
        gst_clear_object(&other);
    }
    gst_query_set_nth_allocation_pool(query, 0, pool, size, least, 0);
}

void detect_upload_propose(struct engine_device *device, GstQuery *query, guint buffers)
{
    GstCaps *caps = NULL;
    GstVideoInfo info;
    gboolean need_pool = FALSE;
    gst_query_parse_allocation(query, &caps, &need_pool);
    if (!caps || !gst_video_info_from_caps(&info, caps))
        return;
    GstBufferPool *pool = pool_new(device, &info, 0);
    if (!pool)
        return;
    put_first(query, pool, (guint)GST_VIDEO_INFO_SIZE(&info), buffers);
    gst_object_unref(pool);
}
