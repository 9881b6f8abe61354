/* Frames that the network has no time for: drop policies, inference-interval, QoS; what is counted and what is said.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "elements.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include "shrike_meta.h"

#define CAPS "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"

/* ---- A device that is not done ---- */

/* This program stands between libshrike and the driver: while the gate is closed nobody sees a frame done. */
static struct {
    GMutex lock;
    GCond changed;
    gboolean closed, reached;
} gate;

static void stand_before_gate(void)
{
    g_mutex_lock(&gate.lock);
    gate.reached = TRUE;
    g_cond_broadcast(&gate.changed);
    while (gate.closed)
        g_cond_wait(&gate.changed, &gate.lock);
    g_mutex_unlock(&gate.lock);
}

/* The library finds this function before the loader's. */
VKAPI_ATTR VkResult VKAPI_CALL vkWaitForFences(VkDevice device, uint32_t count, const VkFence *fences, VkBool32 all,
                                               uint64_t timeout)
{
    PFN_vkWaitForFences real = (PFN_vkWaitForFences)dlsym(RTLD_NEXT, "vkWaitForFences");
    stand_before_gate();
    return real(device, count, fences, all, timeout);
}

/* Returns when frame 0 is on the device, which is not done with it before open_gate(). */
static void close_gate(GstHarness *harness)
{
    g_mutex_lock(&gate.lock);
    gate.closed = TRUE;
    gate.reached = FALSE;
    g_mutex_unlock(&gate.lock);
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, 0)), GST_FLOW_OK);
    g_mutex_lock(&gate.lock);
    while (!gate.reached)
        g_cond_wait(&gate.changed, &gate.lock);
    g_mutex_unlock(&gate.lock);
}

static void open_gate(void)
{
    g_mutex_lock(&gate.lock);
    gate.closed = FALSE;
    g_cond_broadcast(&gate.changed);
    g_mutex_unlock(&gate.lock);
}

/* ---- What came out ---- */

static guint64 counter(GstHarness *harness, const char *field)
{
    GstStructure *stats = NULL;
    guint64 value = 0;
    gst_harness_get(harness, "shrikedetect", "stats", &stats, NULL);
    ck_assert_msg(gst_structure_get_uint64(stats, field, &value), "no %s in stats", field);
    gst_structure_free(stats);
    return value;
}

static const char *text(GstBuffer *buffer, const char *field)
{
    const char *value = gst_structure_get_string(elements_latency(buffer), field);
    ck_assert_msg(value != NULL, "no %s", field);
    return value;
}

static guint64 number(GstBuffer *buffer, const char *field)
{
    guint64 value = 0;
    ck_assert_msg(gst_structure_get_uint64(elements_latency(buffer), field, &value), "no %s", field);
    return value;
}

static void expect_passed(GstBuffer *buffer, const char *reason)
{
    ck_assert_str_eq(text(buffer, SHRIKE_FIELD_STATUS), SHRIKE_STATUS_PASSED);
    ck_assert_str_eq(text(buffer, SHRIKE_FIELD_REASON), reason);
    ck_assert_uint_eq(elements_detection_count(buffer), 0);
    ck_assert_uint_eq(number(buffer, "inference-duration"), 0);
}

static void expect_inferred(GstBuffer *buffer)
{
    ck_assert_str_eq(text(buffer, SHRIKE_FIELD_STATUS), SHRIKE_STATUS_INFERRED);
    ck_assert_str_eq(text(buffer, SHRIKE_FIELD_REASON), "");
    ck_assert_uint_eq(number(buffer, SHRIKE_FIELD_AGE), 0);
    elements_check_latency(buffer);
}

static GstBuffer *pull(GstHarness *harness, guint expected)
{
    GstBuffer *buffer = gst_harness_pull(harness);
    ck_assert_ptr_nonnull(buffer);
    ck_assert_uint_eq(GST_BUFFER_PTS(buffer), expected * 40 * GST_MSECOND);
    return buffer;
}

static void push(GstHarness *harness, guint first, guint count)
{
    for (guint i = first; i < first + count; i++)
        ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, i)), GST_FLOW_OK);
}

/* ---- Drop policies ---- */

/* All ten frames leave in order; two of them saw the network: the one on the device, and the newest, which waited. */
START_TEST(test_leaky)
{
    GstBus *bus;
    GstHarness *harness =
        elements_harness("shrikedetect max-in-flight=1 drop-policy=leaky score-threshold=0.05", CAPS, &bus);
    close_gate(harness);
    push(harness, 1, 9);
    open_gate();
    guint inferred = 0;
    for (guint i = 0; i < 10; i++) {
        GstBuffer *buffer = pull(harness, i);
        ck_assert_uint_eq(number(buffer, SHRIKE_FIELD_FRAME), i);
        if (strcmp(text(buffer, SHRIKE_FIELD_STATUS), SHRIKE_STATUS_INFERRED) == 0) {
            inferred++;
            expect_inferred(buffer);
        } else {
            expect_passed(buffer, "policy");
        }
        if (i == 9)
            expect_inferred(buffer);
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_eq(inferred, 2);
    ck_assert_uint_eq(counter(harness, "inferred"), 2);
    ck_assert_uint_eq(counter(harness, "passed"), 8);
    ck_assert_uint_eq(counter(harness, "frames"), 10);
    ck_assert_uint_eq(counter(harness, "dropped"), 0);
    ck_assert_uint_eq(counter(harness, "not-inferred-policy"), 8);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

START_TEST(test_hold)
{
    GstBus *bus;
    GstHarness *harness =
        elements_harness("shrikedetect max-in-flight=1 drop-policy=hold score-threshold=0.05", CAPS, &bus);
    close_gate(harness);
    push(harness, 1, 5);
    open_gate();
    GstBuffer *first = pull(harness, 0);
    expect_inferred(first);
    ck_assert_uint_gt(elements_detection_count(first), 0);
    for (guint i = 1; i < 6; i++) {
        GstBuffer *buffer = pull(harness, i);
        ck_assert_str_eq(text(buffer, SHRIKE_FIELD_STATUS), SHRIKE_STATUS_HELD);
        ck_assert_str_eq(text(buffer, SHRIKE_FIELD_REASON), "policy");
        ck_assert_uint_eq(number(buffer, SHRIKE_FIELD_AGE), i * 40 * GST_MSECOND);
        elements_same_detections(first, buffer, 0.0);
        ck_assert_ptr_nonnull(gst_buffer_get_video_region_of_interest_meta_id(buffer, 0));
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_eq(counter(harness, "held"), 5);
    gst_buffer_unref(first);
    /* what was held belongs to the segment before */
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_set(harness, "shrikedetect", "inference-interval", 4, NULL);
    ck_assert(gst_harness_push_event(harness, gst_event_new_segment(&segment)));
    push(harness, 6, 1);
    GstBuffer *buffer = pull(harness, 6);
    expect_passed(buffer, "interval");
    gst_buffer_unref(buffer);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

START_TEST(test_skip)
{
    GstBus *bus;
    guint dropped = 0;
    GstHarness *harness = elements_harness("shrikedetect max-in-flight=1 drop-policy=skip", CAPS, &bus);
    close_gate(harness);
    push(harness, 1, 5);
    open_gate();
    GstBuffer *buffer = pull(harness, 0);
    gst_buffer_unref(buffer);
    push(harness, 6, 1);
    buffer = pull(harness, 6);
    expect_inferred(buffer);
    /* the count travels on a frame that left after the drops */
    ck_assert(gst_structure_get_uint(elements_latency(buffer), SHRIKE_FIELD_DROPPED, &dropped));
    ck_assert_uint_eq(counter(harness, "dropped"), 5);
    ck_assert_uint_le(dropped, 5);
    gst_buffer_unref(buffer);
    for (guint64 i = 1; i <= 5; i++) {
        GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_QOS);
        GstFormat format;
        guint64 processed, total, timestamp;
        ck_assert_ptr_nonnull(message);
        gst_message_parse_qos(message, NULL, NULL, NULL, &timestamp, NULL);
        gst_message_parse_qos_stats(message, &format, &processed, &total);
        ck_assert_uint_eq(timestamp, i * 40 * GST_MSECOND);
        ck_assert_uint_eq(total, i);
        gst_message_unref(message);
    }
    ck_assert_ptr_null(gst_bus_pop_filtered(bus, GST_MESSAGE_QOS));
    elements_teardown(&harness, &bus);
}
END_TEST

START_TEST(test_interval)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect inference-interval=3 stats-interval=1", CAPS, &bus);
    push(harness, 0, 1);
    for (guint i = 0; i < 9; i++) {
        GstBuffer *buffer = pull(harness, i);
        if (i % 3 == 0)
            expect_inferred(buffer);
        else
            expect_passed(buffer, "interval");
        gst_buffer_unref(buffer);
        push(harness, i + 1, 1);
    }
    ck_assert_uint_eq(counter(harness, "not-inferred-interval"), 6);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

/* ---- QoS ---- */

static void push_qos(GstHarness *harness, GstClockTimeDiff jitter, guint frame)
{
    ck_assert(gst_harness_push_upstream_event(
        harness, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 1.5, jitter, frame * 40 * GST_MSECOND)));
}

START_TEST(test_qos)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect qos=true", CAPS, &bus);
    GstBuffer *buffer;
    push(harness, 0, 1);
    gst_buffer_unref(pull(harness, 0));
    /* frame 0 came 60 ms late: frames up to 120 ms have no chance */
    push_qos(harness, 60 * GST_MSECOND, 0);
    push(harness, 1, 4);
    for (guint i = 1; i < 5; i++) {
        buffer = pull(harness, i);
        if (i <= 3)
            expect_passed(buffer, "qos");
        else
            expect_inferred(buffer);
        gst_buffer_unref(buffer);
    }
    ck_assert_uint_eq(counter(harness, "not-inferred-qos"), 3);
    /* the event went on upstream */
    GstEvent *event = gst_harness_try_pull_upstream_event(harness);
    while (event && GST_EVENT_TYPE(event) != GST_EVENT_QOS) {
        gst_event_unref(event);
        event = gst_harness_try_pull_upstream_event(harness);
    }
    ck_assert_ptr_nonnull(event);
    gst_event_unref(event);
    /* without the property it is not obeyed */
    gst_harness_set(harness, "shrikedetect", "qos", FALSE, NULL);
    push_qos(harness, 400 * GST_MSECOND, 5);
    push(harness, 5, 1);
    buffer = pull(harness, 5);
    expect_inferred(buffer);
    gst_buffer_unref(buffer);
    /* a late frame is dropped, and said to be, where frames may be dropped */
    gst_harness_set(harness, "shrikedetect", "qos", TRUE, "drop-policy", 2, NULL);
    push(harness, 6, 1);
    push_qos(harness, 0, 1);
    push(harness, 7, 1);
    gst_buffer_unref(pull(harness, 7));
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_QOS);
    ck_assert_ptr_nonnull(message);
    gst_message_unref(message);
    elements_teardown(&harness, &bus);
}
END_TEST

/* ---- LATENCY ---- */

/* Known before the first frame; a message when it changes; never less than one frame takes. */
START_TEST(test_latency_depth)
{
    GstBus *bus;
    GstHarness *one = elements_harness("shrikedetect max-in-flight=1", CAPS, &bus);
    GstBus *other_bus;
    GstHarness *eight = elements_harness("shrikedetect max-in-flight=8", CAPS, &other_bus);
    gst_harness_set_upstream_latency(one, 0);
    gst_harness_set_upstream_latency(eight, 0);
    GstClockTime of_one = gst_harness_query_latency(one), of_eight = gst_harness_query_latency(eight);
    ck_assert_uint_gt(of_one, 0);
    ck_assert_uint_gt(of_eight, of_one);
    elements_teardown(&one, &bus);
    elements_teardown(&eight, &other_bus);
}
END_TEST

/* ---- What upstream may write into ---- */

START_TEST(test_proposed_pool)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    GstCaps *caps = gst_caps_from_string(CAPS);
    GstQuery *query = gst_query_new_allocation(caps, TRUE);
    ck_assert(gst_pad_peer_query(harness->srcpad, query));
    ck_assert_uint_ge(gst_query_get_n_allocation_pools(query), 1);
    GstBufferPool *pool = NULL;
    guint size, least, most;
    gst_query_parse_nth_allocation_pool(query, 0, &pool, &size, &least, &most);
    ck_assert_ptr_nonnull(pool);
    GstStructure *config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, caps, size, least, most);
    ck_assert(gst_buffer_pool_set_config(pool, config));
    ck_assert(gst_buffer_pool_set_active(pool, TRUE));
    GstBuffer *expected = elements_picture(CAPS, 3), *picture = elements_picture(CAPS, 3), *buffer = NULL;
    ck_assert_int_eq(gst_buffer_pool_acquire_buffer(pool, &buffer, NULL), GST_FLOW_OK);
    GstMapInfo map;
    ck_assert(gst_buffer_map(picture, &map, GST_MAP_READ));
    gst_buffer_fill(buffer, 0, map.data, map.size);
    gst_buffer_unmap(picture, &map);
    gst_buffer_unref(picture);
    /* written into our pool and foreign memory: the same detections, and only the foreign one takes an upload */
    GST_BUFFER_PTS(buffer) = GST_BUFFER_PTS(expected);
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    GstBuffer *in_place = pull(harness, 3);
    ck_assert_int_eq(gst_harness_push(harness, expected), GST_FLOW_OK);
    GstBuffer *copied = pull(harness, 3);
    elements_same_detections(in_place, copied, 0.0);
    ck_assert_uint_eq(number(in_place, "upload-duration"), 0);
    ck_assert_uint_gt(number(copied, "upload-duration"), 0);
    ck_assert_uint_eq(counter(harness, "in-place"), 1);
    ck_assert_uint_eq(counter(harness, "copied"), 1);
    gst_buffer_unref(in_place);
    gst_buffer_unref(copied);
    gst_buffer_pool_set_active(pool, FALSE);
    gst_object_unref(pool);
    gst_query_unref(query);
    gst_caps_unref(caps);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

/* A buffer of system memory that comes again and again is imported, where the device can. */
START_TEST(test_memory_that_comes_again)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    GstBuffer *buffer = elements_picture(CAPS, 1);
    GstMemory *memory = gst_buffer_get_memory(buffer, 0);
    gst_buffer_unref(buffer);
    for (guint i = 0; i < 4; i++) {
        buffer = gst_buffer_new();
        gst_buffer_append_memory(buffer, gst_memory_ref(memory));
        GST_BUFFER_PTS(buffer) = i * 40 * GST_MSECOND;
        ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
        gst_buffer_unref(pull(harness, i));
    }
    guint64 in_place = counter(harness, "in-place"), copied = counter(harness, "copied");
    ck_assert_uint_eq(in_place + copied, 4);
    ck_assert_uint_ge(copied, 1);
    if (in_place == 0)
        printf("memory of others is not imported on this device\n");
    else
        ck_assert_uint_eq(in_place, 3);
    gst_memory_unref(memory);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-live");
    TCase *tcase = tcase_create("live");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_leaky);
    tcase_add_test(tcase, test_hold);
    tcase_add_test(tcase, test_skip);
    tcase_add_test(tcase, test_interval);
    tcase_add_test(tcase, test_qos);
    tcase_add_test(tcase, test_latency_depth);
    tcase_add_test(tcase, test_proposed_pool);
    tcase_add_test(tcase, test_memory_that_comes_again);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
