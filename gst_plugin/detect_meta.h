/* Writes a frame's result on its buffer; shrike_meta.h says what.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_DETECT_META_H
#define SHRIKE_GST_DETECT_META_H

#include <gst/video/video.h>
#include <shrike/session.h>

#include "detect_analytics.h"
#include "detect_frame.h"

G_BEGIN_DECLS

/* Registers the custom meta, once per process. */
void detect_meta_register(void);

struct detect_meta_context {
    const struct engine_labels *labels; /* class names; classes past their count are called "class <id>" */
    const char *device;
    const char *stream;
    GstClock *clock; /* the pipeline's, or NULL */
    guint kinds;     /* enum detect_meta_kinds */
};

/* Detections that belong together: those of the frame, or of one region of it. */
struct detect_meta_part {
    const struct shk_detection *detections;
    guint count;
    gint parent; /* which ROI meta of the buffer the region is, 0 first; -1: none */
};

struct detect_meta_frame {
    const struct detect_meta_part *parts;
    guint part_count;
    gboolean held;             /* the parts are those of a frame `age` ago */
    GstClockTime age;
    enum detect_reason reason; /* NONE: inferred */
    struct shk_stage_time stages[SHK_STAGE_COUNT];
    struct frame_area area;
    guint64 number;
    guint dropped, in_flight, batch_size;
};

/* `buffer` must be writable. */
void detect_meta_attach(GstBuffer *buffer, const struct detect_meta_context *context,
                        const struct detect_meta_frame *frame);

G_END_DECLS
#endif
