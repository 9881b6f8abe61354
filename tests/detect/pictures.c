/* Detectors from end to end, on the kit's pictures: from the picture file, read as `shrike run` reads it,
 * through preprocessing, network and decoder, and from the golden input tensor through the last two. What
 * must be found was measured by hand on the pictures. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shrike/session.h>

#include "image.h"
#include "support.h"

#define MAX_OBJECTS 12

struct object {
    uint32_t class_id;
    float x_min, y_min, x_max, y_max; /* of the whole picture */
    float overlap;                    /* least intersection over union */
};

/* dog_bike_car.jpg; classes of COCO's 80 */
#define BICYCLE 1, 0.159f, 0.234f, 0.740f, 0.733f
#define CAR     2, 0.615f, 0.134f, 0.911f, 0.290f
#define DOG     16, 0.173f, 0.385f, 0.401f, 0.936f
/* pedestrians.jpg, from left to right */
#define IN_BLACK  0, 0.119f, 0.567f, 0.238f, 0.992f
#define IN_RED    0, 0.227f, 0.558f, 0.309f, 0.896f
#define IN_SILVER 0, 0.295f, 0.550f, 0.400f, 0.933f
#define IN_BLUE   0, 0.547f, 0.590f, 0.603f, 0.796f
#define BAGS      0, 0.611f, 0.596f, 0.717f, 0.910f
#define IN_PURPLE 0, 0.731f, 0.583f, 0.802f, 0.896f
#define BLUE_BAG  0, 0.792f, 0.579f, 0.858f, 0.888f
#define IN_TAN    0, 0.856f, 0.604f, 0.925f, 0.890f

/* grace_hopper.bmp; two faces of pedestrians.jpg */
#define HOPPER      0, 0.316f, 0.190f, 0.713f, 0.580f
#define SILVER_FACE 0, 0.321f, 0.554f, 0.344f, 0.608f
#define RED_FACE    0, 0.250f, 0.552f, 0.274f, 0.599f

static const struct scene {
    const char *model, *image; /* of the kit; goldens carry both names */
    bool sidecar;              /* of samples/modelinfo */
    bool golden;               /* the tensor, not the picture */
    enum shk_resize resize;
    enum shk_filter filter;
    float threshold;
    uint32_t most; /* detections */
    struct object objects[MAX_OBJECTS];
} scenes[] = {
    {"qeng_detect", "dog_bike_car.jpg", .threshold = 0.6f, .most = 3,
     .objects = {{BICYCLE, 0.8f}, {CAR, 0.8f}, {17, 0.173f, 0.385f, 0.401f, 0.936f, 0.8f}}},
    {"qeng_detect", "dog_bike_car.jpg", .golden = true, .threshold = 0.6f, .most = 3,
     .objects = {{BICYCLE, 0.8f}, {CAR, 0.8f}}},
    {"qeng_detect", "pedestrians.jpg", .threshold = 0.6f, .most = 8,
     .objects = {{IN_BLACK, 0.7f},
                 {IN_RED, 0.6f},
                 {IN_SILVER, 0.7f},
                 {BAGS, 0.5f},
                 {IN_PURPLE, 0.6f},
                 {BLUE_BAG, 0.6f},
                 {IN_TAN, 0.5f}}},
    {"yolox_nano_320_dw", "dog_bike_car.jpg", .sidecar = true, .threshold = 0.5f, .most = 3,
     .objects = {{BICYCLE, 0.9f}, {CAR, 0.8f}, {DOG, 0.7f}}},
    {"yolox_nano_320_dw", "dog_bike_car.jpg", .sidecar = true, .filter = SHK_FILTER_AREA, .threshold = 0.5f,
     .most = 3, .objects = {{BICYCLE, 0.8f}, {CAR, 0.8f}, {DOG, 0.7f}}},
    {"yolox_nano_320_dw", "dog_bike_car.jpg", .sidecar = true, .resize = SHK_RESIZE_LETTERBOX,
     .threshold = 0.5f, .most = 3, .objects = {{BICYCLE, 0.7f}, {CAR, 0.7f}, {DOG, 0.7f}}},
    {"yolox_nano_320_dw", "dog_bike_car.jpg", .sidecar = true, .golden = true, .threshold = 0.5f, .most = 3,
     .objects = {{BICYCLE, 0.9f}, {CAR, 0.8f}, {DOG, 0.7f}}},
    {"yolox_nano_320_dw", "pedestrians.jpg", .sidecar = true, .threshold = 0.5f, .most = 11,
     .objects = {{IN_BLACK, 0.7f},
                 {IN_RED, 0.6f},
                 {IN_SILVER, 0.7f},
                 {IN_BLUE, 0.7f},
                 {BAGS, 0.7f},
                 {IN_PURPLE, 0.7f},
                 {BLUE_BAG, 0.8f},
                 {IN_TAN, 0.7f}}},
    {"yolo-fastest-1.1-coco80-int8", "dog_bike_car.jpg", .sidecar = true, .threshold = 0.3f, .most = 3,
     .objects = {{BICYCLE, 0.6f}, {CAR, 0.7f}, {DOG, 0.5f}}},
    {"yolo-fastest-1.1-coco80-int8", "dog_bike_car.jpg", .sidecar = true, .golden = true, .threshold = 0.25f,
     .most = 8, .objects = {{BICYCLE, 0.6f}, {CAR, 0.7f}, {DOG, 0.5f}}},
    {"mcunet_detection", "tiny_person_crop.png", .sidecar = true, .threshold = 0.9f, .most = 1,
     .objects = {{0, 0.0f, 0.0f, 0.98f, 1.0f, 0.9f}}},
    {"mcunet_detection", "tiny_person_crop.png", .sidecar = true, .golden = true, .threshold = 0.9f,
     .most = 1, .objects = {{0, 0.0f, 0.0f, 0.98f, 1.0f, 0.9f}}},
    {"mcunet_detection", "pedestrians.jpg", .sidecar = true, .threshold = 0.4f, .most = 6,
     .objects = {{IN_BLACK, 0.7f}, {IN_RED, 0.6f}, {BAGS, 0.6f}, {BLUE_BAG, 0.6f}}},
    {"mcunet_detection", "pedestrians.jpg", .sidecar = true, .golden = true, .threshold = 0.4f, .most = 7,
     .objects = {{IN_BLACK, 0.7f}, {IN_RED, 0.6f}, {BAGS, 0.6f}, {BLUE_BAG, 0.7f}, {IN_TAN, 0.5f}}},
    {"ssd_slim", "grace_hopper.bmp", .sidecar = true, .threshold = 0.9f, .most = 1,
     .objects = {{HOPPER, 0.7f}}},
    {"ssd_slim", "tiny_person_crop.png", .sidecar = true, .threshold = 0.9f, .most = 1,
     .objects = {{0, 0.26f, 0.0f, 0.71f, 0.56f, 0.7f}}},
    {"ssd_slim", "pedestrians.jpg", .sidecar = true, .threshold = 0.5f, .most = 6,
     .objects = {{SILVER_FACE, 0.4f}, {RED_FACE, 0.4f}}},
    {"ssd_slim", "pedestrians.jpg", .sidecar = true, .golden = true, .threshold = 0.5f, .most = 6,
     .objects = {{SILVER_FACE, 0.4f}, {RED_FACE, 0.4f}}},
    {"ssd_slim", "cat.bmp", .sidecar = true, .threshold = 0.5f, .most = 0},
};

static struct shk_error error;

/* As if the sidecar lay next to the model. */
static struct shk_model *load_model(const struct scene *scene)
{
    char folder[] = "/tmp/shrike-pictures-XXXXXX", path[128], sidecar[128];
    struct shk_model *model = NULL;
    const char *file = test_kit("models/%s.tflite", scene->model);
    if (!scene->sidecar) {
        test_ok(shk_model_load_file(file, &model, &error), &error);
        return model;
    }
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *absolute = realpath(file, NULL);
    ck_assert_msg(absolute != NULL, "%s", file);
    snprintf(path, sizeof(path), "%s/%s.tflite", folder, scene->model);
    snprintf(sidecar, sizeof(sidecar), "%s/%s.modelinfo", folder, scene->model);
    char source[1024];
    snprintf(source, sizeof(source), MODELINFO "/%s.modelinfo", scene->model);
    ck_assert(symlink(absolute, path) == 0 && symlink(source, sidecar) == 0);
    enum shk_status status = shk_model_load_file(path, &model, &error);
    ck_assert(unlink(path) == 0 && unlink(sidecar) == 0 && rmdir(folder) == 0);
    ck_assert_msg(status == SHK_OK, "%s", error.message);
    free(absolute);
    return model;
}

static void submit_picture(struct shk_session *session, const struct scene *scene)
{
    struct image image = {0};
    GError *failure = NULL;
    if (!image_load(test_kit("images/%s", scene->image), &image, &failure))
        ck_abort_msg("%s", failure->message);
    const struct shk_frame_format format = {SHK_FORMAT_RGB, image.width, image.height};
    const struct shk_frame frame = {
        .plane = {image.rgb},
        .plane_size = {(size_t)image.width * image.height * 3},
        .stride = {image.width * 3},
    };
    test_ok(shk_session_configure(session, &format, &error), &error);
    test_ok(shk_session_submit(session, &frame, NULL, &error), &error);
    image_clear(&image);
}

static void submit_golden(struct shk_session *session, const struct scene *scene)
{
    size_t size;
    int stem = (int)strcspn(scene->image, ".");
    uint8_t *tensor =
        test_read_file(test_kit("goldens/%s__%.*s/in.bin", scene->model, stem, scene->image), &size);
    ck_assert_ptr_nonnull(tensor);
    const void *inputs[] = {tensor};
    test_ok(shk_session_submit_tensors(session, inputs, 1, NULL, NULL, &error), &error);
    free(tensor);
}

static float overlap(const struct shk_detection *a, const struct object *b)
{
    float width = fminf(a->x_max, b->x_max) - fmaxf(a->x_min, b->x_min);
    float height = fminf(a->y_max, b->y_max) - fmaxf(a->y_min, b->y_min);
    float both = fmaxf(width, 0) * fmaxf(height, 0);
    return both / ((a->x_max - a->x_min) * (a->y_max - a->y_min) +
                   (b->x_max - b->x_min) * (b->y_max - b->y_min) - both);
}

static void check(const struct scene *scene, const struct shk_result *result)
{
    const char *from = scene->golden ? "the golden input of " : "";
    ck_assert_msg(result->detection_count <= scene->most, "%s on %s%s: %u detections, at most %u expected",
                  scene->model, from, scene->image, result->detection_count, scene->most);
    for (const struct object *o = scene->objects; o < scene->objects + MAX_OBJECTS && o->overlap > 0; o++) {
        float best = 0;
        for (uint32_t i = 0; i < result->detection_count; i++)
            if (result->detections[i].class_id == o->class_id)
                best = fmaxf(best, overlap(&result->detections[i], o));
        ck_assert_msg(best >= o->overlap, "%s on %s%s: object %d, class %u: the best overlap is %.3f of %.3f",
                      scene->model, from, scene->image, (int)(o - scene->objects), o->class_id, (double)best,
                      (double)o->overlap);
    }
}

START_TEST(finds)
{
    const struct scene *scene = &scenes[_i];
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL;
    struct shk_result result;
    struct shk_model *model = load_model(scene);
    params.frames_in_flight = 1;
    params.resize = scene->resize;
    params.filter = scene->filter;
    params.score_threshold = scene->threshold;
    params.detections_only = !scene->golden; /* both ways of reading heads back */
    test_ok(shk_session_create(test_device(), model, &params, &session, &error), &error);
    (scene->golden ? submit_golden : submit_picture)(session, scene);
    test_ok(shk_session_wait(session, UINT64_MAX, &result, &error), &error);
    check(scene, &result);
    shk_session_release(session, result.ticket);
    shk_session_destroy(&session);
    shk_model_destroy(&model);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("pictures");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 0);
    tcase_add_loop_test(tests, finds, 0, (int)(sizeof(scenes) / sizeof(scenes[0])));
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    const char *path = test_kit("images/dog_bike_car.jpg");
    if (!path || access(path, R_OK) != 0) {
        fprintf(stderr, "no pictures to test%s%s\n", path ? ": " : "", path ? path : "");
        return TEST_SKIP;
    }
    return test_run_on_devices(make_suite);
}
