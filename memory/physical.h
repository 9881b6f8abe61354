/* Instances and physical devices: what there is, before a device is made of it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_PHYSICAL_H
#define SHK_PHYSICAL_H

#include "device.h"

#define SHK_INSTALL_HINT                                                                                     \
    "install a Vulkan driver (Debian, Ubuntu: mesa-vulkan-drivers, which also runs on the CPU; or your "     \
    "GPU vendor's) and check VK_ICD_FILENAMES and VK_DRIVER_FILES if they are set"

/* The optional extensions, in the order of shk_extension_names. A set of them is a mask of 1 << extension. */
enum shk_extension {
    SHK_EXT_INTEGER_DOT_PRODUCT,
    SHK_EXT_COOPERATIVE_MATRIX,
    SHK_EXT_CALIBRATED_TIMESTAMPS,
    SHK_EXT_MEMORY_BUDGET,
    SHK_EXT_EXTERNAL_MEMORY_HOST,
    SHK_EXT_EXTERNAL_MEMORY_FD,
    SHK_EXT_DMA_BUF,
    SHK_EXT_DRIVER_PROPERTIES,
    SHK_EXT_INT8,
    SHK_EXT_MEMORY_MODEL,
    SHK_EXT_SUBGROUP_SIZE,
    SHK_EXT_COUNT,
};
/* What matrix.h needs. */
#define SHK_MATRIX_EXTENSIONS                                                                                \
    (1u << SHK_EXT_COOPERATIVE_MATRIX | 1u << SHK_EXT_INT8 | 1u << SHK_EXT_MEMORY_MODEL | 1u << SHK_EXT_SUBGROUP_SIZE)

extern const char *const shk_extension_names[SHK_EXT_COUNT];

uint32_t shk_extension_bit(const char *name); /* 0 for any other extension */

static inline bool shk_extension_in(uint32_t mask, enum shk_extension extension)
{
    return mask >> extension & 1;
}

/* All ones in the valid bits; 0 for a queue without timestamps. */
static inline uint64_t shk_timestamp_mask(uint32_t valid_bits)
{
    return valid_bits == 0 ? 0 : UINT64_MAX >> (64 - SHK_MIN(valid_bits, 64u));
}

struct shk_physical {
    VkPhysicalDevice handle;
    struct shk_device_info info; /* what the driver offers */
    uint32_t extensions;         /* mask of what the driver offers */
    struct shk_matrix matrix;    /* what cooperative matrices it offers */
    uint32_t queue_family;
    uint64_t timestamp_mask;
};

/* An instance of Vulkan 1.1. With `sink`, the validation layer sends its messages to the sink's log and
 * counter; *messenger is VK_NULL_HANDLE where the layer is not installed. */
enum shk_status shk_instance_create(struct shk_device *sink, VkInstance *instance,
                                    VkDebugUtilsMessengerEXT *messenger, struct shk_error *error);
void shk_instance_destroy(VkInstance instance, VkDebugUtilsMessengerEXT messenger);

/* The devices of Vulkan 1.1 or later with a compute queue; free(*list). None is *count == 0. */
enum shk_status shk_physical_list(VkInstance instance, struct shk_physical **list, uint32_t *count,
                                  struct shk_error *error);

/* Fills *physical; false if the device is too old or has no compute queue. */
bool shk_physical_describe(VkInstance instance, VkPhysicalDevice handle, uint32_t index,
                           struct shk_physical *physical);

/* Of host memory that is imported; only where VK_EXT_external_memory_host is offered. */
VkDeviceSize shk_host_pointer_alignment(VkPhysicalDevice handle);

/* `select` as in shk_device_params. On failure the message lists what there is. */
enum shk_status shk_physical_select(const struct shk_physical *list, uint32_t count, const char *select,
                                    const struct shk_physical **chosen, struct shk_error *error);

#endif
