/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "select.h"

#include <stdlib.h>
#include <string.h>

#include "detect_boxes.h"
#include "grid.h"

SHK_SHADER_DECLARE(select);

#define LOCAL         64
#define MAX_COUNT     (SHK_MAX_GROUPS / SHK_SELECT_HEADS * LOCAL)
#define TABLE_WORDS   (SHK_SELECT_ANCHORS + 4 * SHK_MAX_ANCHORS)
#define MIN_THRESHOLD 1e-30f /* devices may take smaller floats for 0 */

/* Heads smaller than this are read and looked at in less time than a dispatch takes. */
#define MIN_BYTES (64u << 10)

_Static_assert(sizeof(struct shk_select_head) % 16 == 0, "uniform buffers align arrays of structures to 16 bytes");
_Static_assert(sizeof(struct shk_select_box) == 4 * SHK_SELECT_BOX_WORDS, "what the shader writes");

static const struct shk_tensor *output_tensor(const struct shk_session *session, uint32_t i)
{
    return &session->graph->tensors[session->graph->outputs[i]];
}

static uint32_t elements_per_word(const struct shk_session *session, uint32_t i)
{
    return output_tensor(session, i)->dtype == SHK_DTYPE_FLOAT32 ? 1 : 4;
}

/* ---- which heads ---- */

/* The lowest level that is a probability of `threshold` or more; 128, which is above all: none is. */
static int32_t lowest_level(const struct shk_detector *detector, const struct shk_tensor *quantized, float threshold)
{
    int32_t level = INT8_MIN;
    while (level <= INT8_MAX && !(shk_boxes_probability(detector, shk_level_value(quantized, level)) >= threshold))
        level++;
    return level;
}

/* Output `output`, whose values `skipped` and on of each `values` are those of a box. False: it cannot be read so. */
static bool make_rows(const struct shk_session *session, uint32_t output, uint32_t values, uint32_t skipped,
                      const struct shk_head *head, struct shk_select_rows *rows)
{
    bool columns = session->detector->code.columns;
    const struct shk_view *view = &session->plan->views[session->graph->outputs[output]];
    const struct shk_tensor *quantized = shk_output_quantized(session->graph, output);
    uint32_t elements = elements_per_word(session, output), step = columns ? view->stride * elements : 1;
    uint64_t all = shk_shape_elements(&output_tensor(session, output)->shape), count = all / values;
    uint64_t own = (uint64_t)head->rows * head->columns * head->anchor_count;
    if (!quantized || view->words == 0 || all % values != 0 || count == 0 || count > MAX_COUNT ||
        head->first + own > count || view->channels % (columns ? count : values) != 0)
        return false;
    struct shk_divisor across = shk_divisor_of(columns ? (uint32_t)count : view->channels / values);
    *rows = (struct shk_select_rows){
        .src = view->offset * elements + skipped * step,
        .row_stride = columns ? 0 : view->stride * elements,
        .stride = columns ? 1 : values,
        .inverse = 1.0f / quantized->quant.scales[0],
        .zero = quantized->quant.zero_points[0] - INT8_MIN,
        .across_n = across.n,
        .across_magic = across.magic,
        .across_shift = across.shift,
    };
    return true;
}

/* All but where it looks up and writes. False: it is to be read whole. */
static bool make_head(const struct shk_session *session, uint32_t h, struct shk_select_head *out)
{
    const struct shk_detector *d = session->detector;
    const struct shk_head *head = &d->heads[h];
    uint32_t elements = elements_per_word(session, head->scores);
    const struct shk_view *view = &session->plan->views[session->graph->outputs[head->output]];
    struct shk_box_scales scales = shk_boxes_scales(d, head, 0);
    struct shk_divisor anchors = shk_divisor_of(head->anchor_count), columns = shk_divisor_of(head->columns);
    *out = (struct shk_select_head){
        .count = shk_head_count(head),
        .first = head->first,
        .step = d->code.columns ? view->stride * elements : 1,
        .anchors_n = anchors.n,
        .anchors_magic = anchors.magic,
        .anchors_shift = anchors.shift,
        .columns_n = columns.n,
        .columns_magic = columns.magic,
        .columns_shift = columns.shift,
        .per_cell = d->code.cells ? 1.0f : 0.0f,
        .middle = scales.middle,
        .cell_x = scales.cell[0],
        .cell_y = scales.cell[1],
        .threshold = shk_score_threshold(&session->params),
    };
    uint32_t skipped = d->code.ssd ? d->code.background : SHK_BOX_VALUES;
    if (elements != elements_per_word(session, head->output) ||
        !make_rows(session, head->output, shk_boxes_row_values(d), 0, head, &out->boxes) ||
        !make_rows(session, head->scores, shk_boxes_row_scores(d), skipped, head, &out->scores))
        return false;
    const struct shk_tensor *quantized = shk_output_quantized(session->graph, head->scores);
    int32_t level = lowest_level(d, quantized, out->threshold);
    out->lowest = elements == 4 ? (float)level : shk_level_value(quantized, level);
    return level > INT8_MIN;
}

static uint64_t head_bytes(const struct shk_select_head *head)
{
    return 4 * (uint64_t)head->count * (1 + SHK_SELECT_BOX_WORDS);
}

/* Adds the heads of output `i`, if the device can decode all of them. */
static void add_heads(const struct shk_session *session, uint32_t i, struct shk_selection *selection)
{
    uint32_t count = selection->count;
    if (count && elements_per_word(session, i) !=
                     elements_per_word(session, session->detector->heads[selection->which[0]].output))
        return;
    for (uint32_t h = 0; h < session->detector->head_count; h++) {
        if (session->detector->heads[h].output != i)
            continue;
        if (count == SHK_SELECT_HEADS || !make_head(session, h, &selection->heads[count]))
            return;
        selection->which[count++] = h;
    }
    selection->count = count;
}

static bool choose(struct shk_session *session, struct shk_selection *selection)
{
    const struct shk_graph *graph = session->graph;
    uint64_t whole = 0, bytes = 0; /* of the heads; of all outputs */
    for (uint32_t i = 0; i < graph->output_count; i++)
        add_heads(session, i, selection);
    for (uint32_t i = 0; i < graph->output_count; i++) {
        uint64_t view = shk_view_bytes(&session->plan->views[graph->outputs[i]]);
        whole += shk_select_covers(session, i) ? view : 0;
        bytes += shk_select_covers(session, i) ? shk_select_bytes(session, i) : view;
    }
    /* the output buffer is bound as one; half of it is more than enough for what lies between the outputs */
    return whole >= MIN_BYTES &&
           bytes <= session->device->limits.maxStorageBufferRange / 2 / session->params.batch_size;
}

enum shk_status shk_select_init(struct shk_session *session, struct shk_error *error)
{
    const struct shk_session_params *params = &session->params;
    const struct shk_decoder_def *decoder = session->detector->def;
    if (!params->detections_only || params->keep_tensors || !decoder || !decoder->has_code ||
        session->detector->softmax || !(shk_score_threshold(params) >= MIN_THRESHOLD))
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

bool shk_select_covers(const struct shk_session *session, uint32_t i)
{
    const struct shk_selection *selection = session->selection;
    for (uint32_t n = 0; selection && n < selection->count; n++) {
        const struct shk_head *head = &session->detector->heads[selection->which[n]];
        if (head->output == i || head->scores == i)
            return true;
    }
    return false;
}

uint64_t shk_select_bytes(const struct shk_session *session, uint32_t i)
{
    const struct shk_selection *selection = session->selection;
    uint64_t bytes = 0;
    for (uint32_t n = 0; selection && n < selection->count; n++)
        if (session->detector->heads[selection->which[n]].output == i)
            bytes += head_bytes(&selection->heads[n]);
    return bytes;
}

/* ---- the dispatch ---- */

static void fill_tables(const struct shk_session *session, const struct shk_head *head, float *table)
{
    const struct shk_detector *d = session->detector;
    const struct shk_tensor *boxes = shk_output_quantized(session->graph, head->output);
    const struct shk_tensor *scores = shk_output_quantized(session->graph, head->scores);
    for (int32_t q = INT8_MIN, i = 0; q <= INT8_MAX; q++, i++) {
        for (uint32_t axis = 0; axis < 2; axis++) {
            table[SHK_SELECT_CENTER + 256 * axis + i] = shk_boxes_center(d, shk_level_value(boxes, q), axis);
            table[SHK_SELECT_SIZE + 256 * axis + i] = shk_boxes_size(d, shk_level_value(boxes, q), axis);
        }
        table[SHK_SELECT_PROBABILITY + i] = shk_boxes_probability(d, shk_level_value(scores, q));
    }
    for (uint32_t a = 0; a < head->anchor_count; a++) {
        struct shk_box_scales scales = shk_boxes_scales(d, head, a);
        memcpy(&table[SHK_SELECT_ANCHORS + 4 * a], scales.offset, sizeof(scales.offset));
        memcpy(&table[SHK_SELECT_ANCHORS + 4 * a + 2], scales.size, sizeof(scales.size));
    }
}

static enum shk_status write_heads(struct shk_session *session, struct shk_error *error)
{
    struct shk_selection *selection = session->selection;
    size_t bytes = sizeof(selection->heads) + selection->count * TABLE_WORDS * sizeof(float);
    enum shk_status status = shk_pool_alloc(session->device->pool, SHK_MEMORY_UPLOAD, bytes, SHK_UNIFORM_ALIGNMENT,
                                            &selection->buffer, error);
    if (status)
        return status;
    float *tables = (float *)(void *)((uint8_t *)selection->buffer.map + sizeof(selection->heads));
    memset(selection->buffer.map, 0, bytes);
    for (uint32_t n = 0; n < selection->count; n++) {
        selection->heads[n].tables = (uint32_t)(sizeof(selection->heads) / 4) + n * TABLE_WORDS;
        fill_tables(session, &session->detector->heads[selection->which[n]], tables + n * TABLE_WORDS);
    }
    memcpy(selection->buffer.map, selection->heads, sizeof(selection->heads));
    return shk_buffer_flush(session->device, &selection->buffer, 0, bytes, error);
}

enum shk_status shk_select_build(struct shk_session *session, struct shk_error *error)
{
    struct shk_selection *selection = session->selection;
    const struct shk_select_push push = {.lane_words = (uint32_t)(session->output_bytes / 4)};
    const struct shk_head *heads = session->detector->heads;
    uint32_t groups = 0, first = heads[selection->which[0]].output;
    uint64_t at = 0; /* in an output's part */
    for (uint32_t n = 0; n < selection->count; n++) {
        uint32_t output = heads[selection->which[n]].output;
        if (n == 0 || heads[selection->which[n - 1]].output != output)
            at = session->output_offsets[output];
        selection->heads[n].dst = (uint32_t)(at / 4);
        at += head_bytes(&selection->heads[n]);
        selection->heads[n].first_group = groups;
        groups += shk_div_round_up(selection->heads[n].count, LOCAL);
    }
    const struct shk_dispatch dispatch = {
        .shader = &shk_shader_select,
        .spec = {elements_per_word(session, first) == 1 ? SHK_SELECT_FLOATS : SHK_SELECT_BYTES, selection->count,
                 session->detector->class_count, session->detector->code.objectness, session->detector->code.yxhw},
        .spec_count = 5,
        .local_size = {LOCAL, 1, 1},
        .groups = {groups, 1, 1},
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_lowered_from(&selection->dispatch, &dispatch);
    selection->dispatch.spec[SHK_SPEC_LANE_STRIDE] = session->lowering.lane_stride;
    selection->dispatch.spec[SHK_SPEC_TEXELS] = session->lowering.texels;
    enum shk_status status = write_heads(session, error);
    return status ? status : shk_kernels_build(&session->kernels, &selection->dispatch, 1, error);
}

void shk_select_read(const struct shk_session *session, struct shk_lane *lane, const void *words)
{
    const struct shk_selection *selection = session->selection;
    for (uint32_t n = 0; selection && n < selection->count; n++) {
        const struct shk_select_head *head = &selection->heads[n];
        const float *scores = (const float *)words + head->dst;
        const void *boxes = scores + head->count;
        lane->found[selection->which[n]] = (struct shk_found){scores, boxes};
    }
}
