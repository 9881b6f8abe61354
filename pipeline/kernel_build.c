/* Pipelines for dispatches: each distinct kernel once, compiled on several threads.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"

#define MAX_THREADS 8

static enum shk_status create_pipeline(const struct shk_kernels *kernels, const struct shk_pipeline_key *key,
                                       VkPipeline *pipeline, struct shk_error *error)
{
    VkDevice device = kernels->device->device;
    VkSpecializationMapEntry entries[SHK_SPEC_FIRST + SHK_MAX_SPEC];
    for (uint32_t i = 0; i < key->spec_count; i++)
        entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    VkSpecializationInfo spec = {key->spec_count, entries, key->spec_count * 4u, key->spec};
    VkShaderModuleCreateInfo module_info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = key->shader->code_size,
        .pCode = key->shader->code,
    };
    VkShaderModule module = VK_NULL_HANDLE;
    VkResult result = vkCreateShaderModule(device, &module_info, NULL, &module);
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .flags = key->shader->full_subgroups
                               ? (VkFlags)VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT
                               : 0,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &spec},
        .layout = kernels->layout,
    };
    if (result == VK_SUCCESS)
        result = vkCreateComputePipelines(device, kernels->cache, 1, &info, NULL, pipeline);
    vkDestroyShaderModule(device, module, NULL);
    return shk_check_vk(result, key->shader->name, error);
}

/* ---- threads ---- */

/* Pipelines from `next` on, shared by the threads that build. */
struct build {
    struct shk_kernels *kernels;
    uint32_t end;
    atomic_uint next;
    atomic_bool failed;
};

struct builder {
    struct build *build;
    pthread_t thread;
    enum shk_status status;
    struct shk_error error;
};

/* The pipeline cache is one for all: the driver locks it (VkPipelineCacheCreateInfo, not externally synchronized). */
static void *build_pipelines(void *data)
{
    struct builder *builder = data;
    struct build *build = builder->build;
    while (!builder->status && !atomic_load(&build->failed)) {
        uint32_t i = atomic_fetch_add(&build->next, 1);
        if (i >= build->end)
            break;
        builder->status =
            create_pipeline(build->kernels, &build->kernels->keys[i], &build->kernels->pipelines[i], &builder->error);
    }
    if (builder->status)
        atomic_store(&build->failed, true);
    return NULL;
}

/* Beside the calling thread, which builds, too. */
static uint32_t count_helpers(uint32_t pipelines)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return SHK_MIN(pipelines, (uint32_t)SHK_CLAMP(cores, 1, MAX_THREADS)) - 1;
}

/* The pipelines from `first` on. A thread that cannot be started is one less. */
static enum shk_status build_all(struct shk_kernels *kernels, uint32_t first, struct shk_error *error)
{
    struct build build = {.kernels = kernels, .end = kernels->count, .next = first};
    struct builder builders[MAX_THREADS] = {{.build = &build}};
    uint32_t asked = count_helpers(kernels->count - first), helpers = 0;
    for (; helpers < asked; helpers++) {
        builders[helpers + 1].build = &build;
        if (pthread_create(&builders[helpers + 1].thread, NULL, build_pipelines, &builders[helpers + 1]))
            break;
    }
    build_pipelines(&builders[0]);
    enum shk_status status = SHK_OK;
    for (uint32_t i = 0; i <= helpers; i++) {
        if (i)
            pthread_join(builders[i].thread, NULL);
        if (builders[i].status && !status)
            status = shk_fail(error, builders[i].status, "%s", builders[i].error.message);
    }
    return status;
}

/* ---- the table ---- */

static bool grow(struct shk_kernels *kernels)
{
    if (kernels->count < kernels->capacity)
        return true;
    uint32_t larger = kernels->capacity ? kernels->capacity * 2 : 32;
    struct shk_pipeline_key *keys = realloc(kernels->keys, larger * sizeof(*keys));
    if (keys)
        kernels->keys = keys;
    VkPipeline *pipelines = realloc(kernels->pipelines, larger * sizeof(*pipelines));
    if (pipelines)
        kernels->pipelines = pipelines;
    if (keys && pipelines)
        kernels->capacity = larger;
    return keys && pipelines;
}

/* kernels->count if there is none. */
static uint32_t find(const struct shk_kernels *kernels, const struct shk_lowered *dispatch)
{
    uint32_t i = 0;
    for (; i < kernels->count; i++) {
        const struct shk_pipeline_key *key = &kernels->keys[i];
        if (key->shader == dispatch->shader && key->spec_count == dispatch->spec_count &&
            memcmp(key->spec, dispatch->spec, key->spec_count * sizeof(uint32_t)) == 0)
            break;
    }
    return i;
}

static bool add(struct shk_kernels *kernels, const struct shk_lowered *dispatch)
{
    if (!grow(kernels))
        return false;
    struct shk_pipeline_key *key = &kernels->keys[kernels->count];
    *key = (struct shk_pipeline_key){.shader = dispatch->shader, .spec_count = dispatch->spec_count};
    memcpy(key->spec, dispatch->spec, dispatch->spec_count * sizeof(uint32_t));
    kernels->pipelines[kernels->count++] = VK_NULL_HANDLE;
    return true;
}

/* What the failed build left of the pipelines from `first` on. */
static void discard(struct shk_kernels *kernels, uint32_t first)
{
    while (kernels->count > first)
        vkDestroyPipeline(kernels->device->device, kernels->pipelines[--kernels->count], NULL);
}

static enum shk_status build(struct shk_kernels *kernels, struct shk_lowered *dispatches, uint32_t count,
                             struct shk_error *error)
{
    uint32_t first = kernels->count;
    enum shk_status status = SHK_OK;
    for (uint32_t i = 0; i < count && !status; i++)
        if (!dispatches[i].skipped && find(kernels, &dispatches[i]) == kernels->count && !add(kernels, &dispatches[i]))
            status = shk_fail_oom(error, sizeof(struct shk_pipeline_key), "pipelines");
    if (!status && kernels->count > first)
        status = build_all(kernels, first, error);
    if (status) {
        discard(kernels, first);
        return status;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!dispatches[i].skipped)
            dispatches[i].pipeline = kernels->pipelines[find(kernels, &dispatches[i])];
    return SHK_OK;
}

enum shk_status shk_kernels_build(struct shk_kernels *kernels, struct shk_lowered *dispatches, uint32_t count,
                                  struct shk_error *error)
{
    pthread_mutex_lock(&kernels->mutex);
    enum shk_status status = build(kernels, dispatches, count, error);
    pthread_mutex_unlock(&kernels->mutex);
    return status;
}
