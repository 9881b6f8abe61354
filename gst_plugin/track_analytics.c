/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "track_analytics.h"

#ifdef SHRIKE_HAVE_ANALYTICS
#include <gst/analytics/analytics.h>

static gboolean same_box(const GstAnalyticsODMtd *mtd, const struct track_analytics_object *object)
{
    gint x, y, width, height;
    gfloat confidence;
    return gst_analytics_od_mtd_get_location(mtd, &x, &y, &width, &height, &confidence) &&
           x == (gint)object->x && y == (gint)object->y && width == (gint)object->width &&
           height == (gint)object->height;
}

static gboolean has_track(GstAnalyticsRelationMeta *meta, guint id)
{
    GstAnalyticsTrackingMtd mtd;
    return gst_analytics_relation_meta_get_direct_related(
        meta, id, GST_ANALYTICS_REL_TYPE_RELATE_TO, gst_analytics_tracking_mtd_get_mtd_type(), NULL, &mtd);
}

static gboolean find_detection(GstAnalyticsRelationMeta *meta, const struct track_analytics_object *object,
                               GstAnalyticsODMtd *mtd)
{
    gpointer state = NULL;
    while (gst_analytics_relation_meta_iterate(meta, &state, gst_analytics_od_mtd_get_mtd_type(), mtd)) {
        if (object->label && gst_analytics_od_mtd_get_obj_type(mtd) != object->label)
            continue;
        if (same_box(mtd, object) && !has_track(meta, mtd->id))
            return TRUE;
    }
    return FALSE;
}

gboolean track_analytics_present(GstBuffer *buffer)
{
    return gst_buffer_get_analytics_relation_meta(buffer) != NULL;
}

gboolean track_analytics_attach(GstBuffer *buffer, const struct track_analytics_object *object)
{
    GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta(buffer);
    GstAnalyticsODMtd detection;
    GstAnalyticsTrackingMtd track;
    if (!meta || !find_detection(meta, object, &detection))
        return FALSE;
    if (!gst_analytics_relation_meta_add_tracking_mtd(meta, object->track_id, object->first_seen, &track))
        return FALSE;
    gst_analytics_tracking_mtd_update_last_seen(&track, object->last_seen);
    return gst_analytics_relation_meta_set_relation(meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, detection.id,
                                                    track.id);
}

#else

gboolean track_analytics_present(GstBuffer *buffer)
{
    return FALSE;
}

gboolean track_analytics_attach(GstBuffer *buffer, const struct track_analytics_object *object)
{
    return FALSE;
}

#endif
