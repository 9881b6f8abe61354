/* What the YOLO decoders share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_DETECT_BOXES_H
#define SHK_DETECT_BOXES_H

#include "detect.h"

#define SHK_ROW_OBJECTNESS 4
#define SHK_ROW_SCORES     5 /* where the classes begin, after an objectness */

/* Sets detector->width and height. Errors: SHK_ERROR_BAD_MODEL (the model's input is not an image). */
enum shk_status shk_boxes_init(struct shk_detector *detector, const struct shk_graph *graph,
                               const struct shk_modelinfo *info, struct shk_error *error);

/* Is output `output` float, or 8 bit with one scale? */
bool shk_boxes_is_readable(const struct shk_graph *graph, uint32_t output);

/* Sets detector->heads to one grid over the input for each stride, all in `output`, cell after cell. Returns
 * how many cells they have, 0 if a stride does not divide the input. */
uint32_t shk_boxes_grids(struct shk_detector *detector, const float *strides, uint32_t count,
                         uint32_t output);

/* How many elements of `output` come out of a LOGISTIC and were only moved since: those that are
 * probabilities. */
uint64_t shk_boxes_probabilities(const struct shk_graph *graph, uint32_t output);

/* SHK_BOXES_UNSAID if the range of the values in `output`, boxes among them, does not tell. */
enum shk_boxes shk_boxes_unit(const struct shk_graph *graph, uint32_t output);

uint32_t shk_boxes_capacity(const struct shk_detector *detector, const struct shk_graph *graph,
                            const struct shk_session_params *params);

/* An output's values, real ones. */
struct shk_values {
    const float *real; /* NULL: quantized */
    const int8_t *quantized;
    float scale;
    int32_t zero_point;
};
struct shk_values shk_boxes_values(const struct shk_decode *frame, uint32_t output);

static inline float shk_value(const struct shk_values *v, size_t i)
{
    return v->real ? v->real[i] : v->scale * (float)(v->quantized[i] - v->zero_point);
}

/* The candidates of an output, in order: all, or those that the device let through. */
struct shk_boxes_rows {
    struct shk_values values;
    uint32_t count;
    size_t step;   /* from one value of a candidate to its next */
    size_t stride; /* from one candidate to the next; only if there is no list */
    const struct shk_survivor *list;
};
struct shk_boxes_rows shk_boxes_rows(const struct shk_decode *frame, uint32_t output);

/* Where a candidate is: its place among all of the output's, and the index of its first value. */
struct shk_boxes_row {
    uint32_t index;
    size_t at;
};
static inline struct shk_boxes_row shk_boxes_row(const struct shk_boxes_rows *rows, uint32_t i)
{
    if (rows->list)
        return (struct shk_boxes_row){rows->list[i].index, rows->list[i].at};
    return (struct shk_boxes_row){i, i * rows->stride};
}

/* Of rows of x, y, width, height, objectness, classes. */
struct shk_candidate_layout shk_boxes_layout(const struct shk_detector *detector, const struct shk_graph *graph,
                                             uint32_t output, float threshold);

/* No value below it is a probability of `threshold` or more. */
float shk_boxes_lowest(const struct shk_detector *detector, float threshold);

float shk_boxes_sigmoid(float x);

/* The value as a probability; NaN stays NaN. */
float shk_boxes_probability(const struct shk_decode *frame, const struct shk_values *values, size_t i);

/* The index, below `count`, of the largest of the values at `first`, `first` + `step` ... */
uint32_t shk_boxes_best(const struct shk_values *values, size_t first, size_t step, uint32_t count);

/* A box by its centre and size, normalised to the model's input. */
struct shk_box {
    float x, y, width, height;
};

/* Takes part in the suppression if the score is a number, above 0 and not below the threshold. */
void shk_boxes_add(const struct shk_decode *frame, uint32_t class_id, float score, struct shk_box box);

/* Suppresses, places on the frame and writes what is left. */
uint32_t shk_boxes_finish(const struct shk_decode *frame, struct shk_detection *detections);

#endif
