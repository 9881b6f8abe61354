/* The Vulkan backend: buffers, submission, readback.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "fuse.h"
#include "select.h"
#include "session.h"
#include "weights.h"

#define REGION_ALIGNMENT 64

static size_t element_size(const struct shk_session *session, uint32_t tensor)
{
    return shk_dtype_size(session->graph->tensors[tensor].dtype);
}

/* Where input i is written to: another tensor than the model's, if an op behind it is fused into that. */
static const struct shk_view *input_view(const struct shk_session *session, uint32_t i)
{
    return &session->plan->views[session->fused->graph.inputs[i]];
}

/* Where in a lane's part of a slot's buffers each input and output is. */
static void lay_out(struct shk_session *session)
{
    const struct shk_graph *graph = session->graph;
    uint64_t at = 0;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        session->input_offsets[i] = at;
        at = shk_align_up(at + shk_view_bytes(input_view(session, i)), REGION_ALIGNMENT);
    }
    session->input_bytes = at;
    at = 0;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        session->output_offsets[i] = at;
        at += shk_select_covers(session, i) ? 0 : shk_view_bytes(&session->plan->views[graph->outputs[i]]);
        at = shk_align_up(at, REGION_ALIGNMENT);
    }
    session->output_bytes = shk_align_up(at + shk_select_place(session, at), REGION_ALIGNMENT);
}

static enum shk_status fuse_and_plan(struct shk_session *session, struct shk_error *error)
{
    bool keep = session->params.keep_tensors;
    uint32_t without = keep ? SHK_FUSION_ALL : session->params.no_fusion;
    enum shk_chain *chains = calloc(SHK_MAX(session->graph->op_count, 1u), sizeof(*chains));
    uint64_t start = shk_time_ns();
    if (!chains)
        return shk_fail_oom(error, session->graph->op_count * sizeof(*chains), "fusion");
    shk_session_choose_chains(session, chains);
    shk_plan_destroy(&session->plan);
    shk_fuse_destroy(&session->fused);
    enum shk_status status = shk_fuse(session->graph, without, chains, &session->fused, error);
    free(chains);
    if (!status)
        status = shk_plan_create(&session->fused->graph, keep, !(session->params.no_fusion & SHK_FUSION_PARTS),
                                 &session->plan, error);
    session->info.plan_ns = shk_time_ns() - start;
    return status;
}

/* Until every kernel that is used is known to compute correctly. */
static enum shk_status lower(struct shk_session *session, struct shk_error *error)
{
    struct shk_lowering *lowering = &session->lowering;
    enum shk_status status;
    bool texels = shk_session_read_notes(session);
    do {
        shk_lowering_finish(lowering);
        status = fuse_and_plan(session, error);
        if (!status)
            status =
                shk_lowering_init(lowering, session->fused, session->device, session->plan, &session->params, texels, error);
        lowering->choices = session->choices;
        if (!status)
            status = shk_lowering_run(lowering, error);
    } while (!status && session->look_up && !shk_session_check_kernels(session));
    return status;
}

static enum shk_status plan_and_pack(struct shk_session *session, struct shk_error *error)
{
    const struct shk_graph *graph = session->graph;
    uint64_t start = shk_time_ns();
    enum shk_status status = lower(session, error);
    if (status)
        return status;
    session->input_offsets = calloc(graph->input_count, sizeof(uint64_t));
    session->output_offsets = calloc(graph->output_count, sizeof(uint64_t));
    if (!session->input_offsets || !session->output_offsets)
        return shk_fail_oom(error, graph->output_count * sizeof(uint64_t), "model outputs");
    status = shk_select_init(session, error);
    if (status)
        return status;
    lay_out(session);
    shk_fused_quantize_levels(session->fused, session->tables, SHK_PREPROCESS_TABLE_WORDS);
    session->table_offset = shk_lower_params(&session->lowering, session->tables, sizeof(session->tables), 16);
    session->info.pack_ns = shk_time_ns() - start - session->info.plan_ns;
    session->info.memory = session->plan->report;
    session->info.memory.parameter_bytes = session->lowering.size;
    session->info.dispatches = shk_lowering_dispatches(&session->lowering);
    session->info.barriers = shk_lowering_barriers(&session->lowering);
    return session->lowering.status ? shk_fail(error, session->lowering.status, "%s", session->lowering.error.message)
                                    : SHK_OK;
}

/* Constants that are read like activations (anchors of an ADD, say) live in the arena, in each lane. */
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
        for (uint32_t lane = 0; lane < session->params.batch_size && !status; lane++)
            status = shk_buffer_write(session->device, &session->arena,
                                      lane * session->lowering.lane_bytes + (VkDeviceSize)view->offset * 4, words,
                                      bytes, error);
        free(words);
    }
    return status;
}

static enum shk_status create_arena(struct shk_session *session, struct shk_error *error)
{
    struct shk_error reason;
    struct shk_memory_stats stats;
    uint64_t lane = session->lowering.lane_bytes;
    uint32_t batch = session->params.batch_size;
    enum shk_status status =
        shk_pool_alloc(session->device->pool, SHK_MEMORY_DEVICE, lane * batch, SHK_TEXEL_ALIGNMENT, &session->arena, &reason);
    if (!status)
        return SHK_OK;
    if (batch == 1)
        return shk_fail(error, status, "%s", reason.message);
    shk_pool_stats(session->device->pool, &stats);
    uint64_t room = stats.budget > stats.used ? stats.budget - stats.used : 0;
    return shk_fail(error, status,
                    "%s: activations of a batch of %u need %u times %llu bytes, %llu are left of the budget: a "
                    "batch_size of at most %llu (%s)",
                    session->graph->name, batch, batch, (unsigned long long)lane, (unsigned long long)room,
                    (unsigned long long)SHK_CLAMP(room / lane, 1, batch - 1), reason.message);
}

static enum shk_status create_buffers(struct shk_session *session, struct shk_error *error)
{
    const struct shk_lowering *lowering = &session->lowering;
    uint64_t start = shk_time_ns();
    /* The uniform window may start anywhere, so that parameters have room for one behind them. */
    enum shk_status status = create_arena(session, error);
    if (!status)
        status = shk_weights_get(session->device, session->model, lowering->bytes, lowering->size, lowering->uniform_range,
                                 &session->weights, &session->info.parameters_shared, error);
    if (!status)
        status = upload_constants(session, error);
    free(session->lowering.bytes);
    session->lowering.bytes = NULL;
    session->info.upload_ns = shk_time_ns() - start;
    return status;
}

/* Room for `bytes` in the slot's staging memory. */
static enum shk_status grow_staging(struct shk_session *session, struct shk_frame_slot *slot, uint64_t bytes,
                                    struct shk_error *error)
{
    struct shk_memory *larger = NULL;
    uint64_t present = slot->staging ? slot->staging->info.size : 0;
    if (bytes <= present)
        return SHK_OK;
    enum shk_status status = shk_memory_alloc(session->device, bytes, &larger, error);
    if (status)
        return status;
    shk_memory_unref(&slot->staging);
    slot->staging = larger;
    session->info.staging_bytes += bytes - present;
    return SHK_OK;
}

/* Headers that preprocessing reads, and its descriptor sets. */
static enum shk_status create_lanes(struct shk_session *session, struct shk_frame_slot *slot, VkDescriptorSet *sets,
                                    struct shk_error *error)
{
    uint32_t batch = session->params.batch_size;
    VkDeviceSize alignment = SHK_MAX(session->device->limits.minStorageBufferOffsetAlignment, 4);
    VkDeviceSize bytes = shk_align_up(shk_preprocess_header_bytes(session->graph), alignment);
    enum shk_status status =
        shk_pool_alloc(session->device->pool, SHK_MEMORY_UPLOAD, bytes * batch, 0, &slot->headers, error);
    for (uint32_t i = 0; i < batch && !status; i++) {
        struct shk_lane *lane = &slot->lanes[i];
        lane->set = sets[i];
        lane->header = (uint8_t *)slot->headers.map + i * bytes;
        shk_kernels_write_set(&session->kernels, lane->set, &session->arena, &session->weights->buffer,
                              session->lowering.uniform_range);
    }
    session->info.staging_bytes += slot->headers.size;
    return status;
}

static void bind_found(struct shk_session *session, struct shk_frame_slot *slot, VkDescriptorSet set)
{
    const struct shk_selection *selection = session->selection;
    const struct shk_buffer *candidates = &selection->candidates, *kept = &slot->gpu.output;
    slot->select_set = set;
    shk_kernels_write_set(&session->kernels, set, &session->arena, &selection->buffer, sizeof(selection->heads));
    shk_kernels_write_frame(&session->kernels, set,
                            &(VkDescriptorBufferInfo){candidates->buffer, candidates->offset, candidates->size},
                            &(VkDescriptorBufferInfo){kept->buffer, kept->offset, kept->size});
}

/* `sets`: one per lane, and one for the selection. */
static enum shk_status create_slot(struct shk_session *session, struct shk_frame_slot *slot, VkDescriptorSet *sets,
                                   struct shk_error *error)
{
    uint32_t batch = session->params.batch_size;
    uint32_t queries = QUERY_OPS + (session->params.profile_ops ? session->graph->op_count : 0);
    enum shk_status status = shk_slot_init(session->device, 0, batch * session->output_bytes, queries, batch,
                                           &slot->gpu, error);
    if (status)
        return status;
    session->info.staging_bytes += slot->gpu.output.size;
    status = grow_staging(session, slot, batch * session->input_bytes, error);
    if (session->selection)
        bind_found(session, slot, sets[batch]);
    if (!status && session->image)
        status = create_lanes(session, slot, sets, error);
    if (!status)
        status = shk_record_inference(session, slot, error);
    slot->source = SHK_SOURCE_TENSORS;
    slot->count = 1;
    return status ? status : shk_record_source(session, slot, error);
}

static enum shk_status create_slots(struct shk_session *session, struct shk_error *error)
{
    uint64_t start = shk_time_ns();
    uint32_t per_slot = session->params.batch_size + 1;
    VkDescriptorSet sets[1 + SHK_MAX_FRAMES_IN_FLIGHT * (SHK_MAX_BATCH + 1)];
    enum shk_status status = shk_kernels_view_arena(&session->kernels, &session->arena, error);
    if (!status)
        status = shk_kernels_view_params(&session->kernels, &session->weights->buffer, error);
    if (!status)
        status = shk_kernels_create_sets(&session->kernels, 1 + session->slot_count * per_slot,
                                         &session->descriptor_pool, sets, error);
    if (status)
        return status;
    session->set = sets[0];
    shk_kernels_write_set(&session->kernels, session->set, &session->arena, &session->weights->buffer,
                          session->lowering.uniform_range);
    for (uint32_t i = 0; i < session->slot_count && !status; i++)
        status = create_slot(session, &session->slots[i], sets + 1 + i * per_slot, error);
    session->info.record_ns = shk_time_ns() - start;
    return status;
}

static enum shk_status device_create(struct shk_session *session, struct shk_error *error)
{
    enum shk_status status = plan_and_pack(session, error);
    if (!status)
        status = create_buffers(session, error);
    if (!status) /* nothing need have been uploaded, where parameters are shared */
        status = shk_device_check_lost(session->device, "creating a session", error);
    if (status)
        return status;
    uint64_t start = shk_time_ns();
    status = shk_kernels_init(session->device, session->cache_dir, &session->params.log, &session->kernels, error);
    if (!status)
        status = shk_kernels_build(&session->kernels, session->lowering.dispatches, session->lowering.count, error);
    if (!status && session->selection)
        status = shk_select_build(session, error);
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
            shk_device_retire(session->device, session->slots[t % session->slot_count].gpu.fence);
    for (uint32_t i = 0; session->slots && i < session->slot_count; i++) {
        shk_slot_finish(session->device, &session->slots[i].gpu);
        shk_pool_free(session->device->pool, &session->slots[i].headers);
    }
    if (session->descriptor_pool)
        vkDestroyDescriptorPool(session->device->device, session->descriptor_pool, NULL);
    shk_kernels_finish(&session->kernels);
    shk_pool_free(session->device->pool, &session->arena);
    shk_weights_put(session->device, &session->weights);
    shk_lowering_finish(&session->lowering);
    shk_plan_destroy(&session->plan);
    shk_fuse_destroy(&session->fused);
    free(session->input_offsets);
    free(session->output_offsets);
    shk_select_finish(session);
}

static enum shk_status device_stream(struct shk_session *session, struct shk_stream *stream, struct shk_error *error)
{
    struct shk_dispatch dispatch = {0};
    if (session->fused->quantize)
        stream->preprocess.float_output = false;
    shk_preprocess_dispatch(&stream->preprocess, input_view(session, 0), session->table_offset, &dispatch);
    shk_lowered_from(&stream->dispatch, &dispatch);
    enum shk_status status = shk_kernels_build(&session->kernels, &stream->dispatch, 1, error);
    if (!status)
        shk_kernels_save_cache(&session->kernels, &session->params.log);
    return status;
}

/* The staging memory serves frames and raw tensors, whichever is larger. */
static enum shk_status device_configure(struct shk_session *session, struct shk_error *error)
{
    enum shk_status status = SHK_OK;
    size_t bytes = session->stream.preprocess.staged_bytes;
    if (bytes > session->device->limits.maxStorageBufferRange)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "frames of %zu bytes: this device can bind %u; crop or scale them first", bytes,
                        session->device->limits.maxStorageBufferRange);
    for (uint32_t i = 0; i < session->slot_count && !status; i++) {
        struct shk_frame_slot *slot = &session->slots[i];
        status = grow_staging(session, slot, bytes, error);
        if (status)
            break;
        slot->source = SHK_SOURCE_FRAMES;
        slot->count = 1;
        slot->lanes[0].stream = &session->stream;
        slot->lanes[0].memory = slot->staging;
        status = shk_record_source(session, slot, error);
    }
    return status;
}

static void device_write_tensors(struct shk_session *session, struct shk_frame_slot *slot, uint32_t lane,
                                 const void *const *inputs)
{
    for (uint32_t i = 0; i < session->graph->input_count; i++) {
        uint32_t tensor = session->graph->inputs[i];
        const struct shk_view *view = input_view(session, i);
        uint8_t *words = (uint8_t *)slot->staging->info.map + lane * session->input_bytes + session->input_offsets[i];
        if (session->fused->quantize) {
            shk_fused_quantize_input(session->fused, view, inputs[i], words);
            continue;
        }
        shk_rows_pack(view, element_size(session, tensor), inputs[i], words);
        if (session->graph->tensors[tensor].legacy_uint8)
            shk_flip_sign(words, words, shk_view_bytes(view));
    }
}

/* What the CPU wrote for the slot. */
static enum shk_status flush(struct shk_session *session, struct shk_frame_slot *slot, struct shk_error *error)
{
    if (slot->source == SHK_SOURCE_TENSORS)
        return shk_buffer_flush(session->device, &slot->staging->buffer, 0, slot->count * session->input_bytes, error);
    enum shk_status status = shk_buffer_flush(session->device, &slot->headers, 0, slot->headers.size, error);
    for (uint32_t i = 0; i < slot->count && !status; i++)
        status = shk_memory_flush(slot->lanes[i].memory, error);
    return status;
}

static enum shk_status device_submit(struct shk_session *session, struct shk_frame_slot *slot,
                                     struct shk_error *error)
{
    const uint32_t which[] = {SHK_COMMANDS_PREPROCESS, SHK_COMMANDS_INFERENCE + slot->count - 1};
    enum shk_status status = shk_record_source(session, slot, error);
    if (!status)
        status = flush(session, slot, error);
    return status ? status : shk_slot_submit(session->device, &slot->gpu, which, 2, error);
}

/* Device ticks to CLOCK_MONOTONIC. Without calibrated timestamps the frame is taken to have ended now, and
 * durations stay exact. */
static void device_stages(struct shk_session *session, struct shk_frame_slot *slot, uint64_t now)
{
    struct shk_stage_time *stages = slot->stages;
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
    const struct shk_lowering *lowering = &session->lowering;
    uint64_t before, after;
    uint32_t next = 0;
    if (!slot->op_ns || !shk_slot_timestamps(session->device, &slot->gpu, QUERY_PREPROCESSED, 1, &before))
        return;
    for (uint32_t i = 0; i < session->graph->op_count; i++) {
        if (!shk_slot_timestamps(session->device, &slot->gpu, QUERY_OPS + i, 1, &after))
            return;
        /* between two timestamps there is a little time even if there is nothing else */
        bool runs = next < lowering->count && lowering->dispatches[next].op == i;
        slot->op_ns[i] =
            runs ? shk_ticks_to_ns(session->device, (after - before) & session->device->timestamp_mask) : 0;
        while (next < lowering->count && lowering->dispatches[next].op == i)
            next++;
        before = after;
    }
}

static void unpack_outputs(struct shk_session *session, struct shk_frame_slot *slot)
{
    const struct shk_graph *graph = session->graph;
    for (uint32_t k = 0; k < slot->count; k++) {
        const uint8_t *words = (const uint8_t *)slot->gpu.output.map + k * session->output_bytes;
        struct shk_lane *lane = &slot->lanes[k];
        shk_select_read(session, lane, words);
        for (uint32_t i = 0; i < graph->output_count; i++)
            if (!shk_select_covers(session, i))
                shk_rows_unpack(&session->plan->views[graph->outputs[i]], element_size(session, graph->outputs[i]),
                                words + session->output_offsets[i], lane->outputs[i]);
    }
}

static enum shk_status device_wait(struct shk_session *session, struct shk_frame_slot *slot, uint64_t timeout_ns,
                                   struct shk_error *error)
{
    enum shk_status status = shk_slot_wait(session->device, &slot->gpu, timeout_ns, error);
    if (!status)
        status = shk_buffer_invalidate(session->device, &slot->gpu.output, 0, slot->count * session->output_bytes,
                                       error);
    if (status)
        return status;
    uint64_t visible = shk_time_ns();
    device_stages(session, slot, visible);
    unpack_outputs(session, slot);
    slot->stages[SHK_STAGE_READBACK].duration += shk_time_ns() - visible;
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
    .stream = device_stream,
    .configure = device_configure,
    .write_tensors = device_write_tensors,
    .submit = device_submit,
    .wait = device_wait,
    .read_tensor = device_read_tensor,
};
