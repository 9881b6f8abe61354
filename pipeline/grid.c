/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "grid.h"

struct shk_divisor shk_divisor_of(uint32_t n)
{
    uint32_t shift = 0;
    while (UINT64_C(1) << shift < n)
        shift++;
    uint64_t magic = ((UINT64_C(1) << 32) * ((UINT64_C(1) << shift) - n)) / n + 1;
    return (struct shk_divisor){n, (uint32_t)magic, shift};
}

void shk_grid_push(struct shk_grid *grid, uint32_t n, uint32_t dst, uint32_t a, uint32_t b)
{
    grid->dims[grid->rank++] = (struct shk_grid_dim){.n = n, .dst = dst, .a = a, .b = b};
}

/* True if `inner`, walked to its end, arrives where the next step along `outer` begins. */
static bool contiguous(const struct shk_grid_dim *outer, const struct shk_grid_dim *inner)
{
    return outer->dst == inner->n * inner->dst && outer->a == inner->n * inner->a &&
           outer->b == inner->n * inner->b;
}

void shk_grid_collapse(struct shk_grid *grid)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < grid->rank; k++) {
        struct shk_grid_dim dim = grid->dims[k];
        if (dim.n == 1)
            continue;
        if (kept > 0 && contiguous(&grid->dims[kept - 1], &dim))
            dim.n *= grid->dims[--kept].n;
        grid->dims[kept++] = dim;
    }
    if (kept == 0)
        grid->dims[kept++] = (struct shk_grid_dim){.n = 1};
    grid->rank = kept;
    for (uint32_t k = 0; k < kept; k++) {
        struct shk_divisor d = shk_divisor_of(grid->dims[k].n);
        grid->dims[k].magic = d.magic;
        grid->dims[k].shift = d.shift;
    }
}

uint32_t shk_grid_spec(const struct shk_grid *grid)
{
    const struct shk_grid_dim *dim = &grid->dims[0];
    return grid->rank == 1 && dim->dst == 1 && dim->a == 1 && dim->b == 1 ? SHK_GRID_LINEAR : grid->rank;
}

uint32_t shk_grid_items(const struct shk_grid *grid)
{
    uint32_t items = 1;
    for (uint32_t k = 0; k < grid->rank; k++)
        items *= grid->dims[k].n;
    return items;
}

uint32_t shk_grid_row_step(const struct shk_shape *shape, const struct shk_view *view, uint32_t k)
{
    uint32_t step = view->stride;
    for (uint32_t i = k + 1; i + 1 < shape->rank; i++)
        step *= (uint32_t)shape->dims[i];
    return step;
}
