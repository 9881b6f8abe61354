// Boxes of detection heads, one per invocation: those that reach the score threshold are decoded, as pipeline/
// detect_boxes.c does it, float operation by float operation, and go to memory that the CPU reads. The others never leave
// the device. SPDX-License-Identifier: LGPL-2.1-or-later
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint TYPE = SHK_SELECT_BYTES;
layout(constant_id = SHK_SPEC_FIRST + 1) const uint HEADS = 1u;
// Of all heads. Mesa's CPU driver compiles anew for each dispatch where a loop ends by what is in a uniform buffer.
layout(constant_id = SHK_SPEC_FIRST + 2) const uint CLASSES = 1u;
layout(constant_id = SHK_SPEC_FIRST + 3) const uint OBJECTNESS = 0u; // 1: there is one in front of the classes

layout(push_constant) uniform shk_push { shk_select_push p; };

layout(set = 0, binding = SHK_BINDING_FRAME, std430) writeonly buffer shk_found_buffer { uint found[]; };
layout(set = 0, binding = SHK_BINDING_UNIFORM, std140) uniform uniform_block { shk_select_head heads[SHK_SELECT_HEADS]; };

shk_select_head head;

// Drivers for CPUs fetch from an address that varies lane by lane.
void get_head()
{
    head = heads[0];
    for (uint i = 1u; i < HEADS; i++)
        if (gl_WorkGroupID.x >= heads[i].first_group)
            head = heads[i];
}

// An element, of which the larger is the better one.
float load(uint element)
{
    if (TYPE == SHK_SELECT_FLOATS)
        return uintBitsToFloat(SHK_LOAD(element));
    return float(bitfieldExtract(int(SHK_LOAD(element / 4u)), int(element % 4u * 8u), 8));
}

// What `table` makes of an element. Of a float, which DEQUANTIZE made, value * inverse is within 1e-4 of an integer.
float look_up(uint table, float value)
{
    int rank = TYPE == SHK_SELECT_FLOATS ? int(floor(value * head.inverse + 0.5)) + head.zero : int(value) + 128;
    return uintBitsToFloat(params[head.tables + table + uint(clamp(rank, 0, 255))]);
}

uint anchor_scale(uint anchor, uint i)
{
    return params[head.tables + SHK_SELECT_ANCHORS + 2u * anchor + i];
}

// The element with the best class's score; `best`: which class.
float best_class(uint scores, out uint best)
{
    float most = load(scores);
    best = 0u;
    for (uint c = 1u; c < CLASSES; c++) {
        float value = load(scores + c * head.step);
        if (value > most) {
            most = value;
            best = c;
        }
    }
    return most;
}

// The score of the box at element `at`, or 0.
float score_of(uint at, out uint best)
{
    uint scores = at + 4u * head.step;
    float objectness = load(scores);
    best = 0u;
    if (OBJECTNESS != 0u && objectness < head.lowest)
        return 0.0;
    float most = best_class(scores + OBJECTNESS * head.step, best);
    if (most < head.lowest)
        return 0.0;
    precise float score = look_up(SHK_SELECT_PROBABILITY, most);
    if (OBJECTNESS != 0u)
        score = look_up(SHK_SELECT_PROBABILITY, objectness) * score;
    return score >= head.threshold ? score : 0.0;
}

void write_box(uint to, uint at, uint index, uint best)
{
    uint cell = index;
    uint anchor = shk_take_remainder(cell, shk_divisor(head.anchors_n, head.anchors_magic, head.anchors_shift));
    uint row = cell;
    uint column = shk_take_remainder(row, shk_divisor(head.columns_n, head.columns_magic, head.columns_shift));
    precise float x = (look_up(SHK_SELECT_CENTER, load(at)) + float(column) * head.cell) * head.center_x;
    precise float y = (look_up(SHK_SELECT_CENTER, load(at + head.step)) + float(row) * head.cell) * head.center_y;
    precise float width =
        look_up(SHK_SELECT_SIZE, load(at + 2u * head.step)) * uintBitsToFloat(anchor_scale(anchor, 0u));
    precise float height =
        look_up(SHK_SELECT_SIZE, load(at + 3u * head.step)) * uintBitsToFloat(anchor_scale(anchor, 1u));
    precise vec4 corners = vec4(x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height);
    found[to] = best;
    for (uint i = 0u; i < 4u; i++)
        found[to + 1u + i] = floatBitsToUint(corners[i]);
}

void main()
{
    get_head();
    uint index = gl_GlobalInvocationID.x - head.first_group * gl_WorkGroupSize.x;
    if (index >= head.count)
        return;
    uint row = head.first + index;
    uint column = shk_take_remainder(row, shk_divisor(head.across_n, head.across_magic, head.across_shift));
    uint at = head.src + row * head.row_stride + column * head.stride;
    uint to = SHK_LANE * p.lane_words + head.dst;
    uint best;
    float score = score_of(at, best);
    found[to + index] = floatBitsToUint(score);
    if (score > 0.0)
        write_box(to + head.count + index * SHK_SELECT_BOX_WORDS, at, index, best);
}
