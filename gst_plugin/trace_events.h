/* Frames as events of a trace file: rows, slices, counters. trace_file.h says what is drawn.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Appends JSON to a GString; no files, no threads. One thread at a time. */
#ifndef SHRIKE_GST_TRACE_EVENTS_H
#define SHRIKE_GST_TRACE_EVENTS_H

#include "trace_file.h"

G_BEGIN_DECLS

/* A frame that waits to be written; `op_count` times (guint64) follow it. */
struct trace_record {
    guint32 stream, op_count;
    guint64 number, pts, not_inferred_at;
    struct shk_stage_time stages[SHK_STAGE_COUNT];
    guint32 in_flight, batch_size;
    guint8 status; /* enum trace_status */
    char reason[32], device[64];
};

struct trace_events;

struct trace_events *trace_events_new(void);
void trace_events_free(struct trace_events *events);

/* What begins the file. Events are separated by ",\n"; whoever writes the file adds the last "\n]\n". */
void trace_events_begin(GString *json);

/* Announces stream `index`, counted from 0 without gaps. Takes `op_names`, NULL-terminated, or NULL. */
void trace_events_add_stream(struct trace_events *events, GString *json, const char *name, char **op_names);

void trace_events_add_frame(struct trace_events *events, GString *json, const struct trace_record *record,
                            const guint64 *op_times);

/* An instant in the stream's row `not inferred`. */
void trace_events_add_note(struct trace_events *events, GString *json, guint stream, guint64 at,
                           const char *text);

/* Ends the counters. Nothing may be added afterwards. */
void trace_events_end(struct trace_events *events, GString *json);

G_END_DECLS
#endif
