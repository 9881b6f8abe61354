/* SSD: the outputs of TFLite_Detection_PostProcess, in whatever order the model lists them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect.h"

#include "ops/detection_postprocess.h"

/* The post-process op all of whose outputs are the model's, and where; or NULL. */
static const struct shk_op *find_op(const struct shk_graph *graph, uint32_t where[4])
{
    const struct shk_op *op = graph->output_count ? shk_producer(graph, graph->outputs[0]) : NULL;
    uint32_t found = 0;
    if (!op || op->def != &shk_op_detection_postprocess)
        return NULL;
    for (uint32_t k = 0; k < 4; k++)
        for (uint32_t i = 0; i < graph->output_count; i++)
            if (graph->outputs[i] == op->outputs[k]) {
                where[k] = i;
                found |= 1u << k;
            }
    return found == 15 ? op : NULL;
}

/* Rows that one detection fills. */
static uint32_t categories_of(const struct shk_detection_attrs *attrs)
{
    return attrs->regular ? 1 : (uint32_t)SHK_MIN(attrs->max_classes, attrs->class_count);
}

static enum shk_status setup(struct shk_detector *detector, const struct shk_graph *graph,
                             const struct shk_modelinfo *info, struct shk_error *error)
{
    uint32_t where[4];
    const struct shk_op *op = find_op(graph, where);
    if (!op)
        return shk_fail(
            error, SHK_ERROR_BAD_MODEL,
            "%s: decoder ssd needs a model whose outputs are those of TFLite_Detection_PostProcess",
            shk_modelinfo_name(info, graph));
    detector->class_count = (uint32_t)((const struct shk_detection_attrs *)op->attrs)->class_count;
    return SHK_OK;
}

static uint32_t limit(const struct shk_session_params *params, const struct shk_detection_attrs *attrs)
{
    uint32_t own = (uint32_t)attrs->max_detections;
    return params->max_detections ? SHK_MIN(params->max_detections, own) : own;
}

static uint32_t capacity(const struct shk_detector *detector, const struct shk_graph *graph,
                         const struct shk_session_params *params)
{
    (void)detector;
    uint32_t where[4];
    const struct shk_detection_attrs *attrs = find_op(graph, where)->attrs;
    return limit(params, attrs) * categories_of(attrs);
}

static uint32_t decode(const struct shk_decode *frame, struct shk_detection *detections)
{
    uint32_t where[4];
    const struct shk_detection_attrs *attrs = find_op(frame->graph, where)->attrs;
    const float *boxes = frame->outputs[where[SHK_DETECTION_BOXES]];
    const float *classes = frame->outputs[where[SHK_DETECTION_CLASSES]];
    const float *scores = frame->outputs[where[SHK_DETECTION_SCORES]];
    float reported = *(const float *)frame->outputs[where[SHK_DETECTION_COUNT]];
    uint32_t max = limit(frame->params, attrs);
    uint32_t count = reported >= (float)max ? max : reported > 0.0f ? (uint32_t)reported : 0;
    uint32_t spacing = attrs->regular ? 1 : (uint32_t)attrs->max_classes, categories = categories_of(attrs);
    struct shk_detection_list list = {detections, 0, max * categories};
    for (uint32_t i = 0; i < count * categories; i++) {
        uint32_t row = i / categories * spacing + i % categories;
        const float *box = boxes + (size_t)row * 4;
        struct shk_detection d = {.confidence = shk_clamp01(scores[row])};
        if (!(scores[row] >= frame->params->score_threshold) || !(scores[row] > 0.0f) ||
            !(classes[row] >= 0.0f && classes[row] < (float)attrs->class_count))
            continue;
        d.class_id = (uint32_t)classes[row];
        if (shk_box_place(&frame->placement, box[1], box[0], box[3], box[2], &d))
            shk_detection_insert(&list, &d);
    }
    return list.count;
}

const struct shk_decoder_def shk_decoder_ssd = {
    .decoder = SHK_DECODER_SSD,
    .name = "ssd",
    .setup = setup,
    .capacity = capacity,
    .decode = decode,
};
