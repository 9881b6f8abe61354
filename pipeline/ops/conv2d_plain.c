/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conv2d_plain.h"

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

#define LOCAL 32 /* invocations in a workgroup */

/* The rule of thumb: large enough to hide the loads, small enough for the registers of a CPU and a quick compilation.
 */
static const struct shk_conv2d_tile rule[] = {{16, 4, true}, {8, 4, false}, {4, 4, false}};

/* Every invocation of a subgroup loads a uvec4 of weights, and all of a step's must be among them. */
static bool can_share_weights(const struct shk_device *device, uint32_t channels)
{
    return device->subgroup_shuffle && device->subgroup_size >= channels / 4;
}

/* On a CPU subgroups share weights wherever that costs less; a GPU loads what is the same for all lanes but once. */
static bool is_in_rule(const struct shk_conv2d_tile *tile, const struct shk_device *device)
{
    return !tile->subgroup || (device->info.type == SHK_DEVICE_CPU && can_share_weights(device, tile->channels));
}

static bool is_rule(const struct shk_variant *variant)
{
    return variant == shk_op_conv2d.variants;
}

/* Loading an input takes about as long as its products with three channels. A dispatch of a single workgroup leaves all
 * cores but one idle. */
static uint64_t cost_of(const struct shk_filters *f, const struct shk_conv2d_tile *tile, size_t limit)
{
    uint64_t rows = (uint64_t)f->conv.batch * (uint32_t)f->conv.output_height * (uint32_t)f->conv.output_width;
    bool alone = limit / f->slice_bytes < 2 && rows <= (uint64_t)tile->pixels * LOCAL;
    return (uint64_t)f->slices * f->words * f->parts * (f->channels + 3) * (alone ? 2 : 1);
}

/* Whether weights are read as texels. On a CPU that is as fast as from uniform windows, and takes one dispatch. */
static bool reads_texels(const struct shk_lowering *lowering, const struct shk_filters *f,
                         const struct shk_variant *variant, const struct shk_conv2d_tile *tile)
{
    bool by_rule = is_rule(variant) && shk_lower_device(lowering)->info.type == SHK_DEVICE_CPU;
    return tile->subgroup && (by_rule || variant->weights == SHK_WEIGHTS_TEXELS) &&
           shk_lower_fits_texels(lowering, f->slices * f->slice_bytes);
}

/* The tile that costs least, if the variant leaves it open. No slices: one does not fit `limit` bytes. */
static struct shk_filters choose_tile(const struct shk_lowering *lowering, const struct shk_variant *variant,
                                      size_t limit, struct shk_conv2d_tile *tile)
{
    const struct shk_graph *graph = shk_lower_model(lowering);
    const struct shk_fused_op *fused = shk_lower_fused(lowering);
    struct shk_filters best = {0};
    uint64_t best_cost = UINT64_MAX;
    bool split = variant->form == SHK_FORM_SPLIT;
    if (variant->channels) {
        *tile = (struct shk_conv2d_tile){variant->channels, variant->pixels, variant->form == SHK_FORM_SUBGROUP};
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

struct shk_filters shk_conv2d_plain_plan(const struct shk_lowering *lowering, const struct shk_variant *variant,
                                         struct shk_conv2d_tile *tile)
{
    size_t limit = shk_variant_weight_bytes(variant, shk_lower_device(lowering));
    struct shk_filters f = choose_tile(lowering, variant, limit, tile);
    if (!f.slices)
        f = choose_tile(lowering, variant, SIZE_MAX, tile);
    f.input_offset = variant->arithmetic == SHK_ARITHMETIC_DOT_MIXED ? 128 : 0;
    return f;
}

bool shk_conv2d_plain_fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device,
                           const struct shk_variant *variant)
{
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
static const struct shk_shader *choose_shader(const struct shk_variant *variant, const struct shk_conv2d_tile *tile,
                                              size_t limit, bool texels)
{
    static const struct shk_shader *const shaders[3][3] = {
        {&shk_shader_conv2d_uniform64, &shk_shader_conv2d_uniform16, &shk_shader_conv2d_storage},
        {&shk_shader_conv2d_dot_uniform64, &shk_shader_conv2d_dot_uniform16, &shk_shader_conv2d_dot_storage},
        {&shk_shader_conv2d_subgroup_uniform64, &shk_shader_conv2d_subgroup_uniform16,
         &shk_shader_conv2d_subgroup_storage},
    };
    if (texels)
        return &shk_shader_conv2d_subgroup_texels;
    uint32_t row = tile->subgroup ? 2 : shk_variant_is_dot(variant) ? 1 : 0;
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
                          const struct shk_variant *variant, const struct shk_conv2d_tile *tile,
                          struct shk_dispatch *dispatch)
{
    bool cpu = shk_lower_device(lowering)->info.type == SHK_DEVICE_CPU;
    const struct shk_conv *c = &f->conv;
    uint64_t outputs =
        (uint64_t)c->batch * (uint32_t)c->output_height * (uint32_t)c->output_width * (uint32_t)c->output_channels;
    if (variant->form != SHK_FORM_JOINED && (cpu || !is_rule(variant) || outputs * f->taps * f->depth > SMALL))
        return;
    dispatch->joined = tile->subgroup ? &shk_shader_conv2d_subgroup_joined : &shk_shader_conv2d_joined;
    dispatch->joined_variant = shk_variant_find(&shk_op_conv2d, "joined");
}

/* Dispatches of at most `per_dispatch` slices each, whose parameters are appended one by one. */
void shk_conv2d_plain_emit(struct shk_lowering *lowering, const struct shk_filters *f,
                           const struct shk_variant *variant, const struct shk_conv2d_tile *tile, struct shk_view in,
                           struct shk_view out, const struct shk_epilogue *epilogue, const uint8_t *packed)
{
    const struct shk_conv *c = &f->conv;
    struct shk_conv_push push = make_push(f, in, out, epilogue);
    size_t limit = shk_variant_weight_bytes(variant, shk_lower_device(lowering));
    bool same_pixels =
        c->input_height == c->output_height && c->input_width == c->output_width; /* no PAD was absorbed */
    bool pointwise = f->taps == 1 && c->stride_height == 1 && c->stride_width == 1 && same_pixels;
    bool texels = reads_texels(lowering, f, variant, tile);
    if (texels || f->slice_bytes > limit)
        limit = SIZE_MAX;
    bool uniform = limit != SIZE_MAX;
    uint32_t per_dispatch = (uint32_t)SHK_CLAMP(limit / f->slice_bytes, 1, SHK_MAX_GROUPS);
    struct shk_dispatch dispatch = {
        .shader = choose_shader(variant, tile, limit, texels),
        .spec = {tile->channels, tile->pixels, pointwise, push.zero_points >> 8 != 0,
                 variant->arithmetic == SHK_ARITHMETIC_FLOAT, epilogue->steps, f->input_offset != 0},
        .spec_count = 7,
        .push = &push,
        .push_size = sizeof(push),
        .iterations = f->parts * (1 + f->taps * (UINT64_C(2) + f->words)), /* rows, columns, words */
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
