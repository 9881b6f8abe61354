/* The way of a batch, of one frame or more: submit, wait, read, release. The same for both backends.
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
                            uint32_t count, uint64_t *ticket, struct shk_error *error)
{
    slot->source = source;
    slot->count = count;
    enum shk_status status = session->backend->submit(session, slot, error);
    if (status)
        return status;
    uint64_t number = atomic_fetch_add(&session->submitted, 1) + 1;
    if (ticket)
        *ticket = number;
    return SHK_OK;
}

/* The frame passed shk_stream_check(). */
static void write_frame(struct shk_lane *lane, const struct shk_stream *stream, const struct shk_frame *frame)
{
    lane->user = frame->user;
    lane->stream = stream;
    lane->memory = frame->memory;
    shk_preprocess_write(&stream->preprocess, frame, frame->memory->delta / 4, lane->header,
                         &lane->placement);
}

enum shk_status shk_session_submit(struct shk_session *session, const struct shk_frame *frame, uint64_t *ticket,
                                   struct shk_error *error)
{
    uint64_t start = shk_time_ns();
    struct shk_frame staged;
    if (!session->configured)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_session_submit: call shk_session_configure() with the frame format first");
    struct shk_frame_slot *slot = free_slot(session, error);
    if (!slot)
        return SHK_ERROR_BUSY;
    slot->submit_start = start;
    slot->upload_start = shk_time_ns();
    enum shk_status status =
        shk_preprocess_stage(&session->stream.preprocess, frame, slot->staging->info.map, &staged, error);
    if (status)
        return status;
    staged.memory = slot->staging;
    write_frame(&slot->lanes[0], &session->stream, &staged);
    slot->upload_end = shk_time_ns();
    return send(session, slot, SHK_SOURCE_FRAMES, 1, ticket, error);
}

static enum shk_status check_batch(const struct shk_session *session, const struct shk_batch_frame *frames,
                                   uint32_t count, struct shk_error *error)
{
    if (count < 1 || count > session->params.batch_size)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%u frames were given, this session takes 1 to %u at once",
                        count, session->params.batch_size);
    for (uint32_t i = 0; i < count; i++) {
        struct shk_error reason;
        if (!frames[i].stream || frames[i].stream->session != session)
            return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "frame %u of the batch has no stream of this session",
                            i);
        enum shk_status status = shk_stream_check(frames[i].stream, &frames[i].frame, &reason);
        if (status)
            return shk_fail(error, status, "frame %u of the batch: %s", i, reason.message);
    }
    return SHK_OK;
}

enum shk_status shk_session_submit_batch(struct shk_session *session, const struct shk_batch_frame *frames,
                                         uint32_t count, uint64_t *ticket, struct shk_error *error)
{
    uint64_t start = shk_time_ns();
    struct shk_frame_slot *slot = free_slot(session, error);
    if (!slot)
        return SHK_ERROR_BUSY;
    enum shk_status status = check_batch(session, frames, count, error);
    if (status)
        return status;
    slot->submit_start = slot->upload_start = slot->upload_end = start; /* nothing is copied */
    for (uint32_t i = 0; i < count; i++)
        write_frame(&slot->lanes[i], frames[i].stream, &frames[i].frame);
    return send(session, slot, SHK_SOURCE_FRAMES, count, ticket, error);
}

enum shk_status shk_session_submit_tensors(struct shk_session *session, const void *const *inputs,
                                           uint32_t input_count, void *user, uint64_t *ticket,
                                           struct shk_error *error)
{
    uint64_t start = shk_time_ns();
    uint32_t per_frame = session->graph->input_count, count = input_count / per_frame;
    if (count < 1 || count > session->params.batch_size || input_count % per_frame)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "%s: %u input tensors were given, the model has %u and the session takes 1 to %u frames at once",
                        session->graph->name, input_count, per_frame, session->params.batch_size);
    struct shk_frame_slot *slot = free_slot(session, error);
    if (!slot)
        return SHK_ERROR_BUSY;
    slot->submit_start = start;
    slot->upload_start = shk_time_ns();
    for (uint32_t i = 0; i < count; i++) {
        slot->lanes[i].user = user;
        slot->lanes[i].placement = SHK_PLACEMENT_IDENTITY;
        session->backend->write_tensors(session, slot, i, inputs + i * per_frame);
    }
    slot->upload_end = shk_time_ns();
    return send(session, slot, SHK_SOURCE_TENSORS, count, ticket, error);
}

static void decode(struct shk_session *session, struct shk_lane *lane)
{
    struct shk_decode frame = {
        .detector = session->detector,
        .graph = session->graph,
        .params = &session->params,
        .outputs = (const void *const *)lane->outputs,
        .placement = lane->placement,
        .nms = session->nms,
        .found = lane->found,
    };
    const struct shk_decoder_def *decoder = session->detector->def;
    uint64_t start = shk_time_ns();
    lane->detection_count = decoder ? decoder->decode(&frame, lane->detections) : 0;
    lane->decode = (struct shk_stage_time){start, shk_time_ns() - start};
}

/* After decoding. */
static void finish_stages(struct shk_frame_slot *slot)
{
    struct shk_stage_time *stages = slot->stages;
    stages[SHK_STAGE_UPLOAD] = (struct shk_stage_time){slot->upload_start, slot->upload_end - slot->upload_start};
    uint64_t device_start = SHK_MAX(stages[SHK_STAGE_PREPROCESS].start, slot->upload_end);
    stages[SHK_STAGE_QUEUE] = (struct shk_stage_time){slot->upload_end, device_start - slot->upload_end};
    stages[SHK_STAGE_TOTAL] = (struct shk_stage_time){slot->submit_start, shk_time_ns() - slot->submit_start};
}

static void fill_result(const struct shk_frame_slot *slot, uint64_t ticket, uint32_t frame,
                        struct shk_result *result)
{
    const struct shk_lane *lane = &slot->lanes[frame];
    *result = (struct shk_result){
        .ticket = ticket,
        .frame_count = slot->count,
        .user = lane->user,
        .detections = lane->detections,
        .detection_count = lane->detection_count,
    };
    memcpy(result->stages, slot->stages, sizeof(result->stages));
    result->stages[SHK_STAGE_DECODE] = lane->decode;
}

enum shk_status shk_session_wait(struct shk_session *session, uint64_t timeout_ns, struct shk_result *result,
                                 struct shk_error *error)
{
    uint64_t ticket = atomic_load(&session->waited) + 1;
    if (ticket > atomic_load(&session->submitted))
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_session_wait: every submitted frame was waited for");
    struct shk_frame_slot *slot = slot_of(session, ticket);
    *result = (struct shk_result){.ticket = ticket, .frame_count = slot->count, .user = slot->lanes[0].user};
    enum shk_status status = session->backend->wait(session, slot, timeout_ns, error);
    if (status)
        return status;
    for (uint32_t i = 0; i < slot->count; i++)
        decode(session, &slot->lanes[i]);
    finish_stages(slot);
    fill_result(slot, ticket, 0, result);
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

/* A frame of it, likewise. */
static struct shk_lane *held_lane(struct shk_session *session, uint64_t ticket, uint32_t frame,
                                  struct shk_error *error)
{
    struct shk_frame_slot *slot = held_slot(session, ticket, error);
    if (!slot)
        return NULL;
    if (frame < slot->count)
        return &slot->lanes[frame];
    shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "frame %u was asked for, batch %llu has %u", frame,
             (unsigned long long)ticket, slot->count);
    return NULL;
}

enum shk_status shk_session_get_frame(struct shk_session *session, uint64_t ticket, uint32_t frame,
                                      struct shk_result *result, struct shk_error *error)
{
    if (!held_lane(session, ticket, frame, error))
        return SHK_ERROR_INVALID_ARGUMENT;
    fill_result(slot_of(session, ticket), ticket, frame, result);
    return SHK_OK;
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

enum shk_status shk_session_read_output(struct shk_session *session, uint64_t ticket, uint32_t frame,
                                        uint32_t index, void *bytes, size_t size, struct shk_error *error)
{
    const struct shk_lane *lane = held_lane(session, ticket, frame, error);
    if (!lane)
        return SHK_ERROR_INVALID_ARGUMENT;
    if (index >= session->graph->output_count)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%s: output %u was asked for, the model has %u",
                        session->graph->name, index, session->graph->output_count);
    if (session->params.detections_only)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_session_read_output: the session was created with detections_only");
    uint32_t tensor = session->graph->outputs[index];
    enum shk_status status = check_size(session, tensor, size, error);
    if (status)
        return status;
    if (session->graph->tensors[tensor].legacy_uint8)
        shk_flip_sign(lane->outputs[index], bytes, size);
    else
        memcpy(bytes, lane->outputs[index], size);
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
