/* What shrikedetect tells of its time: trace-file, trace-ops, stats-interval.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <string.h>

#include <shrike/model.h>

#include "trace_case.h"

#define CAPS   "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"
#define FRAMES 12

/* ---- trace-file ---- */

static GstHarness *open_stream(const char *name, const char *path, const char *settings, GstBus **bus)
{
    char *launch = g_strdup_printf("shrikedetect name=%s trace-file=\"%s\" %s", name, path, settings);
    GstHarness *harness = elements_harness(launch, CAPS, bus);
    g_free(launch);
    return harness;
}

static void pass(GstHarness *harness, guint first, guint count)
{
    for (guint i = first; i < first + count; i++) {
        ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, i)), GST_FLOW_OK);
        gst_buffer_unref(gst_harness_pull(harness));
    }
}

static char *device_of(GstHarness *harness)
{
    GstStructure *stats = NULL;
    gst_harness_get(harness, "shrikedetect", "stats", &stats, NULL);
    char *name = g_strdup(gst_structure_get_string(stats, "device"));
    gst_structure_free(stats);
    return name;
}

/* The groups of rows, in the file's order. */
static void expect_groups(const struct trace_content *trace, const char *const *names, guint count)
{
    for (guint i = 0; i < count; i++) {
        JsonObject *event = trace_find_event(trace, "M", "process_name", i);
        ck_assert_msg(event != NULL, "no group of rows for %s", names[i]);
        const char *name =
            json_object_get_string_member(json_object_get_object_member(event, "args"), "name");
        guint known = 0;
        for (guint k = 0; k < count; k++)
            known += strcmp(name, names[k]) == 0;
        ck_assert_msg(known == 1, "a group of rows for %s", name);
    }
    ck_assert_ptr_null(trace_find_event(trace, "M", "process_name", count));
}

static guint count_ops(const struct trace_content *trace)
{
    struct shk_model *model = NULL;
    struct shk_op_info info;
    struct shk_error error;
    guint found = 0;
    test_ok(shk_model_load_default(&model, &error), &error);
    for (uint32_t i = 0; i < shk_model_op_count(model); i++) {
        shk_model_get_op(model, i, &info);
        found += trace_count(trace, info.name) > 0;
    }
    shk_model_destroy(&model);
    return found;
}

/* Two streams, one engine, one file: a group of rows for each stream and one for the device; every frame with
 * its stages; ops where they are asked for, and only there. The file may be read while frames flow. */
START_TEST(test_two_streams)
{
    GstBus *buses[2];
    GstHarness *streams[2];
    char *path = trace_path("trace.json");
    const char *settings = _i ? "engine-id=traced trace-ops=true" : "engine-id=traced";
    streams[0] = open_stream("cam0", path, settings, &buses[0]);
    streams[1] = open_stream("cam1", path, settings, &buses[1]);
    char *device = device_of(streams[0]);
    pass(streams[0], 0, 3);
    struct trace_content read = trace_read(path);
    trace_clear(&read);
    pass(streams[0], 3, FRAMES - 3);
    pass(streams[1], 0, FRAMES);
    for (guint i = 0; i < 2; i++) {
        elements_no_error(buses[i]);
        elements_teardown(&streams[i], &buses[i]);
    }
    read = trace_read(path);
    expect_groups(&read, (const char *const[]){"cam0", "cam1", device}, 3);
    ck_assert_uint_eq(trace_count(&read, "total"), 2 * FRAMES);
    ck_assert_uint_eq(trace_count(&read, "inference"), 2 * FRAMES);
    ck_assert_uint_eq(trace_count(&read, "decode"), 2 * FRAMES);
    ck_assert_uint_eq(trace_count(&read, "cam0 inference"), FRAMES);
    ck_assert_uint_eq(trace_count(&read, "cam1 inference"), FRAMES);
    ck_assert_uint_eq(trace_missing(&read), 0);
    if (_i)
        ck_assert_uint_gt(count_ops(&read), 5);
    else
        ck_assert_uint_eq(count_ops(&read), 0);
    trace_clear(&read);
    g_free(device);
    g_free(path);
}
END_TEST

/* What the element does not infer has a mark with its reason. */
START_TEST(test_not_inferred)
{
    GstBus *bus;
    char *path = trace_path("trace.json");
    GstHarness *harness = open_stream("cam0", path, "inference-interval=3", &bus);
    pass(harness, 0, 9);
    elements_teardown(&harness, &bus);
    struct trace_content read = trace_read(path);
    ck_assert_uint_eq(trace_count(&read, "total"), 3);
    guint marks = 0;
    for (guint i = 0; i < json_array_get_length(read.events); i++) {
        JsonObject *event = json_array_get_object_element(read.events, i);
        marks += strcmp(json_object_get_string_member(event, "ph"), "i") == 0 &&
                 strstr(json_object_get_string_member(event, "name"), "interval") != NULL;
    }
    ck_assert_uint_eq(marks, 6);
    trace_clear(&read);
    g_free(path);
}
END_TEST

/* ---- stats-interval ---- */

static void check_percentiles(const GstStructure *stats, const char *stage)
{
    static const char *const names[] = {"p50", "p95", "p99"};
    guint64 values[3] = {0};
    for (guint i = 0; i < 3; i++) {
        char *field = g_strdup_printf("%s-%s", stage, names[i]);
        ck_assert_msg(gst_structure_get_uint64(stats, field, &values[i]), "no %s", field);
        g_free(field);
    }
    ck_assert_msg(values[0] <= values[1] && values[1] <= values[2],
                  "%s: %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT, stage, values[0],
                  values[1], values[2]);
}

static void check_stats(const GstStructure *stats, guint64 most_frames)
{
    static const char *const counters[] = {"inferred",
                                           "held",
                                           "passed",
                                           "dropped",
                                           "not-inferred-policy",
                                           "not-inferred-interval",
                                           "not-inferred-qos",
                                           "not-inferred-device-lost",
                                           "copied",
                                           "in-place",
                                           "latency",
                                           "batches",
                                           "device-losses"};
    static const char *const stages[] = {"queue",    "upload", "preprocess", "inference",
                                         "readback", "decode", "total"};
    guint64 frames, value;
    ck_assert_str_eq(gst_structure_get_name(stats), "shrike-stats");
    ck_assert(gst_structure_get_uint64(stats, "frames", &frames));
    ck_assert_msg(frames >= 1 && frames <= most_frames,
                  "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " frames", frames, most_frames);
    for (gsize i = 0; i < G_N_ELEMENTS(counters); i++)
        ck_assert_msg(gst_structure_get_uint64(stats, counters[i], &value), "no %s", counters[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(stages); i++)
        check_percentiles(stats, stages[i]);
    ck_assert_ptr_nonnull(gst_structure_get_string(stats, "device"));
}

/* Frames until three messages have come: each later than the one before. */
START_TEST(test_interval)
{
    GstBus *bus;
    guint64 frames, last = 0;
    GstHarness *harness = elements_harness("shrikedetect stats-interval=1", CAPS, &bus);
    for (guint i = 0, messages = 0; messages < 3; i++) {
        pass(harness, i, 1);
        GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ELEMENT);
        if (!message)
            continue;
        const GstStructure *stats = gst_message_get_structure(message);
        check_stats(stats, i + 1);
        ck_assert(gst_structure_get_uint64(stats, "frames", &frames));
        ck_assert_uint_gt(frames, last);
        last = frames;
        messages++;
        gst_message_unref(message);
    }
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

/* None without being asked, but that at the end. */
START_TEST(test_no_interval)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    pass(harness, 0, FRAMES);
    ck_assert_ptr_null(gst_bus_pop_filtered(bus, GST_MESSAGE_ELEMENT));
    ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
    GstMessage *message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_ELEMENT);
    check_stats(gst_message_get_structure(message), FRAMES);
    gst_message_unref(message);
    elements_teardown(&harness, &bus);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-trace");
    TCase *tcase = tcase_create("trace");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, trace_make_folder, trace_remove_folder);
    tcase_add_loop_test(tcase, test_two_streams, 0, 2);
    tcase_add_test(tcase, test_not_inferred);
    tcase_add_test(tcase, test_interval);
    tcase_add_test(tcase, test_no_interval);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
