/* TFLite_Detection_PostProcess: what its files and the SSD decoder share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_OP_DETECTION_POSTPROCESS_H
#define SHK_OP_DETECTION_POSTPROCESS_H

#include "op.h"

SHK_OP_DECLARE(detection_postprocess);

enum { SHK_DETECTION_IN_BOXES, SHK_DETECTION_IN_SCORES, SHK_DETECTION_IN_ANCHORS, SHK_DETECTION_IN_COUNT };
enum { SHK_DETECTION_BOXES, SHK_DETECTION_CLASSES, SHK_DETECTION_SCORES, SHK_DETECTION_COUNT };

struct shk_detection_attrs {
    int32_t max_detections;
    int32_t max_classes;          /* per detection, which then takes that many rows: fast suppression only */
    int32_t detections_per_class; /* regular suppression only */
    int32_t class_count;
    bool regular;
    float score_threshold, iou_threshold;
    float y_scale, x_scale, h_scale, w_scale;
};

/* The attributes after the session's overrides, and the sizes that follow. */
struct shk_detection_settings {
    const struct shk_detection_attrs *attrs;
    float score_threshold, iou_threshold;
    uint32_t max_detections;
    uint32_t per_class;  /* most that one class may keep (regular) */
    uint32_t categories; /* classes written per detection (fast) */
    uint32_t rows;       /* of the output tensors */
    uint32_t boxes;
    uint32_t box_size; /* values per box, of which the first four count */
    uint32_t classes;  /* without background */
    uint32_t row_size; /* scores per box */
    uint32_t label_offset;
};
/* `params` NULL: no overrides. */
struct shk_detection_settings shk_detection_settings(const struct shk_graph *graph, const struct shk_op *op,
                                                     const struct shk_session_params *params);

/* The kernel in C, with the float arithmetic of TensorFlow Lite's. Rows past the count are zero. */
enum shk_status shk_detection_reference(const struct shk_reference *run, struct shk_error *error);

/* How an 8 bit input becomes real: scale * (q - zero_point), q in [-128, 127]. */
struct shk_detection_quant {
    float scale;
    int32_t zero_point;
};

/* Host-built tables of 256 floats, indexed by q + 128: `score`, and for all boxes together as few as there
 * are different anchor positions and sizes. `refs` holds four table numbers per box: centre y, x, half
 * height, width. */
struct shk_detection_tables {
    float score[256];
    float *values;
    uint32_t count; /* tables in `values` */
    uint32_t *refs;
};

/* Box `i` of the constant [N, 4] anchors as y, x, h, w. */
void shk_detection_anchor(const struct shk_tensor *anchors, size_t i, float anchor[4]);

/* The two expressions of the reference kernel. `scale` is y_scale and so on. */
float shk_detection_centre(float value, float scale, float anchor_position, float anchor_size);
float shk_detection_half(float value, float scale, float anchor_size);
float shk_detection_dequantize(struct shk_detection_quant quant, int32_t q);

/* Errors: out of memory; SHK_ERROR_UNSUPPORTED if a table has values for which float arithmetic on a device
 * is not certain to be IEEE's (subnormal, infinite, areas that could underflow). The message lacks the op's
 * name. */
enum shk_status shk_detection_tables_init(struct shk_detection_tables *tables,
                                          const struct shk_detection_attrs *attrs,
                                          const struct shk_tensor *anchors, struct shk_detection_quant boxes,
                                          struct shk_detection_quant scores, struct shk_error *error);
void shk_detection_tables_finish(struct shk_detection_tables *tables);

#endif
