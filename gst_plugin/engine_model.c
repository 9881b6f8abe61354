/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine_model.h"

#include <string.h>

/* ---- class names ---- */

static struct engine_labels *labels_new(const struct shk_labels *names, enum shk_decoder decoder)
{
    struct engine_labels *labels = g_new0(struct engine_labels, 1);
    g_atomic_ref_count_init(&labels->refs);
    labels->count = names ? shk_labels_count(names) : 0;
    labels->names = g_new(GQuark, labels->count);
    for (guint i = 0; i < labels->count; i++)
        labels->names[i] = g_quark_from_string(shk_labels_get(names, i));
    labels->decoder = decoder;
    return labels;
}

struct engine_labels *engine_labels_ref(struct engine_labels *labels)
{
    g_atomic_ref_count_inc(&labels->refs);
    return labels;
}

void engine_labels_unref(struct engine_labels *labels)
{
    if (!labels || !g_atomic_ref_count_dec(&labels->refs))
        return;
    g_free(labels->names);
    g_free(labels);
}

static gboolean load_labels(struct engine_model *model, const struct engine_settings *settings,
                            struct shk_error *error)
{
    struct shk_labels *names = NULL;
    enum shk_status status = SHK_OK;
    if (engine_settings_is_set(settings->label_file))
        status =
            shk_labels_load_file(settings->label_file, shk_model_class_count(model->model), &names, error);
    else if (!engine_settings_is_set(settings->model_file))
        status = shk_labels_load_default(&names, error);
    if (status != SHK_OK)
        return FALSE;
    model->labels = labels_new(names, shk_model_decoder(model->model));
    shk_labels_destroy(&names);
    return TRUE;
}

/* ---- the session ---- */

/* batch-size=0: as large as costs no latency, measured. */
static gboolean choose_batch(struct engine_model *model, struct shk_device *device,
                             const struct engine_settings *settings, struct shk_session_params *params,
                             struct shk_error *error)
{
    if (params->batch_size > 0)
        return TRUE;
    struct shk_batch_search_params search = SHK_BATCH_SEARCH_PARAMS_QUICK;
    struct shk_batch_point points[SHK_MAX_BATCH_SIZE];
    guint count = G_N_ELEMENTS(points);
    params->batch_size = 1;
    search.session = *params;
    search.latency_budget_ns = settings->latency_budget;
    return shk_batch_search(device, model->model, &search, points, &count, &params->batch_size, error) == SHK_OK;
}

/* The core calls it batch_size. */
static void name_property(struct shk_error *error, guint batch_size)
{
    char *message = g_strdup_printf("batch-size=%u: %s", batch_size, error->message);
    g_strlcpy(error->message, message, sizeof(error->message));
    g_free(message);
}

/* A device that is the plain C reference, NULL, has nothing to tune. */
static gboolean tune(const struct engine_model *model, struct shk_device *device,
                     const struct engine_settings *settings, const struct shk_session_params *params,
                     struct shk_error *error)
{
    struct shk_tune_params tuning = {.mode = settings->tune, .cache_dir = params->cache_dir, .log = params->log};
    return !device || settings->tune == SHK_TUNE_OFF || shk_tune(device, model->model, &tuning, NULL, error) == SHK_OK;
}

static gboolean create_session(struct engine_model *model, struct shk_device *device,
                               const struct engine_settings *settings, struct shk_log log,
                               struct shk_error *error)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    params.frames_in_flight = settings->max_in_flight;
    params.batch_size = settings->batch_size;
    params.score_threshold = settings->score_threshold;
    params.iou_threshold = settings->iou_threshold;
    params.max_detections = settings->max_detections;
    params.profile_ops = settings->profile_ops;
    params.detections_only = true;
    params.no_fusion = SHK_FUSION_ALL & ~settings->fusion;
    params.log = log;
    char *default_dir = g_build_filename(g_get_user_cache_dir(), "shrike", NULL);
    const char *cache_dir = settings->cache_dir ? settings->cache_dir : default_dir;
    params.cache_dir = engine_settings_is_set(cache_dir) ? cache_dir : NULL;
    gboolean created = tune(model, device, settings, &params, error) &&
                       choose_batch(model, device, settings, &params, error) &&
                       shk_session_create(device, model->model, &params, &model->session, error) == SHK_OK;
    g_free(default_dir);
    if (!created && params.batch_size > 1)
        name_property(error, params.batch_size);
    model->slots = params.frames_in_flight;
    model->batch_size = params.batch_size;
    model->op_count = settings->profile_ops ? shk_model_op_count(model->model) : 0;
    return created;
}

static gboolean run_once(struct engine_model *model, const void *const *inputs, guint count, GstClockTime *time,
                         struct shk_error *error)
{
    struct shk_result result;
    GstClockTime start = gst_util_get_timestamp();
    if (shk_session_submit_tensors(model->session, inputs, count, NULL, NULL, error) != SHK_OK ||
        shk_session_wait(model->session, UINT64_MAX, &result, error) != SHK_OK)
        return FALSE;
    shk_session_release(model->session, result.ticket);
    *time = gst_util_get_timestamp() - start;
    return TRUE;
}

/* A live pipeline asks for the latency before the first frame: what a batch takes must be known by then. The first
 * run pays for what drivers leave until then, so the second one counts. */
static gboolean try_out(struct engine_model *model, struct shk_error *error)
{
    guint inputs = shk_model_input_count(model->model), count = inputs * model->batch_size;
    const void **tensors = g_new(const void *, count);
    for (guint i = 0; i < count; i++) {
        struct shk_tensor_info info;
        shk_model_get_tensor(model->model, shk_model_input(model->model, i % inputs), &info);
        tensors[i] = i < inputs ? g_malloc0(info.bytes) : tensors[i % inputs];
    }
    gboolean done = run_once(model, tensors, count, &model->batch_time, error) &&
                    run_once(model, tensors, count, &model->batch_time, error);
    for (guint i = 0; i < inputs; i++)
        g_free((gpointer)tensors[i]);
    g_free(tensors);
    return done;
}

struct engine_model *engine_model_open(struct shk_device *device, const struct engine_settings *settings,
                                       struct shk_log log, struct shk_error *error)
{
    struct engine_model *model = g_new0(struct engine_model, 1);
    g_atomic_ref_count_init(&model->refs);
    g_mutex_init(&model->formats_lock);
    model->formats = g_ptr_array_new();
    enum shk_status status = engine_settings_is_set(settings->model_file)
                                 ? shk_model_load_file(settings->model_file, &model->model, error)
                                 : shk_model_load_default(&model->model, error);
    if (status == SHK_OK && load_labels(model, settings, error) &&
        create_session(model, device, settings, log, error) && try_out(model, error))
        return model;
    engine_model_unref(model);
    return NULL;
}

struct engine_model *engine_model_ref(struct engine_model *model)
{
    g_atomic_ref_count_inc(&model->refs);
    return model;
}

static void free_format(struct engine_format *format)
{
    shk_stream_destroy(&format->stream);
    g_free(format);
}

void engine_model_unref(struct engine_model *model)
{
    if (!model || !g_atomic_ref_count_dec(&model->refs))
        return;
    for (guint i = 0; i < model->formats->len; i++)
        free_format(g_ptr_array_index(model->formats, i));
    g_ptr_array_unref(model->formats);
    g_mutex_clear(&model->formats_lock);
    shk_session_destroy(&model->session);
    shk_model_destroy(&model->model);
    engine_labels_unref(model->labels);
    g_free(model);
}

/* ---- formats ---- */

/* With the lock. */
static struct engine_format *find_format(struct engine_model *model, const struct shk_frame_format *format)
{
    for (guint i = 0; i < model->formats->len; i++) {
        struct engine_format *known = g_ptr_array_index(model->formats, i);
        if (memcmp(&known->format, format, sizeof(*format)) == 0) {
            known->users++;
            return known;
        }
    }
    return NULL;
}

/* With the lock: one that nobody uses and that may go, oldest first, taken out of the list. */
static struct engine_format *surplus_format(struct engine_model *model)
{
    if (model->formats->len <= ENGINE_IDLE_FORMATS)
        return NULL;
    for (guint i = 0; i < model->formats->len; i++) {
        struct engine_format *known = g_ptr_array_index(model->formats, i);
        if (known->users == 0)
            return g_ptr_array_remove_index(model->formats, i);
    }
    return NULL;
}

struct engine_format *engine_model_take_format(struct engine_model *model, const struct shk_frame_format *format,
                                               struct shk_error *error)
{
    g_mutex_lock(&model->formats_lock);
    struct engine_format *found = find_format(model, format);
    g_mutex_unlock(&model->formats_lock);
    if (found)
        return found;

    struct engine_format *created = g_new0(struct engine_format, 1);
    created->format = *format;
    created->users = 1;
    if (shk_stream_create(model->session, format, &created->stream, error) != SHK_OK) {
        g_free(created);
        return NULL;
    }
    g_mutex_lock(&model->formats_lock);
    found = find_format(model, format); /* another thread may have been quicker */
    if (!found)
        g_ptr_array_add(model->formats, created);
    struct engine_format *surplus = surplus_format(model);
    g_mutex_unlock(&model->formats_lock);
    if (surplus)
        free_format(surplus);
    if (found)
        free_format(created);
    return found ? found : created;
}

void engine_model_give_format(struct engine_model *model, struct engine_format *format)
{
    g_mutex_lock(&model->formats_lock);
    format->users--;
    g_mutex_unlock(&model->formats_lock);
}
