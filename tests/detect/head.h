/* Models that are nothing but a detection head: an image that nobody reads, and outputs that come from
 * constants. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_HEAD_H
#define TEST_HEAD_H

#include "model.h"
#include "support.h"

struct head_output {
    const char *name;
    struct shk_shape shape;
    float scale; /* int8 */
    int32_t zero_point;
    uint32_t activated; /* of the last but one dimension's (or, at_end, the last one's) entries so many come
                           from LOGISTIC */
    bool at_end;
    bool is_float; /* behind a DEQUANTIZE */
};

/* Input [image], int8 1 x `height` x `width` x 3, or square. */
struct shk_model *head_model_sized(uint32_t width, uint32_t height, const struct head_output *outputs,
                                   uint32_t count);
struct shk_model *head_model(uint32_t size, const struct head_output *outputs, uint32_t count);

/* A sidecar applied as if it lay next to the model; `text` is copied. */
enum shk_status head_sidecar(struct shk_model *model, const char *text, struct shk_modelinfo *info,
                             struct shk_error *error);

/* Decodes made-up outputs on the whole frame and checks what every decoder promises. */
uint32_t head_decode(const struct shk_model *model, const struct shk_session_params *params,
                     const void *const *outputs, struct shk_detection *detections);

#endif
