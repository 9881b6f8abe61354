/* Plain text tables: columns as wide as their widest cell, two spaces between them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TABLE_H
#define TABLE_H

#include <glib.h>

struct table;

/* `titles` separated by '|'; a leading '>' aligns the column to the right. */
struct table *table_new(const char *titles);
/* The next cell, row by row. */
void table_cell(struct table *table, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Takes ownership of `text`. */
void table_take(struct table *table, char *text);
/* Prints on stdout and frees. */
void table_finish(struct table *table);

/* A copy that is valid UTF-8 and holds no control characters: names in model files are untrusted. */
char *table_printable(const char *text);

#endif
