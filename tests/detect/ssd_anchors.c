/* Raw SSD heads: their anchors, scores and boxes against a plain computation, and what sidecars may say of
 * them. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "head.h"

#define MAX_ROWS    1917
#define MAX_CLASSES 4
#define MAX_VALUES  16

static struct shk_error error;

static const char head[] = "[modelinfo]\nversion=1.0\ndecoder=ssd-anchors\n";

#define SCALE 0.0625f

static struct shk_model *make(uint32_t width, uint32_t height, int32_t rows, int32_t values, int32_t classes,
                              bool is_float, const char *sidecar)
{
    const struct head_output outputs[] = {
        {"boxes", {3, {1, rows, values}}, SCALE, 0, 0, true, is_float},
        {"scores", {3, {1, rows, classes}}, SCALE, 0, 0, true, is_float},
    };
    struct shk_modelinfo info;
    char text[1024];
    struct shk_model *model = head_model_sized(width, height, outputs, 2);
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_NONE);
    snprintf(text, sizeof(text), "%s%s", head, sidecar);
    test_ok(head_sidecar(model, text, &info, &error), &error);
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_SSD_ANCHORS);
    return model;
}

/* ---- by hand: MediaPipe's face detector (short range), 128x128 ---- */

static const char blazeface[] = "[boxes]\nstrides=8,16,16,16\nanchor-scales=0.1484375,0.75\naspect-ratios=1\n"
                                "fixed-anchor-size=true\nbox-scales=128,128,128,128\nbox-sizes=linear\n"
                                "[scores]\nscores=logits\n";

START_TEST(blazeface_by_hand)
{
    static float boxes[896 * 16], scores[896];
    const void *outputs[] = {boxes, scores};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_detection d[100];
    struct shk_model *model = make(128, 128, 896, 16, 1, true, blazeface);
    ck_assert_uint_eq(shk_model_class_count(model), 1);
    for (int i = 0; i < 896; i++)
        scores[i] = -200; /* beyond where MediaPipe clips */
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 0);
    /* the second of two boxes of row 1, column 2 of 16x16; centre (20, 12) pixels */
    memcpy(boxes + 37 * 16, (float[]){4, -2, 16, 8, 1e9f, NAN}, 6 * sizeof(float));
    scores[37] = 200;
    /* the last of six boxes of the last cell of 8x8; centre (120, 120) */
    memcpy(boxes + 895 * 16, (float[]){-60, -56, 64, 32}, 4 * sizeof(float));
    scores[895] = 1;
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 2);
    ck_assert(d[0].confidence == 1 && d[0].class_id == 0);
    ck_assert_float_eq_tol(d[0].x_min, 16 / 128.0f, 1e-6f);
    ck_assert_float_eq_tol(d[0].y_min, 6 / 128.0f, 1e-6f);
    ck_assert_float_eq_tol(d[0].x_max, 32 / 128.0f, 1e-6f);
    ck_assert_float_eq_tol(d[0].y_max, 14 / 128.0f, 1e-6f);
    ck_assert_float_eq_tol(d[1].confidence, 0.731059f, 1e-5f);
    ck_assert_float_eq_tol(d[1].x_min, 28 / 128.0f, 1e-6f);
    ck_assert_float_eq_tol(d[1].y_max, 80 / 128.0f, 1e-6f);
    boxes[37 * 16 + 2] = -16; /* a box inside out */
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 1);
    shk_model_destroy(&model);
}
END_TEST

/* ---- against a plain computation ---- */

struct plain {
    uint32_t rows;
    double x[MAX_ROWS], y[MAX_ROWS], w[MAX_ROWS], h[MAX_ROWS]; /* centres and sizes, parts of the input */
};

static void plain_add(struct plain *p, double x, double y, double w, double h)
{
    ck_assert_uint_lt(p->rows, MAX_ROWS);
    p->x[p->rows] = x, p->y[p->rows] = y, p->w[p->rows] = w, p->h[p->rows++] = h;
}

/* TensorFlow's ssd_mobilenet at 300x300: create_ssd_anchors() with its defaults. */
static void plain_mobilenet(struct plain *p)
{
    static const int cells[6] = {19, 10, 5, 3, 2, 1};
    static const double ratios[5] = {1, 2, 0.5, 3, 0.3333};
    for (int layer = 0; layer < 6; layer++)
        for (int i = 0; i < cells[layer] * cells[layer]; i++) {
            double x = (i % cells[layer] + 0.5) / cells[layer], y = (i / cells[layer] + 0.5) / cells[layer];
            double scale = 0.2 + 0.15 * layer, next = layer == 5 ? 1 : scale + 0.15;
            if (layer == 0) {
                plain_add(p, x, y, 0.1, 0.1);
                plain_add(p, x, y, 0.2 * sqrt(2), 0.2 / sqrt(2));
                plain_add(p, x, y, 0.2 / sqrt(2), 0.2 * sqrt(2));
                continue;
            }
            for (int r = 0; r < 5; r++)
                plain_add(p, x, y, scale * sqrt(ratios[r]), scale / sqrt(ratios[r]));
            plain_add(p, x, y, sqrt(scale * next), sqrt(scale * next));
        }
}

/* Sizes in pixels on 160x120, as Ultra-Light has them. */
static void plain_ultra_light(struct plain *p)
{
    static const int columns[4] = {20, 10, 5, 3}, rows[4] = {15, 8, 4, 2};
    static const double sizes[4][3] = {{10, 16, 24}, {32, 48}, {64, 96}, {128, 192, 256}};
    for (int layer = 0; layer < 4; layer++)
        for (int y = 0; y < rows[layer]; y++)
            for (int x = 0; x < columns[layer]; x++)
                for (int a = 0; a < 3 && sizes[layer][a] > 0; a++)
                    plain_add(p, (x + 0.5) / columns[layer], (y + 0.5) / rows[layer],
                              fmin(sizes[layer][a], 160) / 160, fmin(sizes[layer][a], 120) / 120);
}

/* RetinaFace on 80x60: cells of 16 and 32 pixels, though the last ones end outside. */
static void plain_strides(struct plain *p)
{
    static const int columns[2] = {5, 3}, rows[2] = {4, 2}, stride[2] = {16, 32};
    static const double sizes[2][2] = {{16, 32}, {64, 96}};
    for (int layer = 0; layer < 2; layer++)
        for (int y = 0; y < rows[layer]; y++)
            for (int x = 0; x < columns[layer]; x++)
                for (int a = 0; a < 2; a++)
                    plain_add(p, (x + 0.5) * stride[layer] / 80, (y + 0.5) * stride[layer] / 60,
                              sizes[layer][a] / 80, sizes[layer][a] / 60);
}

static void plain_two_scales(struct plain *p)
{
    for (int i = 0; i < 16; i++)
        plain_add(p, (i % 4 + 0.5) / 4, (i / 4 + 0.5) / 4, 0.3, 0.3);
    for (int i = 0; i < 4; i++)
        plain_add(p, (i % 2 + 0.5) / 2, (i / 2 + 0.5) / 2, 0.7, 0.7);
}

enum scoring { PROBABILITIES, LOGITS, SOFTMAX };

static const struct config {
    uint32_t width, height;
    void (*anchors)(struct plain *p);
    int32_t values, classes;
    bool yxhw;
    enum scoring scoring;
    int background;
    double scales[4];
    const char *sidecar;
} configs[] = {
    {300,
     300,
     plain_mobilenet,
     4,
     4,
     true,
     LOGITS,
     1,
     {10, 10, 5, 5},
     "[boxes]\nstrides=16,32,64,128,256,512\nanchor-scales=0.2,0.95\naspect-ratios=1,2,0.5,3,0.3333\n"
     "reduce-boxes-in-lowest-layer=true\nbox-order=yxhw\n[scores]\nscores=logits\n"},
    {300,
     300,
     plain_mobilenet,
     4,
     3,
     true,
     SOFTMAX,
     1,
     {4, 8, 2, 16},
     "[boxes]\nstrides=16,32,64,128,256,512\nanchor-scales=0.2,0.35,0.5,0.65,0.8,0.95\n"
     "aspect-ratios=1,2,0.5,3,0.3333\ninterpolated-scale-aspect-ratio=1\nreduce-boxes-in-lowest-layer=true\n"
     "box-order=yxhw\nbox-scales=4,8,2,16\n[scores]\nscores=softmax\nbackground=first\n"},
    {160,
     120,
     plain_ultra_light,
     4,
     2,
     false,
     PROBABILITIES,
     1,
     {10, 10, 5, 5},
     "[boxes]\nid=ultra-lightweight-face-detection-rfb-320-v1-variant-1-out-boxes-without-postproc\n"
     "[scores]\nscores=probabilities\n"},
    {80,
     60,
     plain_strides,
     4,
     2,
     false,
     SOFTMAX,
     0,
     {10, 10, 5, 5},
     "[boxes]\nstrides=16,32\nanchors=16,16;32,32|64,64;96,96\nanchor-centers=strides\n"
     "[scores]\nscores=softmax\nbackground=none\n"},
    {32,
     32,
     plain_two_scales,
     6,
     1,
     false,
     LOGITS,
     0,
     {10, 10, 5, 5},
     "[boxes]\nstrides=8,16\nanchor-scales=0.3,0.7\naspect-ratios=1\ninterpolated-scale-aspect-ratio=0\n"
     "[scores]\nscores=logits\n"},
};

/* The score of a row, and its class. */
static double plain_score(const struct config *c, const float *row, uint32_t *best)
{
    double sum = 0;
    int at = c->background;
    for (int k = 0; k < c->classes; k++) {
        sum += exp((double)row[k]);
        if (k >= c->background && row[k] > row[at])
            at = k;
    }
    *best = (uint32_t)(at - c->background);
    double v = (double)row[at];
    return c->scoring == SOFTMAX  ? exp(v) / sum
           : c->scoring == LOGITS ? 1 / (1 + exp(-v))
                                  : fmin(fmax(v, 0), 1);
}

/* The detection of one row, alone in the picture. False if there is none. */
static bool plain_decode(const struct config *c, const struct plain *p, uint32_t i, const float *box,
                         struct shk_detection *d)
{
    int x_at = c->yxhw, y_at = 1 - c->yxhw, w_at = 2 + c->yxhw, h_at = 3 - c->yxhw;
    double x = p->x[i] + (double)box[x_at] / c->scales[0] * p->w[i];
    double y = p->y[i] + (double)box[y_at] / c->scales[1] * p->h[i];
    double w = p->w[i] * exp((double)box[w_at] / c->scales[2]),
           h = p->h[i] * exp((double)box[h_at] / c->scales[3]);
    d->x_min = (float)fmin(fmax(x - w / 2, 0), 1);
    d->y_min = (float)fmin(fmax(y - h / 2, 0), 1);
    d->x_max = (float)fmin(fmax(x + w / 2, 0), 1);
    d->y_max = (float)fmin(fmax(y + h / 2, 0), 1);
    return d->x_min < d->x_max && d->y_min < d->y_max;
}

static void compare(const struct shk_detection *found, const struct shk_detection *want, uint32_t row)
{
    ck_assert_msg(found->class_id == want->class_id && fabsf(found->confidence - want->confidence) < 1e-4f &&
                      fabsf(found->x_min - want->x_min) < 1e-4f &&
                      fabsf(found->y_min - want->y_min) < 1e-4f &&
                      fabsf(found->x_max - want->x_max) < 1e-4f && fabsf(found->y_max - want->y_max) < 1e-4f,
                  "row %u: class %u %.5f at %.5f %.5f %.5f %.5f, expected %u %.5f at %.5f %.5f %.5f %.5f",
                  row, found->class_id, (double)found->confidence, (double)found->x_min, (double)found->y_min,
                  (double)found->x_max, (double)found->y_max, want->class_id, (double)want->confidence,
                  (double)want->x_min, (double)want->y_min, (double)want->x_max, (double)want->y_max);
}

/* Of a softmax: what DEQUANTIZE can make. */
static float random_score(const struct config *c, struct test_rng *rng)
{
    if (c->scoring == PROBABILITIES)
        return (float)test_random_below(rng, 1001) / 1000;
    return c->scoring == SOFTMAX ? ((float)test_random_below(rng, 161) - 64) * SCALE
                                 : (float)test_random_below(rng, 1001) / 100 - 4;
}

/* Every row alone: all others are as far below the threshold as they can be. */
static void every_row(const struct config *c, const struct plain *p, const struct shk_model *model)
{
    static float boxes[MAX_ROWS * MAX_VALUES], scores[MAX_ROWS * MAX_CLASSES];
    const void *outputs[] = {boxes, scores};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct test_rng rng = {17};
    size_t values = (size_t)c->values, classes = (size_t)c->classes;
    params.score_threshold = 0.6f;
    for (size_t i = 0; i < p->rows * values; i++)
        boxes[i] = (float)test_random_below(&rng, 2001) / 200 - 5;
    for (uint32_t i = 0; i < p->rows; i++) {
        struct shk_detection d[4], want;
        float *row = scores + i * classes;
        for (size_t k = 0; k < p->rows * classes; k++)
            scores[k] = c->scoring == SOFTMAX ? 0.0f : -20.0f; /* no softmax of two is above one half */
        for (size_t k = 0; k < classes; k++)
            row[k] = random_score(c, &rng);
        want.confidence = (float)plain_score(c, row, &want.class_id);
        bool seen = plain_decode(c, p, i, boxes + i * values, &want);
        if (fabsf(want.confidence - 0.6f) < 1e-4f)
            continue;
        ck_assert_uint_eq(head_decode(model, &params, outputs, d), seen && want.confidence > 0.6f);
        if (seen && want.confidence > 0.6f)
            compare(&d[0], &want, i);
    }
}

START_TEST(plain)
{
    const struct config *c = &configs[_i];
    static struct plain p;
    p.rows = 0;
    c->anchors(&p);
    struct shk_model *model =
        make(c->width, c->height, (int32_t)p.rows, c->values, c->classes, true, c->sidecar);
    ck_assert_uint_eq(shk_model_class_count(model), (uint32_t)(c->classes - c->background));
    every_row(c, &p, model);
    shk_model_destroy(&model);
}
END_TEST

/* ---- anything at all ---- */

START_TEST(any_outputs)
{
    const struct config *c = &configs[_i];
    static struct plain p;
    static float boxes[MAX_ROWS * MAX_VALUES], scores[MAX_ROWS * MAX_CLASSES];
    static struct shk_detection d[1000];
    const void *outputs[] = {boxes, scores};
    struct test_rng rng = {(uint64_t)_i};
    p.rows = 0;
    c->anchors(&p);
    for (int run = 0; run < 60; run++) {
        struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
        struct shk_model *model =
            make(c->width, c->height, (int32_t)p.rows, c->values, c->classes, run % 2, c->sidecar);
        params.score_threshold = (float)test_random_below(&rng, 4) / 4;
        params.max_detections = test_random_below(&rng, 3) * 500;
        test_random_bytes(&rng, boxes, sizeof(boxes));
        test_random_bytes(&rng, scores, sizeof(scores));
        for (size_t i = 0; run % 4 == 1 && i < MAX_ROWS * MAX_CLASSES; i++)
            scores[i] = (float[]){NAN, INFINITY, -INFINITY, 1e30f, 0.5f, 1, 80}[test_random_below(&rng, 7)];
        head_decode(model, &params, outputs, d);
        shk_model_destroy(&model);
    }
}
END_TEST

/* ---- sidecars ---- */

static const struct {
    const char *text, *part;
} refused[] = {
    {"", "strides= in its section"},
    {"[boxes]\nstrides=8\n", "head.modelinfo:4: decoder ssd-anchors: it needs anchors=, or aspect-ratios="},
    {"[boxes]\nstrides=8\naspect-ratios=1\n", "it needs anchor-scales=, or fixed-anchor-size=true"},
    {"[boxes]\nstrides=8\nanchors=8,8;9,9\nfixed-anchor-size=true\n", "given twice"},
    {"[boxes]\nstrides=8,16\nanchors=8,8;9,9\n", "one list for each of the strides"},
    {"[boxes]\nstrides=8\nanchors=8,8;9,9|1,1\n", "one list for each of the strides"},
    {"[boxes]\nstrides=8,16,32\naspect-ratios=1\nanchor-scales=0.1,0.2,0.3,0.4\n",
     "one for each of the strides"},
    {"[boxes]\nstrides=8\nanchors=8,8\n", "make 16 boxes on a 32x32 input; output [boxes] has 32"},
    {"[boxes]\nstrides=4\nanchors=8,8\n", "make 64 boxes"},
    {"[boxes]\nstrides=8,8,8\naspect-ratios=1,2,3,4,5,6,7\nfixed-anchor-size=true\n", "more than 16 anchors"},
    {"[boxes]\nstrides=8\nanchors=8,8;9,9\n[scores]\nstrides=8\n", "strides= in its section"},
    {"[boxes]\nstrides=8\nanchors=8,8;9,9\nscores=logits\n", "key scores; decoder ssd-anchors expects"},
    {"[boxes]\nstrides=8\nanchors=8,8;9,9\n[scores]\nbox-order=yxhw\nscores=logits\n", "key box-order"},
    {"[boxes]\nstrides=8\nanchors=8,8;9,9\nboxes=cells\n[scores]\nscores=logits\n",
     "boxes, which decoder ssd-anchors"},
    {"[boxes]\nstrides=8\nanchors=8,8;9,9\n[scores]\nbackground=none\n",
     "add scores=logits, softmax or prob"},
    {"[boxes]\nanchor-scales=0.2\n", ":5: anchor-scales: expected 2 to 8 parts of the input above 0"},
    {"[boxes]\nanchor-scales=0,1\n", "anchor-scales: expected"},
    {"[boxes]\nanchor-scales=0.1,17\n", "found '0.1,17'"},
    {"[boxes]\nanchor-scales=0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9\n", "anchor-scales: expected"},
    {"[boxes]\naspect-ratios=1,,2\n", "aspect-ratios: expected up to 16 numbers"},
    {"[boxes]\naspect-ratios=-1\n", "aspect-ratios: expected"},
    {"[boxes]\naspect-ratios=inf\n", "aspect-ratios: expected"},
    {"[boxes]\ninterpolated-scale-aspect-ratio=1,2\n", "or 0 for none"},
    {"[boxes]\ninterpolated-scale-aspect-ratio=-1\n", "or 0 for none"},
    {"[boxes]\nreduce-boxes-in-lowest-layer=yes\n", "expected true or false, found 'yes'"},
    {"[boxes]\nfixed-anchor-size=1\n", "expected true or false"},
    {"[boxes]\nanchor-centers=corner\n", "grid or strides"},
    {"[boxes]\nbox-order=hwxy\n", "xywh or yxhw"},
    {"[boxes]\nbox-scales=10,10,5\n", "four numbers above 0"},
    {"[boxes]\nbox-scales=10,10,5,0\n", "four numbers above 0"},
    {"[boxes]\nbox-sizes=log\n", "exponential or linear"},
    {"[scores]\nbackground=last\n", "first or none"},
    {"[scores]\nbackground=first\nbackground=none\n", "twice"},
    {"[boxes]\nanchors=8,8|\n", "width,height"},
    {"[boxes]\nanchors=1,1|1,1|1,1|1,1|1,1|1,1|1,1|1,1|1,1\n", "up to 8 grids"},
};

START_TEST(refused_sidecar)
{
    static const struct head_output outputs[] = {
        {"boxes", {3, {1, 32, 4}}, 0.0625f, 0, 0, true, false},
        {"scores", {3, {1, 32, 2}}, 0.0625f, 0, 0, true, false},
    };
    struct shk_modelinfo info;
    char text[512];
    struct shk_model *model = head_model(32, outputs, 2);
    snprintf(text, sizeof(text), "%s%s", head, refused[_i].text);
    ck_assert_msg(head_sidecar(model, text, &info, &error) == SHK_ERROR_BAD_MODEL, "accepted: %s",
                  refused[_i].text);
    ck_assert_msg(strstr(error.message, refused[_i].part) && strstr(error.message, "head.modelinfo"),
                  "'%s' is not in: %s", refused[_i].part, error.message);
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_NONE);
    shk_model_destroy(&model);
}
END_TEST

/* Landmarks, or a second table as long: only scores= tells. */
START_TEST(three_outputs)
{
    static const struct head_output outputs[] = {
        {"landmarks", {3, {1, 32, 10}}, 0.0625f, 0, 0, true, false},
        {"scores", {3, {1, 32, 2}}, 1.0f / 256, -128, 0, true, false},
        {"boxes", {3, {1, 32, 4}}, 0.0625f, 0, 0, true, false},
    };
    struct shk_modelinfo info;
    char text[512];
    struct shk_model *model = head_model(32, outputs, 3);
    snprintf(text, sizeof(text), "%s[boxes]\nstrides=8\nanchors=8,8;9,9\n", head);
    ck_assert_int_eq(head_sidecar(model, text, &info, &error), SHK_ERROR_BAD_MODEL);
    ck_assert_msg(strstr(error.message, "if there are several") != NULL, "%s", error.message);
    snprintf(text, sizeof(text), "%s[boxes]\nstrides=8\nanchors=8,8;9,9\n[scores]\nbackground=first\n", head);
    test_ok(head_sidecar(model, text, &info, &error), &error);
    ck_assert_uint_eq(shk_model_class_count(model), 1);
    shk_model_destroy(&model);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ssd_anchors");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, blazeface_by_hand);
    tcase_add_loop_test(tests, plain, 0, (int)SHK_ARRAY_LEN(configs));
    tcase_add_loop_test(tests, any_outputs, 0, (int)SHK_ARRAY_LEN(configs));
    tcase_add_loop_test(tests, refused_sidecar, 0, (int)SHK_ARRAY_LEN(refused));
    tcase_add_test(tests, three_outputs);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
