/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "scene.h"

static void pick_colour(struct rng *rng, float out[3])
{
    float grey = rng_range(rng, 0, 255), tint = rng_chance(rng, .3f) ? 0 : rng_range(rng, .2f, 1);

    for (int i = 0; i < 3; i++)
        out[i] = grey + (rng_range(rng, 0, 255) - grey) * tint;
}

static void set_colour(float out[3], float r, float g, float b)
{
    out[0] = r;
    out[1] = g;
    out[2] = b;
}

struct background background_pick(struct rng *rng, float unit)
{
    static const float shares[BACKGROUND_KINDS] = {.22f, .12f, .20f, .08f, .09f, .07f, .10f, .05f, .07f};
    struct background bg = {.kind = BACKGROUND_PLAIN};
    float at = rng_unit(rng);

    while (bg.kind < BACKGROUND_KINDS - 1 && at >= shares[bg.kind])
        at -= shares[bg.kind++];
    pick_colour(rng, bg.a);
    pick_colour(rng, bg.b);
    if (bg.kind == BACKGROUND_PLAIN && rng_chance(rng, .5f))
        set_colour(bg.a, 0, 0, 0);
    else if (bg.kind == BACKGROUND_PLAIN && rng_chance(rng, .2f))
        set_colour(bg.a, 255, 255, 255);
    else if (bg.kind == BACKGROUND_CHECKS && rng_chance(rng, .3f)) {
        set_colour(bg.a, 40, 40, 40);
        set_colour(bg.b, 200, 200, 200);
    }
    bg.period = unit * 4 * powf(rng_chance(rng, .5f) ? 14 : 5, rng_unit(rng));
    bg.angle = rng_chance(rng, .5f) ? 0 : rng_range(rng, 0, 6.2831853f);
    bg.phase = rng_range(rng, 0, 100);
    bg.seed = rng_u32(rng);
    return bg;
}

static void fill(float *canvas, int width, int height, const float colour[3])
{
    for (int i = 0; i < width * height; i++)
        memcpy(canvas + 3 * i, colour, 3 * sizeof(float));
}

static void put_mix(float *pixel, const struct background *bg, float t)
{
    for (int i = 0; i < 3; i++)
        pixel[i] = bg->a[i] + (bg->b[i] - bg->a[i]) * t;
}

static float smooth(float t)
{
    return t * t * (3 - 2 * t);
}

/* Three octaves of value noise, each an octave-size lattice interpolated along one row. */
static void clouds_row(const struct background *bg, float unit, int y, int width, float *row)
{
    float cell = fmaxf(bg->period, 4 * unit), weight = .55f;

    memset(row, 0, (size_t)width * 3 * sizeof(float));
    for (uint32_t octave = 0; octave < 3; octave++, cell *= .4f, weight *= .5f) {
        float fy = ((float)y + 1000) / cell, step = 1 / cell, fx = 1000 * step;
        uint32_t iy = (uint32_t)fy, ix = UINT32_MAX;
        float ty = smooth(fy - (float)iy), left = 0, right = 0;

        for (int x = 0; x < width; x++, fx += step) {
            if (ix != (uint32_t)fx) {
                ix = (uint32_t)fx;
                float tl = hash_unit(ix, iy, bg->seed + octave),
                      tr = hash_unit(ix + 1, iy, bg->seed + octave);
                left = tl + (hash_unit(ix, iy + 1, bg->seed + octave) - tl) * ty;
                right = tr + (hash_unit(ix + 1, iy + 1, bg->seed + octave) - tr) * ty;
            }
            row[x * 3] += weight * (left + (right - left) * smooth(fx - (float)ix));
        }
    }
    for (int x = 0; x < width; x++)
        put_mix(row + 3 * x, bg, row[3 * x]);
}

/* The test card's three rows: full bars, a thin row in other order, and dark patches with a white one among
 * them. */
static void bars_row(const struct background *bg, int y, int width, int height, float *row)
{
    static const uint8_t order[7] = {7, 6, 3, 2, 5, 4, 1};
    static const uint8_t patches[6][3] = {{0, 33, 76},  {255, 255, 255}, {50, 0, 106},
                                          {19, 19, 19}, {9, 9, 9},       {29, 29, 29}};
    int columns = bg->seed % 3 ? 7 : 3 + (int)(bg->seed % 7);
    int patch_columns = columns - 1 + (int)(bg->seed >> 8) % 3, shift = (int)(bg->seed >> 12) % 6;
    float level = bg->seed & 1 ? 191 : 255;
    bool lower = y > height * 2 / 3, lowest = y > height * 3 / 4;

    for (int x = 0; x < width; x++) {
        int i = x * columns / width;
        int bits = order[(lower ? columns - 1 - i : i) % 7];
        const uint8_t *patch = patches[(x * patch_columns / width + shift) % 6];

        if (lowest)
            set_colour(row + 3 * x, patch[0], patch[1], patch[2]);
        else if (lower && i % 2)
            set_colour(row + 3 * x, 19, 19, 19);
        else
            set_colour(row + 3 * x, bits & 1 ? level : 0, bits & 4 ? level : 0, bits & 2 ? level : 0);
    }
}

static void pattern_row(const struct background *bg, float unit, int y, int width, int height, float *row)
{
    float c = cosf(bg->angle), s = sinf(bg->angle), k = 1 / bg->period;

    for (int x = 0; x < width; x++) {
        float u = (c * (float)x + s * (float)y) * k + bg->phase,
              v = (c * (float)y - s * (float)x) * k + bg->phase;
        float t = 0, dx, dy;

        switch (bg->kind) {
        case BACKGROUND_GRADIENT:
            t = .5f + (u - bg->phase) / (k * 2 * (float)(width + height)) * 2;
            break;
        case BACKGROUND_STRIPES:
            t = u - floorf(u) < .5f;
            break;
        case BACKGROUND_CHECKS:
            t = ((int)floorf(u) + (int)floorf(v)) & 1 ? 1 : 0;
            break;
        case BACKGROUND_SNOW:
            t = hash_unit((uint32_t)((float)x / unit), (uint32_t)((float)y / unit), bg->seed);
            break;
        default: /* waves: ripples that tighten away from a centre, as in a zone plate */
            dx = (float)x - bg->phase * .01f * (float)width;
            dy = (float)y - (float)(bg->seed % 256) / 256 * (float)height;
            t = .5f + .5f * sinf((dx * dx + dy * dy) * k * k * .3f + bg->phase);
        }
        put_mix(row + 3 * x, bg, t < 0 ? 0 : t > 1 ? 1 : t);
    }
}

/* Edges without objects: long lines and wide overlapping panes. */
static void clutter(const struct background *bg, float unit, int width, int height, float *canvas)
{
    struct rng rng = rng_seed(bg->seed, 0);
    int count = 4 + rng_below(&rng, 16);

    for (int n = 0; n < count; n++) {
        float colour[3], angle = rng_range(&rng, 0, 6.2831853f), c = cosf(angle), s = sinf(angle);
        float from = rng_range(&rng, -.3f, 1) * (float)width, opacity = rng_range(&rng, .2f, .9f);
        float wide = unit * (rng_chance(&rng, .6f) ? rng_range(&rng, 1, 5) : rng_range(&rng, 10, 120));

        pick_colour(&rng, colour);
        for (int y = 0; y < height; y++) {
            float *pixel = canvas + (size_t)y * (size_t)width * 3;

            for (int x = 0; x < width; x++, pixel += 3) {
                float d = c * (float)x + s * (float)y - from;

                if (d >= 0 && d < wide)
                    for (int i = 0; i < 3; i++)
                        pixel[i] += (colour[i] - pixel[i]) * opacity;
            }
        }
    }
}

void background_draw(const struct background *bg, float unit, int width, int height, float *canvas)
{
    if (bg->kind == BACKGROUND_PLAIN || bg->kind == BACKGROUND_CLUTTER)
        fill(canvas, width, height, bg->a);
    if (bg->kind == BACKGROUND_CLUTTER)
        clutter(bg, unit, width, height, canvas);
    if (bg->kind == BACKGROUND_PLAIN || bg->kind == BACKGROUND_CLUTTER)
        return;
    for (int y = 0; y < height; y++) {
        float *row = canvas + (size_t)y * (size_t)width * 3;

        if (bg->kind == BACKGROUND_CLOUDS)
            clouds_row(bg, unit, y, width, row);
        else if (bg->kind == BACKGROUND_BARS)
            bars_row(bg, y, width, height, row);
        else
            pattern_row(bg, unit, y, width, height, row);
    }
}
