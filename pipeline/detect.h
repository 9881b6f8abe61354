/* Decoders: from a model's output tensors to detections. One entry in the table of detect.c per kind of head.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Outputs come from the device or the reference but mean what a file says they mean: values are checked as if
 * they came from outside (NaN, counts above the rows there are, boxes inside out). */
#ifndef SHK_DETECT_H
#define SHK_DETECT_H

#include <shrike/session.h>

#include "graph.h"
#include "preprocess.h"

#define SHK_DEFAULT_SCORE_THRESHOLD 0.5f
#define SHK_DEFAULT_MAX_DETECTIONS  100

/* One frame's outputs. */
struct shk_decode {
    const struct shk_graph *graph;
    const struct shk_session_params *params;
    const void *const
        *outputs; /* per model output: dense, types and zero points those of struct shk_tensor */
    struct shk_placement placement;
};

struct shk_decoder_def {
    enum shk_decoder decoder;
    const char *name; /* "ssd" */
    /* Do the model's outputs have this decoder's types and shapes? */
    bool (*matches)(const struct shk_graph *graph);
    uint32_t (*class_count)(const struct shk_graph *graph);
    /* The most detections that decode() writes. */
    uint32_t (*capacity)(const struct shk_graph *graph, const struct shk_session_params *params);
    /* Returns the number of detections, highest confidence first. Allocates nothing. */
    uint32_t (*decode)(const struct shk_decode *frame, struct shk_detection *detections);
};

/* NULL if no decoder knows the model's outputs: raw tensors only. */
const struct shk_decoder_def *shk_decoder_find(const struct shk_graph *graph);

#endif
