/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace_events.h"

#include <string.h>

#define MAX_ROWS    64 /* of one stream or device; what fits into none is left out */
#define MAX_DEVICES 64
#define ROW_MEMORY  16

/* Streams are the processes 1, 2, ...; rows are threads, with numbers that no other process has. */
#define DEVICE_PID       100001
#define ROWS_PER_PROCESS 100
#define NOT_INFERRED_ROW (ROWS_PER_PROCESS - 1)

struct interval {
    guint64 start, end;
};

/* Frames of several streams come in the order in which they are done, not in the order of their starts. So a
 * row remembers its latest slices; nothing is put before the end of those that it forgot. */
struct row {
    guint64 floor;
    struct interval latest[ROW_MEMORY];
    guint count;
};

struct rows {
    guint pid, used;
    const char *title;
    struct row row[MAX_ROWS];
};

struct stream {
    struct rows rows;
    char *name, **op_names; /* as JSON strings without quotes */
    guint op_count;
    gboolean has_not_inferred;
    guint64 leaving[MAX_ROWS]; /* ends of the frames in flight, for the counter */
    guint in_flight;
};

struct device {
    struct rows rows;
    char name[sizeof(((struct trace_record *)0)->device)];
};

struct trace_events {
    GPtrArray *streams, *devices;
};

/* ---- JSON ---- */

/* Names come from files and users. */
static void append_text(GString *json, const char *text)
{
    for (const char *at = text; *at;) {
        gunichar c = g_utf8_get_char_validated(at, -1);
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append_c(json, '?');
            at++;
            continue;
        }
        if (c == '"' || c == '\\')
            g_string_append_c(json, '\\');
        if (c < 0x20)
            g_string_append_printf(json, "\\u%04x", c);
        else
            g_string_append_unichar(json, c);
        at = g_utf8_next_char(at);
    }
}

static char *escaped(const char *text)
{
    GString *json = g_string_new(NULL);
    append_text(json, text);
    return g_string_free(json, FALSE);
}

/* Microseconds. Integers all the way, so that nested slices end where they should. */
static void append_time(GString *json, const char *key, guint64 ns)
{
    g_string_append_printf(json, ",\"%s\":%" G_GUINT64_FORMAT ".%03u", key, ns / 1000, (guint)(ns % 1000));
}

static void open_event(GString *json, char phase, guint pid, guint row)
{
    g_string_append_printf(json, ",\n{\"ph\":\"%c\",\"pid\":%u,\"tid\":%u", phase, pid,
                           pid * ROWS_PER_PROCESS + row);
}

static void append_metadata(GString *json, guint pid, guint row, const char *what, const char *name,
                            guint number)
{
    char suffix[16] = "";
    if (number > 1)
        g_snprintf(suffix, sizeof(suffix), " #%u", number);
    open_event(json, 'M', pid, row);
    g_string_append_printf(json, ",\"name\":\"%s_name\",\"args\":{\"name\":\"%s%s\"}}", what, name, suffix);
    open_event(json, 'M', pid, row);
    g_string_append_printf(json, ",\"name\":\"%s_sort_index\",\"args\":{\"sort_index\":%u}}", what,
                           strcmp(what, "process") == 0 ? pid : row);
}

static void open_slice(GString *json, guint pid, guint row, const struct interval *at)
{
    open_event(json, 'X', pid, row);
    append_time(json, "ts", at->start);
    append_time(json, "dur", at->end - at->start);
}

static void append_counter(GString *json, guint pid, guint64 at, guint value)
{
    open_event(json, 'C', pid, 0);
    append_time(json, "ts", at);
    g_string_append_printf(json, ",\"name\":\"in flight\",\"args\":{\"frames\":%u}}", value);
}

/* ---- Rows ---- */

static guint64 end_of(const struct shk_stage_time *stage)
{
    return stage->duration > G_MAXUINT64 - stage->start ? G_MAXUINT64 : stage->start + stage->duration;
}

static gboolean row_is_free(const struct row *row, const struct interval *slice)
{
    if (slice->start < row->floor)
        return FALSE;
    for (guint i = 0; i < row->count; i++)
        if (slice->start < row->latest[i].end && row->latest[i].start < slice->end)
            return FALSE;
    return TRUE;
}

static void remember(struct row *row, const struct interval *slice)
{
    guint slot = row->count;
    if (slot < ROW_MEMORY) {
        row->count++;
    } else {
        slot = 0;
        for (guint i = 1; i < ROW_MEMORY; i++)
            if (row->latest[i].end < row->latest[slot].end)
                slot = i;
        row->floor = row->latest[slot].end;
    }
    row->latest[slot] = *slice;
}

/* The first row that is free at that time, or -1. */
static int take_row(struct rows *rows, GString *json, const struct interval *slice)
{
    guint i = 0;
    while (i < rows->used && !row_is_free(&rows->row[i], slice))
        i++;
    if (i == MAX_ROWS)
        return -1;
    if (i == rows->used) {
        append_metadata(json, rows->pid, i, "thread", rows->title, i + 1);
        rows->used++;
    }
    remember(&rows->row[i], slice);
    return (int)i;
}

static gboolean is_drawn(const struct rows *rows, const struct interval *slice)
{
    for (guint i = 0; i < rows->used; i++)
        for (guint k = 0; k < rows->row[i].count; k++)
            if (memcmp(&rows->row[i].latest[k], slice, sizeof(*slice)) == 0)
                return TRUE;
    return FALSE;
}

/* ---- Streams and devices ---- */

static void free_stream(gpointer data)
{
    struct stream *stream = data;
    g_free(stream->name);
    g_strfreev(stream->op_names);
    g_free(stream);
}

struct trace_events *trace_events_new(void)
{
    struct trace_events *events = g_new0(struct trace_events, 1);
    events->streams = g_ptr_array_new_with_free_func(free_stream);
    events->devices = g_ptr_array_new_with_free_func(g_free);
    return events;
}

void trace_events_free(struct trace_events *events)
{
    g_ptr_array_unref(events->streams);
    g_ptr_array_unref(events->devices);
    g_free(events);
}

void trace_events_begin(GString *json)
{
    /* something that the first stream has anyway, so that all the others can begin with a comma */
    g_string_append(json, "[\n{\"ph\":\"M\",\"pid\":1,\"tid\":100,\"name\":\"process_labels\","
                          "\"args\":{\"labels\":\"CLOCK_MONOTONIC\"}}");
}

void trace_events_add_stream(struct trace_events *events, GString *json, const char *name, char **op_names)
{
    struct stream *stream = g_new0(struct stream, 1);
    stream->name = escaped(name);
    stream->op_names = op_names;
    for (guint i = 0; op_names && op_names[i]; i++, stream->op_count++) {
        char *raw = op_names[i];
        op_names[i] = escaped(raw);
        g_free(raw);
    }
    stream->rows.title = "frames";
    stream->rows.pid = events->streams->len + 1;
    g_ptr_array_add(events->streams, stream);
    append_metadata(json, stream->rows.pid, 0, "process", stream->name, 1);
}

static struct device *find_device(struct trace_events *events, GString *json, const char *name)
{
    for (guint i = 0; i < events->devices->len; i++) {
        struct device *device = events->devices->pdata[i];
        if (strcmp(device->name, name) == 0)
            return device;
    }
    if (events->devices->len == MAX_DEVICES)
        return NULL;
    struct device *device = g_new0(struct device, 1);
    char *text = escaped(name);
    g_strlcpy(device->name, name, sizeof(device->name));
    device->rows.title = "device";
    device->rows.pid = DEVICE_PID + events->devices->len;
    g_ptr_array_add(events->devices, device);
    append_metadata(json, device->rows.pid, 0, "process", text, 1);
    g_free(text);
    return device;
}

/* ---- The counter ---- */

static void one_leaves(struct stream *stream, GString *json)
{
    guint first = 0;
    for (guint i = 1; i < stream->in_flight; i++)
        if (stream->leaving[i] < stream->leaving[first])
            first = i;
    guint64 at = stream->leaving[first];
    stream->leaving[first] = stream->leaving[--stream->in_flight];
    append_counter(json, stream->rows.pid, at, stream->in_flight);
}

static gboolean somebody_left(const struct stream *stream, guint64 now)
{
    for (guint i = 0; i < stream->in_flight; i++)
        if (stream->leaving[i] <= now)
            return TRUE;
    return FALSE;
}

/* Frames of one stream come in order, so that all that happened before the newest one's start is known. */
static void count_frame(struct stream *stream, GString *json, const struct interval *total)
{
    while (somebody_left(stream, total->start) || stream->in_flight == MAX_ROWS)
        one_leaves(stream, json);
    stream->leaving[stream->in_flight++] = total->end;
    append_counter(json, stream->rows.pid, total->start, stream->in_flight);
}

void trace_events_end(struct trace_events *events, GString *json)
{
    for (guint i = 0; i < events->streams->len; i++) {
        struct stream *stream = events->streams->pdata[i];
        while (stream->in_flight > 0)
            one_leaves(stream, json);
    }
}

/* ---- A frame in its stream's rows ---- */

static void append_frame_args(GString *json, const struct trace_record *record)
{
    g_string_append_printf(json, ",\"args\":{\"frame\":%" G_GUINT64_FORMAT, record->number);
    if (record->pts != G_MAXUINT64)
        append_time(json, "pts_us", record->pts);
}

/* What is left of a stage between `left`->start and its end, which is where the next one may begin. */
static void append_stage(GString *json, guint pid, guint row, const char *name,
                         const struct shk_stage_time *stage, struct interval *left)
{
    if (stage->duration == 0)
        return;
    struct interval slice;
    slice.start = CLAMP(stage->start, left->start, left->end);
    slice.end = CLAMP(end_of(stage), slice.start, left->end);
    open_slice(json, pid, row, &slice);
    g_string_append_printf(json, ",\"name\":\"%s\"", name);
    if (slice.end - slice.start != stage->duration) {
        g_string_append(json, ",\"args\":{\"cut\":true");
        append_time(json, "measured_us", stage->duration);
        g_string_append_c(json, '}');
    }
    g_string_append_c(json, '}');
    left->start = slice.end;
}

static void append_stages(GString *json, guint pid, guint row, const struct trace_record *record,
                          const struct interval *total)
{
    const struct shk_stage_time *stages = record->stages, *upload = &stages[SHK_STAGE_UPLOAD];
    struct shk_stage_time before = {total->start, stages[SHK_STAGE_QUEUE].duration}, after = {0, 0};
    struct interval left = *total;
    if (upload->duration > 0) {
        guint64 waited = upload->start > total->start ? upload->start - total->start : 0;
        before.duration = MIN(before.duration, waited);
        after.start = end_of(upload);
        after.duration = stages[SHK_STAGE_QUEUE].duration - before.duration;
    }
    append_stage(json, pid, row, "queue", &before, &left);
    append_stage(json, pid, row, "upload", upload, &left);
    append_stage(json, pid, row, "queue", &after, &left);
    for (guint i = SHK_STAGE_PREPROCESS; i < SHK_STAGE_TOTAL; i++)
        append_stage(json, pid, row, shk_stage_string(i), &stages[i], &left);
}

static void add_to_stream(struct stream *stream, GString *json, const struct trace_record *record)
{
    const struct shk_stage_time *stage = &record->stages[SHK_STAGE_TOTAL];
    const struct interval total = {stage->start, end_of(stage)};
    count_frame(stream, json, &total);
    int row = take_row(&stream->rows, json, &total);
    if (row < 0)
        return;
    open_slice(json, stream->rows.pid, (guint)row, &total);
    g_string_append(json, ",\"name\":\"total\"");
    append_frame_args(json, record);
    g_string_append_printf(json, ",\"in_flight\":%u,\"batch_size\":%u,\"device\":\"", record->in_flight,
                           record->batch_size);
    append_text(json, record->device);
    g_string_append(json, "\"}}");
    append_stages(json, stream->rows.pid, (guint)row, record, &total);
}

/* ---- A frame in its device's rows ---- */

static void append_ops(const struct stream *stream, GString *json, guint pid, guint row,
                       const struct trace_record *record, const guint64 *times)
{
    const struct shk_stage_time *inference = &record->stages[SHK_STAGE_INFERENCE];
    struct interval left = {inference->start, end_of(inference)};
    for (guint i = 0; i < MIN(record->op_count, stream->op_count); i++) {
        const struct shk_stage_time op = {left.start, times[i]};
        append_stage(json, pid, row, stream->op_names[i], &op, &left);
    }
}

static void add_to_device(struct device *device, GString *json, const struct stream *stream,
                          const struct trace_record *record, const guint64 *op_times, enum shk_stage which)
{
    const struct shk_stage_time *stage = &record->stages[which];
    const struct interval slice = {stage->start, end_of(stage)};
    gboolean batched = record->batch_size > 1;
    if (stage->duration == 0 || (batched && is_drawn(&device->rows, &slice)))
        return;
    int row = take_row(&device->rows, json, &slice);
    if (row < 0)
        return;
    open_slice(json, device->rows.pid, (guint)row, &slice);
    if (batched && which == SHK_STAGE_INFERENCE)
        g_string_append_printf(json, ",\"name\":\"inference, batch of %u\"", record->batch_size);
    else
        g_string_append_printf(json, ",\"name\":\"%s %s\"", stream->name, shk_stage_string(which));
    append_frame_args(json, record);
    g_string_append(json, "}}");
    if (which == SHK_STAGE_INFERENCE)
        append_ops(stream, json, device->rows.pid, (guint)row, record, op_times);
}

/* ---- Frames ---- */

static void open_instant(struct stream *stream, GString *json, guint64 at)
{
    guint pid = stream->rows.pid;
    if (!stream->has_not_inferred)
        append_metadata(json, pid, NOT_INFERRED_ROW, "thread", "not inferred", 1);
    stream->has_not_inferred = TRUE;
    open_event(json, 'i', pid, NOT_INFERRED_ROW);
    append_time(json, "ts", at);
    g_string_append(json, ",\"s\":\"t\",\"name\":\"");
}

static void add_not_inferred(struct stream *stream, GString *json, const struct trace_record *record)
{
    static const char *const names[] = {
        [TRACE_HELD] = "held", [TRACE_PASSED] = "passed", [TRACE_DROPPED] = "dropped"};
    open_instant(stream, json, record->not_inferred_at);
    g_string_append(json, names[record->status]);
    if (record->reason[0])
        g_string_append(json, ": ");
    append_text(json, record->reason);
    g_string_append_c(json, '"');
    append_frame_args(json, record);
    append_time(json, "total_us", record->stages[SHK_STAGE_TOTAL].duration);
    g_string_append(json, "}}");
}

void trace_events_add_frame(struct trace_events *events, GString *json, const struct trace_record *record,
                            const guint64 *op_times)
{
    struct stream *stream = events->streams->pdata[record->stream];
    if (record->status != TRACE_INFERRED) {
        add_not_inferred(stream, json, record);
        return;
    }
    add_to_stream(stream, json, record);
    struct device *device = record->device[0] ? find_device(events, json, record->device) : NULL;
    if (!device)
        return;
    add_to_device(device, json, stream, record, op_times, SHK_STAGE_PREPROCESS);
    add_to_device(device, json, stream, record, op_times, SHK_STAGE_INFERENCE);
}

void trace_events_add_note(struct trace_events *events, GString *json, guint stream, guint64 at,
                           const char *text)
{
    open_instant(events->streams->pdata[stream], json, at);
    append_text(json, text);
    g_string_append(json, "\"}");
}
