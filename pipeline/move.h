/* Copies of strided blocks on the device: what transposing, slicing, splitting, concatenating and table
 * lookups have in common. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_MOVE_H
#define SHK_MOVE_H

#include "grid.h"

/* Positions and steps count elements of the padded storage: bytes for INT8 tensors, words for 32-bit ones.
 * Steps may be negative (modulo 2^32). */
struct shk_move {
    uint32_t element_bytes; /* 1 or 4 */
    uint32_t rank;          /* 0: one element */
    uint32_t n[SHK_MAX_RANK];
    uint32_t dst_steps[SHK_MAX_RANK]; /* the last one is 1 */
    uint32_t src_steps[SHK_MAX_RANK];
    uint32_t dst, src;   /* the first element */
    bool whole_rows;     /* the block fills the rows of dst: bytes behind their ends may be overwritten */
    const int8_t *table; /* NULL, or what becomes of each value: 256, for -128 first */
};

/* A copy of the whole of tensor `from` to the whole of tensor `to`, which has the same shape. */
struct shk_move shk_move_between(const struct shk_lowering *lowering, uint32_t to, uint32_t from);

/* The position of a tensor's first element and the steps along its dimensions. */
uint32_t shk_move_locate(const struct shk_lowering *lowering, uint32_t tensor, uint32_t steps[SHK_MAX_RANK]);

/* One dispatch. Bytes around the block stay as they are, unless whole_rows. Two moves into the same rows need
 * a barrier between them. */
void shk_move_emit(struct shk_lowering *lowering, const struct shk_move *move);
/* The planner has put source and destination in one place. */
bool shk_move_is_in_place(const struct shk_move *move);

/* The op moves values without looking at them: fails unless inputs `first_input`..first_input + count - 1 and
 * all outputs have one type that lives on the device. */
enum shk_status shk_move_check_types(const struct shk_graph *graph, const struct shk_op *op,
                                     uint32_t first_input, uint32_t count, struct shk_error *error);

/* Value i of a constant INT32 or INT64 tensor, saturated. */
int32_t shk_const_int(const struct shk_tensor *tensor, size_t i);
/* Input `input` is a constant vector of integers (or one integer); its length goes to *count. */
enum shk_status shk_check_const_ints(const struct shk_graph *graph, const struct shk_op *op, uint32_t input,
                                     uint32_t *count, struct shk_error *error);
/* -rank..rank-1 to 0..rank-1; -1 if it is neither. */
int32_t shk_normalize_axis(int32_t axis, uint32_t rank);

#endif
