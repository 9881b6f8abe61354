// Non-maximum suppression of the candidates that select.comp found, as pipeline/nms.c does it, to the same boxes in the
// same order: of all that are left the best is kept, and those of its class that overlap it too much go. One workgroup
// per lane. SPDX-License-Identifier: LGPL-2.1-or-later
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "quotient.glsl"

layout(push_constant) uniform shk_push { shk_suppress_push p; };

// Coherent, as one invocation writes the second list and another one reads it.
layout(set = 0, binding = SHK_BINDING_FRAME, std430) coherent buffer shk_candidates_buffer { uint candidates[]; };
layout(set = 0, binding = SHK_BINDING_HEADER, std430) writeonly buffer shk_kept_buffer { uint kept[]; };

#define NONE 0xffffffffu

// Of two rounds in turn: floats above 0 are in the order of their bits.
shared uint best_score[2];
shared uint best_order[2];
shared uint counted[2];

uint lane;
uint list; // of candidates that take part
uint count;

uint entry_of(uint i)
{
    return list + SHK_CANDIDATE_WORDS * i;
}

uint box_of(uint order)
{
    return lane + p.boxes + SHK_SELECT_BOX_WORDS * order;
}

bool is_better(uint score, uint order, uint than_score, uint than_order)
{
    return score > than_score || (score == than_score && order < than_order);
}

vec4 corners_of(uint box)
{
    return uintBitsToFloat(
        uvec4(candidates[box + 2u], candidates[box + 3u], candidates[box + 4u], candidates[box + 5u]));
}

float area(vec4 corners)
{
    precise float product = (corners.z - corners.x) * (corners.w - corners.y);
    return product;
}

bool suppresses(uint box, uint other)
{
    if (candidates[box + 1u] != candidates[other + 1u])
        return false;
    vec4 a = corners_of(box);
    vec4 b = corners_of(other);
    precise vec2 size = min(a.zw, b.zw) - max(a.xy, b.xy);
    if (min(size.x, size.y) < SHK_MIN_OVERLAP)
        return false;
    precise float intersection = size.x * size.y;
    precise float both = area(a) + area(b);
    precise float united = both - intersection;
    return shk_quotient_above(intersection, united, p.iou_mantissa, p.iou_exponent);
}

// ---- more candidates than take part ----

// How many candidates are better than one with this score and place would be.
uint count_better(uint score, uint order, uint turn)
{
    uint own = 0u;
    for (uint i = gl_LocalInvocationID.x; i < count; i += gl_WorkGroupSize.x)
        own += is_better(candidates[entry_of(i)], candidates[entry_of(i) + 1u], score, order) ? 1u : 0u;
    atomicAdd(counted[turn % 2u], own);
    barrier();
    uint all = counted[turn % 2u];
    if (gl_LocalInvocationID.x == 0u)
        counted[(turn + 1u) % 2u] = 0u;
    barrier();
    return all;
}

// Copies the best ones to the second list: those that are better than the place `order` with the score that the last one
// of them has, both found bit by bit.
void keep_best()
{
    uint score = 0u;
    uint order = 0u;
    uint turn = 0u;
    for (uint bit = 1u << 30; bit != 0u; bit >>= 1)
        if (count_better(score | bit, NONE, turn++) >= p.max_candidates)
            score |= bit;
    for (uint bit = SHK_SUPPRESS_MAX_BOXES; bit != 0u; bit >>= 1)
        if (count_better(score, order | bit, turn++) <= p.max_candidates)
            order |= bit;
    for (uint i = gl_LocalInvocationID.x; i < count; i += gl_WorkGroupSize.x) {
        uint own = candidates[entry_of(i)];
        uint place = candidates[entry_of(i) + 1u];
        if (!is_better(own, place, score, order))
            continue;
        uint to = lane + p.best + SHK_CANDIDATE_WORDS * atomicAdd(counted[turn % 2u], 1u);
        candidates[to] = own;
        candidates[to + 1u] = place;
    }
    memoryBarrierBuffer();
    barrier();
    list = lane + p.best;
    count = p.max_candidates;
}

// ---- suppression ----

// Takes what `last` suppresses out of the invocation's part of the list, and `last` itself. Returns the score of the best
// that is left, 0 if nothing is, and its place.
uint scan(uint last, out uint order)
{
    uint score = 0u;
    order = NONE;
    for (uint i = gl_LocalInvocationID.x; i < count; i += gl_WorkGroupSize.x) {
        uint own = candidates[entry_of(i)];
        uint place = candidates[entry_of(i) + 1u];
        if (own == 0u)
            continue;
        if (last != NONE && (place == last || suppresses(box_of(last), box_of(place)))) {
            candidates[entry_of(i)] = 0u;
        } else if (is_better(own, place, score, order)) {
            score = own;
            order = place;
        }
    }
    return score;
}

// The place of the best that is left, or NONE.
uint next(uint last, uint round)
{
    uint order;
    uint score = scan(last, order);
    uint turn = round % 2u;
    atomicMax(best_score[turn], score);
    barrier();
    if (score == best_score[turn])
        atomicMin(best_order[turn], order);
    if (gl_LocalInvocationID.x == 0u) {
        best_score[1u - turn] = 0u;
        best_order[1u - turn] = NONE;
    }
    barrier();
    return best_order[turn];
}

// A word by each of the first invocations.
void write_box(uint n, uint order)
{
    uint i = gl_LocalInvocationID.x;
    if (i < SHK_SELECT_BOX_WORDS)
        kept[SHK_LANE * p.dst_lane_words + p.dst + SHK_KEPT_BOXES + SHK_SELECT_BOX_WORDS * n + i] =
            candidates[box_of(order) + i];
}

void main()
{
    lane = SHK_LANE * p.lane_words;
    list = lane + SHK_CANDIDATES_LIST;
    count = candidates[lane + SHK_CANDIDATES_COUNT];
    if (gl_LocalInvocationID.x == 0u) {
        best_score[0] = counted[0] = 0u;
        best_order[0] = NONE;
    }
    barrier();
    if (count > p.max_candidates)
        keep_best();
    uint n = 0u;
    uint order = NONE;
    for (; n < p.max_kept; n++) {
        order = next(order, n);
        if (order == NONE)
            break;
        write_box(n, order);
    }
    if (gl_LocalInvocationID.x == 0u) {
        kept[SHK_LANE * p.dst_lane_words + p.dst + SHK_KEPT_COUNT] = n;
        candidates[lane + SHK_CANDIDATES_COUNT] = 0u;
    }
}
