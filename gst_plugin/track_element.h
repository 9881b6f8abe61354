/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_TRACK_ELEMENT_H
#define SHRIKE_GST_TRACK_ELEMENT_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_SHRIKE_TRACK (gst_shrike_track_get_type())
G_DECLARE_FINAL_TYPE(GstShrikeTrack, gst_shrike_track, GST, SHRIKE_TRACK, GstBaseTransform)

G_END_DECLS
#endif
