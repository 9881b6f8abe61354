/* Sessions with detections_only against sessions that read all outputs, and against the C reference: the same
 * detections, and what was read back is these and no more. Heads are cut out of the model's input.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/builder.h>

#include "detect_boxes.h"
#include "head.h"
#include "select.h"

#define WIDTH  192 /* of the input, pixels */
#define HEIGHT 128
#define VALUES (WIDTH * HEIGHT * 3)
#define BATCH 3
#define SCALE 0.06f
#define ZERO  20

static struct shk_error error;

static const struct head {
    const char *name;
    uint32_t count; /* outputs */
    struct shk_shape shapes[3];
    uint32_t period; /* elements from a candidate to the next or, if they are columns, from its value to its next */
    bool columns, is_uint8;
    uint32_t floats; /* bit i: output i is float */
    float scale;     /* 0: SCALE */
    int32_t zero;    /* 0: ZERO */
    bool whole;      /* it is read whole at any threshold */
    const char *sidecar;
} heads[] = {
    /* 384 + 96 + 24 cells; a row is no whole number of words */
    {"yolox", 1, {{3, {1, 504, 5 + 132}}}, 137, .sidecar = "decoder=yolox\n[t0]\nboxes=cells\nscores=logits\n"},
    {"yolox, uint8",
     1,
     {{3, {1, 504, 5 + 132}}},
     137,
     .is_uint8 = true,
     .sidecar = "decoder=yolox\n[t0]\nboxes=cells\nscores=probabilities\n"},
    {"yolox, float",
     1,
     {{3, {1, 504, 5 + 29}}},
     34,
     .floats = 1,
     .sidecar = "decoder=yolox\n[t0]\nboxes=cells\nscores=logits\n"},
    {"yolov8", 1, {{3, {1, 4 + 97, 701}}}, 701, true, .sidecar = "decoder=yolov8\n[t0]\nboxes=pixels\nscores=logits\n"},
    {"yolov8, float",
     1,
     {{3, {1, 4 + 23, 701}}},
     701,
     true,
     .floats = 1,
     .sidecar = "decoder=yolov8\n[t0]\nboxes=pixels\nscores=probabilities\n"},
    {"yolov3",
     3,
     {{4, {1, 4, 6, 3 * 40}}, {4, {1, 8, 12, 40}}, {4, {1, 16, 24, 4 * 40}}},
     40,
     .sidecar = "decoder=yolov3\n[t0]\nanchors=9,8;70,60;21,31\n[t1]\nanchors=20,50\n[t2]\n"
                "anchors=5,7;9,9;30,12;1,2\n"},
    {"yolov5, float",
     2,
     {{4, {1, 4, 6, 2 * 14}}, {4, {1, 16, 24, 3 * 14}}},
     14,
     .floats = 3,
     .sidecar = "decoder=yolov5\n[t0]\nanchors=9,8;70,60\n[t1]\nanchors=20,50;5,7;9,9\n"},
    {"yolov3, int8 and float",
     2,
     {{4, {1, 16, 24, 4 * 44}}, {4, {1, 8, 12, 44}}},
     44,
     .floats = 2,
     .whole = true,
     .sidecar = "decoder=yolov3\n[t0]\nanchors=5,7;9,9;30,12;1,2\n[t1]\nanchors=20,50\n"},
    {"yolov5, decoded",
     1,
     {{3, {1, 850, 5 + 81}}},
     86,
     .sidecar = "decoder=yolov5\n[t0]\nboxes=pixels\nscores=logits\n"},
    {"yolov5, normalized",
     1,
     {{3, {1, 850, 5 + 81}}},
     86,
     .scale = 0.011f,
     .sidecar = "decoder=yolov5\n[t0]\nboxes=normalized\nscores=probabilities\n"},
    {"yolox, pixels",
     1,
     {{3, {1, 504, 5 + 132}}},
     137,
     .scale = 0.9f,
     .sidecar = "decoder=yolox\n[t0]\nboxes=pixels\nscores=logits\n"},
    {"yolox, sizes beyond floats", /* from exp(-133) to exp(96) */
     1,
     {{3, {1, 504, 5 + 132}}},
     137,
     .scale = 0.9f,
     .sidecar = "decoder=yolox\n[t0]\nboxes=cells\nscores=logits\n"},
    {"yolov3, sizes beyond floats",
     2,
     {{4, {1, 16, 24, 4 * 44}}, {4, {1, 8, 12, 44}}},
     44,
     .floats = 3,
     .scale = 0.9f,
     .sidecar = "decoder=yolov3\n[t0]\nanchors=5,7;9,9;30,12;1,2\n[t1]\nanchors=20,50\n"},
    {"yolov8, uint8, normalized",
     1,
     {{3, {1, 4 + 97, 701}}},
     701,
     true,
     .is_uint8 = true,
     .scale = 0.011f,
     .sidecar = "decoder=yolov8\n[t0]\nboxes=normalized\nscores=probabilities\n"},
    /* 24 x 16 cells of two anchors, 12 x 8 of three, with three keypoints each */
    {"ssd-anchors",
     2,
     {{3, {1, 1056, 10}}, {3, {1, 1056, 57}}},
     57,
     .sidecar = "decoder=ssd-anchors\n[t0]\nstrides=8,16\nanchors=9,8;70,60|20,50;5,7;90,90\nbox-order=yxhw\n[t1]\n"
                "scores=logits\n"},
    {"ssd-anchors, uint8 as float, linear",
     3,
     {{3, {1, 10, 3}}, {3, {1, 1056, 5}}, {3, {1, 1056, 57}}},
     57,
     .is_uint8 = true,
     .floats = 6,
     .sidecar = "decoder=ssd-anchors\n[t2]\nscores=probabilities\nbackground=none\n[t1]\nstrides=8,16\n"
                "anchors=9,8;70,60|20,50;5,7;90,90\nbox-sizes=linear\nbox-scales=3,4,0.2,0.7\n"},
    {"ssd-anchors, softmax, float, no background",
     2,
     {{3, {1, 1056, 4}}, {3, {1, 1056, 59}}},
     59,
     .floats = 3,
     .sidecar = "decoder=ssd-anchors\n[t0]\nstrides=8,16\nanchors=9,8;70,60|20,50;5,7;90,90\n[t1]\nscores=softmax\n"
                "background=none\n"},
    {"ssd-anchors, softmax, uint8",
     2,
     {{3, {1, 1056, 10}}, {3, {1, 1056, 55}}},
     55,
     .is_uint8 = true,
     .scale = 0.3f,
     .sidecar = "decoder=ssd-anchors\n[t0]\nstrides=8,16\nanchors=9,8;70,60|20,50;5,7;90,90\n[t1]\nscores=softmax\n"},
    {"ssd-anchors, softmax",
     2,
     {{3, {1, 1056, 10}}, {3, {1, 1056, 57}}},
     57,
     .scale = 0.1f,
     .zero = 126, /* no value is positive */
     .sidecar = "decoder=ssd-anchors\n[t0]\nstrides=8,16\nanchors=9,8;70,60|20,50;5,7;90,90\n[t1]\nscores=softmax\n"},
    {"ssd-anchors, int8 and float",
     2,
     {{3, {1, 1056, 10}}, {3, {1, 1056, 57}}},
     57,
     .floats = 2,
     .whole = true,
     .sidecar = "decoder=ssd-anchors\n[t0]\nstrides=8,16\nanchors=9,8;70,60|20,50;5,7;90,90\n[t1]\nscores=logits\n"},
    {"yolov5, uint8 as float",
     2,
     {{4, {1, 4, 6, 2 * 14}}, {4, {1, 16, 24, 3 * 14}}},
     14,
     .is_uint8 = true,
     .floats = 3,
     .sidecar = "decoder=yolov5\n[t0]\nanchors=9,8;70,60\n[t1]\nanchors=20,50;5,7;9,9\n"},
};

static const float thresholds[] = {0.0f, 1e-3f, 0.05f, SCALE * 5, 0.5f, 0.77f, 0.995f, 1.0f};
#define THRESHOLDS (int)(sizeof(thresholds) / sizeof(thresholds[0]))

/* ---- models ---- */

static int32_t integers(struct shk_builder *b, const int32_t *values, int32_t count)
{
    return shk_builder_tensor(b, "i", SHK_DTYPE_INT32, 1, &count, 0, NULL, NULL, 0, values, (size_t)count * 4);
}

static int32_t bytes(struct shk_builder *b, const char *name, const struct head *head, struct shk_shape shape)
{
    const float scale = head->scale > 0 ? head->scale : SCALE;
    const int32_t zero = (head->zero ? head->zero : ZERO) + (head->is_uint8 ? 128 : 0);
    return shk_builder_tensor(b, name, head->is_uint8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, shape.rank, shape.dims, 1,
                              &scale, &zero, 0, NULL, 0);
}

/* Output `i`: so many of the values in `flat`, from `*at` on. */
static int32_t add_output(struct shk_builder *b, const struct head *head, uint32_t i, int32_t flat, int32_t *at)
{
    struct shk_shape shape = head->shapes[i];
    int32_t count = (int32_t)shk_shape_elements(&shape);
    char name[16];
    snprintf(name, sizeof(name), "t%u", i);
    int32_t piece = bytes(b, "piece", head, (struct shk_shape){2, {1, count}});
    bool is_float = head->floats >> i & 1;
    int32_t output = bytes(b, is_float ? "bytes" : name, head, shape);
    const int32_t begin[] = {0, *at}, size[] = {1, count};
    *at += count;
    ck_assert_int_le(*at, VALUES);
    shk_builder_op(b, "SLICE", (int32_t[]){flat, integers(b, begin, 2), integers(b, size, 2)}, 3, &piece, 1, NULL);
    shk_builder_op(b, "RESHAPE", (int32_t[]){piece, integers(b, shape.dims, (int32_t)shape.rank)}, 2, &output, 1, NULL);
    if (!is_float)
        return output;
    int32_t real = shk_builder_tensor(b, name, SHK_DTYPE_FLOAT32, shape.rank, shape.dims, 0, NULL, NULL, 0, NULL, 0);
    shk_builder_op(b, "DEQUANTIZE", &output, 1, &real, 1, NULL);
    return real;
}

static struct shk_model *make_model(const struct head *head)
{
    const int32_t all[] = {1, VALUES};
    struct shk_builder *b = shk_builder_create();
    struct shk_model *model = NULL;
    struct shk_modelinfo info;
    int32_t outputs[3], at = 0;
    char sidecar[256];
    void *data;
    size_t size;
    int32_t image = bytes(b, "image", head, (struct shk_shape){4, {1, HEIGHT, WIDTH, 3}});
    int32_t flat = bytes(b, "flat", head, (struct shk_shape){2, {1, VALUES}});
    shk_builder_set_inputs(b, &image, 1);
    shk_builder_op(b, "RESHAPE", (int32_t[]){image, integers(b, all, 2)}, 2, &flat, 1, NULL);
    for (uint32_t i = 0; i < head->count; i++)
        outputs[i] = add_output(b, head, i, flat, &at);
    shk_builder_set_outputs(b, outputs, head->count);
    test_ok(shk_builder_serialize(b, &data, &size, &error), &error);
    test_ok(shk_model_load_memory(data, size, head->name, &model, &error), &error);
    shk_builder_destroy(&b);
    free(data);
    snprintf(sidecar, sizeof(sidecar), "[modelinfo]\nversion=1.0\n%s", head->sidecar);
    test_ok(head_sidecar(model, sidecar, &info, &error), &error);
    return model;
}

/* ---- running ---- */

struct run {
    struct shk_session *session;
    struct shk_result results[BATCH];
};

static void start(struct run *run, struct shk_device *device, struct shk_model *model,
                  const struct shk_session_params *params, const void *const *inputs, uint32_t count)
{
    uint64_t ticket;
    test_ok(shk_session_create(device, model, params, &run->session, &error), &error);
    for (uint32_t round = 0; round < 2; round++) { /* nothing is left of the frames before */
        test_ok(shk_session_submit_tensors(run->session, round ? inputs : &inputs[1], round ? count : 1, NULL, &ticket,
                                           &error),
                &error);
        test_ok(shk_session_wait(run->session, UINT64_MAX, &run->results[0], &error), &error);
        for (uint32_t i = 1; i < (round ? count : 1); i++)
            test_ok(shk_session_get_frame(run->session, ticket, i, &run->results[i], &error), &error);
        if (!round)
            shk_session_release(run->session, ticket);
    }
}

static void stop(struct run *run)
{
    shk_session_release(run->session, run->results[0].ticket);
    shk_session_destroy(&run->session);
}

/* Some candidates with high values; the others' reach SCALE * 5, which is one of the thresholds. */
static void *make_input(uint32_t seed, const struct head *head)
{
    struct test_rng rng = {seed};
    int8_t *input = malloc(VALUES);
    for (uint32_t i = 0; i < VALUES; i++) {
        bool high = head->columns ? (i % head->period + seed) % 37 == 0 : (i / head->period + seed) % 5 == 0;
        input[i] = (int8_t)(high ? (int)test_random_below(&rng, 128) : (int)test_random_below(&rng, 34) - 8);
        if (head->is_uint8)
            input[i] ^= INT8_MIN;
    }
    return input;
}

static void same_detections(const struct run *a, const struct run *b, uint32_t count, const char *what)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct shk_result *x = &a->results[i], *y = &b->results[i];
        ck_assert_msg(x->detection_count == y->detection_count, "%s, frame %u: %u detections, %u expected", what, i,
                      x->detection_count, y->detection_count);
        ck_assert_msg(memcmp(x->detections, y->detections, x->detection_count * sizeof(*x->detections)) == 0,
                      "%s, frame %u: another detection", what, i);
    }
}

/* ---- tests ---- */

/* What the device kept is all that was read: the boxes of the detections, but for those that are not in the picture. */
static void check_kept(const struct run *only, uint32_t count)
{
    const struct shk_lane *lanes = only->session->slots[0].lanes;
    for (uint32_t f = 0; f < count; f++) {
        const struct shk_found *found = &lanes[f].found;
        ck_assert_ptr_nonnull(found->boxes);
        ck_assert_uint_ge(found->count, only->results[f].detection_count);
        ck_assert_uint_le(found->count, only->session->params.max_detections);
        for (uint32_t i = 1; i < found->count; i++)
            ck_assert(found->boxes[i].score <= found->boxes[i - 1].score);
    }
}

static void compare(const struct head *head, float threshold, float iou, uint32_t max, uint32_t count)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_model *model = make_model(head);
    struct run cpu, whole, only;
    const void *inputs[BATCH];
    params.batch_size = BATCH;
    params.frames_in_flight = 1;
    params.score_threshold = threshold;
    params.max_detections = max;
    params.iou_threshold = iou;
    for (uint32_t i = 0; i < BATCH; i++)
        inputs[i] = make_input(i + 1, head);
    start(&whole, test_device(), model, &params, inputs, count);
    params.detections_only = true;
    start(&cpu, NULL, model, &params, inputs, count);
    start(&only, test_device(), model, &params, inputs, count);
    same_detections(&whole, &cpu, count, head->name);
    same_detections(&only, &cpu, count, head->name);
    if (threshold > 0 && !head->whole)
        check_kept(&only, count);
    else
        ck_assert_ptr_null(only.session->selection);
    if (threshold == 0.5f)
        ck_assert_uint_gt(only.results[0].detection_count, 0);
    stop(&cpu);
    stop(&whole);
    stop(&only);
    for (uint32_t i = 0; i < BATCH; i++)
        free((void *)inputs[i]);
    shk_model_destroy(&model);
}

START_TEST(same)
{
    compare(&heads[_i / THRESHOLDS], thresholds[_i % THRESHOLDS], 0.9f, 1000, 2 + (uint32_t)_i % 2);
}
END_TEST

/* Of many boxes that overlap, few, one or none are left. */
START_TEST(suppressed)
{
    static const float ious[] = {1e-38f, 1e-3f, 0.25f, 1.0f / 3, 0.5f, 0.75f, 1.0f};
    for (size_t i = 0; i < sizeof(ious) / sizeof(ious[0]); i++)
        compare(&heads[_i], i % 2 ? 1e-3f : 0.05f, ious[i], i % 3 ? 300 : 7, 1 + (uint32_t)i % BATCH);
    compare(&heads[_i], 1e-3f, 0.5f, 1, BATCH);
}
END_TEST

/* More boxes than take part: the worst ones are left out, though they would not be suppressed. */
START_TEST(too_many)
{
    static const struct head many = {
        "yolov8, many boxes",
        1,
        {{3, {1, 5, 14000}}},
        14000,
        true,
        .scale = 0.1f,
        .zero = -10, /* all of them have a size */
        .sidecar = "decoder=yolov8\n[t0]\nboxes=pixels\nscores=logits\n",
    };
    compare(&many, 1e-3f, 0.25f, 1000, BATCH);
    compare(&many, 1e-3f, 0.5f, 1000, BATCH);
}
END_TEST

/* Outputs of a session that was created without them cannot be read, on the device or the CPU. */
START_TEST(refused)
{
    struct shk_model *model = make_model(&heads[0]);
    const void *inputs[] = {make_input(1, &heads[0]), make_input(2, &heads[0])};
    size_t size = 504 * 137;
    void *output = malloc(size);
    for (uint32_t i = 0; i < 4; i++) {
        struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
        struct run run;
        params.detections_only = i % 2;
        start(&run, i / 2 ? test_device() : NULL, model, &params, inputs, 1);
        enum shk_status status = shk_session_read_output(run.session, 2, 0, 0, output, size, &error);
        ck_assert_int_eq(status, i % 2 ? SHK_ERROR_INVALID_ARGUMENT : SHK_OK);
        if (status)
            ck_assert_ptr_nonnull(strstr(error.message, "detections_only"));
        stop(&run);
    }
    free(output);
    free((void *)inputs[0]);
    free((void *)inputs[1]);
    shk_model_destroy(&model);
}
END_TEST

/* Tensors that are kept are kept whole; small heads are not worth a dispatch. */
START_TEST(read_whole)
{
    static const struct head small = {
        "small", 1, {{3, {1, 504, 6}}}, 6, .sidecar = "decoder=yolox\n[t0]\nboxes=cells\nscores=logits\n"};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    params.detections_only = true;
    for (uint32_t i = 0; i < 2; i++) {
        struct shk_model *model = make_model(i ? &small : &heads[0]);
        struct shk_session *session = NULL;
        params.keep_tensors = i == 0;
        test_ok(shk_session_create(test_device(), model, &params, &session, &error), &error);
        ck_assert_ptr_null(session->selection);
        shk_session_destroy(&session);
        shk_model_destroy(&model);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("select");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, same, 0, (int)(sizeof(heads) / sizeof(heads[0])) * THRESHOLDS);
    tcase_add_loop_test(tests, suppressed, 0, (int)(sizeof(heads) / sizeof(heads[0])));
    tcase_add_test(tests, too_many);
    tcase_add_test(tests, refused);
    tcase_add_test(tests, read_whole);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
