/* What an engine is opened with: the properties of shrikedetect that choose model, device and batches.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_ENGINE_SETTINGS_H
#define SHRIKE_GST_ENGINE_SETTINGS_H

#include <gst/gst.h>
#include <shrike/tune.h>

G_BEGIN_DECLS

/* `device` that selects the plain C reference instead of Vulkan. */
#define ENGINE_DEVICE_REFERENCE "cpu-reference"

/* Strings are owned. */
struct engine_settings {
    char *engine_id;  /* NULL or "": an engine of its own */
    char *model_file; /* NULL or "": the embedded default model */
    char *label_file; /* NULL or "": the default model's own labels, none for other models */
    char *device;     /* as shk_device_params.select, or ENGINE_DEVICE_REFERENCE */
    char *cache_dir;  /* NULL: the user's cache folder; "": no cache */
    float score_threshold, iou_threshold;
    guint max_detections;
    guint max_in_flight; /* batches on the device at a time */
    guint batch_size;    /* 0: measured */
    GstClockTime batch_timeout;
    GstClockTime latency_budget; /* for batch_size 0; 0: none */
    gboolean profile_ops;        /* measure every op: for traces */
    enum shk_tune_mode tune;     /* before a session is made */
    guint fusion;                /* bits of enum shk_fusion that are on */
};

void engine_settings_copy(struct engine_settings *to, const struct engine_settings *from);
void engine_settings_clear(struct engine_settings *settings);

/* NULL if elements with these settings can share an engine; else a line that says what differs, to be freed.
 * max_in_flight may differ: each element keeps to its own. */
char *engine_settings_difference(const struct engine_settings *theirs, const struct engine_settings *ours);

/* For messages: the model's file, or "the built-in model". */
const char *engine_settings_model_name(const struct engine_settings *settings);

/* The type of the property `tune`. */
#define ENGINE_TYPE_TUNE (engine_tune_get_type())
GType engine_tune_get_type(void);

/* The type of the property `fusion`: flags. */
#define ENGINE_TYPE_FUSION (engine_fusion_get_type())
GType engine_fusion_get_type(void);

/* Whether a string property says anything. */
gboolean engine_settings_is_set(const char *text);

G_END_DECLS
#endif
