/* GstMemory that Vulkan reads in place: each is a shk_memory of one device (shrike/memory.h), which lives,
 * and with it the device, as long as the GstMemory does. The device's log must therefore not need anything
 * that goes earlier, such as an element. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_FRAME_ALLOCATOR_H
#define SHRIKE_GST_FRAME_ALLOCATOR_H

#include <gst/gst.h>
#include <shrike/memory.h>

G_BEGIN_DECLS

#define FRAME_MEMORY_TYPE "ShrikeMemory" /* for gst_memory_is_type() */

/* Takes a reference to `device`; NULL: plain memory, for the C reference. Where the device has no room,
 * allocations are plain memory instead, with a warning: frames in it are copied, and the stream goes on.
 * Threads: as GstAllocator. */
GstAllocator *frame_allocator_new(struct shk_device *device);

/* The shk_memory of a GstMemory that such an allocator made, borrowed, and where in it (from its info.map)
 * the GstMemory begins: sub-memories share their parent's. NULL: the memory is somebody else's. */
struct shk_memory *frame_memory_peek(GstMemory *memory, gsize *offset);

/* The debug category of what deals with frames' memory, "shrikememory". */
GstDebugCategory *frame_memory_category(void);

G_END_DECLS
#endif
