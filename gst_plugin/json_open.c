/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

/* ---- Errors ---- */

static const char *what_to_do(int number)
{
    switch (number) {
    case ENOENT:
        return "create the folder, or correct the path";
    case EACCES:
    case EPERM:
        return "choose a path that this user may write to";
    case EISDIR:
        return "that is a folder: name a file in it";
    case ENOTDIR:
        return "a part of the path is a file, not a folder: correct the path";
    case EROFS:
        return "choose a path on a file system that is not read-only";
    case ENOSPC:
    case EDQUOT:
        return "free some space, or write elsewhere";
    case ENXIO:
        return "nobody reads from this FIFO: start its reader first";
    case EFBIG:
        return "the largest size that is allowed for files is reached: see ulimit -f";
    case EPIPE:
        return "its reader has closed it";
    case ECONNREFUSED:
        return "nobody listens there: start the reader first (nc -lU PATH), or set socket-mode=listen";
    case EADDRINUSE:
        return "another program listens there, or the path is not a socket: choose another socket-path";
    case EAGAIN:
        return "its program does not accept connections: wait until it does, or restart it";
    case ENAMETOOLONG:
        return "choose a shorter path";
    case ENOTSOCK:
        return "the path is not a socket: correct socket-path, or set location to write a file";
    case EPROTOTYPE:
        return "the socket there is not a stream socket: start a reader that listens on one (nc -lU PATH)";
    case EMFILE:
    case ENFILE:
        return "too many files are open: raise the limit (ulimit -n)";
    default:
        return "choose another path";
    }
}

static void set_error(GError **error, GstResourceError code, const char *what, const char *path, int number,
                      const char *hint)
{
    char *shown = g_filename_display_name(path);
    if (number == ENOSPC || number == EDQUOT)
        code = GST_RESOURCE_ERROR_NO_SPACE_LEFT;
    else if (number == EACCES || number == EPERM)
        code = GST_RESOURCE_ERROR_NOT_AUTHORIZED;
    else if (number == EADDRINUSE)
        code = GST_RESOURCE_ERROR_BUSY;
    g_set_error(error, GST_RESOURCE_ERROR, code, "%s \"%s\": %s: %s", what, shown, g_strerror(number), hint);
    g_free(shown);
}

void json_open_set_error(GError **error, GstResourceError code, const char *what, const char *path,
                         int number)
{
    set_error(error, code, what, path, number, what_to_do(number));
}

/* ---- Files ---- */

static gboolean is_socket(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

gboolean json_open_is_stdout(const char *location)
{
    return strcmp(location, "-") == 0 || strcmp(location, "/dev/stdout") == 0;
}

int json_open_file(const char *location, gboolean append, GError **error)
{
    int fd;
    if (json_open_is_stdout(location)) {
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
            json_open_set_error(error, GST_RESOURCE_ERROR_OPEN_WRITE, "cannot write to", "stdout", errno);
        return fd;
    }
    /* O_NONBLOCK: a FIFO without a reader is an error and not a wait */
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (append ? O_APPEND : O_TRUNC);
    fd = open(location, flags, 0666);
    if (fd < 0) {
        int failure = errno;
        set_error(error, GST_RESOURCE_ERROR_OPEN_WRITE, "cannot open", location, failure,
                  is_socket(location) ? "it is a socket: set socket-path instead of location"
                                      : what_to_do(failure));
    }
    return fd;
}

/* ---- Sockets ---- */

static gboolean make_address(struct sockaddr_un *address, const char *path, GError **error)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (strlen(path) < sizeof(address->sun_path)) {
        strcpy(address->sun_path, path);
        return TRUE;
    }
    char *shown = g_filename_display_name(path);
    g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                "socket-path \"%s\" has %" G_GSIZE_FORMAT " bytes, a socket's path at most %" G_GSIZE_FORMAT
                ": choose a shorter path",
                shown, strlen(path), sizeof(address->sun_path) - 1);
    g_free(shown);
    return FALSE;
}

static int make_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Returns 0 or an errno. */
static int try_connect(int fd, const struct sockaddr_un *address)
{
    int result;
    do
        result = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

/* connect() says ECONNREFUSED of a regular file, too. */
static const char *what_to_connect_to(const char *path, int number)
{
    if (number == ECONNREFUSED && !is_socket(path))
        number = ENOTSOCK;
    return what_to_do(number == ENOENT ? ECONNREFUSED : number);
}

int json_open_connect(const char *path, GError **error)
{
    struct sockaddr_un address;
    if (!make_address(&address, path, error))
        return -1;
    int fd = make_socket();
    int failure = fd < 0 ? errno : try_connect(fd, &address);
    if (failure == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    set_error(error, GST_RESOURCE_ERROR_OPEN_WRITE, "cannot connect to", path, failure,
              what_to_connect_to(path, failure));
    return -1;
}

/* A socket that nobody listens on stays in the file system when its program dies. */
static gboolean is_abandoned(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return FALSE;
    int fd = make_socket();
    gboolean abandoned = fd >= 0 && try_connect(fd, address) == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return abandoned;
}

/* Returns 0 or an errno. */
static int bind_and_listen(int fd, const struct sockaddr_un *address)
{
    const struct sockaddr *name = (const struct sockaddr *)address;
    if (bind(fd, name, sizeof(*address)) != 0) {
        if (errno != EADDRINUSE)
            return errno;
        if (!is_abandoned(address))
            return EADDRINUSE;
        if (unlink(address->sun_path) != 0 || bind(fd, name, sizeof(*address)) != 0)
            return errno;
    }
    return listen(fd, BACKLOG) == 0 ? 0 : errno;
}

struct json_listener json_open_listen(const char *path, GError **error)
{
    struct json_listener listener = {.fd = -1};
    struct sockaddr_un address;
    struct stat status;
    if (!make_address(&address, path, error))
        return listener;
    int fd = make_socket();
    int failure = fd < 0 ? errno : bind_and_listen(fd, &address);
    if (failure == 0 && stat(path, &status) != 0)
        failure = errno;
    if (failure) {
        if (fd >= 0)
            close(fd);
        json_open_set_error(error, GST_RESOURCE_ERROR_OPEN_WRITE, "cannot listen at", path, failure);
        return listener;
    }
    return (struct json_listener){fd, g_strdup(path), status.st_dev, status.st_ino};
}

int json_listener_accept(const struct json_listener *listener)
{
    int fd = accept(listener->fd, NULL, NULL);
    if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        int failure = errno;
        close(fd);
        errno = failure;
        return -1;
    }
    return fd;
}

void json_listener_close(struct json_listener *listener)
{
    struct stat status;
    if (listener->fd < 0)
        return;
    close(listener->fd);
    /* another program may have put its own in the place */
    if (lstat(listener->path, &status) == 0 && status.st_dev == listener->device &&
        status.st_ino == listener->inode)
        unlink(listener->path);
    g_free(listener->path);
    *listener = (struct json_listener){.fd = -1};
}
