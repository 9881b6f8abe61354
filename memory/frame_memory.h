/* Memory that somebody writes and the device reads (shrike/memory.h), as the code that binds it sees it.
 *
 * How to read plane p of a frame in a shader: bind `buffer` as a storage buffer (buffer.buffer, offset
 * buffer.offset, range buffer.size) and read 32-bit words from word (memory->delta + frame->offset[p]) / 4
 * on. `delta` is there because a descriptor's offset must be a multiple of minStorageBufferOffsetAlignment
 * and the caller's first byte need not be: `buffer` begins up to that much earlier. delta is a multiple of 4.
 * The last word of the caller's bytes lies inside the range as a whole, whatever info.size is.
 *
 * Before the device reads what the CPU wrote: shk_memory_flush().
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_FRAME_MEMORY_H
#define SHK_FRAME_MEMORY_H

#include <shrike/memory.h>

#include "pool.h"

struct shk_memory {
    atomic_uint refs;
    uint64_t serial; /* of no other memory of the device, ever, where pointers and VkBuffer handles come back; not 0 */
    struct shk_memory_info info; /* info.device: a reference is held */
    struct shk_buffer buffer;    /* how the device sees it; all zero without a device */
    uint32_t delta;              /* bytes from buffer.offset to the caller's first byte */
    /* What was made for an import, and goes with it; else VK_NULL_HANDLE. */
    VkBuffer imported_buffer;
    VkDeviceMemory imported_memory;
    void *plain; /* what was malloc'ed without a device */
};

/* Makes CPU writes visible to the device; returns at once where memory is coherent, or not the CPU's at all.
 */
enum shk_status shk_memory_flush(struct shk_memory *memory, struct shk_error *error);

/* Without a check of the arguments, with one reference and no memory yet: what the origins share. */
struct shk_memory *shk_memory_new(struct shk_device *device, enum shk_memory_origin origin, size_t size,
                                  struct shk_error *error);

#endif
