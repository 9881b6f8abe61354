/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_sink.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "json_writer.h"

#define PATIENCE (2 * G_USEC_PER_SEC) /* with readers, at the end */

void json_sink_init(struct json_sink *sink, GstElement *element)
{
    *sink = (struct json_sink){.element = element, .wake = -1, .listener = {.fd = -1}};
    g_mutex_init(&sink->lock);
    g_cond_init(&sink->progress);
}

void json_sink_clear(struct json_sink *sink)
{
    json_spare_clear(&sink->spare);
    g_mutex_clear(&sink->lock);
    g_cond_clear(&sink->progress);
}

/* ---- Messages ---- */

void json_sink_post(struct json_sink *sink, GstMessageType type, GError *error)
{
    gst_element_message_full(sink->element, type, error->domain, error->code, g_strdup(error->message), NULL,
                             __FILE__, G_STRFUNC, __LINE__);
    g_error_free(error);
}

static void tell_slow(struct json_sink *sink)
{
    char *path = g_filename_display_name(sink->socket_path);
    GError *error =
        g_error_new(GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
                    "a reader of \"%s\" does not take its lines, the oldest ones are dropped: read faster, "
                    "or raise max-queue, which is %u",
                    path, sink->max_queue);
    json_sink_post(sink, GST_MESSAGE_WARNING, error);
    g_free(path);
}

static void tell_unfinished(struct json_sink *sink)
{
    char *path = g_filename_display_name(sink->location);
    GError *error =
        g_error_new(GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
                    "what reads \"%s\" has not taken the last lines, they are dropped: let it read faster, "
                    "or wait for the end of the stream before the pipeline is stopped",
                    path);
    json_sink_post(sink, GST_MESSAGE_WARNING, error);
    g_free(path);
}

/* With the lock held. TRUE once. */
static gboolean is_first_drop(struct json_sink *sink)
{
    gboolean first = !sink->told_slow;
    sink->told_slow = TRUE;
    return first;
}

/* ---- Start ---- */

static gboolean open_socket(struct json_sink *sink, const struct json_sink_settings *settings, GError **error)
{
    if (settings->listen) {
        sink->listener = json_open_listen(settings->socket_path, error);
        return sink->listener.fd >= 0;
    }
    int fd = json_open_connect(settings->socket_path, error);
    if (fd >= 0)
        json_writer_add_reader(sink, fd);
    return fd >= 0;
}

/* Last, so that a file is not emptied for nothing. */
static gboolean open_file(struct json_sink *sink, const struct json_sink_settings *settings, GError **error)
{
    int fd = json_open_file(settings->location, settings->append, error);
    if (fd >= 0)
        sink->file = json_outlet_new(fd, settings->max_queue);
    return fd >= 0;
}

static gboolean start_writer(struct json_sink *sink, GError **error)
{
    sink->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sink->wake < 0) {
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED,
                    "cannot create an eventfd: %s: close some files, or raise the limit (ulimit -n)",
                    g_strerror(errno));
        return FALSE;
    }
    sink->thread = g_thread_try_new("shrikejson", json_writer_run, sink, error);
    return sink->thread != NULL;
}

/* The writer does not run. */
static void close_all(struct json_sink *sink)
{
    int failure = 0;
    for (guint i = 0; i < JSON_SINK_MAX_READERS; i++)
        if (sink->readers[i])
            json_sink_remove_reader(sink, i);
    if (sink->file)
        sink->counts.dropped += json_outlet_free(sink->file, &sink->spare, &failure);
    sink->file = NULL;
    if (failure && !sink->file_failed) {
        GError *error = NULL;
        json_open_set_error(&error, GST_RESOURCE_ERROR_CLOSE, "cannot close", sink->location, failure);
        json_sink_post(sink, GST_MESSAGE_ERROR, error);
    }
    json_listener_close(&sink->listener);
    if (sink->wake >= 0)
        close(sink->wake);
    sink->wake = -1;
    g_clear_pointer(&sink->location, g_free);
    g_clear_pointer(&sink->socket_path, g_free);
}

gboolean json_sink_start(struct json_sink *sink, const struct json_sink_settings *settings, GError **error)
{
    if (!settings->location && !settings->socket_path) {
        g_set_error(
            error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
            "there is nothing to write to: set location (\"-\" is the standard output), or socket-path");
        return FALSE;
    }
    if (settings->location)
        sink->location = g_strdup(json_open_is_stdout(settings->location) ? "stdout" : settings->location);
    sink->socket_path = g_strdup(settings->socket_path);
    sink->max_queue = settings->max_queue;
    sink->accept_after = 0;
    g_mutex_lock(&sink->lock);
    sink->quit = sink->flushing = FALSE;
    sink->file_failed = sink->told_slow = sink->told_left = FALSE;
    sink->counts = (struct json_counts){0};
    g_mutex_unlock(&sink->lock);
    if ((settings->socket_path && !open_socket(sink, settings, error)) ||
        (settings->location && !open_file(sink, settings, error)) || !start_writer(sink, error)) {
        close_all(sink);
        return FALSE;
    }
    return TRUE;
}

/* ---- Lines ---- */

GString *json_sink_begin_line(struct json_sink *sink)
{
    g_mutex_lock(&sink->lock);
    if (!sink->line && (sink->file || sink->counts.readers))
        sink->line = json_spare_take(&sink->spare);
    g_mutex_unlock(&sink->lock);
    return sink->line ? sink->line->text : NULL;
}

/* Only a file makes the pipeline wait: it shall have all lines. */
static GstFlowReturn wait_for_file(struct json_sink *sink)
{
    while (sink->file && !sink->file_failed && !sink->flushing && json_outlet_is_full(sink->file))
        g_cond_wait(&sink->progress, &sink->lock);
    if (sink->file_failed)
        return GST_FLOW_ERROR;
    return sink->flushing ? GST_FLOW_FLUSHING : GST_FLOW_OK;
}

static void offer(struct json_sink *sink, struct json_outlet *outlet)
{
    if (json_outlet_is_full(outlet)) {
        json_spare_give(&sink->spare, json_outlet_take(outlet));
        sink->counts.dropped++;
    }
    json_outlet_append(outlet, sink->line);
    sink->counts.accepted++;
}

GstFlowReturn json_sink_push_line(struct json_sink *sink)
{
    g_mutex_lock(&sink->lock);
    GstFlowReturn result = wait_for_file(sink);
    guint64 dropped = sink->counts.dropped;
    if (result == GST_FLOW_OK && sink->file)
        offer(sink, sink->file);
    for (guint i = 0; result == GST_FLOW_OK && i < JSON_SINK_MAX_READERS; i++)
        if (sink->readers[i])
            offer(sink, sink->readers[i]);
    json_spare_give(&sink->spare, sink->line);
    sink->line = NULL;
    gboolean tell = sink->counts.dropped > dropped && is_first_drop(sink);
    g_mutex_unlock(&sink->lock);
    json_writer_wake(sink);
    if (tell)
        tell_slow(sink);
    return result;
}

/* ---- The end ---- */

static gboolean file_has_work(const struct json_sink *sink)
{
    return sink->file && !sink->file_failed && json_outlet_has_work(sink->file);
}

static gboolean readers_have_work(const struct json_sink *sink)
{
    for (guint i = 0; i < JSON_SINK_MAX_READERS; i++)
        if (sink->readers[i] && json_outlet_has_work(sink->readers[i]))
            return TRUE;
    return FALSE;
}

/* With the lock held. */
void json_sink_remove_reader(struct json_sink *sink, guint index)
{
    sink->counts.dropped += json_outlet_free(sink->readers[index], &sink->spare, NULL);
    sink->readers[index] = NULL;
    sink->counts.readers--;
    g_cond_broadcast(&sink->progress);
}

/* With the lock held. The writer removes them. */
static void expire_readers(struct json_sink *sink)
{
    for (guint i = 0; i < JSON_SINK_MAX_READERS; i++)
        if (sink->readers[i] && json_outlet_has_work(sink->readers[i]))
            sink->readers[i]->expired = TRUE;
    json_writer_wake(sink);
    while (readers_have_work(sink))
        g_cond_wait(&sink->progress, &sink->lock);
}

/* File systems that cannot do it are no failure. */
static void sync_file(struct json_sink *sink)
{
    if (sink->file->kind != JSON_OUTLET_FILE || fdatasync(sink->file->fd) == 0 || errno == EINVAL ||
        errno == EROFS || errno == ENOSYS)
        return;
    GError *error = NULL;
    json_open_set_error(&error, GST_RESOURCE_ERROR_SYNC, "cannot write to", sink->location, errno);
    json_sink_post(sink, GST_MESSAGE_ERROR, error);
}

void json_sink_drain(struct json_sink *sink)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    gboolean tell = FALSE;
    g_mutex_lock(&sink->lock);
    while (file_has_work(sink) && !sink->flushing)
        g_cond_wait(&sink->progress, &sink->lock);
    while (readers_have_work(sink) && !sink->flushing &&
           g_cond_wait_until(&sink->progress, &sink->lock, deadline))
        ;
    if (readers_have_work(sink) && !sink->flushing) {
        expire_readers(sink);
        tell = is_first_drop(sink);
    }
    gboolean sync = sink->file && !sink->file_failed && !sink->flushing;
    g_mutex_unlock(&sink->lock);
    if (sync)
        sync_file(sink);
    if (tell)
        tell_slow(sink);
}

void json_sink_stop(struct json_sink *sink)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    if (!sink->thread)
        return;
    g_mutex_lock(&sink->lock);
    while ((file_has_work(sink) || readers_have_work(sink)) &&
           g_cond_wait_until(&sink->progress, &sink->lock, deadline))
        ;
    gboolean tell = readers_have_work(sink) && is_first_drop(sink);
    sink->quit = TRUE;
    g_mutex_unlock(&sink->lock);
    json_writer_wake(sink);
    g_thread_join(sink->thread);
    sink->thread = NULL;
    if (tell)
        tell_slow(sink);
    if (file_has_work(sink))
        tell_unfinished(sink);
    close_all(sink);
}

void json_sink_set_flushing(struct json_sink *sink, gboolean flushing)
{
    g_mutex_lock(&sink->lock);
    sink->flushing = flushing;
    g_cond_broadcast(&sink->progress);
    g_mutex_unlock(&sink->lock);
}

struct json_counts json_sink_get_counts(struct json_sink *sink)
{
    g_mutex_lock(&sink->lock);
    struct json_counts counts = sink->counts;
    g_mutex_unlock(&sink->lock);
    return counts;
}
