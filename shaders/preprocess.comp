#version 450
// From a video frame to the model's input: crop, resize, colour, normalisation. What is computed is in
// pipeline/preprocess.h; preprocess_run.c is the same in C, bit for bit.
// SPDX-License-Identifier: LGPL-2.1-or-later
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = SHK_SPEC_FIRST) const int LAYOUT = SHK_LAYOUT_PACKED3;
layout(constant_id = SHK_SPEC_FIRST + 1) const bool AREA = false;
layout(constant_id = SHK_SPEC_FIRST + 2) const uint CHANNELS = 3;
layout(constant_id = SHK_SPEC_FIRST + 3) const bool FLOAT_OUTPUT = false;
layout(constant_id = SHK_SPEC_FIRST + 4) const bool SWAP = false;

layout(set = 0, binding = SHK_BINDING_FRAME, std430) readonly buffer shk_frame_buffer { uint words[]; };
layout(set = 0, binding = SHK_BINDING_HEADER, std430) readonly buffer shk_header_buffer
{
    shk_frame_header header;
    uint tables[];
};

layout(push_constant) uniform shk_push { shk_preprocess_push p; };

const bool RGB = LAYOUT == SHK_LAYOUT_PACKED3 || LAYOUT == SHK_LAYOUT_PACKED4;
const uint PLANES = LAYOUT == SHK_LAYOUT_NV12 ? 2u : LAYOUT == SHK_LAYOUT_I420 ? 3u : 1u;
const int VALUE_BITS = SHK_PREPROCESS_VALUE_BITS;
const uint ONE = 1u << SHK_PREPROCESS_WEIGHT_BITS;

/* Of the header: read once, not for every tap. */
uint plane_offset[3];
uint plane_stride[3];

uint frame_word(uint plane, uint x, uint y)
{
    return words[plane_offset[plane] + y * plane_stride[plane] + x / 4u];
}

uint frame_byte(uint plane, uint x, uint y)
{
    return bitfieldExtract(frame_word(plane, x, y), int(x & 3u) * 8, 8);
}

uvec3 first_three_bytes(uint word)
{
    return uvec3(word & 0xffu, word >> 8 & 0xffu, word >> 16 & 0xffu);
}

// Three bytes at a byte offset that need not be that of a word.
uvec3 frame_bytes3(uint x, uint y)
{
    uint low = frame_word(0u, x, y);
    uint shift = (x & 3u) * 8u;
    if (shift <= 8u)
        return first_three_bytes(low >> shift);
    return first_three_bytes(low >> shift | frame_word(0u, x + 2u, y) << (32u - shift));
}

// The frame's own components at a pixel.
uvec3 fetch(uint x, uint y)
{
    if (LAYOUT == SHK_LAYOUT_PACKED3)
        return frame_bytes3(x * 3u, y);
    if (LAYOUT == SHK_LAYOUT_PACKED4)
        return first_three_bytes(frame_word(0u, x * 4u, y));
    if (LAYOUT == SHK_LAYOUT_YUY2) {
        uint word = frame_word(0u, x / 2u * 4u, y);
        return uvec3(bitfieldExtract(word, int(x & 1u) * 16, 8), bitfieldExtract(word, 8, 8), word >> 24);
    }
    uint luma = frame_byte(0u, x, y);
    if (LAYOUT == SHK_LAYOUT_NV12) {
        uint word = frame_word(1u, x / 2u * 2u, y / 2u) >> (x / 2u % 2u * 16u);
        return uvec3(luma, word & 0xffu, word >> 8 & 0xffu);
    }
    if (LAYOUT == SHK_LAYOUT_I420)
        return uvec3(luma, frame_byte(1u, x / 2u, y / 2u), frame_byte(2u, x / 2u, y / 2u));
    return uvec3(luma, 128u, 128u);
}

uvec3 bilinear(uint column, uint row)
{
    uint wx = column % ONE;
    uint wy = row % ONE;
    uint x = header.crop_x + column / ONE;
    uint y = header.crop_y + row / ONE;
    uint x1 = wx != 0u ? x + 1u : x;
    uint y1 = wy != 0u ? y + 1u : y;
    uvec3 sum = fetch(x, y) * ((ONE - wx) * (ONE - wy)) + fetch(x1, y) * (wx * (ONE - wy)) +
                fetch(x, y1) * ((ONE - wx) * wy) + fetch(x1, y1) * (wx * wy);
    const int drop = 2 * SHK_PREPROCESS_WEIGHT_BITS - VALUE_BITS;
    return (sum + (1u << (drop - 1))) >> drop;
}

// How much of pixel i lies between two borders.
uint covered(uint low, uint high, uint i, uint shift)
{
    return min(high, (i + 1u) << shift) - max(low, i << shift);
}

uvec3 area(uint left, uint right, uint top, uint bottom)
{
    uint sx = header.shift_x;
    uint sy = header.shift_y;
    uvec3 sum = uvec3(0u);
    for (uint y = top >> sy; y <= (bottom - 1u) >> sy; y++) {
        uvec3 row = uvec3(0u);
        for (uint x = left >> sx; x <= (right - 1u) >> sx; x++)
            row += fetch(header.crop_x + x, header.crop_y + y) * covered(left, right, x, sx);
        sum += row * covered(top, bottom, y, sy);
    }
    uint total = (right - left) * (bottom - top);
    return (sum / total << VALUE_BITS) + ((sum % total << VALUE_BITS) + total / 2u) / total;
}

// From 20 fractional bits to a level.
uint to_level(int x)
{
    const int bits = VALUE_BITS + SHK_PREPROCESS_MATRIX_BITS;
    return uint(clamp((x + (1 << (bits - 1))) >> bits, 0, 255));
}

uvec3 yuv_to_levels(ivec3 c)
{
    int y = (c.x - (p.matrix.black << VALUE_BITS)) * p.matrix.luma;
    int cb = c.y - (128 << VALUE_BITS);
    int cr = c.z - (128 << VALUE_BITS);
    if (CHANNELS == 1u)
        return uvec3(to_level(y), 0u, 0u);
    return uvec3(to_level(y + p.matrix.cr_r * cr), to_level(y + p.matrix.cb_g * cb + p.matrix.cr_g * cr),
                 to_level(y + p.matrix.cb_b * cb));
}

uvec3 rgb_to_levels(uvec3 c)
{
    uvec3 rgb = SWAP ? c.zyx : c;
    if (CHANNELS == 1u)
        return uvec3(to_level(int(rgb.x * SHK_LUMA_R + rgb.y * SHK_LUMA_G + rgb.z * SHK_LUMA_B)), 0u, 0u);
    return (c + (1u << (VALUE_BITS - 1))) >> VALUE_BITS;
}

uvec3 pixel(uint x, uint y)
{
    uint i = x - header.left;
    uint k = y - header.top;
    if (i >= header.width || k >= header.height)
        return uvec3(SHK_PREPROCESS_PAD);
    for (uint plane = 0u; plane < PLANES; plane++) {
        plane_offset[plane] = header.plane_offset[plane];
        plane_stride[plane] = header.plane_stride[plane];
    }
    uint rows = p.width + 1u + k;
    uvec3 c = AREA ? area(tables[i], tables[i + 1u], tables[rows], tables[rows + 1u])
                   : bilinear(tables[i], tables[rows]);
    c = RGB ? rgb_to_levels(c) : yuv_to_levels(ivec3(c));
    return SWAP && CHANNELS == 3u ? c.zyx : c;
}

void main()
{
    uint x = gl_GlobalInvocationID.x;
    uint y = gl_GlobalInvocationID.y;
    if (x >= p.width || y >= p.height)
        return;
    uvec3 level = pixel(x, y);
    uint to = p.output_offset + (y * p.width + x) * p.output_stride;
    uint packed = 0u;
    for (uint c = 0u; c < CHANNELS; c++) {
        uint entry = params[p.table + c * 256u + level[c]];
        if (FLOAT_OUTPUT)
            SHK_ARENA(to + c) = entry;
        packed |= entry << (c * 8u);
    }
    if (!FLOAT_OUTPUT)
        SHK_ARENA(to) = packed;
}
