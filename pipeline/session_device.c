/* The Vulkan backend: buffers, one pair of command buffers per slot, recorded once and replayed.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define REGION_ALIGNMENT 64

static size_t element_size(const struct shk_session *session, uint32_t tensor)
{
    return shk_dtype_size(session->graph->tensors[tensor].dtype);
}

/* Lays the views of `tensors` out one after the other; returns the bytes in all. */
static uint64_t lay_out(const struct shk_session *session, const uint32_t *tensors, uint32_t count,
                        uint64_t *offsets)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = at;
        at = shk_align_up(at + shk_view_bytes(&session->plan->views[tensors[i]]), REGION_ALIGNMENT);
    }
    return at;
}

static enum shk_status plan_and_pack(struct shk_session *session, struct shk_error *error)
{
    const struct shk_graph *graph = session->graph;
    uint64_t start = shk_time_ns();
    enum shk_status status = shk_plan_create(graph, session->params.keep_tensors, &session->plan, error);
    if (status)
        return status;
    session->input_offsets = calloc(graph->input_count, sizeof(uint64_t));
    session->output_offsets = calloc(graph->output_count, sizeof(uint64_t));
    if (!session->input_offsets || !session->output_offsets)
        return shk_fail_oom(error, graph->output_count * sizeof(uint64_t), "model outputs");
    session->input_bytes = lay_out(session, graph->inputs, graph->input_count, session->input_offsets);
    session->output_bytes = lay_out(session, graph->outputs, graph->output_count, session->output_offsets);
    uint64_t planned = shk_time_ns();
    status = shk_lowering_init(&session->lowering, graph, session->device, session->plan, &session->params, error);
    if (!status)
        status = shk_lowering_run(&session->lowering, error);
    if (status)
        return status;
    session->table_offset = shk_lower_params(&session->lowering, session->tables, sizeof(session->tables), 16);
    session->info.plan_ns = planned - start;
    session->info.pack_ns = shk_time_ns() - planned;
    session->info.memory = session->plan->report;
    session->info.memory.parameter_bytes = session->lowering.size;
    session->info.dispatches = session->lowering.count;
    return session->lowering.status ? shk_fail(error, session->lowering.status, "%s", session->lowering.error.message)
                                    : SHK_OK;
}

/* Constants that are read like activations (anchors of an ADD, say) live in the arena. */
static enum shk_status upload_constants(struct shk_session *session, struct shk_error *error)
{
    enum shk_status status = SHK_OK;
    for (uint32_t i = 0; i < session->plan->constant_count && !status; i++) {
        uint32_t tensor = session->plan->constants[i];
        const struct shk_view *view = &session->plan->views[tensor];
        uint64_t bytes = shk_view_bytes(view);
        void *words = calloc(1, bytes);
        if (!words)
            return shk_fail_oom(error, bytes, "a constant");
        shk_rows_pack(view, element_size(session, tensor), session->graph->tensors[tensor].data, words);
        status = shk_buffer_write(session->device, &session->arena, (VkDeviceSize)view->offset * 4, words, bytes, error);
        free(words);
    }
    return status;
}

static enum shk_status create_buffers(struct shk_session *session, struct shk_error *error)
{
    struct shk_pool *pool = session->device->pool;
    const struct shk_lowering *lowering = &session->lowering;
    uint64_t start = shk_time_ns();
    /* The uniform window may start anywhere, so the buffer goes on for one window. */
    VkDeviceSize parameter_bytes = lowering->size + lowering->uniform_range;
    enum shk_status status = shk_pool_alloc(pool, SHK_MEMORY_DEVICE, SHK_MAX(session->plan->arena_bytes, 16),
                                            0, &session->arena, error);
    if (!status)
        status = shk_pool_alloc(pool, SHK_MEMORY_DEVICE, parameter_bytes, SHK_UNIFORM_ALIGNMENT,
                                &session->parameters, error);
    if (!status && lowering->size)
        status = shk_buffer_write(session->device, &session->parameters, 0, lowering->bytes, lowering->size, error);
    if (!status)
        status = upload_constants(session, error);
    free(session->lowering.bytes);
    session->lowering.bytes = NULL;
    session->info.upload_ns = shk_time_ns() - start;
    return status;
}

static void write_set(struct shk_session *session, struct shk_frame_slot *slot)
{
    shk_kernels_write_set(&session->kernels, slot->set, &session->arena, &session->parameters,
                          session->lowering.uniform_range, &slot->gpu.input);
}

static void timestamp(struct shk_frame_slot *slot, enum shk_slot_commands which, uint32_t query)
{
    if (slot->gpu.queries)
        vkCmdWriteTimestamp(slot->gpu.commands[which], VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, slot->gpu.queries,
                            query);
}

static void copy_inputs(struct shk_session *session, struct shk_frame_slot *slot, VkCommandBuffer commands)
{
    for (uint32_t i = 0; i < session->graph->input_count; i++) {
        const struct shk_view *view = &session->plan->views[session->graph->inputs[i]];
        VkBufferCopy region = {
            .srcOffset = slot->gpu.input.offset + session->input_offsets[i],
            .dstOffset = session->arena.offset + (VkDeviceSize)view->offset * 4,
            .size = shk_view_bytes(view),
        };
        vkCmdCopyBuffer(commands, slot->gpu.input.buffer, session->arena.buffer, 1, &region);
    }
}

/* From the slot's input buffer to the model's input tensors. */
static enum shk_status record_source(struct shk_session *session, struct shk_frame_slot *slot,
                                     enum shk_slot_source source, struct shk_error *error)
{
    enum shk_status status = shk_slot_begin(session->device, &slot->gpu, SHK_COMMANDS_PREPROCESS, error);
    if (status)
        return status;
    VkCommandBuffer commands = slot->gpu.commands[SHK_COMMANDS_PREPROCESS];
    if (slot->gpu.queries)
        vkCmdResetQueryPool(commands, slot->gpu.queries, 0, slot->gpu.query_count);
    /* The arena is shared by the slots: the frame before must be through with it. */
    shk_cmd_barrier(commands);
    timestamp(slot, SHK_COMMANDS_PREPROCESS, QUERY_START);
    if (source == SHK_SOURCE_FRAME)
        shk_kernels_record(&session->kernels, commands, slot->set, &session->preprocess_dispatch);
    else
        copy_inputs(session, slot, commands);
    shk_cmd_barrier(commands);
    timestamp(slot, SHK_COMMANDS_PREPROCESS, QUERY_PREPROCESSED);
    status = shk_slot_end(session->device, &slot->gpu, SHK_COMMANDS_PREPROCESS, error);
    slot->recorded = status ? SHK_SOURCE_NONE : source;
    return status;
}

static void record_ops(struct shk_session *session, struct shk_frame_slot *slot, VkCommandBuffer commands)
{
    const struct shk_lowering *lowering = &session->lowering;
    uint32_t next = 0;
    for (uint32_t op = 0; op < session->graph->op_count; op++) {
        for (; next < lowering->count && lowering->dispatches[next].op == op; next++)
            shk_kernels_record(&session->kernels, commands, slot->set, &lowering->dispatches[next]);
        if (session->params.profile_ops)
            timestamp(slot, SHK_COMMANDS_INFERENCE, QUERY_OPS + op);
    }
}

static enum shk_status record_inference(struct shk_session *session, struct shk_frame_slot *slot,
                                        struct shk_error *error)
{
    enum shk_status status = shk_slot_begin(session->device, &slot->gpu, SHK_COMMANDS_INFERENCE, error);
    if (status)
        return status;
    VkCommandBuffer commands = slot->gpu.commands[SHK_COMMANDS_INFERENCE];
    record_ops(session, slot, commands);
    shk_cmd_barrier(commands);
    timestamp(slot, SHK_COMMANDS_INFERENCE, QUERY_INFERRED);
    for (uint32_t i = 0; i < session->graph->output_count; i++) {
        const struct shk_view *view = &session->plan->views[session->graph->outputs[i]];
        VkBufferCopy region = {
            .srcOffset = session->arena.offset + (VkDeviceSize)view->offset * 4,
            .dstOffset = slot->gpu.output.offset + session->output_offsets[i],
            .size = shk_view_bytes(view),
        };
        vkCmdCopyBuffer(commands, session->arena.buffer, slot->gpu.output.buffer, 1, &region);
    }
    shk_cmd_barrier(commands);
    timestamp(slot, SHK_COMMANDS_INFERENCE, QUERY_COPIED);
    return shk_slot_end(session->device, &slot->gpu, SHK_COMMANDS_INFERENCE, error);
}

static enum shk_status create_slots(struct shk_session *session, struct shk_error *error)
{
    uint64_t start = shk_time_ns();
    uint32_t queries = QUERY_OPS + (session->params.profile_ops ? session->graph->op_count : 0);
    VkDescriptorSet sets[SHK_MAX_FRAMES_IN_FLIGHT];
    enum shk_status status = shk_kernels_create_sets(&session->kernels, session->slot_count,
                                                     &session->descriptor_pool, sets, error);
    for (uint32_t i = 0; i < session->slot_count && !status; i++) {
        struct shk_frame_slot *slot = &session->slots[i];
        status = shk_slot_init(session->device, session->input_bytes, session->output_bytes, queries, &slot->gpu,
                               error);
        if (status)
            break;
        slot->set = sets[i];
        write_set(session, slot);
        session->info.staging_bytes += slot->gpu.input.size + slot->gpu.output.size;
        status = record_source(session, slot, SHK_SOURCE_TENSORS, error);
        if (!status)
            status = record_inference(session, slot, error);
    }
    session->info.record_ns = shk_time_ns() - start;
    return status;
}

static enum shk_status device_create(struct shk_session *session, struct shk_error *error)
{
    enum shk_status status = plan_and_pack(session, error);
    if (!status)
        status = create_buffers(session, error);
    if (status)
        return status;
    uint64_t start = shk_time_ns();
    status = shk_kernels_init(session->device, session->cache_dir, &session->params.log, &session->kernels, error);
    if (!status)
        status = shk_kernels_build(&session->kernels, session->lowering.dispatches, session->lowering.count, error);
    if (status)
        return status;
    shk_kernels_save_cache(&session->kernels, &session->params.log);
    session->info.pipelines = session->kernels.count;
    session->info.pipelines_ns = shk_time_ns() - start;
    return create_slots(session, error);
}

static void device_destroy(struct shk_session *session)
{
    if (session->slots)
        for (uint64_t t = atomic_load(&session->waited) + 1; t <= atomic_load(&session->submitted); t++)
            shk_slot_wait(session->device, &session->slots[t % session->slot_count].gpu, UINT64_MAX, NULL);
    for (uint32_t i = 0; session->slots && i < session->slot_count; i++)
        shk_slot_finish(session->device, &session->slots[i].gpu);
    if (session->descriptor_pool)
        vkDestroyDescriptorPool(session->device->device, session->descriptor_pool, NULL);
    shk_kernels_finish(&session->kernels);
    shk_pool_free(session->device->pool, &session->arena);
    shk_pool_free(session->device->pool, &session->parameters);
    shk_lowering_finish(&session->lowering);
    shk_plan_destroy(&session->plan);
    free(session->input_offsets);
    free(session->output_offsets);
}

/* The input buffer serves frames and raw tensors, whichever is larger. */
static enum shk_status grow_input(struct shk_session *session, struct shk_frame_slot *slot, struct shk_error *error)
{
    VkDeviceSize bytes = SHK_MAX(session->preprocess.bytes, session->input_bytes);
    struct shk_buffer larger = {0};
    if (bytes <= slot->gpu.input.size)
        return SHK_OK;
    if (bytes > session->device->limits.maxStorageBufferRange)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "frames of %llu bytes: this device can bind %u; crop or scale them first",
                        (unsigned long long)bytes, session->device->limits.maxStorageBufferRange);
    enum shk_status status = shk_pool_alloc(session->device->pool, SHK_MEMORY_UPLOAD, bytes, 0, &larger, error);
    if (status)
        return status;
    session->info.staging_bytes += bytes - slot->gpu.input.size;
    shk_pool_free(session->device->pool, &slot->gpu.input);
    slot->gpu.input = larger;
    slot->recorded = SHK_SOURCE_NONE; /* what was recorded reads the old buffer */
    write_set(session, slot);
    return record_inference(session, slot, error);
}

static enum shk_status device_configure(struct shk_session *session, struct shk_error *error)
{
    struct shk_dispatch dispatch = {0};
    shk_preprocess_dispatch(&session->preprocess, &session->plan->views[session->graph->inputs[0]],
                            session->table_offset, &dispatch);
    shk_lowered_from(&session->preprocess_dispatch, &dispatch);
    enum shk_status status = shk_kernels_build(&session->kernels, &session->preprocess_dispatch, 1, error);
    if (!status)
        shk_kernels_save_cache(&session->kernels, &session->params.log);
    for (uint32_t i = 0; i < session->slot_count && !status; i++) {
        status = grow_input(session, &session->slots[i], error);
        if (!status)
            status = record_source(session, &session->slots[i], SHK_SOURCE_FRAME, error);
    }
    return status;
}

static void *device_frame_memory(struct shk_session *session, struct shk_frame_slot *slot)
{
    (void)session;
    return slot->gpu.input.map;
}

static enum shk_status device_write_tensors(struct shk_session *session, struct shk_frame_slot *slot,
                                            const void *const *inputs, struct shk_error *error)
{
    (void)error;
    for (uint32_t i = 0; i < session->graph->input_count; i++) {
        uint32_t tensor = session->graph->inputs[i];
        const struct shk_view *view = &session->plan->views[tensor];
        uint8_t *words = (uint8_t *)slot->gpu.input.map + session->input_offsets[i];
        shk_rows_pack(view, element_size(session, tensor), inputs[i], words);
        if (session->graph->tensors[tensor].legacy_uint8)
            shk_flip_sign(words, words, shk_view_bytes(view));
    }
    return SHK_OK;
}

static enum shk_status device_submit(struct shk_session *session, struct shk_frame_slot *slot,
                                     struct shk_error *error)
{
    enum shk_status status = SHK_OK;
    if (slot->recorded != slot->source)
        status = record_source(session, slot, slot->source, error);
    if (!status)
        status = shk_buffer_flush(session->device, &slot->gpu.input, 0, slot->gpu.input.size, error);
    return status ? status : shk_slot_submit(session->device, &slot->gpu, SHK_COMMANDS_PREPROCESS, error);
}

/* Device ticks to CLOCK_MONOTONIC. Without calibrated timestamps the frame is taken to have ended now, and
 * durations stay exact. */
static void device_stages(struct shk_session *session, struct shk_frame_slot *slot, uint64_t now,
                          struct shk_stage_time *stages)
{
    uint64_t ticks[QUERY_OPS], ns[QUERY_OPS];
    struct shk_clock_map map;
    if (!shk_slot_timestamps(session->device, &slot->gpu, 0, QUERY_OPS, ticks)) {
        ns[QUERY_START] = ns[QUERY_PREPROCESSED] = slot->upload_end;
        ns[QUERY_INFERRED] = ns[QUERY_COPIED] = now; /* all of it counts as inference */
    } else {
        if (!shk_device_calibrate(session->device, &map))
            map = (struct shk_clock_map){.ticks = ticks[QUERY_COPIED], .ns = now};
        for (uint32_t i = 0; i < QUERY_OPS; i++) {
            ns[i] = shk_clock_to_ns(session->device, &map, ticks[i]);
            ns[i] = SHK_CLAMP(ns[i], slot->upload_end, now);
        }
    }
    stages[SHK_STAGE_PREPROCESS] =
        (struct shk_stage_time){ns[QUERY_START], ns[QUERY_PREPROCESSED] - ns[QUERY_START]};
    stages[SHK_STAGE_INFERENCE] =
        (struct shk_stage_time){ns[QUERY_PREPROCESSED], ns[QUERY_INFERRED] - ns[QUERY_PREPROCESSED]};
    stages[SHK_STAGE_READBACK] = (struct shk_stage_time){ns[QUERY_INFERRED], ns[QUERY_COPIED] - ns[QUERY_INFERRED]};
}

static void read_op_times(struct shk_session *session, struct shk_frame_slot *slot)
{
    uint64_t before, after;
    if (!slot->op_ns || !shk_slot_timestamps(session->device, &slot->gpu, QUERY_PREPROCESSED, 1, &before))
        return;
    for (uint32_t i = 0; i < session->graph->op_count; i++) {
        if (!shk_slot_timestamps(session->device, &slot->gpu, QUERY_OPS + i, 1, &after))
            return;
        slot->op_ns[i] = shk_ticks_to_ns(session->device, (after - before) & session->device->timestamp_mask);
        before = after;
    }
}

static enum shk_status device_wait(struct shk_session *session, struct shk_frame_slot *slot, uint64_t timeout_ns,
                                   struct shk_stage_time *stages, struct shk_error *error)
{
    const struct shk_graph *graph = session->graph;
    enum shk_status status = shk_slot_wait(session->device, &slot->gpu, timeout_ns, error);
    if (!status)
        status = shk_buffer_invalidate(session->device, &slot->gpu.output, 0, slot->gpu.output.size, error);
    if (status)
        return status;
    uint64_t visible = shk_time_ns();
    device_stages(session, slot, visible, stages);
    for (uint32_t i = 0; i < graph->output_count; i++)
        shk_rows_unpack(&session->plan->views[graph->outputs[i]], element_size(session, graph->outputs[i]),
                        (const uint8_t *)slot->gpu.output.map + session->output_offsets[i], slot->outputs[i]);
    stages[SHK_STAGE_READBACK].duration += shk_time_ns() - visible;
    read_op_times(session, slot);
    return SHK_OK;
}

static enum shk_status device_read_tensor(struct shk_session *session, uint32_t tensor, void *bytes,
                                          struct shk_error *error)
{
    const struct shk_tensor *t = &session->graph->tensors[tensor];
    const struct shk_view *view = &session->plan->views[tensor];
    if (t->data || view->words == 0) {
        if (t->data)
            memcpy(bytes, t->data, t->bytes);
        return t->data ? SHK_OK : shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%s: tensor '%s' is used by no op",
                                           session->graph->name, t->name);
    }
    uint64_t size = shk_view_bytes(view);
    void *words = malloc(size);
    if (!words)
        return shk_fail_oom(error, size, t->name);
    enum shk_status status = shk_buffer_read(session->device, &session->arena, (VkDeviceSize)view->offset * 4, words,
                                             size, error);
    if (!status)
        shk_rows_unpack(view, shk_dtype_size(t->dtype), words, bytes);
    free(words);
    return status;
}

const struct shk_backend shk_backend_device = {
    .create = device_create,
    .destroy = device_destroy,
    .configure = device_configure,
    .frame_memory = device_frame_memory,
    .write_tensors = device_write_tensors,
    .submit = device_submit,
    .wait = device_wait,
    .read_tensor = device_read_tensor,
};
