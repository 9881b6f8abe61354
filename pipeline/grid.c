/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "grid.h"

void shk_grid_push(struct shk_grid *grid, uint32_t n, uint32_t out, uint32_t a, uint32_t b)
{
    uint32_t k = grid->rank++;
    grid->n[k] = n;
    grid->steps[k] = out;
    grid->steps[SHK_GRID_RANK + k] = a;
    grid->steps[2 * SHK_GRID_RANK + k] = b;
}

/* True if dimension `inner`, walked to its end, arrives where the next step along `outer` begins. */
static bool contiguous(const struct shk_grid *grid, uint32_t outer, uint32_t inner)
{
    for (uint32_t o = 0; o < SHK_GRID_OPERANDS; o++) {
        const uint32_t *steps = &grid->steps[o * SHK_GRID_RANK];
        if (steps[outer] != grid->n[inner] * steps[inner])
            return false;
    }
    return true;
}

static void copy_dimension(struct shk_grid *grid, uint32_t to, uint32_t from)
{
    grid->n[to] = grid->n[from];
    for (uint32_t o = 0; o < SHK_GRID_OPERANDS; o++)
        grid->steps[o * SHK_GRID_RANK + to] = grid->steps[o * SHK_GRID_RANK + from];
}

void shk_grid_collapse(struct shk_grid *grid)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < grid->rank; k++) {
        if (grid->n[k] == 1)
            continue;
        if (kept > 0 && contiguous(grid, kept - 1, k)) {
            uint32_t n = grid->n[kept - 1] * grid->n[k];
            copy_dimension(grid, kept - 1, k);
            grid->n[kept - 1] = n;
        } else {
            copy_dimension(grid, kept++, k);
        }
    }
    if (kept == 0) {
        grid->n[0] = 1;
        kept = 1;
    }
    grid->rank = kept;
}

uint32_t shk_grid_items(const struct shk_grid *grid)
{
    uint32_t items = 1;
    for (uint32_t k = 0; k < grid->rank; k++)
        items *= grid->n[k];
    return items;
}

uint32_t shk_grid_row_step(const struct shk_shape *shape, const struct shk_view *view, uint32_t k)
{
    uint32_t step = view->stride;
    for (uint32_t i = k + 1; i + 1 < shape->rank; i++)
        step *= (uint32_t)shape->dims[i];
    return step;
}
