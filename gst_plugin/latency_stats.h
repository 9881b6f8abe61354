/* Stage times of the last frames, as percentiles.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Not thread safe; the owner locks. */
#ifndef SHRIKE_GST_LATENCY_STATS_H
#define SHRIKE_GST_LATENCY_STATS_H

#include <gst/gst.h>
#include <shrike/session.h>

#include "detect_frame.h"

G_BEGIN_DECLS

/* Percentiles are over this many of the latest frames. */
#define LATENCY_STATS_WINDOW 512

struct latency_stats {
    guint64 frames;                 /* through the network */
    guint64 held, passed, dropped;  /* not */
    guint64 reasons[DETECT_REASON_COUNT]; /* of those */
    guint64 copied, in_place;       /* uploads */
    /* duration of every stage, and the time that the frame kept the device and its host thread busy */
    guint64 stages[SHK_STAGE_COUNT][LATENCY_STATS_WINDOW];
    guint64 service[LATENCY_STATS_WINDOW];
};

void latency_stats_reset(struct latency_stats *stats);
void latency_stats_add(struct latency_stats *stats, const struct shk_stage_time stages[SHK_STAGE_COUNT]);

/* Adds the counters and <stage>-p50, -p95, -p99 to `structure`, all guint64, durations in nanoseconds. */
void latency_stats_describe(const struct latency_stats *stats, GstStructure *structure);

/* The longest upload + preprocess + inference + readback + decode in the window: what each frame adds to the wait of
 * the next. 0: no frame yet. */
GstClockTime latency_stats_service_time(const struct latency_stats *stats);

G_END_DECLS
#endif
