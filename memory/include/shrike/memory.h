/* Shrike: memory that the CPU or another device writes and that the device reads: where video frames live so that
 * nobody has to copy them.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A shk_memory is allocated from the device's pool, or wraps what somebody else allocated. It is counted by
 * references; whoever lets the device read it (shk_frame.memory) keeps it alive and unchanged until that frame has
 * been waited for.
 *
 * Threads: all functions may be called from any thread. */
#ifndef SHRIKE_MEMORY_H
#define SHRIKE_MEMORY_H

#include <shrike/device.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shk_memory;

enum shk_memory_origin {
    SHK_ORIGIN_POOL,   /* suballocated from the device's pool, or malloc'ed where there is no device */
    SHK_ORIGIN_HOST,   /* the caller's own pages: VK_EXT_external_memory_host */
    SHK_ORIGIN_DMABUF, /* VK_EXT_external_memory_dma_buf */
    SHK_ORIGIN_BUFFER, /* a VkBuffer that the caller owns */
};

struct shk_memory_info {
    enum shk_memory_origin origin;
    size_t size;               /* bytes that the caller may use */
    void *map;                 /* where the CPU sees it; NULL: it does not */
    struct shk_device *device; /* borrowed; NULL: without a device */
};

/* Host-visible memory of `size` bytes, written by the CPU and read by the device; contents undefined. `device`
 * NULL: plain memory, for sessions on the C reference. Errors: SHK_ERROR_INVALID_ARGUMENT (size 0),
 * SHK_ERROR_OUT_OF_DEVICE_MEMORY, SHK_ERROR_OUT_OF_HOST_MEMORY. */
SHK_API enum shk_status shk_memory_alloc(struct shk_device *device, size_t size, struct shk_memory **memory,
                                         struct shk_error *error);

/* Lets the device read `size` bytes at `pointer`, which the caller owns and keeps until the last reference is gone.
 * The pages that hold its first and last byte are imported whole, as that is the only unit there is; nothing outside
 * of [pointer, pointer + size) is used. An import calls the driver (and pins pages): for memory that comes back frame
 * after frame, not for a single one. `device` NULL: for sessions on the C reference, which read any memory.
 * Errors: SHK_ERROR_INVALID_ARGUMENT (NULL, size 0), SHK_ERROR_UNSUPPORTED (no VK_EXT_external_memory_host; a
 * pointer that is not a multiple of 4; memory that the driver refuses), with the reason. */
SHK_API enum shk_status shk_memory_import_host(struct shk_device *device, void *pointer, size_t size,
                                               struct shk_memory **memory, struct shk_error *error);

/* Lets the device read a dma-buf with linear rows. `fd` stays the caller's and may be closed at once; `size` is what of
 * it may be read, at most what lseek() says it has. The CPU does not see it (map is NULL). The device does not wait for
 * whoever writes: poll() the fd for POLLIN before each frame is submitted. Errors: SHK_ERROR_UNSUPPORTED (no
 * VK_EXT_external_memory_dma_buf, or the driver refuses it), SHK_ERROR_INVALID_ARGUMENT (no device, not a dma-buf,
 * smaller than `size`). */
SHK_API enum shk_status shk_memory_import_dmabuf(struct shk_device *device, int fd, size_t size,
                                                 struct shk_memory **memory, struct shk_error *error);

/* Wraps a range of a VkBuffer of the same VkDevice, created with VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, on an
 * adopted device (shk_device_adopt). The caller keeps it alive, and its writes are visible to the queue
 * (a semaphore or a fence waited for, a barrier recorded). `offset` is a multiple of minStorageBufferOffsetAlignment,
 * `size` of 4. Errors: SHK_ERROR_INVALID_ARGUMENT (a device of Shrike's own making, an empty range),
 * SHK_ERROR_UNSUPPORTED (offset, size), with what was expected. */
SHK_API enum shk_status shk_memory_wrap_buffer(struct shk_device *device, VkBuffer buffer, VkDeviceSize offset,
                                               VkDeviceSize size, struct shk_memory **memory, struct shk_error *error);

SHK_API struct shk_memory *shk_memory_ref(struct shk_memory *memory);
/* Drops a reference and sets *memory to NULL. NULL is fine. The memory keeps its device alive. */
SHK_API void shk_memory_unref(struct shk_memory **memory);

SHK_API void shk_memory_get_info(const struct shk_memory *memory, struct shk_memory_info *info);

#ifdef __cplusplus
}
#endif
#endif
