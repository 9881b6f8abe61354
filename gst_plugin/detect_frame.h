/* A frame on its way through the engine: its jobs, one for each region, and what keeps its pixels where they are.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_DETECT_FRAME_H
#define SHRIKE_GST_DETECT_FRAME_H

#include "detect_reason.h"
#include "engine.h"
#include "frame_map.h"

G_BEGIN_DECLS

/* Regions of one frame that are looked at; what is more is counted and left out. */
#define DETECT_MAX_REGIONS 32

struct detect_frame {
    struct engine_job *jobs[DETECT_MAX_REGIONS]; /* allocated when first needed, then kept */
    gint parents[DETECT_MAX_REGIONS];            /* which ROI meta of the buffer a job's region is, or -1 */
    guint job_count;
    GstBuffer *staging; /* a copy of the pixels that the device can read; NULL: it reads the buffer itself */
    struct shk_memory *memory; /* of a frame in other elements' Vulkan memory: a reference; else NULL */
    struct shk_stage_time upload;
    struct detect_frame *next; /* in the pool */
};

/* Frames that nobody uses. Not more than there are places in the element are ever made. */
struct detect_frame_pool {
    GMutex lock;
    struct detect_frame *free;
};

void detect_frame_pool_init(struct detect_frame_pool *pool);
void detect_frame_pool_clear(struct detect_frame_pool *pool);
struct detect_frame *detect_frame_take(struct detect_frame_pool *pool);
/* No job may be pending or running. */
void detect_frame_give(struct detect_frame_pool *pool, struct detect_frame *frame);

/* The pixels are not needed any more: gives back what held them, but for the buffer. */
void detect_frame_forget_pixels(struct detect_frame *frame);

/* Appends a job, to be filled in; NULL if there are DETECT_MAX_REGIONS. */
struct engine_job *detect_frame_add_job(struct detect_frame *frame, gint parent);

G_END_DECLS
#endif
