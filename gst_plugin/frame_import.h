/* From a GstBuffer to memory that the device reads in place, where there is a way.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_FRAME_IMPORT_H
#define SHRIKE_GST_FRAME_IMPORT_H

#include <gst/gst.h>
#include <shrike/memory.h>

G_BEGIN_DECLS

/* Finds or makes the shk_memory of a buffer that has a single GstMemory:
 *   - memory of frame_allocator_new(device): as it is;
 *   - a dma-buf: imported when it is first seen; waits for its writer, at most a second, each time;
 *   - system memory: imported when the same GstMemory is seen for the second time, as that of a pool is.
 * Importing memory that never comes again would cost more than copying the frame. `device` NULL (the C
 * reference) reads any memory that the CPU sees.
 *
 * The result is borrowed from the GstMemory: valid as long as the caller holds the buffer, which must be
 * until the device is done with the frame. *offset is the byte in it where the buffer begins: add it to the
 * planes' offsets. What was imported, and what was refused, is remembered on the GstMemory for each device
 * that asks.
 *
 * NULL: copy the frame instead; *reason says why, a static string for logs and statistics.
 *
 * Threads: any; two may ask for the same memory at once. No lock is held while the driver or a writer is
 * waited for. */
struct shk_memory *frame_import(GstBuffer *buffer, struct shk_device *device, gsize *offset,
                                const char **reason);

/* What makes the shk_memory of the whole of a GstMemory, or of its first `size` bytes. */
typedef enum shk_status (*frame_import_function)(GstMemory *memory, struct shk_device *device, gsize size,
                                                 struct shk_memory **imported, struct shk_error *error);

/* The same for memory of another kind, which `import_it` imports when it is first seen. The result may be smaller than
 * `size`, if less of the memory was asked for then. */
struct shk_memory *frame_import_by(GstMemory *memory, struct shk_device *device, gsize size,
                                   frame_import_function import_it, const char **reason);

G_END_DECLS
#endif
