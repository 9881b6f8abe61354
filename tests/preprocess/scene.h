/* Preprocessing cases by seed, and what they should give by the standards' equations in floating point.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_SCENE_H
#define TEST_SCENE_H

#include "graph.h"
#include "preprocess.h"
#include "support.h"

/* A model of one input and no op, a frame, and how the one becomes the other. */
struct scene {
    struct shk_frame_format format;
    struct shk_frame frame;
    struct shk_session_params params;
    enum shk_dtype dtype;
    int32_t width, height, channels;
    uint8_t *memory;
};

/* Random in everything: odd sizes, strides, crops. */
void scene_init(struct scene *scene, struct test_rng *rng);
/* Gives an existing scene other frame dimensions and fills new planes. */
void scene_set_frame(struct scene *scene, struct test_rng *rng, enum shk_pixel_format format, uint32_t width,
                     uint32_t height);
void scene_finish(struct scene *scene);

/* The model's only tensor is its input and its output. */
struct shk_model *scene_model(const struct scene *scene);

/* Every level of the model's input, width * height * channels, not rounded; freed by the caller. */
double *scene_expected(const struct scene *scene);

/* What the scene is, for messages. */
const char *scene_string(const struct scene *scene);

#endif
