/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace_case.h"

#include <glib/gstdio.h>
#include <string.h>

char *trace_folder;

void trace_make_folder(void)
{
    trace_folder = g_dir_make_tmp("shrike-trace-XXXXXX", NULL);
    ck_assert_ptr_nonnull(trace_folder);
}

void trace_remove_folder(void)
{
    GDir *dir = g_dir_open(trace_folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir));) {
        char *path = g_build_filename(trace_folder, name, NULL);
        g_remove(path);
        g_free(path);
    }
    g_dir_close(dir);
    ck_assert_int_eq(g_rmdir(trace_folder), 0);
    g_clear_pointer(&trace_folder, g_free);
}

char *trace_path(const char *name)
{
    return g_build_filename(trace_folder, name, NULL);
}

struct trace_file *trace_open(const struct trace_params *params)
{
    GError *error = NULL;
    struct trace_file *trace = trace_file_open(params, &error);
    ck_assert_msg(trace != NULL, "%s", error ? error->message : "no message");
    return trace;
}

/* ---- Frames ---- */

struct trace_frame trace_make_frame(guint64 number, guint64 arrival)
{
    return (struct trace_frame){
        .number = number,
        .pts = number * 40 * MS,
        .device = "device A",
        .in_flight = 2,
        .batch_size = 1,
        .stages =
            {
                [SHK_STAGE_QUEUE] = {arrival, 5 * MS},
                [SHK_STAGE_UPLOAD] = {arrival + 2 * MS, 1 * MS},
                [SHK_STAGE_PREPROCESS] = {arrival + 6 * MS, 1 * MS},
                [SHK_STAGE_INFERENCE] = {arrival + 7 * MS, 10 * MS},
                [SHK_STAGE_READBACK] = {arrival + 17 * MS, 1 * MS},
                [SHK_STAGE_DECODE] = {arrival + 18 * MS, 2 * MS},
                [SHK_STAGE_TOTAL] = {arrival, 21 * MS},
            },
    };
}

/* ---- Reading a trace ---- */

gint64 trace_ns(JsonObject *event, const char *key)
{
    return (gint64)(json_object_get_double_member(event, key) * 1000 + 0.5);
}

static void read_event(struct trace_content *trace, JsonObject *event)
{
    const char *phase = json_object_get_string_member(event, "ph"),
               *name = json_object_get_string_member(event, "name");
    gint64 row = json_object_get_int_member(event, "tid");
    ck_assert_int_gt(json_object_get_int_member(event, "pid"), 0);
    if (strcmp(phase, "X") == 0) {
        struct trace_slice slice = {row, trace_ns(event, "ts"), 0, name};
        slice.end = slice.start + trace_ns(event, "dur");
        g_array_append_val(trace->slices, slice);
    } else if (strcmp(phase, "M") == 0) {
        JsonObject *args = json_object_get_object_member(event, "args");
        gint64 key = strcmp(name, "process_name") == 0 ? json_object_get_int_member(event, "pid") : row;
        if (g_str_has_suffix(name, "_name"))
            g_hash_table_insert(trace->rows, g_memdup2(&key, sizeof(key)),
                                (gpointer)json_object_get_string_member(args, "name"));
    } else {
        ck_assert_msg(strcmp(phase, "i") == 0 || strcmp(phase, "C") == 0, "phase %s", phase);
    }
}

/* By row, then by time, what surrounds before what is in it. */
static int compare_slices(gconstpointer a, gconstpointer b)
{
    const struct trace_slice *x = a, *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end > y->end ? -1 : x->end < y->end;
}

static void check_nesting(GArray *slices)
{
    gint64 ends[8], row = -1;
    guint depth = 0;
    g_array_sort(slices, compare_slices);
    for (guint i = 0; i < slices->len; i++) {
        const struct trace_slice *slice = &g_array_index(slices, struct trace_slice, i);
        depth = slice->row == row ? depth : 0;
        row = slice->row;
        while (depth > 0 && ends[depth - 1] <= slice->start)
            depth--;
        ck_assert_msg(depth == 0 || slice->end <= ends[depth - 1],
                      "%s in row %" G_GINT64_FORMAT " at %" G_GINT64_FORMAT " ends after what surrounds it",
                      slice->name, row, slice->start);
        ck_assert_uint_lt(depth, G_N_ELEMENTS(ends));
        ends[depth++] = slice->end;
    }
}

struct trace_content trace_read(const char *path)
{
    struct trace_content trace = {.parser = json_parser_new()};
    GError *error = NULL;
    ck_assert_msg(json_parser_load_from_file(trace.parser, path, &error), "%s: %s", path,
                  error ? error->message : "");
    trace.events = json_node_get_array(json_parser_get_root(trace.parser));
    trace.slices = g_array_new(FALSE, FALSE, sizeof(struct trace_slice));
    trace.rows = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    for (guint i = 0; i < json_array_get_length(trace.events); i++)
        read_event(&trace, json_array_get_object_element(trace.events, i));
    check_nesting(trace.slices);
    for (guint i = 0; i < trace.slices->len; i++)
        ck_assert_ptr_nonnull(
            g_hash_table_lookup(trace.rows, &g_array_index(trace.slices, struct trace_slice, i).row));
    return trace;
}

void trace_clear(struct trace_content *trace)
{
    g_array_unref(trace->slices);
    g_hash_table_unref(trace->rows);
    g_object_unref(trace->parser);
}

guint trace_count(const struct trace_content *trace, const char *name)
{
    guint count = 0;
    for (guint i = 0; i < trace->slices->len; i++)
        count += strcmp(g_array_index(trace->slices, struct trace_slice, i).name, name) == 0;
    return count;
}

const struct trace_slice *trace_find_slice(const struct trace_content *trace, const char *name, guint nth)
{
    for (guint i = 0; i < trace->slices->len; i++) {
        const struct trace_slice *slice = &g_array_index(trace->slices, struct trace_slice, i);
        if (strcmp(slice->name, name) == 0 && nth-- == 0)
            return slice;
    }
    ck_abort_msg("no slice %s", name);
    return NULL;
}

JsonObject *trace_find_event(const struct trace_content *trace, const char *phase, const char *name,
                             guint nth)
{
    for (guint i = 0; i < json_array_get_length(trace->events); i++) {
        JsonObject *event = json_array_get_object_element(trace->events, i);
        if (strcmp(json_object_get_string_member(event, "ph"), phase) == 0 &&
            strcmp(json_object_get_string_member(event, "name"), name) == 0 && nth-- == 0)
            return event;
    }
    return NULL;
}

guint64 trace_missing(const struct trace_content *trace)
{
    guint64 missing = 0;
    for (guint i = 0; i < json_array_get_length(trace->events); i++) {
        const char *name =
            json_object_get_string_member(json_array_get_object_element(trace->events, i), "name");
        if (strstr(name, "frames are missing"))
            missing += g_ascii_strtoull(name, NULL, 10);
    }
    return missing;
}
