/* RESIZE_NEAREST_NEIGHBOR, RESIZE_BILINEAR; tflite/kernels/internal/reference/resize_nearest_neighbor.h,
 * resize_bilinear.h. Positions and weights are computed here for both devices' sake: float division is not
 * exact on GPUs. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "move.h"

SHK_OP_DECLARE(resize);
SHK_SHADER_DECLARE(resize);

#define MAX_SIZE (1 << 20) /* of an image, so that positions in 1/1024 pixels fit int32 */

enum { NEAREST, BILINEAR };

struct attrs {
    bool align_corners, half_pixel_centers;
};

/* Where a coordinate of the output lies in the input: between two pixels (the same one for NEAREST). */
struct position {
    int32_t lower, upper;
    union {
        int32_t fixed; /* of upper, 1024 is 1 */
        float real;
    } weight;
};

static struct position nearest(const struct attrs *a, int32_t i, int32_t in, int32_t out)
{
    float offset = a->half_pixel_centers ? 0.5f : 0.0f;
    bool corners = a->align_corners && out > 1;
    float scale = corners ? (float)(in - 1) / (float)(out - 1) : (float)in / (float)out;
    float at = ((float)i + offset) * scale;
    int32_t pixel = (int32_t)(a->align_corners ? roundf(at) : floorf(at));
    pixel = SHK_MIN(pixel, in - 1);
    return (struct position){.lower = pixel, .upper = pixel};
}

static struct position bilinear_int8(const struct attrs *a, int32_t i, int32_t in, int32_t out)
{
    int32_t scale = (1024 * in + out / 2) / out;
    if (a->align_corners && out > 1)
        scale = (1024 * (in - 1) + (out - 1) / 2) / (out - 1);
    int32_t at = i * scale + (a->half_pixel_centers ? scale / 2 - 512 : 0);
    int32_t lower = SHK_MAX(at / 1024, 0), upper = SHK_MIN((at + 1023) / 1024, in - 1);
    return (struct position){lower, upper, {.fixed = at - 1024 * lower}};
}

static struct position bilinear_uint8(const struct attrs *a, int32_t i, int32_t in, int32_t out)
{
    float scale = (float)in / (float)out;
    if (a->align_corners && out > 1)
        scale = (float)(in - 1) / (float)(out - 1);
    float at = (float)i * scale;
    if (a->half_pixel_centers) {
        float shifted = ((float)i + 0.5f) * scale;
        at = shifted - 0.5f;
    }
    int32_t lower = SHK_MAX((int32_t)floorf(at), 0), upper = SHK_MIN((int32_t)ceilf(at), in - 1);
    return (struct position){lower, upper, {.real = at - (float)lower}};
}

static struct position position_of(const struct shk_graph *graph, const struct shk_op *op, uint32_t dim,
                                   int32_t i)
{
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    int32_t from = in->shape.dims[dim], to = out->shape.dims[dim];
    if (op->spelling->kind == NEAREST)
        return nearest(op->attrs, i, from, to);
    return in->legacy_uint8 ? bilinear_uint8(op->attrs, i, from, to) : bilinear_int8(op->attrs, i, from, to);
}

static enum shk_status check_sizes(const struct shk_graph *graph, const struct shk_op *op,
                                   struct shk_error *error)
{
    const struct shk_shape *in = &shk_op_input(graph, op, 0)->shape;
    struct shk_shape expected = *in;
    uint32_t count;
    enum shk_status status = shk_check_const_ints(graph, op, 1, &count, error);
    if (status)
        return status;
    if (in->rank != 4 || count != 2)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "input has %u dimensions and the new size %u numbers, expected 4 (NHWC) and 2",
                           in->rank, count);
    for (uint32_t dim = 1; dim <= 2; dim++) {
        expected.dims[dim] = shk_const_int(shk_op_input(graph, op, 1), dim - 1);
        if (expected.dims[dim] < 1 || expected.dims[dim] > MAX_SIZE || in->dims[dim] > MAX_SIZE)
            return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                               "from size %d to %d; supported are 1 to %d", in->dims[dim], expected.dims[dim],
                               MAX_SIZE);
    }
    return shk_check_output_shape(graph, op, &expected, error);
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    const struct attrs *a = op->attrs;
    enum shk_status status = shk_check_counts(graph, op, 2, 2, 1, error);
    if (!status)
        status = shk_move_check_types(graph, op, 0, 1, error);
    if (!status)
        status = check_sizes(graph, op, error);
    if (status)
        return status;
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    if (op->spelling->kind == BILINEAR && in->dtype != SHK_DTYPE_INT8)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "'%s' is %s; supported are int8 and uint8", in->name, shk_dtype_string(in->dtype));
    if (a->align_corners && a->half_pixel_centers)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "align_corners and half_pixel_centers exclude each other");
    for (uint32_t dim = 1; dim <= 2; dim++)
        if (position_of(graph, op, dim, out->shape.dims[dim] - 1).lower >= in->shape.dims[dim])
            return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                               "from size %d to %d: rounding leads outside of the input", in->shape.dims[dim],
                               out->shape.dims[dim]);
    return SHK_OK;
}

/* Values at (y0, x0), (y1, x0), (y0, x1), (y1, x1). */
static int8_t blend_int8(const int8_t v[4], int32_t wy, int32_t wx)
{
    int64_t sum = (int64_t)v[0] * (1024 - wy) * (1024 - wx) + (int64_t)v[1] * wy * (1024 - wx) +
                  (int64_t)v[2] * (1024 - wy) * wx + (int64_t)v[3] * wy * wx;
    return (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
}

static int8_t blend_uint8(const int8_t v[4], float wy, float wx)
{
    float wy0 = 1.0f - wy, wx0 = 1.0f - wx;
    float sum = (float)(v[0] + 128) * wy0 * wx0;
    sum += (float)(v[1] + 128) * wy * wx0;
    sum += (float)(v[2] + 128) * wy0 * wx;
    sum += (float)(v[3] + 128) * wy * wx;
    return (int8_t)((int32_t)(sum + 0.5f) - 128);
}

/* One pixel of the output. */
static void resize_pixel(const struct shk_op *op, const struct shk_tensor *in, const uint8_t *image,
                         struct position y, struct position x, uint8_t *dst)
{
    size_t pixel = (size_t)in->shape.dims[3] * shk_dtype_size(in->dtype),
           line = (size_t)in->shape.dims[2] * pixel;
    const uint8_t *top = image + (size_t)y.lower * line, *bottom = image + (size_t)y.upper * line;
    size_t left = (size_t)x.lower * pixel, right = (size_t)x.upper * pixel;
    if (op->spelling->kind == NEAREST) {
        memcpy(dst, top + left, pixel);
        return;
    }
    for (size_t c = 0; c < pixel; c++) {
        const int8_t v[4] = {(int8_t)top[left + c], (int8_t)bottom[left + c], (int8_t)top[right + c],
                             (int8_t)bottom[right + c]};
        dst[c] = (uint8_t)(in->legacy_uint8 ? blend_uint8(v, y.weight.real, x.weight.real)
                                            : blend_int8(v, y.weight.fixed, x.weight.fixed));
    }
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(run->graph, run->op, 0),
                            *out = shk_op_output(run->graph, run->op, 0);
    size_t pixel = (size_t)in->shape.dims[3] * shk_dtype_size(in->dtype);
    const uint8_t *image = run->inputs[0];
    uint8_t *dst = run->outputs[0];
    for (int32_t n = 0; n < in->shape.dims[0]; n++, image += in->bytes / (size_t)in->shape.dims[0])
        for (int32_t y = 0; y < out->shape.dims[1]; y++)
            for (int32_t x = 0; x < out->shape.dims[2]; x++, dst += pixel)
                resize_pixel(run->op, in, image, position_of(run->graph, run->op, 1, y),
                             position_of(run->graph, run->op, 2, x), dst);
    return SHK_OK;
}

/* Three words per coordinate of the output; the first one's index in the parameters. */
static uint32_t upload_positions(struct shk_lowering *lowering, const struct shk_op *op, uint32_t dim)
{
    _Static_assert(sizeof(struct position) == 12, "three words for the shader");
    const struct shk_graph *graph = shk_lower_graph(lowering);
    int32_t size = shk_op_output(graph, op, 0)->shape.dims[dim];
    struct position chunk[64];
    uint32_t first = UINT32_MAX;
    for (int32_t i = 0; i < size; i += 64) {
        int32_t n = SHK_MIN(size - i, 64);
        for (int32_t k = 0; k < n; k++)
            chunk[k] = position_of(graph, op, dim, i + k);
        uint32_t at = shk_lower_params(lowering, chunk, (size_t)n * sizeof(*chunk), 4);
        first = SHK_MIN(first, at);
    }
    return first / 4;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    const struct shk_tensor *in = shk_op_input(graph, op, 0), *out = shk_op_output(graph, op, 0);
    struct shk_view src = shk_lower_view(lowering, op->inputs[0]),
                    dst = shk_lower_view(lowering, op->outputs[0]);
    struct shk_resize_push push = {
        .items = dst.rows * dst.words,
        .src = src.offset,
        .src_stride = src.stride,
        .dst = dst.offset,
        .dst_stride = dst.stride,
        .words = shk_divisor_of(dst.words),
        .out_w = shk_divisor_of((uint32_t)out->shape.dims[2]),
        .out_h = shk_divisor_of((uint32_t)out->shape.dims[1]),
        .in_h = (uint32_t)in->shape.dims[1],
        .in_w = (uint32_t)in->shape.dims[2],
        .map_y = upload_positions(lowering, op, 1),
        .map_x = upload_positions(lowering, op, 2),
    };
    uint32_t kind = op->spelling->kind == NEAREST ? SHK_RESIZE_NEAREST
                    : in->legacy_uint8            ? SHK_RESIZE_UINT8
                                                  : SHK_RESIZE_INT8;
    struct shk_dispatch dispatch = {
        .shader = &shk_shader_resize,
        .spec = {kind},
        .spec_count = 1,
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_dispatch_linear(&dispatch, push.items, 64);
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}

static const struct shk_attr nearest_attrs[] = {
    {"align_corners", SHK_ATTR_BOOL, 0, offsetof(struct attrs, align_corners), 0, NULL},
    {"half_pixel_centers", SHK_ATTR_BOOL, 1, offsetof(struct attrs, half_pixel_centers), 0, NULL},
};
static const struct shk_attr bilinear_attrs[] = {
    {"align_corners", SHK_ATTR_BOOL, 2, offsetof(struct attrs, align_corners), 0, NULL},
    {"half_pixel_centers", SHK_ATTR_BOOL, 3, offsetof(struct attrs, half_pixel_centers), 0, NULL},
};
static const struct shk_op_spelling spellings[] = {
    {&shk_op_resize, "RESIZE_NEAREST_NEIGHBOR", 97, 74, NEAREST, 4, nearest_attrs,
     SHK_ARRAY_LEN(nearest_attrs)},
    {&shk_op_resize, "RESIZE_BILINEAR", 23, 15, BILINEAR, 4, bilinear_attrs, SHK_ARRAY_LEN(bilinear_attrs)},
};

const struct shk_op_def shk_op_resize = {
    .name = "resize",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .parameter_inputs = 1u << 1,
    .check = check,
    .reference = reference,
    .lower = lower,
};
