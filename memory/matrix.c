/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "matrix.h"

#include <stdlib.h>

void *shk_matrix_chain(struct shk_matrix_features *f)
{
    *f = (struct shk_matrix_features){
        .matrix = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, .pNext = &f->int8},
        .int8 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES, .pNext = &f->memory_model},
        .memory_model = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
                         .pNext = &f->subgroups},
        .subgroups = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES},
    };
    return &f->matrix;
}

void *shk_matrix_chain_needed(struct shk_matrix_features *f)
{
    void *chain = shk_matrix_chain(f);
    f->matrix.cooperativeMatrix = VK_TRUE;
    f->int8.shaderInt8 = VK_TRUE;
    f->memory_model.vulkanMemoryModel = VK_TRUE;
    f->memory_model.vulkanMemoryModelDeviceScope = VK_TRUE;
    f->subgroups.computeFullSubgroups = VK_TRUE;
    return chain;
}

static bool has_features(VkPhysicalDevice handle)
{
    struct shk_matrix_features f;
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = shk_matrix_chain(&f)};
    vkGetPhysicalDeviceFeatures2(handle, &features);
    return f.matrix.cooperativeMatrix && f.int8.shaderInt8 && f.memory_model.vulkanMemoryModel &&
           f.memory_model.vulkanMemoryModelDeviceScope && f.subgroups.computeFullSubgroups;
}

/* Blocks are loaded in words of four bytes, and sums stored in words of four channels. */
static bool is_usable(const VkCooperativeMatrixPropertiesKHR *p)
{
    return p->AType == VK_COMPONENT_TYPE_SINT8_KHR && p->BType == VK_COMPONENT_TYPE_SINT8_KHR &&
           p->CType == VK_COMPONENT_TYPE_SINT32_KHR && p->ResultType == VK_COMPONENT_TYPE_SINT32_KHR &&
           !p->saturatingAccumulation && p->scope == VK_SCOPE_SUBGROUP_KHR && p->KSize % 4 == 0 && p->NSize % 4 == 0 &&
           p->MSize > 0 && p->NSize > 0 && p->KSize > 0 && p->MSize <= 64 && p->NSize <= 64 && p->KSize <= 64;
}

static struct shk_matrix largest(const VkCooperativeMatrixPropertiesKHR *list, uint32_t count)
{
    struct shk_matrix best = {0};
    for (uint32_t i = 0; i < count; i++)
        if (is_usable(&list[i]) && list[i].MSize * list[i].NSize * list[i].KSize > best.m * best.n * best.k)
            best = (struct shk_matrix){list[i].MSize, list[i].NSize, list[i].KSize};
    return best;
}

struct shk_matrix shk_matrix_query(VkInstance instance, VkPhysicalDevice handle, uint32_t extensions)
{
    struct shk_matrix best = {0};
    uint32_t count = 0;
    if ((extensions & SHK_MATRIX_EXTENSIONS) != SHK_MATRIX_EXTENSIONS || !has_features(handle))
        return best;
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)vkGetInstanceProcAddr(
            instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    if (!get || get(handle, &count, NULL) < VK_SUCCESS || count == 0)
        return best;
    VkCooperativeMatrixPropertiesKHR *list = calloc(count, sizeof(*list));
    for (uint32_t i = 0; list && i < count; i++)
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (list && get(handle, &count, list) >= VK_SUCCESS)
        best = largest(list, count);
    free(list);
    return best;
}
