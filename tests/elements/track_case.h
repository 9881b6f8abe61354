/* Frames as a detector sends them to shriketrack, and the numbers that it wrote.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TRACK_CASE_H
#define TRACK_CASE_H

#include "elements.h"

#define SIZE(w, h) "video/x-raw,format=RGB,width=" #w ",height=" #h ",framerate=25/1"
#define CAPS       SIZE(640, 480) /* what the fractions in entries refer to */

struct thing {
    const char *label;
    gint label_id;
    guint x, y, w, h;
};

/* Frame `number`, 40 ms after the one before, without any meta. */
GstBuffer *empty_frame(guint number);
/* A region without params. */
GstVideoRegionOfInterestMeta *add_region(GstBuffer *buffer, const struct thing *thing);
void append_entry(GValue *list, const struct thing *thing);
/* Adds the ShrikeLatency meta. Takes the list. `status` NULL: none. */
void set_list(GstBuffer *buffer, GValue *list, const char *status, guint64 age);
/* As shrikedetect writes it. */
GstBuffer *frame(guint number, const char *status, guint64 age, const struct thing *things, guint count);
/* A frame in which a "person" was found: 60 x 150 pixels at x, 100. */
GstBuffer *inferred(guint number, guint x);

GstBuffer *track(GstHarness *harness, GstBuffer *buffer);
/* The number of the only object. */
gint track_id(GstHarness *harness, GstBuffer *buffer);

guint count_regions(GstBuffer *buffer);
GstVideoRegionOfInterestMeta *nth_region(GstBuffer *buffer, guint index);
const GstStructure *entry(GstBuffer *buffer, guint index);
/* 0: it has no number; one that is not positive fails the test. A region says the same in both of its
 * structures, and an object, which is a region and an entry, in all three. */
gint region_id(GstBuffer *buffer, guint index);
gint entry_id(GstBuffer *buffer, guint index);
gint id_of(GstBuffer *buffer, guint index);

guint64 stat_of(GstHarness *harness, const char *field);

#endif
