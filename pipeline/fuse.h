/* Fusion: ops that need no dispatch of their own, because the kernel of a neighbour does their work as well. The result
 * has the same bytes. The reference backend knows nothing of it: it is what fusion is compared with.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * shk_fuse() marks ops as absorbed by others and gives the planner and lowering a graph of the same tensors and as many
 * ops, in the same places, in which
 * - an absorbed op has no inputs and no outputs, and is not lowered;
 * - an op that absorbed others reads and writes what they read and wrote. It runs where it ran before. As input
 *   SHK_FUSED_RESIDUAL it has the other operand of an absorbed ADD.
 * What an op computes, its kernel asks of the op as the model has it: struct shk_fused_op. */
#ifndef SHK_FUSE_H
#define SHK_FUSE_H

#include "op.h"

#define SHK_FUSED_RESIDUAL 3
#define SHK_FUSED_INPUTS   4

struct shk_fused_op {
    const struct shk_op *own; /* as the model has it */
    uint32_t into;            /* the op that computes it: itself, or another by which it was absorbed */
    /* What it does besides. Rows and columns of padding at the top and at the left of what it reads: */
    int32_t pad_top, pad_left;
    /* ... and then with each value that it computes, in this order. */
    const int8_t *before;     /* NULL, or 256 values: what becomes of -128 first */
    const struct shk_op *add; /* NULL, or the ADD, as the model has it */
    const int8_t *after;      /* as `before`; only with an ADD */
};

struct shk_fused {
    struct shk_graph graph; /* all but the ops is the model's */
    struct shk_fused_op *ops;
    /* Of the model's graph, while fusing: */
    uint32_t *producer; /* per tensor: op, or UINT32_MAX */
    uint32_t *users;    /* per tensor: inputs of ops, and outputs of the model, that it is */
    uint32_t *user;     /* per tensor: one of those ops */
    uint32_t *links;    /* inputs and outputs of ops that absorbed others */
    int8_t (*tables)[256];
    uint32_t table_count;
};

/* `without`: bits of enum shk_fusion that are left out. `graph` is checked and must outlive *fused.
 * Errors: out of memory. */
enum shk_status shk_fuse(const struct shk_graph *graph, uint32_t without, struct shk_fused **fused,
                         struct shk_error *error);
void shk_fuse_destroy(struct shk_fused **fused);

/* Absorbs what can be, of the ops there are. `own` is the model's graph. */
void shk_fuse_pads(struct shk_fused *fused, const struct shk_graph *own);                   /* fuse_pad.c */
void shk_fuse_epilogues(struct shk_fused *fused, const struct shk_graph *own, uint32_t without); /* fuse_epilogue.c */

#endif
