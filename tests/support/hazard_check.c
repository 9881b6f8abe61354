/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hazard_check.h"

#include <stdlib.h>
#include <string.h>

#include "fuse.h"
#include "support.h"

enum { READ = 1, WRITTEN = 2 };

static void mark_view(uint8_t *words, const struct shk_view *view, uint8_t how)
{
    for (uint32_t row = 0; row < view->rows; row++)
        for (uint32_t i = 0; i < view->words; i++)
            words[view->offset + row * view->stride + i] |= how;
}

/* What op `o` does with every word of the arena. */
static void mark(const struct shk_session *session, uint32_t o, uint8_t *words, size_t count)
{
    const struct shk_op *op = &session->fused->graph.ops[o];
    memset(words, 0, count);
    for (uint32_t i = 0; i < op->input_count; i++)
        if (op->inputs[i] != SHK_TENSOR_NONE && (i >= 32 || !(op->def->parameter_inputs & 1u << i)))
            mark_view(words, &session->plan->views[op->inputs[i]], READ);
    for (uint32_t i = 0; i < op->output_count; i++)
        mark_view(words, &session->plan->views[op->outputs[i]], WRITTEN);
    uint64_t scratch = op->def->scratch ? op->def->scratch(session->graph, op) : 0;
    for (uint64_t i = 0; i < (scratch + 3) / 4; i++)
        words[session->plan->scratch[o] + i] |= WRITTEN;
}

static bool conflict(const uint8_t *a, const uint8_t *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (a[i] && b[i] && ((a[i] | b[i]) & WRITTEN))
            return true;
    return false;
}

bool hazard_find(const struct shk_session *session, struct hazard *found)
{
    const struct shk_lowering *l = &session->lowering;
    size_t count = (size_t)(session->plan->arena_bytes / 4 + 1);
    uint8_t *a = malloc(count), *b = malloc(count);
    bool any = false;
    for (uint32_t i = 0; i < l->count && !any; i++) {
        uint32_t before = l->dispatches[i].op;
        if (i + 1 == l->count || l->dispatches[i + 1].barrier || l->dispatches[i + 1].op == before)
            continue; /* later dispatches of the op come to the same ones */
        mark(session, before, a, count);
        for (uint32_t k = i + 1; k < l->count && !l->dispatches[k].barrier && !any; k++) {
            if (l->dispatches[k].op == l->dispatches[k - 1].op)
                continue;
            mark(session, l->dispatches[k].op, b, count);
            any = conflict(a, b, count);
            *found = (struct hazard){before, l->dispatches[k].op};
        }
    }
    free(a);
    free(b);
    return any;
}

void hazard_check(const struct shk_session *session)
{
    struct hazard h;
    if (session->device && hazard_find(session, &h))
        ck_abort_msg("%s: op %u (%s) does not wait for op %u (%s)", session->graph->name, h.after,
                     session->graph->ops[h.after].spelling->name, h.before,
                     session->graph->ops[h.before].spelling->name);
}
