/* Caps with the feature memory:DMABuf: which ones can be read, and what they say.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Before GStreamer 1.24 they name an ordinary format, and nothing says how its rows lie in memory: they are
 * taken to be linear. Since 1.24 most of them say format=DMA_DRM, with fourcc and modifier in drm-format.
 * Only linear ones can be read, so only those are in the pads' templates. */
#ifndef SHRIKE_GST_FRAME_DRM_H
#define SHRIKE_GST_FRAME_DRM_H

#include <gst/video/video.h>

G_BEGIN_DECLS

/* Appends to *caps what can be read. `formats`: a list of ordinary formats as in caps, "{ NV12, ... }". */
void frame_drm_append_caps(GstCaps *caps, const char *formats);

/* gst_video_info_from_caps(), which also understands drm-format. FALSE also for modifiers that are not
 * linear. */
gboolean frame_drm_video_info(GstVideoInfo *info, const GstCaps *caps);

/* Whether a GstVideoMeta with this format leaves it to the caps to say what the format is. */
static inline gboolean frame_drm_is_format(GstVideoFormat format)
{
#if GST_CHECK_VERSION(1, 24, 0)
    return format == GST_VIDEO_FORMAT_DMA_DRM;
#else
    return FALSE;
#endif
}

G_END_DECLS
#endif
