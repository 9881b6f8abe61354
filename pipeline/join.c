/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "join.h"

#include <stdlib.h>
#include <string.h>

#include <shrike/session.h>

static uint32_t groups_of(const struct shk_lowered *dispatch)
{
    return dispatch->groups[0] * dispatch->groups[1] * dispatch->groups[2];
}

static bool can_join(const struct shk_lowering *lowering, const struct shk_lowered *dispatch)
{
    if (dispatch->skipped || !dispatch->joined || groups_of(dispatch) > SHK_MAX_GROUPS)
        return false;
    const struct shk_op_def *def = lowering->graph->ops[dispatch->op].def;
    bool chosen = lowering->used[dispatch->op] == dispatch->joined_variant;
    return chosen || (!(lowering->params->no_fusion & SHK_FUSION_HEADS) &&
                      !shk_variant_is_dropped(dispatch->joined_variant, def, lowering->device));
}

static bool are_alike(const struct shk_lowered *a, const struct shk_lowered *b)
{
    return a->joined == b->joined && a->spec_count == b->spec_count && a->push_size == b->push_size &&
           memcmp(a->spec, b->spec, a->spec_count * sizeof(a->spec[0])) == 0;
}

/* Makes these dispatches, in their order, parts of the first. */
static void join(struct shk_lowering *lowering, const uint32_t *parts, uint32_t count)
{
    struct shk_lowered *first = &lowering->dispatches[parts[0]];
    uint32_t words = SHK_JOINED_HEADER + first->push_size / 4, groups = 0;
    uint32_t *records = calloc(count, words * sizeof(*records));
    if (!records) {
        lowering->status = shk_fail_oom(&lowering->error, count * words * sizeof(*records), "joined dispatches");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct shk_lowered *part = &lowering->dispatches[parts[i]];
        uint32_t *record = records + (size_t)i * words;
        record[0] = groups;
        record[1] = part->groups[0] * part->groups[1];
        memcpy(record + SHK_JOINED_HEADER, part->push, part->push_size);
        groups += groups_of(part);
        part->skipped = i > 0;
        lowering->used[part->op] = part->joined_variant;
    }
    struct shk_joined_push push = {.parts = count};
    push.at = shk_lower_params(lowering, records, count * words * sizeof(*records), 4) / 4;
    free(records);
    first->shader = first->joined;
    first->groups[0] = groups;
    first->groups[1] = first->groups[2] = 1;
    memcpy(first->push, &push, sizeof(push));
    first->push_size = sizeof(push);
    first->uniform_offset = 0;
}

/* Dispatch `i` with those like it before `end`. */
static void join_from(struct shk_lowering *lowering, uint32_t i, uint32_t end, uint32_t *parts)
{
    struct shk_lowered *dispatches = lowering->dispatches;
    uint32_t count = 0, groups = 0;
    for (uint32_t k = i; k < end; k++)
        if (can_join(lowering, &dispatches[k]) && are_alike(&dispatches[i], &dispatches[k]) &&
            groups_of(&dispatches[k]) <= SHK_MAX_GROUPS - groups) {
            groups += groups_of(&dispatches[k]);
            parts[count++] = k;
        }
    if (count > 1 || lowering->used[dispatches[i].op] == dispatches[i].joined_variant)
        join(lowering, parts, count);
}

void shk_lowering_join(struct shk_lowering *lowering)
{
    uint32_t *parts = malloc(SHK_MAX(lowering->count, 1u) * sizeof(*parts));
    if (!parts) {
        lowering->status = shk_fail_oom(&lowering->error, lowering->count * sizeof(*parts), "joined dispatches");
        return;
    }
    lowering->break_params = false;
    for (uint32_t i = 0, end = 0; i < lowering->count; i++) {
        for (end = SHK_MAX(end, i + 1); end < lowering->count && !lowering->dispatches[end].barrier;)
            end++;
        if (can_join(lowering, &lowering->dispatches[i]))
            join_from(lowering, i, end, parts);
    }
    free(parts);
}
