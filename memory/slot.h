/* Frame slots and command recording: what one frame in flight owns on the device, and one-off transfers.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_SLOT_H
#define SHK_SLOT_H

#include "pool.h"

#define SHK_MAX_VARIANTS 32

/* Indices of a slot's command buffers. Two kinds, because other frames re-record the first and leave the second alone.
 * Of inference there may be several variants, SHK_COMMANDS_INFERENCE + i, of which a submission takes one. */
enum { SHK_COMMANDS_PREPROCESS, SHK_COMMANDS_INFERENCE };

struct shk_slot {
    VkCommandPool command_pool;
    VkCommandBuffer commands[SHK_COMMANDS_INFERENCE + SHK_MAX_VARIANTS];
    VkFence fence;
    VkQueryPool queries; /* VK_NULL_HANDLE where the queue has no timestamps */
    uint32_t query_count;
    struct shk_buffer input;  /* UPLOAD: the frame or the raw input tensors */
    struct shk_buffer output; /* READBACK: the model's outputs */
    struct shk_buffer ticks;  /* READBACK: the timestamps */
};

/* Sizes may be 0 (no such buffer). 1 to SHK_MAX_VARIANTS of inference. All-or-nothing. */
enum shk_status shk_slot_init(struct shk_device *device, VkDeviceSize input_size, VkDeviceSize output_size,
                              uint32_t query_count, uint32_t variants, struct shk_slot *slot,
                              struct shk_error *error);
void shk_slot_finish(struct shk_device *device, struct shk_slot *slot);

/* Begin leaves the command buffer in recording state (replayable: not one-time-submit). Ending one of inference
 * appends a copy of the timestamps, all of which must have been written by then. */
enum shk_status shk_slot_begin(struct shk_device *device, struct shk_slot *slot, uint32_t which,
                               struct shk_error *error);
enum shk_status shk_slot_end(struct shk_device *device, struct shk_slot *slot, uint32_t which,
                             struct shk_error *error);

/* Resets the fence, submits `count` command buffers, 1 or 2, in one vkQueueSubmit: the last of them is one of
 * inference. */
enum shk_status shk_slot_submit(struct shk_device *device, struct shk_slot *slot, const uint32_t *which,
                                uint32_t count, struct shk_error *error);
/* SHK_ERROR_TIMEOUT if the device is not done in time; SHK_ERROR_DEVICE_LOST for ever, once it was. */
enum shk_status shk_slot_wait(struct shk_device *device, struct shk_slot *slot, uint64_t timeout_ns,
                              struct shk_error *error);
/* After a successful wait: `count` timestamps from `first`, in ticks (masked to the valid bits). False
 * without timestamps. */
bool shk_slot_timestamps(struct shk_device *device, struct shk_slot *slot, uint32_t first, uint32_t count,
                         uint64_t *ticks);

/* A full memory barrier between everything before and after, for compute, transfer and host. */
void shk_cmd_barrier(VkCommandBuffer commands);

/* Copies `size` bytes to / from a DEVICE buffer and waits: for start-up and tests, never per frame. Writing goes
 * straight into memory that the CPU sees: nothing that was submitted may still use the range. */
enum shk_status shk_buffer_write(struct shk_device *device, const struct shk_buffer *buffer,
                                 VkDeviceSize offset, const void *data, VkDeviceSize size,
                                 struct shk_error *error);
enum shk_status shk_buffer_read(struct shk_device *device, const struct shk_buffer *buffer,
                                VkDeviceSize offset, void *data, VkDeviceSize size, struct shk_error *error);

#endif
