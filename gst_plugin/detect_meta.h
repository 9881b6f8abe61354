/* Writes a frame's result on its buffer; shrike_meta.h says what.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_DETECT_META_H
#define SHRIKE_GST_DETECT_META_H

#include <gst/video/video.h>
#include <shrike/session.h>

#include "detect_analytics.h"
#include "frame_map.h"

G_BEGIN_DECLS

/* Registers the custom meta, once per process. */
void detect_meta_register(void);

struct detect_meta_context {
    const GQuark *labels; /* class names; classes past `label_count` are called "class <id>" */
    guint label_count;
    const char *device;
    GstClock *clock;         /* the pipeline's, or NULL */
    guint kinds;             /* enum detect_meta_kinds */
    gboolean classification; /* detections are classes of the whole frame */
};

struct detect_meta_frame {
    const struct shk_detection *detections;
    guint detection_count;
    struct shk_stage_time stages[SHK_STAGE_COUNT];
    struct frame_area area;
    guint dropped, in_flight, batch_size;
};

/* `buffer` must be writable. */
void detect_meta_attach(GstBuffer *buffer, const struct detect_meta_context *context,
                        const struct detect_meta_frame *frame);

G_END_DECLS
#endif
