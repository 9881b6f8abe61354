/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay_histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "overlay_panel.h"
#include "shrike_meta.h"

#define MAX_BARS 48

static const struct mark {
    guint percent;
    const char *name;
    struct overlay_color color;
} marks[] = {
    {50, "p50", {0.20, 0.84, 0.50}}, {95, "p95", {1.00, 0.75, 0.18}}, {99, "p99", {1.00, 0.48, 0.42}}};

void overlay_histogram_add(struct overlay_histogram *histogram, const GstStructure *fields)
{
    guint64 total;
    if (gst_structure_get_uint64(fields, "total-duration", &total))
        histogram->totals[histogram->frames++ % OVERLAY_HISTOGRAM_WINDOW] = total;
}

/* ---- Numbers ---- */

static int compare(const void *a, const void *b)
{
    guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
    return (x > y) - (x < y);
}

/* Nearest rank, as everywhere. */
static guint64 percentile(const guint64 *sorted, gsize count, guint percent)
{
    return sorted[(count * percent + 99) / 100 - 1];
}

/* 1, 2 or 5 times a power of ten, `at_least` or more. */
static guint64 round_step(guint64 at_least)
{
    guint64 step = 1000;
    for (guint i = 0; step < at_least && step < G_MAXUINT64 / 8; i++)
        step = i % 3 == 1 ? step / 2 * 5 : step * 2;
    return step;
}

/* From a little below the fastest frame to a little above p99. Ends are multiples of an eighth of that,
 * rounded up, and so stay where they are most of the time. */
void overlay_histogram_range(const guint64 *sorted, gsize count, guint64 *low, guint64 *high)
{
    guint64 first = sorted[0], last = percentile(sorted, count, 99);
    guint64 step = round_step(MAX((last - first) / 8, MAX(last / 100, 1)));
    *low = first / step * step;
    *high = last < G_MAXUINT64 - step ? (last / step + 1) * step : G_MAXUINT64;
}

struct bars {
    guint64 low, high;
    guint counts[MAX_BARS], used, largest;
};

static void fill(struct bars *bars, const guint64 *sorted, gsize count)
{
    overlay_histogram_range(sorted, count, &bars->low, &bars->high);
    for (gsize i = 0; i < count; i++) {
        double at = (double)(sorted[i] - bars->low) / (double)(bars->high - bars->low) * bars->used;
        guint *bar = &bars->counts[(guint)MIN(at, bars->used - 1)];
        bars->largest = MAX(bars->largest, ++*bar);
    }
}

/* ---- Drawing ---- */

struct layout {
    double size, row, padding;
    double width, height;
    double left, top, chart_width, chart_height; /* of the bars */
};

static struct layout measure(guint frame_width, guint frame_height)
{
    struct layout at = {0};
    at.size = overlay_panel_text_size(frame_width, frame_height);
    at.row = ceil(at.size * 1.38);
    at.padding = ceil(at.size * 0.75);
    at.width = ceil(at.size * OVERLAY_PANEL_EMS);
    at.left = at.padding;
    at.chart_width = at.width - 2 * at.padding;
    at.top = at.padding * 0.6 + at.row * 2.15;
    at.chart_height = ceil(at.size * 3.6);
    at.height = ceil(at.top + at.chart_height + at.row + at.padding * 0.7);
    return at;
}

static void draw_bars(cairo_t *cairo, const struct layout *at, const struct bars *bars)
{
    double width = at->chart_width / bars->used, bottom = at->top + at->chart_height;
    cairo_set_source_rgba(cairo, 0.38, 0.76, 1.00, 0.9);
    for (guint i = 0; i < bars->used; i++) {
        /* one frame of five hundred is still to be seen */
        double height = MAX(at->chart_height * bars->counts[i] / bars->largest, bars->counts[i] ? 1.5 : 0);
        cairo_rectangle(cairo, at->left + i * width, bottom - height, MAX(width - 1, 1), height);
    }
    cairo_fill(cairo);
    cairo_set_source_rgba(cairo, 1, 1, 1, 0.35);
    cairo_rectangle(cairo, at->left, bottom, at->chart_width, 1);
    cairo_fill(cairo);
}

static void draw_marks(cairo_t *cairo, struct overlay_text *text, const struct layout *at,
                       const struct bars *bars, const guint64 *sorted, gsize count)
{
    double right = at->left + at->chart_width, column = at->size * 3.5, y = at->padding * 0.6;
    for (gint i = G_N_ELEMENTS(marks) - 1; i >= 0; i--, right -= column) {
        const struct overlay_color *color = &marks[i].color;
        guint64 value = percentile(sorted, count, marks[i].percent);
        double share = (double)(value - bars->low) / (double)(bars->high - bars->low);
        char number[16];
        overlay_milliseconds(number, sizeof(number), value);
        cairo_set_source_rgb(cairo, color->red, color->green, color->blue);
        cairo_rectangle(cairo, at->left + share * at->chart_width - 0.75, at->top, 1.5, at->chart_height);
        cairo_fill(cairo);
        overlay_show_text(cairo, text, marks[i].name, right - column, y, column, PANGO_ALIGN_RIGHT);
        overlay_show_text(cairo, text, number, right - column, y + at->row, column, PANGO_ALIGN_RIGHT);
    }
}

static void draw_words(cairo_t *cairo, struct overlay_text *text, const struct layout *at,
                       const struct bars *bars, gsize count)
{
    char low[16], high[16], frames[16];
    double bottom = at->top + at->chart_height + at->row * 0.1, y = at->padding * 0.6;
    overlay_milliseconds(low, sizeof(low), bars->low);
    overlay_milliseconds(high, sizeof(high), bars->high);
    g_snprintf(frames, sizeof(frames), "of %u", (guint)count);
    cairo_set_source_rgba(cairo, 1, 1, 1, 0.7);
    overlay_show_text(cairo, text, "total ms", at->left, y, at->chart_width, PANGO_ALIGN_LEFT);
    overlay_show_text(cairo, text, frames, at->left, y + at->row, at->chart_width, PANGO_ALIGN_LEFT);
    overlay_show_text(cairo, text, low, at->left, bottom, at->chart_width, PANGO_ALIGN_LEFT);
    overlay_show_text(cairo, text, high, at->left, bottom, at->chart_width, PANGO_ALIGN_RIGHT);
}

static void draw(struct overlay_histogram *histogram, struct overlay_text *text, const struct layout *at)
{
    guint64 sorted[OVERLAY_HISTOGRAM_WINDOW];
    gsize count = MIN(histogram->frames, OVERLAY_HISTOGRAM_WINDOW);
    struct bars bars = {.used = (guint)CLAMP(at->chart_width / 4, 8, MAX_BARS)};
    cairo_t *cairo = histogram->canvas.cairo;
    memcpy(sorted, histogram->totals, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare);
    fill(&bars, sorted, count);
    overlay_text_set_size(text, at->size);
    overlay_panel_background(cairo, at->width, at->height, at->size);
    draw_bars(cairo, at, &bars);
    draw_marks(cairo, text, at, &bars, sorted, count);
    draw_words(cairo, text, at, &bars, count);
}

/* FALSE: it fits nowhere without covering most of the frame, or the panel. */
static gboolean place(const struct layout *at, GstVideoOverlayRectangle *panel, guint frame_width,
                      guint frame_height, gint *x, gint *y)
{
    double margin = floor(at->padding * 0.8);
    gint panel_x = 0, panel_y = 0;
    guint panel_width = 0, panel_height = 0;
    if (at->width > frame_width * 0.6 || at->height > frame_height * 0.5)
        return FALSE;
    *x = (gint)(frame_width - at->width - margin);
    *y = (gint)margin;
    if (!panel)
        return TRUE;
    gst_video_overlay_rectangle_get_render_rectangle(panel, &panel_x, &panel_y, &panel_width, &panel_height);
    *y = panel_y + (gint)panel_height + (gint)margin;
    if (*y + at->height + margin <= frame_height)
        return TRUE;
    *x = (gint)margin;
    *y = (gint)(frame_height - at->height - margin);
    return margin + at->width <= panel_x;
}

GstVideoOverlayRectangle *overlay_histogram_get(struct overlay_histogram *histogram,
                                                struct overlay_text *text, GstVideoOverlayRectangle *panel,
                                                guint frame_width, guint frame_height, gint64 now)
{
    struct layout at = measure(frame_width, frame_height);
    gint x, y;
    gboolean same = histogram->drawn_width == frame_width && histogram->drawn_height == frame_height &&
                    histogram->drawn_below == (panel != NULL);
    if (histogram->rectangle && same && now - histogram->drawn_at < OVERLAY_REDRAW_INTERVAL)
        return histogram->rectangle;
    g_clear_pointer(&histogram->rectangle, gst_video_overlay_rectangle_unref);
    if (histogram->frames == 0 || !place(&at, panel, frame_width, frame_height, &x, &y))
        return NULL;
    histogram->drawn_at = now;
    histogram->drawn_width = frame_width;
    histogram->drawn_height = frame_height;
    histogram->drawn_below = panel != NULL;
    if (!overlay_canvas_begin(&histogram->canvas, (guint)at.width, (guint)at.height))
        return NULL;
    draw(histogram, text, &at);
    histogram->rectangle = overlay_canvas_end(&histogram->canvas, x, y);
    return histogram->rectangle;
}

void overlay_histogram_clear(struct overlay_histogram *histogram)
{
    g_clear_pointer(&histogram->rectangle, gst_video_overlay_rectangle_unref);
    overlay_canvas_clear(&histogram->canvas);
    memset(histogram, 0, sizeof(*histogram));
}
