/* The thread of a json_sink.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_JSON_WRITER_H
#define SHRIKE_GST_JSON_WRITER_H

#include "json_sink.h"

G_BEGIN_DECLS

/* GThreadFunc; `sink` is a struct json_sink. Runs until its `quit` is set. */
gpointer json_writer_run(gpointer sink);

/* Makes the thread look at its queues again. */
void json_writer_wake(struct json_sink *sink);

/* Adds a reader; there must be a free place. Before the thread runs, or in it. */
void json_writer_add_reader(struct json_sink *sink, int fd);

G_END_DECLS
#endif
