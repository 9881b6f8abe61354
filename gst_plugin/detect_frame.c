/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_frame.h"

void detect_frame_pool_init(struct detect_frame_pool *pool)
{
    g_mutex_init(&pool->lock);
    pool->free = NULL;
}

void detect_frame_pool_clear(struct detect_frame_pool *pool)
{
    for (struct detect_frame *frame; (frame = pool->free);) {
        pool->free = frame->next;
        for (guint i = 0; i < DETECT_MAX_REGIONS && frame->jobs[i]; i++) {
            engine_job_clear(frame->jobs[i]);
            g_free(frame->jobs[i]);
        }
        g_free(frame);
    }
    g_mutex_clear(&pool->lock);
}

struct detect_frame *detect_frame_take(struct detect_frame_pool *pool)
{
    g_mutex_lock(&pool->lock);
    struct detect_frame *frame = pool->free;
    if (frame)
        pool->free = frame->next;
    g_mutex_unlock(&pool->lock);
    if (!frame)
        frame = g_new0(struct detect_frame, 1);
    frame->next = NULL;
    return frame;
}

void detect_frame_forget_pixels(struct detect_frame *frame)
{
    gst_clear_buffer(&frame->staging);
    shk_memory_unref(&frame->memory);
}

void detect_frame_give(struct detect_frame_pool *pool, struct detect_frame *frame)
{
    for (guint i = 0; i < frame->job_count; i++)
        engine_job_reset(frame->jobs[i]);
    frame->job_count = 0;
    detect_frame_forget_pixels(frame);
    frame->upload = (struct shk_stage_time){0};
    g_mutex_lock(&pool->lock);
    frame->next = pool->free;
    pool->free = frame;
    g_mutex_unlock(&pool->lock);
}

struct engine_job *detect_frame_add_job(struct detect_frame *frame, gint parent)
{
    guint i = frame->job_count;
    if (i == DETECT_MAX_REGIONS)
        return NULL;
    if (!frame->jobs[i]) {
        frame->jobs[i] = g_new(struct engine_job, 1);
        engine_job_init(frame->jobs[i]);
    }
    frame->parents[i] = parent;
    frame->job_count++;
    return frame->jobs[i];
}
