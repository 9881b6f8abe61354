/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small random generator (xorshift64*), so that a seed means the same scene everywhere. */
#ifndef SCENE_RANDOM_H
#define SCENE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

/* Murmur3's 64-bit finalizer: neighbouring seeds give unrelated streams. */
static inline uint64_t rng_mix(uint64_t v)
{
    v = (v ^ (v >> 33)) * 0xff51afd7ed558ccdULL;
    v = (v ^ (v >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return v ^ (v >> 33);
}

static inline struct rng rng_seed(uint64_t seed, uint64_t stream)
{
    uint64_t state = rng_mix(seed + 0x9e3779b97f4a7c15ULL * (stream + 1));
    return (struct rng){state ? state : 1};
}

static inline uint32_t rng_u32(struct rng *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * 0x2545f4914f6cdd1dULL) >> 32);
}

/* Uniform in [0, 1). */
static inline float rng_unit(struct rng *r)
{
    return (float)(rng_u32(r) >> 8) * 0x1p-24f;
}

static inline float rng_range(struct rng *r, float lo, float hi)
{
    return lo + (hi - lo) * rng_unit(r);
}

static inline int rng_below(struct rng *r, int n)
{
    return (int)(((uint64_t)rng_u32(r) * (uint32_t)n) >> 32);
}

static inline bool rng_chance(struct rng *r, float probability)
{
    return rng_unit(r) < probability;
}

/* Lattice noise in [0, 1) for integer coordinates. */
static inline float hash_unit(uint32_t x, uint32_t y, uint32_t seed)
{
    uint32_t h = x * 0x8da6b343u ^ y * 0xd8163841u ^ seed * 0xcb1ab31fu;

    h = (h ^ (h >> 15)) * 0x2c1b3c6du;
    h = (h ^ (h >> 12)) * 0x297a2d39u;
    return (float)((h ^ (h >> 15)) >> 8) * 0x1p-24f;
}

#endif
