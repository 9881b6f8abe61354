/* Walking a struct shk_grid, which SHK_GRID names: a member of a uniform block, not to be copied.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where each operand's element of item `index` is. */
uvec3 shk_grid_offsets(uint index)
{
    uvec3 at = uvec3(0u);
    uint rest = index;
    for (uint k = SHK_GRID.rank - 1u; k > 0u; k--) {
        uint i = shk_take_remainder(rest, shk_divisor(SHK_GRID.dims[k].n, SHK_GRID.dims[k].magic, SHK_GRID.dims[k].shift));
        at += i * uvec3(SHK_GRID.dims[k].dst, SHK_GRID.dims[k].a, SHK_GRID.dims[k].b);
    }
    return at + rest * uvec3(SHK_GRID.dims[0].dst, SHK_GRID.dims[0].a, SHK_GRID.dims[0].b);
}
