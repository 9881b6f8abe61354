/* A model that is ready to run on an engine's device: session, class names, and what it needs for each frame format.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_ENGINE_MODEL_H
#define SHRIKE_GST_ENGINE_MODEL_H

#include <gst/gst.h>
#include <shrike/batch.h>

#include "engine_settings.h"

G_BEGIN_DECLS

/* Names outlive the model: a frame that it worked on may still be on its way when the model has been replaced. */
struct engine_labels {
    gatomicrefcount refs;
    GQuark *names; /* interned, so that the metas can use them for ever */
    guint count;   /* 0: the classes have numbers only */
    enum shk_decoder decoder;
};

struct engine_labels *engine_labels_ref(struct engine_labels *labels);
void engine_labels_unref(struct engine_labels *labels);

/* One frame format of this model. */
struct engine_format {
    struct shk_frame_format format;
    struct shk_stream *stream;
    guint users;
};

/* Formats that are kept although nobody uses them: going back to one costs nothing. */
#define ENGINE_IDLE_FORMATS 16

struct engine_model {
    gatomicrefcount refs;
    struct shk_model *model;
    struct shk_session *session;
    struct engine_labels *labels;
    guint op_count;         /* with profile_ops, else 0 */
    guint slots;            /* batches that the session takes at a time */
    guint batch_size;       /* frames in each at most */
    GstClockTime batch_time; /* what a full batch took when it was tried out at the start */

    GMutex formats_lock; /* never held while a stream is created */
    GPtrArray *formats;

    guint running; /* batches; the engine's lock */
};

/* Loads, plans, compiles and tries out. `device` NULL: the C reference. On failure *error says why. */
struct engine_model *engine_model_open(struct shk_device *device, const struct engine_settings *settings,
                                       struct shk_log log, struct shk_error *error);
struct engine_model *engine_model_ref(struct engine_model *model);
void engine_model_unref(struct engine_model *model);

/* Finds or creates; to be given back when no frame of it is in flight. Any thread. NULL with *error. */
struct engine_format *engine_model_take_format(struct engine_model *model, const struct shk_frame_format *format,
                                               struct shk_error *error);
void engine_model_give_format(struct engine_model *model, struct engine_format *format);

G_END_DECLS
#endif
