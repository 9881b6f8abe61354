/* The inside of a shk_memory.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_FRAME_MEMORY_H
#define SHK_FRAME_MEMORY_H

#include <shrike/memory.h>

#include "pool.h"

struct shk_memory {
    atomic_uint refs;
    uint64_t serial; /* never that of another memory of the device: a VkBuffer's handle may come back */
    struct shk_memory_info info;
    struct shk_buffer buffer; /* how the device sees it: buffer, offset, size, memory, coherent; zero without a device */
};

#endif
