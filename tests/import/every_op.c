/* SAMPLE_EVERY_OP: one chain through most of the ops, each with what a converter gives it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "every_op.h"

#include "support.h"
#include "util.h"

#define SCALE 0.05f
#define DIMS(...)                                                                                            \
    (sizeof((int32_t[]){__VA_ARGS__}) / 4), (int32_t[])                                                      \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

static int32_t quantized(struct shk_builder *b, float scale, int32_t zero_point, uint32_t rank,
                         const int32_t *dims)
{
    return shk_builder_tensor(b, "t", SHK_DTYPE_INT8, rank, dims, 1, &scale, &zero_point, 0, NULL, 0);
}

static int32_t integers(struct shk_builder *b, uint32_t rank, const int32_t *dims, const int32_t *values,
                        size_t bytes)
{
    return shk_builder_tensor(b, "integers", SHK_DTYPE_INT32, rank, dims, 0, NULL, NULL, 0, values, bytes);
}

#define LIST(b, ...)                                                                                         \
    integers(b, 1, (int32_t[]){sizeof((int32_t[]){__VA_ARGS__}) / 4}, (int32_t[]){__VA_ARGS__},              \
             sizeof((int32_t[]){__VA_ARGS__}))

static int32_t weights(struct shk_builder *b, uint32_t rank, const int32_t *dims)
{
    const float scale = 0.01f;
    struct test_rng rng = {3};
    int8_t values[256];
    size_t bytes = 1;
    for (uint32_t i = 0; i < rank; i++)
        bytes *= (size_t)dims[i];
    test_random_bytes(&rng, values, SHK_MIN(bytes, sizeof(values)));
    return shk_builder_tensor(b, "weights", SHK_DTYPE_INT8, rank, dims, 1, &scale, NULL, 0, values, bytes);
}

#define OP(b, name, out, attributes, ...)                                                                    \
    shk_builder_op(b, name, (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / 4, &(out), 1,       \
                   attributes)

/* 1x6x8x4 to 1x4x5x8. */
static int32_t image_ops(struct shk_builder *b, int32_t image)
{
    int32_t wide = quantized(b, SCALE, -8, DIMS(1, 6, 8, 8)),
            padded = quantized(b, SCALE, -8, DIMS(1, 8, 10, 8));
    int32_t nearest = quantized(b, SCALE, -8, DIMS(1, 4, 5, 8)),
            large = quantized(b, SCALE, -8, DIMS(1, 8, 10, 8));
    int32_t steep = quantized(b, SCALE, -8, DIMS(1, 8, 10, 8)),
            joined = quantized(b, SCALE, -8, DIMS(1, 8, 10, 8));
    int32_t part = quantized(b, SCALE, -8, DIMS(1, 4, 5, 8)),
            averaged = quantized(b, SCALE, -8, DIMS(1, 4, 5, 8));
    int32_t halves[2] = {quantized(b, SCALE, -8, DIMS(1, 8, 10, 4)),
                         quantized(b, SCALE, -8, DIMS(1, 8, 10, 4))};
    int32_t none = -1;

    OP(b, "DEPTHWISE_CONV_2D", wide, "padding=SAME stride_w=1 stride_h=1 depth_multiplier=2", image,
       weights(b, DIMS(1, 3, 3, 8)), none);
    OP(b, "PAD", padded, NULL, wide,
       integers(b, DIMS(4, 2), (int32_t[]){0, 0, 1, 1, 1, 1, 0, 0}, 8 * sizeof(int32_t)));
    OP(b, "RESIZE_NEAREST_NEIGHBOR", nearest, NULL, padded, LIST(b, 4, 5));
    OP(b, "RESIZE_BILINEAR", large, "half_pixel_centers=true", nearest, LIST(b, 8, 10));
    OP(b, "PRELU", steep, NULL, large, weights(b, DIMS(1, 1, 8)));
    shk_builder_op(b, "SPLIT", (int32_t[]){LIST(b, 3), steep}, 2, halves, 2, "num_splits=2");
    OP(b, "CONCATENATION", joined, "axis=3", halves[1], halves[0]);
    OP(b, "STRIDED_SLICE", part, "begin_mask=1 end_mask=9", joined, LIST(b, 0, 1, 0, 0), LIST(b, 1, 8, 10, 8),
       LIST(b, 1, 2, 2, 1));
    OP(b, "AVERAGE_POOL_2D", averaged, "stride_w=1 stride_h=1 filter_width=3 filter_height=2", part);
    return averaged;
}

void make_every_op(struct shk_builder *b)
{
    const int32_t none = -1;
    int32_t image = quantized(b, SCALE, -8, DIMS(1, 6, 8, 4)), averaged = image_ops(b, image);
    int32_t turned = quantized(b, SCALE, -8, DIMS(1, 8, 4, 5)), mean = quantized(b, SCALE, -8, DIMS(1, 8));
    int32_t connected = quantized(b, SCALE, 3, DIMS(1, 6)), shifted = quantized(b, 0.04f, 1, DIMS(1, 6));
    int32_t swish = quantized(b, SCALE, 3, DIMS(1, 6)), product = quantized(b, SCALE, 3, DIMS(1, 6));
    int32_t softmax = quantized(b, 1.0f / 256, -128, DIMS(1, 6));
    int32_t sigmoid = quantized(b, 1.0f / 256, -128, DIMS(1, 6)),
            packed = quantized(b, 1.0f / 256, -128, DIMS(2, 1, 6));
    int32_t real = shk_builder_tensor(b, "real", SHK_DTYPE_FLOAT32, DIMS(2, 1, 6), 0, NULL, NULL, 0, NULL, 0);
    int32_t outputs[2] = {real, product};

    OP(b, "TRANSPOSE", turned, NULL, averaged, LIST(b, 0, 3, 1, 2));
    OP(b, "MEAN", mean, NULL, turned, LIST(b, 2, 3));
    OP(b, "FULLY_CONNECTED", connected, "fused_activation_function=RELU", mean, weights(b, DIMS(6, 8)), none);
    OP(b, "QUANTIZE", shifted, NULL, connected);
    OP(b, "HARD_SWISH", swish, NULL, shifted);
    OP(b, "MUL", product, NULL, swish, connected);
    OP(b, "SOFTMAX", softmax, "beta=1", product);
    OP(b, "LOGISTIC", sigmoid, NULL, swish);
    OP(b, "PACK", packed, "values_count=2 axis=0", softmax, sigmoid);
    OP(b, "DEQUANTIZE", real, NULL, packed);
    shk_builder_set_inputs(b, &image, 1);
    shk_builder_set_outputs(b, outputs, 2);
}
