/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "roofline.h"

#include <math.h>
#include <string.h>

#include "chart.h"

#define WIDTH  1040
#define HEIGHT 640
#define TOP    52
#define BOTTOM 118
/* Ops that multiply nothing are in a panel of their own on the left. */
#define SIDE_LEFT  82
#define SIDE_RIGHT 232
#define LEFT       326
#define RIGHT      (WIDTH - 28)
#define LABEL      (CHART_TEXT * 0.75)

/* A logarithmic axis: from `first` at `page_first` to `last` at `page_last`. */
struct axis {
    double first, last; /* powers of ten, as exponents */
    double page_first, page_last;
};

struct page {
    const struct roofline *roofline;
    struct axis x, y, side; /* MAC per byte, MAC/s, bytes/s */
    double seconds;         /* of all points */
    const char *groups[CHART_COLORS];
    guint group_count; /* what comes after that many has the last one's colour */
    GArray *taken;     /* rectangles that labels are not to cover */
};

static double place(const struct axis *axis, double value)
{
    double at = (log10(value) - axis->first) / (axis->last - axis->first);
    return axis->page_first + at * (axis->page_last - axis->page_first);
}

static double intensity(const struct roofline_point *point)
{
    return point->macs / point->bytes;
}

static void widen(struct axis *axis, double value)
{
    if (!(value > 0) || !isfinite(value))
        return;
    axis->first = MIN(axis->first, floor(log10(value)));
    axis->last = MAX(axis->last, ceil(log10(value) + 0.05));
}

/* Whole powers of ten around everything that is shown. */
static void fit(struct page *page)
{
    const struct roofline *r = page->roofline;
    const struct shk_ceiling *c = r->ceiling;
    double most = c->macs_per_second[c->mac_way];
    page->x = (struct axis){INFINITY, -INFINITY, LEFT, RIGHT};
    page->y = (struct axis){INFINITY, -INFINITY, HEIGHT - BOTTOM, TOP};
    page->side = (struct axis){INFINITY, -INFINITY, HEIGHT - BOTTOM, TOP};
    widen(&page->x, most / c->copy_bytes_per_second * 3); /* both ridges */
    widen(&page->x, most / c->cached_bytes_per_second / 3);
    widen(&page->y, most * 1.2);
    widen(&page->y, most / 10);
    widen(&page->side, c->copy_bytes_per_second * 1.2);
    widen(&page->side, c->cached_bytes_per_second * 1.2);
    widen(&page->side, c->copy_bytes_per_second / 10);
    for (guint i = 0; i < r->count; i++) {
        const struct roofline_point *point = &r->points[i];
        page->seconds += point->seconds;
        widen(&page->side, point->macs > 0 ? 0 : point->bytes / point->seconds);
        widen(&page->x, intensity(point));
        widen(&page->y, point->macs / point->seconds);
    }
}

static guint group_of(struct page *page, const char *name)
{
    for (guint i = 0; i < page->group_count; i++)
        if (strcmp(page->groups[i], name) == 0)
            return i;
    if (page->group_count < CHART_COLORS)
        page->groups[page->group_count++] = name;
    return page->group_count - 1;
}

/* Lines at each power of ten of one of the axes. */
static void draw_grid(cairo_t *cr, const struct axis *axis, gboolean upright, double from, double to)
{
    for (int e = (int)axis->first; e <= (int)axis->last; e++) {
        double at = place(axis, pow(10, e));
        char *text = e >= -2 && e <= 3 ? g_strdup_printf("%g", pow(10, e)) : g_strdup_printf("1e%d", e);
        chart_set_color(cr, chart_faint);
        if (upright)
            chart_line(cr, at, from, at, to);
        else
            chart_line(cr, from, at, to, at);
        chart_set_color(cr, chart_ink);
        if (upright)
            chart_text(cr, text, at, from + CHART_TEXT * 1.4, 0.5);
        else
            chart_text(cr, text, from - 7, at + CHART_TEXT * 0.35, 1);
        g_free(text);
    }
}

static void draw_axes(cairo_t *cr, const struct page *page)
{
    double middle = (TOP + HEIGHT - BOTTOM) / 2.0, below = HEIGHT - BOTTOM + CHART_TEXT * 2.8;
    draw_grid(cr, &page->x, TRUE, HEIGHT - BOTTOM, TOP);
    struct axis giga = page->y;
    giga.first -= 9;
    giga.last -= 9;
    draw_grid(cr, &giga, FALSE, LEFT, RIGHT);
    giga = page->side;
    giga.first -= 9;
    giga.last -= 9;
    draw_grid(cr, &giga, FALSE, SIDE_LEFT, SIDE_RIGHT);
    chart_text(cr, "multiply-accumulates per byte of tensors read and written", (LEFT + RIGHT) / 2.0, below,
               0.5);
    chart_text(cr, "ops without", (SIDE_LEFT + SIDE_RIGHT) / 2.0, HEIGHT - BOTTOM + CHART_TEXT * 1.4, 0.5);
    chart_text(cr, "multiply-accumulates", (SIDE_LEFT + SIDE_RIGHT) / 2.0, below, 0.5);
    chart_text_rotated(cr, "GMAC/s", LEFT - CHART_TEXT * 4.2, middle);
    chart_text_rotated(cr, "GB/s", SIDE_LEFT - CHART_TEXT * 4.2, middle);
}

static void take(struct page *page, double x, double y, double width, double height)
{
    cairo_rectangle_t r = {x, y, width, height};
    g_array_append_val(page->taken, r);
}

static gboolean is_free(const struct page *page, double x, double y, double width, double height)
{
    for (guint i = 0; i < page->taken->len; i++) {
        const cairo_rectangle_t *r = &g_array_index(page->taken, cairo_rectangle_t, i);
        if (x < r->x + r->width && r->x < x + width && y < r->y + r->height && r->y < y + height)
            return FALSE;
    }
    return TRUE;
}

/* Over a level line, to the left of `x`; further left where another line is so near that it has its text
 * there. */
static void write_on_line(cairo_t *cr, struct page *page, const char *text, double x, double y)
{
    double width = chart_text_width(cr, text);
    while (!is_free(page, x - width, y - CHART_TEXT, width, CHART_TEXT * 1.3) && x - 2 * width > LEFT)
        x -= CHART_TEXT;
    chart_text(cr, text, x, y, 1);
    take(page, x - width - CHART_TEXT, y - CHART_TEXT, width + CHART_TEXT, CHART_TEXT * 1.5);
}

/* What copying allows: a diagonal up to the fastest way to multiply, and a level line in the other panel. */
static void draw_bandwidth(cairo_t *cr, struct page *page, double rate, const char *what, double above)
{
    const struct shk_ceiling *c = page->roofline->ceiling;
    double ridge = c->macs_per_second[c->mac_way] / rate;
    double low = MAX(pow(10, page->x.first), pow(10, page->y.first) / rate);
    double x0 = place(&page->x, low), y0 = place(&page->y, low * rate);
    double x1 = place(&page->x, ridge), y1 = place(&page->y, ridge * rate);
    char *text = g_strdup_printf("%s, %.3g GB/s", what, rate / 1e9);
    chart_line(cr, x0, y0, x1, y1);
    cairo_save(cr);
    cairo_translate(cr, (x0 + x1) / 2, (y0 + y1) / 2);
    cairo_rotate(cr, atan2(y1 - y0, x1 - x0));
    chart_text(cr, text, 0, above, 0.5);
    cairo_restore(cr);
    double side = place(&page->side, rate);
    chart_line(cr, SIDE_LEFT, side, SIDE_RIGHT, side);
    g_free(text);
}

static void draw_ceilings(cairo_t *cr, struct page *page)
{
    const struct shk_ceiling *c = page->roofline->ceiling;
    chart_set_color(cr, chart_red);
    cairo_set_line_width(cr, 2);
    bool cached_above = c->cached_bytes_per_second > c->copy_bytes_per_second;
    draw_bandwidth(cr, page, c->copy_bytes_per_second, "copy", cached_above ? CHART_TEXT * 1.2 : -6);
    draw_bandwidth(cr, page, c->cached_bytes_per_second, "copy within caches",
                   cached_above ? -6 : CHART_TEXT * 1.2);
    for (int way = 0; way < SHK_MAC_WAY_COUNT; way++) {
        double rate = c->macs_per_second[way], y = place(&page->y, rate);
        bool fastest = way == (int)c->mac_way;
        if (!(rate > 0) || y > HEIGHT - BOTTOM)
            continue;
        double from = fastest
                          ? place(&page->x, rate / MAX(c->copy_bytes_per_second, c->cached_bytes_per_second))
                          : RIGHT - 450;
        cairo_set_line_width(cr, fastest ? 2 : 1);
        (fastest ? chart_line : chart_dashed_line)(cr, from, y, RIGHT, y);
        char *text = g_strdup_printf("%s, %.4g GMAC/s", shk_mac_way_string(way), rate / 1e9);
        write_on_line(cr, page, text, RIGHT - 4, y - 5);
        g_free(text);
    }
    cairo_set_line_width(cr, 1);
}

static double radius(const struct page *page, const struct roofline_point *point)
{
    return 3 + 16 * sqrt(point->seconds / page->seconds);
}

static void centre(const struct page *page, const struct roofline_point *point, double *x, double *y)
{
    double order = (point->number + 0.5) / (page->roofline->points[page->roofline->count - 1].number + 1);
    *x = SIDE_LEFT + 14 + order * (SIDE_RIGHT - SIDE_LEFT - 28);
    *y = place(&page->side, point->bytes / point->seconds);
    if (point->macs > 0) {
        *x = place(&page->x, intensity(point));
        *y = place(&page->y, point->macs / point->seconds);
    }
}

/* Its number, beside it where no other one is, at growing distance, with a line from where it is not obvious;
 * on it if there is no such place. */
static void draw_label(cairo_t *cr, struct page *page, const struct roofline_point *point)
{
    double x, y;
    char text[16];
    centre(page, point, &x, &y);
    g_snprintf(text, sizeof(text), "%u", point->number);
    double width = chart_text_width(cr, text), at_x = x - width / 2, at_y = y + LABEL * 0.35;
    for (int step = 0; step < 96; step++) {
        double angle = step % 12 * G_PI / 6, distance = radius(page, point) + 7 + 7 * (step / 12);
        double left = x + cos(angle) * (distance + width / 2) - width / 2,
               base = y - sin(angle) * distance + LABEL * 0.35;
        if (!is_free(page, left, base - LABEL, width, LABEL * 1.1))
            continue;
        at_x = left;
        at_y = base;
        if (step >= 24)
            chart_line(cr, x, y, x + cos(angle) * distance, y - sin(angle) * distance);
        break;
    }
    take(page, at_x - 1, at_y - LABEL, width + 2, LABEL * 1.1);
    chart_text(cr, text, at_x, at_y, 0);
}

static void draw_points(cairo_t *cr, struct page *page)
{
    const struct roofline *r = page->roofline;
    for (guint i = 0; i < r->count; i++) {
        struct chart_color color = chart_colors[group_of(page, r->points[i].group)];
        double x, y, size = radius(page, &r->points[i]);
        centre(page, &r->points[i], &x, &y);
        cairo_set_source_rgba(cr, color.red, color.green, color.blue, 0.35);
        cairo_arc(cr, x, y, size, 0, 2 * G_PI);
        cairo_fill_preserve(cr);
        chart_set_color(cr, color);
        cairo_stroke(cr);
        take(page, x - 3, y - 3, 6, 6);
    }
    cairo_set_font_size(cr, LABEL);
    cairo_set_line_width(cr, 0.4);
    chart_set_color(cr, chart_ink);
    for (guint i = 0; i < r->count; i++)
        draw_label(cr, page, &r->points[i]);
    cairo_set_line_width(cr, 1);
    cairo_set_font_size(cr, CHART_TEXT);
}

static void draw_legend(cairo_t *cr, const struct page *page)
{
    const struct roofline *r = page->roofline;
    double x = SIDE_LEFT, y = HEIGHT - BOTTOM + CHART_TEXT * 4.8;
    gboolean more = FALSE;
    for (guint i = 0; i < r->count; i++) {
        guint g = 0;
        while (g < page->group_count && strcmp(page->groups[g], r->points[i].group) != 0)
            g++;
        more = more || g == page->group_count;
    }
    for (guint g = 0; g < page->group_count; g++) {
        chart_set_color(cr, chart_colors[g]);
        cairo_arc(cr, x + 6, y - CHART_TEXT * 0.33, 5, 0, 2 * G_PI);
        cairo_fill(cr);
        chart_set_color(cr, chart_ink);
        x += 16 + chart_text(cr, page->groups[g], x + 16, y, 0) + 22;
        if (more && g == CHART_COLORS - 1)
            chart_text(cr, "and others", x - 16, y, 0);
    }
    char *text = g_strdup_printf(
        "Numbers are those of the ops, areas their time: %.3f ms in all. An empty dispatch takes %.2f µs.",
        page->seconds * 1e3, r->ceiling->dispatch_ns / 1e3);
    chart_text(cr, text, SIDE_LEFT, y + CHART_TEXT * 1.9, 0);
    g_free(text);
}

static void draw(cairo_t *cr, const void *data)
{
    struct page page = {.roofline = data, .taken = g_array_new(FALSE, FALSE, sizeof(cairo_rectangle_t))};
    fit(&page);
    chart_title(cr, page.roofline->title, WIDTH, TOP - CHART_TEXT * 1.6);
    draw_axes(cr, &page);
    draw_ceilings(cr, &page);
    draw_points(cr, &page);
    draw_legend(cr, &page);
    g_array_unref(page.taken);
}

gboolean roofline_write(const struct roofline *roofline, const char *path, GError **error)
{
    return chart_write(path, WIDTH, HEIGHT, draw, roofline, error);
}
