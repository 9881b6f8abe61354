/* YOLOv8 and its successors up to 12 (Ultralytics): one output [1, 4 + classes, N], N the cells of strides 8,
 * 16, 32. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Rows are x and y of the centres, widths, heights, and one for each class; boxes are decoded by the model,
 * to pixels or, in TensorFlow Lite exports, normalised. There is no objectness. */
#include "detect_boxes.h"

static const float strides[] = {8.0f, 16.0f, 32.0f};

static enum shk_status check_doubts(struct shk_detector *detector, const struct shk_graph *graph,
                                    const struct shk_modelinfo *info, struct shk_error *error)
{
    const struct shk_output_info *own = &info->outputs[0];
    uint64_t probabilities = (uint64_t)detector->candidates * detector->class_count;
    if (!info->has_decoder &&
        (shk_boxes_probabilities(graph, 0) != probabilities ||
         shk_boxes_grids(detector, strides, SHK_ARRAY_LEN(strides), 0) != detector->candidates))
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: not the output of YOLOv8", graph->name);
    detector->logits = own->scores == SHK_SCORES_LOGITS;
    detector->boxes = own->boxes != SHK_BOXES_UNSAID ? own->boxes : shk_boxes_unit(graph, 0);
    detector->code = (struct shk_box_code){.columns = true};
    shk_boxes_decoded(detector);
    if (detector->boxes == SHK_BOXES_PIXELS || detector->boxes == SHK_BOXES_NORMALIZED)
        return SHK_OK;
    return shk_fail(
        error, SHK_ERROR_BAD_MODEL,
        "%s: the unit of the boxes cannot be told from output [%s]: add boxes=pixels or boxes=normalized "
        "to its section",
        shk_modelinfo_name(info, graph), graph->tensors[graph->outputs[0]].name);
}

static enum shk_status setup(struct shk_detector *detector, const struct shk_graph *graph,
                             const struct shk_modelinfo *info, struct shk_error *error)
{
    char text[64];
    enum shk_status status = shk_boxes_init(detector, graph, info, error);
    if (status)
        return status;
    const struct shk_tensor *t = &graph->tensors[graph->outputs[0]];
    const int32_t *dims = t->shape.dims;
    if (graph->output_count != 1 || !shk_boxes_is_readable(graph, 0) || t->shape.rank != 3 || dims[0] != 1 ||
        dims[1] <= SHK_BOX_VALUES)
        return shk_fail(
            error, SHK_ERROR_BAD_MODEL,
            "%s: decoder yolov8 needs one output of 1 x (4 + classes) x N; found %u outputs, the first %s",
            shk_modelinfo_name(info, graph), graph->output_count, shk_shape_string(&t->shape, text));
    detector->class_count = (uint32_t)dims[1] - SHK_BOX_VALUES;
    detector->candidates = (uint32_t)dims[2];
    return check_doubts(detector, graph, info, error);
}

const struct shk_decoder_def shk_decoder_yolov8 = {
    .decoder = SHK_DECODER_YOLOV8,
    .name = "yolov8",
    .keys = SHK_KEY_BOXES | SHK_KEY_SCORES,
    .setup = setup,
    .capacity = shk_boxes_capacity,
    .decode = shk_boxes_decode,
    .has_code = true,
};
