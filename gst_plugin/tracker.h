/* Follows objects from frame to frame and numbers them. Plain structs in, plain structs out: no GStreamer.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * As in SORT (A. Bewley, Z. Ge, L. Ott, F. Ramos, B. Upcroft, "Simple online and realtime tracking", ICIP
 * 2016): a Kalman filter with constant velocity per object says where its box should be now, and boxes go to
 * the tracks that they overlap most, all at once (assignment.h). What differs: time is that of the frames,
 * not their count, so that frames may be missing; centre, width and height have a filter each; and a pair
 * that overlaps too little is ruled out before the assignment, not after it.
 *
 * For every frame first tracker_advance(), then one of
 *     tracker_update()  a detector looked at this frame: tracks follow the boxes, begin and end
 *     tracker_match()   boxes of an earlier frame: they get the numbers that they have, tracks stay
 * and, where boxes are wanted that no detector has found, tracker_predict().
 *
 * The same calls give the same numbers. Nothing is allocated after tracker_new(). One thread at a time. */
#ifndef SHRIKE_GST_TRACKER_H
#define SHRIKE_GST_TRACKER_H

#include <glib.h>

#include "assignment.h"

G_BEGIN_DECLS

#define TRACKER_MAX_TRACKS  ASSIGNMENT_MAX
#define TRACKER_MAX_OBJECTS ASSIGNMENT_MAX /* that take part in a frame: the first so many */
#define TRACKER_NO_TIME     G_MAXUINT64

/* Pixels, not necessarily whole ones nor inside of the frame. */
struct tracker_box {
    double x_min, y_min, x_max, y_max;
};

/* Intersection over union; 0 if they do not overlap, or one is no box. */
double tracker_box_overlap(const struct tracker_box *a, const struct tracker_box *b);

struct tracker_object {
    struct tracker_box box;
    guint32 class_id; /* any number */
    gint label_id;    /* this and the next are kept for tracker_predict() and mean nothing here */
    double confidence;
    gint track_id; /* out: 1 and up, or 0: it has no number (yet) */
};

struct tracker_settings {
    double iou_threshold;   /* boxes that overlap less are not the same object; 0 to 1 */
    guint64 max_age;        /* nanoseconds that a track lives on without a box */
    guint min_hits;         /* frames in a row with a box until a track has a number */
    gboolean match_classes; /* an object keeps its class */
};

struct tracker_stats {
    guint64 created; /* numbers given */
    guint64 alive;   /* of those: may still be seen again */
    guint64 lost;    /* of those: over. created = alive + lost */
    guint64 crowded; /* boxes without a track because there were too many */
    guint64 invalid; /* boxes that are none: no area, not a number, beyond all bounds */
};

struct tracker;

struct tracker *tracker_new(void);
void tracker_free(struct tracker *tracker); /* accepts NULL */

/* Takes effect at the next call. */
void tracker_set(struct tracker *tracker, const struct tracker_settings *settings);

/* Forgets all tracks. Numbers go on: none is ever given twice. */
void tracker_reset(struct tracker *tracker);

/* A frame at `time` begins; tracks that were not seen for max_age end. All times are nanoseconds.
 * TRACKER_NO_TIME, or a time before the last: the frame counts as `duration` after the last one, and the next
 * one is measured from it. A time more than max_age before the last begins anew, as tracker_reset() does. */
void tracker_advance(struct tracker *tracker, guint64 time, guint64 duration);

/* Fills in track_id of `count` objects. A track that has no number yet ends as soon as it has no box. */
void tracker_update(struct tracker *tracker, struct tracker_object objects[], guint count);

/* Fills in track_id of objects that were found in a frame `age` before this one. Changes no track. */
void tracker_match(struct tracker *tracker, guint64 age, struct tracker_object objects[], guint count);

/* Where the objects are now that the last tracker_update() saw, without those that tracker_match() has found
 * in this frame: oldest track first, at most `capacity`. Those without a number (yet) are among them. Returns
 * how many. */
guint tracker_predict(struct tracker *tracker, struct tracker_object objects[], guint capacity);

void tracker_get_stats(const struct tracker *tracker, struct tracker_stats *stats);

G_END_DECLS
#endif
