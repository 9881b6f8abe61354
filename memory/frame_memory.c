/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame_memory.h"

#include <stdlib.h>

#define PADDING 4 /* the device reads whole words */

static enum shk_status allocate(struct shk_memory *memory, struct shk_error *error)
{
    size_t padded;
    if (!shk_add_size(memory->info.size, PADDING - 1, &padded))
        return shk_fail_oom(error, memory->info.size, "frame memory");
    padded &= ~(size_t)(PADDING - 1);
    if (memory->info.device) {
        enum shk_status status =
            shk_pool_alloc(memory->info.device->pool, SHK_MEMORY_UPLOAD, padded, 0, &memory->buffer, error);
        memory->info.map = memory->buffer.map;
        return status;
    }
    memory->info.map = malloc(padded);
    return memory->info.map ? SHK_OK : shk_fail_oom(error, padded, "frame memory");
}

enum shk_status shk_memory_alloc(struct shk_device *device, size_t size, struct shk_memory **out,
                                 struct shk_error *error)
{
    if (size == 0 || !out)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_memory_alloc: size and memory must not be 0");
    struct shk_memory *memory = calloc(1, sizeof(*memory));
    if (!memory)
        return shk_fail_oom(error, sizeof(*memory), "frame memory");
    memory->info = (struct shk_memory_info){.origin = SHK_ORIGIN_POOL, .size = size, .device = device};
    enum shk_status status = allocate(memory, error);
    if (status) {
        free(memory);
        return status;
    }
    atomic_init(&memory->refs, 1);
    if (device) {
        shk_device_ref(device);
        memory->serial = atomic_fetch_add(&device->memory_serial, 1) + 1;
    }
    *out = memory;
    return SHK_OK;
}

struct shk_memory *shk_memory_ref(struct shk_memory *memory)
{
    atomic_fetch_add(&memory->refs, 1);
    return memory;
}

void shk_memory_unref(struct shk_memory **out)
{
    if (!out || !*out)
        return;
    struct shk_memory *memory = *out;
    *out = NULL;
    if (atomic_fetch_sub(&memory->refs, 1) != 1)
        return;
    if (memory->info.device)
        shk_pool_free(memory->info.device->pool, &memory->buffer);
    else
        free(memory->info.map);
    shk_device_destroy(&memory->info.device);
    free(memory);
}

void shk_memory_get_info(const struct shk_memory *memory, struct shk_memory_info *info)
{
    *info = memory->info;
}
