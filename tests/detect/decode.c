/* Decoders: made-up outputs in, detections out.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "head.h"
#include "ops/detection_postprocess.h"
#include "support.h"

#define ROWS 4

static struct shk_error error;

static uint32_t add(struct shk_graph *graph, enum shk_dtype dtype, struct shk_shape shape, float scale,
                    int32_t zero_point, const void *data)
{
    struct shk_tensor_desc desc = {.name = "t",
                                   .dtype = dtype,
                                   .shape = shape,
                                   .quant_count = scale != 0.0f,
                                   .scales = &scale,
                                   .zero_points = &zero_point,
                                   .data = data};
    uint32_t index;
    desc.data_bytes = data ? shk_dtype_size(dtype) * shk_shape_elements(&shape) : 0;
    test_ok(shk_graph_add_tensor(graph, &desc, &index, &error), &error);
    return index;
}

/* Three classes, ROWS / max_classes detections. `order` says which output of the op the model lists where. */
static struct shk_model *ssd_model(const uint32_t order[4], int32_t max_classes, bool regular)
{
    static const uint8_t anchors[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    struct shk_graph *graph = shk_graph_create("ssd");
    struct shk_model *model = NULL;
    struct shk_op *op;
    uint32_t out[4], listed[4];
    uint32_t in[] = {add(graph, SHK_DTYPE_UINT8, (struct shk_shape){3, {1, 2, 4}}, 0.1f, 9, NULL),
                     add(graph, SHK_DTYPE_UINT8, (struct shk_shape){3, {1, 2, 4}}, 0.1f, 0, NULL),
                     add(graph, SHK_DTYPE_UINT8, (struct shk_shape){2, {2, 4}}, 0.1f, 0, anchors)};
    for (int i = 0; i < 4; i++)
        out[i] = add(graph, SHK_DTYPE_FLOAT32, (struct shk_shape){0}, 0, 0, NULL);
    for (int i = 0; i < 4; i++)
        listed[i] = out[order[i]];
    test_ok(
        shk_graph_add_op(graph, shk_op_find_name("TFLite_Detection_PostProcess"), in, 3, out, 4, &op, &error),
        &error);
    *(struct shk_detection_attrs *)op->attrs = (struct shk_detection_attrs){
        ROWS / max_classes, max_classes, 100, 3, regular, 0.1f, 0.5f, 1, 1, 1, 1};
    test_ok(shk_graph_set_io(graph, in, 2, listed, 4, &error), &error);
    test_ok(shk_model_from_graph(&graph, &model, &error), &error);
    return model;
}

struct ssd_outputs {
    float boxes[ROWS * 4], classes[ROWS], scores[ROWS], count;
};

static const uint32_t usual[4] = {0, 1, 2, 3};

static uint32_t decode_ssd(const struct shk_model *model, const uint32_t order[4],
                           const struct ssd_outputs *o, const struct shk_session_params *params,
                           struct shk_placement placement, struct shk_detection *detections)
{
    const struct shk_graph *graph = shk_model_graph(model);
    const struct shk_detector *detector = &model->detector;
    const void *parts[] = {o->boxes, o->classes, o->scores, &o->count}, *outputs[4];
    for (int i = 0; i < 4; i++)
        outputs[i] = parts[order[i]];
    struct shk_decode frame = {detector, graph, params, outputs, placement, NULL};
    uint32_t count = detector->def->decode(&frame, detections);
    ck_assert_uint_le(count, detector->def->capacity(detector, graph, params));
    return count;
}

static struct ssd_outputs good(void)
{
    return (struct ssd_outputs){{0.1f, 0.2f, 0.3f, 0.4f, -0.5f, 0.5f, 0.5f, 1.5f, 0.6f, 0.6f, 0.9f, 0.7f},
                                {2, 0, 1},
                                {0.9f, 0.8f, 0.3f},
                                3};
}

START_TEST(ssd)
{
    static const uint32_t orders[][4] = {{0, 1, 2, 3}, {2, 0, 3, 1}, {3, 2, 1, 0}};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct ssd_outputs o = good();
    struct shk_detection d[ROWS];
    for (size_t i = 0; i < SHK_ARRAY_LEN(orders); i++) {
        struct shk_model *model = ssd_model(orders[i], 1, false);
        ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_SSD);
        ck_assert_uint_eq(shk_model_class_count(model), 3);
        ck_assert_uint_eq(decode_ssd(model, orders[i], &o, &params, SHK_PLACEMENT_IDENTITY, d), 3);
        ck_assert(d[0].class_id == 2 && d[0].confidence == 0.9f);
        ck_assert(d[0].y_min == 0.1f && d[0].x_min == 0.2f && d[0].y_max == 0.3f && d[0].x_max == 0.4f);
        ck_assert(d[1].class_id == 0 && d[1].y_min == 0.0f && d[1].x_max == 1.0f);
        shk_model_destroy(&model);
    }
}
END_TEST

START_TEST(ssd_limits)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct ssd_outputs o = good();
    struct shk_detection d[ROWS];
    struct shk_model *model = ssd_model(usual, 1, true);
    params.score_threshold = 0.5f;
    ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), 2);
    params.max_detections = 1;
    ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), 1);
    shk_model_destroy(&model);
}
END_TEST

/* Twice the width of the frame, its second half. */
START_TEST(ssd_placement)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_placement half = {0.5f, 0.5f, -0.25f, 1.0f};
    struct ssd_outputs o = good();
    struct shk_detection d[ROWS];
    struct shk_model *model = ssd_model(usual, 1, false);
    ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, half, d), 3);
    ck_assert_float_eq_tol(d[0].x_min, 0.6f, 1e-6f);
    ck_assert_float_eq_tol(d[0].x_max, 0.7f, 1e-6f);
    ck_assert_float_eq_tol(d[0].y_min, 0.0f, 1e-6f);
    ck_assert_float_eq_tol(d[0].y_max, 0.05f, 1e-6f);
    shk_model_destroy(&model);
}
END_TEST

/* One bad value among three detections leaves two; a bad count none or all there are. */
START_TEST(ssd_nonsense)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_detection d[ROWS];
    struct shk_model *model = ssd_model(usual, 1, false);
    static const float bad[] = {NAN, -INFINITY, INFINITY, -1.0f, 3.0f, 1e30f};
    for (size_t i = 0; i < SHK_ARRAY_LEN(bad); i++) {
        struct ssd_outputs o = good();
        o.classes[1] = bad[i];
        ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), 2);
    }
    struct ssd_outputs o = good();
    o.scores[1] = NAN;
    ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), 2);
    for (int k = 0; k < 4; k++) {
        o = good();
        o.boxes[4 + k] = NAN;
        ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), 2);
    }
    o = good();
    o.boxes[0] = 0.35f; /* below its lower edge */
    ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), 2);
    o = good();
    o.boxes[1] = 1.1f, o.boxes[3] = 1.2f; /* outside */
    ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), 2);
    o = good();
    o.boxes[0] = -INFINITY, o.boxes[2] = INFINITY, o.scores[0] = 7.0f;
    ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), 3);
    ck_assert(d[0].y_min == 0.0f && d[0].y_max == 1.0f && d[0].confidence == 1.0f);
    static const float counts[] = {NAN, -3.0f, 0.0f, 1e30f, INFINITY, 2.0f};
    static const uint32_t found[] = {0, 0, 0, 3, 3, 2};
    for (size_t i = 0; i < SHK_ARRAY_LEN(counts); i++) {
        o = good();
        o.count = counts[i];
        ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), found[i]);
    }
    shk_model_destroy(&model);
}
END_TEST

/* Two classes per detection: rows in pairs, sorted over all of them. */
START_TEST(ssd_two_classes)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct ssd_outputs o = good();
    struct shk_detection d[ROWS];
    struct shk_model *model = ssd_model(usual, 2, false);
    memcpy(o.scores, (float[]){0.9f, 0.2f, 0.6f, 0.4f}, sizeof(o.scores));
    memcpy(o.boxes + 12, (float[]){0.1f, 0.1f, 0.2f, 0.2f}, 4 * sizeof(float));
    o.count = 2;
    ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), 4);
    for (int i = 0; i < 4; i++)
        ck_assert(d[i].confidence == ((float[]){0.9f, 0.6f, 0.4f, 0.2f})[i]);
    o.count = 1;
    ck_assert_uint_eq(decode_ssd(model, usual, &o, &params, SHK_PLACEMENT_IDENTITY, d), 2);
    shk_model_destroy(&model);
}
END_TEST

/* ---- classification ---- */

static struct shk_model *vector_model(enum shk_dtype dtype, struct shk_shape shape, float scale,
                                      int32_t zero_point)
{
    struct shk_graph *graph = shk_graph_create("vector");
    struct shk_model *model = NULL;
    uint32_t t = add(graph, dtype, shape, scale, zero_point, NULL);
    test_ok(shk_graph_set_io(graph, &t, 1, &t, 1, &error), &error);
    test_ok(shk_model_from_graph(&graph, &model, &error), &error);
    return model;
}

START_TEST(classification)
{
    static const int8_t scores[6] = {-128, 127, 0, 64, 127, -20};
    const void *outputs[] = {scores};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_model *model =
        vector_model(SHK_DTYPE_INT8, (struct shk_shape){4, {1, 1, 1, 6}}, 1.0f / 256, -128);
    const struct shk_graph *graph = shk_model_graph(model);
    const struct shk_decoder_def *decoder = model->detector.def;
    struct shk_detection d[6];
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_CLASSIFICATION);
    ck_assert_uint_eq(shk_model_class_count(model), 6);
    struct shk_decode frame = {&model->detector, graph, &params, outputs, SHK_PLACEMENT_IDENTITY, NULL};
    ck_assert_uint_eq(decoder->decode(&frame, d), 4);
    ck_assert(d[0].class_id == 1 && d[1].class_id == 4 && d[2].class_id == 3 && d[3].class_id == 2);
    ck_assert(d[0].confidence == 255.0f / 256 && d[3].confidence == 0.5f);
    ck_assert(d[0].x_min == 0 && d[0].y_min == 0 && d[0].x_max == 1 && d[0].y_max == 1);
    params.score_threshold = 0.7f;
    ck_assert_uint_eq(decoder->decode(&frame, d), 3);
    params.score_threshold = 0.0f;
    ck_assert_uint_eq(decoder->decode(&frame, d), 6);
    params.score_threshold = 0.001f;
    params.max_detections = 2;
    ck_assert_uint_eq(decoder->capacity(&model->detector, graph, &params), 2);
    ck_assert_uint_eq(decoder->decode(&frame, d), 2);
    ck_assert(d[0].class_id == 1 && d[1].class_id == 4);
    shk_model_destroy(&model);
}
END_TEST

/* A classifier that ends before its softmax; the numbers are those of the function. */
START_TEST(classification_of_logits)
{
    static const char *const sidecars[] = {
        "[modelinfo]\nversion=1.0\n[out]\nid=classification-generic-out\n",
        "[modelinfo]\nversion=1.0\ndecoder=classification\n[out]\nscores=softmax\n",
        "[modelinfo]\nversion=1.0\ndecoder=classification\n[out]\nscores=logits\n",
    };
    static const float expected[][3] = {
        {0.665241f, 0.244728f, 0.090031f}, {0.665241f, 0.244728f, 0.090031f}, {0.880797f, 0.731059f, 0.5f}};
    static const int8_t logits[3] = {10, 20, 0};
    static const struct head_output output = {"out", {2, {1, 3}}, 0.1f, 0, 0, true, false};
    const void *outputs[] = {logits};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_model *model = head_model(64, &output, 1);
    params.score_threshold = 0;
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_NONE);
    for (size_t i = 0; i < SHK_ARRAY_LEN(sidecars); i++) {
        struct shk_modelinfo info;
        struct shk_detection d[3];
        test_ok(head_sidecar(model, sidecars[i], &info, &error), &error);
        struct shk_decode frame = {&model->detector, shk_model_graph(model), &params,
                                   outputs,          SHK_PLACEMENT_IDENTITY, NULL};
        ck_assert_uint_eq(model->detector.def->decode(&frame, d), 3);
        ck_assert(d[0].class_id == 1 && d[1].class_id == 0 && d[2].class_id == 2);
        for (int k = 0; k < 3; k++)
            ck_assert_float_eq_tol(d[k].confidence, expected[i][k], 1e-5f);
    }
    shk_model_destroy(&model);
}
END_TEST

static void none(enum shk_dtype dtype, struct shk_shape shape, float scale, int32_t zero_point)
{
    struct shk_model *model = vector_model(dtype, shape, scale, zero_point);
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_NONE);
    ck_assert_uint_eq(shk_model_class_count(model), 0);
    shk_model_destroy(&model);
}

START_TEST(nothing_known)
{
    none(SHK_DTYPE_INT8, (struct shk_shape){4, {1, 2, 1, 6}}, 1.0f / 256, -128); /* a map, not a vector */
    none(SHK_DTYPE_INT8, (struct shk_shape){2, {1, 6}}, 0.1f, -128);             /* up to 25 */
    none(SHK_DTYPE_INT8, (struct shk_shape){2, {1, 6}}, 1.0f / 128, 0);          /* from -1 */
    none(SHK_DTYPE_INT8, (struct shk_shape){2, {1, 1}}, 1.0f / 256, -128);       /* one value */
    none(SHK_DTYPE_FLOAT32, (struct shk_shape){2, {1, 6}}, 0, 0);                /* of unknown range */
}
END_TEST

/* The kit's models, where there is a kit. */
START_TEST(kit_models)
{
    static const struct {
        const char *name;
        enum shk_decoder decoder;
        uint32_t classes;
    } models[] = {{"qeng_detect", SHK_DECODER_SSD, 90},
                  {"person_detect", SHK_DECODER_CLASSIFICATION, 2},
                  {"vww_96_int8", SHK_DECODER_CLASSIFICATION, 2},
                  {"resnet8_int8", SHK_DECODER_CLASSIFICATION, 10},
                  {"mbv1_025_128", SHK_DECODER_CLASSIFICATION, 1001},
                  {"tf2_mbv2", SHK_DECODER_CLASSIFICATION, 1001},
                  {"ssd_slim", SHK_DECODER_NONE, 0},
                  {"mcunet_detection", SHK_DECODER_NONE, 0},
                  {"yolo-fastest-1.1-coco80-int8", SHK_DECODER_NONE, 0},
                  {"yolox_nano_320_dw", SHK_DECODER_YOLOX, 80}};
    for (size_t i = 0; i < SHK_ARRAY_LEN(models); i++) {
        const char *path = test_kit("models/%s.tflite", models[i].name);
        struct shk_model *model = NULL;
        if (!path || shk_model_load_file(path, &model, &error) == SHK_ERROR_IO)
            return;
        ck_assert_msg(model != NULL, "%s", error.message);
        ck_assert_msg(shk_model_decoder(model) == models[i].decoder, "%s: decoder %d", models[i].name,
                      shk_model_decoder(model));
        ck_assert_uint_eq(shk_model_class_count(model), models[i].classes);
        shk_model_destroy(&model);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("decoders");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, ssd);
    tcase_add_test(tests, ssd_limits);
    tcase_add_test(tests, ssd_placement);
    tcase_add_test(tests, ssd_nonsense);
    tcase_add_test(tests, ssd_two_classes);
    tcase_add_test(tests, classification);
    tcase_add_test(tests, classification_of_logits);
    tcase_add_test(tests, nothing_known);
    tcase_add_test(tests, kit_models);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
