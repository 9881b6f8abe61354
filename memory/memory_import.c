/* Memory that others allocated, by VK_EXT_external_memory_host and VK_EXT_external_memory_dma_buf: one
 * VkDeviceMemory and one VkBuffer over all of it for each import. SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dma-buf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "frame_memory.h"

#define WORD 4 /* shaders read whole words */

#define IMPORT_USAGE (VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT)

static const char *handle_name(VkExternalMemoryHandleTypeFlagBits handle)
{
    return handle == VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT ? "dma-buf" : "host memory";
}

static enum shk_status no_extension(const struct shk_device *device, const char *extension,
                                    struct shk_error *error)
{
    return shk_fail(error, SHK_ERROR_UNSUPPORTED, "%s: %s %s: copy into memory of shk_memory_alloc() instead",
                    device->info.name, extension,
                    device->owned ? "is not offered by the driver"
                                  : "was not among the extensions given to shk_device_adopt()");
}

/* What the driver does with buffers of this handle type. */
static enum shk_status check_importable(const struct shk_device *device,
                                        VkExternalMemoryHandleTypeFlagBits handle, bool *dedicated,
                                        struct shk_error *error)
{
    const VkPhysicalDeviceExternalBufferInfo info = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO,
        .usage = IMPORT_USAGE,
        .handleType = handle,
    };
    VkExternalBufferProperties properties = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES};

    vkGetPhysicalDeviceExternalBufferProperties(device->physical, &info, &properties);
    VkExternalMemoryFeatureFlags features = properties.externalMemoryProperties.externalMemoryFeatures;
    if (!(features & VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT))
        return shk_fail(error, SHK_ERROR_UNSUPPORTED, "%s does not import %s as a storage buffer",
                        device->info.name, handle_name(handle));
    *dedicated = features & VK_EXTERNAL_MEMORY_FEATURE_DEDICATED_ONLY_BIT;
    return SHK_OK;
}

static enum shk_status create_buffer(struct shk_memory *memory, VkExternalMemoryHandleTypeFlagBits handle,
                                     VkDeviceSize size, VkMemoryRequirements2 *requirements,
                                     struct shk_error *error)
{
    VkDevice device = memory->info.device->device;
    const VkExternalMemoryBufferCreateInfo external = {
        .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, .handleTypes = handle};
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .pNext = &external,
        .size = size,
        .usage = IMPORT_USAGE,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    enum shk_status status =
        shk_check_vk(vkCreateBuffer(device, &info, NULL, &memory->imported_buffer), "vkCreateBuffer", error);
    if (status)
        return status;
    const VkBufferMemoryRequirementsInfo2 query = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2, .buffer = memory->imported_buffer};
    vkGetBufferMemoryRequirements2(device, &query, requirements);
    return SHK_OK;
}

/* Imported memory is never mapped by us, so CPU writes must reach the device without a flush: coherent. The
 * CPU does not see a dma-buf through Vulkan at all. */
static bool choose_type(const struct shk_device *device, uint32_t allowed,
                        VkExternalMemoryHandleTypeFlagBits handle, uint32_t *type)
{
    if (handle == VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT)
        return shk_memory_type(&device->memory, allowed, SHK_MEMORY_DEVICE, type);
    for (uint32_t i = 0; i < device->memory.memoryTypeCount; i++)
        if (!(device->memory.memoryTypes[i].propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT))
            allowed &= ~(1u << i);
    return shk_memory_type(&device->memory, allowed, SHK_MEMORY_FRAME, type);
}

/* One import in the making. */
struct import {
    VkExternalMemoryHandleTypeFlagBits handle;
    const void *chain;  /* VkImportMemory*Info */
    VkDeviceSize bytes; /* of what is imported */
    uint32_t types;     /* that the driver would import it as */
};

static enum shk_status allocate(struct shk_memory *memory, const struct import *import, uint32_t type,
                                bool dedicated, struct shk_error *error)
{
    struct shk_device *device = memory->info.device;
    const VkMemoryDedicatedAllocateInfo dedicated_info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO,
        .pNext = import->chain,
        .buffer = memory->imported_buffer,
    };
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .pNext = dedicated ? &dedicated_info : import->chain,
        .allocationSize = import->bytes,
        .memoryTypeIndex = type,
    };
    VkResult result = vkAllocateMemory(device->device, &info, NULL, &memory->imported_memory);
    if (result != VK_SUCCESS)
        return shk_fail(
            error, SHK_ERROR_UNSUPPORTED,
            "%s refuses to import %" PRIu64 " bytes of %s: vkAllocateMemory: %s; copy the frame instead",
            device->info.name, import->bytes, handle_name(import->handle), shk_vk_result_string(result));
    return shk_check_vk(
        vkBindBufferMemory(device->device, memory->imported_buffer, memory->imported_memory, 0),
        "vkBindBufferMemory", error);
}

/* Imports all of it and puts one buffer over it. */
static enum shk_status import_all(struct shk_memory *memory, const struct import *import,
                                  struct shk_error *error)
{
    struct shk_device *device = memory->info.device;
    VkMemoryDedicatedRequirements wants = {.sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS};
    VkMemoryRequirements2 requirements = {.sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2, .pNext = &wants};
    bool dedicated = false;
    uint32_t type;

    enum shk_status status = check_importable(device, import->handle, &dedicated, error);
    if (!status)
        status = create_buffer(memory, import->handle, import->bytes, &requirements, error);
    if (status)
        return status;
    const VkMemoryRequirements *needs = &requirements.memoryRequirements;
    if (needs->size > import->bytes)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "%s: a buffer over %" PRIu64 " bytes of %s would need %" PRIu64, device->info.name,
                        import->bytes, handle_name(import->handle), needs->size);
    if (!choose_type(device, import->types & needs->memoryTypeBits, import->handle, &type))
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "%s has no memory type for this %s (types 0x%x, for buffers 0x%x%s)",
                        device->info.name, handle_name(import->handle), import->types, needs->memoryTypeBits,
                        import->handle == VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT ? "" : ", coherent");
    return allocate(memory, import, type, dedicated || wants.requiresDedicatedAllocation, error);
}

/* What of the imported buffer is bound: from the last place at or before `start` where a storage buffer may
 * begin. */
static void set_range(struct shk_memory *memory, VkDeviceSize start, VkDeviceSize end)
{
    VkDeviceSize alignment = memory->info.device->limits.minStorageBufferOffsetAlignment;
    VkDeviceSize offset = start & ~(alignment - 1);

    memory->delta = (uint32_t)(start - offset);
    memory->buffer = (struct shk_buffer){
        .buffer = memory->imported_buffer,
        .offset = offset,
        .size = shk_align_up(end, WORD) - offset,
        .memory = memory->imported_memory,
        .coherent = true,
    };
}

static enum shk_status import_pages(struct shk_memory *memory, void *pages, size_t bytes,
                                    struct shk_error *error)
{
    const VkExternalMemoryHandleTypeFlagBits handle = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
    struct shk_device *device = memory->info.device;
    VkMemoryHostPointerPropertiesEXT properties = {.sType =
                                                       VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    const VkImportMemoryHostPointerInfoEXT pointer_info = {
        .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
        .handleType = handle,
        .pHostPointer = pages,
    };

    VkResult result = device->get_host_pointer_properties(device->device, handle, pages, &properties);
    if (result != VK_SUCCESS || properties.memoryTypeBits == 0)
        return shk_fail(
            error, SHK_ERROR_UNSUPPORTED,
            "%s cannot read host memory at %p: vkGetMemoryHostPointerPropertiesEXT: %s, types 0x%x; "
            "copy the frame instead",
            device->info.name, pages, shk_vk_result_string(result), properties.memoryTypeBits);
    const struct import import = {handle, &pointer_info, bytes, properties.memoryTypeBits};
    return import_all(memory, &import, error);
}

static enum shk_status check_host(const struct shk_device *device, const void *pointer, size_t size,
                                  struct shk_error *error)
{
    uintptr_t address = (uintptr_t)pointer;

    if (!pointer || size == 0 || address > UINTPTR_MAX - size)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_memory_import_host: %zu bytes at %p", size,
                        pointer);
    if (!device) /* nothing but the C reference reads it */
        return SHK_OK;
    if (!device->get_host_pointer_properties)
        return no_extension(device, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME, error);
    if (address % WORD)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "host memory at %p cannot be read in place: its address is not a multiple of %d",
                        pointer, WORD);
    if (address + size > UINTPTR_MAX - device->host_pointer_alignment)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_memory_import_host: %zu bytes at %p reach the end of the address space", size,
                        pointer);
    return SHK_OK;
}

enum shk_status shk_memory_import_host(struct shk_device *device, void *pointer, size_t size,
                                       struct shk_memory **memory, struct shk_error *error)
{
    enum shk_status status = check_host(device, pointer, size, error);
    if (status)
        return status;
    struct shk_memory *m = shk_memory_new(device, SHK_ORIGIN_HOST, size, error);
    if (!m)
        return SHK_ERROR_OUT_OF_HOST_MEMORY;
    m->info.map = pointer;
    if (device) {
        uintptr_t first = (uintptr_t)pointer & ~(uintptr_t)(device->host_pointer_alignment - 1);
        uintptr_t end = shk_align_up((uintptr_t)pointer + size, device->host_pointer_alignment);
        size_t start = (uintptr_t)pointer - first;
        status = import_pages(m, (char *)pointer - start, end - first, error);
        if (status) {
            shk_memory_unref(&m);
            return status;
        }
        set_range(m, start, start + size);
    }
    *memory = m;
    return SHK_OK;
}

/* A dma-buf answers this ioctl with EINVAL before it does anything, as the flags make no sense; everything
 * else does not know it. */
static bool is_dmabuf(int fd)
{
    const struct dma_buf_sync nonsense = {.flags = ~UINT64_C(0)};
    return ioctl(fd, DMA_BUF_IOCTL_SYNC, &nonsense) == -1 && errno == EINVAL;
}

static enum shk_status check_dmabuf(const struct shk_device *device, int fd, size_t size, size_t *bytes,
                                    struct shk_error *error)
{
    if (!device || size == 0)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_memory_import_dmabuf: %zu bytes for %s", size,
                        device ? "a device" : "no device");
    if (fcntl(fd, F_GETFD) == -1)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "file descriptor %d: %s: a dma-buf was expected",
                        fd, strerror(errno));
    if (!is_dmabuf(fd))
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "file descriptor %d is not a dma-buf", fd);
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0 || (uint64_t)end < size)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "the dma-buf has %lld bytes, fewer than the %zu asked for", (long long)end, size);
    *bytes = (size_t)end;
    if (!device->get_memory_fd_properties)
        return no_extension(device, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME, error);
    if (size % WORD && shk_align_up(size, WORD) > *bytes)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED, "the dma-buf has %zu bytes: not a multiple of %d",
                        *bytes, WORD);
    return SHK_OK;
}

static enum shk_status import_fd(struct shk_memory *memory, int fd, size_t bytes, struct shk_error *error)
{
    const VkExternalMemoryHandleTypeFlagBits handle = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT;
    struct shk_device *device = memory->info.device;
    VkMemoryFdPropertiesKHR properties = {.sType = VK_STRUCTURE_TYPE_MEMORY_FD_PROPERTIES_KHR};

    VkResult result = device->get_memory_fd_properties(device->device, handle, fd, &properties);
    if (result != VK_SUCCESS || properties.memoryTypeBits == 0)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "%s cannot read this dma-buf: vkGetMemoryFdPropertiesKHR: %s, types 0x%x",
                        device->info.name, shk_vk_result_string(result), properties.memoryTypeBits);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return shk_fail(error, SHK_ERROR_IO, "duplicating file descriptor %d: %s", fd, strerror(errno));
    const VkImportMemoryFdInfoKHR fd_info = {
        .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR, .handleType = handle, .fd = copy};
    const struct import import = {handle, &fd_info, bytes, properties.memoryTypeBits};
    enum shk_status status = import_all(memory, &import, error);
    if (!memory->imported_memory) /* a successful vkAllocateMemory owns it */
        close(copy);
    return status;
}

enum shk_status shk_memory_import_dmabuf(struct shk_device *device, int fd, size_t size,
                                         struct shk_memory **memory, struct shk_error *error)
{
    size_t bytes = 0;

    enum shk_status status = check_dmabuf(device, fd, size, &bytes, error);
    if (status)
        return status;
    struct shk_memory *m = shk_memory_new(device, SHK_ORIGIN_DMABUF, size, error);
    if (!m)
        return SHK_ERROR_OUT_OF_HOST_MEMORY;
    status = import_fd(m, fd, bytes, error);
    if (status) {
        shk_memory_unref(&m);
        return status;
    }
    set_range(m, 0, size);
    *memory = m;
    return SHK_OK;
}
