/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "slot.h"

#include <string.h>

enum shk_status shk_slot_init(struct shk_device *device, VkDeviceSize input_size, VkDeviceSize output_size,
                              uint32_t query_count, uint32_t variants, struct shk_slot *slot,
                              struct shk_error *error)
{
    struct shk_slot s = {0};
    const VkCommandPoolCreateInfo pool_info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = device->queue_family,
    };
    const VkFenceCreateInfo fence_info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    const VkQueryPoolCreateInfo query_info = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = query_count,
    };

    enum shk_status status = shk_check_vk(
        vkCreateCommandPool(device->device, &pool_info, NULL, &s.command_pool), "vkCreateCommandPool", error);
    if (status)
        goto fail;
    const VkCommandBufferAllocateInfo commands_info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = s.command_pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = SHK_COMMANDS_INFERENCE + variants,
    };
    status = shk_check_vk(vkAllocateCommandBuffers(device->device, &commands_info, s.commands),
                          "vkAllocateCommandBuffers", error);
    if (status)
        goto fail;
    status = shk_check_vk(vkCreateFence(device->device, &fence_info, NULL, &s.fence), "vkCreateFence", error);
    if (status)
        goto fail;
    if (query_count && device->timestamp_mask) {
        s.query_count = query_count;
        status = shk_check_vk(vkCreateQueryPool(device->device, &query_info, NULL, &s.queries),
                              "vkCreateQueryPool", error);
        if (!status)
            status = shk_pool_alloc(device->pool, SHK_MEMORY_READBACK, query_count * sizeof(uint64_t),
                                    sizeof(uint64_t), &s.ticks, error);
        if (status)
            goto fail;
    }
    if (input_size)
        status = shk_pool_alloc(device->pool, SHK_MEMORY_UPLOAD, input_size, 0, &s.input, error);
    if (!status && output_size)
        status = shk_pool_alloc(device->pool, SHK_MEMORY_READBACK, output_size, 0, &s.output, error);
    if (status)
        goto fail;
    *slot = s;
    return SHK_OK;

fail:
    shk_slot_finish(device, &s);
    return status;
}

void shk_slot_finish(struct shk_device *device, struct shk_slot *slot)
{
    shk_pool_free(device->pool, &slot->ticks);
    shk_pool_free(device->pool, &slot->output);
    shk_pool_free(device->pool, &slot->input);
    vkDestroyQueryPool(device->device, slot->queries, NULL);
    vkDestroyFence(device->device, slot->fence, NULL);
    vkDestroyCommandPool(device->device, slot->command_pool, NULL); /* and its command buffers */
    *slot = (struct shk_slot){0};
}

enum shk_status shk_slot_begin(struct shk_device *device, struct shk_slot *slot, uint32_t which,
                               struct shk_error *error)
{
    (void)device;
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    return shk_check_vk(vkBeginCommandBuffer(slot->commands[which], &info), "vkBeginCommandBuffer", error);
}

/* Not vkGetQueryPoolResults(): some drivers (lavapipe) let it wait until the whole queue is idle. */
static void copy_timestamps(struct shk_slot *slot, VkCommandBuffer commands)
{
    vkCmdCopyQueryPoolResults(commands, slot->queries, 0, slot->query_count, slot->ticks.buffer,
                              slot->ticks.offset, sizeof(uint64_t),
                              VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    shk_cmd_barrier(commands);
}

enum shk_status shk_slot_end(struct shk_device *device, struct shk_slot *slot, uint32_t which,
                             struct shk_error *error)
{
    (void)device;
    if (which >= SHK_COMMANDS_INFERENCE && slot->queries)
        copy_timestamps(slot, slot->commands[which]);
    return shk_check_vk(vkEndCommandBuffer(slot->commands[which]), "vkEndCommandBuffer", error);
}

enum shk_status shk_slot_submit(struct shk_device *device, struct shk_slot *slot, const uint32_t *which,
                                uint32_t count, struct shk_error *error)
{
    VkCommandBuffer commands[2];
    for (uint32_t i = 0; i < count; i++)
        commands[i] = slot->commands[which[i]];
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = count,
        .pCommandBuffers = commands,
    };
    enum shk_status status = shk_device_check_lost(device, "vkQueueSubmit", error);
    if (!status)
        status = shk_check_vk(vkResetFences(device->device, 1, &slot->fence), "vkResetFences", error);
    if (status)
        return status;
    return shk_device_queue_submit(device, &submit, slot->fence, error);
}

enum shk_status shk_slot_wait(struct shk_device *device, struct shk_slot *slot, uint64_t timeout_ns,
                              struct shk_error *error)
{
    enum shk_status status = shk_device_check_lost(device, "vkWaitForFences", error);
    if (status)
        return status;
    return shk_device_check_vk(
        device, vkWaitForFences(device->device, 1, &slot->fence, VK_TRUE, timeout_ns), "vkWaitForFences", error);
}

bool shk_slot_timestamps(struct shk_device *device, struct shk_slot *slot, uint32_t first, uint32_t count,
                         uint64_t *ticks)
{
    if (!slot->queries || count == 0 || !shk_range_fits(first, count, slot->query_count) ||
        shk_buffer_invalidate(device, &slot->ticks, 0, slot->ticks.size, NULL) != SHK_OK)
        return false;
    memcpy(ticks, (const uint64_t *)slot->ticks.map + first, count * sizeof(*ticks));
    for (uint32_t i = 0; i < count; i++)
        ticks[i] &= device->timestamp_mask;
    return true;
}

void shk_cmd_barrier(VkCommandBuffer commands)
{
    const VkPipelineStageFlags stages =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT;
    const VkAccessFlags writes =
        VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT;
    const VkAccessFlags reads = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_UNIFORM_READ_BIT |
                                VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_HOST_READ_BIT;
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = writes,
        .dstAccessMask = reads | writes,
    };
    vkCmdPipelineBarrier(commands, stages, stages, 0, 1, &barrier, 0, NULL, 0, NULL);
}
