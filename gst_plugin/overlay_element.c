/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-shrikeoverlay
 * @title: shrikeoverlay
 * @short_description: draws detections and their latency on video
 *
 * Draws a box for every GstVideoRegionOfInterestMeta on the frame, with its label and, where there is a param
 * structure "detection", its confidence: what shrikedetect writes, and other elements too. A class has the
 * same colour in every run. Where a tracker has numbered the objects ("object_id" {id}, as shriketrack and DL
 * Streamer's gvatrack write it), the label says the number, too, and the colour is the object's.
 *
 * Frames with the "ShrikeLatency" meta also get a panel with the latest and the median time of every stage and,
 * if #GstShrikeOverlay:show-histogram is set, a histogram of the total latency of the last 500 frames.
 *
 * Where downstream takes GstVideoOverlayCompositionMeta (most video sinks do), the pixels stay untouched and
 * the drawing travels with the frame; else it is blended into the frame.
 *
 * |[
 * gst-launch-1.0 videotestsrc pattern=ball ! shrikedetect ! shrikeoverlay ! videoconvert ! autovideosink
 * ]| Boxes and latency on screen.
 * |[
 * gst-launch-1.0 videotestsrc pattern=ball ! shrikedetect ! shriketrack ! shrikeoverlay ! videoconvert ! autovideosink
 * ]| The same with a number on every object.
 * |[
 * gst-launch-1.0 videotestsrc pattern=ball num-buffers=10 ! shrikedetect ! shrikeoverlay show-latency=false ! \
 *   videoconvert ! pngenc ! multifilesink location=frame-%02d.png
 * ]| Pictures with boxes only.
 * |[
 * gst-launch-1.0 videotestsrc is-live=true pattern=ball ! shrikedetect ! shrikeoverlay show-histogram=true ! \
 *   videoconvert ! autovideosink
 * ]| How the latency of a live stream is spread.
 */
#include "overlay_element.h"

#include <gst/video/video.h>
#include <string.h>

#include "frame_map.h"
#include "overlay_draw.h"
#include "overlay_histogram.h"
#include "overlay_panel.h"
#include "shrike_meta.h"

GST_DEBUG_CATEGORY_STATIC(shrike_overlay_debug);
#define GST_CAT_DEFAULT shrike_overlay_debug

#define MAX_BOXES 256
#define MAX_NAME  80 /* bytes */

enum { PROP_0, PROP_SHOW_LATENCY, PROP_SHOW_LABELS, PROP_SHOW_HISTOGRAM };

struct _GstShrikeOverlay {
    GstElement parent;
    GstPad *sinkpad, *srcpad;

    /* object lock */
    gboolean show_latency, show_labels, show_histogram;

    /* streaming thread */
    GstVideoInfo info;
    GstCaps *caps;   /* of the sink pad */
    gboolean attach; /* downstream draws the composition */
    struct overlay_text text;
    struct overlay_canvas canvas;
    struct overlay_panel panel;
    struct overlay_histogram histogram;
    struct overlay_box boxes[MAX_BOXES];
};

#define COMPOSITION GST_CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION
#define OVERLAY_CAPS                                                                                         \
    GST_VIDEO_CAPS_MAKE(FRAME_FORMATS)                                                                       \
    ";" GST_VIDEO_CAPS_MAKE_WITH_FEATURES(GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY "," COMPOSITION,             \
                                          FRAME_FORMATS)
static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(OVERLAY_CAPS));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(OVERLAY_CAPS));

G_DEFINE_TYPE(GstShrikeOverlay, gst_shrike_overlay, GST_TYPE_ELEMENT)

/* ---- Negotiation ---- */

static GstCaps *with_composition(GstCaps *caps)
{
    GstCaps *copy = gst_caps_copy(caps);
    GstCapsFeatures *features = gst_caps_get_features(copy, 0);
    if (!gst_caps_features_contains(features, COMPOSITION))
        gst_caps_features_add(features, COMPOSITION);
    return copy;
}

/* A peer that takes anything (a file, a test) draws nothing: it must name the feature. */
static gboolean peer_names_composition(GstShrikeOverlay *self, GstCaps *caps)
{
    GstCaps *peer = gst_pad_peer_query_caps(self->srcpad, NULL);
    gboolean named = !gst_caps_is_any(peer) && gst_caps_can_intersect(peer, caps);
    gst_caps_unref(peer);
    return named;
}

static gboolean peer_takes_composition(GstShrikeOverlay *self, GstCaps *caps)
{
    GstQuery *query = gst_query_new_allocation(caps, FALSE);
    gboolean takes = gst_pad_peer_query(self->srcpad, query) &&
                     gst_query_find_allocation_meta(query, GST_VIDEO_OVERLAY_COMPOSITION_META_API_TYPE, NULL);
    gst_query_unref(query);
    return takes;
}

static gboolean negotiate(GstShrikeOverlay *self)
{
    if (gst_caps_features_contains(gst_caps_get_features(self->caps, 0), COMPOSITION)) {
        self->attach = TRUE;
        return gst_pad_set_caps(self->srcpad, self->caps);
    }
    GstCaps *caps = with_composition(self->caps);
    self->attach = peer_names_composition(self, caps) && gst_pad_set_caps(self->srcpad, caps) &&
                   peer_takes_composition(self, caps);
    gst_caps_unref(caps);
    GST_DEBUG_OBJECT(self, "%s", self->attach ? "downstream draws the composition" : "blending");
    return self->attach || gst_pad_set_caps(self->srcpad, self->caps);
}

static gboolean take_caps(GstShrikeOverlay *self, GstEvent *event)
{
    GstCaps *caps;
    gst_event_parse_caps(event, &caps);
    if (!gst_video_info_from_caps(&self->info, caps)) {
        GST_ERROR_OBJECT(self, "caps %" GST_PTR_FORMAT " describe no video frame", caps);
        return FALSE;
    }
    gst_caps_replace(&self->caps, caps);
    gst_pad_check_reconfigure(self->srcpad);
    gboolean negotiated = negotiate(self);
    if (!negotiated)
        gst_pad_mark_reconfigure(self->srcpad);
    return negotiated;
}

/* ---- Drawing ---- */

static void take_region(GstShrikeOverlay *self, struct overlay_box *box, GstVideoRegionOfInterestMeta *region,
                        gboolean with_label)
{
    const GstStructure *detection =
        gst_video_region_of_interest_meta_get_param(region, SHRIKE_DETECTION_PARAMS);
    const char *name = region->roi_type ? g_quark_to_string(region->roi_type) : "object";
    gint class_id = -1, track_id = overlay_track_id(region);
    gdouble confidence = -1;
    char number[16] = "";
    if (detection) {
        gst_structure_get_int(detection, SHRIKE_FIELD_LABEL_ID, &class_id);
        gst_structure_get_double(detection, SHRIKE_FIELD_CONFIDENCE, &confidence);
    }
    *box = (struct overlay_box){.x = region->x,
                                .y = region->y,
                                .width = region->w,
                                .height = region->h,
                                .color = track_id ? overlay_track_color(track_id)
                                                  : overlay_class_color(class_id, name)};
    if (!with_label)
        return;
    /* cut where it is too long, or where somebody's name stops being UTF-8 */
    const char *end;
    g_utf8_validate(name, (gssize)strnlen(name, MAX_NAME), &end);
    if (track_id)
        g_snprintf(number, sizeof(number), " #%d", track_id);
    if (confidence >= 0)
        g_snprintf(box->label, sizeof(box->label), "%.*s%s %.0f%%", (int)(end - name), name, number,
                   confidence * 100);
    else
        g_snprintf(box->label, sizeof(box->label), "%.*s%s", (int)(end - name), name, number);
}

static guint take_regions(GstShrikeOverlay *self, GstBuffer *buffer, gboolean with_labels)
{
    guint count = 0;
    gpointer state = NULL;
    GstMeta *meta;
    while (count < MAX_BOXES && (meta = gst_buffer_iterate_meta_filtered(
                                     buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)))
        take_region(self, &self->boxes[count++], (GstVideoRegionOfInterestMeta *)meta, with_labels);
    return count;
}

static void add(GstVideoOverlayComposition **composition, GstVideoOverlayRectangle *rectangle)
{
    if (rectangle && *composition)
        gst_video_overlay_composition_add_rectangle(*composition, rectangle);
    else if (rectangle)
        *composition = gst_video_overlay_composition_new(rectangle);
}

/* On top of the boxes, so that it can be read whatever is found behind it. */
static void add_latency(GstShrikeOverlay *self, const GstStructure *fields, gboolean with_panel,
                        gboolean with_histogram, GstVideoOverlayComposition **composition)
{
    guint width = GST_VIDEO_INFO_WIDTH(&self->info), height = GST_VIDEO_INFO_HEIGHT(&self->info);
    gint64 now = g_get_monotonic_time();
    GstVideoOverlayRectangle *panel = NULL;
    /* counts while it is not shown, too */
    overlay_histogram_add(&self->histogram, fields);
    if (with_panel) {
        overlay_panel_add(&self->panel, fields);
        panel = overlay_panel_get(&self->panel, &self->text, width, height, now);
        add(composition, panel);
    }
    if (with_histogram)
        add(composition, overlay_histogram_get(&self->histogram, &self->text, panel, width, height, now));
}

/* NULL if there is nothing to draw. */
static GstVideoOverlayComposition *compose(GstShrikeOverlay *self, GstBuffer *buffer)
{
    GST_OBJECT_LOCK(self);
    gboolean show_latency = self->show_latency, show_labels = self->show_labels,
             show_histogram = self->show_histogram;
    GST_OBJECT_UNLOCK(self);
    GstVideoOverlayComposition *composition = NULL;
    guint count = take_regions(self, buffer, show_labels);
    if (count) {
        GstVideoOverlayRectangle *boxes =
            overlay_draw_boxes(&self->canvas, &self->text, self->boxes, count,
                               GST_VIDEO_INFO_WIDTH(&self->info), GST_VIDEO_INFO_HEIGHT(&self->info));
        add(&composition, boxes);
        g_clear_pointer(&boxes, gst_video_overlay_rectangle_unref);
    }
    GstCustomMeta *latency = gst_buffer_get_custom_meta(buffer, SHRIKE_LATENCY_META);
    if (latency)
        add_latency(self, gst_custom_meta_get_structure(latency), show_latency, show_histogram, &composition);
    return composition;
}

/* Keeps what elements upstream attached. */
static void attach(GstBuffer *buffer, GstVideoOverlayComposition *composition)
{
    GstVideoOverlayCompositionMeta *meta = gst_buffer_get_video_overlay_composition_meta(buffer);
    if (!meta) {
        gst_buffer_add_video_overlay_composition_meta(buffer, composition);
        return;
    }
    meta->overlay = gst_video_overlay_composition_make_writable(meta->overlay);
    for (guint i = 0; i < gst_video_overlay_composition_n_rectangles(composition); i++)
        gst_video_overlay_composition_add_rectangle(
            meta->overlay, gst_video_overlay_composition_get_rectangle(composition, i));
}

static gboolean blend(GstShrikeOverlay *self, GstBuffer *buffer, GstVideoOverlayComposition *composition)
{
    GstVideoFrame frame;
    if (!gst_video_frame_map(&frame, &self->info, buffer, GST_MAP_READWRITE)) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                          ("a buffer of %" G_GSIZE_FORMAT
                           " bytes does not hold the %dx%d %s frame that its caps or its "
                           "GstVideoMeta describe",
                           gst_buffer_get_size(buffer), GST_VIDEO_INFO_WIDTH(&self->info),
                           GST_VIDEO_INFO_HEIGHT(&self->info),
                           gst_video_format_to_string(GST_VIDEO_INFO_FORMAT(&self->info))),
                          ("mend the element upstream that made it"));
        return FALSE;
    }
    gboolean blended = gst_video_overlay_composition_blend(composition, &frame);
    gst_video_frame_unmap(&frame);
    if (!blended)
        GST_WARNING_OBJECT(self, "could not blend the drawing into the frame");
    return TRUE;
}

static GstFlowReturn sink_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
    GstShrikeOverlay *self = GST_SHRIKE_OVERLAY(parent);
    gboolean usable = TRUE;
    if (!self->caps || (gst_pad_check_reconfigure(self->srcpad) && !negotiate(self))) {
        gboolean flushing = GST_PAD_IS_FLUSHING(self->srcpad);
        gst_pad_mark_reconfigure(self->srcpad);
        gst_buffer_unref(buffer);
        return flushing ? GST_FLOW_FLUSHING : GST_FLOW_NOT_NEGOTIATED;
    }
    GstVideoOverlayComposition *composition = compose(self, buffer);
    if (composition) {
        buffer = gst_buffer_make_writable(buffer);
        if (self->attach)
            attach(buffer, composition);
        else
            usable = blend(self, buffer, composition);
        gst_video_overlay_composition_unref(composition);
    }
    if (!usable) {
        gst_buffer_unref(buffer);
        return GST_FLOW_ERROR;
    }
    return gst_pad_push(self->srcpad, buffer);
}

static gboolean sink_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
    GstShrikeOverlay *self = GST_SHRIKE_OVERLAY(parent);
    if (GST_EVENT_TYPE(event) != GST_EVENT_CAPS)
        return gst_pad_event_default(pad, parent, event);
    gboolean taken = take_caps(self, event);
    gst_event_unref(event);
    return taken;
}

/* ---- Object ---- */

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    GstShrikeOverlay *self = GST_SHRIKE_OVERLAY(object);
    GST_OBJECT_LOCK(self);
    if (id == PROP_SHOW_LATENCY)
        self->show_latency = g_value_get_boolean(value);
    else if (id == PROP_SHOW_LABELS)
        self->show_labels = g_value_get_boolean(value);
    else if (id == PROP_SHOW_HISTOGRAM)
        self->show_histogram = g_value_get_boolean(value);
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    GST_OBJECT_UNLOCK(self);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    GstShrikeOverlay *self = GST_SHRIKE_OVERLAY(object);
    GST_OBJECT_LOCK(self);
    if (id == PROP_SHOW_LATENCY)
        g_value_set_boolean(value, self->show_latency);
    else if (id == PROP_SHOW_LABELS)
        g_value_set_boolean(value, self->show_labels);
    else if (id == PROP_SHOW_HISTOGRAM)
        g_value_set_boolean(value, self->show_histogram);
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    GST_OBJECT_UNLOCK(self);
}

static GstStateChangeReturn change_state(GstElement *element, GstStateChange transition)
{
    GstShrikeOverlay *self = GST_SHRIKE_OVERLAY(element);
    GstStateChangeReturn result =
        GST_ELEMENT_CLASS(gst_shrike_overlay_parent_class)->change_state(element, transition);
    if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
        gst_caps_replace(&self->caps, NULL);
        overlay_canvas_clear(&self->canvas);
        overlay_panel_clear(&self->panel);
        overlay_histogram_clear(&self->histogram);
    }
    return result;
}

static void finalize(GObject *object)
{
    GstShrikeOverlay *self = GST_SHRIKE_OVERLAY(object);
    gst_caps_replace(&self->caps, NULL);
    overlay_canvas_clear(&self->canvas);
    overlay_panel_clear(&self->panel);
    overlay_histogram_clear(&self->histogram);
    overlay_text_clear(&self->text);
    G_OBJECT_CLASS(gst_shrike_overlay_parent_class)->finalize(object);
}

static void gst_shrike_overlay_class_init(GstShrikeOverlayClass *class)
{
    const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GST_DEBUG_CATEGORY_INIT(shrike_overlay_debug, "shrikeoverlay", 0, "shrikeoverlay element");
    object_class->set_property = set_property;
    object_class->get_property = get_property;
    object_class->finalize = finalize;
    element_class->change_state = GST_DEBUG_FUNCPTR(change_state);
    g_object_class_install_property(
        object_class, PROP_SHOW_LATENCY,
        g_param_spec_boolean(
            "show-latency", "Show latency",
            "Draw a panel with the latest and median time of every stage on frames that have the "
            "ShrikeLatency meta",
            TRUE, flags));
    g_object_class_install_property(object_class, PROP_SHOW_LABELS,
                                    g_param_spec_boolean("show-labels", "Show labels",
                                                         "Write label and confidence on the boxes", TRUE,
                                                         flags));
    g_object_class_install_property(
        object_class, PROP_SHOW_HISTOGRAM,
        g_param_spec_boolean("show-histogram", "Show histogram",
                             "Draw a histogram of the total latency of the last 500 frames that have the "
                             "ShrikeLatency meta, with its p50, p95 and p99",
                             FALSE, flags));
    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(element_class, "Shrike overlay", "Filter/Effect/Video",
                                          "Draws detections and a latency panel on video",
                                          "The Shrike developers");
}

static void gst_shrike_overlay_init(GstShrikeOverlay *self)
{
    self->show_latency = self->show_labels = TRUE;
    overlay_text_init(&self->text);
    self->sinkpad = gst_pad_new_from_static_template(&sink_template, "sink");
    gst_pad_set_chain_function(self->sinkpad, GST_DEBUG_FUNCPTR(sink_chain));
    gst_pad_set_event_function(self->sinkpad, GST_DEBUG_FUNCPTR(sink_event));
    GST_PAD_SET_PROXY_CAPS(self->sinkpad);
    GST_PAD_SET_PROXY_ALLOCATION(self->sinkpad);
    gst_element_add_pad(GST_ELEMENT(self), self->sinkpad);
    self->srcpad = gst_pad_new_from_static_template(&src_template, "src");
    GST_PAD_SET_PROXY_CAPS(self->srcpad);
    gst_element_add_pad(GST_ELEMENT(self), self->srcpad);
}
