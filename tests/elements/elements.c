/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <glib/gstdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shrike/model.h>

#include "shrike_meta.h"
#include "validation.h"

static guint leak_reports;
static guint validation_messages;

/* ---- The process ---- */

/* Scanning all plugins of the system takes many seconds: the tests see these, and the ones built here. */
static const char *const plugins[] = {"coreelements", "coretracers", "videotestsrc",    "videoconvertscale",
                                      "videoconvert", "videoscale",  "videocrop",       "videofilter",
                                      "videorate",    "compositor",  "analyticsoverlay"};

static void link_plugin(const char *folder, const char *plugin)
{
    char *name = g_strdup_printf("libgst%s.so", plugin);
    char *from = g_build_filename(GST_PLUGINS_DIR, name, NULL), *to = g_build_filename(folder, name, NULL);
    if (g_file_test(from, G_FILE_TEST_EXISTS) && symlink(from, to) != 0)
        g_error("cannot link %s", to);
    g_free(from);
    g_free(to);
    g_free(name);
}

static char *make_plugin_folder(guint flags)
{
    char *folder = g_dir_make_tmp("shrike-test-XXXXXX", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(plugins); i++)
        link_plugin(folder, plugins[i]);
    if (flags & ELEMENTS_VULKAN_PLUGIN)
        link_plugin(folder, "vulkan");
    return folder;
}

static void remove_folder(char *folder)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        char *path = g_build_filename(folder, name, NULL);
        g_unlink(path);
        g_free(path);
    }
    if (dir)
        g_dir_close(dir);
    g_rmdir(folder);
    g_free(folder);
}

/* Whether leaks that the tracer finds are ours. GStreamer's Vulkan fences begin anew when they are used again, and what
 * the tracer had noted on them is lost: a leak for AddressSanitizer, which needs no tracer to find others. */
static gboolean may_trace(guint flags)
{
#ifdef __SANITIZE_ADDRESS__
    if (flags & ELEMENTS_VULKAN_PLUGIN)
        return FALSE;
#endif
    return !(flags & ELEMENTS_NEED_OBJECT_OVERLAY);
}

static void set_environment(const char *folder, guint flags)
{
    char *path = g_strjoin(":", folder, flags & ELEMENTS_STATIC_PLUGIN ? NULL : SHRIKE_PLUGIN_DIR, NULL),
         *registry = g_build_filename(folder, "registry", NULL);
    g_setenv("GST_PLUGIN_PATH", path, TRUE);
    g_setenv("GST_PLUGIN_SYSTEM_PATH_1_0", "", TRUE);
    g_setenv("GST_REGISTRY", registry, TRUE);
    g_setenv("GST_REGISTRY_FORK", "no", TRUE);
    if (may_trace(flags))
        g_setenv("GST_TRACERS", "leaks", TRUE);
    g_setenv("SHRIKE_VALIDATION", "1", FALSE);
    g_free(registry);
    g_free(path);
}

static void on_glib_log(const char *domain, GLogLevelFlags level, const char *message, gpointer unused)
{
    if (strstr(message, "Leaks detected"))
        leak_reports++;
    g_log_default_handler(domain, level, message, unused);
}

static void on_gst_log(GstDebugCategory *category, GstDebugLevel level, const char *file,
                       const char *function, int line, GObject *object, GstDebugMessage *message,
                       gpointer unused)
{
    if (g_strcmp0(gst_debug_category_get_name(category), "shrikecore") == 0 &&
        g_str_has_prefix(gst_debug_message_get(message), "validation: "))
        g_atomic_int_inc(&validation_messages);
}

/* Never closed: a leak checker can only name, and forgive, what drivers and layers keep while they are
 * loaded. */
static enum shk_status keep_drivers(struct shk_error *error)
{
    static struct shk_device *keeper;
    const struct shk_device_params params = {.validation = test_validation()};
    return shk_device_create(&params, &keeper, error);
}

/* GStreamer 1.26 keeps a reference to the factory of the tracer that GST_TRACERS names. A pointer to it that
 * outlives gst_deinit() tells the leak checker that this is not ours. */
static void forgive_tracer(void)
{
    static GstPluginFeature *volatile kept;
    GstPluginFeature *feature = gst_registry_lookup_feature(gst_registry_get(), "leaks");
    kept = feature;
    (void)kept;
    gst_clear_object(&feature);
}

static gboolean have_element(const char *name)
{
    GstElementFactory *factory = gst_element_factory_find(name);
    gboolean found = factory != NULL;
    gst_clear_object(&factory);
    return found;
}

int elements_main(Suite *(*make_suite)(void), guint flags)
{
    struct shk_error error = {.status = SHK_OK};
    if (flags & ELEMENTS_NEED_DEVICE && keep_drivers(&error) != SHK_OK) {
        printf("%s: %s\n", error.status == SHK_ERROR_NO_DEVICE ? "skipped" : "failed", error.message);
        return error.status == SHK_ERROR_NO_DEVICE ? TEST_SKIP : 1;
    }
    struct shk_model *model = NULL;
    if (shk_model_load_default(&model, &error) == SHK_ERROR_UNSUPPORTED) {
        printf("skipped: %s\n", error.message);
        return TEST_SKIP;
    }
    shk_model_destroy(&model);
    char *folder = make_plugin_folder(flags);
    set_environment(folder, flags);
    gst_init(NULL, NULL);
    forgive_tracer();
    if (flags & ELEMENTS_NEED_OBJECT_OVERLAY && !have_element("objectdetectionoverlay")) {
        printf("skipped: there is no objectdetectionoverlay (gstreamer1.0-plugins-bad)\n");
        remove_folder(folder);
        return TEST_SKIP;
    }
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR | G_LOG_FATAL_MASK);
    g_log_set_default_handler(on_glib_log, NULL);
    gst_debug_set_threshold_for_name("shrikecore", GST_LEVEL_WARNING);
    gst_debug_add_log_function(on_gst_log, NULL, NULL);
    int result = test_run(make_suite);
    /* a test that failed left its elements running */
    if (result == 0) {
        gst_task_cleanup_all();
        gst_deinit();
    }
    remove_folder(folder);
    if (leak_reports)
        fprintf(stderr, "GStreamer objects were leaked\n");
    if (validation_messages)
        fprintf(stderr, "%u messages from the validation layer\n", validation_messages);
    return result || leak_reports || validation_messages;
}

/* ---- Harness and bus ---- */

GstHarness *elements_harness(const char *launch, const char *caps, GstBus **bus)
{
    GError *error = NULL;
    GstElement *element = strchr(launch, '!') ? gst_parse_bin_from_description(launch, TRUE, &error)
                                              : gst_parse_launch(launch, &error);
    ck_assert_msg(element && !error, "%s: %s", launch, error ? error->message : "");
    return elements_harness_of(element, caps, bus);
}

GstHarness *elements_harness_of(GstElement *element, const char *caps, GstBus **bus)
{
    *bus = gst_bus_new();
    gst_element_set_bus(element, *bus);
    GstHarness *harness = gst_harness_new_with_element(element, "sink", "src");
    gst_object_unref(element);
    if (caps)
        gst_harness_set_src_caps_str(harness, caps);
    return harness;
}

void elements_teardown(GstHarness **harness, GstBus **bus)
{
    gst_element_set_bus((*harness)->element, NULL);
    gst_harness_teardown(*harness);
    *harness = NULL;
    if (!bus)
        return;
    gst_bus_set_flushing(*bus, TRUE);
    gst_clear_object(bus);
}

char *elements_pop_message(GstBus *bus, GstMessageType type)
{
    GError *error = NULL;
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
    if (!message)
        return NULL;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR)
        gst_message_parse_error(message, &error, NULL);
    else
        gst_message_parse_warning(message, &error, NULL);
    ck_assert_msg(GST_MESSAGE_TYPE(message) == type, "%s on the bus: %s", GST_MESSAGE_TYPE_NAME(message),
                  error->message);
    char *text = g_strdup(error->message);
    g_error_free(error);
    gst_message_unref(message);
    return text;
}

void elements_no_error(GstBus *bus)
{
    char *text = elements_pop_message(bus, GST_MESSAGE_ERROR);
    ck_assert_msg(text == NULL, "error on the bus: %s", text);
}

/* ---- Pictures ---- */

static void parse_caps(GstVideoInfo *info, const char *text)
{
    GstCaps *caps = gst_caps_from_string(text);
    ck_assert_msg(caps && gst_video_info_from_caps(info, caps), "caps %s", text);
    gst_caps_unref(caps);
}

static void paint_row(guint8 *row, gint bytes, gint y, gint height, guint seed)
{
    for (gint x = 0; x < bytes; x++) {
        gint u = x * 256 / bytes, v = y * 256 / height;
        gint du = u - 90 - (gint)(seed % 7) * 10, dv = v - 120;
        gboolean disc = du * du + dv * dv<50 * 50, bar = u> 170 && u < 220 && v > 40 && v < 110;
        row[x] = (guint8)(disc ? 230 - x % 3 * 90 : bar ? 40 + x % 3 * 80 : 90 + (u + v) / 16);
    }
}

GstBuffer *elements_picture(const char *caps, guint seed)
{
    GstVideoInfo info;
    GstVideoFrame frame;
    parse_caps(&info, caps);
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, GST_VIDEO_INFO_SIZE(&info), NULL);
    gst_buffer_memset(buffer, 0, 0, GST_VIDEO_INFO_SIZE(&info));
    ck_assert(gst_video_frame_map(&frame, &info, buffer, GST_MAP_WRITE));
    for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(&frame); plane++) {
        gint height = GST_VIDEO_FRAME_COMP_HEIGHT(&frame, plane),
             stride = GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane);
        for (gint y = 0; y < height; y++)
            paint_row((guint8 *)GST_VIDEO_FRAME_PLANE_DATA(&frame, plane) + (gsize)y * stride, stride, y,
                      height, seed);
    }
    gst_video_frame_unmap(&frame);
    GST_BUFFER_PTS(buffer) = seed * 40 * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = 40 * GST_MSECOND;
    return buffer;
}

GstBuffer *elements_padded(GstBuffer *buffer, const char *caps)
{
    GstVideoInfo info;
    GstVideoFrame from, to;
    gsize offsets[GST_VIDEO_MAX_PLANES] = {0}, size = 64;
    gint strides[GST_VIDEO_MAX_PLANES] = {0};
    parse_caps(&info, caps);
    ck_assert(gst_video_frame_map(&from, &info, buffer, GST_MAP_READ));
    for (guint plane = 0; plane < GST_VIDEO_INFO_N_PLANES(&info); plane++) {
        offsets[plane] = size;
        strides[plane] = GST_VIDEO_INFO_PLANE_STRIDE(&info, plane) + 20 + 4 * (gint)plane;
        size += (gsize)strides[plane] * (guint)GST_VIDEO_FRAME_COMP_HEIGHT(&from, plane) + 36;
    }
    GstBuffer *padded = gst_buffer_new_allocate(NULL, size, NULL);
    gst_buffer_memset(padded, 0, 0xa5, size);
    gst_buffer_add_video_meta_full(padded, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_INFO_FORMAT(&info),
                                   GST_VIDEO_INFO_WIDTH(&info), GST_VIDEO_INFO_HEIGHT(&info),
                                   GST_VIDEO_INFO_N_PLANES(&info), offsets, strides);
    ck_assert(gst_video_frame_map(&to, &info, padded, GST_MAP_WRITE));
    /* not gst_video_frame_copy(): it leaves out half of YUY2's last pixel pair where the width is odd */
    for (guint plane = 0; plane < GST_VIDEO_INFO_N_PLANES(&info); plane++)
        for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT(&from, plane); y++)
            memcpy((guint8 *)to.data[plane] + y * strides[plane],
                   (guint8 *)from.data[plane] + y * GST_VIDEO_FRAME_PLANE_STRIDE(&from, plane),
                   (gsize)GST_VIDEO_FRAME_PLANE_STRIDE(&from, plane));
    gst_video_frame_unmap(&to);
    gst_video_frame_unmap(&from);
    GST_BUFFER_PTS(padded) = GST_BUFFER_PTS(buffer);
    return padded;
}

/* ---- Results ---- */

GstStructure *elements_latency(GstBuffer *buffer)
{
    GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, SHRIKE_LATENCY_META);
    ck_assert_msg(meta != NULL, "no ShrikeLatency meta");
    return gst_custom_meta_get_structure(meta);
}

guint elements_detection_count(GstBuffer *buffer)
{
    const GValue *list = gst_structure_get_value(elements_latency(buffer), SHRIKE_FIELD_DETECTIONS);
    ck_assert(list && GST_VALUE_HOLDS_ARRAY(list));
    return gst_value_array_get_size(list);
}

void elements_detection(GstBuffer *buffer, guint index, double values[6])
{
    static const char *const fields[] = {SHRIKE_FIELD_CONFIDENCE, SHRIKE_FIELD_X_MIN, SHRIKE_FIELD_Y_MIN,
                                         SHRIKE_FIELD_X_MAX, SHRIKE_FIELD_Y_MAX};
    const GValue *list = gst_structure_get_value(elements_latency(buffer), SHRIKE_FIELD_DETECTIONS);
    const GstStructure *detection = gst_value_get_structure(gst_value_array_get_value(list, index));
    gint label_id;
    ck_assert(gst_structure_get_int(detection, SHRIKE_FIELD_LABEL_ID, &label_id));
    values[0] = label_id;
    for (guint i = 0; i < 5; i++)
        ck_assert(gst_structure_get_double(detection, fields[i], &values[i + 1]));
    ck_assert(gst_structure_has_field(detection, SHRIKE_FIELD_LABEL));
}

void elements_same_detections(GstBuffer *a, GstBuffer *b, double tolerance)
{
    guint count = elements_detection_count(a);
    ck_assert_uint_eq(count, elements_detection_count(b));
    for (guint i = 0; i < count; i++) {
        double of_a[6], of_b[6];
        elements_detection(a, i, of_a);
        elements_detection(b, i, of_b);
        for (guint k = 0; k < 6; k++)
            ck_assert_msg(fabs(of_a[k] - of_b[k]) <= tolerance, "detection %u, value %u: %.9g and %.9g", i, k,
                          of_a[k], of_b[k]);
    }
}

void elements_check_latency(GstBuffer *buffer)
{
    static const char *const stages[] = {"queue",    "upload", "preprocess", "inference",
                                         "readback", "decode", "total"};
    const GstStructure *fields = elements_latency(buffer);
    guint64 now = gst_util_get_timestamp(), first = 0, total_start = 0, total = 0;
    for (guint i = 0; i < G_N_ELEMENTS(stages); i++) {
        char start_name[32], duration_name[32];
        guint64 start, duration;
        g_snprintf(start_name, sizeof(start_name), "%s-start", stages[i]);
        g_snprintf(duration_name, sizeof(duration_name), "%s-duration", stages[i]);
        ck_assert_msg(gst_structure_get_uint64(fields, start_name, &start), "no %s", start_name);
        ck_assert_msg(gst_structure_get_uint64(fields, duration_name, &duration), "no %s", duration_name);
        ck_assert_msg(start + duration <= now, "%s ends in the future", stages[i]);
        if (i == 0)
            first = start;
        ck_assert_msg(start >= first, "%s starts before the frame came", stages[i]);
        total_start = start;
        total = duration;
    }
    ck_assert_uint_eq(total_start, first);
    ck_assert_uint_gt(total, 0);
    guint value;
    ck_assert(gst_structure_get_uint(fields, SHRIKE_FIELD_DROPPED, &value));
    ck_assert(gst_structure_get_uint(fields, SHRIKE_FIELD_IN_FLIGHT, &value) && value >= 1);
    ck_assert(gst_structure_get_uint(fields, SHRIKE_FIELD_BATCH_SIZE, &value) && value == 1);
    ck_assert_ptr_nonnull(gst_structure_get_string(fields, SHRIKE_FIELD_DEVICE));
}
