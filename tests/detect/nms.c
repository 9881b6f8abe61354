/* Non-maximum suppression. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nms.h"

#include <math.h>
#include <stdlib.h>

#include "support.h"

#define MANY 300

static struct shk_error error;
static struct shk_nms *nms;

static void setup(void)
{
    test_ok(shk_nms_create(MANY, &nms, &error), &error);
}

static void teardown(void)
{
    shk_nms_destroy(&nms);
    ck_assert_ptr_null(nms);
}

static void add(float score, uint32_t class_id, float x_min, float y_min, float x_max, float y_max)
{
    shk_nms_add(nms, &(struct shk_candidate){score, class_id, x_min, y_min, x_max, y_max, 0});
}

START_TEST(one_of_each_class)
{
    add(0.6f, 0, 0, 0, 10, 10);
    add(0.9f, 0, 1, 0, 11, 10); /* 90 of 110 in common */
    add(0.7f, 1, 0, 0, 10, 10);
    add(0.5f, 0, 20, 0, 30, 10);
    ck_assert_uint_eq(shk_nms_select(nms, 0.5f, 10), 3);
    ck_assert(nms->items[0].score == 0.9f && nms->items[1].score == 0.7f && nms->items[2].score == 0.5f);
}
END_TEST

/* The intersection over union is exactly 1/3. */
START_TEST(threshold_itself_is_kept)
{
    add(0.9f, 0, 0, 0, 2, 1);
    add(0.8f, 0, 1, 0, 3, 1);
    ck_assert_uint_eq(shk_nms_select(nms, 1.0f / 3, 10), 2);
    shk_nms_reset(nms);
    add(0.9f, 0, 0, 0, 2, 1);
    add(0.8f, 0, 1, 0, 3, 1);
    ck_assert_uint_eq(shk_nms_select(nms, 0.333f, 10), 1);
}
END_TEST

/* Only what was kept suppresses: the third overlaps the second, which is gone. */
START_TEST(suppressed_ones_do_not_suppress)
{
    add(0.9f, 0, 0, 0, 10, 1);
    add(0.8f, 0, 4, 0, 14, 1);
    add(0.7f, 0, 8, 0, 18, 1);
    ck_assert_uint_eq(shk_nms_select(nms, 0.4f, 10), 2);
    ck_assert(nms->items[1].score == 0.7f);
}
END_TEST

START_TEST(first_of_equals_wins)
{
    for (uint32_t i = 0; i < 20; i++)
        add(0.5f, 0, 0, 0, 1 + (float)i / 100, 1);
    ck_assert_uint_eq(shk_nms_select(nms, 0.5f, 10), 1);
    ck_assert(nms->items[0].x_max == 1.0f);
}
END_TEST

/* Devices need not know numbers as small as their intersection. */
START_TEST(tiny_boxes_do_not_overlap)
{
    add(0.9f, 0, 0, 0, 1e-16f, 1);
    add(0.8f, 0, 0, 0, 1e-16f, 1);
    ck_assert_uint_eq(shk_nms_select(nms, 0.5f, 10), 2);
    shk_nms_reset(nms);
    add(0.9f, 0, 0, 0, 1e-14f, 1);
    add(0.8f, 0, 0, 0, 1e-14f, 1);
    ck_assert_uint_eq(shk_nms_select(nms, 0.5f, 10), 1);
}
END_TEST

START_TEST(nonsense_is_left_out)
{
    add(NAN, 0, 0, 0, 1, 1);
    add(0.9f, 0, 1, 0, 1, 1);
    add(0.9f, 0, 0, 2, 1, 1);
    for (int i = 0; i < 8; i++) {
        float box[4] = {0, 0, 1, 1};
        box[i % 4] = i < 4 ? NAN : i % 4 < 2 ? -INFINITY : INFINITY;
        add(0.9f, 0, box[0], box[1], box[2], box[3]);
    }
    ck_assert_uint_eq(shk_nms_select(nms, 0.5f, 10), 0);
    shk_nms_reset(nms);
    add(0.9f, 0, -3e38f, -3e38f, 3e38f, 3e38f);
    add(0.8f, 0, -3e38f, -3e38f, 3e38f, 3e38f);
    ck_assert_uint_le(shk_nms_select(nms, 0.5f, 10), 2);
}
END_TEST

START_TEST(too_many_push_out_the_worst)
{
    for (uint32_t i = 0; i < 3 * MANY; i++)
        add((float)(i * 7 % (3 * MANY)) / 1000, i, 0, 0, 1, 1);
    ck_assert_uint_eq(shk_nms_select(nms, 0.5f, MANY), MANY);
    for (uint32_t i = 0; i < MANY; i++)
        ck_assert(nms->items[i].score == (float)(3 * MANY - 1 - i) / 1000);
    shk_nms_reset(nms);
    for (uint32_t i = 0; i < 10; i++)
        add(0.5f, i, 0, 0, 1, 1);
    ck_assert_uint_eq(shk_nms_select(nms, 0.5f, 4), 4);
}
END_TEST

/* ---- against the definition ---- */

static float iou(const struct shk_candidate *a, const struct shk_candidate *b)
{
    float w = fminf(a->x_max, b->x_max) - fmaxf(a->x_min, b->x_min);
    float h = fminf(a->y_max, b->y_max) - fmaxf(a->y_min, b->y_min);
    float both = fmaxf(w, 0) * fmaxf(h, 0);
    return both / ((a->x_max - a->x_min) * (a->y_max - a->y_min) +
                   (b->x_max - b->x_min) * (b->y_max - b->y_min) - both);
}

/* Takes the best of what is left until nothing is. */
static uint32_t slowly(struct shk_candidate *all, uint32_t count, float threshold, struct shk_candidate *kept)
{
    uint32_t n = 0;
    for (;;) {
        uint32_t best = count;
        for (uint32_t i = 0; i < count; i++)
            if (all[i].score >= 0 && (best == count || all[i].score > all[best].score))
                best = i;
        if (best == count)
            return n;
        kept[n++] = all[best];
        for (uint32_t i = 0; i < count; i++)
            if (all[i].class_id == kept[n - 1].class_id && iou(&all[i], &kept[n - 1]) > threshold)
                all[i].score = -1;
        all[best].score = -1;
    }
}

START_TEST(equals_the_definition)
{
    struct test_rng rng = {7};
    struct shk_candidate all[MANY], kept[MANY];
    for (int run = 0; run < 50; run++) {
        uint32_t count = test_random_below(&rng, MANY + 1);
        shk_nms_reset(nms);
        for (uint32_t i = 0; i < count; i++) {
            float x = (float)test_random_below(&rng, 64), y = (float)test_random_below(&rng, 64);
            all[i] = (struct shk_candidate){(float)test_random_below(&rng, 50) / 50,
                                            test_random_below(&rng, 3),
                                            x,
                                            y,
                                            x + 1 + (float)test_random_below(&rng, 32),
                                            y + 1 + (float)test_random_below(&rng, 32),
                                            i};
            shk_nms_add(nms, &all[i]);
        }
        uint32_t expected = slowly(all, count, 0.3f, kept);
        ck_assert_uint_eq(shk_nms_select(nms, 0.3f, MANY), expected);
        for (uint32_t i = 0; i < expected; i++)
            ck_assert(nms->items[i].order == kept[i].order && nms->items[i].score == kept[i].score);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("nms");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, one_of_each_class);
    tcase_add_test(tests, threshold_itself_is_kept);
    tcase_add_test(tests, suppressed_ones_do_not_suppress);
    tcase_add_test(tests, first_of_equals_wins);
    tcase_add_test(tests, tiny_boxes_do_not_overlap);
    tcase_add_test(tests, nonsense_is_left_out);
    tcase_add_test(tests, too_many_push_out_the_worst);
    tcase_add_test(tests, equals_the_definition);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
