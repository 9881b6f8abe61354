/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conv2d_filters.h"

#include <stdlib.h>

int32_t shk_filters_depth(const struct shk_graph *graph, const struct shk_op *op)
{
    return shk_op_input(graph, op, SHK_CONV_WEIGHTS)->shape.dims[3];
}

uint32_t shk_filters_channel(const struct shk_filters *f, uint32_t lane)
{
    uint32_t row = lane / (4 * f->row_words), at = lane % (4 * f->row_words);
    return row < f->rows && at < f->row_channels ? row * f->row_channels + at : UINT32_MAX;
}

/* First input word that a slice reads, and one past the last. */
static void slice_words(const struct shk_filters *f, uint32_t slice, uint32_t *first, uint32_t *end)
{
    uint32_t channel = slice * f->channels;
    uint32_t last = SHK_MIN(channel + f->channels, (uint32_t)f->conv.output_channels) - 1;
    *first = 0;
    *end = shk_div_round_up(f->depth, 4);
    if (f->filters_per_group == (uint32_t)f->conv.output_channels)
        return;
    *first = channel / f->filters_per_group * f->depth / 4;
    *end = shk_div_round_up((last / f->filters_per_group + 1) * f->depth, 4);
}

struct shk_filters shk_filters_plan(const struct shk_graph *graph, const struct shk_op *op, uint32_t row_channels,
                                    uint32_t channels, bool split)
{
    struct shk_filters f = {.conv = shk_conv_describe(graph, op), .channels = channels, .parts = 1};
    f.row_channels = row_channels ? row_channels : (uint32_t)f.conv.output_channels;
    f.row_words = shk_div_round_up(f.row_channels, 4);
    f.rows = (uint32_t)f.conv.output_channels / f.row_channels;
    f.depth = (uint32_t)shk_filters_depth(graph, op);
    f.filters_per_group = (uint32_t)f.conv.output_channels / ((uint32_t)f.conv.input_channels / f.depth);
    f.slices = shk_div_round_up(f.rows * f.row_words * 4, channels);
    f.taps = (uint32_t)(f.conv.kernel_height * f.conv.kernel_width);
    /* the sum of a window, which a zero point of the weights needs, is that of one group */
    bool several = f.filters_per_group < (uint32_t)f.conv.output_channels && f.filters_per_group % channels != 0;
    if (split || (f.conv.weight_zero_point != 0 && several))
        f.parts = 3;
    for (uint32_t s = 0; s < f.slices; s++) {
        uint32_t first, end;
        slice_words(&f, s, &first, &end);
        f.words = SHK_MAX(f.words, end - first);
    }
    size_t quads = SHK_CONV_HEADER + channels / 4 * (3 + (size_t)f.parts * f.taps * f.words);
    f.slice_bytes = quads * 16;
    return f;
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

struct shk_channel_quant shk_filters_quant(const struct shk_graph *graph, const struct shk_op *op,
                                           const struct shk_filters *f, uint32_t o)
{
    uint32_t sum = 0;
    size_t size = (size_t)f->taps * f->depth;
    for (size_t i = 0; i < size; i++)
        sum += (uint32_t)(f->conv.weights[o * size + i] - f->conv.weight_zero_point);
    struct shk_multiplier m = shk_conv_multiplier(graph, op, o);
    uint32_t bias = (uint32_t)shk_conv_fold_bias(&f->conv, o, (int32_t)sum);
    uint32_t packed = f->parts > 1 ? sum : sum + (uint32_t)f->conv.weight_zero_point * (uint32_t)size;
    return (struct shk_channel_quant){(int32_t)(bias - f->input_offset * packed), m.multiplier, m.shift};
}

/* Weights of output channel `o`, the `lane`-th of a slice whose input words are [first, end). */
static void pack_channel(const struct shk_filters *f, uint32_t o, uint32_t lane, uint32_t first, uint32_t end,
                         int8_t *weights)
{
    const int8_t *filter = f->conv.weights + (size_t)o * f->taps * f->depth;
    int32_t zero_point = f->parts > 1 ? f->conv.weight_zero_point : 0;
    uint32_t group_first = o / f->filters_per_group * f->depth - first * 4;
    size_t tap_size = (size_t)(end - first) * f->channels * 4;
    for (uint32_t part = 0; part < f->parts; part++)
        for (uint32_t tap = 0; tap < f->taps; tap++, weights += tap_size)
            for (uint32_t i = 0; i < f->depth; i++) {
                uint32_t channel = group_first + i;
                size_t at = ((size_t)(channel / 4) * f->channels + lane) * 4 + channel % 4;
                weights[at] = weight_part(filter[(size_t)tap * f->depth + i] - zero_point, part);
            }
}

/* `out` is zeroed: channels of other groups, and past the last, weigh nothing. */
static void pack_slice(const struct shk_graph *graph, const struct shk_op *op, const struct shk_filters *f,
                       uint32_t slice, void *out)
{
    uint32_t *header = out, first, end;
    int32_t *quant = (int32_t *)out + 4 * SHK_CONV_HEADER;
    int8_t *weights = (int8_t *)(quant + 3 * f->channels);
    uint32_t lane = slice * f->channels;
    uint32_t group = f->filters_per_group < (uint32_t)f->conv.output_channels ? lane / f->filters_per_group : 0;
    slice_words(f, slice, &first, &end);
    header[0] = first;
    header[1] = end - first;
    header[2] = byte_mask(first, group * f->depth, (group + 1) * f->depth);
    header[3] = byte_mask(end - 1, group * f->depth, (group + 1) * f->depth);
    for (uint32_t c = 0; c < f->channels; c++) {
        uint32_t channel = shk_filters_channel(f, lane + c);
        if (channel == UINT32_MAX)
            continue;
        struct shk_channel_quant q = shk_filters_quant(graph, op, f, channel);
        quant[c] = q.bias;
        quant[f->channels + c] = q.multiplier;
        quant[2 * f->channels + c] = q.shift;
        pack_channel(f, channel, c, first, end, weights);
    }
}

uint8_t *shk_filters_pack(const struct shk_graph *graph, const struct shk_op *op, const struct shk_filters *f)
{
    size_t total;
    uint8_t *packed = shk_mul_size(f->slice_bytes, f->slices, &total) ? calloc(1, total) : NULL;
    for (uint32_t s = 0; packed && s < f->slices; s++)
        pack_slice(graph, op, f, s, packed + s * f->slice_bytes);
    return packed;
}
