/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-shriketrack
 * @title: shriketrack
 * @short_description: numbers the objects that a detector found, from frame to frame
 *
 * Gives every object a number that it keeps while it is in the picture: an int from 1 on, never given twice
 * by the same element. It is written to the param structures "object_id" {id} (as DL Streamer's gvatrack
 * does) and "detection" {track_id} of the object's GstVideoRegionOfInterestMeta, and to the entries of
 * `detections` in the "ShrikeLatency" meta. Regions of other detectors are followed, too. The pixels are not
 * touched.
 *
 * A constant-velocity filter per object says where it should be at the frame's time stamp; boxes go to the
 * objects that they overlap most, all at once (SORT: Bewley, Ge, Ott, Ramos and Upcroft, 2016).
 *
 * On frames that shrikedetect did not infer, boxes that it held keep their numbers; where it passed the frame
 * without boxes, those that the filters predict are attached and flagged `predicted`, so that every frame has
 * boxes.
 *
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! videoconvert ! \
 *   shrikedetect model-file=detect.tflite label-file=coco.txt ! shriketrack ! shrikeoverlay ! \
 *   videoconvert ! autovideosink
 * ]| Boxes with numbers.
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! videoconvert ! \
 *   shrikedetect model-file=detect.tflite label-file=coco.txt inference-interval=3 ! shriketrack min-hits=2 !
 * \ shrikeoverlay ! videoconvert ! autovideosink
 * ]| The network sees one frame of three; the boxes on the others are predicted.
 */
#include "track_element.h"

#include <gst/video/video.h>

#include "track_meta.h"
#include "tracker.h"

GST_DEBUG_CATEGORY_STATIC(shrike_track_debug);
#define GST_CAT_DEFAULT shrike_track_debug

enum {
    PROP_0,
    PROP_IOU_THRESHOLD,
    PROP_MAX_AGE,
    PROP_MIN_HITS,
    PROP_MATCH_CLASSES,
    PROP_PREDICT,
    PROP_STATS,
};

#define DEFAULT_IOU_THRESHOLD 0.3f
#define DEFAULT_MAX_AGE       1000 /* ms */
#define DEFAULT_MIN_HITS      3

/* Where neither buffer nor caps say how long a frame lasts. */
#define DEFAULT_DURATION (GST_SECOND / 30)

struct _GstShrikeTrack {
    GstBaseTransform parent;

    /* object lock */
    struct tracker_settings settings;
    gboolean predict;
    struct tracker_stats stats; /* as of the last frame */

    /* streaming thread */
    struct tracker *tracker;
    struct track_frame frame;
    struct tracker_object predicted[TRACKER_MAX_TRACKS];
    guint kinds; /* enum detect_meta_kinds: what was on the last inferred frame that had objects */
    guint64 left_out;
    guint width, height;
    GstClockTime duration; /* of a frame, as caps say */
    gboolean warned_crowded;
};

/* Also memory that no CPU can read, and formats that this GStreamer does not know. */
#define TRACK_CAPS "video/x-raw(ANY)"
static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(TRACK_CAPS));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(TRACK_CAPS));

G_DEFINE_TYPE(GstShrikeTrack, gst_shrike_track, GST_TYPE_BASE_TRANSFORM)

/* ---- Frames ---- */

/* The stats property is read by other threads. */
static void publish_stats(GstShrikeTrack *self)
{
    struct tracker_stats stats;
    tracker_get_stats(self->tracker, &stats);
    stats.crowded += self->left_out;
    GST_OBJECT_LOCK(self);
    self->stats = stats;
    GST_OBJECT_UNLOCK(self);
    if (stats.crowded > 0 && !self->warned_crowded)
        GST_WARNING_OBJECT(self, "more than %d objects: the others get no numbers (see stats)",
                           TRACKER_MAX_TRACKS);
    self->warned_crowded |= stats.crowded > 0;
}

static void reset(GstShrikeTrack *self, const char *why)
{
    GST_DEBUG_OBJECT(self, "%s: objects get new numbers", why);
    tracker_reset(self->tracker);
    publish_stats(self);
}

static void follow(GstShrikeTrack *self, GstBuffer *buffer)
{
    struct track_frame *frame = &self->frame;
    GstClockTime duration =
        GST_BUFFER_DURATION_IS_VALID(buffer) ? GST_BUFFER_DURATION(buffer) : self->duration;
    track_meta_read(frame, buffer, self->width, self->height);
    self->left_out += frame->left_out;
    tracker_advance(self->tracker, GST_BUFFER_PTS(buffer), duration);
    if (frame->status == TRACK_INFERRED && frame->count > 0)
        self->kinds = frame->kinds;
    if (frame->status == TRACK_INFERRED)
        tracker_update(self->tracker, frame->objects, frame->count);
    else
        tracker_match(self->tracker, frame->age, frame->objects, frame->count);
    track_meta_write(frame, buffer);
}

static void predict(GstShrikeTrack *self, GstBuffer *buffer)
{
    guint count = tracker_predict(self->tracker, self->predicted, TRACKER_MAX_TRACKS);
    guint added = track_meta_add_predicted(&self->frame, buffer, self->predicted, count, self->kinds);
    GST_LOG_OBJECT(self, "predicted %u objects, %u of them inside of the frame", count, added);
}

static GstFlowReturn transform_ip(GstBaseTransform *transform, GstBuffer *buffer)
{
    GstShrikeTrack *self = GST_SHRIKE_TRACK(transform);
    G_STATIC_ASSERT(TRACKER_NO_TIME == GST_CLOCK_TIME_NONE);
    GST_OBJECT_LOCK(self);
    struct tracker_settings settings = self->settings;
    gboolean with_predictions = self->predict;
    GST_OBJECT_UNLOCK(self);
    tracker_set(self->tracker, &settings);
    follow(self, buffer);
    if (with_predictions && self->frame.status == TRACK_PASSED)
        predict(self, buffer);
    publish_stats(self);
    return GST_FLOW_OK;
}

/* A buffer that others hold, too, gets a header of its own; the pixels stay where they are. */
static GstFlowReturn prepare_output_buffer(GstBaseTransform *transform, GstBuffer *input, GstBuffer **output)
{
    *output = gst_buffer_is_writable(input) ? input : gst_buffer_copy(input);
    return GST_FLOW_OK;
}

/* ---- Stream ---- */

static gboolean set_caps(GstBaseTransform *transform, GstCaps *in_caps, GstCaps *out_caps)
{
    GstShrikeTrack *self = GST_SHRIKE_TRACK(transform);
    const GstStructure *structure = gst_caps_get_structure(in_caps, 0);
    gint width = 0, height = 0, rate = 0, per = 0;
    if (!gst_structure_get_int(structure, "width", &width) ||
        !gst_structure_get_int(structure, "height", &height) || width < 1 || height < 1) {
        GST_ERROR_OBJECT(self, "caps %" GST_PTR_FORMAT " have no width and height", in_caps);
        return FALSE;
    }
    if ((guint)width != self->width || (guint)height != self->height)
        reset(self, "frames of another size");
    self->width = (guint)width;
    self->height = (guint)height;
    self->duration = DEFAULT_DURATION;
    if (gst_structure_get_fraction(structure, "framerate", &rate, &per) && rate > 0 && per > 0)
        self->duration = gst_util_uint64_scale_int(GST_SECOND, per, rate);
    return TRUE;
}

static gboolean sink_event(GstBaseTransform *transform, GstEvent *event)
{
    GstShrikeTrack *self = GST_SHRIKE_TRACK(transform);
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP)
        reset(self, "flushed");
    if (GST_EVENT_TYPE(event) == GST_EVENT_STREAM_START) /* also when the element starts anew */
        reset(self, "another stream");
    return GST_BASE_TRANSFORM_CLASS(gst_shrike_track_parent_class)->sink_event(transform, event);
}

/* Upstream and downstream agree on memory as if nobody were between them. */
static gboolean propose_allocation(GstBaseTransform *transform, GstQuery *decided, GstQuery *query)
{
    return gst_pad_peer_query(GST_BASE_TRANSFORM_SRC_PAD(transform), query);
}

static gboolean decide_allocation(GstBaseTransform *transform, GstQuery *query)
{
    while (gst_query_get_n_allocation_pools(query) > 0)
        gst_query_remove_nth_allocation_pool(query, 0);
    return TRUE;
}

/* ---- Object ---- */

static GstStructure *describe_stats(GstShrikeTrack *self)
{
    GST_OBJECT_LOCK(self);
    struct tracker_stats stats = self->stats;
    GST_OBJECT_UNLOCK(self);
    return gst_structure_new("shrike-track-stats", "created", G_TYPE_UINT64, stats.created, "alive",
                             G_TYPE_UINT64, stats.alive, "lost", G_TYPE_UINT64, stats.lost, "crowded",
                             G_TYPE_UINT64, stats.crowded, "invalid", G_TYPE_UINT64, stats.invalid, NULL);
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    GstShrikeTrack *self = GST_SHRIKE_TRACK(object);
    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_IOU_THRESHOLD:
        self->settings.iou_threshold = g_value_get_float(value);
        break;
    case PROP_MAX_AGE:
        self->settings.max_age = g_value_get_uint(value) * GST_MSECOND;
        break;
    case PROP_MIN_HITS:
        self->settings.min_hits = g_value_get_uint(value);
        break;
    case PROP_MATCH_CLASSES:
        self->settings.match_classes = g_value_get_boolean(value);
        break;
    case PROP_PREDICT:
        self->predict = g_value_get_boolean(value);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        break;
    }
    GST_OBJECT_UNLOCK(self);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    GstShrikeTrack *self = GST_SHRIKE_TRACK(object);
    if (id == PROP_STATS) {
        g_value_take_boxed(value, describe_stats(self));
        return;
    }
    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_IOU_THRESHOLD:
        g_value_set_float(value, (gfloat)self->settings.iou_threshold);
        break;
    case PROP_MAX_AGE:
        g_value_set_uint(value, (guint)(self->settings.max_age / GST_MSECOND));
        break;
    case PROP_MIN_HITS:
        g_value_set_uint(value, self->settings.min_hits);
        break;
    case PROP_MATCH_CLASSES:
        g_value_set_boolean(value, self->settings.match_classes);
        break;
    case PROP_PREDICT:
        g_value_set_boolean(value, self->predict);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        break;
    }
    GST_OBJECT_UNLOCK(self);
}

static void finalize(GObject *object)
{
    tracker_free(GST_SHRIKE_TRACK(object)->tracker);
    G_OBJECT_CLASS(gst_shrike_track_parent_class)->finalize(object);
}

static void install_properties(GObjectClass *class)
{
    const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;
    g_object_class_install_property(
        class, PROP_IOU_THRESHOLD,
        g_param_spec_float(
            "iou-threshold", "IoU threshold",
            "Intersection over union of where an object should be and a box, from which the box is "
            "taken for the object",
            0.0f, 1.0f, DEFAULT_IOU_THRESHOLD, flags));
    g_object_class_install_property(
        class, PROP_MAX_AGE,
        g_param_spec_uint("max-age", "Maximum age",
                          "Milliseconds that an object is remembered while no box is found for it", 0,
                          G_MAXUINT, DEFAULT_MAX_AGE, flags));
    g_object_class_install_property(
        class, PROP_MIN_HITS,
        g_param_spec_uint("min-hits", "Minimum hits",
                          "Inferred frames in a row in which an object must be found until it gets a number",
                          1, G_MAXUINT, DEFAULT_MIN_HITS, flags));
    g_object_class_install_property(
        class, PROP_MATCH_CLASSES,
        g_param_spec_boolean("match-classes", "Match classes",
                             "An object keeps its label: boxes with another one are other objects", TRUE,
                             flags));
    g_object_class_install_property(
        class, PROP_PREDICT,
        g_param_spec_boolean("predict", "Predict",
                             "Attach where the objects should be to frames that passed the detector without "
                             "inference",
                             TRUE, flags));
    g_object_class_install_property(
        class, PROP_STATS,
        g_param_spec_boxed(
            "stats", "Statistics",
            "created: numbers given; alive, lost: of those, objects that are remembered and objects "
            "that are not; crowded: boxes that were too many to be followed; invalid: boxes that "
            "are none",
            GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void gst_shrike_track_class_init(GstShrikeTrackClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GstBaseTransformClass *transform_class = GST_BASE_TRANSFORM_CLASS(class);
    GST_DEBUG_CATEGORY_INIT(shrike_track_debug, "shriketrack", 0, "shriketrack element");
    object_class->set_property = set_property;
    object_class->get_property = get_property;
    object_class->finalize = finalize;
    install_properties(object_class);
    transform_class->set_caps = GST_DEBUG_FUNCPTR(set_caps);
    transform_class->sink_event = GST_DEBUG_FUNCPTR(sink_event);
    transform_class->propose_allocation = GST_DEBUG_FUNCPTR(propose_allocation);
    transform_class->decide_allocation = GST_DEBUG_FUNCPTR(decide_allocation);
    transform_class->prepare_output_buffer = GST_DEBUG_FUNCPTR(prepare_output_buffer);
    transform_class->transform_ip = GST_DEBUG_FUNCPTR(transform_ip);
    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(element_class, "Shrike object tracker", "Filter/Analyzer/Video",
                                          "Numbers the objects that a detector found, from frame to frame",
                                          "The Shrike developers");
}

static void gst_shrike_track_init(GstShrikeTrack *self)
{
    self->settings = (struct tracker_settings){.iou_threshold = DEFAULT_IOU_THRESHOLD,
                                               .max_age = DEFAULT_MAX_AGE * GST_MSECOND,
                                               .min_hits = DEFAULT_MIN_HITS,
                                               .match_classes = TRUE};
    self->predict = TRUE;
    self->duration = DEFAULT_DURATION;
    self->tracker = tracker_new();
    gst_base_transform_set_in_place(GST_BASE_TRANSFORM(self), TRUE);
    gst_base_transform_set_gap_aware(GST_BASE_TRANSFORM(self), TRUE);
}
