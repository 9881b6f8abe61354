/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Generated scenes: simple shapes on difficult backgrounds, with exact boxes.
 *
 * The default model is trained and measured on these, and whatever needs labelled or representative frames
 * without a data set (calibration, pruning, search, demonstrations) can draw them from here. A scene is a
 * function of (seed, index, size) alone: frame 7 is the same whether or not frames 0 to 6 were made, so
 * disjoint index or seed ranges are disjoint data. Nothing here is thread-safe on one scene; different scenes
 * are independent.
 */
#ifndef SCENE_H
#define SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

enum shape_kind {
    SHAPE_BALL,
    SHAPE_BOX,
    SHAPE_TRIANGLE,
    SHAPE_STAR,
    SHAPE_RING,
    SHAPE_CROSS,
    SCENE_CLASSES, /* the kinds above are labelled; those below are there to be ignored */
    SHAPE_BAR = SCENE_CLASSES,
    SHAPE_CAPSULE,
    SHAPE_ELBOW,
    SHAPE_CRESCENT,
    SHAPE_KINDS,
};

#define SCENE_MAX_SPRITES 12

/* Where a shape is: it fits a circle of `radius` pixels around (x, y) before `stretch` widens or narrows it.
 * `squeeze` is the frame's own horizontal scale, as when 16:9 video is stretched to a 4:3 network input. */
struct placement {
    float x, y, radius, angle, stretch, squeeze;
};

struct extent {
    float x_min, y_min, x_max, y_max;
};

/* Signed distance in pixels to the outline, negative inside. */
float shape_distance(enum shape_kind kind, const struct placement *at, float x, float y);
struct extent shape_extent(enum shape_kind kind, const struct placement *at);

enum paint_kind {
    PAINT_SOLID,
    PAINT_GRADIENT,
    PAINT_STRIPES,
    PAINT_CHECKS,
    PAINT_SPECKLE,
    PAINT_SPHERE,
    PAINT_KINDS
};

struct paint {
    enum paint_kind kind;
    float a[3], b[3];
    float period, angle;
    float rim; /* width in pixels of an outline in colour b; 0: none */
    uint32_t seed;
};

struct sprite {
    enum shape_kind kind;
    struct placement at;
    struct paint paint;
    float vx, vy, spin;   /* pixels and radians per frame */
    float blur_x, blur_y; /* pixels moved while the shutter is open */
    float softness;       /* half width in pixels of the antialiased edge */
};

enum background_kind {
    BACKGROUND_PLAIN,
    BACKGROUND_GRADIENT,
    BACKGROUND_CLOUDS,
    BACKGROUND_STRIPES,
    BACKGROUND_CHECKS,
    BACKGROUND_BARS,
    BACKGROUND_CLUTTER,
    BACKGROUND_SNOW,
    BACKGROUND_WAVES,
    BACKGROUND_KINDS,
};

struct background {
    enum background_kind kind;
    float a[3], b[3];
    float period, angle, phase;
    uint32_t seed;
};

struct background background_pick(struct rng *rng, float unit);
/* canvas: height rows of width RGB triples, 0 to 255. unit: pixels per pixel of a 256x192 frame. */
void background_draw(const struct background *bg, float unit, int width, int height, float *canvas);

/* One labelled object, in fractions of the frame. */
struct scene_object {
    int class_id;
    struct extent box;
};

struct scene {
    int width, height;
    struct rng rng;
    struct background background;
    struct sprite sprites[SCENE_MAX_SPRITES];
    int sprite_count;
    float gain, light_x, light_y; /* brightness, and its change from one side of the frame to the other */
    float noise;                  /* peak of the sensor noise, in levels */
    int blur_passes;
    bool drawn; /* the background is on the canvas, and nothing else */
    float *canvas;
    uint8_t *owner; /* 1 + index of the sprite that covers each pixel, 0 for the background */
    float *row;
};

/* Name of a labelled class, as in the label file; NULL out of range. */
const char *scene_class_name(int class_id);

/* Allocates buffers for frames of this size. False when memory is out. */
bool scene_init(struct scene *s, int width, int height);
void scene_finish(struct scene *s);

/* Chooses what is in frame `index` of the series `seed`; moving leaves every shape a velocity for scene_step.
 */
void scene_compose(struct scene *s, uint64_t seed, uint64_t index, bool moving);
/* One frame time later; shapes bounce off the frame's edges. */
void scene_step(struct scene *s);
/* Writes width*height RGB triples, and the objects of which enough can be seen; returns how many (at most
 * SCENE_MAX_SPRITES). */
int scene_render(struct scene *s, uint8_t *rgb, struct scene_object objects[SCENE_MAX_SPRITES]);

#endif
