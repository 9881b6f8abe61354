/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

GST_DEBUG_CATEGORY_EXTERN(shrike_json_debug);
#define GST_CAT_DEFAULT shrike_json_debug

#define ACCEPT_PAUSE G_USEC_PER_SEC /* after a reader could not be accepted */

enum { WAKE, LISTENER, FILE_OUTLET, FIRST_READER, DESCRIPTORS = FIRST_READER + JSON_SINK_MAX_READERS };

void json_writer_wake(struct json_sink *sink)
{
    const guint64 one = 1;
    /* fails only where so many calls wait already that one more makes no difference */
    if (write(sink->wake, &one, sizeof(one)) < 0)
        GST_TRACE_OBJECT(sink->element, "the writer is awake");
}

/* ---- The file ---- */

static void fail_file(struct json_sink *sink, int number)
{
    GError *error = NULL;
    json_open_set_error(&error, GST_RESOURCE_ERROR_WRITE, "cannot write to", sink->location, number);
    json_sink_post(sink, GST_MESSAGE_ERROR, error);
    /* after the message: upstream posts one of its own when it sees the push fail */
    g_mutex_lock(&sink->lock);
    sink->file_failed = TRUE;
    sink->counts.dropped += json_outlet_drop(sink->file, &sink->spare);
    g_cond_broadcast(&sink->progress);
    g_mutex_unlock(&sink->lock);
}

/* Returns 0 or an errno. */
static int write_outlet(struct json_sink *sink, struct json_outlet *outlet)
{
    int failure = json_outlet_write(outlet);
    if (failure)
        return failure == EAGAIN ? 0 : failure;
    g_mutex_lock(&sink->lock);
    json_spare_give(&sink->spare, outlet->current);
    outlet->current = NULL;
    sink->counts.written++;
    g_cond_broadcast(&sink->progress);
    g_mutex_unlock(&sink->lock);
    return 0;
}

/* ---- Readers ---- */

static int find_free_place(const struct json_sink *sink)
{
    for (int i = 0; i < JSON_SINK_MAX_READERS; i++)
        if (!sink->readers[i])
            return i;
    return -1;
}

void json_writer_add_reader(struct json_sink *sink, int fd)
{
    int place = find_free_place(sink);
    g_assert(place >= 0);
    g_mutex_lock(&sink->lock);
    sink->readers[place] = json_outlet_new(fd, sink->max_queue);
    sink->counts.readers++;
    g_mutex_unlock(&sink->lock);
    GST_INFO_OBJECT(sink->element, "reader %d of \"%s\" has come", place, sink->socket_path);
    g_object_notify(G_OBJECT(sink->element), "stats");
}

static void accept_reader(struct json_sink *sink)
{
    int fd = json_listener_accept(&sink->listener);
    if (fd >= 0) {
        json_writer_add_reader(sink, fd);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED) {
        GST_WARNING_OBJECT(sink->element, "cannot accept a reader of \"%s\": %s: trying again in a second",
                           sink->socket_path, g_strerror(errno));
        sink->accept_after = g_get_monotonic_time() + ACCEPT_PAUSE;
    }
}

static void tell_left(struct json_sink *sink, guint64 lost)
{
    char *path = g_filename_display_name(sink->socket_path);
    const char *hint = sink->listener.fd >= 0 ? "it, or another one, may connect again"
                                              : "start it again, and then the pipeline";
    GError *error = g_error_new(GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
                                "a reader of \"%s\" has left, %" G_GUINT64_FORMAT
                                " lines that waited for it are dropped: %s",
                                path, lost, hint);
    json_sink_post(sink, GST_MESSAGE_WARNING, error);
    g_free(path);
}

/* Who wants to listen at our path connects to see whether somebody does (json_open_listen()): no reader has
 * left then. */
static void reader_left(struct json_sink *sink, guint index)
{
    g_mutex_lock(&sink->lock);
    guint64 before = sink->counts.dropped;
    gboolean tell = !sink->told_left && (sink->readers[index]->used || sink->listener.fd < 0);
    json_sink_remove_reader(sink, index);
    guint64 lost = sink->counts.dropped - before;
    sink->told_left |= tell;
    g_mutex_unlock(&sink->lock);
    GST_INFO_OBJECT(sink->element, "reader %u of \"%s\" has left, %" G_GUINT64_FORMAT " lines are dropped",
                    index, sink->socket_path, lost);
    if (tell)
        tell_left(sink, lost);
    g_object_notify(G_OBJECT(sink->element), "stats");
}

static void serve_reader(struct json_sink *sink, guint index, short events)
{
    if (!sink->readers[index] || !events)
        return;
    if (events & (POLLHUP | POLLERR | POLLNVAL) || write_outlet(sink, sink->readers[index]) != 0)
        reader_left(sink, index);
}

/* ---- The thread ---- */

static void remove_expired(struct json_sink *sink)
{
    for (guint i = 0; i < JSON_SINK_MAX_READERS; i++)
        if (sink->readers[i] && sink->readers[i]->expired)
            json_sink_remove_reader(sink, i);
}

static struct pollfd watch_outlet(struct json_outlet *outlet)
{
    json_outlet_advance(outlet);
    return (struct pollfd){.fd = outlet->fd, .events = outlet->current ? POLLOUT : 0};
}

/* poll() skips what has the descriptor -1. FALSE: it is time to quit. */
static gboolean begin_round(struct json_sink *sink, struct pollfd fds[DESCRIPTORS], int *timeout)
{
    gint64 pause = sink->accept_after - g_get_monotonic_time();
    gboolean accepting = pause <= 0 && find_free_place(sink) >= 0;
    *timeout = pause > 0 ? (int)(pause / 1000) + 1 : -1;
    g_mutex_lock(&sink->lock);
    remove_expired(sink);
    for (guint i = 0; i < DESCRIPTORS; i++)
        fds[i] = (struct pollfd){.fd = -1};
    fds[WAKE] = (struct pollfd){.fd = sink->wake, .events = POLLIN};
    fds[LISTENER] = (struct pollfd){.fd = accepting ? sink->listener.fd : -1, .events = POLLIN};
    if (sink->file && !sink->file_failed && json_outlet_has_work(sink->file))
        fds[FILE_OUTLET] = watch_outlet(sink->file);
    for (guint i = 0; i < JSON_SINK_MAX_READERS; i++)
        if (sink->readers[i])
            fds[FIRST_READER + i] = watch_outlet(sink->readers[i]);
    gboolean quit = sink->quit;
    g_mutex_unlock(&sink->lock);
    return !quit;
}

static void end_round(struct json_sink *sink, const struct pollfd fds[DESCRIPTORS])
{
    guint64 calls;
    if (fds[WAKE].revents && read(sink->wake, &calls, sizeof(calls)) < 0)
        GST_TRACE_OBJECT(sink->element, "nobody called");
    if (fds[FILE_OUTLET].revents) {
        int failure = write_outlet(sink, sink->file);
        if (failure)
            fail_file(sink, failure);
    }
    for (guint i = 0; i < JSON_SINK_MAX_READERS; i++)
        serve_reader(sink, i, fds[FIRST_READER + i].revents);
    if (fds[LISTENER].revents)
        accept_reader(sink);
}

/* A write that fails is an errno here, and not the end of the application. */
static void block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

gpointer json_writer_run(gpointer data)
{
    struct json_sink *sink = data;
    struct pollfd fds[DESCRIPTORS];
    int timeout;
    block_signals();
    while (begin_round(sink, fds, &timeout))
        if (poll(fds, DESCRIPTORS, timeout) > 0)
            end_round(sink, fds);
    return NULL;
}
