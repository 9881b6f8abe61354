/* Non-maximum suppression: of boxes of one class that overlap, the one with the highest score stays.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Greedy and class-aware, as the YOLO family does it. All memory is allocated at creation. More candidates
 * than there is room for push out the worst. Threads: one at a time. */
#ifndef SHK_NMS_H
#define SHK_NMS_H

#include "abi.h"
#include "util.h"

/* However many boxes a model predicts: no more of one frame take part. */
#define SHK_NMS_MAX_CANDIDATES 4096

struct shk_candidate {
    float score;
    uint32_t class_id;
    float x_min, y_min, x_max, y_max; /* widths and heights of the model's input */
    uint32_t order;                   /* set by shk_nms_add(): of equal scores, the first one wins */
};

struct shk_nms {
    uint32_t count, capacity, added;
    struct shk_candidate items[]; /* while adding: a heap, the worst first */
};

/* For frames of `candidates` boxes, at least 1. Errors: out of memory. */
enum shk_status shk_nms_create(uint32_t candidates, struct shk_nms **nms, struct shk_error *error);
void shk_nms_destroy(struct shk_nms **nms);

void shk_nms_reset(struct shk_nms *nms);

/* Boxes that are empty, inside out or beyond SHK_MAX_COORDINATE are left out. */
void shk_nms_add(struct shk_nms *nms, const struct shk_candidate *candidate);

/* Returns how many are left, at most `max`: items[0] and on, highest score first. Of two boxes of a class
 * with an intersection over union above `iou_threshold`, the better one stays; shaders/suppress.comp does the same.
 * Reset before adding again. */
uint32_t shk_nms_select(struct shk_nms *nms, float iou_threshold, uint32_t max);

/* For devices, whose division need not be exact (shaders/quotient.glsl). `threshold`: FLT_MIN to 1. */
void shk_iou_split(float threshold, uint32_t *mantissa, int32_t *exponent);

#endif
