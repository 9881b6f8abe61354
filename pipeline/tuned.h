/* What the tuner chose, in the cache folder: one line for each op, shape and attributes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     use <key> <variant> <nanoseconds of the rule of thumb> <nanoseconds of the variant>
 *
 * separated by tabs, in a file of notes.h. A choice that names no variant of the op counts for nothing. */
#ifndef SHK_TUNED_H
#define SHK_TUNED_H

#include "probe.h"

struct shk_tuned {
    char key[SHK_PROBE_KEY];
    const struct shk_variant *variant;
    uint64_t default_ns, ns; /* 0: not measured, since every other variant had lost too many races before */
    bool is_new;             /* not from the cache folder */
};

/* All lines, to be freed; NULL: none. */
char *shk_tuned_read(struct shk_device *device, const char *dir, const struct shk_log *log);

/* Fills choices[op] of the ops that were tuned; leaves the others alone. `lines` may be NULL. */
void shk_tuned_choose(const char *lines, const struct shk_graph *graph, const struct shk_variant **choices);

/* Then, of pairs and inverted residuals. `without`: as for shk_fuse(). Errors: out of memory. */
enum shk_status shk_tuned_choose_chains(const char *lines, const struct shk_graph *graph, uint32_t without,
                                        const struct shk_variant **choices, struct shk_error *error);

/* What was measured for the key; false: nothing that says anything. `lines` may be NULL. */
bool shk_tuned_find(const char *lines, const char *key, const struct shk_op_def *def, struct shk_tuned *tuned);

/* Adds these, in place of what was there for the same keys. Failure is logged, no more. */
void shk_tuned_write(struct shk_device *device, const char *dir, const struct shk_tuned *tuned, uint32_t count,
                     const struct shk_log *log);

#endif
