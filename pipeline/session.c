/* Creating and destroying sessions, and their slots' CPU side.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuse.h"

const char *shk_stage_string(enum shk_stage stage)
{
    static const char *const names[SHK_STAGE_COUNT] = {"queue",    "upload", "preprocess", "inference",
                                                       "readback", "decode", "total"};
    return stage < SHK_STAGE_COUNT ? names[stage] : "unknown";
}

static enum shk_status check_params(const struct shk_session_params *p, struct shk_error *error)
{
    if (p->frames_in_flight < 1 || p->frames_in_flight > SHK_MAX_FRAMES_IN_FLIGHT)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "frames_in_flight is %u, expected 1 to %d",
                        p->frames_in_flight, SHK_MAX_FRAMES_IN_FLIGHT);
    if (p->batch_size < 1 || p->batch_size > SHK_MAX_BATCH)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "batch_size is %u, expected 1 to %d", p->batch_size,
                        SHK_MAX_BATCH);
    if (isnan(p->score_threshold) || p->score_threshold > 1.0f)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "score_threshold is %g, expected 0 to 1, or negative for the model's own",
                        (double)p->score_threshold);
    if (isnan(p->iou_threshold) || p->iou_threshold > 1.0f)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "iou_threshold is %g, expected 0 to 1, or negative for the model's own",
                        (double)p->iou_threshold);
    if (p->max_detections > 1000)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "max_detections is %u, expected at most 1000",
                        p->max_detections);
    if (p->no_fusion & ~(uint32_t)SHK_FUSION_ALL)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "no_fusion is 0x%x, expected bits of SHK_FUSION_ALL, 0x%x",
                        p->no_fusion, SHK_FUSION_ALL);
    if ((unsigned)p->resize > SHK_RESIZE_LETTERBOX || (unsigned)p->filter > SHK_FILTER_AREA)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "resize (%d) or filter (%d) is not one of the enum's",
                        (int)p->resize, (int)p->filter);
    return SHK_OK;
}

static bool lane_create(struct shk_session *session, struct shk_lane *lane)
{
    const struct shk_graph *graph = session->graph;
    lane->outputs = calloc(graph->output_count, sizeof(*lane->outputs));
    if (!lane->outputs)
        return false;
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (!(lane->outputs[i] = calloc(1, graph->tensors[graph->outputs[i]].bytes)))
            return false;
    const struct shk_detector *detector = session->detector;
    uint32_t capacity = detector->def ? detector->def->capacity(detector, graph, &session->params) : 0;
    lane->detections = calloc(SHK_MAX(capacity, 1u), sizeof(*lane->detections));
    return lane->detections != NULL;
}

static void lane_destroy(const struct shk_session *session, struct shk_lane *lane)
{
    for (uint32_t i = 0; lane->outputs && i < session->graph->output_count; i++)
        free(lane->outputs[i]);
    free(lane->outputs);
    free(lane->detections);
}

static bool slot_create(struct shk_session *session, struct shk_frame_slot *slot)
{
    if (session->params.profile_ops &&
        !(slot->op_ns = calloc(SHK_MAX(session->graph->op_count, 1u), sizeof(uint64_t))))
        return false;
    slot->lanes = calloc(session->params.batch_size, sizeof(*slot->lanes));
    for (uint32_t i = 0; slot->lanes && i < session->params.batch_size; i++)
        if (!lane_create(session, &slot->lanes[i]))
            return false;
    return slot->lanes != NULL;
}

static void slot_destroy(const struct shk_session *session, struct shk_frame_slot *slot)
{
    for (uint32_t i = 0; slot->lanes && i < session->params.batch_size; i++)
        lane_destroy(session, &slot->lanes[i]);
    free(slot->lanes);
    free(slot->op_ns);
    shk_memory_unref(&slot->staging);
}

static enum shk_status create_slots(struct shk_session *session, struct shk_error *error)
{
    session->slot_count = session->params.frames_in_flight;
    session->slots = calloc(session->slot_count, sizeof(*session->slots));
    for (uint32_t i = 0; session->slots && i < session->slot_count; i++)
        if (!slot_create(session, &session->slots[i]))
            return shk_fail_oom(error, sizeof(*session->slots), "a frame slot");
    return session->slots ? SHK_OK : shk_fail_oom(error, sizeof(*session->slots), "frame slots");
}

static enum shk_status create(struct shk_device *device, struct shk_model *model,
                              const struct shk_session_params *params, bool look_up, const struct shk_variant *variant,
                              struct shk_session **out, struct shk_error *error)
{
    struct shk_session_params defaults = SHK_SESSION_PARAMS_DEFAULT;
    const struct shk_session_params *p = params ? params : &defaults;
    if (!model || !out)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_session_create: model and session must not be NULL");
    enum shk_status status = check_params(p, error);
    if (status)
        return status;
    struct shk_session *session = calloc(1, sizeof(*session));
    if (!session)
        return shk_fail_oom(error, sizeof(*session), "session");
    session->backend = device ? &shk_backend_device : &shk_backend_reference;
    session->device = device ? shk_device_ref(device) : NULL;
    session->model = shk_model_ref(model);
    session->graph = shk_model_graph(model);
    session->params = *p;
    session->look_up = look_up;
    if (p->cache_dir && !(session->cache_dir = strdup(p->cache_dir)))
        status = shk_fail_oom(error, strlen(p->cache_dir), "cache_dir");
    session->params.cache_dir = session->cache_dir;
    session->detector = &model->detector;
    if (p->std[0] == 0.0f && model->std[0] > 0.0f) {
        memcpy(session->params.mean, model->mean, sizeof(model->mean));
        memcpy(session->params.std, model->std, sizeof(model->std));
    }
    session->params.bgr = p->bgr || model->bgr;
    if (!status && session->detector->candidates)
        status = shk_nms_create(session->detector->candidates, &session->nms, error);
    session->image = !shk_preprocess_check_model(session->graph, NULL);
    if (!status && session->image)
        status = shk_preprocess_tables(session->graph, &session->params, session->tables, error);
    if (!status)
        status = create_slots(session, error);
    if (!status && device)
        status = shk_session_choose(session, variant, error);
    if (!status)
        status = session->backend->create(session, error);
    if (status)
        shk_session_destroy(&session);
    else
        *out = session;
    return status;
}

enum shk_status shk_session_create(struct shk_device *device, struct shk_model *model,
                                   const struct shk_session_params *params, struct shk_session **session,
                                   struct shk_error *error)
{
    return create(device, model, params, true, NULL, session, error);
}

enum shk_status shk_session_create_chosen(struct shk_device *device, struct shk_model *model,
                                          const struct shk_session_params *params, const struct shk_variant *variant,
                                          struct shk_session **session, struct shk_error *error)
{
    return create(device, model, params, false, variant, session, error);
}

void shk_session_destroy(struct shk_session **session)
{
    if (!session || !*session)
        return;
    struct shk_session *s = *session;
    *session = NULL;
    s->backend->destroy(s);
    for (uint32_t i = 0; s->slots && i < s->slot_count; i++)
        slot_destroy(s, &s->slots[i]);
    free(s->slots);
    free((void *)s->choices);
    free(s->cache_dir);
    shk_nms_destroy(&s->nms);
    shk_model_destroy(&s->model);
    shk_device_destroy(&s->device);
    free(s);
}

enum shk_status shk_session_configure(struct shk_session *session, const struct shk_frame_format *format,
                                      struct shk_error *error)
{
    if (atomic_load(&session->submitted) != atomic_load(&session->released))
        return shk_fail(error, SHK_ERROR_BUSY,
                        "the frame format cannot change while frames are in flight: wait for and release them first");
    struct shk_stream stream;
    enum shk_status status = shk_stream_init(&stream, session, format, error);
    if (status)
        return status;
    session->configured = false;
    session->stream = stream;
    status = session->backend->configure(session, error);
    session->configured = status == SHK_OK;
    return status;
}

void shk_session_get_info(const struct shk_session *session, struct shk_session_info *info)
{
    *info = session->info;
}

enum shk_status shk_session_get_fusion(const struct shk_session *session, uint32_t *into, uint32_t count,
                                       struct shk_error *error)
{
    if (count != session->graph->op_count)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_session_get_fusion: room for %u ops, the model has %u", count, session->graph->op_count);
    for (uint32_t i = 0; i < count; i++)
        into[i] = session->fused ? session->fused->ops[i].into : i;
    return SHK_OK;
}

static enum shk_status plan_fused(const struct shk_model *model, uint32_t no_fusion, struct shk_plan **plan,
                                  struct shk_error *error)
{
    struct shk_fused *fused = NULL;
    enum shk_status status = shk_fuse(shk_model_graph(model), no_fusion, NULL, &fused, error);
    if (!status)
        status = shk_plan_create(&fused->graph, false, !(no_fusion & SHK_FUSION_PARTS), plan, error);
    shk_fuse_destroy(&fused);
    return status;
}

enum shk_status shk_model_get_memory(const struct shk_model *model, uint32_t no_fusion,
                                     struct shk_memory_report *report, struct shk_error *error)
{
    struct shk_plan *plan = NULL;
    enum shk_status status = plan_fused(model, no_fusion, &plan, error);
    if (!status)
        *report = plan->report;
    shk_plan_destroy(&plan);
    return status;
}

enum shk_status shk_model_get_memory_blocks(const struct shk_model *model, uint32_t no_fusion,
                                            struct shk_memory_block *blocks, uint32_t *count,
                                            struct shk_error *error)
{
    struct shk_plan *plan = NULL;
    enum shk_status status = plan_fused(model, no_fusion, &plan, error);
    if (status)
        return status;
    uint32_t room = blocks ? SHK_MIN(*count, plan->block_count) : 0;
    if (room)
        memcpy(blocks, plan->blocks, room * sizeof(*blocks));
    *count = plan->block_count;
    shk_plan_destroy(&plan);
    return SHK_OK;
}
