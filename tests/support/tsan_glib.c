/* What ThreadSanitizer has to know of GLib and GStreamer, which come from the system and are not built with
 * it: their locks are futexes and their reference counts are atomics in code that it does not see. This
 * stands between them and their callers, and tells it who waited for whom. Only in builds with
 * -Db_sanitize=thread. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * It tells of no lock that is not taken. It can hide a race all the same: one address stands for a whole
 * queue or bus, so that who takes something from it comes after all who put something in, not only after the
 * one who put in this. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <gst/gst.h>
#include <sanitizer/tsan_interface.h>

#undef g_once_init_enter
#undef g_once_init_leave

/* `real` is the function that this one hides. Its first caller may be any thread. */
#define REAL(name)                                                                                           \
    static __typeof__(&name) real_##name;                                                                    \
    __typeof__(&name) real = __atomic_load_n(&real_##name, __ATOMIC_RELAXED);                                \
    if (!real) {                                                                                             \
        real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                                   \
        __atomic_store_n(&real_##name, real, __ATOMIC_RELAXED);                                              \
    }

static void acquire(const volatile void *what)
{
    __tsan_acquire((void *)what);
}

static void release(const volatile void *what)
{
    __tsan_release((void *)what);
}

/* ---- locks ---- */

/* GRecMutex and GRWLock are locks of pthread's, which ThreadSanitizer sees by itself. */

void g_mutex_lock(GMutex *mutex)
{
    REAL(g_mutex_lock)
    real(mutex);
    acquire(mutex);
}

gboolean g_mutex_trylock(GMutex *mutex)
{
    REAL(g_mutex_trylock)
    gboolean taken = real(mutex);
    if (taken)
        acquire(mutex);
    return taken;
}

void g_mutex_unlock(GMutex *mutex)
{
    REAL(g_mutex_unlock)
    release(mutex);
    real(mutex);
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
    REAL(g_cond_wait)
    release(mutex);
    real(cond, mutex);
    acquire(mutex);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
    REAL(g_cond_wait_until)
    release(mutex);
    gboolean in_time = real(cond, mutex, end_time);
    acquire(mutex);
    return in_time;
}

/* ---- once ---- */

gboolean(g_once_init_enter)(volatile void *location)
{
    REAL(g_once_init_enter)
    gboolean first = real(location);
    if (!first)
        acquire((gconstpointer)location);
    return first;
}

void(g_once_init_leave)(volatile void *location, gsize result)
{
    REAL(g_once_init_leave)
    release((gconstpointer)location);
    real(location, result);
}

gpointer g_once_impl(GOnce *once, GThreadFunc func, gpointer arg)
{
    REAL(g_once_impl)
    gpointer result = real(once, func, arg);
    release(&once->status); /* by whoever was first, before the others see it */
    acquire(&once->status);
    return result;
}

/* ---- queues ---- */

void g_async_queue_push(GAsyncQueue *queue, gpointer data)
{
    REAL(g_async_queue_push)
    release(queue);
    real(queue, data);
}

#define POP(name, parameters, ...)                                                                           \
    gpointer name parameters                                                                                 \
    {                                                                                                        \
        REAL(name)                                                                                           \
        gpointer data = real(__VA_ARGS__);                                                                   \
        if (data)                                                                                            \
            acquire(queue);                                                                                  \
        return data;                                                                                         \
    }

POP(g_async_queue_pop, (GAsyncQueue * queue), queue)
POP(g_async_queue_try_pop, (GAsyncQueue * queue), queue)
POP(g_async_queue_timeout_pop, (GAsyncQueue * queue, guint64 timeout), queue, timeout)

gboolean gst_bus_post(GstBus *bus, GstMessage *message)
{
    REAL(gst_bus_post)
    release(bus);
    return real(bus, message);
}

GstMessage *gst_bus_timed_pop_filtered(GstBus *bus, GstClockTime timeout, GstMessageType types)
{
    REAL(gst_bus_timed_pop_filtered)
    GstMessage *message = real(bus, timeout, types);
    if (message)
        acquire(bus);
    return message;
}

/* ---- reference counts ---- */

/* Who drops the last one frees what the others have used, and comes after them all. */
#define UNREF(name, type)                                                                                    \
    void name(type object)                                                                                   \
    {                                                                                                        \
        REAL(name)                                                                                           \
        release(object);                                                                                     \
        acquire(object);                                                                                     \
        real(object);                                                                                        \
    }

UNREF(gst_mini_object_unref, GstMiniObject *)
UNREF(gst_object_unref, gpointer)
#undef g_object_unref
UNREF(g_object_unref, gpointer)

gboolean g_atomic_ref_count_dec(gatomicrefcount *count)
{
    REAL(g_atomic_ref_count_dec)
    release(count);
    gboolean last = real(count);
    if (last)
        acquire(count);
    return last;
}
