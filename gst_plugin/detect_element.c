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
 * Up to #GstShrikeDetect:max-in-flight frames are on the device at a time. When all are taken the element
 * blocks upstream: put a leaky queue before it to drop frames instead. Frames leave in the order in which
 * they came, with all serialized events between them in their places.
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
 * |[
 * gst-launch-1.0 videotestsrc pattern=ball ! shrikedetect meta=analytics ! objectdetectionoverlay ! \
 *   videoconvert ! autovideosink
 * ]| GStreamer 1.24 and newer: drawn by an element of GStreamer's own.
 *
 * Environment: SHRIKE_VALIDATION=1 turns the Khronos validation layer on; its messages go to the debug
 * category `shrikecore` and their number is the field validation-messages of #GstShrikeDetect:stats.
 */
#include "detect_element.h"

#include <string.h>

#include "core_log.h"
#include "detect_analytics.h"

GST_DEBUG_CATEGORY(shrike_detect_debug);
#define GST_CAT_DEFAULT shrike_detect_debug

enum {
    PROP_0,
    PROP_MODEL_FILE,
    PROP_LABEL_FILE,
    PROP_SCORE_THRESHOLD,
    PROP_IOU_THRESHOLD,
    PROP_MAX_DETECTIONS,
    PROP_DEVICE,
    PROP_MAX_IN_FLIGHT,
    PROP_CACHE_DIR,
    PROP_META,
    PROP_STATS,
};

#define DEFAULT_SCORE_THRESHOLD 0.5f
#define DEFAULT_IOU_THRESHOLD   (-1.0f)
#define DEFAULT_MAX_DETECTIONS  0
#define DEFAULT_MAX_IN_FLIGHT   2

G_DEFINE_TYPE(GstShrikeDetect, gst_shrike_detect, GST_TYPE_ELEMENT)

static void replace_string(char **text, const GValue *value)
{
    g_free(*text);
    *text = g_value_dup_string(value);
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(object);
    struct engine_settings *settings = &self->settings;
    GST_OBJECT_LOCK(self);
    if (id != PROP_META)
        self->settings_changed = TRUE;
    switch (id) {
    case PROP_MODEL_FILE:
        replace_string(&settings->model_file, value);
        break;
    case PROP_LABEL_FILE:
        replace_string(&settings->label_file, value);
        break;
    case PROP_SCORE_THRESHOLD:
        settings->score_threshold = g_value_get_float(value);
        break;
    case PROP_IOU_THRESHOLD:
        settings->iou_threshold = g_value_get_float(value);
        break;
    case PROP_MAX_DETECTIONS:
        settings->max_detections = g_value_get_uint(value);
        break;
    case PROP_DEVICE:
        replace_string(&settings->device, value);
        break;
    case PROP_MAX_IN_FLIGHT:
        settings->max_in_flight = g_value_get_uint(value);
        break;
    case PROP_CACHE_DIR:
        replace_string(&settings->cache_dir, value);
        break;
    case PROP_META:
        self->meta = (guint)g_value_get_enum(value);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        break;
    }
    GST_OBJECT_UNLOCK(self);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(object);
    const struct engine_settings *settings = &self->settings;
    if (id == PROP_STATS) {
        g_value_take_boxed(value, gst_shrike_detect_describe_stats(self));
        return;
    }
    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_MODEL_FILE:
        g_value_set_string(value, settings->model_file);
        break;
    case PROP_LABEL_FILE:
        g_value_set_string(value, settings->label_file);
        break;
    case PROP_SCORE_THRESHOLD:
        g_value_set_float(value, settings->score_threshold);
        break;
    case PROP_IOU_THRESHOLD:
        g_value_set_float(value, settings->iou_threshold);
        break;
    case PROP_MAX_DETECTIONS:
        g_value_set_uint(value, settings->max_detections);
        break;
    case PROP_DEVICE:
        g_value_set_string(value, settings->device);
        break;
    case PROP_MAX_IN_FLIGHT:
        g_value_set_uint(value, settings->max_in_flight);
        break;
    case PROP_CACHE_DIR:
        g_value_set_string(value, settings->cache_dir);
        break;
    case PROP_META:
        g_value_set_enum(value, (gint)self->meta);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        break;
    }
    GST_OBJECT_UNLOCK(self);
}

GstStructure *gst_shrike_detect_describe_stats(GstShrikeDetect *self)
{
    GstStructure *structure = gst_structure_new_empty("shrike-stats");
    struct latency_stats *stats = g_new(struct latency_stats, 1);
    GST_OBJECT_LOCK(self);
    *stats = self->stats;
    if (self->engine.device_name[0])
        gst_structure_set(structure, "device", G_TYPE_STRING, self->engine.device_name, NULL);
    if (self->engine.device)
        gst_structure_set(structure, "validation-messages", G_TYPE_UINT64,
                          shk_device_validation_messages(self->engine.device), NULL);
    GST_OBJECT_UNLOCK(self);
    latency_stats_describe(stats, structure);
    g_free(stats);
    return structure;
}

/* Other threads see the engine through describe_stats(), so it is changed and taken away as a whole. */
static void replace_engine(GstShrikeDetect *self, struct engine *engine)
{
    GST_OBJECT_LOCK(self);
    self->engine = *engine;
    self->session_failed = FALSE;
    GST_OBJECT_UNLOCK(self);
}

static void close_engine(GstShrikeDetect *self)
{
    struct engine old = self->engine, none = {0};
    replace_engine(self, &none);
    engine_close(&old);
    self->configured = FALSE;
}

static gboolean open_device(GstShrikeDetect *self, const struct engine_settings *settings)
{
    struct engine engine = {0};
    struct shk_error error;
    if (!engine_open_device(&engine, settings, core_log(GST_OBJECT(self)), &error)) {
        core_log_post_error(GST_ELEMENT(self), &error, "opening the device");
        return FALSE;
    }
    GST_INFO_OBJECT(self, "running on %s", engine.device_name);
    replace_engine(self, &engine);
    return TRUE;
}

static gboolean open_model(GstShrikeDetect *self, const struct engine_settings *settings)
{
    struct engine engine = self->engine;
    struct shk_error error;
    if (!engine_open_model(&engine, settings, &error)) {
        core_log_post_error(GST_ELEMENT(self), &error, "opening the model");
        return FALSE;
    }
    replace_engine(self, &engine);
    self->slots = settings->max_in_flight;
    if (shk_model_decoder(engine.model) == SHK_DECODER_NONE)
        GST_ELEMENT_WARNING(self, STREAM, NOT_IMPLEMENTED,
                            ("%s: no decoder for the outputs of this model: frames pass without detections",
                             shk_model_name(engine.model)),
                            ("a sidecar file next to the model, named like it with .modelinfo at its end, "
                             "can say which it is"));
    return TRUE;
}

/* Opens what is not open yet, and all of it anew after a property was set or the device was lost. */
static gboolean ensure_engine(GstShrikeDetect *self, gboolean with_model)
{
    struct engine_settings settings;
    GST_OBJECT_LOCK(self);
    gboolean reopen = self->settings_changed || self->session_failed;
    self->settings_changed = FALSE;
    engine_settings_copy(&settings, &self->settings);
    GST_OBJECT_UNLOCK(self);
    if (reopen)
        close_engine(self);
    gboolean open = self->engine.device_name[0] || open_device(self, &settings);
    if (open && with_model)
        open = self->engine.session || open_model(self, &settings);
    engine_settings_clear(&settings);
    return open;
}

static void choose_meta(GstShrikeDetect *self)
{
    GST_OBJECT_LOCK(self);
    guint meta = self->meta;
    GST_OBJECT_UNLOCK(self);
    self->kinds = detect_meta_kinds_check(GST_ELEMENT(self), meta);
}

static GstStateChangeReturn change_state(GstElement *element, GstStateChange transition)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(element);
    if (transition == GST_STATE_CHANGE_NULL_TO_READY && !ensure_engine(self, FALSE))
        return GST_STATE_CHANGE_FAILURE;
    if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
        if (!ensure_engine(self, TRUE))
            return GST_STATE_CHANGE_FAILURE;
        choose_meta(self);
        gst_shrike_detect_reset_flow(self);
    }
    GstStateChangeReturn result =
        GST_ELEMENT_CLASS(gst_shrike_detect_parent_class)->change_state(element, transition);
    if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
        gst_shrike_detect_drain_session(self);
    if (transition == GST_STATE_CHANGE_READY_TO_NULL)
        close_engine(self);
    return result;
}

static void finalize(GObject *object)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(object);
    close_engine(self);
    engine_settings_clear(&self->settings);
    detect_queue_clear(&self->queue);
    G_OBJECT_CLASS(gst_shrike_detect_parent_class)->finalize(object);
}

static void install_properties(GObjectClass *class)
{
    const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
    g_object_class_install_property(
        class, PROP_MODEL_FILE,
        g_param_spec_string(
            "model-file", "Model file",
            "TensorFlow Lite file with an int8 or uint8 quantized detector or classifier; unset: the "
            "embedded default model, which finds simple shapes",
            NULL, flags));
    g_object_class_install_property(
        class, PROP_LABEL_FILE,
        g_param_spec_string(
            "label-file", "Label file",
            "Text file with one class name per line, UTF-8, as many as the model has classes; unset: "
            "the default model's own names, \"class <id>\" for other models",
            NULL, flags));
    g_object_class_install_property(
        class, PROP_SCORE_THRESHOLD,
        g_param_spec_float("score-threshold", "Score threshold",
                           "Detections with less confidence are not reported; 0: as the model says, "
                           "else all",
                           0.0f, 1.0f, DEFAULT_SCORE_THRESHOLD, flags));
    g_object_class_install_property(
        class, PROP_IOU_THRESHOLD,
        g_param_spec_float(
            "iou-threshold", "IoU threshold",
            "Of two boxes of one class whose intersection over union is larger, only the more confident "
            "is kept (non-maximum suppression); negative: as the model says, else 0.5",
            -1.0f, 1.0f, DEFAULT_IOU_THRESHOLD, flags));
    g_object_class_install_property(
        class, PROP_MAX_DETECTIONS,
        g_param_spec_uint(
            "max-detections", "Maximum detections",
            "Most detections reported per frame, the most confident ones; 0: as the model says, else 100", 0,
            1000, DEFAULT_MAX_DETECTIONS, flags));
    g_object_class_install_property(
        class, PROP_DEVICE,
        g_param_spec_string(
            "device", "Device",
            "Vulkan device: index, UUID or part of the name as listed by `shrike devices`; unset: the "
            "best one; \"cpu-reference\": the plain C reference instead of Vulkan (same results, slow)",
            NULL, flags));
    g_object_class_install_property(
        class, PROP_MAX_IN_FLIGHT,
        g_param_spec_uint(
            "max-in-flight", "Maximum frames in flight",
            "Frames on the device at a time. 1 gives the least latency; more let the CPU prepare the "
            "next frame while the device works. Upstream blocks when all are taken",
            1, 16, DEFAULT_MAX_IN_FLIGHT, flags));
    g_object_class_install_property(
        class, PROP_CACHE_DIR,
        g_param_spec_string(
            "cache-dir", "Cache folder",
            "Where the driver's compiled pipelines are kept, for a faster start; unset: shrike/ in the "
            "user's cache folder; empty: nowhere",
            NULL, flags));
    g_object_class_install_property(
        class, PROP_META,
        g_param_spec_enum(
            "meta", "Metadata",
            "What detections are written as, besides ShrikeLatency; analytics is what the elements of "
            "GStreamer 1.24 and newer read, and needs that version",
            DETECT_TYPE_META_KINDS, (gint)detect_meta_kinds_default(), flags));
    g_object_class_install_property(
        class, PROP_STATS,
        g_param_spec_boxed(
            "stats", "Statistics",
            "frames, dropped, device, and <stage>-p50, -p95 and -p99 in ns over the last frames for the "
            "stages queue, upload, preprocess, inference, readback, decode and total",
            GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void gst_shrike_detect_class_init(GstShrikeDetectClass *class)
{
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GST_DEBUG_CATEGORY_INIT(shrike_detect_debug, "shrikedetect", 0, "shrikedetect element");
    object_class->set_property = set_property;
    object_class->get_property = get_property;
    object_class->finalize = finalize;
    element_class->change_state = GST_DEBUG_FUNCPTR(change_state);
    install_properties(object_class);
    gst_element_class_add_static_pad_template(element_class, gst_shrike_detect_pad_template(GST_PAD_SINK));
    gst_element_class_add_static_pad_template(element_class, gst_shrike_detect_pad_template(GST_PAD_SRC));
    gst_element_class_set_static_metadata(element_class, "Shrike object detector", "Filter/Analyzer/Video",
                                          "Finds objects in video with int8 networks on Vulkan compute",
                                          "The Shrike developers");
}

static void gst_shrike_detect_init(GstShrikeDetect *self)
{
    self->settings = (struct engine_settings){
        .score_threshold = DEFAULT_SCORE_THRESHOLD,
        .iou_threshold = DEFAULT_IOU_THRESHOLD,
        .max_detections = DEFAULT_MAX_DETECTIONS,
        .max_in_flight = DEFAULT_MAX_IN_FLIGHT,
    };
    self->meta = detect_meta_kinds_default();
    detect_queue_init(&self->queue);
    gst_shrike_detect_create_pads(self);
}
