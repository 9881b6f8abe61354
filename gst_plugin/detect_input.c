/* Into the device: the sink pad's streaming thread decides what happens to each frame, sees to it that the device can
 * read its pixels, and queues it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core_log.h"
#include "detect_element.h"

#define GST_CAT_DEFAULT shrike_detect_debug

/* ---- what happens to a frame ---- */

static struct detect_options get_options(GstShrikeDetect *self)
{
    GST_OBJECT_LOCK(self);
    struct detect_options options = self->options;
    GST_OBJECT_UNLOCK(self);
    return options;
}

static gboolean comes_too_late(GstShrikeDetect *self, GstBuffer *buffer)
{
    GST_OBJECT_LOCK(self);
    GstClockTime earliest = self->earliest;
    GST_OBJECT_UNLOCK(self);
    if (!GST_CLOCK_TIME_IS_VALID(earliest) || !GST_BUFFER_PTS_IS_VALID(buffer) ||
        self->segment.format != GST_FORMAT_TIME)
        return FALSE;
    GstClockTime time = gst_segment_to_running_time(&self->segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
    return GST_CLOCK_TIME_IS_VALID(time) && time <= earliest;
}

static gboolean take_back(struct detect_frame *frame, gpointer data)
{
    GstShrikeDetect *self = data;
    /* the device copies frames of other elements' Vulkan memory at once: they stay until that is done */
    if (frame->memory || frame->job_count == 0 || !engine_cancel(self->stream, frame->jobs, frame->job_count))
        return FALSE;
    detect_frame_give(&self->frames, frame);
    return TRUE;
}

/* Room on the device, when there is a place. FALSE: flushing, or (but for `wait`) there is none. */
static gboolean make_room(GstShrikeDetect *self, enum detect_drop_policy policy)
{
    if (policy == DETECT_DROP_NONE)
        return engine_stream_wait_room(self->stream, self->depth);
    /* no frame waits behind the others in other elements' Vulkan memory, as it could not be taken back */
    guint waiting = self->upload.share ? 0 : gst_shrike_detect_waiting_places(policy);
    if (engine_stream_frames(self->stream) < self->depth + waiting)
        return TRUE;
    return waiting > 0 && detect_queue_steal(&self->queue, DETECT_REASON_POLICY, take_back, self);
}

/* Frames that only wait for downstream. */
static void forget_pixels(struct detect_frame *frame, gpointer data)
{
    GstShrikeDetect *self = data;
    if ((frame->staging || frame->memory) && engine_jobs_done(self->stream, frame->jobs, frame->job_count))
        detect_frame_forget_pixels(frame);
}

static guint get_places(GstShrikeDetect *self)
{
    GST_OBJECT_LOCK(self);
    gboolean live = self->live;
    GST_OBJECT_UNLOCK(self);
    return gst_shrike_detect_places(self->depth, live);
}

/* GST_FLOW_CUSTOM_SUCCESS: there is no room, and drop-policy does not say to wait. */
static GstFlowReturn reserve(GstShrikeDetect *self, enum detect_drop_policy policy, guint *in_flight)
{
    gboolean wait = policy == DETECT_DROP_NONE;
    GstFlowReturn flow = detect_queue_reserve(&self->queue, get_places(self), wait);
    if (flow != GST_FLOW_OK)
        return flow;
    if (!make_room(self, policy)) {
        detect_queue_frame_done(&self->queue);
        return wait ? GST_FLOW_FLUSHING : GST_FLOW_CUSTOM_SUCCESS;
    }
    detect_queue_visit(&self->queue, forget_pixels, self);
    *in_flight = engine_stream_frames(self->stream) + 1;
    return GST_FLOW_OK;
}

/* DETECT_REASON_NONE with GST_FLOW_OK: a place is reserved for it. */
static GstFlowReturn decide(GstShrikeDetect *self, const struct detect_options *options, struct detect_item *item)
{
    if (options->interval > 1 && item->number % options->interval != 0) {
        item->reason = DETECT_REASON_INTERVAL;
        return GST_FLOW_OK;
    }
    if (options->qos && comes_too_late(self, GST_BUFFER_CAST(item->object))) {
        item->reason = DETECT_REASON_QOS;
        return GST_FLOW_OK;
    }
    if (!engine_is_ready(self->engine)) {
        if (options->drop_policy != DETECT_DROP_NONE) {
            item->reason = DETECT_REASON_LOST;
            return GST_FLOW_OK;
        }
        if (!engine_stream_wait_ready(self->stream))
            return GST_FLOW_FLUSHING;
    }
    GstFlowReturn flow = reserve(self, options->drop_policy, &item->in_flight);
    if (flow == GST_FLOW_CUSTOM_SUCCESS) {
        item->reason = DETECT_REASON_POLICY;
        flow = GST_FLOW_OK;
    }
    return flow;
}

/* ---- dropping ---- */

static void post_qos(GstShrikeDetect *self, GstBuffer *buffer)
{
    GstClockTime running = GST_CLOCK_TIME_NONE, stream = GST_CLOCK_TIME_NONE, pts = GST_BUFFER_PTS(buffer);
    if (self->segment.format == GST_FORMAT_TIME && GST_CLOCK_TIME_IS_VALID(pts)) {
        running = gst_segment_to_running_time(&self->segment, GST_FORMAT_TIME, pts);
        stream = gst_segment_to_stream_time(&self->segment, GST_FORMAT_TIME, pts);
    }
    GST_OBJECT_LOCK(self);
    gboolean live = self->live;
    guint64 processed = self->stats.frames, dropped = self->stats.dropped;
    GST_OBJECT_UNLOCK(self);
    GstMessage *message =
        gst_message_new_qos(GST_OBJECT(self), live, running, stream, pts, GST_BUFFER_DURATION(buffer));
    gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, processed, dropped);
    gst_element_post_message(GST_ELEMENT(self), message);
}

static void drop(GstShrikeDetect *self, GstBuffer *buffer, const struct detect_item *item)
{
    enum detect_reason reason = item->reason;
    GST_OBJECT_LOCK(self);
    self->dropped++;
    self->stats.dropped++;
    self->stats.reasons[reason]++;
    GST_OBJECT_UNLOCK(self);
    GST_LOG_OBJECT(self, "dropped for %s: %" GST_PTR_FORMAT, detect_reason_string(reason), buffer);
    detect_trace_dropped(&self->trace, item->number, GST_BUFFER_PTS(buffer), item->arrival, reason);
    post_qos(self, buffer);
    gst_buffer_unref(buffer);
}

/* ---- submitting ---- */

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

static void warn_of_regions(GstShrikeDetect *self, guint left_out)
{
    if (self->warned_regions)
        return;
    self->warned_regions = TRUE;
    GST_ELEMENT_WARNING(self, STREAM, FAILED,
                        ("a frame has %u regions more than the %d that are looked at: the first ones are taken",
                         left_out, DETECT_MAX_REGIONS),
                        ("set object-class, or max-detections of the element upstream; said once per stream"));
}

static GstFlowReturn bad_buffer(GstShrikeDetect *self, GstBuffer *buffer)
{
    GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                      ("a buffer of %" G_GSIZE_FORMAT " bytes does not hold the %dx%d %s frame that its caps or its "
                       "GstVideoMeta describe",
                       gst_buffer_get_size(buffer), GST_VIDEO_INFO_WIDTH(&self->info),
                       GST_VIDEO_INFO_HEIGHT(&self->info),
                       gst_video_format_to_string(GST_VIDEO_INFO_FORMAT(&self->info))),
                      ("mend the element upstream that made it"));
    return GST_FLOW_ERROR;
}

/* After a loss the pool that upstream writes into is that of the old device. */
static void follow_device(GstShrikeDetect *self)
{
    if (detect_upload_set_device(&self->upload, engine_get_device(self->engine)))
        gst_pad_push_event(self->sinkpad, gst_event_new_reconfigure());
}

static void add_jobs(GstShrikeDetect *self, struct detect_frame *frame, const struct frame_layout *layout,
                     GstBuffer *buffer)
{
    struct shk_rect rects[DETECT_MAX_REGIONS];
    gint parents[DETECT_MAX_REGIONS];
    guint left_out, count = detect_regions_find(&self->regions, layout, buffer, rects, parents, &left_out);
    if (left_out > 0)
        warn_of_regions(self, left_out);
    for (guint i = 0; i < count; i++) {
        struct engine_job *job = detect_frame_add_job(frame, parents[i]);
        job->frame.crop = rects[i];
        job->format = layout->format;
        job->device_number = self->upload.device->number;
    }
}

static void set_pixels(struct detect_frame *frame, const struct shk_frame *pixels)
{
    for (guint i = 0; i < frame->job_count; i++) {
        struct shk_rect crop = frame->jobs[i]->frame.crop;
        frame->jobs[i]->frame = *pixels;
        frame->jobs[i]->frame.crop = crop;
    }
}

static GstFlowReturn prepare_frame(GstShrikeDetect *self, struct engine_model *model, GstBuffer *buffer,
                                   struct detect_item *item)
{
    struct shk_error error;
    struct frame_layout layout;
    struct shk_frame pixels = {0};
    gboolean good = self->upload.share ? frame_layout_describe_frame(&layout, &self->info, buffer)
                                       : frame_layout_describe(&layout, &self->info, buffer);
    if (!good)
        return bad_buffer(self, buffer);
    if (layout.bad_crop)
        warn_of_crop(self, buffer);
    item->area = layout.area;
    add_jobs(self, item->frame, &layout, buffer);
    if (item->frame->job_count == 0) /* nobody would wait for a copy */
        return GST_FLOW_OK;
    struct engine_format *format = engine_model_take_format(model, &layout.format, &error);
    if (!format) {
        core_log_post_error(GST_ELEMENT(self), &error, "preparing for the frames' format");
        return GST_FLOW_ERROR;
    }
    gboolean ready = detect_upload_frame(&self->upload, item->frame, format->stream, &layout, &self->info, buffer,
                                         &pixels, &error);
    engine_model_give_format(model, format);
    if (!ready) {
        core_log_post_error(GST_ELEMENT(self), &error, "reading a frame");
        return GST_FLOW_ERROR;
    }
    set_pixels(item->frame, &pixels);
    return GST_FLOW_OK;
}

static void note_upload(GstShrikeDetect *self)
{
    const struct detect_upload *upload = &self->upload;
    GST_OBJECT_LOCK(self);
    self->stats.in_place = upload->in_place;
    self->stats.copied = upload->copied;
    self->copy_reason = upload->reason;
    GST_OBJECT_UNLOCK(self);
}

/* With a place reserved. */
static GstFlowReturn submit_frame(GstShrikeDetect *self, GstBuffer *buffer, struct detect_item *item)
{
    struct shk_error error;
    if (engine_is_broken(self->engine, &error)) {
        detect_queue_frame_done(&self->queue);
        gst_shrike_detect_fail(self, &error, "sending a frame to the device");
        return GST_FLOW_ERROR;
    }
    struct engine_model *model = engine_get_model(self->engine);
    if (!model) { /* lost since it was looked at */
        item->reason = DETECT_REASON_LOST;
        detect_queue_frame_done(&self->queue);
        return GST_FLOW_OK;
    }
    follow_device(self);
    item->frame = detect_frame_take(&self->frames);
    GstFlowReturn flow = prepare_frame(self, model, buffer, item);
    engine_model_unref(model);
    if (flow != GST_FLOW_OK) {
        detect_frame_give(&self->frames, item->frame);
        detect_queue_frame_done(&self->queue);
        return flow;
    }
    note_upload(self);
    engine_submit(self->stream, item->frame->jobs, item->frame->job_count);
    return GST_FLOW_OK;
}

/* The device may be reading the buffer, or copying what is in other elements' Vulkan memory. */
static void abandon(GstShrikeDetect *self, struct detect_item *item)
{
    if (item->frame) {
        if (item->frame->memory || !engine_cancel(self->stream, item->frame->jobs, item->frame->job_count))
            for (guint i = 0; i < item->frame->job_count; i++)
                engine_wait(self->stream, item->frame->jobs[i]);
        detect_frame_give(&self->frames, item->frame);
        detect_queue_frame_done(&self->queue);
    }
    gst_mini_object_unref(item->object);
}

GstFlowReturn gst_shrike_detect_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(parent);
    struct detect_options options = get_options(self);
    struct detect_item item = {.kind = DETECT_ITEM_FRAME,
                               .object = GST_MINI_OBJECT_CAST(buffer),
                               .arrival = gst_util_get_timestamp(),
                               .area = {(guint)GST_VIDEO_INFO_WIDTH(&self->info),
                                        (guint)GST_VIDEO_INFO_HEIGHT(&self->info), 0, 0,
                                        (guint)GST_VIDEO_INFO_WIDTH(&self->info),
                                        (guint)GST_VIDEO_INFO_HEIGHT(&self->info)}};
    GstFlowReturn flow = GST_FLOW_NOT_NEGOTIATED;
    if (self->have_info) {
        item.number = self->frame_number++;
        flow = decide(self, &options, &item);
    }
    gboolean too_much = item.reason == DETECT_REASON_POLICY || item.reason == DETECT_REASON_QOS ||
                        item.reason == DETECT_REASON_LOST;
    if (flow == GST_FLOW_OK && too_much && options.drop_policy == DETECT_DROP_SKIP) {
        drop(self, buffer, &item);
        return GST_FLOW_OK;
    }
    if (flow == GST_FLOW_OK && item.reason == DETECT_REASON_NONE)
        flow = submit_frame(self, buffer, &item);
    if (flow != GST_FLOW_OK) {
        gst_buffer_unref(buffer);
        return flow;
    }
    if (detect_queue_push(&self->queue, &item))
        return GST_FLOW_OK;
    abandon(self, &item);
    return GST_FLOW_FLUSHING;
}
