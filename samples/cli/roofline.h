/* The roofline picture: what each op achieves under the device's ceilings.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ROOFLINE_H
#define ROOFLINE_H

#include <glib.h>
#include <shrike/ceiling.h>

struct roofline_point {
    guint number;      /* the label */
    const char *group; /* for the colour: ops of the same kernel */
    double macs;       /* 0: shown by its bytes alone */
    double bytes;      /* above 0 */
    double seconds;    /* above 0 */
};

struct roofline {
    const char *title;
    const struct shk_ceiling *ceiling;
    const struct roofline_point *points; /* numbers ascending */
    guint count;                         /* 0 is fine */
};

/* `path` as chart_check() found it good. FALSE with *error, which names the file. */
gboolean roofline_write(const struct roofline *roofline, const char *path, GError **error);

#endif
