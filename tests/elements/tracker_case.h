/* A tracker, and objects for it, frame by frame.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TRACKER_CASE_H
#define TRACKER_CASE_H

#include "support.h"
#include "tracker.h"

#define FRAME  G_GUINT64_CONSTANT(40000000) /* ns */
#define SECOND G_GUINT64_CONSTANT(1000000000)

/* As shriketrack's properties are. */
extern const struct tracker_settings defaults;

extern struct tracker *tracker;
extern guint64 now; /* of the next frame */

void setup(void);
void teardown(void);
void set_min_hits(guint hits);

/* An object whose centre is at x, y. */
struct tracker_object object_at(double x, double y, double width, double height);
/* One of 40 x 80 pixels on a line. */
struct tracker_object at(double x);
double center(const struct tracker_object *object);

/* The next frame, 40 ms later. */
void see(struct tracker_object *objects, guint count);
gint see_one(struct tracker_object object); /* returns its number */
void see_nothing(guint frames);

struct tracker_stats stats(void);

/* -most to most */
double noise(struct test_rng *rng, double most);

#endif
