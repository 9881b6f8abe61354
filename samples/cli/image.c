/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image.h"

#include <png.h>
#include <string.h>

G_DEFINE_QUARK(shrike-image-error, image_error)

gboolean image_fail(GError **error, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    g_propagate_error(error, g_error_new_valist(image_error_quark(), 0, format, ap));
    va_end(ap);
    return FALSE;
}

gboolean image_alloc(struct image *image, uint64_t width, uint64_t height, GError **error)
{
    if (width == 0 || height == 0 || width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE)
        return image_fail(error, "a picture of %" G_GUINT64_FORMAT "x%" G_GUINT64_FORMAT " pixels; 1x1 to %dx%d are read",
                          width, height, IMAGE_MAX_SIDE, IMAGE_MAX_SIDE);
    image->rgb = g_try_malloc0_n(width * 3, height);
    if (!image->rgb)
        return image_fail(error, "no memory for %" G_GUINT64_FORMAT "x%" G_GUINT64_FORMAT " pixels", width, height);
    image->width = width;
    image->height = height;
    return TRUE;
}

void image_clear(struct image *image)
{
    g_free(image->rgb);
    *image = (struct image){0};
}

gboolean image_decode_png(const uint8_t *data, gsize size, struct image *image, GError **error)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&png, data, size))
        return image_fail(error, "%s", png.message);
    png.format = PNG_FORMAT_RGB;
    if (!image_alloc(image, png.width, png.height, error)) {
        png_image_free(&png);
        return FALSE;
    }
    /* transparent pixels go on black, as they do for a viewer without a background */
    if (!png_image_finish_read(&png, &(png_color){0}, image->rgb, 0, NULL))
        return image_fail(error, "%s", png.message);
    return TRUE;
}

gboolean image_load(const char *path, struct image *image, GError **error)
{
    static const struct {
        const char *magic;
        gsize length;
        gboolean (*decode)(const uint8_t *data, gsize size, struct image *image, GError **error);
    } formats[] = {
        {"\x89PNG\r\n\x1a\n", 8, image_decode_png}, {"\xff\xd8\xff", 3, image_decode_jpeg},
        {"BM", 2, image_decode_bmp},                {"P5", 2, image_decode_pnm},
        {"P6", 2, image_decode_pnm},
    };
    char *data;
    gsize size;
    *image = (struct image){0};
    if (!g_file_get_contents(path, &data, &size, error))
        return FALSE;
    gboolean known = FALSE, ok = FALSE;
    for (size_t i = 0; i < G_N_ELEMENTS(formats) && !known; i++) {
        known = size >= formats[i].length && memcmp(data, formats[i].magic, formats[i].length) == 0;
        if (known)
            ok = formats[i].decode((const uint8_t *)data, size, image, error);
    }
    if (!known)
        image_fail(error, "not a PNG, JPEG, BMP, PGM or PPM picture (%zu bytes)", (size_t)size);
    if (!ok) {
        g_prefix_error(error, "%s: ", path);
        image_clear(image);
    }
    g_free(data);
    return ok;
}
