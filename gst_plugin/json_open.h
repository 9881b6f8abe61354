/* Opens what shrikejson writes to: files and Unix stream sockets.
 *
 * Each function returns a descriptor that is closed on exec, or -1 with a GError of the domain
 * GST_RESOURCE_ERROR that names the path, what was wrong, and what to do.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_JSON_OPEN_H
#define SHRIKE_GST_JSON_OPEN_H

#include <gst/gst.h>
#include <sys/types.h>

G_BEGIN_DECLS

/* "-" and "/dev/stdout" are the standard output, of which this is a duplicate: neither emptied nor rewound.
 * Other files are created, and emptied unless `append`. A FIFO must have a reader. */
gboolean json_open_is_stdout(const char *location);
int json_open_file(const char *location, gboolean append, GError **error);

/* Connects to the program that listens at `path`. Does not wait. */
int json_open_connect(const char *path, GError **error);

/* A socket at `path`, so that it can be removed when it is still the same one. */
struct json_listener {
    int fd; /* -1: none */
    char *path;
    dev_t device;
    ino_t inode;
};

/* Listens at `path`. A socket that a program left there when it died is replaced; anything else is an error.
 * The result's fd is -1 where it failed. */
struct json_listener json_open_listen(const char *path, GError **error);
/* A reader that has connected, or -1 and errno. Does not wait. */
int json_listener_accept(const struct json_listener *listener);

void json_listener_close(struct json_listener *listener);

/* "what PATH: strerror: what to do", with the code for `number` (an errno) or `code` where there is none that
 * fits better. */
void json_open_set_error(GError **error, GstResourceError code, const char *what, const char *path,
                         int number);

G_END_DECLS
#endif
