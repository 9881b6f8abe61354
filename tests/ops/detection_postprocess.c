/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/session.h>

#include "op_case.h"
#include "ops/detection_postprocess.h"

#define MAX_ROWS 64

static const float box_scale = 0.05f, score_scale = 1.0f / 256, anchor_scale = 0.00390625f;
static const int32_t box_zero = 128, score_zero = 0, anchor_zero = 0;

struct shape {
    int32_t boxes, box_size, classes, background, max_detections, max_classes;
};

static void set_attrs(struct op_case *c, const struct shape *s)
{
    op_case_attr(c, "max_detections", s->max_detections);
    op_case_attr(c, "max_classes_per_detection", s->max_classes);
    op_case_attr(c, "num_classes", s->classes);
    op_case_attr(c, "nms_iou_threshold", 0.4);
    op_case_attr(c, "nms_score_threshold", 0.2);
    op_case_attr(c, "y_scale", 10);
    op_case_attr(c, "x_scale", 10);
    op_case_attr(c, "h_scale", 5);
    op_case_attr(c, "w_scale", 4);
}

static struct op_case make_case(const char *label, const struct shape *s, const uint8_t *anchors)
{
    struct op_case c = op_case("TFLite_Detection_PostProcess", label);
    int32_t rows = s->max_detections * s->max_classes;
    op_case_input(&c, SHK_DTYPE_UINT8, 3, (int32_t[]){1, s->boxes, s->box_size}, box_scale, box_zero);
    op_case_input(&c, SHK_DTYPE_UINT8, 3, (int32_t[]){1, s->boxes, s->classes + s->background}, score_scale,
                  score_zero);
    op_case_constant(&c, SHK_DTYPE_UINT8, 2, (int32_t[]){s->boxes, 4}, 1, &anchor_scale, &anchor_zero, 0,
                     anchors);
    op_case_output(&c, SHK_DTYPE_FLOAT32, 3, (int32_t[]){1, rows, 4}, 0, 0);
    op_case_output(&c, SHK_DTYPE_FLOAT32, 2, (int32_t[]){1, rows}, 0, 0);
    op_case_output(&c, SHK_DTYPE_FLOAT32, 2, (int32_t[]){1, rows}, 0, 0);
    op_case_output(&c, SHK_DTYPE_FLOAT32, 1, (int32_t[]){1}, 0, 0);
    set_attrs(&c, s);
    return c;
}

/* A grid like that of an SSD: many anchors share a row, a column or a size. */
static uint8_t *make_anchors(int32_t count)
{
    uint8_t *a = malloc((size_t)count * 4);
    for (int32_t i = 0; i < count; i++) {
        a[i * 4] = (uint8_t)(i / 3 % 16 * 16 + 8);
        a[i * 4 + 1] = (uint8_t)(i / 48 * 16 + 8);
        a[i * 4 + 2] = (uint8_t)(20 + i % 3 * 25);
        a[i * 4 + 3] = (uint8_t)(20 + i % 3 * 17);
    }
    return a;
}

/* Highest score first; boxes not inside out; classes that exist. */
static void verify_order(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const float *boxes = outputs[SHK_DETECTION_BOXES], *classes = outputs[SHK_DETECTION_CLASSES];
    const float *scores = outputs[SHK_DETECTION_SCORES];
    uint32_t count = (uint32_t) * (const float *)outputs[SHK_DETECTION_COUNT];
    ck_assert_uint_le(count, (uint32_t)c->outputs[SHK_DETECTION_SCORES].desc.shape.dims[1]);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert(scores[i] >= 0.2f && (i == 0 || scores[i] <= scores[i - 1]));
        ck_assert(boxes[i * 4] <= boxes[i * 4 + 2] && boxes[i * 4 + 1] <= boxes[i * 4 + 3]);
        ck_assert(classes[i] >= 0 && classes[i] < 90);
    }
}

static void run_shape(const char *label, struct shape s, bool regular, int32_t per_class)
{
    uint8_t *anchors = make_anchors(s.boxes);
    struct op_case c = make_case(label, &s, anchors);
    op_case_attr(&c, "use_regular_nms", regular);
    op_case_attr(&c, "detections_per_class", per_class);
    if (s.max_classes == 1)
        c.verify = verify_order;
    for (c.seed = 1; c.seed < 4; c.seed++)
        op_case_run(&c);
    free(anchors);
}

START_TEST(fast)
{
    run_shape("one box", (struct shape){1, 4, 1, 0, 1, 1}, false, 100);
    run_shape("SSD with background", (struct shape){767, 4, 90, 1, 10, 1}, false, 100);
    run_shape("no background, keypoints", (struct shape){333, 7, 5, 0, 50, 1}, false, 100);
    run_shape("more rows than boxes", (struct shape){13, 4, 3, 1, 40, 1}, false, 100);
    run_shape("three classes each", (struct shape){200, 4, 7, 1, 12, 3}, false, 100);
    run_shape("as many as SSD 640x640 has", (struct shape){51150, 4, 2, 1, 100, 1}, false, 100);
    run_shape("more classes each than there are", (struct shape){90, 4, 2, 1, 9, 5}, false, 100);
}
END_TEST

START_TEST(regular)
{
    run_shape("one class", (struct shape){150, 4, 1, 0, 20, 1}, true, 100);
    run_shape("background", (struct shape){767, 4, 20, 1, 25, 1}, true, 100);
    run_shape("few per class", (struct shape){300, 4, 70, 1, 50, 1}, true, 3);
}
END_TEST

/* ---- one model, given inputs, both ways ---- */

struct outputs {
    float boxes[MAX_ROWS * 4], classes[MAX_ROWS], scores[MAX_ROWS], count;
};

static void run_on(struct shk_device *device, struct shk_model *model,
                   const struct shk_session_params *params, const void *const *inputs, uint32_t rows,
                   struct outputs *out)
{
    struct shk_session *session = NULL;
    struct shk_result result;
    struct shk_error error;
    uint64_t ticket;
    void *to[] = {out->boxes, out->classes, out->scores, &out->count};
    size_t sizes[] = {rows * 16, rows * 4, rows * 4, 4};
    if (shk_session_create(device, model, params, &session, &error) ||
        shk_session_submit_tensors(session, inputs, 2, NULL, &ticket, &error) ||
        shk_session_wait(session, UINT64_MAX, &result, &error))
        ck_abort_msg("%s", error.message);
    for (uint32_t i = 0; i < 4; i++)
        if (shk_session_read_output(session, ticket, 0, i, to[i], sizes[i], &error))
            ck_abort_msg("%s", error.message);
    shk_session_release(session, ticket);
    shk_session_destroy(&session);
}

/* The reference's outputs, after comparing every device with them. */
static struct outputs run_everywhere(struct shk_model *model, const struct shk_session_params *params,
                                     const void *const *inputs, uint32_t rows)
{
    struct outputs expected = {0};
    run_on(NULL, model, params, inputs, rows, &expected);
    for (uint32_t d = 0; d < op_device_count(); d++) {
        struct outputs found = {0};
        run_on(op_device(d), model, params, inputs, rows, &found);
        ck_assert_mem_eq(&found, &expected, sizeof(found));
    }
    op_device_check_validation();
    return expected;
}

/* Two boxes that overlap: the quotient of the areas is the threshold itself, or one float more. */
START_TEST(quotient_at_the_threshold)
{
    static const uint8_t anchors[] = {128, 128, 100, 90, 128, 128, 100, 90};
    struct shape s = {2, 4, 1, 0, 4, 1};
    uint64_t state = 7;
    for (int round = 0; round < 40; round++) {
        uint8_t q[8], scores[2] = {200, 100};
        struct outputs apart;
        struct shk_error error;
        float above = 0.0f;
        for (int i = 0; i < 8; i++)
            q[i] = (uint8_t)op_random_range(&state, 108, 148);
        for (int pass = 0; pass < 3; pass++) {
            struct shk_model *model = NULL;
            struct op_case c = make_case("threshold", &s, anchors);
            float threshold = pass == 0 ? 1.0f : pass == 1 ? above : nextafterf(above, 0.0f);
            op_case_attr(&c, "nms_iou_threshold", (double)threshold);
            if (op_case_model(&c, &model, &error))
                ck_abort_msg("%s", error.message);
            struct outputs out = run_everywhere(model, NULL, (const void *[]){q, scores}, 4);
            shk_model_destroy(&model);
            ck_assert(out.count == (pass == 2 ? 1.0f : 2.0f));
            if (pass > 0)
                continue;
            apart = out;
            const float *a = apart.boxes, *b = apart.boxes + 4;
            float area_a = (a[2] - a[0]) * (a[3] - a[1]), area_b = (b[2] - b[0]) * (b[3] - b[1]);
            float h = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), w = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
            above = h * w / (area_a + area_b - h * w);
            ck_assert(above > 0.05f && above <= 1.0f);
        }
    }
}
END_TEST

START_TEST(session_overrides)
{
    static const uint8_t anchors[] = {50, 50, 50, 50, 52, 50, 50, 50, 200, 200, 50, 50};
    static const uint8_t q[] = {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128};
    static const uint8_t scores[] = {100, 0, 0, 90, 70, 0};
    const void *inputs[] = {q, scores};
    struct shape s = {3, 4, 2, 0, 3, 1};
    struct op_case c = make_case("overrides", &s, anchors);
    struct shk_model *model = NULL;
    struct shk_error error;
    if (op_case_model(&c, &model, &error))
        ck_abort_msg("%s", error.message);
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;

    struct outputs out = run_everywhere(model, &params, inputs, 3);
    ck_assert(out.count == 2 && out.scores[0] == 100 / 256.0f && out.scores[1] == 70 / 256.0f);
    ck_assert(out.classes[0] == 0 && out.scores[2] == 0 && out.boxes[8] == 0);
    ck_assert_float_eq_tol(out.boxes[0], (50 - 25) / 256.0f, 1e-6f);
    ck_assert_float_eq_tol(out.boxes[2], (50 + 25) / 256.0f, 1e-6f);

    params.iou_threshold = 0.95f;
    out = run_everywhere(model, &params, inputs, 3);
    ck_assert(out.count == 3 && out.scores[1] == 90 / 256.0f && out.classes[1] == 1);
    params.score_threshold = 0.3f;
    out = run_everywhere(model, &params, inputs, 3);
    ck_assert(out.count == 2 && out.scores[1] == 90 / 256.0f);
    params.max_detections = 1;
    out = run_everywhere(model, &params, inputs, 3);
    ck_assert(out.count == 1 && out.scores[0] == 100 / 256.0f && out.scores[1] == 0);
    params.score_threshold = 0.9f;
    out = run_everywhere(model, &params, inputs, 3);
    ck_assert(out.count == 0 && out.scores[0] == 0);
    shk_model_destroy(&model);
}
END_TEST

/* ---- float inputs that DEQUANTIZE makes ---- */

static uint32_t add(struct shk_graph *graph, enum shk_dtype dtype, uint32_t rank, const int32_t *dims,
                    float scale, int32_t zero_point, const void *data)
{
    struct shk_tensor_desc desc = {.name = "t", .dtype = dtype, .shape = {.rank = rank}, .data = data};
    uint32_t index;
    struct shk_error error;
    for (uint32_t i = 0; i < rank; i++)
        desc.shape.dims[i] = dims[i];
    desc.quant_count = scale != 0.0f;
    desc.scales = &scale;
    desc.zero_points = &zero_point;
    desc.data_bytes = data ? shk_dtype_size(dtype) * shk_shape_elements(&desc.shape) : 0;
    if (shk_graph_add_tensor(graph, &desc, &index, &error))
        ck_abort_msg("%s", error.message);
    return index;
}

static struct shk_op *add_op(struct shk_graph *graph, const char *name, const uint32_t *in, uint32_t in_count,
                             const uint32_t *out, uint32_t out_count)
{
    struct shk_op *op;
    struct shk_error error;
    if (shk_graph_add_op(graph, shk_op_find_name(name), in, in_count, out, out_count, &op, &error))
        ck_abort_msg("%s", error.message);
    return op;
}

static struct shk_model *dequantized_model(const struct shape *s, const float *anchors, bool is_regular)
{
    struct shk_graph *graph = shk_graph_create("dequantized");
    struct shk_model *model = NULL;
    struct shk_error error;
    int32_t boxes[] = {1, s->boxes, 4}, scores[] = {1, s->boxes, s->classes + 1};
    int32_t flat[] = {1, s->boxes * 4};
    uint32_t in[] = {add(graph, SHK_DTYPE_INT8, 2, flat, 0.0837f, 17, NULL),
                     add(graph, SHK_DTYPE_INT8, 3, scores, 0.00390625f, -128, NULL)};
    uint32_t floats[] = {add(graph, SHK_DTYPE_FLOAT32, 3, boxes, 0, 0, NULL),
                         add(graph, SHK_DTYPE_FLOAT32, 3, scores, 0, 0, NULL),
                         add(graph, SHK_DTYPE_FLOAT32, 2, (int32_t[]){s->boxes, 4}, 0, 0, anchors)};
    /* as most files have them: no shape */
    uint32_t out[] = {add(graph, SHK_DTYPE_FLOAT32, 0, NULL, 0, 0, NULL),
                      add(graph, SHK_DTYPE_FLOAT32, 0, NULL, 0, 0, NULL),
                      add(graph, SHK_DTYPE_FLOAT32, 0, NULL, 0, 0, NULL),
                      add(graph, SHK_DTYPE_FLOAT32, 0, NULL, 0, 0, NULL)};
    uint32_t dequantized = add(graph, SHK_DTYPE_FLOAT32, 2, flat, 0, 0, NULL);
    add_op(graph, "DEQUANTIZE", &in[0], 1, &dequantized, 1);
    add_op(graph, "RESHAPE", &dequantized, 1, &floats[0], 1);
    add_op(graph, "DEQUANTIZE", &in[1], 1, &floats[1], 1);
    struct shk_detection_attrs *a = add_op(graph, "TFLite_Detection_PostProcess", floats, 3, out, 4)->attrs;
    *a = (struct shk_detection_attrs){
        s->max_detections, 1, 100, s->classes, is_regular, 0.3f, 0.5f, 10, 10, 5, 5};
    if (shk_graph_set_io(graph, in, 2, out, 4, &error) || shk_model_from_graph(&graph, &model, &error))
        ck_abort_msg("%s", error.message);
    return model;
}

START_TEST(dequantized_inputs)
{
    struct shape s = {211, 4, 6, 1, 30, 1};
    float anchors[211 * 4];
    int8_t boxes[211 * 4], scores[211 * 7];
    uint64_t state = 3;
    for (int i = 0; i < 211 * 4; i++)
        anchors[i] = op_random_float(&state, i % 4 < 2 ? 0.0f : 0.05f, i % 4 < 2 ? 1.0f : 0.5f);
    op_random_int8(&state, boxes, sizeof(boxes));
    op_random_int8(&state, scores, sizeof(scores));
    for (int is_regular = 0; is_regular < 2; is_regular++) {
        struct shk_model *model = dequantized_model(&s, anchors, is_regular);
        struct outputs out = run_everywhere(model, NULL, (const void *[]){boxes, scores}, 30);
        ck_assert(out.count == 30);
        shk_model_destroy(&model);
    }
}
END_TEST

/* ---- refusals ---- */

static void refused_attr(const char *name, double value, enum shk_status status, const char *part)
{
    static const uint8_t anchors[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct op_case c = make_case(name, &(struct shape){2, 4, 3, 1, 5, 1}, anchors);
    op_case_attr(&c, name, value);
    op_case_refused(&c, status, part);
}

START_TEST(bad_attributes)
{
    refused_attr("max_detections", 0, SHK_ERROR_BAD_MODEL, "max_detections 0");
    refused_attr("max_detections", 1 << 20, SHK_ERROR_UNSUPPORTED, "rows");
    refused_attr("max_classes_per_detection", 65535, SHK_ERROR_UNSUPPORTED, "rows");
    refused_attr("num_classes", 2, SHK_ERROR_BAD_MODEL, "4 scores per box do not fit 2 classes");
    refused_attr("num_classes", 5, SHK_ERROR_BAD_MODEL, "do not fit");
    refused_attr("nms_iou_threshold", 0, SHK_ERROR_BAD_MODEL, "nms_iou_threshold");
    refused_attr("nms_iou_threshold", 1.5, SHK_ERROR_BAD_MODEL, "nms_iou_threshold");
    refused_attr("h_scale", 0, SHK_ERROR_BAD_MODEL, "h_scale 0");
    refused_attr("y_scale", (double)NAN, SHK_ERROR_BAD_MODEL, "y_scale");
}
END_TEST

START_TEST(bad_tensors)
{
    static const uint8_t anchors[12] = {0};
    struct shape s = {3, 4, 3, 1, 5, 1};
    struct op_case c = make_case("three scores", &s, anchors);
    c.inputs[1].desc.shape.dims[1] = 2;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "do not fit");
    c = make_case("int8", &s, anchors);
    c.inputs[0].desc.dtype = SHK_DTYPE_INT8;
    c.inputs[0].zero_point = 0;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "is int8");
    c = make_case("float of unknown origin", &s, anchors);
    c.inputs[1].desc.dtype = SHK_DTYPE_FLOAT32;
    c.inputs[1].desc.quant_count = 0;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "DEQUANTIZE");
    c = make_case("anchors that are not constant", &s, anchors);
    c.inputs[2].desc.data = NULL;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "constant");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("detection_postprocess");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, fast);
    tcase_add_test(tests, regular);
    tcase_add_test(tests, quotient_at_the_threshold);
    tcase_add_test(tests, session_overrides);
    if (shk_op_find_name("DEQUANTIZE"))
        tcase_add_test(tests, dequantized_inputs);
    tcase_add_test(tests, bad_attributes);
    tcase_add_test(tests, bad_tensors);
    suite_add_tcase(suite, tests);
    return op_case_main(suite);
}
