/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool.h"

#include <inttypes.h>
#include <stdlib.h>

#include "physical.h"
#include "tlsf.h"

#define MIB           (UINT64_C(1) << 20)
#define FIRST_BLOCK   (16 * MIB) /* doubles with every further block of the type... */
#define LARGEST_BLOCK (64 * MIB) /* ...up to this */

#define BUFFER_USAGE                                                                                         \
    (VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |                               \
     VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |                                                             \
     VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT)

struct shk_pool_block {
    struct shk_pool_block *next;
    VkDeviceMemory memory;
    VkBuffer buffer;
    void *map;
    uint64_t reserved; /* bytes of `memory` */
    uint32_t type;
    bool coherent;
    bool dedicated; /* made for one large request: not kept when empty */
    struct shk_tlsf *ranges;
};

struct shk_pool {
    struct shk_device *device;
    pthread_mutex_t mutex;
    uint64_t granularity;
    uint64_t largest_allocation; /* the driver's limit for one vkAllocateMemory */
    uint32_t types[SHK_MEMORY_KIND_COUNT];
    struct shk_pool_block *blocks[VK_MAX_MEMORY_TYPES];
    uint64_t heap_reserved[VK_MAX_MEMORY_HEAPS];
    struct shk_memory_stats stats; /* all but largest_free is kept up to date */
};

static const char *const kind_names[SHK_MEMORY_KIND_COUNT] = {
    [SHK_MEMORY_DEVICE] = "device",
    [SHK_MEMORY_UPLOAD] = "upload",
    [SHK_MEMORY_READBACK] = "readback",
    [SHK_MEMORY_FRAME] = "frame",
};

/* What the heap has left for us, as far as the driver tells. */
static uint64_t heap_room(const struct shk_pool *pool, uint32_t heap)
{
    const struct shk_device *device = pool->device;

    if (shk_extension_in(device->extensions, SHK_EXT_MEMORY_BUDGET)) {
        VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
        VkPhysicalDeviceMemoryProperties2 memory = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget};
        vkGetPhysicalDeviceMemoryProperties2(device->physical, &memory);
        uint64_t total = budget.heapBudget[heap], usage = budget.heapUsage[heap];
        return total > usage ? total - usage : 0;
    }
    uint64_t size = device->memory.memoryHeaps[heap].size;
    return size > pool->heap_reserved[heap] ? size - pool->heap_reserved[heap] : 0;
}

static uint32_t heap_of(const struct shk_pool *pool, uint32_t type)
{
    return pool->device->memory.memoryTypes[type].heapIndex;
}

/* The sum over the heaps that the pool can draw from. */
static uint64_t default_budget(const struct shk_pool *pool)
{
    uint64_t sum = 0;
    uint32_t seen = 0;
    for (int kind = 0; kind < SHK_MEMORY_KIND_COUNT; kind++) {
        uint32_t heap = heap_of(pool, pool->types[kind]);
        if (!(seen >> heap & 1))
            sum += heap_room(pool, heap);
        seen |= 1u << heap;
    }
    return sum;
}

static VkResult create_buffer(struct shk_device *device, uint64_t size, VkBuffer *buffer,
                              VkMemoryRequirements *requirements)
{
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = size,
        .usage = BUFFER_USAGE,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    VkResult result = vkCreateBuffer(device->device, &info, NULL, buffer);
    if (result == VK_SUCCESS)
        vkGetBufferMemoryRequirements(device->device, *buffer, requirements);
    return result;
}

/* Which memory types such buffers can have does not depend on their size, so a small one tells. */
static enum shk_status choose_types(struct shk_pool *pool, struct shk_error *error)
{
    VkBuffer probe;
    VkMemoryRequirements requirements;

    enum shk_status status =
        shk_check_vk(create_buffer(pool->device, 65536, &probe, &requirements), "vkCreateBuffer", error);
    if (status)
        return status;
    vkDestroyBuffer(pool->device->device, probe, NULL);
    pool->granularity = SHK_MAX(pool->granularity, requirements.alignment);
    for (int kind = 0; kind < SHK_MEMORY_KIND_COUNT; kind++)
        if (!shk_memory_type(&pool->device->memory, requirements.memoryTypeBits, kind, &pool->types[kind]))
            return shk_fail(error, SHK_ERROR_DRIVER,
                            "%s offers no memory type for %s buffers (types allowed: 0x%x): a driver bug",
                            pool->device->info.name, kind_names[kind], requirements.memoryTypeBits);
    return SHK_OK;
}

enum shk_status shk_pool_create(struct shk_device *device, uint64_t budget, struct shk_pool **pool,
                                struct shk_error *error)
{
    struct shk_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return shk_fail_oom(error, sizeof(*p), "the device memory pool");

    VkPhysicalDeviceMaintenance3Properties largest = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                              .pNext = &largest};
    vkGetPhysicalDeviceProperties2(device->physical, &properties);
    p->device = device;
    p->largest_allocation = largest.maxMemoryAllocationSize;
    p->granularity = SHK_MAX(device->limits.minStorageBufferOffsetAlignment,
                             device->limits.minUniformBufferOffsetAlignment);
    p->granularity = SHK_MAX(SHK_MAX(p->granularity, device->limits.nonCoherentAtomSize), 64);
    enum shk_status status = choose_types(p, error);
    if (status) {
        free(p);
        return status;
    }
    pthread_mutex_init(&p->mutex, NULL);
    p->stats.budget = budget ? budget : default_budget(p);
    *pool = p;
    return SHK_OK;
}

static void block_destroy(struct shk_pool *pool, struct shk_pool_block *block)
{
    VkDevice device = pool->device->device;
    vkDestroyBuffer(device, block->buffer, NULL);
    vkFreeMemory(device, block->memory, NULL); /* unmaps it, too */
    shk_tlsf_destroy(&block->ranges);
    free(block);
}

/* Takes the block out of the pool's list and gives it back to the driver. */
static void block_release(struct shk_pool *pool, struct shk_pool_block *block)
{
    struct shk_pool_block **link = &pool->blocks[block->type];
    while (*link != block)
        link = &(*link)->next;
    *link = block->next;
    pool->stats.blocks--;
    pool->stats.reserved -= block->reserved;
    pool->heap_reserved[heap_of(pool, block->type)] -= block->reserved;
    block_destroy(pool, block);
}

static void release_empty_blocks(struct shk_pool *pool)
{
    for (uint32_t type = 0; type < VK_MAX_MEMORY_TYPES; type++) {
        for (struct shk_pool_block *block = pool->blocks[type], *next; block; block = next) {
            next = block->next;
            if (shk_tlsf_used(block->ranges) == 0)
                block_release(pool, block);
        }
    }
}

void shk_pool_destroy(struct shk_pool **pool)
{
    if (!pool || !*pool)
        return;
    struct shk_pool *p = *pool;
    if (p->stats.allocations)
        shk_log(&p->device->log, SHK_LOG_WARNING,
                "%u device buffers (%" PRIu64
                " bytes) were never freed: destroy sessions before their device",
                p->stats.allocations, p->stats.used);
    for (uint32_t type = 0; type < VK_MAX_MEMORY_TYPES; type++)
        while (p->blocks[type])
            block_release(p, p->blocks[type]);
    pthread_mutex_destroy(&p->mutex);
    free(p);
    *pool = NULL;
}

static uint64_t room(const struct shk_pool *pool, uint32_t type)
{
    uint64_t budget =
        pool->stats.budget > pool->stats.reserved ? pool->stats.budget - pool->stats.reserved : 0;
    return SHK_MIN(SHK_MIN(budget, heap_room(pool, heap_of(pool, type))), pool->largest_allocation);
}

static VkResult allocate(struct shk_pool *pool, uint64_t size, uint32_t type, struct shk_pool_block *block)
{
    VkDevice device = pool->device->device;
    VkMemoryRequirements requirements;

    VkResult result = create_buffer(pool->device, size, &block->buffer, &requirements);
    if (result != VK_SUCCESS)
        return result;
    if (requirements.size > room(pool, type))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = requirements.size,
        .memoryTypeIndex = type,
    };
    pool->stats.total_driver_allocations++;
    result = vkAllocateMemory(device, &info, NULL, &block->memory);
    if (result == VK_SUCCESS)
        result = vkBindBufferMemory(device, block->buffer, block->memory, 0);
    VkMemoryPropertyFlags flags = pool->device->memory.memoryTypes[type].propertyFlags;
    if (result == VK_SUCCESS && flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT)
        result = vkMapMemory(device, block->memory, 0, VK_WHOLE_SIZE, 0, &block->map);
    block->reserved = requirements.size;
    block->type = type;
    block->coherent = flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    return result;
}

/* A block of `size` bytes in the pool's list, or a VkResult. */
static VkResult block_create(struct shk_pool *pool, uint64_t size, uint32_t type, struct shk_pool_block **out)
{
    struct shk_pool_block *block = calloc(1, sizeof(*block));
    if (!block)
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    VkResult result = allocate(pool, size, type, block);
    if (result == VK_SUCCESS && shk_tlsf_create(size, pool->granularity, &block->ranges, NULL))
        result = VK_ERROR_OUT_OF_HOST_MEMORY;
    if (result != VK_SUCCESS) {
        block_destroy(pool, block);
        return result;
    }
    block->next = pool->blocks[type];
    pool->blocks[type] = block;
    pool->stats.blocks++;
    pool->stats.reserved += block->reserved;
    pool->heap_reserved[heap_of(pool, type)] += block->reserved;
    *out = block;
    return VK_SUCCESS;
}

static uint64_t usual_block_size(const struct shk_pool *pool, uint32_t type)
{
    uint64_t size = FIRST_BLOCK;
    for (const struct shk_pool_block *block = pool->blocks[type]; block && size < LARGEST_BLOCK;
         block = block->next)
        size *= 2;
    /* small heaps (the window into a discrete GPU, small boards) are not swallowed whole */
    uint64_t share = pool->device->memory.memoryHeaps[heap_of(pool, type)].size / 8;
    return SHK_MAX(SHK_MIN(size, share) & ~(pool->granularity - 1), pool->granularity);
}

/* A block with room for `size` bytes (a multiple of the granularity) at its start: large requests get one of
 * their own, and where memory is short the block shrinks down to the request. */
static VkResult add_block(struct shk_pool *pool, uint64_t size, uint32_t type, struct shk_pool_block **block)
{
    uint64_t want = usual_block_size(pool, type);
    bool dedicated = size > want / 2;
    VkResult result;

    want = dedicated ? size : want;
    if (room(pool, type) < want)
        release_empty_blocks(pool);
    for (;;) {
        result = block_create(pool, want, type, block);
        if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY || want == size)
            break;
        want = SHK_MAX(want / 2 & ~(pool->granularity - 1), size);
    }
    if (result == VK_SUCCESS)
        (*block)->dedicated = dedicated;
    return result;
}

static uint64_t largest_free(const struct shk_pool *pool)
{
    uint64_t largest = 0;
    for (uint32_t type = 0; type < VK_MAX_MEMORY_TYPES; type++)
        for (const struct shk_pool_block *block = pool->blocks[type]; block; block = block->next)
            largest = SHK_MAX(largest, shk_tlsf_largest_free(block->ranges));
    return largest;
}

static enum shk_status refuse(const struct shk_pool *pool, enum shk_memory_kind kind, uint64_t size,
                              VkResult result, struct shk_error *error)
{
    if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY)
        return shk_check_vk(result, "allocating device memory", error);
    const struct shk_memory_stats *s = &pool->stats;
    return shk_fail(error, SHK_ERROR_OUT_OF_DEVICE_MEMORY,
                    "no room for %" PRIu64 " bytes of %s memory on %s: used %" PRIu64 ", reserved %" PRIu64
                    " in %u blocks, largest free range %" PRIu64 ", budget %" PRIu64
                    ", free in the heap %" PRIu64 ", largest allocation the driver allows %" PRIu64
                    "; use a smaller model or fewer frames in flight, or raise the budget",
                    size, kind_names[kind], pool->device->info.name, s->used, s->reserved, s->blocks,
                    largest_free(pool), s->budget, heap_room(pool, heap_of(pool, pool->types[kind])),
                    pool->largest_allocation);
}

static void fill_buffer(struct shk_pool *pool, struct shk_pool_block *block, uint32_t handle, uint64_t offset,
                        uint64_t size, struct shk_buffer *buffer)
{
    *buffer = (struct shk_buffer){
        .buffer = block->buffer,
        .offset = offset,
        .size = size,
        .memory = block->memory,
        .map = block->map ? (char *)block->map + offset : NULL,
        .coherent = block->coherent,
        .block = block,
        .handle = handle,
    };
    pool->stats.used += shk_tlsf_range_size(block->ranges, handle);
    pool->stats.peak_used = SHK_MAX(pool->stats.peak_used, pool->stats.used);
    pool->stats.allocations++;
}

static enum shk_status alloc_locked(struct shk_pool *pool, enum shk_memory_kind kind, uint64_t size,
                                    uint64_t alignment, struct shk_buffer *buffer, struct shk_error *error)
{
    uint32_t type = pool->types[kind];
    enum shk_status status = SHK_ERROR_OUT_OF_DEVICE_MEMORY;
    uint32_t handle;
    uint64_t offset;

    struct shk_pool_block *block = pool->blocks[type];
    for (; block; block = block->next) {
        status = shk_tlsf_alloc(block->ranges, size, alignment, &handle, &offset);
        if (status != SHK_ERROR_OUT_OF_DEVICE_MEMORY)
            break;
    }
    if (!block) {
        VkResult result = add_block(pool, shk_align_up(size, pool->granularity), type, &block);
        if (result != VK_SUCCESS)
            return refuse(pool, kind, size, result, error);
        status = shk_tlsf_alloc(block->ranges, size, alignment, &handle, &offset);
    }
    if (status)
        return shk_fail_oom(error, 0, "the book-keeping of a memory block");
    fill_buffer(pool, block, handle, offset, size, buffer);
    return SHK_OK;
}

enum shk_status shk_pool_alloc(struct shk_pool *pool, enum shk_memory_kind kind, VkDeviceSize size,
                               VkDeviceSize alignment, struct shk_buffer *buffer, struct shk_error *error)
{
    if (size == 0 || (unsigned)kind >= SHK_MEMORY_KIND_COUNT || (alignment & (alignment - 1)))
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_pool_alloc: %" PRIu64 " bytes of kind %d aligned to %" PRIu64
                        " (size must not be 0, alignment must be 0 or a power of two)",
                        size, (int)kind, alignment);

    pthread_mutex_lock(&pool->mutex);
    enum shk_status status;
    if (size > UINT64_MAX / 2)
        status = refuse(pool, kind, size, VK_ERROR_OUT_OF_DEVICE_MEMORY, error);
    else
        status = alloc_locked(pool, kind, size, SHK_MAX(alignment, 1), buffer, error);
    pthread_mutex_unlock(&pool->mutex);
    return status;
}

static bool another_empty(const struct shk_pool *pool, const struct shk_pool_block *block)
{
    for (const struct shk_pool_block *b = pool->blocks[block->type]; b; b = b->next)
        if (b != block && shk_tlsf_used(b->ranges) == 0)
            return true;
    return false;
}

void shk_pool_free(struct shk_pool *pool, struct shk_buffer *buffer)
{
    struct shk_pool_block *block = buffer->block;
    if (!block)
        return;

    pthread_mutex_lock(&pool->mutex);
    pool->stats.used -= shk_tlsf_range_size(block->ranges, buffer->handle);
    pool->stats.allocations--;
    shk_tlsf_free(block->ranges, buffer->handle);
    if (shk_tlsf_used(block->ranges) == 0 && (block->dedicated || another_empty(pool, block)))
        block_release(pool, block);
    pthread_mutex_unlock(&pool->mutex);
    *buffer = (struct shk_buffer){0};
}

void shk_pool_stats(struct shk_pool *pool, struct shk_memory_stats *stats)
{
    pthread_mutex_lock(&pool->mutex);
    *stats = pool->stats;
    stats->largest_free = largest_free(pool);
    pthread_mutex_unlock(&pool->mutex);
}
