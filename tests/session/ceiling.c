/* The device's ceilings: that all of them are measured, and measured where memory is scarce; no number is
 * judged. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <shrike/ceiling.h>

#include <math.h>
#include <string.h>

#include "support.h"

static struct shk_error error;

static struct shk_ceiling_params quick(void)
{
    struct shk_ceiling_params params = SHK_CEILING_PARAMS_DEFAULT;
    params.time_ns = 1000000;
    params.runs = 2;
    params.log = test_log();
    return params;
}

static void check(const struct shk_device_info *info, const struct shk_ceiling *ceiling)
{
    ck_assert(isfinite(ceiling->copy_bytes_per_second) && ceiling->copy_bytes_per_second > 0);
    ck_assert(isfinite(ceiling->cached_bytes_per_second) && ceiling->cached_bytes_per_second > 0);
    ck_assert(isfinite(ceiling->dispatch_ns) && ceiling->dispatch_ns > 0);
    ck_assert_uint_ge(ceiling->copy_bytes, ceiling->cached_bytes);
    for (int way = 0; way < SHK_MAC_WAY_COUNT; way++) {
        bool has = way != SHK_MAC_DOT || info->integer_dot_product;
        ck_assert_msg(has == (ceiling->macs_per_second[way] > 0), "%s: %g", shk_mac_way_string(way),
                      ceiling->macs_per_second[way]);
        ck_assert(ceiling->macs_per_second[way] <= ceiling->macs_per_second[ceiling->mac_way]);
    }
}

START_TEST(test_measure)
{
    struct shk_device_info info;
    struct shk_ceiling ceiling;
    struct shk_ceiling_params params = quick();
    struct shk_memory_stats before, after;
    shk_device_get_info(test_device(), &info);
    shk_device_memory_stats(test_device(), &before);
    test_ok(shk_measure_ceiling(test_device(), &params, &ceiling, &error), &error);
    shk_device_memory_stats(test_device(), &after);
    ck_assert_uint_eq(after.used, before.used);
    check(&info, &ceiling);
}
END_TEST

START_TEST(test_little_memory)
{
    struct shk_device_info info;
    struct shk_ceiling ceiling;
    struct shk_ceiling_params params = quick();
    struct shk_device *device = test_device_open(40 << 20);
    shk_device_get_info(device, &info);
    test_ok(shk_measure_ceiling(device, &params, &ceiling, &error), &error);
    check(&info, &ceiling);
    ck_assert_uint_le(ceiling.copy_bytes, 10 << 20);
    test_device_close(&device);

    device = test_device_open(1 << 20);
    memset(&ceiling, 0x55, sizeof(ceiling));
    struct shk_ceiling untouched = ceiling;
    ck_assert_int_eq(shk_measure_ceiling(device, &params, &ceiling, &error), SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    ck_assert_mem_eq(&ceiling, &untouched, sizeof(ceiling));
    test_device_close(&device);
}
END_TEST

START_TEST(test_refused)
{
    struct shk_ceiling ceiling;
    struct shk_ceiling_params params = quick();
    ck_assert_int_eq(shk_measure_ceiling(NULL, &params, &ceiling, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_measure_ceiling(test_device(), &params, NULL, &error), SHK_ERROR_INVALID_ARGUMENT);
    params.runs = 0;
    ck_assert_int_eq(shk_measure_ceiling(test_device(), &params, &ceiling, &error),
                     SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "runs is 0"));
    params.runs = 1001;
    ck_assert_int_eq(shk_measure_ceiling(test_device(), &params, &ceiling, &error),
                     SHK_ERROR_INVALID_ARGUMENT);
    params = quick();
    params.time_ns = 999999;
    ck_assert_int_eq(shk_measure_ceiling(test_device(), &params, &ceiling, &error),
                     SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "time_ns is 999999"));
}
END_TEST

START_TEST(test_names)
{
    for (int way = 0; way < SHK_MAC_WAY_COUNT; way++)
        for (int other = 0; other < way; other++)
            ck_assert_str_ne(shk_mac_way_string(way), shk_mac_way_string(other));
    ck_assert_str_eq(shk_mac_way_string(SHK_MAC_WAY_COUNT), "unknown");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("ceiling");
    TCase *tcase = tcase_create("ceiling");
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, test_measure);
    tcase_add_test(tcase, test_little_memory);
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_names);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
