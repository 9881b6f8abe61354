/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_priors.h"

#include <math.h>

/* Of the reduced first grid, as TensorFlow and MediaPipe have it. */
#define LOWEST_SCALE 0.1f

static float scale_of(const struct shk_output_info *own, uint32_t i)
{
    float min = own->scales[0], max = own->scales[1], last = (float)own->stride_count - 1.0f;
    if (i == own->stride_count)
        return 1.0f;
    if (own->scale_count > 2)
        return own->scales[i];
    return own->stride_count == 1 ? 0.5f * (min + max) : min + (max - min) * (float)i / last;
}

static bool add(const struct shk_detector *d, struct shk_head *head, float scale, float ratio)
{
    if (head->anchor_count == SHK_MAX_ANCHORS)
        return false;
    float *size = head->anchors[head->anchor_count++];
    size[0] = d->width * scale * sqrtf(ratio);
    size[1] = d->height * scale / sqrtf(ratio);
    return true;
}

/* The anchors that the i-th stride adds to a cell. */
static bool generate(const struct shk_detector *d, struct shk_head *head, const struct shk_output_info *own,
                     uint32_t i)
{
    float scale = scale_of(own, i), ratio = own->keys & SHK_KEY_INTERPOLATED ? own->interpolated_ratio : 1.0f;
    if (i == 0 && own->reduce_lowest)
        return add(d, head, LOWEST_SCALE, 1.0f) && add(d, head, scale, 2.0f) && add(d, head, scale, 0.5f);
    for (uint32_t r = 0; r < own->ratio_count; r++)
        if (!add(d, head, scale, own->ratios[r]))
            return false;
    return !(ratio > 0.0f) || add(d, head, sqrtf(scale * scale_of(own, i + 1)), ratio);
}

static bool copy(struct shk_head *head, const struct shk_anchor_list *list)
{
    for (uint32_t a = 0; a < list->count; a++) {
        if (head->anchor_count == SHK_MAX_ANCHORS)
            return false;
        head->anchors[head->anchor_count][0] = list->sizes[a][0];
        head->anchors[head->anchor_count++][1] = list->sizes[a][1];
    }
    return true;
}

static const char *check(const struct shk_output_info *own)
{
    const uint32_t generator =
        SHK_KEY_ANCHOR_SCALES | SHK_KEY_ASPECT_RATIOS | SHK_KEY_INTERPOLATED | SHK_KEY_REDUCE | SHK_KEY_FIXED;
    if (own->anchor_lists && own->keys & generator)
        return "the sizes of its anchors are given twice: keep anchors= or remove it";
    if (own->anchor_lists && own->anchor_lists != own->stride_count)
        return "anchors= needs one list for each of the strides, with | between them";
    if (!own->anchor_lists && !own->ratio_count)
        return "it needs anchors=, or aspect-ratios= and anchor-scales=";
    if (!own->anchor_lists && !own->fixed_size && !own->scale_count)
        return "it needs anchor-scales=, or fixed-anchor-size=true";
    if (own->scale_count > 2 && own->scale_count != own->stride_count)
        return "anchor-scales= needs the smallest and the largest, or one for each of the strides";
    return NULL;
}

static uint32_t count(const struct shk_detector *d)
{
    uint64_t anchors = 0;
    for (uint32_t i = 0; i < d->head_count; i++)
        anchors += (uint64_t)d->heads[i].rows * d->heads[i].columns * d->heads[i].anchor_count;
    return (uint32_t)SHK_MIN(anchors, UINT64_C(1) << 31);
}

uint32_t shk_priors_fill(struct shk_detector *d, const struct shk_output_info *own, const char **reason)
{
    struct shk_head *head = NULL;
    if ((*reason = check(own)))
        return 0;
    d->head_count = 0;
    for (uint32_t i = 0; i < own->stride_count; i++) {
        float stride = own->strides[i];
        if (!head || head->stride != stride) {
            head = &d->heads[d->head_count++];
            *head = (struct shk_head){.rows = (uint32_t)ceilf(d->height / stride),
                                      .columns = (uint32_t)ceilf(d->width / stride),
                                      .stride = stride};
        }
        if (!(own->anchor_lists ? copy(head, &own->anchors[i]) : generate(d, head, own, i))) {
            *reason = "a cell has more than 16 anchors";
            return 0;
        }
    }
    for (uint32_t i = 0; i < d->head_count && own->fixed_size; i++)
        for (uint32_t a = 0; a < d->heads[i].anchor_count; a++) {
            d->heads[i].anchors[a][0] = d->width;
            d->heads[i].anchors[a][1] = d->height;
        }
    return count(d);
}
