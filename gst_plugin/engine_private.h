/* The inside of an engine, for engine.c (life), engine_dispatch.c (the two threads) and engine_replace.c (another
 * model, another device).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_ENGINE_PRIVATE_H
#define SHRIKE_GST_ENGINE_PRIVATE_H

#include "engine.h"

G_BEGIN_DECLS

/* Two sessions at most have batches on the device, the new one and the old one. */
#define ENGINE_RUNNING_BATCHES 32

/* So many losses within a minute are not bad luck. */
#define ENGINE_MAX_LOSSES  3
#define ENGINE_LOSS_PERIOD (60 * GST_SECOND)

enum engine_state {
    ENGINE_IDLE,    /* no model yet */
    ENGINE_RUNNING,
    ENGINE_REPLACING, /* the device was lost */
    ENGINE_BROKEN,  /* see error */
};

struct engine_batch {
    struct engine_model *model; /* a reference */
    struct engine_format *formats[ENGINE_MAX_BATCH];
    struct engine_job *jobs[ENGINE_MAX_BATCH];
    guint count;
};

struct engine_stream {
    struct engine *engine;
    guint depth;
    struct engine_job *first, *last; /* pending, in order */
    guint pending, running;          /* jobs */
    guint frames;                    /* with jobs that are not done */
    gboolean flushing;
    GCond changed; /* a job is done, or the engine has another state */
};

struct engine {
    guint refs; /* the registry's lock */
    gboolean shared;
    struct shk_log log;

    /* Held while a model or a device is opened, for long; never together with waiting for frames. */
    GMutex build_lock;

    GMutex lock; /* for all below and the streams; held for moments only */
    GCond work;      /* for the dispatcher */
    GCond submitted; /* for the collector */
    enum engine_state state;
    struct shk_error error; /* broken */
    struct engine_settings settings;
    struct engine_device *device;
    struct engine_model *model;
    GPtrArray *streams;
    guint next_stream; /* whose turn it is */
    guint pending;     /* jobs of all streams */

    struct engine_batch batches[ENGINE_RUNNING_BATCHES]; /* on the device, oldest first */
    guint head, running;

    GstClockTime losses[ENGINE_MAX_LOSSES];
    struct engine_status counts;
    gboolean stopping;
    GThread *dispatcher, *collector;

    struct engine_swap_request *swap; /* the newest that waits */
    GThread *swapper;
    gboolean swapping;
};

/* engine_dispatch.c */
void engine_start_threads(struct engine *engine);
void engine_stop_threads(struct engine *engine);
/* All with the lock. */
void engine_finish_job(struct engine_job *job, enum engine_outcome outcome, const struct shk_error *error);
void engine_finish_pending(struct engine *engine, enum engine_outcome outcome, const struct shk_error *error);
void engine_set_state(struct engine *engine, enum engine_state state);
void engine_break(struct engine *engine, const struct shk_error *error);
struct engine_job *engine_stream_pop(struct engine_stream *stream);

/* engine.c. Without the lock. */
struct engine *engine_new(const struct engine_settings *settings, struct shk_log log);
struct engine_device *engine_device_new(struct shk_device *handle); /* takes the reference */
/* Opens what `settings` name. */
struct engine_device *engine_device_open(const struct engine_settings *settings, struct shk_log log,
                                         struct shk_error *error);

/* engine_replace.c */
/* The dispatcher's, with the lock, which is let go meanwhile: the device is lost and no batch is on it any more. */
void engine_replace_device(struct engine *engine);
void engine_device_lost(struct engine *engine); /* with the lock */
void engine_stop_swapping(struct engine *engine);

G_END_DECLS
#endif
