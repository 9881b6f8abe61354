/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hazards.h"

static uint64_t end_of(const struct shk_view *view)
{
    return view->offset + shk_view_bytes(view) / 4;
}

bool shk_views_overlap(const struct shk_view *a, const struct shk_view *b)
{
    if (!a->rows || !b->rows || !a->words || !b->words || a->offset >= end_of(b) || b->offset >= end_of(a))
        return false;
    if (a->stride != b->stride || a->words > a->stride || b->words > a->stride)
        return true;
    /* Columns of rows without end: how far b begins behind a, going round. */
    uint32_t stride = a->stride, behind = (b->offset % stride + stride - a->offset % stride) % stride;
    return behind < a->words || stride - behind < b->words;
}

/* ---- what an op reads and writes ---- */

static bool reads(const struct shk_op *op, uint32_t input)
{
    return op->inputs[input] != SHK_TENSOR_NONE && !(input < 32 && op->def->parameter_inputs >> input & 1);
}

/* Scratch as one row; no words: none. */
static struct shk_view scratch_of(const struct shk_graph *graph, const struct shk_plan *plan, uint32_t op)
{
    const struct shk_op *o = &graph->ops[op];
    uint64_t bytes = o->def->scratch ? o->def->scratch(graph, o) : 0;
    uint32_t words = (uint32_t)((bytes + 3) / 4);
    return (struct shk_view){.offset = plan->scratch[op], .stride = words, .rows = 1, .channels = words, .words = words};
}

static bool overlaps_any(const struct shk_view *views, uint32_t count, const struct shk_view *view)
{
    for (uint32_t i = 0; i < count; i++)
        if (shk_views_overlap(&views[i], view))
            return true;
    return false;
}

static bool read_conflicts(const struct shk_hazards *hazards, const struct shk_view *view)
{
    return overlaps_any(hazards->writes, hazards->write_count, view);
}

static bool write_conflicts(const struct shk_hazards *hazards, const struct shk_view *view)
{
    return overlaps_any(hazards->writes, hazards->write_count, view) ||
           overlaps_any(hazards->reads, hazards->read_count, view);
}

void shk_hazards_clear(struct shk_hazards *hazards)
{
    hazards->read_count = hazards->write_count = 0;
    hazards->full = false;
}

bool shk_hazards_conflict(const struct shk_hazards *hazards, const struct shk_graph *graph, const struct shk_plan *plan,
                          uint32_t op)
{
    const struct shk_op *o = &graph->ops[op];
    struct shk_view scratch = scratch_of(graph, plan, op);
    bool conflict = hazards->full || write_conflicts(hazards, &scratch);
    for (uint32_t i = 0; i < o->input_count && !conflict; i++)
        conflict = reads(o, i) && read_conflicts(hazards, &plan->views[o->inputs[i]]);
    for (uint32_t i = 0; i < o->output_count && !conflict; i++)
        conflict = write_conflicts(hazards, &plan->views[o->outputs[i]]);
    return conflict;
}

static void note(struct shk_hazards *hazards, struct shk_view *views, uint32_t *count, const struct shk_view *view)
{
    if (!view->words)
        return;
    if (*count == SHK_MAX_HAZARDS)
        hazards->full = true;
    else
        views[(*count)++] = *view;
}

void shk_hazards_add(struct shk_hazards *hazards, const struct shk_graph *graph, const struct shk_plan *plan, uint32_t op)
{
    const struct shk_op *o = &graph->ops[op];
    struct shk_view scratch = scratch_of(graph, plan, op);
    note(hazards, hazards->writes, &hazards->write_count, &scratch);
    for (uint32_t i = 0; i < o->input_count; i++)
        if (reads(o, i))
            note(hazards, hazards->reads, &hazards->read_count, &plan->views[o->inputs[i]]);
    for (uint32_t i = 0; i < o->output_count; i++)
        note(hazards, hazards->writes, &hazards->write_count, &plan->views[o->outputs[i]]);
}
