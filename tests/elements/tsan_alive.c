/* Whether ThreadSanitizer, as the other suites run it, sees what it must and nothing else: what no lock
 * orders must be reported, what support/tsan_glib.c tells of must not. It counts the reports themselves, so
 * that a program that ends badly for another reason does not pass for one; its exit code is its own
 * (exitcode=0). SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <stdio.h>

static guint reports;

/* Called by ThreadSanitizer for each report. */
void __tsan_on_report(void *report);
void __tsan_on_report(void *report)
{
    (void)report;
    __atomic_fetch_add(&reports, 1, __ATOMIC_RELAXED);
}

static struct {
    GMutex mutex;
    GCond cond;
    GRWLock rw_lock;
    GAsyncQueue *queue;
    gboolean done;
    /* one for each pair of functions: a second race on the same one may not be reported again */
    guint bare, locked, read, written, signalled, queued;
} shared;

/* ---- races ---- */

static gpointer write_bare(gpointer unused)
{
    shared.bare++;
    return unused;
}

/* A lock for readers is none between two that write. */
static gpointer write_as_reader(gpointer unused)
{
    g_rw_lock_reader_lock(&shared.rw_lock);
    shared.read++;
    g_rw_lock_reader_unlock(&shared.rw_lock);
    return unused;
}

/* ---- none ---- */

static gpointer write_locked(gpointer unused)
{
    g_mutex_lock(&shared.mutex);
    shared.locked++;
    g_mutex_unlock(&shared.mutex);
    return unused;
}

static gpointer write_as_writer(gpointer unused)
{
    g_rw_lock_writer_lock(&shared.rw_lock);
    shared.written++;
    g_rw_lock_writer_unlock(&shared.rw_lock);
    g_rw_lock_reader_lock(&shared.rw_lock);
    guint seen = shared.written;
    g_rw_lock_reader_unlock(&shared.rw_lock);
    return seen ? unused : NULL;
}

static gpointer signal_done(gpointer unused)
{
    shared.signalled++;
    g_mutex_lock(&shared.mutex);
    shared.done = TRUE;
    g_cond_signal(&shared.cond);
    g_mutex_unlock(&shared.mutex);
    return unused;
}

static gpointer wait_until_done(gpointer unused)
{
    g_mutex_lock(&shared.mutex);
    while (!shared.done)
        g_cond_wait(&shared.cond, &shared.mutex);
    g_mutex_unlock(&shared.mutex);
    shared.signalled++;
    return unused;
}

static gpointer push(gpointer unused)
{
    shared.queued++;
    g_async_queue_push(shared.queue, &shared.queued);
    return unused;
}

static gpointer pop(gpointer unused)
{
    ++*(guint *)g_async_queue_pop(shared.queue);
    return unused;
}

/* Whether as many reports as expected, some or none, come while two threads run these. */
static gboolean check(const char *what, GThreadFunc one, GThreadFunc two, gboolean race)
{
    guint before = __atomic_load_n(&reports, __ATOMIC_RELAXED);
    GThread *threads[2] = {g_thread_new("one", one, NULL), g_thread_new("two", two, NULL)};
    g_thread_join(threads[0]);
    g_thread_join(threads[1]);
    guint count = __atomic_load_n(&reports, __ATOMIC_RELAXED) - before;
    gboolean as_expected = race ? count > 0 : count == 0;
    printf("%s: %u reports, expected %s: %s\n", what, count, race ? "some" : "none",
           as_expected ? "ok" : "WRONG");
    return as_expected;
}

int main(void)
{
    shared.queue = g_async_queue_new();
    gboolean good = check("two writers without a lock", write_bare, write_bare, TRUE);
    good &= check("two writers with a reader's lock", write_as_reader, write_as_reader, TRUE);
    good &= check("two writers with a mutex", write_locked, write_locked, FALSE);
    good &= check("two writers with a writer's lock", write_as_writer, write_as_writer, FALSE);
    good &= check("a writer and a condition that is waited for", signal_done, wait_until_done, FALSE);
    good &= check("a queue from one to the other", push, pop, FALSE);
    g_async_queue_unref(shared.queue);
    return good ? 0 : 1;
}
