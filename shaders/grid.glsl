/* Walking a struct shk_grid: which element of each operand item `index` is.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

uvec3 shk_grid_offsets(const shk_grid grid, uint index)
{
    uvec3 at = uvec3(0u);
    uint rest = index;
    for (uint k = grid.rank - 1u; k > 0u; k--) {
        uint outer = rest / grid.n[k];
        uint i = rest - outer * grid.n[k];
        rest = outer;
        at += i * uvec3(grid.steps[k], grid.steps[SHK_GRID_RANK + k], grid.steps[2 * SHK_GRID_RANK + k]);
    }
    return at + rest * uvec3(grid.steps[0], grid.steps[SHK_GRID_RANK], grid.steps[2 * SHK_GRID_RANK]);
}
