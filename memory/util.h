/* Small helpers for every layer: arithmetic that cannot overflow silently, errors, time.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_UTIL_H
#define SHK_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shrike/status.h>

#define SHK_ARRAY_LEN(a)     (sizeof(a) / sizeof((a)[0]))
#define SHK_MIN(a, b)        ((a) < (b) ? (a) : (b))
#define SHK_MAX(a, b)        ((a) > (b) ? (a) : (b))
#define SHK_CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))

/* `alignment` must be a power of two; `x` must leave room. */
static inline uint64_t shk_align_up(uint64_t x, uint64_t alignment)
{
    return (x + alignment - 1) & ~(alignment - 1);
}

static inline uint32_t shk_div_round_up(uint32_t x, uint32_t y)
{
    return x / y + (x % y != 0);
}

/* False, and *out untouched, if the product or sum does not fit. */
static inline bool shk_mul_size(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

static inline bool shk_add_size(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

/* True if [offset, offset + length) lies in [0, size). */
static inline bool shk_range_fits(size_t offset, size_t length, size_t size)
{
    return offset <= size && length <= size - offset;
}

/* Takes away a UTF-8 character that was cut in the middle at the end of `text`. */
void shk_trim_utf8(char *text);

/* Fills *error if there is one and returns `status`: `return shk_fail(error, SHK_ERROR_IO, "%s: ...", path);`
 */
enum shk_status shk_fail(struct shk_error *error, enum shk_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* SHK_ERROR_OUT_OF_HOST_MEMORY, naming what was being allocated. */
enum shk_status shk_fail_oom(struct shk_error *error, size_t bytes, const char *what);

void shk_log(const struct shk_log *log, enum shk_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* malloc() of what is about to be written as a whole: of megabytes it asks for large pages, since thousands of page
 * faults take milliseconds, on virtual machines tens of them. To be freed with free(). */
void *shk_alloc_large(size_t bytes);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t shk_time_ns(void);

#endif
