/* What the trace suites need: a folder, plausible frames, a trace read back.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_TRACE_CASE_H
#define TEST_TRACE_CASE_H

#include <json-glib/json-glib.h>

#include "support.h"
#include "trace_file.h"

#define MS G_GUINT64_CONSTANT(1000000)
#define T0 (G_GUINT64_CONSTANT(123456) * 1000000000)

struct trace_slice {
    gint64 row, start, end;
    const char *name;
};

struct trace_content {
    JsonParser *parser;
    JsonArray *events;
    GArray *slices;
    GHashTable *rows; /* names of threads and processes, by number */
};

/* A fixture for every test: an empty folder. */
void trace_make_folder(void);
void trace_remove_folder(void);
char *trace_path(const char *name);

/* trace_file_open(), which must succeed. */
struct trace_file *trace_open(const struct trace_params *params);

/* A frame that arrives at `arrival` and has taken a plausible way through the element; 21 ms in all. */
struct trace_frame trace_make_frame(guint64 number, guint64 arrival);

/* Reads a file, and fails the test if it is no valid trace: JSON, known events, named rows, slices that nest
 * or are disjoint. Slices are sorted by row, then time. */
struct trace_content trace_read(const char *path);
void trace_clear(struct trace_content *trace);

guint trace_count(const struct trace_content *trace, const char *name);
/* The test fails if there is none. */
const struct trace_slice *trace_find_slice(const struct trace_content *trace, const char *name, guint nth);
/* NULL if there is none. */
JsonObject *trace_find_event(const struct trace_content *trace, const char *phase, const char *name,
                             guint nth);
/* The sum of what the file says is missing. */
guint64 trace_missing(const struct trace_content *trace);
gint64 trace_ns(JsonObject *event, const char *key);

extern char *trace_folder;

#endif
