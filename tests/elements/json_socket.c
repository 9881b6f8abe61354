/* shrikejson's sockets: many readers, readers that hang or leave, paths that are taken.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_case.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN "shrikejson socket-mode=listen socket-path=%s/socket "

static void push_eos(GstHarness *harness)
{
    ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
}

/* Until the other end is closed. Tests that read only then push no more than about 20 lines: a socket holds
 * few. */
static void check_reader(int fd, guint64 first, guint64 count)
{
    GPtrArray *lines = json_read_descriptor(fd);
    json_check_frames(lines, first, count);
    g_ptr_array_unref(lines);
    close(fd);
}

START_TEST(test_connect)
{
    GstBus *bus;
    char *path = json_path("socket");
    int listener = json_listen(path);
    GstHarness *harness = json_harness("shrikejson socket-path=%s/socket", &bus);
    ck_assert_uint_eq(json_stat(harness->element, "readers"), 1);
    json_push(harness, 0, 20);
    if (_i == 0)
        push_eos(harness);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    check_reader(accept(listener, NULL, NULL), 0, 20);
    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS)); /* it is not ours */
    close(listener);
    g_free(path);
}
END_TEST

/* Each reader gets the lines from when it came; without a reader there are none. */
START_TEST(test_listen)
{
    GstBus *bus;
    int readers[4];
    char *path = json_path("socket");
    GstHarness *harness = json_harness(LISTEN, &bus);
    json_push(harness, 0, 10);
    ck_assert_uint_eq(json_stat(harness->element, "accepted"), 0);
    for (guint i = 0; i < G_N_ELEMENTS(readers); i++) {
        readers[i] = json_connect(path);
        json_wait_readers(harness->element, i + 1);
        json_push(harness, 10 + i * 5, 5);
    }
    push_eos(harness);
    ck_assert_uint_eq(json_stat(harness->element, "written"), 20 + 15 + 10 + 5);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    for (guint i = 0; i < G_N_ELEMENTS(readers); i++)
        check_reader(readers[i], 10 + i * 5, 20 - i * 5);
    g_free(path);
}
END_TEST

static gboolean has_something(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

/* More than there is room for: they wait. */
START_TEST(test_many_readers)
{
    GstBus *bus;
    int readers[34];
    char *path = json_path("socket");
    GstHarness *harness = json_harness(LISTEN, &bus);
    for (guint i = 0; i < 34; i++)
        readers[i] = json_connect(path);
    json_wait_readers(harness->element, 32);
    json_push(harness, 0, 10);
    push_eos(harness);
    ck_assert_uint_eq(json_stat(harness->element, "written"), 320);
    ck_assert(!has_something(readers[32]) && !has_something(readers[33]));
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    for (guint i = 0; i < 32; i++)
        check_reader(readers[i], 0, 10);
    close(readers[32]);
    close(readers[33]);
    g_free(path);
}
END_TEST

/* Until one leaves. */
START_TEST(test_free_place)
{
    GstBus *bus;
    int readers[33];
    char *path = json_path("socket");
    GstHarness *harness = json_harness(LISTEN, &bus);
    for (guint i = 0; i < 33; i++)
        readers[i] = json_connect(path);
    json_wait_readers(harness->element, 32);
    close(readers[7]);
    for (guint64 i = 0; !has_something(readers[32]); i++)
        json_push(harness, i, 1);
    elements_teardown(&harness, &bus);
    for (guint i = 0; i < 33; i++)
        if (i != 7)
            close(readers[i]);
    g_free(path);
}
END_TEST

/* ---- Readers that hang ---- */

#define FRAMES 5000

/* It gets the newest lines, all whole, in order, and as many as the statistics say. */
static void check_late_reader(int fd, guint64 written)
{
    GPtrArray *lines = json_read_descriptor(fd);
    ck_assert_uint_eq(lines->len, written);
    for (guint i = 1; i < lines->len; i++)
        ck_assert_int_gt(json_frame_number(lines, i), json_frame_number(lines, i - 1));
    g_ptr_array_unref(lines);
    close(fd);
}

START_TEST(test_hanging_reader)
{
    GstBus *bus;
    char *path = json_path("socket");
    int listener = json_listen(path);
    GstHarness *harness = json_harness("shrikejson max-queue=16 socket-path=%s/socket", &bus);
    GstElement *element = harness->element;
    json_push(harness, 0, FRAMES);
    ck_assert_uint_eq(json_stat(element, "accepted"), FRAMES);
    ck_assert_uint_gt(json_stat(element, "dropped"), 0);
    if (_i == 0) {
        push_eos(harness); /* gives it up */
        ck_assert_uint_eq(json_stat(element, "readers"), 0);
    } else {
        ck_assert_int_eq(gst_element_set_state(element, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
    }
    json_check_counts(element);
    guint64 written = json_stat(element, "written");
    json_expect_message(bus, GST_MESSAGE_WARNING, "max-queue", path);
    elements_teardown(&harness, &bus);
    check_late_reader(accept(listener, NULL, NULL), written);
    close(listener);
    g_free(path);
}
END_TEST

static gpointer read_all(gpointer fd)
{
    return json_read_descriptor(GPOINTER_TO_INT(fd));
}

/* It takes nothing away from the others, nor from a file. */
START_TEST(test_hanging_among_others)
{
    GstBus *bus;
    char *path = json_path("socket"), *file = json_path("out");
    GstHarness *harness = json_harness(LISTEN "location=%s/out max-queue=65536", &bus);
    int good = json_connect(path), hanging = json_connect(path);
    json_wait_readers(harness->element, 2);
    GThread *reader = g_thread_new("reader", read_all, GINT_TO_POINTER(good));
    json_push(harness, 0, FRAMES);
    push_eos(harness);
    ck_assert_uint_eq(json_stat(harness->element, "accepted"), 3 * FRAMES);
    json_check_counts(harness->element);
    guint64 written = json_stat(harness->element, "written");
    json_expect_message(bus, GST_MESSAGE_WARNING, "max-queue", path);
    ck_assert_uint_eq(json_stat(harness->element, "readers"), 1);
    GPtrArray *lines = json_read_file(file);
    json_check_frames(lines, 0, FRAMES);
    g_ptr_array_unref(lines);
    elements_teardown(&harness, &bus);
    lines = g_thread_join(reader);
    json_check_frames(lines, 0, FRAMES);
    g_ptr_array_unref(lines);
    close(good);
    check_late_reader(hanging, written - 2 * FRAMES);
    g_free(file);
    g_free(path);
}
END_TEST

/* Bits small enough for a socket to be full most of the time, and large enough for a loaded machine and
 * ThreadSanitizer to be done before the element gives the reader up, two seconds after the end. */
static gpointer read_in_bits(gpointer fd)
{
    GString *text = g_string_new(NULL);
    char bytes[61];
    for (gssize size; (size = read(GPOINTER_TO_INT(fd), bytes, sizeof(bytes))) > 0;)
        g_string_append_len(text, bytes, size);
    GPtrArray *lines = json_parse_lines(text->str, text->len);
    g_string_free(text, TRUE);
    return lines;
}

/* Lines longer than what a socket takes at once, to a reader that takes them in bits: none is torn. */
START_TEST(test_long_lines)
{
    GstBus *bus;
    char *path = json_path("socket"), *label = g_strnfill(300000, 'x');
    GstHarness *harness = json_harness(LISTEN "max-queue=1", &bus);
    int fd = json_connect(path);
    json_wait_readers(harness->element, 1);
    GThread *reader = g_thread_new("reader", read_in_bits, GINT_TO_POINTER(fd));
    for (guint i = 0; i < 12; i++) {
        ck_assert_int_eq(gst_harness_push(harness, json_frame(i, label)), GST_FLOW_OK);
        gst_buffer_unref(gst_harness_pull(harness));
    }
    push_eos(harness);
    guint64 written = json_stat(harness->element, "written");
    ck_assert_uint_eq(json_stat(harness->element, "accepted"), 12);
    json_check_counts(harness->element);
    elements_teardown(&harness, &bus);
    GPtrArray *lines = g_thread_join(reader);
    ck_assert_uint_eq(lines->len, written);
    ck_assert_int_eq(json_frame_number(lines, lines->len - 1), 11);
    g_ptr_array_unref(lines);
    close(fd);
    g_free(label);
    g_free(path);
}
END_TEST

/* ---- Readers that leave ---- */

START_TEST(test_reader_leaves)
{
    GstBus *bus;
    char *path = json_path("socket"), bytes[100];
    int listener = json_listen(path);
    GstHarness *harness = json_harness("shrikejson max-queue=1000 socket-path=%s/socket", &bus); /* room for all lines */
    int fd = accept(listener, NULL, NULL);
    json_push(harness, 0, 10);
    ck_assert_int_eq(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
    close(fd);
    json_push(harness, 10, 500);
    json_wait_readers(harness->element, 0);
    json_push(harness, 510, 10);
    push_eos(harness);
    json_check_counts(harness->element);
    ck_assert_uint_ge(json_stat(harness->element, "accepted"), 10);
    json_expect_message(bus, GST_MESSAGE_WARNING, "has left", path);
    elements_teardown(&harness, &bus);
    close(listener);
    g_free(path);
}
END_TEST

/* One warning for all of them; who stays, or comes, gets the lines. */
START_TEST(test_readers_come_and_go)
{
    GstBus *bus;
    char *path = json_path("socket");
    GstHarness *harness = json_harness(LISTEN, &bus);
    int stays = json_connect(path);
    json_wait_readers(harness->element, 1);
    for (guint i = 0; i < 20; i++) {
        int fd = json_connect(path);
        json_wait_readers(harness->element, 2);
        json_push(harness, i, 1);
        close(fd);
        json_wait_readers(harness->element, 1);
    }
    push_eos(harness);
    json_check_counts(harness->element);
    json_expect_message(bus, GST_MESSAGE_WARNING, "has left", path);
    elements_teardown(&harness, &bus);
    check_reader(stays, 0, 20);
    g_free(path);
}
END_TEST

/* ---- Paths ---- */

static GstStateChangeReturn start(GstElement *element, GstBus *bus)
{
    gst_element_set_bus(element, bus);
    return gst_element_set_state(element, GST_STATE_PAUSED);
}

static void stop(GstElement **element)
{
    gst_element_set_state(*element, GST_STATE_NULL);
    gst_element_set_bus(*element, NULL);
    gst_clear_object(element);
}

/* The second one leaves the socket to the first one. */
START_TEST(test_socket_in_use)
{
    char *launch = json_launch(LISTEN), *path = json_path("socket");
    GstBus *bus = gst_bus_new();
    GstElement *first = gst_parse_launch(launch, NULL), *second = gst_parse_launch(launch, NULL);
    ck_assert_int_eq(start(first, bus), GST_STATE_CHANGE_SUCCESS);
    ck_assert_int_eq(start(second, bus), GST_STATE_CHANGE_FAILURE);
    json_expect_message(bus, GST_MESSAGE_ERROR, "in use", path);
    stop(&second);
    close(json_connect(path));
    stop(&first);
    ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
    gst_object_unref(bus);
    g_free(path);
    g_free(launch);
}
END_TEST

/* What a program left that died is replaced; what another put in our place is not removed. */
START_TEST(test_socket_left_behind)
{
    char *launch = json_launch(LISTEN), *path = json_path("socket");
    GstBus *bus = gst_bus_new();
    GstElement *element = gst_parse_launch(launch, NULL);
    close(json_listen(path));
    ck_assert_int_eq(start(element, bus), GST_STATE_CHANGE_SUCCESS);
    close(json_connect(path));
    ck_assert_int_eq(g_unlink(path), 0);
    ck_assert(g_file_set_contents(path, "another's", -1, NULL));
    stop(&element);
    ck_assert(g_file_test(path, G_FILE_TEST_IS_REGULAR));
    gst_bus_set_flushing(bus, TRUE);
    gst_object_unref(bus);
    g_free(path);
    g_free(launch);
}
END_TEST

/* ---- Suite ---- */

static Suite *make_suite(void)
{
    Suite *suite = suite_create("json-socket");
    TCase *tcase = tcase_create("json-socket");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, json_make_folder, json_remove_folder);
    tcase_add_loop_test(tcase, test_connect, 0, 2);
    tcase_add_test(tcase, test_listen);
    tcase_add_test(tcase, test_many_readers);
    tcase_add_test(tcase, test_free_place);
    tcase_add_loop_test(tcase, test_hanging_reader, 0, 2);
    tcase_add_test(tcase, test_hanging_among_others);
    tcase_add_test(tcase, test_long_lines);
    tcase_add_test(tcase, test_reader_leaves);
    tcase_add_test(tcase, test_readers_come_and_go);
    tcase_add_test(tcase, test_socket_in_use);
    tcase_add_test(tcase, test_socket_left_behind);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, 0);
}
