/* The table of decoders, and what several of them need.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect.h"

#include <stdio.h>
#include <string.h>

static const struct shk_decoder_def *const decoders[] = {
    &shk_decoder_ssd,    &shk_decoder_classification, &shk_decoder_yolox,       &shk_decoder_yolov3,
    &shk_decoder_yolov5, &shk_decoder_yolov8,         &shk_decoder_ssd_anchors,
};

const char *shk_decoder_string(enum shk_decoder decoder)
{
    for (size_t i = 0; i < SHK_ARRAY_LEN(decoders); i++)
        if (decoders[i]->decoder == decoder)
            return decoders[i]->name;
    return "none";
}

bool shk_decoder_by_name(const char *name, enum shk_decoder *decoder)
{
    *decoder = SHK_DECODER_NONE;
    for (size_t i = 0; i < SHK_ARRAY_LEN(decoders); i++)
        if (strcmp(decoders[i]->name, name) == 0) {
            *decoder = decoders[i]->decoder;
            return true;
        }
    return strcmp(name, "none") == 0;
}

const char *shk_decoder_names(char *text, size_t size)
{
    size_t length = (size_t)snprintf(text, size, "none");
    for (size_t i = 0; i < SHK_ARRAY_LEN(decoders) && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, ", %s", decoders[i]->name);
    return text;
}

/* The chosen decoder's, or the first one for which the outputs leave no doubt. */
static enum shk_status find(struct shk_detector *detector, const struct shk_graph *graph,
                            const struct shk_modelinfo *info, struct shk_error *error)
{
    for (size_t i = 0; i < SHK_ARRAY_LEN(decoders); i++) {
        if (info->has_decoder && info->decoder != decoders[i]->decoder)
            continue;
        *detector = (struct shk_detector){.def = decoders[i]};
        enum shk_status status = decoders[i]->setup(detector, graph, info, info->has_decoder ? error : NULL);
        if (!status || info->has_decoder)
            return status;
    }
    *detector = (struct shk_detector){.def = NULL};
    return SHK_OK;
}

/* What a sidecar says and nobody reads is a mistake of whoever wrote it. */
static enum shk_status check_keys(const struct shk_detector *detector, const struct shk_graph *graph,
                                  const struct shk_modelinfo *info, struct shk_error *error)
{
    const struct shk_decoder_def *def = detector->def;
    for (uint32_t i = 0; i < SHK_MAX_HEADS && i < graph->output_count; i++) {
        const struct shk_output_info *output = &info->outputs[i];
        for (uint32_t k = 0; k < SHK_KEY_COUNT; k++)
            if (output->keys & ~(def ? def->keys : 0u) & 1u << k)
                return shk_fail(
                    error, SHK_ERROR_BAD_MODEL,
                    def ? "%s:%u: this section has the key %s, which decoder %s does not read"
                        : "%s:%u: this section has the key %s, but the decoder is %s: name one in "
                          "[modelinfo] (decoder=yolov3)",
                    info->path, output->line, shk_modelinfo_key_name(1u << k), def ? def->name : "none");
        if (def && !def->softmax && output->keys & SHK_KEY_SCORES && output->scores == SHK_SCORES_SOFTMAX)
            return shk_fail(error, SHK_ERROR_BAD_MODEL,
                            "%s:%u: decoder %s expects scores=logits or probabilities, found softmax",
                            info->path, output->line, def->name);
    }
    return SHK_OK;
}

enum shk_status shk_detector_init(struct shk_detector *detector, const struct shk_graph *graph,
                                  const struct shk_modelinfo *info, struct shk_error *error)
{
    enum shk_status status = find(detector, graph, info, error);
    if (!status)
        status = check_keys(detector, graph, info, error);
    if (status)
        *detector = (struct shk_detector){.def = NULL};
    return status;
}

float shk_score_threshold(const struct shk_session_params *params)
{
    return params->score_threshold >= 0.0f ? params->score_threshold : SHK_DEFAULT_SCORE_THRESHOLD;
}

uint32_t shk_max_detections(const struct shk_session_params *params)
{
    return params->max_detections ? params->max_detections : SHK_DEFAULT_MAX_DETECTIONS;
}

void shk_detection_insert(struct shk_detection_list *list, const struct shk_detection *detection)
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

/* NaN fails every comparison. */
bool shk_box_place(const struct shk_placement *p, float x_min, float y_min, float x_max, float y_max,
                   struct shk_detection *d)
{
    d->x_min = p->x_offset + p->x_scale * x_min;
    d->y_min = p->y_offset + p->y_scale * y_min;
    d->x_max = p->x_offset + p->x_scale * x_max;
    d->y_max = p->y_offset + p->y_scale * y_max;
    if (!(d->x_min < d->x_max && d->y_min < d->y_max))
        return false;
    d->x_min = shk_clamp01(d->x_min);
    d->y_min = shk_clamp01(d->y_min);
    d->x_max = shk_clamp01(d->x_max);
    d->y_max = shk_clamp01(d->y_max);
    return d->x_min < d->x_max && d->y_min < d->y_max;
}

const struct shk_op *shk_producer(const struct shk_graph *graph, uint32_t tensor)
{
    for (uint32_t i = 0; i < graph->op_count; i++)
        for (uint32_t k = 0; k < graph->ops[i].output_count; k++)
            if (graph->ops[i].outputs[k] == tensor)
                return &graph->ops[i];
    return NULL;
}

const struct shk_tensor *shk_output_quantized(const struct shk_graph *graph, uint32_t output)
{
    uint32_t tensor = graph->outputs[output];
    if (graph->tensors[tensor].dtype == SHK_DTYPE_FLOAT32) {
        const struct shk_op *op = shk_producer(graph, tensor);
        if (!op || strcmp(op->spelling->name, "DEQUANTIZE") != 0)
            return NULL;
        tensor = op->inputs[0];
    }
    const struct shk_tensor *t = &graph->tensors[tensor];
    return t->dtype == SHK_DTYPE_INT8 && t->quant.count == 1 ? t : NULL;
}

void shk_quantized_range(const struct shk_tensor *tensor, float *low, float *high)
{
    *low = shk_level_value(tensor, INT8_MIN);
    *high = shk_level_value(tensor, INT8_MAX);
}

bool shk_output_is_probability(const struct shk_graph *graph, uint32_t output)
{
    const struct shk_tensor *t = shk_output_quantized(graph, output);
    float low, high;
    if (!t)
        return false;
    shk_quantized_range(t, &low, &high);
    return low > -0.05f && low < 0.05f && high > 0.5f && high < 1.05f;
}
