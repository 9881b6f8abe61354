/* Out of the device: the source pad's task takes what is queued, oldest first, waits for frames to be done, attaches
 * what was found, and pushes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core_log.h"
#include "detect_element.h"

#define GST_CAT_DEFAULT shrike_detect_debug

/* ---- latency ---- */

/* The stream's latency grows by what a frame may have to wait. It goes up at once and with some room, and down only
 * when it has become half, so that the pipeline need not be told often. */
static void update_latency(GstShrikeDetect *self)
{
    GST_OBJECT_LOCK(self);
    GstClockTime service = latency_stats_service_time(&self->stats);
    GST_OBJECT_UNLOCK(self);
    GstClockTime worst = gst_shrike_detect_worst_latency(self, service);
    GST_OBJECT_LOCK(self);
    gboolean changed = worst > self->latency || worst + worst / 4 < self->latency / 2;
    if (changed)
        self->latency = worst + worst / 4;
    changed = changed && self->live;
    GST_OBJECT_UNLOCK(self);
    if (changed)
        gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

/* ---- stage times ---- */

static void extend(struct shk_stage_time *time, const struct shk_stage_time *by)
{
    guint64 end = MAX(time->start + time->duration, by->start + by->duration);
    time->start = MIN(time->start, by->start);
    time->duration = end - time->start;
}

/* The core counts from the moment when a batch is sent; a frame's time here began when its buffer came in. Several
 * regions of a frame count from the first to the last. */
static void merge_stages(const struct detect_item *item, struct shk_stage_time stages[SHK_STAGE_COUNT])
{
    const struct detect_frame *frame = item->frame;
    GstClockTime now = gst_util_get_timestamp();
    for (guint s = 0; s < SHK_STAGE_COUNT; s++)
        stages[s] = (struct shk_stage_time){item->arrival, 0};
    stages[SHK_STAGE_TOTAL].duration = now - item->arrival;
    if (!frame || frame->job_count == 0)
        return;
    memcpy(stages, frame->jobs[0]->stages, SHK_STAGE_COUNT * sizeof(*stages));
    for (guint i = 1; i < frame->job_count; i++)
        for (guint s = SHK_STAGE_PREPROCESS; s <= SHK_STAGE_DECODE; s++)
            extend(&stages[s], &frame->jobs[i]->stages[s]);
    GstClockTime waited = stages[SHK_STAGE_PREPROCESS].start - MIN(stages[SHK_STAGE_PREPROCESS].start, item->arrival);
    stages[SHK_STAGE_UPLOAD] = frame->upload;
    stages[SHK_STAGE_QUEUE] =
        (struct shk_stage_time){item->arrival, waited - MIN(waited, frame->upload.duration)};
    stages[SHK_STAGE_TOTAL] = (struct shk_stage_time){item->arrival, now - item->arrival};
}

/* ---- detections of earlier frames ---- */

void gst_shrike_detect_forget_held(GstShrikeDetect *self)
{
    g_clear_pointer(&self->held.labels, engine_labels_unref);
    self->held.valid = FALSE;
}

/* A class is said of a region, and the next frame has other regions. */
static gboolean classifies_regions(const GstShrikeDetect *self)
{
    gboolean classes = self->labels && self->labels->decoder == SHK_DECODER_CLASSIFICATION;
    return classes && self->regions.source == DETECT_REGION_LIST;
}

static void hold(GstShrikeDetect *self, const struct detect_item *item)
{
    const struct detect_frame *frame = item->frame;
    struct detect_held *held = &self->held;
    gst_shrike_detect_forget_held(self);
    if (classifies_regions(self))
        return;
    if (!held->detections)
        held->detections = g_new(struct shk_detection, ENGINE_MAX_DETECTIONS);
    held->count = 0;
    for (guint i = 0; i < frame->job_count; i++) {
        const struct engine_job *job = frame->jobs[i];
        guint count = MIN(job->detection_count, ENGINE_MAX_DETECTIONS - held->count);
        memcpy(held->detections + held->count, job->detections, count * sizeof(*held->detections));
        held->count += count;
    }
    held->labels = self->labels ? engine_labels_ref(self->labels) : NULL;
    held->pts = GST_BUFFER_PTS(GST_BUFFER_CAST(item->object));
    held->valid = TRUE;
}

static GstClockTime age_of_held(const GstShrikeDetect *self, GstBuffer *buffer)
{
    GstClockTime pts = GST_BUFFER_PTS(buffer);
    gboolean known = GST_CLOCK_TIME_IS_VALID(pts) && GST_CLOCK_TIME_IS_VALID(self->held.pts);
    return known && pts > self->held.pts ? pts - self->held.pts : 0;
}

/* ---- the result ---- */

/* Another model than before: properties follow, and names are those of the frame's own model. */
static void follow_model(GstShrikeDetect *self, struct engine_labels *labels)
{
    if (labels == self->labels)
        return;
    if (self->labels) {
        engine_labels_unref(self->labels);
        gst_shrike_detect_follow_files(self);
        gst_shrike_detect_open_trace(self);
    }
    self->labels = engine_labels_ref(labels);
}

static guint collect_parts(const struct detect_item *item, struct detect_meta_part *parts)
{
    const struct detect_frame *frame = item->frame;
    for (guint i = 0; i < frame->job_count; i++)
        parts[i] = (struct detect_meta_part){frame->jobs[i]->detections, frame->jobs[i]->detection_count,
                                             frame->parents[i]};
    return frame->job_count;
}

static void count_frame(GstShrikeDetect *self, struct detect_meta_frame *frame)
{
    GST_OBJECT_LOCK(self);
    frame->dropped = self->dropped;
    self->dropped = 0;
    if (frame->reason == DETECT_REASON_NONE) {
        latency_stats_add(&self->stats, frame->stages);
    } else {
        self->stats.held += frame->held;
        self->stats.passed += !frame->held;
        self->stats.reasons[frame->reason]++;
    }
    GST_OBJECT_UNLOCK(self);
}

static gboolean policy_is_hold(GstShrikeDetect *self)
{
    GST_OBJECT_LOCK(self);
    gboolean is_hold = self->options.drop_policy == DETECT_DROP_HOLD;
    GST_OBJECT_UNLOCK(self);
    return is_hold;
}

static GstBuffer *attach_result(GstShrikeDetect *self, const struct detect_item *item)
{
    GstClock *clock = gst_element_get_clock(GST_ELEMENT(self));
    struct engine_device *device = engine_get_device(self->engine);
    struct detect_meta_part parts[DETECT_MAX_REGIONS];
    struct detect_meta_frame frame = {.parts = parts,
                                      .area = item->area,
                                      .reason = item->reason,
                                      .number = item->number,
                                      .in_flight = item->in_flight,
                                      .batch_size = item->frame && item->frame->job_count > 0
                                                        ? item->frame->jobs[0]->batch_size
                                                        : 0};
    gboolean holding = policy_is_hold(self);
    merge_stages(item, frame.stages);
    if (item->reason == DETECT_REASON_NONE) {
        frame.part_count = collect_parts(item, parts);
        if (holding)
            hold(self, item);
    } else if (holding && self->held.valid) {
        parts[0] = (struct detect_meta_part){self->held.detections, self->held.count, -1};
        frame.part_count = 1;
        frame.held = TRUE;
        frame.age = age_of_held(self, GST_BUFFER_CAST(item->object));
    }
    count_frame(self, &frame);
    struct detect_meta_context context = {frame.held ? self->held.labels : self->labels, device->name,
                                          GST_OBJECT_NAME(self), clock, self->kinds};
    /* a frame that is shared with others gets a header of its own; the pixels stay where they are */
    GstBuffer *buffer = gst_buffer_make_writable(GST_BUFFER_CAST(item->object));
    detect_meta_attach(buffer, &context, &frame);
    detect_trace_frame(&self->trace, &frame, device->name, GST_BUFFER_PTS(buffer),
                       item->frame && item->frame->job_count > 0 ? item->frame->jobs[0] : NULL);
    engine_device_unref(device);
    gst_clear_object(&clock);
    return buffer;
}

/* Waits for all jobs of the frame. item->reason says whether it has a result. FALSE with *error: nor will it have. */
static gboolean finish_jobs(GstShrikeDetect *self, struct detect_item *item, struct shk_error *error)
{
    struct detect_frame *frame = item->frame;
    gboolean good = TRUE;
    for (guint i = 0; i < frame->job_count; i++) {
        struct engine_job *job = frame->jobs[i];
        engine_wait(self->stream, job);
        if (job->outcome == ENGINE_FAILED) {
            *error = job->error;
            good = FALSE;
        } else if (job->outcome == ENGINE_LOST) {
            item->reason = DETECT_REASON_LOST;
        } else if (job->outcome == ENGINE_CANCELLED) {
            item->reason = DETECT_REASON_POLICY;
        }
    }
    if (good && item->reason == DETECT_REASON_NONE && frame->job_count > 0)
        follow_model(self, frame->jobs[0]->labels);
    return good;
}

static void release_frame(GstShrikeDetect *self, struct detect_item *item)
{
    if (!item->frame)
        return;
    detect_frame_give(&self->frames, item->frame);
    item->frame = NULL;
    detect_queue_frame_done(&self->queue);
}

/* ---- pushing ---- */

static void report_stats(GstShrikeDetect *self)
{
    GST_OBJECT_LOCK(self);
    GstClockTime interval = self->options.stats_interval;
    GST_OBJECT_UNLOCK(self);
    GstClockTime now = gst_util_get_timestamp();
    if (interval == 0 || now - self->last_report < interval)
        return;
    self->last_report = now;
    GstStructure *stats = gst_shrike_detect_describe_stats(self);
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), stats));
}

static void check_trace(GstShrikeDetect *self)
{
    GError *error = NULL;
    if (detect_trace_check(&self->trace, &error))
        return;
    GST_ELEMENT_WARNING(self, RESOURCE, WRITE, ("%s", error->message), ("frames go on without a trace"));
    g_error_free(error);
}

static void output_frame(GstShrikeDetect *self, struct detect_item *item)
{
    struct shk_error error;
    GstBuffer *buffer = GST_BUFFER_CAST(item->object);
    gboolean good = !item->frame || finish_jobs(self, item, &error);
    if (good)
        buffer = attach_result(self, item);
    release_frame(self, item);
    if (!good) {
        gst_buffer_unref(buffer);
        gst_shrike_detect_fail(self, &error, "running the network on a frame");
        detect_queue_set_flow(&self->queue, GST_FLOW_ERROR);
        return;
    }
    if (!detect_queue_wants_frames(&self->queue)) {
        gst_buffer_unref(buffer);
        return;
    }
    if (item->reason == DETECT_REASON_NONE)
        update_latency(self);
    report_stats(self);
    check_trace(self);
    GST_LOG_OBJECT(self, "pushing %" GST_PTR_FORMAT, buffer);
    GstFlowReturn flow = gst_pad_push(self->srcpad, buffer);
    if (flow != GST_FLOW_OK)
        GST_DEBUG_OBJECT(self, "downstream answered %s", gst_flow_get_name(flow));
    detect_queue_set_flow(&self->queue, flow);
}

static gboolean has_failed(GstShrikeDetect *self)
{
    GST_OBJECT_LOCK(self);
    gboolean failed = self->failed;
    GST_OBJECT_UNLOCK(self);
    return failed;
}

static void output_event(GstShrikeDetect *self, GstEvent *event)
{
    if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
        GstFlowReturn flow = detect_queue_get_flow(&self->queue);
        if (!has_failed(self) && (flow == GST_FLOW_NOT_LINKED || flow < GST_FLOW_EOS))
            GST_ELEMENT_FLOW_ERROR(self, flow);
        GstStructure *stats = gst_shrike_detect_describe_stats(self);
        GST_INFO_OBJECT(self, "end of stream: %" GST_PTR_FORMAT, stats);
        gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), stats));
    }
    if (GST_EVENT_TYPE(event) == GST_EVENT_SEGMENT || GST_EVENT_TYPE(event) == GST_EVENT_CAPS)
        gst_shrike_detect_forget_held(self);
    gst_pad_push_event(self->srcpad, event);
}

void gst_shrike_detect_output_loop(gpointer data)
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
