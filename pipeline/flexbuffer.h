/* FlexBuffers (flatbuffers.dev/flexbuffers) as custom ops use them for options: one map from names to
 * numbers. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reads untrusted bytes within their bounds. */
#ifndef SHK_FLEXBUFFER_H
#define SHK_FLEXBUFFER_H

#include "util.h"

/* Values as stored in the buffer's type codes. */
enum shk_flex_type {
    SHK_FLEX_INT = 1,
    SHK_FLEX_UINT = 2,
    SHK_FLEX_FLOAT = 3,
    SHK_FLEX_BOOL = 26,
};

struct shk_flex_map {
    const uint8_t *data;
    size_t size;
    size_t values; /* first value */
    size_t keys;   /* first key offset */
    uint32_t count;
    uint32_t value_bytes, key_bytes;
};

/* False if the bytes are not a map. */
bool shk_flex_map_open(const void *data, size_t size, struct shk_flex_map *map);

enum shk_flex_result {
    SHK_FLEX_FOUND,
    SHK_FLEX_ABSENT,
    SHK_FLEX_CORRUPT, /* or not a number */
};
enum shk_flex_result shk_flex_map_number(const struct shk_flex_map *map, const char *key, double *value);

struct shk_flex_entry {
    const char *key;
    enum shk_flex_type type; /* INT: int32, FLOAT: float, BOOL */
    double value;
};
/* Sorts the entries by key and writes a map. Returns malloc'd bytes, or NULL when out of memory. */
void *shk_flex_map_write(struct shk_flex_entry *entries, uint32_t count, size_t *size);

#endif
