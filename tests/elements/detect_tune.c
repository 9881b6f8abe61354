/* shrikedetect tune=: measured before the first frame, kept in cache-dir, the same detections. fusion=: the same as well.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <glib/gstdio.h>
#include <string.h>

#define CAPS "video/x-raw,format=RGB,width=64,height=48,framerate=25/1"

/* Detections of one frame with these properties. */
static GstBuffer *detect(const char *properties)
{
    GstBus *bus;
    char *launch = g_strdup_printf("shrikedetect score-threshold=0.05 %s", properties);
    GstHarness *harness = elements_harness(launch, CAPS, &bus);
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, 1)), GST_FLOW_OK);
    GstBuffer *buffer = gst_harness_pull(harness);
    ck_assert_ptr_nonnull(buffer);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    g_free(launch);
    return buffer;
}

/* Files of tuning in the folder; removes all. */
static guint count_and_remove(const char *folder)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;
    guint count = 0;
    while ((name = g_dir_read_name(dir))) {
        char *path = g_build_filename(folder, name, NULL);
        count += g_str_has_prefix(name, "shrike-tuned-");
        g_unlink(path);
        g_free(path);
    }
    g_dir_close(dir);
    g_rmdir(folder);
    return count;
}

/* full differs in how long it takes */
START_TEST(test_modes)
{
    static const char *const modes[] = {"off", "fast"};
    GstBuffer *plain = detect("cache-dir=\"\"");
    for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
        char *folder = g_dir_make_tmp("shrike-tune-XXXXXX", NULL);
        char *properties = g_strdup_printf("tune=%s cache-dir=%s", modes[i], folder);
        GstBuffer *tuned = detect(properties), *again = detect(properties);
        elements_same_detections(plain, tuned, 0);
        elements_same_detections(plain, again, 0);
        ck_assert_uint_eq(count_and_remove(folder), i > 0);
        gst_buffer_unref(tuned);
        gst_buffer_unref(again);
        g_free(properties);
        g_free(folder);
    }
    gst_buffer_unref(plain);
}
END_TEST

START_TEST(test_fusion)
{
    static const char *const flags[] = {"0", "pad+add", "input+table+reshape"};
    GstBuffer *plain = detect("");
    for (gsize i = 0; i < G_N_ELEMENTS(flags); i++) {
        char *properties = g_strdup_printf("fusion=%s", flags[i]);
        GstBuffer *other = detect(properties);
        elements_same_detections(plain, other, 0);
        gst_buffer_unref(other);
        g_free(properties);
    }
    gst_buffer_unref(plain);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-tune");
    TCase *tcase = tcase_create("tune");
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, test_modes);
    tcase_add_test(tcase, test_fusion);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
