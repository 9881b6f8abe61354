/* TFLite_Detection_PostProcess: decode SSD boxes against anchors, non-maximum suppression.
 * Source: tflite/kernels/detection_postprocess.cc.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Boxes and scores have 256 possible values each: they are uint8, or what DEQUANTIZE made of 8 bits. So the
 * device looks decoded values up, compares scores as integers, and needs only float additions and
 * multiplications. */
#include "detection_postprocess.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/session.h>

#include "lower.h"
#include "nms.h"

#define ATTR(key, kind, field, value)                                                                        \
    {                                                                                                        \
        key, SHK_ATTR_##kind, 0, offsetof(struct shk_detection_attrs, field), value, NULL                    \
    }

static const struct shk_attr attrs_table[] = {
    ATTR("max_detections", INT32, max_detections, 0),
    ATTR("max_classes_per_detection", INT32, max_classes, 0),
    ATTR("detections_per_class", INT32, detections_per_class, 100),
    ATTR("use_regular_nms", BOOL, regular, 0),
    ATTR("nms_score_threshold", FLOAT, score_threshold, 0),
    ATTR("nms_iou_threshold", FLOAT, iou_threshold, 0),
    ATTR("num_classes", INT32, class_count, 0),
    ATTR("y_scale", FLOAT, y_scale, 0),
    ATTR("x_scale", FLOAT, x_scale, 0),
    ATTR("h_scale", FLOAT, h_scale, 0),
    ATTR("w_scale", FLOAT, w_scale, 0),
};

struct shk_detection_settings shk_detection_settings(const struct shk_graph *graph, const struct shk_op *op,
                                                     const struct shk_session_params *params)
{
    const struct shk_detection_attrs *a = op->attrs;
    const struct shk_tensor *scores = shk_op_input(graph, op, SHK_DETECTION_IN_SCORES);
    struct shk_detection_settings s = {
        .attrs = a,
        .score_threshold =
            params && params->score_threshold > 0 ? params->score_threshold : a->score_threshold,
        .iou_threshold = params && params->iou_threshold > 0 ? params->iou_threshold : a->iou_threshold,
        .max_detections = (uint32_t)a->max_detections,
        .categories = (uint32_t)SHK_MIN(a->max_classes, a->class_count),
        .rows = (uint32_t)(a->max_detections * a->max_classes),
        .boxes = (uint32_t)scores->shape.dims[1],
        .box_size = (uint32_t)shk_op_input(graph, op, SHK_DETECTION_IN_BOXES)->shape.dims[2],
        .classes = (uint32_t)a->class_count,
        .row_size = (uint32_t)scores->shape.dims[2],
    };
    s.iou_threshold = SHK_CLAMP(s.iou_threshold, FLT_MIN, 1.0f);
    if (params && params->max_detections)
        s.max_detections = SHK_MIN(s.max_detections, params->max_detections);
    s.per_class = SHK_MIN((uint32_t)a->detections_per_class, s.max_detections);
    s.label_offset = s.row_size - s.classes;
    return s;
}

/* ---- checks ---- */

static bool positive(float x)
{
    return x > 0.0f && isfinite(x);
}

static enum shk_status check_attrs(const struct shk_graph *graph, const struct shk_op *op,
                                   struct shk_error *error)
{
    const struct shk_detection_attrs *a = op->attrs;
    if (a->max_detections < 1 || a->max_classes < 1 || a->detections_per_class < 1 || a->class_count < 1)
        return shk_op_fail(
            graph, op, SHK_ERROR_BAD_MODEL, error,
            "max_detections %d, max_classes_per_detection %d, detections_per_class %d and num_classes %d "
            "must be at least 1",
            a->max_detections, a->max_classes, a->detections_per_class, a->class_count);
    if (a->max_detections > 65535 || a->max_classes > 65535 / a->max_detections)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "%d detections of %d classes each, at most 65535 rows are supported",
                           a->max_detections, a->max_classes);
    if (!(a->iou_threshold > 0.0f && a->iou_threshold <= 1.0f))
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "nms_iou_threshold %g is not above 0 and at most 1", (double)a->iou_threshold);
    if (!positive(a->y_scale) || !positive(a->x_scale) || !positive(a->h_scale) || !positive(a->w_scale))
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "y_scale %g, x_scale %g, h_scale %g, w_scale %g must be positive",
                           (double)a->y_scale, (double)a->x_scale, (double)a->h_scale, (double)a->w_scale);
    return SHK_OK;
}

/* The op before `op` that writes the tensor, or NULL. */
static const struct shk_op *writer(const struct shk_graph *graph, const struct shk_op *op, uint32_t tensor)
{
    while (op-- > graph->ops)
        for (uint32_t i = 0; i < op->output_count; i++)
            if (op->outputs[i] == tensor)
                return op;
    return NULL;
}

/* The 8 bit tensor that `input`'s 256 values come from: itself, or the input of the DEQUANTIZE that made it,
 * perhaps reshaped since. */
static const struct shk_tensor *quantized_source(const struct shk_graph *graph, const struct shk_op *op,
                                                 uint32_t input)
{
    uint32_t tensor = op->inputs[input];
    bool is_float = graph->tensors[tensor].dtype == SHK_DTYPE_FLOAT32;
    while (graph->tensors[tensor].dtype == SHK_DTYPE_FLOAT32) {
        op = writer(graph, op, tensor);
        if (!op || (!op->def->is_view && strcmp(op->spelling->name, "DEQUANTIZE") != 0))
            return NULL;
        tensor = op->inputs[0];
    }
    const struct shk_tensor *t = &graph->tensors[tensor];
    bool fits = is_float ? t->dtype == SHK_DTYPE_INT8 : t->legacy_uint8;
    return fits && t->quant.count == 1 ? t : NULL;
}

static enum shk_status check_source(const struct shk_graph *graph, const struct shk_op *op, uint32_t input,
                                    struct shk_error *error)
{
    if (quantized_source(graph, op, input))
        return SHK_OK;
    const struct shk_tensor *t = shk_op_input(graph, op, input);
    return shk_op_fail(
        graph, op, SHK_ERROR_UNSUPPORTED, error,
        "input '%s' is %s; supported are uint8 with one scale, and float32 that DEQUANTIZE makes of 8 "
        "bits",
        t->name, shk_dtype_string(t->dtype));
}

static enum shk_status check_shapes(const struct shk_graph *graph, const struct shk_op *op,
                                    struct shk_error *error)
{
    const struct shk_shape *boxes = &shk_op_input(graph, op, SHK_DETECTION_IN_BOXES)->shape;
    const struct shk_shape *scores = &shk_op_input(graph, op, SHK_DETECTION_IN_SCORES)->shape;
    const struct shk_shape *anchors = &shk_op_input(graph, op, SHK_DETECTION_IN_ANCHORS)->shape;
    const struct shk_detection_attrs *a = op->attrs;
    char b[64], s[64], n[64];
    bool fits = boxes->rank == 3 && scores->rank == 3 && anchors->rank == 2 && boxes->dims[0] == 1 &&
                scores->dims[0] == 1 && boxes->dims[1] == scores->dims[1] &&
                anchors->dims[0] == boxes->dims[1] && boxes->dims[2] >= 4 && anchors->dims[1] == 4;
    if (!fits)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "boxes %s, scores %s, anchors %s do not fit: expected 1xNx4, 1xNxC, Nx4",
                           shk_shape_string(boxes, b), shk_shape_string(scores, s),
                           shk_shape_string(anchors, n));
    if (scores->dims[2] - a->class_count < 0 || scores->dims[2] - a->class_count > 1)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "%d scores per box do not fit %d classes, with or without a background",
                           scores->dims[2], a->class_count);
    if (boxes->dims[1] >= 1 << 23 || a->class_count >= 1 << 23)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "%d boxes and %d classes, at most %d of each are supported", boxes->dims[1],
                           a->class_count, (1 << 23) - 1);
    return SHK_OK;
}

static enum shk_status check_anchors(const struct shk_graph *graph, const struct shk_op *op,
                                     struct shk_error *error)
{
    const struct shk_tensor *anchors = shk_op_input(graph, op, SHK_DETECTION_IN_ANCHORS);
    bool float_boxes = shk_op_input(graph, op, SHK_DETECTION_IN_BOXES)->dtype == SHK_DTYPE_FLOAT32;
    bool fits = float_boxes ? anchors->dtype == SHK_DTYPE_FLOAT32
                            : anchors->legacy_uint8 && anchors->quant.count == 1;
    if (!fits)
        return shk_op_fail(
            graph, op, SHK_ERROR_UNSUPPORTED, error,
            "anchors '%s' are %s; float32 boxes go with float32 anchors, uint8 boxes with uint8 anchors "
            "of one scale",
            anchors->name, shk_dtype_string(anchors->dtype));
    for (int32_t i = 0; i < anchors->shape.dims[0]; i++) {
        float v[4];
        shk_detection_anchor(anchors, (size_t)i, v);
        if (!isfinite(v[0]) || !isfinite(v[1]) || !(v[2] >= 0 && isfinite(v[2])) ||
            !(v[3] >= 0 && isfinite(v[3])))
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                               "anchor %d (y %g, x %g, h %g, w %g) is not finite or has a negative size", i,
                               (double)v[0], (double)v[1], (double)v[2], (double)v[3]);
    }
    return SHK_OK;
}

/* The interpreter sizes the outputs whatever the file says; most files say nothing. */
static enum shk_status infer(struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_detection_attrs *a = op->attrs;
    enum shk_status status =
        shk_check_counts(graph, op, SHK_DETECTION_IN_COUNT, SHK_DETECTION_IN_COUNT, 4, error);
    if (!status)
        status = check_attrs(graph, op, error);
    if (status)
        return status;
    int32_t rows = a->max_detections * a->max_classes;
    const struct shk_shape shapes[] = {
        [SHK_DETECTION_BOXES] = {3, {1, rows, 4}},
        [SHK_DETECTION_CLASSES] = {2, {1, rows}},
        [SHK_DETECTION_SCORES] = {2, {1, rows}},
        [SHK_DETECTION_COUNT] = {1, {1}},
    };
    for (uint32_t i = 0; i < SHK_ARRAY_LEN(shapes) && !status; i++)
        status = shk_graph_set_shape(graph, op->outputs[i], &shapes[i], error);
    return status;
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    for (uint32_t i = 0; i < op->output_count; i++)
        if (shk_op_output(graph, op, i)->dtype != SHK_DTYPE_FLOAT32)
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "output '%s' is %s, expected float32",
                               shk_op_output(graph, op, i)->name,
                               shk_dtype_string(shk_op_output(graph, op, i)->dtype));
    enum shk_status status = shk_check_constant(graph, op, SHK_DETECTION_IN_ANCHORS, error);
    if (!status)
        status = check_source(graph, op, SHK_DETECTION_IN_BOXES, error);
    if (!status)
        status = check_source(graph, op, SHK_DETECTION_IN_SCORES, error);
    if (!status)
        status = check_shapes(graph, op, error);
    if (!status)
        status = check_anchors(graph, op, error);
    return status;
}

/* ---- lowering ---- */

SHK_SHADER_DECLARE(detection_postprocess);

enum { LOCAL_SIZE = 64 };
enum pass { PASS_DECODE, PASS_HEADS, PASS_SELECT };

/* Words: boxes of five floats (corners, area); for each group (a class, or all together) a key per box, the
 * best of them and how many were taken; what was selected, two words each. */
struct scratch_layout {
    uint64_t boxes, keys, heads, taken, list, words;
};

static uint32_t group_count(const struct shk_detection_settings *s)
{
    return s->attrs->regular ? s->classes : 1;
}

static struct scratch_layout scratch_layout(const struct shk_detection_settings *s)
{
    struct scratch_layout l = {0};
    uint32_t groups = group_count(s);
    l.keys = l.boxes + (uint64_t)s->boxes * 5;
    l.heads = l.keys + (uint64_t)s->boxes * groups;
    l.taken = l.heads + groups;
    l.list = l.taken + groups;
    l.words = l.list + (uint64_t)s->max_detections * 2;
    return l;
}

static uint64_t scratch(const struct shk_graph *graph, const struct shk_op *op)
{
    struct shk_detection_settings s = shk_detection_settings(graph, op, NULL);
    return scratch_layout(&s).words * 4;
}

static struct shk_detection_quant source_quant(const struct shk_graph *graph, const struct shk_op *op,
                                               uint32_t input)
{
    const struct shk_tensor *t = quantized_source(graph, op, input);
    return (struct shk_detection_quant){t->quant.scales[0], t->quant.zero_points[0]};
}

static void set_quant(struct shk_detection_push *push, struct shk_detection_quant boxes,
                      struct shk_detection_quant scores)
{
    push->box_inverse = 1.0f / boxes.scale;
    push->box_zero = boxes.zero_point + 128;
    push->score_inverse = 1.0f / scores.scale;
    push->score_zero = scores.zero_point + 128;
}

static void set_outputs(struct shk_detection_push *push, const struct shk_lowering *lowering,
                        const struct shk_op *op)
{
    struct shk_view boxes = shk_lower_view(lowering, op->outputs[SHK_DETECTION_BOXES]);
    push->out_boxes = boxes.offset;
    push->out_boxes_stride = boxes.stride;
    push->out_classes = shk_lower_view(lowering, op->outputs[SHK_DETECTION_CLASSES]).offset;
    push->out_scores = shk_lower_view(lowering, op->outputs[SHK_DETECTION_SCORES]).offset;
    push->out_count = shk_lower_view(lowering, op->outputs[SHK_DETECTION_COUNT]).offset;
}

static void append_tables(struct shk_lowering *lowering, const struct shk_detection_settings *s,
                          const struct shk_detection_tables *tables, struct shk_detection_push *push)
{
    push->score_table = shk_lower_params(lowering, tables->score, sizeof(tables->score), 4) / 4;
    push->tables =
        shk_lower_params(lowering, tables->values, (size_t)tables->count * 256 * sizeof(float), 4) / 4;
    push->refs = shk_lower_params(lowering, tables->refs, (size_t)s->boxes * 4 * sizeof(uint32_t), 4) / 4;
    push->min_rank = 256;
    for (uint32_t rank = 256; rank-- > 0 && tables->score[rank] >= s->score_threshold;)
        push->min_rank = rank;
}

/* Of the last pass, which takes a round per detection. */
static uint64_t select_iterations(const struct shk_detection_settings *s, uint32_t local)
{
    uint64_t round = 2 + shk_div_round_up(group_count(s), local) + shk_div_round_up(s->boxes, local);
    uint64_t row = 1 + (s->attrs->regular ? 0 : (uint64_t)s->attrs->max_classes * (1 + s->classes));
    return s->max_detections * round + shk_div_round_up(s->max_detections, local) * row;
}

static uint32_t select_local_size(const struct shk_device *device, const struct shk_detection_settings *s)
{
    uint32_t most = SHK_MIN(device->limits.maxComputeWorkGroupInvocations, device->limits.maxComputeWorkGroupSize[0]);
    uint32_t local = LOCAL_SIZE;
    while (select_iterations(s, local) > device->max_iterations && 2 * local <= most)
        local *= 2;
    return local;
}

static void emit(struct shk_lowering *lowering, const struct shk_op *op,
                 const struct shk_detection_settings *s, const struct shk_detection_push *push)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    struct shk_dispatch d = {
        .shader = &shk_shader_detection_postprocess,
        .spec = {[1] = s->attrs->regular,
                 [2] = shk_op_input(graph, op, SHK_DETECTION_IN_BOXES)->dtype == SHK_DTYPE_FLOAT32,
                 [3] = shk_op_input(graph, op, SHK_DETECTION_IN_SCORES)->dtype == SHK_DTYPE_FLOAT32},
        .spec_count = 4,
        .push = push,
        .push_size = sizeof(*push),
    };
    d.spec[0] = PASS_DECODE;
    shk_dispatch_linear(&d, SHK_MAX(s->boxes, s->rows), LOCAL_SIZE);
    shk_lower_dispatch(lowering, &d);
    shk_lower_barrier(lowering);
    d.spec[0] = PASS_HEADS;
    shk_dispatch_linear(&d, group_count(s) * LOCAL_SIZE, LOCAL_SIZE);
    shk_lower_dispatch(lowering, &d);
    shk_lower_barrier(lowering);
    d.spec[0] = PASS_SELECT;
    uint32_t local = select_local_size(shk_lower_device(lowering), s);
    d.iterations = select_iterations(s, local);
    shk_dispatch_linear(&d, local, local);
    shk_lower_dispatch(lowering, &d);
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    struct shk_detection_settings s = shk_detection_settings(graph, op, shk_lower_session_params(lowering));
    struct shk_detection_quant boxes = source_quant(graph, op, SHK_DETECTION_IN_BOXES);
    struct shk_detection_quant scores = source_quant(graph, op, SHK_DETECTION_IN_SCORES);
    struct shk_detection_tables tables;
    struct shk_error detail;
    enum shk_status status = shk_detection_tables_init(
        &tables, s.attrs, shk_op_input(graph, op, SHK_DETECTION_IN_ANCHORS), boxes, scores, &detail);
    if (status)
        return shk_op_fail(graph, op, status, error, "%s", detail.message);

    struct scratch_layout l = scratch_layout(&s);
    uint32_t base = shk_lower_scratch(lowering);
    struct shk_view box_view = shk_lower_view(lowering, op->inputs[SHK_DETECTION_IN_BOXES]);
    struct shk_view score_view = shk_lower_view(lowering, op->inputs[SHK_DETECTION_IN_SCORES]);
    struct shk_detection_push push = {
        .boxes = box_view.offset,
        .boxes_stride = box_view.stride,
        .scores = score_view.offset,
        .scores_stride = score_view.stride,
        .count = s.boxes,
        .classes = s.classes,
        .label_offset = s.label_offset,
        .scratch_boxes = base + (uint32_t)l.boxes,
        .scratch_keys = base + (uint32_t)l.keys,
        .scratch_heads = base + (uint32_t)l.heads,
        .scratch_taken = base + (uint32_t)l.taken,
        .scratch_list = base + (uint32_t)l.list,
        .max_selected = s.attrs->regular ? s.per_class : s.max_detections,
        .max_detections = s.max_detections,
        .max_classes = s.attrs->regular ? 1 : (uint32_t)s.attrs->max_classes,
        .rows = s.rows,
    };
    shk_iou_split(s.iou_threshold, &push.iou_mantissa, &push.iou_exponent);
    set_quant(&push, boxes, scores);
    set_outputs(&push, lowering, op);
    append_tables(lowering, &s, &tables, &push);
    emit(lowering, op, &s, &push);
    shk_detection_tables_finish(&tables);
    return SHK_OK;
}

static void describe(const struct shk_graph *graph, const struct shk_op *op, char *text, size_t size)
{
    const struct shk_detection_attrs *a = op->attrs;
    (void)graph;
    snprintf(text, size, "%s NMS, %d classes, at most %d, score %g, IoU %g", a->regular ? "regular" : "fast",
             a->class_count, a->max_detections, (double)a->score_threshold, (double)a->iou_threshold);
}

static const struct shk_op_spelling spellings[] = {
    {.def = &shk_op_detection_postprocess,
     .name = "TFLite_Detection_PostProcess",
     .builtin = SHK_BUILTIN_CUSTOM,
     .max_version = 1,
     .attrs = attrs_table,
     .attr_count = SHK_ARRAY_LEN(attrs_table)},
};

const struct shk_op_def shk_op_detection_postprocess = {
    .name = "detection_postprocess",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct shk_detection_attrs),
    .parameter_inputs = 1u << SHK_DETECTION_IN_ANCHORS,
    .infer = infer,
    .check = check,
    .reference = shk_detection_reference,
    .lower = lower,
    .describe = describe,
    .scratch = scratch,
};
