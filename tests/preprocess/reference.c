/* Preprocessing in C against the equations, and what it refuses.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scene.h"

static struct shk_error error;

/* Runs a scene in C; the dense input tensor, to be freed. */
static uint8_t *run(const struct scene *scene, struct shk_placement *placement)
{
    struct shk_model *model = scene_model(scene);
    const struct shk_graph *graph = shk_model_graph(model);
    uint32_t tables[SHK_PREPROCESS_TABLE_WORDS];
    struct shk_preprocess p;
    test_ok(shk_preprocess_init(&p, graph, &scene->params, &scene->format, &error), &error);
    test_ok(shk_preprocess_tables(graph, &scene->params, tables, &error), &error);
    struct shk_frame staged;
    uint8_t *header = malloc(p.header_bytes), *planes = malloc(p.staged_bytes);
    uint8_t *tensor = malloc(graph->tensors[0].bytes);
    test_ok(shk_preprocess_stage(&p, &scene->frame, planes, &staged, &error), &error);
    test_ok(shk_preprocess_check(&p, &staged, p.staged_bytes, &error), &error);
    shk_preprocess_write(&p, &staged, 0, header, placement);
    shk_preprocess_run(&p, tables, header, planes, tensor);
    free(header);
    free(planes);
    shk_model_destroy(&model);
    return tensor;
}

static void compare(const struct scene *scene)
{
    struct shk_placement placement;
    double *expected = scene_expected(scene);
    uint8_t *found = run(scene, &placement); /* uint8 inputs are int8 inside */
    for (int32_t i = 0; i < scene->width * scene->height * scene->channels; i++) {
        int level = (int8_t)found[i] + 128;
        ck_assert_msg(fabs(level - expected[i]) <= 1.0, "%s: value %d is %d, the equations give %g",
                      scene_string(scene), i, level, expected[i]);
    }
    free(found);
    free(expected);
}

START_TEST(random_scenes)
{
    struct test_rng rng = {1};
    for (int i = 0; i < 1500; i++) {
        struct scene scene;
        scene_init(&scene, &rng);
        compare(&scene);
        scene_finish(&scene);
    }
}
END_TEST

/* Every colour of a coarse grid, without resampling. */
START_TEST(every_colour)
{
    struct test_rng rng = {2};
    for (int i = 0; i < 8; i++) {
        struct scene scene;
        scene_init(&scene, &rng);
        scene_set_frame(&scene, &rng, i & 1 ? SHK_FORMAT_NV12 : SHK_FORMAT_YUY2, 2 * 18 * 18, 2 * 18);
        scene.format.matrix = i >> 1 & 1;
        scene.format.range = i >> 2 & 1;
        scene.params.resize = SHK_RESIZE_STRETCH;
        scene.width = (int32_t)scene.format.width;
        scene.height = (int32_t)scene.format.height;
        scene.channels = 3;
        compare(&scene);
        scene_finish(&scene);
    }
}
END_TEST

/* Sizes of a camera and of a large frame against small models. */
START_TEST(large_frames)
{
    struct test_rng rng = {3};
    static const uint32_t sizes[][4] = {
        {1920, 1080, 3, 2}, {4099, 37, 3, 5}, {16384, 2, 9, 4}, {3, 2047, 7, 1}};
    for (size_t i = 0; i < SHK_ARRAY_LEN(sizes) * 2; i++) {
        struct scene scene;
        scene_init(&scene, &rng);
        scene_set_frame(&scene, &rng, i % SHK_FORMAT_COUNT, sizes[i / 2][0], sizes[i / 2][1]);
        scene.width = (int32_t)sizes[i / 2][2];
        scene.height = (int32_t)sizes[i / 2][3];
        scene.params.filter = i % 2;
        compare(&scene);
        scene_finish(&scene);
    }
}
END_TEST

/* A frame whose levels are all the same: only the tables are left. */
static uint8_t *run_level(struct scene *scene, uint8_t level)
{
    struct shk_placement placement;
    memset(scene->memory, level, scene->frame.plane_size[0]);
    return run(scene, &placement);
}

START_TEST(normalisation)
{
    struct test_rng rng = {4};
    struct scene scene;
    scene_init(&scene, &rng);
    scene_set_frame(&scene, &rng, SHK_FORMAT_RGB, 4, 4);
    scene.params = SHK_SESSION_PARAMS_DEFAULT;
    scene.width = scene.height = 1;
    scene.channels = 3;
    for (int level = 0; level < 256; level += 5) {
        scene.params.std[0] = 0;
        scene.dtype = SHK_DTYPE_FLOAT32;
        float *f = (float *)(void *)run_level(&scene, (uint8_t)level);
        ck_assert_float_eq(f[1], ((float)level - 127.5f) / 127.5f);
        free(f);
        scene.dtype = SHK_DTYPE_INT8;
        uint8_t *q = run_level(&scene, (uint8_t)level);
        ck_assert_int_eq((int8_t)q[2], level - 128);
        free(q);
        for (int c = 0; c < 3; c++) {
            scene.params.mean[c] = 10.0f * (float)c;
            scene.params.std[c] = 50.0f + (float)c;
        }
        q = run_level(&scene, (uint8_t)level);
        for (int c = 0; c < 3; c++) {
            float real = ((float)level - 10.0f * (float)c) / (50.0f + (float)c);
            ck_assert_int_eq((int8_t)q[c], SHK_CLAMP((int)roundf(real / 0.02f) - 8, -128, 127));
        }
        free(q);
        scene.dtype = SHK_DTYPE_UINT8; /* zero point 120, and 128 less inside */
        q = run_level(&scene, (uint8_t)level);
        float real = ((float)level - 20.0f) / 52.0f;
        ck_assert_int_eq((int8_t)q[2], SHK_CLAMP((int)roundf(real / 0.02f) - 8, -128, 127));
        free(q);
    }
    scene_finish(&scene);
}
END_TEST

/* The placement takes the corners of the rectangle to the corners of the crop. */
START_TEST(placement_of_the_crop)
{
    struct test_rng rng = {5};
    for (int i = 0; i < 200; i++) {
        struct scene scene;
        struct shk_placement p;
        scene_init(&scene, &rng);
        struct shk_rect crop = scene.frame.crop;
        if (crop.width == 0)
            crop = (struct shk_rect){0, 0, scene.format.width, scene.format.height};
        uint8_t *tensor = run(&scene, &p);
        double scale = fmin((double)scene.width / crop.width, (double)scene.height / crop.height);
        bool letterbox = scene.params.resize == SHK_RESIZE_LETTERBOX;
        double w = letterbox ? fmax(1.0, floor(crop.width * scale + 0.5 + 1e-9)) : scene.width;
        double left = floor((scene.width - w) / 2.0);
        double x0 = p.x_offset + p.x_scale * left / scene.width;
        double x1 = p.x_offset + p.x_scale * (left + w) / scene.width;
        ck_assert_double_eq_tol(x0, (double)crop.x / scene.format.width, 1e-5);
        ck_assert_double_eq_tol(x1, (double)(crop.x + crop.width) / scene.format.width, 1e-5);
        free(tensor);
        scene_finish(&scene);
    }
}
END_TEST

/* ---- refusals ---- */

static void refused(const struct scene *scene, const struct shk_frame *frame, const char *part)
{
    struct shk_model *model = scene_model(scene);
    struct shk_preprocess p;
    struct shk_frame staged;
    test_ok(shk_preprocess_init(&p, shk_model_graph(model), &scene->params, &scene->format, &error), &error);
    uint8_t *slot = calloc(1, p.staged_bytes);
    ck_assert_int_eq(shk_preprocess_stage(&p, frame, slot, &staged, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_msg(strstr(error.message, part) != NULL, "%s", error.message);
    for (size_t i = 0; i < p.staged_bytes; i++)
        ck_assert_uint_eq(slot[i], 0);
    free(slot);
    shk_model_destroy(&model);
}

START_TEST(bad_frames)
{
    struct test_rng rng = {6};
    struct scene scene;
    scene_init(&scene, &rng);
    scene_set_frame(&scene, &rng, SHK_FORMAT_NV12, 31, 21);
    struct shk_frame frame = scene.frame;
    frame.plane_size[1]--;
    refused(&scene, &frame, "plane 1");
    frame = scene.frame;
    frame.plane[1] = NULL;
    refused(&scene, &frame, "plane 1 has 0 bytes");
    frame = scene.frame;
    frame.stride[0] = 30;
    refused(&scene, &frame, "stride of at least 31");
    frame = scene.frame;
    frame.stride[0] = UINT32_MAX;
    refused(&scene, &frame, "plane 0");
    static const struct shk_rect crops[] = {
        {0, 0, 0, 5},  {0, 0, 5, 0},  {3, 3, 0, 0},  {0, 0, 32, 21},        {0, 0, 31, 22},
        {31, 0, 1, 1}, {0, 21, 1, 1}, {30, 0, 2, 1}, {1, 1, UINT32_MAX, 1}, {UINT32_MAX, 0, 2, 1}};
    for (size_t i = 0; i < SHK_ARRAY_LEN(crops); i++) {
        frame = scene.frame;
        frame.crop = crops[i];
        refused(&scene, &frame, "crop of");
    }
    scene_finish(&scene);
}
END_TEST

static void init_refused(const struct scene *scene, enum shk_status status, const char *part)
{
    struct shk_model *model = scene_model(scene);
    struct shk_preprocess p;
    ck_assert_int_eq(shk_preprocess_init(&p, shk_model_graph(model), &scene->params, &scene->format, &error),
                     status);
    ck_assert_msg(strstr(error.message, part) != NULL, "%s", error.message);
    shk_model_destroy(&model);
}

START_TEST(bad_formats)
{
    struct test_rng rng = {7};
    struct scene good, bad;
    scene_init(&good, &rng);
    bad = good;
    bad.channels = 2;
    init_refused(&bad, SHK_ERROR_UNSUPPORTED, "'image' is no image");
    bad = good;
    bad.dtype = SHK_DTYPE_INT32;
    init_refused(&bad, SHK_ERROR_UNSUPPORTED, "int32");
    bad = good;
    bad.format.width = 0;
    init_refused(&bad, SHK_ERROR_INVALID_ARGUMENT, "0x");
    bad = good;
    bad.format.height = 16385;
    init_refused(&bad, SHK_ERROR_INVALID_ARGUMENT, "x16385");
    bad = good;
    bad.format.format = SHK_FORMAT_COUNT;
    init_refused(&bad, SHK_ERROR_INVALID_ARGUMENT, "unknown");
    bad = good;
    bad.params.filter = SHK_FILTER_AREA;
    bad.format.width = 16384;
    bad.width = 4;
    init_refused(&bad, SHK_ERROR_UNSUPPORTED, "area filter");
    scene_finish(&good);
}
END_TEST

START_TEST(bad_normalisation)
{
    static const float bad[][2] = {{0, -1}, {0, NAN}, {INFINITY, 1}, {0, INFINITY}};
    struct test_rng rng = {8};
    struct scene scene;
    uint32_t tables[SHK_PREPROCESS_TABLE_WORDS];
    scene_init(&scene, &rng);
    scene.channels = 3;
    struct shk_model *model = scene_model(&scene);
    for (size_t i = 0; i < SHK_ARRAY_LEN(bad); i++)
        for (int c = 0; c < 3; c++) {
            struct shk_session_params params = {.std = {1, 1, 1}};
            params.mean[c] = bad[i][0];
            params.std[c] = bad[i][1];
            ck_assert_int_eq(shk_preprocess_tables(shk_model_graph(model), &params, tables, &error),
                             SHK_ERROR_INVALID_ARGUMENT);
        }
    shk_model_destroy(&model);
    scene_finish(&scene);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("preprocess reference");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, random_scenes);
    tcase_add_test(tests, every_colour);
    tcase_add_test(tests, large_frames);
    tcase_add_test(tests, normalisation);
    tcase_add_test(tests, placement_of_the_crop);
    tcase_add_test(tests, bad_frames);
    tcase_add_test(tests, bad_formats);
    tcase_add_test(tests, bad_normalisation);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
