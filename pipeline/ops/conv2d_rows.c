/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conv2d_rows.h"

#include "grid.h"

SHK_SHADER_DECLARE(conv2d_rows_dot_uniform16);
SHK_SHADER_DECLARE(conv2d_rows_dot_uniform64);
SHK_SHADER_DECLARE(conv2d_rows_uniform16);
SHK_SHADER_DECLARE(conv2d_rows_uniform64);

#define LOCAL 32 /* invocations in a workgroup */

/* Everything but the loop over input words is unrolled: what a driver compiles in a fraction of a second. */
#define MAX_PRODUCTS 300 /* of a word and the weights of four channels */
#define MAX_WORDS    8   /* with more, the other kernels load less per product */

bool shk_conv2d_rows_fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device,
                          const struct shk_variant *variant)
{
    struct shk_filters f = shk_filters_plan(graph, op, 0, variant->channels, false);
    uint32_t products = MAX_PRODUCTS / (variant->channels / 4u);
    return f.parts == 1 && f.words <= MAX_WORDS &&
           shk_conv_unrolls(&f.conv, variant->pixels, variant->rows, products) &&
           f.slice_bytes <= shk_variant_weight_bytes(variant, device);
}

static struct shk_conv_rows_push make_push(const struct shk_filters *f, const struct shk_variant *variant,
                                           struct shk_view in, struct shk_view out, const struct shk_epilogue *epilogue)
{
    const struct shk_conv *c = &f->conv;
    uint32_t across = shk_div_round_up((uint32_t)c->output_width, variant->pixels);
    uint32_t down = shk_div_round_up((uint32_t)c->output_height, variant->rows);
    return (struct shk_conv_rows_push){
        .input_offset = in.offset,
        .input_stride = in.stride,
        .output_offset = out.offset,
        .output_stride = out.stride,
        .output_words = out.words,
        .items = (uint32_t)c->batch * down * across,
        .tiles_per_row = shk_divisor_of(across),
        .tiles_per_column = shk_divisor_of(down),
        .input_height = c->input_height,
        .input_width = c->input_width,
        .output_height = c->output_height,
        .output_width = c->output_width,
        .pad_top = c->pad_top,
        .pad_left = c->pad_left,
        .zero_points = (uint8_t)c->input_zero_point | c->weight_zero_point * 256,
        .output_zero_point = c->output_zero_point,
        .output_min = c->range.min - c->output_zero_point,
        .output_max = c->range.max - c->output_zero_point,
        .slice_stride = (uint32_t)(f->slice_bytes / 16),
        .epilogue = epilogue->params,
    };
}

static const struct shk_shader *choose_shader(const struct shk_variant *variant, size_t limit)
{
    if (variant->arithmetic == SHK_ARITHMETIC_DOT)
        return limit < SHK_UNIFORM_MAX ? &shk_shader_conv2d_rows_dot_uniform16 : &shk_shader_conv2d_rows_dot_uniform64;
    return limit < SHK_UNIFORM_MAX ? &shk_shader_conv2d_rows_uniform16 : &shk_shader_conv2d_rows_uniform64;
}

void shk_conv2d_rows_emit(struct shk_lowering *lowering, const struct shk_filters *filters,
                          const struct shk_variant *variant, struct shk_view in, struct shk_view out,
                          const struct shk_epilogue *epilogue, const uint8_t *packed)
{
    const struct shk_conv *c = &filters->conv;
    size_t limit = shk_variant_weight_bytes(variant, shk_lower_device(lowering));
    uint32_t per_dispatch = (uint32_t)SHK_CLAMP(limit / filters->slice_bytes, 1, SHK_MAX_GROUPS);
    struct shk_conv_rows_push push = make_push(filters, variant, in, out, epilogue);
    struct shk_dispatch dispatch = {
        .shader = choose_shader(variant, limit),
        .spec = {variant->channels, variant->pixels, variant->rows, (uint32_t)c->kernel_width,
                 (uint32_t)c->kernel_height, (uint32_t)c->stride_width, (uint32_t)c->stride_height,
                 c->weight_zero_point != 0, epilogue->steps},
        .spec_count = 9,
        .push = &push,
        .push_size = sizeof(push),
    };
    shk_dispatch_linear(&dispatch, push.items, LOCAL);
    for (uint32_t s = 0; s < filters->slices; s += per_dispatch) {
        push.slices = SHK_MIN(per_dispatch, filters->slices - s);
        push.first_slice = s;
        dispatch.uniform_offset = shk_lower_params(lowering, packed + s * filters->slice_bytes,
                                                   push.slices * filters->slice_bytes, SHK_UNIFORM_ALIGNMENT);
        push.params = dispatch.uniform_offset / 4;
        dispatch.groups[2] = push.slices;
        shk_lower_dispatch(lowering, &dispatch);
    }
}
