/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"

const char *shk_vk_result_string(VkResult result)
{
#define NAME(r)                                                                                              \
    case r:                                                                                                  \
        return #r
    switch ((int)result) {
        NAME(VK_SUCCESS);
        NAME(VK_NOT_READY);
        NAME(VK_TIMEOUT);
        NAME(VK_INCOMPLETE);
        NAME(VK_ERROR_OUT_OF_HOST_MEMORY);
        NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY);
        NAME(VK_ERROR_INITIALIZATION_FAILED);
        NAME(VK_ERROR_DEVICE_LOST);
        NAME(VK_ERROR_MEMORY_MAP_FAILED);
        NAME(VK_ERROR_LAYER_NOT_PRESENT);
        NAME(VK_ERROR_EXTENSION_NOT_PRESENT);
        NAME(VK_ERROR_FEATURE_NOT_PRESENT);
        NAME(VK_ERROR_INCOMPATIBLE_DRIVER);
        NAME(VK_ERROR_TOO_MANY_OBJECTS);
        NAME(VK_ERROR_FORMAT_NOT_SUPPORTED);
        NAME(VK_ERROR_FRAGMENTED_POOL);
        NAME(VK_ERROR_UNKNOWN);
        NAME(VK_ERROR_OUT_OF_POOL_MEMORY);
        NAME(VK_ERROR_INVALID_EXTERNAL_HANDLE);
        NAME(VK_ERROR_FRAGMENTATION);
        NAME(VK_ERROR_INVALID_SHADER_NV);
    }
#undef NAME
    return "an unknown VkResult";
}

enum shk_status shk_check_vk(VkResult result, const char *what, struct shk_error *error)
{
    const char *name = shk_vk_result_string(result);

    switch ((int)result) {
    case VK_SUCCESS:
        return SHK_OK;
    case VK_TIMEOUT:
    case VK_NOT_READY:
        return shk_fail(error, SHK_ERROR_TIMEOUT, "%s: the device is not done yet (%s)", what, name);
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return shk_fail(error, SHK_ERROR_OUT_OF_HOST_MEMORY, "%s: %s", what, name);
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return shk_fail(error, SHK_ERROR_OUT_OF_DEVICE_MEMORY, "%s: %s", what, name);
    case VK_ERROR_DEVICE_LOST:
        return shk_fail(
            error, SHK_ERROR_DEVICE_LOST,
            "%s: %s: the device was reset or hung; destroy it and create it again, and look at the "
            "kernel log",
            what, name);
    }
    return shk_fail(error, SHK_ERROR_DRIVER, "%s: %s (%d)", what, name, (int)result);
}
