/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool.h"

/* -1: not usable. Preferences weigh less from left to right. */
static int type_score(enum shk_memory_kind kind, VkMemoryPropertyFlags flags)
{
    const VkMemoryPropertyFlags usable =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    bool local = flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    bool visible = flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    bool coherent = flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    bool cached = flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;

    /* protected, lazily allocated and vendors' types need features that are not enabled */
    if (flags & ~usable)
        return -1;
    switch (kind) {
    case SHK_MEMORY_DEVICE:
        return local * 4 + !visible * 2 + !cached;
    case SHK_MEMORY_UPLOAD: /* the device-local window of a discrete GPU is small: leave it alone */
        return visible ? coherent * 4 + !local * 2 + !cached : -1;
    case SHK_MEMORY_READBACK:
    case SHK_MEMORY_FRAME: /* reading uncached memory costs far more than a flush */
        return visible ? cached * 4 + coherent * 2 + !local : -1;
    default:
        return -1;
    }
}

bool shk_memory_type(const VkPhysicalDeviceMemoryProperties *memory, uint32_t allowed,
                     enum shk_memory_kind kind, uint32_t *type)
{
    int best = -1;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        int score = allowed >> i & 1 ? type_score(kind, memory->memoryTypes[i].propertyFlags) : -1;
        if (score > best) {
            best = score;
            *type = i;
        }
    }
    return best >= 0;
}
