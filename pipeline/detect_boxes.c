/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_boxes.h"

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
            .output = output, .rows = (uint32_t)rows, .columns = (uint32_t)columns, .stride = strides[i]};
        /* at most 16384 a side, so that 8 grids fit */
        cells += detector->heads[i].rows * detector->heads[i].columns;
    }
    detector->head_count = count;
    return cells;
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

uint32_t shk_boxes_capacity(const struct shk_detector *detector, const struct shk_graph *graph,
                            const struct shk_session_params *params)
{
    (void)graph;
    return SHK_MIN(shk_max_detections(params), detector->candidates);
}

struct shk_values shk_boxes_values(const struct shk_decode *frame, uint32_t output)
{
    const struct shk_tensor *t = &frame->graph->tensors[frame->graph->outputs[output]];
    if (t->dtype == SHK_DTYPE_FLOAT32)
        return (struct shk_values){.real = frame->outputs[output]};
    return (struct shk_values){NULL, frame->outputs[output], t->quant.scales[0], t->quant.zero_points[0]};
}

struct shk_boxes_rows shk_boxes_rows(const struct shk_decode *frame, uint32_t output)
{
    const struct shk_detector *d = frame->detector;
    const struct shk_survivors *survivors = frame->survivors ? &frame->survivors[output] : NULL;
    struct shk_boxes_rows rows = {.values = shk_boxes_values(frame, output)};
    if (survivors && survivors->list) {
        rows.count = survivors->count;
        rows.step = 1;
        rows.list = survivors->list;
        if (rows.values.real)
            rows.values.real = survivors->values;
        else
            rows.values.quantized = survivors->values;
        return rows;
    }
    struct shk_candidate_layout layout = d->def->layout(d, frame->graph, output, shk_score_threshold(frame->params));
    rows.count = layout.count;
    rows.step = layout.columns ? layout.count : 1;
    rows.stride = layout.columns ? 1 : layout.values;
    return rows;
}

struct shk_candidate_layout shk_boxes_layout(const struct shk_detector *detector, const struct shk_graph *graph,
                                             uint32_t output, float threshold)
{
    uint32_t values = SHK_ROW_SCORES + detector->class_count;
    return (struct shk_candidate_layout){
        .count = (uint32_t)(shk_shape_elements(&graph->tensors[graph->outputs[output]].shape) / values),
        .values = values,
        .first_tested = SHK_ROW_OBJECTNESS,
        .tested = 1,
        .lowest = shk_boxes_lowest(detector, threshold),
    };
}

/* The inverse of the sigmoid, with room for what it rounds: where 1 + exp(-x) is 1 in floats, x is above 16. */
float shk_boxes_lowest(const struct shk_detector *detector, float threshold)
{
    if (!detector->logits)
        return threshold;
    return SHK_MIN(logf(threshold) - log1pf(-threshold), 16.0f) - 0.01f;
}

float shk_boxes_sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

float shk_boxes_probability(const struct shk_decode *frame, const struct shk_values *values, size_t i)
{
    float v = shk_value(values, i);
    return shk_clamp01(frame->detector->logits ? shk_boxes_sigmoid(v) : v);
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

void shk_boxes_add(const struct shk_decode *frame, uint32_t class_id, float score, struct shk_box box)
{
    if (!(score > 0.0f && score >= shk_score_threshold(frame->params)))
        return;
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

uint32_t shk_boxes_finish(const struct shk_decode *frame, struct shk_detection *detections)
{
    const struct shk_session_params *params = frame->params;
    float iou = params->iou_threshold > 0.0f ? params->iou_threshold : SHK_DEFAULT_IOU_THRESHOLD;
    uint32_t kept =
        shk_nms_select(frame->nms, iou, shk_boxes_capacity(frame->detector, frame->graph, params));
    uint32_t count = 0;
    for (uint32_t i = 0; i < kept; i++) {
        const struct shk_candidate *c = &frame->nms->items[i];
        struct shk_detection d = {.class_id = c->class_id, .confidence = c->score};
        if (shk_box_place(&frame->placement, c->x_min, c->y_min, c->x_max, c->y_max, &d))
            detections[count++] = d;
    }
    return count;
}
