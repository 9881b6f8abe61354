/* Boxes on their way from a buffer's metas to the tracker, and track numbers on their way back; shrike_meta.h
 * names the fields.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_TRACK_META_H
#define SHRIKE_GST_TRACK_META_H

#include <gst/video/video.h>

#include "detect_analytics.h"
#include "tracker.h"

G_BEGIN_DECLS

enum track_status {
    TRACK_INFERRED, /* also what nobody says anything about */
    TRACK_HELD,
    TRACK_PASSED,
};

/* What a buffer says, as one list: a GstVideoRegionOfInterestMeta and an entry of `detections` that mean the
 * same object are one object. class_id is the quark of its label, confidence is -1 where there is none. */
struct track_frame {
    enum track_status status;
    guint64 age; /* of held detections */
    guint kinds; /* enum detect_meta_kinds: what the objects are written as, besides ShrikeLatency */
    guint width, height;
    guint count;
    guint left_out; /* there was no room for so many */
    struct tracker_object objects[TRACKER_MAX_OBJECTS];
    GstVideoRegionOfInterestMeta *regions[TRACKER_MAX_OBJECTS]; /* or NULL */
    gint entries[TRACKER_MAX_OBJECTS];                          /* index in `detections`, or -1 */
};

/* `width` and `height`: of the frame, as caps say, pixels. frame->regions is valid until metas are added to
 * or removed from the buffer. */
void track_meta_read(struct track_frame *frame, GstBuffer *buffer, guint width, guint height);

/* Writes the track_id of all objects where they came from. `buffer` is the one that was read, and writable.
 */
void track_meta_write(const struct track_frame *frame, GstBuffer *buffer);

/* Adds objects to the frame that was read, flagged as predicted: what is inside of it, as entries and as
 * `kinds` (enum detect_meta_kinds; GstAnalytics has no flag). Returns how many. frame->regions is not valid
 * any more. */
guint track_meta_add_predicted(const struct track_frame *frame, GstBuffer *buffer,
                               const struct tracker_object objects[], guint count, guint kinds);

G_END_DECLS
#endif
