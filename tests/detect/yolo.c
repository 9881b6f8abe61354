/* YOLO decoders: made-up outputs, random ones, and the kit's.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "head.h"

static struct shk_error error;

static void expect(const struct shk_detection *d, uint32_t class_id, float confidence, float x_min,
                   float y_min, float x_max, float y_max)
{
    ck_assert_uint_eq(d->class_id, class_id);
    ck_assert_float_eq_tol(d->confidence, confidence, 1e-4f);
    ck_assert_float_eq_tol(d->x_min, x_min, 1e-4f);
    ck_assert_float_eq_tol(d->y_min, y_min, 1e-4f);
    ck_assert_float_eq_tol(d->x_max, x_max, 1e-4f);
    ck_assert_float_eq_tol(d->y_max, y_max, 1e-4f);
}

/* ---- YOLOX: 64x64 input, 64 + 16 + 4 cells, three classes; steps of 1/32 from -2 on ---- */

#define CELLS  84
#define X_ROW  8
#define X_ZERO -64

static const struct head_output yolox = {"out", {3, {1, CELLS, X_ROW}}, 1.0f / 32, X_ZERO, 4, true};

static void x_row(int8_t *out, uint32_t row, float x, float y, float w, float h, float objectness, float c0,
                  float c1, float c2)
{
    const float values[X_ROW] = {x, y, w, h, objectness, c0, c1, c2};
    for (int i = 0; i < X_ROW; i++)
        out[row * X_ROW + i] = (int8_t)(lrintf(values[i] * 32) + X_ZERO);
}

START_TEST(yolox_by_hand)
{
    struct shk_model *model = head_model(64, &yolox, 1);
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_detection d[100];
    int8_t out[CELLS * X_ROW];
    const void *outputs[] = {out};
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_YOLOX);
    ck_assert_uint_eq(shk_model_class_count(model), 3);
    memset(out, X_ZERO, sizeof(out));
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 0);
    x_row(out, 64 + 5, 0.5f, 0.25f, 0, 0, 1, 0, 0.75f, 0.5f);  /* row 1, column 1 of stride 16 */
    x_row(out, 83, 0.5f, 0.5f, 0, 0, 0.875f, 1, 0, 0);         /* the last cell of stride 32 */
    x_row(out, 2, 0.5f, 0.5f, 0, 0, 0.75f, 0.5f, 0.5f, 0.25f); /* 0.375 */
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 2);
    expect(&d[0], 0, 0.875f, 0.5f, 0.5f, 1, 1);
    expect(&d[1], 1, 0.75f, 0.25f, 0.1875f, 0.5f, 0.4375f);
    params.score_threshold = 0.375f;
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 3);
    expect(&d[2], 0, 0.375f, 0.25f, 0, 0.375f, 0.125f);
    params.max_detections = 1;
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 1);
    shk_model_destroy(&model);
}
END_TEST

/* Two boxes that share 60 % of what they cover, of one class and then of two. */
START_TEST(overlap)
{
    struct shk_model *model = head_model(64, &yolox, 1);
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_detection d[100];
    int8_t out[CELLS * X_ROW];
    const void *outputs[] = {out};
    memset(out, X_ZERO, sizeof(out));
    x_row(out, 64, 0.5f, 0.5f, 0, 0, 1, 1, 0, 0);
    x_row(out, 65, -0.25f, 0.5f, 0, 0, 0.875f, 1, 0, 0);
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 1);
    params.iou_threshold = 0.75f;
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 2);
    params.iou_threshold = -1;
    x_row(out, 65, -0.25f, 0.5f, 0, 0, 0.875f, 0, 1, 0);
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 2);
    shk_model_destroy(&model);
}
END_TEST

/* ---- YOLOv8: the same cells, two classes, boxes from 0 to 1 ---- */

static const struct head_output yolov8 = {"out", {3, {1, 6, CELLS}}, 1.0f / 256, -128, 2, false};

START_TEST(yolov8_by_hand)
{
    static const uint8_t box[6] = {128, 64, 64, 32, 40, 192}; /* of 256 */
    struct shk_model *model = head_model(64, &yolov8, 1);
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_modelinfo info;
    struct shk_detection d[100];
    int8_t out[6 * CELLS];
    const void *outputs[] = {out};
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_YOLOV8);
    ck_assert_uint_eq(shk_model_class_count(model), 2);
    memset(out, -128, sizeof(out));
    for (int i = 0; i < 6; i++)
        out[i * CELLS + 70] = (int8_t)(box[i] - 128);
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 1);
    expect(&d[0], 1, 0.75f, 0.375f, 0.1875f, 0.625f, 0.3125f);
    test_ok(head_sidecar(model, "[modelinfo]\nversion=1.1\n[out]\nid=yolo-v8-out\n", &info, &error), &error);
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 1);
    expect(&d[0], 1, 0.75f, 0.375f / 64, 0.1875f / 64, 0.625f / 64, 0.3125f / 64);
    shk_model_destroy(&model);
}
END_TEST

/* ---- YOLOv3: 2x2 cells of 32 pixels, two anchors, one class ---- */

static const struct head_output yolov3[2] = {{"coarse", {4, {1, 2, 2, 12}}, 0.125f, 0, 0, false},
                                             {"fine", {4, {1, 4, 4, 6}}, 0.125f, 0, 0, false}};
static const char yolov3_sidecar[] = "[modelinfo]\nversion=1.0\ndecoder=yolov3\n"
                                     "[coarse]\nanchors=8,16;32,16\n[fine]\nanchors=4,4\nstrides=16\n";

START_TEST(yolov3_by_hand)
{
    struct shk_model *model = head_model(64, yolov3, 2);
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_modelinfo info;
    struct shk_detection d[100];
    int8_t coarse[48], fine[96];
    const void *outputs[] = {coarse, fine};
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_NONE);
    test_ok(head_sidecar(model, yolov3_sidecar, &info, &error), &error);
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_YOLOV3);
    ck_assert_uint_eq(shk_model_class_count(model), 1);
    memset(coarse, -128, sizeof(coarse));
    memset(fine, -128, sizeof(fine));
    memcpy(coarse + 2 * 12 + 6, (int8_t[]){0, 0, 0, 0, 127, 127}, 6); /* row 1, column 0, second anchor */
    memcpy(fine + 7 * 6, (int8_t[]){0, 0, 0, 0, 16, 127}, 6);         /* row 1, column 3; objectness 2 */
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 2);
    expect(&d[0], 0, 1, 0, 0.625f, 0.5f, 0.875f);
    expect(&d[1], 0, 0.880797f, 0.84375f, 0.34375f, 0.90625f, 0.40625f);
    shk_model_destroy(&model);
}
END_TEST

/* ---- YOLOv5: the same cells, two classes ---- */

static const struct head_output yolov5[2] = {{"coarse", {4, {1, 2, 2, 14}}, 0.125f, 0, 0, false, true},
                                             {"fine", {4, {1, 4, 4, 7}}, 0.125f, 0, 0, false, true}};
static const char yolov5_sidecar[] = "[modelinfo]\nversion=1.0\ndecoder=yolov5\n"
                                     "[coarse]\nanchors=8,16;32,16\n[fine]\nanchors=4,4\n";

static double plain_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Ultralytics' formula for one anchor of one cell. */
static void plain_yolov5(const float *v, int column, int row, double stride, double width, double height,
                         struct shk_detection *d)
{
    double x = (plain_sigmoid((double)v[0]) * 2 - 0.5 + column) * stride;
    double y = (plain_sigmoid((double)v[1]) * 2 - 0.5 + row) * stride;
    double w = pow(plain_sigmoid((double)v[2]) * 2, 2) * width;
    double h = pow(plain_sigmoid((double)v[3]) * 2, 2) * height;
    d->class_id = v[6] > v[5];
    d->confidence = (float)(plain_sigmoid((double)v[4]) * plain_sigmoid((double)fmaxf(v[5], v[6])));
    d->x_min = (float)fmax((x - w / 2) / 64, 0);
    d->y_min = (float)fmax((y - h / 2) / 64, 0);
    d->x_max = (float)fmin((x + w / 2) / 64, 1);
    d->y_max = (float)fmin((y + h / 2) / 64, 1);
}

/* Every anchor of every cell alone. */
START_TEST(yolov5_plain)
{
    static const double sizes[3][2] = {{8, 16}, {32, 16}, {4, 4}};
    struct shk_model *model = head_model(64, yolov5, 2);
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct test_rng rng = {23};
    struct shk_modelinfo info;
    float values[2 * 2 * 14 + 4 * 4 * 7];
    const void *outputs[] = {values, values + 2 * 2 * 14};
    test_ok(head_sidecar(model, yolov5_sidecar, &info, &error), &error);
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_YOLOV5);
    ck_assert_uint_eq(shk_model_class_count(model), 2);
    for (int i = 0; i < 8 + 16; i++) {
        struct shk_detection d[4], want;
        int cell = i < 8 ? i / 2 : i - 8, columns = i < 8 ? 2 : 4;
        const double *size = sizes[i < 8 ? i % 2 : 2];
        for (size_t k = 0; k < SHK_ARRAY_LEN(values); k++)
            values[k] = k % 7 < 4 ? (float)test_random_below(&rng, 600) / 100 - 3 : -9;
        values[i * 7 + 4] = 3, values[i * 7 + 5] = i % 3 ? 2 : 1, values[i * 7 + 6] = i % 3 ? 0 : 2;
        plain_yolov5(values + i * 7, cell % columns, cell / columns, 64 / columns, size[0], size[1], &want);
        bool seen = want.x_min < want.x_max && want.y_min < want.y_max;
        ck_assert_uint_eq(head_decode(model, &params, outputs, d), seen);
        if (seen)
            expect(&d[0], want.class_id, want.confidence, want.x_min, want.y_min, want.x_max, want.y_max);
    }
    shk_model_destroy(&model);
}
END_TEST

START_TEST(yolov5_decoded)
{
    static const struct head_output decoded = {"out", {3, {1, 252, 7}}, 1.0f / 256, -128, 3, true, false};
    static const uint8_t row[7] = {128, 64, 64, 32, 192, 40, 252}; /* of 256 */
    static const char pixels[] =
        "[modelinfo]\nversion=1.0\ndecoder=yolov5\n[out]\nboxes=pixels\nscores=probabilities\n";
    struct shk_model *model = head_model(64, &decoded, 1);
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_modelinfo info;
    struct shk_detection d[100];
    int8_t out[252 * 7];
    const void *outputs[] = {out};
    ck_assert_int_eq(shk_model_decoder(model),
                     SHK_DECODER_NONE); /* could be anything with five values more */
    test_ok(head_sidecar(model, "[modelinfo]\nversion=1.0\ndecoder=yolov5\n", &info, &error), &error);
    memset(out, -128, sizeof(out));
    for (int i = 0; i < 7; i++)
        out[251 * 7 + i] = (int8_t)(row[i] - 128);
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 1);
    expect(&d[0], 1, 0.75f * 252 / 256, 0.375f, 0.1875f, 0.625f, 0.3125f);
    test_ok(head_sidecar(model, pixels, &info, &error), &error);
    ck_assert_uint_eq(head_decode(model, &params, outputs, d), 1);
    expect(&d[0], 1, 0.75f * 252 / 256, 0.375f / 64, 0.1875f / 64, 0.625f / 64, 0.3125f / 64);
    shk_model_destroy(&model);
}
END_TEST

START_TEST(yolov5_refused)
{
    static const struct head_output rows[] = {{"out", {3, {1, 252, 7}}, 0.125f, 0, 0, true, false},
                                              {"out", {3, {2, 252, 7}}, 0.125f, 0, 0, true, false},
                                              {"out", {3, {1, 252, 5}}, 0.125f, 0, 0, true, false}};
    static const char *const texts[][2] = {
        {"[out]\nboxes=cells\n", "add boxes=pixels or boxes=normalized"},
        {"[out]\nboxes=pixels\nanchors=1,1\n", "neither anchors nor strides"},
        {"[out]\nboxes=pixels\nstrides=8\n", "neither anchors nor strides"},
        {"[out]\nboxes=pixels\nscores=softmax\n", "found softmax"},
    };
    struct shk_modelinfo info;
    for (size_t i = 0; i < SHK_ARRAY_LEN(texts) + 2; i++) {
        char text[256];
        const char *const *one = texts[i % SHK_ARRAY_LEN(texts)];
        struct shk_model *model = head_model(64, &rows[i < SHK_ARRAY_LEN(texts) ? 0 : i - 3], 1);
        snprintf(text, sizeof(text), "[modelinfo]\nversion=1.0\ndecoder=yolov5\n%s",
                 i < SHK_ARRAY_LEN(texts) ? one[0] : "[out]\nboxes=pixels\n");
        ck_assert_int_eq(head_sidecar(model, text, &info, &error), SHK_ERROR_BAD_MODEL);
        ck_assert_msg(strstr(error.message, i < SHK_ARRAY_LEN(texts) ? one[1] : "1 x N x (5 + classes)") !=
                          NULL,
                      "%s", error.message);
        shk_model_destroy(&model);
    }
}
END_TEST

/* What looks alike and is something else, or could be either, has no decoder. */
START_TEST(doubtful)
{
    const struct head_output outputs[] = {
        {"no_logistic", {3, {1, CELLS, X_ROW}}, 1.0f / 32, X_ZERO, 0, true},
        {"classes_only", {3, {1, CELLS, X_ROW}}, 1.0f / 32, X_ZERO, 3, true},
        {"other_count", {3, {1, CELLS - 1, X_ROW}}, 1.0f / 32, X_ZERO, 4, true},
        {"keypoints", {3, {1, 4 + 2 + 3, CELLS}}, 1.0f / 256, -128, 2, false},
        {"other_cells", {3, {1, 6, CELLS + 1}}, 1.0f / 256, -128, 2, false},
        {"unit", {3, {1, 6, CELLS}}, 20.0f / 256, -128, 2, false},
        {"batch", {3, {2, CELLS, X_ROW}}, 1.0f / 32, X_ZERO, 4, true},
    };
    for (size_t i = 0; i < SHK_ARRAY_LEN(outputs); i++) {
        struct shk_model *model = head_model(64, &outputs[i], 1);
        ck_assert_msg(shk_model_decoder(model) == SHK_DECODER_NONE, "%s: %s", outputs[i].name,
                      shk_decoder_string(shk_model_decoder(model)));
        ck_assert_uint_eq(shk_model_class_count(model), 0);
        shk_model_destroy(&model);
    }
}
END_TEST

/* ---- anything at all ---- */

static void random_params(struct test_rng *rng, struct shk_session_params *params)
{
    *params = SHK_SESSION_PARAMS_DEFAULT;
    params->score_threshold = (float)test_random_below(rng, 5) / 4 - 0.25f;
    params->iou_threshold = (float)test_random_below(rng, 5) / 4;
    params->max_detections = test_random_below(rng, 3) * 500;
}

START_TEST(random_bytes)
{
    struct test_rng rng = {3};
    struct shk_modelinfo info;
    struct shk_model *models[] = {head_model(64, &yolox, 1), head_model(64, &yolov8, 1),
                                  head_model(64, yolov3, 2), head_model(64, yolov5, 2)};
    int8_t a[1024], b[1024];
    struct shk_detection d[1000];
    const void *outputs[] = {a, b};
    test_ok(head_sidecar(models[2], yolov3_sidecar, &info, &error), &error);
    test_ok(head_sidecar(models[3], yolov5_sidecar, &info, &error), &error);
    for (int run = 0; run < 300; run++) {
        struct shk_session_params params;
        random_params(&rng, &params);
        test_random_bytes(&rng, a, sizeof(a));
        test_random_bytes(&rng, b, sizeof(b));
        for (size_t m = 0; m < SHK_ARRAY_LEN(models); m++)
            head_decode(models[m], &params, outputs, d);
    }
    for (size_t m = 0; m < SHK_ARRAY_LEN(models); m++)
        shk_model_destroy(&models[m]);
}
END_TEST

/* ---- the kit ---- */

struct found {
    uint32_t class_id;
    float x_min, y_min, x_max, y_max;
};

struct golden {
    struct shk_model *model;
    void *outputs[SHK_MAX_HEADS];
    struct shk_detection found[1000];
    uint32_t count;
};

/* False, after a message, where there is no kit. */
static bool golden_open(struct golden *g, const char *name, const char *image)
{
    *g = (struct golden){.model = NULL};
    const char *path = test_kit("models/%s.tflite", name);
    if (!path)
        return false;
    test_ok(shk_model_load_file(path, &g->model, &error), &error);
    for (uint32_t i = 0; i < g->model->graph->output_count; i++) {
        size_t size;
        g->outputs[i] = test_read_file(test_kit("goldens/%s__%s/out_%u.bin", name, image, i), &size);
        ck_assert_ptr_nonnull(g->outputs[i]);
        ck_assert_uint_eq(size, g->model->graph->tensors[g->model->graph->outputs[i]].bytes);
    }
    return true;
}

/* The sidecar that samples/ has for it. */
static void golden_describe(struct golden *g, const char *name)
{
    struct shk_modelinfo info;
    char path[1024];
    size_t size;
    snprintf(path, sizeof(path), MODELINFO "/%s.modelinfo", name);
    uint8_t *text = test_read_file(path, &size);
    ck_assert_msg(text != NULL, "%s", path);
    char *line = malloc(size + 1);
    memcpy(line, text, size);
    line[size] = '\0';
    test_ok(head_sidecar(g->model, line, &info, &error), &error);
    ck_assert_int_eq(shk_model_decoder(g->model), SHK_DECODER_YOLOV3);
    free(line);
    free(text);
}

static void golden_decode(struct golden *g, float threshold)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    params.score_threshold = threshold;
    g->count = head_decode(g->model, &params, (const void *const *)g->outputs, g->found);
}

static void golden_close(struct golden *g)
{
    for (uint32_t i = 0; i < SHK_MAX_HEADS; i++)
        free(g->outputs[i]);
    shk_model_destroy(&g->model);
}

static float iou(const struct shk_detection *a, const struct found *b)
{
    float w = fminf(a->x_max, b->x_max) - fmaxf(a->x_min, b->x_min);
    float h = fminf(a->y_max, b->y_max) - fmaxf(a->y_min, b->y_min);
    float both = fmaxf(w, 0) * fmaxf(h, 0);
    return both / ((a->x_max - a->x_min) * (a->y_max - a->y_min) +
                   (b->x_max - b->x_min) * (b->y_max - b->y_min) - both);
}

static void golden_finds(const struct golden *g, struct found object, float least)
{
    float best = 0;
    for (uint32_t i = 0; i < g->count; i++)
        if (g->found[i].class_id == object.class_id)
            best = fmaxf(best, iou(&g->found[i], &object));
    ck_assert_msg(best >= least, "%s: class %u is found with an overlap of %g", shk_model_name(g->model),
                  object.class_id, (double)best);
}

/* As one sees them in dog_bike_car.jpg; classes of COCO's 80. */
static const struct found bicycle = {1, 0.16f, 0.21f, 0.74f, 0.74f}, car = {2, 0.61f, 0.14f, 0.90f, 0.30f},
                          dog = {16, 0.17f, 0.38f, 0.42f, 0.94f};

START_TEST(yolox_golden)
{
    struct golden g;
    if (!golden_open(&g, "yolox_nano_320_dw", "dog_bike_car"))
        return;
    ck_assert_int_eq(shk_model_decoder(g.model), SHK_DECODER_YOLOX);
    ck_assert_uint_eq(shk_model_class_count(g.model), 80);
    golden_decode(&g, -1);
    ck_assert_uint_eq(g.count, 3);
    golden_finds(&g, bicycle, 0.8f);
    golden_finds(&g, car, 0.8f);
    golden_finds(&g, dog, 0.8f);
    golden_close(&g);
}
END_TEST

START_TEST(yolo_fastest_golden)
{
    struct golden g;
    if (!golden_open(&g, "yolo-fastest-1.1-coco80-int8", "dog_bike_car"))
        return;
    ck_assert_int_eq(shk_model_decoder(g.model), SHK_DECODER_NONE);
    golden_describe(&g, "yolo-fastest-1.1-coco80-int8");
    ck_assert_uint_eq(shk_model_class_count(g.model), 80);
    golden_decode(&g, 0.25f);
    ck_assert_uint_le(g.count, 8);
    golden_finds(&g, bicycle, 0.55f);
    golden_finds(&g, car, 0.8f);
    golden_finds(&g, dog, 0.55f);
    golden_close(&g);
}
END_TEST

START_TEST(mcunet_golden)
{
    static const struct found person = {0, 0, 0, 0.98f, 1}, left = {0, 0.12f, 0.55f, 0.25f, 1};
    struct golden g;
    if (!golden_open(&g, "mcunet_detection", "tiny_person_crop"))
        return;
    golden_describe(&g, "mcunet_detection");
    ck_assert_uint_eq(shk_model_class_count(g.model), 1);
    golden_decode(&g, -1);
    ck_assert_uint_eq(g.count, 1);
    golden_finds(&g, person, 0.9f);
    golden_close(&g);
    if (!golden_open(&g, "mcunet_detection", "pedestrians"))
        return;
    golden_describe(&g, "mcunet_detection");
    golden_decode(&g, 0.4f);
    ck_assert_uint_ge(g.count, 5);
    golden_finds(&g, left, 0.7f);
    golden_close(&g);
}
END_TEST

/* Float outputs may hold any bits: NaN, infinities, numbers whose exponential overflows. */
START_TEST(random_floats)
{
    struct test_rng rng = {5};
    struct golden g;
    if (!golden_open(&g, "mcunet_detection", "pedestrians"))
        return;
    golden_describe(&g, "mcunet_detection");
    for (int run = 0; run < 100; run++) {
        struct shk_session_params params;
        random_params(&rng, &params);
        for (uint32_t i = 0; i < 3; i++) {
            size_t size = g.model->graph->tensors[g.model->graph->outputs[i]].bytes;
            float *values = g.outputs[i];
            test_random_bytes(&rng, values, size);
            for (size_t k = 0; run % 2 && k < size / sizeof(float); k++)
                if (test_random_below(&rng, 4))
                    values[k] = (float)test_random_below(&rng, 2000) / 10 - 100;
        }
        head_decode(g.model, &params, (const void *const *)g.outputs, g.found);
    }
    golden_close(&g);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("yolo");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, yolox_by_hand);
    tcase_add_test(tests, overlap);
    tcase_add_test(tests, yolov8_by_hand);
    tcase_add_test(tests, yolov3_by_hand);
    tcase_add_test(tests, yolov5_plain);
    tcase_add_test(tests, yolov5_decoded);
    tcase_add_test(tests, yolov5_refused);
    tcase_add_test(tests, doubtful);
    tcase_add_test(tests, random_bytes);
    tcase_add_test(tests, yolox_golden);
    tcase_add_test(tests, yolo_fastest_golden);
    tcase_add_test(tests, mcunet_golden);
    tcase_add_test(tests, random_floats);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
