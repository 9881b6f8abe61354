/* shrikedetect: its instance, shared by detect_element.c (states), detect_properties.c, detect_pads.c (events, queries,
 * activation), detect_share.c (other elements' Vulkan devices), detect_input.c (sink pad's streaming thread) and
 * detect_output.c (source pad's task).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_DETECT_ELEMENT_H
#define SHRIKE_GST_DETECT_ELEMENT_H

#include <gst/video/video.h>

#include "detect_meta.h"
#include "detect_queue.h"
#include "detect_regions.h"
#include "detect_trace.h"
#include "detect_upload.h"
#include "engine.h"
#include "latency_stats.h"
#include "vulkan_share.h"

G_BEGIN_DECLS

#define GST_TYPE_SHRIKE_DETECT (gst_shrike_detect_get_type())
G_DECLARE_FINAL_TYPE(GstShrikeDetect, gst_shrike_detect, GST, SHRIKE_DETECT, GstElement)

/* What happens to a frame when max-in-flight frames are on the device. */
enum detect_drop_policy {
    DETECT_DROP_NONE,  /* upstream waits */
    DETECT_DROP_LEAKY, /* the newest frame is inferred next, the one before passes without inference */
    DETECT_DROP_SKIP,  /* the frame is dropped */
    DETECT_DROP_HOLD,  /* the frame passes with the last detections */
};

/* Frames that may wait behind the max-in-flight ones: under DETECT_DROP_LEAKY one, which gives way to a newer one. */
static inline guint gst_shrike_detect_waiting_places(enum detect_drop_policy policy)
{
    return policy == DETECT_DROP_LEAKY ? 1 : 0;
}

/* Frames with a result, or on their way to one, that are in the element at a time. More than are on the device: a live
 * sink holds frames back for as long as was announced, and the device is not to be idle meanwhile. Elsewhere a few are
 * enough, so that not all that downstream waits for is read ahead. */
static inline guint gst_shrike_detect_places(guint depth, gboolean live)
{
    return live ? DETECT_QUEUE_CAPACITY : 3 * depth + 2;
}

/* Properties that may change while frames flow. */
struct detect_options {
    enum detect_drop_policy drop_policy;
    guint interval; /* one frame of so many is inferred */
    gboolean qos;
    GstClockTime stats_interval; /* 0: no messages but that at the end */
};

/* The last detections, for frames that pass without inference under drop-policy=hold. Source pad's task only. */
struct detect_held {
    struct shk_detection *detections; /* room for ENGINE_MAX_DETECTIONS */
    guint count;
    struct engine_labels *labels;
    GstClockTime pts;
    gboolean valid;
};

struct _GstShrikeDetect {
    GstElement parent;
    GstPad *sinkpad, *srcpad;

    /* object lock */
    struct engine_settings settings;
    gboolean settings_changed; /* since the engine was opened */
    gboolean files_changed;    /* model-file or label-file are not what the engine runs, but what it is to run */
    guint files_number;        /* of the last such change */
    struct detect_options options;
    guint meta; /* enum detect_meta_kinds, as asked for */
    enum detect_region_source region_source;
    char *roi, *object_class, *trace_path;
    struct latency_stats stats;
    GstClockTime latency;  /* as last answered, and announced with a LATENCY message when it changes */
    gboolean live;         /* as the last LATENCY query found */
    GstClockTime earliest; /* running time before which downstream has no use for frames; none: no QoS event */
    guint dropped;         /* frames since the last buffer left */
    gboolean failed;       /* nothing more can be inferred until the engine is opened anew */
    const char *copy_reason; /* why frames are copied for the device (static string); NULL: they are not */

    /* Written under the object lock: by state changes, with the pads inactive, and by the sink pad's streaming thread,
     * with nothing queued. So both pads' threads read them without it, and all others with it. */
    struct engine *engine;
    struct engine_stream *stream;
    /* written by state changes, with the pads inactive and under the object lock, else only read */
    guint depth; /* max-in-flight */
    struct detect_regions regions;
    guint kinds; /* enum detect_meta_kinds, as written */

    struct detect_queue queue;
    struct detect_frame_pool frames;
    struct detect_trace trace;
    struct vulkan_share *share; /* NULL: built without gstreamer-vulkan */

    /* sink pad's streaming thread */
    GstVideoInfo info;
    gboolean have_info;
    GstSegment segment;
    struct detect_upload upload;
    guint64 frame_number;
    gboolean warned_crop, warned_regions;
    gboolean refused_caps; /* an error message has said why; upstream offers them again and again */

    /* source pad's task */
    struct detect_held held;
    struct engine_labels *labels; /* of the last inferred frame; a reference */
    GstClockTime last_report;
};

/* The stats property. */
GstStructure *gst_shrike_detect_describe_stats(GstShrikeDetect *self);

/* Reads model-file and label-file from the engine, whose model somebody has changed, unless other ones were set
 * meanwhile. */
void gst_shrike_detect_follow_files(GstShrikeDetect *self);
/* What engine_stream_worst_latency() says of this element's frames; for its streaming threads. */
GstClockTime gst_shrike_detect_worst_latency(GstShrikeDetect *self, GstClockTime batch_time);

/* Has the engine change its model, if it runs. */
void gst_shrike_detect_swap_model(GstShrikeDetect *self);

/* Opens the trace file, or goes on with it for another model. FALSE: an error message says why not. */
gboolean gst_shrike_detect_open_trace(GstShrikeDetect *self);

/* Posts an error, once until the engine is opened anew. */
void gst_shrike_detect_fail(GstShrikeDetect *self, const struct shk_error *error, const char *doing);

/* detect_properties.c */
void gst_shrike_detect_install_properties(GObjectClass *class);
void gst_shrike_detect_init_properties(GstShrikeDetect *self);

/* detect_pads.c */
void gst_shrike_detect_create_pads(GstShrikeDetect *self);
void gst_shrike_detect_add_pad_templates(GstElementClass *class);
/* Cancels what has not reached the device, waits for the rest, and drops all that is queued, once no thread of either
 * pad runs. Sticky events stay on `pad` unless it is NULL. */
void gst_shrike_detect_drop_queued(GstShrikeDetect *self, GstPad *pad);

/* detect_share.c, for the sink pad's streaming thread */
/* At a CAPS event: where these frames are in other elements' Vulkan memory, waits for those before them and moves the
 * engine to that device. GST_FLOW_FLUSHING, or GST_FLOW_NOT_NEGOTIATED when an error message has said why not. */
GstFlowReturn gst_shrike_detect_follow_memory(GstShrikeDetect *self, const GstCaps *caps);
/* No thread of either pad runs any more, and nothing is queued. */
void gst_shrike_detect_end_sharing(GstShrikeDetect *self);

/* detect_input.c */
GstFlowReturn gst_shrike_detect_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer);

/* detect_output.c */
void gst_shrike_detect_output_loop(gpointer self);
void gst_shrike_detect_forget_held(GstShrikeDetect *self);

GST_DEBUG_CATEGORY_EXTERN(shrike_detect_debug);

G_END_DECLS
#endif
