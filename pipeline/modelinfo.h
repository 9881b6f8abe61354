/* Sidecars: what a model file does not say about itself, in a text file next to it.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * MODEL.tflite.modelinfo or MODEL.modelinfo, in the format of GStreamer 1.28
 * (gst-libs/gst/analytics/modelinfo.c): a key file with a section [modelinfo] and one for each model input or
 * output, whose title is the tensor's name. GStreamer's keys: version, group-id in [modelinfo]; dir, type,
 * dims, dims-order, id, ranges, caps in the others. It ignores all other keys; these are ours:
 *
 *     [modelinfo]
 *     version=1.0
 *     decoder=yolov3              name of a decoder (shk_decoder_string()), or none
 *
 *     [StatefulPartitionedCall:1] an output
 *     dir=output
 *     anchors=12,18;37,49;52,132  width,height in pixels of the model's input, of each anchor of a cell, in
 *                                 order; with | between those of one grid and the next
 *     strides=16                  pixels per cell; several in the order in which their cells come
 *     boxes=cells                 cells, pixels or normalized: the unit of box coordinates
 *     scores=logits               probabilities, logits (of a sigmoid) or softmax (logits of one)
 *
 * and for raw SSD heads, most of them named as in the options of MediaPipe's SsdAnchorsCalculator:
 *
 *     anchor-scales=0.2,0.95      instead of anchors: smallest and largest, or one for each stride; 1: the
 * input aspect-ratios=1,2,0.5       width / height of a cell's anchors of that scale
 *     interpolated-scale-aspect-ratio=1   of one anchor more, of a scale between this and the next; 0: none
 *     reduce-boxes-in-lowest-layer=true   three anchors only in the first grid
 *     fixed-anchor-size=true      however many anchors that makes, all are as large as the input
 *     anchor-centers=grid         grid: cells share the input evenly; strides: cells are as large as strides
 * say box-order=xywh              xywh or yxhw box-scales=10,10,5,5        what x, y, width, height are
 * divided by: inverse variances box-sizes=exponential       exponential or linear background=first first: of
 * the classes, the first means that there is nothing; none: no such class
 *
 * All that it says about the model is checked against the model. The file is untrusted. */
#ifndef SHK_MODELINFO_H
#define SHK_MODELINFO_H

#include "graph.h"

#define SHK_MAX_HEADS   8  /* outputs that a sidecar may describe, and grids of one detector */
#define SHK_MAX_ANCHORS 16 /* per cell */

enum shk_boxes { SHK_BOXES_UNSAID, SHK_BOXES_CELLS, SHK_BOXES_PIXELS, SHK_BOXES_NORMALIZED };
enum shk_scores { SHK_SCORES_UNSAID, SHK_SCORES_PROBABILITIES, SHK_SCORES_LOGITS, SHK_SCORES_SOFTMAX };
enum shk_background { SHK_BACKGROUND_UNSAID, SHK_BACKGROUND_FIRST, SHK_BACKGROUND_NONE };

/* Keys of an output that only some decoders read. */
enum {
    SHK_KEY_ANCHORS = 1 << 0,
    SHK_KEY_STRIDES = 1 << 1,
    SHK_KEY_BOXES = 1 << 2,
    SHK_KEY_SCORES = 1 << 3,
    SHK_KEY_ANCHOR_SCALES = 1 << 4,
    SHK_KEY_ASPECT_RATIOS = 1 << 5,
    SHK_KEY_INTERPOLATED = 1 << 6,
    SHK_KEY_REDUCE = 1 << 7,
    SHK_KEY_FIXED = 1 << 8,
    SHK_KEY_CENTERS = 1 << 9,
    SHK_KEY_ORDER = 1 << 10,
    SHK_KEY_BOX_SCALES = 1 << 11,
    SHK_KEY_BOX_SIZES = 1 << 12,
    SHK_KEY_BACKGROUND = 1 << 13,
};
#define SHK_KEY_COUNT 14

struct shk_anchor_list {
    uint32_t count;
    float sizes[SHK_MAX_ANCHORS][2]; /* width and height */
};

struct shk_output_info {
    uint32_t line; /* where its section begins; 0: it has none */
    uint32_t keys; /* SHK_KEY_* that were given; what was not is zero */
    enum shk_boxes boxes;
    enum shk_scores scores;
    enum shk_background background;
    uint32_t stride_count;
    float strides[SHK_MAX_HEADS];
    uint32_t anchor_lists; /* one, or one for each stride */
    struct shk_anchor_list anchors[SHK_MAX_HEADS];
    uint32_t scale_count, ratio_count;
    float scales[SHK_MAX_HEADS], ratios[SHK_MAX_ANCHORS], interpolated_ratio;
    bool reduce_lowest, fixed_size, stride_centers;
    bool yxhw, linear_sizes;
    float box_scales[4];       /* x, y, width, height */
    bool is_ultra_light_boxes; /* an id says so: all of the above follows */
};

struct shk_modelinfo {
    const char *path; /* NULL: there is no sidecar, and all else is zero */
    bool has_decoder;
    enum shk_decoder decoder;
    bool has_ranges;
    float mean[3], std[3]; /* as in struct shk_session_params */
    bool bgr;
    struct shk_output_info outputs[SHK_MAX_HEADS]; /* by index among the model's outputs */
};

/* Reads `size` bytes of text, which are changed; text[size] must be there. `path` is kept and used in
 * messages. Errors: SHK_ERROR_BAD_MODEL (the line, what was found and what was expected). */
enum shk_status shk_modelinfo_parse(char *text, size_t size, const char *path, const struct shk_graph *graph,
                                    struct shk_modelinfo *info, struct shk_error *error);

/* "anchors" for SHK_KEY_ANCHORS and so on. */
const char *shk_modelinfo_key_name(uint32_t bit);

/* Malloc'd path of the sidecar of the model at `model_path`; *path is NULL where there is none. Errors: out
 * of memory. */
enum shk_status shk_modelinfo_find(const char *model_path, char **path, struct shk_error *error);

/* The file to blame in messages: the sidecar if there is one, else the model. */
static inline const char *shk_modelinfo_name(const struct shk_modelinfo *info, const struct shk_graph *graph)
{
    return info->path ? info->path : graph->name;
}

#endif
