/* What shrikedetect costs the CPU per frame, apart from what the device and its driver do.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     shrike-overhead [--frames N] [--size WxH] [--format FORMAT] [--copy] [PROPERTY=VALUE...]
 *
 * Pushes N frames (default 1000, NV12, 1920x1080) through "shrikedetect PROPERTY=VALUE... ! fakesink" and
 * prints the CPU time of every thread per frame. The frames lie in the memory that the element proposes, so
 * that nothing is copied; with --copy each is in new memory, which has to be. No picture is made or drawn:
 * what the main thread (it pushes), shrikedetect:src and shrike-... take is the element's. All others are the
 * driver's; a driver that computes on the CPU runs the network there. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <gst/video/video.h>

#define WARMUP      50
#define MAX_THREADS 64

struct options {
    gint frames;
    gchar *size, *format;
    gboolean copy;
};

/* ---- CPU time of threads ---- */

struct thread_time {
    char name[32];
    long id;
    double seconds;
};

/* A clock of Linux: the CPU time of the thread `id` of this process. */
static double thread_seconds(long id)
{
    struct timespec time;
    clockid_t clock = (clockid_t)(~(unsigned)id << 3 | 6);
    return clock_gettime(clock, &time) == 0 ? (double)time.tv_sec + (double)time.tv_nsec / 1e9 : 0;
}

static guint read_threads(struct thread_time threads[MAX_THREADS])
{
    guint count = 0;
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    while (folder && count < MAX_THREADS && (entry = readdir(folder))) {
        struct thread_time *thread = &threads[count];
        char path[64];
        thread->id = strtol(entry->d_name, NULL, 10);
        if (thread->id <= 0)
            continue;
        thread->seconds = thread_seconds(thread->id);
        g_snprintf(path, sizeof(path), "/proc/self/task/%ld/comm", thread->id);
        FILE *file = fopen(path, "r");
        if (!file)
            continue;
        if (fscanf(file, "%31[^\n]", thread->name) == 1)
            count++;
        fclose(file);
    }
    if (folder)
        closedir(folder);
    return count;
}

static double seconds_before(const struct thread_time *threads, guint count, long id)
{
    for (guint i = 0; i < count; i++)
        if (threads[i].id == id)
            return threads[i].seconds;
    return 0;
}

/* The driver's have the name of the program, unless they name themselves. */
static gboolean is_element(const struct thread_time *thread)
{
    return thread->id == getpid() || g_str_has_prefix(thread->name, "shrike-dispatch") ||
           g_str_has_prefix(thread->name, "shrike-collect") ||
           g_str_has_prefix(thread->name, "shrikedetect:");
}

static void report(const struct options *options, const struct thread_time *before, guint before_count,
                   const struct thread_time *after, guint after_count)
{
    double element = 0, driver = 0;
    printf("%-18s %12s\n", "thread", "ms per frame");
    for (guint i = 0; i < after_count; i++) {
        double seconds = after[i].seconds - seconds_before(before, before_count, after[i].id);
        double ms = seconds * 1e3 / options->frames;
        const char *name = after[i].id == getpid() ? "pushing" : after[i].name;
        *(is_element(&after[i]) ? &element : &driver) += ms;
        if (ms >= 0.0005)
            printf("%-18s %12.3f%s\n", name, ms, is_element(&after[i]) ? "" : "   driver");
    }
    printf("\n%-18s %12.3f\n%-18s %12.3f\n", "the element", element, "the driver", driver);
}

/* ---- frames ---- */

/* The pool that the element proposes. */
static GstBufferPool *make_pool(GstPad *pad, GstCaps *caps, gsize size)
{
    GstBufferPool *pool = NULL;
    GstQuery *query = gst_query_new_allocation(caps, TRUE);
    if (gst_pad_peer_query(pad, query) && gst_query_get_n_allocation_pools(query) > 0)
        gst_query_parse_nth_allocation_pool(query, 0, &pool, NULL, NULL, NULL);
    gst_query_unref(query);
    if (!pool)
        g_error("the element proposes no pool for %" GST_PTR_FORMAT, caps);
    GstStructure *config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, caps, (guint)size, 4, 0);
    if (!gst_buffer_pool_set_config(pool, config) || !gst_buffer_pool_set_active(pool, TRUE))
        g_error("no pool for %" GST_PTR_FORMAT, caps);
    return pool;
}

/* `copied`: bytes of a frame, for memory that is not the pool's; or 0. */
static gboolean push_frames(GstPad *pad, GstBufferPool *pool, gsize copied, guint first, guint count)
{
    for (guint i = first; i < first + count; i++) {
        GstBuffer *buffer;
        if (copied > 0)
            buffer = gst_buffer_new_allocate(NULL, copied, NULL);
        else if (gst_buffer_pool_acquire_buffer(pool, &buffer, NULL) != GST_FLOW_OK)
            return FALSE;
        GST_BUFFER_PTS(buffer) = i * GST_SECOND / 30;
        if (gst_pad_push(pad, buffer) != GST_FLOW_OK)
            return FALSE;
    }
    return TRUE;
}

static GstPad *start_stream(GstElement *pipeline, GstCaps *caps)
{
    GstElement *detect = gst_bin_get_by_name(GST_BIN(pipeline), "shrikedetect");
    GstPad *sink = gst_element_get_static_pad(detect, "sink"), *pad = gst_pad_new("feed", GST_PAD_SRC);
    GstSegment segment;
    gst_pad_set_active(pad, TRUE);
    gst_pad_link(pad, sink);
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_pad_push_event(pad, gst_event_new_stream_start("overhead"));
    gst_pad_push_event(pad, gst_event_new_caps(caps));
    gst_pad_push_event(pad, gst_event_new_segment(&segment));
    gst_object_unref(sink);
    gst_object_unref(detect);
    return pad;
}

static gboolean measure(const struct options *options, GstElement *pipeline, GstCaps *caps, gsize size)
{
    static struct thread_time before[MAX_THREADS], after[MAX_THREADS];
    GstPad *pad = start_stream(pipeline, caps);
    GstBufferPool *pool = make_pool(pad, caps, size);
    gsize copied = options->copy ? size : 0;
    gboolean pushed = push_frames(pad, pool, copied, 0, WARMUP);
    guint before_count = read_threads(before);
    pushed = pushed && push_frames(pad, pool, copied, WARMUP, (guint)options->frames);
    guint after_count = read_threads(after);
    gst_pad_set_active(pad, FALSE);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_buffer_pool_set_active(pool, FALSE);
    gst_object_unref(pool);
    gst_object_unref(pad);
    if (pushed)
        report(options, before, before_count, after, after_count);
    return pushed;
}

/* ---- the program ---- */

static gboolean parse(struct options *options, int *argc, char ***argv, GstVideoInfo *info)
{
    const GOptionEntry entries[] = {
        {"frames", 'n', 0, G_OPTION_ARG_INT, &options->frames, "Frames to count (default 1000)", "N"},
        {"size", 's', 0, G_OPTION_ARG_STRING, &options->size, "Size of the frames (default 1920x1080)",
         "WxH"},
        {"format", 'f', 0, G_OPTION_ARG_STRING, &options->format, "Format of the frames (default NV12)",
         "FORMAT"},
        {"copy", 'c', 0, G_OPTION_ARG_NONE, &options->copy, "Have every frame copied for the device", NULL},
        {NULL}};
    GError *error = NULL;
    GOptionContext *context = g_option_context_new("[PROPERTY=VALUE...]");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, gst_init_get_option_group());
    gboolean parsed = g_option_context_parse(context, argc, argv, &error);
    g_option_context_free(context);
    guint width = 1920, height = 1080;
    GstVideoFormat format = gst_video_format_from_string(options->format ? options->format : "NV12");
    if (parsed && options->size)
        parsed = sscanf(options->size, "%ux%u", &width, &height) == 2;
    parsed = parsed && options->frames > 0 && gst_video_info_set_format(info, format, width, height);
    if (!parsed)
        fprintf(stderr, "%s\n", error ? error->message : "frames, size or format is none: see --help");
    g_clear_error(&error);
    return parsed;
}

static GstElement *make_pipeline(int argc, char **argv)
{
    GError *error = NULL;
    GString *text = g_string_new("shrikedetect name=shrikedetect");
    for (int i = 1; i < argc; i++)
        g_string_append_printf(text, " %s", argv[i]);
    g_string_append(text, " ! fakesink sync=false async=false");
    GstElement *pipeline = gst_parse_launch(text->str, &error);
    g_string_free(text, TRUE);
    if (error)
        fprintf(stderr, "%s\n", error->message);
    g_clear_error(&error);
    return pipeline;
}

static void print_message(GstElement *pipeline)
{
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    GError *error = NULL;
    if (message)
        gst_message_parse_error(message, &error, NULL);
    fprintf(stderr, "%s\n", error ? error->message : "the pipeline stopped");
    g_clear_error(&error);
    g_clear_pointer(&message, gst_message_unref);
    gst_object_unref(bus);
}

int main(int argc, char **argv)
{
    struct options options = {.frames = 1000};
    GstVideoInfo info;
    if (!parse(&options, &argc, &argv, &info))
        return 2;
    GstElement *pipeline = make_pipeline(argc, argv);
    if (!pipeline)
        return 2;
    GstCaps *caps = gst_video_info_to_caps(&info);
    gboolean measured = gst_element_set_state(pipeline, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE &&
                        measure(&options, pipeline, caps, GST_VIDEO_INFO_SIZE(&info));
    if (!measured)
        print_message(pipeline);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_caps_unref(caps);
    gst_object_unref(pipeline);
    g_free(options.size);
    g_free(options.format);
    return measured ? 0 : 1;
}
