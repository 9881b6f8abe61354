/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_JSON_ELEMENT_H
#define SHRIKE_GST_JSON_ELEMENT_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_SHRIKE_JSON (gst_shrike_json_get_type())
G_DECLARE_FINAL_TYPE(GstShrikeJson, gst_shrike_json, GST, SHRIKE_JSON, GstBaseTransform)

G_END_DECLS
#endif
