/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conv2d_tile.h"

#include "grid.h"

SHK_SHADER_DECLARE(conv2d_shared_32);
SHK_SHADER_DECLARE(conv2d_shared_dot_32);
SHK_SHADER_DECLARE(conv2d_shared_dot_64);

#define MATRIX_WORDS     8u /* of a window, in shared memory at once; more where a matrix is longer */
#define MATRIX_SUBGROUPS 4u /* in a workgroup, if it may have so many */

/* What a workgroup computes. */
struct tile {
    const struct shk_shader *shader; /* NULL: there is none in this build */
    uint32_t rows, channels;
    uint32_t local;     /* invocations */
    uint32_t subgroups; /* matrix */
    uint32_t words;     /* matrix: TILE_WORDS */
    uint32_t shared;    /* bytes of shared memory */
};

static struct tile shared_tile(const struct shk_variant *variant)
{
    uint32_t size = variant->channels;
    bool dot = variant->arithmetic == SHK_ARITHMETIC_DOT;
    return (struct tile){
        .shader = !dot         ? &shk_shader_conv2d_shared_32
                  : size == 32 ? &shk_shader_conv2d_shared_dot_32
                               : &shk_shader_conv2d_shared_dot_64,
        .rows = size,
        .channels = size,
        .local = size / 4 * 8,
        .shared = 4 * (size * 9 + size * 8 + 4 * size),
    };
}

/* `pixels` and `channels` of the variant count blocks. */
static struct tile matrix_tile(const struct shk_device *device, const struct shk_variant *variant)
{
    const struct shk_matrix *m = &device->matrix;
    uint32_t most = device->limits.maxComputeWorkGroupInvocations / device->subgroup_size;
    struct tile tile = {
        .shader = shk_shader_find("conv2d_matrix"), /* not every glslang can compile it */
        .channels = variant->channels * m->n,
        .subgroups = SHK_CLAMP(most, 1u, MATRIX_SUBGROUPS),
        .words = SHK_MAX(MATRIX_WORDS / SHK_MAX(m->k / 4, 1u), 1u) * (m->k / 4),
    };
    tile.rows = tile.subgroups * variant->pixels * m->m;
    tile.local = tile.subgroups * device->subgroup_size;
    tile.shared = 4 * ((tile.rows + tile.channels) * tile.words + 4 * tile.rows + tile.subgroups * m->m * m->n);
    return tile;
}

static struct tile tile_of(const struct shk_device *device, const struct shk_variant *variant)
{
    return variant->form == SHK_FORM_MATRIX ? matrix_tile(device, variant) : shared_tile(variant);
}

uint32_t shk_conv2d_tile_channels(const struct shk_device *device, const struct shk_variant *variant)
{
    return tile_of(device, variant).channels;
}

bool shk_conv2d_tile_fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device,
                          const struct shk_variant *variant)
{
    struct shk_conv c = shk_conv_describe(graph, op);
    if (variant->form == SHK_FORM_MATRIX && device->matrix.m == 0)
        return false;
    struct tile tile = tile_of(device, variant);
    uint64_t rows = (uint64_t)c.batch * (uint32_t)c.output_height * (uint32_t)c.output_width;
    return tile.shader && shk_filters_depth(graph, op) == c.input_channels &&
           rows <= (uint64_t)tile.rows * SHK_MAX_GROUPS &&
           (uint32_t)c.output_channels <= tile.channels * (SHK_MAX_GROUPS / 4) &&
           tile.shared <= device->limits.maxComputeSharedMemorySize &&
           tile.local <= device->limits.maxComputeWorkGroupInvocations;
}

static struct shk_conv_tile_push make_push(const struct shk_filters *f, struct shk_view in, struct shk_view out,
                                           const struct shk_epilogue *epilogue)
{
    const struct shk_conv *c = &f->conv;
    return (struct shk_conv_tile_push){
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
        .words = shk_divisor_of(f->words),
        .kernel_width = shk_divisor_of((uint32_t)c->kernel_width),
        .stride_height = c->stride_height,
        .stride_width = c->stride_width,
        .dilation_height = c->dilation_height,
        .dilation_width = c->dilation_width,
        .pad_top = c->pad_top,
        .pad_left = c->pad_left,
        .depth = f->taps * f->words,
        .zero_points = (uint8_t)c->input_zero_point | (uint32_t)(uint8_t)c->output_zero_point << 8 |
                       (uint32_t)(uint8_t)c->weight_zero_point << 16,
        .output_min = c->range.min - c->output_zero_point,
        .output_max = c->range.max - c->output_zero_point,
        .epilogue = epilogue->params,
    };
}

void shk_conv2d_tile_emit(struct shk_lowering *lowering, const struct shk_filters *filters,
                          const struct shk_variant *variant, struct shk_view in, struct shk_view out,
                          const struct shk_epilogue *epilogue, const uint8_t *packed)
{
    const struct shk_device *device = shk_lower_device(lowering);
    const struct shk_matrix *m = &device->matrix;
    struct tile tile = tile_of(device, variant);
    struct shk_conv_tile_push push = make_push(filters, in, out, epilogue);
    bool matrix = variant->form == SHK_FORM_MATRIX;
    struct shk_dispatch dispatch = {
        .shader = tile.shader,
        .spec = {epilogue->steps, filters->conv.weight_zero_point != 0, m->m, m->n, m->k, variant->pixels,
                 variant->channels, tile.subgroups, tile.words},
        .spec_count = matrix ? 9 : 2,
        .local_size = {tile.local, 1, 1},
        .groups = {shk_div_round_up(push.rows, tile.rows), filters->slices, 1},
        .push = &push,
        .push_size = sizeof(push),
        .iterations = UINT64_C(4) * push.depth, /* loading pixels, filters, sums of windows, products */
    };
    push.params = shk_lower_params(lowering, packed, filters->slice_bytes * filters->slices, 16) / 4;
    shk_lower_dispatch(lowering, &dispatch);
}
