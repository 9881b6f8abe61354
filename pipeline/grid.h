/* Loop nests over tensors on the device, for ops that visit every element of an output once: how many steps
 * each operand takes along each dimension. Dimensions that are contiguous for every operand become one, so
 * that most ops end as a one-dimensional loop and the shader divides little. SPDX-License-Identifier:
 * LGPL-2.1-or-later */
#ifndef SHK_GRID_H
#define SHK_GRID_H

#include "lower.h"

_Static_assert(SHK_GRID_RANK == SHK_MAX_RANK, "a grid must hold every shape");

/* n must be 1 to 2^31; exact for dividends below 2^31. */
struct shk_divisor shk_divisor_of(uint32_t n);

/* Appends a dimension inside the ones there are; `dst`, `a`, `b` are the operands' steps. */
void shk_grid_push(struct shk_grid *grid, uint32_t n, uint32_t dst, uint32_t a, uint32_t b);

/* The last step: drops dimensions of one step, joins neighbours and fills in the divisors. Afterwards rank is
 * at least 1. */
void shk_grid_collapse(struct shk_grid *grid);

/* The first specialization constant of a shader that walks the (collapsed) grid. */
uint32_t shk_grid_spec(const struct shk_grid *grid);

/* Product of n. Tensors are below 2^29 bytes (graph.h), so it fits. */
uint32_t shk_grid_items(const struct shk_grid *grid);

/* Words between neighbours along dimension k < rank - 1 of a tensor of this shape. */
uint32_t shk_grid_row_step(const struct shk_shape *shape, const struct shk_view *view, uint32_t k);

#endif
