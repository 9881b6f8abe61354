/* The way of a frame: submit, wait, read, release. The same for both backends.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "session.h"

static struct shk_frame_slot *slot_of(struct shk_session *session, uint64_t ticket)
{
    return &session->slots[ticket % session->slot_count];
}

/* The slot for the next frame, or NULL with SHK_ERROR_BUSY. */
static struct shk_frame_slot *free_slot(struct shk_session *session, struct shk_error *error)
{
    uint64_t submitted = atomic_load(&session->submitted);
    if (submitted - atomic_load(&session->released) >= session->slot_count) {
        shk_fail(error, SHK_ERROR_BUSY, "all %u frame slots are in use: wait for a frame and release it",
                 session->slot_count);
        return NULL;
    }
    return slot_of(session, submitted + 1);
}

static enum shk_status send(struct shk_session *session, struct shk_frame_slot *slot, enum shk_slot_source source,
                            void *user, uint64_t *ticket, struct shk_error *error)
{
    slot->source = source;
    slot->user = user;
    slot->upload_end = shk_time_ns();
    enum shk_status status = session->backend->submit(session, slot, error);
    if (status)
        return status;
    uint64_t number = atomic_fetch_add(&session->submitted, 1) + 1;
    if (ticket)
        *ticket = number;
    return SHK_OK;
}

enum shk_status shk_session_submit(struct shk_session *session, const struct shk_frame *frame, uint64_t *ticket,
                                   struct shk_error *error)
{
    uint64_t start = shk_time_ns();
    if (!session->configured)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_session_submit: call shk_session_configure() with the frame format first");
    struct shk_frame_slot *slot = free_slot(session, error);
    if (!slot)
        return SHK_ERROR_BUSY;
    slot->submit_start = start;
    slot->upload_start = shk_time_ns();
    enum shk_status status = shk_preprocess_write(&session->preprocess, frame,
                                                  session->backend->frame_memory(session, slot), &slot->placement,
                                                  error);
    return status ? status : send(session, slot, SHK_SOURCE_FRAME, frame->user, ticket, error);
}

enum shk_status shk_session_submit_tensors(struct shk_session *session, const void *const *inputs,
                                           uint32_t input_count, void *user, uint64_t *ticket,
                                           struct shk_error *error)
{
    uint64_t start = shk_time_ns();
    if (input_count != session->graph->input_count)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%s: %u input tensors were given, the model has %u",
                        session->graph->name, input_count, session->graph->input_count);
    struct shk_frame_slot *slot = free_slot(session, error);
    if (!slot)
        return SHK_ERROR_BUSY;
    slot->submit_start = start;
    slot->upload_start = shk_time_ns();
    slot->placement = SHK_PLACEMENT_IDENTITY;
    enum shk_status status = session->backend->write_tensors(session, slot, inputs, error);
    return status ? status : send(session, slot, SHK_SOURCE_TENSORS, user, ticket, error);
}

static void decode(struct shk_session *session, struct shk_frame_slot *slot)
{
    struct shk_decode frame = {
        .detector = session->detector,
        .graph = session->graph,
        .params = &session->params,
        .outputs = (const void *const *)slot->outputs,
        .placement = slot->placement,
        .nms = session->nms,
    };
    const struct shk_decoder_def *decoder = session->detector->def;
    slot->detection_count = decoder ? decoder->decode(&frame, slot->detections) : 0;
}

/* `decoded` is when decoding began. */
static void finish_stages(const struct shk_frame_slot *slot, uint64_t decoded, struct shk_stage_time *stages)
{
    uint64_t now = shk_time_ns();
    stages[SHK_STAGE_UPLOAD] = (struct shk_stage_time){slot->upload_start, slot->upload_end - slot->upload_start};
    uint64_t device_start = SHK_MAX(stages[SHK_STAGE_PREPROCESS].start, slot->upload_end);
    stages[SHK_STAGE_QUEUE] = (struct shk_stage_time){slot->upload_end, device_start - slot->upload_end};
    stages[SHK_STAGE_DECODE] = (struct shk_stage_time){decoded, now - decoded};
    stages[SHK_STAGE_TOTAL] = (struct shk_stage_time){slot->submit_start, now - slot->submit_start};
}

enum shk_status shk_session_wait(struct shk_session *session, uint64_t timeout_ns, struct shk_result *result,
                                 struct shk_error *error)
{
    uint64_t ticket = atomic_load(&session->waited) + 1;
    if (ticket > atomic_load(&session->submitted))
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_session_wait: every submitted frame was waited for");
    struct shk_frame_slot *slot = slot_of(session, ticket);
    *result = (struct shk_result){.ticket = ticket, .user = slot->user};
    enum shk_status status = session->backend->wait(session, slot, timeout_ns, result->stages, error);
    if (status)
        return status;
    uint64_t decoded = shk_time_ns();
    decode(session, slot);
    finish_stages(slot, decoded, result->stages);
    result->detections = slot->detections;
    result->detection_count = slot->detection_count;
    atomic_store(&session->waited, ticket);
    return SHK_OK;
}

/* The slot of a frame between wait and release, or NULL. */
static struct shk_frame_slot *held_slot(struct shk_session *session, uint64_t ticket, struct shk_error *error)
{
    if (ticket > atomic_load(&session->released) && ticket <= atomic_load(&session->waited))
        return slot_of(session, ticket);
    shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "frame %llu is not between wait and release",
             (unsigned long long)ticket);
    return NULL;
}

static enum shk_status check_size(const struct shk_session *session, uint32_t tensor, size_t size,
                                  struct shk_error *error)
{
    const struct shk_tensor *t = &session->graph->tensors[tensor];
    if (size != t->bytes)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%s: tensor '%s' has %zu bytes, room for %zu was given",
                        session->graph->name, t->name, t->bytes, size);
    return SHK_OK;
}

enum shk_status shk_session_read_output(struct shk_session *session, uint64_t ticket, uint32_t index, void *bytes,
                                        size_t size, struct shk_error *error)
{
    struct shk_frame_slot *slot = held_slot(session, ticket, error);
    if (!slot)
        return SHK_ERROR_INVALID_ARGUMENT;
    if (index >= session->graph->output_count)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%s: output %u was asked for, the model has %u",
                        session->graph->name, index, session->graph->output_count);
    uint32_t tensor = session->graph->outputs[index];
    enum shk_status status = check_size(session, tensor, size, error);
    if (status)
        return status;
    if (session->graph->tensors[tensor].legacy_uint8)
        shk_flip_sign(slot->outputs[index], bytes, size);
    else
        memcpy(bytes, slot->outputs[index], size);
    return SHK_OK;
}

enum shk_status shk_session_read_tensor(struct shk_session *session, uint64_t ticket, uint32_t tensor, void *bytes,
                                        size_t size, struct shk_error *error)
{
    if (!held_slot(session, ticket, error))
        return SHK_ERROR_INVALID_ARGUMENT;
    if (!session->params.keep_tensors || ticket != atomic_load(&session->submitted))
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_session_read_tensor: the session needs keep_tensors, and the frame must be the last "
                        "one submitted");
    if (tensor >= session->graph->tensor_count)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%s: tensor %u was asked for, the model has %u",
                        session->graph->name, tensor, session->graph->tensor_count);
    enum shk_status status = check_size(session, tensor, size, error);
    if (!status)
        status = session->backend->read_tensor(session, tensor, bytes, error);
    if (!status && session->graph->tensors[tensor].legacy_uint8)
        shk_flip_sign(bytes, bytes, size);
    return status;
}

enum shk_status shk_session_op_times(struct shk_session *session, uint64_t ticket, uint64_t *ns, uint32_t count,
                                     struct shk_error *error)
{
    struct shk_frame_slot *slot = held_slot(session, ticket, error);
    if (!slot)
        return SHK_ERROR_INVALID_ARGUMENT;
    if (!slot->op_ns || count != session->graph->op_count)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_session_op_times: the session needs profile_ops and room for its %u ops (found %u)",
                        session->graph->op_count, count);
    memcpy(ns, slot->op_ns, count * sizeof(*ns));
    return SHK_OK;
}

void shk_session_release(struct shk_session *session, uint64_t ticket)
{
    if (ticket == atomic_load(&session->released) + 1 && ticket <= atomic_load(&session->waited))
        atomic_store(&session->released, ticket);
}
