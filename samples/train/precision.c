/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>

#include "precision.h"

static float overlap(const struct shk_detection *a, const struct extent *b)
{
    float w = fminf(a->x_max, b->x_max) - fmaxf(a->x_min, b->x_min);
    float h = fminf(a->y_max, b->y_max) - fmaxf(a->y_min, b->y_min);
    float both =
        (a->x_max - a->x_min) * (a->y_max - a->y_min) + (b->x_max - b->x_min) * (b->y_max - b->y_min);

    return w > 0 && h > 0 ? w * h / (both - w * h) : 0;
}

static bool append(struct class_record *record, float confidence, bool right)
{
    if (record->hit_count == record->hit_room) {
        size_t room = record->hit_room ? record->hit_room * 2 : 256;
        struct hit *hits = realloc(record->hits, room * sizeof *hits);

        if (!hits)
            return false;
        record->hits = hits;
        record->hit_room = room;
    }
    record->hits[record->hit_count] = (struct hit){confidence, (uint32_t)record->hit_count, right};
    record->hit_count++;
    return true;
}

bool record_frame(struct class_record records[SCENE_CLASSES], float least_iou,
                  const struct shk_detection *found, uint32_t found_count, const struct scene_object *truths,
                  int truth_count)
{
    bool taken[SCENE_MAX_SPRITES] = {false};

    for (int t = 0; t < truth_count; t++)
        records[truths[t].class_id].truths++;
    for (uint32_t i = 0; i < found_count; i++) {
        float best = 0;
        int which = -1;

        if (found[i].class_id >= SCENE_CLASSES)
            continue;
        for (int t = 0; t < truth_count; t++) {
            float iou = overlap(&found[i], &truths[t].box);

            if (!taken[t] && truths[t].class_id == (int)found[i].class_id && iou >= least_iou && iou > best) {
                best = iou;
                which = t;
            }
        }
        if (which >= 0)
            taken[which] = true;
        if (!append(&records[found[i].class_id], found[i].confidence, which >= 0))
            return false;
    }
    return true;
}

static int by_confidence(const void *a, const void *b)
{
    const struct hit *p = a, *q = b;

    if (p->confidence != q->confidence)
        return p->confidence < q->confidence ? 1 : -1;
    return p->order < q->order ? -1 : 1;
}

double average_precision(struct class_record *record)
{
    size_t right = 0;
    double best = 0, sum = 0;

    if (record->hit_count == 0 || record->truths == 0)
        return 0;
    qsort(record->hits, record->hit_count, sizeof *record->hits, by_confidence);
    for (size_t i = 0; i < record->hit_count; i++)
        right += record->hits[i].right;
    /* From the low end: every hit adds one step of recall at the best precision seen at or after it. */
    for (size_t i = record->hit_count; i-- > 0;) {
        double precision = (double)right / (double)(i + 1);

        best = precision > best ? precision : best;
        if (record->hits[i].right) {
            sum += best;
            right--;
        }
    }
    return sum / (double)record->truths;
}

void precision_recall(const struct class_record *record, float threshold, double *precision, double *recall)
{
    size_t count = 0, right = 0;

    for (size_t i = 0; i < record->hit_count; i++) {
        if (record->hits[i].confidence >= threshold) {
            count++;
            right += record->hits[i].right;
        }
    }
    *precision = count ? (double)right / (double)count : 0;
    *recall = record->truths ? (double)right / (double)record->truths : 0;
}

void record_finish(struct class_record records[SCENE_CLASSES])
{
    for (int c = 0; c < SCENE_CLASSES; c++)
        free(records[c].hits);
}
