/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flatbuffer_write.h"

#include <stdlib.h>
#include <string.h>

/* `bytes` zeros at a position that is a multiple of `alignment`; returns the position. */
static size_t append(struct shk_fbw *w, size_t bytes, size_t alignment)
{
    size_t at = shk_align_up(w->size, alignment), end;
    if (w->failed)
        return 0;
    if (!shk_add_size(at, bytes, &end) || end > SHK_FBW_MAX) {
        w->failed = w->too_large = true;
        return 0;
    }
    if (end > w->capacity) {
        size_t capacity = SHK_MAX(end, SHK_MAX(w->capacity * 2, (size_t)4096));
        uint8_t *moved = realloc(w->bytes, capacity);
        if (!moved) {
            w->failed = true;
            return 0;
        }
        w->bytes = moved;
        w->capacity = capacity;
    }
    memset(w->bytes + w->size, 0, end - w->size);
    w->size = end;
    return at;
}

static void store(struct shk_fbw *w, size_t at, uint64_t value, size_t bytes)
{
    if (!w->failed)
        memcpy(w->bytes + at, &value, bytes);
}

static void fill_slot(struct shk_fbw *w, size_t slot, size_t target)
{
    store(w, slot, target - slot, 4);
}

void shk_fbw_start(struct shk_fbw *w, const char identifier[4])
{
    *w = (struct shk_fbw){0};
    size_t at = append(w, 8, 8);
    if (!w->failed)
        memcpy(w->bytes + at + 4, identifier, 4);
}

void shk_fbw_table(struct shk_fbw *w, size_t slot, const struct shk_fbw_field *fields, uint32_t count)
{
    uint16_t vtable[2 + SHK_FBW_MAX_FIELDS] = {0};
    uint32_t entries = 2;
    size_t size = 4; /* the distance to the vtable */
    for (uint32_t i = 0; i < count; i++) {
        size_t bytes = fields[i].slot ? 4 : fields[i].bytes;
        size = shk_align_up(size, bytes);
        vtable[2 + fields[i].id] = (uint16_t)size;
        entries = SHK_MAX(entries, 3u + fields[i].id);
        size += bytes;
    }
    vtable[0] = (uint16_t)(entries * sizeof(uint16_t));
    vtable[1] = (uint16_t)size;

    size_t vtable_at = append(w, vtable[0], 2);
    size_t at = append(w, size, 8);
    if (!w->failed)
        memcpy(w->bytes + vtable_at, vtable, vtable[0]);
    store(w, at, at - vtable_at, 4);
    for (uint32_t i = 0; i < count; i++) {
        size_t field = at + vtable[2 + fields[i].id];
        if (fields[i].slot)
            *fields[i].slot = field;
        else
            store(w, field, fields[i].value, fields[i].bytes);
    }
    fill_slot(w, slot, at);
}

size_t shk_fbw_vector(struct shk_fbw *w, size_t slot, const void *data, size_t count, size_t element_bytes,
                      size_t alignment)
{
    size_t bytes;
    if (!shk_mul_size(count, element_bytes, &bytes) || bytes > SHK_FBW_MAX) {
        w->failed = w->too_large = true;
        return 0;
    }
    /* the count goes right before the elements, and those are what is aligned */
    append(w, shk_align_up(w->size + 4, alignment) - 4 - w->size, 1);
    size_t at = append(w, 4, 4);
    size_t first = append(w, bytes, 1);
    store(w, at, count, 4);
    if (!w->failed && data && bytes)
        memcpy(w->bytes + first, data, bytes);
    fill_slot(w, slot, at);
    return first;
}

void shk_fbw_string(struct shk_fbw *w, size_t slot, const char *text)
{
    shk_fbw_vector(w, slot, text, strlen(text), 1, 4);
    append(w, 1, 1);
}
