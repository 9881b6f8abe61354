/* 2-D convolution by tiles in shared memory (conv2d_tile.glsl) that subgroups multiply as cooperative matrices of
 * M x K by K x N bytes: each sums up BLOCK_ROWS x BLOCK_COLUMNS blocks of M pixels and N channels.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_cooperative_matrix : require
#pragma use_vulkan_memory_model
#include "common.glsl"
#include "int8.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint EPILOGUE = 0u; /* SHK_EPILOGUE_* */
layout(constant_id = SHK_SPEC_FIRST + 1) const uint WINDOW_SUM = 0u;
layout(constant_id = SHK_SPEC_FIRST + 2) const uint M = 8u;
layout(constant_id = SHK_SPEC_FIRST + 3) const uint N = 8u;
layout(constant_id = SHK_SPEC_FIRST + 4) const uint K = 8u;
layout(constant_id = SHK_SPEC_FIRST + 5) const uint BLOCK_ROWS = 1u;
layout(constant_id = SHK_SPEC_FIRST + 6) const uint BLOCK_COLUMNS = 2u;
layout(constant_id = SHK_SPEC_FIRST + 7) const uint SUBGROUPS = 1u; /* in a workgroup, below each other */
layout(constant_id = SHK_SPEC_FIRST + 8) const uint TILE_WORDS = 8u; /* a multiple of K / 4 */

const uint TILE_ROWS = SUBGROUPS * BLOCK_ROWS * M;
const uint TILE_CHANNELS = BLOCK_COLUMNS * N;
const uint ROW_STRIDE = TILE_WORDS;
#define FILTER_AT(channel, word) ((channel) * TILE_WORDS + (word))
#include "conv2d_tile.glsl"

shared int sums[SUBGROUPS * M * N]; /* a block of each subgroup */

coopmat<int, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> acc[BLOCK_ROWS * BLOCK_COLUMNS];

void multiply(uint first_row)
{
    for (uint k = 0u; k < TILE_WORDS; k += K / 4u) {
        coopmat<int8_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a[BLOCK_ROWS];
        [[unroll]] for (uint r = 0u; r < BLOCK_ROWS; r++)
            coopMatLoad(a[r], tile_pixels, (first_row + r * M) * ROW_STRIDE + k, ROW_STRIDE,
                        gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint c = 0u; c < BLOCK_COLUMNS; c++) {
            coopmat<int8_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b;
            coopMatLoad(b, tile_filters, FILTER_AT(c * N, k), TILE_WORDS, gl_CooperativeMatrixLayoutColumnMajor);
            [[unroll]] for (uint r = 0u; r < BLOCK_ROWS; r++)
                acc[r * BLOCK_COLUMNS + c] = coopMatMulAdd(a[r], b, acc[r * BLOCK_COLUMNS + c]);
        }
    }
}

/* Block `r`, `c` of every subgroup, in `sums`. */
void store_blocks(uint r, uint c)
{
    for (uint i = gl_LocalInvocationID.x; i < SUBGROUPS * M * (N / 4u); i += gl_WorkGroupSize.x) {
        uint quad = i % (N / 4u);
        uint row = i / (N / 4u);
        uint subgroup = row / M;
        ivec4 sum = ivec4(sums[i * 4u], sums[i * 4u + 1u], sums[i * 4u + 2u], sums[i * 4u + 3u]);
        store_quad((subgroup * BLOCK_ROWS + r) * M + row - subgroup * M, c * (N / 4u) + quad, sum);
    }
}

void main()
{
    uint first_row = gl_SubgroupID * BLOCK_ROWS * M;
    [[unroll]] for (uint i = 0u; i < BLOCK_ROWS * BLOCK_COLUMNS; i++)
        acc[i] = coopmat<int, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0);
    locate_tile();
    for (uint first = 0u; first < p.depth; first += TILE_WORDS) {
        barrier(); /* what is there was read */
        load_tile(first);
        barrier();
        if (WINDOW_SUM != 0u)
            sum_windows();
        multiply(first_row);
    }
    shk_load_epilogue(p.epilogue);
    [[unroll]] for (uint r = 0u; r < BLOCK_ROWS; r++)
        [[unroll]] for (uint c = 0u; c < BLOCK_COLUMNS; c++) {
            barrier();
            coopMatStore(acc[r * BLOCK_COLUMNS + c], sums, gl_SubgroupID * M * N, N, gl_CooperativeMatrixLayoutRowMajor);
            barrier();
            store_blocks(r, c);
        }
}
