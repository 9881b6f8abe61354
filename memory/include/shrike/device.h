/* Shrike: Vulkan devices. List them, create one, or adopt the one that the application already has.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Threads: a shk_device may be used from any number of threads; creation and destruction may not race with
 * use. A device outlives every session created on it (sessions hold a reference). */
#ifndef SHRIKE_DEVICE_H
#define SHRIKE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan_core.h>

#include <shrike/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shk_device;

/* In the order of preference in which shk_device_create() picks by itself. */
enum shk_device_type {
    SHK_DEVICE_DISCRETE,
    SHK_DEVICE_INTEGRATED,
    SHK_DEVICE_VIRTUAL,
    SHK_DEVICE_CPU,
    SHK_DEVICE_OTHER,
};

/* From shk_device_list(): what the driver offers. From shk_device_get_info(): what is enabled and used. */
struct shk_device_info {
    uint32_t index; /* position in vkEnumeratePhysicalDevices order */
    char name[256];
    char driver[512]; /* driver name and version as it describes itself, "" if it does not */
    uint8_t uuid[16]; /* VkPhysicalDeviceIDProperties.deviceUUID */
    enum shk_device_type type;
    uint32_t api_version;  /* VK_MAKE_API_VERSION encoding */
    uint64_t memory_bytes; /* sum of the device-local heaps */
    bool integer_dot_product; /* VK_KHR_shader_integer_dot_product, signed 4x8 bit packed */
    /* VK_KHR_cooperative_matrix of signed bytes with 32 bit sums, and what kernels need with it: 8 bit integers, the Vulkan
     * memory model, full subgroups. Off on adopted devices. */
    bool cooperative_matrix;
    bool external_memory_host;
    bool dma_buf;
    bool calibrated_timestamps;
    bool timestamps; /* the compute queue can write them */
};

/* "discrete", "integrated", "virtual", "cpu" or "other". */
SHK_API const char *shk_device_type_string(enum shk_device_type type);

/* Lists the Vulkan 1.1 devices that have a compute queue. On input *count is the room in `infos` (may be
 * NULL to ask for the number); on output the number of devices there are, of which at most the given number
 * were written. No device is not an error here: *count is 0.
 * Errors: SHK_ERROR_NO_DEVICE if there is no usable Vulkan loader or driver; SHK_ERROR_DRIVER. */
SHK_API enum shk_status shk_device_list(struct shk_device_info *infos, uint32_t *count, struct shk_error *error);

struct shk_device_params {
    /* NULL or "": the best one (discrete before integrated before virtual before CPU). Else a decimal index
     * as in shk_device_info, a UUID as 32 hex digits (dashes ignored), or part of the name in any case. */
    const char *select;
    /* Turn the Khronos validation layer on if it is installed; its messages go to the log as warnings and
     * errors and are counted (shk_device_validation_messages). */
    bool validation;
    /* Largest number of bytes of device memory to reserve; 0: what the driver reports as free, else the
     * heap's size. */
    uint64_t memory_budget;
    struct shk_log log;
};
#define SHK_DEVICE_PARAMS_DEFAULT ((struct shk_device_params){0})

/* Creates a Vulkan instance and device with no more features than Shrike uses. `params` may be NULL.
 * Errors: SHK_ERROR_NO_DEVICE (the message lists what there is), SHK_ERROR_DRIVER, out of memory. */
SHK_API enum shk_status shk_device_create(const struct shk_device_params *params, struct shk_device **device,
                                          struct shk_error *error);

/* A device that somebody else owns. No feature and no extension needs to be enabled on it. The owner keeps it
 * alive until shk_device_destroy() and everything that was created on it is gone. */
struct shk_device_adopt_params {
    VkInstance instance;
    VkPhysicalDevice physical_device;
    VkDevice device;
    VkQueue queue;
    uint32_t queue_family; /* must have VK_QUEUE_COMPUTE_BIT */
    /* What was enabled at vkCreateDevice; only what is named here is used. */
    const char *const *extensions;
    uint32_t extension_count;
    const VkPhysicalDeviceFeatures2 *features; /* pNext chain as passed to vkCreateDevice, or NULL */
    /* Called around every vkQueueSubmit on `queue`, never held across a wait. NULL: the queue is ours alone. */
    void (*lock_queue)(void *user);
    void (*unlock_queue)(void *user);
    /* Called once, when the last reference to the shk_device has gone and no handle above is used any more, from
     * whichever thread dropped it. May be NULL. Not called where shk_device_adopt() fails. */
    void (*release)(void *user);
    void *user;
    uint64_t memory_budget;
    struct shk_log log;
};

/* Errors: SHK_ERROR_INVALID_ARGUMENT (a NULL handle, a family without compute), SHK_ERROR_UNSUPPORTED (below
 * Vulkan 1.1), out of memory. */
SHK_API enum shk_status shk_device_adopt(const struct shk_device_adopt_params *params, struct shk_device **device,
                                         struct shk_error *error);

/* One more reference, for somebody who keeps the device beyond its owner; dropped by shk_device_destroy(). Any thread
 * that has a reference may call it. */
SHK_API struct shk_device *shk_device_ref(struct shk_device *device);

/* Drops the caller's reference and sets *device to NULL; the Vulkan objects go when the last reference has gone, those
 * of sessions and memories among them.
 * NULL and *device == NULL are fine. */
SHK_API void shk_device_destroy(struct shk_device **device);

SHK_API void shk_device_get_info(const struct shk_device *device, struct shk_device_info *info);

/* How many messages the validation layer has sent so far (0 without `validation`). */
SHK_API uint64_t shk_device_validation_messages(const struct shk_device *device);

/* The device-memory pool at this moment. Bytes. */
struct shk_memory_stats {
    uint64_t reserved;     /* allocated from the driver */
    uint64_t used;         /* handed out, alignment included */
    uint64_t peak_used;    /* largest `used` so far */
    uint64_t largest_free; /* largest range that can be had without a new block */
    uint64_t budget;       /* most that will ever be reserved */
    uint32_t blocks;       /* VkDeviceMemory objects alive */
    uint32_t allocations;  /* suballocations alive */
    uint64_t total_driver_allocations; /* vkAllocateMemory calls so far: flat means nothing allocated per frame */
};
SHK_API void shk_device_memory_stats(const struct shk_device *device, struct shk_memory_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
