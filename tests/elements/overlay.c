/* shrikeoverlay: where it draws, where it must not, with and without a downstream that draws for it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <string.h>

#define CAPS "video/x-raw,format=RGB,width=320,height=240,framerate=25/1"

static const char *const formats[] = {"NV12", "I420", "YUY2", "RGB",  "BGR",
                                      "RGBx", "BGRx", "RGBA", "BGRA", "GRAY8"};

static GstBuffer *grey_frame(const char *caps)
{
    GstBuffer *buffer = elements_picture(caps, 1);
    gst_buffer_memset(buffer, 0, 128, gst_buffer_get_size(buffer));
    return buffer;
}

static void add_region(GstBuffer *buffer, const char *label, gint label_id, guint x, guint y, guint w,
                       guint h)
{
    GstVideoRegionOfInterestMeta *meta =
        gst_buffer_add_video_region_of_interest_meta(buffer, label, x, y, w, h);
    if (label_id >= 0)
        gst_video_region_of_interest_meta_add_param(
            meta, gst_structure_new("detection", "label_id", G_TYPE_INT, label_id, "confidence",
                                    G_TYPE_DOUBLE, 0.87, NULL));
}

static void add_latency(GstBuffer *buffer)
{
    static const char *const stages[] = {"queue",    "upload", "preprocess", "inference",
                                         "readback", "decode", "total"};
    GstStructure *fields = gst_custom_meta_get_structure(gst_buffer_add_custom_meta(buffer, "ShrikeLatency"));
    for (guint i = 0; i < G_N_ELEMENTS(stages); i++) {
        char *field = g_strdup_printf("%s-duration", stages[i]);
        gst_structure_set(fields, field, G_TYPE_UINT64, (guint64)(i + 1) * 1234567, NULL);
        g_free(field);
    }
    gst_structure_set(fields, "device", G_TYPE_STRING, "test device", "in-flight", G_TYPE_UINT, 2, "dropped",
                      G_TYPE_UINT, 0, NULL);
}

static void set_status(GstBuffer *buffer, const char *status)
{
    gst_structure_set(gst_custom_meta_get_structure(gst_buffer_get_custom_meta(buffer, "ShrikeLatency")), "status",
                      G_TYPE_STRING, status, NULL);
}

static GstBuffer *draw(const char *launch, const char *caps, GstBuffer *buffer)
{
    GstBus *bus;
    GstHarness *harness = elements_harness(launch, caps, &bus);
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    GstBuffer *result = gst_harness_pull(harness);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    return result;
}

/* Pixels of an RGB or GRAY8 frame that are no longer grey, inside the rectangle. */
static guint count_drawn(GstBuffer *buffer, guint stride, guint bytes, guint left, guint top, guint width,
                         guint height)
{
    GstMapInfo map;
    guint count = 0;
    gst_buffer_map(buffer, &map, GST_MAP_READ);
    for (guint y = top; y < top + height; y++) {
        for (guint x = left; x < left + width; x++) {
            const guint8 *pixel = map.data + (gsize)y * stride + x * bytes;
            count += pixel[0] != 128 || pixel[bytes - 1] != 128;
        }
    }
    gst_buffer_unmap(buffer, &map);
    return count;
}

START_TEST(test_box)
{
    GstBuffer *buffer = grey_frame(CAPS);
    add_region(buffer, "person", 0, 100, 100, 80, 60);
    buffer = draw("shrikeoverlay", CAPS, buffer);
    ck_assert_uint_gt(count_drawn(buffer, 960, 3, 97, 100, 6, 60), 60);   /* left edge */
    ck_assert_uint_gt(count_drawn(buffer, 960, 3, 177, 100, 6, 60), 60);  /* right edge */
    ck_assert_uint_gt(count_drawn(buffer, 960, 3, 100, 157, 80, 6), 80);  /* bottom edge */
    ck_assert_uint_gt(count_drawn(buffer, 960, 3, 100, 84, 60, 14), 500); /* label plate */
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 106, 106, 68, 48), 0);  /* inside */
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 0, 0, 320, 80), 0);
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 0, 170, 320, 70), 0);
    gst_buffer_unref(buffer);

    buffer = grey_frame(CAPS);
    add_region(buffer, "person", 0, 100, 100, 80, 60);
    buffer = draw("shrikeoverlay show-labels=false", CAPS, buffer);
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 100, 80, 60, 15), 0);
    gst_buffer_unref(buffer);
}
END_TEST

START_TEST(test_panel)
{
    GstBuffer *buffer = grey_frame(CAPS);
    add_latency(buffer);
    buffer = draw("shrikeoverlay", CAPS, buffer);
    ck_assert_uint_gt(count_drawn(buffer, 960, 3, 160, 0, 160, 160), 160 * 100);
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 0, 0, 120, 240), 0);
    gst_buffer_unref(buffer);

    buffer = grey_frame(CAPS);
    add_latency(buffer);
    buffer = draw("shrikeoverlay show-latency=false", CAPS, buffer);
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 0, 0, 320, 240), 0);
    gst_buffer_unref(buffer);
}
END_TEST

/* Rows 160 to 235 of the right half are empty without it. */
START_TEST(test_histogram)
{
    GstBuffer *buffer = grey_frame(CAPS);
    add_latency(buffer);
    buffer = draw("shrikeoverlay", CAPS, buffer);
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 0, 160, 320, 80), 0);
    gst_buffer_unref(buffer);

    buffer = grey_frame(CAPS);
    add_latency(buffer);
    buffer = draw("shrikeoverlay show-histogram=true", CAPS, buffer);
    ck_assert_uint_gt(count_drawn(buffer, 960, 3, 180, 160, 130, 60), 130 * 55);
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 0, 0, 160, 240), 0);
    gst_buffer_unref(buffer);

    /* without the panel it takes the panel's place */
    buffer = grey_frame(CAPS);
    add_latency(buffer);
    buffer = draw("shrikeoverlay show-histogram=true show-latency=false", CAPS, buffer);
    ck_assert_uint_gt(count_drawn(buffer, 960, 3, 180, 10, 130, 60), 130 * 55);
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 0, 100, 320, 140), 0);
    gst_buffer_unref(buffer);

    /* frames that nobody timed have none */
    buffer = draw("shrikeoverlay show-histogram=true", CAPS, grey_frame(CAPS));
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 0, 0, 320, 240), 0);
    gst_buffer_unref(buffer);
}
END_TEST

static GstBuffer *panel_of(const char *status)
{
    GstBuffer *buffer = grey_frame(CAPS);
    add_latency(buffer);
    if (status)
        set_status(buffer, status);
    return draw("shrikeoverlay", CAPS, buffer);
}

static void assert_same_picture(GstBuffer *a, GstBuffer *b, gboolean same)
{
    GstMapInfo map;
    gst_buffer_map(b, &map, GST_MAP_READ);
    ck_assert_int_eq(gst_buffer_memcmp(a, 0, map.data, map.size) == 0, same);
    gst_buffer_unmap(b, &map);
}

/* Frames that were not inferred are counted, and their empty stages are not shown as times. */
START_TEST(test_status)
{
    GstBuffer *none = panel_of(NULL), *inferred = panel_of("inferred"),
              *held = panel_of("held"), *passed = panel_of("passed"),
              *other = panel_of("of a later version");
    assert_same_picture(none, inferred, FALSE); /* two counts more */
    assert_same_picture(inferred, held, FALSE);
    assert_same_picture(held, passed, FALSE);
    assert_same_picture(inferred, other, TRUE);
    gst_buffer_unref(none);
    gst_buffer_unref(inferred);
    gst_buffer_unref(held);
    gst_buffer_unref(passed);
    gst_buffer_unref(other);
}
END_TEST

START_TEST(test_formats)
{
    static const int sizes[][2] = {{320, 240}, {161, 119}, {33, 17}, {1, 1}, {3, 300}};
    for (gsize f = 0; f < G_N_ELEMENTS(formats); f++) {
        for (gsize s = 0; s < G_N_ELEMENTS(sizes); s++) {
            guint width = (guint)sizes[s][0], height = (guint)sizes[s][1];
            char *caps = g_strdup_printf("video/x-raw,format=%s,width=%u,height=%u,framerate=25/1",
                                         formats[f], width, height);
            GstBuffer *buffer = elements_picture(caps, 1), *before = gst_buffer_copy_deep(buffer);
            add_region(buffer, "thing", 1, width / 4, height / 4, width / 2, height / 2);
            add_latency(buffer);
            buffer = draw("shrikeoverlay show-histogram=true", caps, buffer);
            GstMapInfo map;
            gst_buffer_map(before, &map, GST_MAP_READ);
            ck_assert_uint_eq(gst_buffer_get_size(buffer), map.size);
            ck_assert_msg(width < 4 || gst_buffer_memcmp(buffer, 0, map.data, map.size) != 0,
                          "%s: nothing drawn", caps);
            gst_buffer_unmap(before, &map);
            gst_buffer_unref(before);
            gst_buffer_unref(buffer);
            g_free(caps);
        }
    }
}
END_TEST

/* Strides and offsets in GstVideoMeta give the same picture. */
START_TEST(test_strides)
{
    for (gsize f = 0; f < G_N_ELEMENTS(formats); f++) {
        char *caps = g_strdup_printf("video/x-raw,format=%s,width=161,height=119,framerate=25/1", formats[f]);
        GstBuffer *tight = elements_picture(caps, 1), *padded = elements_padded(tight, caps);
        add_region(tight, "thing", 1, 20, 30, 80, 50);
        add_region(padded, "thing", 1, 20, 30, 80, 50);
        tight = draw("shrikeoverlay", caps, tight);
        padded = draw("shrikeoverlay", caps, padded);
        GstVideoInfo info;
        GstVideoFrame a, b;
        GstCaps *parsed = gst_caps_from_string(caps);
        gst_video_info_from_caps(&info, parsed);
        gst_caps_unref(parsed);
        ck_assert(gst_video_frame_map(&a, &info, tight, GST_MAP_READ));
        ck_assert(gst_video_frame_map(&b, &info, padded, GST_MAP_READ));
        for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(&a); plane++) {
            for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT(&a, plane); y++) {
                const guint8 *of_a = GST_VIDEO_FRAME_PLANE_DATA(&a, plane),
                             *of_b = GST_VIDEO_FRAME_PLANE_DATA(&b, plane);
                ck_assert_msg(memcmp(of_a + y * GST_VIDEO_FRAME_PLANE_STRIDE(&a, plane),
                                     of_b + y * GST_VIDEO_FRAME_PLANE_STRIDE(&b, plane),
                                     GST_VIDEO_FRAME_COMP_WIDTH(&a, plane)) == 0,
                              "%s: plane %u, row %d differs", formats[f], plane, y);
            }
        }
        gst_video_frame_unmap(&a);
        gst_video_frame_unmap(&b);
        gst_buffer_unref(tight);
        gst_buffer_unref(padded);
        g_free(caps);
    }
}
END_TEST

START_TEST(test_nothing_to_draw)
{
    GstBuffer *buffer = grey_frame(CAPS);
    GstBuffer *result = draw("shrikeoverlay", CAPS, buffer);
    ck_assert_ptr_eq(result, buffer);
    ck_assert_uint_eq(count_drawn(result, 960, 3, 0, 0, 320, 240), 0);
    gst_buffer_unref(result);
}
END_TEST

START_TEST(test_shared_buffer)
{
    GstBuffer *buffer = grey_frame(CAPS);
    add_region(buffer, "person", 0, 100, 100, 80, 60);
    GstBuffer *result = draw("shrikeoverlay", CAPS, gst_buffer_ref(buffer));
    ck_assert_uint_gt(count_drawn(result, 960, 3, 0, 0, 320, 240), 0);
    ck_assert_uint_eq(count_drawn(buffer, 960, 3, 0, 0, 320, 240), 0);
    gst_buffer_unref(result);
    gst_buffer_unref(buffer);
}
END_TEST

/* Regions are somebody else's data. */
START_TEST(test_strange_regions)
{
    static const guint regions[][4] = {{0, 0, 0, 0},
                                       {4000000000u, 4000000000u, 10, 10},
                                       {0, 0, 4294967295u, 4294967295u},
                                       {319, 239, 100, 100},
                                       {5000, 5000, 1, 1},
                                       {0, 0, 320, 240}};
    char long_name[4000];
    memset(long_name, 'w', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = 0;
    const char *const names[] = {"",        "\xff\xfe broken", "<b>no markup</b> & %s %n",
                                 long_name, "two\nlines",      "žluťoučký"};
    GstBuffer *buffer = grey_frame(CAPS);
    for (gsize i = 0; i < G_N_ELEMENTS(regions); i++)
        for (gsize k = 0; k < G_N_ELEMENTS(names); k++)
            add_region(buffer, names[k], (gint)(i * k) - 2, regions[i][0], regions[i][1], regions[i][2],
                       regions[i][3]);
    for (guint i = 0; i < 400; i++)
        add_region(buffer, "many", (gint)i, i % 300, i % 200, 20, 20);
    gst_buffer_unref(draw("shrikeoverlay", CAPS, buffer));
}
END_TEST

/* The same class has the same colour, wherever it is and whatever else there is. */
START_TEST(test_colors)
{
    guint8 colors[3][3];
    for (guint i = 0; i < 3; i++) {
        GstBuffer *buffer = grey_frame(CAPS);
        if (i == 1)
            add_region(buffer, "cat", 3, 10, 10, 50, 50);
        add_region(buffer, i == 2 ? "cat" : "dog", i == 2 ? 3 : 7, 100, 100, 80, 60);
        buffer = draw("shrikeoverlay show-labels=false", CAPS, buffer);
        gst_buffer_extract(buffer, 130 * 960 + 100 * 3, colors[i], 3);
        gst_buffer_unref(buffer);
    }
    ck_assert_mem_eq(colors[0], colors[1], 3);
    ck_assert_mem_ne(colors[0], colors[2], 3);
}
END_TEST

/* An object with a number keeps its colour, whatever its class; the label has room for the number. */
START_TEST(test_track_numbers)
{
    static const gint ids[] = {3, 3, 4, 0, -3};
    guint8 colors[G_N_ELEMENTS(ids)][3];
    guint label[G_N_ELEMENTS(ids)];
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
        GstBuffer *buffer = grey_frame(CAPS);
        add_region(buffer, "dog", i == 1 ? 8 : 7, 100, 100, 80, 60);
        if (ids[i] != 0) {
            gpointer state = NULL;
            gst_video_region_of_interest_meta_add_param(
                (GstVideoRegionOfInterestMeta *)gst_buffer_iterate_meta_filtered(
                    buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE),
                gst_structure_new("object_id", "id", G_TYPE_INT, ids[i], NULL));
        }
        buffer = draw("shrikeoverlay", CAPS, buffer);
        gst_buffer_extract(buffer, 130 * 960 + 100 * 3, colors[i], 3);
        label[i] = count_drawn(buffer, 960, 3, 90, 86, 230, 1);
        gst_buffer_unref(buffer);
    }
    ck_assert_mem_eq(colors[0], colors[1], 3);
    ck_assert_mem_ne(colors[0], colors[2], 3);
    ck_assert_mem_ne(colors[0], colors[3], 3);
    ck_assert_mem_eq(colors[3], colors[4], 3); /* of the class: it is no number */
    ck_assert_uint_gt(label[0], label[3] + 10);
    ck_assert_uint_eq(label[4], label[3]);
}
END_TEST

#define COMPOSITION "memory:SystemMemory,meta:GstVideoOverlayComposition"

/* A sink that draws for us gets the composition and untouched pixels. */
START_TEST(test_attach)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikeoverlay show-histogram=true", NULL, &bus);
    gst_harness_set_sink_caps_str(harness, "video/x-raw(" COMPOSITION "),format=RGB;video/x-raw,format=RGB");
    gst_harness_add_propose_allocation_meta(harness, GST_VIDEO_OVERLAY_COMPOSITION_META_API_TYPE, NULL);
    gst_harness_set_src_caps_str(harness, CAPS);
    for (guint i = 0; i < 3; i++) {
        GstBuffer *buffer = grey_frame(CAPS);
        add_region(buffer, "person", 0, 100, 100, 80, 60);
        add_latency(buffer);
        ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
        buffer = gst_harness_pull(harness);
        ck_assert_uint_eq(count_drawn(buffer, 960, 3, 0, 0, 320, 240), 0);
        GstVideoOverlayCompositionMeta *meta = gst_buffer_get_video_overlay_composition_meta(buffer);
        ck_assert_ptr_nonnull(meta);
        ck_assert_uint_eq(gst_video_overlay_composition_n_rectangles(meta->overlay), 3);
        gst_buffer_unref(buffer);
    }
    GstCaps *caps = gst_pad_get_current_caps(harness->sinkpad);
    ck_assert(gst_caps_features_contains(gst_caps_get_features(caps, 0), "meta:GstVideoOverlayComposition"));
    gst_caps_unref(caps);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

/* What an element upstream attached stays. */
START_TEST(test_attach_to_existing)
{
    GstBus *bus;
    const char *caps = "video/x-raw(" COMPOSITION "),format=RGB,width=320,height=240,framerate=25/1";
    GstHarness *harness = elements_harness("shrikeoverlay ! shrikeoverlay", caps, &bus);
    GstBuffer *buffer = grey_frame(CAPS);
    add_region(buffer, "person", 0, 100, 100, 80, 60);
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    buffer = gst_harness_pull(harness);
    GstVideoOverlayCompositionMeta *meta = gst_buffer_get_video_overlay_composition_meta(buffer);
    ck_assert_ptr_nonnull(meta);
    ck_assert_uint_eq(gst_video_overlay_composition_n_rectangles(meta->overlay), 2);
    gst_buffer_unref(buffer);
    elements_teardown(&harness, &bus);
}
END_TEST

START_TEST(test_after_detector)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect score-threshold=0.02 ! shrikeoverlay", CAPS, &bus);
    for (guint i = 0; i < 5; i++) {
        ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, i)), GST_FLOW_OK);
        gst_buffer_unref(gst_harness_pull(harness));
    }
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("overlay");
    TCase *tcase = tcase_create("overlay");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_box);
    tcase_add_test(tcase, test_panel);
    tcase_add_test(tcase, test_histogram);
    tcase_add_test(tcase, test_status);
    tcase_add_test(tcase, test_formats);
    tcase_add_test(tcase, test_strides);
    tcase_add_test(tcase, test_nothing_to_draw);
    tcase_add_test(tcase, test_shared_buffer);
    tcase_add_test(tcase, test_strange_regions);
    tcase_add_test(tcase, test_colors);
    tcase_add_test(tcase, test_track_numbers);
    tcase_add_test(tcase, test_attach);
    tcase_add_test(tcase, test_attach_to_existing);
    tcase_add_test(tcase, test_after_detector);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
