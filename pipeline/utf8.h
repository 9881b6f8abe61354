/* UTF-8 (RFC 3629) in text from outside.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_UTF8_H
#define SHK_UTF8_H

#include "util.h"

/* Bytes of the character that `text` starts with, 0 if it is no valid UTF-8. `size` must be above 0. */
size_t shk_utf8_character(const char *text, size_t size);
/* True if all of it is UTF-8 without control characters (so that it fits into one line of a message). */
bool shk_utf8_is_line(const char *text, size_t size);

#endif
