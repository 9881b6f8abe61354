/* 2-D convolution by tiles in shared memory (conv2d_tile.glsl): an invocation sums up four channels of ROWS pixels.
 * Tiles of a size that a specialization constant sets would be fewer modules, but there are drivers that get shared arrays
 * of such sizes wrong. SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SHK_DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "common.glsl"
#include "int8.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint EPILOGUE = 0u; /* SHK_EPILOGUE_* */
layout(constant_id = SHK_SPEC_FIRST + 1) const uint WINDOW_SUM = 0u;

const uint TILE_ROWS = SHK_TILE;
const uint TILE_CHANNELS = SHK_TILE;
const uint TILE_WORDS = 8u;
const uint ROW_STRIDE = TILE_WORDS + 1u; /* the next rows are in other banks */
#define FILTER_AT(channel, word) ((word) * TILE_CHANNELS + (channel))
#include "conv2d_tile.glsl"

/* Invocations: SHK_TILE / 4 columns of quads by 8 groups of rows. */
const uint ROWS = SHK_TILE / 8u;

ivec4 acc[ROWS];

void multiply(uint first_row, uint quad)
{
    for (uint k = 0u; k < TILE_WORDS; k++) {
        uvec4 w;
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            w[j] = tile_filters[FILTER_AT(quad * 4u + j, k)];
        [[unroll]] for (uint i = 0u; i < ROWS; i++) {
            uint word = tile_pixels[(first_row + i) * ROW_STRIDE + k];
#ifdef SHK_DOT
            acc[i] += ivec4(shk_dot4(word, w.x), shk_dot4(word, w.y), shk_dot4(word, w.z), shk_dot4(word, w.w));
#else
            [[unroll]] for (uint j = 0u; j < 4u; j++)
                acc[i] += shk_byte(word, j) * bitfieldExtract(ivec4(w), int(j * 8u), 8);
#endif
        }
    }
}

void main()
{
    uint quad = gl_LocalInvocationID.x % TILE_QUADS;
    uint first_row = gl_LocalInvocationID.x / TILE_QUADS * ROWS;
    [[unroll]] for (uint i = 0u; i < ROWS; i++)
        acc[i] = ivec4(0);
    locate_tile();
    for (uint first = 0u; first < p.depth; first += TILE_WORDS) {
        barrier(); /* what is there was read */
        load_tile(first);
        barrier();
        if (WINDOW_SUM != 0u)
            sum_windows();
        multiply(first_row, quad);
    }
    barrier();
    shk_load_epilogue(p.epilogue);
    [[unroll]] for (uint i = 0u; i < ROWS; i++)
        store_quad(first_row + i, quad, acc[i]);
}
