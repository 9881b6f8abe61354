/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame_map.h"

#include <string.h>

#include "frame_drm.h"

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

static gboolean describe_format(struct shk_frame_format *format, GstVideoFormat video, guint width, guint height,
                                const GstVideoInfo *info)
{
    const GstVideoColorimetry *colorimetry = &info->colorimetry;
    gsize i = 0;
    while (i < G_N_ELEMENTS(formats) && formats[i].video != video)
        i++;
    if (i == G_N_ELEMENTS(formats))
        return FALSE;
    format->format = formats[i].pixel;
    format->width = width;
    format->height = height;
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

static void take_crop(struct frame_layout *layout, const GstVideoInfo *caps_info, GstBuffer *buffer)
{
    struct frame_area *area = &layout->area;
    guint frame_width = layout->format.width, frame_height = layout->format.height;
    *area = (struct frame_area){frame_width, frame_height, 0, 0, frame_width, frame_height};
    const GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta(buffer);
    if (!crop)
        return;
    if (crop->width == 0 || crop->height == 0 || crop->x >= frame_width || crop->y >= frame_height) {
        layout->bad_crop = TRUE;
        return;
    }
    struct shk_rect rect = {crop->x, crop->y, MIN(crop->width, frame_width - crop->x),
                            MIN(crop->height, frame_height - crop->y)};
    layout->crop = rect;
    if (GST_VIDEO_INFO_WIDTH(caps_info) != (gint)frame_width ||
        GST_VIDEO_INFO_HEIGHT(caps_info) != (gint)frame_height)
        *area = (struct frame_area){frame_width, frame_height, rect.x, rect.y, rect.width, rect.height};
}

void frame_plane_size(GstVideoFormat format, guint plane, guint width, guint height, guint *row, guint *rows)
{
    GstVideoInfo info;
    /* YUY2 has its pixels in pairs: of an odd width the last one, too, has the V of a pair */
    gst_video_info_set_format(&info, format, format == GST_VIDEO_FORMAT_YUY2 ? GST_ROUND_UP_2(width) : width, height);
    gint component[GST_VIDEO_MAX_COMPONENTS];
    gst_video_format_info_component(info.finfo, plane, component);
    *rows = (guint)GST_VIDEO_INFO_COMP_HEIGHT(&info, component[0]);
    *row = (guint)GST_VIDEO_INFO_COMP_WIDTH(&info, component[0]) *
           (guint)GST_VIDEO_INFO_COMP_PSTRIDE(&info, component[0]);
}

/* Whether the planes lie in the buffer, by arithmetic that does not overflow. */
static gboolean planes_fit(const struct frame_layout *layout, GstVideoFormat format, gsize size)
{
    for (guint i = 0; i < layout->plane_count; i++) {
        guint row, rows;
        frame_plane_size(format, i, layout->format.width, layout->format.height, &row, &rows);
        /* strides are 32 bits and heights at most 16 */
        guint64 needed = (guint64)layout->stride[i] * (rows - 1) + row;
        if (layout->stride[i] < row || layout->offset[i] > size || needed > size - layout->offset[i])
            return FALSE;
    }
    return TRUE;
}

static GstVideoFormat format_of(const GstVideoMeta *meta, const GstVideoInfo *info)
{
    return meta && !frame_drm_is_format(meta->format) ? meta->format : GST_VIDEO_INFO_FORMAT(info);
}

gboolean frame_layout_describe_frame(struct frame_layout *layout, const GstVideoInfo *info, GstBuffer *buffer)
{
    const GstVideoMeta *meta = gst_buffer_get_video_meta(buffer);
    GstVideoFormat format = format_of(meta, info);
    guint width = meta ? meta->width : (guint)GST_VIDEO_INFO_WIDTH(info);
    guint height = meta ? meta->height : (guint)GST_VIDEO_INFO_HEIGHT(info);
    memset(layout, 0, sizeof(*layout));
    if (width < 1 || height < 1 || width > G_MAXUINT16 || height > G_MAXUINT16 ||
        !describe_format(&layout->format, format, width, height, info))
        return FALSE;
    layout->plane_count = GST_VIDEO_INFO_N_PLANES(info);
    if (meta && (meta->n_planes != layout->plane_count || format != GST_VIDEO_INFO_FORMAT(info)))
        return FALSE;
    take_crop(layout, info, buffer);
    return TRUE;
}

gboolean frame_layout_describe(struct frame_layout *layout, const GstVideoInfo *info, GstBuffer *buffer)
{
    const GstVideoMeta *meta = gst_buffer_get_video_meta(buffer);
    if (!frame_layout_describe_frame(layout, info, buffer))
        return FALSE;
    for (guint i = 0; i < layout->plane_count; i++) {
        gint stride = meta ? meta->stride[i] : GST_VIDEO_INFO_PLANE_STRIDE(info, i);
        if (stride <= 0)
            return FALSE;
        layout->stride[i] = (guint)stride;
        layout->offset[i] = meta ? meta->offset[i] : GST_VIDEO_INFO_PLANE_OFFSET(info, i);
    }
    return planes_fit(layout, GST_VIDEO_INFO_FORMAT(info), gst_buffer_get_size(buffer));
}

void frame_layout_video_info(const struct frame_layout *layout, const GstVideoInfo *caps_info, GstVideoInfo *info)
{
    gst_video_info_set_format(info, GST_VIDEO_INFO_FORMAT(caps_info), layout->format.width, layout->format.height);
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
