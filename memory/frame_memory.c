/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame_memory.h"

#include <inttypes.h>
#include <stdlib.h>

#define WORD            4  /* shaders read whole words */
#define PLAIN_ALIGNMENT 64 /* of memory without a device; the pool's is at least that, too */

struct shk_memory *shk_memory_new(struct shk_device *device, enum shk_memory_origin origin, size_t size,
                                  struct shk_error *error)
{
    struct shk_memory *memory = calloc(1, sizeof(*memory));
    if (!memory) {
        shk_fail_oom(error, sizeof(*memory), "a frame's memory");
        return NULL;
    }
    atomic_init(&memory->refs, 1);
    memory->info.origin = origin;
    memory->info.size = size;
    memory->info.device = device ? shk_device_ref(device) : NULL;
    memory->serial = device ? atomic_fetch_add(&device->memory_serial, 1) + 1 : 1;
    return memory;
}

static enum shk_status alloc_plain(struct shk_memory *memory, size_t bytes, struct shk_error *error)
{
    if (bytes > SIZE_MAX - PLAIN_ALIGNMENT)
        return shk_fail_oom(error, bytes, "a frame");
    memory->plain = aligned_alloc(PLAIN_ALIGNMENT, shk_align_up(bytes, PLAIN_ALIGNMENT));
    if (!memory->plain)
        return shk_fail_oom(error, bytes, "a frame");
    memory->info.map = memory->plain;
    return SHK_OK;
}

enum shk_status shk_memory_alloc(struct shk_device *device, size_t size, struct shk_memory **memory,
                                 struct shk_error *error)
{
    if (size == 0 || size > SIZE_MAX - WORD)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_memory_alloc: %zu bytes (at least 1, at most %zu)", size, SIZE_MAX - WORD);
    struct shk_memory *m = shk_memory_new(device, SHK_ORIGIN_POOL, size, error);
    if (!m)
        return SHK_ERROR_OUT_OF_HOST_MEMORY;
    size_t bytes = shk_align_up(size, WORD);
    enum shk_status status = device
                                 ? shk_pool_alloc(device->pool, SHK_MEMORY_FRAME, bytes, 0, &m->buffer, error)
                                 : alloc_plain(m, bytes, error);
    if (status) {
        shk_memory_unref(&m);
        return status;
    }
    if (device)
        m->info.map = m->buffer.map;
    *memory = m;
    return SHK_OK;
}

static enum shk_status check_wrap(const struct shk_device *device, VkBuffer buffer, VkDeviceSize offset,
                                  VkDeviceSize size, struct shk_error *error)
{
    if (!device || !buffer || size == 0 || offset > UINT64_MAX - size || size > SIZE_MAX)
        return shk_fail(
            error, SHK_ERROR_INVALID_ARGUMENT,
            "shk_memory_wrap_buffer: a device, a VkBuffer and a range that is not empty are needed "
            "(got %s, %s, [%" PRIu64 ", +%" PRIu64 "))",
            device ? "a device" : "no device", buffer ? "a buffer" : "no buffer", offset, size);
    if (device->owned)
        return shk_fail(
            error, SHK_ERROR_INVALID_ARGUMENT,
            "shk_memory_wrap_buffer: the device is Shrike's own, so the VkBuffer is another device's: "
            "adopt the device that the buffer is of (shk_device_adopt)");
    VkDeviceSize alignment = device->limits.minStorageBufferOffsetAlignment;
    if (offset % alignment || offset % WORD || size % WORD)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "VkBuffer range [%" PRIu64 ", +%" PRIu64
                        "): this device binds storage buffers at multiples "
                        "of %" PRIu64 ", and sizes must be multiples of %d",
                        offset, size, SHK_MAX(alignment, WORD), WORD);
    return SHK_OK;
}

enum shk_status shk_memory_wrap_buffer(struct shk_device *device, VkBuffer buffer, VkDeviceSize offset,
                                       VkDeviceSize size, struct shk_memory **memory, struct shk_error *error)
{
    enum shk_status status = check_wrap(device, buffer, offset, size, error);
    if (status)
        return status;
    struct shk_memory *m = shk_memory_new(device, SHK_ORIGIN_BUFFER, size, error);
    if (!m)
        return SHK_ERROR_OUT_OF_HOST_MEMORY;
    m->buffer = (struct shk_buffer){.buffer = buffer, .offset = offset, .size = size, .coherent = true};
    *memory = m;
    return SHK_OK;
}

struct shk_memory *shk_memory_ref(struct shk_memory *memory)
{
    atomic_fetch_add_explicit(&memory->refs, 1, memory_order_relaxed);
    return memory;
}

static void memory_free(struct shk_memory *memory)
{
    struct shk_device *device = memory->info.device;

    if (device) {
        shk_pool_free(device->pool, &memory->buffer); /* nothing where the buffer is not the pool's */
        vkDestroyBuffer(device->device, memory->imported_buffer, NULL);
        vkFreeMemory(device->device, memory->imported_memory, NULL);
        shk_device_destroy(&device);
    }
    free(memory->plain);
    free(memory);
}

void shk_memory_unref(struct shk_memory **memory)
{
    if (!memory || !*memory)
        return;
    if (atomic_fetch_sub(&(*memory)->refs, 1) == 1)
        memory_free(*memory);
    *memory = NULL;
}

void shk_memory_get_info(const struct shk_memory *memory, struct shk_memory_info *info)
{
    *info = memory->info;
}

enum shk_status shk_memory_flush(struct shk_memory *memory, struct shk_error *error)
{
    if (!memory->buffer.map || memory->buffer.coherent)
        return SHK_OK;
    return shk_buffer_flush(memory->info.device, &memory->buffer, 0, memory->buffer.size, error);
}
