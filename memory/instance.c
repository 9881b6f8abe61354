/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "physical.h"

#include <stdlib.h>
#include <string.h>

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    struct shk_device *device = user;
    bool is_error = severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;

    atomic_fetch_add(&device->validation_messages, 1);
    shk_log(&device->log, is_error ? SHK_LOG_ERROR : SHK_LOG_WARNING, "validation: %s",
            data->pMessage ? data->pMessage : "(no text)");
    return VK_FALSE;
}

static bool have_layer(const char *name)
{
    uint32_t count = 0;
    if (vkEnumerateInstanceLayerProperties(&count, NULL) != VK_SUCCESS || count == 0)
        return false;
    VkLayerProperties *layers = calloc(count, sizeof(*layers));
    bool found = false;
    if (layers && vkEnumerateInstanceLayerProperties(&count, layers) >= VK_SUCCESS)
        for (uint32_t i = 0; i < count && !found; i++)
            found = strcmp(layers[i].layerName, name) == 0;
    free(layers);
    return found;
}

enum shk_status shk_instance_create(struct shk_device *sink, VkInstance *instance,
                                    VkDebugUtilsMessengerEXT *messenger, struct shk_error *error)
{
    const char *layer = VALIDATION_LAYER;
    const char *debug_utils = VK_EXT_DEBUG_UTILS_EXTENSION_NAME; /* the layer itself implements it */
    const VkDebugUtilsMessengerCreateInfoEXT messages = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        /* not GENERAL: the loader's remarks about other drivers are no fault of ours */
        .messageType =
            VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = sink,
    };
    const VkApplicationInfo app = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pEngineName = "shrike",
        .apiVersion = VK_API_VERSION_1_1,
    };
    bool validate = sink && have_layer(layer);
    if (sink && !validate)
        shk_log(&sink->log, SHK_LOG_WARNING,
                "validation was asked for, but %s is not installed (Debian: vulkan-validationlayers)", layer);
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = validate ? &messages : NULL,
        .pApplicationInfo = &app,
        .enabledLayerCount = validate,
        .ppEnabledLayerNames = &layer,
        .enabledExtensionCount = validate,
        .ppEnabledExtensionNames = &debug_utils,
    };

    *messenger = VK_NULL_HANDLE;
    VkResult result = vkCreateInstance(&info, NULL, instance);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER || result == VK_ERROR_INITIALIZATION_FAILED)
        return shk_fail(error, SHK_ERROR_NO_DEVICE, "no usable Vulkan driver (vkCreateInstance: %s): %s",
                        shk_vk_result_string(result), SHK_INSTALL_HINT);
    enum shk_status status = shk_check_vk(result, "vkCreateInstance", error);
    if (status || !validate)
        return status;

    PFN_vkCreateDebugUtilsMessengerEXT create = (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(
        *instance, "vkCreateDebugUtilsMessengerEXT");
    status =
        shk_check_vk(create ? create(*instance, &messages, NULL, messenger) : VK_ERROR_EXTENSION_NOT_PRESENT,
                     "vkCreateDebugUtilsMessengerEXT", error);
    if (status) {
        vkDestroyInstance(*instance, NULL);
        *instance = VK_NULL_HANDLE; /* the caller's cleanup must not destroy it again */
    }
    return status;
}

void shk_instance_destroy(VkInstance instance, VkDebugUtilsMessengerEXT messenger)
{
    if (messenger) {
        PFN_vkDestroyDebugUtilsMessengerEXT destroy =
            (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(instance,
                                                                       "vkDestroyDebugUtilsMessengerEXT");
        destroy(instance, messenger, NULL);
    }
    if (instance)
        vkDestroyInstance(instance, NULL);
}
