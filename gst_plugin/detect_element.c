/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-shrikedetect
 * @title: shrikedetect
 * @short_description: int8 object detection with Vulkan compute
 *
 * Runs a quantized TensorFlow Lite detector on every frame. The frame passes through untouched; what was
 * found is attached to it, together with where the time went (shrike_meta.h, or the README, describe both
 * metas).
 *
 * Up to #GstShrikeDetect:max-in-flight frames are on the device at a time. What happens to a frame that comes when
 * all are taken says #GstShrikeDetect:drop-policy: it waits, and upstream with it (none); the newest is inferred next
 * and those in between pass without (leaky); it is dropped (skip); it passes with the last detections (hold). So a
 * live pipeline has a constant latency however slow the model is. Frames leave in the order in which they came, with
 * all serialized events between them in their places. The LATENCY query is answered with what was measured.
 *
 * Elements with the same #GstShrikeDetect:engine-id, in one pipeline or in several of a process, share model, device
 * and queue; up to #GstShrikeDetect:batch-size of their frames go to the device together.
 *
 * #GstShrikeDetect:model-file may be set while frames flow: the new model is loaded beside the old one and takes
 * over between two frames. If it cannot be loaded, the old one goes on and a warning says why; an element message
 * `shrike-model` says that it took over. Set #GstShrikeDetect:label-file first where both change.
 *
 * With #GstShrikeDetect:inference-region=roi-list the network looks at each region that an element upstream has
 * found, #GstShrikeDetect:object-class among them.
 *
 * If the device is lost (a driver that resets), frames on it pass without detections, and the element goes on with
 * the device opened anew; three losses within a minute are an error.
 *
 * Frames in memory:VulkanImage and memory:VulkanBuffer are searched on the device that they are on, which the element
 * gets from the elements upstream or from the application (gst_element_set_context()); with #GstShrikeDetect:engine-id
 * they are refused. Dma-bufs (memory:DMABuf) are imported where the device can, else copied. #GstShrikeDetect:stats says
 * whether frames are read where they are, and if not, why.
 *
 * All of the model runs on the chosen Vulkan device, or the element fails to start with a message that names
 * the op and the reason. The C reference implementation runs only where device=cpu-reference asks for it.
 *
 * |[
 * gst-launch-1.0 videotestsrc pattern=ball ! shrikedetect ! shrikeoverlay ! videoconvert ! autovideosink
 * ]| The embedded default model on generated video.
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! videoconvert ! \
 *   shrikedetect model-file=detect.tflite label-file=coco.txt score-threshold=0.6 ! \
 *   shrikeoverlay ! videoconvert ! autovideosink
 * ]| A model of your own on a video file.
 * |[
 * gst-launch-1.0 -m videotestsrc num-buffers=300 ! shrikedetect ! fakesink
 * ]| At the end of the stream a message `shrike-stats` with the percentiles of every stage is posted.
 *
 * |[
 * gst-launch-1.0 v4l2src ! videoconvert ! shrikedetect drop-policy=hold ! shrikeoverlay ! videoconvert ! autovideosink
 * ]| A camera, never late: frames that the model has no time for carry the boxes of the last one that it saw.
 * |[
 * gst-launch-1.0 videotestsrc pattern=ball ! shrikedetect engine-id=a batch-size=2 ! fakesink \
 *   videotestsrc pattern=ball ! shrikedetect engine-id=a batch-size=2 ! fakesink
 * ]| Two streams, one model.
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! videoconvert ! \
 *   shrikedetect model-file=detect.tflite label-file=coco.txt ! \
 *   shrikedetect model-file=faces.tflite inference-region=roi-list object-class=person ! \
 *   shrikeoverlay ! videoconvert ! autovideosink
 * ]| A second network on what the first one has found.
 * |[
 * gst-launch-1.0 videotestsrc pattern=ball ! shrikedetect meta=analytics ! objectdetectionoverlay ! \
 *   videoconvert ! autovideosink
 * ]| GStreamer 1.24 and newer: drawn by an element of GStreamer's own.
 *
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=100 pattern=ball ! vulkanupload ! shrikedetect ! fakesink
 * ]| Frames that are on the GPU stay there.
 *
 * Environment: SHRIKE_VALIDATION=1 turns the Khronos validation layer on; its messages go to the debug
 * category `shrikecore` and their number is the field validation-messages of #GstShrikeDetect:stats.
 */
#include "detect_element.h"

#include <string.h>

#include "core_log.h"

GST_DEBUG_CATEGORY(shrike_detect_debug);
#define GST_CAT_DEFAULT shrike_detect_debug

G_DEFINE_TYPE(GstShrikeDetect, gst_shrike_detect, GST_TYPE_ELEMENT)

/* ---- the engine ---- */

/* A reference, or NULL; `with_stream`: only if frames may be flowing. Any thread. */
static struct engine *take_engine(GstShrikeDetect *self, gboolean with_stream)
{
    GST_OBJECT_LOCK(self);
    gboolean there = self->engine && (self->stream || !with_stream);
    struct engine *engine = there ? engine_ref(self->engine) : NULL;
    GST_OBJECT_UNLOCK(self);
    return engine;
}

static void replace_engine(GstShrikeDetect *self, struct engine *engine)
{
    GST_OBJECT_LOCK(self);
    struct engine *old = self->engine;
    self->engine = engine;
    self->failed = FALSE;
    GST_OBJECT_UNLOCK(self);
    engine_close(old);
}

static gboolean open_engine(GstShrikeDetect *self, const struct engine_settings *settings)
{
    struct shk_error error;
    /* memory that others hold may outlive the element, and the device's log with it */
    struct engine *engine = engine_open(settings, core_log(NULL), &error);
    if (!engine) {
        core_log_post_error(GST_ELEMENT(self), &error, "opening the device");
        return FALSE;
    }
    struct engine_device *device = engine_get_device(engine);
    GST_INFO_OBJECT(self, "running on %s", device->name);
    engine_device_unref(device);
    replace_engine(self, engine);
    return TRUE;
}

/* Opens what is not open yet, and all of it anew after a property was set or the engine has failed. */
static gboolean ensure_engine(GstShrikeDetect *self, struct engine_settings *settings)
{
    GST_OBJECT_LOCK(self);
    gboolean reopen = self->settings_changed || self->failed;
    self->settings_changed = FALSE;
    self->files_changed = FALSE;
    engine_settings_copy(settings, &self->settings);
    GST_OBJECT_UNLOCK(self);
    if (reopen)
        replace_engine(self, NULL);
    return self->engine || open_engine(self, settings);
}

static void warn_without_decoder(GstShrikeDetect *self)
{
    struct engine_model *model = engine_get_model(self->engine);
    if (model && shk_model_decoder(model->model) == SHK_DECODER_NONE)
        GST_ELEMENT_WARNING(self, STREAM, NOT_IMPLEMENTED,
                            ("%s: no decoder for the outputs of this model: frames pass without detections",
                             shk_model_name(model->model)),
                            ("a sidecar file next to the model, named like it with .modelinfo at its end, "
                             "can say which it is"));
    engine_model_unref(model);
}

static void choose_meta(GstShrikeDetect *self)
{
    GST_OBJECT_LOCK(self);
    guint meta = self->meta;
    GST_OBJECT_UNLOCK(self);
    self->kinds = detect_meta_kinds_check(GST_ELEMENT(self), meta);
}

GstClockTime gst_shrike_detect_worst_latency(GstShrikeDetect *self, GstClockTime batch_time)
{
    GST_OBJECT_LOCK(self);
    guint waiting = gst_shrike_detect_waiting_places(self->options.drop_policy);
    GST_OBJECT_UNLOCK(self);
    return engine_stream_worst_latency(self->stream, batch_time, waiting);
}

static void reset_flow(GstShrikeDetect *self)
{
    self->have_info = FALSE;
    self->warned_crop = self->warned_regions = self->refused_caps = FALSE;
    self->frame_number = 0;
    self->last_report = gst_util_get_timestamp();
    gst_segment_init(&self->segment, GST_FORMAT_UNDEFINED);
    GstClockTime latency = gst_shrike_detect_worst_latency(self, 0);
    GST_OBJECT_LOCK(self);
    latency_stats_reset(&self->stats);
    self->latency = latency + latency / 4;
    self->live = FALSE;
    self->earliest = GST_CLOCK_TIME_NONE;
    self->dropped = 0;
    self->copy_reason = NULL;
    GST_OBJECT_UNLOCK(self);
}

static gboolean take_regions(GstShrikeDetect *self)
{
    char *message = NULL;
    GST_OBJECT_LOCK(self);
    self->regions.source = self->region_source;
    gboolean good = detect_regions_parse(&self->regions, self->roi, &message);
    detect_regions_set_classes(&self->regions, self->object_class);
    GST_OBJECT_UNLOCK(self);
    if (!good)
        GST_ELEMENT_ERROR(self, LIBRARY, SETTINGS, ("%s", message), ("while reading the property roi"));
    g_free(message);
    return good;
}

gboolean gst_shrike_detect_open_trace(GstShrikeDetect *self)
{
    GError *error = NULL;
    struct engine_model *model = engine_get_model(self->engine);
    GST_OBJECT_LOCK(self);
    char *path = g_strdup(self->trace_path);
    GST_OBJECT_UNLOCK(self);
    gboolean open = detect_trace_open(&self->trace, path, GST_OBJECT_NAME(self), model, &error);
    if (!open)
        GST_ELEMENT_ERROR(self, RESOURCE, OPEN_WRITE, ("%s", error->message), ("while opening trace-file"));
    g_clear_error(&error);
    g_free(path);
    engine_model_unref(model);
    return open;
}

static gboolean start(GstShrikeDetect *self)
{
    struct engine_settings settings;
    struct shk_error error;
    gboolean started = ensure_engine(self, &settings) && take_regions(self);
    if (started) {
        started = engine_start(self->engine, &settings, &error);
        if (!started)
            core_log_post_error(GST_ELEMENT(self), &error, "opening the model");
        started = started && gst_shrike_detect_open_trace(self);
    }
    if (started) {
        struct engine_stream *stream = engine_stream_new(self->engine, settings.max_in_flight);
        GST_OBJECT_LOCK(self);
        self->depth = settings.max_in_flight;
        self->stream = stream;
        GST_OBJECT_UNLOCK(self);
        /* one more waits under drop-policy=leaky */
        detect_upload_init(&self->upload, GST_ELEMENT(self), self->depth + 2);
        detect_upload_set_device(&self->upload, engine_get_device(self->engine));
        warn_without_decoder(self);
        choose_meta(self);
        reset_flow(self);
    }
    engine_settings_clear(&settings);
    return started;
}

static void stop(GstShrikeDetect *self)
{
    gst_shrike_detect_drop_queued(self, NULL);
    gst_shrike_detect_forget_held(self);
    gst_shrike_detect_end_sharing(self);
    GST_OBJECT_LOCK(self);
    struct engine_stream *stream = self->stream;
    self->stream = NULL;
    GST_OBJECT_UNLOCK(self);
    engine_stream_free(stream);
    detect_trace_close(&self->trace);
    detect_upload_clear(&self->upload);
    g_clear_pointer(&self->labels, engine_labels_unref);
}

void gst_shrike_detect_fail(GstShrikeDetect *self, const struct shk_error *error, const char *doing)
{
    GST_OBJECT_LOCK(self);
    gboolean said = self->failed;
    self->failed = TRUE;
    GST_OBJECT_UNLOCK(self);
    if (!said)
        core_log_post_error(GST_ELEMENT(self), error, doing);
}

/* ---- another model ---- */

void gst_shrike_detect_follow_files(GstShrikeDetect *self)
{
    char *model_file, *label_file;
    struct engine *engine = take_engine(self, FALSE);
    if (!engine)
        return;
    engine_get_files(engine, &model_file, &label_file);
    engine_close(engine);
    GST_OBJECT_LOCK(self);
    gboolean follow = !self->files_changed;
    if (follow) {
        g_free(self->settings.model_file);
        g_free(self->settings.label_file);
        self->settings.model_file = g_steal_pointer(&model_file);
        self->settings.label_file = g_steal_pointer(&label_file);
    }
    GST_OBJECT_UNLOCK(self);
    g_free(model_file);
    g_free(label_file);
    if (!follow)
        return;
    g_object_notify(G_OBJECT(self), "model-file");
    g_object_notify(G_OBJECT(self), "label-file");
}

static void swapped(GstElement *element, guint number)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(element);
    GST_OBJECT_LOCK(self);
    if (self->files_number == number)
        self->files_changed = FALSE;
    GST_OBJECT_UNLOCK(self);
    gst_shrike_detect_follow_files(self);
}

void gst_shrike_detect_swap_model(GstShrikeDetect *self)
{
    struct engine_settings settings;
    struct engine *engine = take_engine(self, TRUE);
    if (!engine)
        return;
    GST_OBJECT_LOCK(self);
    engine_settings_copy(&settings, &self->settings);
    self->settings_changed = FALSE;
    guint number = self->files_number;
    GST_OBJECT_UNLOCK(self);
    engine_swap(engine, GST_ELEMENT(self), &settings, number, swapped);
    engine_settings_clear(&settings);
    engine_close(engine);
}

/* ---- statistics ---- */

static void describe_engine(struct engine *engine, GstStructure *structure)
{
    struct engine_status status;
    struct engine_device *device = engine_get_device(engine);
    engine_get_status(engine, &status);
    gst_structure_set(structure, "device", G_TYPE_STRING, device->name, "streams", G_TYPE_UINT, status.streams,
                      "batch-size", G_TYPE_UINT, status.batch_size, "batches", G_TYPE_UINT64, status.batches,
                      "batch-mean", G_TYPE_DOUBLE,
                      status.batches ? (double)status.frames / (double)status.batches : 0.0, "device-losses",
                      G_TYPE_UINT64, status.device_losses, NULL);
    if (device->device)
        gst_structure_set(structure, "validation-messages", G_TYPE_UINT64,
                          shk_device_validation_messages(device->device), NULL);
    engine_device_unref(device);
}

GstStructure *gst_shrike_detect_describe_stats(GstShrikeDetect *self)
{
    GstStructure *structure = gst_structure_new_empty("shrike-stats");
    struct latency_stats *stats = g_new(struct latency_stats, 1);
    struct engine *engine = take_engine(self, FALSE);
    if (engine)
        describe_engine(engine, structure);
    engine_close(engine);
    GST_OBJECT_LOCK(self);
    *stats = self->stats;
    gst_structure_set(structure, "latency", G_TYPE_UINT64, self->latency, "copy-reason", G_TYPE_STRING,
                      self->copy_reason ? self->copy_reason : "", NULL);
    GST_OBJECT_UNLOCK(self);
    latency_stats_describe(stats, structure);
    g_free(stats);
    return structure;
}

/* ---- the element ---- */

static GstStateChangeReturn change_state(GstElement *element, GstStateChange transition)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(element);
    if (transition == GST_STATE_CHANGE_NULL_TO_READY) {
        struct engine_settings settings;
        gboolean open = ensure_engine(self, &settings);
        engine_settings_clear(&settings);
        if (!open)
            return GST_STATE_CHANGE_FAILURE;
    }
    if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !start(self))
        return GST_STATE_CHANGE_FAILURE;
    GstStateChangeReturn result =
        GST_ELEMENT_CLASS(gst_shrike_detect_parent_class)->change_state(element, transition);
    if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
        (transition == GST_STATE_CHANGE_READY_TO_PAUSED && result == GST_STATE_CHANGE_FAILURE))
        stop(self);
    if (transition == GST_STATE_CHANGE_READY_TO_NULL)
        replace_engine(self, NULL);
    return result;
}

static void set_context(GstElement *element, GstContext *context)
{
    vulkan_share_set_context(GST_SHRIKE_DETECT(element)->share, context);
    GST_ELEMENT_CLASS(gst_shrike_detect_parent_class)->set_context(element, context);
}

static void finalize(GObject *object)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(object);
    engine_close(self->engine);
    vulkan_share_free(self->share);
    engine_settings_clear(&self->settings);
    detect_regions_clear(&self->regions);
    g_free(self->roi);
    g_free(self->object_class);
    g_free(self->trace_path);
    g_free(self->held.detections);
    detect_queue_clear(&self->queue);
    detect_frame_pool_clear(&self->frames);
    detect_trace_clear(&self->trace);
    G_OBJECT_CLASS(gst_shrike_detect_parent_class)->finalize(object);
}

static void gst_shrike_detect_class_init(GstShrikeDetectClass *class)
{
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GST_DEBUG_CATEGORY_INIT(shrike_detect_debug, "shrikedetect", 0, "shrikedetect element");
    object_class->finalize = finalize;
    element_class->change_state = GST_DEBUG_FUNCPTR(change_state);
    element_class->set_context = GST_DEBUG_FUNCPTR(set_context);
    gst_shrike_detect_install_properties(object_class);
    gst_shrike_detect_add_pad_templates(element_class);
    gst_element_class_set_static_metadata(element_class, "Shrike object detector", "Filter/Analyzer/Video",
                                          "Finds objects in video with int8 networks on Vulkan compute",
                                          "The Shrike developers");
}

static void gst_shrike_detect_init(GstShrikeDetect *self)
{
    gst_shrike_detect_init_properties(self);
    detect_queue_init(&self->queue);
    detect_frame_pool_init(&self->frames);
    detect_trace_init(&self->trace);
    self->share = vulkan_share_new(GST_ELEMENT(self));
    gst_shrike_detect_create_pads(self);
}
