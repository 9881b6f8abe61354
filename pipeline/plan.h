/* Where every tensor lives in the arena: storage shared by views and concatenations, then offsets from
 * lifetimes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_PLAN_H
#define SHK_PLAN_H

#include "arena.h"
#include "lower.h"

/* Steps: 0 writes the model's inputs, i + 1 runs op i, op_count + 1 reads the model's outputs. */
struct shk_plan {
    struct shk_view *views;   /* per tensor; words == 0: not in the arena */
    uint32_t *scratch;        /* per op: first word of its scratch */
    uint32_t *constants;      /* tensors with data that sit in the arena, to be uploaded once */
    uint32_t constant_count;
    uint64_t arena_bytes;
    struct shk_memory_report report; /* parameter_bytes 0 */
    struct shk_memory_block *blocks; /* what the arena is made of: storage of tensors, then scratch */
    uint32_t block_count;
};

/* keep_tensors: every tensor stays alive to the end, so that all can be read after a run. share_parts: concatenations
 * and splits need not copy (SHK_FUSION_PARTS). Errors: SHK_ERROR_UNSUPPORTED (an INT64 activation), out of host memory.
 */
enum shk_status shk_plan_create(const struct shk_graph *graph, bool keep_tensors, bool share_parts,
                                struct shk_plan **plan, struct shk_error *error);
void shk_plan_destroy(struct shk_plan **plan);

/* The view a tensor has when nothing shares storage with it: offset 0, stride == words. */
struct shk_view shk_view_dense(const struct shk_tensor *tensor);
/* Bytes from the view's first to its last word. */
uint64_t shk_view_bytes(const struct shk_view *view);

/* ---- storage.c: who shares storage with whom ---- */

/* A tensor's place inside the storage of another. */
struct shk_storage {
    uint32_t parent; /* SHK_TENSOR_NONE: owns its storage */
    uint32_t offset; /* words after the parent's first */
    uint32_t stride; /* words between rows; resolved views use it as it is */
    uint32_t first, last; /* steps of the tensor itself */
    uint32_t until;       /* the last step of all that lies inside it */
    uint32_t limit;       /* the step that writes something else in its place; UINT32_MAX: none */
    bool is_parent;
    bool used;
    bool dense; /* the stride must be the row's: what is uploaded, and what is written by a kernel that wants it */
};

/* Fills one entry per tensor. Views (RESHAPE) share where the layout allows; parts of concatenations and splits too, unless
 * `parts[op]` is false; an op that works word by word writes its output over an input that nobody reads any more. */
void shk_storage_assign(const struct shk_graph *graph, bool keep_tensors, const bool *parts,
                        struct shk_storage *storage);
/* The owner of the storage of `tensor`, and the tensor's word offset and stride in it. */
uint32_t shk_storage_root(const struct shk_storage *storage, uint32_t tensor, uint32_t *offset);

#endif
