/* Command buffers of a slot: from its frames or raw tensors to the model's inputs, and from there to its outputs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "fuse.h"
#include "select.h"
#include "session.h"

static void timestamp(struct shk_frame_slot *slot, uint32_t which, uint32_t query)
{
    if (slot->gpu.queries)
        vkCmdWriteTimestamp(slot->gpu.commands[which], VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, slot->gpu.queries,
                            query);
}

/* ---- preprocess ---- */

static void copy_inputs(struct shk_session *session, struct shk_frame_slot *slot, VkCommandBuffer commands)
{
    const struct shk_buffer *staging = &slot->staging->buffer;
    for (uint32_t lane = 0; lane < slot->count; lane++)
        for (uint32_t i = 0; i < session->graph->input_count; i++) {
            const struct shk_view *view = &session->plan->views[session->fused->graph.inputs[i]];
            VkBufferCopy region = {
                .srcOffset = staging->offset + lane * session->input_bytes + session->input_offsets[i],
                .dstOffset = shk_session_lane(session, lane) + (VkDeviceSize)view->offset * 4,
                .size = shk_view_bytes(view),
            };
            vkCmdCopyBuffer(commands, staging->buffer, session->arena.buffer, 1, &region);
        }
    slot->recorded.staging = slot->staging->serial;
}

static void bind_frame(struct shk_session *session, struct shk_frame_slot *slot, uint32_t index)
{
    struct shk_lane *lane = &slot->lanes[index];
    const struct shk_buffer *buffer = &lane->memory->buffer;
    VkDeviceSize header = slot->headers.size / session->params.batch_size;
    shk_kernels_write_frame(
        &session->kernels, lane->set, &(VkDescriptorBufferInfo){buffer->buffer, buffer->offset, buffer->size},
        &(VkDescriptorBufferInfo){slot->headers.buffer, slot->headers.offset + index * header, header});
    lane->bound = lane->memory->serial;
}

static void preprocess(struct shk_session *session, struct shk_frame_slot *slot, VkCommandBuffer commands)
{
    for (uint32_t i = 0; i < slot->count; i++) {
        struct shk_lane *lane = &slot->lanes[i];
        struct shk_lowered dispatch = lane->stream->dispatch;
        struct shk_preprocess_push push = lane->stream->preprocess.push;
        if (lane->bound != lane->memory->serial)
            bind_frame(session, slot, i);
        lane->pipeline = dispatch.pipeline;
        lane->push = push;
        push.output_offset += i * session->lowering.lane_stride;
        memcpy(dispatch.push, &push, sizeof(push));
        shk_kernels_record(&session->kernels, commands, lane->set, &dispatch, 1);
    }
}

static bool is_recorded(const struct shk_frame_slot *slot)
{
    if (slot->recorded.source != slot->source || slot->recorded.count != slot->count)
        return false;
    if (slot->source == SHK_SOURCE_TENSORS)
        return slot->recorded.staging == slot->staging->serial;
    for (uint32_t i = 0; i < slot->count; i++) {
        const struct shk_lane *lane = &slot->lanes[i];
        if (lane->bound != lane->memory->serial || lane->pipeline != lane->stream->dispatch.pipeline ||
            memcmp(&lane->push, &lane->stream->preprocess.push, sizeof(lane->push)) != 0)
            return false;
    }
    return true;
}

enum shk_status shk_record_source(struct shk_session *session, struct shk_frame_slot *slot,
                                  struct shk_error *error)
{
    if (is_recorded(slot))
        return SHK_OK;
    slot->recorded.source = SHK_SOURCE_NONE;
    enum shk_status status = shk_slot_begin(session->device, &slot->gpu, SHK_COMMANDS_PREPROCESS, error);
    if (status)
        return status;
    VkCommandBuffer commands = slot->gpu.commands[SHK_COMMANDS_PREPROCESS];
    if (slot->gpu.queries)
        vkCmdResetQueryPool(commands, slot->gpu.queries, 0, slot->gpu.query_count);
    /* The arena is shared by the slots: the batch before must be through with it. */
    shk_cmd_barrier(commands);
    timestamp(slot, SHK_COMMANDS_PREPROCESS, QUERY_START);
    if (slot->source == SHK_SOURCE_FRAMES)
        preprocess(session, slot, commands);
    else
        copy_inputs(session, slot, commands);
    shk_cmd_barrier(commands);
    timestamp(slot, SHK_COMMANDS_PREPROCESS, QUERY_PREPROCESSED);
    status = shk_slot_end(session->device, &slot->gpu, SHK_COMMANDS_PREPROCESS, error);
    if (status)
        return status;
    slot->recorded.source = slot->source;
    slot->recorded.count = slot->count;
    return SHK_OK;
}

/* ---- inference ---- */

static void record_ops(struct shk_session *session, struct shk_frame_slot *slot, uint32_t which, uint32_t lanes)
{
    const struct shk_lowering *lowering = &session->lowering;
    VkCommandBuffer commands = slot->gpu.commands[which];
    uint32_t next = 0;
    for (uint32_t op = 0; op < session->graph->op_count; op++) {
        for (; next < lowering->count && lowering->dispatches[next].op == op; next++)
            if (!lowering->dispatches[next].skipped)
                shk_kernels_record(&session->kernels, commands, session->set, &lowering->dispatches[next], lanes);
        if (session->params.profile_ops)
            timestamp(slot, which, QUERY_OPS + op);
    }
}

static void copy_outputs(struct shk_session *session, struct shk_frame_slot *slot, VkCommandBuffer commands,
                         uint32_t lanes)
{
    for (uint32_t lane = 0; lane < lanes; lane++)
        for (uint32_t i = 0; i < session->graph->output_count; i++) {
            const struct shk_view *view = &session->plan->views[session->graph->outputs[i]];
            if (shk_select_covers(session, i))
                continue;
            VkBufferCopy region = {
                .srcOffset = shk_session_lane(session, lane) + (VkDeviceSize)view->offset * 4,
                .dstOffset = slot->gpu.output.offset + lane * session->output_bytes + session->output_offsets[i],
                .size = shk_view_bytes(view),
            };
            vkCmdCopyBuffer(commands, session->arena.buffer, slot->gpu.output.buffer, 1, &region);
        }
}

static enum shk_status record_variant(struct shk_session *session, struct shk_frame_slot *slot, uint32_t lanes,
                                      struct shk_error *error)
{
    uint32_t which = SHK_COMMANDS_INFERENCE + lanes - 1;
    enum shk_status status = shk_slot_begin(session->device, &slot->gpu, which, error);
    if (status)
        return status;
    VkCommandBuffer commands = slot->gpu.commands[which];
    record_ops(session, slot, which, lanes);
    shk_cmd_barrier(commands);
    timestamp(slot, which, QUERY_INFERRED);
    for (uint32_t i = 0; session->selection && i < SHK_ARRAY_LEN(session->selection->dispatches); i++)
        shk_kernels_record(&session->kernels, commands, slot->select_set, &session->selection->dispatches[i], lanes);
    copy_outputs(session, slot, commands, lanes);
    shk_cmd_barrier(commands);
    timestamp(slot, which, QUERY_COPIED);
    return shk_slot_end(session->device, &slot->gpu, which, error);
}

enum shk_status shk_record_inference(struct shk_session *session, struct shk_frame_slot *slot,
                                     struct shk_error *error)
{
    enum shk_status status = SHK_OK;
    for (uint32_t lanes = 1; lanes <= session->params.batch_size && !status; lanes++)
        status = record_variant(session, slot, lanes, error);
    return status;
}
