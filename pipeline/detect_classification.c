/* Classification: one vector of scores.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect.h"

/* Does the quantization cover 0 to 1 and little more? So it does after a softmax or a sigmoid. */
static bool is_probability(const struct shk_tensor *t)
{
    float low, high;
    shk_quantized_range(t, &low, &high);
    return low > -0.05f && low < 0.05f && high > 0.5f && high < 1.05f;
}

static enum shk_status setup(struct shk_detector *detector, const struct shk_graph *graph,
                             const struct shk_modelinfo *info, struct shk_error *error)
{
    const struct shk_tensor *t = graph->output_count == 1 ? shk_output_quantized(graph, 0) : NULL;
    uint32_t rank = t ? t->shape.rank : 0;
    uint32_t classes = rank ? (uint32_t)t->shape.dims[rank - 1] : 0;
    if (classes < 2 || shk_shape_elements(&t->shape) != classes || !is_probability(t))
        return shk_fail(
            error, SHK_ERROR_BAD_MODEL,
            "%s: decoder classification needs a model with one output, a vector of two or more scores "
            "between 0 and 1",
            shk_modelinfo_name(info, graph));
    detector->class_count = classes;
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
    const struct shk_tensor *t = &frame->graph->tensors[frame->graph->outputs[0]];
    bool is_float = t->dtype == SHK_DTYPE_FLOAT32;
    float threshold = shk_score_threshold(frame->params);
    struct shk_detection_list list = {detections, 0, capacity(frame->detector, frame->graph, frame->params)};
    for (uint32_t c = 0; c < frame->detector->class_count; c++) {
        float score = is_float ? ((const float *)frame->outputs[0])[c]
                               : t->quant.scales[0] * (float)(((const int8_t *)frame->outputs[0])[c] -
                                                              t->quant.zero_points[0]);
        if (score >= threshold)
            shk_detection_insert(&list,
                                 &(struct shk_detection){c, shk_clamp01(score), 0.0f, 0.0f, 1.0f, 1.0f});
    }
    return list.count;
}

const struct shk_decoder_def shk_decoder_classification = {
    .decoder = SHK_DECODER_CLASSIFICATION,
    .name = "classification",
    .setup = setup,
    .capacity = capacity,
    .decode = decode,
};
