/* The arena planner: lifetimes in, offsets out. Knows bytes and steps, nothing of tensors or Vulkan.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_ARENA_H
#define SHK_ARENA_H

#include "util.h"

/* Alive from step `first` to step `last`, both included; first <= last. */
struct shk_arena_item {
    uint64_t size;
    uint32_t first;
    uint32_t last;
    uint64_t offset; /* out */
};

struct shk_arena_plan {
    uint64_t peak;        /* bytes the arena needs */
    uint64_t lower_bound; /* max over steps of the aligned bytes alive: no plan can be smaller */
    uint64_t total;       /* sum of the aligned sizes: the cost of not planning */
};

/* Gives every item an offset that is a multiple of `alignment` (a power of two) such that items alive at the
 * same step do not overlap. Deterministic. Greedy in several orders, from the bottom alone and from both
 * ends; where no order reaches the lower bound, a bounded search (tens of milliseconds) from the best of
 * them. Errors: out of host memory; SHK_ERROR_INVALID_ARGUMENT if the sizes overflow 63 bits, first > last,
 * or `alignment` is no power of two. */
enum shk_status shk_arena_plan(struct shk_arena_item *items, uint32_t count, uint64_t alignment,
                               struct shk_arena_plan *plan, struct shk_error *error);

#endif
