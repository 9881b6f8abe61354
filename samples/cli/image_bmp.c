/* The two picture formats that are simple enough to read by hand: uncompressed BMP, and binary PGM/PPM.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image.h"

#include <string.h>

static uint32_t le16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
    return le16(p) | le16(p + 2) << 16;
}

struct bmp {
    uint32_t pixels, header_size, bits, compression, colours;
    const uint8_t *palette; /* blue, green, red, 0 */
    gboolean bottom_up;
    size_t stride;
};

/* BITMAPFILEHEADER is 14 bytes, BITMAPINFOHEADER and its successors 40 and more. */
static gboolean read_header(const uint8_t *data, gsize size, struct bmp *bmp, struct image *image, GError **error)
{
    if (size < 54)
        return image_fail(error, "the BMP header is cut off");
    int32_t height = (int32_t)le32(data + 22);
    bmp->pixels = le32(data + 10);
    bmp->header_size = le32(data + 14);
    bmp->bits = le16(data + 28);
    bmp->compression = le32(data + 30);
    bmp->colours = le32(data + 46);
    bmp->bottom_up = height > 0;
    /* 3 is BI_BITFIELDS, which 32 bit files use for the ordinary blue, green, red order */
    gboolean plain = bmp->compression == 0 || (bmp->compression == 3 && bmp->bits == 32);
    if (bmp->header_size < 40 || !plain || (bmp->bits != 8 && bmp->bits != 24 && bmp->bits != 32))
        return image_fail(error, "a BMP with %u bits per pixel and compression %u; uncompressed ones of 8, 24 "
                          "and 32 bits are read", bmp->bits, bmp->compression);
    if (!image_alloc(image, le32(data + 18), height < 0 ? -(int64_t)height : height, error))
        return FALSE;
    bmp->stride = ((size_t)image->width * bmp->bits / 8 + 3) & ~(size_t)3;
    if (bmp->pixels > size || bmp->stride * image->height > size - bmp->pixels)
        return image_fail(error, "the BMP ends before its %ux%u pixels do", image->width, image->height);
    if (bmp->bits != 8)
        return TRUE;
    if (bmp->colours == 0)
        bmp->colours = 256;
    if (bmp->header_size > size || bmp->colours > 256 || 14 + (uint64_t)bmp->header_size + bmp->colours * 4 > size)
        return image_fail(error, "the BMP palette is cut off");
    bmp->palette = data + 14 + bmp->header_size;
    return TRUE;
}

gboolean image_decode_bmp(const uint8_t *data, gsize size, struct image *image, GError **error)
{
    struct bmp bmp = {0};
    if (!read_header(data, size, &bmp, image, error))
        return FALSE;
    for (uint32_t y = 0; y < image->height; y++) {
        const uint8_t *from = data + bmp.pixels + bmp.stride * (bmp.bottom_up ? image->height - 1 - y : y);
        uint8_t *to = image->rgb + (size_t)y * image->width * 3;
        for (uint32_t x = 0; x < image->width; x++, to += 3) {
            const uint8_t *bgr = from + (size_t)x * bmp.bits / 8;
            if (bmp.palette)
                bgr = bmp.palette + 4 * (*bgr < bmp.colours ? *bgr : 0);
            to[0] = bgr[2];
            to[1] = bgr[1];
            to[2] = bgr[0];
        }
    }
    return TRUE;
}

/* One number of a PNM header, after white space and comments. */
static gboolean read_number(const uint8_t *data, gsize size, gsize *at, uint32_t *number)
{
    while (*at < size && (g_ascii_isspace(data[*at]) || data[*at] == '#')) {
        if (data[*at] == '#')
            while (*at < size && data[*at] != '\n')
                ++*at;
        else
            ++*at;
    }
    gsize first = *at;
    for (*number = 0; *at < size && g_ascii_isdigit(data[*at]) && *at - first < 6; ++*at)
        *number = *number * 10 + (data[*at] - '0');
    return *at > first;
}

gboolean image_decode_pnm(const uint8_t *data, gsize size, struct image *image, GError **error)
{
    gsize at = 2;
    uint32_t width, height, maximum, channels = data[1] == '6' ? 3 : 1;
    if (!read_number(data, size, &at, &width) || !read_number(data, size, &at, &height) ||
        !read_number(data, size, &at, &maximum) || at == size)
        return image_fail(error, "the PNM header is cut off");
    if (maximum != 255)
        return image_fail(error, "a PNM with maximum value %u; 255 is read", maximum);
    if (!image_alloc(image, width, height, error))
        return FALSE;
    size_t pixels = (size_t)width * height;
    if (pixels * channels > size - at - 1)
        return image_fail(error, "the PNM ends before its %ux%u pixels do", width, height);
    for (size_t i = 0; i < pixels * 3; i++)
        image->rgb[i] = data[at + 1 + (channels == 3 ? i : i / 3)];
    return TRUE;
}
