/* Another model while the engine runs, another device when the old one was lost.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core_log.h"
#include "engine_private.h"

/* ---- lost devices ---- */

/* With the lock. FALSE: too often. */
static gboolean note_loss(struct engine *engine)
{
    GstClockTime now = gst_util_get_timestamp(), oldest = engine->losses[0];
    for (guint i = 0; i + 1 < ENGINE_MAX_LOSSES; i++)
        engine->losses[i] = engine->losses[i + 1];
    engine->losses[ENGINE_MAX_LOSSES - 1] = now;
    engine->counts.device_losses++;
    oldest = engine->losses[0];
    return oldest == 0 || now - oldest > ENGINE_LOSS_PERIOD;
}

void engine_device_lost(struct engine *engine)
{
    if (engine->state != ENGINE_RUNNING)
        return;
    if (!note_loss(engine)) {
        struct shk_error error = {.status = SHK_ERROR_DEVICE_LOST};
        g_snprintf(error.message, sizeof(error.message),
                   "the device %s was lost %d times within a minute: its driver or hardware is at fault, or "
                   "another program hangs it; see the kernel's log, or choose another device",
                   engine->device->name, ENGINE_MAX_LOSSES);
        engine_break(engine, &error);
        return;
    }
    engine_set_state(engine, ENGINE_REPLACING);
    engine_finish_pending(engine, ENGINE_LOST, NULL);
}

void engine_replace_device(struct engine *engine)
{
    struct engine_settings settings;
    struct shk_error error = {0};
    struct engine_device *old_device = engine->device, *device = NULL;
    struct engine_model *old_model = engine->model, *model = NULL;
    engine->model = NULL;
    g_mutex_unlock(&engine->lock);
    engine_model_unref(old_model);

    g_mutex_lock(&engine->build_lock);
    g_mutex_lock(&engine->lock);
    engine_settings_copy(&settings, &engine->settings);
    g_mutex_unlock(&engine->lock);
    if (old_device->adopted) {
        error.status = SHK_ERROR_DEVICE_LOST;
        g_snprintf(error.message, sizeof(error.message),
                   "the device %s was lost; it is shared with other elements, which have to be restarted too",
                   old_device->name);
    } else {
        device = engine_device_open(&settings, engine->log, &error);
    }
    if (device)
        model = engine_model_open(device->device, &settings, engine->log, &error);
    engine_settings_clear(&settings);

    g_mutex_lock(&engine->lock);
    if (model) {
        engine->device = device;
        engine->model = model;
        engine_set_state(engine, ENGINE_RUNNING);
    } else {
        engine_break(engine, &error);
    }
    g_mutex_unlock(&engine->lock);
    g_mutex_unlock(&engine->build_lock);
    engine_device_unref(model ? old_device : device);
    g_mutex_lock(&engine->lock);
}

/* ---- other people's devices ---- */

static struct engine *refuse(struct shk_error *error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static struct engine *refuse(struct shk_error *error, const char *format, ...)
{
    va_list arguments;
    error->status = SHK_ERROR_UNSUPPORTED;
    va_start(arguments, format);
    g_vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return NULL;
}

static gboolean same_hardware(const struct engine_device *running, const struct shk_device_info *to)
{
    struct shk_device_info info;
    if (!running->device)
        return FALSE;
    shk_device_get_info(running->device, &info);
    return memcmp(info.uuid, to->uuid, sizeof(info.uuid)) == 0;
}

/* Takes the reference of `device`. */
static struct engine *open_there(const struct engine_settings *settings, struct shk_log log,
                                 struct shk_device *device, struct shk_error *error)
{
    struct engine *engine = engine_new(settings, log);
    engine->device = engine_device_new(device);
    engine->device->adopted = TRUE;
    if (engine_start(engine, settings, error))
        return engine;
    engine_close(engine);
    return NULL;
}

struct engine *engine_move(struct engine *engine, struct shk_device *device, struct shk_error *error)
{
    struct engine_settings settings;
    struct shk_device_info to;
    struct engine *moved = NULL;
    struct engine_device *running = engine_get_device(engine);
    g_mutex_lock(&engine->lock);
    engine_settings_copy(&settings, &engine->settings);
    g_mutex_unlock(&engine->lock);
    shk_device_get_info(device, &to);
    if (running->device == device)
        moved = engine_ref(engine);
    else if (engine->shared)
        refuse(error,
               "the frames are in the memory of another Vulkan device of this process (%s) than engine-id \"%s\" "
               "runs on: put vulkandownload in between, or unset engine-id",
               to.name, settings.engine_id);
    else if (engine_settings_is_set(settings.device) && !same_hardware(running, &to))
        refuse(error,
               "the frames are in the memory of %s, but device=%s asks for %s: put vulkandownload in between, or unset "
               "device",
               to.name, settings.device, running->name);
    else
        moved = open_there(&settings, engine->log, g_steal_pointer(&device), error);
    shk_device_destroy(&device);
    engine_device_unref(running);
    engine_settings_clear(&settings);
    return moved;
}

/* ---- other models ---- */

struct engine_swap_request {
    GstElement *element;
    guint number;
    void (*done)(GstElement *element, guint number);
    struct engine_settings settings;
};

static void free_request(struct engine_swap_request *request)
{
    if (!request)
        return;
    gst_object_unref(request->element);
    engine_settings_clear(&request->settings);
    g_free(request);
}

/* So that the first frame after the change need not wait for its pipeline. */
static void prepare_formats(struct engine_model *to, struct engine_model *from)
{
    struct shk_frame_format known[ENGINE_IDLE_FORMATS];
    guint count = 0;
    g_mutex_lock(&from->formats_lock);
    for (guint i = 0; i < from->formats->len && count < G_N_ELEMENTS(known); i++)
        known[count++] = ((struct engine_format *)g_ptr_array_index(from->formats, i))->format;
    g_mutex_unlock(&from->formats_lock);
    for (guint i = 0; i < count; i++) {
        struct engine_format *format = engine_model_take_format(to, &known[i], NULL);
        if (format)
            engine_model_give_format(to, format);
    }
}

static void report_swap(GstElement *element, const struct engine_settings *settings, const struct shk_error *error)
{
    if (error) {
        core_log_post_warning(element, error, "changing the model; the old one goes on");
        return;
    }
    GstStructure *structure = gst_structure_new(
        "shrike-model", "model-file", G_TYPE_STRING, settings->model_file ? settings->model_file : "", NULL);
    gst_element_post_message(element, gst_message_new_element(GST_OBJECT(element), structure));
}

static void take_over(struct engine *engine, struct engine_model *model, const struct engine_settings *settings)
{
    g_mutex_lock(&engine->lock);
    /* while a lost device is being replaced the settings will do: the model that is loaded next is this one */
    gboolean usable = engine->state == ENGINE_RUNNING;
    struct engine_model *old = usable ? engine->model : model;
    if (usable)
        engine->model = model;
    g_free(engine->settings.model_file);
    g_free(engine->settings.label_file);
    engine->settings.model_file = g_strdup(settings->model_file);
    engine->settings.label_file = g_strdup(settings->label_file);
    g_mutex_unlock(&engine->lock);
    engine_model_unref(old);
}

static void set_busy(struct shk_error *error, const struct engine_device *device)
{
    error->status = SHK_ERROR_BUSY;
    g_snprintf(error->message, sizeof(error->message),
               "the device %s was lost and is being replaced: set model-file again when frames are inferred again",
               device->name);
}

static void do_swap(struct engine *engine, struct engine_swap_request *request)
{
    struct shk_error error;
    struct engine_settings settings;
    g_mutex_lock(&engine->build_lock);
    g_mutex_lock(&engine->lock);
    engine_settings_copy(&settings, &engine->settings);
    struct engine_device *device = engine_device_ref(engine->device);
    struct engine_model *running = engine->model ? engine_model_ref(engine->model) : NULL;
    g_mutex_unlock(&engine->lock);
    g_free(settings.model_file);
    g_free(settings.label_file);
    settings.model_file = g_strdup(request->settings.model_file);
    settings.label_file = g_strdup(request->settings.label_file);

    struct engine_model *model = NULL;
    if (running)
        model = engine_model_open(device->device, &settings, engine->log, &error);
    else
        set_busy(&error, device);
    if (model) {
        prepare_formats(model, running);
        take_over(engine, model, &settings);
    }
    report_swap(request->element, &settings, model ? NULL : &error);
    engine_model_unref(running);
    engine_device_unref(device);
    engine_settings_clear(&settings);
    g_mutex_unlock(&engine->build_lock);
}

static gpointer swap_models(gpointer data)
{
    struct engine *engine = data;
    for (;;) {
        g_mutex_lock(&engine->lock);
        struct engine_swap_request *request = engine->swap;
        engine->swap = NULL;
        engine->swapping = request != NULL;
        g_mutex_unlock(&engine->lock);
        if (!request)
            return NULL;
        do_swap(engine, request);
        request->done(request->element, request->number);
        free_request(request);
    }
}

void engine_swap(struct engine *engine, GstElement *element, const struct engine_settings *settings, guint number,
                 void (*done)(GstElement *element, guint number))
{
    struct engine_swap_request *request = g_new0(struct engine_swap_request, 1);
    request->element = gst_object_ref(element);
    request->number = number;
    request->done = done;
    engine_settings_copy(&request->settings, settings);
    g_mutex_lock(&engine->lock);
    struct engine_swap_request *older = engine->swap;
    engine->swap = request;
    GThread *finished = NULL;
    if (!engine->swapping) {
        engine->swapping = TRUE;
        finished = engine->swapper;
        engine->swapper = NULL;
    }
    gboolean start = !engine->swapper;
    if (start)
        engine->swapper = g_thread_new("shrike-swap", swap_models, engine);
    g_mutex_unlock(&engine->lock);
    if (finished)
        g_thread_join(finished);
    free_request(older);
}

void engine_stop_swapping(struct engine *engine)
{
    g_mutex_lock(&engine->lock);
    struct engine_swap_request *waiting = engine->swap;
    GThread *swapper = engine->swapper;
    engine->swap = NULL;
    engine->swapper = NULL;
    g_mutex_unlock(&engine->lock);
    if (swapper)
        g_thread_join(swapper);
    free_request(waiting);
}
