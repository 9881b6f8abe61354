/* Writing FlatBuffers front to back: a parent first, with empty slots for its children's offsets; each child
 * fills its slot when it is written.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A failure (out of memory, more than SHK_FBW_MAX bytes) sticks; later calls do nothing. */
#ifndef SHK_FLATBUFFER_WRITE_H
#define SHK_FLATBUFFER_WRITE_H

#include "util.h"

#define SHK_FBW_MAX ((size_t)1 << 30)

struct shk_fbw {
    uint8_t *bytes; /* malloc'd; the caller frees or keeps it */
    size_t size, capacity;
    bool failed;
    bool too_large; /* why it failed; else out of memory */
};

/* One field of a table: a scalar of `bytes` bytes (1, 4, 8), or, with `slot`, the offset of a child to come.
 */
struct shk_fbw_field {
    uint16_t id;
    uint16_t bytes;
    uint64_t value;
    size_t *slot;
};
#define SHK_FBW_MAX_FIELDS 32

/* The header. The root table's slot is 0. */
void shk_fbw_start(struct shk_fbw *w, const char identifier[4]);
/* At most SHK_FBW_MAX_FIELDS fields, with ids below it. */
void shk_fbw_table(struct shk_fbw *w, size_t slot, const struct shk_fbw_field *fields, uint32_t count);
/* Elements aligned to `alignment` (a power of two, at least 4), zero if `data` is NULL. Returns where the
 * first one is. */
size_t shk_fbw_vector(struct shk_fbw *w, size_t slot, const void *data, size_t count, size_t element_bytes,
                      size_t alignment);
void shk_fbw_string(struct shk_fbw *w, size_t slot, const char *text);

#endif
