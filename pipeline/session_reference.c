/* The C reference as a backend: every op's reference(), one after the other, on the waiting thread.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "session.h"

static enum shk_status create_tensors(struct shk_session *session, struct shk_error *error)
{
    const struct shk_graph *graph = session->graph;
    session->tensors = calloc(SHK_MAX(graph->tensor_count, 1u), sizeof(*session->tensors));
    if (!session->tensors)
        return shk_fail_oom(error, graph->tensor_count * sizeof(void *), "tensors");
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        const struct shk_tensor *tensor = &graph->tensors[t];
        session->tensors[t] = tensor->data ? (void *)(uintptr_t)tensor->data : calloc(1, tensor->bytes);
        if (!session->tensors[t])
            return shk_fail_oom(error, tensor->bytes, tensor->name);
    }
    return SHK_OK;
}

/* Room for the inputs and outputs of any op: a concatenation may have many. */
static enum shk_status create_arguments(struct shk_session *session, struct shk_error *error)
{
    size_t most = 1;
    for (uint32_t i = 0; i < session->graph->op_count; i++) {
        const struct shk_op *op = &session->graph->ops[i];
        most = SHK_MAX(most, (size_t)op->input_count + op->output_count);
    }
    session->arguments = calloc(most, sizeof(*session->arguments));
    return session->arguments ? SHK_OK : shk_fail_oom(error, most * sizeof(void *), "op arguments");
}

static enum shk_status create_lane(struct shk_session *session, struct shk_lane *lane, struct shk_error *error)
{
    const struct shk_graph *graph = session->graph;
    lane->inputs = calloc(graph->input_count, sizeof(*lane->inputs));
    if (!lane->inputs)
        return shk_fail_oom(error, sizeof(*lane->inputs), "model inputs");
    for (uint32_t k = 0; k < graph->input_count; k++)
        if (!(lane->inputs[k] = calloc(1, graph->tensors[graph->inputs[k]].bytes)))
            return shk_fail_oom(error, graph->tensors[graph->inputs[k]].bytes, "model inputs");
    if (session->image && !(lane->header = malloc(shk_preprocess_header_bytes(graph))))
        return shk_fail_oom(error, shk_preprocess_header_bytes(graph), "a frame's header");
    return SHK_OK;
}

static enum shk_status reference_create(struct shk_session *session, struct shk_error *error)
{
    enum shk_status status = create_tensors(session, error);
    if (!status)
        status = create_arguments(session, error);
    for (uint32_t i = 0; i < session->slot_count; i++)
        for (uint32_t k = 0; k < session->params.batch_size && !status; k++)
            status = create_lane(session, &session->slots[i].lanes[k], error);
    return status;
}

static void destroy_lane(const struct shk_graph *graph, struct shk_lane *lane)
{
    for (uint32_t k = 0; lane->inputs && k < graph->input_count; k++)
        free(lane->inputs[k]);
    free(lane->inputs);
    free(lane->header);
}

static void reference_destroy(struct shk_session *session)
{
    const struct shk_graph *graph = session->graph;
    for (uint32_t t = 0; session->tensors && t < graph->tensor_count; t++)
        if (!graph->tensors[t].data)
            free(session->tensors[t]);
    free(session->tensors);
    free(session->arguments);
    for (uint32_t i = 0; session->slots && i < session->slot_count; i++)
        for (uint32_t k = 0; session->slots[i].lanes && k < session->params.batch_size; k++)
            destroy_lane(graph, &session->slots[i].lanes[k]);
}

static enum shk_status reference_configure(struct shk_session *session, struct shk_error *error)
{
    size_t bytes = session->stream.preprocess.staged_bytes;
    for (uint32_t i = 0; i < session->slot_count; i++) {
        struct shk_frame_slot *slot = &session->slots[i];
        if (slot->staging && slot->staging->info.size >= bytes)
            continue;
        shk_memory_unref(&slot->staging);
        enum shk_status status = shk_memory_alloc(NULL, bytes, &slot->staging, error);
        if (status)
            return status;
    }
    return SHK_OK;
}

static void reference_write_tensors(struct shk_session *session, struct shk_frame_slot *slot, uint32_t lane,
                                    const void *const *inputs)
{
    void **to = slot->lanes[lane].inputs;
    for (uint32_t i = 0; i < session->graph->input_count; i++) {
        const struct shk_tensor *t = &session->graph->tensors[session->graph->inputs[i]];
        if (t->legacy_uint8)
            shk_flip_sign(inputs[i], to[i], t->bytes);
        else
            memcpy(to[i], inputs[i], t->bytes);
    }
}

static enum shk_status reference_submit(struct shk_session *session, struct shk_frame_slot *slot,
                                        struct shk_error *error)
{
    (void)session;
    (void)slot;
    (void)error;
    return SHK_OK;
}

static enum shk_status run_op(struct shk_session *session, const struct shk_op *op, struct shk_error *error)
{
    void **arrays = session->arguments;
    for (uint32_t i = 0; i < op->input_count; i++)
        arrays[i] = op->inputs[i] == SHK_TENSOR_NONE ? NULL : session->tensors[op->inputs[i]];
    for (uint32_t i = 0; i < op->output_count; i++)
        arrays[op->input_count + i] = session->tensors[op->outputs[i]];
    struct shk_reference run = {
        .graph = session->graph,
        .op = op,
        .inputs = (const void *const *)arrays,
        .outputs = arrays + op->input_count,
        .params = &session->params,
    };
    return op->def->reference(&run, error);
}

static void take_inputs(struct shk_session *session, const struct shk_frame_slot *slot, const struct shk_lane *lane)
{
    const struct shk_graph *graph = session->graph;
    if (slot->source == SHK_SOURCE_FRAMES)
        shk_preprocess_run(&lane->stream->preprocess, session->tables, lane->header, lane->memory->info.map,
                           session->tensors[graph->inputs[0]]);
    else
        for (uint32_t i = 0; i < graph->input_count; i++)
            memcpy(session->tensors[graph->inputs[i]], lane->inputs[i], graph->tensors[graph->inputs[i]].bytes);
}

/* Adds its times to the slot's. */
static enum shk_status run_lane(struct shk_session *session, struct shk_frame_slot *slot, struct shk_lane *lane,
                                struct shk_error *error)
{
    const struct shk_graph *graph = session->graph;
    uint64_t start = shk_time_ns();
    take_inputs(session, slot, lane);
    uint64_t preprocessed = shk_time_ns(), op_start = preprocessed;
    for (uint32_t i = 0; i < graph->op_count; i++) {
        enum shk_status status = run_op(session, &graph->ops[i], error);
        if (status)
            return status;
        uint64_t op_end = shk_time_ns();
        if (slot->op_ns)
            slot->op_ns[i] += op_end - op_start;
        op_start = op_end;
    }
    for (uint32_t i = 0; i < graph->output_count; i++)
        memcpy(lane->outputs[i], session->tensors[graph->outputs[i]], graph->tensors[graph->outputs[i]].bytes);
    slot->stages[SHK_STAGE_PREPROCESS].duration += preprocessed - start;
    slot->stages[SHK_STAGE_INFERENCE].duration += op_start - preprocessed;
    slot->stages[SHK_STAGE_READBACK].duration += shk_time_ns() - op_start;
    return SHK_OK;
}

/* Frame after frame; the stages are shown as if each had been done for all of them at once. */
static enum shk_status reference_wait(struct shk_session *session, struct shk_frame_slot *slot, uint64_t timeout_ns,
                                      struct shk_error *error)
{
    (void)timeout_ns;
    struct shk_stage_time *stages = slot->stages;
    memset(stages, 0, sizeof(slot->stages));
    if (slot->op_ns)
        memset(slot->op_ns, 0, session->graph->op_count * sizeof(*slot->op_ns));
    stages[SHK_STAGE_PREPROCESS].start = shk_time_ns();
    for (uint32_t i = slot->count; i-- > 0;) { /* frame 0 last: its tensors can be read */
        enum shk_status status = run_lane(session, slot, &slot->lanes[i], error);
        if (status)
            return status;
    }
    for (int i = SHK_STAGE_INFERENCE; i <= SHK_STAGE_READBACK; i++)
        stages[i].start = stages[i - 1].start + stages[i - 1].duration;
    return SHK_OK;
}

static enum shk_status reference_read_tensor(struct shk_session *session, uint32_t tensor, void *bytes,
                                             struct shk_error *error)
{
    (void)error;
    memcpy(bytes, session->tensors[tensor], session->graph->tensors[tensor].bytes);
    return SHK_OK;
}

const struct shk_backend shk_backend_reference = {
    .create = reference_create,
    .destroy = reference_destroy,
    .configure = reference_configure,
    .write_tensors = reference_write_tensors,
    .submit = reference_submit,
    .wait = reference_wait,
    .read_tensor = reference_read_tensor,
};
