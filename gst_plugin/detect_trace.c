/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_trace.h"

#include <string.h>

#include "engine_settings.h"

void detect_trace_init(struct detect_trace *trace)
{
    g_mutex_init(&trace->lock);
    trace->file = NULL;
}

void detect_trace_clear(struct detect_trace *trace)
{
    detect_trace_close(trace);
    g_mutex_clear(&trace->lock);
}

static struct trace_file *swap_file(struct detect_trace *trace, struct trace_file *file)
{
    g_mutex_lock(&trace->lock);
    struct trace_file *old = trace->file;
    trace->file = file;
    g_mutex_unlock(&trace->lock);
    return old;
}

gboolean detect_trace_open(struct detect_trace *trace, const char *path, const char *stream,
                           const struct engine_model *model, GError **error)
{
    if (!engine_settings_is_set(path))
        return TRUE;
    guint count = model ? model->op_count : 0;
    const char **names = g_new0(const char *, count);
    for (guint i = 0; i < count; i++) {
        struct shk_op_info info;
        shk_model_get_op(model->model, i, &info);
        names[i] = info.name;
    }
    const struct trace_params params = {.path = path, .stream = stream, .op_names = names, .op_count = count};
    /* before the old one is closed, so that the file goes on */
    struct trace_file *file = trace_file_open(&params, error);
    g_free(names);
    if (!file)
        return FALSE;
    struct trace_file *old = swap_file(trace, file);
    trace_file_close(&old);
    return TRUE;
}

void detect_trace_close(struct detect_trace *trace)
{
    struct trace_file *old = swap_file(trace, NULL);
    trace_file_close(&old);
}

static void write_frame(struct detect_trace *trace, const struct trace_frame *frame)
{
    g_mutex_lock(&trace->lock);
    if (trace->file)
        trace_file_frame(trace->file, frame);
    g_mutex_unlock(&trace->lock);
}

void detect_trace_frame(struct detect_trace *trace, const struct detect_meta_frame *frame, const char *device,
                        GstClockTime pts, const struct engine_job *job)
{
    struct trace_frame traced = {
        .number = frame->number,
        .pts = pts,
        .status = frame->reason == DETECT_REASON_NONE ? TRACE_INFERRED : frame->held ? TRACE_HELD : TRACE_PASSED,
        .reason = detect_reason_string(frame->reason),
        .device = device,
        .in_flight = frame->in_flight,
        .batch_size = frame->batch_size,
        .op_times = job && job->op_count > 0 ? job->op_times : NULL,
    };
    memcpy(traced.stages, frame->stages, sizeof(traced.stages));
    write_frame(trace, &traced);
}

void detect_trace_dropped(struct detect_trace *trace, guint64 number, GstClockTime pts, GstClockTime arrival,
                          enum detect_reason reason)
{
    struct trace_frame traced = {
        .number = number, .pts = pts, .status = TRACE_DROPPED, .reason = detect_reason_string(reason)};
    traced.stages[SHK_STAGE_TOTAL] = (struct shk_stage_time){arrival, gst_util_get_timestamp() - arrival};
    write_frame(trace, &traced);
}

gboolean detect_trace_check(struct detect_trace *trace, GError **error)
{
    g_mutex_lock(&trace->lock);
    gboolean good = !trace->file || trace_file_check(trace->file, error);
    g_mutex_unlock(&trace->lock);
    return good;
}
