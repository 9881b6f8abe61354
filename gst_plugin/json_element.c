/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-shrikejson
 * @title: shrikejson
 * @short_description: writes detections and their latency as lines of JSON
 *
 * Writes one JSON object per line for every buffer that has the "ShrikeLatency" meta: what was found on the
 * frame and where its time went. The README has a table of the members. Buffers pass through untouched,
 * whatever their caps are, with or without the meta.
 *
 * A file, or what reads the standard output, gets every line: where it is slow, the pipeline waits. The
 * readers of a socket are never waited for: each has a queue of #GstShrikeJson:max-queue lines, of which the
 * oldest is dropped when it is full. A line is written whole. At the end of the stream all lines are in the
 * file, and readers get two seconds to take theirs.
 *
 * |[
 * gst-launch-1.0 -q videotestsrc num-buffers=30 pattern=ball ! shrikedetect ! shrikejson location=- !
 * fakesink
 * ]| Lines on the standard output (-q keeps those of gst-launch-1.0 away).
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! videoconvert ! shrikedetect ! \
 *   shrikejson location=clip.jsonl ! fakesink
 * ]| A file of what is in a video.
 * |[
 * gst-launch-1.0 v4l2src ! videoconvert ! shrikedetect ! \
 *   shrikejson socket-path=/tmp/shrike.sock socket-mode=listen ! shrikeoverlay ! videoconvert ! autovideosink
 * ]| A camera on screen, while any number of programs read what is found: nc -U /tmp/shrike.sock
 */
#include "json_element.h"

#include "json_line.h"
#include "json_sink.h"
#include "shrike_meta.h"

GST_DEBUG_CATEGORY(shrike_json_debug);
#define GST_CAT_DEFAULT shrike_json_debug

#define DEFAULT_MAX_QUEUE 256

enum socket_mode { SOCKET_CONNECT, SOCKET_LISTEN };

enum {
    PROP_0,
    PROP_LOCATION,
    PROP_APPEND,
    PROP_SOCKET_PATH,
    PROP_SOCKET_MODE,
    PROP_INCLUDE_LATENCY,
    PROP_MAX_QUEUE,
    PROP_STATS,
};

struct _GstShrikeJson {
    GstBaseTransform parent;

    /* object lock */
    struct json_sink_settings settings;
    gboolean include_latency;

    /* streaming thread */
    guint width, height; /* 0: the caps have none */

    struct json_sink sink;
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

G_DEFINE_TYPE(GstShrikeJson, gst_shrike_json, GST_TYPE_BASE_TRANSFORM)

/* ---- Streaming ---- */

/* Of video and pictures, encoded ones too. */
static gboolean set_caps(GstBaseTransform *transform, GstCaps *incaps, GstCaps *outcaps)
{
    GstShrikeJson *self = GST_SHRIKE_JSON(transform);
    const GstStructure *structure = gst_caps_get_structure(incaps, 0);
    gint width = 0, height = 0;
    gst_structure_get_int(structure, "width", &width);
    gst_structure_get_int(structure, "height", &height);
    self->width = (guint)MAX(width, 0);
    self->height = (guint)MAX(height, 0);
    return TRUE;
}

static GstFlowReturn transform_ip(GstBaseTransform *transform, GstBuffer *buffer)
{
    GstShrikeJson *self = GST_SHRIKE_JSON(transform);
    GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, SHRIKE_LATENCY_META);
    if (!meta)
        return GST_FLOW_OK;
    GString *line = json_sink_begin_line(&self->sink);
    if (!line)
        return GST_FLOW_OK;
    struct json_line_frame frame = {GST_BUFFER_PTS(buffer), self->width, self->height, FALSE};
    GST_OBJECT_LOCK(self);
    frame.with_latency = self->include_latency;
    GST_OBJECT_UNLOCK(self);
    json_line_append(line, &frame, gst_custom_meta_get_structure(meta));
    return json_sink_push_line(&self->sink);
}

static gboolean sink_event(GstBaseTransform *transform, GstEvent *event)
{
    GstShrikeJson *self = GST_SHRIKE_JSON(transform);
    switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_FLUSH_START:
        json_sink_set_flushing(&self->sink, TRUE);
        break;
    case GST_EVENT_FLUSH_STOP:
        json_sink_set_flushing(&self->sink, FALSE);
        break;
    case GST_EVENT_EOS:
        json_sink_drain(&self->sink);
        break;
    default:
        break;
    }
    return GST_BASE_TRANSFORM_CLASS(gst_shrike_json_parent_class)->sink_event(transform, event);
}

/* ---- States ---- */

static gboolean start(GstBaseTransform *transform)
{
    GstShrikeJson *self = GST_SHRIKE_JSON(transform);
    GError *error = NULL;
    self->width = self->height = 0;
    GST_OBJECT_LOCK(self);
    struct json_sink_settings settings = self->settings;
    settings.location = g_strdup(settings.location);
    settings.socket_path = g_strdup(settings.socket_path);
    GST_OBJECT_UNLOCK(self);
    gboolean started = json_sink_start(&self->sink, &settings, &error);
    if (!started)
        json_sink_post(&self->sink, GST_MESSAGE_ERROR, error);
    g_free(settings.location);
    g_free(settings.socket_path);
    return started;
}

static gboolean stop(GstBaseTransform *transform)
{
    json_sink_stop(&GST_SHRIKE_JSON(transform)->sink);
    return TRUE;
}

/* A push that waits for the file holds the stream lock, which the base class needs to stop. */
static GstStateChangeReturn change_state(GstElement *element, GstStateChange transition)
{
    if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
        json_sink_set_flushing(&GST_SHRIKE_JSON(element)->sink, TRUE);
    return GST_ELEMENT_CLASS(gst_shrike_json_parent_class)->change_state(element, transition);
}

/* ---- Properties ---- */

static GType socket_mode_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {SOCKET_CONNECT, "Connect to a program that listens", "connect"},
        {SOCKET_LISTEN, "Listen, and write to all programs that connect", "listen"},
        {0, NULL, NULL},
    };
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_enum_register_static("GstShrikeJsonSocketMode", values));
    return type;
}

static void set_path(char **path, const GValue *value)
{
    const char *text = g_value_get_string(value);
    g_free(*path);
    *path = text && *text ? g_strdup(text) : NULL;
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    GstShrikeJson *self = GST_SHRIKE_JSON(object);
    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_LOCATION:
        set_path(&self->settings.location, value);
        break;
    case PROP_APPEND:
        self->settings.append = g_value_get_boolean(value);
        break;
    case PROP_SOCKET_PATH:
        set_path(&self->settings.socket_path, value);
        break;
    case PROP_SOCKET_MODE:
        self->settings.listen = g_value_get_enum(value) == SOCKET_LISTEN;
        break;
    case PROP_INCLUDE_LATENCY:
        self->include_latency = g_value_get_boolean(value);
        break;
    case PROP_MAX_QUEUE:
        self->settings.max_queue = g_value_get_uint(value);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
    GST_OBJECT_UNLOCK(self);
}

static GstStructure *describe_stats(GstShrikeJson *self)
{
    struct json_counts counts = json_sink_get_counts(&self->sink);
    return gst_structure_new("shrike-json-stats", "accepted", G_TYPE_UINT64, counts.accepted, "written",
                             G_TYPE_UINT64, counts.written, "dropped", G_TYPE_UINT64, counts.dropped,
                             "readers", G_TYPE_UINT, counts.readers, NULL);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    GstShrikeJson *self = GST_SHRIKE_JSON(object);
    if (id == PROP_STATS) {
        g_value_take_boxed(value, describe_stats(self));
        return;
    }
    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_LOCATION:
        g_value_set_string(value, self->settings.location);
        break;
    case PROP_APPEND:
        g_value_set_boolean(value, self->settings.append);
        break;
    case PROP_SOCKET_PATH:
        g_value_set_string(value, self->settings.socket_path);
        break;
    case PROP_SOCKET_MODE:
        g_value_set_enum(value, self->settings.listen ? SOCKET_LISTEN : SOCKET_CONNECT);
        break;
    case PROP_INCLUDE_LATENCY:
        g_value_set_boolean(value, self->include_latency);
        break;
    case PROP_MAX_QUEUE:
        g_value_set_uint(value, self->settings.max_queue);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
    GST_OBJECT_UNLOCK(self);
}

static void install_properties(GObjectClass *class)
{
    const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS,
                      ready = flags | GST_PARAM_MUTABLE_READY;
    g_object_class_install_property(
        class, PROP_LOCATION,
        g_param_spec_string("location", "Location",
                            "File that gets the lines; \"-\" or \"/dev/stdout\": the standard output", NULL,
                            ready));
    g_object_class_install_property(
        class, PROP_APPEND,
        g_param_spec_boolean("append", "Append", "Write behind what is in the file, instead of emptying it",
                             FALSE, ready));
    g_object_class_install_property(class, PROP_SOCKET_PATH,
                                    g_param_spec_string("socket-path", "Socket path",
                                                        "Unix stream socket whose readers get the lines",
                                                        NULL, ready));
    g_object_class_install_property(
        class, PROP_SOCKET_MODE,
        g_param_spec_enum(
            "socket-mode", "Socket mode",
            "Whether to connect to one reader that listens at socket-path, or to listen there for readers",
            socket_mode_type(), SOCKET_CONNECT, ready));
    g_object_class_install_property(class, PROP_INCLUDE_LATENCY,
                                    g_param_spec_boolean("include-latency", "Include latency",
                                                         "Write the durations of the stages in every line",
                                                         TRUE, flags | GST_PARAM_MUTABLE_PLAYING));
    g_object_class_install_property(
        class, PROP_MAX_QUEUE,
        g_param_spec_uint(
            "max-queue", "Max queue",
            "Lines that can wait for a reader of the socket; when one more comes the oldest is dropped. "
            "As many can wait for the file; then the pipeline waits",
            1, 65536, DEFAULT_MAX_QUEUE, ready));
    g_object_class_install_property(
        class, PROP_STATS,
        g_param_spec_boxed(
            "stats", "Statistics",
            "Lines accepted, written and dropped, one for the file and each reader that they are for, "
            "and the number of readers; notified when that changes",
            GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

/* ---- Class ---- */

static void finalize(GObject *object)
{
    GstShrikeJson *self = GST_SHRIKE_JSON(object);
    json_sink_clear(&self->sink);
    g_free(self->settings.location);
    g_free(self->settings.socket_path);
    G_OBJECT_CLASS(gst_shrike_json_parent_class)->finalize(object);
}

static void gst_shrike_json_class_init(GstShrikeJsonClass *class)
{
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GstBaseTransformClass *transform_class = GST_BASE_TRANSFORM_CLASS(class);
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GST_DEBUG_CATEGORY_INIT(shrike_json_debug, "shrikejson", 0, "shrikejson element");
    object_class->set_property = set_property;
    object_class->get_property = get_property;
    object_class->finalize = finalize;
    element_class->change_state = GST_DEBUG_FUNCPTR(change_state);
    transform_class->passthrough_on_same_caps = TRUE;
    transform_class->set_caps = GST_DEBUG_FUNCPTR(set_caps);
    transform_class->transform_ip = GST_DEBUG_FUNCPTR(transform_ip);
    transform_class->sink_event = GST_DEBUG_FUNCPTR(sink_event);
    transform_class->start = GST_DEBUG_FUNCPTR(start);
    transform_class->stop = GST_DEBUG_FUNCPTR(stop);
    install_properties(object_class);
    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(
        element_class, "Shrike JSON writer", "Filter/Metadata",
        "Writes detections and their latency as lines of JSON to a file or socket", "The Shrike developers");
    gst_type_mark_as_plugin_api(socket_mode_type(), 0);
}

static void gst_shrike_json_init(GstShrikeJson *self)
{
    self->settings.max_queue = DEFAULT_MAX_QUEUE;
    self->include_latency = TRUE;
    json_sink_init(&self->sink, GST_ELEMENT(self));
    gst_base_transform_set_passthrough(GST_BASE_TRANSFORM(self), TRUE);
    gst_base_transform_set_gap_aware(GST_BASE_TRANSFORM(self), TRUE);
}
