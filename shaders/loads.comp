/* Reads, as kernels read activations, to be timed (pipeline/loads.c).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block { shk_loads_push p; };

void main()
{
    uint index = shk_linear_index(), sum = 0u;
    for (uint i = 0u; i < SHK_LOADS; i++)
        sum += SHK_LOAD((index + i * 1021u) & (p.words - 1u)); /* a power of two; neighbours read neighbours */
    SHK_ARENA(index & (p.words - 1u)) = sum;
}
