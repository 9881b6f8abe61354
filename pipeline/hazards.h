/* Which ops have to wait for which: what the ops since the last barrier read and write of the arena.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An op needs a barrier before it if it reads words that were written since the last barrier, or writes words that were
 * written or read since then. Two tensors that share words (views, parts of a concatenation, storage that the planner
 * gave to a tensor that is dead by now) conflict by those words; nothing here knows what a tensor means.
 *
 * Ops are taken whole: op->inputs but for parameter_inputs are read, op->outputs written, scratch both. lower() keeps to
 * these (lower.h), and orders its own dispatches by shk_lower_barrier(). All lanes of a batch are laid out alike and lie
 * apart, so that lane 0 speaks for all. What runs before the first op (preprocessing) and after the last (the copy of
 * the outputs, the next frame) has barriers of its own, see session_record.c. */
#ifndef SHK_HAZARDS_H
#define SHK_HAZARDS_H

#include "plan.h"

/* Views remembered between two barriers. Where they do not suffice, the next op waits. */
#define SHK_MAX_HAZARDS 64

struct shk_hazards {
    struct shk_view reads[SHK_MAX_HAZARDS], writes[SHK_MAX_HAZARDS];
    uint32_t read_count, write_count;
    bool full; /* more was read or written than is remembered */
};

/* Whether two views may have a word in common. Views with one stride are compared column by column, so that parts of a
 * concatenation along the last dimension, which interleave, are apart; with different strides the words from the first
 * to the last count. */
bool shk_views_overlap(const struct shk_view *a, const struct shk_view *b);

/* After a barrier. An all-zero struct is empty, too. */
void shk_hazards_clear(struct shk_hazards *hazards);
/* Whether op `op` must wait for what was added. */
bool shk_hazards_conflict(const struct shk_hazards *hazards, const struct shk_graph *graph, const struct shk_plan *plan,
                          uint32_t op);
/* The op runs, behind the last barrier. */
void shk_hazards_add(struct shk_hazards *hazards, const struct shk_graph *graph, const struct shk_plan *plan, uint32_t op);

#endif
