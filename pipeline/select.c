/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "select.h"

#include <stdlib.h>
#include <string.h>

#include "detect_boxes.h"
#include "grid.h"

SHK_SHADER_DECLARE(select);
SHK_SHADER_DECLARE(suppress);

#define LOCAL         64 /* of select */
#define TABLE_WORDS   (SHK_SELECT_ANCHORS + 4 * SHK_MAX_ANCHORS)
#define MIN_THRESHOLD 1e-30f /* devices may take smaller floats for 0 */

/* Heads smaller than this are read and looked at in less time than a dispatch takes. */
#define MIN_BYTES (64u << 10)

_Static_assert(SHK_SELECT_HEADS == SHK_MAX_HEADS, "every head has a place");
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

/* Of what a lane finds, words. */
static uint32_t boxes_offset(const struct shk_selection *selection)
{
    return SHK_CANDIDATES_LIST + selection->boxes * SHK_CANDIDATE_WORDS;
}

static uint32_t best_offset(const struct shk_selection *selection)
{
    return boxes_offset(selection) + selection->boxes * SHK_SELECT_BOX_WORDS;
}

static uint64_t lane_words(const struct shk_selection *selection)
{
    bool all = selection->boxes <= SHK_NMS_MAX_CANDIDATES;
    return best_offset(selection) + (all ? 0 : SHK_NMS_MAX_CANDIDATES * SHK_CANDIDATE_WORDS);
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
    if (!quantized || view->words == 0 || all % values != 0 || count == 0 || count > SHK_SUPPRESS_MAX_BOXES ||
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
    int32_t level = d->softmax ? INT8_MIN : lowest_level(d, quantized, out->threshold);
    out->lowest = elements == 4 ? (float)level : shk_level_value(quantized, level);
    return true;
}

/* Whether the device can decode all heads, and it is worth the dispatches. */
static bool choose(struct shk_session *session, struct shk_selection *selection)
{
    const struct shk_detector *d = session->detector;
    uint32_t groups = 0;
    uint64_t whole = 0; /* bytes of their outputs */
    for (uint32_t h = 0; h < d->head_count; h++) {
        struct shk_select_head *head = &selection->heads[h];
        if (!make_head(session, h, head) ||
            elements_per_word(session, d->heads[h].output) != elements_per_word(session, d->heads[0].output))
            return false;
        head->order = selection->boxes;
        head->first_group = groups;
        groups += shk_div_round_up(head->count, LOCAL);
        selection->boxes += head->count;
        if (selection->boxes > SHK_SUPPRESS_MAX_BOXES)
            return false;
    }
    for (uint32_t i = 0; i < session->graph->output_count; i++)
        if (shk_boxes_output_is_head(d, i))
            whole += shk_view_bytes(&session->plan->views[session->graph->outputs[i]]);
    return whole >= MIN_BYTES &&
           lane_words(selection) * 4 * session->params.batch_size <= session->device->limits.maxStorageBufferRange;
}

enum shk_status shk_select_init(struct shk_session *session, struct shk_error *error)
{
    const struct shk_session_params *params = &session->params;
    const struct shk_decoder_def *decoder = session->detector->def;
    if (!params->detections_only || params->keep_tensors || !decoder || !decoder->has_code ||
        !(shk_score_threshold(params) >= MIN_THRESHOLD))
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
    if (session->selection) {
        shk_pool_free(session->device->pool, &session->selection->buffer);
        shk_pool_free(session->device->pool, &session->selection->candidates);
    }
    free(session->selection);
    session->selection = NULL;
}

bool shk_select_covers(const struct shk_session *session, uint32_t i)
{
    return session->selection && shk_boxes_output_is_head(session->detector, i);
}

static uint32_t max_kept(const struct shk_session *session)
{
    return shk_boxes_capacity(session->detector, session->graph, &session->params);
}

uint64_t shk_select_place(struct shk_session *session, uint64_t offset)
{
    if (!session->selection)
        return 0;
    session->selection->kept_offset = offset;
    return 4 * (SHK_KEPT_BOXES + (uint64_t)max_kept(session) * SHK_SELECT_BOX_WORDS);
}

/* ---- the dispatches ---- */

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
        table[SHK_SELECT_PROBABILITY + i] = d->softmax ? shk_boxes_softmax_term(scores->quant.scales[0], (float)i)
                                                       : shk_boxes_probability(d, shk_level_value(scores, q));
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
    const uint32_t count = session->detector->head_count;
    size_t bytes = sizeof(selection->heads) + count * TABLE_WORDS * sizeof(float);
    enum shk_status status = shk_pool_alloc(session->device->pool, SHK_MEMORY_UPLOAD, bytes, SHK_UNIFORM_ALIGNMENT,
                                            &selection->buffer, error);
    if (status)
        return status;
    float *tables = (float *)(void *)((uint8_t *)selection->buffer.map + sizeof(selection->heads));
    memset(selection->buffer.map, 0, bytes);
    for (uint32_t h = 0; h < count; h++) {
        selection->heads[h].tables = (uint32_t)(sizeof(selection->heads) / 4) + h * TABLE_WORDS;
        fill_tables(session, &session->detector->heads[h], tables + h * TABLE_WORDS);
    }
    memcpy(selection->buffer.map, selection->heads, sizeof(selection->heads));
    return shk_buffer_flush(session->device, &selection->buffer, 0, bytes, error);
}

/* The list of candidates begins empty. */
static enum shk_status create_candidates(struct shk_session *session, struct shk_error *error)
{
    struct shk_selection *selection = session->selection;
    const uint32_t none = 0, batch = session->params.batch_size;
    const uint64_t lane = lane_words(selection) * 4;
    enum shk_status status =
        shk_pool_alloc(session->device->pool, SHK_MEMORY_DEVICE, lane * batch, 0, &selection->candidates, error);
    for (uint32_t i = 0; i < batch && !status; i++)
        status = shk_buffer_write(session->device, &selection->candidates, i * lane + SHK_CANDIDATES_COUNT * 4, &none,
                                  sizeof(none), error);
    return status;
}

static void make_select(const struct shk_session *session, struct shk_lowered *lowered)
{
    const struct shk_selection *selection = session->selection;
    const struct shk_detector *d = session->detector;
    const struct shk_select_head *last = &selection->heads[d->head_count - 1];
    const struct shk_select_push push = {(uint32_t)lane_words(selection), boxes_offset(selection)};
    const struct shk_dispatch dispatch = {
        .shader = &shk_shader_select,
        .spec = {elements_per_word(session, d->heads[0].output) == 1 ? SHK_SELECT_FLOATS : SHK_SELECT_BYTES,
                 d->head_count, d->class_count, d->code.objectness, d->code.yxhw, d->softmax, d->code.background},
        .spec_count = 7,
        .local_size = {LOCAL, 1, 1},
        .groups = {last->first_group + shk_div_round_up(last->count, LOCAL), 1, 1},
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_lowered_from(lowered, &dispatch);
    lowered->spec[SHK_SPEC_LANE_STRIDE] = session->lowering.lane_stride;
    lowered->spec[SHK_SPEC_TEXELS] = session->lowering.texels;
}

static void make_suppress(const struct shk_session *session, struct shk_lowered *lowered)
{
    const struct shk_selection *selection = session->selection;
    struct shk_suppress_push push = {
        .lane_words = (uint32_t)lane_words(selection),
        .boxes = boxes_offset(selection),
        .dst = (uint32_t)(selection->kept_offset / 4),
        .dst_lane_words = (uint32_t)(session->output_bytes / 4),
        .max_kept = max_kept(session),
        .max_candidates = SHK_NMS_MAX_CANDIDATES,
        .best = best_offset(selection),
    };
    shk_iou_split(shk_boxes_iou_threshold(&session->params), &push.iou_mantissa, &push.iou_exponent);
    const struct shk_dispatch dispatch = {
        .shader = &shk_shader_suppress,
        .local_size = {SHK_SUPPRESS_LOCAL, 1, 1},
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_lowered_from(lowered, &dispatch);
}

enum shk_status shk_select_build(struct shk_session *session, struct shk_error *error)
{
    struct shk_selection *selection = session->selection;
    enum shk_status status = write_heads(session, error);
    if (!status)
        status = create_candidates(session, error);
    make_select(session, &selection->dispatches[0]);
    make_suppress(session, &selection->dispatches[1]);
    return status ? status
                  : shk_kernels_build(&session->kernels, selection->dispatches, SHK_ARRAY_LEN(selection->dispatches),
                                      error);
}

void shk_select_read(const struct shk_session *session, struct shk_lane *lane, const void *bytes)
{
    if (!session->selection)
        return;
    const uint32_t *words = (const uint32_t *)bytes + session->selection->kept_offset / 4;
    lane->found = (struct shk_found){words[SHK_KEPT_COUNT], (const void *)(words + SHK_KEPT_BOXES)};
}
