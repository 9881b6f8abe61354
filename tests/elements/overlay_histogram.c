/* The histogram of shrikeoverlay: its axis, its place, and how often it is drawn.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include "overlay_histogram.h"

#define MS G_GUINT64_CONSTANT(1000000)

static void assert_range(const guint64 *sorted, gsize count)
{
    guint64 low, high, p99 = sorted[(count * 99 + 99) / 100 - 1];
    overlay_histogram_range(sorted, count, &low, &high);
    ck_assert_uint_le(low, sorted[0]);
    ck_assert_uint_gt(high, low);
    ck_assert_uint_ge(high, p99);
    /* most of the axis is used */
    if (p99 - sorted[0] > p99 / 10 && p99 > MS / 10 && p99 < G_MAXUINT64 / 16)
        ck_assert_uint_ge((p99 - sorted[0]) * 2, high - low);
}

START_TEST(test_range)
{
    static const guint64 values[][4] = {
        {0, 0, 0, 0},
        {1, 1, 1, 1},
        {5 * MS, 5 * MS, 5 * MS, 5 * MS},
        {5 * MS, 6 * MS, 7 * MS, 8 * MS},
        {999, 1000, 1001, 123456789},
        {33 * MS, 34 * MS, 35 * MS, 5000 * MS},
        {0, 1, G_MAXUINT64 - 1, G_MAXUINT64},
        {G_MAXUINT64, G_MAXUINT64, G_MAXUINT64, G_MAXUINT64},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(values); i++)
        for (gsize count = 1; count <= 4; count++)
            assert_range(values[i], count);
}
END_TEST

/* One frame in two hundred that is slow, as the first one is, does not squeeze the others. */
START_TEST(test_range_of_outlier)
{
    guint64 sorted[200], low, high;
    for (guint i = 0; i < 200; i++)
        sorted[i] = i < 199 ? 20 * MS + i * 10000 : 900 * MS;
    overlay_histogram_range(sorted, 200, &low, &high);
    ck_assert_uint_ge(low, 19 * MS);
    ck_assert_uint_le(high, 23 * MS);
}
END_TEST

struct fixture {
    struct overlay_histogram histogram;
    struct overlay_text text;
    GstStructure *fields;
};

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    overlay_text_init(&f->text);
    f->fields = gst_structure_new("latency", "total-duration", G_TYPE_UINT64, 12 * MS, NULL);
}

static void teardown(struct fixture *f)
{
    overlay_histogram_clear(&f->histogram);
    overlay_text_clear(&f->text);
    gst_structure_free(f->fields);
}

static GstVideoOverlayRectangle *get(struct fixture *f, GstVideoOverlayRectangle *panel, guint width,
                                     guint height, gint64 now)
{
    return overlay_histogram_get(&f->histogram, &f->text, panel, width, height, now);
}

/* The rectangle, and the pixels behind it, are kept between frames. */
START_TEST(test_drawn_when_due)
{
    struct fixture f;
    setup(&f);
    ck_assert_ptr_null(get(&f, NULL, 640, 480, 1));
    overlay_histogram_add(&f.histogram, f.fields);
    GstVideoOverlayRectangle *first = get(&f, NULL, 640, 480, 1000000);
    ck_assert_ptr_nonnull(first);
    GstBuffer *pixels = f.histogram.canvas.buffer;
    overlay_histogram_add(&f.histogram, f.fields);
    ck_assert_ptr_eq(get(&f, NULL, 640, 480, 1100000), first);
    gst_video_overlay_rectangle_ref(first);
    ck_assert_ptr_ne(get(&f, NULL, 640, 480, 2000000), first);
    ck_assert_ptr_ne(f.histogram.canvas.buffer, pixels); /* somebody still looks at them */
    gst_video_overlay_rectangle_unref(first);
    pixels = f.histogram.canvas.buffer;
    ck_assert_ptr_nonnull(get(&f, NULL, 640, 480, 3000000));
    ck_assert_ptr_eq(f.histogram.canvas.buffer, pixels);
    /* frames of another size get another one at once */
    ck_assert_ptr_nonnull(get(&f, NULL, 1280, 720, 3000001));
    ck_assert_uint_eq(f.histogram.drawn_width, 1280);
    ck_assert_ptr_null(get(&f, NULL, 64, 48, 3000002));
    teardown(&f);
}
END_TEST

static void assert_inside(GstVideoOverlayRectangle *rectangle, guint width, guint height)
{
    gint x, y;
    guint w, h;
    ck_assert_ptr_nonnull(rectangle);
    gst_video_overlay_rectangle_get_render_rectangle(rectangle, &x, &y, &w, &h);
    ck_assert_int_ge(x, 0);
    ck_assert_int_ge(y, 0);
    ck_assert_uint_le((guint)x + w, width);
    ck_assert_uint_le((guint)y + h, height);
    ck_assert_msg((guint)x >= width / 2 || (guint)x + w <= width / 2, "it covers the middle of %ux%u", width,
                  height);
}

/* Below the panel, or where that would be outside of the frame in the other corner. */
START_TEST(test_place)
{
    struct fixture f;
    gint x, y;
    setup(&f);
    overlay_histogram_add(&f.histogram, f.fields);
    GstBuffer *pixels = gst_buffer_new_allocate(NULL, 4 * 200 * 150, NULL);
    gst_buffer_memset(pixels, 0, 0, gst_buffer_get_size(pixels));
    gst_buffer_add_video_meta(pixels, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_OVERLAY_COMPOSITION_FORMAT_RGB,
                              200, 150);
    GstVideoOverlayRectangle *panel = gst_video_overlay_rectangle_new_raw(
        pixels, 430, 10, 200, 150, GST_VIDEO_OVERLAY_FORMAT_FLAG_PREMULTIPLIED_ALPHA);
    GstVideoOverlayRectangle *below = get(&f, panel, 640, 480, 1);
    assert_inside(below, 640, 480);
    gst_video_overlay_rectangle_get_render_rectangle(below, &x, &y, NULL, NULL);
    ck_assert_int_ge(y, 160);
    ck_assert_int_ge(x, 320);
    GstVideoOverlayRectangle *beside = get(&f, panel, 640, 240, 1);
    assert_inside(beside, 640, 240);
    gst_video_overlay_rectangle_get_render_rectangle(beside, &x, &y, NULL, NULL);
    ck_assert_int_lt(x, 100);
    gst_video_overlay_rectangle_unref(panel);
    gst_buffer_unref(pixels);
    teardown(&f);
}
END_TEST

START_TEST(test_odd_fields)
{
    struct fixture f;
    setup(&f);
    GstStructure *wrong = gst_structure_new("latency", "total-duration", G_TYPE_STRING, "long", NULL);
    overlay_histogram_add(&f.histogram, wrong);
    ck_assert_uint_eq(f.histogram.frames, 0);
    for (guint i = 0; i < 2 * OVERLAY_HISTOGRAM_WINDOW + 3; i++) {
        gst_structure_set(f.fields, "total-duration", G_TYPE_UINT64,
                          i % 3 ? (guint64)i * MS : G_MAXUINT64 - i, NULL);
        overlay_histogram_add(&f.histogram, f.fields);
    }
    ck_assert_ptr_nonnull(get(&f, NULL, 640, 480, 1));
    gst_structure_free(wrong);
    teardown(&f);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("overlay_histogram");
    TCase *tcase = tcase_create("overlay_histogram");
    tcase_add_test(tcase, test_range);
    tcase_add_test(tcase, test_range_of_outlier);
    tcase_add_test(tcase, test_drawn_when_due);
    tcase_add_test(tcase, test_place);
    tcase_add_test(tcase, test_odd_fields);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_STATIC_PLUGIN);
}
