/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame_allocator.h"

#include <string.h>

#define GST_CAT_DEFAULT frame_memory_category()

typedef struct {
    GstMemory parent;
    struct shk_memory *memory;
    guint8 *map; /* what offset 0 is */
} FrameMemory;

typedef struct {
    GstAllocator parent;
    struct shk_device *device; /* a reference; NULL: plain memory */
    gint warned;
} FrameAllocator;

typedef struct {
    GstAllocatorClass parent;
} FrameAllocatorClass;

GType gst_shrike_allocator_get_type(void);
G_DEFINE_TYPE(FrameAllocator, gst_shrike_allocator, GST_TYPE_ALLOCATOR)

static gpointer create_category(gpointer unused)
{
    GstDebugCategory *category = NULL;
    GST_DEBUG_CATEGORY_INIT(category, "shrikememory", 0, "where frames are, and why they are copied");
    return category;
}

GstDebugCategory *frame_memory_category(void)
{
    static GOnce once = G_ONCE_INIT;
    return g_once(&once, create_category, NULL);
}

static struct shk_memory *allocate(FrameAllocator *self, gsize size)
{
    struct shk_memory *memory = NULL;
    struct shk_error error;

    if (shk_memory_alloc(self->device, size, &memory, &error) == SHK_OK)
        return memory;
    if (g_atomic_int_compare_and_exchange(&self->warned, FALSE, TRUE))
        GST_WARNING_OBJECT(self, "frames will be copied: %s", error.message);
    if (self->device)
        shk_memory_alloc(NULL, size, &memory, NULL);
    return memory;
}

/* Takes the reference to `memory`. */
static GstMemory *wrap(GstAllocator *allocator, GstMemoryFlags flags, GstMemory *parent,
                       struct shk_memory *memory, gsize align, gsize offset, gsize size)
{
    FrameMemory *mem = g_new0(FrameMemory, 1);
    struct shk_memory_info info;

    shk_memory_get_info(memory, &info);
    gst_memory_init(GST_MEMORY_CAST(mem), flags, allocator, parent, info.size, align, offset, size);
    mem->memory = memory;
    mem->map = info.map;
    return GST_MEMORY_CAST(mem);
}

static GstMemory *frame_alloc(GstAllocator *allocator, gsize size, GstAllocationParams *params)
{
    gsize around;

    /* with room to move the first byte to a multiple of the alignment, where prefix or alignment ask for that
     */
    if (!g_size_checked_add(&around, params->prefix, params->padding) ||
        !g_size_checked_add(&around, around, params->align) || around > G_MAXSIZE - size)
        return NULL;
    struct shk_memory *memory = allocate((FrameAllocator *)allocator, MAX(size + around, 1));
    if (!memory)
        return NULL;
    struct shk_memory_info info;
    shk_memory_get_info(memory, &info);
    gsize offset = params->prefix + (-((guintptr)info.map + params->prefix) & params->align);
    if (params->flags & GST_MEMORY_FLAG_ZERO_PREFIXED)
        memset(info.map, 0, offset);
    if (params->flags & GST_MEMORY_FLAG_ZERO_PADDED)
        memset((guint8 *)info.map + offset + size, 0, info.size - offset - size);
    return wrap(allocator, params->flags, NULL, memory, params->align, offset, size);
}

static void frame_free(GstAllocator *allocator, GstMemory *memory)
{
    shk_memory_unref(&((FrameMemory *)memory)->memory);
    g_free(memory);
}

static gpointer frame_map(GstMemory *memory, gsize maxsize, GstMapFlags flags)
{
    return ((FrameMemory *)memory)->map;
}

static void frame_unmap(GstMemory *memory)
{
}

static GstMemory *frame_share(GstMemory *memory, gssize offset, gssize size)
{
    GstMemory *parent = memory->parent ? memory->parent : memory;

    if (size == -1)
        size = (gssize)memory->size - offset;
    return wrap(memory->allocator, GST_MINI_OBJECT_FLAGS(parent) | GST_MINI_OBJECT_FLAG_LOCK_READONLY, parent,
                shk_memory_ref(((FrameMemory *)memory)->memory), memory->align,
                memory->offset + (gsize)offset, (gsize)size);
}

static GstMemory *frame_copy(GstMemory *memory, gssize offset, gssize size)
{
    GstAllocationParams params = {.align = memory->align};

    if (size == -1)
        size = (gssize)memory->size > offset ? (gssize)memory->size - offset : 0;
    GstMemory *copy = gst_allocator_alloc(memory->allocator, (gsize)size, &params);
    GstMapInfo to;
    if (!copy)
        return NULL;
    if (!gst_memory_map(copy, &to, GST_MAP_WRITE)) {
        gst_memory_unref(copy);
        return NULL;
    }
    memcpy(to.data, ((FrameMemory *)memory)->map + memory->offset + offset, (gsize)size);
    gst_memory_unmap(copy, &to);
    return copy;
}

static void gst_shrike_allocator_init(FrameAllocator *self)
{
    GstAllocator *allocator = GST_ALLOCATOR_CAST(self);

    allocator->mem_type = FRAME_MEMORY_TYPE;
    allocator->mem_map = frame_map;
    allocator->mem_unmap = frame_unmap;
    allocator->mem_share = frame_share;
    allocator->mem_copy = frame_copy;
}

static void finalize(GObject *object)
{
    shk_device_destroy(&((FrameAllocator *)object)->device);
    G_OBJECT_CLASS(gst_shrike_allocator_parent_class)->finalize(object);
}

static void gst_shrike_allocator_class_init(FrameAllocatorClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = finalize;
    GST_ALLOCATOR_CLASS(klass)->alloc = frame_alloc;
    GST_ALLOCATOR_CLASS(klass)->free = frame_free;
}

GstAllocator *frame_allocator_new(struct shk_device *device)
{
    FrameAllocator *self = g_object_new(gst_shrike_allocator_get_type(), NULL);

    gst_object_ref_sink(self);
    self->device = device ? shk_device_ref(device) : NULL;
    return GST_ALLOCATOR_CAST(self);
}

struct shk_memory *frame_memory_peek(GstMemory *memory, gsize *offset)
{
    if (!memory->allocator || G_OBJECT_TYPE(memory->allocator) != gst_shrike_allocator_get_type())
        return NULL;
    *offset = memory->offset;
    return ((FrameMemory *)memory)->memory;
}
