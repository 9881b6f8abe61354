/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "select.h"

#include <stdlib.h>
#include <string.h>

#include "grid.h"

SHK_SHADER_DECLARE(select);

#define LOCAL      64
#define MAX_COUNT  (65535u * LOCAL) /* workgroups that every device dispatches */
#define LEVEL_NONE 128              /* above every level */

/* Heads smaller than this are read and looked at in less time than a dispatch takes. */
#define MIN_BYTES (64u << 10)

static const struct shk_tensor *output_tensor(const struct shk_session *session, uint32_t i)
{
    return &session->graph->tensors[session->graph->outputs[i]];
}

static uint32_t elements_per_word(const struct shk_session *session, uint32_t i)
{
    return output_tensor(session, i)->dtype == SHK_DTYPE_FLOAT32 ? 1 : 4;
}

/* The lowest level whose real value, as decoders compute it, is not below `lowest`. */
static int32_t lowest_level(const struct shk_tensor *tensor, float lowest)
{
    int32_t level = -128;
    while (level < LEVEL_NONE && tensor->quant.scales[0] * (float)(level - tensor->quant.zero_points[0]) < lowest)
        level++;
    return level;
}

static bool fits(const struct shk_candidate_layout *layout, const struct shk_tensor *tensor,
                 const struct shk_view *view)
{
    return view->words > 0 && layout->count <= MAX_COUNT &&
           (uint64_t)layout->count * layout->values == shk_shape_elements(&tensor->shape) &&
           view->channels % (layout->columns ? layout->count : layout->values) == 0;
}

/* All but where it is written to. False: every candidate counts. */
static bool make_head(const struct shk_session *session, uint32_t i, struct shk_select_head *head)
{
    const struct shk_tensor *tensor = output_tensor(session, i);
    const struct shk_view *view = &session->plan->views[session->graph->outputs[i]];
    struct shk_candidate_layout layout =
        session->detector->def->layout(session->detector, session->graph, i, shk_score_threshold(&session->params));
    if (!fits(&layout, tensor, view))
        return false;
    uint32_t elements = elements_per_word(session, i);
    struct shk_divisor across = shk_divisor_of(layout.columns ? layout.count : view->channels / layout.values);
    *head = (struct shk_select_head){
        .count = layout.count,
        .src = view->offset * elements,
        .row_stride = layout.columns ? 0 : view->stride * elements,
        .stride = layout.columns ? 1 : layout.values,
        .n = across.n,
        .magic = across.magic,
        .shift = across.shift,
        .step = layout.columns ? view->stride * elements : 1,
        .values = layout.values,
        .value_words = shk_div_round_up(layout.values, elements),
        .first_tested = layout.first_tested,
        .tested = layout.tested,
        .lowest_level = elements == 1 ? 0 : lowest_level(tensor, layout.lowest),
        .lowest = layout.lowest,
    };
    return elements == 1 || head->lowest_level > -128;
}

uint64_t shk_select_bytes(const struct shk_select_head *head)
{
    return 4 * (uint64_t)head->count * (1 + (uint64_t)head->value_words);
}

static bool choose(struct shk_session *session, struct shk_selection *selection)
{
    const struct shk_graph *graph = session->graph;
    uint64_t whole = 0, bytes = 0; /* of the heads; of all outputs */
    for (uint32_t i = 0; i < graph->output_count; i++) {
        uint64_t view = shk_view_bytes(&session->plan->views[graph->outputs[i]]);
        uint32_t n = selection->count;
        if (n == SHK_SELECT_HEADS || elements_per_word(session, i) != elements_per_word(session, 0) ||
            !make_head(session, i, &selection->heads[n])) {
            bytes += view;
            continue;
        }
        whole += view;
        bytes += shk_select_bytes(&selection->heads[n]);
        selection->outputs[n] = i;
        selection->count++;
    }
    /* the output buffer is bound as one; half of it is more than enough for what lies between the outputs */
    return whole >= MIN_BYTES &&
           bytes <= session->device->limits.maxStorageBufferRange / 2 / session->params.batch_size;
}

enum shk_status shk_select_init(struct shk_session *session, struct shk_error *error)
{
    const struct shk_session_params *params = &session->params;
    const struct shk_decoder_def *decoder = session->detector->def;
    if (!params->detections_only || params->keep_tensors || !decoder || !decoder->layout ||
        !(shk_score_threshold(params) > 0.0f))
        return SHK_OK;
    session->selection = calloc(1, sizeof(*session->selection));
    if (!session->selection)
        return shk_fail_oom(error, sizeof(*session->selection), "selection");
    if (!choose(session, session->selection))
        shk_select_finish(session);
    return SHK_OK;
}

void shk_select_finish(struct shk_session *session)
{
    if (session->selection)
        shk_pool_free(session->device->pool, &session->selection->buffer);
    free(session->selection);
    session->selection = NULL;
}

/* Which of the heads output `i` is; `count` if none. */
static uint32_t find(const struct shk_selection *selection, uint32_t i)
{
    uint32_t n = 0;
    while (n < selection->count && selection->outputs[n] != i)
        n++;
    return n;
}

const struct shk_select_head *shk_select_head(const struct shk_session *session, uint32_t i)
{
    const struct shk_selection *selection = session->selection;
    uint32_t n = selection ? find(selection, i) : 0;
    return selection && n < selection->count ? &selection->heads[n] : NULL;
}

static enum shk_status write_heads(struct shk_session *session, struct shk_error *error)
{
    struct shk_selection *selection = session->selection;
    size_t bytes = sizeof(selection->heads);
    enum shk_status status = shk_pool_alloc(session->device->pool, SHK_MEMORY_UPLOAD, bytes, SHK_UNIFORM_ALIGNMENT,
                                            &selection->buffer, error);
    if (status)
        return status;
    memcpy(selection->buffer.map, selection->heads, bytes);
    return shk_buffer_flush(session->device, &selection->buffer, 0, bytes, error);
}

enum shk_status shk_select_build(struct shk_session *session, struct shk_error *error)
{
    struct shk_selection *selection = session->selection;
    const struct shk_select_push push = {.lane_words = (uint32_t)(session->output_bytes / 4)};
    uint32_t most = 0;
    for (uint32_t n = 0; n < selection->count; n++) {
        selection->heads[n].dst = (uint32_t)(session->output_offsets[selection->outputs[n]] / 4);
        most = SHK_MAX(most, selection->heads[n].count);
    }
    const struct shk_dispatch dispatch = {
        .shader = &shk_shader_select,
        .spec = {elements_per_word(session, 0) == 1 ? SHK_SELECT_FLOATS : SHK_SELECT_BYTES, selection->count},
        .spec_count = 2,
        .local_size = {LOCAL, 1, 1},
        .groups = {shk_div_round_up(most, LOCAL), selection->count, 1},
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_lowered_from(&selection->dispatch, &dispatch);
    selection->dispatch.spec[SHK_SPEC_LANE_STRIDE] = session->lowering.lane_stride;
    selection->dispatch.spec[SHK_SPEC_TEXELS] = session->lowering.texels;
    enum shk_status status = write_heads(session, error);
    return status ? status : shk_kernels_build(&session->kernels, &selection->dispatch, 1, error);
}

enum shk_status shk_select_create_lane(const struct shk_session *session, struct shk_lane *lane,
                                       struct shk_error *error)
{
    const struct shk_selection *selection = session->selection;
    lane->survivors = calloc(session->graph->output_count, sizeof(*lane->survivors));
    for (uint32_t n = 0; n < selection->count && lane->survivors; n++) {
        struct shk_survivors *survivors = &lane->survivors[selection->outputs[n]];
        survivors->list = calloc(selection->heads[n].count, sizeof(*survivors->list));
        if (!survivors->list)
            return shk_fail_oom(error, selection->heads[n].count * sizeof(*survivors->list), "survivors");
    }
    return lane->survivors ? SHK_OK : shk_fail_oom(error, sizeof(*lane->survivors), "survivors");
}

void shk_select_finish_lane(const struct shk_session *session, struct shk_lane *lane)
{
    for (uint32_t i = 0; lane->survivors && i < session->graph->output_count; i++)
        free(lane->survivors[i].list);
    free(lane->survivors);
}

void shk_select_read(const struct shk_session *session, struct shk_lane *lane, uint32_t i, const void *words)
{
    const struct shk_select_head *head = shk_select_head(session, i);
    uint32_t elements = elements_per_word(session, i);
    struct shk_survivors *survivors = &lane->survivors[i];
    const uint32_t *found = (const uint32_t *)words + head->dst;
    survivors->values = found;
    survivors->count = 0;
    for (uint32_t k = 0; k < head->count; k++)
        if (found[k])
            survivors->list[survivors->count++] =
                (struct shk_survivor){k, (head->count + k * head->value_words) * elements};
}
