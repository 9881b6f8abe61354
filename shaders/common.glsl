/* Bindings and helpers that every compute shader shares.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#extension GL_GOOGLE_include_directive : require
#include "abi.h"

layout(local_size_x_id = SHK_SPEC_LOCAL_X, local_size_y_id = SHK_SPEC_LOCAL_Y,
       local_size_z_id = SHK_SPEC_LOCAL_Z) in;

/* The arena has one lane per frame of a batch, SHK_LANE_STRIDE words apart, and a dispatch covers all of them: the
 * z dimension of its workgroups counts lanes. Shaders only know addresses of the first lane and go through SHK_ARENA.
 * Without batches the stride is 0 and nothing of this is left in the compiled kernel. A shader that wants z for
 * something else as well defines SHK_LANE. */
layout(constant_id = SHK_SPEC_LANE_STRIDE) const uint SHK_LANE_STRIDE = 0u;
#ifndef SHK_LANE
#define SHK_LANE gl_WorkGroupID.z
#endif
layout(set = 0, binding = SHK_BINDING_ARENA, std430) buffer shk_arena_buffer { uint shk_arena[]; };
#define SHK_ARENA(word) shk_arena[SHK_LANE * SHK_LANE_STRIDE + (word)]

/* Reads a word that the dispatch did not write: by storage buffer or by texel buffer, whichever is faster on the device
 * (pipeline/loads.h). */
layout(constant_id = SHK_SPEC_TEXELS) const uint SHK_TEXELS = 0u;
layout(set = 0, binding = SHK_BINDING_TEXELS) uniform usamplerBuffer shk_texels;
uint shk_load(uint address)
{
    return SHK_TEXELS != 0u ? texelFetch(shk_texels, int(address)).x : shk_arena[address];
}
#define SHK_LOAD(word) shk_load(SHK_LANE * SHK_LANE_STRIDE + (word))

layout(set = 0, binding = SHK_BINDING_PARAMS, std430) readonly buffer shk_params_buffer { uint params[]; };

uint shk_divide(uint x, shk_divisor d)
{
    uint high;
    uint low;
    umulExtended(x, d.magic, high, low);
    return (high + x) >> d.shift;
}

/* Sets `x` to the quotient and returns the remainder. */
uint shk_take_remainder(inout uint x, shk_divisor d)
{
    uint quotient = shk_divide(x, d);
    uint remainder = x - quotient * d.n;
    x = quotient;
    return remainder;
}

/* The invocation's number in a dispatch made by shk_dispatch_linear(). */
uint shk_linear_index()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    return group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}
