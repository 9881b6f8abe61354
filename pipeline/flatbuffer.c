/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flatbuffer.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "model files and tensors are little endian, and so must be the machine"
#endif

static const struct shk_fb_table no_table;
static const struct shk_fb_vector no_vector;

static void corrupt(struct shk_fb *fb, const char *what, size_t at)
{
    if (fb->corrupt)
        return;
    fb->corrupt = what;
    fb->corrupt_at = at;
}

int64_t shk_fb_load(const uint8_t *at, uint32_t bytes)
{
    int16_t i16;
    int32_t i32;
    int64_t i64;
    switch (bytes) {
    case 1:
        return (int8_t)*at;
    case 2:
        memcpy(&i16, at, sizeof(i16));
        return i16;
    case 4:
        memcpy(&i32, at, sizeof(i32));
        return i32;
    default:
        memcpy(&i64, at, sizeof(i64));
        return i64;
    }
}

static uint32_t load_u16(const struct shk_fb *fb, size_t at)
{
    return (uint16_t)shk_fb_load(fb->data + at, 2);
}

/* Where the offset stored at `at` points, or 0. */
static size_t follow(struct shk_fb *fb, size_t at)
{
    uint32_t offset = (uint32_t)shk_fb_load(fb->data + at, 4);
    if (offset < 4 || !shk_range_fits(at, offset, fb->size)) {
        corrupt(fb, "an offset points outside the file", at);
        return 0;
    }
    return at + offset;
}

static struct shk_fb_table table_at(struct shk_fb *fb, size_t at)
{
    if (at == 0)
        return no_table;
    if (!shk_range_fits(at, 4, fb->size)) {
        corrupt(fb, "a table lies outside the file", at);
        return no_table;
    }
    int64_t vtable = (int64_t)at - shk_fb_load(fb->data + at, 4);
    if (vtable < 0 || !shk_range_fits((size_t)vtable, 4, fb->size)) {
        corrupt(fb, "a table's field list lies outside the file", at);
        return no_table;
    }
    struct shk_fb_table table = {fb, at, (size_t)vtable, load_u16(fb, (size_t)vtable),
                                 load_u16(fb, (size_t)vtable + 2)};
    if (table.vtable_size < 4 || !shk_range_fits(table.vtable, table.vtable_size, fb->size) ||
        table.size < 4 || !shk_range_fits(at, table.size, fb->size)) {
        corrupt(fb, "a table has an impossible size", at);
        return no_table;
    }
    return table;
}

bool shk_fb_has_identifier(const struct shk_fb *fb, const char identifier[4])
{
    return fb->size >= 8 && memcmp(fb->data + 4, identifier, 4) == 0;
}

struct shk_fb_table shk_fb_root(struct shk_fb *fb)
{
    if (fb->size < 8) {
        corrupt(fb, "too short for a FlatBuffer", 0);
        return no_table;
    }
    return table_at(fb, follow(fb, 0));
}

/* Position of the field's `bytes` bytes, or 0 if it is absent. */
static size_t find(const struct shk_fb_table *table, uint32_t field, uint32_t bytes)
{
    if (table->at == 0 || table->fb->corrupt || 4 + 2 * field + 2 > table->vtable_size)
        return 0;
    uint32_t offset = load_u16(table->fb, table->vtable + 4 + 2 * (size_t)field);
    if (offset == 0)
        return 0;
    if (offset < 4 || !shk_range_fits(offset, bytes, table->size)) {
        corrupt(table->fb, "a field lies outside its table", table->at);
        return 0;
    }
    return table->at + offset;
}

bool shk_fb_has(const struct shk_fb_table *table, uint32_t field)
{
    return find(table, field, 1) != 0;
}

int64_t shk_fb_int(const struct shk_fb_table *table, uint32_t field, uint32_t bytes, int64_t fallback)
{
    size_t at = find(table, field, bytes);
    return at ? shk_fb_load(table->fb->data + at, bytes) : fallback;
}

static float load_float(const uint8_t *at)
{
    float value;
    memcpy(&value, at, sizeof(value));
    return value;
}

float shk_fb_float(const struct shk_fb_table *table, uint32_t field, float fallback)
{
    size_t at = find(table, field, 4);
    return at ? load_float(table->fb->data + at) : fallback;
}

struct shk_fb_table shk_fb_child(const struct shk_fb_table *table, uint32_t field)
{
    size_t at = find(table, field, 4);
    return at ? table_at(table->fb, follow(table->fb, at)) : no_table;
}

struct shk_fb_vector shk_fb_vector(const struct shk_fb_table *table, uint32_t field, uint32_t element_bytes)
{
    size_t at = find(table, field, 4);
    if (at == 0)
        return no_vector;
    struct shk_fb *fb = table->fb;
    at = follow(fb, at);
    if (at == 0)
        return no_vector;
    size_t bytes;
    if (!shk_range_fits(at, 4, fb->size)) {
        corrupt(fb, "a vector lies outside the file", at);
        return no_vector;
    }
    struct shk_fb_vector vector = {fb, at + 4, (uint32_t)shk_fb_load(fb->data + at, 4)};
    if (!shk_mul_size(vector.count, element_bytes, &bytes) || !shk_range_fits(vector.at, bytes, fb->size)) {
        corrupt(fb, "a vector is longer than the file", at);
        return no_vector;
    }
    return vector;
}

int64_t shk_fb_vector_int(const struct shk_fb_vector *vector, uint32_t i, uint32_t bytes)
{
    return shk_fb_load(vector->fb->data + vector->at + (size_t)i * bytes, bytes);
}

float shk_fb_vector_float(const struct shk_fb_vector *vector, uint32_t i)
{
    return load_float(vector->fb->data + vector->at + (size_t)i * 4);
}

struct shk_fb_table shk_fb_vector_table(const struct shk_fb_vector *vector, uint32_t i)
{
    return table_at(vector->fb, follow(vector->fb, vector->at + (size_t)i * 4));
}
