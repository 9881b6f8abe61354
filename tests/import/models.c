/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "every_op.h"
#include "op.h"

struct maker {
    struct shk_builder *builder;
    enum shk_dtype dtype;
    int32_t zero_point;
};

static int32_t activation(struct maker *m, const char *name, uint32_t rank, const int32_t *dims, float scale)
{
    return shk_builder_tensor(m->builder, name, m->dtype, rank, dims, 1, &scale, &m->zero_point, 0, NULL, 0);
}

static void op(struct maker *m, const char *name, int32_t a, int32_t b, int32_t out, const char *attributes)
{
    int32_t inputs[] = {a, b};
    shk_builder_op(m->builder, name, inputs, b >= 0 ? 2 : 1, &out, 1, attributes);
}

static void grouped_convolution(struct maker *m, int32_t in, int32_t out)
{
    bool per_channel = m->dtype == SHK_DTYPE_INT8;
    uint8_t weights[4 * 3 * 3 * 2];
    float scales[4] = {0.01f, 0.02f, 0.03f, 0.04f}, bias_scales[4];
    int32_t bias[4] = {100, -200, 300, -400};
    struct test_rng rng = {7};
    test_random_bytes(&rng, weights, sizeof(weights));
    for (int i = 0; i < 4; i++)
        bias_scales[i] = scales[per_channel ? i : 0] * 0.05f;
    int32_t w = shk_builder_tensor(m->builder, "conv/weights", m->dtype, 4, (int32_t[]){4, 3, 3, 2},
                                   per_channel ? 4 : 1, scales, per_channel ? NULL : &m->zero_point, 0,
                                   weights, sizeof(weights));
    int32_t b = shk_builder_tensor(m->builder, "conv/bias", SHK_DTYPE_INT32, 1, (int32_t[]){4},
                                   per_channel ? 4 : 1, bias_scales, NULL, 0, bias, sizeof(bias));
    shk_builder_op(m->builder, "CONV_2D", (int32_t[]){in, w, b}, 3, &out, 1,
                   "padding=SAME stride_h=1 stride_w=1 fused_activation_function=RELU6");
}

static void make_network(struct maker *m)
{
    const uint8_t ones[4] = {1, 2, 3, 4};
    const float scale = 0.05f;
    int32_t in = activation(m, "image", 4, (int32_t[]){1, 6, 8, 4}, scale);
    int32_t convolved = activation(m, "convolved", 4, (int32_t[]){1, 6, 8, 4}, scale);
    int32_t pooled = activation(m, "pooled", 4, (int32_t[]){1, 3, 4, 4}, scale);
    int32_t sum = activation(m, "sum", 4, (int32_t[]){1, 3, 4, 4}, 0.06f);
    int32_t leaky = activation(m, "leaky", 4, (int32_t[]){1, 3, 4, 4}, 0.07f);
    int32_t flat = activation(m, "flat \xC3\xA9", 2, (int32_t[]){1, 48}, 0.07f);
    int32_t offsets = shk_builder_tensor(m->builder, "offsets", m->dtype, 4, (int32_t[]){1, 1, 1, 4}, 1,
                                         &scale, &m->zero_point, 0, ones, sizeof(ones));
    grouped_convolution(m, in, convolved);
    op(m, "MAX_POOL_2D", convolved, -1, pooled,
       "padding=VALID stride_w=2 stride_h=2 filter_width=2 filter_height=2");
    op(m, "ADD", pooled, offsets, sum, "fused_activation_function=RELU");
    op(m, "LEAKY_RELU", sum, -1, leaky, "alpha=0.125");
    op(m, "RESHAPE", leaky, -1, flat, "new_shape=1,48");
    shk_builder_set_inputs(m->builder, &in, 1);
    shk_builder_set_outputs(m->builder, &flat, 1);
}

static void make_ssd(struct maker *m)
{
    const uint8_t anchors[5 * 4] = {130, 130, 140, 140};
    const float scale = 0.1f;
    int32_t inputs[3] = {activation(m, "boxes", 3, (int32_t[]){1, 5, 4}, 0.1f),
                         activation(m, "scores", 3, (int32_t[]){1, 5, 4}, 1.0f / 256)};
    int32_t outputs[4];
    /* every size at least 0 */
    inputs[2] = shk_builder_tensor(m->builder, "anchors", m->dtype, 2, (int32_t[]){5, 4}, 1, &scale, NULL, 0,
                                   anchors, sizeof(anchors));
    for (int i = 0; i < 4; i++)
        outputs[i] =
            shk_builder_tensor(m->builder, "out", SHK_DTYPE_FLOAT32, 0, NULL, 0, NULL, NULL, 0, NULL, 0);
    shk_builder_op(m->builder, "TFLite_Detection_PostProcess", inputs, 3, outputs, 4,
                   "max_detections=3 max_classes_per_detection=1 num_classes=3 nms_score_threshold=1e-8 "
                   "nms_iou_threshold=0.6 use_regular_nms=true y_scale=10 x_scale=10 h_scale=5 w_scale=5");
    shk_builder_set_inputs(m->builder, inputs, 2);
    shk_builder_set_outputs(m->builder, outputs, 4);
}

uint8_t *sample_model(enum sample sample, size_t *size)
{
    struct shk_error error;
    void *data = NULL;
    struct maker m = {shk_builder_create(), SHK_DTYPE_UINT8, 120};
    if (sample == SAMPLE_INT8) {
        m.dtype = SHK_DTYPE_INT8;
        m.zero_point = -8;
    }
    if (sample == SAMPLE_SSD)
        make_ssd(&m);
    else if (sample == SAMPLE_EVERY_OP)
        make_every_op(m.builder);
    else
        make_network(&m);
    if (shk_builder_serialize(m.builder, &data, size, &error)) {
        fprintf(stderr, "sample %d: %s\n", (int)sample, error.message);
        abort();
    }
    shk_builder_destroy(&m.builder);
    return data;
}

static char difference[256];

#define differ(...) (snprintf(difference, sizeof(difference), __VA_ARGS__), difference)

static const char *quant_difference(const struct shk_tensor *a, const struct shk_tensor *b)
{
    size_t n = a->quant.count;
    if (n != b->quant.count || a->quant.axis != b->quant.axis)
        return differ("'%s': quantized %zu times along %u, or %u along %u", a->name, n, a->quant.axis,
                      b->quant.count, b->quant.axis);
    if (n && (memcmp(a->quant.scales, b->quant.scales, n * sizeof(float)) != 0 ||
              memcmp(a->quant.zero_points, b->quant.zero_points, n * sizeof(int32_t)) != 0 ||
              memcmp(a->quant.file_zero_points, b->quant.file_zero_points, n * sizeof(int32_t)) != 0))
        return differ("'%s': scales or zero points differ", a->name);
    return NULL;
}

static const char *tensor_difference(const struct shk_tensor *a, const struct shk_tensor *b)
{
    if (strcmp(a->name, b->name) != 0)
        return differ("names '%s' and '%s'", a->name, b->name);
    if (a->dtype != b->dtype || a->legacy_uint8 != b->legacy_uint8)
        return differ("'%s': types differ", a->name);
    if (!shk_shape_equal(&a->shape, &b->shape) || a->bytes != b->bytes)
        return differ("'%s': shapes differ", a->name);
    if (!a->data != !b->data || (a->data && memcmp(a->data, b->data, a->bytes) != 0))
        return differ("'%s': constants differ", a->name);
    return quant_difference(a, b);
}

static const char *indices_difference(const uint32_t *a, uint32_t a_count, const uint32_t *b,
                                      uint32_t b_count)
{
    return a_count == b_count && memcmp(a, b, a_count * sizeof(*a)) == 0 ? NULL
                                                                         : differ("tensor lists differ");
}

static const char *attrs_difference(const struct shk_op *a, const struct shk_op *b)
{
    for (uint32_t i = 0; i < a->spelling->attr_count; i++) {
        const struct shk_attr *attr = &a->spelling->attrs[i];
        size_t size = attr->type == SHK_ATTR_LIST   ? sizeof(struct shk_int32_list)
                      : attr->type == SHK_ATTR_BOOL ? sizeof(bool)
                                                    : 4;
        if (memcmp((const char *)a->attrs + attr->offset, (const char *)b->attrs + attr->offset, size) != 0)
            return differ("op %u %s: %s differs", a->file_index, a->spelling->name, attr->name);
    }
    return NULL;
}

static const char *op_difference(const struct shk_op *a, const struct shk_op *b)
{
    if (a->spelling != b->spelling)
        return differ("op %u: %s and %s", a->file_index, a->spelling->name, b->spelling->name);
    const char *d = indices_difference(a->inputs, a->input_count, b->inputs, b->input_count);
    if (!d)
        d = indices_difference(a->outputs, a->output_count, b->outputs, b->output_count);
    return d ? d : attrs_difference(a, b);
}

const char *graph_difference(const struct shk_graph *a, const struct shk_graph *b)
{
    const char *d = NULL;
    if (a->tensor_count != b->tensor_count || a->op_count != b->op_count)
        return differ("%u tensors and %u ops, or %u and %u", a->tensor_count, a->op_count, b->tensor_count,
                      b->op_count);
    for (uint32_t i = 0; i < a->tensor_count && !d; i++)
        d = tensor_difference(&a->tensors[i], &b->tensors[i]);
    for (uint32_t i = 0; i < a->op_count && !d; i++)
        d = op_difference(&a->ops[i], &b->ops[i]);
    if (!d)
        d = indices_difference(a->inputs, a->input_count, b->inputs, b->input_count);
    return d ? d : indices_difference(a->outputs, a->output_count, b->outputs, b->output_count);
}
