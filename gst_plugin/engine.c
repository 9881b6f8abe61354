/* Life of engines, their devices and streams; the names under which they are shared.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "engine_private.h"

/* ---- devices ---- */

struct engine_device *engine_device_ref(struct engine_device *device)
{
    g_atomic_ref_count_inc(&device->refs);
    return device;
}

void engine_device_unref(struct engine_device *device)
{
    if (!device || !g_atomic_ref_count_dec(&device->refs))
        return;
    shk_device_destroy(&device->device);
    g_free(device);
}

struct engine_device *engine_device_new(struct shk_device *handle)
{
    static gint numbers; /* memory of one engine's device must not pass for another's */
    struct engine_device *device = g_new0(struct engine_device, 1);
    struct shk_device_info info;
    g_atomic_ref_count_init(&device->refs);
    device->device = handle;
    device->number = (guint)g_atomic_int_add(&numbers, 1) + 1;
    g_strlcpy(device->name, ENGINE_DEVICE_REFERENCE, sizeof(device->name));
    if (handle) {
        shk_device_get_info(handle, &info);
        g_strlcpy(device->name, info.name, sizeof(device->name));
    }
    return device;
}

struct engine_device *engine_device_open(const struct engine_settings *settings, struct shk_log log,
                                         struct shk_error *error)
{
    struct shk_device *device = NULL;
    if (g_strcmp0(settings->device, ENGINE_DEVICE_REFERENCE) == 0)
        return engine_device_new(NULL);
    struct shk_device_params params = SHK_DEVICE_PARAMS_DEFAULT;
    params.select = settings->device;
    /* for developers and the tests: the Khronos validation layer, messages to the debug log */
    params.validation = g_strcmp0(g_getenv("SHRIKE_VALIDATION"), "1") == 0;
    params.log = log;
    if (shk_device_create(&params, &device, error) != SHK_OK)
        return NULL;
    return engine_device_new(device);
}

/* ---- opening, sharing, closing ---- */

/* Engines that have a name: what makes an engine-id mean the same everywhere in the process. */
static GMutex registry_lock;
static GHashTable *registry;

struct engine *engine_new(const struct engine_settings *settings, struct shk_log log)
{
    struct engine *engine = g_new0(struct engine, 1);
    engine->refs = 1;
    engine->log = log;
    engine_settings_copy(&engine->settings, settings);
    engine->shared = engine_settings_is_set(settings->engine_id);
    g_mutex_init(&engine->build_lock);
    g_mutex_init(&engine->lock);
    g_cond_init(&engine->work);
    g_cond_init(&engine->submitted);
    engine->streams = g_ptr_array_new();
    return engine;
}

static void engine_free(struct engine *engine)
{
    engine_stop_swapping(engine);
    engine_stop_threads(engine);
    engine_model_unref(engine->model);
    engine_device_unref(engine->device);
    g_ptr_array_unref(engine->streams);
    g_cond_clear(&engine->submitted);
    g_cond_clear(&engine->work);
    g_mutex_clear(&engine->lock);
    g_mutex_clear(&engine->build_lock);
    engine_settings_clear(&engine->settings);
    g_free(engine);
}

/* With the registry's lock: a reference of the engine of that name, or of a new one. */
static struct engine *find_or_create(const struct engine_settings *settings, struct shk_log log)
{
    if (!engine_settings_is_set(settings->engine_id))
        return engine_new(settings, log);
    if (!registry)
        registry = g_hash_table_new(g_str_hash, g_str_equal);
    struct engine *engine = g_hash_table_lookup(registry, settings->engine_id);
    if (engine) {
        engine->refs++;
        return engine;
    }
    engine = engine_new(settings, log);
    g_hash_table_insert(registry, engine->settings.engine_id, engine);
    return engine;
}

static gboolean check_settings(struct engine *engine, const struct engine_settings *settings,
                               struct shk_error *error)
{
    g_mutex_lock(&engine->lock);
    char *difference = engine_settings_difference(&engine->settings, settings);
    g_mutex_unlock(&engine->lock);
    if (!difference)
        return TRUE;
    error->status = SHK_ERROR_INVALID_ARGUMENT;
    g_snprintf(error->message, sizeof(error->message),
               "engine-id \"%s\" is in use with other settings: %s; elements that share an engine need the same "
               "model, device, thresholds and batch settings, or take another engine-id",
               settings->engine_id, difference);
    g_free(difference);
    return FALSE;
}

struct engine *engine_open(const struct engine_settings *settings, struct shk_log log, struct shk_error *error)
{
    g_mutex_lock(&registry_lock);
    struct engine *engine = find_or_create(settings, log);
    g_mutex_unlock(&registry_lock);
    gboolean open = !engine->shared || check_settings(engine, settings, error);
    g_mutex_lock(&engine->build_lock);
    if (open && !engine->device) {
        struct engine_device *device = engine_device_open(settings, log, error);
        open = device != NULL;
        g_mutex_lock(&engine->lock);
        engine->device = device;
        g_mutex_unlock(&engine->lock);
    }
    g_mutex_unlock(&engine->build_lock);
    if (open)
        return engine;
    engine_close(engine);
    return NULL;
}

struct engine *engine_ref(struct engine *engine)
{
    g_mutex_lock(&registry_lock);
    engine->refs++;
    g_mutex_unlock(&registry_lock);
    return engine;
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    g_mutex_lock(&registry_lock);
    gboolean last = --engine->refs == 0;
    if (last && engine->shared)
        g_hash_table_remove(registry, engine->settings.engine_id);
    g_mutex_unlock(&registry_lock);
    if (last)
        engine_free(engine);
}

/* With the build lock. A broken engine that nobody uses any more begins anew. */
static gboolean open_model(struct engine *engine, gboolean anew, struct shk_error *error)
{
    struct engine_device *device = anew ? engine_device_open(&engine->settings, engine->log, error)
                                        : engine_device_ref(engine->device);
    struct engine_model *model =
        device ? engine_model_open(device->device, &engine->settings, engine->log, error) : NULL;
    if (!model) {
        engine_device_unref(device);
        return FALSE;
    }
    g_mutex_lock(&engine->lock);
    struct engine_model *old_model = engine->model;
    struct engine_device *old_device = engine->device;
    engine->model = model;
    engine->device = device;
    engine_set_state(engine, ENGINE_RUNNING);
    g_mutex_unlock(&engine->lock);
    engine_model_unref(old_model);
    engine_device_unref(old_device);
    return TRUE;
}

gboolean engine_start(struct engine *engine, const struct engine_settings *settings, struct shk_error *error)
{
    if (engine->shared && !check_settings(engine, settings, error))
        return FALSE;
    g_mutex_lock(&engine->build_lock);
    g_mutex_lock(&engine->lock);
    gboolean unused = engine->streams->len == 0 && engine->running == 0;
    gboolean broken = engine->state == ENGINE_BROKEN, anew = broken && unused && !engine->device->adopted;
    gboolean running = !broken && engine->state != ENGINE_IDLE;
    if (broken)
        *error = engine->error;
    g_mutex_unlock(&engine->lock);
    if (!running && (anew || !broken))
        running = open_model(engine, anew, error);
    if (running)
        engine_start_threads(engine);
    g_mutex_unlock(&engine->build_lock);
    return running;
}

struct engine_device *engine_get_device(struct engine *engine)
{
    g_mutex_lock(&engine->lock);
    struct engine_device *device = engine_device_ref(engine->device);
    g_mutex_unlock(&engine->lock);
    return device;
}

struct engine_model *engine_get_model(struct engine *engine)
{
    g_mutex_lock(&engine->lock);
    struct engine_model *model = engine->model ? engine_model_ref(engine->model) : NULL;
    g_mutex_unlock(&engine->lock);
    return model;
}

gboolean engine_is_broken(struct engine *engine, struct shk_error *error)
{
    g_mutex_lock(&engine->lock);
    gboolean broken = engine->state == ENGINE_BROKEN;
    if (broken)
        *error = engine->error;
    g_mutex_unlock(&engine->lock);
    return broken;
}

void engine_get_files(struct engine *engine, char **model_file, char **label_file)
{
    g_mutex_lock(&engine->lock);
    *model_file = g_strdup(engine->settings.model_file);
    *label_file = g_strdup(engine->settings.label_file);
    g_mutex_unlock(&engine->lock);
}

void engine_get_status(struct engine *engine, struct engine_status *status)
{
    g_mutex_lock(&engine->lock);
    *status = engine->counts;
    status->streams = engine->streams->len;
    status->batch_size = engine->model ? engine->model->batch_size : 0;
    g_mutex_unlock(&engine->lock);
}

gboolean engine_is_ready(struct engine *engine)
{
    g_mutex_lock(&engine->lock);
    gboolean ready = engine->state != ENGINE_REPLACING;
    g_mutex_unlock(&engine->lock);
    return ready;
}

/* ---- streams ---- */

struct engine_stream *engine_stream_new(struct engine *engine, guint depth)
{
    struct engine_stream *stream = g_new0(struct engine_stream, 1);
    stream->engine = engine;
    stream->depth = depth;
    g_cond_init(&stream->changed);
    g_mutex_lock(&engine->lock);
    g_ptr_array_add(engine->streams, stream);
    g_mutex_unlock(&engine->lock);
    return stream;
}

void engine_stream_quiesce(struct engine_stream *stream)
{
    struct engine *engine = stream->engine;
    g_mutex_lock(&engine->lock);
    for (struct engine_job *job; (job = engine_stream_pop(stream));)
        engine_finish_job(job, ENGINE_CANCELLED, NULL);
    while (stream->running > 0)
        g_cond_wait(&stream->changed, &engine->lock);
    g_mutex_unlock(&engine->lock);
}

void engine_stream_free(struct engine_stream *stream)
{
    if (!stream)
        return;
    struct engine *engine = stream->engine;
    engine_stream_quiesce(stream);
    g_mutex_lock(&engine->lock);
    g_ptr_array_remove(engine->streams, stream);
    /* the others need not wait for this one's frames any more */
    g_cond_signal(&engine->work);
    g_mutex_unlock(&engine->lock);
    g_cond_clear(&stream->changed);
    g_free(stream);
}

void engine_stream_set_flushing(struct engine_stream *stream, gboolean flushing)
{
    g_mutex_lock(&stream->engine->lock);
    stream->flushing = flushing;
    g_cond_broadcast(&stream->changed);
    g_mutex_unlock(&stream->engine->lock);
}

gboolean engine_stream_wait_ready(struct engine_stream *stream)
{
    struct engine *engine = stream->engine;
    g_mutex_lock(&engine->lock);
    while (engine->state == ENGINE_REPLACING && !stream->flushing)
        g_cond_wait(&stream->changed, &engine->lock);
    gboolean ready = !stream->flushing;
    g_mutex_unlock(&engine->lock);
    return ready;
}

GstClockTime engine_stream_worst_latency(struct engine_stream *stream, GstClockTime batch_time, guint more)
{
    struct engine *engine = stream->engine;
    g_mutex_lock(&engine->lock);
    guint frames = more, batch = engine->model ? engine->model->batch_size : 1;
    for (guint i = 0; i < engine->streams->len; i++)
        frames += ((struct engine_stream *)g_ptr_array_index(engine->streams, i))->depth;
    GstClockTime waiting = batch > 1 ? engine->settings.batch_timeout : 0;
    GstClockTime measured = batch_time == 0 && engine->model ? engine->model->batch_time : batch_time;
    g_mutex_unlock(&engine->lock);
    return waiting + measured * ((frames + batch - 1) / batch);
}

/* ---- jobs ---- */

void engine_job_init(struct engine_job *job)
{
    *job = (struct engine_job){.state = ENGINE_JOB_IDLE};
    job->detections = g_new(struct shk_detection, ENGINE_MAX_DETECTIONS);
}

void engine_job_reset(struct engine_job *job)
{
    g_clear_pointer(&job->labels, engine_labels_unref);
    job->state = ENGINE_JOB_IDLE;
    job->detection_count = 0;
    job->op_count = 0;
    job->alone = FALSE;
}

void engine_job_clear(struct engine_job *job)
{
    engine_job_reset(job);
    g_clear_pointer(&job->detections, g_free);
    g_clear_pointer(&job->op_times, g_free);
    job->op_capacity = 0;
}

static void append(struct engine_stream *stream, struct engine_job *job)
{
    job->next = NULL;
    if (stream->last)
        stream->last->next = job;
    else
        stream->first = job;
    stream->last = job;
    stream->pending++;
    stream->engine->pending++;
}

void engine_submit(struct engine_stream *stream, struct engine_job *const *jobs, guint count)
{
    struct engine *engine = stream->engine;
    GstClockTime now = gst_util_get_timestamp();
    g_mutex_lock(&engine->lock);
    if (count > 0) {
        stream->frames++;
        jobs[0]->unfinished = count;
    }
    for (guint i = 0; i < count; i++) {
        struct engine_job *job = jobs[i];
        job->stream = stream;
        job->first = jobs[0];
        job->state = ENGINE_JOB_PENDING;
        job->submitted = now;
        if (engine->state == ENGINE_BROKEN)
            engine_finish_job(job, ENGINE_FAILED, &engine->error);
        else if (engine->state == ENGINE_REPLACING || job->device_number != engine->device->number)
            engine_finish_job(job, ENGINE_LOST, NULL);
        else
            append(stream, job);
    }
    g_cond_signal(&engine->work);
    g_mutex_unlock(&engine->lock);
}

guint engine_stream_frames(struct engine_stream *stream)
{
    g_mutex_lock(&stream->engine->lock);
    guint frames = stream->frames;
    g_mutex_unlock(&stream->engine->lock);
    return frames;
}

gboolean engine_stream_wait_room(struct engine_stream *stream, guint most)
{
    g_mutex_lock(&stream->engine->lock);
    while (stream->frames >= most && !stream->flushing)
        g_cond_wait(&stream->changed, &stream->engine->lock);
    gboolean room = !stream->flushing;
    g_mutex_unlock(&stream->engine->lock);
    return room;
}

gboolean engine_jobs_done(struct engine_stream *stream, struct engine_job *const *jobs, guint count)
{
    gboolean done = TRUE;
    g_mutex_lock(&stream->engine->lock);
    for (guint i = 0; i < count; i++)
        done = done && jobs[i]->state == ENGINE_JOB_DONE;
    g_mutex_unlock(&stream->engine->lock);
    return done;
}

void engine_wait(struct engine_stream *stream, struct engine_job *job)
{
    g_mutex_lock(&stream->engine->lock);
    while (job->state != ENGINE_JOB_DONE)
        g_cond_wait(&stream->changed, &stream->engine->lock);
    g_mutex_unlock(&stream->engine->lock);
}

/* The list without `job`. */
static void unlink_pending(struct engine_stream *stream, const struct engine_job *job)
{
    struct engine_job *last = NULL, **link = &stream->first;
    while (*link) {
        if (*link == job) {
            *link = job->next;
            stream->pending--;
            stream->engine->pending--;
        } else {
            last = *link;
            link = &last->next;
        }
    }
    stream->last = last;
}

gboolean engine_cancel(struct engine_stream *stream, struct engine_job *const *jobs, guint count)
{
    gboolean possible = TRUE;
    g_mutex_lock(&stream->engine->lock);
    for (guint i = 0; i < count; i++)
        possible = possible && jobs[i]->state == ENGINE_JOB_PENDING;
    for (guint i = 0; possible && i < count; i++) {
        unlink_pending(stream, jobs[i]);
        engine_finish_job(jobs[i], ENGINE_CANCELLED, NULL);
    }
    g_mutex_unlock(&stream->engine->lock);
    return possible;
}
