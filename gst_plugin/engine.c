/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine.h"

#include <string.h>

static gboolean is_set(const char *text)
{
    return text && *text;
}

void engine_settings_copy(struct engine_settings *to, const struct engine_settings *from)
{
    *to = *from;
    to->model_file = g_strdup(from->model_file);
    to->label_file = g_strdup(from->label_file);
    to->device = g_strdup(from->device);
    to->cache_dir = g_strdup(from->cache_dir);
}

void engine_settings_clear(struct engine_settings *settings)
{
    g_clear_pointer(&settings->model_file, g_free);
    g_clear_pointer(&settings->label_file, g_free);
    g_clear_pointer(&settings->device, g_free);
    g_clear_pointer(&settings->cache_dir, g_free);
}

gboolean engine_open_device(struct engine *engine, const struct engine_settings *settings, struct shk_log log,
                            struct shk_error *error)
{
    engine->log = log;
    if (g_strcmp0(settings->device, ENGINE_DEVICE_REFERENCE) == 0) {
        g_strlcpy(engine->device_name, ENGINE_DEVICE_REFERENCE, sizeof(engine->device_name));
        return TRUE;
    }
    struct shk_device_params params = SHK_DEVICE_PARAMS_DEFAULT;
    params.select = settings->device;
    /* for developers and the tests: the Khronos validation layer, messages to the debug log */
    params.validation = g_strcmp0(g_getenv("SHRIKE_VALIDATION"), "1") == 0;
    params.log = log;
    if (shk_device_create(&params, &engine->device, error) != SHK_OK)
        return FALSE;
    struct shk_device_info info;
    shk_device_get_info(engine->device, &info);
    g_strlcpy(engine->device_name, info.name, sizeof(engine->device_name));
    return TRUE;
}

static gboolean load_labels(struct engine *engine, const struct engine_settings *settings,
                            struct shk_error *error)
{
    struct shk_labels *labels = NULL;
    enum shk_status status = SHK_OK;
    if (is_set(settings->label_file))
        status =
            shk_labels_load_file(settings->label_file, shk_model_class_count(engine->model), &labels, error);
    else if (!is_set(settings->model_file))
        status = shk_labels_load_default(&labels, error);
    if (status != SHK_OK)
        return FALSE;
    engine->label_count = labels ? shk_labels_count(labels) : 0;
    engine->labels = g_new(GQuark, engine->label_count);
    for (guint i = 0; i < engine->label_count; i++)
        engine->labels[i] = g_quark_from_string(shk_labels_get(labels, i));
    shk_labels_destroy(&labels);
    return TRUE;
}

static gboolean create_session(struct engine *engine, const struct engine_settings *settings,
                               struct shk_error *error)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    params.frames_in_flight = settings->max_in_flight;
    params.score_threshold = settings->score_threshold;
    params.iou_threshold = settings->iou_threshold;
    params.max_detections = settings->max_detections;
    params.log = engine->log;
    char *default_dir = g_build_filename(g_get_user_cache_dir(), "shrike", NULL);
    const char *cache_dir = settings->cache_dir ? settings->cache_dir : default_dir;
    params.cache_dir = is_set(cache_dir) ? cache_dir : NULL;
    enum shk_status status =
        shk_session_create(engine->device, engine->model, &params, &engine->session, error);
    g_free(default_dir);
    return status == SHK_OK;
}

gboolean engine_open_model(struct engine *engine, const struct engine_settings *settings,
                           struct shk_error *error)
{
    enum shk_status status = is_set(settings->model_file)
                                 ? shk_model_load_file(settings->model_file, &engine->model, error)
                                 : shk_model_load_default(&engine->model, error);
    if (status != SHK_OK)
        return FALSE;
    if (load_labels(engine, settings, error) && create_session(engine, settings, error))
        return TRUE;
    engine_close_model(engine);
    return FALSE;
}

void engine_close_model(struct engine *engine)
{
    shk_session_destroy(&engine->session);
    shk_model_destroy(&engine->model);
    g_clear_pointer(&engine->labels, g_free);
    engine->label_count = 0;
}

void engine_close(struct engine *engine)
{
    engine_close_model(engine);
    shk_device_destroy(&engine->device);
    memset(engine, 0, sizeof(*engine));
}
