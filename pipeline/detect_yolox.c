/* YOLOX (Ge, Liu, Wang, Li, Sun 2021): one output [1, N, 5 + classes], N the cells of all grids, the finest
 * first. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A row is x, y, width, height, objectness, classes. In cells, as exported for quantization: the centre is
 * (column + x, row + y) * stride and the size exp(width, height) * stride. */
#include "detect_boxes.h"

static const float usual_strides[] = {8.0f, 16.0f, 32.0f, 64.0f};

/* Fills in the grids whose cells add up to `rows`: the sidecar's strides, or the usual ones (three, four in
 * P6). */
static bool find_grids(struct shk_detector *detector, const struct shk_output_info *own, uint32_t rows)
{
    if (own->stride_count)
        return shk_boxes_grids(detector, own->strides, own->stride_count, 0) == rows;
    return shk_boxes_grids(detector, usual_strides, 3, 0) == rows ||
           shk_boxes_grids(detector, usual_strides, 4, 0) == rows;
}

/* The last step of setup(). */
static enum shk_status check_doubts(struct shk_detector *detector, const struct shk_graph *graph,
                                    const struct shk_modelinfo *info, struct shk_error *error)
{
    const struct shk_output_info *own = &info->outputs[0];
    bool chosen = info->has_decoder;
    uint64_t probabilities = (uint64_t)detector->candidates * (1 + detector->class_count);
    if (own->scores == SHK_SCORES_UNSAID && !chosen && shk_boxes_probabilities(graph, 0) != probabilities)
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: no row of YOLOX", graph->name);
    detector->logits = own->scores == SHK_SCORES_LOGITS;
    detector->boxes = own->boxes != SHK_BOXES_UNSAID ? own->boxes : shk_boxes_unit(graph, 0);
    if (detector->boxes == SHK_BOXES_UNSAID)
        return shk_fail(
            error, SHK_ERROR_BAD_MODEL,
            "%s: the unit of the boxes cannot be told from output [%s]: add boxes=cells, pixels or "
            "normalized to its section",
            shk_modelinfo_name(info, graph), graph->tensors[graph->outputs[0]].name);
    bool cells = detector->boxes == SHK_BOXES_CELLS;
    detector->code =
        (struct shk_box_code){.size = cells ? SHK_SIZE_EXP : SHK_SIZE_PLAIN, .cells = cells, .objectness = true};
    if (!cells)
        shk_boxes_decoded(detector);
    return SHK_OK;
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
        dims[2] <= SHK_ROW_SCORES || !find_grids(detector, &info->outputs[0], (uint32_t)dims[1]))
        return shk_fail(
            error, SHK_ERROR_BAD_MODEL,
            "%s: decoder yolox needs one output of 1 x N x (5 + classes), N the cells of strides 8, 16, 32 "
            "(or those in strides=) on a %gx%g input; found %u outputs, the first %s",
            shk_modelinfo_name(info, graph), (double)detector->width, (double)detector->height,
            graph->output_count, shk_shape_string(&t->shape, text));
    detector->candidates = (uint32_t)dims[1];
    detector->class_count = (uint32_t)dims[2] - SHK_ROW_SCORES;
    return check_doubts(detector, graph, info, error);
}

const struct shk_decoder_def shk_decoder_yolox = {
    .decoder = SHK_DECODER_YOLOX,
    .name = "yolox",
    .keys = SHK_KEY_STRIDES | SHK_KEY_BOXES | SHK_KEY_SCORES,
    .setup = setup,
    .capacity = shk_boxes_capacity,
    .decode = shk_boxes_decode,
    .has_code = true,
};
