/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Average precision of detections, as PASCAL VOC 2010 and later define it: the area under the
 * precision-recall curve at every recall, precision made monotonic, a truth counting once. */
#ifndef SAMPLES_PRECISION_H
#define SAMPLES_PRECISION_H

#include <shrike/session.h>

#include "scene.h"

struct hit {
    float confidence;
    uint32_t order; /* of arrival: ties are kept in it */
    bool right;
};

struct class_record {
    struct hit *hits;
    size_t hit_count, hit_room;
    size_t truths;
};

/* Counts one frame. `found` must be sorted by confidence, highest first, as results are. Detections of
 * classes that the scenes don't have are left out. False when memory is out. */
bool record_frame(struct class_record records[SCENE_CLASSES], float least_iou,
                  const struct shk_detection *found, uint32_t found_count, const struct scene_object *truths,
                  int truth_count);

/* Sorts the record's hits. 0 when there were no truths. */
double average_precision(struct class_record *record);

/* Share of the truths found, and of the detections that are right, at a confidence of `threshold` or more. */
void precision_recall(const struct class_record *record, float threshold, double *precision, double *recall);

void record_finish(struct class_record records[SCENE_CLASSES]);

#endif
