/* Whether suites run under the Khronos validation layer. They do, but in builds with sanitizers: there the layer
 * takes as long as all the rest, and what it has to say it has said in the build without them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_VALIDATION_H
#define TEST_VALIDATION_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* SHRIKE_VALIDATION=0 turns it off; tests/meson.build sets that. */
static inline bool test_validation(void)
{
    const char *value = getenv("SHRIKE_VALIDATION");
    return !value || strcmp(value, "0") != 0;
}

#endif
