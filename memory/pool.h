/* Device memory: a few large VkDeviceMemory blocks per memory type, each with one VkBuffer over all of it,
 * suballocated (two-level segregated fit, tlsf.h). Only buffers live there, so that bufferImageGranularity
 * plays no part. Blocks are 16 to 64 MiB, less on small heaps; a request of more than half a block gets one
 * of its own. On a machine with one memory type, all kinds share the blocks. Thread safe.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_POOL_H
#define SHK_POOL_H

#include "device.h"

/* What the memory is for; decides the memory type. */
enum shk_memory_kind {
    SHK_MEMORY_DEVICE,   /* read and written by shaders: device local */
    SHK_MEMORY_UPLOAD,   /* written once by the CPU, read by the device: host visible, coherent if possible */
    SHK_MEMORY_READBACK, /* written by the device, read by the CPU: host visible and cached if possible */
    SHK_MEMORY_FRAME,    /* written and read by the CPU (a decoder looks back at its frames), read by the device: as
                            READBACK */
    SHK_MEMORY_KIND_COUNT,
};

/* The best of the memory types in the mask `allowed` (VkMemoryRequirements.memoryTypeBits); false if none
 * will do. Types that need features of their own (protected, lazily allocated, vendors') are never chosen. */
bool shk_memory_type(const VkPhysicalDeviceMemoryProperties *memory, uint32_t allowed,
                     enum shk_memory_kind kind, uint32_t *type);

struct shk_pool_block;

/* A range of a block. Usable as storage, uniform and transfer buffer. Plain value: copy freely, free once. */
struct shk_buffer {
    VkBuffer buffer;       /* the block's; shared with other ranges */
    VkDeviceSize offset;   /* of this range in `buffer` */
    VkDeviceSize size;     /* as asked for */
    VkDeviceMemory memory; /* the block's, bound at 0 */
    void *map;             /* persistent mapping of this range, or NULL if not host visible */
    bool coherent;
    struct shk_pool_block *block;
    uint32_t handle; /* the allocator's */
};

enum shk_status shk_pool_create(struct shk_device *device, uint64_t budget, struct shk_pool **pool,
                                struct shk_error *error);
void shk_pool_destroy(struct shk_pool **pool);

/* `alignment` 0 or a power of two; the device's storage, uniform and (for host-visible memory)
 * nonCoherentAtomSize alignments are always kept. Errors: SHK_ERROR_OUT_OF_DEVICE_MEMORY, with the numbers
 * (asked for, used, reserved, largest free, budget); SHK_ERROR_INVALID_ARGUMENT for size 0. A range may be
 * larger than maxStorageBufferRange; it cannot be bound as one descriptor then. */
enum shk_status shk_pool_alloc(struct shk_pool *pool, enum shk_memory_kind kind, VkDeviceSize size,
                               VkDeviceSize alignment, struct shk_buffer *buffer, struct shk_error *error);

/* Zeroes *buffer. An empty *buffer is fine. A block that is empty goes back to the driver, except that one is
 * kept per kind so that an alloc/free pair does not call the driver every time. */
void shk_pool_free(struct shk_pool *pool, struct shk_buffer *buffer);

void shk_pool_stats(struct shk_pool *pool, struct shk_memory_stats *stats);

/* Makes CPU writes visible to the device, and device writes to the CPU; no-ops on coherent memory. Offsets
 * are relative to the range and are widened to nonCoherentAtomSize. */
enum shk_status shk_buffer_flush(struct shk_device *device, const struct shk_buffer *buffer,
                                 VkDeviceSize offset, VkDeviceSize size, struct shk_error *error);
enum shk_status shk_buffer_invalidate(struct shk_device *device, const struct shk_buffer *buffer,
                                      VkDeviceSize offset, VkDeviceSize size, struct shk_error *error);

#endif
