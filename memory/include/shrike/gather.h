/* Shrike: frames that other code of the same VkDevice left in images, or in buffers that a session cannot bind, copied
 * by the device into memory that it can: a copy from GPU to GPU that the CPU only orders.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     shk_device_adopt -> shk_gather_create
 *         -> { shk_gather_submit -> shk_session_submit_batch with the memory -> ... -> shk_memory_unref } ...
 *
 * Threads: one thread at a time submits. Nothing is allocated per frame, and nothing waits. */
#ifndef SHRIKE_GATHER_H
#define SHRIKE_GATHER_H

#include <shrike/memory.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shk_gather;

/* A ring of `frames` (1 to 64) places for frames of `size` bytes; size 0: no copies, only ordering (below). More
 * frames than can be in the session and on the way to it are never needed. Holds a reference to the device.
 * Errors: SHK_ERROR_INVALID_ARGUMENT, out of memory, SHK_ERROR_DRIVER. */
SHK_API enum shk_status shk_gather_create(struct shk_device *device, uint32_t frames, size_t size,
                                          struct shk_gather **gather, struct shk_error *error);
/* Waits for its copies, then sets *gather to NULL; NULL is fine. Memory that was handed out lives on. */
SHK_API void shk_gather_destroy(struct shk_gather **gather);

/* One plane. It comes from an image, or from a buffer. */
struct shk_gather_plane {
    /* Two-dimensional, one sample, mip level 0 and layer 0, created with VK_IMAGE_USAGE_TRANSFER_SRC_BIT and either for
     * all queue families or last used by that of the device's queue. It is in `layout`, which is neither UNDEFINED nor
     * PREINITIALIZED, and is so again afterwards. Two planes may be of one image with several planes. */
    VkImage image;
    VkImageLayout layout;
    VkImageAspectFlagBits aspect; /* COLOR, or PLANE_0, 1, 2 */
    uint32_t width, height;       /* texels of the plane */
    uint32_t texel_size;          /* bytes: 1, 2 or 4 */
    /* Where `image` is VK_NULL_HANDLE: created with VK_BUFFER_USAGE_TRANSFER_SRC_BIT. `buffer_size` bytes are copied
     * from `buffer_offset` on as they are; strides stay. */
    VkBuffer buffer;
    VkDeviceSize buffer_offset, buffer_size;

    /* Where to, in the memory that comes out: multiples of 4. */
    size_t offset;
    uint32_t stride; /* images only: bytes from row to row */
};

/* A timeline semaphore, and the value of it at which the planes are written. */
struct shk_gather_wait {
    VkSemaphore semaphore;
    uint64_t value;
};

/* Sends copies of 1 to 3 planes to the device's queue, behind all that was submitted to that queue before and behind
 * `waits` (at most 4), and ahead of all that is submitted later: a frame may be submitted at once with *memory, a new
 * reference. Drop it when that frame has been waited for. The planes stay alive and unchanged until then, too.
 *
 * With plane_count 0 nothing is copied and *memory is NULL, but the rest holds: for memory of
 * shk_memory_wrap_buffer(), which the session reads in place.
 *
 * Errors: SHK_ERROR_BUSY (all `frames` memories are still referenced, or all copies under way),
 * SHK_ERROR_INVALID_ARGUMENT (a plane that leaves the memory, with the numbers), SHK_ERROR_DEVICE_LOST,
 * SHK_ERROR_DRIVER. */
SHK_API enum shk_status shk_gather_submit(struct shk_gather *gather, const struct shk_gather_plane *planes,
                                          uint32_t plane_count, const struct shk_gather_wait *waits,
                                          uint32_t wait_count, struct shk_memory **memory, struct shk_error *error);

#ifdef __cplusplus
}
#endif
#endif
