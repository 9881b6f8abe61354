/* The static build of the plugin, as an application on a phone carries it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

GST_PLUGIN_STATIC_DECLARE(shrike);

START_TEST(test_static)
{
    GST_PLUGIN_STATIC_REGISTER(shrike);
    GstPlugin *plugin = gst_registry_find_plugin(gst_registry_get(), "shrike");
    ck_assert_ptr_nonnull(plugin);
    ck_assert_ptr_null(gst_plugin_get_filename(plugin));
    gst_object_unref(plugin);
    GstElement *detect = gst_element_factory_make("shrikedetect", NULL);
    GstElement *overlay = gst_element_factory_make("shrikeoverlay", NULL);
    GstElement *track = gst_element_factory_make("shriketrack", NULL);
    GstElement *json = gst_element_factory_make("shrikejson", NULL);
    ck_assert(detect && overlay && track && json);
    ck_assert_ptr_nonnull(gst_meta_get_info("ShrikeLatency"));
    gst_object_unref(gst_object_ref_sink(detect));
    gst_object_unref(gst_object_ref_sink(overlay));
    gst_object_unref(gst_object_ref_sink(track));
    gst_object_unref(gst_object_ref_sink(json));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("static-plugin");
    TCase *tcase = tcase_create("static");
    tcase_add_test(tcase, test_static);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_STATIC_PLUGIN);
}
