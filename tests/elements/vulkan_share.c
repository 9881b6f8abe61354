/* Sharing Vulkan devices: contexts, and what is refused.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "vulkan.h"

#define WIDTH  40
#define HEIGHT 22

static struct shk_error error;

/* ---- What is refused ---- */

static GstVideoInfo video_info(GstVideoFormat format, guint width, guint height)
{
    GstVideoInfo info;
    gst_video_info_set_format(&info, format, width, height);
    return info;
}

static GstBuffer *image_buffer(GstVulkanDevice *device, VkFormat format, guint width, guint height,
                               VkImageUsageFlags usage, VkImageLayout layout)
{
    GstMemory *memory = gst_vulkan_image_memory_alloc(device, format, width, height, VK_IMAGE_TILING_OPTIMAL,
                                                      usage, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    GstBuffer *buffer = gst_buffer_new();

    ((GstVulkanImageMemory *)memory)->barrier.image_layout = layout; /* as if it had been written */
    gst_buffer_append_memory(buffer, memory);
    return buffer;
}

static GstVulkanImageMemory *image_of(GstBuffer *buffer)
{
    return (GstVulkanImageMemory *)gst_buffer_peek_memory(buffer, 0);
}

START_TEST(test_refuses_images)
{
    const VkImageUsageFlags copies = VK_IMAGE_USAGE_TRANSFER_SRC_BIT, sampled = VK_IMAGE_USAGE_SAMPLED_BIT;
    const VkFormat rgba = VK_FORMAT_R8G8B8A8_UNORM, grey = VK_FORMAT_R8_UNORM;
    const VkImageLayout written = VK_IMAGE_LAYOUT_GENERAL;
    const struct {
        VkFormat format;
        guint width, height;
        VkImageUsageFlags usage;
        VkImageLayout layout;
        const char *reason;
    } cases[] = {
        {rgba, WIDTH, HEIGHT, sampled, written, "without TRANSFER_SRC"},
        {rgba, WIDTH, HEIGHT, copies, VK_IMAGE_LAYOUT_UNDEFINED, "nobody has written"},
        {rgba, WIDTH - 1, HEIGHT, copies, written, "another format or size"},
        {rgba, WIDTH, HEIGHT - 1, copies, written, "another format or size"},
        {grey, WIDTH, HEIGHT, copies, written, "another format or size"},
        {VK_FORMAT_R16_UNORM, WIDTH * 4, HEIGHT, copies, written, "another format or size"},
    };
    GstVideoInfo info;
    struct vulkan_alone alone;

    vulkan_open_alone(&alone);
    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_RGBA, WIDTH, HEIGHT);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        GstBuffer *buffer = image_buffer(alone.gst, cases[i].format, cases[i].width, cases[i].height,
                                         cases[i].usage, cases[i].layout);
        vulkan_expect_refusal(alone.share, &info, buffer, SHK_ERROR_UNSUPPORTED, cases[i].reason);
        gst_buffer_unref(buffer);
    }
    GstBuffer *buffer = image_buffer(alone.gst, rgba, WIDTH, HEIGHT, copies, written);
    image_of(buffer)->create_info.arrayLayers = 2;
    vulkan_expect_refusal(alone.share, &info, buffer, SHK_ERROR_UNSUPPORTED, "several layers");
    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_I420, WIDTH, HEIGHT);
    gst_buffer_append_memory(buffer, gst_memory_ref(gst_buffer_peek_memory(buffer, 0)));
    vulkan_expect_refusal(alone.share, &info, buffer, SHK_ERROR_UNSUPPORTED,
                          "neither one image nor one for each plane");
    gst_buffer_unref(buffer);
    vulkan_close_alone(&alone);
}
END_TEST

/* Queues: one of another family, and another one of the same family that left no semaphore. */
START_TEST(test_refuses_queues)
{
    GstVideoInfo info = video_info(GST_VIDEO_FORMAT_GRAY8, WIDTH, HEIGHT);
    struct vulkan_alone alone;

    vulkan_open_alone(&alone);
    GstBuffer *buffer = vulkan_buffer(&alone, &info, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
    GstVulkanBufferMemory *memory = (GstVulkanBufferMemory *)gst_buffer_peek_memory(buffer, 0);
    GstVulkanQueue *queue = gst_object_ref_sink(g_object_new(GST_TYPE_VULKAN_QUEUE, NULL));
    memory->barrier.parent.queue = queue;
    vulkan_expect_refusal(alone.share, &info, buffer, SHK_ERROR_UNSUPPORTED, "by another queue");
    queue->family = 1;
    vulkan_expect_refusal(alone.share, &info, buffer, SHK_ERROR_UNSUPPORTED, "queue family");
    memory->barrier.parent.queue = NULL;
    gst_object_unref(queue);
    gst_buffer_unref(buffer);
    vulkan_close_alone(&alone);
}
END_TEST

START_TEST(test_refuses_buffers)
{
    const VkBufferUsageFlags storage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
    GstVideoInfo info = video_info(GST_VIDEO_FORMAT_NV12, WIDTH, HEIGHT),
                 larger = video_info(GST_VIDEO_FORMAT_NV12, WIDTH, HEIGHT + 2);
    struct vulkan_alone alone, other;

    vulkan_open_alone(&alone);
    vulkan_open_alone(&other);
    GstBuffer *buffer = vulkan_buffer(&other, &info, storage);
    vulkan_expect_refusal(alone.share, &info, buffer, SHK_ERROR_UNSUPPORTED, "of another Vulkan device");
    gst_buffer_unref(buffer);

    buffer = gst_buffer_new_allocate(NULL, GST_VIDEO_INFO_SIZE(&info), NULL);
    vulkan_expect_refusal(alone.share, &info, buffer, SHK_ERROR_UNSUPPORTED, "not in Vulkan memory");
    gst_buffer_unref(buffer);

    buffer = vulkan_buffer(&alone, &info, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
    vulkan_expect_refusal(alone.share, &info, buffer, SHK_ERROR_UNSUPPORTED, "without TRANSFER_SRC");
    vulkan_expect_refusal(alone.share, &larger, buffer, SHK_ERROR_INVALID_ARGUMENT, "plane 1");
    gst_buffer_unref(buffer);

    buffer = gst_buffer_new();
    vulkan_expect_refusal(alone.share, &info, buffer, SHK_ERROR_INVALID_ARGUMENT, "no memory");
    gst_buffer_unref(buffer);
    vulkan_close_alone(&other);
    vulkan_close_alone(&alone);
}
END_TEST

/* Planes where a GstVideoMeta says. */
START_TEST(test_meta)
{
    const gsize inside[4] = {64, 64 + 48 * HEIGHT}, outside[4] = {64, G_MAXSIZE - 5},
                odd[4] = {66, 64 + 48 * HEIGHT};
    const gint strides[4] = {48, 44}, narrow[4] = {48, 36}, negative[4] = {-48, 44},
               odd_strides[4] = {46, 44};
    GstVideoInfo info = video_info(GST_VIDEO_FORMAT_NV12, WIDTH, HEIGHT),
                 twice = video_info(GST_VIDEO_FORMAT_NV12, WIDTH * 2, HEIGHT);
    const struct {
        const gsize *offset;
        const gint *stride;
        enum shk_status status;
        const char *text;
    } cases[] = {
        {inside, strides, SHK_OK, NULL},
        {odd, strides, SHK_OK, NULL},
        {outside, strides, SHK_ERROR_INVALID_ARGUMENT, "plane 1"},
        {inside, narrow, SHK_ERROR_INVALID_ARGUMENT, "plane 1"},
        {inside, negative, SHK_ERROR_INVALID_ARGUMENT, "plane 0"},
        {inside, odd_strides, SHK_ERROR_UNSUPPORTED, "multiples of 4"},
    };
    struct vulkan_alone alone;

    vulkan_open_alone(&alone);
    GstBuffer *buffer =
        vulkan_buffer(&alone, &twice, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
    GstVideoMeta *meta = gst_buffer_add_video_meta(buffer, 0, GST_VIDEO_FORMAT_NV12, WIDTH, HEIGHT);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        memcpy(meta->offset, cases[i].offset, sizeof(meta->offset));
        memcpy(meta->stride, cases[i].stride, sizeof(meta->stride));
        if (cases[i].status) {
            vulkan_expect_refusal(alone.share, &info, buffer, cases[i].status, cases[i].text);
            continue;
        }
        struct shk_frame pixels =
            vulkan_expect_frame(alone.share, &info, buffer, i == 0 ? SHK_ORIGIN_BUFFER : SHK_ORIGIN_POOL);
        ck_assert_uint_eq(pixels.stride[1], 44);
        ck_assert_uint_eq(pixels.offset[1] % 4, 0);
        shk_memory_unref(&pixels.memory);
    }
    meta->format = GST_VIDEO_FORMAT_NV21;
    vulkan_expect_refusal(alone.share, &info, buffer, SHK_ERROR_INVALID_ARGUMENT, "another format");
    vulkan_share_finish(alone.share); /* nobody has waited for the copies */
    gst_buffer_unref(buffer);
    vulkan_close_alone(&alone);
}
END_TEST

/* ---- Contexts ---- */

static gboolean asked(struct vulkan_share *share, const char *type)
{
    GstQuery *query = gst_query_new_context(type);
    gboolean answered = vulkan_share_answer(share, query);
    gst_query_unref(query);
    return answered;
}

START_TEST(test_contexts)
{
    struct vulkan_alone alone;
    GstHarness *harness = gst_harness_new("identity");
    struct vulkan_share *share = vulkan_share_new(harness->element);
    struct shk_device *device = NULL;

    ck_assert_int_eq(vulkan_share_open(share, harness->sinkpad, 1, test_log(), &device, &error),
                     SHK_ERROR_NO_DEVICE);
    ck_assert_ptr_nonnull(strstr(error.message, "vulkandownload"));
    ck_assert(!asked(share, GST_VULKAN_INSTANCE_CONTEXT_TYPE_STR));
    GstContext *context = vulkan_instance_context();
    vulkan_share_set_context(share, context);
    gst_context_unref(context);
    vulkan_share_set_context(share, NULL);
    ck_assert(asked(share, GST_VULKAN_INSTANCE_CONTEXT_TYPE_STR));
    ck_assert(!asked(share, GST_VULKAN_DEVICE_CONTEXT_TYPE_STR));
    vulkan_share_free(share);
    gst_harness_teardown(harness);

    vulkan_open_alone(&alone);
    ck_assert(asked(alone.share, GST_VULKAN_INSTANCE_CONTEXT_TYPE_STR));
    ck_assert(asked(alone.share, GST_VULKAN_DEVICE_CONTEXT_TYPE_STR));
    ck_assert(asked(alone.share, GST_VULKAN_QUEUE_CONTEXT_TYPE_STR));
    ck_assert(!asked(alone.share, "gst.gl.GLDisplay"));
    vulkan_close_alone(&alone);
}
END_TEST

static struct shk_device *open_again(struct vulkan_alone *alone)
{
    struct shk_device *device = NULL;
    test_ok(
        vulkan_share_open(alone->share, alone->harness->sinkpad, VULKAN_FRAMES, test_log(), &device, &error),
        &error);
    return device;
}

START_TEST(test_same_device_again)
{
    struct vulkan_alone alone;

    vulkan_open_alone(&alone);
    struct shk_device *device = open_again(&alone);
    ck_assert_ptr_eq(device, alone.device);
    shk_device_destroy(&device);

    GstVulkanDevice *another = vulkan_new_device();
    GstContext *context = vulkan_device_context(another);
    vulkan_share_set_context(alone.share, context);
    gst_context_unref(context);
    device = open_again(&alone);
    ck_assert_ptr_ne(device, alone.device);
    shk_device_destroy(&device);
    gst_object_unref(another);
    vulkan_close_alone(&alone);
}
END_TEST

START_TEST(test_wanted)
{
    const struct {
        const char *caps;
        gboolean wanted;
    } cases[] = {
        {"video/x-raw", FALSE},
        {"video/x-raw(memory:DMABuf)", FALSE},
        {"video/x-raw(memory:VulkanImage)", TRUE},
        {"video/x-raw(memory:VulkanBuffer,meta:GstVideoOverlayComposition)", TRUE},
        {"ANY", FALSE},
        {"EMPTY", FALSE},
    };
    ck_assert(vulkan_share_supported());
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        GstCaps *caps = gst_caps_from_string(cases[i].caps);
        ck_assert_int_eq(vulkan_share_wanted(caps), cases[i].wanted);
        gst_caps_unref(caps);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("vulkan-share");
    TCase *tcase = tcase_create("vulkan share");

    tcase_set_timeout(tcase, 120);
    tcase_add_unchecked_fixture(tcase, vulkan_open_instance, vulkan_close_instance);
    tcase_add_test(tcase, test_wanted);
    tcase_add_test(tcase, test_contexts);
    tcase_add_test(tcase, test_same_device_again);
    tcase_add_test(tcase, test_refuses_images);
    tcase_add_test(tcase, test_refuses_queues);
    tcase_add_test(tcase, test_refuses_buffers);
    tcase_add_test(tcase, test_meta);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE | ELEMENTS_STATIC_PLUGIN | ELEMENTS_VULKAN_PLUGIN);
}
