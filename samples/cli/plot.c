/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plot.h"

#include <math.h>

#include "chart.h"

#define WIDTH  800
#define HEIGHT 480
#define LEFT   76
#define RIGHT  76
#define TOP    44
#define BOTTOM 108
#define TEXT   CHART_TEXT

static const struct chart_color mark_colors[PLOT_MAX_MARKS] = {
    {0.85, 0.33, 0.05}, {0.48, 0.20, 0.68}, {0.13, 0.14, 0.17}, {0.70, 0.10, 0.40}};

/* Where data is on the page. */
struct axes {
    double x_first, x_last; /* base 2 logarithms */
    double most[2], tick[2];
};

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
        axes.tick[c] = chart_tick(most, 5);
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

static void draw_y_axis(cairo_t *cr, const struct plot *plot, const struct axes *axes, guint curve)
{
    double tick = axes->tick[curve], at = curve == 0 ? LEFT : WIDTH - RIGHT;
    guint ticks = (guint)(axes->most[curve] / tick + 0.5);
    int decimals = tick >= 1 ? 0 : (int)ceil(-log10(tick) - 1e-9);
    for (guint i = 0; i <= ticks; i++) {
        char text[32];
        double y = page_y(axes, curve, i * tick);
        chart_set_color(cr, chart_faint);
        if (curve == 0)
            chart_line(cr, LEFT, y, WIDTH - RIGHT, y);
        chart_set_color(cr, chart_colors[curve]);
        chart_line(cr, at, y, at + (curve == 0 ? -5 : 5), y);
        g_snprintf(text, sizeof(text), "%.*f", MIN(decimals, 9), i * tick);
        chart_text(cr, text, at + (curve == 0 ? -9 : 9), y + TEXT * 0.35, curve == 0 ? 1 : 0);
    }
    chart_line(cr, at, TOP, at, HEIGHT - BOTTOM);
    chart_text_rotated(cr, plot->curves[curve].name, curve == 0 ? TEXT * 1.4 : WIDTH - TEXT * 0.7,
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
    chart_set_color(cr, chart_ink);
    chart_line(cr, LEFT, y, WIDTH - RIGHT, y);
    for (guint i = 0; i < plot->count; i++) {
        char text[32];
        double x = page_x(axes, plot->x[i]);
        chart_line(cr, x, y, x, y + 5);
        g_snprintf(text, sizeof(text), "%g", plot->x[i]);
        if (plot->count <= 8 || is_power_of_two(plot->x[i]))
            chart_text(cr, text, x, y + TEXT * 1.5, 0.5);
    }
    chart_text(cr, plot->x_name, (LEFT + WIDTH - RIGHT) / 2.0, y + TEXT * 2.9, 0.5);
}

static void draw_limit(cairo_t *cr, const struct plot *plot, const struct axes *axes)
{
    static const double dashes[] = {6, 4};
    double y = page_y(axes, 0, plot->limit);
    if (!(plot->limit > 0))
        return;
    cairo_set_dash(cr, dashes, 2, 0);
    chart_set_color(cr, chart_red);
    chart_line(cr, LEFT, y, WIDTH - RIGHT, y);
    cairo_set_dash(cr, NULL, 0, 0);
}

static void draw_curve(cairo_t *cr, const struct plot *plot, const struct axes *axes, guint curve)
{
    const double *y = plot->curves[curve].y;
    chart_set_color(cr, chart_colors[curve]);
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
    chart_set_color(cr, mark_colors[index]);
    cairo_set_dash(cr, dashes, 2, 0);
    chart_line(cr, x, y + 7, x, HEIGHT - BOTTOM);
    cairo_set_dash(cr, NULL, 0, 0);
    cairo_set_line_width(cr, 2);
    cairo_arc(cr, x, y, 7 + 3 * index, 0, 2 * G_PI);
    cairo_stroke(cr);
    cairo_set_line_width(cr, 1);
}

enum symbol { SYMBOL_CURVE, SYMBOL_MARK, SYMBOL_LIMIT };

static double legend_entry(cairo_t *cr, enum symbol symbol, struct chart_color color, const char *text, double x,
                           double y)
{
    static const double dashes[] = {6, 4};
    double middle = y - TEXT * 0.33;
    chart_set_color(cr, color);
    cairo_set_line_width(cr, 2);
    if (symbol == SYMBOL_LIMIT)
        cairo_set_dash(cr, dashes, 2, 0);
    if (symbol == SYMBOL_MARK) {
        cairo_arc(cr, x + 11, middle, 6, 0, 2 * G_PI);
        cairo_stroke(cr);
    } else {
        chart_line(cr, x, middle, x + 22, middle);
    }
    cairo_set_dash(cr, NULL, 0, 0);
    cairo_set_line_width(cr, 1);
    if (symbol == SYMBOL_CURVE) {
        cairo_arc(cr, x + 11, middle, 3, 0, 2 * G_PI);
        cairo_fill(cr);
    }
    chart_set_color(cr, chart_ink);
    return x + 28 + chart_text(cr, text, x + 28, y, 0) + 24;
}

/* Two lines below the axis: the curves and the limit, and the marks. */
static void draw_legend(cairo_t *cr, const struct plot *plot)
{
    double x = LEFT, y = HEIGHT - BOTTOM + TEXT * 5.1;
    for (guint c = 0; c < plot->curve_count; c++)
        x = legend_entry(cr, SYMBOL_CURVE, chart_colors[c], plot->curves[c].name, x, y);
    if (plot->limit > 0)
        legend_entry(cr, SYMBOL_LIMIT, chart_red, plot->limit_name, x, y);
    x = LEFT;
    for (guint i = 0; i < plot->mark_count; i++)
        x = legend_entry(cr, SYMBOL_MARK, mark_colors[i], plot->marks[i].text, x, y + TEXT * 1.8);
}

static void draw(cairo_t *cr, const void *data)
{
    const struct plot *plot = data;
    struct axes axes = measure(plot);
    chart_title(cr, plot->title, WIDTH, TOP - TEXT * 1.3);
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

gboolean plot_write(const struct plot *plot, const char *path, GError **error)
{
    return chart_write(path, WIDTH, HEIGHT, draw, plot, error);
}
