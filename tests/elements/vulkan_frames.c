/* Frames in the Vulkan memory of GStreamer's own elements, as the device sees them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/builder.h>

#include "vulkan.h"

static struct shk_error error;

/* ---- Pictures ---- */

static const struct format {
    const char *name;
    GstVideoFormat video;
    enum shk_pixel_format pixel;
} formats[] = {
    {"NV12", GST_VIDEO_FORMAT_NV12, SHK_FORMAT_NV12}, {"I420", GST_VIDEO_FORMAT_I420, SHK_FORMAT_I420},
    {"YUY2", GST_VIDEO_FORMAT_YUY2, SHK_FORMAT_YUY2}, {"GRAY8", GST_VIDEO_FORMAT_GRAY8, SHK_FORMAT_GRAY8},
    {"BGRA", GST_VIDEO_FORMAT_BGRA, SHK_FORMAT_BGRA}, {"RGBx", GST_VIDEO_FORMAT_RGBx, SHK_FORMAT_RGBX},
    {"BGRx", GST_VIDEO_FORMAT_BGRx, SHK_FORMAT_BGRX}, {"RGBA", GST_VIDEO_FORMAT_RGBA, SHK_FORMAT_RGBA},
};

/* Strides equal rows: GStreamer 1.22 uploads images as if they always did. */
#define WIDTH  40
#define HEIGHT 22

static char *system_caps(const struct format *format)
{
    return g_strdup_printf("video/x-raw,format=%s,width=%d,height=%d,framerate=25/1", format->name, WIDTH,
                           HEIGHT);
}

/* Frames go in one by one, and the next when the device is done with the last: GStreamer 1.22 gives the
 * buffers that it uploads from back to their pool before the device has read them. */
static GstHarness *open_upload(const struct format *format, const char *feature)
{
    char *launch = g_strdup_printf("vulkanupload ! capsfilter caps=video/x-raw(%s)", feature);
    char *caps = system_caps(format);
    GstElement *bin = gst_parse_bin_from_description(launch, TRUE, NULL);
    GstContext *context = vulkan_instance_context();

    gst_element_set_context(bin, context);
    gst_context_unref(context);
    GstHarness *harness = gst_harness_new_with_element(bin, "sink", "src");
    gst_object_unref(bin);
    gst_harness_set_src_caps_str(harness, caps);
    g_free(caps);
    g_free(launch);
    return harness;
}

/* Another picture for each seed. */
static GstBuffer *system_picture(const struct format *format, guint seed)
{
    char *caps = system_caps(format);
    GstBuffer *buffer = elements_picture(caps, seed);
    g_free(caps);
    return buffer;
}

static GstVideoInfo video_info(const struct format *format)
{
    GstVideoInfo info;
    gst_video_info_set_format(&info, format->video, WIDTH, HEIGHT);
    return info;
}

/* The picture in upstream's memory. The pool must stay until the device is done: see open_upload(). */
static GstBuffer *upload(GstHarness *harness, const struct format *format, GstBuffer *picture,
                         GstBufferPool *pool)
{
    GstVideoInfo info = video_info(format);
    GstBuffer *buffer = gst_buffer_ref(picture);

    if (pool) {
        gst_clear_buffer(&buffer);
        ck_assert_int_eq(gst_buffer_pool_acquire_buffer(pool, &buffer, NULL), GST_FLOW_OK);
        vulkan_fill(buffer, &info, picture);
    }
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    return gst_harness_pull(harness);
}

/* ---- What the device sees: a network whose output is its input ---- */

struct eye {
    struct shk_model *model;
    struct shk_session *session;
    struct shk_stream *stream;
    guint8 *bytes;
    gsize size;
};

static struct shk_model *make_identity(int32_t width, int32_t height)
{
    const float scale = 1.0f / 128.0f;
    const int32_t zero_point = 0, dims[] = {1, height, width, 3};
    struct shk_builder *b = shk_builder_create();
    struct shk_model *model = NULL;
    void *data;
    size_t size;

    int32_t x = shk_builder_tensor(b, "x", SHK_DTYPE_INT8, 4, dims, 1, &scale, &zero_point, 0, NULL, 0);
    int32_t y = shk_builder_tensor(b, "y", SHK_DTYPE_INT8, 4, dims, 1, &scale, &zero_point, 0, NULL, 0);
    shk_builder_op(b, "MAX_POOL_2D", &x, 1, &y, 1, "stride_w=1 stride_h=1 filter_width=1 filter_height=1");
    shk_builder_set_inputs(b, &x, 1);
    shk_builder_set_outputs(b, &y, 1);
    test_ok(shk_builder_serialize(b, &data, &size, &error), &error);
    test_ok(shk_model_load_memory(data, size, "identity", &model, &error), &error);
    shk_builder_destroy(&b);
    free(data);
    return model;
}

static void open_eye(struct eye *eye, struct shk_device *device, const struct format *format)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    const struct shk_frame_format frames = {.format = format->pixel, .width = WIDTH, .height = HEIGHT};

    params.log = test_log();
    *eye = (struct eye){.model = make_identity(WIDTH, HEIGHT), .size = WIDTH * HEIGHT * 3};
    test_ok(shk_session_create(device, eye->model, &params, &eye->session, &error), &error);
    test_ok(shk_stream_create(eye->session, &frames, &eye->stream, &error), &error);
    eye->bytes = g_malloc(eye->size);
}

static void close_eye(struct eye *eye)
{
    shk_stream_destroy(&eye->stream);
    shk_session_destroy(&eye->session);
    shk_model_destroy(&eye->model);
    g_free(eye->bytes);
}

/* Submits at once, as the engine may. Drops the memory. */
static void look(struct eye *eye, struct shk_frame *pixels)
{
    const struct shk_batch_frame frame = {.stream = eye->stream, .frame = *pixels};
    struct shk_result result;

    test_ok(shk_session_submit_batch(eye->session, &frame, 1, NULL, &error), &error);
    test_ok(shk_session_wait(eye->session, UINT64_MAX, &result, &error), &error);
    test_ok(shk_session_read_output(eye->session, result.ticket, 0, 0, eye->bytes, eye->size, &error),
            &error);
    shk_session_release(eye->session, result.ticket);
    shk_memory_unref(&pixels->memory);
}

/* Where everything else lies that a frame is compared with. */
static void copy_to_device(struct shk_device *device, const GstVideoInfo *info, GstBuffer *buffer,
                           struct shk_frame *pixels)
{
    struct shk_memory_info memory;
    GstVideoFrame frame;

    test_ok(shk_memory_alloc(device, GST_VIDEO_INFO_SIZE(info), &pixels->memory, &error), &error);
    shk_memory_get_info(pixels->memory, &memory);
    ck_assert(gst_video_frame_map(&frame, info, buffer, GST_MAP_READ));
    for (guint i = 0; i < GST_VIDEO_INFO_N_PLANES(info); i++) {
        pixels->offset[i] = GST_VIDEO_INFO_PLANE_OFFSET(info, i);
        pixels->stride[i] = (guint32)GST_VIDEO_INFO_PLANE_STRIDE(info, i);
        for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT(&frame, i); y++)
            memcpy((guint8 *)memory.map + pixels->offset[i] + (gsize)y * pixels->stride[i],
                   (guint8 *)GST_VIDEO_FRAME_PLANE_DATA(&frame, i) +
                       y * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, i),
                   MIN(pixels->stride[i], (guint32)GST_VIDEO_FRAME_PLANE_STRIDE(&frame, i)));
    }
    gst_video_frame_unmap(&frame);
}

/* ---- Pipelines ---- */

/* The same frame by way of GStreamer, and by way of memory that a session reads anyway. */
static void compare(struct vulkan_share *share, struct shk_device *device, struct eye *eye,
                    const struct format *format, GstBuffer *buffer, GstBuffer *picture)
{
    GstVideoInfo info = video_info(format);
    struct shk_frame pixels = {0}, seen = vulkan_expect_frame(share, &info, buffer, SHK_ORIGIN_POOL);

    copy_to_device(device, &info, picture, &pixels);
    look(eye, &pixels);
    guint8 *expected = g_memdup2(eye->bytes, eye->size);
    look(eye, &seen);
    ck_assert_msg(memcmp(eye->bytes, expected, eye->size) == 0, "%s", format->name);
    g_free(expected);
}

static void check_pipeline(const struct format *format, const char *feature, gboolean pooled)
{
    GstHarness *harness = open_upload(format, feature);
    GstBufferPool *pool = pooled ? vulkan_upload_pool(harness) : NULL;
    struct vulkan_share *share = vulkan_share_new(harness->element);
    struct shk_device *device = NULL;
    struct shk_memory_stats before, after;
    struct eye eye;

    for (guint i = 0; i < VULKAN_FRAMES + 1; i++) {
        GstBuffer *picture = system_picture(format, i), *buffer = upload(harness, format, picture, pool);
        if (i == 0) {
            GstCaps *caps = gst_pad_get_current_caps(harness->sinkpad);
            ck_assert(vulkan_share_wanted(caps));
            gst_caps_unref(caps);
            test_ok(vulkan_share_open(share, harness->sinkpad, VULKAN_FRAMES, test_log(), &device, &error),
                    &error);
            open_eye(&eye, device, format);
        }
        compare(share, device, &eye, format, buffer, picture);
        shk_device_memory_stats(device, i == 0 ? &before : &after);
        gst_buffer_unref(buffer);
        gst_buffer_unref(picture);
    }
    ck_assert_uint_eq(before.total_driver_allocations, after.total_driver_allocations);
    close_eye(&eye);
    vulkan_share_free(share);
    vulkan_close_pool(&pool);
    gst_harness_teardown(harness);
    shk_device_destroy(&device);
}

START_TEST(test_images)
{
    GstVideoInfo info = video_info(&formats[_i]);
    /* GStreamer 1.22 looks for each plane in a memory of its own */
    if (GST_VIDEO_INFO_N_PLANES(&info) == 1)
        check_pipeline(&formats[_i], VULKAN_SHARE_IMAGE_FEATURE, FALSE);
    check_pipeline(&formats[_i], VULKAN_SHARE_IMAGE_FEATURE, TRUE);
}
END_TEST

START_TEST(test_buffers)
{
    check_pipeline(&formats[_i], VULKAN_SHARE_BUFFER_FEATURE, TRUE);
}
END_TEST

/* Frames in flight: as many as were asked for, then not one more until one is dropped. */
START_TEST(test_bounded)
{
    GstHarness *source = open_upload(&formats[0], VULKAN_SHARE_IMAGE_FEATURE);
    GstBufferPool *pool = vulkan_upload_pool(source);
    GstVideoInfo info = video_info(&formats[0]);
    struct vulkan_share *share = vulkan_share_new(source->element);
    struct shk_device *device = NULL;
    GstBuffer *picture = system_picture(&formats[0], 1), *buffer = upload(source, &formats[0], picture, pool);
    struct shk_frame frames[3] = {0};

    test_ok(vulkan_share_open(share, source->sinkpad, 2, test_log(), &device, &error), &error);
    for (int i = 0; i < 2; i++)
        frames[i] = vulkan_expect_frame(share, &info, buffer, SHK_ORIGIN_POOL);
    ck_assert_ptr_ne(frames[0].memory, frames[1].memory);
    vulkan_expect_refusal(share, &info, buffer, SHK_ERROR_BUSY, "all 2 frames are in use");
    vulkan_share_close(share); /* waits for the copies; the memories live on */
    vulkan_expect_refusal(share, &info, buffer, SHK_ERROR_INVALID_ARGUMENT, "before vulkan_share_open()");
    struct eye eye;
    open_eye(&eye, device, &formats[0]);
    look(&eye, &frames[0]);
    look(&eye, &frames[1]);
    close_eye(&eye);
    gst_buffer_unref(picture);
    gst_buffer_unref(buffer);
    vulkan_share_free(share);
    shk_device_destroy(&device);
    vulkan_close_pool(&pool);
    gst_harness_teardown(source);
}
END_TEST

/* ---- In place ---- */

/* The application's own VkBuffer around the same bytes. */
static GstBuffer *wrapped_buffer(struct vulkan_alone *alone, GstBuffer *buffer)
{
    const GstVulkanBufferMemory *memory = (GstVulkanBufferMemory *)gst_buffer_peek_memory(buffer, 0);
    GstBuffer *wrapped = gst_buffer_new();
    gst_buffer_append_memory(wrapped, gst_vulkan_buffer_memory_wrapped(alone->gst, memory->buffer,
                                                                       memory->usage, gst_buffer_ref(buffer),
                                                                       (GDestroyNotify)gst_buffer_unref));
    return wrapped;
}

static void see_twice(struct vulkan_alone *alone, struct eye *eye, const GstVideoInfo *info,
                      GstBuffer *buffer, const guint8 *expected, enum shk_memory_origin origin)
{
    struct shk_memory *first = NULL;
    for (int i = 0; i < 2; i++) {
        struct shk_frame pixels = vulkan_expect_frame(alone->share, info, buffer, origin);
        ck_assert(!first || first == pixels.memory); /* remembered */
        first = pixels.memory;
        look(eye, &pixels);
        ck_assert_mem_eq(eye->bytes, expected, eye->size);
    }
}

START_TEST(test_in_place)
{
    const VkBufferUsageFlags storage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT,
                             copies = VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
    const struct format *format = &formats[_i];
    GstVideoInfo info = video_info(format);
    GstBuffer *expected = system_picture(format, 1);
    struct shk_frame pixels = {0};
    struct vulkan_alone alone;
    struct eye eye;

    vulkan_open_alone(&alone);
    open_eye(&eye, alone.device, format);
    copy_to_device(alone.device, &info, expected, &pixels);
    look(&eye, &pixels);
    guint8 *bytes = g_memdup2(eye.bytes, eye.size);
    GstBuffer *buffer = vulkan_buffer(&alone, &info, storage);
    vulkan_fill(buffer, &info, expected);
    see_twice(&alone, &eye, &info, buffer, bytes, SHK_ORIGIN_BUFFER);
    GstBuffer *wrapped = wrapped_buffer(&alone, buffer);
    see_twice(&alone, &eye, &info, wrapped, bytes, SHK_ORIGIN_BUFFER);
    gst_buffer_unref(wrapped);
    gst_buffer_unref(buffer);

    buffer = vulkan_buffer(&alone, &info, copies);
    vulkan_fill(buffer, &info, expected);
    see_twice(&alone, &eye, &info, buffer, bytes, SHK_ORIGIN_POOL);
    gst_buffer_unref(buffer);
    g_free(bytes);
    close_eye(&eye);
    vulkan_close_alone(&alone);
    gst_buffer_unref(expected);
}
END_TEST

/* A buffer of upstream's pool may be the last that goes, and takes everything with it. */
START_TEST(test_memory_goes_last)
{
    GstVideoInfo info = video_info(&formats[0]);
    struct vulkan_alone alone;

    vulkan_open_alone(&alone);
    GstBuffer *buffer = vulkan_buffer(&alone, &info, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
    struct shk_frame pixels = vulkan_expect_frame(alone.share, &info, buffer, SHK_ORIGIN_BUFFER);
    GWeakRef last;
    g_weak_ref_init(&last, alone.gst);
    vulkan_close_alone(&alone);
    shk_memory_unref(&pixels.memory);
    GstVulkanDevice *device = g_weak_ref_get(&last);
    ck_assert_ptr_nonnull(device);
    gst_object_unref(device);
    gst_buffer_unref(buffer);
    ck_assert_ptr_null(g_weak_ref_get(&last));
    g_weak_ref_clear(&last);
}
END_TEST

static gboolean have_elements(void)
{
    GstElementFactory *factory = gst_element_factory_find("vulkanupload");
    if (factory)
        gst_object_unref(factory);
    return factory != NULL;
}

static Suite *make_suite(void)
{
    Suite *suite = suite_create("vulkan-frames");
    TCase *tcase = tcase_create("vulkan frames");

    tcase_set_timeout(tcase, 120);
    tcase_add_unchecked_fixture(tcase, vulkan_open_instance, vulkan_close_instance);
    tcase_add_loop_test(tcase, test_in_place, 0, G_N_ELEMENTS(formats));
    tcase_add_test(tcase, test_memory_goes_last);
    if (have_elements()) {
        tcase_add_loop_test(tcase, test_images, 0, G_N_ELEMENTS(formats));
        tcase_add_loop_test(tcase, test_buffers, 0, G_N_ELEMENTS(formats));
        tcase_add_test(tcase, test_bounded);
    } else {
        printf("not checked: pipelines, as there is no vulkanupload (install gstreamer1.0-plugins-bad)\n");
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE | ELEMENTS_STATIC_PLUGIN | ELEMENTS_VULKAN_PLUGIN);
}
