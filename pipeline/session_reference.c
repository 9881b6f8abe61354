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

static enum shk_status reference_create(struct shk_session *session, struct shk_error *error)
{
    const struct shk_graph *graph = session->graph;
    enum shk_status status = create_tensors(session, error);
    if (!status)
        status = create_arguments(session, error);
    for (uint32_t i = 0; i < session->slot_count && !status; i++) {
        struct shk_frame_slot *slot = &session->slots[i];
        slot->inputs = calloc(graph->input_count, sizeof(*slot->inputs));
        for (uint32_t k = 0; slot->inputs && k < graph->input_count; k++)
            if (!(slot->inputs[k] = calloc(1, graph->tensors[graph->inputs[k]].bytes)))
                status = shk_fail_oom(error, graph->tensors[graph->inputs[k]].bytes, "model inputs");
        if (!slot->inputs)
            status = shk_fail_oom(error, sizeof(*slot->inputs), "model inputs");
    }
    return status;
}

static void reference_destroy(struct shk_session *session)
{
    const struct shk_graph *graph = session->graph;
    for (uint32_t t = 0; session->tensors && t < graph->tensor_count; t++)
        if (!graph->tensors[t].data)
            free(session->tensors[t]);
    free(session->tensors);
    free(session->arguments);
    for (uint32_t i = 0; session->slots && i < session->slot_count; i++) {
        struct shk_frame_slot *slot = &session->slots[i];
        for (uint32_t k = 0; slot->inputs && k < graph->input_count; k++)
            free(slot->inputs[k]);
        free(slot->inputs);
        free(slot->frame);
    }
}

static enum shk_status reference_configure(struct shk_session *session, struct shk_error *error)
{
    for (uint32_t i = 0; i < session->slot_count; i++) {
        void *frame = realloc(session->slots[i].frame, session->preprocess.bytes);
        if (!frame)
            return shk_fail_oom(error, session->preprocess.bytes, "a frame");
        session->slots[i].frame = frame;
    }
    return SHK_OK;
}

static void *reference_frame_memory(struct shk_session *session, struct shk_frame_slot *slot)
{
    (void)session;
    return slot->frame;
}

static enum shk_status reference_write_tensors(struct shk_session *session, struct shk_frame_slot *slot,
                                               const void *const *inputs, struct shk_error *error)
{
    (void)error;
    for (uint32_t i = 0; i < session->graph->input_count; i++) {
        const struct shk_tensor *t = &session->graph->tensors[session->graph->inputs[i]];
        if (t->legacy_uint8)
            shk_flip_sign(inputs[i], slot->inputs[i], t->bytes);
        else
            memcpy(slot->inputs[i], inputs[i], t->bytes);
    }
    return SHK_OK;
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

static void take_inputs(struct shk_session *session, struct shk_frame_slot *slot)
{
    const struct shk_graph *graph = session->graph;
    if (slot->source == SHK_SOURCE_FRAME)
        shk_preprocess_run(&session->preprocess, session->tables, slot->frame, session->tensors[graph->inputs[0]]);
    else
        for (uint32_t i = 0; i < graph->input_count; i++)
            memcpy(session->tensors[graph->inputs[i]], slot->inputs[i], graph->tensors[graph->inputs[i]].bytes);
}

static enum shk_status reference_wait(struct shk_session *session, struct shk_frame_slot *slot, uint64_t timeout_ns,
                                      struct shk_stage_time *stages, struct shk_error *error)
{
    (void)timeout_ns;
    const struct shk_graph *graph = session->graph;
    uint64_t start = shk_time_ns();
    take_inputs(session, slot);
    uint64_t preprocessed = shk_time_ns(), op_start = preprocessed;
    for (uint32_t i = 0; i < graph->op_count; i++) {
        enum shk_status status = run_op(session, &graph->ops[i], error);
        if (status)
            return status;
        uint64_t op_end = shk_time_ns();
        if (slot->op_ns)
            slot->op_ns[i] = op_end - op_start;
        op_start = op_end;
    }
    for (uint32_t i = 0; i < graph->output_count; i++)
        memcpy(slot->outputs[i], session->tensors[graph->outputs[i]], graph->tensors[graph->outputs[i]].bytes);
    uint64_t end = shk_time_ns();
    stages[SHK_STAGE_PREPROCESS] = (struct shk_stage_time){start, preprocessed - start};
    stages[SHK_STAGE_INFERENCE] = (struct shk_stage_time){preprocessed, op_start - preprocessed};
    stages[SHK_STAGE_READBACK] = (struct shk_stage_time){op_start, end - op_start};
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
    .frame_memory = reference_frame_memory,
    .write_tensors = reference_write_tensors,
    .submit = reference_submit,
    .wait = reference_wait,
    .read_tensor = reference_read_tensor,
};
