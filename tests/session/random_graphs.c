/* Random networks: ops that move, join, cut and combine tensors, any of which may have several readers or be
 * a model output. Whatever storage the planner shares and whatever kernels run, the device's bytes must be
 * those of the CPU reference, which shares nothing. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <shrike/shrike.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attr_text.h"
#include "graph.h"
#include "hazard_check.h"
#include "model.h"
#include "op.h"
#include "support.h"

#define NETWORKS     60
#define FRAMES       3 /* of a batch: every third network */
#define MAX_LIVE     64
#define MAX_ELEMENTS 6000
#define SCALE        0.05f /* of every activation, so that all can be concatenated */
#define ZERO_POINT   (-3)

static struct shk_error error;

struct network {
    struct shk_graph *graph;
    struct test_rng rng;
    enum shk_dtype bytes; /* INT8 or UINT8 */
    uint32_t live[MAX_LIVE], live_count;
};

static uint32_t below(struct network *n, uint32_t bound)
{
    return test_random_below(&n->rng, bound);
}

static const struct shk_tensor *tensor(const struct network *n, uint32_t t)
{
    return &n->graph->tensors[t];
}

static uint32_t add(struct network *n, enum shk_dtype dtype, const struct shk_shape *shape, float scale,
                    int32_t zero_point, const void *data)
{
    char name[16];
    uint32_t index;
    bool bytes = dtype == SHK_DTYPE_INT8 || dtype == SHK_DTYPE_UINT8;
    zero_point += dtype == SHK_DTYPE_UINT8 ? 128 : 0;
    snprintf(name, sizeof(name), "t%u", n->graph->tensor_count);
    struct shk_tensor_desc desc = {
        .name = name,
        .dtype = dtype,
        .shape = *shape,
        .quant_count = bytes,
        .scales = &scale,
        .zero_points = &zero_point,
        .data = data,
        .data_bytes = data ? shk_dtype_size(dtype) * shk_shape_elements(shape) : 0,
    };
    test_ok(shk_graph_add_tensor(n->graph, &desc, &index, &error), &error);
    return index;
}

/* An activation of `like`'s type. */
static uint32_t activation(struct network *n, uint32_t like, const struct shk_shape *shape)
{
    enum shk_dtype dtype = tensor(n, like)->dtype == SHK_DTYPE_INT8 ? n->bytes : tensor(n, like)->dtype;
    return add(n, dtype, shape, SCALE, ZERO_POINT, NULL);
}

static uint32_t constant(struct network *n, const struct shk_shape *shape)
{
    uint8_t data[MAX_ELEMENTS];
    test_random_bytes(&n->rng, data, shk_shape_elements(shape));
    return add(n, n->bytes, shape, SCALE, ZERO_POINT, data);
}

static uint32_t integers(struct network *n, const int32_t *values, uint32_t count)
{
    struct shk_shape shape = {1, {(int32_t)count}};
    return add(n, SHK_DTYPE_INT32, &shape, 1.0f, 0, values);
}

static void emit(struct network *n, const char *op, const uint32_t *inputs, uint32_t input_count,
                 const uint32_t *outputs, uint32_t output_count, const char *attributes)
{
    const struct shk_op_spelling *spelling = shk_op_find_name(op);
    struct shk_op *added;
    ck_assert_ptr_nonnull(spelling);
    test_ok(shk_graph_add_op(n->graph, spelling, inputs, input_count, outputs, output_count, &added, &error),
            &error);
    test_ok(shk_attrs_from_text(spelling, added->attrs, attributes, &error), &error);
    for (uint32_t i = 0; i < output_count && n->live_count < MAX_LIVE; i++)
        n->live[n->live_count++] = outputs[i];
}

/* ---- ops: each adds itself behind tensor x, or does nothing if x does not suit it ---- */

static void add_reshape(struct network *n, uint32_t x)
{
    static const int32_t primes[] = {2, 3, 5, 7, 11, 13};
    size_t rest = shk_shape_elements(&tensor(n, x)->shape);
    struct shk_shape shape = {.rank = 1 + below(n, 5)};
    for (uint32_t k = 0; k < shape.rank; k++)
        shape.dims[k] = 1;
    for (uint32_t i = 0; i < SHK_ARRAY_LEN(primes); i++)
        for (; rest % (size_t)primes[i] == 0; rest /= (size_t)primes[i])
            shape.dims[below(n, shape.rank)] *= primes[i];
    shape.dims[shape.rank - 1] *= (int32_t)rest;
    if (below(n, 3) == 0) { /* the last dimension stays */
        const struct shk_shape *in = &tensor(n, x)->shape;
        int32_t last = in->dims[in->rank - 1];
        shape = (struct shk_shape){3, {1, (int32_t)(shk_shape_elements(in) / (size_t)last), last}};
    }
    uint32_t y = activation(n, x, &shape), inputs[] = {x, integers(n, shape.dims, shape.rank)};
    emit(n, "RESHAPE", inputs, 2, &y, 1, "");
}

static void add_transpose(struct network *n, uint32_t x)
{
    struct shk_shape in = tensor(n, x)->shape, out = {.rank = in.rank};
    int32_t perm[SHK_MAX_RANK] = {0, 1, 2, 3, 4, 5};
    for (uint32_t k = in.rank; k-- > 0;) {
        uint32_t swap = below(n, k + 1);
        int32_t kept = perm[k];
        perm[k] = perm[swap];
        perm[swap] = kept;
    }
    for (uint32_t k = 0; k < in.rank; k++)
        out.dims[k] = in.dims[perm[k]];
    uint32_t y = activation(n, x, &out), inputs[] = {x, integers(n, perm, in.rank)};
    emit(n, "TRANSPOSE", inputs, 2, &y, 1, "");
}

static bool equal_but(const struct shk_shape *a, const struct shk_shape *b, uint32_t axis)
{
    bool equal = a->rank == b->rank;
    for (uint32_t k = 0; k < a->rank && equal; k++)
        equal = k == axis || a->dims[k] == b->dims[k];
    return equal;
}

/* Mostly of live tensors, with x at least once. */
static void add_concatenation(struct network *n, uint32_t x)
{
    struct shk_shape shape = tensor(n, x)->shape;
    uint32_t axis = below(n, 2) ? shape.rank - 1 : below(n, shape.rank), inputs[4] = {x}, count = 1;
    for (uint32_t tries = 0; tries < 12 && count < 4; tries++) {
        uint32_t other = n->live[below(n, n->live_count)];
        if (tensor(n, other)->dtype == tensor(n, x)->dtype &&
            equal_but(&tensor(n, other)->shape, &shape, axis))
            inputs[count++] = other;
    }
    if (count < 4 && tensor(n, x)->dtype == SHK_DTYPE_INT8 && below(n, 3) == 0) {
        struct shk_shape part = shape;
        part.dims[axis] = 1;
        inputs[count++] = constant(n, &part);
    }
    uint32_t first = below(n, count);
    inputs[0] = inputs[first];
    inputs[first] = x;
    shape.dims[axis] = 0;
    for (uint32_t i = 0; i < count; i++)
        shape.dims[axis] += tensor(n, inputs[i])->shape.dims[axis];
    if (shk_shape_elements(&shape) > MAX_ELEMENTS)
        return;
    char text[32];
    uint32_t y = activation(n, x, &shape);
    snprintf(text, sizeof(text), "axis=%d", below(n, 2) ? (int)axis : (int)axis - (int)shape.rank);
    emit(n, "CONCATENATION", inputs, count, &y, 1, text);
}

static void add_split(struct network *n, uint32_t x)
{
    struct shk_shape shape = tensor(n, x)->shape;
    uint32_t axis = below(n, shape.rank), parts = 2 + below(n, 2), outputs[3];
    if (shape.dims[axis] % (int32_t)parts)
        return;
    shape.dims[axis] /= (int32_t)parts;
    int32_t number = (int32_t)axis;
    for (uint32_t i = 0; i < parts; i++)
        outputs[i] = activation(n, x, &shape);
    uint32_t inputs[] = {integers(n, &number, 1), x};
    emit(n, "SPLIT", inputs, 2, outputs, parts, "");
}

static void add_pack(struct network *n, uint32_t x)
{
    struct shk_shape in = tensor(n, x)->shape, out = {.rank = in.rank + 1};
    if (out.rank > 5 || shk_shape_elements(&in) * 2 > MAX_ELEMENTS)
        return;
    uint32_t axis = below(n, out.rank);
    for (uint32_t k = 0; k < out.rank; k++)
        out.dims[k] = k == axis ? 2 : in.dims[k - (k > axis)];
    char text[32];
    uint32_t y = activation(n, x, &out);
    snprintf(text, sizeof(text), "axis=%u values_count=2", axis);
    emit(n, "PACK", (uint32_t[]){x, x}, 2, &y, 1, text);
}

static void add_unpack(struct network *n, uint32_t x)
{
    struct shk_shape in = tensor(n, x)->shape, out = {.rank = in.rank - 1};
    uint32_t axis = below(n, in.rank), outputs[4];
    if (in.rank < 2 || in.dims[axis] > 4)
        return;
    for (uint32_t k = 0; k < out.rank; k++)
        out.dims[k] = in.dims[k + (k >= axis)];
    for (int32_t i = 0; i < in.dims[axis]; i++)
        outputs[i] = activation(n, x, &out);
    char text[32];
    snprintf(text, sizeof(text), "axis=%u num=%d", axis, in.dims[axis]);
    emit(n, "UNPACK", &x, 1, outputs, (uint32_t)in.dims[axis], text);
}

static void add_strided_slice(struct network *n, uint32_t x)
{
    struct shk_shape shape = tensor(n, x)->shape;
    int32_t begin[SHK_MAX_RANK], end[SHK_MAX_RANK], stride[SHK_MAX_RANK];
    for (uint32_t k = 0; k < shape.rank; k++) {
        int32_t size = shape.dims[k], count = 1 + (int32_t)below(n, (uint32_t)size);
        int32_t step = 1 + (int32_t)below(n, (uint32_t)((size - 1) / SHK_MAX(count - 1, 1) + 1));
        if ((count - 1) * step >= size)
            step = 1;
        begin[k] = (int32_t)below(n, (uint32_t)(size - (count - 1) * step));
        end[k] = begin[k] + (count - 1) * step + 1;
        stride[k] = step;
        if (below(n, 4) == 0) { /* backwards */
            int32_t last = end[k] - 1;
            end[k] = begin[k] - 1 < 0 ? -size - 1 : begin[k] - 1;
            begin[k] = last;
            stride[k] = -step;
        }
        shape.dims[k] = count;
    }
    uint32_t rank = shape.rank, y = activation(n, x, &shape);
    uint32_t inputs[] = {x, integers(n, begin, rank), integers(n, end, rank), integers(n, stride, rank)};
    emit(n, "STRIDED_SLICE", inputs, 4, &y, 1, "");
}

static void add_pad(struct network *n, uint32_t x)
{
    struct shk_shape shape = tensor(n, x)->shape, pairs = {2, {(int32_t)shape.rank, 2}};
    int32_t border[SHK_MAX_RANK][2];
    for (uint32_t k = 0; k < shape.rank; k++) {
        border[k][0] = (int32_t)below(n, 3) / 2;
        border[k][1] = (int32_t)below(n, 3) / 2;
        shape.dims[k] += border[k][0] + border[k][1];
    }
    if (shk_shape_elements(&shape) > MAX_ELEMENTS)
        return;
    uint32_t y = activation(n, x, &shape), inputs[] = {x, add(n, SHK_DTYPE_INT32, &pairs, 1.0f, 0, border)};
    emit(n, "PAD", inputs, 2, &y, 1, "");
}

/* Of rows and columns only. */
static void add_picture_pad(struct network *n, uint32_t x)
{
    struct shk_shape shape = tensor(n, x)->shape, pairs = {2, {4, 2}};
    int32_t border[4][2] = {{0, 0}, {(int32_t)below(n, 3), (int32_t)below(n, 3)}, {(int32_t)below(n, 3), 1}, {0, 0}};
    for (uint32_t k = 0; k < 4; k++)
        shape.dims[k] += border[k][0] + border[k][1];
    if (shk_shape_elements(&shape) > MAX_ELEMENTS)
        return;
    uint32_t y = activation(n, x, &shape), inputs[] = {x, add(n, SHK_DTYPE_INT32, &pairs, 1.0f, 0, border)};
    emit(n, "PAD", inputs, 2, &y, 1, "");
}

/* With a live tensor of the same shape, or a constant that is broadcast. */
static void add_elementwise(struct network *n, uint32_t x)
{
    static const char *const ops[] = {"ADD", "SUB", "MUL", "MAXIMUM"};
    struct shk_shape shape = tensor(n, x)->shape, small = shape;
    uint32_t y, other = SHK_TENSOR_NONE, which = below(n, SHK_ARRAY_LEN(ops));
    if (tensor(n, x)->dtype != SHK_DTYPE_INT8)
        return;
    for (uint32_t i = 0; i < n->live_count && below(n, 4); i++)
        if (tensor(n, n->live[i])->dtype == SHK_DTYPE_INT8 &&
            shk_shape_equal(&tensor(n, n->live[i])->shape, &shape))
            other = n->live[i];
    for (uint32_t k = 0; k < small.rank; k++)
        small.dims[k] = below(n, 2) ? 1 : small.dims[k];
    small.rank = below(n, 4) ? small.rank : 0;
    if (other == SHK_TENSOR_NONE)
        other = constant(n, &small);
    y = activation(n, x, &shape);
    uint32_t inputs[] = {x, other};
    emit(n, ops[which], inputs, 2, &y, 1, "");
}

static void add_mean(struct network *n, uint32_t x)
{
    struct shk_shape in = tensor(n, x)->shape, out = {0};
    int32_t axes[SHK_MAX_RANK];
    uint32_t count = 0, keep = below(n, 2);
    for (uint32_t k = 0; k < in.rank; k++) {
        bool reduced = below(n, 2);
        if (reduced)
            axes[count++] = (int32_t)k;
        if (!reduced || keep)
            out.dims[out.rank++] = reduced ? 1 : in.dims[k];
    }
    if (count == 0 || out.rank == 0 || in.rank > 4 || tensor(n, x)->dtype != SHK_DTYPE_INT8)
        return;
    uint32_t y = activation(n, x, &out), inputs[] = {x, integers(n, axes, count)};
    emit(n, "MEAN", inputs, 2, &y, 1, keep ? "keep_dims=true" : "");
}

static void add_pool(struct network *n, uint32_t x)
{
    struct shk_shape shape = tensor(n, x)->shape;
    if (shape.rank != 4 || tensor(n, x)->dtype != SHK_DTYPE_INT8)
        return;
    uint32_t y = activation(n, x, &shape);
    emit(n, below(n, 2) ? "MAX_POOL_2D" : "AVERAGE_POOL_2D", &x, 1, &y, 1,
         "padding=SAME stride_w=1 stride_h=1 filter_width=3 filter_height=2");
}

static void add_window(struct network *n, uint32_t x, int32_t kernel, bool depthwise)
{
    struct shk_shape in = tensor(n, x)->shape, out = in;
    if (in.rank != 4 || tensor(n, x)->dtype != SHK_DTYPE_INT8)
        return;
    struct shk_shape weights = {4, {1, kernel, kernel, in.dims[3]}};
    if (!depthwise)
        out.dims[3] = weights.dims[0] = 1 + (int32_t)below(n, 9);
    if (shk_shape_elements(&weights) > MAX_ELEMENTS || shk_shape_elements(&out) > MAX_ELEMENTS)
        return;
    uint8_t data[MAX_ELEMENTS];
    test_random_bytes(&n->rng, data, shk_shape_elements(&weights));
    uint32_t y = activation(n, x, &out), inputs[] = {x, add(n, n->bytes, &weights, 0.004f, ZERO_POINT, data)};
    emit(n, depthwise ? "DEPTHWISE_CONV_2D" : "CONV_2D", inputs, 2, &y, 1,
         "padding=SAME stride_w=1 stride_h=1");
}

static void add_convolution(struct network *n, uint32_t x)
{
    add_window(n, x, below(n, 2) ? 3 : 1, below(n, 2));
}

static void add_pointwise(struct network *n, uint32_t x)
{
    add_window(n, x, 1, false);
}

static void add_depthwise(struct network *n, uint32_t x)
{
    add_window(n, x, 3, true);
}

static void add_dense(struct network *n, uint32_t x)
{
    struct shk_shape in = tensor(n, x)->shape, out = in;
    struct shk_shape weights = {2, {1 + (int32_t)below(n, 9), in.dims[in.rank - 1]}};
    out.dims[in.rank - 1] = weights.dims[0];
    if (tensor(n, x)->dtype != SHK_DTYPE_INT8 || shk_shape_elements(&weights) > MAX_ELEMENTS ||
        shk_shape_elements(&out) > MAX_ELEMENTS)
        return;
    uint32_t y = activation(n, x, &out), inputs[] = {x, constant(n, &weights)};
    emit(n, "FULLY_CONNECTED", inputs, 2, &y, 1, "keep_num_dims=true");
}

static void add_resize(struct network *n, uint32_t x)
{
    struct shk_shape shape = tensor(n, x)->shape;
    if (shape.rank != 4)
        return;
    shape.dims[1] = 1 + (int32_t)below(n, 9);
    shape.dims[2] = 1 + (int32_t)below(n, 9);
    if (shk_shape_elements(&shape) > MAX_ELEMENTS)
        return;
    uint32_t y = activation(n, x, &shape), inputs[] = {x, integers(n, shape.dims + 1, 2)};
    emit(n, "RESIZE_NEAREST_NEIGHBOR", inputs, 2, &y, 1, "");
}

static void add_softmax(struct network *n, uint32_t x)
{
    struct shk_shape shape = tensor(n, x)->shape;
    if (tensor(n, x)->dtype != SHK_DTYPE_INT8)
        return;
    uint32_t p = add(n, n->bytes, &shape, 1.0f / 256.0f, -128, NULL), y = activation(n, x, &shape);
    emit(n, "SOFTMAX", &x, 1, &p, 1, "beta=1");
    n->live_count--; /* its quantization is its own */
    emit(n, "QUANTIZE", &p, 1, &y, 1, "");
}

static void add_leaky_relu(struct network *n, uint32_t x)
{
    if (tensor(n, x)->dtype != SHK_DTYPE_INT8)
        return;
    uint32_t y = activation(n, x, &tensor(n, x)->shape);
    emit(n, "LEAKY_RELU", &x, 1, &y, 1, "alpha=0.1");
}

/* What fusion looks for: nothing else sees what is between, most of the time. */
static void add_block(struct network *n, uint32_t x)
{
    uint32_t before = n->live_count;
    if (tensor(n, x)->shape.rank != 4 || tensor(n, x)->dtype != SHK_DTYPE_INT8)
        return;
    static const struct step {
        void (*add)(struct network *n, uint32_t x);
        uint32_t odds; /* in three */
    } plain[] = {{add_picture_pad, 2},
                 {add_convolution, 3},
                 {add_leaky_relu, 2},
                 {add_elementwise, 2},
                 {add_leaky_relu, 2}},
      inverted[] = {
          {add_pointwise, 3}, {add_picture_pad, 1}, {add_depthwise, 3}, {add_pointwise, 3}, {add_elementwise, 2}};
    const struct step *steps = below(n, 2) ? plain : inverted;
    for (uint32_t i = 0; i < SHK_ARRAY_LEN(plain); i++)
        if (below(n, 3) < steps[i].odds)
            steps[i].add(n, n->live_count > before ? n->live[n->live_count - 1] : x);
    if (n->live_count > before && n->live_count < MAX_LIVE && below(n, 4)) {
        n->live[before] = n->live[n->live_count - 1];
        n->live_count = before + 1;
    }
}

/* To float, or back. */
static void add_conversion(struct network *n, uint32_t x)
{
    bool to_float = tensor(n, x)->dtype == SHK_DTYPE_INT8;
    uint32_t y =
        add(n, to_float ? SHK_DTYPE_FLOAT32 : n->bytes, &tensor(n, x)->shape, SCALE, ZERO_POINT, NULL);
    emit(n, to_float ? "DEQUANTIZE" : "QUANTIZE", &x, 1, &y, 1, "");
}

static void (*const builders[])(struct network *n, uint32_t x) = {
    add_reshape,       add_reshape,     add_reshape,    add_transpose,  add_concatenation, add_concatenation,
    add_concatenation, add_split,       add_pack,       add_unpack,     add_strided_slice, add_pad,
    add_elementwise,   add_elementwise, add_mean,       add_pool,       add_convolution,   add_dense,
    add_resize,        add_softmax,     add_leaky_relu, add_conversion, add_block,         add_block,
};

/* ---- whole networks ---- */

static struct shk_model *make_model(uint64_t seed)
{
    struct network n = {.graph = shk_graph_create("random network"), .rng = {seed}};
    uint32_t outputs[MAX_LIVE], inputs = 1 + below(&n, 2), ops = 3 + below(&n, 14), count = 0;
    struct shk_model *model = NULL;
    n.bytes = below(&n, 3) ? SHK_DTYPE_INT8 : SHK_DTYPE_UINT8;
    struct shk_shape shape = {4,
                              {1 + (int32_t)below(&n, 2), 1 + (int32_t)below(&n, 6),
                               1 + (int32_t)below(&n, 6), 1 + (int32_t)below(&n, 12)}};
    for (; n.live_count < inputs; n.live_count++)
        n.live[n.live_count] = add(&n, n.bytes, &shape, SCALE, ZERO_POINT, NULL);
    for (uint32_t i = 0; i < ops; i++) /* rather behind young tensors */
        builders[below(&n, SHK_ARRAY_LEN(builders))](
            &n, n.live[n.live_count - 1 - below(&n, below(&n, n.live_count) + 1)]);
    for (uint32_t i = 0; i < n.live_count; i++)
        if (i + 1 == n.live_count || below(&n, 3) == 0)
            outputs[count++] = n.live[i];
    test_ok(shk_graph_set_io(n.graph, n.live, inputs, outputs, count, &error), &error);
    test_ok(shk_model_from_graph(&n.graph, &model, &error), &error);
    return model;
}

/* `frames` of them as one batch. */
static void submit(struct shk_session *session, const struct shk_model *model, uint64_t seed, uint32_t frames)
{
    struct test_rng rng = {seed};
    void *inputs[2 * FRAMES];
    uint32_t per_frame = shk_model_input_count(model), count = frames * per_frame;
    for (uint32_t i = 0; i < count; i++) {
        struct shk_tensor_info info;
        shk_model_get_tensor(model, shk_model_input(model, i % per_frame), &info);
        inputs[i] = malloc(info.bytes);
        test_random_bytes(&rng, inputs[i], info.bytes);
    }
    test_ok(shk_session_submit_tensors(session, (const void *const *)inputs, count, NULL, NULL, &error), &error);
    for (uint32_t i = 0; i < count; i++)
        free(inputs[i]);
}

static void *read_output(struct shk_session *session, uint64_t ticket, uint32_t frame, uint32_t index,
                         size_t bytes)
{
    void *data = malloc(bytes);
    test_ok(shk_session_read_output(session, ticket, frame, index, data, bytes, &error), &error);
    return data;
}

static void compare_batch(const struct shk_model *model, struct shk_session *device, struct shk_session *cpu,
                          uint64_t seed, uint32_t frames)
{
    struct shk_result got, want;
    test_ok(shk_session_wait(device, UINT64_MAX, &got, &error), &error);
    test_ok(shk_session_wait(cpu, UINT64_MAX, &want, &error), &error);
    for (uint32_t k = 0; k < frames * shk_model_output_count(model); k++) {
        struct shk_tensor_info info;
        uint32_t frame = k % frames, i = k / frames;
        shk_model_get_tensor(model, shk_model_output(model, i), &info);
        void *a = read_output(device, got.ticket, frame, i, info.bytes),
             *b = read_output(cpu, want.ticket, frame, i, info.bytes);
        ck_assert_msg(memcmp(a, b, info.bytes) == 0,
                      "network %llu, batch %llu, frame %u of %u: output %u ('%s') differs",
                      (unsigned long long)seed, (unsigned long long)got.ticket, frame, frames, i, info.name);
        free(a);
        free(b);
    }
    shk_session_release(device, got.ticket);
    shk_session_release(cpu, want.ticket);
}

static uint32_t absorbed; /* ops, in all networks */

static void count_absorbed(const struct shk_model *model, const struct shk_session_params *params)
{
    uint32_t into[128], count = shk_model_op_count(model);
    ck_assert_uint_le(count, SHK_ARRAY_LEN(into));
    test_ok(shk_model_get_fusion(model, params->no_fusion, into, count, &error), &error);
    for (uint32_t i = 0; i < count && !params->keep_tensors; i++)
        absorbed += into[i] != i;
}

static void run_network(uint64_t seed)
{
    struct shk_model *model = make_model(seed);
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *device = NULL, *cpu = NULL;
    uint32_t frames = seed % 3 == 0 ? FRAMES : 1;
    params.keep_tensors = seed % 4 == 0;
    params.no_fusion = seed % 5 == 0 ? (uint32_t)(seed / 5) & SHK_FUSION_ALL : 0;
    params.batch_size = frames;
    test_ok(shk_session_create(test_device(), model, &params, &device, &error), &error);
    test_ok(shk_session_create(NULL, model, &params, &cpu, &error), &error);
    hazard_check(device);
    count_absorbed(model, &params);
    for (uint32_t batch = 0; batch < 2; batch++) { /* both in flight; the second is not full */
        uint32_t count = SHK_MAX(frames - batch, 1u);
        submit(device, model, seed * 2 + batch, count);
        submit(cpu, model, seed * 2 + batch, count);
    }
    for (uint32_t batch = 0; batch < 2; batch++)
        compare_batch(model, device, cpu, seed, SHK_MAX(frames - batch, 1u));
    shk_session_destroy(&device);
    shk_session_destroy(&cpu);
    shk_model_destroy(&model);
}

START_TEST(test_random_networks_equal_the_reference)
{
    const char *first = getenv("SHRIKE_TEST_SEED"), *count = getenv("SHRIKE_TEST_COUNT");
    uint64_t begin = first ? strtoull(first, NULL, 10) : 1;
    uint64_t end = begin + (count ? strtoull(count, NULL, 10) : NETWORKS);
    for (uint64_t seed = begin; seed < end; seed++)
        run_network(seed);
    if (!first && !count)
        ck_assert_uint_gt(absorbed, NETWORKS / 5);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("random graphs");
    TCase *tcase = tcase_create("random graphs");
    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, test_random_networks_equal_the_reference);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
