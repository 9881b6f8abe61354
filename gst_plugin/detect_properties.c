/* shrikedetect's properties.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_element.h"

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
    PROP_TUNE,
    PROP_FUSION,
    PROP_ENGINE_ID,
    PROP_BATCH_SIZE,
    PROP_BATCH_TIMEOUT,
    PROP_LATENCY_BUDGET,
    PROP_DROP_POLICY,
    PROP_INFERENCE_INTERVAL,
    PROP_QOS,
    PROP_ROI,
    PROP_INFERENCE_REGION,
    PROP_OBJECT_CLASS,
    PROP_META,
    PROP_TRACE_FILE,
    PROP_TRACE_OPS,
    PROP_STATS_INTERVAL,
    PROP_STATS,
};

#define DEFAULT_SCORE_THRESHOLD 0.5f
#define DEFAULT_IOU_THRESHOLD   (-1.0f)
#define DEFAULT_MAX_DETECTIONS  0
#define DEFAULT_MAX_IN_FLIGHT   2
#define DEFAULT_BATCH_SIZE      1
#define DEFAULT_BATCH_TIMEOUT   10

static GType drop_policy_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {DETECT_DROP_NONE, "Upstream waits: every frame is inferred", "none"},
        {DETECT_DROP_LEAKY, "The newest frame is inferred next, others pass without inference", "leaky"},
        {DETECT_DROP_SKIP, "The frame is dropped", "skip"},
        {DETECT_DROP_HOLD, "The frame passes with the last detections", "hold"},
        {0, NULL, NULL},
    };
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_enum_register_static("GstShrikeDropPolicy", values));
    return type;
}

static GType region_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {DETECT_REGION_FRAME, "The whole frame, or the rectangles of roi", "full-frame"},
        {DETECT_REGION_LIST, "The regions that an element upstream has found", "roi-list"},
        {0, NULL, NULL},
    };
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_enum_register_static("GstShrikeInferenceRegion", values));
    return type;
}

static void replace_string(char **text, const GValue *value)
{
    g_free(*text);
    *text = g_value_dup_string(value);
}

/* What the engine is opened with; FALSE: it is no such property. With the object lock. */
static gboolean set_engine_setting(struct engine_settings *settings, guint id, const GValue *value)
{
    switch (id) {
    case PROP_MODEL_FILE:
        replace_string(&settings->model_file, value);
        return TRUE;
    case PROP_LABEL_FILE:
        replace_string(&settings->label_file, value);
        return TRUE;
    case PROP_SCORE_THRESHOLD:
        settings->score_threshold = g_value_get_float(value);
        return TRUE;
    case PROP_IOU_THRESHOLD:
        settings->iou_threshold = g_value_get_float(value);
        return TRUE;
    case PROP_MAX_DETECTIONS:
        settings->max_detections = g_value_get_uint(value);
        return TRUE;
    case PROP_DEVICE:
        replace_string(&settings->device, value);
        return TRUE;
    case PROP_MAX_IN_FLIGHT:
        settings->max_in_flight = g_value_get_uint(value);
        return TRUE;
    case PROP_CACHE_DIR:
        replace_string(&settings->cache_dir, value);
        return TRUE;
    case PROP_TUNE:
        settings->tune = (enum shk_tune_mode)g_value_get_enum(value);
        return TRUE;
    case PROP_FUSION:
        settings->fusion = g_value_get_flags(value);
        return TRUE;
    case PROP_ENGINE_ID:
        replace_string(&settings->engine_id, value);
        return TRUE;
    case PROP_BATCH_SIZE:
        settings->batch_size = g_value_get_uint(value);
        return TRUE;
    case PROP_BATCH_TIMEOUT:
        settings->batch_timeout = g_value_get_uint(value) * GST_MSECOND;
        return TRUE;
    case PROP_LATENCY_BUDGET:
        settings->latency_budget = g_value_get_uint(value) * GST_MSECOND;
        return TRUE;
    case PROP_TRACE_OPS:
        settings->profile_ops = g_value_get_boolean(value);
        return TRUE;
    default:
        return FALSE;
    }
}

/* With the object lock. A roi is parsed, and refused, when the element starts: only then somebody listens. */
static gboolean set_option(GstShrikeDetect *self, guint id, const GValue *value)
{
    switch (id) {
    case PROP_DROP_POLICY:
        self->options.drop_policy = (enum detect_drop_policy)g_value_get_enum(value);
        return TRUE;
    case PROP_INFERENCE_INTERVAL:
        self->options.interval = g_value_get_uint(value);
        return TRUE;
    case PROP_QOS:
        self->options.qos = g_value_get_boolean(value);
        return TRUE;
    case PROP_STATS_INTERVAL:
        self->options.stats_interval = g_value_get_uint(value) * GST_MSECOND;
        return TRUE;
    case PROP_ROI:
        replace_string(&self->roi, value);
        return TRUE;
    case PROP_INFERENCE_REGION:
        self->region_source = (enum detect_region_source)g_value_get_enum(value);
        return TRUE;
    case PROP_OBJECT_CLASS:
        replace_string(&self->object_class, value);
        return TRUE;
    case PROP_META:
        self->meta = (guint)g_value_get_enum(value);
        return TRUE;
    case PROP_TRACE_FILE:
        replace_string(&self->trace_path, value);
        return TRUE;
    default:
        return FALSE;
    }
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(object);
    GST_OBJECT_LOCK(self);
    gboolean known = set_engine_setting(&self->settings, id, value);
    if (known)
        self->settings_changed = TRUE;
    else
        known = set_option(self, id, value);
    if (id == PROP_MODEL_FILE || id == PROP_LABEL_FILE) {
        self->files_changed = TRUE;
        self->files_number++;
    }
    GST_OBJECT_UNLOCK(self);
    if (!known)
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    if (id == PROP_MODEL_FILE)
        gst_shrike_detect_swap_model(self);
}

static gboolean get_engine_setting(const struct engine_settings *settings, guint id, GValue *value)
{
    switch (id) {
    case PROP_MODEL_FILE:
        g_value_set_string(value, settings->model_file);
        return TRUE;
    case PROP_LABEL_FILE:
        g_value_set_string(value, settings->label_file);
        return TRUE;
    case PROP_SCORE_THRESHOLD:
        g_value_set_float(value, settings->score_threshold);
        return TRUE;
    case PROP_IOU_THRESHOLD:
        g_value_set_float(value, settings->iou_threshold);
        return TRUE;
    case PROP_MAX_DETECTIONS:
        g_value_set_uint(value, settings->max_detections);
        return TRUE;
    case PROP_DEVICE:
        g_value_set_string(value, settings->device);
        return TRUE;
    case PROP_MAX_IN_FLIGHT:
        g_value_set_uint(value, settings->max_in_flight);
        return TRUE;
    case PROP_CACHE_DIR:
        g_value_set_string(value, settings->cache_dir);
        return TRUE;
    case PROP_TUNE:
        g_value_set_enum(value, (gint)settings->tune);
        return TRUE;
    case PROP_FUSION:
        g_value_set_flags(value, settings->fusion);
        return TRUE;
    case PROP_ENGINE_ID:
        g_value_set_string(value, settings->engine_id);
        return TRUE;
    case PROP_BATCH_SIZE:
        g_value_set_uint(value, settings->batch_size);
        return TRUE;
    case PROP_BATCH_TIMEOUT:
        g_value_set_uint(value, (guint)(settings->batch_timeout / GST_MSECOND));
        return TRUE;
    case PROP_LATENCY_BUDGET:
        g_value_set_uint(value, (guint)(settings->latency_budget / GST_MSECOND));
        return TRUE;
    case PROP_TRACE_OPS:
        g_value_set_boolean(value, settings->profile_ops);
        return TRUE;
    default:
        return FALSE;
    }
}

static gboolean get_option(const GstShrikeDetect *self, guint id, GValue *value)
{
    switch (id) {
    case PROP_DROP_POLICY:
        g_value_set_enum(value, self->options.drop_policy);
        return TRUE;
    case PROP_INFERENCE_INTERVAL:
        g_value_set_uint(value, self->options.interval);
        return TRUE;
    case PROP_QOS:
        g_value_set_boolean(value, self->options.qos);
        return TRUE;
    case PROP_STATS_INTERVAL:
        g_value_set_uint(value, (guint)(self->options.stats_interval / GST_MSECOND));
        return TRUE;
    case PROP_ROI:
        g_value_set_string(value, self->roi);
        return TRUE;
    case PROP_INFERENCE_REGION:
        g_value_set_enum(value, self->region_source);
        return TRUE;
    case PROP_OBJECT_CLASS:
        g_value_set_string(value, self->object_class);
        return TRUE;
    case PROP_META:
        g_value_set_enum(value, (gint)self->meta);
        return TRUE;
    case PROP_TRACE_FILE:
        g_value_set_string(value, self->trace_path);
        return TRUE;
    default:
        return FALSE;
    }
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    GstShrikeDetect *self = GST_SHRIKE_DETECT(object);
    if (id == PROP_STATS) {
        g_value_take_boxed(value, gst_shrike_detect_describe_stats(self));
        return;
    }
    GST_OBJECT_LOCK(self);
    gboolean known = get_engine_setting(&self->settings, id, value) || get_option(self, id, value);
    GST_OBJECT_UNLOCK(self);
    if (!known)
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
}

#define READY_FLAGS   (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)
#define PLAYING_FLAGS (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)

static void install_string(GObjectClass *class, guint id, const char *name, const char *nick, const char *blurb,
                           GParamFlags flags)
{
    g_object_class_install_property(class, id, g_param_spec_string(name, nick, blurb, NULL, flags));
}

static void install_uint(GObjectClass *class, guint id, const char *name, const char *nick, const char *blurb,
                         guint least, guint most, guint preset, GParamFlags flags)
{
    g_object_class_install_property(class, id, g_param_spec_uint(name, nick, blurb, least, most, preset, flags));
}

static void install_model_properties(GObjectClass *class)
{
    install_string(class, PROP_MODEL_FILE, "model-file", "Model file",
                   "TensorFlow Lite file with an int8 or uint8 quantized detector or classifier; unset: the "
                   "embedded default model, which finds simple shapes. Set while frames flow: the new model takes "
                   "over between two frames, or a warning says why it cannot",
                   PLAYING_FLAGS);
    install_string(class, PROP_LABEL_FILE, "label-file", "Label file",
                   "Text file with one class name per line, UTF-8, as many as the model has classes; unset: "
                   "the default model's own names, \"class <id>\" for other models. Set while frames flow: takes "
                   "effect with the next model-file",
                   PLAYING_FLAGS);
    g_object_class_install_property(
        class, PROP_SCORE_THRESHOLD,
        g_param_spec_float("score-threshold", "Score threshold",
                           "Detections with less confidence are not reported; 0: as the model says, else all", 0.0f,
                           1.0f, DEFAULT_SCORE_THRESHOLD, READY_FLAGS));
    g_object_class_install_property(
        class, PROP_IOU_THRESHOLD,
        g_param_spec_float("iou-threshold", "IoU threshold",
                           "Of two boxes of one class whose intersection over union is larger, only the more "
                           "confident is kept (non-maximum suppression); negative: as the model says, else 0.5",
                           -1.0f, 1.0f, DEFAULT_IOU_THRESHOLD, READY_FLAGS));
    install_uint(class, PROP_MAX_DETECTIONS, "max-detections", "Maximum detections",
                 "Most detections reported per frame, the most confident ones; 0: as the model says, else 100", 0,
                 ENGINE_MAX_DETECTIONS, DEFAULT_MAX_DETECTIONS, READY_FLAGS);
    install_string(class, PROP_ROI, "roi", "Regions of interest",
                   "Rectangles of the frame to look at, each by itself, instead of the whole frame: "
                   "\"x,y,width,height\" in fractions of the frame, several with ';' between (0,0,0.5,1;0.5,0,0.5,1: "
                   "the left and the right half); at most 32",
                   READY_FLAGS);
    g_object_class_install_property(
        class, PROP_INFERENCE_REGION,
        g_param_spec_enum("inference-region", "Inference region",
                          "What the network looks at: roi-list is for a second network on what a first one has found",
                          region_type(), DETECT_REGION_FRAME, READY_FLAGS));
    install_string(class, PROP_OBJECT_CLASS, "object-class", "Object class",
                   "With inference-region=roi-list: labels of the regions to look at, with commas between; unset: all",
                   READY_FLAGS);
}

static void install_engine_properties(GObjectClass *class)
{
    install_string(class, PROP_DEVICE, "device", "Device",
                   "Vulkan device: index, UUID or part of the name as listed by `shrike devices`; unset: the "
                   "best one; \"cpu-reference\": the plain C reference instead of Vulkan (same results, slow)",
                   READY_FLAGS);
    install_uint(class, PROP_MAX_IN_FLIGHT, "max-in-flight", "Maximum frames in flight",
                 "Frames of this stream on the device at a time. 1 gives the least latency; more let the CPU "
                 "prepare the next frame while the device works",
                 1, 16, DEFAULT_MAX_IN_FLIGHT, READY_FLAGS);
    install_string(class, PROP_CACHE_DIR, "cache-dir", "Cache folder",
                   "Where the driver's compiled pipelines are kept, for a faster start, and which kernels are the "
                   "fastest; unset: shrike/ in the user's cache folder; empty: nowhere",
                   READY_FLAGS);
    g_object_class_install_property(
        class, PROP_TUNE,
        g_param_spec_enum("tune", "Tune",
                          "Measure, before the first frame, which kernels are the fastest for the model on the device, "
                          "and keep that in cache-dir, as `shrike tune` does. What is there is used in any case",
                          ENGINE_TYPE_TUNE, SHK_TUNE_OFF, READY_FLAGS));
    g_object_class_install_property(
        class, PROP_FUSION,
        g_param_spec_flags("fusion", "Fusion",
                           "Which ops a neighbour's kernel may do as well, where the model has them so; the results are the "
                           "same. 0 gives every op a dispatch of its own, as trace-ops may want it",
                           ENGINE_TYPE_FUSION, SHK_FUSION_ALL, READY_FLAGS));
    install_string(class, PROP_ENGINE_ID, "engine-id", "Engine id",
                   "Elements of this process with the same id share model, device and queue; they need the same "
                   "model-file, label-file, device, thresholds and batch settings. Unset: an engine of its own",
                   READY_FLAGS);
    install_uint(class, PROP_BATCH_SIZE, "batch-size", "Batch size",
                 "Most frames, of all streams of the engine, that go to the device together; 0: measured at the "
                 "start (the largest batch that takes no longer than a smaller one, within latency-budget)",
                 0, ENGINE_MAX_BATCH, DEFAULT_BATCH_SIZE, READY_FLAGS);
    install_uint(class, PROP_BATCH_TIMEOUT, "batch-timeout", "Batch timeout",
                 "Milliseconds that a frame waits for others to fill its batch; 0: it does not wait", 0, 10000,
                 DEFAULT_BATCH_TIMEOUT, READY_FLAGS);
    install_uint(class, PROP_LATENCY_BUDGET, "latency-budget", "Latency budget",
                 "With batch-size=0: milliseconds that a batch may take on the device; 0: any", 0, 60000, 0,
                 READY_FLAGS);
}

static void install_live_properties(GObjectClass *class)
{
    g_object_class_install_property(
        class, PROP_DROP_POLICY,
        g_param_spec_enum("drop-policy", "Drop policy",
                          "What happens to a frame that comes while max-in-flight frames are on the device",
                          drop_policy_type(), DETECT_DROP_NONE, PLAYING_FLAGS));
    install_uint(class, PROP_INFERENCE_INTERVAL, "inference-interval", "Inference interval",
                 "One frame of so many is inferred; the others pass, with drop-policy=hold with the last detections",
                 1, G_MAXINT, 1, PLAYING_FLAGS);
    g_object_class_install_property(
        class, PROP_QOS,
        g_param_spec_boolean("qos", "QoS",
                             "Obey QoS events: frames that downstream would get too late are not inferred but "
                             "pass (drop-policy=skip: are dropped)",
                             FALSE, PLAYING_FLAGS));
    g_object_class_install_property(
        class, PROP_META,
        g_param_spec_enum("meta", "Metadata",
                          "What detections are written as, besides ShrikeLatency; analytics is what the elements of "
                          "GStreamer 1.24 and newer read, and needs that version",
                          DETECT_TYPE_META_KINDS, (gint)detect_meta_kinds_default(), READY_FLAGS));
    install_string(class, PROP_TRACE_FILE, "trace-file", "Trace file",
                   "File to write where the time of every frame went to, for ui.perfetto.dev or chrome://tracing; "
                   "elements of one process may name the same",
                   READY_FLAGS);
    g_object_class_install_property(
        class, PROP_TRACE_OPS,
        g_param_spec_boolean("trace-ops", "Trace ops",
                             "Measure every op of the network, for the trace file; makes inference a little slower",
                             FALSE, READY_FLAGS));
    install_uint(class, PROP_STATS_INTERVAL, "stats-interval", "Statistics interval",
                 "Milliseconds between element messages with stats; 0: one at the end of the stream", 0, G_MAXINT, 0,
                 PLAYING_FLAGS);
    g_object_class_install_property(
        class, PROP_STATS,
        g_param_spec_boxed(
            "stats", "Statistics",
            "frames (that left), inferred, held, passed, dropped, not-inferred-<reason>, copied and in-place uploads "
            "with copy-reason, latency, device, device-losses, streams, batch-size, batches, batch-mean, and "
            "<stage>-p50, -p95 and -p99 in ns over the last inferred frames for the stages queue, upload, "
            "preprocess, inference, readback, decode and total",
            GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

void gst_shrike_detect_install_properties(GObjectClass *class)
{
    class->set_property = set_property;
    class->get_property = get_property;
    install_model_properties(class);
    install_engine_properties(class);
    install_live_properties(class);
    gst_type_mark_as_plugin_api(drop_policy_type(), 0);
    gst_type_mark_as_plugin_api(region_type(), 0);
    gst_type_mark_as_plugin_api(ENGINE_TYPE_TUNE, 0);
    gst_type_mark_as_plugin_api(ENGINE_TYPE_FUSION, 0);
}

void gst_shrike_detect_init_properties(GstShrikeDetect *self)
{
    self->settings = (struct engine_settings){
        .score_threshold = DEFAULT_SCORE_THRESHOLD,
        .iou_threshold = DEFAULT_IOU_THRESHOLD,
        .max_detections = DEFAULT_MAX_DETECTIONS,
        .max_in_flight = DEFAULT_MAX_IN_FLIGHT,
        .fusion = SHK_FUSION_ALL,
        .batch_size = DEFAULT_BATCH_SIZE,
        .batch_timeout = DEFAULT_BATCH_TIMEOUT * GST_MSECOND,
    };
    self->options = (struct detect_options){.drop_policy = DETECT_DROP_NONE, .interval = 1};
    self->meta = detect_meta_kinds_default();
    self->earliest = GST_CLOCK_TIME_NONE;
}
