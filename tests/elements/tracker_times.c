/* The tracker between frames: times of any kind, predictions, boxes of earlier frames.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tracker_case.h"

#include <math.h>

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

/* Times are those of the frames that a detector looked at, as they were given, also when they went back. */
START_TEST(test_seen)
{
    struct tracker_object object;
    for (guint i = 0; i < 5; i++) {
        object = at(100);
        tracker_advance(tracker, SECOND + i * FRAME, FRAME);
        tracker_update(tracker, &object, 1);
    }
    ck_assert_uint_eq(object.first_seen, SECOND);
    ck_assert_uint_eq(object.last_seen, SECOND + 4 * FRAME);
    tracker_advance(tracker, SECOND + 5 * FRAME, FRAME);
    ck_assert_uint_eq(tracker_predict(tracker, &object, 1), 1);
    ck_assert_uint_eq(object.last_seen, SECOND + 4 * FRAME);
    object = at(100);
    tracker_advance(tracker, SECOND + 2 * FRAME, FRAME);
    tracker_update(tracker, &object, 1);
    ck_assert_uint_eq(object.first_seen, SECOND);
    ck_assert_uint_eq(object.last_seen, SECOND + 2 * FRAME);
    tracker_advance(tracker, TRACKER_NO_TIME, FRAME);
    tracker_match(tracker, 0, &object, 1);
    ck_assert_uint_eq(object.first_seen, SECOND);
    tracker_update(tracker, &object, 1);
    ck_assert_uint_eq(object.last_seen, TRACKER_NO_TIME);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("tracker-times");
    TCase *tcase = tcase_create("tracker-times");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_max_age);
    tcase_add_test(tcase, test_irregular_frames);
    tcase_add_test(tcase, test_no_time);
    tcase_add_test(tcase, test_backwards);
    tcase_add_test(tcase, test_strange_times);
    tcase_add_test(tcase, test_same_time);
    tcase_add_test(tcase, test_predict);
    tcase_add_test(tcase, test_predict_only_seen);
    tcase_add_test(tcase, test_match);
    tcase_add_test(tcase, test_seen);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
