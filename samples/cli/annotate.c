/* Boxes and captions on a picture, with cairo.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image.h"

#include <cairo.h>

/* Colours that stay the same for a class: the hue steps by the golden angle. */
static void set_class_colour(cairo_t *cr, uint32_t class_id)
{
    double hue = (class_id * 137.508) / 60.0;
    int sector = (int)hue % 6;
    double f = hue - (int)hue, rising = 0.25 + 0.75 * f, falling = 1.0 - 0.75 * f;
    const double rgb[6][3] = {{1, rising, 0.25},  {falling, 1, 0.25}, {0.25, 1, rising},
                              {0.25, falling, 1}, {rising, 0.25, 1},  {1, 0.25, falling}};
    cairo_set_source_rgb(cr, rgb[sector][0], rgb[sector][1], rgb[sector][2]);
}

static void draw_detection(cairo_t *cr, const struct image *image, const struct shk_detection *d, const char *caption)
{
    double x = d->x_min * image->width, y = d->y_min * image->height;
    double w = (d->x_max - d->x_min) * image->width, h = (d->y_max - d->y_min) * image->height;
    set_class_colour(cr, d->class_id);
    cairo_rectangle(cr, x, y, w, h);
    cairo_stroke(cr);

    cairo_text_extents_t text;
    cairo_text_extents(cr, caption, &text);
    double height = text.height + 6, width = text.width + 8;
    double left = CLAMP(x, 0, MAX(0, image->width - width)), top = y >= height ? y - height : y;
    cairo_rectangle(cr, left, top, width, height);
    cairo_fill(cr);
    cairo_set_source_rgb(cr, 0, 0, 0);
    cairo_move_to(cr, left + 4 - text.x_bearing, top + 3 - text.y_bearing);
    cairo_show_text(cr, caption);
}

static cairo_surface_t *surface_from(const struct image *image)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, image->width, image->height);
    if (cairo_surface_status(surface))
        return surface;
    uint8_t *pixels = cairo_image_surface_get_data(surface);
    size_t stride = cairo_image_surface_get_stride(surface);
    for (uint32_t y = 0; y < image->height; y++) {
        const uint8_t *from = image->rgb + (size_t)y * image->width * 3;
        uint32_t *to = (uint32_t *)(pixels + y * stride);
        for (uint32_t x = 0; x < image->width; x++)
            to[x] = (uint32_t)from[3 * x] << 16 | (uint32_t)from[3 * x + 1] << 8 | from[3 * x + 2];
    }
    cairo_surface_mark_dirty(surface);
    return surface;
}

gboolean image_annotate(const char *path, const struct image *image, const struct shk_detection *detections,
                        char *const *captions, uint32_t count, GError **error)
{
    cairo_surface_t *surface = surface_from(image);
    cairo_t *cr = cairo_create(surface);
    double side = MAX(image->width, image->height);
    cairo_set_line_width(cr, MAX(1.0, side / 320));
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    cairo_set_font_size(cr, CLAMP(side / 45, 9, 40));
    /* the most confident ones last, on top */
    for (uint32_t i = count; i-- > 0;)
        draw_detection(cr, image, &detections[i], captions[i]);
    cairo_status_t status = cairo_status(cr);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_write_to_png(surface, path);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return status == CAIRO_STATUS_SUCCESS || image_fail(error, "%s: %s", path, cairo_status_to_string(status));
}
