/* A Vulkan device with one compute queue, as every file of memory/ and pipeline/kernel.c sees it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_DEVICE_INTERNAL_H
#define SHK_DEVICE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <shrike/device.h>

#include "util.h"

struct shk_pool;

/* Multiplies m x k by k x n; all 0: not at all. See matrix.h. */
struct shk_matrix {
    uint32_t m, n, k;
};

struct shk_device {
    atomic_uint refs;
    struct shk_device_info info; /* what is *enabled*, not only what the hardware could do */
    uint32_t extensions;         /* what is enabled, a mask of enum shk_extension (physical.h) */
    struct shk_log log;

    VkInstance instance; /* ours only if `owned` */
    VkDebugUtilsMessengerEXT messenger;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t queue_family;
    bool owned;
    void (*lock_queue)(void *user); /* adopted devices; else queue_mutex */
    void (*unlock_queue)(void *user);
    void (*release)(void *user); /* or NULL */
    void *lock_user;
    pthread_mutex_t queue_mutex;

    VkPhysicalDeviceLimits limits;
    VkPhysicalDeviceMemoryProperties memory;
    uint64_t memory_budget;
    uint32_t subgroup_size;  /* the largest number of invocations in a subgroup; at least 1 */
    bool subgroup_shuffle;   /* compute shaders may exchange values within it, and vote */
    struct shk_matrix matrix; /* of signed bytes, by a subgroup */
    uint32_t max_iterations;  /* of all loops of an invocation together; UINT32_MAX: no limit known */
    uint64_t timestamp_mask; /* valid bits of the queue family; 0: no timestamps */
    VkDeviceSize host_pointer_alignment; /* of imported host memory */
    /* NULL where the extension is not enabled. */
    PFN_vkGetCalibratedTimestampsEXT get_calibrated_timestamps;
    PFN_vkGetMemoryHostPointerPropertiesEXT get_host_pointer_properties;
    PFN_vkGetMemoryFdPropertiesKHR get_memory_fd_properties;

    /* What pipeline/ found out about the device: lines of text, each between two newlines; NULL: none. */
    char *notes;
    size_t notes_size;
    char notes_key[96]; /* what they are true of; empty: not asked yet */
    pthread_mutex_t notes_mutex;
    /* What sessions share of it: pipeline/weights.h. */
    struct shk_weights *weights;
    pthread_mutex_t weights_mutex;
    pthread_cond_t weights_ready;

    atomic_bool lost; /* for ever: drivers need not say VK_ERROR_DEVICE_LOST twice */
    atomic_uint_fast64_t validation_messages;
    atomic_uint_fast64_t memory_serial; /* of the last shk_memory */
    struct shk_pool *pool;
};

/* Calls vkQueueSubmit under the queue's lock; not of a device that was lost. */
enum shk_status shk_device_queue_submit(struct shk_device *device, const VkSubmitInfo *submit, VkFence fence,
                                        struct shk_error *error);

/* Fails once the device was lost: what it would still say, and what it left in memory, is worth nothing. */
enum shk_status shk_device_check_lost(const struct shk_device *device, const char *what, struct shk_error *error);
/* shk_check_vk() for the calls that find out that a device was lost. */
enum shk_status shk_device_check_vk(struct shk_device *device, VkResult result, const char *what,
                                    struct shk_error *error);

/* Before what the device uses is destroyed: waits for the fence of work that was submitted. A lost device must signal
 * it soon, too, but this does not rely on that for ever. */
void shk_device_retire(struct shk_device *device, VkFence fence);

/* "VK_ERROR_DEVICE_LOST" and so on. */
const char *shk_vk_result_string(VkResult result);

/* Turns a VkResult into a status with a message "<what>: <VkResult>": VK_SUCCESS is SHK_OK. */
enum shk_status shk_check_vk(VkResult result, const char *what, struct shk_error *error);

/* A point where both clocks were read: maps device ticks to CLOCK_MONOTONIC nanoseconds. */
struct shk_clock_map {
    uint64_t ticks;
    uint64_t ns;
    uint64_t uncertainty_ns;
};

/* Reads both clocks by VK_EXT_calibrated_timestamps. False where there is no such extension. */
bool shk_device_calibrate(struct shk_device *device, struct shk_clock_map *map);
uint64_t shk_clock_to_ns(const struct shk_device *device, const struct shk_clock_map *map, uint64_t ticks);
uint64_t shk_ticks_to_ns(const struct shk_device *device, uint64_t ticks);

#endif
