/* What the YOLO decoders share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_DETECT_BOXES_H
#define SHK_DETECT_BOXES_H

#include "detect.h"

#define SHK_BOX_VALUES 4
#define SHK_ROW_SCORES 5 /* where the classes begin, after an objectness */

/* Sets detector->width and height. Errors: SHK_ERROR_BAD_MODEL (the model's input is not an image). */
enum shk_status shk_boxes_init(struct shk_detector *detector, const struct shk_graph *graph,
                               const struct shk_modelinfo *info, struct shk_error *error);

/* Is output `output` float, or 8 bit with one scale? */
bool shk_boxes_is_readable(const struct shk_graph *graph, uint32_t output);

/* Sets detector->heads to one grid over the input for each stride, all in `output`, cell after cell, with one anchor of
 * a cell's size. Returns how many cells they have, 0 if a stride does not divide the input. */
uint32_t shk_boxes_grids(struct shk_detector *detector, const float *strides, uint32_t count,
                         uint32_t output);

/* Sets detector->heads to one that is all of output 0, of boxes that the model has decoded. */
void shk_boxes_decoded(struct shk_detector *detector);

/* How many elements of `output` come out of a LOGISTIC and were only moved since: those that are
 * probabilities. */
uint64_t shk_boxes_probabilities(const struct shk_graph *graph, uint32_t output);

/* SHK_BOXES_UNSAID if the range of the values in `output`, boxes among them, does not tell. */
enum shk_boxes shk_boxes_unit(const struct shk_graph *graph, uint32_t output);

float shk_boxes_iou_threshold(const struct shk_session_params *params);
uint32_t shk_boxes_capacity(const struct shk_detector *detector, const struct shk_graph *graph,
                            const struct shk_session_params *params);

/* An output's values, real ones. */
struct shk_values {
    const float *real; /* NULL: quantized */
    const int8_t *quantized;
    float scale; /* of real ones for a softmax, too, where DEQUANTIZE made them; else 0 */
    int32_t zero_point;
};
struct shk_values shk_boxes_values(const struct shk_decode *frame, uint32_t output);

static inline float shk_value(const struct shk_values *v, size_t i)
{
    return v->real ? v->real[i] : v->scale * (float)(v->quantized[i] - v->zero_point);
}

/* From a box to the next in its output, and from its first class to the next one's, which need not be the same output.
 */
uint32_t shk_boxes_row_values(const struct shk_detector *detector);
uint32_t shk_boxes_row_scores(const struct shk_detector *detector);

/* ---- what a value becomes; the device looks it up in a table of them (select.h) ---- */

/* axis 0: x or width; 1: y or height. */
float shk_boxes_center(const struct shk_detector *detector, float value, uint32_t axis);
/* 0 where it is no size: of such a box nothing is left. */
float shk_boxes_size(const struct shk_detector *detector, float value, uint32_t axis);
/* NaN stays NaN. */
float shk_boxes_probability(const struct shk_detector *detector, float value);
/* A term of a softmax: of a value `levels` steps of `scale` below the highest one. */
float shk_boxes_softmax_term(float scale, float levels);

/* x = center * offset + (column + middle) * cell, normalised; width = size * size. */
struct shk_box_scales {
    float offset[2], cell[2], size[2];
    float middle; /* of a cell; without cells the column is 0 */
};
struct shk_box_scales shk_boxes_scales(const struct shk_detector *detector, const struct shk_head *head,
                                       uint32_t anchor);

/* Whether boxes or scores of heads are in `output`. */
bool shk_boxes_output_is_head(const struct shk_detector *detector, uint32_t output);

/* The index, below `count`, of the largest of the values at `first`, `first` + `step` ... */
uint32_t shk_boxes_best(const struct shk_values *values, size_t first, size_t step, uint32_t count);

/* Of all heads, by detector->code: shk_decoder_def.decode. */
uint32_t shk_boxes_decode(const struct shk_decode *frame, struct shk_detection *detections);

#endif
