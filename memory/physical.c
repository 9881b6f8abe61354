/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "physical.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matrix.h"

const char *const shk_extension_names[SHK_EXT_COUNT] = {
    [SHK_EXT_INTEGER_DOT_PRODUCT] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME,
    [SHK_EXT_COOPERATIVE_MATRIX] = "VK_KHR_cooperative_matrix", /* younger than bookworm's headers */
    [SHK_EXT_CALIBRATED_TIMESTAMPS] = VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME,
    [SHK_EXT_MEMORY_BUDGET] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME,
    [SHK_EXT_EXTERNAL_MEMORY_HOST] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME,
    [SHK_EXT_EXTERNAL_MEMORY_FD] = VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,
    [SHK_EXT_DMA_BUF] = VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME,
    [SHK_EXT_DRIVER_PROPERTIES] = VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME,
    [SHK_EXT_INT8] = VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME,
    [SHK_EXT_MEMORY_MODEL] = VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME,
    [SHK_EXT_SUBGROUP_SIZE] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME,
};

uint32_t shk_extension_bit(const char *name)
{
    for (int i = 0; i < SHK_EXT_COUNT; i++)
        if (strcmp(name, shk_extension_names[i]) == 0)
            return 1u << i;
    return 0;
}

static uint32_t offered_extensions(VkPhysicalDevice handle)
{
    uint32_t count = 0;
    uint32_t mask = 0;
    if (vkEnumerateDeviceExtensionProperties(handle, NULL, &count, NULL) != VK_SUCCESS || count == 0)
        return 0;
    VkExtensionProperties *list = calloc(count, sizeof(*list));
    if (list && vkEnumerateDeviceExtensionProperties(handle, NULL, &count, list) >= VK_SUCCESS)
        for (uint32_t i = 0; i < count; i++)
            mask |= shk_extension_bit(list[i].extensionName);
    free(list);
    return mask;
}

/* A family for compute alone leaves the desktop's queue in peace; timestamps matter more. */
static bool choose_queue_family(VkPhysicalDevice handle, struct shk_physical *physical)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = SHK_ARRAY_LEN(families);
    int best = -1;

    vkGetPhysicalDeviceQueueFamilyProperties(handle, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT))
            continue;
        uint32_t bits = families[i].timestampValidBits;
        int score = (bits ? 2 : 0) + (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT ? 0 : 1);
        if (score <= best)
            continue;
        best = score;
        physical->queue_family = i;
        physical->timestamp_mask = shk_timestamp_mask(bits);
    }
    return best >= 0;
}

static enum shk_device_type device_type(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return SHK_DEVICE_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return SHK_DEVICE_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return SHK_DEVICE_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return SHK_DEVICE_CPU;
    default:
        return SHK_DEVICE_OTHER;
    }
}

static uint64_t device_local_bytes(VkPhysicalDevice handle)
{
    VkPhysicalDeviceMemoryProperties memory;
    uint64_t bytes = 0;
    vkGetPhysicalDeviceMemoryProperties(handle, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
            bytes += memory.memoryHeaps[i].size;
    return bytes;
}

static bool offers_dot_product(VkPhysicalDevice handle, uint32_t extensions)
{
    if (!shk_extension_in(extensions, SHK_EXT_INTEGER_DOT_PRODUCT))
        return false;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &dot};
    vkGetPhysicalDeviceFeatures2(handle, &features);
    return dot.shaderIntegerDotProduct;
}

static bool offers_calibration(VkInstance instance, VkPhysicalDevice handle, uint32_t extensions)
{
    if (!shk_extension_in(extensions, SHK_EXT_CALIBRATED_TIMESTAMPS))
        return false;
    PFN_vkGetPhysicalDeviceCalibrateableTimeDomainsEXT get_domains =
        (PFN_vkGetPhysicalDeviceCalibrateableTimeDomainsEXT)vkGetInstanceProcAddr(
            instance, "vkGetPhysicalDeviceCalibrateableTimeDomainsEXT");
    VkTimeDomainEXT domains[8];
    uint32_t count = SHK_ARRAY_LEN(domains);
    if (!get_domains || get_domains(handle, &count, domains) < VK_SUCCESS)
        return false;

    bool device = false, monotonic = false;
    for (uint32_t i = 0; i < count; i++) {
        device |= domains[i] == VK_TIME_DOMAIN_DEVICE_EXT;
        monotonic |= domains[i] == VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT;
    }
    return device && monotonic;
}

static void describe_properties(VkPhysicalDevice handle, uint32_t extensions, struct shk_device_info *info)
{
    VkPhysicalDeviceDriverProperties driver = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceIDProperties id = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES,
        .pNext = shk_extension_in(extensions, SHK_EXT_DRIVER_PROPERTIES) ? &driver : NULL,
    };
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        .pNext = &id,
    };
    vkGetPhysicalDeviceProperties2(handle, &properties);

    snprintf(info->name, sizeof(info->name), "%s", properties.properties.deviceName);
    if (driver.driverName[0])
        snprintf(info->driver, sizeof(info->driver), "%s %s", driver.driverName, driver.driverInfo);
    memcpy(info->uuid, id.deviceUUID, sizeof(info->uuid));
    info->type = device_type(properties.properties.deviceType);
    info->api_version = properties.properties.apiVersion;
}

bool shk_physical_describe(VkInstance instance, VkPhysicalDevice handle, uint32_t index,
                           struct shk_physical *physical)
{
    VkPhysicalDeviceProperties basic;

    *physical = (struct shk_physical){.handle = handle, .info.index = index};
    vkGetPhysicalDeviceProperties(handle, &basic);
    if (basic.apiVersion < VK_API_VERSION_1_1 || !choose_queue_family(handle, physical))
        return false;

    uint32_t extensions = offered_extensions(handle);
    struct shk_device_info *info = &physical->info;
    describe_properties(handle, extensions, info);
    info->memory_bytes = device_local_bytes(handle);
    info->integer_dot_product = offers_dot_product(handle, extensions);
    physical->matrix = shk_matrix_query(instance, handle, extensions);
    info->cooperative_matrix = physical->matrix.m != 0;
    info->external_memory_host = shk_extension_in(extensions, SHK_EXT_EXTERNAL_MEMORY_HOST);
    info->dma_buf = shk_extension_in(extensions, SHK_EXT_EXTERNAL_MEMORY_FD) &&
                    shk_extension_in(extensions, SHK_EXT_DMA_BUF);
    info->timestamps = physical->timestamp_mask != 0;
    info->calibrated_timestamps = info->timestamps && offers_calibration(instance, handle, extensions);
    physical->extensions = extensions;
    return true;
}

VkDeviceSize shk_host_pointer_alignment(VkPhysicalDevice handle)
{
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                              .pNext = &host};

    vkGetPhysicalDeviceProperties2(handle, &properties);
    return SHK_MAX(host.minImportedHostPointerAlignment, 4);
}

enum shk_status shk_physical_list(VkInstance instance, struct shk_physical **list, uint32_t *count,
                                  struct shk_error *error)
{
    VkPhysicalDevice *handles = NULL;
    struct shk_physical *found = NULL;
    uint32_t total = 0, usable = 0;

    VkResult result = vkEnumeratePhysicalDevices(instance, &total, NULL);
    /* the loader's answer where there are drivers but none of them starts */
    if (result == VK_ERROR_INITIALIZATION_FAILED)
        total = 0;
    else if (result != VK_SUCCESS)
        return shk_check_vk(result, "vkEnumeratePhysicalDevices", error);

    size_t bytes = (total + 1) * sizeof(*found);
    handles = calloc(total + 1, sizeof(*handles));
    found = calloc(1, bytes);
    if (!handles || !found) {
        free(handles);
        free(found);
        return shk_fail_oom(error, bytes, "the list of Vulkan devices");
    }
    if (total && vkEnumeratePhysicalDevices(instance, &total, handles) < VK_SUCCESS)
        total = 0;
    for (uint32_t i = 0; i < total; i++)
        usable += shk_physical_describe(instance, handles[i], i, &found[usable]);
    free(handles);
    *list = found;
    *count = usable;
    return SHK_OK;
}

static bool better(const struct shk_physical *a, const struct shk_physical *b)
{
    return !b || a->info.type < b->info.type;
}

/* 32 hex digits with dashes anywhere; false if `text` is something else. */
static bool parse_uuid(const char *text, uint8_t uuid[16])
{
    unsigned digits = 0;
    memset(uuid, 0, 16);
    for (; *text; text++) {
        if (*text == '-')
            continue;
        if (!isxdigit((unsigned char)*text) || digits == 32)
            return false;
        unsigned value = *text <= '9' ? *text - '0' : (*text | 0x20) - 'a' + 10;
        uuid[digits / 2] |= value << (digits % 2 ? 0 : 4);
        digits++;
    }
    return digits == 32;
}

static bool contains_ignoring_case(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

static enum shk_status no_match(const struct shk_physical *list, uint32_t count, const char *select,
                                struct shk_error *error)
{
    char names[300] = "";
    size_t used = 0;

    if (count == 0)
        return shk_fail(error, SHK_ERROR_NO_DEVICE,
                        "no device with Vulkan 1.1 and a compute queue: " SHK_INSTALL_HINT);
    for (uint32_t i = 0; i < count && used < sizeof(names); i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%u: %s", i ? ", " : "",
                                 list[i].info.index, list[i].info.name);
    return shk_fail(error, SHK_ERROR_NO_DEVICE,
                    "no Vulkan device matches \"%.64s\" (an index, a UUID or part of a name); there is %s",
                    select, names);
}

enum shk_status shk_physical_select(const struct shk_physical *list, uint32_t count, const char *select,
                                    const struct shk_physical **chosen, struct shk_error *error)
{
    const struct shk_physical *best = NULL;
    uint8_t uuid[16];

    select = select ? select : "";
    bool by_uuid = parse_uuid(select, uuid);
    bool by_index = !by_uuid && *select && strspn(select, "0123456789") == strlen(select);
    unsigned long index = by_index ? strtoul(select, NULL, 10) : 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct shk_device_info *info = &list[i].info;
        bool match = by_uuid    ? memcmp(uuid, info->uuid, sizeof(uuid)) == 0
                     : by_index ? info->index == index
                                : !*select || contains_ignoring_case(info->name, select);
        if (match && better(&list[i], best))
            best = &list[i];
    }
    if (!best)
        return no_match(list, count, select, error);
    *chosen = best;
    return SHK_OK;
}
