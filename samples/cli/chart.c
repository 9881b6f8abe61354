/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "chart.h"

#include <cairo-svg.h>
#include <math.h>
#include <string.h>

#include "cli.h"

const struct chart_color chart_ink = {0.13, 0.14, 0.17}, chart_faint = {0.86, 0.87, 0.89},
                         chart_red = {0.80, 0.16, 0.16};
const struct chart_color chart_colors[CHART_COLORS] = {
    {0.11, 0.39, 0.75}, {0.05, 0.53, 0.32}, {0.85, 0.33, 0.05},
    {0.48, 0.20, 0.68}, {0.70, 0.10, 0.40}, {0.35, 0.37, 0.42},
};

void chart_set_color(cairo_t *cr, struct chart_color color)
{
    cairo_set_source_rgb(cr, color.red, color.green, color.blue);
}

double chart_text_width(cairo_t *cr, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

double chart_text(cairo_t *cr, const char *text, double x, double y, double align)
{
    double width = chart_text_width(cr, text);
    cairo_move_to(cr, x - align * width, y);
    cairo_show_text(cr, text);
    cairo_new_path(cr); /* else the end of the text is where the next arc is joined to */
    return width;
}

void chart_text_rotated(cairo_t *cr, const char *text, double x, double y)
{
    cairo_save(cr);
    cairo_translate(cr, x, y);
    cairo_rotate(cr, -G_PI_2);
    chart_text(cr, text, 0, 0, 0.5);
    cairo_restore(cr);
}

void chart_line(cairo_t *cr, double x0, double y0, double x1, double y1)
{
    cairo_move_to(cr, x0, y0);
    cairo_line_to(cr, x1, y1);
    cairo_stroke(cr);
}

void chart_dashed_line(cairo_t *cr, double x0, double y0, double x1, double y1)
{
    static const double dashes[] = {6, 4};
    cairo_set_dash(cr, dashes, 2, 0);
    chart_line(cr, x0, y0, x1, y1);
    cairo_set_dash(cr, NULL, 0, 0);
}

void chart_title(cairo_t *cr, const char *title, double width, double y)
{
    double size = CHART_TEXT * 1.15;
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    cairo_set_font_size(cr, size);
    cairo_set_font_size(cr, size * MIN(1, (width - 2 * CHART_TEXT) / MAX(chart_text_width(cr, title), 1)));
    chart_set_color(cr, chart_ink);
    chart_text(cr, title, width / 2.0, y, 0.5);
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, CHART_TEXT);
}

double chart_tick(double most, guint ticks)
{
    double rough = most / ticks, power = pow(10, floor(log10(rough))), share = rough / power;
    return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

static gboolean has_ending(const char *path, const char *ending)
{
    size_t length = strlen(path), size = strlen(ending);
    return length > size && g_ascii_strcasecmp(path + length - size, ending) == 0;
}

int chart_check(const char *option, const char *path)
{
    if (!path)
        return CLI_OK;
    if (!has_ending(path, ".svg") && !has_ending(path, ".png"))
        return cli_fail(CLI_USAGE, "%s %s: the name must end in .svg or .png", option, path);
    return cli_check_output(option, path);
}

static cairo_status_t append(void *closure, const unsigned char *data, unsigned length)
{
    g_byte_array_append(closure, data, length);
    return CAIRO_STATUS_SUCCESS;
}

gboolean chart_write(const char *path, int width, int height, chart_draw draw, const void *data,
                     GError **error)
{
    gboolean svg = has_ending(path, ".svg");
    GByteArray *file = g_byte_array_new();
    cairo_surface_t *surface = svg ? cairo_svg_surface_create_for_stream(append, file, width, height)
                                   : cairo_image_surface_create(CAIRO_FORMAT_RGB24, width * 2, height * 2);
    cairo_t *cr = cairo_create(surface);
    if (!svg) /* sharp on every screen */
        cairo_scale(cr, 2, 2);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_set_line_width(cr, 1);
    draw(cr, data);
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    if (status == CAIRO_STATUS_SUCCESS && !svg)
        status = cairo_surface_write_to_png_stream(surface, append, file);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    gboolean done = FALSE;
    if (status == CAIRO_STATUS_SUCCESS)
        done = g_file_set_contents(path, (const char *)file->data, file->len, error);
    else
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: %s", path, cairo_status_to_string(status));
    g_byte_array_unref(file);
    return done;
}
