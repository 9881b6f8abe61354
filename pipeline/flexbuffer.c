/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flexbuffer.h"

#include <stdlib.h>
#include <string.h>

#include "flatbuffer.h"

enum {
    TYPE_INDIRECT_INT = 6,
    TYPE_INDIRECT_UINT = 7,
    TYPE_INDIRECT_FLOAT = 8,
    TYPE_MAP = 9,
};

/* An unsigned integer of 1, 2, 4 or 8 bytes; false if it lies outside. */
static bool load_unsigned(const struct shk_flex_map *map, size_t at, uint32_t bytes, uint64_t *value)
{
    if (!shk_range_fits(at, bytes, map->size))
        return false;
    *value = (uint64_t)shk_fb_load(map->data + at, bytes);
    if (bytes < 8)
        *value &= (UINT64_C(1) << (8 * bytes)) - 1;
    return true;
}

/* Offsets point backwards from where they are stored. */
static bool follow(const struct shk_flex_map *map, size_t at, uint32_t bytes, size_t *target)
{
    uint64_t offset;
    if (!load_unsigned(map, at, bytes, &offset) || offset > at)
        return false;
    *target = at - (size_t)offset;
    return true;
}

bool shk_flex_map_open(const void *data, size_t size, struct shk_flex_map *map)
{
    *map = (struct shk_flex_map){.data = data, .size = size};
    if (size < 3)
        return false;
    uint32_t root_bytes = map->data[size - 1];
    uint32_t type = map->data[size - 2];
    if (type >> 2 != TYPE_MAP || (root_bytes != 1 && root_bytes != 2 && root_bytes != 4 && root_bytes != 8) ||
        root_bytes > size - 2 || !follow(map, size - 2 - root_bytes, root_bytes, &map->values))
        return false;

    /* before the values: offset of the keys, their width, the count */
    uint32_t width = 1u << (type & 3);
    uint64_t key_bytes, count, key_count, typed_bytes;
    map->value_bytes = width;
    if (map->values < 3 * width || !load_unsigned(map, map->values - width, width, &count) ||
        !load_unsigned(map, map->values - 2 * width, width, &key_bytes) ||
        !follow(map, map->values - 3 * width, width, &map->keys))
        return false;
    if ((key_bytes != 1 && key_bytes != 2 && key_bytes != 4 && key_bytes != 8) || map->keys < key_bytes ||
        !load_unsigned(map, map->keys - key_bytes, (uint32_t)key_bytes, &key_count) || key_count != count)
        return false;
    map->key_bytes = (uint32_t)key_bytes;
    map->count = (uint32_t)count;
    /* each value has a type byte after the last value */
    return count <= UINT32_MAX && !__builtin_mul_overflow(count, width + 1u, &typed_bytes) &&
           shk_range_fits(map->values, typed_bytes, size) &&
           shk_range_fits(map->keys, count * key_bytes, size);
}

static enum shk_flex_result load_float(const struct shk_flex_map *map, size_t at, uint32_t bytes,
                                       double *value)
{
    float f;
    if (!shk_range_fits(at, bytes, map->size) || bytes < 4)
        return SHK_FLEX_CORRUPT;
    if (bytes == 8) {
        memcpy(value, map->data + at, 8);
        return SHK_FLEX_FOUND;
    }
    memcpy(&f, map->data + at, sizeof(f));
    *value = (double)f;
    return SHK_FLEX_FOUND;
}

static enum shk_flex_result load_number(const struct shk_flex_map *map, uint32_t i, double *value)
{
    uint32_t packed = map->data[map->values + (size_t)map->count * map->value_bytes + i];
    uint32_t type = packed >> 2, bytes = map->value_bytes;
    size_t at = map->values + (size_t)i * bytes;
    uint64_t bits;
    if (type >= TYPE_INDIRECT_INT && type <= TYPE_INDIRECT_FLOAT) {
        if (!follow(map, at, bytes, &at))
            return SHK_FLEX_CORRUPT;
        bytes = 1u << (packed & 3);
        type = type - TYPE_INDIRECT_INT + SHK_FLEX_INT;
    }
    if (type == SHK_FLEX_FLOAT)
        return load_float(map, at, bytes, value);
    if ((type != SHK_FLEX_INT && type != SHK_FLEX_UINT && type != SHK_FLEX_BOOL) ||
        !load_unsigned(map, at, bytes, &bits))
        return SHK_FLEX_CORRUPT;
    *value = type == SHK_FLEX_INT ? (double)shk_fb_load(map->data + at, bytes) : (double)bits;
    return SHK_FLEX_FOUND;
}

enum shk_flex_result shk_flex_map_number(const struct shk_flex_map *map, const char *key, double *value)
{
    size_t length = strlen(key) + 1; /* with the NUL */
    for (uint32_t i = 0; i < map->count; i++) {
        size_t at;
        if (!follow(map, map->keys + (size_t)i * map->key_bytes, map->key_bytes, &at))
            return SHK_FLEX_CORRUPT;
        if (shk_range_fits(at, length, map->size) && memcmp(map->data + at, key, length) == 0)
            return load_number(map, i, value);
    }
    return SHK_FLEX_ABSENT;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct shk_flex_entry *)a)->key, ((const struct shk_flex_entry *)b)->key);
}

static void store(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void store_value(uint8_t *at, const struct shk_flex_entry *entry)
{
    float f = (float)entry->value;
    if (entry->type == SHK_FLEX_FLOAT)
        memcpy(at, &f, sizeof(f));
    else
        store(at, (uint32_t)(int32_t)entry->value);
}

/* Everything is 4 bytes wide: keys, [count, key offsets], [keys, 4, count, values, types], root, type, width.
 */
void *shk_flex_map_write(struct shk_flex_entry *entries, uint32_t count, size_t *size)
{
    const uint8_t width_code = 2; /* log2 of 4 */
    qsort(entries, count, sizeof(*entries), compare_keys);
    size_t text = 0;
    for (uint32_t i = 0; i < count; i++)
        text += strlen(entries[i].key) + 1;
    text = shk_align_up(text, 4);
    size_t keys = text + 4, values = keys + 4 * (size_t)count + 12;
    size_t types = values + 4 * (size_t)count, root = shk_align_up(types + count, 4);
    uint8_t *data = calloc(1, root + 6);
    if (!data)
        return NULL;

    store(data + keys - 4, count);
    store(data + values - 12, (uint32_t)(values - 12 - keys));
    store(data + values - 8, 4);
    store(data + values - 4, count);
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t length = strlen(entries[i].key) + 1, slot = keys + 4 * (size_t)i;
        memcpy(data + at, entries[i].key, length);
        store(data + slot, (uint32_t)(slot - at));
        store_value(data + values + 4 * (size_t)i, &entries[i]);
        data[types + i] = (uint8_t)(entries[i].type << 2 | width_code);
        at += length;
    }
    store(data + root, (uint32_t)(root - values));
    data[root + 4] = (uint8_t)(TYPE_MAP << 2 | width_code);
    data[root + 5] = 4;
    *size = root + 6;
    return data;
}
