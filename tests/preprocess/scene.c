/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t between(struct test_rng *rng, uint32_t low, uint32_t high)
{
    return low + test_random_below(rng, high - low + 1);
}

static void set_plane(struct scene *scene, struct test_rng *rng, int plane, uint32_t row_bytes, uint32_t rows)
{
    uint32_t stride = row_bytes + between(rng, 0, 9);
    scene->frame.stride[plane] = stride;
    scene->frame.plane_size[plane] = (size_t)stride * (rows - 1) + row_bytes;
}

static bool is_packed(enum shk_pixel_format format)
{
    return format <= SHK_FORMAT_BGRX;
}

static uint32_t pixel_size(enum shk_pixel_format format)
{
    return format == SHK_FORMAT_GRAY8 ? 1 : format == SHK_FORMAT_RGB || format == SHK_FORMAT_BGR ? 3 : 4;
}

void scene_set_frame(struct scene *scene, struct test_rng *rng, enum shk_pixel_format format, uint32_t width,
                     uint32_t height)
{
    uint32_t half_w = (width + 1) / 2, half_h = (height + 1) / 2;
    scene->format.format = format;
    scene->format.width = width;
    scene->format.height = height;
    scene->frame = (struct shk_frame){0};
    if (format == SHK_FORMAT_YUY2) {
        set_plane(scene, rng, 0, half_w * 4, height);
    } else if (format == SHK_FORMAT_NV12 || format == SHK_FORMAT_I420) {
        set_plane(scene, rng, 0, width, height);
        set_plane(scene, rng, 1, format == SHK_FORMAT_NV12 ? half_w * 2 : half_w, half_h);
        if (format == SHK_FORMAT_I420)
            set_plane(scene, rng, 2, half_w, half_h);
    } else {
        set_plane(scene, rng, 0, width * pixel_size(format), height);
    }
    free(scene->memory);
    size_t bytes = scene->frame.plane_size[0] + scene->frame.plane_size[1] + scene->frame.plane_size[2];
    scene->memory = malloc(bytes);
    test_random_bytes(rng, scene->memory, bytes);
    uint8_t *at = scene->memory;
    for (int i = 0; i < 3 && scene->frame.plane_size[i]; i++) {
        scene->frame.plane[i] = at;
        at += scene->frame.plane_size[i];
    }
}

void scene_init(struct scene *scene, struct test_rng *rng)
{
    *scene = (struct scene){.params = SHK_SESSION_PARAMS_DEFAULT};
    uint32_t width = between(rng, 1, 70), height = between(rng, 1, 50);
    scene->format.matrix = between(rng, 0, 1);
    scene->format.range = between(rng, 0, 1);
    scene->params.resize = between(rng, 0, 1);
    scene->params.filter = between(rng, 0, 1);
    scene->params.bgr = between(rng, 0, 1);
    scene->dtype = SHK_DTYPE_UINT8;
    scene->width = (int32_t)between(rng, 1, 60);
    scene->height = (int32_t)between(rng, 1, 60);
    scene->channels = between(rng, 0, 2) ? 3 : 1;
    scene_set_frame(scene, rng, between(rng, 0, SHK_FORMAT_COUNT - 1), width, height);
    if (between(rng, 0, 1)) {
        struct shk_rect *crop = &scene->frame.crop;
        crop->x = between(rng, 0, width - 1);
        crop->y = between(rng, 0, height - 1);
        crop->width = between(rng, 1, width - crop->x);
        crop->height = between(rng, 1, height - crop->y);
    }
}

void scene_finish(struct scene *scene)
{
    free(scene->memory);
    *scene = (struct scene){0};
}

struct shk_model *scene_model(const struct scene *scene)
{
    const float scale = 0.02f;
    const int32_t zero_point = scene->dtype == SHK_DTYPE_UINT8 ? 120 : -8;
    struct shk_tensor_desc desc = {.name = "image",
                                   .dtype = scene->dtype,
                                   .shape = {4, {1, scene->height, scene->width, scene->channels}},
                                   .quant_count = scene->dtype != SHK_DTYPE_FLOAT32,
                                   .scales = &scale,
                                   .zero_points = &zero_point};
    struct shk_graph *graph = shk_graph_create("scene");
    struct shk_model *model = NULL;
    struct shk_error error;
    uint32_t tensor;
    test_ok(shk_graph_add_tensor(graph, &desc, &tensor, &error), &error);
    test_ok(shk_graph_set_io(graph, &tensor, 1, &tensor, 1, &error), &error);
    test_ok(shk_model_from_graph(&graph, &model, &error), &error);
    return model;
}

const char *scene_string(const struct scene *s)
{
    static char text[256];
    snprintf(text, sizeof(text),
             "format %d %ux%u matrix %d range %d crop %ux%u+%u+%u to %dx%dx%d type %d resize %d "
             "filter %d bgr %d",
             s->format.format, s->format.width, s->format.height, s->format.matrix, s->format.range,
             s->frame.crop.width, s->frame.crop.height, s->frame.crop.x, s->frame.crop.y, s->width, s->height,
             s->channels, s->dtype, s->params.resize, s->params.filter, s->params.bgr);
    return text;
}

/* ---- the equations ---- */

/* R, G, B or Y, Cb, Cr. */
static void components(const struct scene *s, uint32_t x, uint32_t y, double out[3])
{
    const struct shk_frame *f = &s->frame;
    enum shk_pixel_format format = s->format.format;
    const uint8_t *row = f->plane[0] + (size_t)f->stride[0] * y;
    const uint8_t *chroma = format == SHK_FORMAT_NV12 || format == SHK_FORMAT_I420
                                ? f->plane[1] + (size_t)f->stride[1] * (y / 2)
                                : NULL;
    if (is_packed(format)) {
        const uint8_t *pixel = row + (size_t)x * pixel_size(format);
        bool blue_first = format == SHK_FORMAT_BGR || format == SHK_FORMAT_BGRA || format == SHK_FORMAT_BGRX;
        for (int i = 0; i < 3; i++)
            out[i] = pixel[blue_first ? 2 - i : i];
        return;
    }
    out[0] = format == SHK_FORMAT_YUY2 ? row[x * 2] : row[x];
    out[1] = out[2] = 128.0;
    if (format == SHK_FORMAT_YUY2) {
        out[1] = row[x / 2 * 4 + 1];
        out[2] = row[x / 2 * 4 + 3];
    } else if (format == SHK_FORMAT_NV12) {
        out[1] = chroma[x / 2 * 2];
        out[2] = chroma[x / 2 * 2 + 1];
    } else if (format == SHK_FORMAT_I420) {
        out[1] = chroma[x / 2];
        out[2] = f->plane[2][(size_t)f->stride[2] * (y / 2) + x / 2];
    }
}

/* Weight of source pixel `i` of `source` for target pixel `t` of `target`. */
static double weight(enum shk_filter filter, uint32_t source, uint32_t target, uint32_t t, uint32_t i)
{
    double step = (double)source / target;
    if (filter == SHK_FILTER_AREA) {
        double overlap = fmin(i + 1.0, (t + 1) * step) - fmax(i, t * step);
        return fmax(overlap, 0.0) / step;
    }
    double position = fmin(fmax((t + 0.5) * step - 0.5, 0.0), source - 1.0);
    return fmax(1.0 - fabs(position - i), 0.0);
}

static void resample(const struct scene *s, struct shk_rect crop, uint32_t width, uint32_t height, uint32_t x,
                     uint32_t y, double out[3])
{
    out[0] = out[1] = out[2] = 0.0;
    for (uint32_t v = 0; v < crop.height; v++) {
        double wy = weight(s->params.filter, crop.height, height, y, v);
        for (uint32_t u = 0; u < crop.width && wy > 0.0; u++) {
            double w = wy * weight(s->params.filter, crop.width, width, x, u), c[3];
            if (w <= 0.0)
                continue;
            components(s, crop.x + u, crop.y + v, c);
            for (int i = 0; i < 3; i++)
                out[i] += w * c[i];
        }
    }
}

static double level(double x)
{
    return 255.0 * fmin(fmax(x, 0.0), 1.0);
}

/* Rec. ITU-R BT.601 and BT.709: E'Y = Kr R + Kg G + Kb B, P'B = (B - E'Y) / (2 (1 - Kb)), P'R likewise. */
static void convert(const struct scene *s, const double c[3], double rgb[3])
{
    const double kr = s->format.matrix == SHK_YUV_BT709 ? 0.2126 : 0.299;
    const double kb = s->format.matrix == SHK_YUV_BT709 ? 0.0722 : 0.114;
    bool limited = s->format.range == SHK_YUV_LIMITED;
    if (is_packed(s->format.format)) {
        for (int i = 0; i < 3; i++)
            rgb[i] = c[i];
        if (s->channels == 1)
            rgb[0] = 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2];
        return;
    }
    double y = limited ? (c[0] - 16.0) / 219.0 : c[0] / 255.0;
    double pb = (c[1] - 128.0) / (limited ? 224.0 : 255.0), pr = (c[2] - 128.0) / (limited ? 224.0 : 255.0);
    double r = y + 2.0 * (1.0 - kr) * pr, b = y + 2.0 * (1.0 - kb) * pb;
    double g = (y - kr * r - kb * b) / (1.0 - kr - kb);
    rgb[0] = level(s->channels == 1 ? y : r);
    rgb[1] = level(g);
    rgb[2] = level(b);
}

double *scene_expected(const struct scene *s)
{
    struct shk_rect crop = s->frame.crop;
    if (crop.width == 0)
        crop = (struct shk_rect){0, 0, s->format.width, s->format.height};
    uint32_t width = (uint32_t)s->width, height = (uint32_t)s->height;
    if (s->params.resize == SHK_RESIZE_LETTERBOX) {
        double scale = fmin((double)s->width / crop.width, (double)s->height / crop.height);
        width = (uint32_t)fmax(1.0, floor(crop.width * scale + 0.5 + 1e-9));
        height = (uint32_t)fmax(1.0, floor(crop.height * scale + 0.5 + 1e-9));
    }
    uint32_t left = ((uint32_t)s->width - width) / 2, top = ((uint32_t)s->height - height) / 2;
    double *out = malloc((size_t)(s->width * s->height * s->channels) * sizeof(*out)), *to = out;
    for (uint32_t y = 0; y < (uint32_t)s->height; y++)
        for (uint32_t x = 0; x < (uint32_t)s->width; x++) {
            double c[3], rgb[3] = {114.0, 114.0, 114.0};
            if (x - left < width && y - top < height) {
                resample(s, crop, width, height, x - left, y - top, c);
                convert(s, c, rgb);
            }
            for (int i = 0; i < s->channels; i++)
                *to++ = rgb[s->channels == 3 && s->params.bgr ? 2 - i : i];
        }
    return out;
}
