/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse.h"

#include <stdlib.h>

static enum shk_status allocate(struct shk_fused *fused, const struct shk_graph *graph, struct shk_error *error)
{
    size_t ops = SHK_MAX(graph->op_count, 1u), tensors = SHK_MAX(graph->tensor_count, 1u);
    fused->graph = *graph;
    fused->graph.ops = calloc(ops, sizeof(*fused->graph.ops));
    fused->ops = calloc(ops, sizeof(*fused->ops));
    fused->producer = malloc(tensors * sizeof(*fused->producer));
    fused->users = calloc(tensors, sizeof(*fused->users));
    fused->user = calloc(tensors, sizeof(*fused->user));
    fused->links = calloc(ops, (SHK_FUSED_INPUTS + 1) * sizeof(*fused->links));
    fused->tables = calloc(ops, sizeof(*fused->tables));
    if (!fused->graph.ops || !fused->ops || !fused->producer || !fused->users || !fused->user || !fused->links ||
        !fused->tables)
        return shk_fail_oom(error, ops * sizeof(*fused->ops), "fusion");
    return SHK_OK;
}

static void find_users(struct shk_fused *fused, const struct shk_graph *graph)
{
    for (uint32_t t = 0; t < graph->tensor_count; t++)
        fused->producer[t] = UINT32_MAX;
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct shk_op *op = &graph->ops[i];
        for (uint32_t k = 0; k < op->output_count; k++)
            fused->producer[op->outputs[k]] = i;
        for (uint32_t k = 0; k < op->input_count; k++)
            if (op->inputs[k] != SHK_TENSOR_NONE) {
                fused->users[op->inputs[k]]++;
                fused->user[op->inputs[k]] = i;
            }
    }
    for (uint32_t i = 0; i < graph->output_count; i++)
        fused->users[graph->outputs[i]]++;
}

/* Ops that absorb others by def->absorbs have at most three inputs and one output: these and a residual get a place
 * where they can be changed. */
static void copy_ops(struct shk_fused *fused, const struct shk_graph *graph)
{
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct shk_op *own = &graph->ops[i];
        struct shk_op *op = &fused->graph.ops[i];
        *op = *own;
        fused->ops[i] = (struct shk_fused_op){.own = own, .into = i};
        if (!own->def->absorbs && !own->def->takes_border)
            continue;
        op->inputs = fused->links + (size_t)i * (SHK_FUSED_INPUTS + 1);
        op->outputs = op->inputs + SHK_FUSED_INPUTS;
        for (uint32_t k = 0; k < SHK_FUSED_INPUTS; k++)
            op->inputs[k] = k < own->input_count ? own->inputs[k] : SHK_TENSOR_NONE;
        op->outputs[0] = own->outputs[0];
    }
}

static void clear_absorbed(struct shk_fused *fused)
{
    for (uint32_t i = 0; i < fused->graph.op_count; i++)
        if (fused->ops[i].into != i)
            fused->graph.ops[i].input_count = fused->graph.ops[i].output_count = 0;
}

enum shk_status shk_fuse(const struct shk_graph *graph, uint32_t without, struct shk_fused **out,
                         struct shk_error *error)
{
    struct shk_fused *fused = calloc(1, sizeof(*fused));
    if (!fused)
        return shk_fail_oom(error, sizeof(*fused), "fusion");
    enum shk_status status = allocate(fused, graph, error);
    if (status) {
        shk_fuse_destroy(&fused);
        return status;
    }
    find_users(fused, graph);
    copy_ops(fused, graph);
    if (!(without & SHK_FUSION_PAD))
        shk_fuse_pads(fused, graph);
    shk_fuse_epilogues(fused, graph, without);
    clear_absorbed(fused);
    *out = fused;
    return SHK_OK;
}

void shk_fuse_destroy(struct shk_fused **fused)
{
    if (!fused || !*fused)
        return;
    free((*fused)->graph.ops);
    free((*fused)->ops);
    free((*fused)->producer);
    free((*fused)->users);
    free((*fused)->user);
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
    enum shk_status status = shk_fuse(graph, no_fusion, &fused, error);
    for (uint32_t i = 0; i < count && !status; i++)
        into[i] = fused->ops[i].into;
    shk_fuse_destroy(&fused);
    return status;
}
