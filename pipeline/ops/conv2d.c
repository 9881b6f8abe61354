/* CONV_2D with any number of groups: groups = input channels / depth of a filter.
 * Source: tflite/kernels/internal/reference/{conv.h,integer_ops/conv.h}.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * On the device a dispatch covers slices of output channels, so that the weights of a slice fit a uniform
 * buffer. A slice may span groups: it then reads the input channels of all of them, with weights of 0 between
 * what does not belong together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convolution.h"
#include "grid.h"

SHK_OP_DECLARE(conv2d);
SHK_SHADER_DECLARE(conv2d_dot_storage);
SHK_SHADER_DECLARE(conv2d_dot_uniform16);
SHK_SHADER_DECLARE(conv2d_dot_uniform64);
SHK_SHADER_DECLARE(conv2d_storage);
SHK_SHADER_DECLARE(conv2d_uniform16);
SHK_SHADER_DECLARE(conv2d_uniform64);

#define ATTR(field) offsetof(struct shk_conv_attrs, field)
static const struct shk_attr attrs[] = {
    {"padding", SHK_ATTR_ENUM, 0, ATTR(padding), SHK_PADDING_SAME, shk_padding_names},
    {"stride_w", SHK_ATTR_INT32, 1, ATTR(stride_width), 0, NULL},
    {"stride_h", SHK_ATTR_INT32, 2, ATTR(stride_height), 0, NULL},
    {"fused_activation_function", SHK_ATTR_ENUM, 3, ATTR(activation), SHK_ACTIVATION_NONE,
     shk_activation_names},
    {"dilation_w_factor", SHK_ATTR_INT32, 4, ATTR(dilation_width), 1, NULL},
    {"dilation_h_factor", SHK_ATTR_INT32, 5, ATTR(dilation_height), 1, NULL},
};

static int32_t group_depth(const struct shk_graph *graph, const struct shk_op *op)
{
    return shk_op_input(graph, op, SHK_CONV_WEIGHTS)->shape.dims[3];
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    enum shk_status status = shk_conv_check(graph, op, 0, error);
    if (status)
        return status;
    int32_t channels = shk_op_input(graph, op, SHK_CONV_INPUT)->shape.dims[3];
    int32_t filters = shk_op_output(graph, op, 0)->shape.dims[3];
    int32_t depth = group_depth(graph, op);
    if (channels % depth != 0 || filters % (channels / depth) != 0)
        return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                           "%d input channels and filters of depth %d do not make whole groups of %d filters",
                           channels, depth, filters);
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
                reference_pixel(&c, multipliers, group_depth(run->graph, run->op), image,
                                y * c.stride_height - c.pad_top, x * c.stride_width - c.pad_left, out);
        image += (size_t)c.input_height * c.input_width * c.input_channels;
    }
    free(multipliers);
    return SHK_OK;
}

static uint64_t macs(const struct shk_graph *graph, const struct shk_op *op)
{
    const int32_t *w = shk_op_input(graph, op, SHK_CONV_WEIGHTS)->shape.dims;
    return (uint64_t)shk_shape_elements(&shk_op_output(graph, op, 0)->shape) * (uint64_t)w[1] *
           (uint64_t)w[2] * (uint64_t)w[3];
}

static void describe(const struct shk_graph *graph, const struct shk_op *op, char *text, size_t size)
{
    char groups[32];
    int32_t channels = shk_op_input(graph, op, SHK_CONV_INPUT)->shape.dims[3];
    snprintf(groups, sizeof(groups), "groups %d", channels / group_depth(graph, op));
    shk_conv_print(graph, op, groups, text, size);
}

/* ---- packing ---- */

/* The rule of thumb: large enough to hide the loads, small enough for the registers of a CPU and a quick compilation. */
#define PIXELS       4u
#define MAX_CHANNELS 8u

/* How the weights of one op are cut and laid out. */
struct packing {
    struct shk_conv conv;
    uint32_t depth, filters_per_group;
    uint32_t channels; /* per slice: a multiple of 4 */
    uint32_t slices;
    uint32_t words; /* input words per tap, at most */
    uint32_t parts; /* 1; 3 if weight - zero point is stored as a sum of three bytes */
    uint32_t taps;
    size_t slice_bytes;
    /* Of a pixel's channels as the output has them: all of them, in one row, or rows of fewer (fuse_reshape.c). The last
     * word of a row may have lanes without a channel. */
    uint32_t row_channels, row_words, rows;
};

/* The channel in lane `lane` of a pixel's words, or UINT32_MAX. */
static uint32_t channel_of(const struct packing *p, uint32_t lane)
{
    uint32_t row = lane / (4 * p->row_words), at = lane % (4 * p->row_words);
    return row < p->rows && at < p->row_channels ? row * p->row_channels + at : UINT32_MAX;
}

/* First input word that a slice reads, and one past the last. */
static void slice_words(const struct packing *p, uint32_t slice, uint32_t *first, uint32_t *end)
{
    uint32_t channel = slice * p->channels;
    uint32_t last = SHK_MIN(channel + p->channels, (uint32_t)p->conv.output_channels) - 1;
    *first = 0;
    *end = shk_div_round_up(p->depth, 4);
    if (p->filters_per_group == (uint32_t)p->conv.output_channels)
        return;
    *first = channel / p->filters_per_group * p->depth / 4;
    *end = shk_div_round_up((last / p->filters_per_group + 1) * p->depth, 4);
}

/* `row_channels`: of struct shk_fused_op. */
static struct packing plan_packing(const struct shk_graph *graph, const struct shk_op *op, uint32_t row_channels,
                                   uint32_t channels, bool split)
{
    struct packing p = {.conv = shk_conv_describe(graph, op), .channels = channels, .parts = 1};
    p.row_channels = row_channels ? row_channels : (uint32_t)p.conv.output_channels;
    p.row_words = shk_div_round_up(p.row_channels, 4);
    p.rows = (uint32_t)p.conv.output_channels / p.row_channels;
    p.depth = (uint32_t)group_depth(graph, op);
    p.filters_per_group = (uint32_t)p.conv.output_channels / ((uint32_t)p.conv.input_channels / p.depth);
    p.slices = shk_div_round_up(p.rows * p.row_words * 4, channels);
    p.taps = (uint32_t)(p.conv.kernel_height * p.conv.kernel_width);
    /* the sum of a window, which a zero point of the weights needs, is that of one group */
    bool several =
        p.filters_per_group < (uint32_t)p.conv.output_channels && p.filters_per_group % channels != 0;
    if (split || (p.conv.weight_zero_point != 0 && several))
        p.parts = 3;
    for (uint32_t s = 0; s < p.slices; s++) {
        uint32_t first, end;
        slice_words(&p, s, &first, &end);
        p.words = SHK_MAX(p.words, end - first);
    }
    size_t quads = SHK_CONV_HEADER + channels / 4 * (3 + (size_t)p.parts * p.taps * p.words);
    p.slice_bytes = quads * 16;
    return p;
}

/* The slice width that costs least, if the variant leaves it open. Loading an input takes about as long as its products
 * with three channels. No slices: one does not fit `limit` bytes. */
static struct packing choose_packing(const struct shk_graph *graph, const struct shk_op *op,
                                     uint32_t row_channels, const struct shk_variant *variant, size_t limit)
{
    struct packing best = {0};
    uint64_t best_cost = UINT64_MAX;
    bool split = variant->form == SHK_FORM_SPLIT;
    if (variant->channels) {
        best = plan_packing(graph, op, row_channels, variant->channels, split);
        return best.slice_bytes <= limit ? best : (struct packing){0};
    }
    for (uint32_t channels = MAX_CHANNELS; channels >= 4; channels /= 2) {
        struct packing p = plan_packing(graph, op, row_channels, channels, split);
        uint64_t cost = (uint64_t)p.slices * p.words * p.parts * (channels + 3);
        if (p.slice_bytes <= limit && cost < best_cost) {
            best = p;
            best_cost = cost;
        }
    }
    return best;
}

/* The bytes of input word `word` that are channels [first, end), as a mask. */
static uint32_t byte_mask(uint32_t word, uint32_t first, uint32_t end)
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < 4; i++)
        if (word * 4 + i >= first && word * 4 + i < end)
            mask |= UINT32_C(0xff) << (8 * i);
    return mask;
}

static int8_t weight_part(int32_t w, uint32_t part)
{
    for (uint32_t i = 0; i < part; i++)
        w -= SHK_CLAMP(w, INT8_MIN, INT8_MAX);
    return (int8_t)SHK_CLAMP(w, INT8_MIN, INT8_MAX);
}

static void pack_quantization(const struct shk_graph *graph, const struct shk_op *op, const struct packing *p,
                              uint32_t o, int32_t *at)
{
    uint32_t sum = 0;
    size_t size = (size_t)p->taps * p->depth;
    for (size_t i = 0; i < size; i++)
        sum += (uint32_t)(p->conv.weights[o * size + i] - p->conv.weight_zero_point);
    struct shk_multiplier m = shk_conv_multiplier(graph, op, o);
    at[0] = shk_conv_fold_bias(&p->conv, o, (int32_t)sum);
    at[p->channels] = m.multiplier;
    at[2 * p->channels] = m.shift;
}

/* Weights of output channel `o`, the `lane`-th of a slice whose input words are [first, end). */
static void pack_channel(const struct packing *p, uint32_t o, uint32_t lane, uint32_t first, uint32_t end,
                         int8_t *weights)
{
    const int8_t *filter = p->conv.weights + (size_t)o * p->taps * p->depth;
    int32_t zero_point = p->parts > 1 ? p->conv.weight_zero_point : 0;
    uint32_t group_first = o / p->filters_per_group * p->depth - first * 4;
    size_t tap_size = (size_t)(end - first) * p->channels * 4;
    for (uint32_t part = 0; part < p->parts; part++)
        for (uint32_t tap = 0; tap < p->taps; tap++, weights += tap_size)
            for (uint32_t i = 0; i < p->depth; i++) {
                uint32_t channel = group_first + i;
                size_t at = ((size_t)(channel / 4) * p->channels + lane) * 4 + channel % 4;
                weights[at] = weight_part(filter[(size_t)tap * p->depth + i] - zero_point, part);
            }
}

/* `out` is zeroed: channels of other groups, and past the last, weigh nothing. */
static void pack_slice(const struct shk_graph *graph, const struct shk_op *op, const struct packing *p,
                       uint32_t slice, void *out)
{
    uint32_t *header = out, first, end;
    int32_t *quant = (int32_t *)out + 4 * SHK_CONV_HEADER;
    int8_t *weights = (int8_t *)(quant + 3 * p->channels);
    uint32_t lane = slice * p->channels;
    uint32_t group = p->filters_per_group < (uint32_t)p->conv.output_channels ? lane / p->filters_per_group : 0;
    slice_words(p, slice, &first, &end);
    header[0] = first;
    header[1] = end - first;
    header[2] = byte_mask(first, group * p->depth, (group + 1) * p->depth);
    header[3] = byte_mask(end - 1, group * p->depth, (group + 1) * p->depth);
    for (uint32_t c = 0; c < p->channels; c++) {
        uint32_t channel = channel_of(p, lane + c);
        if (channel == UINT32_MAX)
            continue;
        pack_quantization(graph, op, p, channel, quant + c);
        pack_channel(p, channel, c, first, end, weights);
    }
}

/* ---- lowering ---- */

/* Name, channels, pixels, weights, arithmetic, form, fast, full. */
static const struct shk_variant variants[] = {
    {"uniform", 0, 0, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, false},
    {"int-8x2", 8, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, true},
    {"int-16x1", 16, 1, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, true, true},
    {"int-16x2", 16, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, true},
    {"float-4x4", 4, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, false, true},
    {"float-8x2", 8, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, true, true},
    {"float-8x4", 8, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, true, true},
    {"float-16x1", 16, 1, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, false, true},
    {"float-16x2", 16, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_FLOAT, SHK_FORM_PLAIN, true, true},
    {"dot-8x4", 8, 4, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_DOT, SHK_FORM_PLAIN, true, true},
    {"dot-16x2", 16, 2, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_DOT, SHK_FORM_PLAIN, false, true},
    {"storage", 0, 0, SHK_WEIGHTS_STORAGE, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, true},
    {"uniform16", 0, 0, SHK_WEIGHTS_UNIFORM16, SHK_ARITHMETIC_INT, SHK_FORM_PLAIN, false, false},
    {"split", 0, 0, SHK_WEIGHTS_UNIFORM, SHK_ARITHMETIC_INT, SHK_FORM_SPLIT, false, false},
};

/* The kernel of a variant whose weights are seen through `limit` bytes. */
static const struct shk_shader *choose_shader(const struct shk_variant *variant, size_t limit)
{
    bool dot = variant->arithmetic == SHK_ARITHMETIC_DOT;
    if (limit == SIZE_MAX)
        return dot ? &shk_shader_conv2d_dot_storage : &shk_shader_conv2d_storage;
    if (limit < SHK_UNIFORM_MAX)
        return dot ? &shk_shader_conv2d_dot_uniform16 : &shk_shader_conv2d_uniform16;
    return dot ? &shk_shader_conv2d_dot_uniform64 : &shk_shader_conv2d_uniform64;
}

static bool fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device,
                 const struct shk_variant *variant)
{
    if (!variant->channels)
        return true; /* falls back to storage by itself */
    struct packing p = plan_packing(graph, op, 0, variant->channels, false);
    size_t size = (size_t)p.taps * p.depth;
    if (p.slice_bytes > shk_variant_weight_bytes(variant, device))
        return false;
    return variant->arithmetic != SHK_ARITHMETIC_FLOAT ||
           (p.parts == 1 && shk_conv_exact_in_float(p.conv.weights, (uint32_t)p.conv.output_channels, size, size, 1));
}

static struct shk_conv_push make_push(const struct packing *p, struct shk_view in, struct shk_view out,
                                      const struct shk_epilogue *epilogue)
{
    const struct shk_conv *c = &p->conv;
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
        .zero_points = (uint8_t)c->input_zero_point | (p->parts > 1 ? 0 : c->weight_zero_point) * 256,
        .output_zero_point = c->output_zero_point,
        .output_min = c->range.min - c->output_zero_point,
        .output_max = c->range.max - c->output_zero_point,
        .parts = p->parts,
        .slice_stride = (uint32_t)(p->slice_bytes / 16),
        .epilogue = epilogue->params,
    };
}

/* Dispatches of at most `per_dispatch` slices each, whose parameters are appended one by one. */
static void emit(struct shk_lowering *lowering, const struct packing *p, const struct shk_variant *variant,
                 size_t limit, uint32_t epilogue, struct shk_conv_push push, const uint8_t *packed)
{
    const struct shk_conv *c = &p->conv;
    bool pointwise = p->taps == 1 && c->stride_height == 1 && c->stride_width == 1;
    bool uniform = limit != SIZE_MAX;
    uint32_t pixels = variant->pixels ? variant->pixels : PIXELS;
    uint32_t per_dispatch = (uint32_t)SHK_CLAMP(limit / p->slice_bytes, 1, 65535);
    struct shk_dispatch dispatch = {
        .shader = choose_shader(variant, limit),
        .spec = {p->channels, pixels, pointwise, push.zero_points >> 8 != 0,
                 variant->arithmetic == SHK_ARITHMETIC_FLOAT, epilogue},
        .spec_count = 6,
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_dispatch_linear(&dispatch, shk_div_round_up(push.rows, pixels), 32);
    for (uint32_t s = 0; s < p->slices; s += per_dispatch) {
        uint32_t count = SHK_MIN(per_dispatch, p->slices - s);
        uint32_t offset = shk_lower_params(lowering, packed + s * p->slice_bytes, count * p->slice_bytes,
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
static struct shk_view output_pixels(const struct shk_lowering *lowering, const struct shk_op *op, const struct packing *p)
{
    struct shk_view out = shk_lower_view(lowering, op->outputs[0]);
    out.rows /= p->rows;
    out.stride *= p->rows;
    out.words *= p->rows;
    return out;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_model(lowering);
    const struct shk_fused_op *fused = shk_lower_fused(lowering);
    const struct shk_variant *variant = shk_lower_variant(lowering);
    size_t limit = shk_variant_weight_bytes(variant, shk_lower_device(lowering));
    struct packing p = choose_packing(graph, fused->own, fused->row_channels, variant, limit);
    if (p.slices == 0) { /* too many weights per output channel for a uniform buffer */
        limit = SIZE_MAX;
        p = choose_packing(graph, fused->own, fused->row_channels, variant, limit);
    }
    p.conv = shk_conv_lowered(lowering, op);
    size_t total;
    uint8_t *packed = NULL;
    if (!shk_mul_size(p.slice_bytes, p.slices, &total) || !(packed = calloc(1, total)))
        return shk_fail_oom(error, p.slice_bytes, "packed convolution weights");
    for (uint32_t s = 0; s < p.slices; s++)
        pack_slice(graph, fused->own, &p, s, packed + s * p.slice_bytes);
    struct shk_view in = shk_lower_view(lowering, op->inputs[SHK_CONV_INPUT]);
    struct shk_view out = output_pixels(lowering, op, &p);
    struct shk_epilogue epilogue = shk_epilogue_lower(lowering, op);
    emit(lowering, &p, variant, limit, epilogue.steps, make_push(&p, in, out, &epilogue), packed);
    free(packed);
    return SHK_OK;
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
