/* The fixed-point primitives against their definitions in wide arithmetic, and the loop nests that shaders
 * walk. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "grid.h"
#include "op_case.h"
#include "quant.h"

/* Nearest, exact halves upwards: what rounding and truncation amount to. */
static int32_t high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((__int128)a * b + (1 << 30)) >> 31);
}

START_TEST(high_multiplication)
{
    static const int32_t edges[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, 1 << 30, INT32_MAX - 1, INT32_MAX};
    uint64_t seed = 3;
    ck_assert_int_eq(shk_srdhm(INT32_MIN, INT32_MIN), INT32_MAX);
    for (int i = 0; i < 8; i++)
        for (int j = 1; j < 8; j++)
            ck_assert_int_eq(shk_srdhm(edges[i], edges[j]), high_mul(edges[i], edges[j]));
    for (int i = 0; i < 100000; i++) {
        int32_t a = (int32_t)op_random(&seed) >> (op_random(&seed) % 20), b = (int32_t)op_random(&seed) | 1;
        ck_assert_int_eq(shk_srdhm(a, b), high_mul(a, b));
    }
}
END_TEST

START_TEST(rounding_division)
{
    uint64_t seed = 4;
    for (int e = 0; e <= 31; e++)
        for (int i = 0; i < 2000; i++) {
            int32_t x = (int32_t)op_random(&seed) >> (i % 31);
            double exact = round((double)x / (double)(INT64_C(1) << e)); /* halves away from zero */
            ck_assert_int_eq(shk_rounding_divide_by_pot(x, e), (int32_t)exact);
        }
}
END_TEST

START_TEST(multipliers)
{
    uint64_t seed = 5;
    for (int i = 0; i < 20000; i++) {
        double real = exp2(op_random_float(&seed, -30.0f, 16.0f));
        struct shk_multiplier m = shk_quantize_multiplier(real);
        double back = ldexp((double)m.multiplier, m.shift - 31);
        ck_assert(m.multiplier >= 1 << 30);
        ck_assert(fabs(back / real - 1.0) <= 0x1p-31);
        int32_t x = (int32_t)op_random(&seed) >> 17;
        ck_assert_msg(fabs(shk_mbqm(x, m) - x * real) <= 1.0 + fabs(x * real) * 0x1p-30, "%d * %g", x, real);
    }
    ck_assert_int_eq(shk_quantize_multiplier(0.0).multiplier, 0);
    ck_assert_int_eq(shk_quantize_multiplier(1e-12).multiplier, 0);
}
END_TEST

static uint32_t divide(uint32_t x, struct shk_divisor d)
{
    return ((uint32_t)((uint64_t)x * d.magic >> 32) + x) >> d.shift;
}

START_TEST(divisors)
{
    uint64_t seed = 6;
    for (uint32_t i = 1; i < 60000; i++) {
        uint32_t n = i < 5000 ? i : (uint32_t)(op_random(&seed) >> (33 + i % 30)) + 1;
        struct shk_divisor d = shk_divisor_of(n);
        uint32_t k = (INT32_MAX / n) * n; /* the last multiple, where an error would show first */
        const uint32_t values[] = {0, 1, n - 1, n, k - 1, k, INT32_MAX, (uint32_t)(op_random(&seed) >> 33)};
        for (int v = 0; v < 8; v++)
            ck_assert_msg(divide(values[v], d) == values[v] / n, "%u / %u", values[v], n);
    }
}
END_TEST

START_TEST(grids)
{
    struct shk_grid grid = {0};
    shk_grid_push(&grid, 3, 40, 40, 0);
    shk_grid_push(&grid, 1, 7, 9, 1);
    shk_grid_push(&grid, 5, 8, 8, 0);
    shk_grid_push(&grid, 8, 1, 1, 1);
    shk_grid_collapse(&grid);
    ck_assert_uint_eq(grid.rank, 2); /* b stops the last dimension from joining, not the other two */
    ck_assert_uint_eq(grid.dims[0].n, 15);
    ck_assert_uint_eq(grid.dims[0].dst, 8);
    ck_assert_uint_eq(shk_grid_items(&grid), 120);
    ck_assert_uint_eq(shk_grid_spec(&grid), 2);

    grid = (struct shk_grid){0};
    shk_grid_push(&grid, 6, 4, 4, 4);
    shk_grid_push(&grid, 4, 1, 1, 1);
    shk_grid_collapse(&grid);
    ck_assert_uint_eq(shk_grid_spec(&grid), SHK_GRID_LINEAR);

    grid = (struct shk_grid){0};
    shk_grid_push(&grid, 1, 4, 4, 4);
    shk_grid_collapse(&grid);
    ck_assert_uint_eq(grid.rank, 1);
    ck_assert_uint_eq(shk_grid_items(&grid), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arithmetic");
    TCase *t = tcase_create("arithmetic");
    tcase_add_test(t, high_multiplication);
    tcase_add_test(t, rounding_division);
    tcase_add_test(t, multipliers);
    tcase_add_test(t, divisors);
    tcase_add_test(t, grids);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
