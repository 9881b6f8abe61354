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
    *head = (struct shk_head){output, output, 0, (uint32_t)dims[1], (uint32_t)dims[2], stride, anchors, {{0}}};
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
    bool v5 = detector->def == &shk_decoder_yolov5;
    detector->code = (struct shk_box_code){
        .center = v5 ? SHK_CENTER_SIGMOID_WIDE : SHK_CENTER_SIGMOID,
        .size = v5 ? SHK_SIZE_SIGMOID_SQUARED : SHK_SIZE_EXP,
        .cells = true,
        .objectness = true,
    };
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
    detector->code = (struct shk_box_code){.objectness = true};
    shk_boxes_decoded(detector);
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

const struct shk_decoder_def shk_decoder_yolov3 = {
    .decoder = SHK_DECODER_YOLOV3,
    .name = "yolov3",
    .keys = SHK_KEY_ANCHORS | SHK_KEY_STRIDES | SHK_KEY_SCORES,
    .setup = setup,
    .capacity = shk_boxes_capacity,
    .decode = shk_boxes_decode,
    .has_code = true,
};

const struct shk_decoder_def shk_decoder_yolov5 = {
    .decoder = SHK_DECODER_YOLOV5,
    .name = "yolov5",
    .keys = SHK_KEY_ANCHORS | SHK_KEY_STRIDES | SHK_KEY_BOXES | SHK_KEY_SCORES,
    .setup = setup,
    .capacity = shk_boxes_capacity,
    .decode = shk_boxes_decode,
    .has_code = true,
};
