/* Which kernel variants a session uses: what the tuner chose, and only what computes correctly.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loads.h"
#include "notes.h"
#include "probe.h"
#include "tuned.h"

static bool is_variant_of(const struct shk_variant *variant, const struct shk_op_def *def)
{
    return variant && shk_variant_find(def, variant->name) == variant;
}

enum shk_status shk_session_choose(struct shk_session *session, const struct shk_variant *variant,
                                   struct shk_error *error)
{
    const struct shk_graph *graph = session->graph;
    session->choices = calloc(SHK_MAX(graph->op_count, 1u), sizeof(*session->choices));
    if (!session->choices)
        return shk_fail_oom(error, graph->op_count * sizeof(*session->choices), "variants");
    for (uint32_t i = 0; i < graph->op_count; i++)
        if (is_variant_of(variant, graph->ops[i].def))
            session->choices[i] = variant;
    if (session->look_up && session->cache_dir) {
        char *lines = shk_tuned_read(session->device, session->cache_dir, &session->params.log);
        shk_tuned_choose(lines, graph, session->choices);
        enum shk_status status =
            shk_tuned_choose_chains(lines, graph, session->params.no_fusion, session->choices, error);
        free(lines);
        return status;
    }
    return SHK_OK;
}

void shk_session_choose_chains(struct shk_session *session, enum shk_chain *chains)
{
    const struct shk_graph *graph = session->graph;
    const char *forced = getenv("SHRIKE_FORCE_VARIANT");
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct shk_op_def *def = graph->ops[i].def;
        const struct shk_variant *by_force = shk_variant_find(def, forced);
        const struct shk_variant *variant = by_force ? by_force : session->choices[i];
        bool usable = variant && (by_force || !shk_variant_is_dropped(variant, def, session->device)) &&
                      shk_variant_fits(variant, graph, &graph->ops[i], session->device);
        chains[i] = usable ? shk_variant_chain(variant) : SHK_CHAIN_NONE;
    }
}

/* ---- checking ---- */

/* The kernel of a dispatch, whatever the number of lanes: "ok <shader> <constants>". */
static void describe_kernel(const struct shk_lowered *dispatch, char line[256])
{
    int at = snprintf(line, 256, "ok\t%s\t", dispatch->shader->name);
    for (uint32_t i = 0; i < dispatch->spec_count && at < 240; i++)
        at += snprintf(line + at, 256 - (size_t)at, "%u,", i == SHK_SPEC_LANE_STRIDE ? 0 : dispatch->spec[i]);
}

/* An op whose kernel cannot be tried out by itself is let pass. */
static bool computes_correctly(struct shk_session *session, uint32_t index, const struct shk_variant *variant)
{
    const struct shk_op *op = &session->graph->ops[index];
    bool equal = true;
    struct shk_error error;
    const struct shk_log *log = &session->params.log;
    if (shk_probe_check(session->device, session->fused, index, variant, session->cache_dir, log, &equal, &error)) {
        shk_log(log, SHK_LOG_WARNING, "%s: op %u %s: kernel '%s' was not checked: %s", session->graph->name,
                op->file_index, op->spelling->name, variant->name, error.message);
        return true;
    }
    if (!equal)
        shk_log(log, SHK_LOG_WARNING,
                "'%s' computes %s wrongly with kernel '%s' (found in op %u of %s): another is taken; an update of the "
                "driver may help",
                session->device->info.name, op->spelling->name, variant->name, op->file_index, session->graph->name);
    return equal;
}

static bool is_checked(const struct shk_op *op)
{
    return op->def->variants && op->input_count <= 3 && op->output_count == 1;
}

/* Whether the dispatch's kernel computes correctly, as was noted or as is found out now. */
static bool check_dispatch(struct shk_session *session, const struct shk_lowered *dispatch, bool *found)
{
    const struct shk_op *op = &session->graph->ops[dispatch->op];
    const struct shk_variant *used = session->lowering.used[dispatch->op];
    char line[256];
    if (!used || dispatch->skipped || !is_checked(op))
        return true;
    if (shk_variant_is_dropped(used, op->def, session->device))
        return false;
    describe_kernel(dispatch, line);
    if (shk_notes_has(session->device, line))
        return true;
    *found = true;
    if (!computes_correctly(session, dispatch->op, used)) {
        shk_variant_drop(used, op->def, session->device);
        return false;
    }
    shk_notes_add(session->device, line);
    return true;
}

/* What the cache folder says, or what was found out besides. */
static void read_notes(struct shk_session *session)
{
    const struct shk_log *log = &session->params.log;
    char *path = session->cache_dir ? shk_notes_path(session->device, session->cache_dir, "checked") : NULL;
    char *lines = path ? shk_notes_read(session->device, path, log) : NULL;
    if (lines)
        shk_notes_add(session->device, lines);
    free(lines);
    free(path);
}

static void write_notes(struct shk_session *session)
{
    char *path = session->cache_dir ? shk_notes_path(session->device, session->cache_dir, "checked") : NULL;
    char *lines = path ? shk_notes_copy(session->device) : NULL;
    if (lines)
        shk_notes_write(session->device, session->cache_dir, path, lines, &session->params.log);
    free(lines);
    free(path);
}

bool shk_session_read_notes(struct shk_session *session)
{
    bool measured;
    if (session->look_up)
        read_notes(session);
    bool texels = shk_loads_are_texels(session->device, session->cache_dir, &session->params.log, &measured);
    if (measured && session->look_up)
        write_notes(session);
    return texels;
}

bool shk_session_check_kernels(struct shk_session *session)
{
    const struct shk_lowering *lowering = &session->lowering;
    bool found = false, correct = true;
    if (lowering->variant) /* forced: whoever forces looks for himself */
        return true;
    for (uint32_t i = 0; i < lowering->count; i++)
        correct &= check_dispatch(session, &lowering->dispatches[i], &found);
    if (found)
        write_notes(session);
    return correct;
}
