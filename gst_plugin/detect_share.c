/* Frames in the Vulkan memory of other elements: shrikedetect runs on the device that they are on.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core_log.h"
#include "detect_element.h"

#define GST_CAT_DEFAULT shrike_detect_debug

static gboolean same_text(const char *a, const char *b)
{
    return g_strcmp0(a ? a : "", b ? b : "") == 0;
}

/* Frames will take as long as the model took when it was tried out on the new device. */
static void announce_latency(GstShrikeDetect *self)
{
    GstClockTime latency = gst_shrike_detect_worst_latency(self, 0);
    GST_OBJECT_LOCK(self);
    gboolean live = self->live;
    self->latency = latency + latency / 4;
    GST_OBJECT_UNLOCK(self);
    if (live)
        gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

/* Nothing is queued or on its way: only the streaming thread, and threads that hold the object lock, know the
 * engine. FALSE: a model-file that was set meanwhile may have reached the old engine only. */
static gboolean take_over(GstShrikeDetect *self, struct engine *engine)
{
    char *model_file, *label_file;
    struct engine_stream *stream = engine_stream_new(engine, self->depth);
    engine_get_files(engine, &model_file, &label_file);
    GST_OBJECT_LOCK(self);
    struct engine *old_engine = self->engine;
    struct engine_stream *old_stream = self->stream;
    self->engine = engine;
    self->stream = stream;
    self->failed = FALSE;
    gboolean same_model = same_text(self->settings.model_file, model_file);
    if (!same_model) {
        self->files_changed = TRUE;
        self->files_number++;
    }
    engine_stream_set_flushing(stream, detect_queue_is_flushing(&self->queue));
    GST_OBJECT_UNLOCK(self);
    g_free(model_file);
    g_free(label_file);
    engine_stream_free(old_stream);
    engine_close(old_engine);
    return same_model;
}

/* Takes the reference of `device`. */
static gboolean move_engine(GstShrikeDetect *self, struct shk_device *device, struct shk_error *error)
{
    struct engine *engine = engine_move(self->engine, device, error);
    if (!engine)
        return FALSE;
    if (engine == self->engine) {
        engine_close(engine);
        return TRUE;
    }
    if (!take_over(self, engine))
        gst_shrike_detect_swap_model(self);
    struct engine_device *moved = engine_get_device(engine);
    GST_INFO_OBJECT(self, "moved to %s, which the frames are on", moved->name);
    detect_upload_set_device(&self->upload, moved);
    announce_latency(self);
    return TRUE;
}

GstFlowReturn gst_shrike_detect_follow_memory(GstShrikeDetect *self, const GstCaps *caps)
{
    struct shk_device *device = NULL;
    struct shk_error error;
    gboolean wanted = vulkan_share_wanted(caps);
    detect_upload_set_share(
        &self->upload, wanted ? self->share : NULL,
        wanted && gst_caps_features_contains(gst_caps_get_features(caps, 0), VULKAN_SHARE_IMAGE_FEATURE));
    if (!wanted)
        return GST_FLOW_OK;
    if (!detect_queue_wait_idle(&self->queue))
        return GST_FLOW_FLUSHING;
    /* those on the device, and one whose result is being attached */
    enum shk_status status =
        vulkan_share_open(self->share, self->sinkpad, self->depth + 1, core_log(NULL),
                          &device, &error);
    if (status == SHK_OK && move_engine(self, device, &error))
        return GST_FLOW_OK;
    if (!self->refused_caps)
        core_log_post_error(GST_ELEMENT(self), &error, "moving to the Vulkan device that the frames are on");
    self->refused_caps = TRUE;
    return GST_FLOW_NOT_NEGOTIATED;
}

void gst_shrike_detect_end_sharing(GstShrikeDetect *self)
{
    struct engine_device *device = engine_get_device(self->engine);
    GST_OBJECT_LOCK(self);
    if (device->adopted) /* the next frames may be anywhere */
        self->settings_changed = TRUE;
    GST_OBJECT_UNLOCK(self);
    engine_device_unref(device);
    vulkan_share_close(self->share);
}
