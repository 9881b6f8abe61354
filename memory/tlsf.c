/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tlsf.h"

#include <stdlib.h>

/* Sizes are counted in units of the granularity. A size class is the position of the highest bit (first
 * level) and the four bits behind it (second level); sizes below 16 units have a class each. */
#define SECOND_BITS  4u
#define SECOND_COUNT (1u << SECOND_BITS)
#define FIRST_COUNT  (64u - SECOND_BITS + 1u)
#define NONE         UINT32_MAX

struct range {
    uint64_t offset;
    uint64_t size;
    uint32_t before, after;  /* neighbours in the address space */
    uint32_t previous, next; /* in the free list of the size class, or of spare entries */
    bool free;
};

struct shk_tlsf {
    uint64_t granularity;
    uint64_t used;
    uint64_t first_map;               /* bit f: second_map[f] is not 0 */
    uint32_t second_map[FIRST_COUNT]; /* bit s: lists[f][s] is not empty */
    uint32_t lists[FIRST_COUNT][SECOND_COUNT];
    struct range *ranges;
    uint32_t capacity;
    uint32_t spare; /* list of unused entries of `ranges`, by `next` */
};

struct size_class {
    uint32_t first, second;
};

static uint32_t highest_bit(uint64_t x)
{
    return 63u - (uint32_t)__builtin_clzll(x);
}

static struct size_class class_of(uint64_t size)
{
    if (size < SECOND_COUNT)
        return (struct size_class){0, (uint32_t)size};
    uint32_t shift = highest_bit(size) - SECOND_BITS;
    return (struct size_class){shift + 1, (uint32_t)(size >> shift) - SECOND_COUNT};
}

/* The smallest class all of whose ranges have room for `size`. */
static struct size_class class_that_fits(uint64_t size)
{
    if (size >= SECOND_COUNT)
        size += (UINT64_C(1) << (highest_bit(size) - SECOND_BITS)) - 1;
    return class_of(size);
}

/* Moves *c to the first class from *c on that has a free range. */
static bool find_class(const struct shk_tlsf *tlsf, struct size_class *c)
{
    uint32_t second = tlsf->second_map[c->first] & (~0u << c->second);
    if (!second) {
        uint64_t first = tlsf->first_map & (~UINT64_C(0) << c->first << 1);
        if (!first)
            return false;
        c->first = (uint32_t)__builtin_ctzll(first);
        second = tlsf->second_map[c->first];
    }
    c->second = (uint32_t)__builtin_ctz(second);
    return true;
}

static void list_insert(struct shk_tlsf *tlsf, uint32_t i)
{
    struct size_class c = class_of(tlsf->ranges[i].size);
    uint32_t *head = &tlsf->lists[c.first][c.second];

    tlsf->ranges[i].free = true;
    tlsf->ranges[i].previous = NONE;
    tlsf->ranges[i].next = *head;
    if (*head != NONE)
        tlsf->ranges[*head].previous = i;
    *head = i;
    tlsf->first_map |= UINT64_C(1) << c.first;
    tlsf->second_map[c.first] |= 1u << c.second;
}

static void list_remove(struct shk_tlsf *tlsf, uint32_t i)
{
    struct range *r = &tlsf->ranges[i];
    struct size_class c = class_of(r->size);
    uint32_t *head = &tlsf->lists[c.first][c.second];

    r->free = false;
    if (r->next != NONE)
        tlsf->ranges[r->next].previous = r->previous;
    if (r->previous != NONE)
        tlsf->ranges[r->previous].next = r->next;
    else
        *head = r->next;
    if (*head == NONE) {
        tlsf->second_map[c.first] &= ~(1u << c.second);
        if (!tlsf->second_map[c.first])
            tlsf->first_map &= ~(UINT64_C(1) << c.first);
    }
}

static bool grow(struct shk_tlsf *tlsf)
{
    uint32_t capacity = tlsf->capacity ? tlsf->capacity * 2 : 32;
    struct range *ranges = realloc(tlsf->ranges, capacity * sizeof(*ranges));
    if (!ranges)
        return false;
    for (uint32_t i = tlsf->capacity; i < capacity; i++) {
        ranges[i].next = tlsf->spare;
        tlsf->spare = i;
    }
    tlsf->ranges = ranges;
    tlsf->capacity = capacity;
    return true;
}

/* One allocation cuts off a range in front and one behind. */
static bool have_two_spares(struct shk_tlsf *tlsf)
{
    while (tlsf->spare == NONE || tlsf->ranges[tlsf->spare].next == NONE)
        if (!grow(tlsf))
            return false;
    return true;
}

/* Cuts [size, end) off range i and makes it a free range. There must be a spare entry. */
static void split(struct shk_tlsf *tlsf, uint32_t i, uint64_t size)
{
    uint32_t rest = tlsf->spare;
    struct range *r = &tlsf->ranges[i];
    struct range *s = &tlsf->ranges[rest];

    tlsf->spare = s->next;
    *s = (struct range){.offset = r->offset + size, .size = r->size - size, .before = i, .after = r->after};
    if (s->after != NONE)
        tlsf->ranges[s->after].before = rest;
    r->after = rest;
    r->size = size;
    list_insert(tlsf, rest);
}

/* Appends the free range `b` to its neighbour `a`, which is in no list. */
static void merge(struct shk_tlsf *tlsf, uint32_t a, uint32_t b)
{
    struct range *r = &tlsf->ranges[a];
    struct range *s = &tlsf->ranges[b];

    r->size += s->size;
    r->after = s->after;
    if (r->after != NONE)
        tlsf->ranges[r->after].before = a;
    s->next = tlsf->spare;
    tlsf->spare = b;
}

static bool fits(const struct range *r, uint64_t size, uint64_t alignment)
{
    uint64_t padding = shk_align_up(r->offset, alignment) - r->offset;
    return r->size >= padding && r->size - padding >= size;
}

/* Every free range that might do: only before giving up, since it takes linear time. */
static uint32_t search_all(const struct shk_tlsf *tlsf, uint64_t size, uint64_t alignment)
{
    struct size_class c = class_of(size);
    while (find_class(tlsf, &c)) {
        for (uint32_t i = tlsf->lists[c.first][c.second]; i != NONE; i = tlsf->ranges[i].next)
            if (fits(&tlsf->ranges[i], size, alignment))
                return i;
        if (++c.second == SECOND_COUNT) {
            c.second = 0;
            if (++c.first == FIRST_COUNT)
                break;
        }
    }
    return NONE;
}

enum shk_status shk_tlsf_create(uint64_t size, uint64_t granularity, struct shk_tlsf **tlsf,
                                struct shk_error *error)
{
    struct shk_tlsf *t = calloc(1, sizeof(*t));
    if (!t)
        return shk_fail_oom(error, sizeof(*t), "the book-keeping of a memory block");
    t->granularity = granularity;
    t->spare = NONE;
    for (uint32_t f = 0; f < FIRST_COUNT; f++)
        for (uint32_t s = 0; s < SECOND_COUNT; s++)
            t->lists[f][s] = NONE;
    if (!grow(t)) {
        free(t);
        return shk_fail_oom(error, sizeof(struct range), "the book-keeping of a memory block");
    }
    uint32_t i = t->spare;
    t->spare = t->ranges[i].next;
    t->ranges[i] = (struct range){.size = size / granularity, .before = NONE, .after = NONE};
    if (t->ranges[i].size)
        list_insert(t, i);
    *tlsf = t;
    return SHK_OK;
}

void shk_tlsf_destroy(struct shk_tlsf **tlsf)
{
    if (!tlsf || !*tlsf)
        return;
    free((*tlsf)->ranges);
    free(*tlsf);
    *tlsf = NULL;
}

enum shk_status shk_tlsf_alloc(struct shk_tlsf *tlsf, uint64_t size, uint64_t alignment, uint32_t *handle,
                               uint64_t *offset)
{
    uint64_t units = size / tlsf->granularity + (size % tlsf->granularity != 0);
    uint64_t align = SHK_MAX(alignment / tlsf->granularity, 1);
    uint64_t enough;

    if (__builtin_add_overflow(units, align - 1, &enough) || enough > UINT64_MAX / 2)
        return SHK_ERROR_OUT_OF_DEVICE_MEMORY;
    struct size_class c = class_that_fits(enough);
    uint32_t i = find_class(tlsf, &c) ? tlsf->lists[c.first][c.second] : search_all(tlsf, units, align);
    if (i == NONE)
        return SHK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (!have_two_spares(tlsf))
        return SHK_ERROR_OUT_OF_HOST_MEMORY;

    list_remove(tlsf, i);
    uint64_t padding = shk_align_up(tlsf->ranges[i].offset, align) - tlsf->ranges[i].offset;
    if (padding) {
        split(tlsf, i, padding);
        uint32_t front = i;
        i = tlsf->ranges[i].after;
        list_remove(tlsf, i);
        list_insert(tlsf, front);
    }
    if (tlsf->ranges[i].size > units)
        split(tlsf, i, units);
    tlsf->used += units;
    *handle = i;
    *offset = tlsf->ranges[i].offset * tlsf->granularity;
    return SHK_OK;
}

void shk_tlsf_free(struct shk_tlsf *tlsf, uint32_t i)
{
    uint32_t before = tlsf->ranges[i].before;
    uint32_t after = tlsf->ranges[i].after;

    tlsf->used -= tlsf->ranges[i].size;
    if (after != NONE && tlsf->ranges[after].free) {
        list_remove(tlsf, after);
        merge(tlsf, i, after);
    }
    if (before != NONE && tlsf->ranges[before].free) {
        list_remove(tlsf, before);
        merge(tlsf, before, i);
        i = before;
    }
    list_insert(tlsf, i);
}

uint64_t shk_tlsf_range_size(const struct shk_tlsf *tlsf, uint32_t handle)
{
    return tlsf->ranges[handle].size * tlsf->granularity;
}

uint64_t shk_tlsf_used(const struct shk_tlsf *tlsf)
{
    return tlsf->used * tlsf->granularity;
}

uint64_t shk_tlsf_largest_free(const struct shk_tlsf *tlsf)
{
    if (!tlsf->first_map)
        return 0;
    uint32_t first = highest_bit(tlsf->first_map);
    uint32_t second = highest_bit(tlsf->second_map[first]);
    uint64_t largest = 0;
    for (uint32_t i = tlsf->lists[first][second]; i != NONE; i = tlsf->ranges[i].next)
        largest = SHK_MAX(largest, tlsf->ranges[i].size);
    return largest * tlsf->granularity;
}
