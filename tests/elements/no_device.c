/* Without any Vulkan driver: the plugin loads, the element says what is missing, the reference runs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#define CAPS "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"

START_TEST(test_says_why)
{
    GstElement *element = gst_element_factory_make("shrikedetect", NULL);
    ck_assert_msg(element != NULL, "the plugin did not load");
    GstBus *bus = gst_bus_new();
    gst_object_ref_sink(element);
    gst_element_set_bus(element, bus);
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    GError *error = NULL;
    gst_message_parse_error(message, &error, NULL);
    ck_assert(g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND));
    g_error_free(error);
    gst_message_unref(message);
    ck_assert_ptr_null(gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR));
    gst_element_set_state(element, GST_STATE_NULL);
    gst_element_set_bus(element, NULL);
    gst_object_unref(element);
    gst_object_unref(bus);
}
END_TEST

START_TEST(test_reference)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect device=cpu-reference", CAPS, &bus);
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, 1)), GST_FLOW_OK);
    GstBuffer *buffer = gst_harness_pull(harness);
    elements_check_latency(buffer);
    ck_assert_str_eq(gst_structure_get_string(elements_latency(buffer), "device"), "cpu-reference");
    gst_buffer_unref(buffer);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("no-device");
    TCase *tcase = tcase_create("no device");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_says_why);
    tcase_add_test(tcase, test_reference);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    g_setenv("VK_ICD_FILENAMES", "/nonexistent.json", TRUE);
    g_setenv("VK_DRIVER_FILES", "/nonexistent.json", TRUE);
    return elements_main(make_suite, 0);
}
