/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tlsf.h"

#include "support.h"

#define MAX_RANGES 600

static struct shk_error error;

/* The allocator beside a plain list of what it has handed out. */
struct shadow {
    struct shk_tlsf *tlsf;
    uint64_t size, granularity;
    struct {
        uint64_t offset, size;
        uint32_t handle;
    } ranges[MAX_RANGES]; /* by offset */
    uint32_t count;
};

static uint64_t gap_start(const struct shadow *s, uint32_t i)
{
    return i == 0 ? 0 : s->ranges[i - 1].offset + s->ranges[i - 1].size;
}

static uint64_t gap_end(const struct shadow *s, uint32_t i)
{
    return i == s->count ? s->size / s->granularity * s->granularity : s->ranges[i].offset;
}

static bool has_room(const struct shadow *s, uint64_t size, uint64_t alignment)
{
    for (uint32_t i = 0; i <= s->count; i++) {
        uint64_t start = shk_align_up(gap_start(s, i), SHK_MAX(alignment, s->granularity));
        if (start <= gap_end(s, i) && gap_end(s, i) - start >= size)
            return true;
    }
    return false;
}

static void check(const struct shadow *s)
{
    uint64_t used = 0, largest = 0;
    bool overlap = false;
    for (uint32_t i = 0; i <= s->count; i++) {
        overlap |= gap_start(s, i) > gap_end(s, i);
        largest = SHK_MAX(largest, gap_end(s, i) - gap_start(s, i));
        used += i < s->count ? s->ranges[i].size : 0;
    }
    ck_assert(!overlap);
    ck_assert_uint_eq(shk_tlsf_used(s->tlsf), used);
    ck_assert_uint_eq(shk_tlsf_largest_free(s->tlsf), largest);
}

static bool alloc(struct shadow *s, uint64_t size, uint64_t alignment)
{
    uint32_t handle, at = s->count;
    uint64_t offset;

    if (shk_tlsf_alloc(s->tlsf, size, alignment, &handle, &offset)) {
        ck_assert_msg(!has_room(s, shk_align_up(size, s->granularity), alignment),
                      "refused %lu bytes although there is room", (unsigned long)size);
        return false;
    }
    ck_assert_uint_lt(s->count, MAX_RANGES);
    ck_assert_uint_eq(offset % SHK_MAX(alignment, s->granularity), 0);
    ck_assert_uint_eq(shk_tlsf_range_size(s->tlsf, handle), shk_align_up(size, s->granularity));
    for (; at > 0 && s->ranges[at - 1].offset > offset; at--)
        s->ranges[at] = s->ranges[at - 1];
    s->ranges[at].offset = offset;
    s->ranges[at].size = shk_align_up(size, s->granularity);
    s->ranges[at].handle = handle;
    s->count++;
    return true;
}

static void release(struct shadow *s, uint32_t i)
{
    shk_tlsf_free(s->tlsf, s->ranges[i].handle);
    s->count--;
    for (; i < s->count; i++)
        s->ranges[i] = s->ranges[i + 1];
}

static void open_shadow(struct shadow *s, uint64_t size, uint64_t granularity)
{
    *s = (struct shadow){.size = size, .granularity = granularity};
    test_ok(shk_tlsf_create(size, granularity, &s->tlsf, &error), &error);
}

/* Frees everything in random order: one range as large as at the start must be left. */
static void close_shadow(struct shadow *s, struct test_rng *rng)
{
    while (s->count) {
        release(s, test_random_below(rng, s->count));
        check(s);
    }
    ck_assert_uint_eq(shk_tlsf_used(s->tlsf), 0);
    ck_assert_uint_eq(shk_tlsf_largest_free(s->tlsf), s->size / s->granularity * s->granularity);
    shk_tlsf_destroy(&s->tlsf);
}

START_TEST(test_random_workload)
{
    struct test_rng rng = {100 + (uint64_t)_i};
    uint64_t granularity = UINT64_C(1) << test_random_below(&rng, 9);
    struct shadow s;
    int refused = 0;

    open_shadow(&s, 100000 + test_random(&rng) % 10000000, granularity);
    for (int step = 0; step < 4000; step++) {
        /* phases that fill, phases that drain */
        bool fill = test_random_below(&rng, 100) < (step / 500 % 2 ? 40u : 70u);
        if (s.count && (!fill || s.count == MAX_RANGES)) {
            release(&s, test_random_below(&rng, s.count));
        } else {
            uint64_t size = 1 + test_random(&rng) % (UINT64_C(1) << (1 + test_random_below(&rng, 19)));
            refused += !alloc(&s, size, UINT64_C(1) << test_random_below(&rng, 13));
        }
        check(&s);
    }
    ck_assert_int_gt(refused, 0);
    close_shadow(&s, &rng);
}
END_TEST

START_TEST(test_exact_fill)
{
    struct test_rng rng = {2};
    struct shadow s;

    open_shadow(&s, 64 * 512 + 63, 64);
    for (int i = 0; i < 512; i++)
        ck_assert(alloc(&s, 1 + test_random_below(&rng, 64), 1));
    ck_assert(!alloc(&s, 1, 1));
    release(&s, 100);
    release(&s, 100);
    ck_assert(!alloc(&s, 129, 1));
    ck_assert(alloc(&s, 128, 1));
    close_shadow(&s, &rng);
}
END_TEST

/* Two ranges of the size class of the request, of which only the second in the list has room for it. */
START_TEST(test_last_resort_finds_the_only_fit)
{
    struct test_rng rng = {3};
    struct shadow s;

    open_shadow(&s, 1100 + 1 + 1030 + 1, 1);
    ck_assert(alloc(&s, 1100, 1));
    ck_assert(alloc(&s, 1, 1));
    ck_assert(alloc(&s, 1030, 1));
    ck_assert(alloc(&s, 1, 1));
    release(&s, 0);
    release(&s, 1);
    ck_assert(alloc(&s, 1100, 1));
    close_shadow(&s, &rng);
}
END_TEST

START_TEST(test_limits)
{
    struct test_rng rng = {4};
    struct shadow s;
    uint32_t handle;
    uint64_t offset;

    open_shadow(&s, UINT64_C(1) << 50, 256);
    ck_assert(alloc(&s, UINT64_C(1) << 49, UINT64_C(1) << 49));
    ck_assert(alloc(&s, (UINT64_C(1) << 49) - 255, 1));
    ck_assert_int_eq(shk_tlsf_alloc(s.tlsf, UINT64_MAX, 1, &handle, &offset), SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    ck_assert_int_eq(shk_tlsf_alloc(s.tlsf, UINT64_MAX, UINT64_C(1) << 63, &handle, &offset),
                     SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    close_shadow(&s, &rng);
    shk_tlsf_destroy(&s.tlsf);
    shk_tlsf_destroy(NULL);

    open_shadow(&s, 255, 256); /* not even one unit */
    ck_assert(!alloc(&s, 1, 1));
    close_shadow(&s, &rng);
}
END_TEST

static Suite *tlsf_suite(void)
{
    Suite *suite = suite_create("tlsf");
    TCase *tc = tcase_create("tlsf");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_random_workload, 0, 12);
    tcase_add_test(tc, test_exact_fill);
    tcase_add_test(tc, test_last_resort_finds_the_only_fit);
    tcase_add_test(tc, test_limits);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return test_run(tlsf_suite);
}
