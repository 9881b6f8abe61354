/* Kernels: the one descriptor set layout, pipelines without duplicates, the driver's pipeline cache on disk.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_KERNEL_H
#define SHK_KERNEL_H

#include "lowering.h"
#include "pool.h"

struct shk_pipeline_key {
    const struct shk_shader *shader;
    uint32_t spec[SHK_SPEC_FIRST + SHK_MAX_SPEC];
    uint32_t spec_count;
};

struct shk_kernels {
    struct shk_device *device;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipelineCache cache;
    VkBufferView texels;  /* of the arena */
    VkBufferView weights; /* of the parameters; may be none */
    char *cache_path;  /* NULL: not kept */
    size_t cache_size; /* as read or last written */
    /* The table of pipelines and the cache's size are under the mutex: streams are created from any thread. */
    pthread_mutex_t mutex;
    struct shk_pipeline_key *keys;
    VkPipeline *pipelines;
    uint32_t count, capacity;
};

enum shk_status shk_kernels_init(struct shk_device *device, const char *cache_dir, const struct shk_log *log,
                                 struct shk_kernels *kernels, struct shk_error *error);
void shk_kernels_finish(struct shk_kernels *kernels);

/* Writes the pipeline cache to disk if the driver's has grown since it was read or written. Failure is logged,
 * no more. From any thread. */
void shk_kernels_save_cache(struct shk_kernels *kernels, const struct shk_log *log);

/* Records one dispatch over `lanes` lanes of the arena, with the barrier it asks for. The descriptor set is bound with
 * its uniform offset. */
void shk_kernels_record(const struct shk_kernels *kernels, VkCommandBuffer commands, VkDescriptorSet set,
                        const struct shk_lowered *dispatch, uint32_t lanes);

/* `pool` holds exactly `count` sets. */
enum shk_status shk_kernels_create_sets(const struct shk_kernels *kernels, uint32_t count, VkDescriptorPool *pool,
                                        VkDescriptorSet *sets, struct shk_error *error);
/* Once, before the arena is written into sets. `arena` is aligned to minTexelBufferOffsetAlignment. */
enum shk_status shk_kernels_view_arena(struct shk_kernels *kernels, const struct shk_buffer *arena, struct shk_error *error);
/* Likewise: what of the parameters can be texels (SHK_WEIGHTS_TEXELS). */
enum shk_status shk_kernels_view_params(struct shk_kernels *kernels, const struct shk_buffer *params,
                                        struct shk_error *error);
/* Arena and parameters (storage, texels, and uniform window): what the ops use. */
void shk_kernels_write_set(const struct shk_kernels *kernels, VkDescriptorSet set, const struct shk_buffer *arena,
                           const struct shk_buffer *params, uint32_t uniform_range);
/* What preprocessing uses on top of that, the frame and its header, or a selection, candidates and what is kept of
 * them. */
void shk_kernels_write_frame(const struct shk_kernels *kernels, VkDescriptorSet set,
                             const VkDescriptorBufferInfo *frame, const VkDescriptorBufferInfo *header);

/* ---- kernel_build.c ---- */

/* Finds or creates the pipeline of each dispatch and writes it into the dispatch. Several pipelines are compiled on as
 * many threads as there are cores, at most 8, which end before it returns. On failure none is added. From any thread. */
enum shk_status shk_kernels_build(struct shk_kernels *kernels, struct shk_lowered *dispatches, uint32_t count,
                                  struct shk_error *error);

/* ---- pipeline_cache.c ---- */

/* The file's bytes if they are a cache of this very driver, else NULL (a log line says why unless the file is not
 * there). To be freed. */
void *shk_pipeline_cache_read(const struct shk_device *device, const char *path, const struct shk_log *log,
                              size_t *size);
/* "<dir>/shrike-<uuid>-<driver version>.bin", to be freed; creates `dir`. NULL with a log line on failure. */
char *shk_pipeline_cache_path(const struct shk_device *device, const char *dir, const struct shk_log *log);
/* Writes beside the file and renames, so that a reader never sees half a cache. What a driver gives that is no cache, as
 * shk_pipeline_cache_read() would find, is not written. */
void shk_pipeline_cache_write(const struct shk_device *device, const char *path, const void *data, size_t size,
                              const struct shk_log *log);

#endif
