/* Two-level segregated fit: an allocator of ranges of [0, size) that never touches the range itself, so that
 * it can be device memory. Constant time unless the memory is nearly full, good fit, neighbours merged at
 * once. M. Masmano, I. Ripoll, A. Crespo, J. Real: "TLSF: a new dynamic memory allocator for real-time
 * systems", ECRTS 2004. Not thread safe. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_TLSF_H
#define SHK_TLSF_H

#include "util.h"

struct shk_tlsf;

/* Offsets and sizes are multiples of `granularity`, a power of two; what is left of `size` behind the last
 * multiple is not used. */
enum shk_status shk_tlsf_create(uint64_t size, uint64_t granularity, struct shk_tlsf **tlsf,
                                struct shk_error *error);
void shk_tlsf_destroy(struct shk_tlsf **tlsf);

/* `size` > 0; `alignment` a power of two. SHK_ERROR_OUT_OF_DEVICE_MEMORY (without a message: the caller knows
 * more) if no range fits; SHK_ERROR_OUT_OF_HOST_MEMORY. *handle names the range for the calls below. */
enum shk_status shk_tlsf_alloc(struct shk_tlsf *tlsf, uint64_t size, uint64_t alignment, uint32_t *handle,
                               uint64_t *offset);
void shk_tlsf_free(struct shk_tlsf *tlsf, uint32_t handle);

uint64_t shk_tlsf_range_size(const struct shk_tlsf *tlsf,
                             uint32_t handle); /* rounded up to the granularity */
uint64_t shk_tlsf_used(const struct shk_tlsf *tlsf);
uint64_t shk_tlsf_largest_free(const struct shk_tlsf *tlsf);

#endif
