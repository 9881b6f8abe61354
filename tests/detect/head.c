/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "head.h"

#include <stdlib.h>
#include <string.h>

#include "attr_text.h"

static struct shk_error error;

static uint32_t add_tensor(struct shk_graph *graph, const char *name, struct shk_shape shape, float scale,
                           int32_t zero_point, bool constant)
{
    size_t size = shk_shape_elements(&shape);
    void *zeros = calloc(1, size);
    struct shk_tensor_desc desc = {.name = name,
                                   .dtype = SHK_DTYPE_INT8,
                                   .shape = shape,
                                   .quant_count = 1,
                                   .scales = &scale,
                                   .zero_points = &zero_point,
                                   .data = constant ? zeros : NULL,
                                   .data_bytes = constant ? size : 0};
    uint32_t index;
    test_ok(shk_graph_add_tensor(graph, &desc, &index, &error), &error);
    free(zeros);
    return index;
}

static struct shk_op *add_op(struct shk_graph *graph, const char *name, const uint32_t *inputs,
                             uint32_t count, uint32_t output)
{
    struct shk_op *op;
    test_ok(shk_graph_add_op(graph, shk_op_find_name(name), inputs, count, &output, 1, &op, &error), &error);
    return op;
}

static uint32_t add_activated(struct shk_graph *graph, const struct head_output *o, struct shk_shape shape)
{
    uint32_t in = add_tensor(graph, "logits", shape, 0.1f, 0, true);
    uint32_t out = add_tensor(graph, "probabilities", shape, 1.0f / 256, -128, false);
    uint32_t scaled = add_tensor(graph, "scaled", shape, o->scale, o->zero_point, false);
    add_op(graph, "LOGISTIC", &in, 1, out);
    add_op(graph, "QUANTIZE", &out, 1, scaled);
    return scaled;
}

static uint32_t add_dequantized(struct shk_graph *graph, const struct head_output *o, uint32_t quantized)
{
    struct shk_tensor_desc desc = {.name = o->name, .dtype = SHK_DTYPE_FLOAT32, .shape = o->shape};
    uint32_t index;
    test_ok(shk_graph_add_tensor(graph, &desc, &index, &error), &error);
    add_op(graph, "DEQUANTIZE", &quantized, 1, index);
    return index;
}

static uint32_t add_output(struct shk_graph *graph, const struct head_output *o)
{
    struct shk_shape rest = o->shape, activated = o->shape;
    uint32_t axis = o->shape.rank - (o->at_end ? 1 : 2);
    uint32_t out =
        add_tensor(graph, o->is_float ? "quantized" : o->name, o->shape, o->scale, o->zero_point, false);
    rest.dims[axis] -= (int32_t)o->activated;
    activated.dims[axis] = (int32_t)o->activated;
    uint32_t parts[2] = {add_tensor(graph, "rest", rest, o->scale, o->zero_point, true)};
    if (o->activated == 0) {
        add_op(graph, "QUANTIZE", parts, 1, out);
        return o->is_float ? add_dequantized(graph, o, out) : out;
    }
    parts[1] = add_activated(graph, o, activated);
    struct shk_op *op = add_op(graph, "CONCATENATION", parts, 2, out);
    test_ok(shk_attrs_from_text(op->spelling, op->attrs,
                                axis == 1   ? "axis=1"
                                : axis == 2 ? "axis=2"
                                            : "axis=3",
                                &error),
            &error);
    return out;
}

struct shk_model *head_model_sized(uint32_t width, uint32_t height, const struct head_output *outputs,
                                   uint32_t count)
{
    struct shk_graph *graph = shk_graph_create("head.tflite");
    struct shk_model *model = NULL;
    uint32_t out[SHK_MAX_HEADS + 1];
    uint32_t image =
        add_tensor(graph, "image", (struct shk_shape){4, {1, (int32_t)height, (int32_t)width, 3}}, 1.0f / 255,
                   -128, false);
    for (uint32_t i = 0; i < count; i++)
        out[i] = add_output(graph, &outputs[i]);
    test_ok(shk_graph_set_io(graph, &image, 1, out, count, &error), &error);
    test_ok(shk_model_from_graph(&graph, &model, &error), &error);
    return model;
}

struct shk_model *head_model(uint32_t size, const struct head_output *outputs, uint32_t count)
{
    return head_model_sized(size, size, outputs, count);
}

enum shk_status head_sidecar(struct shk_model *model, const char *text, struct shk_modelinfo *info,
                             struct shk_error *e)
{
    size_t size = strlen(text);
    char *copy = malloc(size + 1);
    memcpy(copy, text, size + 1);
    enum shk_status status = shk_modelinfo_parse(copy, size, "head.modelinfo", model->graph, info, e);
    if (!status)
        status = shk_detector_init(&model->detector, model->graph, info, e);
    free(copy);
    return status;
}

uint32_t head_decode(const struct shk_model *model, const struct shk_session_params *params,
                     const void *const *outputs, struct shk_detection *d)
{
    const struct shk_detector *detector = &model->detector;
    struct shk_nms *nms;
    test_ok(shk_nms_create(detector->candidates, &nms, &error), &error);
    struct shk_decode frame = {detector, model->graph, params, outputs, SHK_PLACEMENT_IDENTITY, nms};
    uint32_t count = detector->def->decode(&frame, d);
    ck_assert_uint_le(count, detector->def->capacity(detector, model->graph, params));
    for (uint32_t i = 0; i < count; i++) {
        ck_assert(d[i].confidence > 0 && d[i].confidence <= 1 && d[i].class_id < detector->class_count);
        ck_assert(d[i].confidence >= params->score_threshold);
        ck_assert(i == 0 || d[i].confidence <= d[i - 1].confidence);
        ck_assert(0 <= d[i].x_min && d[i].x_min < d[i].x_max && d[i].x_max <= 1);
        ck_assert(0 <= d[i].y_min && d[i].y_min < d[i].y_max && d[i].y_max <= 1);
    }
    shk_nms_destroy(&nms);
    return count;
}
