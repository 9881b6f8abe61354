/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plot.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <string.h>

#define WIDTH  800
#define HEIGHT 480
#define LEFT   76
#define RIGHT  76
#define TOP    44
#define BOTTOM 108
#define TEXT   13.0

struct color {
    double red, green, blue;
};
static const struct color ink = {0.13, 0.14, 0.17}, faint = {0.86, 0.87, 0.89},
                          limit_color = {0.80, 0.16, 0.16};
static const struct color curve_colors[] = {{0.11, 0.39, 0.75}, {0.05, 0.53, 0.32}};
static const struct color mark_colors[PLOT_MAX_MARKS] = {
    {0.85, 0.33, 0.05}, {0.48, 0.20, 0.68}, {0.13, 0.14, 0.17}, {0.70, 0.10, 0.40}};

/* Where data is on the page. */
struct axes {
    double x_first, x_last; /* base 2 logarithms */
    double most[2], tick[2];
};

static void set_color(cairo_t *cr, struct color color)
{
    cairo_set_source_rgb(cr, color.red, color.green, color.blue);
}

double plot_tick(double most, guint ticks)
{
    double rough = most / ticks, power = pow(10, floor(log10(rough))), share = rough / power;
    return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

static struct axes measure(const struct plot *plot)
{
    struct axes axes = {log2(plot->x[0]), log2(plot->x[plot->count - 1]), {0, 0}, {1, 1}};
    if (axes.x_last <= axes.x_first) { /* a single point: in the middle */
        axes.x_first -= 1;
        axes.x_last += 1;
    }
    for (guint c = 0; c < plot->curve_count; c++) {
        double most = c == 0 ? plot->limit : 0;
        for (guint i = 0; i < plot->count; i++)
            most = MAX(most, plot->curves[c].y[i]);
        if (!(most > 1e-9))
            most = 1;
        axes.tick[c] = plot_tick(most, 5);
        axes.most[c] = ceil(most * 1.04 / axes.tick[c]) * axes.tick[c];
    }
    return axes;
}

static double page_x(const struct axes *axes, double x)
{
    return LEFT + (log2(x) - axes->x_first) / (axes->x_last - axes->x_first) * (WIDTH - LEFT - RIGHT);
}

static double page_y(const struct axes *axes, guint curve, double y)
{
    return HEIGHT - BOTTOM - y / axes->most[curve] * (HEIGHT - TOP - BOTTOM);
}

/* `align`: 0 begins at x, 0.5 is centred on it, 1 ends there. Returns the width. */
static double show_text(cairo_t *cr, const char *text, double x, double y, double align)
{
    cairo_text_extents_t extents;
    cairo_text_extents(cr, text, &extents);
    cairo_move_to(cr, x - align * extents.x_advance, y);
    cairo_show_text(cr, text);
    cairo_new_path(cr); /* else the end of the text is where the next arc is joined to */
    return extents.x_advance;
}

static void show_rotated(cairo_t *cr, const char *text, double x, double y)
{
    cairo_save(cr);
    cairo_translate(cr, x, y);
    cairo_rotate(cr, -G_PI_2);
    show_text(cr, text, 0, 0, 0.5);
    cairo_restore(cr);
}

static void line(cairo_t *cr, double x0, double y0, double x1, double y1)
{
    cairo_move_to(cr, x0, y0);
    cairo_line_to(cr, x1, y1);
    cairo_stroke(cr);
}

static void draw_y_axis(cairo_t *cr, const struct plot *plot, const struct axes *axes, guint curve)
{
    double tick = axes->tick[curve], at = curve == 0 ? LEFT : WIDTH - RIGHT;
    guint ticks = (guint)(axes->most[curve] / tick + 0.5);
    int decimals = tick >= 1 ? 0 : (int)ceil(-log10(tick) - 1e-9);
    for (guint i = 0; i <= ticks; i++) {
        char text[32];
        double y = page_y(axes, curve, i * tick);
        set_color(cr, faint);
        if (curve == 0)
            line(cr, LEFT, y, WIDTH - RIGHT, y);
        set_color(cr, curve_colors[curve]);
        line(cr, at, y, at + (curve == 0 ? -5 : 5), y);
        g_snprintf(text, sizeof(text), "%.*f", MIN(decimals, 9), i * tick);
        show_text(cr, text, at + (curve == 0 ? -9 : 9), y + TEXT * 0.35, curve == 0 ? 1 : 0);
    }
    line(cr, at, TOP, at, HEIGHT - BOTTOM);
    show_rotated(cr, plot->curves[curve].name, curve == 0 ? TEXT * 1.4 : WIDTH - TEXT * 0.7,
                 (TOP + HEIGHT - BOTTOM) / 2.0);
}

static gboolean is_power_of_two(double x)
{
    return floor(log2(x)) == log2(x);
}

/* A tick at every point, and its number; of many points, those that are powers of two. */
static void draw_x_axis(cairo_t *cr, const struct plot *plot, const struct axes *axes)
{
    double y = HEIGHT - BOTTOM;
    set_color(cr, ink);
    line(cr, LEFT, y, WIDTH - RIGHT, y);
    for (guint i = 0; i < plot->count; i++) {
        char text[32];
        double x = page_x(axes, plot->x[i]);
        line(cr, x, y, x, y + 5);
        g_snprintf(text, sizeof(text), "%g", plot->x[i]);
        if (plot->count <= 8 || is_power_of_two(plot->x[i]))
            show_text(cr, text, x, y + TEXT * 1.5, 0.5);
    }
    show_text(cr, plot->x_name, (LEFT + WIDTH - RIGHT) / 2.0, y + TEXT * 2.9, 0.5);
}

static void draw_limit(cairo_t *cr, const struct plot *plot, const struct axes *axes)
{
    static const double dashes[] = {6, 4};
    double y = page_y(axes, 0, plot->limit);
    if (!(plot->limit > 0))
        return;
    cairo_set_dash(cr, dashes, 2, 0);
    set_color(cr, limit_color);
    line(cr, LEFT, y, WIDTH - RIGHT, y);
    cairo_set_dash(cr, NULL, 0, 0);
}

static void draw_curve(cairo_t *cr, const struct plot *plot, const struct axes *axes, guint curve)
{
    const double *y = plot->curves[curve].y;
    set_color(cr, curve_colors[curve]);
    cairo_set_line_width(cr, 2);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    for (guint i = 0; i < plot->count; i++)
        cairo_line_to(cr, page_x(axes, plot->x[i]), page_y(axes, curve, y[i]));
    cairo_stroke(cr);
    for (guint i = 0; i < plot->count; i++) {
        cairo_arc(cr, page_x(axes, plot->x[i]), page_y(axes, curve, y[i]), 3, 0, 2 * G_PI);
        cairo_fill(cr);
    }
    cairo_set_line_width(cr, 1);
}

/* A ring around the point and a line down to its number. Two marks of one point: rings of two sizes. */
static void draw_mark(cairo_t *cr, const struct plot *plot, const struct axes *axes, guint index)
{
    static const double dashes[] = {2, 3};
    const struct plot_mark *mark = &plot->marks[index];
    double x = page_x(axes, plot->x[mark->point]);
    double y = page_y(axes, mark->curve, plot->curves[mark->curve].y[mark->point]);
    set_color(cr, mark_colors[index]);
    cairo_set_dash(cr, dashes, 2, 0);
    line(cr, x, y + 7, x, HEIGHT - BOTTOM);
    cairo_set_dash(cr, NULL, 0, 0);
    cairo_set_line_width(cr, 2);
    cairo_arc(cr, x, y, 7 + 3 * index, 0, 2 * G_PI);
    cairo_stroke(cr);
    cairo_set_line_width(cr, 1);
}

enum symbol { SYMBOL_CURVE, SYMBOL_MARK, SYMBOL_LIMIT };

static double legend_entry(cairo_t *cr, enum symbol symbol, struct color color, const char *text, double x,
                           double y)
{
    static const double dashes[] = {6, 4};
    double middle = y - TEXT * 0.33;
    set_color(cr, color);
    cairo_set_line_width(cr, 2);
    if (symbol == SYMBOL_LIMIT)
        cairo_set_dash(cr, dashes, 2, 0);
    if (symbol == SYMBOL_MARK) {
        cairo_arc(cr, x + 11, middle, 6, 0, 2 * G_PI);
        cairo_stroke(cr);
    } else {
        line(cr, x, middle, x + 22, middle);
    }
    cairo_set_dash(cr, NULL, 0, 0);
    cairo_set_line_width(cr, 1);
    if (symbol == SYMBOL_CURVE) {
        cairo_arc(cr, x + 11, middle, 3, 0, 2 * G_PI);
        cairo_fill(cr);
    }
    set_color(cr, ink);
    return x + 28 + show_text(cr, text, x + 28, y, 0) + 24;
}

/* Two lines below the axis: the curves and the limit, and the marks. */
static void draw_legend(cairo_t *cr, const struct plot *plot)
{
    double x = LEFT, y = HEIGHT - BOTTOM + TEXT * 5.1;
    for (guint c = 0; c < plot->curve_count; c++)
        x = legend_entry(cr, SYMBOL_CURVE, curve_colors[c], plot->curves[c].name, x, y);
    if (plot->limit > 0)
        legend_entry(cr, SYMBOL_LIMIT, limit_color, plot->limit_name, x, y);
    x = LEFT;
    for (guint i = 0; i < plot->mark_count; i++)
        x = legend_entry(cr, SYMBOL_MARK, mark_colors[i], plot->marks[i].text, x, y + TEXT * 1.8);
}

/* Names of files and devices may be long. */
static void draw_title(cairo_t *cr, const char *title)
{
    cairo_text_extents_t extents;
    double size = TEXT * 1.15;
    cairo_set_font_size(cr, size);
    cairo_text_extents(cr, title, &extents);
    cairo_set_font_size(cr, size * MIN(1, (WIDTH - 2 * TEXT) / MAX(extents.x_advance, 1)));
    set_color(cr, ink);
    show_text(cr, title, WIDTH / 2.0, TOP - TEXT * 1.3, 0.5);
}

static void draw(cairo_t *cr, const struct plot *plot)
{
    struct axes axes = measure(plot);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_set_line_width(cr, 1);
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    draw_title(cr, plot->title);
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, TEXT);
    for (guint c = 0; c < plot->curve_count; c++)
        draw_y_axis(cr, plot, &axes, c);
    draw_x_axis(cr, plot, &axes);
    draw_limit(cr, plot, &axes);
    for (guint c = 0; c < plot->curve_count; c++)
        draw_curve(cr, plot, &axes, c);
    for (guint i = 0; i < plot->mark_count; i++)
        draw_mark(cr, plot, &axes, i);
    draw_legend(cr, plot);
}

static gboolean has_ending(const char *path, const char *ending)
{
    size_t length = strlen(path), size = strlen(ending);
    return length > size && g_ascii_strcasecmp(path + length - size, ending) == 0;
}

gboolean plot_can_write(const char *path)
{
    return has_ending(path, ".svg") || has_ending(path, ".png");
}

static cairo_status_t append(void *closure, const unsigned char *data, unsigned length)
{
    g_byte_array_append(closure, data, length);
    return CAIRO_STATUS_SUCCESS;
}

gboolean plot_write(const struct plot *plot, const char *path, GError **error)
{
    gboolean svg = has_ending(path, ".svg");
    GByteArray *file = g_byte_array_new();
    cairo_surface_t *surface = svg ? cairo_svg_surface_create_for_stream(append, file, WIDTH, HEIGHT)
                                   : cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH * 2, HEIGHT * 2);
    cairo_t *cr = cairo_create(surface);
    if (!svg) /* sharp on every screen */
        cairo_scale(cr, 2, 2);
    draw(cr, plot);
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
