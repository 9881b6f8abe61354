/* Where the time of every frame went, as a picture: a trace file for https://ui.perfetto.dev,
 * chrome://tracing and whatever else reads the Trace Event Format (JSON array format).
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is in the file
 *   Each stream is a "process" of its own, with a counter `in flight` and the rows `frames`, `frames #2`,
 * ...: one slice `total` per frame that was inferred, in it one slice per stage that took time. The stage
 *     `queue` surrounds the upload, so that it may be two slices.
 *   A row `not inferred` has an instant event for each held, passed or dropped frame, named after its status
 *     and reason.
 *   Each device is a "process", with the slices `<stream> preprocess` and `<stream> inference` of all streams
 *     that use it; one slice for all frames of a batch. In `inference` is a slice per op, where op times are
 *     given. They are durations, without starts: the ops are drawn one right after the other.
 * Times are microseconds of CLOCK_MONOTONIC.
 *
 * Why several rows per stream: slices in one row must nest or be disjoint, or the viewers draw nonsense, but
 * the frames in flight overlap. A frame takes the first row whose last frame has left. Rows by frame number
 * modulo max-in-flight would collide, for a frame that waits for a free slot has arrived already; and async
 * events ("b", "e") never collide but get a row per name or id, depending on the viewer, have no self time,
 * and cannot be summed up per stage by selecting an area. What still would not fit into its frame (a device
 * clock that is a little off) is cut there, and the slice's argument `measured_us` has what was measured.
 *
 * The file is complete JSON after every write: each one replaces the closing bracket by more events and a new
 * bracket. It is not read while being written, so it may lag behind by a quarter of a second.
 *
 * Threads: all functions may be called from any thread, but a handle from one at a time. trace_file_frame()
 * copies into a buffer of fixed size and returns: it allocates nothing, and never waits for the file. When
 * the buffer is full the frame is lost and counted; the count is an instant event at the end of the file. One
 * thread per file writes. trace_file_open() and _close() wait for the file: not for streaming threads. */
#ifndef SHRIKE_GST_TRACE_FILE_H
#define SHRIKE_GST_TRACE_FILE_H

#include <glib.h>
#include <shrike/session.h>

G_BEGIN_DECLS

#define TRACE_FILE_MAX_BYTES    (G_GUINT64_CONSTANT(1) << 30)
#define TRACE_FILE_BUFFER_BYTES (512 * 1024)
#define TRACE_FILE_MAX_OPS      4096

enum trace_status { TRACE_INFERRED, TRACE_HELD, TRACE_PASSED, TRACE_DROPPED };

/* Zero stands for the default in every member after `stream`. Everything is copied. */
struct trace_params {
    const char *path;
    const char *stream;          /* name of the element */
    const char *const *op_names; /* of the network, in order; at most TRACE_FILE_MAX_OPS are drawn */
    guint op_count;
    guint64 max_bytes;  /* of the file, at least 16 KiB; the first user of a path decides */
    gsize buffer_bytes; /* what frames wait in, twice; the first user of a path decides */
};

struct trace_frame {
    guint64 number; /* in its stream, from 0 */
    guint64 pts;    /* nanoseconds; G_MAXUINT64: none */
    enum trace_status status;
    const char *reason; /* why it was not inferred; NULL: none. Cut to 31 bytes */
    const char *device; /* NULL: none. Cut to 63 bytes */
    /* On CLOCK_MONOTONIC, as the library counts. Of a frame that was not inferred only the total is read: its
     * event is at the end of it, or at the time of the call if that is 0. */
    struct shk_stage_time stages[SHK_STAGE_COUNT];
    guint in_flight, batch_size;
    const guint64 *op_times; /* nanoseconds, op_count of them; NULL: not measured */
};

enum trace_file_error {
    TRACE_FILE_ERROR_OPEN,  /* trace_file_open(): the message says what to do */
    TRACE_FILE_ERROR_WRITE, /* a later write failed: nothing more is written */
    TRACE_FILE_ERROR_FULL,  /* max_bytes is reached: nothing more is written */
};
#define TRACE_FILE_ERROR (trace_file_error_quark())
GQuark trace_file_error_quark(void);

/* One stream's handle on a file. */
struct trace_file;

/* Starts the file, or joins those who write it already: whoever names the same file in this process, by
 * whatever path, shares it. A file that was there before is overwritten. Only regular files and character
 * devices are taken. NULL and *error on failure. */
struct trace_file *trace_file_open(const struct trace_params *params, GError **error);

void trace_file_frame(struct trace_file *trace, const struct trace_frame *frame);

/* FALSE, once per handle, after the file came to an end too early (_WRITE, _FULL). Cheap: may be called for
 * each frame. The file stays valid and has what was written before. */
gboolean trace_file_check(struct trace_file *trace, GError **error);

/* Takes NULL. With the last handle the file is finished. */
void trace_file_close(struct trace_file **trace);

G_END_DECLS
#endif
