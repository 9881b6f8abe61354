/* Tracks as GstAnalytics metadata. Built everywhere; without gstreamer-analytics-1.0 at build time it does
 * nothing. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_TRACK_ANALYTICS_H
#define SHRIKE_GST_TRACK_ANALYTICS_H

#include <gst/gst.h>

G_BEGIN_DECLS

struct track_analytics_object {
    guint64 track_id;
    GQuark label;              /* of the detection; 0: any */
    guint x, y, width, height; /* of the detection, pixels of the frame */
    GstClockTime first_seen, last_seen;
};

/* Whether the buffer has a GstAnalyticsRelationMeta. */
gboolean track_analytics_present(GstBuffer *buffer);

/* Looks for the GstAnalyticsODMtd that has this box and label and no track yet. If there is one, adds a
 * GstAnalyticsTrackingMtd and relates the detection to it (GST_ANALYTICS_REL_TYPE_RELATE_TO, detection first,
 * as other trackers do it). FALSE: there is none, as after meta=roi, and nothing was added. `buffer` must be
 * writable. */
gboolean track_analytics_attach(GstBuffer *buffer, const struct track_analytics_object *object);

G_END_DECLS
#endif
