// Boxes of detection heads, one per invocation: those that reach the score threshold are decoded, as pipeline/
// detect_boxes.c does it, float operation by float operation, and become candidates for suppress.comp.
// SPDX-License-Identifier: LGPL-2.1-or-later
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "quotient.glsl"

layout(constant_id = SHK_SPEC_FIRST) const uint TYPE = SHK_SELECT_BYTES;
layout(constant_id = SHK_SPEC_FIRST + 1) const uint HEADS = 1u;
// Of all heads. Mesa's CPU driver compiles anew for each dispatch where a loop ends by what is in a uniform buffer.
layout(constant_id = SHK_SPEC_FIRST + 2) const uint CLASSES = 1u;
layout(constant_id = SHK_SPEC_FIRST + 3) const uint OBJECTNESS = 0u; // 1: there is one in front of the classes
layout(constant_id = SHK_SPEC_FIRST + 4) const uint FLIP = 0u;       // 1: y before x, height before width
layout(constant_id = SHK_SPEC_FIRST + 5) const uint SOFTMAX = 0u;    // 1: of the classes
layout(constant_id = SHK_SPEC_FIRST + 6) const uint BACKGROUND = 0u; // 1: there is one in front of them

layout(push_constant) uniform shk_push { shk_select_push p; };

layout(set = 0, binding = SHK_BINDING_FRAME, std430) buffer shk_candidates_buffer { uint candidates[]; };
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

// Element of the first value of box `box` of the output.
uint find(shk_select_rows rows, uint box)
{
    uint row = box;
    uint column = shk_take_remainder(row, shk_divisor(rows.across_n, rows.across_magic, rows.across_shift));
    return rows.src + row * rows.row_stride + column * rows.stride;
}

// From 0 to 255. Of a float, which DEQUANTIZE made, value * inverse is within 1e-4 of an integer.
uint rank_of(float value, shk_select_rows rows)
{
    int rank = TYPE == SHK_SELECT_FLOATS ? int(floor(value * rows.inverse + 0.5)) + rows.zero : int(value) + 128;
    return uint(clamp(rank, 0, 255));
}

// What `table` makes of an element.
float look_up(uint table, float value, shk_select_rows rows)
{
    return uintBitsToFloat(params[head.tables + table + rank_of(value, rows)]);
}

float probability(float value)
{
    return look_up(SHK_SELECT_PROBABILITY, value, head.scores);
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

float softmax_term(float value, uint highest)
{
    return uintBitsToFloat(params[head.tables + SHK_SELECT_PROBABILITY + highest - rank_of(value, head.scores)]);
}

// The probability of the class whose element is `most`; 0 if it is below the threshold by one term alone.
float softmax(uint scores, float most)
{
    uint first = scores - BACKGROUND * head.step;
    uint highest = rank_of(BACKGROUND != 0u ? max(most, load(first)) : most, head.scores);
    float own = softmax_term(most, highest);
    if (own < head.threshold)
        return 0.0;
    precise float sum = 0.0;
    for (uint c = 0u; c < CLASSES + BACKGROUND; c++)
        sum = sum + softmax_term(load(first + c * head.step), highest);
    return shk_quotient(own, sum);
}

// The score of the box whose scores begin at element `scores`, or 0.
float score_of(uint scores, out uint best)
{
    float objectness = load(scores);
    best = 0u;
    if (OBJECTNESS != 0u && objectness < head.lowest)
        return 0.0;
    float most = best_class(scores + OBJECTNESS * head.step, best);
    if (most < head.lowest)
        return 0.0;
    precise float score = SOFTMAX != 0u ? softmax(scores, most) : probability(most);
    if (OBJECTNESS != 0u)
        score = probability(objectness) * score;
    return score >= head.threshold ? score : 0.0;
}

// Value `i` of the box at element `at`, by table, times what the anchor says.
float box_value(uint at, uint i, uint anchor)
{
    uint place = FLIP != 0u ? i ^ 1u : i;
    float factor = uintBitsToFloat(params[head.tables + SHK_SELECT_ANCHORS + 4u * anchor + i]);
    precise float value = look_up(i * 256u, load(at + place * head.step), head.boxes) * factor;
    return value;
}

// Its corners: lowest x and y, highest x and y.
vec4 decode_box(uint at, uint index)
{
    uint cell = index;
    uint anchor = shk_take_remainder(cell, shk_divisor(head.anchors_n, head.anchors_magic, head.anchors_shift));
    uint row = cell;
    uint column = shk_take_remainder(row, shk_divisor(head.columns_n, head.columns_magic, head.columns_shift));
    precise float x = box_value(at, 0u, anchor) + (float(column) * head.per_cell + head.middle) * head.cell_x;
    precise float y = box_value(at, 1u, anchor) + (float(row) * head.per_cell + head.middle) * head.cell_y;
    float width = box_value(at, 2u, anchor);
    float height = box_value(at, 3u, anchor);
    precise vec4 corners = vec4(x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height);
    return corners;
}

// Not empty, inside out or out of all bounds: as shk_nms_add() wants them.
bool is_box(vec4 corners)
{
    return corners.x < corners.z && corners.y < corners.w &&
           all(lessThanEqual(abs(corners), vec4(SHK_MAX_COORDINATE)));
}

void add_candidate(uint order, float score, uint class_id, vec4 corners)
{
    uint lane = SHK_LANE * p.lane_words;
    uint entry = lane + SHK_CANDIDATES_LIST +
                 SHK_CANDIDATE_WORDS * atomicAdd(candidates[lane + SHK_CANDIDATES_COUNT], 1u);
    uint box = lane + p.boxes + SHK_SELECT_BOX_WORDS * order;
    candidates[entry] = candidates[box] = floatBitsToUint(score);
    candidates[entry + 1u] = order;
    candidates[box + 1u] = class_id;
    for (uint i = 0u; i < 4u; i++)
        candidates[box + 2u + i] = floatBitsToUint(corners[i]);
}

void main()
{
    get_head();
    uint index = gl_GlobalInvocationID.x - head.first_group * gl_WorkGroupSize.x;
    if (index >= head.count)
        return;
    uint best;
    float score = score_of(find(head.scores, head.first + index), best);
    if (score <= 0.0)
        return;
    vec4 corners = decode_box(find(head.boxes, head.first + index), index);
    if (is_box(corners))
        add_candidate(head.order + index, score, best, corners);
}
