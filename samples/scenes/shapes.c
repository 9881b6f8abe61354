/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "scene.h"

#define RING_HOLE      0.55f
#define CRESCENT_SHIFT 0.55f

struct outline {
    int count;
    float at[12][2];
};

/* Every outline fits the unit circle. The star's inner radius, 0.45, is fuller than the pentagram's 0.38, so
 * that a small star keeps its body. */
static const struct outline outlines[SHAPE_KINDS] = {
    [SHAPE_BOX] = {4, {{-.707f, -.707f}, {.707f, -.707f}, {.707f, .707f}, {-.707f, .707f}}},
    [SHAPE_TRIANGLE] = {3, {{0, -1}, {.866f, .5f}, {-.866f, .5f}}},
    [SHAPE_STAR] = {10,
                    {{0, -1},
                     {.2645f, -.3641f},
                     {.9511f, -.3090f},
                     {.4280f, .1391f},
                     {.5878f, .8090f},
                     {0, .45f},
                     {-.5878f, .8090f},
                     {-.4280f, .1391f},
                     {-.9511f, -.3090f},
                     {-.2645f, -.3641f}}},
    [SHAPE_CROSS] = {12,
                     {{-.3f, -.95f},
                      {.3f, -.95f},
                      {.3f, -.3f},
                      {.95f, -.3f},
                      {.95f, .3f},
                      {.3f, .3f},
                      {.3f, .95f},
                      {-.3f, .95f},
                      {-.3f, .3f},
                      {-.95f, .3f},
                      {-.95f, -.3f},
                      {-.3f, -.3f}}},
    [SHAPE_BAR] = {4, {{-.99f, -.14f}, {.99f, -.14f}, {.99f, .14f}, {-.99f, .14f}}},
    [SHAPE_ELBOW] = {6, {{-.7f, -.7f}, {-.4f, -.7f}, {-.4f, .4f}, {.7f, .4f}, {.7f, .7f}, {-.7f, .7f}}},
};

/* Even-odd inside test and squared distance to each edge in one pass. */
static float polygon_distance(const struct outline *o, float x, float y)
{
    float nearest = INFINITY;
    bool inside = false;

    for (int i = 0, j = o->count - 1; i < o->count; j = i++) {
        const float *p = o->at[i], *q = o->at[j];
        float ex = q[0] - p[0], ey = q[1] - p[1], px = x - p[0], py = y - p[1];
        float t = (px * ex + py * ey) / (ex * ex + ey * ey);

        t = t < 0 ? 0 : t > 1 ? 1 : t;
        float dx = px - ex * t, dy = py - ey * t;
        nearest = fminf(nearest, dx * dx + dy * dy);
        if ((p[1] > y) != (q[1] > y) && px < ex * py / ey)
            inside = !inside;
    }
    return inside ? -sqrtf(nearest) : sqrtf(nearest);
}

static float unit_distance(enum shape_kind kind, float x, float y)
{
    switch (kind) {
    case SHAPE_BALL:
        return sqrtf(x * x + y * y) - 1;
    case SHAPE_RING: {
        float r = sqrtf(x * x + y * y);
        return fmaxf(r - 1, RING_HOLE - r);
    }
    case SHAPE_CAPSULE: {
        float along = x < -.75f ? -.75f : x > .75f ? .75f : x;
        return hypotf(x - along, y) - .25f;
    }
    case SHAPE_CRESCENT:
        return fmaxf(sqrtf(x * x + y * y) - 1, .9f - hypotf(x - CRESCENT_SHIFT, y));
    default:
        return polygon_distance(&outlines[kind], x, y);
    }
}

float shape_distance(enum shape_kind kind, const struct placement *at, float x, float y)
{
    float c = cosf(at->angle), s = sinf(at->angle);
    float dx = (x - at->x) / at->squeeze, dy = y - at->y;
    float u = (c * dx + s * dy) / (at->radius * at->stretch), v = (c * dy - s * dx) / at->radius;

    return unit_distance(kind, u, v) * at->radius * fminf(1, at->stretch) * fminf(1, at->squeeze);
}

static struct extent ellipse_extent(const struct placement *at, float c, float s)
{
    float half_x = at->radius * at->squeeze * hypotf(at->stretch * c, s);
    float half_y = at->radius * hypotf(at->stretch * s, c);

    return (struct extent){at->x - half_x, at->y - half_y, at->x + half_x, at->y + half_y};
}

struct extent shape_extent(enum shape_kind kind, const struct placement *at)
{
    const struct outline *o = &outlines[kind];
    float c = cosf(at->angle), s = sinf(at->angle);
    struct extent e = {INFINITY, INFINITY, -INFINITY, -INFINITY};

    if (!o->count)
        return ellipse_extent(at, c, s);
    for (int i = 0; i < o->count; i++) {
        float u = o->at[i][0] * at->radius * at->stretch, v = o->at[i][1] * at->radius;
        float x = at->x + (c * u - s * v) * at->squeeze, y = at->y + s * u + c * v;

        e.x_min = fminf(e.x_min, x);
        e.y_min = fminf(e.y_min, y);
        e.x_max = fmaxf(e.x_max, x);
        e.y_max = fmaxf(e.y_max, y);
    }
    return e;
}
