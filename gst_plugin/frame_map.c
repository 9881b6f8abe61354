/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame_map.h"

#include <string.h>

static const struct {
    GstVideoFormat video;
    enum shk_pixel_format pixel;
} formats[] = {
    {GST_VIDEO_FORMAT_RGB, SHK_FORMAT_RGB},     {GST_VIDEO_FORMAT_BGR, SHK_FORMAT_BGR},
    {GST_VIDEO_FORMAT_RGBA, SHK_FORMAT_RGBA},   {GST_VIDEO_FORMAT_BGRA, SHK_FORMAT_BGRA},
    {GST_VIDEO_FORMAT_RGBx, SHK_FORMAT_RGBX},   {GST_VIDEO_FORMAT_BGRx, SHK_FORMAT_BGRX},
    {GST_VIDEO_FORMAT_GRAY8, SHK_FORMAT_GRAY8}, {GST_VIDEO_FORMAT_NV12, SHK_FORMAT_NV12},
    {GST_VIDEO_FORMAT_I420, SHK_FORMAT_I420},   {GST_VIDEO_FORMAT_YUY2, SHK_FORMAT_YUY2},
};

static gboolean describe_format(struct shk_frame_format *format, const GstVideoInfo *info,
                                const GstVideoColorimetry *colorimetry)
{
    gsize i = 0;
    while (i < G_N_ELEMENTS(formats) && formats[i].video != GST_VIDEO_INFO_FORMAT(info))
        i++;
    if (i == G_N_ELEMENTS(formats))
        return FALSE;
    format->format = formats[i].pixel;
    format->width = GST_VIDEO_INFO_WIDTH(info);
    format->height = GST_VIDEO_INFO_HEIGHT(info);
    switch (colorimetry->matrix) {
    case GST_VIDEO_COLOR_MATRIX_FCC:
    case GST_VIDEO_COLOR_MATRIX_BT601:
        format->matrix = SHK_YUV_BT601;
        break;
    case GST_VIDEO_COLOR_MATRIX_BT709:
    case GST_VIDEO_COLOR_MATRIX_SMPTE240M:
    case GST_VIDEO_COLOR_MATRIX_BT2020:
        format->matrix = SHK_YUV_BT709;
        break;
    default: /* the size decides, as GStreamer itself does it */
        format->matrix = format->height > 576 ? SHK_YUV_BT709 : SHK_YUV_BT601;
        break;
    }
    gboolean full = colorimetry->range == GST_VIDEO_COLOR_RANGE_0_255 ||
                    (colorimetry->range == GST_VIDEO_COLOR_RANGE_UNKNOWN && GST_VIDEO_INFO_IS_GRAY(info));
    format->range = full ? SHK_YUV_FULL : SHK_YUV_LIMITED;
    return TRUE;
}

static gboolean take_planes(struct frame_map *map)
{
    for (guint i = 0; i < GST_VIDEO_FRAME_N_PLANES(&map->video); i++) {
        /* without GstVideoMeta all planes live in the first mapping */
        const GstMapInfo *memory = &map->video.map[map->video.meta ? i : 0];
        const guint8 *plane = GST_VIDEO_FRAME_PLANE_DATA(&map->video, i);
        gint stride = GST_VIDEO_FRAME_PLANE_STRIDE(&map->video, i);
        if (stride <= 0 || plane < memory->data || plane > memory->data + memory->size)
            return FALSE;
        map->frame.plane[i] = plane;
        map->frame.plane_size[i] = memory->size - (gsize)(plane - memory->data);
        map->frame.stride[i] = (guint)stride;
    }
    return TRUE;
}

static void take_crop(struct frame_map *map, const GstVideoInfo *caps_info, GstBuffer *buffer)
{
    struct frame_area *area = &map->area;
    guint frame_width = map->format.width, frame_height = map->format.height;
    *area = (struct frame_area){frame_width, frame_height, 0, 0, frame_width, frame_height};
    const GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta(buffer);
    if (!crop)
        return;
    if (crop->width == 0 || crop->height == 0 || crop->x >= frame_width || crop->y >= frame_height) {
        map->bad_crop = TRUE;
        return;
    }
    struct shk_rect rect = {crop->x, crop->y, MIN(crop->width, frame_width - crop->x),
                            MIN(crop->height, frame_height - crop->y)};
    map->frame.crop = rect;
    if (GST_VIDEO_INFO_WIDTH(caps_info) != (gint)frame_width ||
        GST_VIDEO_INFO_HEIGHT(caps_info) != (gint)frame_height)
        *area = (struct frame_area){frame_width, frame_height, rect.x, rect.y, rect.width, rect.height};
}

gboolean frame_map_acquire(struct frame_map *map, const GstVideoInfo *info, GstBuffer *buffer)
{
    memset(map, 0, sizeof(*map));
    if (!gst_video_frame_map(&map->video, info, buffer, GST_MAP_READ))
        return FALSE;
    if (!describe_format(&map->format, &map->video.info, &info->colorimetry) || !take_planes(map)) {
        gst_video_frame_unmap(&map->video);
        return FALSE;
    }
    take_crop(map, info, buffer);
    return TRUE;
}

void frame_map_release(struct frame_map *map)
{
    gst_video_frame_unmap(&map->video);
}

gboolean frame_area_transform(const struct frame_area *area, struct shk_detection *detection)
{
    if (area->width == area->frame_width && area->height == area->frame_height)
        return TRUE;
    float scale_x = (float)area->frame_width / area->width,
          scale_y = (float)area->frame_height / area->height;
    float left = (float)area->x / area->frame_width, top = (float)area->y / area->frame_height;
    detection->x_min = CLAMP((detection->x_min - left) * scale_x, 0.0f, 1.0f);
    detection->x_max = CLAMP((detection->x_max - left) * scale_x, 0.0f, 1.0f);
    detection->y_min = CLAMP((detection->y_min - top) * scale_y, 0.0f, 1.0f);
    detection->y_max = CLAMP((detection->y_max - top) * scale_y, 0.0f, 1.0f);
    return detection->x_min < detection->x_max && detection->y_min < detection->y_max;
}
