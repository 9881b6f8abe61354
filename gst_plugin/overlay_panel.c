/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay_panel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shrike_meta.h"

/* The last one is drawn as the sum of the others. */
static const struct {
    const char *name;
    struct overlay_color color;
} stages[OVERLAY_PANEL_STAGES] = {
    {"queue", {0.62, 0.65, 0.70}},     {"upload", {0.38, 0.76, 1.00}},   {"preprocess", {0.65, 0.55, 1.00}},
    {"inference", {0.20, 0.84, 0.50}}, {"readback", {1.00, 0.75, 0.18}}, {"decode", {1.00, 0.48, 0.42}},
    {"total", {1.00, 1.00, 1.00}},
};
#define TOTAL (OVERLAY_PANEL_STAGES - 1)

/* FALSE where the frame did not go through the network: it has no stage times then. */
static gboolean count_status(struct overlay_panel *panel, const GstStructure *fields)
{
    const char *status = gst_structure_get_string(fields, SHRIKE_FIELD_STATUS);
    panel->has_status |= status != NULL;
    if (g_strcmp0(status, SHRIKE_STATUS_HELD) == 0)
        panel->held++;
    else if (g_strcmp0(status, SHRIKE_STATUS_PASSED) == 0)
        panel->passed++;
    else
        return TRUE;
    return FALSE;
}

void overlay_panel_add(struct overlay_panel *panel, const GstStructure *fields)
{
    guint dropped = 0;
    panel->frames++;
    gst_structure_get_uint(fields, SHRIKE_FIELD_DROPPED, &dropped);
    panel->dropped += dropped;
    const char *device = gst_structure_get_string(fields, SHRIKE_FIELD_DEVICE);
    if (device)
        g_strlcpy(panel->device, device, sizeof(panel->device));
    if (!count_status(panel, fields))
        return;
    gsize slot = panel->inferred++ % OVERLAY_PANEL_WINDOW;
    for (guint i = 0; i < OVERLAY_PANEL_STAGES; i++) {
        char field[32];
        g_snprintf(field, sizeof(field), "%s-duration", stages[i].name);
        panel->durations[i][slot] = 0;
        gst_structure_get_uint64(fields, field, &panel->durations[i][slot]);
    }
    gst_structure_get_uint(fields, SHRIKE_FIELD_IN_FLIGHT, &panel->in_flight);
    gst_structure_get_uint(fields, SHRIKE_FIELD_BATCH_SIZE, &panel->batch_size);
}

static int compare(const void *a, const void *b)
{
    guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
    return (x > y) - (x < y);
}

static guint64 median(const struct overlay_panel *panel, guint stage)
{
    guint64 sorted[OVERLAY_PANEL_WINDOW];
    gsize count = MIN(panel->inferred, OVERLAY_PANEL_WINDOW);
    if (count == 0)
        return 0;
    memcpy(sorted, panel->durations[stage], count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare);
    return sorted[(count - 1) / 2];
}

struct panel_layout {
    double size, row, padding;
    double width, height;
    double swatch;    /* left edge of the names */
    double last, p50; /* right edges of the number columns */
};

double overlay_panel_text_size(guint frame_width, guint frame_height)
{
    return MAX(8.5, overlay_text_size_for(frame_width, frame_height) * 0.76);
}

static struct panel_layout measure(guint frame_width, guint frame_height)
{
    struct panel_layout at = {0};
    at.size = overlay_panel_text_size(frame_width, frame_height);
    at.row = ceil(at.size * 1.38);
    at.padding = ceil(at.size * 0.75);
    at.width = ceil(at.size * OVERLAY_PANEL_EMS);
    at.swatch = at.padding + at.size * 0.95;
    at.p50 = at.width - at.padding;
    at.last = at.p50 - at.size * 4.0;
    at.height = ceil(at.row * (OVERLAY_PANEL_STAGES + 4) + at.padding * 1.4);
    return at;
}

void overlay_show_text(cairo_t *cairo, struct overlay_text *text, const char *string, double x, double y,
                       double width, PangoAlignment alignment)
{
    pango_layout_set_width(text->layout, (int)(width * PANGO_SCALE));
    pango_layout_set_alignment(text->layout, alignment);
    pango_layout_set_text(text->layout, string, -1);
    cairo_move_to(cairo, x, y);
    pango_cairo_show_layout(cairo, text->layout);
    pango_layout_set_alignment(text->layout, PANGO_ALIGN_LEFT);
}

void overlay_milliseconds(char *string, gsize size, guint64 ns)
{
    double ms = (double)ns / 1e6;
    g_snprintf(string, size, ms < 9.995 ? "%.2f" : ms < 99.95 ? "%.1f" : "%.0f", ms);
}

void overlay_panel_background(cairo_t *cairo, double width, double height, double size)
{
    overlay_rounded_rectangle(cairo, 0, 0, width, height, size * 0.6);
    cairo_set_source_rgba(cairo, 0.06, 0.07, 0.09, 0.80);
    cairo_fill(cairo);
}

static void show_milliseconds(cairo_t *cairo, struct overlay_text *text, guint64 ns, double right, double y,
                              double size)
{
    char string[32];
    overlay_milliseconds(string, sizeof(string), ns);
    overlay_show_text(cairo, text, string, right - size * 4, y, size * 4, PANGO_ALIGN_RIGHT);
}

/* One bar: each stage's share of the median frame. */
static void draw_shares(cairo_t *cairo, const struct panel_layout *at, const guint64 *medians, double y)
{
    double sum = 0, x = at->padding, width = at->last - at->size * 2.6 - x, height = at->size * 0.62;
    for (guint i = 0; i < TOTAL; i++)
        sum += (double)medians[i];
    y += (at->row - height) / 2;
    cairo_save(cairo);
    overlay_rounded_rectangle(cairo, x, y, width, height, height / 2);
    cairo_clip(cairo);
    for (guint i = 0; i < TOTAL && sum > 0; i++) {
        double share = width * (double)medians[i] / sum;
        cairo_rectangle(cairo, x, y, share, height);
        cairo_set_source_rgb(cairo, stages[i].color.red, stages[i].color.green, stages[i].color.blue);
        cairo_fill(cairo);
        x += share;
    }
    cairo_restore(cairo);
}

static void draw_stage(cairo_t *cairo, struct overlay_text *text, const struct panel_layout *at, guint stage,
                       guint64 last, guint64 p50, double y)
{
    const struct overlay_color *color = &stages[stage].color;
    if (stage != TOTAL) {
        double side = at->size * 0.6;
        overlay_rounded_rectangle(cairo, at->padding, y + (at->size * 1.3 - side) / 2, side, side,
                                  side * 0.3);
        cairo_set_source_rgb(cairo, color->red, color->green, color->blue);
        cairo_fill(cairo);
    }
    cairo_set_source_rgba(cairo, 1, 1, 1, stage == TOTAL ? 1.0 : 0.86);
    overlay_show_text(cairo, text, stages[stage].name, at->swatch, y, at->last - at->swatch,
                      PANGO_ALIGN_LEFT);
    show_milliseconds(cairo, text, last, at->last, y, at->size);
    show_milliseconds(cairo, text, p50, at->p50, y, at->size);
}

/* Three digits and a letter, so that a stream of days does not push its neighbours out. */
static void show_count(cairo_t *cairo, struct overlay_text *text, const struct panel_layout *at,
                       const char *name, guint64 count, PangoAlignment alignment, double y)
{
    char string[32];
    const char *unit = count < 1000 ? "" : count < 1000000 ? "k" : "M";
    guint64 shown = count < 1000 ? count : count < 1000000 ? count / 1000 : MIN(count / 1000000, 999);
    g_snprintf(string, sizeof(string), "%s %" G_GUINT64_FORMAT "%s", name, shown, unit);
    overlay_show_text(cairo, text, string, at->padding, y, at->width - 2 * at->padding, alignment);
}

static void draw_summary(const struct overlay_panel *panel, struct overlay_text *text,
                         const struct panel_layout *at, double y)
{
    char rate[16] = "-", batch[24] = "", summary[64];
    cairo_t *cairo = panel->canvas.cairo;
    if (panel->rate > 0)
        g_snprintf(rate, sizeof(rate), panel->rate < 99.95 ? "%.1f" : "%.0f", panel->rate);
    if (panel->batch_size > 1)
        g_snprintf(batch, sizeof(batch), ", batch %u", panel->batch_size);
    g_snprintf(summary, sizeof(summary), "%s fps, %u in flight%s", rate, panel->in_flight, batch);
    overlay_show_text(cairo, text, summary, at->padding, y, at->width - 2 * at->padding, PANGO_ALIGN_LEFT);
    y += at->row;
    show_count(cairo, text, at, "drop", panel->dropped, PANGO_ALIGN_LEFT, y);
    if (!panel->has_status)
        return;
    show_count(cairo, text, at, "held", panel->held, PANGO_ALIGN_CENTER, y);
    show_count(cairo, text, at, "pass", panel->passed, PANGO_ALIGN_RIGHT, y);
}

static void draw(struct overlay_panel *panel, struct overlay_text *text, const struct panel_layout *at)
{
    cairo_t *cairo = panel->canvas.cairo;
    guint64 medians[OVERLAY_PANEL_STAGES];
    /* before the first inferred frame all stages read 0 */
    gsize newest = (MAX(panel->inferred, 1) - 1) % OVERLAY_PANEL_WINDOW;
    double y = at->padding * 0.7;
    for (guint i = 0; i < OVERLAY_PANEL_STAGES; i++)
        medians[i] = median(panel, i);
    overlay_text_set_size(text, at->size);
    overlay_panel_background(cairo, at->width, at->height, at->size);

    cairo_set_source_rgba(cairo, 1, 1, 1, 0.7);
    overlay_show_text(cairo, text, panel->device, at->padding, y, at->width - 2 * at->padding,
                      PANGO_ALIGN_LEFT);
    y += at->row;
    overlay_show_text(cairo, text, "ms", at->last - at->size * 4, y, at->size * 4, PANGO_ALIGN_RIGHT);
    overlay_show_text(cairo, text, "p50", at->p50 - at->size * 4, y, at->size * 4, PANGO_ALIGN_RIGHT);
    draw_shares(cairo, at, medians, y);
    y += at->row;
    for (guint i = 0; i < OVERLAY_PANEL_STAGES; i++, y += at->row)
        draw_stage(cairo, text, at, i, panel->durations[i][newest], medians[i], y);
    cairo_set_source_rgba(cairo, 1, 1, 1, 0.7);
    draw_summary(panel, text, at, y);
}

GstVideoOverlayRectangle *overlay_panel_get(struct overlay_panel *panel, struct overlay_text *text,
                                            guint frame_width, guint frame_height, gint64 now)
{
    gboolean same_size = panel->drawn_width == frame_width && panel->drawn_height == frame_height;
    if (panel->rectangle && same_size && now - panel->drawn_at < OVERLAY_REDRAW_INTERVAL)
        return panel->rectangle;
    struct panel_layout at = measure(frame_width, frame_height);
    double margin = floor(at.padding * 0.8);
    g_clear_pointer(&panel->rectangle, gst_video_overlay_rectangle_unref);
    if (panel->frames == 0 || at.width > frame_width * 0.6 || at.height > frame_height * 0.75)
        return NULL;
    if (panel->drawn_at && now > panel->drawn_at)
        panel->rate =
            (double)(panel->frames - panel->frames_drawn) * G_USEC_PER_SEC / (double)(now - panel->drawn_at);
    panel->frames_drawn = panel->frames;
    panel->drawn_at = now;
    panel->drawn_width = frame_width;
    panel->drawn_height = frame_height;
    if (!overlay_canvas_begin(&panel->canvas, (guint)at.width, (guint)at.height))
        return NULL;
    draw(panel, text, &at);
    /* on the right: labels sit on the left upper corners of boxes, and of the whole frame */
    panel->rectangle =
        overlay_canvas_end(&panel->canvas, (gint)(frame_width - at.width - margin), (gint)margin);
    return panel->rectangle;
}

void overlay_panel_clear(struct overlay_panel *panel)
{
    g_clear_pointer(&panel->rectangle, gst_video_overlay_rectangle_unref);
    overlay_canvas_clear(&panel->canvas);
    memset(panel, 0, sizeof(*panel));
}
