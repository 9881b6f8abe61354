/* Cooperative matrices of signed bytes (VK_KHR_cooperative_matrix): what a device multiplies, and the features that a
 * kernel needs for it. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_MATRIX_H
#define SHK_MATRIX_H

#include "physical.h"

/* Vulkan headers before 1.3.255, Debian 12's among them, do not know the extension. */
#ifndef VK_KHR_cooperative_matrix
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR ((VkStructureType)1000506000)
#define VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR               ((VkStructureType)1000506001)
typedef enum VkComponentTypeKHR {
    VK_COMPONENT_TYPE_SINT8_KHR = 3,
    VK_COMPONENT_TYPE_SINT32_KHR = 5,
    VK_COMPONENT_TYPE_MAX_ENUM_KHR = 0x7fffffff
} VkComponentTypeKHR;
typedef enum VkScopeKHR { VK_SCOPE_SUBGROUP_KHR = 3, VK_SCOPE_MAX_ENUM_KHR = 0x7fffffff } VkScopeKHR;
typedef struct VkPhysicalDeviceCooperativeMatrixFeaturesKHR {
    VkStructureType sType;
    void *pNext;
    VkBool32 cooperativeMatrix;
    VkBool32 cooperativeMatrixRobustBufferAccess;
} VkPhysicalDeviceCooperativeMatrixFeaturesKHR;
typedef struct VkCooperativeMatrixPropertiesKHR {
    VkStructureType sType;
    void *pNext;
    uint32_t MSize, NSize, KSize;
    VkComponentTypeKHR AType, BType, CType, ResultType;
    VkBool32 saturatingAccumulation;
    VkScopeKHR scope;
} VkCooperativeMatrixPropertiesKHR;
typedef VkResult(VKAPI_PTR *PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(VkPhysicalDevice, uint32_t *,
                                                                                   VkCooperativeMatrixPropertiesKHR *);
#endif

/* What a kernel with such matrices asks of the device, chained; not to be copied. */
struct shk_matrix_features {
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix;
    VkPhysicalDeviceShaderFloat16Int8Features int8;
    VkPhysicalDeviceVulkanMemoryModelFeatures memory_model;
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroups;
};

/* The chain, for queries or, once queried, to create a device with no more than is needed. Its first structure. */
void *shk_matrix_chain(struct shk_matrix_features *features);
void *shk_matrix_chain_needed(struct shk_matrix_features *features);

/* The largest multiplication m x k by k x n of signed bytes with sums of 32 bits, by a subgroup, that the device offers
 * together with the features; all 0: none. `extensions`: what it offers. */
struct shk_matrix shk_matrix_query(VkInstance instance, VkPhysicalDevice handle, uint32_t extensions);

#endif
