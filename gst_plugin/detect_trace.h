/* What shrikedetect writes into its trace file: the frames that left, and those that were dropped.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_DETECT_TRACE_H
#define SHRIKE_GST_DETECT_TRACE_H

#include "detect_meta.h"
#include "trace_file.h"

G_BEGIN_DECLS

/* Threads: any. The lock is held for copies of a few hundred bytes. */
struct detect_trace {
    GMutex lock;
    struct trace_file *file; /* NULL: no trace */
};

void detect_trace_init(struct detect_trace *trace);
void detect_trace_clear(struct detect_trace *trace);

/* `path` NULL or "": no trace. Op names are those of `model`, if it measures ops; call it again for another model.
 * FALSE with *error: the file cannot be written. */
gboolean detect_trace_open(struct detect_trace *trace, const char *path, const char *stream,
                           const struct engine_model *model, GError **error);
void detect_trace_close(struct detect_trace *trace);

void detect_trace_frame(struct detect_trace *trace, const struct detect_meta_frame *frame, const char *device,
                        GstClockTime pts, const struct engine_job *job);
void detect_trace_dropped(struct detect_trace *trace, guint64 number, GstClockTime pts, GstClockTime arrival,
                          enum detect_reason reason);

/* FALSE once, with *error: the file came to an end too early. */
gboolean detect_trace_check(struct detect_trace *trace, GError **error);

G_END_DECLS
#endif
