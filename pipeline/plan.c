/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 16

static uint64_t aligned_bytes(const struct shk_graph *graph, uint32_t tensor)
{
    struct shk_view view = shk_view_dense(&graph->tensors[tensor]);
    return shk_align_up(shk_view_bytes(&view), ALIGNMENT);
}

static uint64_t scratch_bytes(const struct shk_graph *graph, uint32_t op)
{
    const struct shk_op *o = &graph->ops[op];
    return o->def->scratch ? shk_align_up(o->def->scratch(graph, o), ALIGNMENT) : 0;
}

/* Turns lifetimes into bytes alive per step: add(first, last, size) for everything, then take the maximum. */
static uint64_t max_alive(uint64_t *delta, uint32_t steps)
{
    uint64_t alive = 0, most = 0;
    for (uint32_t s = 0; s < steps; s++) {
        alive += delta[s];
        most = SHK_MAX(most, alive);
    }
    return most;
}

static void add_alive(uint64_t *delta, uint32_t first, uint32_t last, uint64_t size)
{
    delta[first] += size;
    delta[last + 1] -= size; /* wraps; the running sum comes out right */
}

static uint64_t *alive_scratch(const struct shk_graph *graph, uint64_t *delta)
{
    memset(delta, 0, (graph->op_count + 3) * sizeof(*delta));
    for (uint32_t i = 0; i < graph->op_count; i++)
        add_alive(delta, i + 1, i + 1, scratch_bytes(graph, i));
    return delta;
}

/* Lifetime of a root's storage: from the first to the last use of anybody inside it. */
static void family_lifetimes(const struct shk_graph *graph, struct shk_storage *storage)
{
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        uint32_t offset;
        uint32_t root = shk_storage_root(storage, t, &offset);
        if (root == t || !storage[t].used)
            continue;
        storage[root].first = SHK_MIN(storage[root].first, storage[t].first);
        storage[root].last = SHK_MAX(storage[root].last, storage[t].last);
    }
}

/* Bytes alive at the worst step, with storage shared as assigned. */
static uint64_t shared_bound(const struct shk_graph *graph, const struct shk_storage *storage, uint64_t *delta)
{
    alive_scratch(graph, delta);
    for (uint32_t t = 0; t < graph->tensor_count; t++)
        if (storage[t].used && storage[t].parent == SHK_TENSOR_NONE)
            add_alive(delta, storage[t].first, storage[t].last, aligned_bytes(graph, t));
    return max_alive(delta, graph->op_count + 2);
}

static uint64_t assign(const struct shk_graph *graph, bool keep, const bool *parts, struct shk_storage *storage,
                       uint64_t *delta)
{
    shk_storage_assign(graph, keep, parts, storage);
    family_lifetimes(graph, storage);
    return shared_bound(graph, storage, delta);
}

/* Sharing spares a copy but keeps the whole concatenation alive from its first part on, or what is split to its last.
 * Where that raises the peak, memory wins. */
static uint64_t choose_sharing(const struct shk_graph *graph, bool keep, bool *parts, struct shk_storage *storage,
                               uint64_t *delta)
{
    for (uint32_t i = 0; i < graph->op_count; i++)
        parts[i] = true;
    uint64_t bound = assign(graph, keep, parts, storage, delta);
    for (uint32_t i = 0; i < graph->op_count; i++) {
        if (graph->ops[i].spelling->builtin != SHK_BUILTIN_CONCATENATION && !graph->ops[i].def->split_input)
            continue;
        parts[i] = false;
        uint64_t without = assign(graph, keep, parts, storage, delta);
        if (without < bound)
            bound = without;
        else
            parts[i] = true;
    }
    return assign(graph, keep, parts, storage, delta);
}

/* One block per root, then one per op with scratch. */
static void list_blocks(const struct shk_graph *graph, const struct shk_storage *storage, struct shk_plan *plan)
{
    uint32_t count = 0;
    for (uint32_t t = 0; t < graph->tensor_count; t++)
        if (storage[t].used && storage[t].parent == SHK_TENSOR_NONE)
            plan->blocks[count++] = (struct shk_memory_block){.bytes = aligned_bytes(graph, t),
                                                              .first = storage[t].first,
                                                              .last = storage[t].last,
                                                              .tensor = t};
    for (uint32_t i = 0; i < graph->op_count; i++)
        if (scratch_bytes(graph, i))
            plan->blocks[count++] = (struct shk_memory_block){
                .bytes = scratch_bytes(graph, i), .first = i + 1, .last = i + 1, .tensor = SHK_TENSOR_NONE};
    plan->block_count = count;
}

/* Blocks of tensors come in the order of their tensors. */
static void count_tensors(const struct shk_graph *graph, const struct shk_storage *storage, struct shk_plan *plan)
{
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        uint32_t offset, low = 0, high = plan->block_count;
        if (!storage[t].used)
            continue;
        uint32_t root = shk_storage_root(storage, t, &offset);
        while (high - low > 1) {
            uint32_t middle = low + (high - low) / 2;
            if (plan->blocks[middle].tensor <= root)
                low = middle;
            else
                high = middle;
        }
        plan->blocks[low].tensor_count++;
    }
}

static enum shk_status place(const struct shk_graph *graph, const struct shk_storage *storage,
                             struct shk_plan *plan, struct shk_error *error)
{
    struct shk_arena_plan arena = {0};
    list_blocks(graph, storage, plan);
    count_tensors(graph, storage, plan);
    struct shk_arena_item *items = calloc(SHK_MAX(plan->block_count, 1u), sizeof(*items));
    if (!items)
        return shk_fail_oom(error, plan->block_count * sizeof(*items), "arena plan");
    for (uint32_t i = 0; i < plan->block_count; i++)
        items[i] = (struct shk_arena_item){
            .size = plan->blocks[i].bytes, .first = plan->blocks[i].first, .last = plan->blocks[i].last};
    enum shk_status status = shk_arena_plan(items, plan->block_count, ALIGNMENT, &arena, error);
    for (uint32_t i = 0; i < plan->block_count && !status; i++) {
        struct shk_memory_block *block = &plan->blocks[i];
        block->offset = items[i].offset;
        if (block->tensor == SHK_TENSOR_NONE)
            plan->scratch[block->first - 1] = (uint32_t)(block->offset / 4);
        else
            plan->views[block->tensor].offset = (uint32_t)(block->offset / 4);
    }
    plan->arena_bytes = arena.peak;
    plan->report.arena_peak = arena.peak;
    plan->report.lower_bound = arena.lower_bound;
    free(items);
    return status;
}

static void resolve_views(const struct shk_graph *graph, const struct shk_storage *storage, struct shk_plan *plan)
{
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        if (!storage[t].used)
            continue;
        uint32_t offset, root = shk_storage_root(storage, t, &offset), base = plan->views[root].offset;
        struct shk_view dense = shk_view_dense(&graph->tensors[t]);
        if (t != root)
            plan->views[t].offset = base + offset;
        dense.offset = plan->views[t].offset;
        dense.stride = storage[t].stride;
        plan->views[t] = dense;
        plan->report.no_reuse += aligned_bytes(graph, t);
        if (graph->tensors[t].data)
            plan->constants[plan->constant_count++] = t;
    }
}

static enum shk_status check_types(const struct shk_graph *graph, const struct shk_storage *storage,
                                   struct shk_error *error)
{
    for (uint32_t t = 0; t < graph->tensor_count; t++)
        if (storage[t].used && graph->tensors[t].dtype == SHK_DTYPE_INT64)
            return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                            "%s: tensor '%s' is int64; on the device int8, uint8, int32 and float32 are supported",
                            graph->name, graph->tensors[t].name);
    return SHK_OK;
}

enum shk_status shk_plan_create(const struct shk_graph *graph, bool keep_tensors, bool share_parts,
                                struct shk_plan **out, struct shk_error *error)
{
    size_t tensors = SHK_MAX(graph->tensor_count, 1u), ops = SHK_MAX(graph->op_count, 1u);
    struct shk_plan *plan = calloc(1, sizeof(*plan));
    struct shk_storage *storage = calloc(tensors, sizeof(*storage));
    bool *flags = calloc(SHK_MAX(tensors, ops), sizeof(*flags));
    uint64_t *delta = calloc(ops + 3, sizeof(*delta));
    enum shk_status status = SHK_OK;
    if (plan) {
        plan->views = calloc(tensors, sizeof(*plan->views));
        plan->scratch = calloc(ops, sizeof(*plan->scratch));
        plan->constants = calloc(tensors, sizeof(*plan->constants));
        plan->blocks = calloc(tensors + ops, sizeof(*plan->blocks));
    }
    if (!plan || !storage || !flags || !delta || !plan->views || !plan->scratch || !plan->constants ||
        !plan->blocks) {
        status = shk_fail_oom(error, tensors * sizeof(*storage), "memory plan");
        goto done;
    }
    if (share_parts)
        choose_sharing(graph, keep_tensors, flags, storage, delta);
    else
        assign(graph, keep_tensors, flags, storage, delta);
    status = check_types(graph, storage, error);
    if (!status)
        status = place(graph, storage, plan, error);
    if (!status)
        resolve_views(graph, storage, plan);
done:
    free(storage);
    free(flags);
    free(delta);
    if (status)
        shk_plan_destroy(&plan);
    else
        *out = plan;
    return status;
}

void shk_plan_destroy(struct shk_plan **plan)
{
    if (!plan || !*plan)
        return;
    free((*plan)->views);
    free((*plan)->scratch);
    free((*plan)->constants);
    free((*plan)->blocks);
    free(*plan);
    *plan = NULL;
}
