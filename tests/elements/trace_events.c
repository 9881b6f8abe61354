/* Trace files: what is drawn for a frame, slices that nest, strange names and times.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace_case.h"

#include <string.h>

static void assert_slice(const struct trace_content *trace, const char *name, guint nth, guint64 start,
                         guint64 duration)
{
    const struct trace_slice *slice = trace_find_slice(trace, name, nth);
    ck_assert_msg(slice->start == (gint64)start && slice->end == (gint64)(start + duration),
                  "%s: from %" G_GINT64_FORMAT ", for %" G_GINT64_FORMAT, name, slice->start - (gint64)T0,
                  slice->end - slice->start);
}

/* Every stage is where it was measured, the upload between two halves of the queue. */
START_TEST(test_stages)
{
    char *path = trace_path("trace.json");
    struct trace_file *trace = trace_open(&(struct trace_params){.path = path, .stream = "cam0"});
    struct trace_frame frame = trace_make_frame(7, T0 + 1);
    trace_file_frame(trace, &frame);
    trace_file_close(&trace);
    ck_assert_ptr_null(trace);
    trace_file_close(&trace);

    struct trace_content read = trace_read(path);
    assert_slice(&read, "total", 0, T0 + 1, 21 * MS);
    assert_slice(&read, "queue", 0, T0 + 1, 2 * MS);
    assert_slice(&read, "upload", 0, T0 + 1 + 2 * MS, 1 * MS);
    assert_slice(&read, "queue", 1, T0 + 1 + 3 * MS, 3 * MS);
    assert_slice(&read, "preprocess", 0, T0 + 1 + 6 * MS, 1 * MS);
    assert_slice(&read, "inference", 0, T0 + 1 + 7 * MS, 10 * MS);
    assert_slice(&read, "readback", 0, T0 + 1 + 17 * MS, 1 * MS);
    assert_slice(&read, "decode", 0, T0 + 1 + 18 * MS, 2 * MS);
    assert_slice(&read, "cam0 preprocess", 0, T0 + 1 + 6 * MS, 1 * MS);
    assert_slice(&read, "cam0 inference", 0, T0 + 1 + 7 * MS, 10 * MS);
    JsonObject *args = json_object_get_object_member(trace_find_event(&read, "X", "total", 0), "args");
    ck_assert_int_eq(json_object_get_int_member(args, "frame"), 7);
    ck_assert_int_eq(json_object_get_int_member(args, "in_flight"), 2);
    ck_assert_str_eq(json_object_get_string_member(args, "device"), "device A");
    gint64 stream = 1;
    ck_assert_str_eq(g_hash_table_lookup(read.rows, &stream), "cam0");
    trace_clear(&read);
    g_free(path);
}
END_TEST

/* Frames in flight overlap: they go to different rows, and the counter follows them. */
START_TEST(test_overlap)
{
    char *path = trace_path("trace.json");
    struct trace_file *trace = trace_open(&(struct trace_params){.path = path, .stream = "cam0"});
    for (guint i = 0; i < 100; i++) {
        struct trace_frame frame = trace_make_frame(i, T0 + i * 11 * MS);
        trace_file_frame(trace, &frame);
    }
    trace_file_close(&trace);

    struct trace_content read = trace_read(path);
    ck_assert_uint_eq(trace_count(&read, "total"), 100);
    ck_assert_uint_eq(trace_count(&read, "cam0 inference"), 100);
    const struct trace_slice *first = &g_array_index(read.slices, struct trace_slice, 0);
    guint rows = 1;
    for (guint i = 1; i < read.slices->len; i++)
        rows += first[i].row != first[i - 1].row;
    ck_assert_uint_eq(rows, 3); /* two of the stream, one of the device */
    static const gint64 expected[] = {1, 2, 1, 2, 1, 2};
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++)
        ck_assert_int_eq(json_object_get_int_member(json_object_get_object_member(
                                                        trace_find_event(&read, "C", "in flight", i), "args"),
                                                    "frames"),
                         expected[i]);
    JsonObject *last = trace_find_event(&read, "C", "in flight", 199);
    ck_assert_int_eq(json_object_get_int_member(json_object_get_object_member(last, "args"), "frames"), 0);
    ck_assert_int_eq(trace_ns(last, "ts"), (gint64)(T0 + (99 * 11 + 21) * MS));
    trace_clear(&read);
    g_free(path);
}
END_TEST

START_TEST(test_ops)
{
    static const char *const names[] = {"conv \"0\"", "relu\n", "conv\\1", "\xff\x80 bytes", "past the end"};
    static const guint64 times[] = {4 * MS, 0, 5 * MS, 3 * MS, 2 * MS};
    char *path = trace_path("trace.json");
    struct trace_file *trace =
        trace_open(&(struct trace_params){.path = path, .stream = "cam0", .op_names = names, .op_count = 5});
    struct trace_frame frame = trace_make_frame(0, T0);
    frame.op_times = times;
    trace_file_frame(trace, &frame);
    trace_file_close(&trace);

    struct trace_content read = trace_read(path);
    assert_slice(&read, names[0], 0, T0 + 7 * MS, 4 * MS);
    ck_assert_uint_eq(trace_count(&read, names[1]), 0);
    assert_slice(&read, names[2], 0, T0 + 11 * MS, 5 * MS);
    assert_slice(&read, "?? bytes", 0, T0 + 16 * MS, 1 * MS); /* cut where the inference ends */
    JsonObject *cut = json_object_get_object_member(trace_find_event(&read, "X", "?? bytes", 0), "args");
    ck_assert_int_eq(trace_ns(cut, "measured_us"), 3 * MS);
    trace_clear(&read);
    g_free(path);
}
END_TEST

/* Three frames that the device worked on together are one slice there. */
START_TEST(test_batch)
{
    char *path = trace_path("trace.json");
    struct trace_file *a = trace_open(&(struct trace_params){.path = path, .stream = "cam0"}),
                      *b = trace_open(&(struct trace_params){.path = path, .stream = "cam1"});
    for (guint i = 0; i < 3; i++) {
        struct trace_frame frame = trace_make_frame(i, T0 + i);
        frame.batch_size = 3;
        frame.stages[SHK_STAGE_PREPROCESS] = (struct shk_stage_time){T0 + (6 + i) * MS, 1 * MS};
        frame.stages[SHK_STAGE_INFERENCE].start = T0 + 9 * MS;
        trace_file_frame(i == 1 ? b : a, &frame);
    }
    trace_file_close(&a);
    trace_file_close(&b);

    struct trace_content read = trace_read(path);
    ck_assert_uint_eq(trace_count(&read, "inference"), 3);
    ck_assert_uint_eq(trace_count(&read, "inference, batch of 3"), 1);
    ck_assert_uint_eq(trace_count(&read, "cam0 preprocess") + trace_count(&read, "cam1 preprocess"), 3);
    ck_assert_int_eq(trace_find_slice(&read, "cam1 preprocess", 0)->row,
                     trace_find_slice(&read, "inference, batch of 3", 0)->row);
    trace_clear(&read);
    g_free(path);
}
END_TEST

START_TEST(test_not_inferred)
{
    char *path = trace_path("trace.json");
    struct trace_file *trace = trace_open(&(struct trace_params){.path = path, .stream = "cam0"});
    static const enum trace_status statuses[] = {TRACE_HELD, TRACE_PASSED, TRACE_DROPPED};
    static const char *const reasons[] = {"interval", NULL, "a reason that is longer than thirty-one bytes"};
    for (guint i = 0; i < 3; i++) {
        struct trace_frame frame = {
            .number = i, .pts = G_MAXUINT64, .status = statuses[i], .reason = reasons[i]};
        if (i < 2)
            frame.stages[SHK_STAGE_TOTAL] = (struct shk_stage_time){T0, (i + 1) * MS};
        trace_file_frame(trace, &frame);
    }
    trace_file_close(&trace);

    struct trace_content read = trace_read(path);
    ck_assert_uint_eq(read.slices->len, 0);
    JsonObject *held = trace_find_event(&read, "i", "held: interval", 0);
    ck_assert_ptr_nonnull(held);
    ck_assert_int_eq(trace_ns(held, "ts"), (gint64)(T0 + MS));
    ck_assert(!json_object_has_member(json_object_get_object_member(held, "args"), "pts_us"));
    ck_assert_ptr_nonnull(trace_find_event(&read, "i", "passed", 0));
    JsonObject *dropped = trace_find_event(&read, "i", "dropped: a reason that is longer than th", 0);
    ck_assert_ptr_nonnull(dropped);
    ck_assert_int_gt(trace_ns(dropped, "ts"), 0);
    trace_clear(&read);
    g_free(path);
}
END_TEST

/* Times that cannot be: the file stays valid and its slices nest. Where some are huge the test can only look
 * at the first: the parser's numbers are doubles. */
START_TEST(test_strange_times)
{
    static const guint64 values[] = {0,          1, T0, T0 + 5 * MS, T0 + 30 * MS, 9 * MS, G_MAXUINT64 / 2,
                                     G_MAXUINT64};
    guint value_count = _i ? G_N_ELEMENTS(values) : G_N_ELEMENTS(values) - 2;
    char *path = trace_path("trace.json");
    struct trace_file *trace = trace_open(&(struct trace_params){.path = path, .stream = ""});
    struct test_rng rng = {1};
    for (guint i = 0; i < 300; i++) {
        struct trace_frame frame = trace_make_frame(i, T0 + (i % 50) * 3 * MS);
        for (guint k = 0; k < 4; k++) {
            struct shk_stage_time *stage = &frame.stages[test_random_below(&rng, SHK_STAGE_COUNT)];
            guint64 value = values[test_random_below(&rng, value_count)];
            *(test_random_below(&rng, 2) ? &stage->start : &stage->duration) = value;
        }
        trace_file_frame(trace, &frame);
    }
    trace_file_close(&trace);
    if (_i == 0) {
        struct trace_content read = trace_read(path);
        ck_assert_uint_gt(trace_count(&read, "total"), 50);
        trace_clear(&read);
    } else {
        JsonParser *parser = json_parser_new();
        ck_assert(json_parser_load_from_file(parser, path, NULL));
        g_object_unref(parser);
    }
    g_free(path);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("trace_events");
    TCase *tcase = tcase_create("trace_events");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, trace_make_folder, trace_remove_folder);
    tcase_add_test(tcase, test_stages);
    tcase_add_test(tcase, test_overlap);
    tcase_add_test(tcase, test_ops);
    tcase_add_test(tcase, test_batch);
    tcase_add_test(tcase, test_not_inferred);
    tcase_add_loop_test(tcase, test_strange_times, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
