/* 2-D convolution with any group count: an invocation computes CHANNELS output channels of PIXELS neighbouring
 * output pixels. Neighbours in the subgroup take other pixels, so that all of them want the same weights; with
 * SHK_SUBGROUP each of them loads another word and they exchange. With SHK_JOINED several layers are one dispatch.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SHK_DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
#ifdef SHK_SUBGROUP
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_shader_subgroup_vote : require
#endif
#ifndef SHK_JOINED
#define SHK_LANE (SHK_LANE_STRIDE == 0u ? 0u : gl_WorkGroupID.z / p.slices) /* z: lane * slices + slice */
#endif
#include "common.glsl"
#include "int8.glsl"
#include "weights.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint CHANNELS = 16u; /* multiple of 4 */
layout(constant_id = SHK_SPEC_FIRST + 1) const uint PIXELS = 2u;
layout(constant_id = SHK_SPEC_FIRST + 2) const uint POINTWISE = 0u; /* 1x1, stride 1 */
layout(constant_id = SHK_SPEC_FIRST + 3) const uint WINDOW_SUM = 0u; /* weights have a zero point */

layout(constant_id = SHK_SPEC_FIRST + 4) const uint FLOAT = 0u; /* sums in floats; the caller knows that they are exact */

layout(constant_id = SHK_SPEC_FIRST + 5) const uint EPILOGUE = 0u; /* SHK_EPILOGUE_* */
#include "epilogue.glsl"

layout(constant_id = SHK_SPEC_FIRST + 6) const uint MIXED = 0u; /* SHK_DOT: inputs are taken as unsigned, 128 more */

#ifdef SHK_JOINED
layout(push_constant, std430) uniform push_block { shk_joined_push joined; };
shk_conv_push p;

const uint RECORD = SHK_JOINED_HEADER + 32u; /* words of a part */

shk_divisor load_divisor(uint at)
{
    return shk_divisor(params[at], params[at + 1u], params[at + 2u]);
}

void load_push(uint at)
{
    p.input_offset = params[at];
    p.input_stride = params[at + 1u];
    p.output_offset = params[at + 2u];
    p.output_stride = params[at + 3u];
    p.output_words = params[at + 4u];
    p.rows = params[at + 5u];
    p.input_height = int(params[at + 6u]);
    p.input_width = int(params[at + 7u]);
    p.output_height = load_divisor(at + 8u);
    p.output_width = load_divisor(at + 11u);
    p.kernel_height = int(params[at + 14u]);
    p.kernel_width = int(params[at + 15u]);
    p.stride_height = int(params[at + 16u]);
    p.stride_width = int(params[at + 17u]);
    p.dilation_height = int(params[at + 18u]);
    p.dilation_width = int(params[at + 19u]);
    p.pad_top = int(params[at + 20u]);
    p.pad_left = int(params[at + 21u]);
    p.zero_points = int(params[at + 22u]);
    p.output_zero_point = int(params[at + 23u]);
    p.output_min = int(params[at + 24u]);
    p.output_max = int(params[at + 25u]);
    p.parts = params[at + 26u];
    p.params = params[at + 27u];
    p.slice_stride = params[at + 28u];
    p.first_slice = params[at + 29u];
    p.slices = params[at + 30u];
    p.epilogue = params[at + 31u];
}
#else
layout(push_constant, std430) uniform push_block { shk_conv_push p; };
#endif

const uint QUADS = CHANNELS / 4u;

ivec4 acc[PIXELS * QUADS];
vec4 float_acc[PIXELS * QUADS]; /* FLOAT */
int window_sum[PIXELS];

/* Where the window of each pixel starts in the input; POINTWISE: x holds the pixel itself. */
int window_y[PIXELS];
int window_x[PIXELS];
int image[PIXELS];

void locate(uint first)
{
    [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
        uint row = min(first + i, p.rows - 1u);
        if (POINTWISE != 0u) {
            window_x[i] = int(row);
        } else {
            uint x = shk_take_remainder(row, p.output_width);
            uint y = shk_take_remainder(row, p.output_height);
            window_x[i] = int(x) * p.stride_width - p.pad_left;
            window_y[i] = int(y) * p.stride_height - p.pad_top;
            image[i] = int(row) * p.input_height;
        }
    }
}

#ifdef SHK_DOT
int multiply(uint word, uint weights)
{
    return MIXED != 0u ? shk_dot4_mixed(weights, word ^ 0x80808080u) : shk_dot4(word, weights);
}
#endif

/* The products of an input word of every pixel with the weights of all channels. */
void add_products(uint words[PIXELS], uvec4 w[QUADS])
{
#ifdef SHK_DOT
    [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
        if (WINDOW_SUM != 0u)
            window_sum[i] += shk_dot4(words[i], 0x01010101u);
        [[unroll]] for (uint q = 0u; q < QUADS; q++)
            acc[i * QUADS + q] += ivec4(multiply(words[i], w[q].x), multiply(words[i], w[q].y),
                                        multiply(words[i], w[q].z), multiply(words[i], w[q].w));
    }
#else
    [[unroll]] for (uint j = 0u; j < 4u; j++) {
        int value[PIXELS];
        [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
            value[i] = shk_byte(words[i], j);
            if (WINDOW_SUM != 0u)
                window_sum[i] += value[i];
        }
        [[unroll]] for (uint q = 0u; q < QUADS; q++) {
            ivec4 weight = bitfieldExtract(ivec4(w[q]), int(j * 8u), 8);
            [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
                if (FLOAT != 0u)
                    float_acc[i * QUADS + q] += float(value[i]) * vec4(weight);
                else
                    acc[i * QUADS + q] += value[i] * weight;
            }
        }
    }
#endif
}

/* Adds the products of one tap's input words and returns where the next tap's weights are. */
uint add_tap(uint weights, uvec4 header, ivec2 tap)
{
    uint at[PIXELS];
    bool inside[PIXELS];
    [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
        int y = POINTWISE != 0u ? 0 : window_y[i] + tap.y;
        int x = window_x[i] + tap.x;
        inside[i] = POINTWISE != 0u || (uint(y) < uint(p.input_height) && uint(x) < uint(p.input_width));
        int pixel = POINTWISE != 0u ? x : inside[i] ? (image[i] + y) * p.input_width + x : 0;
        at[i] = p.input_offset + uint(pixel) * p.input_stride + header.x;
    }
    for (uint k = 0u; k < header.y; k++) {
        uint words[PIXELS];
        [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
            words[i] = SHK_LOAD(at[i] + k);
            words[i] = inside[i] ? words[i] : (uint(p.zero_points) & 0xffu) * 0x01010101u;
            if (WINDOW_SUM != 0u) {
                words[i] &= k == 0u ? header.z : 0xffffffffu;
                words[i] &= k == header.y - 1u ? header.w : 0xffffffffu;
            }
        }
        uvec4 w[QUADS];
#ifdef SHK_SUBGROUP
        uvec4 own = SHK_WEIGHTS(p.params, weights + min(gl_SubgroupInvocationID, QUADS - 1u));
        [[unroll]] for (uint q = 0u; q < QUADS; q++)
            w[q] = subgroupShuffle(own, q);
#else
        [[unroll]] for (uint q = 0u; q < QUADS; q++)
            w[q] = SHK_WEIGHTS(p.params, weights + q);
#endif
        weights += QUADS;
        add_products(words, w);
    }
    return weights;
}

void store(uint first, uint slice, uint quant)
{
    shk_load_epilogue(p.epilogue);
    [[unroll]] for (uint q = 0u; q < QUADS; q++) {
        uint word = (p.first_slice + slice) * QUADS + q;
        ivec4 multiplier = ivec4(SHK_WEIGHTS(p.params, quant + QUADS + q));
        ivec4 shift = ivec4(SHK_WEIGHTS(p.params, quant + 2u * QUADS + q));
        [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
            ivec4 sum = acc[i * QUADS + q];
            if (FLOAT != 0u)
                sum += ivec4(float_acc[i * QUADS + q]);
            if (WINDOW_SUM != 0u)
                sum -= (p.zero_points >> 8) * window_sum[i];
            ivec4 y = shk_mbqm(sum, multiplier, shift);
            y = clamp(y, p.output_min, p.output_max) + p.output_zero_point;
            if (word < p.output_words && first + i < p.rows) {
                uint residual = 0u;
                if ((EPILOGUE & SHK_EPILOGUE_ADD) != 0u)
                    residual = SHK_LOAD(shk_add.residual_offset + (first + i) * shk_add.residual_stride + word);
                y = shk_epilogue(p.epilogue, y, residual);
                SHK_ARENA(p.output_offset + (first + i) * p.output_stride + word) = shk_pack4(y.x, y.y, y.z, y.w);
            }
        }
    }
}

/* The part that the workgroup belongs to, and the invocation's number and the slice in it. */
void place(out uint index, out uint slice)
{
#ifdef SHK_JOINED
    uint record = joined.at;
    for (uint i = 1u; i < joined.parts; i++)
        if (gl_WorkGroupID.x >= params[joined.at + i * RECORD])
            record = joined.at + i * RECORD;
    uint group = gl_WorkGroupID.x - params[record];
    uint across = params[record + 1u];
    load_push(record + SHK_JOINED_HEADER);
    slice = group / across;
    index = (group - slice * across) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
#else
    slice = gl_WorkGroupID.z - SHK_LANE * p.slices;
    index = shk_linear_index();
#endif
}

void main()
{
    uint index;
    uint slice;
    place(index, slice);
    uint first = index * PIXELS;
#ifdef SHK_SUBGROUP /* an invocation of a subgroup that has work lends a hand to the end */
    if (subgroupAll(first >= p.rows))
        return;
#else
    if (first >= p.rows)
        return;
#endif
    uint base = slice * p.slice_stride;
    uint quant = base + SHK_CONV_HEADER;
    uvec4 header = SHK_WEIGHTS(p.params, base);
    locate(first);
    [[unroll]] for (uint q = 0u; q < QUADS; q++) {
        ivec4 bias = ivec4(SHK_WEIGHTS(p.params, quant + q));
        [[unroll]] for (uint i = 0u; i < PIXELS; i++) {
            acc[i * QUADS + q] = bias;
            if (FLOAT != 0u)
                float_acc[i * QUADS + q] = vec4(0.0);
        }
    }
    [[unroll]] for (uint i = 0u; i < PIXELS; i++)
        window_sum[i] = 0;

    uint weights = quant + 3u * QUADS;
    if (POINTWISE != 0u) {
        for (uint part = 0u; part < p.parts; part++)
            weights = add_tap(weights, header, ivec2(0));
    } else {
        for (uint part = 0u; part < p.parts; part++)
            for (int y = 0; y < p.kernel_height; y++)
                for (int x = 0; x < p.kernel_width; x++)
                    weights = add_tap(weights, header, ivec2(x * p.dilation_width, y * p.dilation_height));
    }
    store(first, slice, quant);
}
