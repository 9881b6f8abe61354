/* One place that lines go to: a descriptor, and the lines that wait for it in a bounded queue.
 * The lines are shared between outlets and used again. Nothing here locks; json_sink.h says who calls what.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_JSON_OUTLET_H
#define SHRIKE_GST_JSON_OUTLET_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* ---- Lines ---- */

struct json_queued_line {
    guint users; /* outlets that have it, and the caller of json_spare_take() */
    GString *text;
};

#define JSON_SPARE_LINES 64

/* Lines that nobody uses. */
struct json_spare {
    struct json_queued_line *lines[JSON_SPARE_LINES];
    guint count;
};

/* An empty line with one user. */
struct json_queued_line *json_spare_take(struct json_spare *spare);
/* One user less. NULL: nothing happens. */
void json_spare_give(struct json_spare *spare, struct json_queued_line *line);
void json_spare_clear(struct json_spare *spare);

/* ---- Outlets ---- */

enum json_outlet_kind {
    JSON_OUTLET_FILE,   /* a regular file: takes everything at once */
    JSON_OUTLET_STREAM, /* a pipe, a terminal, a device: takes PIPE_BUF bytes after poll() said so */
    JSON_OUTLET_SOCKET, /* takes what it can, never waits */
};

struct json_outlet {
    int fd; /* owned */
    enum json_outlet_kind kind;
    gboolean expired; /* does not take its lines: to be closed */
    gboolean used;    /* there was a line for it */
    guint capacity, first, count;
    struct json_queued_line **waiting; /* a ring */
    struct json_queued_line *current;  /* is being written, up to `offset`: never dropped */
    gsize offset;
};

/* `capacity`: lines that can wait, besides the one that is being written. */
struct json_outlet *json_outlet_new(int fd, guint capacity);
/* Closes. Returns how many lines were not written. `failure` may be NULL, and is set to the errno of close(),
 * or 0. */
guint json_outlet_free(struct json_outlet *outlet, struct json_spare *spare, int *failure);

gboolean json_outlet_is_full(const struct json_outlet *outlet);
gboolean json_outlet_has_work(const struct json_outlet *outlet);

/* It must not be full. */
void json_outlet_append(struct json_outlet *outlet, struct json_queued_line *line);
/* Takes the oldest waiting line away, or returns NULL. The caller is now its user. */
struct json_queued_line *json_outlet_take(struct json_outlet *outlet);
/* Drops all lines, also the current one, and returns how many. */
guint json_outlet_drop(struct json_outlet *outlet, struct json_spare *spare);

/* Makes the oldest waiting line the current one where there is none. */
void json_outlet_advance(struct json_outlet *outlet);
/* Writes of the current line what the descriptor takes now. Returns 0 when all of it is written, EAGAIN when
 * poll() is to be asked first, or another errno: then no part of
 * the line stays in a regular file. */
int json_outlet_write(struct json_outlet *outlet);

G_END_DECLS
#endif
