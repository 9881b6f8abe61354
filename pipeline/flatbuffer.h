/* Reading FlatBuffers from untrusted bytes (flatbuffers.dev/internals).
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * No function reads outside the buffer, whatever the bytes are. The first thing found wrong sticks in
 * `corrupt`; from then on, as for absent fields, readers return the fallback, 0 or nothing. So a caller may
 * read a whole object and look at `corrupt` once. Nothing is assumed about alignment. */
#ifndef SHK_FLATBUFFER_H
#define SHK_FLATBUFFER_H

#include "util.h"

struct shk_fb {
    const uint8_t *data;
    size_t size;
    const char *corrupt; /* NULL, or what is wrong */
    size_t corrupt_at;   /* byte offset of it */
};

struct shk_fb_table {
    struct shk_fb *fb;
    size_t at; /* 0: there is none */
    size_t vtable;
    uint32_t vtable_size;
    uint32_t size;
};

/* `count` elements that lie in the buffer. */
struct shk_fb_vector {
    struct shk_fb *fb;
    size_t at;
    uint32_t count;
};

bool shk_fb_has_identifier(const struct shk_fb *fb, const char identifier[4]);
struct shk_fb_table shk_fb_root(struct shk_fb *fb);

bool shk_fb_has(const struct shk_fb_table *table, uint32_t field);
/* A signed integer of `bytes` bytes (1, 2, 4, 8); cast for unsigned ones. */
int64_t shk_fb_int(const struct shk_fb_table *table, uint32_t field, uint32_t bytes, int64_t fallback);
float shk_fb_float(const struct shk_fb_table *table, uint32_t field, float fallback);
struct shk_fb_table shk_fb_child(const struct shk_fb_table *table, uint32_t field);
/* Also strings: elements of one byte. */
struct shk_fb_vector shk_fb_vector(const struct shk_fb_table *table, uint32_t field, uint32_t element_bytes);

/* `i` must be below the count, `bytes` what the vector was read with. */
int64_t shk_fb_vector_int(const struct shk_fb_vector *vector, uint32_t i, uint32_t bytes);
float shk_fb_vector_float(const struct shk_fb_vector *vector, uint32_t i);
/* Of a vector with element_bytes 4. */
struct shk_fb_table shk_fb_vector_table(const struct shk_fb_vector *vector, uint32_t i);

/* Little endian, sign extended. The caller has checked that the bytes are there. */
int64_t shk_fb_load(const uint8_t *at, uint32_t bytes);

#endif
