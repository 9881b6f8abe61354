/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"

#include <stdlib.h>
#include <string.h>

#include "matrix.h"
#include "pool.h"

#define LOST_DEVICE_NS UINT64_C(2000000000) /* how long a lost device may take to let go of its work */

const char *shk_device_type_string(enum shk_device_type type)
{
    switch (type) {
    case SHK_DEVICE_DISCRETE:
        return "discrete";
    case SHK_DEVICE_INTEGRATED:
        return "integrated";
    case SHK_DEVICE_VIRTUAL:
        return "virtual";
    case SHK_DEVICE_CPU:
        return "cpu";
    case SHK_DEVICE_OTHER:
        break;
    }
    return "other";
}

enum shk_status shk_device_list(struct shk_device_info *infos, uint32_t *count, struct shk_error *error)
{
    VkInstance instance;
    VkDebugUtilsMessengerEXT messenger;
    struct shk_physical *list = NULL;
    uint32_t found = 0;

    if (!count)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_device_list: count is NULL");
    enum shk_status status = shk_instance_create(NULL, &instance, &messenger, error);
    if (status)
        return status;
    status = shk_physical_list(instance, &list, &found, error);
    if (!status) {
        for (uint32_t i = 0; infos && i < SHK_MIN(found, *count); i++)
            infos[i] = list[i].info;
        *count = found;
    }
    free(list);
    shk_instance_destroy(instance, messenger);
    return status;
}

static struct shk_device *device_new(const struct shk_log *log, struct shk_error *error)
{
    struct shk_device *device = calloc(1, sizeof(*device));
    if (!device) {
        shk_fail_oom(error, sizeof(*device), "a Vulkan device");
        return NULL;
    }
    atomic_init(&device->refs, 1);
    atomic_init(&device->validation_messages, 0);
    pthread_mutex_init(&device->queue_mutex, NULL);
    pthread_mutex_init(&device->notes_mutex, NULL);
    pthread_mutex_init(&device->weights_mutex, NULL);
    pthread_cond_init(&device->weights_ready, NULL);
    device->log = *log;
    return device;
}

static void device_free(struct shk_device *device)
{
    shk_pool_destroy(&device->pool);
    if (device->owned) {
        if (device->device)
            vkDestroyDevice(device->device, NULL);
        shk_instance_destroy(device->instance, device->messenger);
    }
    pthread_mutex_destroy(&device->queue_mutex);
    pthread_mutex_destroy(&device->notes_mutex);
    pthread_mutex_destroy(&device->weights_mutex);
    pthread_cond_destroy(&device->weights_ready);
    free(device->notes);
    if (device->release)
        device->release(device->lock_user);
    free(device);
}

/* What the enabled extensions bring. An extension whose functions are not there is as good as absent. */
static void load_extensions(struct shk_device *device)
{
    struct shk_device_info *info = &device->info;
    VkDevice handle = device->device;

    if (info->calibrated_timestamps)
        device->get_calibrated_timestamps =
            (PFN_vkGetCalibratedTimestampsEXT)vkGetDeviceProcAddr(handle, "vkGetCalibratedTimestampsEXT");
    if (info->external_memory_host)
        device->get_host_pointer_properties = (PFN_vkGetMemoryHostPointerPropertiesEXT)vkGetDeviceProcAddr(
            handle, "vkGetMemoryHostPointerPropertiesEXT");
    if (info->dma_buf)
        device->get_memory_fd_properties =
            (PFN_vkGetMemoryFdPropertiesKHR)vkGetDeviceProcAddr(handle, "vkGetMemoryFdPropertiesKHR");
    info->calibrated_timestamps = device->get_calibrated_timestamps != NULL;
    info->external_memory_host = device->get_host_pointer_properties != NULL;
    info->dma_buf = device->get_memory_fd_properties != NULL;
    if (info->external_memory_host)
        device->host_pointer_alignment = shk_host_pointer_alignment(device->physical);
}

/* Vulkan 1.1: properties, no feature that would have to be enabled. */
static void describe_subgroups(struct shk_device *device)
{
    VkPhysicalDeviceSubgroupProperties subgroup = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                              .pNext = &subgroup};
    vkGetPhysicalDeviceProperties2(device->physical, &properties);
    device->subgroup_size = SHK_MAX(subgroup.subgroupSize, 1u);
    const VkSubgroupFeatureFlags wanted = VK_SUBGROUP_FEATURE_VOTE_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    device->subgroup_shuffle = (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
                               (subgroup.supportedOperations & wanted) == wanted;
}

/* Mesa's CPU driver ends loops after LP_MAX_TGSI_LOOP_ITERATIONS (lp_limits.h), silently, and no query tells. */
static void describe_loops(struct shk_device *device)
{
    bool llvmpipe =
        strncmp(device->info.driver, "llvmpipe ", 9) == 0 || strncmp(device->info.name, "llvmpipe ", 9) == 0;
    device->max_iterations = llvmpipe ? 65535 : UINT32_MAX;
}

/* What created and adopted devices share, once the Vulkan handles are there. */
static enum shk_status device_init(struct shk_device *device, uint64_t memory_budget, struct shk_error *error)
{
    VkPhysicalDeviceProperties properties;

    vkGetPhysicalDeviceProperties(device->physical, &properties);
    device->limits = properties.limits;
    describe_subgroups(device);
    describe_loops(device);
    vkGetPhysicalDeviceMemoryProperties(device->physical, &device->memory);
    load_extensions(device);
    enum shk_status status = shk_pool_create(device, memory_budget, &device->pool, error);
    if (status)
        return status;

    struct shk_memory_stats stats;
    shk_pool_stats(device->pool, &stats);
    device->memory_budget = stats.budget;
    shk_log(&device->log, SHK_LOG_INFO, "Vulkan device %u: %s (%s), %s, integer dot product %s",
            device->info.index, device->info.name, shk_device_type_string(device->info.type),
            device->info.driver[0] ? device->info.driver : "driver unknown",
            device->info.integer_dot_product ? "on" : "off");
    return SHK_OK;
}

static enum shk_status create_vk_device(struct shk_device *device, const struct shk_physical *physical,
                                        struct shk_error *error)
{
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = physical->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    struct shk_matrix_features matrix;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
        .pNext = physical->matrix.m ? shk_matrix_chain_needed(&matrix) : NULL,
        .shaderIntegerDotProduct = VK_TRUE,
    };
    /* Driver properties are a query only. */
    uint32_t wanted = physical->extensions & ~(1u << SHK_EXT_DRIVER_PROPERTIES);
    if (!physical->matrix.m)
        wanted &= ~SHK_MATRIX_EXTENSIONS;
    const char *names[SHK_EXT_COUNT];
    uint32_t name_count = 0;
    for (int i = 0; i < SHK_EXT_COUNT; i++)
        if (shk_extension_in(wanted, i))
            names[name_count++] = shk_extension_names[i];
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = physical->info.integer_dot_product ? &dot : dot.pNext,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = name_count,
        .ppEnabledExtensionNames = names,
    };
    enum shk_status status =
        shk_check_vk(vkCreateDevice(physical->handle, &info, NULL, &device->device), "vkCreateDevice", error);
    if (status)
        return status;

    device->physical = physical->handle;
    device->info = physical->info;
    device->matrix = physical->matrix;
    device->extensions = wanted;
    device->queue_family = physical->queue_family;
    device->timestamp_mask = physical->timestamp_mask;
    vkGetDeviceQueue(device->device, device->queue_family, 0, &device->queue);
    return SHK_OK;
}

enum shk_status shk_device_create(const struct shk_device_params *params, struct shk_device **device,
                                  struct shk_error *error)
{
    const struct shk_device_params defaults = SHK_DEVICE_PARAMS_DEFAULT;
    const struct shk_physical *chosen;
    struct shk_physical *list = NULL;
    uint32_t count = 0;

    params = params ? params : &defaults;
    struct shk_device *d = device_new(&params->log, error);
    if (!d)
        return SHK_ERROR_OUT_OF_HOST_MEMORY;
    d->owned = true;
    enum shk_status status =
        shk_instance_create(params->validation ? d : NULL, &d->instance, &d->messenger, error);
    if (status)
        goto fail;
    status = shk_physical_list(d->instance, &list, &count, error);
    if (status)
        goto fail;
    status = shk_physical_select(list, count, params->select, &chosen, error);
    if (status)
        goto fail;
    status = create_vk_device(d, chosen, error);
    if (status)
        goto fail;
    status = device_init(d, params->memory_budget, error);
    if (status)
        goto fail;
    free(list);
    *device = d;
    return SHK_OK;

fail:
    free(list);
    device_free(d);
    return status;
}

static bool dot_product_enabled(const VkPhysicalDeviceFeatures2 *features)
{
    for (const VkBaseInStructure *s = features ? features->pNext : NULL; s; s = s->pNext) {
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES)
            return ((const VkPhysicalDeviceShaderIntegerDotProductFeatures *)s)->shaderIntegerDotProduct;
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES)
            return ((const VkPhysicalDeviceVulkan13Features *)s)->shaderIntegerDotProduct;
    }
    return false;
}

/* What the driver offers, less what the owner did not enable. */
static void keep_enabled(struct shk_device *device, const struct shk_device_adopt_params *params)
{
    struct shk_device_info *info = &device->info;
    uint32_t mask = 0;

    for (uint32_t i = 0; i < params->extension_count; i++)
        mask |= shk_extension_bit(params->extensions[i]);
    device->extensions = mask;
    info->integer_dot_product = dot_product_enabled(params->features);
    info->cooperative_matrix = false;
    info->external_memory_host &= shk_extension_in(mask, SHK_EXT_EXTERNAL_MEMORY_HOST);
    info->dma_buf &=
        shk_extension_in(mask, SHK_EXT_EXTERNAL_MEMORY_FD) && shk_extension_in(mask, SHK_EXT_DMA_BUF);
    info->calibrated_timestamps &= shk_extension_in(mask, SHK_EXT_CALIBRATED_TIMESTAMPS);
}

static enum shk_status check_adopted_family(const struct shk_device_adopt_params *params,
                                            uint64_t *timestamp_mask, struct shk_error *error)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = SHK_ARRAY_LEN(families);

    vkGetPhysicalDeviceQueueFamilyProperties(params->physical_device, &count, families);
    if (params->queue_family >= count)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_device_adopt: queue_family is %u, but the device has %u families",
                        params->queue_family, count);
    if (!(families[params->queue_family].queueFlags & VK_QUEUE_COMPUTE_BIT))
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_device_adopt: queue family %u cannot compute: pass a queue of a family with "
                        "VK_QUEUE_COMPUTE_BIT",
                        params->queue_family);
    uint32_t bits = families[params->queue_family].timestampValidBits;
    *timestamp_mask = shk_timestamp_mask(bits);
    return SHK_OK;
}

static enum shk_status check_adopt_params(const struct shk_device_adopt_params *params,
                                          struct shk_error *error)
{
    if (!params || !params->instance || !params->physical_device || !params->device || !params->queue)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_device_adopt: instance, physical_device, device and queue must all be given");
    if (!params->lock_queue != !params->unlock_queue)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_device_adopt: give both lock_queue and unlock_queue or neither");
    if (params->extension_count && !params->extensions)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_device_adopt: extension_count is %u, but extensions is NULL",
                        params->extension_count);

    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(params->physical_device, &properties);
    if (properties.apiVersion < VK_API_VERSION_1_1)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED, "%s has Vulkan %u.%u; Shrike needs 1.1",
                        properties.deviceName, VK_API_VERSION_MAJOR(properties.apiVersion),
                        VK_API_VERSION_MINOR(properties.apiVersion));
    return SHK_OK;
}

/* The position in vkEnumeratePhysicalDevices order; 0 if that fails, since it only serves messages. */
static uint32_t index_of(VkInstance instance, VkPhysicalDevice physical)
{
    VkPhysicalDevice handles[32];
    uint32_t count = SHK_ARRAY_LEN(handles);

    if (vkEnumeratePhysicalDevices(instance, &count, handles) < VK_SUCCESS)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        if (handles[i] == physical)
            return i;
    return 0;
}

enum shk_status shk_device_adopt(const struct shk_device_adopt_params *params, struct shk_device **device,
                                 struct shk_error *error)
{
    struct shk_physical physical;
    uint64_t timestamp_mask = 0;

    enum shk_status status = check_adopt_params(params, error);
    if (status)
        return status;
    status = check_adopted_family(params, &timestamp_mask, error);
    if (status)
        return status;
    struct shk_device *d = device_new(&params->log, error);
    if (!d)
        return SHK_ERROR_OUT_OF_HOST_MEMORY;

    shk_physical_describe(params->instance, params->physical_device,
                          index_of(params->instance, params->physical_device), &physical);
    d->instance = params->instance;
    d->physical = params->physical_device;
    d->device = params->device;
    d->queue = params->queue;
    d->queue_family = params->queue_family;
    d->lock_queue = params->lock_queue;
    d->unlock_queue = params->unlock_queue;
    d->lock_user = params->user;
    d->timestamp_mask = timestamp_mask;
    d->info = physical.info;
    d->info.timestamps = timestamp_mask != 0;
    keep_enabled(d, params);
    status = device_init(d, params->memory_budget, error);
    if (status) {
        device_free(d);
        return status;
    }
    d->release = params->release;
    *device = d;
    return SHK_OK;
}

struct shk_device *shk_device_ref(struct shk_device *device)
{
    atomic_fetch_add(&device->refs, 1);
    return device;
}

void shk_device_destroy(struct shk_device **device)
{
    if (!device || !*device)
        return;
    if (atomic_fetch_sub(&(*device)->refs, 1) == 1)
        device_free(*device);
    *device = NULL;
}

void shk_device_get_info(const struct shk_device *device, struct shk_device_info *info)
{
    *info = device->info;
}

uint64_t shk_device_validation_messages(const struct shk_device *device)
{
    return atomic_load(&device->validation_messages);
}

void shk_device_memory_stats(const struct shk_device *device, struct shk_memory_stats *stats)
{
    shk_pool_stats(device->pool, stats);
}

enum shk_status shk_device_check_lost(const struct shk_device *device, const char *what, struct shk_error *error)
{
    return atomic_load(&device->lost) ? shk_check_vk(VK_ERROR_DEVICE_LOST, what, error) : SHK_OK;
}

enum shk_status shk_device_check_vk(struct shk_device *device, VkResult result, const char *what,
                                    struct shk_error *error)
{
    if (result == VK_ERROR_DEVICE_LOST)
        atomic_store(&device->lost, true);
    return shk_check_vk(result, what, error);
}

void shk_device_retire(struct shk_device *device, VkFence fence)
{
    uint64_t limit = atomic_load(&device->lost) ? LOST_DEVICE_NS : UINT64_MAX;
    vkWaitForFences(device->device, 1, &fence, VK_TRUE, limit);
}

enum shk_status shk_device_queue_submit(struct shk_device *device, const VkSubmitInfo *submit, VkFence fence,
                                        struct shk_error *error)
{
    enum shk_status status = shk_device_check_lost(device, "vkQueueSubmit", error);
    if (status)
        return status;
    if (device->lock_queue)
        device->lock_queue(device->lock_user);
    else
        pthread_mutex_lock(&device->queue_mutex);
    VkResult result = vkQueueSubmit(device->queue, 1, submit, fence);
    if (device->lock_queue)
        device->unlock_queue(device->lock_user);
    else
        pthread_mutex_unlock(&device->queue_mutex);
    return shk_device_check_vk(device, result, "vkQueueSubmit", error);
}
