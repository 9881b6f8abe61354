/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "slot.h"

#define TRANSFER_CHUNK (UINT64_C(4) << 20) /* staging of shk_buffer_write and _read */

static enum shk_status mapped_range(struct shk_device *device, const struct shk_buffer *buffer,
                                    uint64_t offset, uint64_t size, VkMappedMemoryRange *range,
                                    struct shk_error *error)
{
    if (!buffer->map || !shk_range_fits(offset, size, buffer->size))
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "flush or invalidate of [%" PRIu64 ", +%" PRIu64 ") of a %sbuffer of %" PRIu64
                        " bytes",
                        offset, size, buffer->map ? "" : "not host-visible ", buffer->size);
    uint64_t atom = device->limits.nonCoherentAtomSize;
    uint64_t start = (buffer->offset + offset) & ~(atom - 1);
    /* not past the range: the pool's granularity is a multiple of the atom */
    uint64_t end = shk_align_up(buffer->offset + offset + size, atom);
    *range = (VkMappedMemoryRange){
        .sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
        .memory = buffer->memory,
        .offset = start,
        .size = end - start,
    };
    return SHK_OK;
}

enum shk_status shk_buffer_flush(struct shk_device *device, const struct shk_buffer *buffer,
                                 VkDeviceSize offset, VkDeviceSize size, struct shk_error *error)
{
    VkMappedMemoryRange range;
    enum shk_status status = mapped_range(device, buffer, offset, size, &range, error);
    if (status || buffer->coherent || size == 0)
        return status;
    return shk_check_vk(vkFlushMappedMemoryRanges(device->device, 1, &range), "vkFlushMappedMemoryRanges",
                        error);
}

enum shk_status shk_buffer_invalidate(struct shk_device *device, const struct shk_buffer *buffer,
                                      VkDeviceSize offset, VkDeviceSize size, struct shk_error *error)
{
    VkMappedMemoryRange range;
    enum shk_status status = mapped_range(device, buffer, offset, size, &range, error);
    if (status || buffer->coherent || size == 0)
        return status;
    return shk_check_vk(vkInvalidateMappedMemoryRanges(device->device, 1, &range),
                        "vkInvalidateMappedMemoryRanges", error);
}

/* Copies between two buffers of `slot`'s device, and waits. */
static enum shk_status copy_and_wait(struct shk_device *device, struct shk_slot *slot, VkBuffer from,
                                     VkBuffer to, const VkBufferCopy *region, struct shk_error *error)
{
    enum shk_status status = shk_slot_begin(device, slot, SHK_COMMANDS_INFERENCE, error);
    if (status)
        return status;
    VkCommandBuffer commands = slot->commands[SHK_COMMANDS_INFERENCE];
    shk_cmd_barrier(commands);
    vkCmdCopyBuffer(commands, from, to, 1, region);
    shk_cmd_barrier(commands);
    status = shk_slot_end(device, slot, SHK_COMMANDS_INFERENCE, error);
    if (!status)
        status = shk_slot_submit(device, slot, (uint32_t[]){SHK_COMMANDS_INFERENCE}, 1, error);
    if (status)
        return status;
    status = shk_slot_wait(device, slot, UINT64_MAX, error);
    if (status) /* the caller destroys the slot */
        shk_device_retire(device, slot->fence);
    return status;
}

static enum shk_status check_range(const struct shk_buffer *buffer, uint64_t offset, uint64_t size,
                                   struct shk_error *error)
{
    if (shk_range_fits(offset, size, buffer->size))
        return SHK_OK;
    return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                    "copy of [%" PRIu64 ", +%" PRIu64 ") of a buffer of %" PRIu64 " bytes", offset, size,
                    buffer->size);
}

enum shk_status shk_buffer_write(struct shk_device *device, const struct shk_buffer *buffer,
                                 VkDeviceSize offset, const void *data, VkDeviceSize size,
                                 struct shk_error *error)
{
    struct shk_slot slot;

    enum shk_status status = check_range(buffer, offset, size, error);
    if (status || size == 0)
        return status;
    if (buffer->map) { /* no need to copy twice, and to wait */
        status = shk_device_check_lost(device, "upload", error);
        if (status)
            return status;
        memcpy((char *)buffer->map + offset, data, size);
        return shk_buffer_flush(device, buffer, offset, size, error);
    }
    status = shk_slot_init(device, SHK_MIN(size, TRANSFER_CHUNK), 0, 0, 1, &slot, error);
    if (status)
        return status;
    for (uint64_t done = 0, n; done < size && !status; done += n) {
        n = SHK_MIN(size - done, TRANSFER_CHUNK);
        const VkBufferCopy region = {slot.input.offset, buffer->offset + offset + done, n};
        memcpy(slot.input.map, (const char *)data + done, n);
        status = shk_buffer_flush(device, &slot.input, 0, n, error);
        if (!status)
            status = copy_and_wait(device, &slot, slot.input.buffer, buffer->buffer, &region, error);
    }
    shk_slot_finish(device, &slot);
    return status;
}

enum shk_status shk_buffer_read(struct shk_device *device, const struct shk_buffer *buffer,
                                VkDeviceSize offset, void *data, VkDeviceSize size, struct shk_error *error)
{
    struct shk_slot slot;

    enum shk_status status = check_range(buffer, offset, size, error);
    if (status || size == 0)
        return status;
    status = shk_slot_init(device, 0, SHK_MIN(size, TRANSFER_CHUNK), 0, 1, &slot, error);
    if (status)
        return status;
    for (uint64_t done = 0, n; done < size && !status; done += n) {
        n = SHK_MIN(size - done, TRANSFER_CHUNK);
        const VkBufferCopy region = {buffer->offset + offset + done, slot.output.offset, n};
        status = copy_and_wait(device, &slot, buffer->buffer, slot.output.buffer, &region, error);
        if (!status)
            status = shk_buffer_invalidate(device, &slot.output, 0, n, error);
        if (!status)
            memcpy((char *)data + done, slot.output.map, n);
    }
    shk_slot_finish(device, &slot);
    return status;
}
