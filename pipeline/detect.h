/* Decoders: from a model's output tensors to detections. One file detect_<kind>.c and one entry in the table
 * of detect.c per kind of head. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which decoder a model has is settled once, when it is loaded: by the model's sidecar (modelinfo.h) or by
 * its outputs where they leave no doubt.
 *
 * Outputs come from the device or the reference but mean what a file says they mean: values are checked as if
 * they came from outside (NaN, counts above the rows there are, boxes inside out). */
#ifndef SHK_DETECT_H
#define SHK_DETECT_H

#include <shrike/session.h>

#include "abi.h"
#include "graph.h"
#include "modelinfo.h"
#include "nms.h"
#include "preprocess.h"

#define SHK_DEFAULT_SCORE_THRESHOLD 0.5f
#define SHK_DEFAULT_IOU_THRESHOLD   0.5f
#define SHK_DEFAULT_MAX_DETECTIONS  100

/* A grid of cells over the model's input, each of which predicts one box, or one per anchor. Where the model has
 * decoded its boxes already: one row of cells of stride 1 with an anchor of 1 x 1. */
struct shk_head {
    uint32_t output; /* index among the model's outputs */
    uint32_t scores; /* likewise, of that with the scores: the same, or another */
    uint32_t first;  /* boxes in front of it in these */
    uint32_t rows, columns;
    float stride; /* pixels of the model's input per cell */
    uint32_t anchor_count;
    float anchors[SHK_MAX_ANCHORS][2]; /* width and height, pixels of the model's input */
};

static inline uint32_t shk_head_count(const struct shk_head *head)
{
    return head->rows * head->columns * head->anchor_count;
}

/* How the boxes of heads are read: x, y of the centre, width, height; then an objectness or none, and classes. */
enum shk_box_center {
    SHK_CENTER_PLAIN,
    SHK_CENTER_SIGMOID,
    SHK_CENTER_SIGMOID_WIDE, /* 2 s(v) - 0.5 */
};
enum shk_box_size {
    SHK_SIZE_PLAIN,
    SHK_SIZE_EXP,
    SHK_SIZE_SIGMOID_SQUARED, /* (2 s(v))^2 */
};
struct shk_box_code {
    enum shk_box_center center;
    enum shk_box_size size;
    bool cells; /* centres count from their cell; else from the input's corner */
    bool objectness;
    bool columns; /* value k of box i is element k * boxes + i of the output; else i * values + k */
    /* Of SSD heads, where centres count from that of the anchor, in its sizes (detect_ssd_anchors.c): */
    bool ssd;
    uint32_t values;     /* from a box to the next: keypoints may follow */
    uint32_t background; /* 1: class 0 is none; 0: there is no such class */
    bool stride_centers, yxhw;
    float scales[4]; /* of x, y, width, height, which are divided by them first */
};

/* How a model's outputs are decoded. `def` NULL: they are raw tensors only, and nothing else counts. */
struct shk_detector {
    const struct shk_decoder_def *def;
    uint32_t class_count;
    uint32_t candidates; /* boxes before non-maximum suppression; 0: the outputs are final */
    float width, height; /* of the model's input, pixels; set where there are candidates */
    enum shk_boxes boxes;
    bool logits;  /* scores are not yet probabilities: a sigmoid's input */
    bool softmax; /* likewise, a softmax's */
    uint32_t head_count;
    struct shk_head heads[SHK_MAX_HEADS];
    struct shk_box_code code;
};

/* What the device made of the heads (select.h): what is left after non-maximum suppression, the best first. */
struct shk_found {
    uint32_t count;
    const struct shk_select_box *boxes; /* NULL: the outputs were read whole */
};

/* One frame's outputs. */
struct shk_decode {
    const struct shk_detector *detector;
    const struct shk_graph *graph;
    const struct shk_session_params *params;
    const void *const
        *outputs; /* per model output: dense, types and zero points those of struct shk_tensor */
    struct shk_placement placement;
    struct shk_nms *nms; /* room for the detector's candidates */
    struct shk_found found;
};

struct shk_decoder_def {
    enum shk_decoder decoder;
    const char *name; /* "ssd" */
    uint32_t keys;    /* SHK_KEY_*: what its outputs' sections in a sidecar may say */
    bool softmax;     /* scores=softmax is one of them */
    /* Fills in the rest of *detector if the model's outputs have this decoder's types and shapes and agree
     * with `info`. Unless info->decoder chooses this one, they must leave no doubt. Errors:
     * SHK_ERROR_BAD_MODEL. */
    enum shk_status (*setup)(struct shk_detector *detector, const struct shk_graph *graph,
                             const struct shk_modelinfo *info, struct shk_error *error);
    /* The most detections that decode() writes. */
    uint32_t (*capacity)(const struct shk_detector *detector, const struct shk_graph *graph,
                         const struct shk_session_params *params);
    /* Returns the number of detections, highest confidence first. Allocates nothing. */
    uint32_t (*decode)(const struct shk_decode *frame, struct shk_detection *detections);
    bool has_code; /* its heads are what struct shk_box_code says: the device can read them */
};

extern const struct shk_decoder_def shk_decoder_ssd;
extern const struct shk_decoder_def shk_decoder_classification;
extern const struct shk_decoder_def shk_decoder_yolox;
extern const struct shk_decoder_def shk_decoder_yolov3;
extern const struct shk_decoder_def shk_decoder_yolov5;
extern const struct shk_decoder_def shk_decoder_yolov8;
extern const struct shk_decoder_def shk_decoder_ssd_anchors;

/* "none" is one. False if there is no decoder of that name. */
bool shk_decoder_by_name(const char *name, enum shk_decoder *decoder);
/* "none, ssd, ..." into `text`, which is returned. */
const char *shk_decoder_names(char *text, size_t size);

/* Settles how `graph` is decoded. *info is zero where the model has no sidecar; nothing can fail then.
 * Errors: SHK_ERROR_BAD_MODEL (the sidecar asks for what the model's outputs are not). */
enum shk_status shk_detector_init(struct shk_detector *detector, const struct shk_graph *graph,
                                  const struct shk_modelinfo *info, struct shk_error *error);

/* ---- for decoders ---- */

float shk_score_threshold(const struct shk_session_params *params);
uint32_t shk_max_detections(const struct shk_session_params *params);

/* Lists of detections, highest confidence first. */
struct shk_detection_list {
    struct shk_detection *items;
    uint32_t count, capacity;
};
/* Equal ones stay in the order in which they came; what does not fit any more is dropped. */
void shk_detection_insert(struct shk_detection_list *list, const struct shk_detection *detection);

/* From the model's normalised coordinates to the frame's, cut at its edges. False if nothing is left. */
bool shk_box_place(const struct shk_placement *p, float x_min, float y_min, float x_max, float y_max,
                   struct shk_detection *d);

/* The op that writes the tensor, or NULL. */
const struct shk_op *shk_producer(const struct shk_graph *graph, uint32_t tensor);

/* The 8 bit tensor that is model output `output`, or out of which DEQUANTIZE makes it; NULL if there is none.
 */
const struct shk_tensor *shk_output_quantized(const struct shk_graph *graph, uint32_t output);
/* The real value of level `q`. */
static inline float shk_level_value(const struct shk_tensor *tensor, int32_t q)
{
    return tensor->quant.scales[0] * (float)(q - tensor->quant.zero_points[0]);
}
/* The real values that this tensor can hold. */
void shk_quantized_range(const struct shk_tensor *tensor, float *low, float *high);

/* Does the quantization of `output` cover 0 to 1 and little more? So it does after a softmax or a sigmoid. */
bool shk_output_is_probability(const struct shk_graph *graph, uint32_t output);

static inline float shk_clamp01(float x)
{
    return SHK_CLAMP(x, 0.0f, 1.0f);
}

#endif
