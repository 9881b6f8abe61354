/* shrikejson: what its lines say, files, standard output, files that cannot be written, states.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_case.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json_text.h"

static const char golden[] =
    "{\"schema\":1,\"stream\":\"cam\",\"frame\":7,\"pts\":280000000,\"width\":640,\"height\":480,\"status\":"
    "\"held\","
    "\"age\":40000000,\"reason\":\"interval\",\"dropped\":2,\"in_flight\":3,\"batch_size\":4,\"device\":"
    "\"test device\","
    "\"latency\":{\"queue\":1000,\"upload\":2000,\"preprocess\":3000,\"inference\":4000,\"readback\":5000,"
    "\"decode\":6000,\"total\":7000},"
    "\"detections\":[{\"label\":\"ball\",\"label_id\":3,\"confidence\":0.905882,\"x_min\":0.25,\"y_min\":0."
    "333333,"
    "\"x_max\":0.5,\"y_max\":1,\"x\":160,\"y\":160,\"w\":160,\"h\":320,\"track_id\":17}]}\n";

/* Pushes a frame, ends the stream and returns what is in the file. */
static char *write_frame(const char *launch, const char *caps, GstBuffer *buffer)
{
    GstBus *bus;
    char *text, *line = json_launch(launch), *path = json_path("out");
    GstHarness *harness = elements_harness(line, caps, &bus);
    ck_assert_int_eq(gst_harness_push(harness, buffer), GST_FLOW_OK);
    ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    g_free(path);
    g_free(line);
    return text;
}

/* The same, parsed; there must be one line. */
static JsonObject *parse_frame(const char *launch, const char *caps, GstBuffer *buffer)
{
    char *text = write_frame(launch, caps, buffer);
    GPtrArray *lines = json_parse_lines(text, strlen(text));
    ck_assert_uint_eq(lines->len, 1);
    JsonObject *line = json_object_ref(g_ptr_array_index(lines, 0));
    g_ptr_array_unref(lines);
    g_free(text);
    return line;
}

static JsonObject *detection_of(JsonObject *line, guint index)
{
    return json_array_get_object_element(json_object_get_array_member(line, "detections"), index);
}

/* ---- Lines ---- */

START_TEST(test_golden)
{
    static const char *const locales[] = {"C", "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "cs_CZ.UTF-8"};
    for (guint i = 0; i < G_N_ELEMENTS(locales); i++) {
        if (!setlocale(LC_NUMERIC, locales[i]))
            continue;
        char *text = write_frame("shrikejson location=%s/out", JSON_CAPS, json_frame(7, "ball"));
        setlocale(LC_NUMERIC, "C");
        ck_assert_str_eq(text, golden);
        g_free(text);
    }
}
END_TEST

START_TEST(test_without_latency)
{
    JsonObject *line =
        parse_frame("shrikejson include-latency=false location=%s/out", JSON_CAPS, json_frame(7, "ball"));
    ck_assert(!json_object_has_member(line, "latency"));
    ck_assert(json_object_has_member(line, "detections"));
    json_object_unref(line);
}
END_TEST

static const char *const labels[] = {
    "",
    "say \"hello\"",
    "back\\slash/slash",
    "tab\t newline\n return\r \b\f",
    "\x01\x02\x1f\x7f",
    "\xc3\xa9t\xc3\xa9 \xe7\x8a\xac \xf0\x9f\x90\xb6 \xe2\x80\xa8",
    "{\"label\":[1,2]}",
};

START_TEST(test_labels)
{
    JsonObject *line = parse_frame("shrikejson location=%s/out", JSON_CAPS, json_frame(0, labels[_i]));
    if (*labels[_i])
        ck_assert_str_eq(json_object_get_string_member(detection_of(line, 0), "label"), labels[_i]);
    else
        ck_assert(json_object_get_null_member(detection_of(line, 0), "label"));
    json_object_unref(line);
}
END_TEST

/* GstStructure refuses such strings; the device's and the element's name need not come from there for ever.
 */
START_TEST(test_broken_utf8)
{
    static const struct {
        const char *text, *written;
    } cases[] = {
        {"\xff", "\"\xef\xbf\xbd\""},
        {"a\xc3", "\"a\xef\xbf\xbd\""},
        {"\xc3\"b", "\"\xef\xbf\xbd\\\"b\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
        {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* too long a form */
        {"x\xf0\x9f\x90\xb6\x80y\n", "\"x\xf0\x9f\x90\xb6\xef\xbf\xbdy\\n\""},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        GString *text = g_string_new(NULL);
        json_text_string(text, cases[i].text);
        ck_assert_str_eq(text->str, cases[i].written);
        g_string_free(text, TRUE);
    }
}
END_TEST

static GstStructure *first_detection(GstBuffer *buffer)
{
    const GValue *list = gst_structure_get_value(json_fields(buffer), "detections");
    return g_value_get_boxed(gst_value_array_get_value(list, 0));
}

static void set_value(GstBuffer *buffer, const char *field, double value)
{
    gst_structure_set(first_detection(buffer), field, G_TYPE_DOUBLE, value, NULL);
}

/* What other elements have added to a detection. */
START_TEST(test_additions)
{
    GstBuffer *buffer = json_frame(0, "ball");
    GstStructure *class = gst_structure_new("classification", "label", G_TYPE_STRING, "round", "label_id", G_TYPE_INT, 5,
                                            "confidence", G_TYPE_DOUBLE, 0.5, NULL);
    gst_structure_set(first_detection(buffer), "predicted", G_TYPE_BOOLEAN, TRUE, "classification",
                      GST_TYPE_STRUCTURE, class, NULL);
    gst_structure_free(class);
    JsonObject *line = parse_frame("shrikejson location=%s/out", JSON_CAPS, buffer), *detection = detection_of(line, 0);
    JsonObject *said = json_object_get_object_member(detection, "classification");
    ck_assert(json_object_get_boolean_member(detection, "predicted"));
    ck_assert_str_eq(json_object_get_string_member(said, "label"), "round");
    ck_assert_int_eq(json_object_get_int_member(said, "label_id"), 5);
    ck_assert_double_eq(json_object_get_double_member(said, "confidence"), 0.5);
    json_object_unref(line);
}
END_TEST

START_TEST(test_numbers)
{
    GstBuffer *buffer = json_frame(0, "ball");
    GST_BUFFER_PTS(buffer) = GST_CLOCK_TIME_NONE;
    set_value(buffer, "confidence", NAN);
    set_value(buffer, "x_min", -INFINITY);
    set_value(buffer, "y_min", -1e300);
    set_value(buffer, "x_max", 1e-7);
    set_value(buffer, "y_max", 1e300);
    JsonObject *line = parse_frame("shrikejson location=%s/out", JSON_CAPS, buffer),
               *detection = detection_of(line, 0);
    ck_assert(json_object_get_null_member(line, "pts"));
    ck_assert(json_object_get_null_member(detection, "confidence"));
    ck_assert(json_object_get_null_member(detection, "x_min"));
    ck_assert(json_object_get_null_member(detection, "x"));
    ck_assert(json_object_get_null_member(detection, "w"));
    ck_assert_double_eq(json_object_get_double_member(detection, "x_max"), 1e-7);
    ck_assert_int_eq(json_object_get_int_member(detection, "y"), 0);
    ck_assert_int_eq(json_object_get_int_member(detection, "h"), 480);
    json_object_unref(line);
}
END_TEST

/* Other versions of shrikedetect, and whoever else writes the meta. */
START_TEST(test_missing_fields)
{
    static const char *const members[] = {"stream", "frame",     "width",      "height", "status", "age",
                                          "reason", "in_flight", "batch_size", "device", "dropped"};
    GstBuffer *buffer = json_frame(0, "ball");
    GstStructure *fields = json_fields(buffer);
    gst_structure_remove_all_fields(fields);
    gst_structure_set(fields, "frame", G_TYPE_STRING, "seven", "device", G_TYPE_INT, 3, "detections",
                      G_TYPE_INT, 4, "reason", G_TYPE_STRING, "", NULL);
    JsonObject *line = parse_frame("shrikejson location=%s/out", "audio/x-raw,rate=8000", buffer);
    for (guint i = 0; i < G_N_ELEMENTS(members); i++)
        ck_assert_msg(json_object_get_null_member(line, members[i]), "%s", members[i]);
    ck_assert(json_object_get_null_member(json_object_get_object_member(line, "latency"), "total"));
    ck_assert_uint_eq(json_array_get_length(json_object_get_array_member(line, "detections")), 0);
    json_object_unref(line);
}
END_TEST

START_TEST(test_without_meta)
{
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, 16, NULL);
    char *text = write_frame("shrikejson location=%s/out", JSON_CAPS, buffer);
    ck_assert_str_eq(text, "");
    g_free(text);
}
END_TEST

/* shrikedetect sends it on from a thread of its own. */
static void wait_for_eos(GstHarness *harness)
{
    GstEventType type;
    do {
        GstEvent *event = gst_harness_pull_event(harness);
        ck_assert_ptr_nonnull(event);
        type = GST_EVENT_TYPE(event);
        gst_event_unref(event);
    } while (type != GST_EVENT_EOS);
}

/* What shrikedetect writes, next to its regions. */
START_TEST(test_detect)
{
    const char *caps = "video/x-raw,format=GRAY8,width=160,height=120,framerate=25/1";
    GstBus *bus;
    char *launch = json_launch("shrikedetect name=cam score-threshold=0.05 device=cpu-reference ! "
                               "shrikejson location=%s/out"),
         *path = json_path("out");
    GstHarness *harness = elements_harness(launch, caps, &bus);
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(caps, 1)), GST_FLOW_OK);
    ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
    GstBuffer *buffer = gst_harness_pull(harness);
    wait_for_eos(harness);
    GPtrArray *lines = json_read_file(path);
    json_check_frames(lines, 0, 1);
    JsonObject *line = g_ptr_array_index(lines, 0);
    ck_assert_str_eq(json_object_get_string_member(line, "stream"), "cam");
    ck_assert_str_eq(json_object_get_string_member(line, "status"), "inferred");
    ck_assert_int_gt(json_object_get_int_member(json_object_get_object_member(line, "latency"), "total"), 0);
    guint count = elements_detection_count(buffer);
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_eq(json_array_get_length(json_object_get_array_member(line, "detections")), count);
    gpointer state = NULL;
    for (guint i = 0; i < count; i++) {
        GstVideoRegionOfInterestMeta *region =
            (GstVideoRegionOfInterestMeta *)gst_buffer_iterate_meta_filtered(
                buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
        JsonObject *detection = detection_of(line, i);
        ck_assert_str_eq(json_object_get_string_member(detection, "label"),
                         g_quark_to_string(region->roi_type));
        ck_assert_int_eq(json_object_get_int_member(detection, "x"), region->x);
        ck_assert_int_eq(json_object_get_int_member(detection, "y"), region->y);
        ck_assert_int_eq(json_object_get_int_member(detection, "w"), region->w);
        ck_assert_int_eq(json_object_get_int_member(detection, "h"), region->h);
    }
    gst_buffer_unref(buffer);
    g_ptr_array_unref(lines);
    elements_teardown(&harness, &bus);
    g_free(path);
    g_free(launch);
}
END_TEST

/* ---- Files ---- */

/* Complete at the end of the stream, before the element stops. */
START_TEST(test_file)
{
    GstBus *bus;
    char *path = json_path("out");
    GstHarness *harness = json_harness("shrikejson max-queue=3 location=%s/out", &bus);
    json_push(harness, 0, 1000);
    ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
    GPtrArray *lines = json_read_file(path);
    json_check_frames(lines, 0, 1000);
    ck_assert_uint_eq(json_stat(harness->element, "accepted"), 1000);
    ck_assert_uint_eq(json_stat(harness->element, "written"), 1000);
    g_ptr_array_unref(lines);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    g_free(path);
}
END_TEST

/* Also without an end of the stream all lines are written. */
START_TEST(test_append)
{
    GstBus *bus;
    char *path = json_path("out");
    for (guint i = 0; i < 4; i++) {
        GstHarness *harness = json_harness(
            i < 3 ? "shrikejson append=true location=%s/out" : "shrikejson location=%s/out", &bus);
        json_push(harness, i * 100, 100);
        elements_no_error(bus);
        elements_teardown(&harness, &bus);
        GPtrArray *lines = json_read_file(path);
        if (i < 3)
            json_check_frames(lines, 0, (i + 1) * 100);
        else
            json_check_frames(lines, 300, 100);
        g_ptr_array_unref(lines);
    }
    g_free(path);
}
END_TEST

static gpointer read_all(gpointer fd)
{
    return json_read_descriptor(GPOINTER_TO_INT(fd));
}

/* More than a pipe holds. */
START_TEST(test_stdout)
{
    GstBus *bus;
    int ends[2], saved = dup(STDOUT_FILENO);
    fflush(stdout);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], STDOUT_FILENO), 0);
    close(ends[1]);
    GstHarness *harness =
        json_harness(_i ? "shrikejson location=-" : "shrikejson location=/dev/stdout", &bus);
    GThread *reader = g_thread_new("reader", read_all, GINT_TO_POINTER(ends[0]));
    json_push(harness, 0, 2000);
    ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
    ck_assert_uint_eq(json_stat(harness->element, "written"), 2000);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    ck_assert_int_ge(dup2(saved, STDOUT_FILENO), 0);
    close(saved);
    GPtrArray *lines = g_thread_join(reader);
    json_check_frames(lines, 0, 2000);
    g_ptr_array_unref(lines);
    close(ends[0]);
}
END_TEST

static GstFlowReturn push_until_failure(GstHarness *harness)
{
    GstFlowReturn result;
    for (guint64 i = 0; (result = gst_harness_push(harness, json_frame(i, "ball"))) == GST_FLOW_OK; i++)
        gst_buffer_unref(gst_harness_pull(harness));
    return result;
}

static gpointer push_until_flushed(gpointer harness)
{
    ck_assert_int_eq(push_until_failure(harness), GST_FLOW_FLUSHING);
    return NULL;
}

/* A pipe that nobody reads stops the pipeline, but not for ever. */
START_TEST(test_pipe_hangs)
{
    GstBus *bus;
    char *path = json_path("out");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    ck_assert_int_ge(fd, 0);
    GstHarness *harness = json_harness("shrikejson max-queue=4 location=%s/out", &bus);
    GThread *thread = g_thread_new("push", push_until_flushed, harness);
    while (json_stat(harness->element, "accepted") - json_stat(harness->element, "written") < 4)
        g_thread_yield();
    if (_i == 0)
        ck_assert(gst_harness_push_event(harness, gst_event_new_flush_start()));
    else
        ck_assert_int_eq(gst_element_set_state(harness->element, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
    g_thread_join(thread);
    elements_teardown(&harness, &bus);
    close(fd);
    g_free(path);
}
END_TEST

/* ---- Failures ---- */

static const struct {
    const char *launch, *path, *text;
    GstResourceError code;
} refused[] = {
    {"shrikejson", NULL, "set location", GST_RESOURCE_ERROR_SETTINGS},
    {"shrikejson location=\"\" socket-path=\"\"", NULL, "set location", GST_RESOURCE_ERROR_SETTINGS},
    {"shrikejson location=%s/no/out", "/no/out", "No such file or directory: create the folder",
     GST_RESOURCE_ERROR_OPEN_WRITE},
    {"shrikejson location=%s", "/shrike-json-", "Is a directory", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"shrikejson location=%s/file/out", "/file/out", "Not a directory", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"shrikejson location=%s/fifo", "/fifo", "start its reader", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"shrikejson location=%s/socket", "/socket", "set socket-path", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"shrikejson socket-path=%s/nobody", "/nobody", "nobody listens there", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"shrikejson socket-path=%s/abandoned", "/abandoned", "nobody listens there",
     GST_RESOURCE_ERROR_OPEN_WRITE},
    {"shrikejson socket-path=%s/file", "/file", "not a socket", GST_RESOURCE_ERROR_OPEN_WRITE},
    {"shrikejson socket-mode=listen socket-path=%s/file", "/file", "in use", GST_RESOURCE_ERROR_BUSY},
    {"shrikejson socket-mode=listen socket-path=%s/socket", "/socket", "in use", GST_RESOURCE_ERROR_BUSY},
    {"shrikejson socket-mode=listen socket-path=%s/no/s", "/no/s", "create the folder",
     GST_RESOURCE_ERROR_OPEN_WRITE},
    {"shrikejson socket-mode=listen socket-path=%s/"
     "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
     "0123456789", "choose a shorter path", GST_RESOURCE_ERROR_SETTINGS},
};

START_TEST(test_refused)
{
    char *launch = json_launch(refused[_i].launch), *file = json_path("file"), *fifo = json_path("fifo"),
         *path = json_path("socket"), *abandoned = json_path("abandoned");
    ck_assert(g_file_set_contents(file, "kept", -1, NULL));
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    int fd = json_listen(path);
    close(json_listen(abandoned));
    GstElement *element = gst_parse_launch(launch, NULL);
    GstBus *bus = gst_bus_new();
    gst_element_set_bus(element, bus);
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    GError *error = NULL;
    gst_message_parse_error(message, &error, NULL);
    ck_assert_msg(strstr(error->message, refused[_i].text), "%s", error->message);
    ck_assert_msg(!refused[_i].path || strstr(error->message, refused[_i].path), "%s", error->message);
    ck_assert(g_error_matches(error, GST_RESOURCE_ERROR, (gint)refused[_i].code));
    g_error_free(error);
    gst_message_unref(message);
    elements_no_error(bus);
    gst_element_set_state(element, GST_STATE_NULL);
    gst_element_set_bus(element, NULL);
    gst_object_unref(element);
    gst_object_unref(bus);
    char *text;
    ck_assert(g_file_get_contents(file, &text, NULL, NULL));
    ck_assert_str_eq(text, "kept");
    g_free(text);
    close(fd);
    g_free(abandoned);
    g_free(path);
    g_free(fifo);
    g_free(file);
    g_free(launch);
}
END_TEST

START_TEST(test_disk_full)
{
    GstBus *bus;
    if (!g_file_test("/dev/full", G_FILE_TEST_EXISTS))
        return;
    GstHarness *harness = json_harness("shrikejson location=/dev/full", &bus);
    ck_assert_int_eq(push_until_failure(harness), GST_FLOW_ERROR);
    ck_assert(gst_harness_push_event(harness, gst_event_new_eos())); /* does not hang */
    json_check_counts(harness->element);
    json_expect_message(bus, GST_MESSAGE_ERROR, "No space left on device: free some space", "/dev/full");
    elements_teardown(&harness, &bus);
}
END_TEST

/* The file ends in the middle of a line, which is then taken back. */
START_TEST(test_limit)
{
    GstBus *bus;
    struct rlimit before, limit;
    char *path = json_path("out");
    GstHarness *harness = json_harness("shrikejson location=%s/out", &bus);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 5000, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    GstFlowReturn result = push_until_failure(harness);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(result, GST_FLOW_ERROR);
    json_expect_message(bus, GST_MESSAGE_ERROR, "ulimit -f", "/out");
    GPtrArray *lines = json_read_file(path);
    json_check_frames(lines, 0, json_stat(harness->element, "written"));
    ck_assert_uint_gt(lines->len, 0);
    g_ptr_array_unref(lines);
    elements_teardown(&harness, &bus);
    g_free(path);
}
END_TEST

/* The reader of a pipe leaves: no SIGPIPE. */
START_TEST(test_pipe_closed)
{
    GstBus *bus;
    char *path = json_path("out");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    GstHarness *harness = json_harness("shrikejson location=%s/out", &bus);
    close(fd);
    ck_assert_int_eq(push_until_failure(harness), GST_FLOW_ERROR);
    json_expect_message(bus, GST_MESSAGE_ERROR, "Broken pipe", "/out");
    elements_teardown(&harness, &bus);
    g_free(path);
}
END_TEST

/* ---- States ---- */

static void begin_again(GstHarness *harness)
{
    ck_assert_int_eq(gst_element_set_state(harness->element, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
    ck_assert(gst_harness_push_event(harness, gst_event_new_stream_start("again")));
    gst_harness_set_src_caps_str(harness, JSON_CAPS);
}

START_TEST(test_cycles)
{
    GstBus *bus;
    char *path = json_path("out"), *address = json_path("socket");
    GstHarness *harness =
        json_harness("shrikejson location=%s/out socket-mode=listen socket-path=%s/socket", &bus);
    for (guint i = 0; i < 50; i++) {
        int reader = json_connect(address);
        json_push(harness, i, i % 4);
        if (i % 3 == 0)
            ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
        GstState state = i % 2 ? GST_STATE_READY : GST_STATE_NULL;
        ck_assert_int_eq(gst_element_set_state(harness->element, state), GST_STATE_CHANGE_SUCCESS);
        ck_assert(!g_file_test(address, G_FILE_TEST_EXISTS));
        GPtrArray *lines = json_read_file(path);
        json_check_frames(lines, i, i % 4);
        g_ptr_array_unref(lines);
        json_check_counts(harness->element);
        close(reader);
        begin_again(harness);
    }
    elements_teardown(&harness, &bus);
    g_free(address);
    g_free(path);
}
END_TEST

/* ---- Suite ---- */

static Suite *make_suite(void)
{
    Suite *suite = suite_create("json");
    TCase *tcase = tcase_create("json");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, json_make_folder, json_remove_folder);
    tcase_add_test(tcase, test_golden);
    tcase_add_test(tcase, test_without_latency);
    tcase_add_loop_test(tcase, test_labels, 0, G_N_ELEMENTS(labels));
    tcase_add_test(tcase, test_broken_utf8);
    tcase_add_test(tcase, test_numbers);
    tcase_add_test(tcase, test_additions);
    tcase_add_test(tcase, test_missing_fields);
    tcase_add_test(tcase, test_without_meta);
    tcase_add_test(tcase, test_detect);
    tcase_add_test(tcase, test_file);
    tcase_add_test(tcase, test_append);
    tcase_add_loop_test(tcase, test_stdout, 0, 2);
    tcase_add_loop_test(tcase, test_pipe_hangs, 0, 2);
    tcase_add_loop_test(tcase, test_refused, 0, G_N_ELEMENTS(refused));
    tcase_add_test(tcase, test_disk_full);
    tcase_add_test(tcase, test_limit);
    tcase_add_test(tcase, test_pipe_closed);
    tcase_add_test(tcase, test_cycles);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, 0);
}
