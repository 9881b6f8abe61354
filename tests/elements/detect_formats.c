/* shrikedetect on frames of every kind: formats, odd sizes, strides, crops.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <string.h>

/* low, so that there is something to compare on any picture */
#define DETECT "shrikedetect score-threshold=0.02 iou-threshold=0.5 max-detections=20"

static const char *const formats[] = {"NV12", "I420", "YUY2", "RGB",  "BGR",
                                      "RGBx", "BGRx", "RGBA", "BGRA", "GRAY8"};
static const struct {
    int width, height;
} sizes[] = {{160, 120}, {33, 17}, {1, 1}, {322, 243}, {7, 200}};

static char *make_caps(const char *format, int width, int height)
{
    return g_strdup_printf("video/x-raw,format=%s,width=%d,height=%d,framerate=25/1", format, width, height);
}

static GstBuffer *detect(const char *caps, GstBuffer *buffer)
{
    GstBus *bus;
    GstHarness *harness = elements_harness(DETECT, caps, &bus);
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    GstBuffer *result = gst_harness_pull(harness);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    return result;
}

/* One harness for all, so that every step is a renegotiation too. */
START_TEST(test_every_format_and_size)
{
    GstBus *bus;
    GstHarness *harness = elements_harness(DETECT, NULL, &bus);
    for (gsize f = 0; f < G_N_ELEMENTS(formats); f++) {
        for (gsize s = 0; s < G_N_ELEMENTS(sizes); s++) {
            char *caps = make_caps(formats[f], sizes[s].width, sizes[s].height);
            gst_harness_set_src_caps_str(harness, caps);
            GstBuffer *buffer = elements_picture(caps, 1), *before = gst_buffer_copy_deep(buffer);
            ck_assert_msg(gst_harness_push(harness, buffer) == GST_FLOW_OK, "%s", caps);
            GstBuffer *after = gst_harness_pull(harness);
            ck_assert_msg(after != NULL, "%s: nothing came out", caps);
            elements_no_error(bus);
            elements_check_latency(after);
            GstMapInfo map;
            ck_assert(gst_buffer_map(before, &map, GST_MAP_READ));
            ck_assert_msg(gst_buffer_get_size(after) == map.size &&
                              gst_buffer_memcmp(after, 0, map.data, map.size) == 0,
                          "%s: the pixels changed", caps);
            gst_buffer_unmap(before, &map);
            gst_buffer_unref(before);
            gst_buffer_unref(after);
            g_free(caps);
        }
    }
    elements_teardown(&harness, &bus);
}
END_TEST

/* The frame's memory itself goes through, not a copy. */
START_TEST(test_no_copy)
{
    const char *caps = "video/x-raw,format=I420,width=64,height=48,framerate=25/1";
    GstBuffer *buffer = elements_picture(caps, 1);
    GstMemory *memory = gst_buffer_get_memory(buffer, 0);
    GstBuffer *result = detect(caps, buffer);
    ck_assert_ptr_eq(gst_buffer_peek_memory(result, 0), memory);
    gst_buffer_unref(result);

    /* somebody else holds the buffer: it stays as it is, and the memory is shared */
    buffer = elements_picture(caps, 1);
    gst_memory_unref(memory);
    memory = gst_buffer_get_memory(buffer, 0);
    result = detect(caps, gst_buffer_ref(buffer));
    ck_assert_ptr_ne(result, buffer);
    ck_assert_ptr_eq(gst_buffer_peek_memory(result, 0), memory);
    ck_assert_ptr_null(gst_buffer_get_custom_meta(buffer, "ShrikeLatency"));
    gst_buffer_unref(result);
    gst_buffer_unref(buffer);
    gst_memory_unref(memory);
}
END_TEST

START_TEST(test_strides)
{
    for (gsize f = 0; f < G_N_ELEMENTS(formats); f++) {
        char *caps = make_caps(formats[f], 161, 119);
        GstBuffer *picture = elements_picture(caps, 2);
        GstBuffer *padded = detect(caps, elements_padded(picture, caps));
        GstBuffer *tight = detect(caps, picture);
        ck_assert_uint_gt(elements_detection_count(tight), 0);
        elements_same_detections(tight, padded, 0);
        gst_buffer_unref(tight);
        gst_buffer_unref(padded);
        g_free(caps);
    }
}
END_TEST

/* The detections of picture 2, copied to where frames full of `byte` were copied to before. */
static GstBuffer *detect_after(guint8 byte, const char *caps)
{
    static const char *const before = "video/x-raw,format=GRAY8,width=64,height=64,framerate=25/1";
    GstBus *bus;
    GstHarness *harness = elements_harness(DETECT, before, &bus);
    for (guint i = 0; i < 3; i++) { /* they are pulled one by one: all in the same memory */
        GstBuffer *buffer = elements_picture(before, 1);
        gst_buffer_memset(buffer, 0, byte, gst_buffer_get_size(buffer));
        ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
        gst_buffer_unref(gst_harness_pull(harness));
    }
    gst_harness_set_src_caps_str(harness, caps);
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(caps, 2)), GST_FLOW_OK);
    GstBuffer *result = gst_harness_pull(harness);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    return result;
}

/* A copy has all of the frame, also the end of odd rows, and nothing of what was there before. */
START_TEST(test_odd_copies)
{
    for (gsize f = 0; f < G_N_ELEMENTS(formats); f++) {
        char *caps = make_caps(formats[f], 21, 19);
        GstBuffer *black = detect_after(0, caps), *white = detect_after(0xff, caps);
        ck_assert_uint_gt(elements_detection_count(black), 0);
        elements_same_detections(black, white, 0);
        gst_buffer_unref(black);
        gst_buffer_unref(white);
        g_free(caps);
    }
}
END_TEST

/* Copies a rectangle of an RGB picture into one of its own. */
static GstBuffer *cut(GstBuffer *buffer, const GstVideoCropMeta *crop, int stride)
{
    int cut_stride = GST_ROUND_UP_4(crop->width * 3);
    GstBuffer *result = gst_buffer_new_allocate(NULL, (gsize)cut_stride * crop->height, NULL);
    GstMapInfo from, to;
    gst_buffer_memset(result, 0, 0, (gsize)cut_stride * crop->height);
    gst_buffer_map(buffer, &from, GST_MAP_READ);
    gst_buffer_map(result, &to, GST_MAP_WRITE);
    for (guint y = 0; y < crop->height; y++)
        memcpy(to.data + y * cut_stride, from.data + (y + crop->y) * stride + crop->x * 3, crop->width * 3);
    gst_buffer_unmap(result, &to);
    gst_buffer_unmap(buffer, &from);
    return result;
}

static void set_crop(GstBuffer *buffer, guint x, guint y, guint width, guint height)
{
    GstVideoCropMeta *crop = gst_buffer_add_video_crop_meta(buffer);
    crop->x = x;
    crop->y = y;
    crop->width = width;
    crop->height = height;
}

/* Only the rectangle is searched; coordinates are those of the frame that the caps describe. */
START_TEST(test_crop)
{
    const char *full = "video/x-raw,format=RGB,width=200,height=160,framerate=25/1";
    const char *small = "video/x-raw,format=RGB,width=120,height=100,framerate=25/1";
    GstBuffer *buffer = elements_picture(full, 3);
    set_crop(buffer, 40, 30, 120, 100);
    GstBuffer *expected = detect(small, cut(buffer, gst_buffer_get_video_crop_meta(buffer), 600));
    GstBuffer *whole = detect(full, gst_buffer_copy(buffer));
    guint count = elements_detection_count(expected);
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_eq(elements_detection_count(whole), count);
    for (guint i = 0; i < count; i++) {
        double in_crop[6], in_frame[6];
        elements_detection(expected, i, in_crop);
        elements_detection(whole, i, in_frame);
        /* a box may stick out of the rectangle; alone, the rectangle is all there is */
        ck_assert_double_eq_tol(CLAMP(in_frame[2], 0.2, 0.8), (40 + in_crop[2] * 120) / 200, 1e-5);
        ck_assert_double_eq_tol(CLAMP(in_frame[3], 0.1875, 0.8125), (30 + in_crop[3] * 100) / 160, 1e-5);
        ck_assert_double_eq_tol(CLAMP(in_frame[4], 0.2, 0.8), (40 + in_crop[4] * 120) / 200, 1e-5);
        ck_assert_double_eq_tol(CLAMP(in_frame[5], 0.1875, 0.8125), (30 + in_crop[5] * 100) / 160, 1e-5);
    }

    /* as videocrop does it: the caps have the size of the rectangle, GstVideoMeta that of the memory */
    gst_buffer_add_video_meta(buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_RGB, 200, 160);
    GstBuffer *cropped = detect(small, buffer);
    elements_same_detections(expected, cropped, 1e-4);
    gst_buffer_unref(cropped);
    gst_buffer_unref(whole);
    gst_buffer_unref(expected);
}
END_TEST

START_TEST(test_bad_crop)
{
    static const guint crops[][4] = {
        {10, 10, 0, 0}, {10, 10, 20, 0}, {64, 0, 10, 10}, {0, 4000000000u, 5, 5}};
    const char *caps = "video/x-raw,format=NV12,width=64,height=48,framerate=25/1";
    GstBuffer *plain = detect(caps, elements_picture(caps, 1));
    for (gsize i = 0; i < G_N_ELEMENTS(crops); i++) {
        GstBus *bus;
        GstHarness *harness = elements_harness(DETECT, caps, &bus);
        for (guint frame = 0; frame < 3; frame++) {
            GstBuffer *buffer = elements_picture(caps, 1);
            set_crop(buffer, crops[i][0], crops[i][1], crops[i][2], crops[i][3]);
            ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
            buffer = gst_harness_pull(harness);
            elements_same_detections(plain, buffer, 0);
            gst_buffer_unref(buffer);
        }
        char *warning = elements_pop_message(bus, GST_MESSAGE_WARNING);
        ck_assert_msg(warning && strstr(warning, "GstVideoCropMeta"), "warning: %s", warning);
        g_free(warning);
        elements_no_error(bus); /* said once */
        elements_teardown(&harness, &bus);
    }
    gst_buffer_unref(plain);
}
END_TEST

/* A rectangle that sticks out is searched as far as the frame goes. */
START_TEST(test_crop_clipped)
{
    const char *caps = "video/x-raw,format=RGB,width=64,height=48,framerate=25/1";
    GstBuffer *a = elements_picture(caps, 1), *b = elements_picture(caps, 1);
    set_crop(a, 10, 8, 54, 40);
    set_crop(b, 10, 8, 4000000000u, 4000000000u);
    a = detect(caps, a);
    b = detect(caps, b);
    elements_same_detections(a, b, 0);
    gst_buffer_unref(a);
    gst_buffer_unref(b);
}
END_TEST

START_TEST(test_short_buffer)
{
    GstBus *bus;
    GstHarness *harness =
        elements_harness(DETECT, "video/x-raw,format=I420,width=64,height=48,framerate=25/1", &bus);
    ck_assert_int_eq(gst_harness_push(harness, gst_buffer_new_allocate(NULL, 64, NULL)), GST_FLOW_ERROR);
    char *text = elements_pop_message(bus, GST_MESSAGE_ERROR);
    ck_assert_msg(text && strstr(text, "64 bytes") && strstr(text, "64x48 I420"), "error: %s", text);
    g_free(text);
    elements_teardown(&harness, &bus);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-formats");
    TCase *tcase = tcase_create("formats");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_every_format_and_size);
    tcase_add_test(tcase, test_no_copy);
    tcase_add_test(tcase, test_strides);
    tcase_add_test(tcase, test_odd_copies);
    tcase_add_test(tcase, test_crop);
    tcase_add_test(tcase, test_bad_crop);
    tcase_add_test(tcase, test_crop_clipped);
    tcase_add_test(tcase, test_short_buffer);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
