/* DEPTHWISE_CONV_2D: every input channel has `multiplier` filters of its own; output channel o reads input
 * channel o / multiplier. Weights are 1 x height x width x output channels.
 * Source: tflite/kernels/internal/reference/{depthwiseconv_uint8.h,integer_ops/depthwise_conv.h}.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "depthwise.h"
#include "grid.h"

SHK_OP_DECLARE(depthwise);
SHK_SHADER_DECLARE(depthwise_any);
SHK_SHADER_DECLARE(depthwise_dot_uniform16);
SHK_SHADER_DECLARE(depthwise_dot_uniform64);
SHK_SHADER_DECLARE(depthwise_storage);
SHK_SHADER_DECLARE(depthwise_uniform16);
SHK_SHADER_DECLARE(depthwise_uniform64);

#define ATTR(field) offsetof(struct shk_conv_attrs, field)
static const struct shk_attr attrs[] = {
    {"padding", SHK_ATTR_ENUM, 0, ATTR(padding), SHK_PADDING_SAME, shk_padding_names},
    {"stride_w", SHK_ATTR_INT32, 1, ATTR(stride_width), 0, NULL},
    {"stride_h", SHK_ATTR_INT32, 2, ATTR(stride_height), 0, NULL},
    {"depth_multiplier", SHK_ATTR_INT32, 3, ATTR(depth_multiplier), 0, NULL},
    {"fused_activation_function", SHK_ATTR_ENUM, 4, ATTR(activation), SHK_ACTIVATION_NONE, shk_activation_names},
    {"dilation_w_factor", SHK_ATTR_INT32, 5, ATTR(dilation_width), 1, NULL},
    {"dilation_h_factor", SHK_ATTR_INT32, 6, ATTR(dilation_height), 1, NULL},
};

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    enum shk_status status = shk_conv_check(graph, op, 3, error);
    if (status)
        return status;
    int32_t inputs = shk_op_input(graph, op, SHK_CONV_INPUT)->shape.dims[3];
    const int32_t *w = shk_op_input(graph, op, SHK_CONV_WEIGHTS)->shape.dims;
    if (w[0] != 1 || w[3] % inputs != 0)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "weights for %dx%d filters do not divide among %d input channels", w[0], w[3], inputs);
    return SHK_OK;
}

/* ---- reference ---- */

static void reference_pixel(const struct shk_conv *c, const struct shk_multiplier *multipliers, const int8_t *image,
                            int32_t top, int32_t left, int8_t *out)
{
    int32_t multiplier = c->output_channels / c->input_channels;
    for (int32_t o = 0; o < c->output_channels; o++) {
        uint32_t sum = c->bias ? (uint32_t)c->bias[o] : 0;
        for (int32_t ky = 0; ky < c->kernel_height; ky++) {
            int32_t y = top + ky * c->dilation_height;
            if (y < 0 || y >= c->input_height)
                continue;
            for (int32_t kx = 0; kx < c->kernel_width; kx++) {
                int32_t x = left + kx * c->dilation_width;
                if (x < 0 || x >= c->input_width)
                    continue;
                size_t pixel = (size_t)y * c->input_width + x, tap = (size_t)ky * c->kernel_width + kx;
                int32_t value = image[pixel * c->input_channels + o / multiplier] - c->input_zero_point;
                int32_t weight = c->weights[tap * c->output_channels + o] - c->weight_zero_point;
                sum += (uint32_t)(value * weight);
            }
        }
        out[o] = shk_conv_output(c, multipliers[o], (int32_t)sum);
    }
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    struct shk_conv c = shk_conv_describe(run->graph, run->op);
    struct shk_multiplier *multipliers = shk_conv_multipliers(run->graph, run->op, error);
    if (!multipliers)
        return SHK_ERROR_OUT_OF_HOST_MEMORY;
    const int8_t *image = run->inputs[0];
    int8_t *out = run->outputs[0];
    for (int32_t b = 0; b < c.batch; b++) {
        for (int32_t y = 0; y < c.output_height; y++)
            for (int32_t x = 0; x < c.output_width; x++, out += c.output_channels)
                reference_pixel(&c, multipliers, image, y * c.stride_height - c.pad_top,
                                x * c.stride_width - c.pad_left, out);
        image += (size_t)c.input_height * c.input_width * c.input_channels;
    }
    free(multipliers);
    return SHK_OK;
}

static uint64_t macs(const struct shk_graph *graph, const struct shk_op *op)
{
    const int32_t *w = shk_op_input(graph, op, SHK_CONV_WEIGHTS)->shape.dims;
    return (uint64_t)shk_shape_elements(&shk_op_output(graph, op, 0)->shape) * (uint64_t)w[1] * (uint64_t)w[2];
}

static void describe(const struct shk_graph *graph, const struct shk_op *op, char *text, size_t size)
{
    char multiplier[32];
    struct shk_conv c = shk_conv_describe(graph, op);
    snprintf(multiplier, sizeof(multiplier), "multiplier %d", c.output_channels / c.input_channels);
    shk_conv_print(graph, op, multiplier, text, size);
}

/* ---- lowering ---- */

/* Name, channels, pixels, weights, arithmetic, form, fast, full, rows. */
static const struct shk_variant variants[] = {
    {"uniform", 4, 0, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, false, 0},
    {"int-4x1", 4, 1, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, true, 1},
    {"int-4x4", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, true, true, 1},
    {"int-4x4x2", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, true, true, 2},
    {"int-4x4x4", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, true, true, 4},
    {"int-4x5x5", 4, 5, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, true, 5},
    {"int-4x8x2", 4, 8, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, true, 2},
    {"float-4x4x2", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, true, true, 2},
    {"float-4x4x4", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, false, true, 4},
    {"dot-4x4", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_DOT, SHK_FORM_PLAIN, true, true, 1},
    {"dot-4x4x2", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_DOT, SHK_FORM_PLAIN, false, true, 2},
    {"dot-4x4x4", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_DOT, SHK_FORM_PLAIN, true, true, 4},
    {"storage", 4, 0, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, true, 0},
    {"uniform16", 4, 0, SHK_WEIGHTS_UNIFORM16, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, false, 0},
    {"any", 4, 1, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_INT, SHK_FORM_ANY, false, false, 1},
};

bool shk_op_is_depthwise(const struct shk_op *op)
{
    return op->def == &shk_op_depthwise;
}

size_t shk_depthwise_word_bytes(const struct shk_conv *c)
{
    return 16 * (SHK_DEPTHWISE_HEADER + (size_t)c->kernel_height * (((size_t)c->kernel_width + 3) / 4));
}

static void pack_channel(const struct shk_graph *graph, const struct shk_op *op, const struct shk_conv *c, uint32_t o,
                         uint8_t *word)
{
    int32_t *quant = (int32_t *)(void *)word + o % 4;
    uint8_t *weights = word + 16 * SHK_DEPTHWISE_HEADER + o % 4;
    uint32_t sum = 0;
    for (int32_t ky = 0; ky < c->kernel_height; ky++) {
        for (int32_t kx = 0; kx < c->kernel_width; kx++) {
            int8_t w = c->weights[((size_t)ky * c->kernel_width + kx) * c->output_channels + o];
            sum += (uint32_t)(w - c->weight_zero_point);
            weights[4 * kx] = (uint8_t)w;
        }
        weights += 16 * ((c->kernel_width + 3) / 4);
    }
    struct shk_multiplier m = shk_conv_multiplier(graph, op, o);
    quant[0] = shk_conv_fold_bias(c, o, (int32_t)sum);
    quant[4] = m.multiplier;
    quant[8] = m.shift;
}

uint8_t *shk_depthwise_pack(const struct shk_graph *graph, const struct shk_op *op, const struct shk_conv *c)
{
    size_t bytes = shk_depthwise_word_bytes(c);
    uint8_t *packed = calloc(shk_div_round_up((uint32_t)c->output_channels, 4), bytes);
    for (uint32_t o = 0; packed && o < (uint32_t)c->output_channels; o++)
        pack_channel(graph, op, c, o, packed + o / 4 * bytes);
    return packed;
}

/* ---- which kernel ---- */

/* Outputs that an invocation computes. */
struct tile {
    uint32_t pixels, rows;
};

/* Everything is unrolled: what a driver compiles in a fraction of a second, of registers that are not all spilled. */
#define MAX_PRODUCTS 400

static bool tile_fits(const struct shk_conv *c, struct tile tile)
{
    return shk_conv_unrolls(c, tile.pixels, tile.rows, MAX_PRODUCTS);
}

static bool is_regular(const struct shk_conv *c)
{
    return c->input_channels == c->output_channels && tile_fits(c, (struct tile){1, 1});
}

/* The rule of thumb: on a CPU tall tiles, as loads are dear; elsewhere many invocations. */
static struct tile choose_tile(const struct shk_conv *c, const struct shk_variant *variant,
                               const struct shk_device *device)
{
    struct tile tile = {variant->pixels, SHK_MAX(variant->rows, 1)};
    if (variant->pixels == 0)
        tile = (struct tile){4, device->info.type != SHK_DEVICE_CPU ? 1 : c->stride_height == 1 ? 4 : 2};
    while (!tile_fits(c, tile)) {
        if (tile.rows > 1)
            tile.rows /= 2;
        else
            tile.pixels /= 2;
    }
    return tile;
}

static bool fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device,
                 const struct shk_variant *variant)
{
    struct shk_conv c = shk_conv_describe(graph, op);
    if (variant->form == SHK_FORM_ANY || !variant->pixels)
        return true; /* falls back by itself */
    size_t filter = (size_t)c.kernel_height * (size_t)c.kernel_width;
    bool exact = variant->arithmetic != SHK_ARITHMETIC_FLOAT ||
                 (c.weight_zero_point == 0 && shk_conv_exact_in_float(c.weights, (uint32_t)c.output_channels, filter, 1,
                                                                      (size_t)c.output_channels));
    if (variant->arithmetic == SHK_ARITHMETIC_DOT && c.weight_zero_point != 0)
        return false;
    return is_regular(&c) && tile_fits(&c, (struct tile){variant->pixels, SHK_MAX(variant->rows, 1)}) && exact &&
           shk_depthwise_word_bytes(&c) <= shk_variant_weight_bytes(variant, device);
}

/* ---- lowering ---- */

static void emit_any(struct shk_lowering *lowering, const struct shk_conv *c, const struct shk_epilogue *epilogue,
                     struct shk_view in, struct shk_view out, const uint8_t *packed, size_t bytes)
{
    struct shk_depthwise_any_push push = {
        .input_offset = in.offset,
        .input_stride = in.stride,
        .output_offset = out.offset,
        .output_stride = out.stride,
        .items = out.rows * out.words,
        .words = out.words,
        .input_height = c->input_height,
        .input_width = c->input_width,
        .output_height = c->output_height,
        .output_width = c->output_width,
        .kernel_height = c->kernel_height,
        .kernel_width = c->kernel_width,
        .stride_height = c->stride_height,
        .stride_width = c->stride_width,
        .dilation_height = c->dilation_height,
        .dilation_width = c->dilation_width,
        .pad_top = c->pad_top,
        .pad_left = c->pad_left,
        .padding = (uint8_t)c->input_zero_point * UINT32_C(0x01010101),
        .weight_zero_point = c->weight_zero_point,
        .output_zero_point = c->output_zero_point,
        .output_min = c->range.min - c->output_zero_point,
        .output_max = c->range.max - c->output_zero_point,
        .params = shk_lower_params(lowering, packed, bytes, 16) / 4,
        .word_stride = (uint32_t)(shk_depthwise_word_bytes(c) / 16),
        .input_channels = (uint32_t)c->input_channels,
        .multiplier = (uint32_t)(c->output_channels / c->input_channels),
        .epilogue = epilogue->params,
    };
    struct shk_dispatch dispatch = {
        .shader = &shk_shader_depthwise_any,
        .spec = {epilogue->steps},
        .spec_count = 1,
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_dispatch_linear(&dispatch, push.items, 32);
    shk_lower_dispatch(lowering, &dispatch);
}

static struct shk_depthwise_push regular_push(const struct shk_conv *c, struct tile tile, struct shk_view in,
                                              struct shk_view out)
{
    return (struct shk_depthwise_push){
        .input_offset = in.offset,
        .input_stride = in.stride,
        .output_offset = out.offset,
        .output_stride = out.stride,
        .tiles_per_row = shk_divisor_of(shk_div_round_up((uint32_t)c->output_width, tile.pixels)),
        .tiles_per_column = shk_divisor_of(shk_div_round_up((uint32_t)c->output_height, tile.rows)),
        .input_height = c->input_height,
        .input_width = c->input_width,
        .output_height = c->output_height,
        .output_width = c->output_width,
        .pad_top = c->pad_top,
        .pad_left = c->pad_left,
        .padding = (uint8_t)c->input_zero_point * UINT32_C(0x01010101),
        .weight_zero_point = c->weight_zero_point,
        .output_zero_point = c->output_zero_point,
        .output_min = c->range.min - c->output_zero_point,
        .output_max = c->range.max - c->output_zero_point,
        .word_stride = (uint32_t)(shk_depthwise_word_bytes(c) / 16),
    };
}

static const struct shk_shader *choose_shader(const struct shk_variant *variant, bool uniform, size_t range)
{
    bool small = range < SHK_UNIFORM_MAX;
    if (!uniform)
        return &shk_shader_depthwise_storage;
    if (variant->arithmetic == SHK_ARITHMETIC_DOT)
        return small ? &shk_shader_depthwise_dot_uniform16 : &shk_shader_depthwise_dot_uniform64;
    return small ? &shk_shader_depthwise_uniform16 : &shk_shader_depthwise_uniform64;
}

/* Dispatches of as many words as the kernel sees weights of. */
static void emit_regular(struct shk_lowering *lowering, const struct shk_conv *c, const struct shk_variant *variant,
                         const struct shk_epilogue *epilogue, struct shk_view in, struct shk_view out,
                         const uint8_t *packed)
{
    struct tile tile = choose_tile(c, variant, shk_lower_device(lowering));
    size_t range = shk_variant_weight_bytes(variant, shk_lower_device(lowering));
    bool uniform = range != SIZE_MAX && shk_depthwise_word_bytes(c) <= range;
    uint32_t words_per_dispatch = uniform ? (uint32_t)(range / shk_depthwise_word_bytes(c)) : out.words;
    struct shk_depthwise_push push = regular_push(c, tile, in, out);
    struct shk_dispatch dispatch = {
        .shader = choose_shader(variant, uniform, range),
        .spec = {tile.pixels, tile.rows, (uint32_t)c->kernel_width, (uint32_t)c->kernel_height,
                 (uint32_t)c->stride_width, (uint32_t)c->stride_height, variant->arithmetic == SHK_ARITHMETIC_FLOAT,
                 c->weight_zero_point != 0, epilogue->steps},
        .spec_count = 9,
        .push = &push,
        .push_size = sizeof(push),
    };
    push.epilogue = epilogue->params;
    for (uint32_t first = 0; first < out.words; first += words_per_dispatch) {
        uint32_t words = SHK_MIN(words_per_dispatch, out.words - first);
        push.first_word = first;
        push.words = shk_divisor_of(words);
        push.items = (uint32_t)c->batch * push.tiles_per_column.n * push.tiles_per_row.n * words;
        uint32_t offset = shk_lower_params(lowering, packed + first * shk_depthwise_word_bytes(c),
                                           words * shk_depthwise_word_bytes(c), uniform ? SHK_UNIFORM_ALIGNMENT : 16);
        push.params = offset / 4;
        dispatch.uniform_offset = uniform ? offset : 0;
        shk_dispatch_linear(&dispatch, push.items, 32);
        shk_lower_dispatch(lowering, &dispatch);
    }
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_model(lowering);
    const struct shk_op *own = shk_lower_fused(lowering)->own;
    struct shk_conv c = shk_conv_lowered(lowering, op);
    struct shk_view in = shk_lower_view(lowering, op->inputs[SHK_CONV_INPUT]);
    struct shk_view out = shk_lower_view(lowering, op->outputs[0]);
    const struct shk_variant *variant = shk_lower_variant(lowering);
    size_t bytes = shk_depthwise_word_bytes(&c) * out.words;
    uint8_t *packed = shk_depthwise_pack(graph, own, &c);
    if (!packed)
        return shk_fail_oom(error, bytes, "packed depthwise weights");
    struct shk_epilogue epilogue = shk_epilogue_lower(lowering, op);
    if (variant->form == SHK_FORM_ANY || !is_regular(&c))
        emit_any(lowering, &c, &epilogue, in, out, packed, bytes);
    else
        emit_regular(lowering, &c, variant, &epilogue, in, out, packed);
    free(packed);
    return SHK_OK;
}

static const struct shk_op_spelling spellings[] = {
    {&shk_op_depthwise, "DEPTHWISE_CONV_2D", 4, 2, 0, 7, attrs, SHK_ARRAY_LEN(attrs)},
};

const struct shk_op_def shk_op_depthwise = {
    .name = "depthwise",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct shk_conv_attrs),
    .parameter_inputs = 1u << SHK_CONV_WEIGHTS | 1u << SHK_CONV_BIAS,
    .check = check,
    .reference = reference,
    .lower = lower,
    .macs = macs,
    .describe = describe,
    .variants = variants,
    .variant_count = SHK_ARRAY_LEN(variants),
    .fits = fits,
    .takes_border = shk_conv_takes_border,
    .absorbs = SHK_FUSION_TABLE,
};
