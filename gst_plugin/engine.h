/* What frames run on: a device, a model, and two threads that keep the device busy. One element has an engine to
 * itself, or several share one by name; their frames then go to the device in common batches.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     element: engine_open (READY) -> engine_start (PAUSED) -> engine_stream_new
 *         -> { engine_submit -> engine_wait } ... -> engine_stream_free -> engine_close
 *
 * The dispatcher thread takes jobs from the streams in turn and sends them to the device; the collector thread waits
 * for the device, copies the results into the jobs and gives the slot back at once. So nobody waits for the device
 * with a lock held, and a stream whose downstream is blocked holds nothing that others need.
 *
 * Threads: everything may be called from any thread, but engine_submit and engine_stream_free of one stream not at the
 * same time. */
#ifndef SHRIKE_GST_ENGINE_H
#define SHRIKE_GST_ENGINE_H

#include <gst/gst.h>
#include <shrike/session.h>

#include "engine_model.h"
#include "engine_settings.h"

G_BEGIN_DECLS

struct engine;
struct engine_stream;

/* Largest max-detections that a session takes. */
#define ENGINE_MAX_DETECTIONS 1000
#define ENGINE_MAX_BATCH      32

/* A device as long as anybody uses it; after a loss the engine has another one, with a higher number. */
struct engine_device {
    gatomicrefcount refs;
    struct shk_device *device; /* NULL: the C reference */
    gboolean adopted;          /* it is somebody else's: when it is lost nobody here can open another one */
    char name[256];
    guint number;
};

struct engine_device *engine_device_ref(struct engine_device *device);
void engine_device_unref(struct engine_device *device);

enum engine_job_state { ENGINE_JOB_IDLE, ENGINE_JOB_PENDING, ENGINE_JOB_RUNNING, ENGINE_JOB_DONE };

enum engine_outcome {
    ENGINE_OK,
    ENGINE_CANCELLED, /* by engine_cancel(), before it reached the device */
    ENGINE_LOST,      /* the device was lost meanwhile: there is another one now */
    ENGINE_FAILED,    /* see error */
};

/* One run of the network on a frame or on a part of it. The stream's element owns jobs, fills in the first part, and
 * leaves a job alone between engine_submit() and the moment it is done. */
struct engine_job {
    struct shk_frame frame; /* with memory */
    struct shk_frame_format format;
    guint device_number; /* of the device that the memory is of */

    enum engine_job_state state;
    enum engine_outcome outcome;
    struct shk_error error;
    GstClockTime submitted, finished; /* CLOCK_MONOTONIC */
    struct shk_stage_time stages[SHK_STAGE_COUNT];
    struct shk_detection *detections; /* the job's own, room for ENGINE_MAX_DETECTIONS */
    guint detection_count;
    guint batch_size;
    guint64 *op_times; /* nanoseconds, op_count of them: the whole batch's; with profile_ops */
    guint op_count, op_capacity;
    struct engine_labels *labels; /* a reference, given back by engine_job_reset() */

    struct engine_stream *stream;
    struct engine_job *next;
    struct engine_job *first; /* of those that were submitted together */
    guint unfinished;         /* the first one's: how many of them are not done */
    gboolean alone; /* not to share a batch, as its frame may be the one that a batch was refused for */
};

void engine_job_init(struct engine_job *job);
void engine_job_reset(struct engine_job *job); /* to idle; a job that is done or idle */
void engine_job_clear(struct engine_job *job);

/* An engine of its own, or the one that has this engine_id. Opens the device unless it is open. NULL with *error: also
 * when an engine of that name runs with other settings. */
struct engine *engine_open(const struct engine_settings *settings, struct shk_log log, struct shk_error *error);
struct engine *engine_ref(struct engine *engine);
/* Drops a reference; with the last one all ends. NULL is fine. */
void engine_close(struct engine *engine);

/* Loads the model and starts the threads, unless another element has done so. */
gboolean engine_start(struct engine *engine, const struct engine_settings *settings, struct shk_error *error);

/* The same model with the same settings on `device`, which is somebody else's: another engine, started; or this one (a
 * reference more) if it runs there already. Takes the caller's reference of `device` in any case. NULL with *error: the
 * engine has a name, so that others' frames are on its device; its settings name another device; the model does not
 * open. The old engine goes on until it is closed. */
struct engine *engine_move(struct engine *engine, struct shk_device *device, struct shk_error *error);

/* The device at this moment; a reference. */
struct engine_device *engine_get_device(struct engine *engine);
/* The model at this moment; a reference. NULL before engine_start() and while a lost device is being replaced. */
struct engine_model *engine_get_model(struct engine *engine);
/* TRUE with *error if the engine does not run any more: close it and open another one. */
gboolean engine_is_broken(struct engine *engine, struct shk_error *error);
/* Settings that may have changed by engine_swap(): copies of model_file and label_file, to be freed. */
void engine_get_files(struct engine *engine, char **model_file, char **label_file);

struct engine_status {
    guint streams;
    guint batch_size;
    guint64 device_losses;
    guint64 batches, frames; /* done; frames / batches is the mean batch */
};
void engine_get_status(struct engine *engine, struct engine_status *status);

/* A place for one element's frames, at most `depth` at a time. */
struct engine_stream *engine_stream_new(struct engine *engine, guint depth);
/* Cancels what waits and waits for what runs. */
void engine_stream_free(struct engine_stream *stream);
void engine_stream_quiesce(struct engine_stream *stream);

/* The longest that a frame of this stream has to wait for its result: batches of `batch_time` (0: as it was when the
 * model was tried out), when every stream of the engine has sent all it may, and this one `more` frames on top. */
GstClockTime engine_stream_worst_latency(struct engine_stream *stream, GstClockTime batch_time, guint more);

/* Waits while a lost device is being replaced, unless `cancelled` (see engine_stream_set_flushing). FALSE: cancelled. */
gboolean engine_stream_wait_ready(struct engine_stream *stream);
gboolean engine_is_ready(struct engine *engine);
/* TRUE wakes engine_stream_wait_ready(). */
void engine_stream_set_flushing(struct engine_stream *stream, gboolean flushing);

/* Queues the jobs of a frame for the device. What cannot be queued (failed engine, device of another number) is done at
 * once, with its outcome: look at it with engine_wait(). */
void engine_submit(struct engine_stream *stream, struct engine_job *const *jobs, guint count);
/* Frames of this stream that have a job that is not done. */
guint engine_stream_frames(struct engine_stream *stream);
/* Waits until there are fewer than `most` such frames. FALSE: flushing. */
gboolean engine_stream_wait_room(struct engine_stream *stream, guint most);
gboolean engine_jobs_done(struct engine_stream *stream, struct engine_job *const *jobs, guint count);
/* Waits until the job is done. */
void engine_wait(struct engine_stream *stream, struct engine_job *job);
/* Takes all of these jobs back if none has reached the device. */
gboolean engine_cancel(struct engine_stream *stream, struct engine_job *const *jobs, guint count);

/* Loads the model_file and label_file of `settings` beside the running model, in a thread of its own, and lets them take
 * over between two batches. `element` gets a warning if that fails, and the old model runs on; else an element message
 * "shrike-model". `done` is then called from that thread, with `number`. A second request while one is at work waits;
 * of several that wait the newest wins, and `done` is not called for the others. */
void engine_swap(struct engine *engine, GstElement *element, const struct engine_settings *settings, guint number,
                 void (*done)(GstElement *element, guint number));

G_END_DECLS
#endif
