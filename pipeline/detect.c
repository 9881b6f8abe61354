/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect.h"

#include <math.h>
#include <string.h>

#include "ops/detection_postprocess.h"

/* ---- lists of detections, highest confidence first ---- */

struct list {
    struct shk_detection *items;
    uint32_t count, capacity;
};

/* Equal ones stay in the order in which they came; what does not fit any more is dropped. */
static void insert(struct list *list, const struct shk_detection *detection)
{
    uint32_t at = list->count;
    while (at > 0 && list->items[at - 1].confidence < detection->confidence)
        at--;
    if (at >= list->capacity)
        return;
    uint32_t kept = SHK_MIN(list->count, list->capacity - 1);
    memmove(&list->items[at + 1], &list->items[at], (kept - at) * sizeof(*list->items));
    list->items[at] = *detection;
    list->count = kept + 1;
}

static float clamp01(float x)
{
    return SHK_CLAMP(x, 0.0f, 1.0f);
}

static uint32_t limit(const struct shk_session_params *params, uint32_t own)
{
    return params->max_detections ? SHK_MIN(params->max_detections, own) : own;
}

/* The op that writes the tensor, or NULL. */
static const struct shk_op *producer(const struct shk_graph *graph, uint32_t tensor)
{
    for (uint32_t i = 0; i < graph->op_count; i++)
        for (uint32_t k = 0; k < graph->ops[i].output_count; k++)
            if (graph->ops[i].outputs[k] == tensor)
                return &graph->ops[i];
    return NULL;
}

/* ---- SSD: the outputs of TFLite_Detection_PostProcess, in whatever order the model lists them ---- */

/* The post-process op all of whose outputs are the model's, and where; or NULL. */
static const struct shk_op *ssd_op(const struct shk_graph *graph, uint32_t where[4])
{
    const struct shk_op *op = graph->output_count ? producer(graph, graph->outputs[0]) : NULL;
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

static const struct shk_detection_attrs *ssd_attrs(const struct shk_graph *graph)
{
    uint32_t where[4];
    return ssd_op(graph, where)->attrs;
}

/* Rows that one detection fills. */
static uint32_t ssd_categories(const struct shk_detection_attrs *attrs)
{
    return attrs->regular ? 1 : (uint32_t)SHK_MIN(attrs->max_classes, attrs->class_count);
}

static bool ssd_matches(const struct shk_graph *graph)
{
    uint32_t where[4];
    return ssd_op(graph, where) != NULL;
}

static uint32_t ssd_class_count(const struct shk_graph *graph)
{
    return (uint32_t)ssd_attrs(graph)->class_count;
}

static uint32_t ssd_capacity(const struct shk_graph *graph, const struct shk_session_params *params)
{
    const struct shk_detection_attrs *attrs = ssd_attrs(graph);
    return limit(params, (uint32_t)attrs->max_detections) * ssd_categories(attrs);
}

/* False if nothing of the box is left inside the frame. NaN fails every comparison. */
static bool place_box(const struct shk_placement *p, const float *box, struct shk_detection *d)
{
    d->y_min = p->y_offset + p->y_scale * box[0];
    d->x_min = p->x_offset + p->x_scale * box[1];
    d->y_max = p->y_offset + p->y_scale * box[2];
    d->x_max = p->x_offset + p->x_scale * box[3];
    if (!(d->x_min < d->x_max && d->y_min < d->y_max))
        return false;
    d->x_min = clamp01(d->x_min);
    d->y_min = clamp01(d->y_min);
    d->x_max = clamp01(d->x_max);
    d->y_max = clamp01(d->y_max);
    return d->x_min < d->x_max && d->y_min < d->y_max;
}

static uint32_t ssd_decode(const struct shk_decode *frame, struct shk_detection *detections)
{
    uint32_t where[4];
    const struct shk_detection_attrs *attrs = ssd_op(frame->graph, where)->attrs;
    const float *boxes = frame->outputs[where[SHK_DETECTION_BOXES]];
    const float *classes = frame->outputs[where[SHK_DETECTION_CLASSES]];
    const float *scores = frame->outputs[where[SHK_DETECTION_SCORES]];
    float reported = *(const float *)frame->outputs[where[SHK_DETECTION_COUNT]];
    uint32_t max = limit(frame->params, (uint32_t)attrs->max_detections);
    uint32_t count = reported >= (float)max ? max : reported > 0.0f ? (uint32_t)reported : 0;
    uint32_t spacing = attrs->regular ? 1 : (uint32_t)attrs->max_classes, categories = ssd_categories(attrs);
    struct list list = {detections, 0, max * categories};
    for (uint32_t i = 0; i < count * categories; i++) {
        uint32_t row = i / categories * spacing + i % categories;
        struct shk_detection d = {.confidence = clamp01(scores[row])};
        if (!(scores[row] >= frame->params->score_threshold) || !(scores[row] > 0.0f) ||
            !(classes[row] >= 0.0f && classes[row] < (float)attrs->class_count))
            continue;
        d.class_id = (uint32_t)classes[row];
        if (place_box(&frame->placement, boxes + (size_t)row * 4, &d))
            insert(&list, &d);
    }
    return list.count;
}

/* ---- classification: one vector of scores ---- */

/* The 8 bit tensor that holds the scores, or out of which DEQUANTIZE makes them; NULL if there is none. */
static const struct shk_tensor *class_scores(const struct shk_graph *graph)
{
    uint32_t tensor = graph->outputs[0];
    if (graph->tensors[tensor].dtype == SHK_DTYPE_FLOAT32) {
        const struct shk_op *op = producer(graph, tensor);
        if (!op || strcmp(op->spelling->name, "DEQUANTIZE") != 0)
            return NULL;
        tensor = op->inputs[0];
    }
    const struct shk_tensor *t = &graph->tensors[tensor];
    return t->dtype == SHK_DTYPE_INT8 && t->quant.count == 1 ? t : NULL;
}

/* One vector whose quantization covers 0 to 1 and little more: what follows a softmax or a sigmoid. */
static bool classification_matches(const struct shk_graph *graph)
{
    const struct shk_tensor *t = graph->output_count == 1 ? class_scores(graph) : NULL;
    if (!t || t->shape.rank == 0)
        return false;
    uint32_t classes = (uint32_t)t->shape.dims[t->shape.rank - 1];
    float low = t->quant.scales[0] * (float)(-128 - t->quant.zero_points[0]);
    float high = t->quant.scales[0] * (float)(127 - t->quant.zero_points[0]);
    return classes >= 2 && shk_shape_elements(&t->shape) == classes && low > -0.05f && low < 0.05f &&
           high > 0.5f && high < 1.05f;
}

static uint32_t classification_class_count(const struct shk_graph *graph)
{
    return (uint32_t)shk_shape_elements(&graph->tensors[graph->outputs[0]].shape);
}

static uint32_t classification_capacity(const struct shk_graph *graph,
                                        const struct shk_session_params *params)
{
    uint32_t most = params->max_detections ? params->max_detections : SHK_DEFAULT_MAX_DETECTIONS;
    return SHK_MIN(most, classification_class_count(graph));
}

static uint32_t classification_decode(const struct shk_decode *frame, struct shk_detection *detections)
{
    const struct shk_tensor *t = &frame->graph->tensors[frame->graph->outputs[0]];
    bool is_float = t->dtype == SHK_DTYPE_FLOAT32;
    float own = frame->params->score_threshold;
    float threshold = own >= 0.0f ? own : SHK_DEFAULT_SCORE_THRESHOLD;
    struct list list = {detections, 0, classification_capacity(frame->graph, frame->params)};
    for (uint32_t c = 0; c < classification_class_count(frame->graph); c++) {
        float score = is_float ? ((const float *)frame->outputs[0])[c]
                               : t->quant.scales[0] * (float)(((const int8_t *)frame->outputs[0])[c] -
                                                              t->quant.zero_points[0]);
        if (score >= threshold)
            insert(&list, &(struct shk_detection){c, clamp01(score), 0.0f, 0.0f, 1.0f, 1.0f});
    }
    return list.count;
}

/* ---- the table ---- */

static const struct shk_decoder_def decoders[] = {
    {SHK_DECODER_SSD, "ssd", ssd_matches, ssd_class_count, ssd_capacity, ssd_decode},
    {SHK_DECODER_CLASSIFICATION, "classification", classification_matches, classification_class_count,
     classification_capacity, classification_decode},
};

const struct shk_decoder_def *shk_decoder_find(const struct shk_graph *graph)
{
    for (size_t i = 0; i < SHK_ARRAY_LEN(decoders); i++)
        if (decoders[i].matches(graph))
            return &decoders[i];
    return NULL;
}
