/* What shrikedetect runs frames on: device, model, labels and session, opened from the element's settings.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_ENGINE_H
#define SHRIKE_GST_ENGINE_H

#include <gst/gst.h>
#include <shrike/session.h>

G_BEGIN_DECLS

/* `device` that selects the plain C reference instead of Vulkan. */
#define ENGINE_DEVICE_REFERENCE "cpu-reference"

/* The element's properties. Strings are owned. */
struct engine_settings {
    char *model_file; /* NULL or "": the embedded default model */
    char *label_file; /* NULL or "": the default model's own labels, none for other models */
    char *device;     /* as shk_device_params.select, or ENGINE_DEVICE_REFERENCE */
    char *cache_dir;  /* NULL: the user's cache folder; "": no cache */
    float score_threshold, iou_threshold;
    guint max_detections;
    guint max_in_flight;
};

void engine_settings_copy(struct engine_settings *to, const struct engine_settings *from);
void engine_settings_clear(struct engine_settings *settings);

struct engine {
    struct shk_device *device; /* NULL for the reference */
    struct shk_model *model;
    struct shk_session *session;
    GQuark *labels; /* names of the classes, interned so that the metas can use them for ever */
    guint label_count;
    char device_name[256];
    struct shk_log log;
};

/* Device first and by itself: whether there is one is known on READY, and going back and forth between READY
 * and PAUSED must not pay for it. Both leave nothing behind when they fail. */
gboolean engine_open_device(struct engine *engine, const struct engine_settings *settings, struct shk_log log,
                            struct shk_error *error);
gboolean engine_open_model(struct engine *engine, const struct engine_settings *settings,
                           struct shk_error *error);

void engine_close_model(struct engine *engine);
void engine_close(struct engine *engine);

G_END_DECLS
#endif
