/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_outlet.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A longer line's memory is not kept. */
#define KEPT_BYTES 65536

/* ---- Lines ---- */

struct json_queued_line *json_spare_take(struct json_spare *spare)
{
    struct json_queued_line *line;
    if (spare->count) {
        line = spare->lines[--spare->count];
    } else {
        line = g_new0(struct json_queued_line, 1);
        line->text = g_string_sized_new(1024);
    }
    g_string_truncate(line->text, 0);
    line->users = 1;
    return line;
}

static void free_line(struct json_queued_line *line)
{
    g_string_free(line->text, TRUE);
    g_free(line);
}

void json_spare_give(struct json_spare *spare, struct json_queued_line *line)
{
    if (!line || --line->users > 0)
        return;
    if (spare->count < JSON_SPARE_LINES && line->text->allocated_len <= KEPT_BYTES)
        spare->lines[spare->count++] = line;
    else
        free_line(line);
}

void json_spare_clear(struct json_spare *spare)
{
    while (spare->count)
        free_line(spare->lines[--spare->count]);
}

/* ---- Outlets ---- */

static enum json_outlet_kind kind_of(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return JSON_OUTLET_STREAM;
    return S_ISREG(status.st_mode)    ? JSON_OUTLET_FILE
           : S_ISSOCK(status.st_mode) ? JSON_OUTLET_SOCKET
                                      : JSON_OUTLET_STREAM;
}

struct json_outlet *json_outlet_new(int fd, guint capacity)
{
    struct json_outlet *outlet = g_new0(struct json_outlet, 1);
    outlet->fd = fd;
    outlet->kind = kind_of(fd);
    outlet->capacity = capacity;
    outlet->waiting = g_new0(struct json_queued_line *, capacity);
    return outlet;
}

guint json_outlet_free(struct json_outlet *outlet, struct json_spare *spare, int *failure)
{
    guint unwritten = json_outlet_drop(outlet, spare);
    int result = close(outlet->fd);
    if (failure)
        *failure = result == 0 || errno == EINTR ? 0 : errno;
    g_free(outlet->waiting);
    g_free(outlet);
    return unwritten;
}

gboolean json_outlet_is_full(const struct json_outlet *outlet)
{
    return outlet->count == outlet->capacity;
}

gboolean json_outlet_has_work(const struct json_outlet *outlet)
{
    return outlet->current || outlet->count;
}

void json_outlet_append(struct json_outlet *outlet, struct json_queued_line *line)
{
    outlet->waiting[(outlet->first + outlet->count) % outlet->capacity] = line;
    outlet->count++;
    outlet->used = TRUE;
    line->users++;
}

struct json_queued_line *json_outlet_take(struct json_outlet *outlet)
{
    if (!outlet->count)
        return NULL;
    struct json_queued_line *line = outlet->waiting[outlet->first];
    outlet->first = (outlet->first + 1) % outlet->capacity;
    outlet->count--;
    return line;
}

guint json_outlet_drop(struct json_outlet *outlet, struct json_spare *spare)
{
    guint dropped = outlet->count + (outlet->current ? 1 : 0);
    while (outlet->count)
        json_spare_give(spare, json_outlet_take(outlet));
    json_spare_give(spare, outlet->current);
    outlet->current = NULL;
    return dropped;
}

void json_outlet_advance(struct json_outlet *outlet)
{
    if (outlet->current)
        return;
    outlet->current = json_outlet_take(outlet);
    outlet->offset = 0;
}

/* The disk was full in the middle of a line. Not where others write to the file as well. */
static void take_back(struct json_outlet *outlet)
{
    off_t end = lseek(outlet->fd, 0, SEEK_CUR);
    struct stat status;
    if (outlet->offset == 0 || end < (off_t)outlet->offset || fstat(outlet->fd, &status) != 0 ||
        status.st_size != end)
        return;
    if (ftruncate(outlet->fd, end - (off_t)outlet->offset) == 0)
        outlet->offset = 0;
}

int json_outlet_write(struct json_outlet *outlet)
{
    const GString *text = outlet->current->text;
    while (outlet->offset < text->len) {
        const char *from = text->str + outlet->offset;
        gsize size = text->len - outlet->offset;
        gssize written;
        if (outlet->kind == JSON_OUTLET_SOCKET)
            written = send(outlet->fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        else if (outlet->kind == JSON_OUTLET_STREAM)
            written = write(outlet->fd, from, MIN(size, PIPE_BUF));
        else
            written = write(outlet->fd, from, size);
        if (written < 0 && errno != EINTR) {
            int failure = errno == EWOULDBLOCK ? EAGAIN : errno;
            if (outlet->kind == JSON_OUTLET_FILE)
                take_back(outlet);
            return failure;
        }
        if (written > 0)
            outlet->offset += (gsize)written;
        if (outlet->kind == JSON_OUTLET_STREAM && outlet->offset < text->len)
            return EAGAIN;
    }
    return 0;
}
