/* Keys of sidecars that are ours: how an output becomes detections.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "modelinfo_parser.h"

#define MAX_ANCHOR    65536.0f /* pixels */
#define MAX_STRIDE    4096.0f
#define MAX_SCALE     16.0f /* of the input */
#define MAX_RATIO     256.0f
#define MAX_BOX_SCALE 65536.0f

/* "1,2,3": `count` of them at most, all in [min, max]. Zero if it is anything else. */
static uint32_t read_list(const char *value, float *list, uint32_t count, float min, float max)
{
    uint32_t n = 0;
    do {
        if (n == count || !shk_parser_number(&value, &list[n]) || !(list[n] >= min && list[n] <= max))
            return 0;
        n++;
    } while (shk_parser_take(&value, ','));
    return *value ? 0 : n;
}

/* Which of the words it is, counted from 0; or -1. */
static int read_word(const char *value, const char *const *words, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(value, words[i]) == 0)
            return i;
    return -1;
}

static enum shk_status read_bool(struct shk_parser *p, const char *value, bool *flag)
{
    static const char *const words[] = {"false", "true"};
    int word = read_word(value, words, 2);
    if (word < 0)
        return shk_parser_fail_value(p, "true or false", value);
    *flag = word;
    return SHK_OK;
}

static bool read_size(const char **at, float size[2])
{
    return shk_parser_number(at, &size[0]) && shk_parser_take(at, ',') && shk_parser_number(at, &size[1]) &&
           size[0] > 0.0f && size[0] <= MAX_ANCHOR && size[1] > 0.0f && size[1] <= MAX_ANCHOR;
}

static enum shk_status read_anchors(struct shk_parser *p, const char *value)
{
    struct shk_output_info *output = shk_parser_output(p);
    const char *at = value;
    output->anchor_lists = 0;
    do {
        if (output->anchor_lists == SHK_MAX_HEADS)
            return shk_parser_fail_value(p, "anchors of up to 8 grids, with | between", value);
        struct shk_anchor_list *list = &output->anchors[output->anchor_lists++];
        list->count = 0;
        do {
            if (list->count == SHK_MAX_ANCHORS || !read_size(&at, list->sizes[list->count]))
                return shk_parser_fail_value(p, "up to 16 width,height pairs in pixels (12,18;37,49;52,132)",
                                             value);
            list->count++;
        } while (shk_parser_take(&at, ';'));
    } while (shk_parser_take(&at, '|'));
    return *at ? shk_parser_fail_value(p, "width,height pairs (12,18;37,49;52,132)", value) : SHK_OK;
}

static enum shk_status read_strides(struct shk_parser *p, const char *value)
{
    struct shk_output_info *output = shk_parser_output(p);
    output->stride_count = read_list(value, output->strides, SHK_MAX_HEADS, 1.0f, MAX_STRIDE);
    for (uint32_t i = 0; i < output->stride_count; i++)
        if (output->strides[i] != floorf(output->strides[i]))
            output->stride_count = 0;
    if (output->stride_count == 0)
        return shk_parser_fail_value(p, "up to 8 whole numbers from 1 to 4096 (8,16,32)", value);
    return SHK_OK;
}

static enum shk_status read_boxes(struct shk_parser *p, const char *value)
{
    static const char *const words[] = {"cells", "pixels", "normalized"};
    int word = read_word(value, words, 3);
    if (word < 0)
        return shk_parser_fail_value(p, "cells, pixels or normalized", value);
    shk_parser_output(p)->boxes = (enum shk_boxes)(SHK_BOXES_CELLS + word);
    return SHK_OK;
}

static enum shk_status read_scores(struct shk_parser *p, const char *value)
{
    static const char *const words[] = {"probabilities", "logits", "softmax"};
    int word = read_word(value, words, 3);
    if (word < 0)
        return shk_parser_fail_value(p, "probabilities, logits or softmax", value);
    shk_parser_output(p)->scores = (enum shk_scores)(SHK_SCORES_PROBABILITIES + word);
    return SHK_OK;
}

/* ---- SSD ---- */

static enum shk_status read_anchor_scales(struct shk_parser *p, const char *value)
{
    struct shk_output_info *output = shk_parser_output(p);
    output->scale_count = read_list(value, output->scales, SHK_MAX_HEADS, 1e-4f, MAX_SCALE);
    if (output->scale_count < 2)
        return shk_parser_fail_value(p, "2 to 8 parts of the input above 0 (0.2,0.95)", value);
    return SHK_OK;
}

static enum shk_status read_aspect_ratios(struct shk_parser *p, const char *value)
{
    struct shk_output_info *output = shk_parser_output(p);
    output->ratio_count = read_list(value, output->ratios, SHK_MAX_ANCHORS, 1.0f / MAX_RATIO, MAX_RATIO);
    if (output->ratio_count == 0)
        return shk_parser_fail_value(p, "up to 16 numbers, width by height (1,2,0.5)", value);
    return SHK_OK;
}

static enum shk_status read_interpolated(struct shk_parser *p, const char *value)
{
    struct shk_output_info *output = shk_parser_output(p);
    float *ratio = &output->interpolated_ratio;
    if (read_list(value, ratio, 1, 0.0f, MAX_RATIO) == 0 || (*ratio > 0.0f && *ratio < 1.0f / MAX_RATIO))
        return shk_parser_fail_value(p, "one number, width by height, or 0 for none", value);
    return SHK_OK;
}

static enum shk_status read_reduce(struct shk_parser *p, const char *value)
{
    return read_bool(p, value, &shk_parser_output(p)->reduce_lowest);
}

static enum shk_status read_fixed(struct shk_parser *p, const char *value)
{
    return read_bool(p, value, &shk_parser_output(p)->fixed_size);
}

static enum shk_status read_centers(struct shk_parser *p, const char *value)
{
    static const char *const words[] = {"grid", "strides"};
    int word = read_word(value, words, 2);
    shk_parser_output(p)->stride_centers = word == 1;
    return word < 0 ? shk_parser_fail_value(p, "grid or strides", value) : SHK_OK;
}

static enum shk_status read_order(struct shk_parser *p, const char *value)
{
    static const char *const words[] = {"xywh", "yxhw"};
    int word = read_word(value, words, 2);
    shk_parser_output(p)->yxhw = word == 1;
    return word < 0 ? shk_parser_fail_value(p, "xywh or yxhw", value) : SHK_OK;
}

static enum shk_status read_box_scales(struct shk_parser *p, const char *value)
{
    float *scales = shk_parser_output(p)->box_scales;
    if (read_list(value, scales, 4, 1.0f / MAX_BOX_SCALE, MAX_BOX_SCALE) != 4)
        return shk_parser_fail_value(p, "four numbers above 0, for x, y, width and height (10,10,5,5)",
                                     value);
    return SHK_OK;
}

static enum shk_status read_box_sizes(struct shk_parser *p, const char *value)
{
    static const char *const words[] = {"exponential", "linear"};
    int word = read_word(value, words, 2);
    shk_parser_output(p)->linear_sizes = word == 1;
    return word < 0 ? shk_parser_fail_value(p, "exponential or linear", value) : SHK_OK;
}

static enum shk_status read_background(struct shk_parser *p, const char *value)
{
    static const char *const words[] = {"first", "none"};
    int word = read_word(value, words, 2);
    shk_parser_output(p)->background = (enum shk_background)(SHK_BACKGROUND_FIRST + word);
    return word < 0 ? shk_parser_fail_value(p, "first or none", value) : SHK_OK;
}

const struct shk_parser_key shk_parser_decoder_keys[] = {
    {"anchors", SHK_SECTION_OUTPUT, read_anchors, SHK_KEY_ANCHORS},
    {"strides", SHK_SECTION_OUTPUT, read_strides, SHK_KEY_STRIDES},
    {"boxes", SHK_SECTION_OUTPUT, read_boxes, SHK_KEY_BOXES},
    {"scores", SHK_SECTION_OUTPUT, read_scores, SHK_KEY_SCORES},
    {"anchor-scales", SHK_SECTION_OUTPUT, read_anchor_scales, SHK_KEY_ANCHOR_SCALES},
    {"aspect-ratios", SHK_SECTION_OUTPUT, read_aspect_ratios, SHK_KEY_ASPECT_RATIOS},
    {"interpolated-scale-aspect-ratio", SHK_SECTION_OUTPUT, read_interpolated, SHK_KEY_INTERPOLATED},
    {"reduce-boxes-in-lowest-layer", SHK_SECTION_OUTPUT, read_reduce, SHK_KEY_REDUCE},
    {"fixed-anchor-size", SHK_SECTION_OUTPUT, read_fixed, SHK_KEY_FIXED},
    {"anchor-centers", SHK_SECTION_OUTPUT, read_centers, SHK_KEY_CENTERS},
    {"box-order", SHK_SECTION_OUTPUT, read_order, SHK_KEY_ORDER},
    {"box-scales", SHK_SECTION_OUTPUT, read_box_scales, SHK_KEY_BOX_SCALES},
    {"box-sizes", SHK_SECTION_OUTPUT, read_box_sizes, SHK_KEY_BOX_SIZES},
    {"background", SHK_SECTION_OUTPUT, read_background, SHK_KEY_BACKGROUND},
    {NULL, 0, NULL, 0},
};
