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
 *     anchors=12,18;37,49;52,132  width,height in pixels of the model's input; of each anchor of a cell, in
 * order strides=16                  pixels per cell; several in the order in which their cells come
 *     boxes=cells                 cells, pixels or normalized: the unit of box coordinates
 *     scores=logits               probabilities or logits
 *
 * All that it says about the model is checked against the model. The file is untrusted. */
#ifndef SHK_MODELINFO_H
#define SHK_MODELINFO_H

#include "graph.h"

#define SHK_MAX_HEADS   8  /* outputs that a sidecar may describe, and grids of one detector */
#define SHK_MAX_ANCHORS 16 /* per cell */

enum shk_boxes { SHK_BOXES_UNSAID, SHK_BOXES_CELLS, SHK_BOXES_PIXELS, SHK_BOXES_NORMALIZED };
enum shk_scores { SHK_SCORES_UNSAID, SHK_SCORES_PROBABILITIES, SHK_SCORES_LOGITS };

/* Keys of an output that only some decoders read. */
enum {
    SHK_KEY_ANCHORS = 1 << 0,
    SHK_KEY_STRIDES = 1 << 1,
    SHK_KEY_BOXES = 1 << 2,
    SHK_KEY_SCORES = 1 << 3,
};

struct shk_output_info {
    uint32_t line; /* where its section begins; 0: it has none */
    uint32_t keys; /* SHK_KEY_* that were given */
    enum shk_boxes boxes;
    enum shk_scores scores;
    uint32_t stride_count, anchor_count;
    float strides[SHK_MAX_HEADS];
    float anchors[SHK_MAX_ANCHORS][2];
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

/* Malloc'd path of the sidecar of the model at `model_path`; *path is NULL where there is none. Errors: out
 * of memory. */
enum shk_status shk_modelinfo_find(const char *model_path, char **path, struct shk_error *error);

/* The file to blame in messages: the sidecar if there is one, else the model. */
static inline const char *shk_modelinfo_name(const struct shk_modelinfo *info, const struct shk_graph *graph)
{
    return info->path ? info->path : graph->name;
}

#endif
