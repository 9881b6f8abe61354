/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detection_postprocess.h"

#include <stdlib.h>
#include <string.h>

struct box {
    float ymin, xmin, ymax, xmax;
};

struct candidate {
    uint32_t box, class_id;
    float score;
};

/* Everything that the reference allocates, in one place. */
struct work {
    struct box *boxes;
    float *scores;              /* boxes x row_size */
    struct candidate *sorted;   /* boxes */
    struct candidate *selected; /* max_detections */
    struct candidate *merged;   /* 2 * max_detections */
};

static void read_values(const struct shk_tensor *tensor, const void *data, float *values)
{
    size_t count = shk_shape_elements(&tensor->shape);
    if (tensor->dtype == SHK_DTYPE_FLOAT32) {
        memcpy(values, data, count * sizeof(float));
        return;
    }
    struct shk_detection_quant quant = {tensor->quant.scales[0], tensor->quant.zero_points[0]};
    for (size_t i = 0; i < count; i++)
        values[i] = shk_detection_dequantize(quant, ((const int8_t *)data)[i]);
}

static void decode_boxes(const struct shk_detection_settings *s, const struct shk_tensor *anchors,
                         const float *values, struct box *boxes)
{
    for (uint32_t i = 0; i < s->boxes; i++) {
        const float *v = values + (size_t)i * s->box_size;
        float a[4];
        shk_detection_anchor(anchors, i, a);
        float y = shk_detection_centre(v[0], s->attrs->y_scale, a[0], a[2]);
        float x = shk_detection_centre(v[1], s->attrs->x_scale, a[1], a[3]);
        float half_h = shk_detection_half(v[2], s->attrs->h_scale, a[2]);
        float half_w = shk_detection_half(v[3], s->attrs->w_scale, a[3]);
        boxes[i] = (struct box){y - half_h, x - half_w, y + half_h, x + half_w};
    }
}

static float intersection_over_union(const struct box *a, const struct box *b)
{
    float area_a = (a->ymax - a->ymin) * (a->xmax - a->xmin);
    float area_b = (b->ymax - b->ymin) * (b->xmax - b->xmin);
    if (area_a <= 0 || area_b <= 0)
        return 0.0f;
    float height = SHK_MIN(a->ymax, b->ymax) - SHK_MAX(a->ymin, b->ymin);
    float width = SHK_MIN(a->xmax, b->xmax) - SHK_MAX(a->xmin, b->xmin);
    float intersection = SHK_MAX(height, 0.0f) * SHK_MAX(width, 0.0f);
    return intersection / (area_a + area_b - intersection);
}

static int compare_candidates(const void *pa, const void *pb)
{
    const struct candidate *a = pa, *b = pb;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->box < b->box ? -1 : a->box > b->box;
}

/* Keeps at most `limit` of the first `count` candidates, which need not be sorted. Returns how many. */
static uint32_t suppress(const struct shk_detection_settings *s, struct work *work, uint32_t count,
                         uint32_t limit)
{
    uint32_t kept = 0;
    qsort(work->sorted, count, sizeof(*work->sorted), compare_candidates);
    for (uint32_t i = 0; i < count && kept < limit; i++) {
        bool overlaps = false;
        for (uint32_t k = 0; k < kept && !overlaps; k++)
            overlaps = intersection_over_union(&work->boxes[work->selected[k].box],
                                               &work->boxes[work->sorted[i].box]) > s->iou_threshold;
        if (!overlaps)
            work->selected[kept++] = work->sorted[i];
    }
    return kept;
}

static void write_row(const struct shk_reference *run, const struct work *work, uint32_t row, uint32_t box,
                      uint32_t class_id, float score)
{
    memcpy((float *)run->outputs[SHK_DETECTION_BOXES] + (size_t)row * 4, &work->boxes[box],
           sizeof(struct box));
    ((float *)run->outputs[SHK_DETECTION_CLASSES])[row] = (float)class_id;
    ((float *)run->outputs[SHK_DETECTION_SCORES])[row] = score;
}

/* The next class after `previous` in the order of falling scores, lower classes first where they are equal.
 */
static uint32_t next_class(const float *scores, uint32_t count, uint32_t previous)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t c = 0; c < count; c++) {
        bool after = previous == UINT32_MAX || scores[c] < scores[previous] ||
                     (scores[c] == scores[previous] && c > previous);
        if (after && (best == UINT32_MAX || scores[c] > scores[best]))
            best = c;
    }
    return best;
}

/* Every box competes with the score of its best class. */
static uint32_t run_fast(const struct shk_reference *run, const struct shk_detection_settings *s,
                         struct work *work)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->boxes; i++) {
        const float *scores = work->scores + (size_t)i * s->row_size + s->label_offset;
        float score = scores[next_class(scores, s->classes, UINT32_MAX)];
        if (score >= s->score_threshold)
            work->sorted[count++] = (struct candidate){i, 0, score};
    }
    uint32_t kept = suppress(s, work, count, s->max_detections);
    for (uint32_t i = 0; i < kept; i++) {
        uint32_t box = work->selected[i].box, c = UINT32_MAX;
        const float *scores = work->scores + (size_t)box * s->row_size + s->label_offset;
        for (uint32_t k = 0; k < s->categories; k++) {
            c = next_class(scores, s->classes, c);
            write_row(run, work, i * (uint32_t)s->attrs->max_classes + k, box, c, scores[c]);
        }
    }
    return kept;
}

/* Stable: what is there comes before what is new. Returns the new length. */
static uint32_t merge(const struct shk_detection_settings *s, struct work *work, uint32_t merged,
                      uint32_t selected)
{
    for (uint32_t i = 0; i < selected; i++) {
        uint32_t at = merged + i;
        for (; at > 0 && work->merged[at - 1].score < work->selected[i].score; at--)
            work->merged[at] = work->merged[at - 1];
        work->merged[at] = work->selected[i];
    }
    return SHK_MIN(merged + selected, s->max_detections);
}

/* Every class by itself. */
static uint32_t run_regular(const struct shk_reference *run, const struct shk_detection_settings *s,
                            struct work *work)
{
    uint32_t merged = 0;
    for (uint32_t c = 0; c < s->classes; c++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < s->boxes; i++) {
            float score = work->scores[(size_t)i * s->row_size + s->label_offset + c];
            if (score >= s->score_threshold)
                work->sorted[count++] = (struct candidate){i, c, score};
        }
        merged = merge(s, work, merged, suppress(s, work, count, s->per_class));
    }
    for (uint32_t i = 0; i < merged; i++)
        write_row(run, work, i, work->merged[i].box, work->merged[i].class_id, work->merged[i].score);
    return merged;
}

static void clear_outputs(const struct shk_reference *run)
{
    for (uint32_t i = 0; i < run->op->output_count; i++)
        memset(run->outputs[i], 0, shk_op_output(run->graph, run->op, i)->bytes);
}

enum shk_status shk_detection_reference(const struct shk_reference *run, struct shk_error *error)
{
    struct shk_detection_settings s = shk_detection_settings(run->graph, run->op, run->params);
    const struct shk_tensor *boxes = shk_op_input(run->graph, run->op, SHK_DETECTION_IN_BOXES);
    enum shk_status status = SHK_OK;
    float *encoded = calloc((size_t)s.boxes * s.box_size, sizeof(float));
    struct work work = {
        .boxes = calloc(s.boxes, sizeof(struct box)),
        .scores = calloc((size_t)s.boxes * s.row_size, sizeof(float)),
        .sorted = calloc(s.boxes, sizeof(struct candidate)),
        .selected = calloc(s.max_detections, sizeof(struct candidate)),
        .merged = calloc(2 * (size_t)s.max_detections, sizeof(struct candidate)),
    };
    if (!encoded || !work.boxes || !work.scores || !work.sorted || !work.selected || !work.merged) {
        status = shk_fail_oom(error, (size_t)s.boxes * s.row_size * sizeof(float), "detections");
        goto done;
    }
    clear_outputs(run);
    read_values(boxes, run->inputs[SHK_DETECTION_IN_BOXES], encoded);
    decode_boxes(&s, shk_op_input(run->graph, run->op, SHK_DETECTION_IN_ANCHORS), encoded, work.boxes);
    read_values(shk_op_input(run->graph, run->op, SHK_DETECTION_IN_SCORES),
                run->inputs[SHK_DETECTION_IN_SCORES], work.scores);
    uint32_t count = s.attrs->regular ? run_regular(run, &s, &work) : run_fast(run, &s, &work);
    *(float *)run->outputs[SHK_DETECTION_COUNT] = (float)count;
done:
    free(encoded);
    free(work.boxes);
    free(work.scores);
    free(work.sorted);
    free(work.selected);
    free(work.merged);
    return status;
}
