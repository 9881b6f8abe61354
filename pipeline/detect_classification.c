/* Classification: one vector of scores.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_boxes.h"

#include <math.h>

static enum shk_status setup(struct shk_detector *detector, const struct shk_graph *graph,
                             const struct shk_modelinfo *info, struct shk_error *error)
{
    const struct shk_tensor *t = graph->output_count == 1 ? &graph->tensors[graph->outputs[0]] : NULL;
    uint32_t rank = t ? t->shape.rank : 0;
    uint32_t classes = rank ? (uint32_t)t->shape.dims[rank - 1] : 0;
    enum shk_scores scores = info->outputs[0].scores;
    bool said = info->has_decoder && scores != SHK_SCORES_UNSAID;
    if (classes < 2 || shk_shape_elements(&t->shape) != classes || !shk_boxes_is_readable(graph, 0) ||
        (!said && !shk_output_is_probability(graph, 0)))
        return shk_fail(
            error, SHK_ERROR_BAD_MODEL,
            "%s: decoder classification needs a model with one output, a vector of two or more scores "
            "between 0 and 1 (or scores=softmax or logits in its section)",
            shk_modelinfo_name(info, graph));
    detector->class_count = classes;
    detector->logits = said && scores == SHK_SCORES_LOGITS;
    detector->softmax = said && scores == SHK_SCORES_SOFTMAX;
    return SHK_OK;
}

static uint32_t capacity(const struct shk_detector *detector, const struct shk_graph *graph,
                         const struct shk_session_params *params)
{
    (void)graph;
    return SHK_MIN(shk_max_detections(params), detector->class_count);
}

static uint32_t decode(const struct shk_decode *frame, struct shk_detection *detections)
{
    const struct shk_values v = shk_boxes_values(frame, 0);
    uint32_t classes = frame->detector->class_count;
    float threshold = shk_score_threshold(frame->params);
    struct shk_detection_list list = {detections, 0, capacity(frame->detector, frame->graph, frame->params)};
    float most = shk_value(&v, shk_boxes_best(&v, 0, 1, classes)), sum = 0.0f;
    for (uint32_t c = 0; c < classes && frame->detector->softmax; c++)
        sum += expf(shk_value(&v, c) - most);
    for (uint32_t c = 0; c < classes; c++) {
        float score = frame->detector->softmax ? expf(shk_value(&v, c) - most) / sum
                                               : shk_boxes_probability(frame->detector, shk_value(&v, c));
        if (score >= threshold)
            shk_detection_insert(&list,
                                 &(struct shk_detection){c, shk_clamp01(score), 0.0f, 0.0f, 1.0f, 1.0f});
    }
    return list.count;
}

const struct shk_decoder_def shk_decoder_classification = {
    .decoder = SHK_DECODER_CLASSIFICATION,
    .name = "classification",
    .keys = SHK_KEY_SCORES,
    .softmax = true,
    .setup = setup,
    .capacity = capacity,
    .decode = decode,
};
