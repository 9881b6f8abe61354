/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame_drm.h"

#include <gst/allocators/gstdmabuf.h>

static GstStructure *structure_new(void)
{
    return gst_structure_new("video/x-raw", "width", GST_TYPE_INT_RANGE, 1, G_MAXINT, "height",
                             GST_TYPE_INT_RANGE, 1, G_MAXINT, "framerate", GST_TYPE_FRACTION_RANGE, 0, 1,
                             G_MAXINT, 1, NULL);
}

static void append(GstCaps *caps, GstStructure *structure)
{
    gst_caps_append_structure_full(caps, structure,
                                   gst_caps_features_new(GST_CAPS_FEATURE_MEMORY_DMABUF, NULL));
}

#if GST_CHECK_VERSION(1, 24, 0)

#define MODIFIER_LINEAR 0 /* DRM_FORMAT_MOD_LINEAR of drm_fourcc.h */

/* The linear layouts of the formats in `list`. */
static void fill_drm_formats(GValue *drm_formats, const GValue *list)
{
    g_value_init(drm_formats, GST_TYPE_LIST);
    for (guint i = 0; i < gst_value_list_get_size(list); i++) {
        const char *name = g_value_get_string(gst_value_list_get_value(list, i));
        guint32 fourcc = gst_video_dma_drm_fourcc_from_format(gst_video_format_from_string(name));
        char *text = fourcc ? gst_video_dma_drm_fourcc_to_string(fourcc, MODIFIER_LINEAR) : NULL;
        GValue value = G_VALUE_INIT;
        if (!text)
            continue;
        g_value_init(&value, G_TYPE_STRING);
        g_value_take_string(&value, text);
        gst_value_list_append_and_take_value(drm_formats, &value);
    }
}

static void append_drm(GstCaps *caps, const GValue *list)
{
    GstStructure *structure = structure_new();
    GValue drm_formats = G_VALUE_INIT;
    fill_drm_formats(&drm_formats, list);
    gst_structure_set(structure, "format", G_TYPE_STRING, "DMA_DRM", NULL);
    gst_structure_take_value(structure, "drm-format", &drm_formats);
    append(caps, structure);
}

gboolean frame_drm_video_info(GstVideoInfo *info, const GstCaps *caps)
{
    GstVideoInfoDmaDrm drm;
    if (!gst_video_is_dma_drm_caps(caps))
        return gst_video_info_from_caps(info, caps);
    return gst_video_info_dma_drm_from_caps(&drm, caps) && gst_video_info_dma_drm_to_video_info(&drm, info);
}

#else

static void append_drm(GstCaps *caps, const GValue *list)
{
}

gboolean frame_drm_video_info(GstVideoInfo *info, const GstCaps *caps)
{
    return gst_video_info_from_caps(info, caps);
}

#endif

void frame_drm_append_caps(GstCaps *caps, const char *formats)
{
    GstStructure *structure = structure_new();
    GValue list = G_VALUE_INIT;
    g_value_init(&list, GST_TYPE_LIST);
    if (!gst_value_deserialize(&list, formats))
        g_assert_not_reached();
    append_drm(caps, &list);
    gst_structure_take_value(structure, "format", &list);
    append(caps, structure);
}
