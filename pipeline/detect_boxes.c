/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_boxes.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum shk_status shk_boxes_init(struct shk_detector *detector, const struct shk_graph *graph,
                               const struct shk_modelinfo *info, struct shk_error *error)
{
    struct shk_error reason;
    if (shk_preprocess_check_model(graph, &reason))
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: decoder %s needs an image as the model's input: %s",
                        shk_modelinfo_name(info, graph), detector->def->name, reason.message);
    const struct shk_shape *shape = &graph->tensors[graph->inputs[0]].shape;
    detector->height = (float)shape->dims[1];
    detector->width = (float)shape->dims[2];
    return SHK_OK;
}

bool shk_boxes_is_readable(const struct shk_graph *graph, uint32_t output)
{
    const struct shk_tensor *t = &graph->tensors[graph->outputs[output]];
    return t->dtype == SHK_DTYPE_FLOAT32 || (t->dtype == SHK_DTYPE_INT8 && t->quant.count == 1);
}

uint32_t shk_boxes_grids(struct shk_detector *detector, const float *strides, uint32_t count, uint32_t output)
{
    uint32_t cells = 0;
    for (uint32_t i = 0; i < count; i++) {
        float rows = detector->height / strides[i], columns = detector->width / strides[i];
        if (rows < 1.0f || columns < 1.0f || rows != floorf(rows) || columns != floorf(columns))
            return 0;
        detector->heads[i] = (struct shk_head){
            output, output, cells, (uint32_t)rows, (uint32_t)columns, strides[i], 1, {{strides[i], strides[i]}}};
        /* at most 16384 a side, so that 8 grids fit */
        cells += detector->heads[i].rows * detector->heads[i].columns;
    }
    detector->head_count = count;
    return cells;
}

void shk_boxes_decoded(struct shk_detector *detector)
{
    detector->heads[0] = (struct shk_head){0, 0, 0, 1, detector->candidates, 1.0f, 1, {{1.0f, 1.0f}}};
    detector->head_count = 1;
}

static bool is_move(const char *name)
{
    static const char *const moves[] = {"CONCATENATION", "TRANSPOSE", "RESHAPE",   "SQUEEZE",
                                        "EXPAND_DIMS",   "QUANTIZE",  "DEQUANTIZE"};
    for (size_t i = 0; i < SHK_ARRAY_LEN(moves); i++)
        if (strcmp(name, moves[i]) == 0)
            return true;
    return false;
}

uint64_t shk_boxes_probabilities(const struct shk_graph *graph, uint32_t output)
{
    uint64_t elements = 0;
    bool *reaches = calloc(graph->tensor_count, sizeof(*reaches));
    if (!reaches)
        return 0;
    reaches[graph->outputs[output]] = true;
    for (uint32_t i = graph->op_count; i-- > 0;) {
        const struct shk_op *op = &graph->ops[i];
        if (op->output_count != 1 || !reaches[op->outputs[0]])
            continue;
        if (strcmp(op->spelling->name, "LOGISTIC") == 0)
            elements += shk_shape_elements(&graph->tensors[op->outputs[0]].shape);
        else if (is_move(op->spelling->name))
            for (uint32_t k = 0; k < op->input_count; k++)
                if (op->inputs[k] != SHK_TENSOR_NONE)
                    reaches[op->inputs[k]] = true;
    }
    free(reaches);
    return elements;
}

enum shk_boxes shk_boxes_unit(const struct shk_graph *graph, uint32_t output)
{
    const struct shk_tensor *t = shk_output_quantized(graph, output);
    float low, high;
    if (!t)
        return SHK_BOXES_UNSAID;
    shk_quantized_range(t, &low, &high);
    if (low > -0.5f && high < 2.0f)
        return SHK_BOXES_NORMALIZED;
    /* offsets from the cell and logarithms of sizes: exp(16) cells are more than any input has */
    if (low < -0.5f && high < 16.0f)
        return SHK_BOXES_CELLS;
    return high > 32.0f ? SHK_BOXES_PIXELS : SHK_BOXES_UNSAID;
}

float shk_boxes_iou_threshold(const struct shk_session_params *params)
{
    return SHK_MAX(params->iou_threshold > 0.0f ? params->iou_threshold : SHK_DEFAULT_IOU_THRESHOLD, FLT_MIN);
}

uint32_t shk_boxes_capacity(const struct shk_detector *detector, const struct shk_graph *graph,
                            const struct shk_session_params *params)
{
    (void)graph;
    return SHK_MIN(shk_max_detections(params), detector->candidates);
}

struct shk_values shk_boxes_values(const struct shk_decode *frame, uint32_t output)
{
    const struct shk_tensor *t = &frame->graph->tensors[frame->graph->outputs[output]];
    if (t->dtype == SHK_DTYPE_FLOAT32) {
        const struct shk_tensor *quantized =
            frame->detector->softmax ? shk_output_quantized(frame->graph, output) : NULL;
        return (struct shk_values){.real = frame->outputs[output], .scale = quantized ? quantized->quant.scales[0] : 0};
    }
    return (struct shk_values){NULL, frame->outputs[output], t->quant.scales[0], t->quant.zero_points[0]};
}

uint32_t shk_boxes_row_values(const struct shk_detector *detector)
{
    const struct shk_box_code *code = &detector->code;
    return code->ssd ? code->values : SHK_BOX_VALUES + code->objectness + detector->class_count;
}

uint32_t shk_boxes_row_scores(const struct shk_detector *detector)
{
    const struct shk_box_code *code = &detector->code;
    return code->ssd ? code->background + detector->class_count : shk_boxes_row_values(detector);
}

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

float shk_boxes_center(const struct shk_detector *detector, float value, uint32_t axis)
{
    if (detector->code.ssd)
        value /= detector->code.scales[axis];
    switch (detector->code.center) {
    case SHK_CENTER_SIGMOID:
        return sigmoid(value);
    case SHK_CENTER_SIGMOID_WIDE:
        return 2.0f * sigmoid(value) - 0.5f;
    default:
        return value;
    }
}

float shk_boxes_size(const struct shk_detector *detector, float value, uint32_t axis)
{
    float size = detector->code.ssd ? value / detector->code.scales[2 + axis] : value;
    if (detector->code.size == SHK_SIZE_EXP)
        size = expf(size);
    else if (detector->code.size == SHK_SIZE_SIGMOID_SQUARED)
        size = 4.0f * sigmoid(size) * sigmoid(size);
    /* devices may take what is smaller for 0, and need not know infinity */
    return size >= 1e-30f && size <= 1e30f ? size : 0.0f;
}

float shk_boxes_probability(const struct shk_detector *detector, float value)
{
    return shk_clamp01(detector->logits ? sigmoid(value) : value);
}

float shk_boxes_softmax_term(float scale, float levels)
{
    return expf(-scale * levels);
}

struct shk_box_scales shk_boxes_scales(const struct shk_detector *detector, const struct shk_head *head,
                                       uint32_t anchor)
{
    const struct shk_box_code *code = &detector->code;
    bool normalized = detector->boxes == SHK_BOXES_NORMALIZED;
    float x = normalized ? 1.0f : 1.0f / detector->width, y = normalized ? 1.0f : 1.0f / detector->height;
    const float *anchors = head->anchors[anchor];
    struct shk_box_scales s = {.size = {anchors[0] * x, anchors[1] * y}, .cell = {head->stride * x, head->stride * y}};
    if (code->ssd && !code->stride_centers) {
        s.cell[0] = 1.0f / (float)head->columns;
        s.cell[1] = 1.0f / (float)head->rows;
    }
    for (uint32_t axis = 0; axis < 2; axis++)
        s.offset[axis] = code->ssd ? s.size[axis] : s.cell[axis];
    s.middle = code->ssd ? 0.5f : 0.0f;
    return s;
}

bool shk_boxes_output_is_head(const struct shk_detector *detector, uint32_t output)
{
    for (uint32_t h = 0; h < detector->head_count; h++)
        if (detector->heads[h].output == output || detector->heads[h].scores == output)
            return true;
    return false;
}

uint32_t shk_boxes_best(const struct shk_values *values, size_t first, size_t step, uint32_t count)
{
    uint32_t best = 0;
    float value = shk_value(values, first);
    for (uint32_t c = 1; c < count; c++) {
        float v = shk_value(values, first + c * step);
        if (v > value) {
            value = v;
            best = c;
        }
    }
    return best;
}

/* A box by its centre and size, normalised to the model's input. */
struct box {
    float x, y, width, height;
};

static void add(const struct shk_decode *frame, uint32_t class_id, float score, struct box box)
{
    struct shk_candidate candidate = {
        .score = score,
        .class_id = class_id,
        .x_min = box.x - 0.5f * box.width,
        .y_min = box.y - 0.5f * box.height,
        .x_max = box.x + 0.5f * box.width,
        .y_max = box.y + 0.5f * box.height,
    };
    shk_nms_add(frame->nms, &candidate);
}

static struct box read_box(const struct shk_detector *d, const struct shk_head *head, const struct shk_values *v,
                           size_t at, size_t step, uint32_t index)
{
    uint32_t cell = index / head->anchor_count, flip = d->code.yxhw;
    struct shk_box_scales s = shk_boxes_scales(d, head, index % head->anchor_count);
    float column = d->code.cells ? (float)(cell % head->columns) : 0.0f;
    float row = d->code.cells ? (float)(cell / head->columns) : 0.0f;
    float x = shk_boxes_center(d, shk_value(v, at + flip * step), 0) * s.offset[0];
    float y = shk_boxes_center(d, shk_value(v, at + (1 - flip) * step), 1) * s.offset[1];
    return (struct box){x + (column + s.middle) * s.cell[0], y + (row + s.middle) * s.cell[1],
                        shk_boxes_size(d, shk_value(v, at + (2 + flip) * step), 0) * s.size[0],
                        shk_boxes_size(d, shk_value(v, at + (3 - flip) * step), 1) * s.size[1]};
}

/* Of value `i`, by levels wherever there are any: devices look the term up. */
static float softmax_term(const struct shk_values *v, size_t i, size_t most)
{
    if (v->quantized)
        return shk_boxes_softmax_term(v->scale, (float)(v->quantized[most] - v->quantized[i]));
    float below = v->real[most] - v->real[i];
    return v->scale > 0.0f ? shk_boxes_softmax_term(v->scale, floorf(below / v->scale + 0.5f)) : expf(-below);
}

/* The probability of class `best`, by all of the classes from `first` on, the background included. */
static float softmax(const struct shk_decode *frame, const struct shk_values *v, size_t first, uint32_t best)
{
    const struct shk_detector *d = frame->detector;
    uint32_t background = d->code.background, all = d->class_count + background;
    size_t chosen = first + background + best;
    size_t most = background && shk_value(v, first) > shk_value(v, chosen) ? first : chosen;
    float own = softmax_term(v, chosen, most), sum = 0.0f;
    /* no sum is below its largest term */
    if (!(own >= shk_score_threshold(frame->params)))
        return 0.0f;
    for (uint32_t c = 0; c < all; c++)
        sum += softmax_term(v, first + c, most);
    return own / sum;
}

/* Of the best of the classes at `first`. NaN where the values make no sense. */
static float read_score(const struct shk_decode *frame, const struct shk_values *v, size_t first, size_t step,
                        uint32_t *best)
{
    const struct shk_detector *d = frame->detector;
    float objectness = 1.0f;
    if (d->code.objectness) {
        objectness = shk_boxes_probability(d, shk_value(v, first));
        if (!(objectness >= shk_score_threshold(frame->params)))
            return 0.0f;
    }
    size_t classes = first + (d->code.objectness + d->code.background) * step;
    *best = shk_boxes_best(v, classes, step, d->class_count);
    if (d->softmax)
        return softmax(frame, v, first, *best);
    return objectness * shk_boxes_probability(d, shk_value(v, classes + *best * step));
}

/* shaders/select.comp does the same. */
static void decode_head(const struct shk_decode *frame, const struct shk_head *head)
{
    const struct shk_detector *d = frame->detector;
    const struct shk_box_code *code = &d->code;
    const struct shk_values v = shk_boxes_values(frame, head->output);
    const struct shk_values scores = shk_boxes_values(frame, head->scores);
    float threshold = shk_score_threshold(frame->params);
    size_t values = shk_boxes_row_values(d), count = shk_head_count(head), step = code->columns ? count : 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t best = 0;
        size_t at = code->columns ? i : (head->first + i) * values;
        size_t first = code->ssd ? (head->first + i) * shk_boxes_row_scores(d) : at + SHK_BOX_VALUES * step;
        float score = read_score(frame, &scores, first, step, &best);
        if (score > 0.0f && score >= threshold) /* NaN is neither */
            add(frame, best, score, read_box(d, head, &v, at, step, i));
    }
}

/* Places a box on the frame. False if nothing of it is there. */
static bool place(const struct shk_decode *frame, const struct shk_candidate *c, struct shk_detection *d)
{
    *d = (struct shk_detection){.class_id = c->class_id, .confidence = c->score};
    return shk_box_place(&frame->placement, c->x_min, c->y_min, c->x_max, c->y_max, d);
}

static uint32_t decode_found(const struct shk_decode *frame, struct shk_detection *detections)
{
    uint32_t count = 0;
    uint32_t found = SHK_MIN(frame->found.count, shk_boxes_capacity(frame->detector, frame->graph, frame->params));
    for (uint32_t i = 0; i < found; i++) {
        const struct shk_select_box *b = &frame->found.boxes[i];
        const struct shk_candidate c = {b->score, b->class_id, b->x_min, b->y_min, b->x_max, b->y_max, i};
        if (c.class_id < frame->detector->class_count && place(frame, &c, &detections[count]))
            count++;
    }
    return count;
}

uint32_t shk_boxes_decode(const struct shk_decode *frame, struct shk_detection *detections)
{
    const struct shk_detector *d = frame->detector;
    uint32_t count = 0;
    if (frame->found.boxes)
        return decode_found(frame, detections);
    shk_nms_reset(frame->nms);
    for (uint32_t h = 0; h < d->head_count; h++)
        decode_head(frame, &d->heads[h]);
    uint32_t kept = shk_nms_select(frame->nms, shk_boxes_iou_threshold(frame->params),
                                   shk_boxes_capacity(d, frame->graph, frame->params));
    for (uint32_t i = 0; i < kept; i++)
        if (place(frame, &frame->nms->items[i], &detections[count]))
            count++;
    return count;
}
