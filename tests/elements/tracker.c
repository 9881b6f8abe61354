/* The tracker on made-up objects whose truth is known.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tracker.h"

#include <math.h>
#include <string.h>

#include "support.h"

#define FRAME  G_GUINT64_CONSTANT(40000000) /* ns */
#define SECOND G_GUINT64_CONSTANT(1000000000)

static const struct tracker_settings defaults = {
    .iou_threshold = 0.3, .max_age = SECOND, .min_hits = 3, .match_classes = TRUE};

static struct tracker *tracker;
static guint64 now;

static void setup(void)
{
    tracker = tracker_new();
    tracker_set(tracker, &defaults);
    now = 0;
}

static void teardown(void)
{
    tracker_free(tracker);
}

static void set_min_hits(guint hits)
{
    struct tracker_settings settings = defaults;
    settings.min_hits = hits;
    tracker_set(tracker, &settings);
}

/* An object whose centre is at x, y. */
static struct tracker_object object_at(double x, double y, double width, double height)
{
    return (struct tracker_object){
        .box = {x - width / 2, y - height / 2, x + width / 2, y + height / 2}, .class_id = 1, .track_id = -7};
}

static struct tracker_object at(double x)
{
    return object_at(x, 100, 40, 80);
}

/* The next frame, 40 ms later. */
static void see(struct tracker_object *objects, guint count)
{
    tracker_advance(tracker, now, FRAME);
    tracker_update(tracker, objects, count);
    now += FRAME;
}

static gint see_one(struct tracker_object object)
{
    see(&object, 1);
    return object.track_id;
}

static void see_nothing(guint frames)
{
    while (frames-- > 0)
        see(NULL, 0);
}

static struct tracker_stats stats(void)
{
    struct tracker_stats found;
    tracker_get_stats(tracker, &found);
    ck_assert_uint_eq(found.created, found.alive + found.lost);
    return found;
}

static double center(const struct tracker_object *object)
{
    return (object->box.x_min + object->box.x_max) / 2;
}

START_TEST(test_number_after_hits)
{
    ck_assert_int_eq(see_one(at(100)), 0);
    ck_assert_int_eq(see_one(at(102)), 0);
    ck_assert_uint_eq(stats().created, 0);
    for (guint i = 2; i < 50; i++)
        ck_assert_int_eq(see_one(at(100 + 2 * i)), 1);
    ck_assert_uint_eq(stats().alive, 1);
}
END_TEST

START_TEST(test_one_hit)
{
    set_min_hits(1);
    ck_assert_int_eq(see_one(at(100)), 1);
    ck_assert_int_eq(see_one(at(900)), 2);
}
END_TEST

/* A box that comes and goes gets no number, and uses none up. */
START_TEST(test_flicker)
{
    for (guint i = 0; i < 10; i++) {
        ck_assert_int_eq(see_one(at(100)), 0);
        ck_assert_int_eq(see_one(at(100)), 0);
        see_nothing(1);
    }
    ck_assert_uint_eq(stats().created, 0);
    see_one(at(500));
    see_one(at(500));
    ck_assert_int_eq(see_one(at(500)), 1);
}
END_TEST

static void pass_by(double gap, double y_distance)
{
    gint left = 0, right = 0;
    for (guint i = 0; i < 80; i++) {
        struct tracker_object two[2] = {at(100 + gap * i), at(100 + gap * (79 - i))};
        two[1].box.y_min += y_distance;
        two[1].box.y_max += y_distance;
        if (i % 2) { /* detectors list them in any order */
            struct tracker_object kept = two[0];
            two[0] = two[1];
            two[1] = kept;
        }
        see(two, 2);
        if (i == 2) {
            left = two[0].track_id;
            right = two[1].track_id;
            ck_assert(left > 0 && right > 0 && left != right);
        }
        if (i >= 2 && fabs(center(&two[0]) - center(&two[1])) > 1) {
            ck_assert_int_eq(two[i % 2].track_id, left);
            ck_assert_int_eq(two[1 - i % 2].track_id, right);
        }
    }
    ck_assert_uint_eq(stats().created, 2);
}

START_TEST(test_crossing)
{
    pass_by(5, 0);
}
END_TEST

START_TEST(test_crossing_fast)
{
    pass_by(10, 12);
}
END_TEST

/* One passes behind the other and is not seen for eight frames. */
START_TEST(test_occlusion)
{
    gint front = 0, behind = 0;
    for (guint i = 0; i < 80; i++) {
        struct tracker_object two[2] = {at(300), object_at(100 + 5 * i, 100, 36, 70)};
        gboolean hidden = i >= 36 && i < 44;
        see(two, hidden ? 1 : 2);
        if (i == 2) {
            front = two[0].track_id;
            behind = two[1].track_id;
        }
        if (i >= 2)
            ck_assert_int_eq(two[0].track_id, front);
        if (i >= 2 && !hidden)
            ck_assert_int_eq(two[1].track_id, behind);
    }
    ck_assert_uint_eq(stats().created, 2);
}
END_TEST

/* Who comes back where the velocity says, within max_age, has its number; later there is a new one. */
START_TEST(test_gap)
{
    for (guint i = 0; i < 20; i++)
        see_one(at(100 + 6 * i));
    see_nothing(15); /* 0.64 s; it walks 96 pixels, more than twice its width */
    ck_assert_int_eq(see_one(at(100 + 6 * 35)), 1);
    see_nothing(26); /* 1.04 s after that */
    ck_assert_uint_eq(stats().lost, 1);
    see_one(at(100 + 6 * 62));
    see_one(at(100 + 6 * 63));
    ck_assert_int_eq(see_one(at(100 + 6 * 64)), 2);
}
END_TEST

/* max_age is a time, whatever the frame rate: the last moment is in, the next is out. */
START_TEST(test_max_age)
{
    set_min_hits(1);
    tracker_advance(tracker, 5, FRAME);
    struct tracker_object object = at(100);
    tracker_update(tracker, &object, 1);
    tracker_advance(tracker, 5 + SECOND, FRAME);
    ck_assert_uint_eq(stats().alive, 1);
    tracker_advance(tracker, 6 + SECOND, FRAME);
    ck_assert_uint_eq(stats().alive, 0);
    ck_assert_uint_eq(stats().lost, 1);
}
END_TEST

static double noise(struct test_rng *rng, double most)
{
    return (test_random_below(rng, 2001) / 1000.0 - 1) * most;
}

/* Edges that jump by a tenth of the width, and one frame of ten without a box. */
START_TEST(test_jitter)
{
    struct test_rng rng = {19};
    for (guint i = 0; i < 500; i++) {
        struct tracker_object object = at(100 + i);
        object.box.x_min += noise(&rng, 4);
        object.box.x_max += noise(&rng, 4);
        object.box.y_min += noise(&rng, 8);
        object.box.y_max += noise(&rng, 8);
        gboolean missed = i > 5 && test_random_below(&rng, 10) == 0;
        see(&object, !missed);
        if (!missed && i >= 2)
            ck_assert_int_eq(object.track_id, 1);
    }
}
END_TEST

/* Frames come at any distance; the velocity is per time. */
START_TEST(test_irregular_frames)
{
    struct test_rng rng = {20};
    guint64 time = 0;
    for (guint i = 0; i < 100; i++) {
        struct tracker_object object = at(100 + 150 * (double)time * 1e-9);
        tracker_advance(tracker, time, FRAME);
        tracker_update(tracker, &object, 1);
        ck_assert_int_eq(object.track_id, i < 2 ? 0 : 1);
        /* 0.4 s are one and a half widths: from where it was last, nothing would overlap */
        time += (i < 10 ? 1 : 1 + test_random_below(&rng, 10)) * FRAME;
    }
}
END_TEST

/* A second box on the same object, for a frame or two, does not take its number away. */
START_TEST(test_double_box)
{
    for (guint i = 0; i < 10; i++)
        see_one(at(300));
    struct tracker_object two[2] = {object_at(290, 100, 60, 80), object_at(315, 100, 30, 80)};
    see(two, 2);
    ck_assert_int_eq(two[0].track_id, 1);
    ck_assert_int_eq(two[1].track_id, 0);
    ck_assert_int_eq(see_one(object_at(314, 100, 34, 80)), 1);
}
END_TEST

START_TEST(test_classes)
{
    struct tracker_object cat = at(100), dog = at(100);
    dog.class_id = 2;
    for (guint i = 0; i < 3; i++)
        see_one(cat);
    ck_assert_int_eq(see_one(dog), 0);
    ck_assert_int_eq(see_one(cat), 1);

    struct tracker_settings settings = defaults;
    settings.match_classes = FALSE;
    tracker_set(tracker, &settings);
    ck_assert_int_eq(see_one(dog), 1);
    struct tracker_object predicted;
    tracker_advance(tracker, now, FRAME);
    ck_assert_uint_eq(tracker_predict(tracker, &predicted, 1), 1);
    ck_assert_uint_eq(predicted.class_id, 2); /* the latest */
}
END_TEST

START_TEST(test_iou_threshold)
{
    struct tracker_settings settings = defaults;
    settings.min_hits = 1;
    settings.iou_threshold = 0.6;
    tracker_set(tracker, &settings);
    ck_assert_int_eq(see_one(at(100)), 1);
    ck_assert_int_eq(see_one(at(109)), 1); /* 31 / 49 */
    tracker_reset(tracker);
    ck_assert_int_eq(see_one(at(100)), 2);
    ck_assert_int_eq(see_one(at(111)), 3); /* 29 / 51 */
    settings.iou_threshold = 0;
    tracker_set(tracker, &settings);
    tracker_reset(tracker);
    ck_assert_int_eq(see_one(at(100)), 4);
    ck_assert_int_eq(see_one(at(139)), 4);
    ck_assert_int_eq(see_one(at(300)), 5); /* nothing in common is never the same */
}
END_TEST

/* Twenty objects that walk about, come and go, with jitter and misses; returns a checksum of all numbers. */
static guint64 walk_about(guint seed, gint *most)
{
    struct test_rng rng = {seed};
    double x[20], y[20], vx[20], vy[20];
    guint64 sum = 0;
    for (guint k = 0; k < 20; k++) {
        x[k] = test_random_below(&rng, 1280);
        y[k] = test_random_below(&rng, 720);
        vx[k] = noise(&rng, 6);
        vy[k] = noise(&rng, 3);
    }
    for (guint i = 0; i < 300; i++) {
        struct tracker_object objects[20];
        guint count = 0;
        for (guint k = 0; k < 20; k++) {
            x[k] += vx[k];
            y[k] += vy[k];
            if (x[k] < 0 || x[k] > 1280 || y[k] < 0 || y[k] > 720 || test_random_below(&rng, 20) == 0)
                continue;
            objects[count] = object_at(x[k] + noise(&rng, 2), y[k] + noise(&rng, 2), 50, 90);
            objects[count++].class_id = k % 3;
        }
        see(objects, count);
        for (guint n = 0; n < count; n++) {
            sum = (sum ^ (guint64)objects[n].track_id) * G_GUINT64_CONSTANT(1099511628211);
            *most = MAX(*most, objects[n].track_id);
            for (guint other = 0; other < n; other++)
                ck_assert(objects[n].track_id == 0 || objects[n].track_id != objects[other].track_id);
        }
    }
    return sum;
}

START_TEST(test_determinism)
{
    gint most = 0, most_again = 0;
    guint64 sum = walk_about(21, &most);
    ck_assert_uint_eq(stats().created, (guint64)most);
    teardown();
    setup();
    ck_assert_uint_eq(walk_about(21, &most_again), sum);
    ck_assert_int_eq(most, most_again);
    ck_assert_int_ge(most, 15);
}
END_TEST

static void fill_grid(struct tracker_object *objects, guint count)
{
    for (guint i = 0; i < count; i++)
        objects[i] = object_at(20 + i % 20 * 30, 20 + i / 20 * 30, 20, 20);
}

/* More objects in a frame than can take part, and more tracks than there is room for. */
START_TEST(test_too_many)
{
    struct tracker_object objects[300];
    set_min_hits(1);
    fill_grid(objects, 300);
    see(objects, 300);
    for (guint i = 0; i < 300; i++)
        ck_assert_int_eq(objects[i].track_id, i < TRACKER_MAX_TRACKS ? (gint)i + 1 : 0);
    ck_assert_uint_eq(stats().crowded, 300 - TRACKER_MAX_TRACKS);
    ck_assert_uint_eq(stats().alive, TRACKER_MAX_TRACKS);
    fill_grid(objects, 300);
    see(objects + 200, 100); /* half of them have a track, and no other has room */
    for (guint i = 200; i < 300; i++)
        ck_assert_int_eq(objects[i].track_id, i < TRACKER_MAX_TRACKS ? (gint)i + 1 : 0);
    ck_assert_uint_eq(stats().crowded, 2 * (300 - TRACKER_MAX_TRACKS));
    see_nothing(26);
    ck_assert_uint_eq(stats().alive, 0);
    ck_assert_int_eq(see_one(at(5000)), TRACKER_MAX_TRACKS + 1);
}
END_TEST

START_TEST(test_no_boxes)
{
    const double huge = 1e300, inf = INFINITY;
    const struct tracker_box boxes[] = {
        {NAN, 0, 10, 10},  {0, NAN, 10, 10},       {0, 0, NAN, 10},      {0, 0, 10, NAN},  {0, 0, inf, 10},
        {-inf, 0, 10, 10}, {-inf, -inf, inf, inf}, {-huge, 0, huge, 10}, {10, 10, 10, 20}, {10, 10, 20, 10},
        {20, 10, 10, 20},  {5, 5, 5 + 1e-200, 6},  {0, 0, 0, 0}};
    guint count = G_N_ELEMENTS(boxes);
    struct tracker_object objects[G_N_ELEMENTS(boxes) + 1];
    for (guint i = 0; i < 6; i++) {
        for (guint k = 0; k < count; k++)
            objects[k] = (struct tracker_object){.box = boxes[k], .class_id = 1, .track_id = 99};
        objects[count] = at(100);
        see(objects, count + 1);
        for (guint k = 0; k < count; k++)
            ck_assert_int_eq(objects[k].track_id, 0);
        ck_assert_int_eq(objects[count].track_id, i < 2 ? 0 : 1);
    }
    ck_assert_uint_eq(stats().invalid, 6 * count);
    ck_assert_uint_eq(stats().created, 1);
}
END_TEST

static gint see_at(guint64 time, double x)
{
    struct tracker_object object = at(x);
    tracker_advance(tracker, time, FRAME);
    tracker_update(tracker, &object, 1);
    return object.track_id;
}

/* Without times, frames are `duration` apart. */
START_TEST(test_no_time)
{
    for (guint i = 0; i < 60; i++)
        ck_assert_int_eq(see_at(TRACKER_NO_TIME, 100 + 8 * i), i < 2 ? 0 : 1);
    for (guint i = 0; i < 25; i++)
        tracker_advance(tracker, TRACKER_NO_TIME, FRAME);
    ck_assert_uint_eq(stats().alive, 1);
    tracker_advance(tracker, TRACKER_NO_TIME, FRAME);
    ck_assert_uint_eq(stats().alive, 0);
}
END_TEST

START_TEST(test_backwards)
{
    guint64 time = 100 * SECOND;
    double x = 100;
    for (guint i = 0; i < 40; i++, x += 8, time += FRAME)
        see_at(time, x);
    /* a little, as when two frames changed places: the next frame, and the one after that */
    time -= 2 * FRAME;
    for (guint i = 0; i < 10; i++, x += 8, time += FRAME)
        ck_assert_int_eq(see_at(time, x), 1);
    for (guint i = 0; i < 10; i++, x += 8, time -= FRAME) /* for good */
        ck_assert_int_eq(see_at(time, x), 1);
    ck_assert_int_eq(see_at(time - 2 * SECOND, x), 0);
    ck_assert_uint_eq(stats().lost, 1);
    ck_assert_uint_eq(stats().alive, 0);
}
END_TEST

START_TEST(test_strange_times)
{
    static const guint64 times[] = {
        G_MAXUINT64 - 1, 0, G_MAXINT64, (guint64)G_MAXINT64 + 1, 1, G_MAXUINT64, G_MAXUINT64,
        G_MAXUINT64 - 1, 5};
    struct tracker_object predicted[4];
    struct tracker_settings settings = {0, G_MAXUINT64, 0, FALSE};
    for (guint round = 0; round < 2; round++) {
        for (gsize i = 0; i < G_N_ELEMENTS(times); i++) {
            struct tracker_object object = at(100);
            tracker_advance(tracker, times[i], round ? G_MAXINT64 : 0);
            tracker_update(tracker, &object, 1);
            tracker_match(tracker, times[i], &object, 1);
            guint count = tracker_predict(tracker, predicted, 4);
            for (guint k = 0; k < count; k++)
                ck_assert(isfinite(predicted[k].box.x_min) && isfinite(predicted[k].box.y_max));
        }
        tracker_set(tracker, &settings);
    }
}
END_TEST

/* Two frames with one time, and boxes that jump between them, make no infinite velocity. */
START_TEST(test_same_time)
{
    struct tracker_object predicted;
    for (guint i = 0; i < 20; i++)
        see_at(SECOND + i / 2, i % 2 ? 110 : 100);
    tracker_advance(tracker, SECOND + FRAME, FRAME);
    ck_assert_uint_eq(tracker_predict(tracker, &predicted, 1), 1);
    ck_assert_double_gt(center(&predicted), 60);
    ck_assert_double_lt(center(&predicted), 150);
}
END_TEST

/* Frames that no detector looked at: boxes where the object walks, and no hit is missed. */
START_TEST(test_predict)
{
    struct tracker_object predicted[3];
    for (guint i = 0; i < 90; i++) {
        if (i % 3 == 0) {
            struct tracker_object object = at(100 + 4 * i);
            object.label_id = 17;
            object.confidence = 0.75;
            ck_assert_int_eq(see_one(object), i < 6 ? 0 : 1);
            tracker_advance(tracker, now - FRAME, FRAME);
            continue;
        }
        tracker_advance(tracker, now, FRAME);
        ck_assert_uint_eq(tracker_predict(tracker, predicted, 3), 1);
        now += FRAME;
        ck_assert_int_eq(predicted[0].track_id, i < 6 ? 0 : 1);
        ck_assert_int_eq(predicted[0].label_id, 17);
        ck_assert_double_eq(predicted[0].confidence, 0.75);
        if (i > 15) {
            ck_assert_double_eq_tol(center(&predicted[0]), 100 + 4 * i, 1);
            ck_assert_double_eq_tol(predicted[0].box.y_min, 60, 1);
            ck_assert_double_eq_tol(predicted[0].box.y_max, 140, 1);
        }
    }
    ck_assert_uint_eq(tracker_predict(tracker, predicted, 0), 0);
}
END_TEST

/* What the last update did not see is not predicted, though it may come back. */
START_TEST(test_predict_only_seen)
{
    struct tracker_object two[2] = {at(100), at(400)}, predicted[2];
    for (guint i = 0; i < 3; i++)
        see(two, 2);
    see(&two[1], 1);
    tracker_advance(tracker, now, FRAME);
    ck_assert_uint_eq(tracker_predict(tracker, predicted, 2), 1);
    ck_assert_int_eq(predicted[0].track_id, 2);
    ck_assert_uint_eq(stats().alive, 2);
    tracker_advance(tracker, now + 2 * SECOND, FRAME);
    ck_assert_uint_eq(tracker_predict(tracker, predicted, 2), 0);
}
END_TEST

/* Boxes of an earlier frame have the numbers of that frame, and move nothing. */
START_TEST(test_match)
{
    struct tracker_object held[3], predicted[3];
    double x = 100;
    for (guint i = 0; i < 20; i++, x += 8) {
        held[0] = at(x);
        held[1] = at(600 - x);
        held[2] = object_at(x, 400, 30, 30);
        see(held, i < 17 ? 2 : 3); /* the third has no number until the last frame */
    }
    ck_assert_int_eq(held[2].track_id, 3);
    held[2].box.x_min += 200; /* belongs to nothing */
    held[2].box.x_max += 200;
    for (guint i = 1; i <= 10; i++) {
        tracker_advance(tracker, now, FRAME);
        tracker_match(tracker, i * FRAME, held, 3);
        now += FRAME;
        ck_assert_int_eq(held[0].track_id, 1);
        ck_assert_int_eq(held[1].track_id, 2);
        ck_assert_int_eq(held[2].track_id, 0);
        ck_assert_uint_eq(tracker_predict(tracker, predicted, 3), 1); /* the third */
        ck_assert_int_eq(predicted[0].track_id, 3);
    }
    ck_assert_int_eq(see_one(at(x + 80)), 1); /* where the velocity says, not where it was held */
}
END_TEST

START_TEST(test_reset)
{
    for (guint i = 0; i < 3; i++)
        see_one(at(100));
    tracker_reset(tracker);
    ck_assert_uint_eq(stats().lost, 1);
    now = 0; /* another stream may begin anywhere */
    see_one(at(100));
    see_one(at(100));
    ck_assert_int_eq(see_one(at(100)), 2);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("tracker");
    TCase *tcase = tcase_create("tracker");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_number_after_hits);
    tcase_add_test(tcase, test_one_hit);
    tcase_add_test(tcase, test_flicker);
    tcase_add_test(tcase, test_crossing);
    tcase_add_test(tcase, test_crossing_fast);
    tcase_add_test(tcase, test_occlusion);
    tcase_add_test(tcase, test_gap);
    tcase_add_test(tcase, test_max_age);
    tcase_add_test(tcase, test_jitter);
    tcase_add_test(tcase, test_irregular_frames);
    tcase_add_test(tcase, test_double_box);
    tcase_add_test(tcase, test_classes);
    tcase_add_test(tcase, test_iou_threshold);
    tcase_add_test(tcase, test_determinism);
    tcase_add_test(tcase, test_too_many);
    tcase_add_test(tcase, test_no_boxes);
    tcase_add_test(tcase, test_no_time);
    tcase_add_test(tcase, test_backwards);
    tcase_add_test(tcase, test_strange_times);
    tcase_add_test(tcase, test_same_time);
    tcase_add_test(tcase, test_predict);
    tcase_add_test(tcase, test_predict_only_seen);
    tcase_add_test(tcase, test_match);
    tcase_add_test(tcase, test_reset);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
