/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_case.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shrike_meta.h"

static char *folder;

/* ---- Folder ---- */

void json_make_folder(void)
{
    folder = g_dir_make_tmp("shrike-json-XXXXXX", NULL);
    ck_assert_ptr_nonnull(folder);
}

void json_remove_folder(void)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        char *path = json_path(name);
        g_remove(path);
        g_free(path);
    }
    g_dir_close(dir);
    g_rmdir(folder);
    g_clear_pointer(&folder, g_free);
}

char *json_path(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

char *json_launch(const char *launch)
{
    char **parts = g_strsplit(launch, "%s", 0), *text = g_strjoinv(folder, parts);
    g_strfreev(parts);
    return text;
}

/* ---- Frames ---- */

GstHarness *json_harness(const char *launch, GstBus **bus)
{
    char *text = json_launch(launch);
    GstHarness *harness = elements_harness(text, JSON_CAPS, bus);
    g_free(text);
    return harness;
}

static void add_detection(GValue *list, const char *label)
{
    GValue value = G_VALUE_INIT;
    g_value_init(&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed(&value, gst_structure_new("detection", "label_id", G_TYPE_INT, 3, "confidence",
                                                 G_TYPE_DOUBLE, 0.9058823529, "x_min", G_TYPE_DOUBLE, 0.25,
                                                 "y_min", G_TYPE_DOUBLE, 1.0 / 3, "x_max", G_TYPE_DOUBLE,
                                                 0.5000001, "y_max", G_TYPE_DOUBLE, 1.0, "label",
                                                 G_TYPE_STRING, label, "track_id", G_TYPE_INT, 17, NULL));
    gst_value_array_append_and_take_value(list, &value);
}

GstBuffer *json_frame(guint64 number, const char *label)
{
    static const char *const stages[] = {"queue",    "upload", "preprocess", "inference",
                                         "readback", "decode", "total"};
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, 16, NULL);
    GST_BUFFER_PTS(buffer) = number * 40 * GST_MSECOND;
    gst_buffer_add_custom_meta(buffer, SHRIKE_LATENCY_META);
    GstStructure *fields = json_fields(buffer);
    for (guint i = 0; i < G_N_ELEMENTS(stages); i++) {
        char field[32];
        g_snprintf(field, sizeof(field), "%s-duration", stages[i]);
        gst_structure_set(fields, field, G_TYPE_UINT64, (guint64)(i + 1) * 1000, NULL);
    }
    gst_structure_set(fields, "status", G_TYPE_STRING, "held", "reason", G_TYPE_STRING, "interval", "age",
                      G_TYPE_UINT64, (guint64)40000000, "stream", G_TYPE_STRING, "cam", "frame",
                      G_TYPE_UINT64, number, "dropped", G_TYPE_UINT, 2, "in-flight", G_TYPE_UINT, 3,
                      "batch-size", G_TYPE_UINT, 4, "device", G_TYPE_STRING, "test device", NULL);
    GValue list = G_VALUE_INIT;
    g_value_init(&list, GST_TYPE_ARRAY);
    add_detection(&list, label);
    gst_structure_take_value(fields, "detections", &list);
    return buffer;
}

GstStructure *json_fields(GstBuffer *buffer)
{
    return gst_custom_meta_get_structure(gst_buffer_get_custom_meta(buffer, SHRIKE_LATENCY_META));
}

void json_push(GstHarness *harness, guint64 first, guint64 count)
{
    for (guint64 i = first; i < first + count; i++) {
        GstBuffer *buffer = json_frame(i, "ball");
        ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
        GstBuffer *pulled = gst_harness_pull(harness);
        ck_assert_ptr_eq(pulled, buffer);
        gst_buffer_unref(pulled);
    }
}

/* ---- Lines ---- */

GPtrArray *json_parse_lines(const char *text, gsize size)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    ck_assert_msg(size == 0 || text[size - 1] == '\n', "the last line is torn");
    while (size) {
        gsize length = (gsize)((const char *)memchr(text, '\n', size) - text);
        GError *error = NULL;
        JsonParser *parser = json_parser_new();
        ck_assert_msg(json_parser_load_from_data(parser, text, (gssize)length, &error), "%.*s: %s",
                      (int)length, text, error ? error->message : "");
        ck_assert(JSON_NODE_HOLDS_OBJECT(json_parser_get_root(parser)));
        g_ptr_array_add(lines, json_object_ref(json_node_get_object(json_parser_get_root(parser))));
        g_object_unref(parser);
        text += length + 1;
        size -= length + 1;
    }
    return lines;
}

GPtrArray *json_read_file(const char *path)
{
    char *text;
    gsize size;
    ck_assert_msg(g_file_get_contents(path, &text, &size, NULL), "cannot read %s", path);
    GPtrArray *lines = json_parse_lines(text, size);
    g_free(text);
    return lines;
}

GPtrArray *json_read_descriptor(int fd)
{
    GString *text = g_string_new(NULL);
    char bytes[4096];
    gssize count;
    while ((count = read(fd, bytes, sizeof(bytes))) > 0 || (count < 0 && errno == EINTR))
        if (count > 0)
            g_string_append_len(text, bytes, count);
    ck_assert_int_eq(count, 0);
    GPtrArray *lines = json_parse_lines(text->str, text->len);
    g_string_free(text, TRUE);
    return lines;
}

gint64 json_frame_number(GPtrArray *lines, guint index)
{
    return json_object_get_int_member(g_ptr_array_index(lines, index), "frame");
}

void json_check_frames(GPtrArray *lines, guint64 first, guint64 count)
{
    ck_assert_uint_eq(lines->len, count);
    for (guint i = 0; i < lines->len; i++)
        ck_assert_int_eq(json_frame_number(lines, i), first + i);
}

/* ---- Stats and messages ---- */

guint64 json_stat(GstElement *element, const char *field)
{
    GstStructure *stats = NULL;
    guint64 value = 0;
    guint readers;
    g_object_get(element, "stats", &stats, NULL);
    if (gst_structure_get_uint(stats, field, &readers))
        value = readers;
    else
        ck_assert_msg(gst_structure_get_uint64(stats, field, &value), "stats have no %s", field);
    gst_structure_free(stats);
    return value;
}

void json_check_counts(GstElement *element)
{
    ck_assert_uint_eq(json_stat(element, "accepted"),
                      json_stat(element, "written") + json_stat(element, "dropped"));
}

struct waiter {
    GMutex lock;
    GCond changed;
};

static void on_stats(GObject *element, GParamSpec *pspec, gpointer data)
{
    struct waiter *waiter = data;
    g_mutex_lock(&waiter->lock);
    g_cond_signal(&waiter->changed);
    g_mutex_unlock(&waiter->lock);
}

void json_wait_readers(GstElement *element, guint count)
{
    static struct waiter waiter; /* the signal may be on its way when we disconnect */
    gulong handler = g_signal_connect(element, "notify::stats", G_CALLBACK(on_stats), &waiter);
    g_mutex_lock(&waiter.lock);
    while (json_stat(element, "readers") != count)
        g_cond_wait(&waiter.changed, &waiter.lock);
    g_mutex_unlock(&waiter.lock);
    g_signal_handler_disconnect(element, handler);
}

void json_expect_message(GstBus *bus, GstMessageType type, const char *text, const char *path)
{
    char *message = elements_pop_message(bus, type);
    ck_assert_msg(message != NULL, "no message with \"%s\"", text);
    ck_assert_msg(strstr(message, text) && (!path || strstr(message, path)), "%s", message);
    g_free(message);
    elements_no_error(bus);
}

/* ---- Readers ---- */

static int open_socket(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    ck_assert_uint_lt(g_strlcpy(address->sun_path, path, sizeof(address->sun_path)),
                      sizeof(address->sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    return fd;
}

int json_listen(const char *path)
{
    struct sockaddr_un address;
    int fd = open_socket(path, &address);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    return fd;
}

int json_connect(const char *path)
{
    struct sockaddr_un address;
    int fd = open_socket(path, &address);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}
