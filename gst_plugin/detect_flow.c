/* shrikedetect's pads. Two threads meet in the queue: the sink pad's streaming thread copies frames to the
 * device, the source pad's task waits for them, oldest first, attaches what was found and pushes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core_log.h"
#include "detect_element.h"
#include "detect_meta.h"

#define GST_CAT_DEFAULT shrike_detect_debug

/* How often, in frames, the answer to the LATENCY query is looked at again. */
#define LATENCY_INTERVAL 32

#define DETECT_CAPS GST_VIDEO_CAPS_MAKE(FRAME_FORMATS)
static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(DETECT_CAPS));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(DETECT_CAPS));

GstStaticPadTemplate *gst_shrike_detect_pad_template(GstPadDirection direction)
{
    return direction == GST_PAD_SINK ? &sink_template : &src_template;
}

static gboolean session_failed(GstShrikeDetect *self)
{
    GST_OBJECT_LOCK(self);
    gboolean failed = self->session_failed;
    GST_OBJECT_UNLOCK(self);
    return failed;
}

static void fail_session(GstShrikeDetect *self, const struct shk_error *error, const char *doing)
{
    GST_OBJECT_LOCK(self);
    self->session_failed = TRUE;
    GST_OBJECT_UNLOCK(self);
    core_log_post_error(GST_ELEMENT(self), error, doing);
}

/* ---- Into the device: the sink pad's streaming thread ---- */

static GstFlowReturn configure_session(GstShrikeDetect *self, const struct shk_frame_format *format)
{
    struct shk_error error;
    if (self->configured && memcmp(&self->format, format, sizeof(*format)) == 0)
        return GST_FLOW_OK;
    /* the one slot that may be taken is that of the frame in the new format */
    if (!detect_queue_wait_reserved(&self->queue, 1))
        return GST_FLOW_FLUSHING;
    self->configured = shk_session_configure(self->engine.session, format, &error) == SHK_OK;
    if (!self->configured) {
        core_log_post_error(GST_ELEMENT(self), &error, "preparing for the frames' format");
        return GST_FLOW_ERROR;
    }
    self->format = *format;
    return GST_FLOW_OK;
}

static void warn_of_crop(GstShrikeDetect *self, GstBuffer *buffer)
{
    const GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta(buffer);
    if (self->warned_crop)
        return;
    self->warned_crop = TRUE;
    GST_ELEMENT_WARNING(
        self, STREAM, FORMAT,
        ("GstVideoCropMeta of %ux%u at %u,%u is empty or outside of the %dx%d frame: ignored, the whole "
         "frame is searched",
         crop->width, crop->height, crop->x, crop->y, GST_VIDEO_INFO_WIDTH(&self->info),
         GST_VIDEO_INFO_HEIGHT(&self->info)),
        ("mend the element upstream that sets it; said once per stream"));
}

static GstFlowReturn submit_frame(GstShrikeDetect *self, GstBuffer *buffer, struct frame_area *area)
{
    struct frame_map map;
    struct shk_error error;
    if (!frame_map_acquire(&map, &self->info, buffer)) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                          ("a buffer of %" G_GSIZE_FORMAT
                           " bytes does not hold the %dx%d %s frame that its caps or its "
                           "GstVideoMeta describe",
                           gst_buffer_get_size(buffer), GST_VIDEO_INFO_WIDTH(&self->info),
                           GST_VIDEO_INFO_HEIGHT(&self->info),
                           gst_video_format_to_string(GST_VIDEO_INFO_FORMAT(&self->info))),
                          ("mend the element upstream that made it"));
        return GST_FLOW_ERROR;
    }
    if (map.bad_crop)
        warn_of_crop(self, buffer);
    *area = map.area;
    GstFlowReturn flow = configure_session(self, &map.format);
    if (flow == GST_FLOW_OK && shk_session_submit(self->engine.session, &map.frame, NULL, &error) != SHK_OK) {
        fail_session(self, &error, "sending a frame to the device");
        flow = GST_FLOW_ERROR;
    }
    frame_map_release(&map);
    return flow;
}

static GstFlowReturn sink_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    struct detect_item item = {.kind = DETECT_ITEM_FRAME,
                               .object = GST_MINI_OBJECT_CAST(buffer),
                               .arrival = gst_util_get_timestamp()};
    GstFlowReturn flow = GST_FLOW_NOT_NEGOTIATED;
    if (self->have_info)
        flow = detect_queue_reserve(&self->queue, self->slots, &item.in_flight);
    if (flow == GST_FLOW_OK) {
        flow = session_failed(self) ? GST_FLOW_ERROR : submit_frame(self, buffer, &item.area);
        if (flow != GST_FLOW_OK)
            detect_queue_frame_done(&self->queue);
    }
    if (flow != GST_FLOW_OK) {
        gst_buffer_unref(buffer);
        return flow;
    }
    return detect_queue_push(&self->queue, &item) ? GST_FLOW_OK : GST_FLOW_FLUSHING;
}

static gboolean take_caps(GstShrikeDetect *self, GstEvent *event)
{
    GstCaps *caps;
    gst_event_parse_caps(event, &caps);
    self->have_info = gst_video_info_from_caps(&self->info, caps);
    if (!self->have_info)
        GST_ERROR_OBJECT(self, "caps %" GST_PTR_FORMAT " describe no video frame", caps);
    return self->have_info;
}

/* ---- Out of the device: the source pad's task ---- */

/* The stream's latency grows by what a frame has to wait for with all slots taken. It goes up at once and
 * with some room, and down only when it has become half, so that the pipeline need not be told often. */
static void update_latency(GstShrikeDetect *self)
{
    gboolean changed = FALSE;
    GST_OBJECT_LOCK(self);
    if (self->stats.frames % LATENCY_INTERVAL == 0 || self->stats.frames == LATENCY_INTERVAL / 4) {
        GstClockTime worst = self->slots * latency_stats_service_time(&self->stats);
        changed = worst > self->latency || worst + worst / 4 < self->latency / 2;
        if (changed)
            self->latency = worst + worst / 4;
        changed = changed && self->live;
    }
    GST_OBJECT_UNLOCK(self);
    if (changed)
        gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

/* The core counts from submit; a frame's time here began when its buffer came in. */
static void count_from_arrival(struct shk_stage_time *stages, GstClockTime arrival)
{
    GstClockTime submitted = stages[SHK_STAGE_TOTAL].start;
    if (submitted <= arrival)
        return;
    stages[SHK_STAGE_QUEUE].start = stages[SHK_STAGE_TOTAL].start = arrival;
    stages[SHK_STAGE_QUEUE].duration += submitted - arrival;
    stages[SHK_STAGE_TOTAL].duration += submitted - arrival;
}

static GstBuffer *attach_result(GstShrikeDetect *self, const struct detect_item *item,
                                const struct shk_result *result)
{
    GstClock *clock = gst_element_get_clock(GST_ELEMENT(self));
    struct detect_meta_context context = {
        .labels = self->engine.labels,
        .label_count = self->engine.label_count,
        .device = self->engine.device_name,
        .clock = clock,
        .kinds = self->kinds,
        .classification = shk_model_decoder(self->engine.model) == SHK_DECODER_CLASSIFICATION,
    };
    struct detect_meta_frame frame = {.detections = result->detections,
                                      .detection_count = result->detection_count,
                                      .area = item->area,
                                      .in_flight = item->in_flight,
                                      .batch_size = 1};
    memcpy(frame.stages, result->stages, sizeof(frame.stages));
    count_from_arrival(frame.stages, item->arrival);
    GST_OBJECT_LOCK(self);
    latency_stats_add(&self->stats, frame.stages);
    GST_OBJECT_UNLOCK(self);
    /* a frame that is shared with others gets a header of its own; the pixels stay where they are */
    GstBuffer *buffer = gst_buffer_make_writable(GST_BUFFER_CAST(item->object));
    detect_meta_attach(buffer, &context, &frame);
    gst_clear_object(&clock);
    return buffer;
}

static void output_frame(GstShrikeDetect *self, struct detect_item *item)
{
    struct shk_result result;
    struct shk_error error;
    GstBuffer *buffer = GST_BUFFER_CAST(item->object);
    gboolean failed = session_failed(self);
    if (!failed && shk_session_wait(self->engine.session, UINT64_MAX, &result, &error) != SHK_OK) {
        fail_session(self, &error, "waiting for a frame");
        failed = TRUE;
    }
    if (!failed) {
        buffer = attach_result(self, item, &result);
        shk_session_release(self->engine.session, result.ticket);
    }
    detect_queue_frame_done(&self->queue);
    if (failed || !detect_queue_wants_frames(&self->queue)) {
        gst_buffer_unref(buffer);
        if (failed)
            detect_queue_set_flow(&self->queue, GST_FLOW_ERROR);
        return;
    }
    update_latency(self);
    GST_LOG_OBJECT(self, "%u detections on %" GST_PTR_FORMAT, result.detection_count, buffer);
    GstFlowReturn flow = gst_pad_push(self->srcpad, buffer);
    if (flow != GST_FLOW_OK)
        GST_DEBUG_OBJECT(self, "downstream answered %s", gst_flow_get_name(flow));
    detect_queue_set_flow(&self->queue, flow);
}

static void output_event(GstShrikeDetect *self, GstEvent *event)
{
    if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
        GstFlowReturn flow = detect_queue_get_flow(&self->queue);
        if (!session_failed(self) && (flow == GST_FLOW_NOT_LINKED || flow < GST_FLOW_EOS))
            GST_ELEMENT_FLOW_ERROR(self, flow);
        GstStructure *stats = gst_shrike_detect_describe_stats(self);
        GST_INFO_OBJECT(self, "end of stream: %" GST_PTR_FORMAT, stats);
        gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), stats));
    }
    gst_pad_push_event(self->srcpad, event);
}

static void output_loop(gpointer data)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(data);
    struct detect_item item;
    if (!detect_queue_pop(&self->queue, &item)) {
        gst_pad_pause_task(self->srcpad);
        return;
    }
    switch (item.kind) {
    case DETECT_ITEM_FRAME:
        output_frame(self, &item);
        break;
    case DETECT_ITEM_EVENT:
        output_event(self, GST_EVENT_CAST(item.object));
        break;
    case DETECT_ITEM_QUERY:
        detect_queue_answer(&self->queue, gst_pad_peer_query(self->srcpad, GST_QUERY_CAST(item.object)));
        break;
    }
}

static void start_output(GstShrikeDetect *self)
{
    detect_queue_set_flushing(&self->queue, FALSE);
    if (GST_PAD_MODE(self->srcpad) == GST_PAD_MODE_PUSH)
        gst_pad_start_task(self->srcpad, output_loop, self, NULL);
}

/* ---- Flushing, activation ---- */

void gst_shrike_detect_drain_session(GstShrikeDetect *self)
{
    struct shk_result result;
    struct shk_error error;
    for (guint frames = detect_queue_reserved(&self->queue); frames > 0; frames--) {
        if (!session_failed(self)) {
            if (shk_session_wait(self->engine.session, UINT64_MAX, &result, &error) == SHK_OK)
                shk_session_release(self->engine.session, result.ticket);
            else
                fail_session(self, &error, "waiting for a frame that was flushed");
        }
        detect_queue_frame_done(&self->queue);
    }
}

void gst_shrike_detect_reset_flow(GstShrikeDetect *self)
{
    self->have_info = FALSE;
    self->warned_crop = FALSE;
    GST_OBJECT_LOCK(self);
    latency_stats_reset(&self->stats);
    self->latency = 0;
    self->live = FALSE;
    GST_OBJECT_UNLOCK(self);
}

static gboolean flush_start(GstShrikeDetect *self, GstEvent *event)
{
    gboolean result = gst_pad_push_event(self->srcpad, event);
    detect_queue_set_flushing(&self->queue, TRUE);
    gst_pad_pause_task(self->srcpad);
    return result;
}

static gboolean flush_stop(GstShrikeDetect *self, GstEvent *event)
{
    gboolean result = gst_pad_push_event(self->srcpad, event);
    detect_queue_set_flushing(&self->queue, TRUE);
    gst_pad_pause_task(self->srcpad);
    detect_queue_drop(&self->queue, self->srcpad);
    gst_shrike_detect_drain_session(self);
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
        detect_queue_set_flushing(&self->queue, TRUE);
        GST_PAD_STREAM_LOCK(pad);
        detect_queue_drop(&self->queue, NULL);
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
        detect_queue_set_flushing(&self->queue, FALSE);
        return gst_pad_start_task(pad, output_loop, self, NULL);
    }
    detect_queue_set_flushing(&self->queue, TRUE);
    return gst_pad_stop_task(pad);
}

/* ---- Events and queries ---- */

static gboolean sink_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_START)
        return flush_start(self, event);
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP)
        return flush_stop(self, event);
    if (!GST_EVENT_IS_SERIALIZED(event))
        return gst_pad_push_event(self->srcpad, event);
    if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS && !take_caps(self, event)) {
        gst_event_unref(event);
        return FALSE;
    }
    struct detect_item item = {.kind = DETECT_ITEM_EVENT, .object = GST_MINI_OBJECT_CAST(event)};
    return detect_queue_push(&self->queue, &item);
}

static gboolean src_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    if (GST_EVENT_TYPE(event) == GST_EVENT_RECONFIGURE)
        detect_queue_relinked(&self->queue);
    return gst_pad_event_default(pad, parent, event);
}

/* The ALLOCATION query goes downstream like all serialized ones and comes back as it is: the frame passes
 * untouched, so that only downstream can say which strides, metas and memories it takes. */
static gboolean sink_query(GstPad *pad, GstObject *parent, GstQuery *query)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    if (GST_QUERY_IS_SERIALIZED(query))
        return detect_queue_query(&self->queue, query);
    return gst_pad_query_default(pad, parent, query);
}

static gboolean src_query(GstPad *pad, GstObject *parent, GstQuery *query)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
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
    self->sinkpad = gst_pad_new_from_static_template(&sink_template, "sink");
    gst_pad_set_chain_function(self->sinkpad, GST_DEBUG_FUNCPTR(sink_chain));
    gst_pad_set_event_function(self->sinkpad, GST_DEBUG_FUNCPTR(sink_event));
    gst_pad_set_query_function(self->sinkpad, GST_DEBUG_FUNCPTR(sink_query));
    gst_pad_set_activatemode_function(self->sinkpad, GST_DEBUG_FUNCPTR(sink_activate_mode));
    GST_PAD_SET_PROXY_CAPS(self->sinkpad);
    gst_element_add_pad(GST_ELEMENT(self), self->sinkpad);

    self->srcpad = gst_pad_new_from_static_template(&src_template, "src");
    gst_pad_set_event_function(self->srcpad, GST_DEBUG_FUNCPTR(src_event));
    gst_pad_set_query_function(self->srcpad, GST_DEBUG_FUNCPTR(src_query));
    gst_pad_set_activatemode_function(self->srcpad, GST_DEBUG_FUNCPTR(src_activate_mode));
    GST_PAD_SET_PROXY_CAPS(self->srcpad);
    gst_element_add_pad(GST_ELEMENT(self), self->srcpad);
}
