/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_OVERLAY_ELEMENT_H
#define SHRIKE_GST_OVERLAY_ELEMENT_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_SHRIKE_OVERLAY (gst_shrike_overlay_get_type())
G_DECLARE_FINAL_TYPE(GstShrikeOverlay, gst_shrike_overlay, GST, SHRIKE_OVERLAY, GstElement)

G_END_DECLS
#endif
