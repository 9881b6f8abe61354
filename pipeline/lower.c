/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lowering.h"

#include <stdlib.h>
#include <string.h>

#include <shrike/session.h>

#include "fuse.h"
#include "hazards.h"
#include "join.h"

#define LANE_ALIGNMENT 64

/* Builds with assertions: parameters of the variant of that name are packed wrongly, for tests of what finds that out. */
#ifdef NDEBUG
#define BROKEN_VARIANT NULL
#else
#define BROKEN_VARIANT getenv("SHRIKE_BREAK_VARIANT")
#endif

enum shk_status shk_lowering_init(struct shk_lowering *lowering, const struct shk_fused *fused,
                                  struct shk_device *device, const struct shk_plan *plan,
                                  const struct shk_session_params *params, bool texels, struct shk_error *error)
{
    const struct shk_graph *graph = &fused->graph;
    *lowering = (struct shk_lowering){
        .graph = graph,
        .fused = fused,
        .device = device,
        .plan = plan,
        .params = params,
        .variant = getenv("SHRIKE_FORCE_VARIANT"),
        .uniform_range = SHK_MIN(device->limits.maxUniformBufferRange, SHK_UNIFORM_MAX),
        .lane_bytes = shk_align_up(SHK_MAX(plan->arena_bytes, 16), LANE_ALIGNMENT),
        .op = SHK_OP_NONE,
    };
    if (lowering->lane_bytes > device->limits.maxStorageBufferRange)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "%s: activations need %llu bytes at once, '%s' can bind %u; use a smaller input or another "
                        "device",
                        graph->name, (unsigned long long)lowering->lane_bytes, device->info.name,
                        device->limits.maxStorageBufferRange);
    if (params->batch_size > 1 && lowering->lane_bytes > device->limits.maxStorageBufferRange / params->batch_size)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "%s: activations of a batch of %u need %u times %llu bytes at once, '%s' can bind %u; the "
                        "largest batch_size is %llu",
                        graph->name, params->batch_size, params->batch_size, (unsigned long long)lowering->lane_bytes,
                        device->info.name, device->limits.maxStorageBufferRange,
                        (unsigned long long)(device->limits.maxStorageBufferRange / lowering->lane_bytes));
    if (params->batch_size > 1)
        lowering->lane_stride = (uint32_t)(lowering->lane_bytes / 4);
    lowering->texels = texels && lowering->lane_bytes / 4 <= device->limits.maxTexelBufferElements / params->batch_size;
    lowering->used = calloc(SHK_MAX(graph->op_count, 1u), sizeof(*lowering->used));
    return lowering->used ? SHK_OK : shk_fail_oom(error, graph->op_count * sizeof(*lowering->used), "variants");
}

void shk_lowering_finish(struct shk_lowering *lowering)
{
    free(lowering->dispatches);
    free((void *)lowering->used);
    free(lowering->bytes);
    *lowering = (struct shk_lowering){0};
}

const struct shk_graph *shk_lower_graph(const struct shk_lowering *lowering)
{
    return lowering->graph;
}

const struct shk_graph *shk_lower_model(const struct shk_lowering *lowering)
{
    return lowering->fused->own;
}

const struct shk_device *shk_lower_device(const struct shk_lowering *lowering)
{
    return lowering->device;
}

const struct shk_session_params *shk_lower_session_params(const struct shk_lowering *lowering)
{
    return lowering->params;
}

const struct shk_fused_op *shk_lower_fused(const struct shk_lowering *lowering)
{
    return &lowering->fused->ops[lowering->op];
}

struct shk_view shk_lower_view(const struct shk_lowering *lowering, uint32_t tensor)
{
    return lowering->plan->views[tensor];
}

uint32_t shk_lower_scratch(const struct shk_lowering *lowering)
{
    return lowering->plan->scratch[lowering->op];
}

const char *shk_lower_forced_variant(const struct shk_lowering *lowering)
{
    return lowering->variant;
}

void shk_lower_barrier(struct shk_lowering *lowering)
{
    lowering->barrier_next = true;
}

static uint32_t sticky(struct shk_lowering *lowering, enum shk_status status)
{
    if (!lowering->status)
        lowering->status = status;
    return UINT32_MAX;
}

/* Kernels of chains are for such chains. */
static bool is_for(const struct shk_lowering *lowering, const struct shk_variant *variant)
{
    return variant && shk_variant_chain(variant) == shk_fused_chain(lowering->fused, lowering->op);
}

static bool can_use(const struct shk_lowering *lowering, const struct shk_op *op, const struct shk_variant *variant)
{
    return is_for(lowering, variant) && shk_variant_fits(variant, lowering->fused->own, op, lowering->device) &&
           !shk_variant_is_dropped(variant, op->def, lowering->device);
}

const struct shk_variant *shk_lower_variant(struct shk_lowering *lowering)
{
    const struct shk_op *op = lowering->fused->ops[lowering->op].own;
    const struct shk_variant *forced = shk_variant_find(op->def, lowering->variant);
    const struct shk_variant *chosen = lowering->choices ? lowering->choices[lowering->op] : NULL;
    if (is_for(lowering, forced) && shk_variant_fits(forced, lowering->fused->own, op, lowering->device))
        chosen = forced;
    else
        for (uint32_t i = 0; i < op->def->variant_count && !can_use(lowering, op, chosen); i++)
            chosen = &op->def->variants[i];
    if (chosen != forced && !can_use(lowering, op, chosen)) {
        shk_op_fail(lowering->graph, op, SHK_ERROR_UNSUPPORTED, &lowering->error,
                    "'%s' computes it wrongly with every kernel there is; update the driver or take another device",
                    lowering->device->info.name);
        sticky(lowering, SHK_ERROR_UNSUPPORTED);
    }
    lowering->used[lowering->op] = chosen;
    const char *broken = BROKEN_VARIANT;
    lowering->break_params = broken && strcmp(broken, chosen->name) == 0;
    return chosen;
}

static bool reserve(struct shk_lowering *lowering, size_t size)
{
    if (size <= lowering->allocated)
        return true;
    size_t larger = SHK_MAX(size, lowering->allocated * 2);
    uint8_t *moved = shk_alloc_large(larger);
    if (!moved)
        return false;
    if (lowering->size)
        memcpy(moved, lowering->bytes, lowering->size);
    free(lowering->bytes);
    lowering->bytes = moved;
    lowering->allocated = larger;
    return true;
}

uint32_t shk_lower_params(struct shk_lowering *lowering, const void *data, size_t bytes, size_t alignment)
{
    size_t at = shk_align_up(lowering->size, SHK_MAX(alignment, (size_t)4)), end;
    uint32_t limit = lowering->device->limits.maxStorageBufferRange - SHK_UNIFORM_MAX;
    if (!shk_add_size(at, bytes, &end) || end > limit)
        return sticky(lowering, shk_fail(&lowering->error, SHK_ERROR_UNSUPPORTED,
                                         "%s: packed weights and tables need more than the %u bytes that '%s' can "
                                         "bind at once",
                                         lowering->graph->name, limit, lowering->device->info.name));
    if (!reserve(lowering, shk_align_up(end, 4)))
        return sticky(lowering, shk_fail_oom(&lowering->error, end, "packed weights"));
    memset(lowering->bytes + lowering->size, 0, at - lowering->size);
    if (bytes)
        memcpy(lowering->bytes + at, data, bytes);
    memset(lowering->bytes + at + bytes, 0, shk_align_up(end, 4) - end);
    if (lowering->break_params && bytes > 18)
        lowering->bytes[at + 18] ^= 0x40; /* conv2d: bias of a channel */
    lowering->size = shk_align_up(end, 4);
    return (uint32_t)at;
}

bool shk_lower_fits_texels(const struct shk_lowering *lowering, size_t bytes)
{
    size_t end;
    return shk_add_size(shk_align_up(lowering->size, 16), bytes, &end) &&
           end / 16 <= lowering->device->limits.maxTexelBufferElements;
}

static struct shk_lowered *next_dispatch(struct shk_lowering *lowering)
{
    if (lowering->count == lowering->capacity) {
        uint32_t larger = lowering->capacity ? lowering->capacity * 2 : 128;
        struct shk_lowered *moved = realloc(lowering->dispatches, larger * sizeof(*moved));
        if (!moved) {
            sticky(lowering, shk_fail_oom(&lowering->error, larger * sizeof(*moved), "dispatches"));
            return NULL;
        }
        lowering->dispatches = moved;
        lowering->capacity = larger;
    }
    return &lowering->dispatches[lowering->count++];
}

void shk_lowered_from(struct shk_lowered *lowered, const struct shk_dispatch *dispatch)
{
    *lowered = (struct shk_lowered){
        .shader = dispatch->shader,
        .spec_count = SHK_SPEC_FIRST + dispatch->spec_count,
        .push_size = dispatch->push_size,
        .uniform_offset = dispatch->uniform_offset,
        .op = SHK_OP_NONE,
        .barrier = true,
        .joined = dispatch->joined,
        .joined_variant = dispatch->joined_variant,
    };
    for (uint32_t i = 0; i < 3; i++) {
        lowered->spec[i] = SHK_MAX(dispatch->local_size[i], 1u);
        lowered->groups[i] = SHK_MAX(dispatch->groups[i], 1u);
    }
    memcpy(lowered->spec + SHK_SPEC_FIRST, dispatch->spec, dispatch->spec_count * sizeof(uint32_t));
    if (dispatch->push_size)
        memcpy(lowered->push, dispatch->push, dispatch->push_size);
}

static void check_iterations(struct shk_lowering *lowering, uint64_t iterations)
{
    const struct shk_device *device = lowering->device;
    if (lowering->status || iterations <= device->max_iterations)
        return;
    lowering->status =
        shk_op_fail(lowering->graph, &lowering->graph->ops[lowering->op], SHK_ERROR_UNSUPPORTED, &lowering->error,
                    "a value takes %llu steps one after the other, but '%s' ends loops after %u: run the model on "
                    "another device, or "
                    "on none (the C reference)",
                    (unsigned long long)iterations, device->info.name, device->max_iterations);
}

void shk_lower_dispatch(struct shk_lowering *lowering, const struct shk_dispatch *dispatch)
{
    check_iterations(lowering, dispatch->iterations);
    struct shk_lowered *lowered = next_dispatch(lowering);
    if (!lowered)
        return;
    shk_lowered_from(lowered, dispatch);
    lowered->spec[SHK_SPEC_LANE_STRIDE] = lowering->lane_stride;
    lowered->spec[SHK_SPEC_TEXELS] = lowering->texels;
    lowered->op = lowering->op;
    lowered->barrier = lowering->barrier_next;
    lowering->barrier_next = false;
}

void shk_dispatch_linear(struct shk_dispatch *dispatch, uint32_t items, uint32_t local)
{
    uint32_t groups = shk_div_round_up(SHK_MAX(items, 1u), local);
    dispatch->local_size[0] = local;
    dispatch->local_size[1] = dispatch->local_size[2] = 1;
    dispatch->groups[1] = shk_div_round_up(groups, SHK_MAX_GROUPS);
    dispatch->groups[0] = shk_div_round_up(groups, dispatch->groups[1]);
    dispatch->groups[2] = 1;
}

/* A dispatch has its lanes in z. */
static enum shk_status check_groups(const struct shk_lowering *lowering, struct shk_error *error)
{
    uint32_t batch = SHK_MAX(lowering->params->batch_size, 1u), limit = lowering->device->limits.maxComputeWorkGroupCount[2];
    for (uint32_t i = 0; i < lowering->count; i++) {
        const struct shk_lowered *dispatch = &lowering->dispatches[i];
        if (dispatch->groups[2] > limit / batch)
            return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                            "%s: op %u %s needs %u workgroups for a frame, %u times that for a batch, '%s' dispatches "
                            "%u at once; the largest batch_size is %u",
                            lowering->graph->name, dispatch->op,
                            lowering->graph->ops[dispatch->op].spelling->name, dispatch->groups[2], batch,
                            lowering->device->info.name, limit, limit / dispatch->groups[2]);
    }
    return SHK_OK;
}

/* Op `i` is lowered, from dispatch `first` on: what of it the ops to come may have to wait for. */
static void note_hazards(const struct shk_lowering *lowering, struct shk_hazards *hazards, uint32_t i, uint32_t first)
{
    for (uint32_t d = first; d < lowering->count; d++)
        if (lowering->dispatches[d].barrier)
            shk_hazards_clear(hazards);
    if (lowering->count > first)
        shk_hazards_add(hazards, lowering->graph, lowering->plan, i);
}

enum shk_status shk_lowering_run(struct shk_lowering *lowering, struct shk_error *error)
{
    const struct shk_graph *graph = lowering->graph;
    struct shk_hazards hazards = {0};
    for (uint32_t i = 0; i < graph->op_count; i++) {
        uint32_t first = lowering->count;
        if (lowering->fused->ops[i].into != i)
            continue;
        lowering->op = i;
        lowering->break_params = false;
        /* An op's time is its own only if nothing runs beside it. */
        lowering->barrier_next = lowering->params->profile_ops || shk_hazards_conflict(&hazards, graph, lowering->plan, i);
        enum shk_status status = graph->ops[i].def->lower(lowering, &graph->ops[i], error);
        if (status)
            return status;
        if (lowering->status)
            return shk_fail(error, lowering->status, "%s", lowering->error.message);
        note_hazards(lowering, &hazards, i, first);
    }
    lowering->op = SHK_OP_NONE;
    shk_lowering_join(lowering);
    return lowering->status ? shk_fail(error, lowering->status, "%s", lowering->error.message)
                            : check_groups(lowering, error);
}

uint32_t shk_lowering_dispatches(const struct shk_lowering *lowering)
{
    uint32_t dispatches = 0;
    for (uint32_t i = 0; i < lowering->count; i++)
        dispatches += !lowering->dispatches[i].skipped;
    return dispatches;
}

uint32_t shk_lowering_barriers(const struct shk_lowering *lowering)
{
    uint32_t barriers = 0;
    for (uint32_t i = 0; i < lowering->count; i++)
        barriers += lowering->dispatches[i].barrier;
    return barriers;
}
