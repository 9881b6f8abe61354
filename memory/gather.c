/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <shrike/gather.h>

#include <inttypes.h>
#include <stdlib.h>

#include "frame_memory.h"

#define WORD       4
#define MAX_FRAMES 64
#define MAX_PLANES 3
#define MAX_WAITS  4

/* One copy at a time. */
struct place {
    VkCommandBuffer commands;
    VkFence fence;             /* signalled: the last copy is done, or there was none; rarely VK_NULL_HANDLE */
    struct shk_memory *memory; /* NULL where the frames' size is 0 */
};

struct shk_gather {
    struct shk_device *device;
    VkCommandPool command_pool;
    uint32_t count;
    struct place places[MAX_FRAMES];
};

/* Memory of the device's own kind: the CPU has no business with it. */
static enum shk_status create_memory(struct shk_device *device, size_t size, struct shk_memory **memory,
                                     struct shk_error *error)
{
    struct shk_memory *m = shk_memory_new(device, SHK_ORIGIN_POOL, size, error);
    if (!m)
        return SHK_ERROR_OUT_OF_HOST_MEMORY;
    enum shk_status status =
        shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, shk_align_up(size, WORD), 0, &m->buffer, error);
    if (status) {
        shk_memory_unref(&m);
        return status;
    }
    m->buffer.map = NULL;
    *memory = m;
    return SHK_OK;
}

static enum shk_status init_place(struct shk_gather *gather, size_t size, struct place *place,
                                  struct shk_error *error)
{
    VkDevice device = gather->device->device;
    const VkCommandBufferAllocateInfo commands_info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = gather->command_pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    const VkFenceCreateInfo fence_info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO,
                                          .flags = VK_FENCE_CREATE_SIGNALED_BIT};

    enum shk_status status = shk_check_vk(vkAllocateCommandBuffers(device, &commands_info, &place->commands),
                                          "vkAllocateCommandBuffers", error);
    if (!status)
        status =
            shk_check_vk(vkCreateFence(device, &fence_info, NULL, &place->fence), "vkCreateFence", error);
    if (!status && size)
        status = create_memory(gather->device, size, &place->memory, error);
    return status;
}

enum shk_status shk_gather_create(struct shk_device *device, uint32_t frames, size_t size,
                                  struct shk_gather **gather, struct shk_error *error)
{
    if (!device || frames < 1 || frames > MAX_FRAMES || size > SIZE_MAX - WORD)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_gather_create: %u frames of %zu bytes for %s (1 to %d frames, for a device)",
                        frames, size, device ? "a device" : "no device", MAX_FRAMES);
    struct shk_gather *g = calloc(1, sizeof(*g));
    if (!g)
        return shk_fail_oom(error, sizeof(*g), "copies between images and buffers");
    g->device = shk_device_ref(device);
    const VkCommandPoolCreateInfo pool_info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = device->queue_family,
    };
    enum shk_status status =
        shk_check_vk(vkCreateCommandPool(device->device, &pool_info, NULL, &g->command_pool),
                     "vkCreateCommandPool", error);
    while (!status && g->count < frames)
        status = init_place(g, size, &g->places[g->count++], error);
    if (status) {
        shk_gather_destroy(&g);
        return status;
    }
    *gather = g;
    return SHK_OK;
}

void shk_gather_destroy(struct shk_gather **gather)
{
    if (!gather || !*gather)
        return;
    struct shk_gather *g = *gather;
    VkDevice device = g->device->device;
    for (uint32_t i = 0; i < g->count; i++) {
        struct place *place = &g->places[i];
        if (place->fence)
            shk_device_retire(g->device, place->fence);
        vkDestroyFence(device, place->fence, NULL);
        shk_memory_unref(&place->memory);
    }
    vkDestroyCommandPool(device, g->command_pool, NULL); /* and its command buffers */
    shk_device_destroy(&g->device);
    free(g);
    *gather = NULL;
}

/* A fence that was reset for a submission that failed would never be signalled. */
static void renew_fence(struct shk_gather *gather, struct place *place)
{
    const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO,
                                    .flags = VK_FENCE_CREATE_SIGNALED_BIT};
    VkDevice device = gather->device->device;

    vkDestroyFence(device, place->fence, NULL);
    if (vkCreateFence(device, &info, NULL, &place->fence) != VK_SUCCESS)
        place->fence = VK_NULL_HANDLE; /* find_place() tries again */
}

static enum shk_status find_place(struct shk_gather *gather, struct place **place, struct shk_error *error)
{
    uint32_t referenced = 0;

    for (uint32_t i = 0; i < gather->count; i++) {
        struct place *p = &gather->places[i];
        if (p->memory && atomic_load(&p->memory->refs) > 1) {
            referenced++;
            continue;
        }
        if (!p->fence)
            renew_fence(gather, p);
        if (!p->fence)
            continue;
        VkResult result = vkGetFenceStatus(gather->device->device, p->fence);
        if (result == VK_SUCCESS) {
            *place = p;
            return SHK_OK;
        }
        if (result != VK_NOT_READY)
            return shk_device_check_vk(gather->device, result, "vkGetFenceStatus", error);
    }
    return shk_fail(
        error, SHK_ERROR_BUSY,
        "all %u frames are in use: %u are referenced, the others being copied: wait for a frame of the "
        "session and drop its memory",
        gather->count, referenced);
}

/* A copy from an image must go to a multiple of the texel size. Where the pool puts a memory is one of these
 * only. */
static bool texel_size_fits(uint32_t size)
{
    return size == 1 || size == 2 || size == WORD;
}

/* Bytes of the memory that the plane takes; false if they cannot be counted. */
static bool plane_bytes(const struct shk_gather_plane *plane, size_t *bytes)
{
    size_t row;

    if (!plane->image) {
        *bytes = (size_t)plane->buffer_size;
        return plane->buffer && plane->buffer_size > 0 && plane->buffer_size <= SIZE_MAX;
    }
    return plane->width && plane->height && texel_size_fits(plane->texel_size) &&
           plane->layout != VK_IMAGE_LAYOUT_UNDEFINED && plane->layout != VK_IMAGE_LAYOUT_PREINITIALIZED &&
           plane->stride % WORD == 0 &&
           shk_mul_size(plane->width, plane->texel_size, &row) && row <= plane->stride &&
           shk_mul_size(plane->stride, plane->height - 1, bytes) && shk_add_size(*bytes, row, bytes);
}

static enum shk_status check_planes(const struct place *place, const struct shk_gather_plane *planes,
                                    uint32_t count, struct shk_error *error)
{
    size_t size = place->memory ? place->memory->info.size : 0;

    if (count > MAX_PLANES)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_gather_submit: %u planes (at most %d)", count,
                        MAX_PLANES);
    for (uint32_t i = 0; i < count; i++) {
        const struct shk_gather_plane *plane = &planes[i];
        size_t bytes = 0;
        if (!plane_bytes(plane, &bytes) || plane->offset % WORD ||
            !shk_range_fits(plane->offset, bytes, size))
            return shk_fail(
                error, SHK_ERROR_INVALID_ARGUMENT,
                "plane %u (%s, %ux%u texels of %u bytes, layout %d; or %" PRIu64
                " bytes of a buffer) does not go to offset %zu, stride %u of a memory of %zu bytes: "
                "offset and stride must be multiples of %d, and texels of 1, 2 or 4 bytes",
                i,
                plane->image    ? "an image"
                : plane->buffer ? "a buffer"
                                : "neither image nor buffer",
                plane->width, plane->height, plane->texel_size, (int)plane->layout, plane->buffer_size,
                plane->offset, plane->stride, size, WORD);
    }
    return SHK_OK;
}

static bool first_of_image(const struct shk_gather_plane *planes, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (planes[i].image == planes[index].image)
            return false;
    return planes[index].image != VK_NULL_HANDLE;
}

/* Before the copies: everything earlier on the queue, whoever sent it, then they. After: they, then
 * everything later on the queue. Images change to the layout for copies and back. */
static void record_barrier(VkCommandBuffer commands, const struct shk_gather_plane *planes, uint32_t count,
                           bool before)
{
    const VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = before ? VK_ACCESS_MEMORY_WRITE_BIT : VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask =
            VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_SHADER_READ_BIT,
    };
    VkImageMemoryBarrier images[MAX_PLANES];
    uint32_t image_count = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!first_of_image(planes, i))
            continue;
        images[image_count++] = (VkImageMemoryBarrier){
            .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
            .srcAccessMask = before ? VK_ACCESS_MEMORY_WRITE_BIT : 0,
            .dstAccessMask = before ? VK_ACCESS_TRANSFER_READ_BIT : VK_ACCESS_MEMORY_READ_BIT,
            .oldLayout = before ? planes[i].layout : VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
            .newLayout = before ? VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL : planes[i].layout,
            .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
            .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
            .image = planes[i].image,
            /* all planes of an image change together */
            .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1},
        };
    }
    const VkPipelineStageFlags copies_and_later =
        VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    vkCmdPipelineBarrier(commands,
                         before ? VK_PIPELINE_STAGE_ALL_COMMANDS_BIT : VK_PIPELINE_STAGE_TRANSFER_BIT,
                         before ? copies_and_later : VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 1, &memory, 0,
                         NULL, image_count, images);
}

static void record_copy(VkCommandBuffer commands, const struct shk_gather_plane *plane,
                        const struct shk_buffer *to)
{
    if (!plane->image) {
        const VkBufferCopy region = {plane->buffer_offset, to->offset + plane->offset, plane->buffer_size};
        vkCmdCopyBuffer(commands, plane->buffer, to->buffer, 1, &region);
        return;
    }
    const VkBufferImageCopy region = {
        .bufferOffset = to->offset + plane->offset,
        .bufferRowLength = plane->stride / plane->texel_size,
        .imageSubresource = {plane->aspect, 0, 0, 1},
        .imageExtent = {plane->width, plane->height, 1},
    };
    vkCmdCopyImageToBuffer(commands, plane->image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, to->buffer, 1,
                           &region);
}

static enum shk_status record(const struct place *place, const struct shk_gather_plane *planes,
                              uint32_t count, struct shk_error *error)
{
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};

    enum shk_status status =
        shk_check_vk(vkBeginCommandBuffer(place->commands, &begin), "vkBeginCommandBuffer", error);
    if (status)
        return status;
    record_barrier(place->commands, planes, count, true);
    for (uint32_t i = 0; i < count; i++)
        record_copy(place->commands, &planes[i], &place->memory->buffer);
    if (count)
        record_barrier(place->commands, planes, count, false);
    return shk_check_vk(vkEndCommandBuffer(place->commands), "vkEndCommandBuffer", error);
}

static enum shk_status submit(struct shk_gather *gather, const struct place *place,
                              const struct shk_gather_wait *waits, uint32_t wait_count,
                              struct shk_error *error)
{
    VkSemaphore semaphores[MAX_WAITS];
    uint64_t values[MAX_WAITS];
    VkPipelineStageFlags stages[MAX_WAITS];

    for (uint32_t i = 0; i < wait_count; i++) {
        semaphores[i] = waits[i].semaphore;
        values[i] = waits[i].value;
        stages[i] = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    }
    const VkTimelineSemaphoreSubmitInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .waitSemaphoreValueCount = wait_count,
        .pWaitSemaphoreValues = values,
    };
    const VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = wait_count ? &timeline : NULL,
        .waitSemaphoreCount = wait_count,
        .pWaitSemaphores = semaphores,
        .pWaitDstStageMask = stages,
        .commandBufferCount = 1,
        .pCommandBuffers = &place->commands,
    };
    enum shk_status status =
        shk_check_vk(vkResetFences(gather->device->device, 1, &place->fence), "vkResetFences", error);
    return status ? status : shk_device_queue_submit(gather->device, &info, place->fence, error);
}

enum shk_status shk_gather_submit(struct shk_gather *gather, const struct shk_gather_plane *planes,
                                  uint32_t plane_count, const struct shk_gather_wait *waits,
                                  uint32_t wait_count, struct shk_memory **memory, struct shk_error *error)
{
    struct place *place = NULL;

    if (wait_count > MAX_WAITS)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_gather_submit: %u semaphores (at most %d)",
                        wait_count, MAX_WAITS);
    enum shk_status status = check_planes(&gather->places[0], planes, plane_count, error);
    if (!status)
        status = shk_device_check_lost(gather->device, "shk_gather_submit", error);
    if (!status)
        status = find_place(gather, &place, error);
    if (!status)
        status = record(place, planes, plane_count, error);
    if (status)
        return status;
    status = submit(gather, place, waits, wait_count, error);
    if (status) {
        renew_fence(gather, place);
        return status;
    }
    *memory = plane_count ? shk_memory_ref(place->memory) : NULL;
    return SHK_OK;
}
