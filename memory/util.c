/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

const char *shk_status_string(enum shk_status status)
{
    switch (status) {
    case SHK_OK:
        return "ok";
    case SHK_ERROR_INVALID_ARGUMENT:
        return "invalid argument";
    case SHK_ERROR_IO:
        return "input/output error";
    case SHK_ERROR_BAD_MODEL:
        return "bad model";
    case SHK_ERROR_UNSUPPORTED:
        return "unsupported";
    case SHK_ERROR_NO_DEVICE:
        return "no device";
    case SHK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of host memory";
    case SHK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "out of device memory";
    case SHK_ERROR_DEVICE_LOST:
        return "device lost";
    case SHK_ERROR_DRIVER:
        return "driver error";
    case SHK_ERROR_TIMEOUT:
        return "timeout";
    case SHK_ERROR_BUSY:
        return "busy";
    }
    return "unknown status";
}

void shk_trim_utf8(char *text)
{
    size_t length = strlen(text), tail = 0;
    while (tail < 3 && tail < length && (text[length - 1 - tail] & 0xC0) == 0x80)
        tail++;
    if (tail == length)
        return;
    char *lead = text + length - 1 - tail;
    size_t need = (*lead & 0xF8) == 0xF0 ? 4 : (*lead & 0xF0) == 0xE0 ? 3 : (*lead & 0xE0) == 0xC0 ? 2 : 1;
    if (tail + 1 < need)
        *lead = '\0';
}

enum shk_status shk_fail(struct shk_error *error, enum shk_status status, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        int length = vsnprintf(error->message, sizeof(error->message), format, args);
        va_end(args);
        if (length >= (int)sizeof(error->message))
            shk_trim_utf8(error->message);
        error->status = status;
    }
    return status;
}

enum shk_status shk_fail_oom(struct shk_error *error, size_t bytes, const char *what)
{
    return shk_fail(error, SHK_ERROR_OUT_OF_HOST_MEMORY, "out of memory: could not allocate %zu bytes for %s",
                    bytes, what);
}

void shk_log(const struct shk_log *log, enum shk_log_level level, const char *format, ...)
{
    if (!log || !log->fn)
        return;
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    log->fn(log->user, level, message);
}

#define LARGE_PAGE ((size_t)2 << 20)

void *shk_alloc_large(size_t bytes)
{
    size_t rounded;
    if (bytes < LARGE_PAGE || !shk_add_size(bytes, LARGE_PAGE - 1, &rounded))
        return malloc(bytes);
    rounded &= ~(LARGE_PAGE - 1);
    void *p;
    if (posix_memalign(&p, LARGE_PAGE, rounded))
        return NULL;
#ifdef MADV_HUGEPAGE
    (void)madvise(p, rounded, MADV_HUGEPAGE); /* a wish */
#endif
    return p;
}

uint64_t shk_time_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
