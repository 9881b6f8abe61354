/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <shrike/gather.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame_memory.h"
#include "slot.h"
#include "support.h"

#define FRAME 8192

static struct shk_error error;

/* Somebody else's image, with pixels in it. */
struct picture {
    VkImage image;
    VkDeviceMemory memory;
    uint8_t *pixels; /* dense */
    uint32_t width, height, texel_size;
};

static const VkFormat formats[] = {
    [1] = VK_FORMAT_R8_UNORM, [2] = VK_FORMAT_R8G8_UNORM, [4] = VK_FORMAT_B8G8R8A8_UNORM};

static void create_image(struct shk_device *device, struct picture *picture)
{
    const VkImageCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
        .imageType = VK_IMAGE_TYPE_2D,
        .format = formats[picture->texel_size],
        .extent = {picture->width, picture->height, 1},
        .mipLevels = 1,
        .arrayLayers = 1,
        .samples = VK_SAMPLE_COUNT_1_BIT,
        .tiling = VK_IMAGE_TILING_OPTIMAL,
        .usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT,
    };
    VkMemoryRequirements needs;
    ck_assert_int_eq(vkCreateImage(device->device, &info, NULL, &picture->image), VK_SUCCESS);
    vkGetImageMemoryRequirements(device->device, picture->image, &needs);
    VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                     .allocationSize = needs.size};
    ck_assert(
        shk_memory_type(&device->memory, needs.memoryTypeBits, SHK_MEMORY_DEVICE, &allocate.memoryTypeIndex));
    ck_assert_int_eq(vkAllocateMemory(device->device, &allocate, NULL, &picture->memory), VK_SUCCESS);
    ck_assert_int_eq(vkBindImageMemory(device->device, picture->image, picture->memory, 0), VK_SUCCESS);
}

/* Leaves the image in TRANSFER_DST_OPTIMAL. Nothing waits: the gather comes behind on the queue. */
static void paint(struct shk_device *device, struct shk_slot *slot, struct picture *picture)
{
    VkCommandBuffer commands = slot->commands[SHK_COMMANDS_INFERENCE];
    VkImageMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
        .dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
        .oldLayout = VK_IMAGE_LAYOUT_UNDEFINED,
        .newLayout = VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
        .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .image = picture->image,
        .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1},
    };
    const VkBufferImageCopy region = {
        .bufferOffset = slot->input.offset,
        .imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
        .imageExtent = {picture->width, picture->height, 1},
    };
    size_t size = (size_t)picture->width * picture->height * picture->texel_size;
    memcpy(slot->input.map, picture->pixels, size);
    test_ok(shk_buffer_flush(device, &slot->input, 0, size, &error), &error);
    test_ok(shk_slot_begin(device, slot, SHK_COMMANDS_INFERENCE, &error), &error);
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0,
                         NULL, 0, NULL, 1, &barrier);
    vkCmdCopyBufferToImage(commands, slot->input.buffer, picture->image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                           1, &region);
    test_ok(shk_slot_end(device, slot, SHK_COMMANDS_INFERENCE, &error), &error);
    test_ok(shk_slot_submit(device, slot, &(uint32_t){SHK_COMMANDS_INFERENCE}, 1, &error), &error);
}

static void picture_init(struct shk_device *device, uint32_t width, uint32_t height, uint32_t texel_size,
                         uint64_t seed, struct picture *picture)
{
    struct test_rng rng = {seed};
    size_t size = (size_t)width * height * texel_size;
    *picture =
        (struct picture){.pixels = malloc(size), .width = width, .height = height, .texel_size = texel_size};
    test_random_bytes(&rng, picture->pixels, size);
    create_image(device, picture);
}

static void picture_finish(struct shk_device *device, struct picture *picture)
{
    vkDestroyImage(device->device, picture->image, NULL);
    vkFreeMemory(device->device, picture->memory, NULL);
    free(picture->pixels);
}

static struct shk_gather_plane plane_of(const struct picture *picture, size_t offset, uint32_t stride)
{
    return (struct shk_gather_plane){
        .image = picture->image,
        .layout = VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
        .aspect = VK_IMAGE_ASPECT_COLOR_BIT,
        .width = picture->width,
        .height = picture->height,
        .texel_size = picture->texel_size,
        .offset = offset,
        .stride = stride,
    };
}

static void expect_plane(const struct shk_memory *memory, const struct picture *picture, size_t offset,
                         uint32_t stride)
{
    size_t row = (size_t)picture->width * picture->texel_size;
    uint8_t *seen = malloc(memory->info.size);

    test_ok(
        shk_buffer_read(memory->info.device, &memory->buffer, memory->delta, seen, memory->info.size, &error),
        &error);
    for (uint32_t y = 0; y < picture->height; y++)
        ck_assert_mem_eq(seen + offset + (size_t)y * stride, picture->pixels + y * row, row);
    free(seen);
}

/* NV12 as two images, the same ones twice: their layouts are what they were. */
START_TEST(test_images)
{
    struct shk_device *device = test_device();
    struct picture luma, chroma;
    struct shk_slot slots[2];
    struct shk_gather *gather = NULL;

    picture_init(device, 37, 22, 1, 1, &luma);
    picture_init(device, 19, 11, 2, 2, &chroma);
    for (int i = 0; i < 2; i++)
        test_ok(shk_slot_init(device, FRAME, 0, 0, 1, &slots[i], &error), &error);
    test_ok(shk_gather_create(device, 2, 64 * 40, &gather, &error), &error);
    paint(device, &slots[0], &luma);
    paint(device, &slots[1], &chroma);
    const struct shk_gather_plane planes[] = {plane_of(&luma, 0, 64), plane_of(&chroma, 22 * 64 + 4, 40)};
    for (int i = 0; i < 2; i++) {
        struct shk_memory *memory = NULL;
        test_ok(shk_gather_submit(gather, planes, 2, NULL, 0, &memory, &error), &error);
        ck_assert_ptr_null(memory->info.map);
        expect_plane(memory, &luma, 0, 64);
        expect_plane(memory, &chroma, 22 * 64 + 4, 40);
        shk_memory_unref(&memory);
    }
    shk_gather_destroy(&gather);
    for (int i = 0; i < 2; i++)
        shk_slot_finish(device, &slots[i]);
    picture_finish(device, &luma);
    picture_finish(device, &chroma);
}
END_TEST

START_TEST(test_packed_image)
{
    struct shk_device *device = test_device();
    struct picture picture;
    struct shk_slot slot;
    struct shk_gather *gather = NULL;
    struct shk_memory *memory = NULL;

    picture_init(device, 33, 9, 4, 3, &picture);
    test_ok(shk_slot_init(device, FRAME, 0, 0, 1, &slot, &error), &error);
    test_ok(shk_gather_create(device, 1, 33 * 4 * 9, &gather, &error), &error);
    paint(device, &slot, &picture);
    const struct shk_gather_plane plane = plane_of(&picture, 0, 33 * 4);
    test_ok(shk_gather_submit(gather, &plane, 1, NULL, 0, &memory, &error), &error);
    expect_plane(memory, &picture, 0, 33 * 4);
    shk_gather_destroy(&gather); /* the memory lives on */
    expect_plane(memory, &picture, 0, 33 * 4);
    shk_memory_unref(&memory);
    shk_slot_finish(device, &slot);
    picture_finish(device, &picture);
}
END_TEST

/* A buffer per plane, as GStreamer's Vulkan buffer pool makes them. */
START_TEST(test_buffers)
{
    struct shk_device *device = test_device();
    struct shk_gather *gather = NULL;
    struct shk_memory *memory = NULL;
    struct shk_buffer buffers[3];
    struct shk_gather_plane planes[3] = {0};
    uint8_t bytes[3][1000], seen[3000];
    struct test_rng rng = {4};

    test_random_bytes(&rng, bytes, sizeof(bytes));
    for (size_t i = 0; i < 3; i++) {
        test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, 1000, 0, &buffers[i], &error), &error);
        test_ok(shk_buffer_write(device, &buffers[i], 0, bytes[i], 1000, &error), &error);
        planes[i].buffer = buffers[i].buffer;
        planes[i].buffer_offset = buffers[i].offset + 2 * i;
        planes[i].buffer_size = 999 - 2 * i;
        planes[i].offset = 1000 * i;
    }
    test_ok(shk_gather_create(device, 1, sizeof(seen), &gather, &error), &error);
    test_ok(shk_gather_submit(gather, planes, 3, NULL, 0, &memory, &error), &error);
    test_ok(shk_buffer_read(device, &memory->buffer, memory->delta, seen, sizeof(seen), &error), &error);
    for (size_t i = 0; i < 3; i++)
        ck_assert_mem_eq(seen + 1000 * i, bytes[i] + 2 * i, 999 - 2 * i);
    shk_memory_unref(&memory);
    shk_gather_destroy(&gather);
    for (int i = 0; i < 3; i++)
        shk_pool_free(device->pool, &buffers[i]);
}
END_TEST

START_TEST(test_busy)
{
    struct shk_device *device = test_device_open(0);
    struct shk_gather *gather = NULL;
    struct shk_memory *memory[3] = {NULL};
    struct shk_memory_stats before, after;
    struct shk_buffer buffer;

    test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, 64, 0, &buffer, &error), &error);
    shk_device_memory_stats(device, &before);
    test_ok(shk_gather_create(device, 2, 64, &gather, &error), &error);
    const struct shk_gather_plane plane = {
        .buffer = buffer.buffer, .buffer_offset = buffer.offset, .buffer_size = 64};
    for (int i = 0; i < 2; i++)
        test_ok(shk_gather_submit(gather, &plane, 1, NULL, 0, &memory[i], &error), &error);
    ck_assert_ptr_ne(memory[0], memory[1]);
    ck_assert_int_eq(shk_gather_submit(gather, &plane, 1, NULL, 0, &memory[2], &error), SHK_ERROR_BUSY);
    ck_assert_ptr_null(memory[2]);
    ck_assert_msg(strstr(error.message, "all 2 frames are in use: 2 are referenced"), "%s", error.message);
    vkDeviceWaitIdle(device->device);
    struct shk_memory *first = memory[0];
    shk_memory_unref(&memory[0]);
    test_ok(shk_gather_submit(gather, &plane, 1, NULL, 0, &memory[2], &error), &error);
    ck_assert_ptr_eq(memory[2], first);
    for (int i = 1; i < 3; i++)
        shk_memory_unref(&memory[i]);
    shk_gather_destroy(&gather);
    shk_gather_destroy(&gather);
    shk_device_memory_stats(device, &after);
    ck_assert_uint_eq(before.used, after.used);
    shk_pool_free(device->pool, &buffer);
    test_device_close(&device);
}
END_TEST

START_TEST(test_order_only)
{
    struct shk_gather *gather = NULL;
    struct shk_memory *memory = (struct shk_memory *)&gather;

    test_ok(shk_gather_create(test_device(), 1, 0, &gather, &error), &error);
    test_ok(shk_gather_submit(gather, NULL, 0, NULL, 0, &memory, &error), &error);
    ck_assert_ptr_null(memory);
    shk_gather_destroy(&gather);
}
END_TEST

START_TEST(test_refuses)
{
    struct shk_device *device = test_device();
    struct shk_gather *gather = NULL;
    struct shk_memory *memory = NULL;
    struct picture picture;

    ck_assert_int_eq(shk_gather_create(NULL, 1, 64, &gather, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_gather_create(device, 0, 64, &gather, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_gather_create(device, 65, 64, &gather, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_gather_create(device, 64, SIZE_MAX / 64, &gather, &error),
                     SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    ck_assert_ptr_null(gather);
    picture_init(device, 16, 16, 4, 1, &picture);
    test_ok(shk_gather_create(device, 1, 1024, &gather, &error), &error);
    for (int i = 0; i < 13; i++) {
        struct shk_gather_plane bad = plane_of(&picture, 0, 64);
        switch (i) {
        case 0:
            bad.image = VK_NULL_HANDLE;
            break;
        case 1:
            bad.layout = VK_IMAGE_LAYOUT_UNDEFINED;
            break;
        case 2:
            bad.offset = 4;
            break;
        case 3:
            bad.stride = 60;
            break;
        case 4:
            bad.stride = 68;
            break;
        case 5:
            bad.height = 17;
            break;
        case 6:
            bad.width = 0;
            break;
        case 7:
            bad.texel_size = 0;
            break;
        case 8:
            bad.offset = SIZE_MAX - 3;
            break;
        case 9:
            bad.width = UINT32_MAX;
            bad.texel_size = UINT32_MAX;
            break;
        case 10:
            bad.offset = 2;
            bad.height = 1;
            break;
        case 11:
            bad.image = VK_NULL_HANDLE;
            bad.buffer = (VkBuffer)picture.image; /* not used */
            bad.buffer_size = 1025;
            break;
        case 12:
            bad.texel_size = 3;
            bad.stride = 48;
            bad.height = 1;
            break;
        }
        ck_assert_msg(shk_gather_submit(gather, &bad, 1, NULL, 0, &memory, &error) ==
                          SHK_ERROR_INVALID_ARGUMENT,
                      "case %d", i);
        ck_assert_ptr_nonnull(strstr(error.message, "plane 0"));
    }
    ck_assert_int_eq(shk_gather_submit(gather, NULL, 4, NULL, 0, &memory, &error),
                     SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_gather_submit(gather, NULL, 0, NULL, 5, &memory, &error),
                     SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_null(memory);
    shk_gather_destroy(&gather);
    picture_finish(device, &picture);
}
END_TEST

/* ---- A device with timeline semaphores, as newer GStreamer has; ours has none ---- */

static VkDevice timeline_device(const struct shk_device *owner)
{
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = owner->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES, .timelineSemaphore = VK_TRUE};
    const char *const extension = VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME;
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &timeline,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = 1,
        .ppEnabledExtensionNames = &extension,
    };
    VkDevice device = VK_NULL_HANDLE;
    return vkCreateDevice(owner->physical, &info, NULL, &device) == VK_SUCCESS ? device : VK_NULL_HANDLE;
}

static void released(void *user)
{
    ++*(int *)user;
}

static struct shk_device *adopt(struct shk_device *owner, VkDevice handle, int *releases)
{
    struct shk_device_adopt_params params = {
        .instance = owner->instance,
        .physical_device = owner->physical,
        .device = handle,
        .queue_family = owner->queue_family,
        .release = released,
        .user = releases,
        .log = test_log(),
    };
    struct shk_device *device = NULL;
    vkGetDeviceQueue(handle, owner->queue_family, 0, &params.queue);
    test_ok(shk_device_adopt(&params, &device, &error), &error);
    return device;
}

static VkSemaphore create_timeline(VkDevice device)
{
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    VkSemaphore semaphore;
    ck_assert_int_eq(vkCreateSemaphore(device, &info, NULL, &semaphore), VK_SUCCESS);
    return semaphore;
}

/* The host writes the buffer and signals after the copy was submitted: the copy saw what was written. */
START_TEST(test_waits)
{
    struct shk_device *owner = test_device_open(0);
    VkDevice handle = timeline_device(owner);
    int releases = 0;

    if (!handle) {
        printf("not checked: this device has no timeline semaphores\n");
        test_device_close(&owner);
        return;
    }
    struct shk_device *device = adopt(owner, handle, &releases);
    PFN_vkSignalSemaphoreKHR signal =
        (PFN_vkSignalSemaphoreKHR)vkGetDeviceProcAddr(handle, "vkSignalSemaphoreKHR");
    const struct shk_gather_wait wait = {create_timeline(handle), 3};
    struct shk_gather *gather = NULL;
    struct shk_memory *source = NULL, *memory = NULL;
    char text[8] = "";

    test_ok(shk_memory_alloc(device, 8, &source, &error), &error);
    test_ok(shk_gather_create(device, 1, 8, &gather, &error), &error);
    memcpy(source->info.map, "before", 7);
    const struct shk_gather_plane plane = {
        .buffer = source->buffer.buffer, .buffer_offset = source->buffer.offset, .buffer_size = 8};
    test_ok(shk_gather_submit(gather, &plane, 1, &wait, 1, &memory, &error), &error);
    shk_memory_unref(&memory);
    ck_assert_int_eq(shk_gather_submit(gather, &plane, 1, NULL, 0, &memory, &error), SHK_ERROR_BUSY);
    ck_assert_ptr_nonnull(strstr(error.message, "0 are referenced"));

    memcpy(source->info.map, "after", 6);
    test_ok(shk_memory_flush(source, &error), &error);
    const VkSemaphoreSignalInfo info = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .semaphore = wait.semaphore, .value = 3};
    ck_assert_int_eq(signal(handle, &info), VK_SUCCESS);
    vkDeviceWaitIdle(handle);
    test_ok(shk_gather_submit(gather, &plane, 1, &wait, 1, &memory, &error), &error);
    test_ok(shk_buffer_read(device, &memory->buffer, memory->delta, text, 8, &error), &error);
    ck_assert_str_eq(text, "after");
    shk_memory_unref(&source);
    shk_gather_destroy(&gather);
    vkDestroySemaphore(handle, wait.semaphore, NULL);
    shk_device_destroy(&device);
    ck_assert_int_eq(releases, 0); /* the memory holds it */
    shk_memory_unref(&memory);
    ck_assert_int_eq(releases, 1);
    vkDestroyDevice(handle, NULL);
    test_device_close(&owner);
}
END_TEST

static Suite *gather_suite(void)
{
    Suite *suite = suite_create("gather");
    TCase *tc = tcase_create("gather");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_images);
    tcase_add_test(tc, test_packed_image);
    tcase_add_test(tc, test_buffers);
    tcase_add_test(tc, test_busy);
    tcase_add_test(tc, test_order_only);
    tcase_add_test(tc, test_refuses);
    tcase_add_test(tc, test_waits);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return test_run_on_devices(gather_suite);
}
