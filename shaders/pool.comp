/* Pooling over windows of an NHWC image, four channels per invocation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "int8.glsl"

layout(constant_id = SHK_SPEC_FIRST) const int KIND = SHK_POOL_MAX;

layout(push_constant, std430) uniform push_block { shk_pool_push p; };

/* Halves away from zero; on magnitudes, so that no signed division is needed. */
int mean_of(int sum, int taps)
{
    uint magnitude = (uint(abs(sum)) + uint(taps) / 2u) / uint(taps);
    return sum < 0 ? -int(magnitude) : int(magnitude);
}

void main()
{
    uint index = shk_linear_index();
    if (index >= p.items)
        return;
    uint row = index;
    uint word = shk_take_remainder(row, p.words);
    uint image = row;
    int x0 = int(shk_take_remainder(image, p.out_w)) * p.stride_w - p.pad_w;
    int y0 = int(shk_take_remainder(image, p.out_h)) * p.stride_h - p.pad_h;
    int x_first = max(x0, 0), x_end = min(x0 + p.filter_w, p.in_w);
    int y_first = max(y0, 0), y_end = min(y0 + p.filter_h, p.in_h);

    ivec4 acc = KIND == SHK_POOL_MAX ? ivec4(-128) : ivec4(0);
    for (int y = y_first; y < y_end; y++) {
        uint pixel = (image * uint(p.in_h) + uint(y)) * uint(p.in_w) + uint(x_first);
        uint at = p.src + pixel * p.src_stride + word;
        for (int x = x_first; x < x_end; x++) {
            ivec4 tap = shk_unpack4(SHK_LOAD(at));
            acc = KIND == SHK_POOL_MAX ? max(acc, tap) : acc + tap;
            at += p.src_stride;
        }
    }
    if (KIND != SHK_POOL_MAX) {
        int taps = (x_end - x_first) * (y_end - y_first);
        int bias = KIND == SHK_POOL_AVERAGE_U8 ? 128 : 0;
        acc += bias * taps;
        acc = ivec4(mean_of(acc.x, taps), mean_of(acc.y, taps), mean_of(acc.z, taps), mean_of(acc.w, taps));
        acc -= bias;
    }
    acc = clamp(acc, ivec4(p.min), ivec4(p.max));
    SHK_ARENA(p.dst + row * p.dst_stride + word) = shk_pack4(acc.x, acc.y, acc.z, acc.w);
}
