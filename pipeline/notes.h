/* What is known about kernels on a device, in memory and in the cache folder: lines of text.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files are named after, and begin with, what they are true of: the device, its driver's version and the shaders of
 * this libshrike. They are untrusted: one that is too large, that begins otherwise or that holds anything but printable
 * ASCII and tabs is ignored with a log line. */
#ifndef SHK_NOTES_H
#define SHK_NOTES_H

#include "device.h"

/* "<dir>/shrike-<kind>-<device uuid>-<driver version>-<hash of the shaders>.txt", to be freed; NULL: out of memory. */
char *shk_notes_path(struct shk_device *device, const char *dir, const char *kind);

/* The lines behind the first, each with a newline, to be freed; NULL where there is no such file, or none to trust. */
char *shk_notes_read(struct shk_device *device, const char *path, const struct shk_log *log);
/* Replaces the file as a whole; creates its folder. Failure is logged, no more. */
void shk_notes_write(struct shk_device *device, const char *dir, const char *path, const char *lines,
                     const struct shk_log *log);

/* The device's notes in memory. From any thread. */
bool shk_notes_has(struct shk_device *device, const char *line);
/* Adds each line that is not there yet. Out of memory: they are forgotten. */
void shk_notes_add(struct shk_device *device, const char *lines);
/* A copy of all, to be freed; NULL: none. */
char *shk_notes_copy(struct shk_device *device);

#endif
