/* YOLOv3 (Redmon, Farhadi 2018) and what follows its head: one output [1, rows, columns, anchors * (5 +
 * classes)] for each grid. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An anchor's values are x, y, width, height, objectness, classes. The centre is (column + sigmoid(x),
 * row + sigmoid(y)) * stride, the size exp(width, height) * the anchor's. Nothing in the model says how large
 * its anchors are: this decoder needs a sidecar. */
#include "detect_boxes.h"

#include <math.h>

#define ROW_SCORES 5 /* where the classes begin */
#define MAX_BOXES  (1u << 24)

static enum shk_status fail_head(const struct shk_detector *detector, const struct shk_graph *graph,
                                 const struct shk_modelinfo *info, uint32_t output, const char *expected,
                                 struct shk_error *error)
{
    char text[64];
    const struct shk_tensor *t = &graph->tensors[graph->outputs[output]];
    return shk_fail(
        error, SHK_ERROR_BAD_MODEL,
        "%s: decoder yolov3 needs %s for each output, on a %gx%g input; output [%s] is %s with %u anchors",
        shk_modelinfo_name(info, graph), expected, (double)detector->width, (double)detector->height, t->name,
        shk_shape_string(&t->shape, text), info->outputs[output].anchors[0].count);
}

static enum shk_status add_head(struct shk_detector *detector, const struct shk_graph *graph,
                                const struct shk_modelinfo *info, uint32_t output, struct shk_error *error)
{
    const struct shk_output_info *own = &info->outputs[output];
    const struct shk_tensor *t = &graph->tensors[graph->outputs[output]];
    const int32_t *dims = t->shape.dims;
    if (own->anchor_lists != 1)
        return fail_head(detector, graph, info, output, "a section with anchors=W,H;W,H;...", error);
    if (!shk_boxes_is_readable(graph, output) || t->shape.rank != 4 || dims[0] != 1)
        return fail_head(detector, graph, info, output, "1 x rows x columns x channels", error);
    uint32_t channels = (uint32_t)dims[3], anchors = own->anchors[0].count;
    if (channels % anchors != 0 || channels / anchors <= ROW_SCORES ||
        (output > 0 && channels / anchors != ROW_SCORES + detector->class_count))
        return fail_head(detector, graph, info, output, "as many anchors * (5 + classes) channels", error);
    float stride = own->stride_count ? own->strides[0] : detector->height / (float)dims[1];
    if (own->stride_count > 1 || stride * (float)dims[1] != detector->height ||
        stride * (float)dims[2] != detector->width)
        return fail_head(detector, graph, info, output,
                         "one stride that makes its grid the size of the input", error);
    struct shk_head *head = &detector->heads[detector->head_count++];
    *head = (struct shk_head){output, (uint32_t)dims[1], (uint32_t)dims[2], stride, anchors, {{0}}};
    for (uint32_t a = 0; a < anchors; a++) {
        head->anchors[a][0] = own->anchors[0].sizes[a][0];
        head->anchors[a][1] = own->anchors[0].sizes[a][1];
    }
    detector->class_count = channels / anchors - ROW_SCORES;
    uint64_t candidates = (uint64_t)head->rows * head->columns * anchors + detector->candidates;
    if (candidates > MAX_BOXES)
        return fail_head(detector, graph, info, output, "at most 2^24 boxes", error);
    detector->candidates = (uint32_t)candidates;
    return SHK_OK;
}

static enum shk_status setup(struct shk_detector *detector, const struct shk_graph *graph,
                             const struct shk_modelinfo *info, struct shk_error *error)
{
    enum shk_status status = shk_boxes_init(detector, graph, info, error);
    if (!status && graph->output_count > SHK_MAX_HEADS)
        status = shk_fail(error, SHK_ERROR_BAD_MODEL,
                          "%s: decoder yolov3 reads up to %d outputs, the model has %u",
                          shk_modelinfo_name(info, graph), SHK_MAX_HEADS, graph->output_count);
    detector->logits = info->outputs[0].scores != SHK_SCORES_PROBABILITIES;
    for (uint32_t i = 0; i < graph->output_count && !status; i++) {
        status = add_head(detector, graph, info, i, error);
        if (!status && info->outputs[i].scores != info->outputs[0].scores)
            status = fail_head(detector, graph, info, i, "the same scores=", error);
    }
    return status;
}

static void decode_head(const struct shk_decode *frame, const struct shk_head *head)
{
    const struct shk_detector *d = frame->detector;
    const struct shk_values v = shk_boxes_values(frame, head->output);
    float threshold = shk_score_threshold(frame->params);
    uint32_t step = ROW_SCORES + d->class_count, boxes = head->rows * head->columns * head->anchor_count;
    for (uint32_t i = 0; i < boxes; i++) {
        size_t at = (size_t)i * step;
        float objectness = shk_boxes_probability(frame, &v, at + ROW_SCORES - 1);
        if (!(objectness >= threshold))
            continue;
        uint32_t best = shk_boxes_best(&v, at + ROW_SCORES, 1, d->class_count);
        uint32_t cell = i / head->anchor_count;
        const float *anchor = head->anchors[i % head->anchor_count];
        struct shk_box box = {
            ((float)(cell % head->columns) + shk_boxes_sigmoid(shk_value(&v, at))) * head->stride / d->width,
            ((float)(cell / head->columns) + shk_boxes_sigmoid(shk_value(&v, at + 1))) * head->stride /
                d->height,
            expf(shk_value(&v, at + 2)) * anchor[0] / d->width,
            expf(shk_value(&v, at + 3)) * anchor[1] / d->height,
        };
        shk_boxes_add(frame, best, objectness * shk_boxes_probability(frame, &v, at + ROW_SCORES + best),
                      box);
    }
}

static uint32_t decode(const struct shk_decode *frame, struct shk_detection *detections)
{
    shk_nms_reset(frame->nms);
    for (uint32_t h = 0; h < frame->detector->head_count; h++)
        decode_head(frame, &frame->detector->heads[h]);
    return shk_boxes_finish(frame, detections);
}

const struct shk_decoder_def shk_decoder_yolov3 = {
    .decoder = SHK_DECODER_YOLOV3,
    .name = "yolov3",
    .keys = SHK_KEY_ANCHORS | SHK_KEY_STRIDES | SHK_KEY_SCORES,
    .setup = setup,
    .capacity = shk_boxes_capacity,
    .decode = decode,
};
