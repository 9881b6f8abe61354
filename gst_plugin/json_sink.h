/* Where shrikejson's lines go: a file, and the readers of a socket. One thread writes, so that nobody who
 * reads can hold up the pipeline:
 *
 * - Each reader has a queue of `max_queue` lines. When it is full its oldest line is dropped, and counted.
 * - A file (or pipe) gets every line. When its queue is full the caller of json_sink_push_line() waits.
 * - A line that was begun is written to its end, or the reader is disconnected.
 *
 * Threads: start, stop and drain exclude each other, and begin and push; that is GstBaseTransform's way.
 * json_sink_set_flushing() and json_sink_get_counts() may be called from any thread.
 *
 * Messages are posted on the bus as from `element`: an error when the file cannot be written any more; a
 * warning when the first line is dropped because a reader is slow, and one when the first reader leaves that
 * there were lines for. When the number of readers changes, "notify::stats" is emitted, from the thread that
 * writes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_JSON_SINK_H
#define SHRIKE_GST_JSON_SINK_H

#include "json_open.h"
#include "json_outlet.h"

G_BEGIN_DECLS

#define JSON_SINK_MAX_READERS 32 /* more wait until one leaves */

struct json_sink_settings {
    char *location; /* NULL: no file */
    gboolean append;
    char *socket_path; /* NULL: no socket */
    gboolean listen;   /* else connect */
    guint max_queue;   /* lines, at least 1 */
};

/* A line counts once for each file and reader that it is for: accepted = written + dropped + waiting. */
struct json_counts {
    guint64 accepted, written, dropped;
    guint readers;
};

struct json_sink {
    GstElement *element;
    GThread *thread;
    struct json_listener listener; /* its fd is -1: none */
    char *location, *socket_path;  /* for messages */
    guint max_queue;
    int wake;                      /* eventfd that the writer waits at */
    gint64 accept_after;           /* monotonic, microseconds; the writer's */
    struct json_queued_line *line; /* between begin and push */

    GMutex lock; /* for all below; never held while writing or waiting for a descriptor */
    GCond progress;
    gboolean quit, flushing;
    gboolean file_failed, told_slow, told_left;
    struct json_outlet *file;
    struct json_outlet *readers[JSON_SINK_MAX_READERS]; /* changed by the writer only */
    struct json_spare spare;
    struct json_counts counts;
};

void json_sink_init(struct json_sink *sink, GstElement *element);
void json_sink_clear(struct json_sink *sink);

/* Opens everything and begins to count from 0. FALSE: nothing is open, `error` is for the user. */
gboolean json_sink_start(struct json_sink *sink, const struct json_sink_settings *settings, GError **error);

/* Writes what waits, for 2 seconds at most; drops the rest; closes everything. */
void json_sink_stop(struct json_sink *sink);

/* An empty text for the next line, to be filled and then pushed; NULL: nobody reads, there is nothing to
 * push. */
GString *json_sink_begin_line(struct json_sink *sink);

/* GST_FLOW_FLUSHING: given up while waiting for the file, because of json_sink_set_flushing().
 * GST_FLOW_ERROR: the file cannot be written any more; the message is posted. */
GstFlowReturn json_sink_push_line(struct json_sink *sink);

/* At the end of the stream. Returns when all lines are in the file and on its disk (or flushing is set), and
 * the readers have taken theirs; those that have not after 2 seconds are disconnected. */
void json_sink_drain(struct json_sink *sink);

/* TRUE: nobody waits for the file any longer. */
void json_sink_set_flushing(struct json_sink *sink, gboolean flushing);

struct json_counts json_sink_get_counts(struct json_sink *sink);

/* ---- For the writer ---- */

/* Posts an error or warning and frees `error`. Not to be called with the lock held. */
void json_sink_post(struct json_sink *sink, GstMessageType type, GError *error);

/* With the lock held. The lines of that reader that are not written count as dropped. */
void json_sink_remove_reader(struct json_sink *sink, guint index);

G_END_DECLS
#endif
