/* The device is lost: this program stands between libshrike and the driver and says so now and then.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "elements.h"

#include <dlfcn.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include "shrike_meta.h"

#define CAPS "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"

/* Calls to come that fail. The library finds these functions before the loader's. */
static gint lost_submits, lost_waits;

static gboolean take_one(gint *count)
{
    gint old = g_atomic_int_get(count);
    while (old > 0 && !g_atomic_int_compare_and_exchange(count, old, old - 1))
        old = g_atomic_int_get(count);
    return old > 0;
}

VKAPI_ATTR VkResult VKAPI_CALL vkQueueSubmit(VkQueue queue, uint32_t count, const VkSubmitInfo *submits, VkFence fence)
{
    PFN_vkQueueSubmit real = (PFN_vkQueueSubmit)dlsym(RTLD_NEXT, "vkQueueSubmit");
    return take_one(&lost_submits) ? VK_ERROR_DEVICE_LOST : real(queue, count, submits, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL vkWaitForFences(VkDevice device, uint32_t count, const VkFence *fences, VkBool32 all,
                                               uint64_t timeout)
{
    PFN_vkWaitForFences real = (PFN_vkWaitForFences)dlsym(RTLD_NEXT, "vkWaitForFences");
    /* the work is done all the same, so that the layer does not see objects die that are in use */
    VkResult result = real(device, count, fences, all, timeout);
    return take_one(&lost_waits) ? VK_ERROR_DEVICE_LOST : result;
}

static GstBuffer *pass(GstHarness *harness, guint i)
{
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, i)), GST_FLOW_OK);
    GstBuffer *buffer = gst_harness_pull(harness);
    ck_assert_uint_eq(GST_BUFFER_PTS(buffer), i * 40 * GST_MSECOND);
    return buffer;
}

static void expect_lost(GstBuffer *buffer)
{
    const GstStructure *fields = elements_latency(buffer);
    ck_assert_str_eq(gst_structure_get_string(fields, SHRIKE_FIELD_STATUS), SHRIKE_STATUS_PASSED);
    ck_assert_str_eq(gst_structure_get_string(fields, SHRIKE_FIELD_REASON), "device-lost");
    ck_assert_uint_eq(elements_detection_count(buffer), 0);
    gst_buffer_unref(buffer);
}

static void expect_inferred(GstBuffer *buffer)
{
    ck_assert_str_eq(gst_structure_get_string(elements_latency(buffer), SHRIKE_FIELD_STATUS),
                     SHRIKE_STATUS_INFERRED);
    gst_buffer_unref(buffer);
}

static guint64 counter(GstHarness *harness, const char *field)
{
    GstStructure *stats = NULL;
    guint64 value = 0;
    gst_harness_get(harness, "shrikedetect", "stats", &stats, NULL);
    ck_assert(gst_structure_get_uint64(stats, field, &value));
    gst_structure_free(stats);
    return value;
}

/* The frame that was on the device passes, the next one sees the network again. */
static void lose_once(gint *calls)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    expect_inferred(pass(harness, 0));
    g_atomic_int_set(calls, 1);
    expect_lost(pass(harness, 1));
    for (guint i = 2; i < 6; i++)
        expect_inferred(pass(harness, i));
    ck_assert_uint_eq(counter(harness, "not-inferred-device-lost"), 1);
    ck_assert_uint_eq(counter(harness, "device-losses"), 1);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}

START_TEST(test_submit)
{
    lose_once(&lost_submits);
}
END_TEST

START_TEST(test_wait)
{
    lose_once(&lost_waits);
}
END_TEST

/* All streams of the engine go on. */
START_TEST(test_shared)
{
    static const char launch[] = "shrikedetect engine-id=lost batch-size=2 batch-timeout=10000";
    GstBus *bus, *other_bus;
    GstHarness *a = elements_harness(launch, CAPS, &bus), *b = elements_harness(launch, CAPS, &other_bus);
    for (guint i = 0; i < 4; i++) {
        g_atomic_int_set(&lost_submits, i == 1);
        ck_assert_int_eq(gst_harness_push(a, elements_picture(CAPS, i)), GST_FLOW_OK);
        ck_assert_int_eq(gst_harness_push(b, elements_picture(CAPS, i)), GST_FLOW_OK);
        GstBuffer *of_a = gst_harness_pull(a), *of_b = gst_harness_pull(b);
        if (i == 1) {
            expect_lost(of_a);
            expect_lost(of_b);
        } else {
            expect_inferred(of_a);
            expect_inferred(of_b);
        }
    }
    elements_no_error(bus);
    elements_no_error(other_bus);
    elements_teardown(&a, &bus);
    elements_teardown(&b, &other_bus);
}
END_TEST

/* The pool that upstream writes into belongs to the old device: it is offered a new one, and its frames are copied
 * until it takes that. */
START_TEST(test_old_memory)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    GstCaps *caps = gst_caps_from_string(CAPS);
    GstQuery *query = gst_query_new_allocation(caps, TRUE);
    GstBufferPool *pool = NULL;
    guint size, least, most;
    ck_assert(gst_pad_peer_query(harness->srcpad, query));
    gst_query_parse_nth_allocation_pool(query, 0, &pool, &size, &least, &most);
    GstStructure *config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, caps, size, least, most);
    ck_assert(gst_buffer_pool_set_config(pool, config));
    ck_assert(gst_buffer_pool_set_active(pool, TRUE));
    for (guint i = 0; i < 4; i++) {
        GstBuffer *buffer = NULL;
        ck_assert_int_eq(gst_buffer_pool_acquire_buffer(pool, &buffer, NULL), GST_FLOW_OK);
        gst_buffer_memset(buffer, 0, 0, gst_buffer_get_size(buffer));
        g_atomic_int_set(&lost_submits, i == 1);
        ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
        buffer = gst_harness_pull(harness);
        if (i == 1)
            expect_lost(buffer);
        else
            expect_inferred(buffer);
    }
    ck_assert_uint_ge(counter(harness, "copied"), 1);
    gboolean reconfigure = FALSE;
    for (GstEvent *event; (event = gst_harness_try_pull_upstream_event(harness));) {
        reconfigure |= GST_EVENT_TYPE(event) == GST_EVENT_RECONFIGURE;
        gst_event_unref(event);
    }
    ck_assert(reconfigure);
    gst_buffer_pool_set_active(pool, FALSE);
    gst_object_unref(pool);
    gst_query_unref(query);
    gst_caps_unref(caps);
    elements_teardown(&harness, &bus);
}
END_TEST

/* Three within a minute end in an error, once; stopped and started it runs again. */
START_TEST(test_three_times)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect max-in-flight=1", CAPS, &bus);
    GstFlowReturn flow = GST_FLOW_OK;
    for (guint i = 0; i < 3; i++) {
        expect_inferred(pass(harness, i));
        g_atomic_int_set(&lost_submits, 1);
        ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, i)), GST_FLOW_OK);
        expect_lost(gst_harness_pull(harness));
    }
    for (guint i = 0; flow == GST_FLOW_OK && i < 3; i++)
        flow = gst_harness_push(harness, elements_picture(CAPS, i));
    ck_assert_int_eq(flow, GST_FLOW_ERROR);
    char *text = elements_pop_message(bus, GST_MESSAGE_ERROR);
    ck_assert_ptr_nonnull(text);
    ck_assert_msg(strstr(text, "lost") && strstr(text, "minute"), "%s", text);
    g_free(text);
    elements_no_error(bus);
    ck_assert_int_eq(gst_element_set_state(harness->element, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
    ck_assert_int_eq(gst_element_set_state(harness->element, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("device-lost");
    TCase *tcase = tcase_create("lost");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_submit);
    tcase_add_test(tcase, test_wait);
    tcase_add_test(tcase, test_shared);
    tcase_add_test(tcase, test_old_memory);
    tcase_add_test(tcase, test_three_times);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
