/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_analytics.h"

#ifdef SHRIKE_HAVE_ANALYTICS
#include <gst/analytics/analytics.h>
#endif

static gpointer register_meta_kinds(gpointer unused)
{
    static const GEnumValue values[] = {
        {DETECT_META_ROI, "One GstVideoRegionOfInterestMeta per detection", "roi"},
        {DETECT_META_ANALYTICS, "One GstAnalyticsRelationMeta (GStreamer 1.24 or newer)", "analytics"},
        {DETECT_META_BOTH, "Both (GStreamer 1.24 or newer)", "both"},
        {0, NULL, NULL},
    };
    /* a static and a shared build of the plugin may meet in one process */
    GType type = g_type_from_name("GstShrikeDetectMetaKinds");
    return GSIZE_TO_POINTER(type ? type : g_enum_register_static("GstShrikeDetectMetaKinds", values));
}

GType detect_meta_kinds_get_type(void)
{
    static GOnce once = G_ONCE_INIT;
    return (GType)GPOINTER_TO_SIZE(g_once(&once, register_meta_kinds, NULL));
}

guint detect_meta_kinds_default(void)
{
#ifdef SHRIKE_HAVE_ANALYTICS
    return DETECT_META_BOTH;
#else
    return DETECT_META_ROI;
#endif
}

guint detect_meta_kinds_check(GstElement *element, guint kinds)
{
    guint possible = kinds & detect_meta_kinds_default();
    if (possible != kinds)
        GST_ELEMENT_WARNING(
            element, LIBRARY, SETTINGS,
            ("meta=%s needs GStreamer " DETECT_ANALYTICS_VERSION " or newer: writing meta=roi instead",
             kinds == DETECT_META_ANALYTICS ? "analytics" : "both"),
            ("this plugin was built with GStreamer %u.%u.%u and without gstreamer-analytics-1.0: install its "
             "development files (Debian: libgstreamer-plugins-bad1.0-dev) and build the plugin anew",
             GST_VERSION_MAJOR, GST_VERSION_MINOR, GST_VERSION_MICRO));
    return possible ? possible : DETECT_META_ROI;
}

#ifdef SHRIKE_HAVE_ANALYTICS

static void add_classes(GstAnalyticsRelationMeta *meta, const struct detect_analytics_object *objects,
                        guint count)
{
    GstAnalyticsClsMtd mtd;
    gfloat *levels = g_new(gfloat, count);
    GQuark *labels = g_new(GQuark, count);
    for (guint i = 0; i < count; i++) {
        levels[i] = objects[i].confidence;
        labels[i] = objects[i].label;
    }
    gst_analytics_relation_meta_add_cls_mtd(meta, count, levels, labels, &mtd);
    g_free(levels);
    g_free(labels);
}

void detect_analytics_attach(GstBuffer *buffer, const struct detect_analytics_object *objects, guint count,
                             gboolean classification)
{
    GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta(buffer);
    if (!meta)
        meta = gst_buffer_add_analytics_relation_meta(buffer);
    if (classification) {
        if (count > 0)
            add_classes(meta, objects, count);
        return;
    }
    for (guint i = 0; i < count; i++) {
        const struct detect_analytics_object *object = &objects[i];
        GstAnalyticsODMtd mtd;
        gst_analytics_relation_meta_add_od_mtd(meta, object->label, (gint)object->x, (gint)object->y,
                                               (gint)object->width, (gint)object->height, object->confidence,
                                               &mtd);
    }
}

#else

void detect_analytics_attach(GstBuffer *buffer, const struct detect_analytics_object *objects, guint count,
                             gboolean classification)
{
}

#endif
