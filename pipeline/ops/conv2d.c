/* CONV_2D with any number of groups: groups = input channels / depth of a filter.
 * Source: tflite/kernels/internal/reference/{conv.h,integer_ops/conv.h}.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "conv2d.h"
#include "conv2d_inverted.h"
#include "conv2d_pair.h"
#include "conv2d_plain.h"
#include "conv2d_rows.h"
#include "conv2d_tile.h"
#include "grid.h"

SHK_OP_DECLARE(conv2d);

#define ATTR(field) offsetof(struct shk_conv_attrs, field)
static const struct shk_attr attrs[] = {
    {"padding", SHK_ATTR_ENUM, 0, ATTR(padding), SHK_PADDING_SAME, shk_padding_names},
    {"stride_w", SHK_ATTR_INT32, 1, ATTR(stride_width), 0, NULL},
    {"stride_h", SHK_ATTR_INT32, 2, ATTR(stride_height), 0, NULL},
    {"fused_activation_function", SHK_ATTR_ENUM, 3, ATTR(activation), SHK_ACTIVATION_NONE, shk_activation_names},
    {"dilation_w_factor", SHK_ATTR_INT32, 4, ATTR(dilation_width), 1, NULL},
    {"dilation_h_factor", SHK_ATTR_INT32, 5, ATTR(dilation_height), 1, NULL},
};

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    enum shk_status status = shk_conv_check(graph, op, 0, error);
    if (status)
        return status;
    int32_t channels = shk_op_input(graph, op, SHK_CONV_INPUT)->shape.dims[3];
    int32_t filters = shk_op_output(graph, op, 0)->shape.dims[3];
    int32_t depth = shk_filters_depth(graph, op);
    if (channels % depth != 0 || filters % (channels / depth) != 0)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "%d input channels and filters of depth %d do not make whole groups of %d filters", channels,
                           depth, filters);
    return SHK_OK;
}

/* ---- reference ---- */

static uint32_t window_sum(const struct shk_conv *c, const int8_t *image, const int8_t *filter, int32_t depth,
                           int32_t top, int32_t left)
{
    uint32_t sum = 0;
    for (int32_t ky = 0; ky < c->kernel_height; ky++) {
        int32_t y = top + ky * c->dilation_height;
        if (y < 0 || y >= c->input_height)
            continue;
        for (int32_t kx = 0; kx < c->kernel_width; kx++) {
            int32_t x = left + kx * c->dilation_width;
            if (x < 0 || x >= c->input_width)
                continue;
            const int8_t *in = image + ((size_t)y * c->input_width + x) * c->input_channels;
            const int8_t *w = filter + ((size_t)ky * c->kernel_width + kx) * depth;
            for (int32_t k = 0; k < depth; k++)
                sum += (uint32_t)((in[k] - c->input_zero_point) * (w[k] - c->weight_zero_point));
        }
    }
    return sum;
}

static void reference_pixel(const struct shk_conv *c, const struct shk_multiplier *multipliers, int32_t depth,
                            const int8_t *image, int32_t top, int32_t left, int8_t *out)
{
    int32_t filters_per_group = c->output_channels / (c->input_channels / depth);
    size_t filter_size = (size_t)c->kernel_height * c->kernel_width * depth;
    for (int32_t o = 0; o < c->output_channels; o++) {
        uint32_t sum = window_sum(c, image + (size_t)(o / filters_per_group) * depth,
                                  c->weights + (size_t)o * filter_size, depth, top, left);
        if (c->bias)
            sum += (uint32_t)c->bias[o];
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
                reference_pixel(&c, multipliers, shk_filters_depth(run->graph, run->op), image,
                                y * c.stride_height - c.pad_top, x * c.stride_width - c.pad_left, out);
        image += (size_t)c.input_height * c.input_width * c.input_channels;
    }
    free(multipliers);
    return SHK_OK;
}

static uint64_t macs(const struct shk_graph *graph, const struct shk_op *op)
{
    const int32_t *w = shk_op_input(graph, op, SHK_CONV_WEIGHTS)->shape.dims;
    return (uint64_t)shk_shape_elements(&shk_op_output(graph, op, 0)->shape) * (uint64_t)w[1] * (uint64_t)w[2] *
           (uint64_t)w[3];
}

static void describe(const struct shk_graph *graph, const struct shk_op *op, char *text, size_t size)
{
    char groups[32];
    int32_t channels = shk_op_input(graph, op, SHK_CONV_INPUT)->shape.dims[3];
    snprintf(groups, sizeof(groups), "groups %d", channels / shk_filters_depth(graph, op));
    shk_conv_print(graph, op, groups, text, size);
}

/* ---- variants ---- */

/* Name, channels, pixels, weights, arithmetic, form, fast, full, rows. */
static const struct shk_variant variants[] = {
    {"uniform", 0, 0, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, false},
    {"int-8x2", 8, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, true},
    {"int-8x4", 8, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, true, true},
    {"int-16x1", 16, 1, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, true, true},
    {"int-16x2", 16, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, true},
    {"float-4x4", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, false, true},
    {"float-8x2", 8, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, true, true},
    {"float-8x4", 8, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, true, true},
    {"float-16x1", 16, 1, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, false, true},
    {"float-16x2", 16, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, true, true},
    {"subgroup-8x4", 8, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_SUBGROUP, false, true},
    {"subgroup-16x2", 16, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_SUBGROUP, false, true},
    {"subgroup-16x4", 16, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_SUBGROUP, true, true},
    {"subgroup-24x2", 24, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_SUBGROUP, false, true},
    {"subgroup-24x4", 24, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_SUBGROUP, true, true},
    {"texels-16x4", 16, 4, SHK_WEIGHTS_TEXELS, SHK_ARITHMETIC_INT, SHK_FORM_SUBGROUP, false, true},
    {"texels-24x4", 24, 4, SHK_WEIGHTS_TEXELS, SHK_ARITHMETIC_INT, SHK_FORM_SUBGROUP, true, true},
    {"subgroup-float-24x4", 24, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_SUBGROUP, false, true},
    {"dot-8x4", 8, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_DOT, SHK_FORM_PLAIN, true, true},
    {"dot-16x2", 16, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_DOT, SHK_FORM_PLAIN, false, true},
    {"dot-mixed-8x4", 8, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_DOT_MIXED, SHK_FORM_PLAIN, false, true},
    {"rows-4x4x2", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_ROWS, true, true, 2},
    {"rows-8x4x2", 8, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_ROWS, false, true, 2},
    {"rows-dot-4x4x2", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_DOT, SHK_FORM_ROWS, true, true, 2},
    {"shared-32x32", 32, 32, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_INT, SHK_FORM_SHARED, true, true},
    {"shared-dot-32x32", 32, 32, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_DOT, SHK_FORM_SHARED, false, true},
    {"shared-dot-64x64", 64, 64, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_DOT, SHK_FORM_SHARED, true, true},
    {"matrix-1x2", 2, 1, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_MATRIX, SHK_FORM_MATRIX, true, true},
    {"matrix-2x4", 4, 2, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_MATRIX, SHK_FORM_MATRIX, true, true},
    {"pair", 0, 32, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_INT, SHK_FORM_PAIR, true, true},
    {"pair-32", 32, 32, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_INT, SHK_FORM_PAIR, true, true},
    {"pair-dot", 0, 32, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_DOT, SHK_FORM_PAIR, true, true},
    {"pair-dot-32", 32, 32, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_DOT, SHK_FORM_PAIR, false, true},
    {"inverted", 0, 32, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_INT, SHK_FORM_INVERTED, true, true},
    {"inverted-dot", 0, 32, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_DOT, SHK_FORM_INVERTED, true, true},
    {"storage", 0, 0, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, true},
    {"joined", 0, 0, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_INT, SHK_FORM_JOINED, false, false},
    {"uniform16", 0, 0, SHK_WEIGHTS_UNIFORM16, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, false},
    {"split", 0, 0, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_SPLIT, false, false},
};

/* For small groups on a CPU, where loads are dear, the rule of thumb is the kernel that keeps inputs in registers; on
 * small pictures it has too few tiles. */
static const struct shk_variant *apply_rule(const struct shk_lowering *lowering, const struct shk_variant *variant)
{
    const struct shk_graph *graph = shk_lower_model(lowering);
    const struct shk_op *op = shk_lower_fused(lowering)->own;
    const struct shk_device *device = shk_lower_device(lowering);
    if (variant != op->def->variants || device->info.type != SHK_DEVICE_CPU)
        return variant;
    const struct shk_variant *rows = shk_variant_find(op->def, "rows-4x4x2");
    struct shk_conv c = shk_conv_describe(graph, op);
    int32_t depth = shk_filters_depth(graph, op);
    bool small = depth <= 4 && depth < c.input_channels && c.kernel_height * c.kernel_width > 1;
    bool tiles = c.output_height * c.output_width >= 100;
    return small && tiles && shk_variant_fits(rows, graph, op, device) ? rows : variant;
}

static bool fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device,
                 const struct shk_variant *variant)
{
    if (variant->form == SHK_FORM_PAIR)
        return shk_conv2d_pair_fits(graph, op, device);
    if (variant->form == SHK_FORM_INVERTED)
        return shk_conv2d_inverted_fits(graph, op, device);
    if (shk_conv2d_is_tile(variant))
        return shk_conv2d_tile_fits(graph, op, device, variant);
    if (variant->form == SHK_FORM_ROWS)
        return shk_conv2d_rows_fits(graph, op, device, variant);
    return shk_conv2d_plain_fits(graph, op, device, variant);
}

/* ---- lowering ---- */

/* Output channels of a slice, of variants whose kernels are not plain. */
static uint32_t slice_channels(const struct shk_device *device, const struct shk_variant *variant)
{
    if (shk_variant_chain(variant) != SHK_CHAIN_NONE)
        return SHK_PAIR_CHANNELS;
    return shk_conv2d_is_tile(variant) ? shk_conv2d_tile_channels(device, variant) : variant->channels;
}

/* Pixels and all of their words, whatever the rows are. */
static struct shk_view output_pixels(const struct shk_lowering *lowering, const struct shk_op *op,
                                     const struct shk_filters *f)
{
    struct shk_view out = shk_lower_view(lowering, op->outputs[0]);
    out.rows /= f->rows;
    out.stride *= f->rows;
    out.words *= f->rows;
    return out;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_variant *variant = apply_rule(lowering, shk_lower_variant(lowering));
    const struct shk_graph *graph = shk_lower_model(lowering);
    const struct shk_fused_op *fused = shk_lower_fused(lowering);
    struct shk_conv2d_tile tile = {0};
    struct shk_filters f = shk_conv2d_is_plain(variant)
                               ? shk_conv2d_plain_plan(lowering, variant, &tile)
                               : shk_filters_plan(graph, fused->own, fused->row_channels,
                                                  slice_channels(shk_lower_device(lowering), variant), false);
    if (shk_variant_chain(variant) == SHK_CHAIN_NONE)
        f.conv = shk_conv_lowered(lowering, op);
    uint8_t *packed = shk_filters_pack(graph, fused->own, &f);
    if (!packed)
        return shk_fail_oom(error, f.slice_bytes, "packed convolution weights");
    struct shk_view in = shk_lower_view(lowering, op->inputs[SHK_CONV_INPUT]);
    struct shk_view out = output_pixels(lowering, op, &f);
    struct shk_epilogue epilogue = shk_epilogue_lower(lowering, op);
    enum shk_status status = SHK_OK;
    if (variant->form == SHK_FORM_PAIR)
        status = shk_conv2d_pair_emit(lowering, op, &f, variant, in, out, &epilogue, packed, error);
    else if (variant->form == SHK_FORM_INVERTED)
        status = shk_conv2d_inverted_emit(lowering, op, &f, variant, in, out, &epilogue, packed, error);
    else if (shk_conv2d_is_tile(variant))
        shk_conv2d_tile_emit(lowering, &f, variant, in, out, &epilogue, packed);
    else if (variant->form == SHK_FORM_ROWS)
        shk_conv2d_rows_emit(lowering, &f, variant, in, out, &epilogue, packed);
    else
        shk_conv2d_plain_emit(lowering, &f, variant, &tile, in, out, &epilogue, packed);
    free(packed);
    return status;
}

bool shk_op_is_conv2d(const struct shk_op *op)
{
    return op->def == &shk_op_conv2d;
}

static const struct shk_op_spelling spellings[] = {
    {&shk_op_conv2d, "CONV_2D", 3, 1, 0, 8, attrs, SHK_ARRAY_LEN(attrs)},
};

const struct shk_op_def shk_op_conv2d = {
    .name = "conv2d",
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
    .in_place_inputs = 1u << SHK_FUSED_RESIDUAL,
    .absorbs = SHK_FUSION_ADD | SHK_FUSION_TABLE | SHK_FUSION_RESHAPE,
};
