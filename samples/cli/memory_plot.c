/* The arena over time: a rectangle for each block, from the step in which it is written to the one that reads
 * it last. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "chart.h"
#include "inspect_memory.h"
#include "table.h"

#define WIDTH  1040
#define HEIGHT 640
#define LEFT   92
#define RIGHT  (WIDTH - 28)
#define TOP    52
#define BOTTOM 112
#define SMALL  (CHART_TEXT * 0.75)

enum { KIND_TENSOR, KIND_INPUT, KIND_OUTPUT, KIND_CONSTANT, KIND_SCRATCH, KIND_COUNT };

struct page {
    const struct inspect_memory *memory;
    const char *title;
    double most; /* bytes at the top */
};

static const char *const kind_names[KIND_COUNT] = {"tensor", "input", "output", "constant", "scratch"};

static int kind_of(const struct page *page, const struct shk_memory_block *block)
{
    const char *name = inspect_memory_kind(page->memory, block);
    for (int kind = 1; kind < KIND_COUNT; kind++)
        if (strcmp(name, kind_names[kind]) == 0)
            return kind;
    return KIND_TENSOR;
}

static double page_x(const struct page *page, double step)
{
    return LEFT + step / page->memory->step_count * (RIGHT - LEFT);
}

static double page_y(const struct page *page, double bytes)
{
    return HEIGHT - BOTTOM - bytes / page->most * (HEIGHT - TOP - BOTTOM);
}

static void draw_y_axis(cairo_t *cr, const struct page *page)
{
    gboolean mega = page->most >= 4e6;
    double unit = mega ? 1048576 : 1024, tick = chart_tick(page->most / unit, 8) * unit;
    for (double bytes = 0; bytes <= page->most; bytes += tick) {
        char text[32];
        double y = page_y(page, bytes);
        chart_set_color(cr, chart_faint);
        chart_line(cr, LEFT, y, RIGHT, y);
        chart_set_color(cr, chart_ink);
        g_snprintf(text, sizeof(text), "%.4g", bytes / unit);
        chart_text(cr, text, LEFT - 7, y + CHART_TEXT * 0.35, 1);
    }
    chart_text_rotated(cr, mega ? "arena, MiB" : "arena, KiB", CHART_TEXT * 1.8,
                       (TOP + HEIGHT - BOTTOM) / 2.0);
}

static void draw_x_axis(cairo_t *cr, const struct page *page)
{
    uint32_t ops = page->memory->step_count - 2;
    uint32_t tick = MAX(1, (uint32_t)chart_tick(MAX(ops, 1), 16));
    double y = HEIGHT - BOTTOM;
    chart_set_color(cr, chart_ink);
    chart_line(cr, LEFT, y, RIGHT, y);
    for (uint32_t op = 0; op < ops; op += tick) {
        char text[16];
        double x = page_x(page, op + 1.5);
        chart_line(cr, x, y, x, y + 4);
        g_snprintf(text, sizeof(text), "%u", op);
        chart_text(cr, text, x, y + CHART_TEXT * 1.5, 0.5);
    }
    chart_text(cr,
               "ops in the order in which they run; inputs are written before them, outputs read after them",
               (LEFT + RIGHT) / 2.0, y + CHART_TEXT * 2.9, 0.5);
}

/* The name in the middle, upwards where that gives it more room; its end, which says more than its beginning,
 * where that is too little for all of it. */
static void draw_name(cairo_t *cr, const struct page *page, const struct shk_memory_block *block, double x,
                      double y, double width, double height)
{
    double room = MAX(width, height) - 6;
    if (MIN(width, height) < SMALL * 1.2)
        return;
    char *name = inspect_memory_name(page->memory, block);
    const char *end = name;
    while (*end && chart_text_width(cr, end) > room)
        end = g_utf8_next_char(end);
    if (end == name || g_utf8_strlen(end, -1) >= 8) {
        if (width >= height)
            chart_text(cr, end, x + width / 2, y + height / 2 + SMALL * 0.35, 0.5);
        else
            chart_text_rotated(cr, end, x + width / 2 + SMALL * 0.35, y + height / 2);
    }
    g_free(name);
}

static void draw_block(cairo_t *cr, const struct page *page, const struct shk_memory_block *block)
{
    struct chart_color color = chart_colors[kind_of(page, block)];
    double x = page_x(page, block->first), width = page_x(page, block->last + 1) - x;
    double y = page_y(page, (double)(block->offset + block->bytes)),
           height = page_y(page, (double)block->offset) - y;
    cairo_rectangle(cr, x, y, width, height);
    cairo_set_source_rgba(cr, color.red, color.green, color.blue, 0.3);
    cairo_fill_preserve(cr);
    chart_set_color(cr, color);
    cairo_set_line_width(cr, 0.6);
    cairo_stroke(cr);
    chart_set_color(cr, chart_ink);
    draw_name(cr, page, block, x, y, width, height);
}

/* How much is alive in each step, and where the arena could end at best and does end. */
static void draw_bounds(cairo_t *cr, const struct page *page)
{
    const struct inspect_memory *m = page->memory;
    double bound = page_y(page, (double)m->report.lower_bound),
           peak = page_y(page, (double)m->report.arena_peak);
    chart_set_color(cr, chart_ink);
    cairo_set_line_width(cr, 1.2);
    for (uint32_t step = 0; step < m->step_count; step++) {
        double y = page_y(page, (double)m->alive[step]);
        cairo_line_to(cr, page_x(page, step), y);
        cairo_line_to(cr, page_x(page, step + 1), y);
    }
    cairo_stroke(cr);
    cairo_set_line_width(cr, 2);
    chart_set_color(cr, chart_red);
    chart_line(cr, LEFT, peak, RIGHT, peak);
    chart_set_color(cr, chart_ink);
    chart_dashed_line(cr, LEFT, bound, RIGHT, bound);
    double at = page_x(page, m->fullest + 0.5);
    cairo_arc(cr, at, bound, 5, 0, 2 * G_PI);
    cairo_stroke(cr);
    cairo_set_line_width(cr, 1);
}

static void draw_legend(cairo_t *cr, const struct page *page)
{
    const struct inspect_memory *m = page->memory;
    double x = LEFT, y = HEIGHT - BOTTOM + CHART_TEXT * 4.7;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct chart_color color = chart_colors[kind];
        cairo_rectangle(cr, x, y - CHART_TEXT * 0.8, 14, CHART_TEXT * 0.8);
        cairo_set_source_rgba(cr, color.red, color.green, color.blue, 0.3);
        cairo_fill_preserve(cr);
        chart_set_color(cr, color);
        cairo_stroke(cr);
        chart_set_color(cr, chart_ink);
        x += 20 + chart_text(cr, kind_names[kind], x + 20, y, 0) + 22;
    }
    char *step = inspect_memory_step(m, m->fullest);
    char *peak = g_strdup_printf("peak %" G_GUINT64_FORMAT " bytes", m->report.arena_peak);
    char *bound = g_strdup_printf("lower bound %" G_GUINT64_FORMAT " bytes: what is alive (black line) in %s",
                                  m->report.lower_bound, step);
    y += CHART_TEXT * 1.8;
    x = LEFT;
    cairo_set_line_width(cr, 2);
    chart_set_color(cr, chart_red);
    chart_line(cr, x, y - CHART_TEXT * 0.33, x + 22, y - CHART_TEXT * 0.33);
    chart_set_color(cr, chart_ink);
    x += 28 + chart_text(cr, peak, x + 28, y, 0) + 24;
    chart_dashed_line(cr, x, y - CHART_TEXT * 0.33, x + 22, y - CHART_TEXT * 0.33);
    chart_text(cr, bound, x + 28, y, 0);
    cairo_set_line_width(cr, 1);
    g_free(step);
    g_free(peak);
    g_free(bound);
}

static void draw(cairo_t *cr, const void *data)
{
    const struct page *page = data;
    chart_title(cr, page->title, WIDTH, TOP - CHART_TEXT * 1.6);
    draw_y_axis(cr, page);
    cairo_set_font_size(cr, SMALL);
    for (uint32_t i = 0; i < page->memory->block_count; i++)
        draw_block(cr, page, &page->memory->blocks[i]);
    cairo_set_font_size(cr, CHART_TEXT);
    draw_x_axis(cr, page);
    draw_bounds(cr, page);
    draw_legend(cr, page);
}

int inspect_memory_plot(const struct inspect_memory *memory, const char *path)
{
    char *name = g_path_get_basename(shk_model_name(memory->model));
    char *raw_title = g_strdup_printf("%s: memory of activations", name), *title = table_printable(raw_title);
    const struct page page = {memory, title, MAX((double)memory->report.arena_peak, 1) * 1.04};
    GError *error = NULL;
    int code = CLI_OK;
    if (!chart_write(path, WIDTH, HEIGHT, draw, &page, &error))
        code = cli_fail_gerror(CLI_FAILED, error);
    g_free(name);
    g_free(raw_title);
    g_free(title);
    return code;
}
