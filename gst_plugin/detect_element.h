/* shrikedetect: its instance, shared by detect_element.c (properties, states) and detect_flow.c (pads).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_DETECT_ELEMENT_H
#define SHRIKE_GST_DETECT_ELEMENT_H

#include <gst/video/video.h>

#include "detect_queue.h"
#include "engine.h"
#include "latency_stats.h"

G_BEGIN_DECLS

#define GST_TYPE_SHRIKE_DETECT (gst_shrike_detect_get_type())
G_DECLARE_FINAL_TYPE(GstShrikeDetect, gst_shrike_detect, GST, SHRIKE_DETECT, GstElement)

struct _GstShrikeDetect {
    GstElement parent;
    GstPad *sinkpad, *srcpad;

    /* object lock */
    struct engine_settings settings;
    guint meta;                /* enum detect_meta_kinds, as asked for */
    gboolean settings_changed; /* since the engine was opened */
    struct latency_stats stats;
    GstClockTime latency;    /* as last answered, and announced with a LATENCY message when it changes */
    gboolean live;           /* as the last LATENCY query found */
    gboolean session_failed; /* nothing more can be submitted or waited for until the engine is reopened */

    /* written by state changes, with the pads inactive and under the object lock, else only read */
    struct engine engine;
    guint slots;
    guint kinds; /* enum detect_meta_kinds, as written */

    struct detect_queue queue;

    /* sink pad's streaming thread */
    GstVideoInfo info;
    gboolean have_info;
    struct shk_frame_format format; /* what the session is configured for */
    gboolean configured;
    gboolean warned_crop;
};

/* The stats property. */
GstStructure *gst_shrike_detect_describe_stats(GstShrikeDetect *self);

/* detect_flow.c */
void gst_shrike_detect_create_pads(GstShrikeDetect *self);
/* Forgets the stream before the pads start. */
void gst_shrike_detect_reset_flow(GstShrikeDetect *self);
/* Takes what is still on the device, once no thread of either pad runs. */
void gst_shrike_detect_drain_session(GstShrikeDetect *self);
GstStaticPadTemplate *gst_shrike_detect_pad_template(GstPadDirection direction);

GST_DEBUG_CATEGORY_EXTERN(shrike_detect_debug);

G_END_DECLS
#endif
