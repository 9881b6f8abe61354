/* Detections as GstAnalytics metadata, which the elements of GStreamer 1.24 and newer read
 * (objectdetectionoverlay, trackers). Built everywhere; without gstreamer-analytics-1.0 at build time it does
 * nothing. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_DETECT_ANALYTICS_H
#define SHRIKE_GST_DETECT_ANALYTICS_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* The version whose libraries are needed. */
#define DETECT_ANALYTICS_VERSION "1.24"

/* What a frame's result is written as: the property `meta`. */
enum detect_meta_kinds {
    DETECT_META_ROI = 1 << 0,       /* GstVideoRegionOfInterestMeta */
    DETECT_META_ANALYTICS = 1 << 1, /* GstAnalyticsRelationMeta */
    DETECT_META_BOTH = DETECT_META_ROI | DETECT_META_ANALYTICS,
};

#define DETECT_TYPE_META_KINDS (detect_meta_kinds_get_type())
GType detect_meta_kinds_get_type(void);

/* All that this build can write. */
guint detect_meta_kinds_default(void);

/* What of `kinds` this build can write, at least DETECT_META_ROI. Posts a warning that names the version
 * which is needed for the rest. */
guint detect_meta_kinds_check(GstElement *element, guint kinds);

struct detect_analytics_object {
    GQuark label;
    guint x, y, width, height; /* pixels of the frame */
    gfloat confidence;
};

/* Adds to the buffer's GstAnalyticsRelationMeta, which is made if there is none (also for `count` 0: the
 * frame was looked at): detector    one GstAnalyticsODMtd per object, in the order of `objects` classifier
 * one GstAnalyticsClsMtd with all of them as classes, none for `count` 0. It speaks of the whole frame: the
 * boxes are not used What others have put into the meta stays. `buffer` must be writable. */
void detect_analytics_attach(GstBuffer *buffer, const struct detect_analytics_object *objects, guint count,
                             gboolean classification);

G_END_DECLS
#endif
