/* Fusion: ops that need no dispatch of their own, because the kernel of a neighbour does their work as well. The result
 * has the same bytes. The reference backend knows nothing of it: it is what fusion is compared with.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * shk_fuse() marks ops as absorbed by others and gives the planner and lowering a graph of the same tensors and as many
 * ops, in the same places, in which
 * - an absorbed op has no inputs and no outputs, and is not lowered;
 * - an op that absorbed others reads and writes what they read and wrote. It runs where it ran before. As input
 *   SHK_FUSED_RESIDUAL it has the other operand of an absorbed ADD;
 * - a tensor that holds what a table made of it (fuse_table.c) has the quantization of that;
 * - the model's input is what a QUANTIZE behind it makes of it (fuse_input.c).
 * What an op computes, its kernel asks of the op as the model has it: struct shk_fused_op. */
#ifndef SHK_FUSE_H
#define SHK_FUSE_H

#include "lower.h"

#define SHK_FUSED_RESIDUAL 3
#define SHK_FUSED_INPUTS   4
#define SHK_FUSED_INTO_INPUT UINT32_MAX

struct shk_fused_op {
    const struct shk_op *own; /* as the model has it */
    /* The op that computes it: itself, or another by which it was absorbed; SHK_FUSED_INTO_INPUT: what writes the input. */
    uint32_t into;
    /* NULL, or the DEPTHWISE_CONV_2D, as the model has it, whose output it would read: it computes that, too. */
    const struct shk_op *depthwise;
    /* NULL, or the CONV_2D, as the model has it, whose output that would read: it computes that, too. */
    const struct shk_op *expand;
    /* What it does besides. Rows and columns of padding at the top and at the left of what it reads: */
    int32_t pad_top, pad_left; /* with `depthwise`: of what that reads */
    /* ... then with each value that it computes, in this order, ... */
    const int8_t *before;     /* NULL, or 256 values: what becomes of -128 first */
    const struct shk_op *add; /* NULL, or the ADD, as the model has it */
    const int8_t *after;      /* as `before`; only with an ADD */
    /* ... and how it writes them: a pixel's channels as rows of so many, each from a word of its own on. 0: as one row. */
    uint32_t row_channels;
};

struct shk_fused {
    const struct shk_graph *own; /* the model's */
    struct shk_graph graph;      /* with ops and tensors of its own */
    struct shk_fused_op *ops;
    const struct shk_op *quantize; /* NULL, or a QUANTIZE that was absorbed into the input */
    uint32_t input;                /* then: what it wrote */
    /* While fusing: */
    uint32_t *producer; /* per tensor of the model: the op that writes it there, or UINT32_MAX */
    uint32_t *users;    /* per tensor: inputs of ops, and outputs of the model, that it is */
    uint32_t *links;    /* inputs and outputs of ops that may change */
    int8_t (*tables)[2][256]; /* per op: before, after */
};

/* `without`: bits of enum shk_fusion that are left out. `chains`: per op, which convolutions in front of it are to go
 * into it, if there are such; NULL: nowhere any. `graph` is checked and must outlive *fused. Errors: out of memory. */
enum shk_status shk_fuse(const struct shk_graph *graph, uint32_t without, const enum shk_chain *chains,
                         struct shk_fused **fused, struct shk_error *error);
/* With every chain of that kind that the graph allows. */
enum shk_status shk_fuse_chains(const struct shk_graph *graph, uint32_t without, enum shk_chain chain,
                                struct shk_fused **fused, struct shk_error *error);
void shk_fuse_destroy(struct shk_fused **fused);

/* What op `i` absorbed. */
enum shk_chain shk_fused_chain(const struct shk_fused *fused, uint32_t i);

/* What the QUANTIZE makes of values of the model's input, which are one in a word: nothing, if there is none. */
void shk_fused_quantize_levels(const struct shk_fused *fused, uint32_t *levels, uint32_t count);
/* The same of a whole input, dense, as the file has it, into words as `view` says. There is a QUANTIZE. */
void shk_fused_quantize_input(const struct shk_fused *fused, const struct shk_view *view, const void *values, uint8_t *words);

/* ---- inside: one rewrite per file ---- */

/* Op `i` and those that write what it reads, of which it is the only reader: it goes into them if it can. Ops come in
 * their order. */
void shk_fuse_input(struct shk_fused *fused); /* before everything else */
void shk_fuse_pads(struct shk_fused *fused);  /* all of them, before what follows */
void shk_fuse_table(struct shk_fused *fused, uint32_t i);
void shk_fuse_scales(struct shk_fused *fused, uint32_t i); /* of a concatenation's inputs */
void shk_fuse_add(struct shk_fused *fused, uint32_t i);
void shk_fuse_reshape(struct shk_fused *fused, uint32_t i);
void shk_fuse_chain(struct shk_fused *fused, uint32_t i, enum shk_chain chain);

/* The op that writes `tensor` as things stand, if it writes nothing else and one input only reads it; else UINT32_MAX. */
uint32_t shk_fuse_writer(const struct shk_fused *fused, uint32_t tensor);
/* Op `i` is computed by op `into` from now on, which writes i's output. */
void shk_fuse_absorb(struct shk_fused *fused, uint32_t i, uint32_t into);

#endif
