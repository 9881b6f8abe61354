/* The C twin of shaders/preprocess.comp, line by line.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "preprocess.h"

struct frame {
    const struct shk_preprocess *p;
    const struct shk_frame_header *header;
    const uint32_t *tables; /* behind the header */
    const uint32_t *words;  /* what the planes are in */
    uint32_t layout;
};

struct components {
    uint32_t v[3];
};

static uint32_t frame_byte(const struct frame *f, uint32_t plane, uint32_t x, uint32_t y)
{
    size_t word = f->header->plane_offset[plane] + (size_t)y * f->header->plane_stride[plane];
    return ((const uint8_t *)(f->words + word))[x];
}

/* The frame's own components at a pixel. */
static struct components fetch(const struct frame *f, uint32_t x, uint32_t y)
{
    uint32_t size = f->layout == SHK_LAYOUT_PACKED3 ? 3 : 4;
    switch (f->layout) {
    case SHK_LAYOUT_GRAY:
        return (struct components){{frame_byte(f, 0, x, y), 128, 128}};
    case SHK_LAYOUT_NV12:
        return (struct components){{frame_byte(f, 0, x, y), frame_byte(f, 1, x / 2 * 2, y / 2),
                                    frame_byte(f, 1, x / 2 * 2 + 1, y / 2)}};
    case SHK_LAYOUT_I420:
        return (struct components){
            {frame_byte(f, 0, x, y), frame_byte(f, 1, x / 2, y / 2), frame_byte(f, 2, x / 2, y / 2)}};
    case SHK_LAYOUT_YUY2:
        return (struct components){{frame_byte(f, 0, x * 2, y), frame_byte(f, 0, x / 2 * 4 + 1, y),
                                    frame_byte(f, 0, x / 2 * 4 + 3, y)}};
    default:
        return (struct components){{frame_byte(f, 0, x * size, y), frame_byte(f, 0, x * size + 1, y),
                                    frame_byte(f, 0, x * size + 2, y)}};
    }
}

static void add(struct components *sum, struct components c, uint32_t weight)
{
    for (int i = 0; i < 3; i++)
        sum->v[i] += c.v[i] * weight;
}

static struct components bilinear(const struct frame *f, uint32_t column, uint32_t row)
{
    const uint32_t one = 1u << SHK_PREPROCESS_WEIGHT_BITS;
    uint32_t wx = column % one, wy = row % one;
    uint32_t x = f->header->crop_x + column / one, y = f->header->crop_y + row / one;
    uint32_t x1 = wx ? x + 1 : x, y1 = wy ? y + 1 : y;
    struct components sum = {{0}};
    add(&sum, fetch(f, x, y), (one - wx) * (one - wy));
    add(&sum, fetch(f, x1, y), wx * (one - wy));
    add(&sum, fetch(f, x, y1), (one - wx) * wy);
    add(&sum, fetch(f, x1, y1), wx * wy);
    const uint32_t drop = 2 * SHK_PREPROCESS_WEIGHT_BITS - SHK_PREPROCESS_VALUE_BITS;
    for (int i = 0; i < 3; i++)
        sum.v[i] = (sum.v[i] + (1u << (drop - 1))) >> drop;
    return sum;
}

/* How much of pixel `i` lies between two borders. */
static uint32_t covered(uint32_t low, uint32_t high, uint32_t i, uint32_t shift)
{
    return SHK_MIN(high, (i + 1) << shift) - SHK_MAX(low, i << shift);
}

static struct components area(const struct frame *f, uint32_t left, uint32_t right, uint32_t top,
                              uint32_t bottom)
{
    uint32_t sx = f->header->shift_x, sy = f->header->shift_y;
    struct components sum = {{0}};
    for (uint32_t y = top >> sy; y <= (bottom - 1) >> sy; y++) {
        struct components row = {{0}};
        for (uint32_t x = left >> sx; x <= (right - 1) >> sx; x++)
            add(&row, fetch(f, f->header->crop_x + x, f->header->crop_y + y), covered(left, right, x, sx));
        add(&sum, row, covered(top, bottom, y, sy));
    }
    uint32_t total = (right - left) * (bottom - top);
    for (int i = 0; i < 3; i++)
        sum.v[i] = (sum.v[i] / total << SHK_PREPROCESS_VALUE_BITS) +
                   ((sum.v[i] % total << SHK_PREPROCESS_VALUE_BITS) + total / 2) / total;
    return sum;
}

/* From 20 fractional bits to a level. */
static uint32_t to_level(int32_t x)
{
    const int bits = SHK_PREPROCESS_VALUE_BITS + SHK_PREPROCESS_MATRIX_BITS;
    int32_t level = (x + (1 << (bits - 1))) >> bits;
    return (uint32_t)SHK_CLAMP(level, 0, 255);
}

static struct components yuv_to_levels(const struct frame *f, struct components c)
{
    const struct shk_frame_matrix *m = &f->p->matrix;
    int32_t y = ((int32_t)c.v[0] - (m->black << SHK_PREPROCESS_VALUE_BITS)) * m->luma;
    int32_t cb = (int32_t)c.v[1] - (128 << SHK_PREPROCESS_VALUE_BITS);
    int32_t cr = (int32_t)c.v[2] - (128 << SHK_PREPROCESS_VALUE_BITS);
    if (f->p->channels == 1)
        return (struct components){{to_level(y), 0, 0}};
    return (struct components){
        {to_level(y + m->cr_r * cr), to_level(y + m->cb_g * cb + m->cr_g * cr), to_level(y + m->cb_b * cb)}};
}

static struct components rgb_to_levels(const struct frame *f, struct components c)
{
    uint32_t red = f->p->swap ? c.v[2] : c.v[0], blue = f->p->swap ? c.v[0] : c.v[2];
    if (f->p->channels == 1)
        return (struct components){
            {to_level((int32_t)(red * SHK_LUMA_R + c.v[1] * SHK_LUMA_G + blue * SHK_LUMA_B)), 0, 0}};
    for (int i = 0; i < 3; i++)
        c.v[i] = (c.v[i] + (1u << (SHK_PREPROCESS_VALUE_BITS - 1))) >> SHK_PREPROCESS_VALUE_BITS;
    return c;
}

static struct components pixel(const struct frame *f, uint32_t x, uint32_t y)
{
    const struct shk_frame_header *h = f->header;
    const uint32_t *columns = f->tables, *rows = f->tables + f->p->width + 1;
    uint32_t i = x - h->left, k = y - h->top;
    if (i >= h->width || k >= h->height)
        return (struct components){{SHK_PREPROCESS_PAD, SHK_PREPROCESS_PAD, SHK_PREPROCESS_PAD}};
    struct components c = f->p->filter == SHK_FILTER_AREA
                              ? area(f, columns[i], columns[i + 1], rows[k], rows[k + 1])
                              : bilinear(f, columns[i], rows[k]);
    bool rgb = f->layout == SHK_LAYOUT_PACKED3 || f->layout == SHK_LAYOUT_PACKED4;
    c = rgb ? rgb_to_levels(f, c) : yuv_to_levels(f, c);
    if (f->p->swap && f->p->channels == 3) {
        uint32_t first = c.v[0];
        c.v[0] = c.v[2];
        c.v[2] = first;
    }
    return c;
}

void shk_preprocess_run(const struct shk_preprocess *p, const uint32_t tables[SHK_PREPROCESS_TABLE_WORDS],
                        const void *header, const void *words, void *tensor)
{
    const struct shk_frame_header *h = header;
    struct frame f = {p, h, (const uint32_t *)(h + 1), words, shk_preprocess_layout(p)};
    uint8_t *bytes = tensor;
    for (uint32_t y = 0; y < p->height; y++)
        for (uint32_t x = 0; x < p->width; x++) {
            struct components level = pixel(&f, x, y);
            for (uint32_t c = 0; c < p->channels; c++) {
                uint32_t entry = tables[c * 256 + level.v[c]];
                size_t at = ((size_t)y * p->width + x) * p->channels + c;
                if (p->float_output)
                    memcpy(bytes + at * 4, &entry, 4);
                else
                    bytes[at] = (uint8_t)entry;
            }
        }
}
