/* Raw SSD heads (Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg 2016), BlazeFace (Bazarevsky et al. 2019)
 * among them: an output [1, N, 4 or more] with a box for each of N anchors, and one [1, N, classes] with
 * scores. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * With an anchor's centre (ax, ay) and size (aw, ah): the box's centre is (x / x_scale * aw + ax, y / y_scale
 * * ah + ay), its size exp(width / w_scale) * aw, exp(height / h_scale) * ah, or, linear, without the exp.
 * That is MediaPipe's TensorsToDetectionsCalculator and TFLite_Detection_PostProcess; where SSD is described
 * with variances, scales are their inverses. Values of a box after the fourth (keypoints) are not read.
 * MediaPipe's clipping of logits (score_clipping_thresh) changes no score here: a sigmoid of floats saturates
 * by itself.
 *
 * No model says what its anchors are: this decoder needs a sidecar; detect_priors.h says how anchors are
 * made. */
#include "detect_boxes.h"

#include "detect_priors.h"

#define MAX_BOXES (1u << 24)

/* All that follows from "ultra-lightweight-face-detection-rfb-320-v1-...-without-postproc":
 * Ultra-Light-Fast-Generic- Face-Detector-1MB's vision/ssd/config/fd_config.py. Anchors end at the input's
 * edges. */
static void describe_ultra_light(const struct shk_detector *d, struct shk_output_info *own)
{
    static const float strides[] = {8, 16, 32, 64};
    static const float sizes[][3] = {{10, 16, 24}, {32, 48}, {64, 96}, {128, 192, 256}};
    own->stride_count = own->anchor_lists = SHK_ARRAY_LEN(strides);
    for (uint32_t i = 0; i < SHK_ARRAY_LEN(strides); i++) {
        own->strides[i] = strides[i];
        own->anchors[i].count = 0;
        for (uint32_t a = 0; a < 3 && sizes[i][a] > 0.0f; a++) {
            own->anchors[i].sizes[a][0] = SHK_MIN(sizes[i][a], d->width);
            own->anchors[i].sizes[a][1] = SHK_MIN(sizes[i][a], d->height);
            own->anchors[i].count++;
        }
    }
}

/* 1 x N x at least `least`? */
static bool is_table(const struct shk_graph *graph, uint32_t output, int32_t least)
{
    const struct shk_shape *s = &graph->tensors[graph->outputs[output]].shape;
    return shk_boxes_is_readable(graph, output) && s->rank == 3 && s->dims[0] == 1 && s->dims[2] >= least;
}

static uint32_t rows_of(const struct shk_graph *graph, uint32_t output)
{
    return (uint32_t)graph->tensors[graph->outputs[output]].shape.dims[1];
}

/* Outputs. */
struct places {
    uint32_t boxes, scores;
};

/* The boxes are where the sidecar gives strides; the scores where it says something of scores, or in the only
 * other output with as many rows. */
static bool find_outputs(struct places *places, const struct shk_graph *graph, const struct shk_modelinfo *info)
{
    uint32_t outputs = SHK_MIN(graph->output_count, (uint32_t)SHK_MAX_HEADS), boxes = 0, said = 0, likely = 0;
    for (uint32_t i = 0; i < outputs; i++)
        if (info->outputs[i].stride_count || info->outputs[i].is_ultra_light_boxes) {
            places->boxes = i;
            boxes++;
        }
    if (boxes != 1 || !is_table(graph, places->boxes, SHK_BOX_VALUES))
        return false;
    for (uint32_t i = 0; i < outputs; i++) {
        bool says = info->outputs[i].keys & (SHK_KEY_SCORES | SHK_KEY_BACKGROUND);
        if (i == places->boxes || !is_table(graph, i, 1) || rows_of(graph, i) != rows_of(graph, places->boxes))
            continue;
        said += says;
        likely++;
        if (says || said == 0)
            places->scores = i;
    }
    return said == 1 || (said == 0 && likely == 1);
}

/* What is said of an output where another would have to say it is a mistake. */
static enum shk_status check_places(const struct places *places, const struct shk_modelinfo *info,
                                    struct shk_error *error)
{
    const uint32_t of_scores = SHK_KEY_SCORES | SHK_KEY_BACKGROUND;
    for (uint32_t i = 0; i < SHK_MAX_HEADS; i++) {
        uint32_t allowed = i == places->boxes ? ~of_scores : i == places->scores ? of_scores : 0;
        for (uint32_t k = 0; k < SHK_KEY_COUNT; k++)
            if (info->outputs[i].keys & ~allowed & 1u << k)
                return shk_fail(
                    error, SHK_ERROR_BAD_MODEL,
                    "%s:%u: this section has the key %s; decoder ssd-anchors expects scores and background "
                    "in the section of the scores, all others in that of the boxes",
                    info->path, info->outputs[i].line, shk_modelinfo_key_name(1u << k));
    }
    return SHK_OK;
}

static enum shk_status read_scores(struct shk_detector *detector, const struct places *places,
                                   const struct shk_graph *graph, const struct shk_modelinfo *info,
                                   struct shk_error *error)
{
    struct shk_box_code *code = &detector->code;
    const struct shk_output_info *own = &info->outputs[places->scores];
    const struct shk_tensor *t = &graph->tensors[graph->outputs[places->scores]];
    uint32_t classes = (uint32_t)t->shape.dims[2];
    code->background =
        own->background == SHK_BACKGROUND_UNSAID ? classes > 1 : own->background == SHK_BACKGROUND_FIRST;
    if (classes <= code->background)
        return shk_fail(
            error, SHK_ERROR_BAD_MODEL,
            "%s: decoder ssd-anchors: background=first leaves no class in output [%s], which has %u",
            shk_modelinfo_name(info, graph), t->name, classes);
    if (own->scores == SHK_SCORES_UNSAID && !shk_output_is_probability(graph, places->scores))
        return shk_fail(
            error, SHK_ERROR_BAD_MODEL,
            "%s: whether scores are probabilities cannot be told from output [%s]: add scores=logits, "
            "softmax or probabilities to its section",
            shk_modelinfo_name(info, graph), t->name);
    detector->softmax = own->scores == SHK_SCORES_SOFTMAX;
    detector->logits = own->scores == SHK_SCORES_LOGITS;
    detector->class_count = classes - code->background;
    return SHK_OK;
}

static enum shk_status read_boxes(struct shk_detector *detector, const struct places *places,
                                  const struct shk_graph *graph, const struct shk_modelinfo *info,
                                  struct shk_error *error)
{
    static const float usual_scales[] = {10.0f, 10.0f, 5.0f, 5.0f};
    struct shk_box_code *code = &detector->code;
    struct shk_output_info own = info->outputs[places->boxes];
    const struct shk_tensor *t = &graph->tensors[graph->outputs[places->boxes]];
    const char *reason;
    if (own.is_ultra_light_boxes && !(own.keys & (SHK_KEY_STRIDES | SHK_KEY_ANCHORS)))
        describe_ultra_light(detector, &own);
    uint32_t anchors = shk_priors_fill(detector, &own, &reason);
    if (reason)
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s:%u: decoder ssd-anchors: %s", info->path, own.line,
                        reason);
    for (uint32_t h = 0, first = 0; h < detector->head_count; first += shk_head_count(&detector->heads[h++])) {
        detector->heads[h].output = places->boxes;
        detector->heads[h].scores = places->scores;
        detector->heads[h].first = first;
    }
    detector->candidates = rows_of(graph, places->boxes);
    if (anchors != detector->candidates || anchors > MAX_BOXES)
        return shk_fail(
            error, SHK_ERROR_BAD_MODEL,
            "%s:%u: decoder ssd-anchors: strides and anchors make %u boxes on a %gx%g input; output [%s] "
            "has %u, and %u is the most",
            info->path, own.line, anchors, (double)detector->width, (double)detector->height, t->name,
            detector->candidates, MAX_BOXES);
    code->ssd = code->cells = true;
    code->values = (uint32_t)t->shape.dims[2];
    code->stride_centers = own.stride_centers;
    code->yxhw = own.yxhw;
    code->size = own.linear_sizes ? SHK_SIZE_PLAIN : SHK_SIZE_EXP;
    for (int i = 0; i < SHK_BOX_VALUES; i++)
        code->scales[i] = own.keys & SHK_KEY_BOX_SCALES ? own.box_scales[i] : usual_scales[i];
    return SHK_OK;
}

static enum shk_status setup(struct shk_detector *detector, const struct shk_graph *graph,
                             const struct shk_modelinfo *info, struct shk_error *error)
{
    struct places places = {0, 0};
    enum shk_status status = shk_boxes_init(detector, graph, info, error);
    if (!status && !info->has_decoder)
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: no sidecar names decoder ssd-anchors", graph->name);
    if (!status && !find_outputs(&places, graph, info))
        status = shk_fail(
            error, SHK_ERROR_BAD_MODEL,
            "%s: decoder ssd-anchors needs one output of 1 x N x 4 or more (boxes) with strides= in its "
            "section, and one of 1 x N x classes, with scores= in its section if there are several",
            shk_modelinfo_name(info, graph));
    if (!status)
        status = check_places(&places, info, error);
    if (!status)
        status = read_boxes(detector, &places, graph, info, error);
    return status ? status : read_scores(detector, &places, graph, info, error);
}

const struct shk_decoder_def shk_decoder_ssd_anchors = {
    .decoder = SHK_DECODER_SSD_ANCHORS,
    .name = "ssd-anchors",
    .keys = ((1u << SHK_KEY_COUNT) - 1) & ~(uint32_t)SHK_KEY_BOXES,
    .softmax = true,
    .setup = setup,
    .capacity = shk_boxes_capacity,
    .decode = shk_boxes_decode,
    .has_code = true,
};
