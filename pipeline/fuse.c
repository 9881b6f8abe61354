/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse.h"

#include <stdlib.h>
#include <string.h>

static enum shk_status allocate(struct shk_fused *fused, const struct shk_graph *graph, struct shk_error *error)
{
    size_t ops = SHK_MAX(graph->op_count, 1u), tensors = SHK_MAX(graph->tensor_count, 1u);
    fused->own = graph;
    fused->graph = *graph;
    fused->graph.ops = calloc(ops, sizeof(*fused->graph.ops));
    fused->graph.tensors = calloc(tensors, sizeof(*fused->graph.tensors));
    fused->ops = calloc(ops, sizeof(*fused->ops));
    fused->producer = malloc(tensors * sizeof(*fused->producer));
    fused->users = calloc(tensors, sizeof(*fused->users));
    fused->links = calloc(ops, (SHK_FUSED_INPUTS + 1) * sizeof(*fused->links));
    fused->tables = calloc(ops, sizeof(*fused->tables));
    if (!fused->graph.ops || !fused->graph.tensors || !fused->ops || !fused->producer || !fused->users ||
        !fused->links || !fused->tables)
        return shk_fail_oom(error, ops * sizeof(*fused->ops), "fusion");
    return SHK_OK;
}

static void find_users(struct shk_fused *fused)
{
    const struct shk_graph *graph = fused->own;
    for (uint32_t t = 0; t < graph->tensor_count; t++)
        fused->producer[t] = UINT32_MAX;
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct shk_op *op = &graph->ops[i];
        for (uint32_t k = 0; k < op->output_count; k++)
            fused->producer[op->outputs[k]] = i;
        for (uint32_t k = 0; k < op->input_count; k++)
            if (op->inputs[k] != SHK_TENSOR_NONE)
                fused->users[op->inputs[k]]++;
    }
    for (uint32_t i = 0; i < graph->output_count; i++)
        fused->users[graph->outputs[i]]++;
}

static bool has_room(const struct shk_op *op)
{
    return op->def->absorbs || op->def->takes_border;
}

/* Ops whose inputs and outputs may change get a place for them: an output where there is one only, inputs where the op
 * has at most three and a residual may come. */
static void copy_ops(struct shk_fused *fused)
{
    for (uint32_t i = 0; i < fused->own->op_count; i++) {
        const struct shk_op *own = &fused->own->ops[i];
        struct shk_op *op = &fused->graph.ops[i];
        uint32_t *links = fused->links + (size_t)i * (SHK_FUSED_INPUTS + 1);
        *op = *own;
        fused->ops[i] = (struct shk_fused_op){.own = own, .into = i};
        if (own->output_count == 1) {
            op->outputs = links + SHK_FUSED_INPUTS;
            op->outputs[0] = own->outputs[0];
        }
        if (!has_room(own))
            continue;
        op->inputs = links;
        for (uint32_t k = 0; k < SHK_FUSED_INPUTS; k++)
            op->inputs[k] = k < own->input_count ? own->inputs[k] : SHK_TENSOR_NONE;
    }
}

uint32_t shk_fuse_writer(const struct shk_fused *fused, uint32_t tensor)
{
    uint32_t op = fused->producer[tensor];
    if (op == UINT32_MAX || fused->users[tensor] != 1)
        return UINT32_MAX;
    op = fused->ops[op].into;
    return fused->graph.ops[op].output_count == 1 && fused->graph.ops[op].outputs[0] == tensor ? op : UINT32_MAX;
}

void shk_fuse_absorb(struct shk_fused *fused, uint32_t i, uint32_t into)
{
    fused->ops[i].into = into;
    fused->graph.ops[into].outputs[0] = fused->own->ops[i].outputs[0];
}

static void clear_absorbed(struct shk_fused *fused)
{
    for (uint32_t i = 0; i < fused->graph.op_count; i++)
        if (fused->ops[i].into != i)
            fused->graph.ops[i].input_count = fused->graph.ops[i].output_count = 0;
}

static enum shk_fusion fusion_of(enum shk_chain chain)
{
    return chain == SHK_CHAIN_PAIR ? SHK_FUSION_PAIR : SHK_FUSION_INVERTED;
}

static void fuse(struct shk_fused *fused, uint32_t without, const enum shk_chain *chains)
{
    if (!(without & SHK_FUSION_INPUT))
        shk_fuse_input(fused);
    if (!(without & SHK_FUSION_PAD))
        shk_fuse_pads(fused);
    for (uint32_t i = 0; i < fused->own->op_count; i++) {
        if (!(without & SHK_FUSION_TABLE)) {
            shk_fuse_table(fused, i);
            shk_fuse_scales(fused, i);
        }
        if (!(without & SHK_FUSION_ADD))
            shk_fuse_add(fused, i);
        if (!(without & SHK_FUSION_RESHAPE))
            shk_fuse_reshape(fused, i);
        if (chains && chains[i] != SHK_CHAIN_NONE && !(without & fusion_of(chains[i])))
            shk_fuse_chain(fused, i, chains[i]);
    }
    clear_absorbed(fused);
}

enum shk_status shk_fuse(const struct shk_graph *graph, uint32_t without, const enum shk_chain *chains,
                         struct shk_fused **out, struct shk_error *error)
{
    struct shk_fused *fused = calloc(1, sizeof(*fused));
    if (!fused)
        return shk_fail_oom(error, sizeof(*fused), "fusion");
    enum shk_status status = allocate(fused, graph, error);
    if (status) {
        shk_fuse_destroy(&fused);
        return status;
    }
    memcpy(fused->graph.tensors, graph->tensors, graph->tensor_count * sizeof(*graph->tensors));
    find_users(fused);
    copy_ops(fused);
    fuse(fused, without, chains);
    *out = fused;
    return SHK_OK;
}

enum shk_status shk_fuse_chains(const struct shk_graph *graph, uint32_t without, enum shk_chain chain,
                                struct shk_fused **fused, struct shk_error *error)
{
    size_t count = SHK_MAX(graph->op_count, 1u);
    enum shk_chain *chains = malloc(count * sizeof(*chains));
    if (!chains)
        return shk_fail_oom(error, count * sizeof(*chains), "fusion");
    for (size_t i = 0; i < count; i++)
        chains[i] = chain;
    enum shk_status status = shk_fuse(graph, without, chains, fused, error);
    free(chains);
    return status;
}

enum shk_chain shk_fused_chain(const struct shk_fused *fused, uint32_t i)
{
    const struct shk_fused_op *f = &fused->ops[i];
    return f->expand ? SHK_CHAIN_INVERTED : f->depthwise ? SHK_CHAIN_PAIR : SHK_CHAIN_NONE;
}

void shk_fuse_destroy(struct shk_fused **fused)
{
    if (!fused || !*fused)
        return;
    free((*fused)->graph.ops);
    free((*fused)->graph.tensors);
    free((*fused)->ops);
    free((*fused)->producer);
    free((*fused)->users);
    free((*fused)->links);
    free((*fused)->tables);
    free(*fused);
    *fused = NULL;
}

enum shk_status shk_model_get_fusion(const struct shk_model *model, uint32_t no_fusion, uint32_t *into, uint32_t count,
                                     struct shk_error *error)
{
    struct shk_fused *fused = NULL;
    const struct shk_graph *graph = shk_model_graph(model);
    if (count != graph->op_count)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_model_get_fusion: room for %u ops, the model has %u",
                        count, graph->op_count);
    enum shk_status status = shk_fuse(graph, no_fusion, NULL, &fused, error);
    for (uint32_t i = 0; i < count && !status; i++)
        into[i] = fused->ops[i].into;
    shk_fuse_destroy(&fused);
    return status;
}
