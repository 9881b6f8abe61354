/* As many multiply-accumulates as the device can do: twelve chains per invocation that live in registers, with
 * no memory in the loop. Each step of a chain needs the one before, so that no compiler can sum the loop up. One
 * module for each way to do it: SHK_CEILING_FLOAT or _DOT is defined, or none for int32.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef SHK_CEILING_DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "common.glsl"

layout(push_constant, std430) uniform push_block { shk_ceiling_push p; };

#if defined(SHK_CEILING_DOT)
/* OpSDot on four packed int8. glslang 12 has no GLSL for it. */
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int packed_dot(int a, int b, spirv_literal int packed_4x8);

#define CHAINS ivec4
#define FACTOR int(p.factor)
#define TERM   int(p.term)
ivec4 mac(ivec4 sum, int factor, int term)
{
    return sum + ivec4(packed_dot(sum.x, factor, 0), packed_dot(sum.y, factor, 0),
                       packed_dot(sum.z, factor, 0), packed_dot(sum.w, factor, 0));
}
#elif defined(SHK_CEILING_FLOAT)
#define CHAINS vec4
#define FACTOR uintBitsToFloat(p.factor)
#define TERM   uintBitsToFloat(p.term)
vec4 mac(vec4 sum, float factor, float term)
{
    return fma(sum, vec4(factor), vec4(term));
}
#else
#define CHAINS ivec4
#define FACTOR int(p.factor)
#define TERM   int(p.term)
ivec4 mac(ivec4 sum, int factor, int term)
{
    return sum * factor + term;
}
#endif

void main()
{
    uint index = shk_linear_index();
    CHAINS a = CHAINS(index), b = a + CHAINS(1), c = a + CHAINS(2);
    for (uint i = 0u; i < p.repeat; i++) {
        for (uint k = 0u; k < SHK_CEILING_STEPS; k++) {
            a = mac(a, FACTOR, TERM);
            b = mac(b, FACTOR, TERM);
            c = mac(c, FACTOR, TERM);
        }
    }
    CHAINS sum = a + b + c;
    SHK_ARENA(index) = uint(sum.x + sum.y + sum.z + sum.w); /* else there would be nothing to calculate */
}
