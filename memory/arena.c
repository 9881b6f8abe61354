/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arena.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Pairs of items that one search may look at; two searches take some 30 ms. */
#define SEARCH_WORK 8000000u
/* Moves without progress after which a worse plan is accepted, and how much worse: 1/8. */
#define PATIENCE     100u
#define SETBACK_PART 8u

/* A plan: every item in `order` goes to the lowest place that is free, or to the highest one below the lower
 * bound if `high` says so. */
struct layout {
    uint32_t *order;
    uint64_t *offsets; /* by item, as are the rest */
    bool *high;
    uint64_t peak;
};

/* Where a search starts: everything low, or neighbours in time at opposite ends. The latter is optimal for a
 * chain of layers, the former for most of the rest. */
enum start { START_LOW, START_ALTERNATING, START_COUNT };

struct planner {
    const struct shk_arena_item *items;
    uint32_t count;
    uint64_t *sizes;    /* aligned */
    uint64_t *pressure; /* bytes alive at the busiest step of the item's life */
    uint32_t *placed;   /* items that have a place, by offset */
    struct sort_key *keys;
    uint64_t lower_bound;
    struct layout trial, best;
    struct layout walk[START_COUNT];
    uint64_t work;
    uint64_t random;
};

/* In descending order; ties go to the lower index, so that plans are the same everywhere. */
struct sort_key {
    uint64_t major, minor;
    uint32_t index;
};

static bool alive_together(const struct shk_arena_item *a, const struct shk_arena_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* `placed` holds the `n` items placed so far. */
static uint64_t find_place(const struct planner *p, const struct layout *layout, uint32_t item, uint32_t n)
{
    uint64_t size = p->sizes[item];
    uint64_t end = 0; /* of everything in the way so far */
    uint64_t highest = UINT64_MAX;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t other = p->placed[i];
        if (!alive_together(&p->items[item], &p->items[other]))
            continue;
        uint64_t start = layout->offsets[other];
        if (start > end && start - end >= size) {
            if (!layout->high[item])
                return end;
            highest = start - size;
        }
        end = SHK_MAX(end, start + p->sizes[other]);
    }
    if (layout->high[item] && p->lower_bound >= end && p->lower_bound - end >= size)
        return p->lower_bound - size;
    return highest == UINT64_MAX ? end : highest;
}

/* Gives the items of `layout` their offsets and peak; stops early, false, once the peak is above `limit`. */
static bool place_all(struct planner *p, struct layout *layout, uint64_t limit)
{
    layout->peak = 0;
    for (uint32_t n = 0; n < p->count; n++) {
        uint32_t item = layout->order[n];
        uint64_t offset = find_place(p, layout, item, n);
        layout->offsets[item] = offset;
        layout->peak = SHK_MAX(layout->peak, offset + p->sizes[item]);
        if (layout->peak > limit)
            return false;

        uint32_t at = n;
        for (; at > 0 && layout->offsets[p->placed[at - 1]] > offset; at--)
            p->placed[at] = p->placed[at - 1];
        p->placed[at] = item;
        p->work += n;
    }
    return true;
}

static void copy_layout(const struct planner *p, struct layout *to, const struct layout *from)
{
    memcpy(to->order, from->order, p->count * sizeof(*to->order));
    memcpy(to->offsets, from->offsets, p->count * sizeof(*to->offsets));
    memcpy(to->high, from->high, p->count * sizeof(*to->high));
    to->peak = from->peak;
}

static int compare_keys(const void *left, const void *right)
{
    const struct sort_key *a = left, *b = right;
    if (a->major != b->major)
        return a->major > b->major ? -1 : 1;
    if (a->minor != b->minor)
        return a->minor > b->minor ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

/* Orders that each win on some networks: large first (the usual winner), large and long first, long first,
 * busiest moment first, in order of execution. */
enum greedy { BY_SIZE, BY_AREA, BY_DURATION, BY_PRESSURE, BY_TIME, GREEDY_COUNT };

static uint64_t greedy_key(const struct planner *p, enum greedy greedy, uint32_t i)
{
    const struct shk_arena_item *item = &p->items[i];
    uint64_t duration = (uint64_t)item->last - item->first + 1;
    uint64_t area;

    switch (greedy) {
    case BY_SIZE:
        return p->sizes[i];
    case BY_AREA:
        return __builtin_mul_overflow(p->sizes[i], duration, &area) ? UINT64_MAX : area;
    case BY_DURATION:
        return duration;
    case BY_PRESSURE:
        return p->pressure[i];
    default:
        return UINT32_MAX - item->first;
    }
}

static void greedy_order(struct planner *p, enum greedy greedy, uint32_t *order)
{
    for (uint32_t i = 0; i < p->count; i++)
        p->keys[i] = (struct sort_key){greedy_key(p, greedy, i), p->sizes[i], i};
    qsort(p->keys, p->count, sizeof(*p->keys), compare_keys);
    for (uint32_t i = 0; i < p->count; i++)
        order[i] = p->keys[i].index;
}

/* The best greedy plan of each start; false as soon as one reaches the lower bound. */
static bool greedy_falls_short(struct planner *p)
{
    for (int greedy = 0; greedy < GREEDY_COUNT; greedy++) {
        greedy_order(p, greedy, p->trial.order);
        for (int start = 0; start < START_COUNT; start++) {
            for (uint32_t i = 0; i < p->count; i++)
                p->trial.high[i] = start == START_ALTERNATING && p->items[i].first % 2;
            place_all(p, &p->trial, UINT64_MAX);
            if (p->trial.peak < p->walk[start].peak)
                copy_layout(p, &p->walk[start], &p->trial);
            if (p->trial.peak < p->best.peak)
                copy_layout(p, &p->best, &p->trial);
            if (p->best.peak == p->lower_bound)
                return false;
        }
    }
    return true;
}

/* Xorshift64 (Marsaglia 2003), always from the same seed: the plan of a model is the same on every run. */
static uint32_t random_below(struct planner *p, uint32_t bound)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return (uint32_t)((p->random >> 32) * bound >> 32);
}

static void move_in_order(uint32_t *order, uint32_t from, uint32_t to)
{
    uint32_t item = order[from];
    if (from > to)
        memmove(order + to + 1, order + to, (from - to) * sizeof(*order));
    else
        memmove(order + from, order + from + 1, (to - from) * sizeof(*order));
    order[to] = item;
}

/* The place in the order of one of the items at the top of the arena. */
static uint32_t pick_culprit(struct planner *p, const struct layout *layout)
{
    uint32_t chosen = 0, seen = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t item = layout->order[i];
        if (layout->offsets[item] + p->sizes[item] == layout->peak && random_below(p, ++seen) == 0)
            chosen = i;
    }
    return chosen;
}

/* The place in the order of a random item alive around the time of the one at `near`, or `near` itself. */
static uint32_t pick_neighbour(struct planner *p, const struct layout *layout, uint32_t near)
{
    const struct shk_arena_item *top = &p->items[layout->order[near]];
    uint64_t margin = 2 * ((uint64_t)top->last - top->first + 1);

    for (int tries = 0; tries < 16; tries++) {
        uint32_t at = random_below(p, p->count);
        const struct shk_arena_item *item = &p->items[layout->order[at]];
        if (item->first <= top->last + margin && top->first <= item->last + margin)
            return at;
    }
    return near;
}

/* Walks from layout to layout: moves an item at the top of the arena, or one alive around that time, to
 * another place in the order or to the other end, and keeps what is no worse, or after a while what is not
 * much worse. Any optimal plan is lowest-first in the order of its offsets, so that the walk can get there.
 */
static void search(struct planner *p, enum start start)
{
    struct layout *walk = &p->walk[start];
    uint64_t end = p->work + SEARCH_WORK;
    uint32_t stuck = 0;

    while (p->best.peak > p->lower_bound && p->work < end) {
        uint32_t at = pick_culprit(p, walk);
        if (random_below(p, 4) > 0)
            at = pick_neighbour(p, walk, at);
        copy_layout(p, &p->trial, walk);
        p->work += p->count;
        if (start == START_ALTERNATING && random_below(p, 10) == 0)
            p->trial.high[walk->order[at]] ^= true;
        else
            move_in_order(p->trial.order, at, random_below(p, p->count));

        uint64_t setback = ++stuck > PATIENCE ? walk->peak / SETBACK_PART : 0;
        if (!place_all(p, &p->trial, walk->peak + setback))
            continue;
        if (p->trial.peak != walk->peak)
            stuck = 0;
        copy_layout(p, walk, &p->trial);
        if (walk->peak < p->best.peak)
            copy_layout(p, &p->best, walk);
    }
}

/* Fills `pressure` and `lower_bound`: the sum over what is alive can only rise where an item begins. */
static void find_pressure(struct planner *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const struct shk_arena_item moment = {.first = p->items[i].first, .last = p->items[i].first};
        uint64_t alive = 0;
        for (uint32_t k = 0; k < p->count; k++)
            if (alive_together(&moment, &p->items[k]))
                alive += p->sizes[k];
        for (uint32_t k = 0; k < p->count; k++)
            if (alive_together(&moment, &p->items[k]))
                p->pressure[k] = SHK_MAX(p->pressure[k], alive);
        p->lower_bound = SHK_MAX(p->lower_bound, alive);
    }
}

static enum shk_status check_items(const struct shk_arena_item *items, uint32_t count, uint64_t alignment,
                                   struct shk_error *error)
{
    uint64_t total = 0;

    if (alignment == 0 || (alignment & (alignment - 1)))
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "arena: the alignment %" PRIu64 " is no power of two", alignment);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t padded;
        if (items[i].first > items[i].last)
            return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "arena: item %u lives from step %u to step %u",
                            i, items[i].first, items[i].last);
        /* half of the range is left for a search that places items above the peak */
        if (__builtin_add_overflow(items[i].size, alignment - 1, &padded) ||
            __builtin_add_overflow(total, padded, &total) || total > UINT64_MAX / 2)
            return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                            "arena: the sizes do not fit 63 bits at item %u", i);
    }
    return SHK_OK;
}

static bool layout_init(struct layout *layout, uint32_t count)
{
    layout->order = calloc(count, sizeof(*layout->order));
    layout->offsets = calloc(count, sizeof(*layout->offsets));
    layout->high = calloc(count, sizeof(*layout->high));
    layout->peak = UINT64_MAX;
    return layout->order && layout->offsets && layout->high;
}

static void layout_finish(struct layout *layout)
{
    free(layout->order);
    free(layout->offsets);
    free(layout->high);
}

static bool planner_init(struct planner *p, const struct shk_arena_item *items, uint32_t count,
                         uint64_t alignment)
{
    *p = (struct planner){.items = items, .count = count, .random = 1};
    p->sizes = calloc(count, sizeof(*p->sizes));
    p->pressure = calloc(count, sizeof(*p->pressure));
    p->placed = calloc(count, sizeof(*p->placed));
    p->keys = calloc(count, sizeof(*p->keys));
    bool ok = layout_init(&p->trial, count) && layout_init(&p->best, count) &&
              layout_init(&p->walk[START_LOW], count) && layout_init(&p->walk[START_ALTERNATING], count);
    if (!ok || !p->sizes || !p->pressure || !p->placed || !p->keys)
        return false;
    for (uint32_t i = 0; i < count; i++)
        p->sizes[i] = shk_align_up(items[i].size, alignment);
    find_pressure(p);
    return true;
}

static void planner_finish(struct planner *p)
{
    free(p->sizes);
    free(p->pressure);
    free(p->placed);
    free(p->keys);
    layout_finish(&p->trial);
    layout_finish(&p->best);
    layout_finish(&p->walk[START_LOW]);
    layout_finish(&p->walk[START_ALTERNATING]);
}

enum shk_status shk_arena_plan(struct shk_arena_item *items, uint32_t count, uint64_t alignment,
                               struct shk_arena_plan *plan, struct shk_error *error)
{
    struct planner p;

    enum shk_status status = check_items(items, count, alignment, error);
    if (status)
        return status;
    if (count == 0) {
        *plan = (struct shk_arena_plan){0};
        return SHK_OK;
    }
    if (!planner_init(&p, items, count, alignment)) {
        planner_finish(&p);
        return shk_fail_oom(error, count * sizeof(*p.keys), "the memory plan");
    }

    if (greedy_falls_short(&p)) {
        search(&p, START_LOW);
        search(&p, START_ALTERNATING);
    }
    *plan = (struct shk_arena_plan){.peak = p.best.peak, .lower_bound = p.lower_bound};
    for (uint32_t i = 0; i < count; i++) {
        items[i].offset = p.best.offsets[i];
        plan->total += p.sizes[i];
    }
    planner_finish(&p);
    return SHK_OK;
}
