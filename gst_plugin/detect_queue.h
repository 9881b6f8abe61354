/* The in-order queue between shrikedetect's pads: frames that the device works on, and the serialized events
 * and queries between them, in their places.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The sink pad's streaming thread reserves a place for a frame, submits, and pushes; the source pad's task pops,
 * waits for the device, and gives the place back. Both ends block here and wake when the queue is set flushing.
 * Frames that the network does not see take part in the order, but reserve nothing. The lock is never held while
 * anything outside is called, but for detect_queue_steal() and detect_queue_visit(). */
#ifndef SHRIKE_GST_DETECT_QUEUE_H
#define SHRIKE_GST_DETECT_QUEUE_H

#include <gst/gst.h>

#include "detect_frame.h"

G_BEGIN_DECLS

/* Inferred frames are bounded by their places; this bounds the others, and the events between them. */
#define DETECT_QUEUE_CAPACITY 128

enum detect_item_kind { DETECT_ITEM_FRAME, DETECT_ITEM_EVENT, DETECT_ITEM_QUERY };

struct detect_item {
    enum detect_item_kind kind;
    GstMiniObject *object; /* owned GstBuffer or GstEvent; borrowed GstQuery */
    /* frames only */
    guint64 number;
    GstClockTime arrival;       /* CLOCK_MONOTONIC */
    guint in_flight;            /* frames on the device when this one was submitted, itself included */
    struct detect_frame *frame; /* owned; NULL: it passes without inference, for `reason` */
    enum detect_reason reason;
    struct frame_area area;
};

enum detect_query_state { DETECT_QUERY_NONE, DETECT_QUERY_QUEUED, DETECT_QUERY_RUNNING };

struct detect_queue {
    GMutex lock;
    GCond changed;
    struct detect_item items[DETECT_QUEUE_CAPACITY];
    guint head, length;
    guint reserved; /* places */
    gboolean busy;  /* what was popped last may still be worked on */
    gboolean flushing;
    GstFlowReturn flow;    /* what downstream last answered */
    gboolean skip_segment; /* downstream said EOS: frames are dropped until the next segment or stream */
    enum detect_query_state query;
    gboolean query_result;
};

void detect_queue_init(struct detect_queue *queue);
void detect_queue_clear(struct detect_queue *queue);

/* TRUE wakes everybody who blocks. FALSE also forgets what downstream last answered. */
void detect_queue_set_flushing(struct detect_queue *queue, gboolean flushing);
gboolean detect_queue_is_flushing(struct detect_queue *queue);

typedef void (*detect_queue_frame_func)(struct detect_frame *frame, gpointer data);

/* Drops what is queued; `dropped` is called with each frame before its buffer goes. Sticky events are kept on `pad`, as a
 * flush must not lose them; NULL: they go too. */
void detect_queue_drop(struct detect_queue *queue, GstPad *pad, detect_queue_frame_func dropped, gpointer data);

/* Takes one of `places`; without `wait` GST_FLOW_CUSTOM_SUCCESS says that all are taken. Else flushing, or what
 * downstream answered to an earlier frame. */
GstFlowReturn detect_queue_reserve(struct detect_queue *queue, guint places, gboolean wait);
void detect_queue_frame_done(struct detect_queue *queue);

/* Offers the queued frames to `take`, oldest first, until it takes one: that one then passes for `reason`, and its
 * place is free again. With the lock held: `take` must not call back. FALSE: it took none. */
typedef gboolean (*detect_queue_take_func)(struct detect_frame *frame, gpointer data);
gboolean detect_queue_steal(struct detect_queue *queue, enum detect_reason reason, detect_queue_take_func take,
                            gpointer data);

/* Shows the queued frames to `visit`, oldest first. With the lock held: `visit` must not call back. */
void detect_queue_visit(struct detect_queue *queue, detect_queue_frame_func visit, gpointer data);

/* Appends, waits for room. FALSE: flushing; the item is still the caller's. */
gboolean detect_queue_push(struct detect_queue *queue, const struct detect_item *item);

/* Sends a serialized query through the queue and waits for detect_queue_answer(). */
gboolean detect_queue_query(struct detect_queue *queue, GstQuery *query);
void detect_queue_answer(struct detect_queue *queue, gboolean result);

/* Takes the oldest item, waits for one. FALSE: flushing. */
gboolean detect_queue_pop(struct detect_queue *queue, struct detect_item *item);

/* Waits until all that was queued has left, and whoever pops is back for more. FALSE: flushing. For whoever pushes. */
gboolean detect_queue_wait_idle(struct detect_queue *queue);

/* TRUE if a frame popped now is to be pushed downstream. */
gboolean detect_queue_wants_frames(struct detect_queue *queue);

/* Notes what downstream answered to a frame. GST_FLOW_EOS ends with the next segment or stream. */
void detect_queue_set_flow(struct detect_queue *queue, GstFlowReturn flow);
GstFlowReturn detect_queue_get_flow(struct detect_queue *queue);

/* Downstream was linked anew: forget GST_FLOW_NOT_LINKED. */
void detect_queue_relinked(struct detect_queue *queue);

G_END_DECLS
#endif
