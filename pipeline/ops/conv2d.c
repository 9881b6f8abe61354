/* CONV_2D with any number of groups: groups = input channels / depth of a filter.
 * Source: tflite/kernels/internal/reference/{conv.h,integer_ops/conv.h}.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "conv2d.h"
#include "conv2d_inverted.h"
#include "conv2d_pair.h"
#include "conv2d_rows.h"
#include "conv2d_tile.h"
#include "grid.h"

SHK_OP_DECLARE(conv2d);
SHK_SHADER_DECLARE(conv2d_dot_storage);
SHK_SHADER_DECLARE(conv2d_dot_uniform16);
SHK_SHADER_DECLARE(conv2d_dot_uniform64);
SHK_SHADER_DECLARE(conv2d_joined);
SHK_SHADER_DECLARE(conv2d_storage);
SHK_SHADER_DECLARE(conv2d_subgroup_joined);
SHK_SHADER_DECLARE(conv2d_subgroup_storage);
SHK_SHADER_DECLARE(conv2d_subgroup_texels);
SHK_SHADER_DECLARE(conv2d_subgroup_uniform16);
SHK_SHADER_DECLARE(conv2d_subgroup_uniform64);
SHK_SHADER_DECLARE(conv2d_uniform16);
SHK_SHADER_DECLARE(conv2d_uniform64);

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

#define LOCAL 32 /* invocations in a workgroup */

/* What an invocation computes. */
struct tile {
    uint32_t channels, pixels;
    bool subgroup; /* weights are loaded once for a subgroup */
};

/* The rule of thumb: large enough to hide the loads, small enough for the registers of a CPU and a quick compilation.
 */
static const struct tile rule[] = {{16, 4, true}, {8, 4, false}, {4, 4, false}};

/* Every invocation of a subgroup loads a uvec4 of weights, and all of a step's must be among them. */
static bool can_share_weights(const struct shk_device *device, uint32_t channels)
{
    return device->subgroup_shuffle && device->subgroup_size >= channels / 4;
}

/* On a CPU subgroups share weights wherever that costs less; a GPU loads what is the same for all lanes but once. */
static bool is_in_rule(const struct tile *tile, const struct shk_device *device)
{
    return !tile->subgroup || (device->info.type == SHK_DEVICE_CPU && can_share_weights(device, tile->channels));
}

/* Loading an input takes about as long as its products with three channels. A dispatch of a single workgroup leaves all
 * cores but one idle. */
static uint64_t cost_of(const struct shk_filters *f, const struct tile *tile, size_t limit)
{
    uint64_t rows = (uint64_t)f->conv.batch * (uint32_t)f->conv.output_height * (uint32_t)f->conv.output_width;
    bool alone = limit / f->slice_bytes < 2 && rows <= (uint64_t)tile->pixels * LOCAL;
    return (uint64_t)f->slices * f->words * f->parts * (f->channels + 3) * (alone ? 2 : 1);
}

/* Whether weights are read as texels. On a CPU that is as fast as from uniform windows, and takes one dispatch. */
static bool reads_texels(const struct shk_lowering *lowering, const struct shk_filters *f,
                         const struct shk_variant *variant, const struct tile *tile)
{
    bool by_rule = variant == variants && shk_lower_device(lowering)->info.type == SHK_DEVICE_CPU;
    return tile->subgroup && (by_rule || variant->weights == SHK_WEIGHTS_TEXELS) &&
           shk_lower_fits_texels(lowering, f->slices * f->slice_bytes);
}

/* The tile that costs least, if the variant leaves it open. No slices: one does not fit `limit` bytes. */
static struct shk_filters choose_tile(const struct shk_lowering *lowering, const struct shk_variant *variant,
                                      size_t limit, struct tile *tile)
{
    const struct shk_graph *graph = shk_lower_model(lowering);
    const struct shk_fused_op *fused = shk_lower_fused(lowering);
    struct shk_filters best = {0};
    uint64_t best_cost = UINT64_MAX;
    bool split = variant->form == SHK_FORM_SPLIT;
    bool chain = shk_variant_chain(variant) != SHK_CHAIN_NONE;
    if (variant->channels || chain) {
        *tile = (struct tile){variant->channels, variant->pixels, variant->form == SHK_FORM_SUBGROUP};
        if (chain)
            tile->channels = SHK_PAIR_CHANNELS;
        if (shk_conv2d_is_tile(variant))
            tile->channels = shk_conv2d_tile_channels(shk_lower_device(lowering), variant);
        best = shk_filters_plan(graph, fused->own, fused->row_channels, tile->channels, split);
        return best.slice_bytes <= limit ? best : (struct shk_filters){0};
    }
    for (uint32_t i = 0; i < SHK_ARRAY_LEN(rule); i++) {
        if (!is_in_rule(&rule[i], shk_lower_device(lowering)))
            continue;
        struct shk_filters f = shk_filters_plan(graph, fused->own, fused->row_channels, rule[i].channels, split);
        size_t own_limit = reads_texels(lowering, &f, variant, &rule[i]) ? SIZE_MAX : limit;
        uint64_t cost = cost_of(&f, &rule[i], own_limit);
        if (f.slice_bytes <= own_limit && cost < best_cost) {
            best = f;
            best_cost = cost;
            *tile = rule[i];
        }
    }
    return best;
}

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
    if (!variant->channels)
        return true; /* falls back to storage by itself */
    if (variant->form == SHK_FORM_SUBGROUP && !can_share_weights(device, variant->channels))
        return false;
    struct shk_filters f = shk_filters_plan(graph, op, 0, variant->channels, false);
    size_t size = (size_t)f.taps * f.depth;
    if (f.slice_bytes > shk_variant_weight_bytes(variant, device))
        return false;
    return variant->arithmetic != SHK_ARITHMETIC_FLOAT ||
           (f.parts == 1 && shk_conv_exact_in_float(f.conv.weights, (uint32_t)f.conv.output_channels, size, size, 1));
}

/* ---- lowering ---- */

/* By arithmetic and, in a row, where weights are read: a window of 64 KiB, of 16 KiB, storage. */
static const struct shk_shader *choose_shader(const struct shk_variant *variant, const struct tile *tile, size_t limit,
                                              bool texels)
{
    static const struct shk_shader *const shaders[3][3] = {
        {&shk_shader_conv2d_uniform64, &shk_shader_conv2d_uniform16, &shk_shader_conv2d_storage},
        {&shk_shader_conv2d_dot_uniform64, &shk_shader_conv2d_dot_uniform16, &shk_shader_conv2d_dot_storage},
        {&shk_shader_conv2d_subgroup_uniform64, &shk_shader_conv2d_subgroup_uniform16,
         &shk_shader_conv2d_subgroup_storage},
    };
    if (texels)
        return &shk_shader_conv2d_subgroup_texels;
    uint32_t row = tile->subgroup ? 2 : variant->arithmetic == SHK_ARITHMETIC_DOT ? 1 : 0;
    return shaders[row][limit == SIZE_MAX ? 2 : limit < SHK_UNIFORM_MAX ? 1 : 0];
}

static struct shk_conv_push make_push(const struct shk_filters *f, struct shk_view in, struct shk_view out,
                                      const struct shk_epilogue *epilogue)
{
    const struct shk_conv *c = &f->conv;
    return (struct shk_conv_push){
        .input_offset = in.offset,
        .input_stride = in.stride,
        .output_offset = out.offset,
        .output_stride = out.stride,
        .output_words = out.words,
        .rows = out.rows,
        .input_height = c->input_height,
        .input_width = c->input_width,
        .output_height = shk_divisor_of((uint32_t)c->output_height),
        .output_width = shk_divisor_of((uint32_t)c->output_width),
        .kernel_height = c->kernel_height,
        .kernel_width = c->kernel_width,
        .stride_height = c->stride_height,
        .stride_width = c->stride_width,
        .dilation_height = c->dilation_height,
        .dilation_width = c->dilation_width,
        .pad_top = c->pad_top,
        .pad_left = c->pad_left,
        .zero_points = (uint8_t)c->input_zero_point | (f->parts > 1 ? 0 : c->weight_zero_point) * 256,
        .output_zero_point = c->output_zero_point,
        .output_min = c->range.min - c->output_zero_point,
        .output_max = c->range.max - c->output_zero_point,
        .parts = f->parts,
        .slice_stride = (uint32_t)(f->slice_bytes / 16),
        .epilogue = epilogue->params,
    };
}

/* Multiplications and additions of a layer that takes no longer than a few dispatches do by themselves. */
#define SMALL 2000000

/* The shader that may compute it together with others: the rule of thumb's, and only then. Not on a CPU, where it was
 * measured to be slower. */
static void allow_joining(const struct shk_lowering *lowering, const struct shk_filters *f,
                          const struct shk_variant *variant, const struct tile *tile, struct shk_dispatch *dispatch)
{
    bool cpu = shk_lower_device(lowering)->info.type == SHK_DEVICE_CPU;
    const struct shk_conv *c = &f->conv;
    uint64_t outputs =
        (uint64_t)c->batch * (uint32_t)c->output_height * (uint32_t)c->output_width * (uint32_t)c->output_channels;
    if (variant->form != SHK_FORM_JOINED && (cpu || variant != variants || outputs * f->taps * f->depth > SMALL))
        return;
    dispatch->joined = tile->subgroup ? &shk_shader_conv2d_subgroup_joined : &shk_shader_conv2d_joined;
    dispatch->joined_variant = shk_variant_find(&shk_op_conv2d, "joined");
}

/* Dispatches of at most `per_dispatch` slices each, whose parameters are appended one by one. */
static void emit(struct shk_lowering *lowering, const struct shk_filters *f, const struct shk_variant *variant,
                 const struct tile *tile, size_t limit, uint32_t epilogue, struct shk_conv_push push,
                 const uint8_t *packed)
{
    const struct shk_conv *c = &f->conv;
    bool same_pixels =
        c->input_height == c->output_height && c->input_width == c->output_width; /* no PAD was absorbed */
    bool pointwise = f->taps == 1 && c->stride_height == 1 && c->stride_width == 1 && same_pixels;
    bool texels = reads_texels(lowering, f, variant, tile);
    if (texels || f->slice_bytes > limit)
        limit = SIZE_MAX;
    bool uniform = limit != SIZE_MAX;
    uint32_t per_dispatch = (uint32_t)SHK_CLAMP(limit / f->slice_bytes, 1, 65535);
    struct shk_dispatch dispatch = {
        .shader = choose_shader(variant, tile, limit, texels),
        .spec = {tile->channels, tile->pixels, pointwise, push.zero_points >> 8 != 0,
                 variant->arithmetic == SHK_ARITHMETIC_FLOAT, epilogue},
        .spec_count = 6,
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_dispatch_linear(&dispatch, shk_div_round_up(push.rows, tile->pixels), LOCAL);
    allow_joining(lowering, f, variant, tile, &dispatch);
    for (uint32_t s = 0; s < f->slices; s += per_dispatch) {
        uint32_t count = SHK_MIN(per_dispatch, f->slices - s);
        uint32_t offset = shk_lower_params(lowering, packed + s * f->slice_bytes, count * f->slice_bytes,
                                           uniform ? SHK_UNIFORM_ALIGNMENT : 16);
        push.first_slice = s;
        push.slices = count;
        push.params = offset / 4;
        dispatch.uniform_offset = uniform ? offset : 0;
        dispatch.groups[2] = count;
        shk_lower_dispatch(lowering, &dispatch);
    }
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
    size_t limit = shk_variant_weight_bytes(variant, shk_lower_device(lowering));
    struct tile tile;
    struct shk_filters f = choose_tile(lowering, variant, limit, &tile);
    if (f.slices == 0) { /* too many weights per output channel for a uniform buffer */
        limit = SIZE_MAX;
        f = choose_tile(lowering, variant, limit, &tile);
    }
    if (shk_variant_chain(variant) == SHK_CHAIN_NONE)
        f.conv = shk_conv_lowered(lowering, op);
    uint8_t *packed = shk_filters_pack(shk_lower_model(lowering), shk_lower_fused(lowering)->own, &f);
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
        emit(lowering, &f, variant, &tile, limit, epilogue.steps, make_push(&f, in, out, &epilogue), packed);
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
