/* TFLite_Detection_PostProcess: decode SSD boxes against anchors, non-maximum suppression.
 * Source: tflite/kernels/detection_postprocess.cc.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Boxes and scores have 256 possible values each: they are uint8, or what DEQUANTIZE made of 8 bits. So the
 * device looks decoded values up, compares scores as integers, and needs only float additions and
 * multiplications. */
#include "detection_postprocess.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/session.h>

#include "lower.h"

#define ATTR(key, kind, field, value)                                                                        \
    {                                                                                                        \
        key, SHK_ATTR_##kind, 0, offsetof(struct shk_detection_attrs, field), value, NULL                    \
    }

static const struct shk_attr attrs_table[] = {
    ATTR("max_detections", INT32, max_detections, 0),
    ATTR("max_classes_per_detection", INT32, max_classes, 0),
    ATTR("detections_per_class", INT32, detections_per_class, 100),
    ATTR("use_regular_nms", BOOL, regular, 0),
    ATTR("nms_score_threshold", FLOAT, score_threshold, 0),
    ATTR("nms_iou_threshold", FLOAT, iou_threshold, 0),
    ATTR("num_classes", INT32, class_count, 0),
    ATTR("y_scale", FLOAT, y_scale, 0),
    ATTR("x_scale", FLOAT, x_scale, 0),
    ATTR("h_scale", FLOAT, h_scale, 0),
    ATTR("w_scale", FLOAT, w_scale, 0),
};

enum { IN_BOXES, IN_SCORES, IN_ANCHORS, IN_COUNT };

/* The attributes after the session's overrides, and the sizes that follow. */
struct settings {
    const struct shk_detection_attrs *attrs;
    float score_threshold, iou_threshold;
    uint32_t max_detections;
    uint32_t per_class;  /* most that one class may keep (regular) */
    uint32_t categories; /* classes written per detection (fast) */
    uint32_t rows;       /* of the output tensors */
    uint32_t boxes;
    uint32_t box_size; /* values per box, of which the first four count */
    uint32_t classes;  /* without background */
    uint32_t row_size; /* scores per box */
    uint32_t label_offset;
};

static struct settings get_settings(const struct shk_graph *graph, const struct shk_op *op,
                                    const struct shk_session_params *params)
{
    const struct shk_detection_attrs *a = op->attrs;
    const struct shk_tensor *scores = shk_op_input(graph, op, IN_SCORES);
    struct settings s = {
        .attrs = a,
        .score_threshold =
            params && params->score_threshold > 0 ? params->score_threshold : a->score_threshold,
        .iou_threshold = params && params->iou_threshold > 0 ? params->iou_threshold : a->iou_threshold,
        .max_detections = (uint32_t)a->max_detections,
        .categories = (uint32_t)SHK_MIN(a->max_classes, a->class_count),
        .rows = (uint32_t)(a->max_detections * a->max_classes),
        .boxes = (uint32_t)scores->shape.dims[1],
        .box_size = (uint32_t)shk_op_input(graph, op, IN_BOXES)->shape.dims[2],
        .classes = (uint32_t)a->class_count,
        .row_size = (uint32_t)scores->shape.dims[2],
    };
    s.iou_threshold = SHK_CLAMP(s.iou_threshold, FLT_MIN, 1.0f);
    if (params && params->max_detections)
        s.max_detections = SHK_MIN(s.max_detections, params->max_detections);
    s.per_class = SHK_MIN((uint32_t)a->detections_per_class, s.max_detections);
    s.label_offset = s.row_size - s.classes;
    return s;
}

/* ---- checks ---- */

static bool positive(float x)
{
    return x > 0.0f && isfinite(x);
}

static enum shk_status check_attrs(const struct shk_graph *graph, const struct shk_op *op,
                                   struct shk_error *error)
{
    const struct shk_detection_attrs *a = op->attrs;
    if (a->max_detections < 1 || a->max_classes < 1 || a->detections_per_class < 1 || a->class_count < 1)
        return shk_op_fail(
            graph, op, SHK_ERROR_BAD_MODEL, error,
            "max_detections %d, max_classes_per_detection %d, detections_per_class %d and num_classes %d "
            "must be at least 1",
            a->max_detections, a->max_classes, a->detections_per_class, a->class_count);
    if (a->max_detections > 65535 || a->max_classes > 65535 / a->max_detections)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "%d detections of %d classes each, at most 65535 rows are supported",
                           a->max_detections, a->max_classes);
    if (!(a->iou_threshold > 0.0f && a->iou_threshold <= 1.0f))
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "nms_iou_threshold %g is not above 0 and at most 1", (double)a->iou_threshold);
    if (!positive(a->y_scale) || !positive(a->x_scale) || !positive(a->h_scale) || !positive(a->w_scale))
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "y_scale %g, x_scale %g, h_scale %g, w_scale %g must be positive",
                           (double)a->y_scale, (double)a->x_scale, (double)a->h_scale, (double)a->w_scale);
    return SHK_OK;
}

/* The 8 bit tensor that `input`'s 256 values come from: itself, or the input of the DEQUANTIZE that made it.
 */
static const struct shk_tensor *quantized_source(const struct shk_graph *graph, const struct shk_op *op,
                                                 uint32_t input)
{
    const struct shk_tensor *t = shk_op_input(graph, op, input);
    if (t->dtype == SHK_DTYPE_FLOAT32) {
        for (const struct shk_op *p = graph->ops; p < op; p++)
            if (p->outputs[0] == op->inputs[input] && strcmp(p->spelling->name, "DEQUANTIZE") == 0)
                t = shk_op_input(graph, p, 0);
        return t && t->dtype == SHK_DTYPE_INT8 && t->quant.count == 1 ? t : NULL;
    }
    return t->legacy_uint8 && t->quant.count == 1 ? t : NULL;
}

static enum shk_status check_source(const struct shk_graph *graph, const struct shk_op *op, uint32_t input,
                                    struct shk_error *error)
{
    if (quantized_source(graph, op, input))
        return SHK_OK;
    const struct shk_tensor *t = shk_op_input(graph, op, input);
    return shk_op_fail(
        graph, op, SHK_ERROR_UNSUPPORTED, error,
        "input '%s' is %s; supported are uint8 with one scale, and float32 that DEQUANTIZE makes of 8 "
        "bits",
        t->name, shk_dtype_string(t->dtype));
}

static enum shk_status check_shapes(const struct shk_graph *graph, const struct shk_op *op,
                                    struct shk_error *error)
{
    const struct shk_shape *boxes = &shk_op_input(graph, op, IN_BOXES)->shape;
    const struct shk_shape *scores = &shk_op_input(graph, op, IN_SCORES)->shape;
    const struct shk_shape *anchors = &shk_op_input(graph, op, IN_ANCHORS)->shape;
    const struct shk_detection_attrs *a = op->attrs;
    char b[64], s[64], n[64];
    bool fits = boxes->rank == 3 && scores->rank == 3 && anchors->rank == 2 && boxes->dims[0] == 1 &&
                scores->dims[0] == 1 && boxes->dims[1] == scores->dims[1] &&
                anchors->dims[0] == boxes->dims[1] && boxes->dims[2] >= 4 && anchors->dims[1] == 4;
    if (!fits)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "boxes %s, scores %s, anchors %s do not fit: expected 1xNx4, 1xNxC, Nx4",
                           shk_shape_string(boxes, b), shk_shape_string(scores, s),
                           shk_shape_string(anchors, n));
    if (scores->dims[2] - a->class_count < 0 || scores->dims[2] - a->class_count > 1)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "%d scores per box do not fit %d classes, with or without a background",
                           scores->dims[2], a->class_count);
    if (boxes->dims[1] >= 1 << 23)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error, "%d boxes, at most %d are supported",
                           boxes->dims[1], (1 << 23) - 1);
    return SHK_OK;
}

static enum shk_status check_anchors(const struct shk_graph *graph, const struct shk_op *op,
                                     struct shk_error *error)
{
    const struct shk_tensor *anchors = shk_op_input(graph, op, IN_ANCHORS);
    bool float_boxes = shk_op_input(graph, op, IN_BOXES)->dtype == SHK_DTYPE_FLOAT32;
    bool fits = float_boxes ? anchors->dtype == SHK_DTYPE_FLOAT32
                            : anchors->legacy_uint8 && anchors->quant.count == 1;
    if (!fits)
        return shk_op_fail(
            graph, op, SHK_ERROR_UNSUPPORTED, error,
            "anchors '%s' are %s; float32 boxes go with float32 anchors, uint8 boxes with uint8 anchors "
            "of one scale",
            anchors->name, shk_dtype_string(anchors->dtype));
    for (int32_t i = 0; i < anchors->shape.dims[0]; i++) {
        float v[4];
        shk_detection_anchor(anchors, (size_t)i, v);
        if (!isfinite(v[0]) || !isfinite(v[1]) || !(v[2] >= 0 && isfinite(v[2])) ||
            !(v[3] >= 0 && isfinite(v[3])))
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                               "anchor %d (y %g, x %g, h %g, w %g) is not finite or has a negative size", i,
                               (double)v[0], (double)v[1], (double)v[2], (double)v[3]);
    }
    return SHK_OK;
}

/* The interpreter sizes the outputs whatever the file says; most files say nothing. */
static enum shk_status infer(struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_detection_attrs *a = op->attrs;
    enum shk_status status = shk_check_counts(graph, op, IN_COUNT, IN_COUNT, 4, error);
    if (!status)
        status = check_attrs(graph, op, error);
    if (status)
        return status;
    int32_t rows = a->max_detections * a->max_classes;
    const struct shk_shape shapes[] = {
        [SHK_DETECTION_BOXES] = {3, {1, rows, 4}},
        [SHK_DETECTION_CLASSES] = {2, {1, rows}},
        [SHK_DETECTION_SCORES] = {2, {1, rows}},
        [SHK_DETECTION_COUNT] = {1, {1}},
    };
    for (uint32_t i = 0; i < SHK_ARRAY_LEN(shapes) && !status; i++)
        status = shk_graph_set_shape(graph, op->outputs[i], &shapes[i], error);
    return status;
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    for (uint32_t i = 0; i < op->output_count; i++)
        if (shk_op_output(graph, op, i)->dtype != SHK_DTYPE_FLOAT32)
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "output '%s' is %s, expected float32",
                               shk_op_output(graph, op, i)->name,
                               shk_dtype_string(shk_op_output(graph, op, i)->dtype));
    enum shk_status status = shk_check_constant(graph, op, IN_ANCHORS, error);
    if (!status)
        status = check_source(graph, op, IN_BOXES, error);
    if (!status)
        status = check_source(graph, op, IN_SCORES, error);
    if (!status)
        status = check_shapes(graph, op, error);
    if (!status)
        status = check_anchors(graph, op, error);
    return status;
}

/* ---- reference ---- */

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

static void decode_boxes(const struct settings *s, const struct shk_tensor *anchors, const float *values,
                         struct box *boxes)
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
static uint32_t suppress(const struct settings *s, struct work *work, uint32_t count, uint32_t limit)
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
static uint32_t run_fast(const struct shk_reference *run, const struct settings *s, struct work *work)
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
static uint32_t merge(const struct settings *s, struct work *work, uint32_t merged, uint32_t selected)
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
static uint32_t run_regular(const struct shk_reference *run, const struct settings *s, struct work *work)
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

/* Rows past the count are zero. */
static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    struct settings s = get_settings(run->graph, run->op, run->params);
    const struct shk_tensor *boxes = shk_op_input(run->graph, run->op, IN_BOXES);
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
    read_values(boxes, run->inputs[IN_BOXES], encoded);
    decode_boxes(&s, shk_op_input(run->graph, run->op, IN_ANCHORS), encoded, work.boxes);
    read_values(shk_op_input(run->graph, run->op, IN_SCORES), run->inputs[IN_SCORES], work.scores);
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

/* ---- lowering ---- */

SHK_SHADER_DECLARE(detection_postprocess);

enum { LOCAL_SIZE = 64 };
enum pass { PASS_DECODE, PASS_SELECT, PASS_OUTPUT };

/* Words: boxes of five floats (corners, area), one key per box and list, the lists of what was selected, how
 * far the merge has come in each. */
struct scratch_layout {
    uint64_t boxes, keys, lists, cursors, words;
    uint32_t groups;
};

static struct scratch_layout scratch_layout(const struct settings *s)
{
    struct scratch_layout l = {.groups = s->attrs->regular ? s->classes : 1};
    l.keys = l.boxes + (uint64_t)s->boxes * 5;
    l.lists = l.keys + (uint64_t)s->boxes * l.groups;
    l.cursors = l.lists + (uint64_t)s->max_detections * l.groups;
    l.words = l.cursors + l.groups;
    return l;
}

static uint64_t scratch(const struct shk_graph *graph, const struct shk_op *op)
{
    struct settings s = get_settings(graph, op, NULL);
    return scratch_layout(&s).words * 4;
}

static struct shk_detection_quant source_quant(const struct shk_graph *graph, const struct shk_op *op,
                                               uint32_t input)
{
    const struct shk_tensor *t = quantized_source(graph, op, input);
    return (struct shk_detection_quant){t->quant.scales[0], t->quant.zero_points[0]};
}

/* A quotient rounds to more than the threshold t where it is above the middle between t and the next float
 * (never equal: that would take a 25 bit dividend). The middle is mantissa * 2^exponent. */
static void set_threshold(struct shk_detection_push *push, float t)
{
    int exponent;
    push->iou_mantissa = (uint32_t)(frexpf(t, &exponent) * 0x1p25f) + 1;
    push->iou_exponent = exponent - 25;
}

static void set_quant(struct shk_detection_push *push, struct shk_detection_quant boxes,
                      struct shk_detection_quant scores)
{
    push->box_inverse = 1.0f / boxes.scale;
    push->box_zero = boxes.zero_point + 128;
    push->score_inverse = 1.0f / scores.scale;
    push->score_zero = scores.zero_point + 128;
}

static void set_outputs(struct shk_detection_push *push, const struct shk_lowering *lowering,
                        const struct shk_op *op)
{
    struct shk_view boxes = shk_lower_view(lowering, op->outputs[SHK_DETECTION_BOXES]);
    push->out_boxes = boxes.offset;
    push->out_boxes_stride = boxes.stride;
    push->out_classes = shk_lower_view(lowering, op->outputs[SHK_DETECTION_CLASSES]).offset;
    push->out_scores = shk_lower_view(lowering, op->outputs[SHK_DETECTION_SCORES]).offset;
    push->out_count = shk_lower_view(lowering, op->outputs[SHK_DETECTION_COUNT]).offset;
}

static void append_tables(struct shk_lowering *lowering, const struct settings *s,
                          const struct shk_detection_tables *tables, struct shk_detection_push *push)
{
    push->score_table = shk_lower_params(lowering, tables->score, sizeof(tables->score), 4) / 4;
    push->tables =
        shk_lower_params(lowering, tables->values, (size_t)tables->count * 256 * sizeof(float), 4) / 4;
    push->refs = shk_lower_params(lowering, tables->refs, (size_t)s->boxes * 4 * sizeof(uint32_t), 4) / 4;
    push->min_rank = 256;
    for (uint32_t rank = 256; rank-- > 0 && tables->score[rank] >= s->score_threshold;)
        push->min_rank = rank;
}

static void emit(struct shk_lowering *lowering, const struct shk_op *op, const struct settings *s,
                 const struct shk_detection_push *push)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    uint32_t groups = s->attrs->regular ? s->classes : 1;
    struct shk_dispatch d = {
        .shader = &shk_shader_detection_postprocess,
        .spec = {[1] = s->attrs->regular,
                 [2] = shk_op_input(graph, op, IN_BOXES)->dtype == SHK_DTYPE_FLOAT32,
                 [3] = shk_op_input(graph, op, IN_SCORES)->dtype == SHK_DTYPE_FLOAT32},
        .spec_count = 4,
        .push = push,
        .push_size = sizeof(*push),
    };
    d.spec[0] = PASS_DECODE;
    shk_dispatch_linear(&d, SHK_MAX(s->boxes, s->rows), LOCAL_SIZE);
    shk_lower_dispatch(lowering, &d);
    shk_lower_barrier(lowering);
    d.spec[0] = PASS_SELECT;
    shk_dispatch_linear(&d, groups * LOCAL_SIZE, LOCAL_SIZE);
    shk_lower_dispatch(lowering, &d);
    shk_lower_barrier(lowering);
    d.spec[0] = PASS_OUTPUT;
    shk_dispatch_linear(&d, LOCAL_SIZE, LOCAL_SIZE);
    shk_lower_dispatch(lowering, &d);
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    struct settings s = get_settings(graph, op, shk_lower_session_params(lowering));
    struct shk_detection_quant boxes = source_quant(graph, op, IN_BOXES);
    struct shk_detection_quant scores = source_quant(graph, op, IN_SCORES);
    struct shk_detection_tables tables;
    struct shk_error detail;
    enum shk_status status = shk_detection_tables_init(&tables, s.attrs, shk_op_input(graph, op, IN_ANCHORS),
                                                       boxes, scores, &detail);
    if (status)
        return shk_op_fail(graph, op, status, error, "%s", detail.message);

    struct scratch_layout l = scratch_layout(&s);
    uint32_t base = shk_lower_scratch(lowering);
    struct shk_view box_view = shk_lower_view(lowering, op->inputs[IN_BOXES]);
    struct shk_view score_view = shk_lower_view(lowering, op->inputs[IN_SCORES]);
    struct shk_detection_push push = {
        .boxes = box_view.offset,
        .boxes_stride = box_view.stride,
        .scores = score_view.offset,
        .scores_stride = score_view.stride,
        .count = s.boxes,
        .classes = s.classes,
        .label_offset = s.label_offset,
        .scratch_boxes = base + (uint32_t)l.boxes,
        .scratch_keys = base + (uint32_t)l.keys,
        .scratch_lists = base + (uint32_t)l.lists,
        .scratch_cursors = base + (uint32_t)l.cursors,
        .max_selected = s.attrs->regular ? s.per_class : s.max_detections,
        .max_detections = s.max_detections,
        .max_classes = s.attrs->regular ? 1 : (uint32_t)s.attrs->max_classes,
        .rows = s.rows,
    };
    set_threshold(&push, s.iou_threshold);
    set_quant(&push, boxes, scores);
    set_outputs(&push, lowering, op);
    append_tables(lowering, &s, &tables, &push);
    emit(lowering, op, &s, &push);
    shk_detection_tables_finish(&tables);
    return SHK_OK;
}

static void describe(const struct shk_graph *graph, const struct shk_op *op, char *text, size_t size)
{
    const struct shk_detection_attrs *a = op->attrs;
    (void)graph;
    snprintf(text, size, "%s NMS, %d classes, at most %d, score %g, IoU %g", a->regular ? "regular" : "fast",
             a->class_count, a->max_detections, (double)a->score_threshold, (double)a->iou_threshold);
}

static const struct shk_op_spelling spellings[] = {
    {.def = &shk_op_detection_postprocess,
     .name = "TFLite_Detection_PostProcess",
     .builtin = SHK_BUILTIN_CUSTOM,
     .max_version = 1,
     .attrs = attrs_table,
     .attr_count = SHK_ARRAY_LEN(attrs_table)},
};

const struct shk_op_def shk_op_detection_postprocess = {
    .name = "detection_postprocess",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct shk_detection_attrs),
    .parameter_inputs = 1u << IN_ANCHORS,
    .infer = infer,
    .check = check,
    .reference = reference,
    .lower = lower,
    .describe = describe,
    .scratch = scratch,
};
