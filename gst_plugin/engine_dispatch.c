/* The dispatcher and the collector.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "engine_private.h"

/* ---- with the lock ---- */

void engine_finish_job(struct engine_job *job, enum engine_outcome outcome, const struct shk_error *error)
{
    job->state = ENGINE_JOB_DONE;
    job->outcome = outcome;
    job->finished = gst_util_get_timestamp();
    if (outcome != ENGINE_OK)
        job->detection_count = 0;
    if (error)
        job->error = *error;
    if (--job->first->unfinished == 0)
        job->stream->frames--;
    g_cond_broadcast(&job->stream->changed);
}

struct engine_job *engine_stream_pop(struct engine_stream *stream)
{
    struct engine_job *job = stream->first;
    if (!job)
        return NULL;
    stream->first = job->next;
    if (!stream->first)
        stream->last = NULL;
    job->next = NULL;
    stream->pending--;
    stream->engine->pending--;
    return job;
}

static void push_back(struct engine_job *job)
{
    struct engine_stream *stream = job->stream;
    job->state = ENGINE_JOB_PENDING;
    job->next = stream->first;
    stream->first = job;
    if (!stream->last)
        stream->last = job;
    stream->pending++;
    stream->engine->pending++;
}

static struct engine_stream *stream_at(struct engine *engine, guint i)
{
    return g_ptr_array_index(engine->streams, i);
}

void engine_finish_pending(struct engine *engine, enum engine_outcome outcome, const struct shk_error *error)
{
    for (guint i = 0; i < engine->streams->len; i++)
        for (struct engine_job *job; (job = engine_stream_pop(stream_at(engine, i)));)
            engine_finish_job(job, outcome, error);
}

void engine_set_state(struct engine *engine, enum engine_state state)
{
    engine->state = state;
    for (guint i = 0; i < engine->streams->len; i++)
        g_cond_broadcast(&stream_at(engine, i)->changed);
    g_cond_signal(&engine->work);
}

void engine_break(struct engine *engine, const struct shk_error *error)
{
    engine->error = *error;
    engine_set_state(engine, ENGINE_BROKEN);
    engine_finish_pending(engine, ENGINE_FAILED, error);
}

/* ---- the dispatcher ---- */

static gboolean may_send(const struct engine *engine)
{
    return engine->state == ENGINE_RUNNING && engine->pending > 0 && engine->running < ENGINE_RUNNING_BATCHES &&
           engine->model->running < engine->model->slots;
}

/* Whether a frame may still come that would fit into the next batch. */
static gboolean more_may_come(struct engine *engine)
{
    for (guint i = 0; i < engine->streams->len; i++) {
        struct engine_stream *stream = stream_at(engine, i);
        if (stream->pending == 0 && stream->running < stream->depth)
            return TRUE;
    }
    return FALSE;
}

static GstClockTime oldest_pending(struct engine *engine)
{
    GstClockTime oldest = GST_CLOCK_TIME_NONE;
    for (guint i = 0; i < engine->streams->len; i++) {
        struct engine_stream *stream = stream_at(engine, i);
        if (stream->first)
            oldest = MIN(oldest, stream->first->submitted);
    }
    return oldest;
}

/* Waits for more frames for the batch; TRUE: send it now. */
static gboolean batch_is_due(struct engine *engine)
{
    if (engine->pending >= engine->model->batch_size || engine->settings.batch_timeout == 0 || !more_may_come(engine))
        return TRUE;
    GstClockTime due = oldest_pending(engine) + engine->settings.batch_timeout;
    if (gst_util_get_timestamp() >= due)
        return TRUE;
    g_cond_wait_until(&engine->work, &engine->lock, (gint64)((due + GST_USECOND - 1) / GST_USECOND));
    return FALSE;
}

/* Jobs of the streams in turn, one each at a time. */
static void take_batch(struct engine *engine, struct engine_batch *batch)
{
    guint idle = 0;
    *batch = (struct engine_batch){.model = engine_model_ref(engine->model)};
    while (batch->count < batch->model->batch_size && idle < engine->streams->len) {
        engine->next_stream = (engine->next_stream + 1) % engine->streams->len;
        struct engine_stream *stream = stream_at(engine, engine->next_stream);
        gboolean fits = stream->first && !(stream->first->alone && batch->count > 0);
        idle = fits ? 0 : idle + 1;
        if (!fits)
            continue;
        struct engine_job *job = engine_stream_pop(stream);
        job->state = ENGINE_JOB_RUNNING;
        stream->running++;
        batch->jobs[batch->count++] = job;
        if (job->alone)
            break;
    }
}

static void leave_batch(struct engine_batch *batch, guint i, enum engine_outcome outcome, const struct shk_error *error)
{
    batch->jobs[i]->stream->running--;
    engine_finish_job(batch->jobs[i], outcome, error);
}

static void clear_batch(struct engine_batch *batch)
{
    for (guint i = 0; i < batch->count; i++)
        if (batch->formats[i])
            engine_model_give_format(batch->model, batch->formats[i]);
    engine_model_unref(batch->model);
}

/* Without the lock. SHK_ERROR_INVALID_ARGUMENT and SHK_ERROR_UNSUPPORTED: one of the frames is at fault. */
static enum shk_status send_batch(struct engine_batch *batch, struct shk_error *error)
{
    struct shk_batch_frame frames[ENGINE_MAX_BATCH];
    for (guint i = 0; i < batch->count; i++) {
        struct engine_job *job = batch->jobs[i];
        batch->formats[i] = engine_model_take_format(batch->model, &job->format, error);
        if (!batch->formats[i])
            return error->status;
        frames[i] = (struct shk_batch_frame){batch->formats[i]->stream, job->frame};
        frames[i].frame.user = job;
    }
    return shk_session_submit_batch(batch->model->session, frames, batch->count, NULL, error);
}

/* With the lock. A frame that the device refuses fails alone: those that were to travel with it are sent again, each
 * by itself, in their order. */
static void handle_refusal(struct engine *engine, struct engine_batch *batch, const struct shk_error *error)
{
    gboolean frame_at_fault =
        error->status == SHK_ERROR_INVALID_ARGUMENT || error->status == SHK_ERROR_UNSUPPORTED;
    if (frame_at_fault && batch->count > 1) {
        for (guint i = batch->count; i-- > 0;) {
            batch->jobs[i]->alone = TRUE;
            batch->jobs[i]->stream->running--;
            push_back(batch->jobs[i]);
        }
        return;
    }
    gboolean lost = error->status == SHK_ERROR_DEVICE_LOST;
    for (guint i = 0; i < batch->count; i++)
        leave_batch(batch, i, lost ? ENGINE_LOST : ENGINE_FAILED, error);
    if (lost)
        engine_device_lost(engine);
    else if (!frame_at_fault)
        engine_break(engine, error);
}

/* With the lock, which is let go meanwhile. */
static void send_next(struct engine *engine)
{
    struct engine_batch batch;
    struct shk_error error;
    take_batch(engine, &batch);
    batch.model->running++;
    g_mutex_unlock(&engine->lock);
    enum shk_status status = send_batch(&batch, &error);
    g_mutex_lock(&engine->lock);
    if (status == SHK_OK) {
        engine->batches[(engine->head + engine->running++) % ENGINE_RUNNING_BATCHES] = batch;
        g_cond_signal(&engine->submitted);
        return;
    }
    batch.model->running--;
    handle_refusal(engine, &batch, &error);
    g_mutex_unlock(&engine->lock);
    clear_batch(&batch);
    g_mutex_lock(&engine->lock);
}

static gpointer dispatch(gpointer data)
{
    struct engine *engine = data;
    g_mutex_lock(&engine->lock);
    while (!engine->stopping) {
        if (engine->state == ENGINE_REPLACING && engine->running == 0)
            engine_replace_device(engine);
        else if (!may_send(engine))
            g_cond_wait(&engine->work, &engine->lock);
        else if (batch_is_due(engine))
            send_next(engine);
    }
    g_mutex_unlock(&engine->lock);
    return NULL;
}

/* ---- the collector ---- */

static void take_result(const struct engine_batch *batch, guint i, const struct shk_result *result)
{
    struct engine_job *job = batch->jobs[i];
    memcpy(job->stages, result->stages, sizeof(job->stages));
    job->detection_count = MIN(result->detection_count, ENGINE_MAX_DETECTIONS);
    memcpy(job->detections, result->detections, job->detection_count * sizeof(*job->detections));
    job->batch_size = batch->count;
    job->labels = engine_labels_ref(batch->model->labels);
}

static void take_op_times(const struct engine_batch *batch, guint64 ticket)
{
    guint count = batch->model->op_count;
    for (guint i = 0; i < batch->count && count > 0; i++) {
        struct engine_job *job = batch->jobs[i];
        if (job->op_capacity < count) {
            job->op_times = g_renew(guint64, job->op_times, count);
            job->op_capacity = count;
        }
        if (shk_session_op_times(batch->model->session, ticket, job->op_times, count, NULL) == SHK_OK)
            job->op_count = count;
    }
}

/* Without the lock: the jobs of a running batch are the collector's. */
static enum shk_status collect_results(const struct engine_batch *batch, struct shk_error *error)
{
    struct shk_result result;
    struct shk_session *session = batch->model->session;
    enum shk_status status = shk_session_wait(session, UINT64_MAX, &result, error);
    if (status != SHK_OK)
        return status;
    guint64 ticket = result.ticket;
    for (guint i = 0; i < batch->count && status == SHK_OK; i++) {
        status = shk_session_get_frame(session, ticket, i, &result, error);
        if (status == SHK_OK)
            take_result(batch, i, &result);
    }
    if (status == SHK_OK)
        take_op_times(batch, ticket);
    shk_session_release(session, ticket);
    return status;
}

/* With the lock. */
static void finish_batch(struct engine *engine, struct engine_batch *batch, enum shk_status status,
                         const struct shk_error *error)
{
    enum engine_outcome outcome = status == SHK_OK                  ? ENGINE_OK
                                  : status == SHK_ERROR_DEVICE_LOST ? ENGINE_LOST
                                                                    : ENGINE_FAILED;
    for (guint i = 0; i < batch->count; i++)
        leave_batch(batch, i, outcome, status == SHK_OK ? NULL : error);
    engine->head = (engine->head + 1) % ENGINE_RUNNING_BATCHES;
    engine->running--;
    batch->model->running--;
    engine->counts.batches++;
    engine->counts.frames += batch->count;
    if (outcome == ENGINE_LOST)
        engine_device_lost(engine);
    else if (outcome == ENGINE_FAILED)
        engine_break(engine, error);
    g_cond_signal(&engine->work);
}

static gpointer collect(gpointer data)
{
    struct engine *engine = data;
    g_mutex_lock(&engine->lock);
    for (;;) {
        if (engine->running == 0) {
            if (engine->stopping)
                break;
            g_cond_wait(&engine->submitted, &engine->lock);
            continue;
        }
        struct engine_batch batch = engine->batches[engine->head];
        struct shk_error error;
        g_mutex_unlock(&engine->lock);
        enum shk_status status = collect_results(&batch, &error);
        g_mutex_lock(&engine->lock);
        finish_batch(engine, &batch, status, &error);
        g_mutex_unlock(&engine->lock);
        clear_batch(&batch);
        g_mutex_lock(&engine->lock);
    }
    g_mutex_unlock(&engine->lock);
    return NULL;
}

/* ---- both ---- */

void engine_start_threads(struct engine *engine)
{
    if (engine->dispatcher)
        return;
    engine->dispatcher = g_thread_new("shrike-dispatch", dispatch, engine);
    engine->collector = g_thread_new("shrike-collect", collect, engine);
}

/* Nobody submits any more; what is on the device is waited for. */
void engine_stop_threads(struct engine *engine)
{
    if (!engine->dispatcher)
        return;
    g_mutex_lock(&engine->lock);
    engine->stopping = TRUE;
    g_cond_signal(&engine->work);
    g_mutex_unlock(&engine->lock);
    g_thread_join(engine->dispatcher);
    g_mutex_lock(&engine->lock);
    g_cond_signal(&engine->submitted);
    g_mutex_unlock(&engine->lock);
    g_thread_join(engine->collector);
    engine->dispatcher = engine->collector = NULL;
}
