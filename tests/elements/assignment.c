/* The assignment: against all possibilities where there are few, and bounds where there are many.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assignment.h"

#include "support.h"

#define SMALL 6

static struct assignment a;

/* The largest sum that rows `row` and up can have with the columns that are left. */
static double best_sum(guint row, guint rows, guint columns, guint taken)
{
    if (row == rows)
        return 0;
    double best = best_sum(row + 1, rows, columns, taken);
    for (guint c = 0; c < columns; c++) {
        if (taken & 1u << c || a.weight[row][c] <= 0)
            continue;
        best = MAX(best, a.weight[row][c] + best_sum(row + 1, rows, columns, taken | 1u << c));
    }
    return best;
}

/* Fails if a column is given twice, or a pair is made that must not be. */
static double sum_of(const gint *column_of, guint rows, guint columns)
{
    gboolean taken[ASSIGNMENT_MAX] = {0};
    double sum = 0;
    for (guint r = 0; r < rows; r++) {
        gint c = column_of[r];
        if (c < 0)
            continue;
        ck_assert_int_lt(c, (gint)columns);
        ck_assert(!taken[c]);
        ck_assert(a.weight[r][c] > 0);
        taken[c] = TRUE;
        sum += a.weight[r][c];
    }
    return sum;
}

/* kind 0: most pairs allowed; 1: few; 2: many equal weights; 3: negative ones among them. */
static void fill(struct test_rng *rng, guint rows, guint columns, guint kind)
{
    static const guint allowed[] = {90, 30, 70, 80};
    for (guint r = 0; r < rows; r++) {
        for (guint c = 0; c < columns; c++) {
            double value = test_random_below(rng, kind == 2 ? 4 : 1000000) / (kind == 2 ? 4.0 : 1e6);
            gboolean allow = test_random_below(rng, 100) < allowed[kind];
            a.weight[r][c] = allow ? value : kind == 3 ? -value : 0;
        }
    }
}

START_TEST(test_all_possibilities)
{
    struct test_rng rng = {17};
    for (guint i = 0; i < 4000; i++) {
        guint rows = test_random_below(&rng, SMALL + 1), columns = test_random_below(&rng, SMALL + 1);
        gint column_of[SMALL];
        fill(&rng, rows, columns, i % 4);
        assignment_solve(&a, rows, columns, column_of);
        double sum = sum_of(column_of, rows, columns), best = best_sum(0, rows, columns, 0);
        ck_assert_msg(sum > best - 1e-9 && sum < best + 1e-9, "case %u, %ux%u: sum %.9f, best %.9f", i, rows,
                      columns, sum, best);
    }
}
END_TEST

/* Two that fit a little are no better than one that fits well. */
START_TEST(test_sum_before_count)
{
    gint column_of[2];
    a.weight[0][0] = 0.9;
    a.weight[0][1] = a.weight[1][0] = 0.4;
    a.weight[1][1] = 0;
    assignment_solve(&a, 2, 2, column_of);
    ck_assert_int_eq(column_of[0], 0);
    ck_assert_int_eq(column_of[1], -1);
    a.weight[0][1] = a.weight[1][0] = 0.5;
    assignment_solve(&a, 2, 2, column_of);
    ck_assert_int_eq(column_of[0], 1);
    ck_assert_int_eq(column_of[1], 0);
}
END_TEST

/* A permutation that is hidden in a full matrix is found; full and empty matrices have their obvious answer.
 */
START_TEST(test_largest)
{
    static gint column_of[ASSIGNMENT_MAX], again[ASSIGNMENT_MAX], hidden[ASSIGNMENT_MAX];
    struct test_rng rng = {18};
    fill(&rng, ASSIGNMENT_MAX, ASSIGNMENT_MAX, 0);
    for (gint i = 0; i < ASSIGNMENT_MAX; i++)
        hidden[i] = i;
    for (guint i = ASSIGNMENT_MAX - 1; i > 0; i--) {
        guint other = test_random_below(&rng, i + 1);
        gint kept = hidden[i];
        hidden[i] = hidden[other];
        hidden[other] = kept;
    }
    for (guint i = 0; i < ASSIGNMENT_MAX; i++)
        a.weight[i][hidden[i]] = 1.5;
    assignment_solve(&a, ASSIGNMENT_MAX, ASSIGNMENT_MAX, column_of);
    ck_assert_mem_eq(column_of, hidden, sizeof(hidden));

    fill(&rng, ASSIGNMENT_MAX, ASSIGNMENT_MAX, 2);
    assignment_solve(&a, ASSIGNMENT_MAX, ASSIGNMENT_MAX, column_of);
    assignment_solve(&a, ASSIGNMENT_MAX, ASSIGNMENT_MAX, again);
    ck_assert_mem_eq(column_of, again, sizeof(again));
    sum_of(column_of, ASSIGNMENT_MAX, ASSIGNMENT_MAX);

    for (guint r = 0; r < ASSIGNMENT_MAX; r++)
        for (guint c = 0; c < ASSIGNMENT_MAX; c++)
            a.weight[r][c] = 0;
    assignment_solve(&a, ASSIGNMENT_MAX, ASSIGNMENT_MAX, column_of);
    for (guint r = 0; r < ASSIGNMENT_MAX; r++)
        ck_assert_int_eq(column_of[r], -1);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("assignment");
    TCase *tcase = tcase_create("assignment");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_all_possibilities);
    tcase_add_test(tcase, test_sum_before_count);
    tcase_add_test(tcase, test_largest);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
