// Candidates of detection heads, one per invocation: those that may become detections go to memory that the CPU reads.
// The others never leave the device.
// SPDX-License-Identifier: LGPL-2.1-or-later
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint TYPE = SHK_SELECT_BYTES;
layout(constant_id = SHK_SPEC_FIRST + 1) const uint HEADS = 1u;

layout(push_constant) uniform shk_push { shk_select_push p; };

layout(set = 0, binding = SHK_BINDING_FRAME, std430) writeonly buffer shk_survivor_buffer { uint survivors[]; };
layout(set = 0, binding = SHK_BINDING_UNIFORM, std140) uniform uniform_block { shk_select_head heads[SHK_SELECT_HEADS]; };

// Drivers for CPUs fetch from an address that varies lane by lane.
shk_select_head get_head()
{
    shk_select_head head = heads[0];
    for (uint i = 1u; i < HEADS; i++)
        if (gl_WorkGroupID.y == i)
            head = heads[i];
    return head;
}

uint load_byte(uint at)
{
    return bitfieldExtract(SHK_LOAD(at / 4u), int(at % 4u * 8u), 8);
}

bool is_candidate(shk_select_head head, uint at)
{
    bool found = false;
    for (uint k = head.first_tested; k < head.first_tested + head.tested; k++) {
        uint element = at + k * head.step;
        if (TYPE == SHK_SELECT_FLOATS)
            found = found || uintBitsToFloat(SHK_LOAD(element)) >= head.lowest;
        else
            found = found || bitfieldExtract(int(load_byte(element)), 0, 8) >= head.lowest_level;
    }
    return found;
}

void write_values(shk_select_head head, uint to, uint at)
{
    for (uint w = 0u; w < head.value_words; w++) {
        uint word = 0u;
        if (TYPE == SHK_SELECT_FLOATS)
            word = SHK_LOAD(at + w * head.step);
        else
            for (uint k = w * 4u; k < min(w * 4u + 4u, head.values); k++)
                word |= load_byte(at + k * head.step) << (k % 4u * 8u);
        survivors[to + w] = word;
    }
}

void main()
{
    shk_select_head head = get_head();
    uint index = gl_GlobalInvocationID.x;
    if (index >= head.count)
        return;
    uint row = index;
    uint column = shk_take_remainder(row, shk_divisor(head.n, head.magic, head.shift));
    uint at = head.src + row * head.row_stride + column * head.stride;
    uint to = SHK_LANE * p.lane_words + head.dst;
    bool found = is_candidate(head, at);
    survivors[to + index] = uint(found);
    if (found)
        write_values(head, to + head.count + index * head.value_words, at);
}
