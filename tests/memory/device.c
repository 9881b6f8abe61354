/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slot.h"
#include "support.h"

static struct shk_error error;

static void format_uuid(const uint8_t uuid[16], bool dashes, char *text)
{
    for (int i = 0; i < 16; i++)
        text +=
            sprintf(text, "%s%02X", dashes && (i == 4 || i == 6 || i == 8 || i == 10) ? "-" : "", uuid[i]);
}

START_TEST(test_list)
{
    struct shk_device_info infos[16];
    uint32_t all = 0, one = 1, some = 16;

    ck_assert_int_eq(shk_device_list(infos, NULL, &error), SHK_ERROR_INVALID_ARGUMENT);

    test_ok(shk_device_list(NULL, &all, &error), &error);
    ck_assert_uint_ge(all, 1);
    infos[1].index = 12345;
    test_ok(shk_device_list(infos, &one, &error), &error);
    ck_assert_uint_eq(one, all);
    ck_assert_uint_eq(infos[1].index, 12345);
    test_ok(shk_device_list(infos, &some, &error), &error);
    for (uint32_t i = 0; i < some; i++) {
        ck_assert_str_ne(infos[i].name, "");
        ck_assert_uint_ge(infos[i].api_version, VK_API_VERSION_1_1);
        ck_assert_uint_gt(infos[i].memory_bytes, 0);
        ck_assert(infos[i].timestamps || !infos[i].calibrated_timestamps);
    }
}
END_TEST

static void expect_selected(const char *select, const struct shk_device_info *expected)
{
    const struct shk_device_params params = {.select = select, .log = test_log()};
    struct shk_device_info info;
    struct shk_device *device = NULL;

    test_ok(shk_device_create(&params, &device, &error), &error);
    shk_device_get_info(device, &info);
    ck_assert_str_eq(info.name, expected->name);
    ck_assert_mem_eq(info.uuid, expected->uuid, 16);
    shk_device_destroy(&device);
}

START_TEST(test_select)
{
    struct shk_device_info info;
    char text[64];

    shk_device_get_info(test_device(), &info);
    snprintf(text, sizeof(text), "%u", info.index);
    expect_selected(text, &info);
    format_uuid(info.uuid, false, text);
    expect_selected(text, &info);
    format_uuid(info.uuid, true, text);
    expect_selected(text, &info);
    snprintf(text, sizeof(text), "%.60s", info.name + 2);
    for (char *c = text; *c; c++)
        *c = (char)(isupper((unsigned char)*c) ? tolower((unsigned char)*c) : toupper((unsigned char)*c));
    expect_selected(text, &info);
}
END_TEST

START_TEST(test_select_nothing)
{
    static const char *const selects[] = {"4711", "Voodoo 2", "0123456789abcdef0123456789abcdef",
                                          "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof(selects) / sizeof(selects[0]); i++) {
        const struct shk_device_params params = {.select = selects[i]};
        struct shk_device *device = NULL;
        ck_assert_int_eq(shk_device_create(&params, &device, &error), SHK_ERROR_NO_DEVICE);
        ck_assert_ptr_null(device);
        ck_assert_int_eq(error.status, SHK_ERROR_NO_DEVICE);
        ck_assert_ptr_nonnull(strstr(error.message, selects[i]));
        ck_assert_ptr_nonnull(strstr(error.message, test_device()->info.name));
    }
}
END_TEST

START_TEST(test_best_is_default)
{
    struct shk_device_info infos[16], info;
    uint32_t count = 16;
    struct shk_device *device = NULL;

    test_ok(shk_device_list(infos, &count, &error), &error);
    test_ok(shk_device_create(NULL, &device, &error), &error);
    shk_device_get_info(device, &info);
    for (uint32_t i = 0; i < count && i < 16; i++)
        ck_assert_int_le(info.type, infos[i].type);
    shk_device_destroy(&device);
    shk_device_destroy(&device);
    shk_device_destroy(NULL);
}
END_TEST

START_TEST(test_references)
{
    struct shk_device *first = test_device_open(0);
    struct shk_device *second = shk_device_ref(first);

    shk_device_destroy(&first);
    ck_assert_ptr_null(first);
    ck_assert_uint_eq(shk_device_validation_messages(second), 0);
    vkDeviceWaitIdle(second->device);
    test_device_close(&second);
}
END_TEST

START_TEST(test_validation_is_counted)
{
    struct shk_device *device = NULL;
    const struct shk_device_params params = {.validation = true};
    VkFence fence;

    test_ok(shk_device_create(&params, &device, &error), &error);
    if (!device->messenger) {
        printf("not checked: the validation layer is not installed\n");
        shk_device_destroy(&device);
        return;
    }
    const VkFenceCreateInfo wrong = {.sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO};
    if (vkCreateFence(device->device, &wrong, NULL, &fence) == VK_SUCCESS)
        vkDestroyFence(device->device, fence, NULL);
    ck_assert_uint_ge(shk_device_validation_messages(device), 1);
    shk_device_destroy(&device);
}
END_TEST

struct lock_count {
    int depth, calls;
};

static void lock(void *user)
{
    struct lock_count *count = user;
    ck_assert_int_eq(count->depth++, 0);
    count->calls++;
}

static void unlock(void *user)
{
    struct lock_count *count = user;
    ck_assert_int_eq(--count->depth, 0);
}

static struct shk_device_adopt_params adopt_params(const struct shk_device *owner, struct lock_count *count)
{
    return (struct shk_device_adopt_params){
        .instance = owner->instance,
        .physical_device = owner->physical,
        .device = owner->device,
        .queue = owner->queue,
        .queue_family = owner->queue_family,
        .lock_queue = lock,
        .unlock_queue = unlock,
        .user = count,
        .log = test_log(),
    };
}

/* On the same physical device, with no extension and no feature: what GStreamer's Vulkan elements share. */
static VkDevice bare_device(const struct shk_device *owner)
{
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = owner->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
    };
    VkDevice device;
    ck_assert_int_eq(vkCreateDevice(owner->physical, &info, NULL, &device), VK_SUCCESS);
    return device;
}

START_TEST(test_adopt)
{
    struct shk_device *owner = test_device_open(0), *device = NULL;
    struct lock_count count = {0};
    struct shk_device_adopt_params params = adopt_params(owner, &count);
    VkDevice bare = bare_device(owner);
    struct shk_device_info info;
    struct shk_buffer buffer;
    char text[6] = "";

    params.device = bare;
    vkGetDeviceQueue(bare, owner->queue_family, 0, &params.queue);
    test_ok(shk_device_adopt(&params, &device, &error), &error);
    shk_device_get_info(device, &info);
    ck_assert_str_eq(info.name, owner->info.name);
    ck_assert_uint_eq(info.index, owner->info.index);
    ck_assert(!info.integer_dot_product && !info.cooperative_matrix && !info.external_memory_host);
    ck_assert(!info.dma_buf && !info.calibrated_timestamps);
    ck_assert_int_eq(info.timestamps, owner->info.timestamps);
    test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, 6, 0, &buffer, &error), &error);
    test_ok(shk_buffer_write(device, &buffer, 0, "hello", 6, &error), &error);
    test_ok(shk_buffer_read(device, &buffer, 0, text, 6, &error), &error);
    ck_assert_str_eq(text, "hello");
    ck_assert_int_eq(count.calls, buffer.map ? 1 : 2); /* memory that the CPU sees is written without the queue */
    ck_assert_int_eq(count.depth, 0);
    shk_pool_free(device->pool, &buffer);
    shk_device_destroy(&device);
    vkDestroyDevice(bare, NULL);
    test_device_close(&owner);
}
END_TEST

START_TEST(test_adopt_what_is_enabled)
{
    struct shk_device *owner = test_device_open(0), *device = NULL;
    struct lock_count count = {0};
    struct shk_device_adopt_params params = adopt_params(owner, &count);
    VkPhysicalDeviceVulkan12Features other = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES, .pNext = &other};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &dot};
    const char *const extensions[] = {"VK_KHR_swapchain", VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME,
                                      VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME};

    params.features = &features;
    params.extensions = extensions;
    params.extension_count = 3;
    for (int enabled = 0; enabled < 2; enabled++) {
        dot.shaderIntegerDotProduct = enabled && owner->info.integer_dot_product;
        test_ok(shk_device_adopt(&params, &device, &error), &error);
        ck_assert_int_eq(device->info.integer_dot_product, dot.shaderIntegerDotProduct);
        ck_assert_int_eq(device->info.calibrated_timestamps, owner->info.calibrated_timestamps);
        ck_assert_int_eq(device->info.external_memory_host, owner->info.external_memory_host);
        ck_assert(!device->info.dma_buf);
        shk_device_destroy(&device);
    }
    test_device_close(&owner);
}
END_TEST

START_TEST(test_adopt_refuses)
{
    struct lock_count count = {0};
    const struct shk_device_adopt_params good = adopt_params(test_device(), &count);
    struct shk_device *device = NULL;

    for (int i = 0; i < 7; i++) {
        struct shk_device_adopt_params bad = good;
        switch (i) {
        case 0:
            bad.instance = VK_NULL_HANDLE;
            break;
        case 1:
            bad.physical_device = VK_NULL_HANDLE;
            break;
        case 2:
            bad.device = VK_NULL_HANDLE;
            break;
        case 3:
            bad.queue = VK_NULL_HANDLE;
            break;
        case 4:
            bad.queue_family = 4711;
            break;
        case 5:
            bad.unlock_queue = NULL;
            break;
        case 6:
            bad.extension_count = 1;
            break;
        }
        ck_assert_int_eq(shk_device_adopt(&bad, &device, &error), SHK_ERROR_INVALID_ARGUMENT);
        ck_assert_ptr_null(device);
    }
    ck_assert_int_eq(shk_device_adopt(NULL, &device, &error), SHK_ERROR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(test_clock)
{
    struct shk_device *device = test_device();
    struct shk_clock_map map;

    uint64_t before = shk_time_ns();
    if (!shk_device_calibrate(device, &map)) {
        ck_assert(!device->info.calibrated_timestamps);
        return;
    }
    uint64_t after = shk_time_ns();
    ck_assert_uint_ge(map.ns + map.uncertainty_ns, before);
    ck_assert_uint_le(map.ns, after + map.uncertainty_ns);
    ck_assert_uint_eq(shk_clock_to_ns(device, &map, map.ticks), map.ns);
}
END_TEST

START_TEST(test_clock_arithmetic)
{
    struct shk_device device = {.timestamp_mask = 0xfffffffff, .limits.timestampPeriod = 52.08f};
    const struct shk_clock_map map = {.ticks = 0xffffffff0, .ns = 1000000000};

    ck_assert_uint_eq(shk_ticks_to_ns(&device, 0), 0);
    ck_assert_uint_eq(shk_ticks_to_ns(&device, 100), 5208);
    ck_assert_uint_eq(shk_clock_to_ns(&device, &map, 0xffffffff0 - 100), 1000000000 - 5208);
    ck_assert_uint_eq(shk_clock_to_ns(&device, &map, 84), 1000000000 + 5208); /* 100 later, wrapped */

    device.limits.timestampPeriod = 1;
    device.timestamp_mask = UINT64_MAX;
    ck_assert_uint_eq(shk_ticks_to_ns(&device, UINT64_MAX - 1), UINT64_MAX - 1);
}
END_TEST

START_TEST(test_status_of_results)
{
    ck_assert_int_eq(shk_check_vk(VK_SUCCESS, "x", &error), SHK_OK);
    ck_assert_int_eq(shk_check_vk(VK_TIMEOUT, "x", &error), SHK_ERROR_TIMEOUT);
    ck_assert_int_eq(shk_check_vk(VK_ERROR_OUT_OF_HOST_MEMORY, "x", NULL), SHK_ERROR_OUT_OF_HOST_MEMORY);
    ck_assert_int_eq(shk_check_vk(VK_ERROR_OUT_OF_DEVICE_MEMORY, "x", NULL), SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    ck_assert_int_eq(shk_check_vk(VK_ERROR_TOO_MANY_OBJECTS, "x", NULL), SHK_ERROR_DRIVER);
    ck_assert_int_eq(shk_check_vk(-12345, "x", NULL), SHK_ERROR_DRIVER);
    ck_assert_int_eq(shk_check_vk(VK_ERROR_DEVICE_LOST, "vkQueueSubmit", &error), SHK_ERROR_DEVICE_LOST);
    ck_assert_ptr_nonnull(strstr(error.message, "vkQueueSubmit"));
    ck_assert_ptr_nonnull(strstr(error.message, "VK_ERROR_DEVICE_LOST"));
}
END_TEST

START_TEST(test_no_driver)
{
    struct shk_device *device = NULL;
    uint32_t count = 0;
    const char *icd = getenv("VK_ICD_FILENAMES"), *driver = getenv("VK_DRIVER_FILES");
    char *saved[2] = {icd ? strdup(icd) : NULL, driver ? strdup(driver) : NULL};

    unsetenv("VK_DRIVER_FILES");
    setenv("VK_ICD_FILENAMES", "/nonexistent/driver.json", 1);
    enum shk_status created = shk_device_create(NULL, &device, &error);
    struct shk_error list_error = {0};
    enum shk_status listed = shk_device_list(NULL, &count, &list_error);
    unsetenv("VK_ICD_FILENAMES");
    if (saved[0])
        setenv("VK_ICD_FILENAMES", saved[0], 1);
    if (saved[1])
        setenv("VK_DRIVER_FILES", saved[1], 1);
    free(saved[0]);
    free(saved[1]);

    ck_assert_int_eq(created, SHK_ERROR_NO_DEVICE);
    ck_assert_ptr_null(device);
    ck_assert_ptr_nonnull(strstr(error.message, "mesa-vulkan-drivers"));
    ck_assert_int_eq(listed, SHK_ERROR_NO_DEVICE);
    ck_assert_ptr_nonnull(strstr(list_error.message, "mesa-vulkan-drivers"));
}
END_TEST

static Suite *hostile_suite(void)
{
    Suite *suite = suite_create("device: no driver");
    TCase *tc = tcase_create("no driver");
    tcase_add_test(tc, test_no_driver);
    tcase_add_test(tc, test_clock_arithmetic);
    tcase_add_test(tc, test_status_of_results);
    suite_add_tcase(suite, tc);
    return suite;
}

static Suite *device_suite(void)
{
    Suite *suite = suite_create("device");
    TCase *tc = tcase_create("device");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_list);
    tcase_add_test(tc, test_select);
    tcase_add_test(tc, test_select_nothing);
    tcase_add_test(tc, test_best_is_default);
    tcase_add_test(tc, test_references);
    tcase_add_test(tc, test_validation_is_counted);
    tcase_add_test(tc, test_adopt);
    tcase_add_test(tc, test_adopt_what_is_enabled);
    tcase_add_test(tc, test_adopt_refuses);
    tcase_add_test(tc, test_clock);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    int failed = test_run(hostile_suite);
    int result = test_run_on_devices(device_suite);
    return failed ? failed : result;
}
