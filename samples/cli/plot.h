/* A line chart with cairo: one or two curves, each with its own axis, and marks at some of their points.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PLOT_H
#define PLOT_H

#include <glib.h>

#define PLOT_MAX_POINTS 64
#define PLOT_MAX_MARKS  4

struct plot_curve {
    const char *name; /* with its unit: what the axis says, and the legend */
    const double *y;  /* `count` of the plot; at least 0 */
};

struct plot_mark {
    guint point, curve;
    const char *text; /* for the legend */
};

struct plot {
    const char *title;
    const char *x_name;
    guint count;       /* 1 to PLOT_MAX_POINTS */
    const double *x;   /* above 0, ascending; the axis is logarithmic to base 2 */
    guint curve_count; /* 1 or 2: the first one's axis is on the left, the second one's on the right */
    struct plot_curve curves[2];
    guint mark_count;
    struct plot_mark marks[PLOT_MAX_MARKS];
    double limit; /* a line across, in units of the first curve; 0: none */
    const char *limit_name;
};

/* Writes the file in the format that its name ends in. FALSE with *error, which names the file. */
gboolean plot_write(const struct plot *plot, const char *path, GError **error);

#endif
