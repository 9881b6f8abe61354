/* YOLOv3 (Redmon, Farhadi 2018) and YOLOv5 (Ultralytics), and what follows their heads: one output [1, rows,
 * columns, anchors * (5 + classes)] for each grid. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An anchor's values are x, y, width, height, objectness, classes; s() is the sigmoid.
 *   YOLOv3: centre (column + s(x), row + s(y)) * stride, size exp(width, height) * the anchor's
 *   YOLOv5: centre (column + 2 s(x) - 0.5, row + 2 s(y) - 0.5) * stride, size (2 s(width, height))^2 * the
 * anchor's (models/yolo.py, class Detect) Nothing in the model says how large its anchors are, or which of
 * the two it is: these decoders need a sidecar.
 *
 * YOLOv5's exports (models/tf.py) have all that in the model: one output [1, N, 5 + classes], N the anchors
 * of all cells, with boxes as centre and size. Then there are no anchors to give. */
#include "detect_boxes.h"

#include <math.h>

#define MAX_BOXES (1u << 24)

static enum shk_status fail_head(const struct shk_detector *detector, const struct shk_graph *graph,
                                 const struct shk_modelinfo *info, uint32_t output, const char *expected,
                                 struct shk_error *error)
{
    char text[64];
    const struct shk_tensor *t = &graph->tensors[graph->outputs[output]];
    return shk_fail(
        error, SHK_ERROR_BAD_MODEL,
        "%s: decoder %s needs %s for each output, on a %gx%g input; output [%s] is %s with %u anchors",
        shk_modelinfo_name(info, graph), detector->def->name, expected, (double)detector->width,
        (double)detector->height, t->name, shk_shape_string(&t->shape, text),
        info->outputs[output].anchors[0].count);
}

static enum shk_status add_head(struct shk_detector *detector, const struct shk_graph *graph,
                                const struct shk_modelinfo *info, uint32_t output, struct shk_error *error)
{
    const struct shk_output_info *own = &info->outputs[output];
    const struct shk_tensor *t = &graph->tensors[graph->outputs[output]];
    const int32_t *dims = t->shape.dims;
    if (own->keys & detector->def->keys & SHK_KEY_BOXES)
        return fail_head(detector, graph, info, output, "no boxes=", error);
    if (own->anchor_lists != 1)
        return fail_head(detector, graph, info, output, "a section with anchors=W,H;W,H;...", error);
    if (!shk_boxes_is_readable(graph, output) || t->shape.rank != 4 || dims[0] != 1)
        return fail_head(detector, graph, info, output, "1 x rows x columns x channels", error);
    uint32_t channels = (uint32_t)dims[3], anchors = own->anchors[0].count;
    if (channels % anchors != 0 || channels / anchors <= SHK_ROW_SCORES ||
        (output > 0 && channels / anchors != SHK_ROW_SCORES + detector->class_count))
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
    detector->class_count = channels / anchors - SHK_ROW_SCORES;
    uint64_t candidates = (uint64_t)head->rows * head->columns * anchors + detector->candidates;
    if (candidates > MAX_BOXES)
        return fail_head(detector, graph, info, output, "at most 2^24 boxes", error);
    detector->candidates = (uint32_t)candidates;
    return SHK_OK;
}

static enum shk_status setup_heads(struct shk_detector *detector, const struct shk_graph *graph,
                                   const struct shk_modelinfo *info, struct shk_error *error)
{
    enum shk_status status = SHK_OK;
    if (graph->output_count > SHK_MAX_HEADS)
        status = shk_fail(
            error, SHK_ERROR_BAD_MODEL, "%s: decoder %s reads up to %d outputs, the model has %u",
            shk_modelinfo_name(info, graph), detector->def->name, SHK_MAX_HEADS, graph->output_count);
    detector->logits = info->outputs[0].scores != SHK_SCORES_PROBABILITIES;
    for (uint32_t i = 0; i < graph->output_count && !status; i++) {
        status = add_head(detector, graph, info, i, error);
        if (!status && info->outputs[i].scores != info->outputs[0].scores)
            status = fail_head(detector, graph, info, i, "the same scores=", error);
    }
    return status;
}

static enum shk_status setup_rows(struct shk_detector *detector, const struct shk_graph *graph,
                                  const struct shk_modelinfo *info, struct shk_error *error)
{
    char text[64];
    const struct shk_output_info *own = &info->outputs[0];
    const struct shk_tensor *t = &graph->tensors[graph->outputs[0]];
    const int32_t *dims = t->shape.dims;
    if (!shk_boxes_is_readable(graph, 0) || dims[0] != 1 || dims[2] <= SHK_ROW_SCORES || dims[1] > (int32_t)MAX_BOXES ||
        own->keys & (SHK_KEY_ANCHORS | SHK_KEY_STRIDES))
        return shk_fail(error, SHK_ERROR_BAD_MODEL,
                        "%s: decoder yolov5 needs an output of 1 x N x (5 + classes), with neither anchors "
                        "nor strides in "
                        "its section, or one of 1 x rows x columns x channels for each grid; found %s",
                        shk_modelinfo_name(info, graph), shk_shape_string(&t->shape, text));
    detector->candidates = (uint32_t)dims[1];
    detector->class_count = (uint32_t)dims[2] - SHK_ROW_SCORES;
    detector->logits = own->scores == SHK_SCORES_LOGITS;
    detector->boxes = own->boxes != SHK_BOXES_UNSAID ? own->boxes : shk_boxes_unit(graph, 0);
    if (detector->boxes != SHK_BOXES_PIXELS && detector->boxes != SHK_BOXES_NORMALIZED)
        return shk_fail(error, SHK_ERROR_BAD_MODEL,
                        "%s: the unit of the boxes cannot be told from output [%s]: add boxes=pixels or "
                        "boxes=normalized to its section",
                        shk_modelinfo_name(info, graph), t->name);
    return SHK_OK;
}

static enum shk_status setup(struct shk_detector *detector, const struct shk_graph *graph,
                             const struct shk_modelinfo *info, struct shk_error *error)
{
    enum shk_status status = shk_boxes_init(detector, graph, info, error);
    if (status)
        return status;
    if (!info->has_decoder)
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: no sidecar names decoder %s", graph->name,
                        detector->def->name);
    bool is_rows = detector->def == &shk_decoder_yolov5 && graph->output_count == 1 &&
                   graph->tensors[graph->outputs[0]].shape.rank == 3;
    return (is_rows ? setup_rows : setup_heads)(detector, graph, info, error);
}

static struct shk_box read_box(const struct shk_detector *d, const struct shk_head *head,
                               const struct shk_values *v, size_t at, uint32_t cell, const float *anchor)
{
    float column = (float)(cell % head->columns), row = (float)(cell / head->columns);
    float x = shk_boxes_sigmoid(shk_value(v, at)), y = shk_boxes_sigmoid(shk_value(v, at + 1));
    float w = shk_value(v, at + 2), h = shk_value(v, at + 3);
    if (d->def == &shk_decoder_yolov5) {
        x = 2.0f * x - 0.5f;
        y = 2.0f * y - 0.5f;
        w = 4.0f * shk_boxes_sigmoid(w) * shk_boxes_sigmoid(w);
        h = 4.0f * shk_boxes_sigmoid(h) * shk_boxes_sigmoid(h);
    } else {
        w = expf(w);
        h = expf(h);
    }
    return (struct shk_box){(column + x) * head->stride / d->width, (row + y) * head->stride / d->height,
                            w * anchor[0] / d->width, h * anchor[1] / d->height};
}

/* Rows whose boxes the model has decoded. */
static struct shk_box read_decoded(const struct shk_detector *d, const struct shk_values *v, size_t at)
{
    float x_scale = d->boxes == SHK_BOXES_PIXELS ? 1.0f / d->width : 1.0f;
    float y_scale = d->boxes == SHK_BOXES_PIXELS ? 1.0f / d->height : 1.0f;
    return (struct shk_box){shk_value(v, at) * x_scale, shk_value(v, at + 1) * y_scale, shk_value(v, at + 2) * x_scale,
                            shk_value(v, at + 3) * y_scale};
}

/* `head` NULL: its rows are boxes that the model has decoded. */
static void decode_output(const struct shk_decode *frame, uint32_t output, const struct shk_head *head)
{
    const struct shk_detector *d = frame->detector;
    const struct shk_boxes_rows rows = shk_boxes_rows(frame, output);
    const struct shk_values *v = &rows.values;
    float threshold = shk_score_threshold(frame->params);
    for (uint32_t i = 0; i < rows.count; i++) {
        struct shk_boxes_row row = shk_boxes_row(&rows, i);
        float objectness = shk_boxes_probability(frame, v, row.at + SHK_ROW_OBJECTNESS);
        if (!(objectness >= threshold))
            continue;
        uint32_t best = shk_boxes_best(v, row.at + SHK_ROW_SCORES, 1, d->class_count);
        float score = objectness * shk_boxes_probability(frame, v, row.at + SHK_ROW_SCORES + best);
        shk_boxes_add(frame, best, score,
                      head ? read_box(d, head, v, row.at, row.index / head->anchor_count,
                                      head->anchors[row.index % head->anchor_count])
                           : read_decoded(d, v, row.at));
    }
}

static uint32_t decode(const struct shk_decode *frame, struct shk_detection *detections)
{
    const struct shk_detector *d = frame->detector;
    shk_nms_reset(frame->nms);
    for (uint32_t h = 0; h < d->head_count; h++)
        decode_output(frame, d->heads[h].output, &d->heads[h]);
    if (d->head_count == 0)
        decode_output(frame, 0, NULL);
    return shk_boxes_finish(frame, detections);
}

const struct shk_decoder_def shk_decoder_yolov3 = {
    .decoder = SHK_DECODER_YOLOV3,
    .name = "yolov3",
    .keys = SHK_KEY_ANCHORS | SHK_KEY_STRIDES | SHK_KEY_SCORES,
    .setup = setup,
    .capacity = shk_boxes_capacity,
    .decode = decode,
    .layout = shk_boxes_layout,
};

const struct shk_decoder_def shk_decoder_yolov5 = {
    .decoder = SHK_DECODER_YOLOV5,
    .name = "yolov5",
    .keys = SHK_KEY_ANCHORS | SHK_KEY_STRIDES | SHK_KEY_BOXES | SHK_KEY_SCORES,
    .setup = setup,
    .capacity = shk_boxes_capacity,
    .decode = decode,
    .layout = shk_boxes_layout,
};
