#version 450
// TFLite_Detection_PostProcess in three passes: decode every box; find the best of each group (a class, or
// all classes together); take the best of all groups, suppress what it overlaps in its group, and again. Same
// float operations as the reference in the same order; a comparison of a quotient is done in integers, since
// division is not exact on every device.
// SPDX-License-Identifier: LGPL-2.1-or-later
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "int8.glsl"
#include "quotient.glsl"

#define PASS_DECODE 0
#define PASS_HEADS  1
#define PASS_SELECT 2

layout(constant_id = SHK_SPEC_FIRST) const int PASS = PASS_DECODE;
layout(constant_id = SHK_SPEC_FIRST + 1) const bool REGULAR = false;
layout(constant_id = SHK_SPEC_FIRST + 2) const bool FLOAT_BOXES = false;
layout(constant_id = SHK_SPEC_FIRST + 3) const bool FLOAT_SCORES = false;

layout(push_constant) uniform shk_push { shk_detection_push p; };

#define GROUPS (REGULAR ? p.classes : 1u)
#define NONE   0xffffffffu

// Three in turn, so that one barrier per round is enough.
shared uint best[3];
shared uint shared_key;

struct Box {
    vec4 corners; // ymin, xmin, ymax, xmax
    float area;
};

// q + 128 of a float that DEQUANTIZE made: within 1e-4 of an integer after the multiplication.
uint rank_of(float value, float inverse, int zero)
{
    return uint(clamp(int(floor(value * inverse + 0.5)) + zero, 0, 255));
}

uint box_rank(uint box, uint i)
{
    uint row = p.boxes + box * p.boxes_stride;
    if (FLOAT_BOXES)
        return rank_of(uintBitsToFloat(SHK_LOAD(row + i)), p.box_inverse, p.box_zero);
    return uint(shk_byte(SHK_LOAD(row), i) + 128);
}

uint score_rank(uint box, uint class_id)
{
    uint row = p.scores + box * p.scores_stride;
    uint c = class_id + p.label_offset;
    if (FLOAT_SCORES)
        return rank_of(uintBitsToFloat(SHK_LOAD(row + c)), p.score_inverse, p.score_zero);
    return uint(shk_byte(SHK_LOAD(row + c / 4u), c & 3u) + 128);
}

// Higher scores first, then lower indices; never all ones. 0: nothing. Indices stay below 2^23.
uint make_key(uint rank, uint index)
{
    return rank << 24 | (0xfffffeu - index);
}

uint key_index(uint key)
{
    return 0xfffffeu - (key & 0xffffffu);
}

float table_value(uint box, uint i)
{
    uint table = params[p.refs + box * 4u + i];
    return uintBitsToFloat(params[p.tables + table * 256u + box_rank(box, i)]);
}

uint best_rank(uint box)
{
    uint rank = 0u;
    for (uint c = 0u; c < p.classes; c++)
        rank = max(rank, score_rank(box, c));
    return rank;
}

void decode(uint box)
{
    float y = table_value(box, 0u);
    float x = table_value(box, 1u);
    float half_h = table_value(box, 2u);
    float half_w = table_value(box, 3u);
    precise vec4 c = vec4(y - half_h, x - half_w, y + half_h, x + half_w);
    precise float area = (c.z - c.x) * (c.w - c.y);
    uint at = p.scratch_boxes + box * 5u;
    for (uint i = 0u; i < 4u; i++)
        SHK_ARENA(at + i) = floatBitsToUint(c[i]);
    SHK_ARENA(at + 4u) = floatBitsToUint(area);
    if (!REGULAR) {
        uint rank = best_rank(box);
        SHK_ARENA(p.scratch_keys + box) = rank >= p.min_rank ? make_key(rank, box) : 0u;
    }
}

Box load_box(uint box)
{
    uint at = p.scratch_boxes + box * 5u;
    vec4 corners = uintBitsToFloat(uvec4(SHK_ARENA(at), SHK_ARENA(at + 1u), SHK_ARENA(at + 2u), SHK_ARENA(at + 3u)));
    return Box(corners, uintBitsToFloat(SHK_ARENA(at + 4u)));
}

bool overlaps(Box a, Box b)
{
    if (a.area <= 0.0 || b.area <= 0.0)
        return false;
    vec2 low = max(a.corners.xy, b.corners.xy);
    vec2 high = min(a.corners.zw, b.corners.zw);
    precise vec2 size = max(high - low, vec2(0.0));
    precise float intersection = size.x * size.y;
    precise float sum = a.area + b.area;
    precise float united = sum - intersection;
    return intersection > 0.0 && shk_quotient_above(intersection, united, p.iou_mantissa, p.iou_exponent);
}

// The best key of a group, after taking out the box `last` and what it suppresses. NONE: nothing goes.
uint scan(uint group, uint last)
{
    uint keys = p.scratch_keys + group * p.count;
    Box selected = load_box(last == NONE ? 0u : last);
    uint found = 0u;
    for (uint i = gl_LocalInvocationID.x; i < p.count; i += gl_WorkGroupSize.x) {
        uint key = SHK_ARENA(keys + i);
        if (key == 0u)
            continue;
        if (last != NONE && (i == last || overlaps(selected, load_box(i))))
            SHK_ARENA(keys + i) = 0u;
        else
            found = max(found, key);
    }
    return found;
}

// The largest value that any invocation of the workgroup brings.
uint workgroup_max(uint value, uint round)
{
    if (value != 0u)
        atomicMax(best[round % 3u], value);
    if (gl_LocalInvocationID.x == 0u)
        best[(round + 1u) % 3u] = 0u;
    barrier();
    return best[round % 3u];
}

void workgroup_max_begin()
{
    if (gl_LocalInvocationID.x == 0u)
        best[0] = 0u;
    barrier();
}

void find_head(uint group)
{
    if (REGULAR)
        for (uint i = gl_LocalInvocationID.x; i < p.count; i += gl_WorkGroupSize.x) {
            uint rank = score_rank(i, group);
            SHK_ARENA(p.scratch_keys + group * p.count + i) = rank >= p.min_rank ? make_key(rank, i) : 0u;
        }
    workgroup_max_begin();
    uint head = workgroup_max(scan(group, NONE), 0u);
    if (gl_LocalInvocationID.x == 0u) {
        SHK_ARENA(p.scratch_heads + group) = head;
        SHK_ARENA(p.scratch_taken + group) = 0u;
    }
}

void write_row(uint row, uint box, uint class_id, uint rank)
{
    for (uint i = 0u; i < 4u; i++)
        SHK_ARENA(p.out_boxes + row * p.out_boxes_stride + i) = SHK_ARENA(p.scratch_boxes + box * 5u + i);
    SHK_ARENA(p.out_classes + row) = floatBitsToUint(float(class_id));
    SHK_ARENA(p.out_scores + row) = params[p.score_table + rank];
}

void clear_row(uint row)
{
    for (uint i = 0u; i < 4u; i++)
        SHK_ARENA(p.out_boxes + row * p.out_boxes_stride + i) = 0u;
    SHK_ARENA(p.out_classes + row) = 0u;
    SHK_ARENA(p.out_scores + row) = 0u;
}

// The best class after (rank, class_id) in the order of falling scores, as a key.
uint next_class(uint box, uint previous)
{
    uint found = 0u;
    for (uint c = 0u; c < p.classes; c++) {
        uint key = make_key(score_rank(box, c), c);
        if (key < previous)
            found = max(found, key);
    }
    return found;
}

// The group with the best head, lower groups first; as a key.
uint best_group()
{
    uint found = 0u;
    for (uint g = gl_LocalInvocationID.x; g < GROUPS; g += gl_WorkGroupSize.x) {
        uint head = SHK_ARENA(p.scratch_heads + g);
        if (head != 0u)
            found = max(found, make_key(head >> 24, g));
    }
    return found;
}

// A group's head and counter belong to one invocation, which alone reads and writes them.
bool owns(uint group)
{
    return group % gl_WorkGroupSize.x == gl_LocalInvocationID.x;
}

// Takes the head of a group and finds its next. Returns what was taken.
uint take(uint group, uint round)
{
    if (owns(group))
        shared_key = SHK_ARENA(p.scratch_heads + group);
    barrier();
    uint key = shared_key;
    uint next = workgroup_max(scan(group, key_index(key)), round);
    if (owns(group)) {
        uint taken = ++SHK_ARENA(p.scratch_taken + group);
        SHK_ARENA(p.scratch_heads + group) = taken < p.max_selected ? next : 0u;
    }
    return key;
}

void write_detection(uint n, uint group, uint key)
{
    uint box = key_index(key);
    if (REGULAR) {
        write_row(n, box, group, key >> 24);
        return;
    }
    uint chosen = 0xffffffffu;
    for (uint k = 0u; k < min(p.max_classes, p.classes); k++) {
        chosen = next_class(box, chosen);
        write_row(n * p.max_classes + k, box, key_index(chosen), chosen >> 24);
    }
}

// Detection n belongs to invocation n, modulo the workgroup: rows are written in parallel at the end.
void select()
{
    uint count = 0u;
    workgroup_max_begin();
    for (uint n = 0u; n < p.max_detections; n++) {
        uint winner = workgroup_max(best_group(), 2u * n);
        if (winner == 0u)
            break;
        uint group = key_index(winner);
        uint key = take(group, 2u * n + 1u);
        if (owns(n)) {
            SHK_ARENA(p.scratch_list + 2u * n) = group;
            SHK_ARENA(p.scratch_list + 2u * n + 1u) = key;
        }
        count++;
    }
    for (uint n = gl_LocalInvocationID.x; n < count; n += gl_WorkGroupSize.x)
        write_detection(n, SHK_ARENA(p.scratch_list + 2u * n), SHK_ARENA(p.scratch_list + 2u * n + 1u));
    if (gl_LocalInvocationID.x == 0u)
        SHK_ARENA(p.out_count) = floatBitsToUint(float(count));
}

void main()
{
    uint i = shk_linear_index();
    if (PASS == PASS_DECODE) {
        if (i < p.count)
            decode(i);
        if (i < p.rows)
            clear_row(i);
    } else if (PASS == PASS_HEADS) {
        if (i / gl_WorkGroupSize.x < GROUPS)
            find_head(i / gl_WorkGroupSize.x);
    } else {
        select();
    }
}
