/* Whole files in and out, with errors that name the path and the reason.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_FILE_H
#define SHK_FILE_H

#include "util.h"

/* Reads a regular file of at most `limit` bytes into malloc'd memory, with a NUL after them. Errors:
 * SHK_ERROR_IO, SHK_ERROR_BAD_MODEL if it is larger, SHK_ERROR_OUT_OF_HOST_MEMORY. */
enum shk_status shk_file_read(const char *path, size_t limit, uint8_t **data, size_t *size,
                              struct shk_error *error);

/* Writes beside `path` and renames, so that readers see the old file or the new one. Errors: SHK_ERROR_IO,
 * SHK_ERROR_OUT_OF_HOST_MEMORY. */
enum shk_status shk_file_write(const char *path, const void *data, size_t size, struct shk_error *error);

#endif
