/* Kernels on their own, to be timed: no model, no parameters.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_MEASURE_H
#define SHK_MEASURE_H

#include "kernel.h"
#include "slot.h"

/* All zero but for the device, the log, and the arena, which is the caller's. */
struct shk_measure {
    struct shk_device *device;
    const struct shk_buffer *arena;
    struct shk_kernels kernels;
    struct shk_buffer window;
    VkDescriptorPool pool;
    VkDescriptorSet set;
    struct shk_slot slot;
};

/* `arena`: aligned to SHK_TEXEL_ALIGNMENT. On failure, too, shk_measure_end() is to be called. */
enum shk_status shk_measure_begin(struct shk_measure *measure, struct shk_device *device, const struct shk_buffer *arena,
                                  const char *cache_dir, const struct shk_log *log, struct shk_error *error);
void shk_measure_end(struct shk_measure *measure);

/* Compiles the dispatch and records it `count` times in a row. Replaces what was recorded before. */
enum shk_status shk_measure_record(struct shk_measure *measure, struct shk_lowered *dispatch, uint32_t count,
                                   struct shk_error *error);
/* How long what was recorded takes, at least 1: by the device's clock, or the CPU's where the device has none. */
enum shk_status shk_measure_run(struct shk_measure *measure, uint64_t *ns, struct shk_error *error);

#endif
