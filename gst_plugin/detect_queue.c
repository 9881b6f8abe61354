/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_queue.h"

static struct detect_item *item_at(struct detect_queue *queue, guint position)
{
    return &queue->items[(queue->head + position) % DETECT_QUEUE_CAPACITY];
}

static gboolean starts_segment(const struct detect_item *item)
{
    return item->kind == DETECT_ITEM_EVENT && (GST_EVENT_TYPE(item->object) == GST_EVENT_SEGMENT ||
                                               GST_EVENT_TYPE(item->object) == GST_EVENT_STREAM_START);
}

void detect_queue_init(struct detect_queue *queue)
{
    g_mutex_init(&queue->lock);
    g_cond_init(&queue->changed);
    queue->flushing = TRUE;
    queue->flow = GST_FLOW_OK;
}

void detect_queue_clear(struct detect_queue *queue)
{
    g_cond_clear(&queue->changed);
    g_mutex_clear(&queue->lock);
}

void detect_queue_set_flushing(struct detect_queue *queue, gboolean flushing)
{
    g_mutex_lock(&queue->lock);
    queue->flushing = flushing;
    if (!flushing) {
        queue->flow = GST_FLOW_OK;
        queue->skip_segment = FALSE;
    }
    g_cond_broadcast(&queue->changed);
    g_mutex_unlock(&queue->lock);
}

gboolean detect_queue_is_flushing(struct detect_queue *queue)
{
    g_mutex_lock(&queue->lock);
    gboolean flushing = queue->flushing;
    g_mutex_unlock(&queue->lock);
    return flushing;
}

static void drop_item(const struct detect_item *item, GstPad *pad, detect_queue_frame_func dropped, gpointer data)
{
    if (item->kind == DETECT_ITEM_FRAME && item->frame)
        dropped(item->frame, data);
    if (item->kind == DETECT_ITEM_EVENT && pad) {
        GstEvent *event = GST_EVENT_CAST(item->object);
        if (GST_EVENT_IS_STICKY(event) && GST_EVENT_TYPE(event) != GST_EVENT_SEGMENT &&
            GST_EVENT_TYPE(event) != GST_EVENT_EOS)
            gst_pad_store_sticky_event(pad, event);
    }
    if (item->kind != DETECT_ITEM_QUERY)
        gst_mini_object_unref(item->object);
}

void detect_queue_drop(struct detect_queue *queue, GstPad *pad, detect_queue_frame_func dropped, gpointer data)
{
    for (;;) {
        g_mutex_lock(&queue->lock);
        if (queue->length == 0)
            break;
        struct detect_item item = *item_at(queue, 0);
        queue->head = (queue->head + 1) % DETECT_QUEUE_CAPACITY;
        queue->length--;
        if (item.kind == DETECT_ITEM_QUERY) {
            queue->query = DETECT_QUERY_NONE;
            queue->query_result = FALSE;
        }
        g_cond_broadcast(&queue->changed);
        g_mutex_unlock(&queue->lock);
        drop_item(&item, pad, dropped, data);
    }
    g_mutex_unlock(&queue->lock);
}

GstFlowReturn detect_queue_reserve(struct detect_queue *queue, guint places, gboolean wait)
{
    g_mutex_lock(&queue->lock);
    while (wait && !queue->flushing && queue->flow == GST_FLOW_OK && queue->reserved >= places)
        g_cond_wait(&queue->changed, &queue->lock);
    GstFlowReturn flow = queue->flushing ? GST_FLOW_FLUSHING : queue->flow;
    if (flow == GST_FLOW_OK && queue->reserved >= places)
        flow = GST_FLOW_CUSTOM_SUCCESS;
    if (flow == GST_FLOW_OK)
        queue->reserved++;
    g_mutex_unlock(&queue->lock);
    return flow;
}

void detect_queue_frame_done(struct detect_queue *queue)
{
    g_mutex_lock(&queue->lock);
    g_assert(queue->reserved > 0);
    queue->reserved--;
    g_cond_broadcast(&queue->changed);
    g_mutex_unlock(&queue->lock);
}

gboolean detect_queue_steal(struct detect_queue *queue, enum detect_reason reason, detect_queue_take_func take,
                            gpointer data)
{
    gboolean taken = FALSE;
    g_mutex_lock(&queue->lock);
    for (guint i = 0; i < queue->length && !taken; i++) {
        struct detect_item *item = item_at(queue, i);
        if (item->kind != DETECT_ITEM_FRAME || !item->frame || !take(item->frame, data))
            continue;
        taken = TRUE;
        item->frame = NULL;
        item->reason = reason;
        queue->reserved--;
    }
    g_mutex_unlock(&queue->lock);
    return taken;
}

void detect_queue_visit(struct detect_queue *queue, detect_queue_frame_func visit, gpointer data)
{
    g_mutex_lock(&queue->lock);
    for (guint i = 0; i < queue->length; i++) {
        const struct detect_item *item = item_at(queue, i);
        if (item->kind == DETECT_ITEM_FRAME && item->frame)
            visit(item->frame, data);
    }
    g_mutex_unlock(&queue->lock);
}

gboolean detect_queue_push(struct detect_queue *queue, const struct detect_item *item)
{
    g_mutex_lock(&queue->lock);
    while (!queue->flushing && queue->length == DETECT_QUEUE_CAPACITY)
        g_cond_wait(&queue->changed, &queue->lock);
    gboolean taken = !queue->flushing;
    if (taken) {
        *item_at(queue, queue->length++) = *item;
        if (item->kind == DETECT_ITEM_QUERY)
            queue->query = DETECT_QUERY_QUEUED;
        if (starts_segment(item) && queue->flow == GST_FLOW_EOS)
            queue->flow = GST_FLOW_OK;
        g_cond_broadcast(&queue->changed);
    }
    g_mutex_unlock(&queue->lock);
    return taken;
}

gboolean detect_queue_query(struct detect_queue *queue, GstQuery *query)
{
    struct detect_item item = {.kind = DETECT_ITEM_QUERY, .object = GST_MINI_OBJECT_CAST(query)};
    if (!detect_queue_push(queue, &item))
        return FALSE;
    g_mutex_lock(&queue->lock);
    /* not cut short by a flush: once it is running the task still uses the query */
    while (queue->query != DETECT_QUERY_NONE && !(queue->flushing && queue->query == DETECT_QUERY_QUEUED))
        g_cond_wait(&queue->changed, &queue->lock);
    gboolean result = queue->query == DETECT_QUERY_NONE && queue->query_result;
    for (guint i = 0; queue->query == DETECT_QUERY_QUEUED && i < queue->length; i++) {
        if (item_at(queue, i)->object != item.object)
            continue;
        for (; i + 1 < queue->length; i++)
            *item_at(queue, i) = *item_at(queue, i + 1);
        queue->length--;
    }
    queue->query = DETECT_QUERY_NONE;
    g_mutex_unlock(&queue->lock);
    return result;
}

void detect_queue_answer(struct detect_queue *queue, gboolean result)
{
    g_mutex_lock(&queue->lock);
    queue->query = DETECT_QUERY_NONE;
    queue->query_result = result;
    g_cond_broadcast(&queue->changed);
    g_mutex_unlock(&queue->lock);
}

gboolean detect_queue_pop(struct detect_queue *queue, struct detect_item *item)
{
    g_mutex_lock(&queue->lock);
    queue->busy = FALSE;
    g_cond_broadcast(&queue->changed);
    while (!queue->flushing && queue->length == 0)
        g_cond_wait(&queue->changed, &queue->lock);
    gboolean popped = !queue->flushing;
    if (popped) {
        *item = *item_at(queue, 0);
        queue->head = (queue->head + 1) % DETECT_QUEUE_CAPACITY;
        queue->length--;
        queue->busy = TRUE;
        if (item->kind == DETECT_ITEM_QUERY)
            queue->query = DETECT_QUERY_RUNNING;
        if (starts_segment(item))
            queue->skip_segment = FALSE;
        g_cond_broadcast(&queue->changed);
    }
    g_mutex_unlock(&queue->lock);
    return popped;
}

gboolean detect_queue_wait_idle(struct detect_queue *queue)
{
    g_mutex_lock(&queue->lock);
    while (!queue->flushing && (queue->length > 0 || queue->busy))
        g_cond_wait(&queue->changed, &queue->lock);
    gboolean idle = !queue->flushing;
    g_mutex_unlock(&queue->lock);
    return idle;
}

gboolean detect_queue_wants_frames(struct detect_queue *queue)
{
    g_mutex_lock(&queue->lock);
    gboolean wanted = !queue->flushing && !queue->skip_segment && queue->flow >= GST_FLOW_OK;
    g_mutex_unlock(&queue->lock);
    return wanted;
}

static gboolean new_segment_queued(struct detect_queue *queue)
{
    for (guint i = 0; i < queue->length; i++) {
        if (starts_segment(item_at(queue, i)))
            return TRUE;
    }
    return FALSE;
}

void detect_queue_set_flow(struct detect_queue *queue, GstFlowReturn flow)
{
    g_mutex_lock(&queue->lock);
    if (flow == GST_FLOW_EOS) {
        queue->skip_segment = TRUE;
        /* frames from before a segment that is already queued must not end it */
        if (new_segment_queued(queue))
            flow = GST_FLOW_OK;
    }
    queue->flow = flow;
    g_cond_broadcast(&queue->changed);
    g_mutex_unlock(&queue->lock);
}

GstFlowReturn detect_queue_get_flow(struct detect_queue *queue)
{
    g_mutex_lock(&queue->lock);
    GstFlowReturn flow = queue->flow;
    g_mutex_unlock(&queue->lock);
    return flow;
}

void detect_queue_relinked(struct detect_queue *queue)
{
    g_mutex_lock(&queue->lock);
    if (queue->flow == GST_FLOW_NOT_LINKED)
        queue->flow = GST_FLOW_OK;
    g_mutex_unlock(&queue->lock);
}
