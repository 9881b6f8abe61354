/* The preprocessing shader against its C twin, through whole sessions.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include <shrike/session.h>

#include "scene.h"

static struct shk_error error;

static void submit_and_read(struct shk_session *session, const struct shk_frame *frame, uint8_t *out,
                            size_t bytes)
{
    struct shk_result result;
    uint64_t ticket;
    test_ok(shk_session_submit(session, frame, &ticket, &error), &error);
    test_ok(shk_session_wait(session, UINT64_MAX, &result, &error), &error);
    test_ok(shk_session_read_output(session, ticket, 0, 0, out, bytes, &error), &error);
    shk_session_release(session, ticket);
}

static void compare(const struct scene *scene, const uint8_t *found, const uint8_t *expected, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ck_assert_msg(found[i] == expected[i], "%s: byte %zu is %u, the reference has %u",
                      scene_string(scene), i, found[i], expected[i]);
}

/* The scene, then its frame again with other crops: recorded once, replayed. */
static void run(struct scene *scene, struct test_rng *rng)
{
    struct shk_model *model = scene_model(scene);
    size_t bytes = shk_model_graph(model)->tensors[0].bytes;
    uint8_t *found = malloc(bytes), *expected = malloc(bytes);
    struct shk_session *device = NULL, *reference = NULL;
    test_ok(shk_session_create(test_device(), model, &scene->params, &device, &error), &error);
    test_ok(shk_session_create(NULL, model, &scene->params, &reference, &error), &error);
    test_ok(shk_session_configure(device, &scene->format, &error), &error);
    test_ok(shk_session_configure(reference, &scene->format, &error), &error);
    for (int i = 0; i < 4; i++) {
        submit_and_read(device, &scene->frame, found, bytes);
        submit_and_read(reference, &scene->frame, expected, bytes);
        compare(scene, found, expected, bytes);
        struct shk_rect *crop = &scene->frame.crop;
        crop->x = test_random_below(rng, scene->format.width);
        crop->y = test_random_below(rng, scene->format.height);
        crop->width = 1 + test_random_below(rng, scene->format.width - crop->x);
        crop->height = 1 + test_random_below(rng, scene->format.height - crop->y);
    }
    shk_session_destroy(&device);
    shk_session_destroy(&reference);
    shk_model_destroy(&model);
    free(found);
    free(expected);
}

START_TEST(random_scenes)
{
    struct test_rng rng = {11};
    static const enum shk_dtype types[] = {SHK_DTYPE_UINT8, SHK_DTYPE_INT8, SHK_DTYPE_FLOAT32};
    for (int i = 0; i < 120; i++) {
        struct scene scene;
        scene_init(&scene, &rng);
        scene.dtype = types[i % 3];
        if (i % 4 == 0)
            for (int c = 0; c < 3; c++) {
                scene.params.mean[c] = 100.0f + (float)c;
                scene.params.std[c] = 60.0f - (float)c;
            }
        run(&scene, &rng);
        scene_finish(&scene);
    }
}
END_TEST

/* Every format, both filters, at a size where a workgroup is not everything. */
START_TEST(every_format)
{
    struct test_rng rng = {12};
    for (int i = 0; i < SHK_FORMAT_COUNT * 2; i++) {
        struct scene scene;
        scene_init(&scene, &rng);
        scene_set_frame(&scene, &rng, i / 2, 333, 211);
        scene.width = 97;
        scene.height = 121;
        scene.params.filter = i % 2;
        run(&scene, &rng);
        scene_finish(&scene);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("preprocess on the device");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, random_scenes);
    tcase_add_test(tests, every_format);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
