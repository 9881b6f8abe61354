/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_regions.h"

#include <math.h>
#include <string.h>

/* ---- properties ---- */

static gboolean parse_rectangle(const char *text, struct detect_rectangle *rectangle)
{
    double v[4];
    char **parts = g_strsplit(text, ",", -1);
    gboolean good = g_strv_length(parts) == 4;
    for (guint i = 0; i < 4 && good; i++) {
        char *end = NULL;
        char *number = g_strstrip(parts[i]);
        v[i] = g_ascii_strtod(number, &end);
        good = *number && !*end && isfinite(v[i]) && v[i] >= 0.0 && v[i] <= 1.0;
    }
    g_strfreev(parts);
    if (!good || v[2] <= 0.0 || v[3] <= 0.0 || v[0] + v[2] > 1.0 + 1e-6 || v[1] + v[3] > 1.0 + 1e-6)
        return FALSE;
    *rectangle = (struct detect_rectangle){v[0], v[1], v[2], v[3]};
    return TRUE;
}

gboolean detect_regions_parse(struct detect_regions *regions, const char *text, char **message)
{
    struct detect_rectangle rectangles[DETECT_MAX_REGIONS];
    guint count = 0;
    gboolean good = TRUE;
    char **parts = g_strsplit(text ? text : "", ";", -1);
    for (guint i = 0; parts[i] && good; i++) {
        if (!*g_strstrip(parts[i]))
            continue;
        good = count < DETECT_MAX_REGIONS && parse_rectangle(parts[i], &rectangles[count]);
        if (!good && count == DETECT_MAX_REGIONS)
            *message = g_strdup_printf("roi \"%s\" has more than %d rectangles", text, DETECT_MAX_REGIONS);
        else if (!good)
            *message = g_strdup_printf("roi rectangle \"%s\": expected x,y,width,height, each from 0 to 1 and inside "
                                       "of the frame (0.25,0,0.5,1 is the middle half)",
                                       parts[i]);
        count += good;
    }
    g_strfreev(parts);
    if (!good)
        return FALSE;
    memcpy(regions->rectangles, rectangles, count * sizeof(*rectangles));
    regions->rectangle_count = count;
    return TRUE;
}

void detect_regions_set_classes(struct detect_regions *regions, const char *text)
{
    g_clear_pointer(&regions->classes, g_free);
    if (!text || !*text)
        return;
    char **names = g_strsplit(text, ",", -1);
    regions->classes = g_new0(GQuark, g_strv_length(names) + 1);
    guint count = 0;
    for (guint i = 0; names[i]; i++)
        if (*g_strstrip(names[i]))
            regions->classes[count++] = g_quark_from_string(names[i]);
    g_strfreev(names);
}

void detect_regions_clear(struct detect_regions *regions)
{
    g_clear_pointer(&regions->classes, g_free);
}

/* ---- per frame ---- */

/* A rectangle of the area that caps speak of, as one of the frame in memory. FALSE: nothing of it is inside. */
static gboolean to_frame(const struct frame_area *area, double x, double y, double width, double height,
                         struct shk_rect *rect)
{
    double left = CLAMP(floor(x), 0.0, area->width), right = CLAMP(ceil(x + width), 0.0, area->width);
    double top = CLAMP(floor(y), 0.0, area->height), bottom = CLAMP(ceil(y + height), 0.0, area->height);
    if (right <= left || bottom <= top)
        return FALSE;
    *rect = (struct shk_rect){area->x + (guint)left, area->y + (guint)top, (guint)(right - left),
                              (guint)(bottom - top)};
    return TRUE;
}

static gboolean wanted(const struct detect_regions *regions, GQuark label)
{
    if (!regions->classes)
        return TRUE;
    for (const GQuark *class = regions->classes; *class; class++)
        if (*class == label)
            return TRUE;
    return FALSE;
}

static guint find_in_metas(const struct detect_regions *regions, const struct frame_layout *layout, GstBuffer *buffer,
                           struct shk_rect *rects, gint *parents, guint *left_out)
{
    guint count = 0;
    gint number = -1;
    gpointer state = NULL;
    GstMeta *meta;
    while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
        const GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)meta;
        struct shk_rect rect;
        number++;
        if (!wanted(regions, roi->roi_type) || !to_frame(&layout->area, roi->x, roi->y, roi->w, roi->h, &rect))
            continue;
        if (count == DETECT_MAX_REGIONS) {
            (*left_out)++;
            continue;
        }
        rects[count] = rect;
        parents[count++] = number;
    }
    return count;
}

guint detect_regions_find(const struct detect_regions *regions, const struct frame_layout *layout, GstBuffer *buffer,
                          struct shk_rect rects[DETECT_MAX_REGIONS], gint parents[DETECT_MAX_REGIONS],
                          guint *left_out)
{
    const struct frame_area *area = &layout->area;
    guint count = 0;
    *left_out = 0;
    if (regions->source == DETECT_REGION_LIST)
        return find_in_metas(regions, layout, buffer, rects, parents, left_out);
    if (regions->rectangle_count == 0) {
        rects[0] = layout->crop; /* all zero: the whole frame */
        parents[0] = -1;
        return 1;
    }
    for (guint i = 0; i < regions->rectangle_count; i++) {
        const struct detect_rectangle *r = &regions->rectangles[i];
        if (!to_frame(area, r->x * area->width, r->y * area->height, r->width * area->width, r->height * area->height,
                      &rects[count]))
            continue;
        parents[count++] = -1;
    }
    return count;
}
