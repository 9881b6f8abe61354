/* Walking a struct shk_grid, which SHK_GRID names: a member of a uniform block, not to be copied. Its number of
 * dimensions is the first specialization constant, so that the loop unrolls.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

layout(constant_id = SHK_SPEC_FIRST) const uint SHK_GRID_DIMS = SHK_GRID_LINEAR;

/* Where each operand's element of item `index` is. */
uvec3 shk_grid_offsets(uint index)
{
    if (SHK_GRID_DIMS == SHK_GRID_LINEAR)
        return uvec3(index);
    uvec3 at = uvec3(0u);
    uint rest = index;
    for (uint k = SHK_GRID_DIMS - 1u; k > 0u; k--) {
        uint i = shk_take_remainder(rest, shk_divisor(SHK_GRID.dims[k].n, SHK_GRID.dims[k].magic, SHK_GRID.dims[k].shift));
        at += i * uvec3(SHK_GRID.dims[k].dst, SHK_GRID.dims[k].a, SHK_GRID.dims[k].b);
    }
    return at + rest * uvec3(SHK_GRID.dims[0].dst, SHK_GRID.dims[0].a, SHK_GRID.dims[0].b);
}
