/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nms.h"

#include <math.h>
#include <stdlib.h>

enum shk_status shk_nms_create(uint32_t candidates, struct shk_nms **nms, struct shk_error *error)
{
    uint32_t capacity = SHK_CLAMP(candidates, 1u, (uint32_t)SHK_NMS_MAX_CANDIDATES);
    size_t bytes = sizeof(**nms) + capacity * sizeof((*nms)->items[0]);
    *nms = calloc(1, bytes);
    if (!*nms)
        return shk_fail_oom(error, bytes, "non-maximum suppression");
    (*nms)->capacity = capacity;
    return SHK_OK;
}

void shk_nms_destroy(struct shk_nms **nms)
{
    free(*nms);
    *nms = NULL;
}

void shk_nms_reset(struct shk_nms *nms)
{
    nms->count = 0;
    nms->added = 0;
}

static bool is_worse(const struct shk_candidate *a, const struct shk_candidate *b)
{
    return a->score < b->score || (a->score == b->score && a->order > b->order);
}

static void swap(struct shk_candidate *a, struct shk_candidate *b)
{
    struct shk_candidate t = *a;
    *a = *b;
    *b = t;
}

static void sift_up(struct shk_candidate *heap, uint32_t at)
{
    for (; at > 0 && is_worse(&heap[at], &heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&heap[at], &heap[(at - 1) / 2]);
}

static void sift_down(struct shk_candidate *heap, uint32_t count)
{
    for (uint32_t at = 0, child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_worse(&heap[child + 1], &heap[child]))
            child++;
        if (!is_worse(&heap[child], &heap[at]))
            return;
        swap(&heap[child], &heap[at]);
    }
}

static bool is_box(const struct shk_candidate *c)
{
    return c->x_min < c->x_max && c->y_min < c->y_max && c->x_min >= -SHK_MAX_COORDINATE &&
           c->y_min >= -SHK_MAX_COORDINATE && c->x_max <= SHK_MAX_COORDINATE && c->y_max <= SHK_MAX_COORDINATE;
}

void shk_nms_add(struct shk_nms *nms, const struct shk_candidate *candidate)
{
    struct shk_candidate c = *candidate;
    if (!is_box(&c) || isnan(c.score))
        return;
    c.order = nms->added++;
    if (nms->count < nms->capacity) {
        nms->items[nms->count] = c;
        sift_up(nms->items, nms->count++);
    } else if (is_worse(&nms->items[0], &c)) {
        nms->items[0] = c;
        sift_down(nms->items, nms->count);
    }
}

static float area(const struct shk_candidate *c)
{
    return (c->x_max - c->x_min) * (c->y_max - c->y_min);
}

static bool overlaps(const struct shk_candidate *a, const struct shk_candidate *b, float iou_threshold)
{
    float width = fminf(a->x_max, b->x_max) - fmaxf(a->x_min, b->x_min);
    float height = fminf(a->y_max, b->y_max) - fmaxf(a->y_min, b->y_min);
    if (!(width >= SHK_MIN_OVERLAP && height >= SHK_MIN_OVERLAP))
        return false;
    float intersection = width * height;
    return intersection / (area(a) + area(b) - intersection) > iou_threshold;
}

uint32_t shk_nms_select(struct shk_nms *nms, float iou_threshold, uint32_t max)
{
    struct shk_candidate *items = nms->items;
    for (uint32_t n = nms->count; n > 1; n--) {
        swap(&items[0], &items[n - 1]);
        sift_down(items, n - 1);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < nms->count && kept < max; i++) {
        bool suppressed = false;
        for (uint32_t k = 0; k < kept && !suppressed; k++)
            suppressed =
                items[k].class_id == items[i].class_id && overlaps(&items[k], &items[i], iou_threshold);
        if (!suppressed)
            items[kept++] = items[i];
    }
    return kept;
}

/* A quotient rounds to more than the threshold t where it is above the middle between t and the next float
 * (never equal: that would take a 25 bit dividend). The middle is mantissa * 2^exponent. */
void shk_iou_split(float threshold, uint32_t *mantissa, int32_t *exponent)
{
    int e;
    *mantissa = (uint32_t)(frexpf(threshold, &e) * 0x1p25f) + 1;
    *exponent = e - 25;
}
