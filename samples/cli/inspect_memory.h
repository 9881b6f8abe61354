/* shrike inspect --memory: the arena over time.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef INSPECT_MEMORY_H
#define INSPECT_MEMORY_H

#include <json-glib/json-glib.h>

#include "cli.h"

struct inspect_memory {
    const struct shk_model *model;
    struct shk_memory_report report;
    struct shk_memory_block *blocks;
    uint32_t block_count, step_count; /* the ops, and one step before and one after them */
    uint64_t *alive;                  /* bytes, per step */
    uint32_t fullest;                 /* the step with the most: the lower bound */
};

/* Returns an exit code; clear after a failure, too. */
int inspect_memory_load(struct inspect_memory *memory, const struct shk_model *model, uint32_t no_fusion);
void inspect_memory_clear(struct inspect_memory *memory);

void inspect_memory_print(const struct inspect_memory *memory);
/* Members "blocks" and "alive" of the object that is open. */
void inspect_memory_json(JsonBuilder *b, const struct inspect_memory *memory);
/* memory_plot.c; `path` as chart_check() found it good. */
int inspect_memory_plot(const struct inspect_memory *memory, const char *path);

/* What a block is: "input", "output", "constant", "scratch", "" for any other. */
const char *inspect_memory_kind(const struct inspect_memory *memory, const struct shk_memory_block *block);
/* "op 12 CONV_2D", "inputs" or "outputs", to be freed. */
char *inspect_memory_step(const struct inspect_memory *memory, uint32_t step);
/* The tensor's name, or that of the op whose scratch it is; printable, to be freed. */
char *inspect_memory_name(const struct inspect_memory *memory, const struct shk_memory_block *block);

#endif
