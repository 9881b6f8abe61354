/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scene.h"

#define LABEL_VISIBLE .5f /* an object is labelled when at least this part of it can be seen */

static const char *const class_names[SCENE_CLASSES] = {"ball", "box", "triangle", "star", "ring", "cross"};

const char *scene_class_name(int class_id)
{
    return class_id >= 0 && class_id < SCENE_CLASSES ? class_names[class_id] : NULL;
}

bool scene_init(struct scene *s, int width, int height)
{
    size_t pixels = (size_t)width * (size_t)height;

    *s = (struct scene){.width = width, .height = height};
    s->canvas = malloc(pixels * 3 * sizeof(float));
    s->owner = malloc(pixels);
    s->row = malloc((size_t)width * 3 * sizeof(float));
    if (s->canvas && s->owner && s->row)
        return true;
    scene_finish(s);
    return false;
}

void scene_finish(struct scene *s)
{
    free(s->canvas);
    free(s->owner);
    free(s->row);
    *s = (struct scene){0};
}

static float unit_of(const struct scene *s)
{
    return fminf((float)s->width / 256, (float)s->height / 192);
}

static float contrast(const float a[3], const float b[3])
{
    return fabsf(a[0] - b[0]) * .3f + fabsf(a[1] - b[1]) * .55f + fabsf(a[2] - b[2]) * .15f;
}

static void pick_paint(struct scene *s, struct sprite *sp, const float behind[3])
{
    struct rng *rng = &s->rng;
    struct paint *p = &sp->paint;
    float texture = rng_range(rng, .15f, .4f);

    for (int tries = 0; tries < 20; tries++) {
        for (int i = 0; i < 3; i++)
            p->a[i] = rng_range(rng, 0, 255);
        if (contrast(p->a, behind) > 55)
            break;
    }
    if (rng_chance(rng, .25f)) {
        float grey =
            behind[1] < 128 ? rng_range(rng, behind[1] + 70, 256) : rng_range(rng, 0, behind[1] - 70);

        for (int i = 0; i < 3; i++)
            p->a[i] = rng_chance(rng, .5f) && behind[1] < 128 ? 255 : fminf(grey, 255);
    }
    for (int i = 0; i < 3; i++)
        p->b[i] = p->a[i] + (rng_range(rng, 0, 255) - p->a[i]) * texture;
    p->kind = rng_chance(rng, .35f) ? PAINT_SOLID : (enum paint_kind)rng_below(rng, PAINT_KINDS);
    p->period = unit_of(s) * rng_range(rng, 3, 12);
    p->angle = rng_range(rng, 0, 6.2831853f);
    p->rim = rng_chance(rng, .15f) ? unit_of(s) * rng_range(rng, 1, 3) : 0;
    p->seed = rng_u32(rng);
}

static bool crowded(const struct scene *s, const struct extent *e)
{
    for (int i = 0; i < s->sprite_count; i++) {
        struct extent o = shape_extent(s->sprites[i].kind, &s->sprites[i].at);
        float w = fminf(e->x_max, o.x_max) - fmaxf(e->x_min, o.x_min);
        float h = fminf(e->y_max, o.y_max) - fmaxf(e->y_min, o.y_min);
        float smaller =
            fminf((e->x_max - e->x_min) * (e->y_max - e->y_min), (o.x_max - o.x_min) * (o.y_max - o.y_min));

        if (w > 0 && h > 0 && w * h > .3f * smaller)
            return true;
    }
    return false;
}

static void add_sprite(struct scene *s, enum shape_kind kind, float squeeze, bool moving)
{
    struct rng *rng = &s->rng;
    float unit = unit_of(s), smallest = kind == SHAPE_BALL ? 7 : 12;
    struct sprite sp = {.kind = kind, .softness = unit * rng_range(rng, .4f, 1)};
    struct extent e;

    sp.at.squeeze = squeeze;
    sp.at.stretch = rng_chance(rng, .4f) ? 1 : rng_range(rng, .85f, 1.18f);
    sp.at.angle = rng_chance(rng, .4f) ? 0 : rng_range(rng, 0, 6.2831853f);
    for (int tries = 0;; tries++) {
        sp.at.radius = unit * smallest * powf(72 / smallest, rng_unit(rng));
        sp.at.x = rng_range(rng, .3f * sp.at.radius, (float)s->width - .3f * sp.at.radius);
        sp.at.y = rng_range(rng, .3f * sp.at.radius, (float)s->height - .3f * sp.at.radius);
        e = shape_extent(kind, &sp.at);
        if (!crowded(s, &e))
            break;
        if (tries == 8)
            return;
    }
    int px = (int)sp.at.x, py = (int)sp.at.y;
    pick_paint(s, &sp, s->canvas + ((size_t)py * (size_t)s->width + (size_t)px) * 3);
    if (moving) {
        sp.vx = unit * rng_range(rng, -4, 4);
        sp.vy = unit * rng_range(rng, -3, 3);
        sp.spin = rng_range(rng, -.06f, .06f);
        sp.blur_x = sp.vx * .5f;
        sp.blur_y = sp.vy * .5f;
    } else if (rng_chance(rng, .3f)) {
        float length = sp.at.radius * rng_range(rng, .1f, .5f), way = rng_range(rng, 0, 6.2831853f);

        sp.blur_x = length * cosf(way);
        sp.blur_y = length * sinf(way);
    }
    s->sprites[s->sprite_count++] = sp;
}

void scene_compose(struct scene *s, uint64_t seed, uint64_t index, bool moving)
{
    struct rng *rng = &s->rng;

    *rng = rng_seed(seed, index);
    s->background = background_pick(rng, unit_of(s));
    background_draw(&s->background, unit_of(s), s->width, s->height, s->canvas);
    s->drawn = true;
    s->sprite_count = 0;

    float squeeze = rng_chance(rng, .5f) ? 1 : rng_range(rng, .72f, 1.1f);
    int objects = rng_chance(rng, .12f) ? 0 : 1 + rng_below(rng, 6);
    if (moving)
        objects = 4 + rng_below(rng, 3);
    int others = rng_chance(rng, .4f) ? 1 + rng_below(rng, 3) : 0;
    for (int i = 0; i < objects; i++)
        add_sprite(s, (enum shape_kind)rng_below(rng, SCENE_CLASSES), squeeze, moving);
    /* Shuffling in the shapes to be ignored last puts them in front: they are the occluders too. */
    for (int i = 0; i < others; i++)
        add_sprite(s, (enum shape_kind)(SCENE_CLASSES + rng_below(rng, SHAPE_KINDS - SCENE_CLASSES)), squeeze,
                   moving);

    s->gain = rng_chance(rng, .4f) ? 1 : rng_range(rng, .6f, 1.2f);
    s->light_x = rng_chance(rng, .6f) ? 0 : rng_range(rng, -.4f, .4f);
    s->light_y = rng_chance(rng, .6f) ? 0 : rng_range(rng, -.4f, .4f);
    s->noise = rng_chance(rng, .4f) ? 0 : rng_range(rng, 2, 30);
    s->blur_passes = rng_chance(rng, .75f) ? 0 : 1 + rng_below(rng, 2);
}

static void bounce(float *at, float *velocity, float limit)
{
    *at += *velocity;
    if ((*at < 0 && *velocity < 0) || (*at > limit && *velocity > 0))
        *velocity = -*velocity;
}

void scene_step(struct scene *s)
{
    for (int i = 0; i < s->sprite_count; i++) {
        struct sprite *sp = &s->sprites[i];

        bounce(&sp->at.x, &sp->vx, (float)s->width);
        bounce(&sp->at.y, &sp->vy, (float)s->height);
        sp->at.angle += sp->spin;
        sp->blur_x = sp->vx * .5f;
        sp->blur_y = sp->vy * .5f;
    }
}

static float paint_mix(const struct sprite *sp, float depth, float dx, float dy)
{
    const struct paint *p = &sp->paint;
    float c = cosf(p->angle + sp->at.angle), s = sinf(p->angle + sp->at.angle);
    float u = c * dx + s * dy, v = c * dy - s * dx;

    if (depth < p->rim)
        return 1;
    switch (p->kind) {
    case PAINT_GRADIENT:
        return .5f + .5f * u / sp->at.radius;
    case PAINT_STRIPES:
        return u / p->period - floorf(u / p->period) < .5f;
    case PAINT_CHECKS:
        return ((int)floorf(u / p->period) + (int)floorf(v / p->period)) & 1 ? 1 : 0;
    case PAINT_SPECKLE:
        return hash_unit((uint32_t)(int)floorf(u / p->period * 4), (uint32_t)(int)floorf(v / p->period * 4),
                         p->seed);
    case PAINT_SPHERE:
        return fminf(1, hypotf(u + .3f * sp->at.radius, v + .3f * sp->at.radius) / (1.3f * sp->at.radius));
    default:
        return 0;
    }
}

static float ramp(float distance, float softness)
{
    float t = .5f - .5f * distance / softness;

    return t < 0 ? 0 : t > 1 ? 1 : t;
}

/* Share of the open shutter during which the shape covers the pixel; *depth is how far inside it is on
 * average. */
static float coverage(const struct sprite *sp, int samples, float reach, float x, float y, float *depth)
{
    float middle = shape_distance(sp->kind, &sp->at, x, y), sum = 0, inside = 0;

    *depth = -middle;
    if (samples == 1 || fabsf(middle) > reach)
        return ramp(middle, sp->softness);
    for (int i = 0; i < samples; i++) {
        float t = (float)i / (float)(samples - 1) - .5f;
        float d = shape_distance(sp->kind, &sp->at, x - t * sp->blur_x, y - t * sp->blur_y);

        sum += ramp(d, sp->softness);
        inside -= d;
    }
    *depth = inside / (float)samples;
    return sum / (float)samples;
}

/* Draws one sprite; returns how many pixels it takes, those outside of the frame and those covered later
 * included. */
static int draw_sprite(struct scene *s, int index)
{
    const struct sprite *sp = &s->sprites[index];
    struct extent e = shape_extent(sp->kind, &sp->at);
    float grow_x = fabsf(sp->blur_x) * .5f + sp->softness, grow_y = fabsf(sp->blur_y) * .5f + sp->softness;
    float travel = hypotf(sp->blur_x, sp->blur_y), reach = travel * .5f + sp->softness;
    int samples = 1 + (int)fminf(7, travel / (2 * unit_of(s))), area = 0;
    int x0 = (int)floorf(e.x_min - grow_x), x1 = (int)ceilf(e.x_max + grow_x);
    int y0 = (int)floorf(e.y_min - grow_y), y1 = (int)ceilf(e.y_max + grow_y);

    for (int y = y0; y <= y1; y++) {
        for (int x = x0; x <= x1; x++) {
            float depth, cx = (float)x + .5f, cy = (float)y + .5f;
            float alpha = coverage(sp, samples, reach, cx, cy, &depth);

            area += alpha > .5f;
            if (alpha <= 0 || x < 0 || y < 0 || x >= s->width || y >= s->height)
                continue;
            size_t at = (size_t)y * (size_t)s->width + (size_t)x;
            float t = paint_mix(sp, depth, cx - sp->at.x, cy - sp->at.y);
            for (int i = 0; i < 3; i++) {
                float colour = sp->paint.a[i] + (sp->paint.b[i] - sp->paint.a[i]) * t;
                s->canvas[at * 3 + (size_t)i] += (colour - s->canvas[at * 3 + (size_t)i]) * alpha;
            }
            if (alpha > .5f)
                s->owner[at] = (uint8_t)(index + 1);
        }
    }
    return area;
}

/* [1 2 1]/4 down then across, in place; `row` keeps the line above as it was. */
static void soften(struct scene *s)
{
    size_t n = (size_t)s->width * 3;

    memcpy(s->row, s->canvas, n * sizeof(float));
    for (int y = 0; y < s->height; y++) {
        float *line = s->canvas + (size_t)y * n, *below = y + 1 < s->height ? line + n : line;

        for (size_t i = 0; i < n; i++) {
            float was = line[i];

            line[i] = .25f * s->row[i] + .5f * was + .25f * below[i];
            s->row[i] = was;
        }
        float left[3] = {line[0], line[1], line[2]};
        for (size_t i = 0; i + 3 < n; i++) {
            float was = line[i];

            line[i] = .25f * left[i % 3] + .5f * was + .25f * line[i + 3];
            left[i % 3] = was;
        }
    }
}

static void expose(struct scene *s, uint8_t *rgb)
{
    float scale = s->noise / (4 * 255.f);

    for (int y = 0; y < s->height; y++) {
        float light = s->gain + s->light_y * ((float)y / (float)s->height - .5f) - .5f * s->light_x;
        float step = s->light_x / (float)s->width;
        const float *from = s->canvas + (size_t)y * (size_t)s->width * 3;
        uint8_t *to = rgb + (size_t)y * (size_t)s->width * 3;

        for (int x = 0; x < s->width; x++, light += step) {
            for (int i = 0; i < 3; i++) {
                float v = *from++ * light + .5f;

                if (scale > 0) { /* four bytes summed are near enough to a bell curve */
                    uint32_t r = rng_u32(&s->rng);
                    v += ((float)((r & 255) + (r >> 8 & 255) + (r >> 16 & 255) + (r >> 24)) - 510) * scale;
                }
                *to++ = v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
            }
        }
    }
}

static float clip_unit(float v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

int scene_render(struct scene *s, uint8_t *rgb, struct scene_object objects[SCENE_MAX_SPRITES])
{
    size_t pixels = (size_t)s->width * (size_t)s->height;
    int area[SCENE_MAX_SPRITES], seen[SCENE_MAX_SPRITES + 1] = {0}, count = 0;

    if (!s->drawn)
        background_draw(&s->background, unit_of(s), s->width, s->height, s->canvas);
    s->drawn = false;
    memset(s->owner, 0, pixels);
    for (int i = 0; i < s->sprite_count; i++)
        area[i] = draw_sprite(s, i);
    for (int i = 0; i < s->blur_passes; i++)
        soften(s);
    expose(s, rgb);
    for (size_t i = 0; i < pixels; i++)
        seen[s->owner[i]]++;
    for (int i = 0; i < s->sprite_count; i++) {
        const struct sprite *sp = &s->sprites[i];
        struct extent e = shape_extent(sp->kind, &sp->at);

        if (sp->kind >= SCENE_CLASSES || (float)seen[i + 1] < LABEL_VISIBLE * (float)area[i] ||
            seen[i + 1] == 0)
            continue;
        objects[count++] = (struct scene_object){
            .class_id = (int)sp->kind,
            .box = {clip_unit(e.x_min / (float)s->width), clip_unit(e.y_min / (float)s->height),
                    clip_unit(e.x_max / (float)s->width), clip_unit(e.y_max / (float)s->height)},
        };
    }
    return count;
}
