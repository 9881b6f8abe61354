/* What all charts have in common: a page that becomes an SVG or PNG file, text and lines on it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHART_H
#define CHART_H

#include <cairo.h>
#include <glib.h>

#define CHART_TEXT 13.0 /* height of the letters */

struct chart_color {
    double red, green, blue;
};
extern const struct chart_color chart_ink, chart_faint, chart_red;
/* For things that are to be told apart. */
#define CHART_COLORS 6
extern const struct chart_color chart_colors[CHART_COLORS];

void chart_set_color(cairo_t *cr, struct chart_color color);

/* `align`: 0 begins at x, 0.5 is centred on it, 1 ends there. Returns the width. */
double chart_text(cairo_t *cr, const char *text, double x, double y, double align);
/* Upwards, centred on the point. */
void chart_text_rotated(cairo_t *cr, const char *text, double x, double y);
double chart_text_width(cairo_t *cr, const char *text);
void chart_line(cairo_t *cr, double x0, double y0, double x1, double y1);
void chart_dashed_line(cairo_t *cr, double x0, double y0, double x1, double y1);
/* Bold, in the middle of a page of that width, smaller if it does not fit: names of files and devices may be
 * long. */
void chart_title(cairo_t *cr, const char *title, double width, double y);

/* A round distance of ticks, 1, 2 or 5 times a power of ten, for about `ticks` ticks between 0 and
 * `most` > 0. */
double chart_tick(double most, guint ticks);

/* Refuses, with a message that names the option, a name that does not end in .svg or .png (in any case) and a
 * place that cannot be written, before anything is measured. Returns an exit code; `path` NULL is fine. */
int chart_check(const char *option, const char *path);

/* Writes a page in the format that the name ends in; a PNG has two pixels for each unit. FALSE with *error,
 * which names the file. */
typedef void (*chart_draw)(cairo_t *cr, const void *data);
gboolean chart_write(const char *path, int width, int height, chart_draw draw, const void *data,
                     GError **error);

#endif
