/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* %m: strerror() is not thread safe, and strerror_r() comes in two kinds. */
static enum shk_status io_error(struct shk_error *error, const char *path, const char *what, int code)
{
    char text[128];
    errno = code;
    snprintf(text, sizeof(text), "%m");
    return shk_fail(error, SHK_ERROR_IO, "%s: %s: %s", path, what, text);
}

static enum shk_status read_all(int fd, const char *path, size_t limit, uint8_t **data, size_t *size,
                                struct shk_error *error)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return io_error(error, path, "cannot read", errno);
    if (S_ISDIR(st.st_mode))
        return io_error(error, path, "cannot read", EISDIR);
    if (!S_ISREG(st.st_mode))
        return shk_fail(error, SHK_ERROR_IO, "%s: cannot read: not a regular file", path);
    if (st.st_size < 0 || (uint64_t)st.st_size > limit)
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: %lld bytes, expected at most %zu", path,
                        (long long)st.st_size, limit);

    size_t bytes = (size_t)st.st_size, done = 0;
    uint8_t *buffer = shk_alloc_large(bytes + 1);
    if (!buffer)
        return shk_fail_oom(error, bytes, path);
    while (done < bytes) {
        ssize_t n = read(fd, buffer + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            enum shk_status status =
                n < 0 ? io_error(error, path, "cannot read", errno)
                      : shk_fail(error, SHK_ERROR_IO, "%s: became shorter while being read", path);
            free(buffer);
            return status;
        }
        done += (size_t)n;
    }
    buffer[bytes] = '\0';
    *data = buffer;
    *size = bytes;
    return SHK_OK;
}

enum shk_status shk_file_read(const char *path, size_t limit, uint8_t **data, size_t *size,
                              struct shk_error *error)
{
    /* O_NONBLOCK: opening a pipe must not wait for a writer */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return io_error(error, path, "cannot open", errno);
    enum shk_status status = read_all(fd, path, limit, data, size, error);
    close(fd);
    return status;
}

/* A new file beside `path`; its name, malloc'd, in *name. Negative: errno says why. */
static int create_beside(const char *path, char **name)
{
    size_t length = strlen(path) + 64;
    *name = malloc(length);
    if (!*name)
        return -1;
    snprintf(*name, length, "%s.%ld-%llu", path, (long)getpid(), (unsigned long long)shk_time_ns());
    return open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

enum shk_status shk_file_write(const char *path, const void *data, size_t size, struct shk_error *error)
{
    char *temporary;
    int fd = create_beside(path, &temporary);
    int code = fd < 0 ? errno : 0;
    for (size_t done = 0; done < size && !code;) {
        ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno != EINTR)
            code = errno;
    }
    if (fd >= 0 && close(fd) != 0 && !code)
        code = errno;
    if (!code && rename(temporary, path) != 0)
        code = errno;
    if (code && fd >= 0)
        unlink(temporary);
    free(temporary);
    return code ? io_error(error, path, "cannot write", code) : SHK_OK;
}
