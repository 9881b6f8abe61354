/* Trace files: many users, what is lost, files that cannot be written.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace_case.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Many users ---- */

#define THREADS           8
#define FRAMES_PER_THREAD 400

struct user {
    const char *path;
    guint number;
};

static gpointer write_frames(gpointer data)
{
    const struct user *user = data;
    char name[16];
    g_snprintf(name, sizeof(name), "cam%u", user->number);
    struct trace_file *trace = trace_open(&(struct trace_params){.path = user->path, .stream = name});
    for (guint i = 0; i < FRAMES_PER_THREAD; i++) {
        struct trace_frame frame = trace_make_frame(i, T0 + i * 15 * MS + user->number * 3 * MS);
        frame.device = user->number % 2 ? "device A" : "device B";
        trace_file_frame(trace, &frame);
    }
    trace_file_close(&trace);
    return NULL;
}

/* Nothing is lost silently, nothing written twice, whoever comes first or goes last. */
START_TEST(test_threads)
{
    char *path = trace_path("trace.json");
    struct user users[THREADS];
    GThread *threads[THREADS];
    struct trace_file *first = trace_open(
        &(struct trace_params){.path = path, .stream = "first", .buffer_bytes = _i ? 4096 : 8 << 20});
    for (guint i = 0; i < THREADS; i++) {
        users[i] = (struct user){path, i};
        threads[i] = g_thread_new("user", write_frames, &users[i]);
    }
    for (guint i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);
    ck_assert(trace_file_check(first, NULL));
    trace_file_close(&first);
    struct trace_content read = trace_read(path);
    ck_assert_uint_eq(trace_count(&read, "total") + trace_missing(&read), THREADS * FRAMES_PER_THREAD);
    if (_i == 0)
        ck_assert_uint_eq(trace_missing(&read), 0);
    trace_clear(&read);
    g_free(path);
}
END_TEST

/* A frame that is larger than the buffer is always lost, the others never. */
START_TEST(test_overflow)
{
    enum { OPS = 1000 };
    const char *names[OPS];
    guint64 times[OPS];
    char *path = trace_path("trace.json");
    for (guint i = 0; i < OPS; i++) {
        names[i] = "op";
        times[i] = 1;
    }
    struct trace_file *trace = trace_open(&(struct trace_params){
        .path = path, .stream = "cam0", .op_names = names, .op_count = OPS, .buffer_bytes = 4000});
    for (guint i = 0; i < 8; i++) {
        struct trace_frame frame = trace_make_frame(i, T0 + i * 40 * MS);
        frame.op_times = i % 2 ? times : NULL;
        trace_file_frame(trace, &frame);
    }
    trace_file_close(&trace);
    struct trace_content read = trace_read(path);
    ck_assert_uint_eq(trace_count(&read, "total"), 4);
    ck_assert_ptr_nonnull(trace_find_event(&read, "i", "4 frames are missing: the buffer was full", 0));
    trace_clear(&read);
    g_free(path);
}
END_TEST

/* The same file by two paths is one file; the next user afterwards starts it anew. */
START_TEST(test_two_users)
{
    char *path = trace_path("trace.json"), *link = trace_path("link.json");
    struct trace_frame frame = trace_make_frame(0, T0);
    ck_assert(g_file_set_contents(path, "something older", -1, NULL));
    ck_assert_int_eq(symlink("trace.json", link), 0);
    struct trace_file *a = trace_open(&(struct trace_params){.path = path, .stream = "cam0"}),
                      *b = trace_open(&(struct trace_params){.path = link, .stream = "cam1"});
    trace_file_frame(a, &frame);
    trace_file_close(&a);
    trace_file_frame(b, &frame);
    a = trace_open(&(struct trace_params){.path = path, .stream = "cam0"}); /* comes back to its row */
    frame = trace_make_frame(1, T0 + 30 * MS);
    trace_file_frame(a, &frame);
    trace_file_close(&b);
    trace_file_close(&a);
    struct trace_content read = trace_read(path);
    ck_assert_uint_eq(trace_count(&read, "total"), 3);
    ck_assert_uint_eq(trace_count(&read, "cam0 inference"), 2);
    ck_assert_uint_eq(trace_count(&read, "cam1 inference"), 1);
    ck_assert_ptr_null(trace_find_event(&read, "M", "process_name", 3)); /* two streams, one device */
    trace_clear(&read);

    a = trace_open(&(struct trace_params){.path = path, .stream = "cam2"});
    read = trace_read(path); /* valid from the beginning */
    ck_assert_uint_eq(read.slices->len, 0);
    trace_clear(&read);
    trace_file_close(&a);
    read = trace_read(path);
    ck_assert_uint_eq(read.slices->len, 0);
    trace_clear(&read);
    g_free(path);
    g_free(link);
}
END_TEST

/* ---- Files that cannot be written ---- */

static void assert_refused(const char *path, const char *why)
{
    GError *error = NULL;
    ck_assert_ptr_null(trace_file_open(&(struct trace_params){.path = path, .stream = "cam0"}, &error));
    ck_assert(g_error_matches(error, TRACE_FILE_ERROR, TRACE_FILE_ERROR_OPEN));
    ck_assert_msg(strstr(error->message, path) && strstr(error->message, why) &&
                      strstr(error->message, "name a file"),
                  "%s", error->message);
    g_error_free(error);
}

START_TEST(test_unwritable)
{
    char *fifo = trace_path("fifo"), *read_only = trace_path("read-only");
    assert_refused("/nonexistent/trace.json", "No such file");
    assert_refused(trace_folder, "Is a directory");
    assert_refused("", "No such file");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    assert_refused(fifo, "No such device");
    int reader = open(fifo, O_RDONLY | O_NONBLOCK);
    assert_refused(fifo, "no regular file");
    close(reader);
    if (g_file_test("/dev/full", G_FILE_TEST_EXISTS))
        assert_refused("/dev/full", "No space left");
    ck_assert(g_file_set_contents(read_only, "", 0, NULL));
    ck_assert_int_eq(g_chmod(read_only, 0400), 0);
    if (geteuid() != 0)
        assert_refused(read_only, "Permission denied");
    g_free(fifo);
    g_free(read_only);
}
END_TEST

/* Writes frames until the file has come to its end. */
static GError *write_until_end(struct trace_file *trace)
{
    GError *error = NULL;
    for (guint i = 0; trace_file_check(trace, &error); i++) {
        struct trace_frame frame = trace_make_frame(i, T0 + i * 40 * MS);
        trace_file_frame(trace, &frame);
        g_thread_yield();
    }
    return error;
}

START_TEST(test_write_error)
{
    char *path = trace_path("trace.json");
    struct trace_file *trace = trace_open(
                          &(struct trace_params){.path = path, .stream = "cam0", .buffer_bytes = 16384}),
                      *other = trace_open(&(struct trace_params){.path = path, .stream = "cam1"});
    struct rlimit before, limit;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 100000;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    GError *error = write_until_end(trace);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    ck_assert(g_error_matches(error, TRACE_FILE_ERROR, TRACE_FILE_ERROR_WRITE));
    ck_assert_msg(strstr(error->message, path) && strstr(error->message, "File too large"), "%s",
                  error->message);
    g_clear_error(&error);
    ck_assert(trace_file_check(trace, &error)); /* said once, to each */
    ck_assert(!trace_file_check(other, &error));
    g_clear_error(&error);
    ck_assert(trace_file_check(other, &error));
    trace_file_close(&trace);
    trace_file_close(&other);
    struct trace_content read = trace_read(path);
    ck_assert_uint_gt(trace_count(&read, "total"), 0);
    trace_clear(&read);
    g_free(path);
}
END_TEST

START_TEST(test_largest_size)
{
    char *path = trace_path("trace.json");
    struct trace_file *trace = trace_open(
        &(struct trace_params){.path = path, .stream = "cam0", .max_bytes = 50000, .buffer_bytes = 16384});
    GError *error = write_until_end(trace);
    ck_assert(g_error_matches(error, TRACE_FILE_ERROR, TRACE_FILE_ERROR_FULL));
    ck_assert_msg(strstr(error->message, path) && strstr(error->message, "50000"), "%s", error->message);
    g_clear_error(&error);
    trace_file_close(&trace);
    struct trace_content read = trace_read(path);
    GStatBuf status;
    ck_assert_int_eq(g_stat(path, &status), 0);
    ck_assert_int_le(status.st_size, 50000);
    ck_assert_int_gt(status.st_size, 40000);
    ck_assert_uint_gt(trace_missing(&read), 0);
    trace_clear(&read);
    g_free(path);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("trace_file");
    TCase *tcase = tcase_create("trace_file");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, trace_make_folder, trace_remove_folder);
    tcase_add_loop_test(tcase, test_threads, 0, 2);
    tcase_add_test(tcase, test_overflow);
    tcase_add_test(tcase, test_two_users);
    tcase_add_test(tcase, test_unwritable);
    tcase_add_test(tcase, test_write_error);
    tcase_add_test(tcase, test_largest_size);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
