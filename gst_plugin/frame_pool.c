/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame_pool.h"

#include "frame_allocator.h"

#define GST_CAT_DEFAULT frame_memory_category()

#define WORD_MASK 3 /* shaders read 32-bit words: planes and rows begin at one */

typedef struct {
    GstVideoBufferPool parent;
    GstAllocator *allocator;
} FramePool;

typedef struct {
    GstVideoBufferPoolClass parent;
} FramePoolClass;

GType gst_shrike_pool_get_type(void);
G_DEFINE_TYPE(FramePool, gst_shrike_pool, GST_TYPE_VIDEO_BUFFER_POOL)

static void align_words(GstStructure *config, GstAllocationParams *params)
{
    GstVideoAlignment align;

    if (!gst_buffer_pool_config_has_option(config, GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT) ||
        !gst_buffer_pool_config_get_video_alignment(config, &align))
        return; /* GstVideoInfo's own layout begins rows at multiples of four */
    /* the padding on the left grows by itself until it keeps this alignment */
    for (guint i = 0; i < GST_VIDEO_MAX_PLANES; i++) {
        align.stride_align[i] |= WORD_MASK;
        params->align |= align.stride_align[i];
    }
    gst_buffer_pool_config_set_video_alignment(config, &align);
}

static gboolean set_config(GstBufferPool *pool, GstStructure *config)
{
    FramePool *self = (FramePool *)pool;
    GstAllocator *asked = NULL;
    GstAllocationParams params;

    if (!gst_buffer_pool_config_get_allocator(config, &asked, &params))
        gst_allocation_params_init(&params);
    if (asked && asked != self->allocator)
        GST_DEBUG_OBJECT(self, "the allocator %" GST_PTR_FORMAT " is replaced by the pool's own", asked);
    params.prefix = GST_ROUND_UP_4(params.prefix);
    params.align |= WORD_MASK;
    align_words(config, &params);
    gst_buffer_pool_config_set_allocator(config, self->allocator, &params);
    return GST_BUFFER_POOL_CLASS(gst_shrike_pool_parent_class)->set_config(pool, config);
}

static void gst_shrike_pool_init(FramePool *self)
{
}

static void finalize(GObject *object)
{
    gst_clear_object(&((FramePool *)object)->allocator);
    G_OBJECT_CLASS(gst_shrike_pool_parent_class)->finalize(object);
}

static void gst_shrike_pool_class_init(FramePoolClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = finalize;
    GST_BUFFER_POOL_CLASS(klass)->set_config = set_config;
}

GstBufferPool *frame_pool_new(struct shk_device *device)
{
    FramePool *self = g_object_new(gst_shrike_pool_get_type(), NULL);

    gst_object_ref_sink(self);
    self->allocator = frame_allocator_new(device);
    return GST_BUFFER_POOL_CAST(self);
}
