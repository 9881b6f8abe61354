/* Whether ThreadSanitizer, as the other suites run it, sees a race and no other thing: with the argument "race" two threads
 * count under locks of their own, and a report must come; without it they share the lock, and none may.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/gst.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 1000

static GMutex locks[2];
static guint counter;

static gpointer count(gpointer lock)
{
    for (guint i = 0; i < ROUNDS; i++) {
        g_mutex_lock(lock);
        counter++;
        g_mutex_unlock(lock);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    guint other = argc > 1 && strcmp(argv[1], "race") == 0 ? 1 : 0;
    gst_init(NULL, NULL);
    GThread *thread = g_thread_new("count", count, &locks[0]);
    count(&locks[other]);
    g_thread_join(thread);
    printf("counted to %u\n", counter);
    return 0;
}
