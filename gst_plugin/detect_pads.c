/* shrikedetect's pads: events, queries, activation. The frames' ways are detect_input.c and detect_output.c.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_element.h"
#include "frame_drm.h"

#define GST_CAT_DEFAULT shrike_detect_debug

#define VULKAN_CAPS                                                                                               \
    GST_VIDEO_CAPS_MAKE_WITH_FEATURES(VULKAN_SHARE_IMAGE_FEATURE, VULKAN_SHARE_IMAGE_FORMATS)                     \
    "; " GST_VIDEO_CAPS_MAKE_WITH_FEATURES(VULKAN_SHARE_BUFFER_FEATURE, VULKAN_SHARE_BUFFER_FORMATS)

void gst_shrike_detect_add_pad_templates(GstElementClass *class)
{
    GstCaps *caps = gst_caps_from_string(GST_VIDEO_CAPS_MAKE(FRAME_FORMATS));
    frame_drm_append_caps(caps, FRAME_FORMATS);
    if (vulkan_share_supported())
        gst_caps_append(caps, gst_caps_from_string(VULKAN_CAPS));
    gst_element_class_add_pad_template(class, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
    gst_element_class_add_pad_template(class, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
}

/* ---- flushing, activation ---- */

static void drop_frame(struct detect_frame *frame, gpointer data)
{
    GstShrikeDetect *self = data;
    detect_frame_give(&self->frames, frame);
    detect_queue_frame_done(&self->queue);
}

void gst_shrike_detect_drop_queued(GstShrikeDetect *self, GstPad *pad)
{
    if (self->stream)
        engine_stream_quiesce(self->stream);
    /* frames that were cancelled may still be copied */
    vulkan_share_finish(self->share);
    detect_queue_drop(&self->queue, pad, drop_frame, self);
}

static void set_flushing(GstShrikeDetect *self, gboolean flushing)
{
    detect_queue_set_flushing(&self->queue, flushing);
    GST_OBJECT_LOCK(self); /* the stream may be about to be another one */
    if (self->stream)
        engine_stream_set_flushing(self->stream, flushing);
    GST_OBJECT_UNLOCK(self);
}

static void start_output(GstShrikeDetect *self)
{
    set_flushing(self, FALSE);
    if (GST_PAD_MODE(self->srcpad) == GST_PAD_MODE_PUSH)
        gst_pad_start_task(self->srcpad, gst_shrike_detect_output_loop, self, NULL);
}

static void forget_qos(GstShrikeDetect *self)
{
    GST_OBJECT_LOCK(self);
    self->earliest = GST_CLOCK_TIME_NONE;
    GST_OBJECT_UNLOCK(self);
}

static gboolean flush_start(GstShrikeDetect *self, GstEvent *event)
{
    gboolean result = gst_pad_push_event(self->srcpad, event);
    set_flushing(self, TRUE);
    gst_pad_pause_task(self->srcpad);
    return result;
}

static gboolean flush_stop(GstShrikeDetect *self, GstEvent *event)
{
    gboolean result = gst_pad_push_event(self->srcpad, event);
    set_flushing(self, TRUE);
    gst_pad_pause_task(self->srcpad);
    gst_shrike_detect_drop_queued(self, self->srcpad);
    gst_shrike_detect_forget_held(self);
    forget_qos(self);
    gst_segment_init(&self->segment, GST_FORMAT_UNDEFINED);
    start_output(self);
    return result;
}

static gboolean sink_activate_mode(GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    if (mode != GST_PAD_MODE_PUSH)
        return FALSE;
    if (active) {
        start_output(self);
    } else {
        set_flushing(self, TRUE);
        GST_PAD_STREAM_LOCK(pad);
        gst_shrike_detect_drop_queued(self, NULL);
        GST_PAD_STREAM_UNLOCK(pad);
    }
    return TRUE;
}

static gboolean src_activate_mode(GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    if (mode != GST_PAD_MODE_PUSH)
        return FALSE;
    if (active) {
        set_flushing(self, FALSE);
        return gst_pad_start_task(pad, gst_shrike_detect_output_loop, self, NULL);
    }
    set_flushing(self, TRUE);
    return gst_pad_stop_task(pad);
}

/* ---- events ---- */

/* Once: the pad sends them again with every buffer. Frames that came before still leave. */
static void refuse_caps(GstShrikeDetect *self, GstCaps *caps)
{
    if (self->refused_caps)
        return;
    self->refused_caps = TRUE;
    char *text = gst_caps_to_string(caps);
    GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                      ("cannot read frames of %s: expected 1 to %d pixels a side; put videoscale or videocrop "
                       "before %s",
                       text, SHK_MAX_FRAME_SIDE, GST_OBJECT_NAME(self)),
                      ("the element upstream may have been told a wrong size"));
    g_free(text);
}

static GstFlowReturn take_caps(GstShrikeDetect *self, GstEvent *event)
{
    GstCaps *caps;
    gst_event_parse_caps(event, &caps);
    GstFlowReturn flow = GST_FLOW_NOT_NEGOTIATED;
    if (frame_drm_video_info(&self->info, caps) && GST_VIDEO_INFO_WIDTH(&self->info) <= SHK_MAX_FRAME_SIDE &&
        GST_VIDEO_INFO_HEIGHT(&self->info) <= SHK_MAX_FRAME_SIDE)
        flow = gst_shrike_detect_follow_memory(self, caps);
    else
        refuse_caps(self, caps);
    self->have_info = flow == GST_FLOW_OK;
    self->refused_caps = self->refused_caps && !self->have_info;
    return flow;
}

static GstFlowReturn queue_event(GstShrikeDetect *self, GstEvent *event)
{
    GstFlowReturn flow = GST_EVENT_TYPE(event) == GST_EVENT_CAPS ? take_caps(self, event) : GST_FLOW_OK;
    if (flow != GST_FLOW_OK) {
        gst_event_unref(event);
        return flow;
    }
    if (GST_EVENT_TYPE(event) == GST_EVENT_SEGMENT) {
        gst_event_copy_segment(event, &self->segment);
        forget_qos(self);
    }
    struct detect_item item = {.kind = DETECT_ITEM_EVENT, .object = GST_MINI_OBJECT_CAST(event)};
    if (detect_queue_push(&self->queue, &item))
        return GST_FLOW_OK;
    gst_event_unref(event);
    return GST_FLOW_FLUSHING;
}

/* With a reason: upstream must not take a flush for caps that are refused. */
static GstFlowReturn sink_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    if (GST_EVENT_IS_SERIALIZED(event) && GST_EVENT_TYPE(event) != GST_EVENT_FLUSH_STOP)
        return queue_event(self, event);
    gboolean result;
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_START)
        result = flush_start(self, event);
    else if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP)
        result = flush_stop(self, event);
    else
        result = gst_pad_push_event(self->srcpad, event);
    return result ? GST_FLOW_OK : GST_FLOW_ERROR;
}

/* What GstBaseTransform makes of it: frames up to `earliest` would come too late. */
static void take_qos(GstShrikeDetect *self, GstEvent *event)
{
    GstClockTimeDiff jitter;
    GstClockTime timestamp;
    gst_event_parse_qos(event, NULL, NULL, &jitter, &timestamp);
    if (!GST_CLOCK_TIME_IS_VALID(timestamp))
        return;
    GstClockTime earliest = GST_CLOCK_TIME_NONE;
    if (jitter > 0)
        earliest = timestamp + 2 * (GstClockTime)jitter;
    else if ((GstClockTime)-jitter < timestamp)
        earliest = timestamp - (GstClockTime)-jitter;
    GST_OBJECT_LOCK(self);
    self->earliest = earliest;
    GST_OBJECT_UNLOCK(self);
}

static gboolean src_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    if (GST_EVENT_TYPE(event) == GST_EVENT_RECONFIGURE)
        detect_queue_relinked(&self->queue);
    if (GST_EVENT_TYPE(event) == GST_EVENT_QOS)
        take_qos(self, event);
    return gst_pad_event_default(pad, parent, event);
}

/* ---- queries ---- */

static gboolean asks_for_system_memory(GstQuery *query)
{
    GstCaps *caps;
    gst_query_parse_allocation(query, &caps, NULL);
    return caps && gst_caps_get_size(caps) > 0 &&
           gst_caps_features_is_equal(gst_caps_get_features(caps, 0), GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY);
}

/* The ALLOCATION query goes downstream like all serialized ones: the frame passes untouched, so that only downstream
 * can say which strides and metas it takes. Our pool keeps the default strides. Upstream's own pools make the other
 * kinds of memory. */
static gboolean answer_serialized(GstShrikeDetect *self, GstQuery *query)
{
    gboolean answered = detect_queue_query(&self->queue, query);
    if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION || detect_queue_is_flushing(&self->queue) ||
        !asks_for_system_memory(query))
        return answered;
    struct engine_device *device = engine_get_device(self->engine);
    detect_upload_propose(device, query, self->depth + 2);
    engine_device_unref(device);
    return TRUE;
}

static gboolean sink_query(GstPad *pad, GstObject *parent, GstQuery *query)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    if (GST_QUERY_IS_SERIALIZED(query))
        return answer_serialized(self, query);
    if (GST_QUERY_TYPE(query) == GST_QUERY_CONTEXT && vulkan_share_answer(self->share, query))
        return TRUE;
    return gst_pad_query_default(pad, parent, query);
}

static gboolean src_query(GstPad *pad, GstObject *parent, GstQuery *query)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    if (GST_QUERY_TYPE(query) == GST_QUERY_CONTEXT && vulkan_share_answer(self->share, query))
        return TRUE;
    if (GST_QUERY_TYPE(query) != GST_QUERY_LATENCY)
        return gst_pad_query_default(pad, parent, query);
    if (!gst_pad_peer_query(self->sinkpad, query))
        return FALSE;
    gboolean live;
    GstClockTime min, max;
    gst_query_parse_latency(query, &live, &min, &max);
    GST_OBJECT_LOCK(self);
    GstClockTime own = live ? self->latency : 0;
    self->live = live;
    GST_OBJECT_UNLOCK(self);
    gst_query_set_latency(query, live, min + own, GST_CLOCK_TIME_IS_VALID(max) ? max + own : max);
    return TRUE;
}

void gst_shrike_detect_create_pads(GstShrikeDetect *self)
{
    GstElementClass *class = GST_ELEMENT_GET_CLASS(self);
    self->sinkpad = gst_pad_new_from_template(gst_element_class_get_pad_template(class, "sink"), "sink");
    gst_pad_set_chain_function(self->sinkpad, GST_DEBUG_FUNCPTR(gst_shrike_detect_chain));
    gst_pad_set_event_full_function(self->sinkpad, GST_DEBUG_FUNCPTR(sink_event));
    gst_pad_set_query_function(self->sinkpad, GST_DEBUG_FUNCPTR(sink_query));
    gst_pad_set_activatemode_function(self->sinkpad, GST_DEBUG_FUNCPTR(sink_activate_mode));
    GST_PAD_SET_PROXY_CAPS(self->sinkpad);
    gst_element_add_pad(GST_ELEMENT(self), self->sinkpad);

    self->srcpad = gst_pad_new_from_template(gst_element_class_get_pad_template(class, "src"), "src");
    gst_pad_set_event_function(self->srcpad, GST_DEBUG_FUNCPTR(src_event));
    gst_pad_set_query_function(self->srcpad, GST_DEBUG_FUNCPTR(src_query));
    gst_pad_set_activatemode_function(self->srcpad, GST_DEBUG_FUNCPTR(src_activate_mode));
    GST_PAD_SET_PROXY_CAPS(self->srcpad);
    gst_element_add_pad(GST_ELEMENT(self), self->srcpad);
}
