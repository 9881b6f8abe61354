/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace_events.h"

#define WRITE_INTERVAL (G_USEC_PER_SEC / 4)
#define CHUNK_BYTES    (64 * 1024) /* of JSON per write */
#define END_BYTES      4096        /* kept free for what ends a full file */
#define MIN_BYTES      16384
#define TAIL           "\n]\n"

/* Records, one right after the other. */
struct buffer {
    guint8 *bytes;
    gsize used;
};

struct slot {
    char *key; /* name and ops: a stream that comes back gets its rows back */
    gboolean open;
    guint64 lost;
};

struct stream_news {
    char *name, **op_names;
};

struct writer {
    dev_t device;
    ino_t inode;
    char *path;
    int fd;
    guint64 max_bytes;
    gsize buffer_bytes;
    guint users; /* registry lock */
    GThread *thread;

    GMutex lock;
    GCond changed;
    struct buffer waiting; /* what streaming threads append to */
    GPtrArray *news;       /* streams to announce */
    GPtrArray *slots;
    gboolean closing;
    char *end_reason;
    gint end_code; /* atomic: 0, or an enum trace_file_error + 1, when nothing more is written */

    /* the writer's thread, and the opening one before it runs */
    struct buffer taken;
    struct trace_events *events;
    GString *json;
    guint64 offset; /* where the tail is */
};

struct trace_file {
    struct writer *writer;
    guint stream, op_count;
    gboolean reported;
};

/* Elements know each other only by the path that they were given. */
static GMutex registry_lock;
static GList *registry;

G_DEFINE_QUARK(shrike - trace - file - error, trace_file_error)

/* ---- The file ---- */

static gboolean write_all(int fd, const char *bytes, gsize size, guint64 offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, bytes, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FALSE;
        bytes += n;
        offset += (guint64)n;
        size -= (gsize)n;
    }
    return TRUE;
}

static void stop(struct writer *writer, enum trace_file_error code, char *reason)
{
    g_mutex_lock(&writer->lock);
    writer->end_reason = reason;
    g_atomic_int_set(&writer->end_code, (gint)code + 1);
    g_mutex_unlock(&writer->lock);
}

/* The events replace the tail and bring a new one, in one write where the system does not cut it. */
static gboolean write_events(struct writer *writer)
{
    gsize events = writer->json->len;
    g_string_append(writer->json, TAIL);
    gboolean written = write_all(writer->fd, writer->json->str, writer->json->len, writer->offset);
    if (written) {
        writer->offset += events;
    } else {
        int error = errno;
        /* back to what is valid; the bytes of the old tail have their place on the disk */
        gboolean mended = write_all(writer->fd, TAIL, strlen(TAIL), writer->offset) &&
                          ftruncate(writer->fd, (off_t)(writer->offset + strlen(TAIL))) == 0;
        errno = error;
        (void)mended;
    }
    g_string_truncate(writer->json, 0);
    return written;
}

static void flush(struct writer *writer)
{
    if (writer->json->len == 0 || write_events(writer))
        return;
    stop(writer, TRACE_FILE_ERROR_WRITE,
         g_strdup_printf("writing to the trace file %s failed: %s; it ends after %" G_GUINT64_FORMAT
                         " bytes; make room on that disk or choose another",
                         writer->path, g_strerror(errno), writer->offset));
}

/* Takes back what was appended after `mark` if the file would become too large with it. */
static gboolean keep_if_fits(struct writer *writer, gsize mark, guint64 limit)
{
    if (writer->offset + writer->json->len + strlen(TAIL) <= limit)
        return TRUE;
    g_string_truncate(writer->json, mark);
    return FALSE;
}

/* ---- The writer's thread ---- */

static gboolean is_stopped(struct writer *writer)
{
    return g_atomic_int_get(&writer->end_code) != 0;
}

static void count_lost(struct writer *writer, guint stream)
{
    g_mutex_lock(&writer->lock);
    ((struct slot *)writer->slots->pdata[stream])->lost++;
    g_mutex_unlock(&writer->lock);
}

static void write_record(struct writer *writer, const struct trace_record *record)
{
    gsize mark = writer->json->len;
    if (is_stopped(writer)) {
        count_lost(writer, record->stream);
        return;
    }
    trace_events_add_frame(writer->events, writer->json, record, (const guint64 *)(record + 1));
    if (!keep_if_fits(writer, mark, writer->max_bytes - END_BYTES)) {
        count_lost(writer, record->stream);
        stop(writer, TRACE_FILE_ERROR_FULL,
             g_strdup_printf("the trace file %s reached its largest size, %" G_GUINT64_FORMAT
                             " bytes: later frames are not in it",
                             writer->path, writer->max_bytes));
    }
    if (writer->json->len >= CHUNK_BYTES)
        flush(writer);
}

static void write_taken(struct writer *writer)
{
    for (gsize at = 0; at < writer->taken.used;) {
        const struct trace_record *record = (const void *)(writer->taken.bytes + at);
        write_record(writer, record);
        at += sizeof(*record) + record->op_count * sizeof(guint64);
    }
    writer->taken.used = 0;
    flush(writer);
}

static void announce(struct writer *writer, GPtrArray *news)
{
    for (guint i = 0; i < news->len; i++) {
        struct stream_news *stream = news->pdata[i];
        trace_events_add_stream(writer->events, writer->json, stream->name, stream->op_names);
        g_free(stream->name);
        g_free(stream);
    }
    g_ptr_array_unref(news);
    if (is_stopped(writer))
        g_string_truncate(writer->json, 0);
    (void)keep_if_fits(writer, 0, writer->max_bytes - END_BYTES);
}

/* Waits until there is something to write and some time has passed, or much to write, or nobody left. */
static gboolean take_waiting(struct writer *writer, GPtrArray **news)
{
    g_mutex_lock(&writer->lock);
    while (!writer->closing && writer->waiting.used == 0 && writer->news->len == 0)
        g_cond_wait(&writer->changed, &writer->lock);
    gint64 deadline = g_get_monotonic_time() + WRITE_INTERVAL;
    while (!writer->closing && writer->waiting.used < writer->buffer_bytes / 2 &&
           g_cond_wait_until(&writer->changed, &writer->lock, deadline))
        ;
    struct buffer empty = writer->taken;
    writer->taken = writer->waiting;
    writer->waiting = empty;
    *news = writer->news;
    writer->news = g_ptr_array_new();
    gboolean last = writer->closing;
    g_mutex_unlock(&writer->lock);
    return !last;
}

static void write_end(struct writer *writer)
{
    gboolean full = g_atomic_int_get(&writer->end_code) == TRACE_FILE_ERROR_FULL + 1;
    guint64 now = (guint64)g_get_monotonic_time() * 1000;
    if (is_stopped(writer) && !full)
        return;
    if (!full)
        trace_events_end(writer->events, writer->json);
    (void)keep_if_fits(writer, 0, writer->max_bytes);
    for (guint i = 0; i < writer->slots->len; i++) {
        guint64 lost = ((struct slot *)writer->slots->pdata[i])->lost;
        gsize mark = writer->json->len;
        char text[96];
        if (lost == 0)
            continue;
        g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT " frames are missing: %s", lost,
                   full ? "the file is full" : "the buffer was full");
        trace_events_add_note(writer->events, writer->json, i, now, text);
        (void)keep_if_fits(writer, mark, writer->max_bytes);
    }
    flush(writer);
}

static gpointer writer_thread(gpointer data)
{
    struct writer *writer = data;
    gboolean more = TRUE;
    while (more) {
        GPtrArray *news;
        more = take_waiting(writer, &news);
        announce(writer, news);
        write_taken(writer);
    }
    write_end(writer);
    return NULL;
}

/* ---- Opening and closing a file: under the registry lock ---- */

static void free_slot(gpointer data)
{
    struct slot *slot = data;
    g_free(slot->key);
    g_free(slot);
}

static void writer_free(struct writer *writer)
{
    close(writer->fd);
    trace_events_free(writer->events);
    g_string_free(writer->json, TRUE);
    g_ptr_array_unref(writer->news);
    g_ptr_array_unref(writer->slots);
    g_free(writer->waiting.bytes);
    g_free(writer->taken.bytes);
    g_free(writer->end_reason);
    g_free(writer->path);
    g_cond_clear(&writer->changed);
    g_mutex_clear(&writer->lock);
    g_free(writer);
}

static gboolean open_failed(const char *path, const char *why, GError **error)
{
    g_set_error(error, TRACE_FILE_ERROR, TRACE_FILE_ERROR_OPEN,
                "cannot write the trace file %s: %s; name a file in a folder that exists and that you may "
                "write to",
                path, why);
    return FALSE;
}

static gboolean open_file(const char *path, int *fd, struct stat *status, GError **error)
{
    /* not truncated yet: it may be one that we are writing. A FIFO without a reader must not block. */
    *fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (*fd < 0)
        return open_failed(path, g_strerror(errno), error);
    if (fstat(*fd, status) == 0 && (S_ISREG(status->st_mode) || S_ISCHR(status->st_mode)))
        return TRUE;
    close(*fd);
    return open_failed(path, "it is no regular file", error);
}

static struct writer *writer_new(const struct trace_params *params, int fd, const struct stat *status,
                                 GError **error)
{
    struct writer *writer = g_new0(struct writer, 1);
    writer->fd = fd;
    writer->path = g_strdup(params->path);
    writer->device = status->st_dev;
    writer->inode = status->st_ino;
    writer->max_bytes = MAX(params->max_bytes ? params->max_bytes : TRACE_FILE_MAX_BYTES, MIN_BYTES);
    writer->buffer_bytes = params->buffer_bytes ? params->buffer_bytes : TRACE_FILE_BUFFER_BYTES;
    writer->waiting.bytes = g_malloc(writer->buffer_bytes);
    writer->taken.bytes = g_malloc(writer->buffer_bytes);
    writer->news = g_ptr_array_new();
    writer->slots = g_ptr_array_new_with_free_func(free_slot);
    writer->events = trace_events_new();
    writer->json = g_string_sized_new(CHUNK_BYTES);
    g_mutex_init(&writer->lock);
    g_cond_init(&writer->changed);
    trace_events_begin(writer->json);
    if ((S_ISREG(status->st_mode) && ftruncate(fd, 0) != 0) || !write_events(writer)) {
        open_failed(params->path, g_strerror(errno), error);
        writer_free(writer);
        return NULL;
    }
    writer->thread = g_thread_new("shrike-trace", writer_thread, writer);
    registry = g_list_prepend(registry, writer);
    return writer;
}

static struct writer *find_writer(const struct trace_params *params, GError **error)
{
    int fd;
    struct stat status;
    if (!open_file(params->path, &fd, &status, error))
        return NULL;
    for (GList *item = registry; item; item = item->next) {
        struct writer *writer = item->data;
        if (writer->device == status.st_dev && writer->inode == status.st_ino) {
            close(fd);
            return writer;
        }
    }
    return writer_new(params, fd, &status, error);
}

/* ---- Streams ---- */

/* At most `count` names, copied. */
static char **copy_names(const char *const *names, guint count)
{
    char **copy = g_new0(char *, count + 1);
    for (guint i = 0; i < count; i++)
        copy[i] = g_strdup(names[i]);
    return copy;
}

static guint find_slot(struct writer *writer, const char *key)
{
    guint i = 0;
    for (; i < writer->slots->len; i++) {
        struct slot *slot = writer->slots->pdata[i];
        if (!slot->open && strcmp(slot->key, key) == 0)
            break;
    }
    return i;
}

static guint add_stream(struct writer *writer, const char *name, char **op_names)
{
    char *ops = g_strjoinv("\n", op_names), *key = g_strconcat(name, "\n", ops, NULL);
    g_mutex_lock(&writer->lock);
    guint stream = find_slot(writer, key);
    if (stream == writer->slots->len) {
        struct slot *slot = g_new0(struct slot, 1);
        struct stream_news *news = g_new0(struct stream_news, 1);
        slot->key = g_steal_pointer(&key);
        news->name = g_strdup(name);
        news->op_names = g_steal_pointer(&op_names);
        g_ptr_array_add(writer->slots, slot);
        g_ptr_array_add(writer->news, news);
        g_cond_signal(&writer->changed);
    }
    ((struct slot *)writer->slots->pdata[stream])->open = TRUE;
    g_mutex_unlock(&writer->lock);
    g_strfreev(op_names);
    g_free(key);
    g_free(ops);
    return stream;
}

struct trace_file *trace_file_open(const struct trace_params *params, GError **error)
{
    struct trace_file *trace = NULL;
    g_mutex_lock(&registry_lock);
    struct writer *writer = find_writer(params, error);
    if (writer) {
        writer->users++;
        trace = g_new0(struct trace_file, 1);
        trace->writer = writer;
        trace->op_count = MIN(params->op_count, TRACE_FILE_MAX_OPS);
        trace->stream = add_stream(writer, params->stream, copy_names(params->op_names, trace->op_count));
    }
    g_mutex_unlock(&registry_lock);
    return trace;
}

void trace_file_close(struct trace_file **trace)
{
    if (!*trace)
        return;
    struct writer *writer = (*trace)->writer;
    /* held to the end, so that nobody begins the file anew while it is finished */
    g_mutex_lock(&registry_lock);
    g_mutex_lock(&writer->lock);
    ((struct slot *)writer->slots->pdata[(*trace)->stream])->open = FALSE;
    writer->closing = --writer->users == 0;
    gboolean last = writer->closing;
    g_cond_signal(&writer->changed);
    g_mutex_unlock(&writer->lock);
    if (last) {
        registry = g_list_remove(registry, writer);
        g_thread_join(writer->thread);
        writer_free(writer);
    }
    g_mutex_unlock(&registry_lock);
    g_clear_pointer(trace, g_free);
}

/* ---- Frames ---- */

static void fill_record(struct trace_record *record, const struct trace_file *trace,
                        const struct trace_frame *frame)
{
    const struct shk_stage_time *total = &frame->stages[SHK_STAGE_TOTAL];
    *record = (struct trace_record){.stream = trace->stream,
                                    .op_count = frame->op_times ? trace->op_count : 0,
                                    .number = frame->number,
                                    .pts = frame->pts,
                                    .in_flight = frame->in_flight,
                                    .batch_size = frame->batch_size,
                                    .status = (guint8)frame->status};
    memcpy(record->stages, frame->stages, sizeof(record->stages));
    record->not_inferred_at =
        total->start ? total->start + total->duration : (guint64)g_get_monotonic_time() * 1000;
    g_strlcpy(record->reason, frame->reason ? frame->reason : "", sizeof(record->reason));
    g_strlcpy(record->device, frame->device ? frame->device : "", sizeof(record->device));
}

void trace_file_frame(struct trace_file *trace, const struct trace_frame *frame)
{
    struct writer *writer = trace->writer;
    struct trace_record record;
    fill_record(&record, trace, frame);
    gsize times = record.op_count * sizeof(guint64), size = sizeof(record) + times;
    g_mutex_lock(&writer->lock);
    gsize before = writer->waiting.used, half = writer->buffer_bytes / 2;
    if (size > writer->buffer_bytes - before) {
        ((struct slot *)writer->slots->pdata[trace->stream])->lost++;
    } else {
        memcpy(writer->waiting.bytes + before, &record, sizeof(record));
        if (times)
            memcpy(writer->waiting.bytes + before + sizeof(record), frame->op_times, times);
        writer->waiting.used += size;
        if (before == 0 || (before < half && writer->waiting.used >= half))
            g_cond_signal(&writer->changed);
    }
    g_mutex_unlock(&writer->lock);
}

gboolean trace_file_check(struct trace_file *trace, GError **error)
{
    struct writer *writer = trace->writer;
    gint code = g_atomic_int_get(&writer->end_code);
    if (trace->reported || code == 0)
        return TRUE;
    trace->reported = TRUE;
    g_mutex_lock(&writer->lock);
    g_set_error_literal(error, TRACE_FILE_ERROR, code - 1, writer->end_reason);
    g_mutex_unlock(&writer->lock);
    return FALSE;
}
