/* As many bytes as the device can copy: four times 16 bytes per invocation and repetition, from the first half
 * of a buffer to the second. Each repetition reads what another workgroup read before, so that a buffer that
 * fits into a cache that all share is copied within that, and not within one that belongs to the workgroup.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "abi.h"

layout(local_size_x_id = SHK_SPEC_LOCAL_X, local_size_y_id = SHK_SPEC_LOCAL_Y,
       local_size_z_id = SHK_SPEC_LOCAL_Z) in;
layout(set = 0, binding = SHK_BINDING_ARENA, std430) buffer arena_buffer { uvec4 arena[]; };
layout(push_constant, std430) uniform push_block { shk_ceiling_push p; };

void main()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    uint index = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint quarter = p.half_size / 4u, to = p.half_size + index;
    if (index >= quarter)
        return;
    for (uint i = 0u; i < p.repeat; i++) {
        uint from = (index + i * p.step) & (quarter - 1u); /* quarter is a power of two */
        uvec4 a = arena[from], b = arena[from + quarter];
        uvec4 c = arena[from + quarter * 2u], d = arena[from + quarter * 3u];
        arena[to] = a;
        arena[to + quarter] = b;
        arena[to + quarter * 2u] = c;
        arena[to + quarter * 3u] = d;
    }
}
