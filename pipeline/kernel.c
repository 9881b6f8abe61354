/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

static enum shk_status create_layouts(struct shk_kernels *kernels, struct shk_error *error)
{
    VkDescriptorSetLayoutBinding bindings[] = {
        {SHK_BINDING_ARENA, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
        {SHK_BINDING_PARAMS, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
        {SHK_BINDING_UNIFORM, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
        {SHK_BINDING_FRAME, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
        {SHK_BINDING_HEADER, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
        {SHK_BINDING_TEXELS, VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
        {SHK_BINDING_WEIGHTS, VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
    };
    VkDescriptorSetLayoutCreateInfo set_info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = SHK_ARRAY_LEN(bindings),
        .pBindings = bindings,
    };
    VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, SHK_MAX_PUSH_BYTES};
    VkDevice device = kernels->device->device;
    VkResult result = vkCreateDescriptorSetLayout(device, &set_info, NULL, &kernels->set_layout);
    VkPipelineLayoutCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &kernels->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &range,
    };
    if (result == VK_SUCCESS)
        result = vkCreatePipelineLayout(device, &info, NULL, &kernels->layout);
    return shk_check_vk(result, "pipeline layout", error);
}

static enum shk_status create_cache(struct shk_kernels *kernels, const char *dir, const struct shk_log *log,
                                    struct shk_error *error)
{
    size_t size = 0;
    void *data = NULL;
    if (dir && (kernels->cache_path = shk_pipeline_cache_path(kernels->device, dir, log)))
        data = shk_pipeline_cache_read(kernels->device, kernels->cache_path, log, &size);
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = size,
        .pInitialData = data,
    };
    VkResult result = vkCreatePipelineCache(kernels->device->device, &info, NULL, &kernels->cache);
    free(data);
    kernels->cache_size = size;
    return shk_check_vk(result, "pipeline cache", error);
}

enum shk_status shk_kernels_init(struct shk_device *device, const char *cache_dir, const struct shk_log *log,
                                 struct shk_kernels *kernels, struct shk_error *error)
{
    *kernels = (struct shk_kernels){.device = device};
    pthread_mutex_init(&kernels->mutex, NULL);
    enum shk_status status = create_layouts(kernels, error);
    if (!status)
        status = create_cache(kernels, cache_dir, log, error);
    if (status)
        shk_kernels_finish(kernels);
    return status;
}

void shk_kernels_finish(struct shk_kernels *kernels)
{
    if (!kernels->device)
        return;
    VkDevice device = kernels->device->device;
    for (uint32_t i = 0; i < kernels->count; i++)
        vkDestroyPipeline(device, kernels->pipelines[i], NULL);
    vkDestroyPipelineCache(device, kernels->cache, NULL);
    vkDestroyBufferView(device, kernels->texels, NULL);
    vkDestroyBufferView(device, kernels->weights, NULL);
    vkDestroyPipelineLayout(device, kernels->layout, NULL);
    vkDestroyDescriptorSetLayout(device, kernels->set_layout, NULL);
    free(kernels->keys);
    free(kernels->pipelines);
    free(kernels->cache_path);
    pthread_mutex_destroy(&kernels->mutex);
    *kernels = (struct shk_kernels){0};
}

static void save_cache(struct shk_kernels *kernels, const struct shk_log *log)
{
    VkDevice device = kernels->device->device;
    size_t size = 0;
    if (!kernels->cache_path || vkGetPipelineCacheData(device, kernels->cache, &size, NULL) || size <= kernels->cache_size)
        return;
    void *data = malloc(size);
    if (data && vkGetPipelineCacheData(device, kernels->cache, &size, data) == VK_SUCCESS)
        shk_pipeline_cache_write(kernels->device, kernels->cache_path, data, size, log);
    kernels->cache_size = size;
    free(data);
}

void shk_kernels_save_cache(struct shk_kernels *kernels, const struct shk_log *log)
{
    pthread_mutex_lock(&kernels->mutex);
    save_cache(kernels, log);
    pthread_mutex_unlock(&kernels->mutex);
}

void shk_kernels_record(const struct shk_kernels *kernels, VkCommandBuffer commands, VkDescriptorSet set,
                        const struct shk_lowered *dispatch, uint32_t lanes)
{
    if (dispatch->barrier) {
        VkMemoryBarrier barrier = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
            .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
            .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
        };
        vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                             0, 1, &barrier, 0, NULL, 0, NULL);
    }
    vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, dispatch->pipeline);
    vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernels->layout, 0, 1, &set, 1,
                            &dispatch->uniform_offset);
    if (dispatch->push_size)
        vkCmdPushConstants(commands, kernels->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, dispatch->push_size,
                           dispatch->push);
    vkCmdDispatch(commands, dispatch->groups[0], dispatch->groups[1], dispatch->groups[2] * lanes);
}

enum shk_status shk_kernels_create_sets(const struct shk_kernels *kernels, uint32_t count, VkDescriptorPool *pool,
                                        VkDescriptorSet *sets, struct shk_error *error)
{
    VkDescriptorPoolSize sizes[] = {
        {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 4 * count},
        {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 2 * count},
        {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC, count},
    };
    VkDescriptorPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = count,
        .poolSizeCount = SHK_ARRAY_LEN(sizes),
        .pPoolSizes = sizes,
    };
    VkDevice device = kernels->device->device;
    VkResult result = vkCreateDescriptorPool(device, &info, NULL, pool);
    for (uint32_t i = 0; i < count && result == VK_SUCCESS; i++) {
        VkDescriptorSetAllocateInfo allocate = {
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
            .descriptorPool = *pool,
            .descriptorSetCount = 1,
            .pSetLayouts = &kernels->set_layout,
        };
        result = vkAllocateDescriptorSets(device, &allocate, &sets[i]);
    }
    return shk_check_vk(result, "descriptor sets", error);
}

static enum shk_status view_texels(struct shk_kernels *kernels, const struct shk_buffer *buffer, VkFormat format,
                                   uint32_t texel, VkBufferView *view, struct shk_error *error)
{
    VkBufferViewCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
        .buffer = buffer->buffer,
        .format = format,
        .offset = buffer->offset,
        .range = SHK_MIN(buffer->size / texel, (VkDeviceSize)kernels->device->limits.maxTexelBufferElements) * texel,
    };
    return shk_check_vk(vkCreateBufferView(kernels->device->device, &info, NULL, view), "view of a buffer", error);
}

enum shk_status shk_kernels_view_arena(struct shk_kernels *kernels, const struct shk_buffer *arena,
                                       struct shk_error *error)
{
    return view_texels(kernels, arena, VK_FORMAT_R32_UINT, 4, &kernels->texels, error);
}

enum shk_status shk_kernels_view_params(struct shk_kernels *kernels, const struct shk_buffer *params,
                                        struct shk_error *error)
{
    return view_texels(kernels, params, VK_FORMAT_R32G32B32A32_UINT, 16, &kernels->weights, error);
}

static VkWriteDescriptorSet write_binding(VkDescriptorSet set, uint32_t binding, const VkDescriptorBufferInfo *buffer)
{
    return (VkWriteDescriptorSet){
        .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
        .dstSet = set,
        .dstBinding = binding,
        .descriptorCount = 1,
        .descriptorType = binding == SHK_BINDING_UNIFORM ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC
                                                         : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
        .pBufferInfo = buffer,
    };
}

void shk_kernels_write_set(const struct shk_kernels *kernels, VkDescriptorSet set, const struct shk_buffer *arena,
                           const struct shk_buffer *params, uint32_t uniform_range)
{
    const VkDescriptorBufferInfo buffers[] = {
        [SHK_BINDING_ARENA] = {arena->buffer, arena->offset, arena->size},
        [SHK_BINDING_PARAMS] = {params->buffer, params->offset, params->size},
        [SHK_BINDING_UNIFORM] = {params->buffer, params->offset, uniform_range},
    };
    const uint32_t count = SHK_ARRAY_LEN(buffers);
    VkWriteDescriptorSet writes[SHK_ARRAY_LEN(buffers) + 2];
    for (uint32_t i = 0; i < count; i++)
        writes[i] = write_binding(set, i, &buffers[i]);
    for (uint32_t i = 0; i < 2; i++)
        writes[count + i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = set,
            .dstBinding = i ? SHK_BINDING_WEIGHTS : SHK_BINDING_TEXELS,
            .descriptorCount = 1,
            .descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER,
            .pTexelBufferView = i ? &kernels->weights : &kernels->texels,
        };
    vkUpdateDescriptorSets(kernels->device->device, kernels->weights ? count + 2 : count + 1, writes, 0, NULL);
}

void shk_kernels_write_frame(const struct shk_kernels *kernels, VkDescriptorSet set,
                             const VkDescriptorBufferInfo *frame, const VkDescriptorBufferInfo *header)
{
    const VkWriteDescriptorSet writes[] = {
        write_binding(set, SHK_BINDING_FRAME, frame),
        write_binding(set, SHK_BINDING_HEADER, header),
    };
    vkUpdateDescriptorSets(kernels->device->device, SHK_ARRAY_LEN(writes), writes, 0, NULL);
}
