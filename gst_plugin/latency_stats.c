/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "latency_stats.h"

#include <stdlib.h>
#include <string.h>

void latency_stats_reset(struct latency_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
}

void latency_stats_add(struct latency_stats *stats, const struct shk_stage_time stages[SHK_STAGE_COUNT])
{
    gsize slot = stats->frames++ % LATENCY_STATS_WINDOW;
    for (guint i = 0; i < SHK_STAGE_COUNT; i++)
        stats->stages[i][slot] = stages[i].duration;
    stats->service[slot] = stages[SHK_STAGE_UPLOAD].duration + stages[SHK_STAGE_PREPROCESS].duration +
                           stages[SHK_STAGE_INFERENCE].duration + stages[SHK_STAGE_READBACK].duration +
                           stages[SHK_STAGE_DECODE].duration;
}

static int compare(const void *a, const void *b)
{
    guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
    return (x > y) - (x < y);
}

static gsize sort_window(const struct latency_stats *stats, const guint64 *values, guint64 *sorted)
{
    gsize count = MIN(stats->frames, LATENCY_STATS_WINDOW);
    memcpy(sorted, values, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare);
    return count;
}

/* Nearest rank: the smallest value that at least `percent` of all do not exceed. */
static guint64 percentile(const guint64 *sorted, gsize count, guint percent)
{
    if (count == 0)
        return 0;
    return sorted[(count * percent + 99) / 100 - 1];
}

void latency_stats_describe(const struct latency_stats *stats, GstStructure *structure)
{
    static const guint percents[] = {50, 95, 99};
    guint64 sorted[LATENCY_STATS_WINDOW];
    gst_structure_set(structure, "frames", G_TYPE_UINT64, stats->frames + stats->held + stats->passed, "inferred",
                      G_TYPE_UINT64, stats->frames, "held", G_TYPE_UINT64, stats->held, "passed", G_TYPE_UINT64,
                      stats->passed, "dropped", G_TYPE_UINT64, stats->dropped, "copied", G_TYPE_UINT64,
                      stats->copied, "in-place", G_TYPE_UINT64, stats->in_place, NULL);
    for (guint i = DETECT_REASON_NONE + 1; i < DETECT_REASON_COUNT; i++) {
        char field[32];
        g_snprintf(field, sizeof(field), "not-inferred-%s", detect_reason_string(i));
        gst_structure_set(structure, field, G_TYPE_UINT64, stats->reasons[i], NULL);
    }
    for (guint i = 0; i < SHK_STAGE_COUNT; i++) {
        gsize count = sort_window(stats, stats->stages[i], sorted);
        for (guint k = 0; k < G_N_ELEMENTS(percents); k++) {
            char field[32];
            g_snprintf(field, sizeof(field), "%s-p%u", shk_stage_string(i), percents[k]);
            gst_structure_set(structure, field, G_TYPE_UINT64, percentile(sorted, count, percents[k]), NULL);
        }
    }
}

GstClockTime latency_stats_service_time(const struct latency_stats *stats)
{
    guint64 longest = 0;
    for (gsize i = 0; i < MIN(stats->frames, LATENCY_STATS_WINDOW); i++)
        longest = MAX(longest, stats->service[i]);
    return longest;
}
