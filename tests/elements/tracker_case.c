/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tracker_case.h"

const struct tracker_settings defaults = {
    .iou_threshold = 0.3, .max_age = SECOND, .min_hits = 3, .match_classes = TRUE};

struct tracker *tracker;
guint64 now;

void setup(void)
{
    tracker = tracker_new();
    tracker_set(tracker, &defaults);
    now = 0;
}

void teardown(void)
{
    tracker_free(tracker);
}

void set_min_hits(guint hits)
{
    struct tracker_settings settings = defaults;
    settings.min_hits = hits;
    tracker_set(tracker, &settings);
}

struct tracker_object object_at(double x, double y, double width, double height)
{
    return (struct tracker_object){
        .box = {x - width / 2, y - height / 2, x + width / 2, y + height / 2}, .class_id = 1, .track_id = -7};
}

struct tracker_object at(double x)
{
    return object_at(x, 100, 40, 80);
}

void see(struct tracker_object *objects, guint count)
{
    tracker_advance(tracker, now, FRAME);
    tracker_update(tracker, objects, count);
    now += FRAME;
}

gint see_one(struct tracker_object object)
{
    see(&object, 1);
    return object.track_id;
}

void see_nothing(guint frames)
{
    while (frames-- > 0)
        see(NULL, 0);
}

struct tracker_stats stats(void)
{
    struct tracker_stats found;
    tracker_get_stats(tracker, &found);
    ck_assert_uint_eq(found.created, found.alive + found.lost);
    return found;
}

double center(const struct tracker_object *object)
{
    return (object->box.x_min + object->box.x_max) / 2;
}

double noise(struct test_rng *rng, double most)
{
    return (test_random_below(rng, 2001) / 1000.0 - 1) * most;
}
