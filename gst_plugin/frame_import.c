/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame_import.h"

#include <gst/allocators/gstdmabuf.h>
#include <poll.h>

#include "frame_allocator.h"

#define GST_CAT_DEFAULT frame_memory_category()

#define MAX_DEVICES       8    /* that remember something on one memory */
#define DMABUF_TIMEOUT_MS 1000 /* a writer that takes longer has hung */

static const char seen_once[] = "seen for the first time";
static const char being_imported[] = "is being imported";

/* What one device knows of one memory. */
struct import {
    struct shk_device *device; /* a name only, never used: may be gone */
    struct shk_memory *memory; /* once imported; keeps its device, so that nobody else gets that name */
    const char *reason;        /* why there is none: seen_once, being_imported, or refused for good */
};

/* The qdata of a GstMemory. It goes before the memory does (gst_mini_object_unref), and with it the imports.
 */
struct imports {
    struct import list[MAX_DEVICES];
    guint count;
};

/* Held for moments only, to look at or change a struct imports. */
G_LOCK_DEFINE_STATIC(imports);

static GQuark imports_quark(void)
{
    return g_quark_from_static_string("shrike-imports");
}

static void free_imports(gpointer data)
{
    struct imports *imports = data;
    for (guint i = 0; i < imports->count; i++)
        shk_memory_unref(&imports->list[i].memory);
    g_free(imports);
}

/* With the lock held. What is new has neither memory nor reason. NULL: there are too many. */
static struct import *find(GstMemory *memory, struct shk_device *device)
{
    GstMiniObject *object = GST_MINI_OBJECT_CAST(memory);
    struct imports *imports = gst_mini_object_get_qdata(object, imports_quark());

    if (!imports) {
        imports = g_new0(struct imports, 1);
        gst_mini_object_set_qdata(object, imports_quark(), imports, free_imports);
    }
    for (guint i = 0; i < imports->count; i++)
        if (imports->list[i].device == device)
            return &imports->list[i];
    if (imports->count == MAX_DEVICES)
        return NULL;
    struct import *import = &imports->list[imports->count++];
    *import = (struct import){.device = device};
    return import;
}

static enum shk_status import_dmabuf(GstMemory *memory, struct shk_device *device, gsize size,
                                     struct shk_memory **imported, struct shk_error *error)
{
    return shk_memory_import_dmabuf(device, gst_dmabuf_memory_get_fd(memory), size, imported, error);
}

/* System memory stays where it is, mapped or not. */
static enum shk_status import_system(GstMemory *memory, struct shk_device *device, gsize size,
                                     struct shk_memory **imported, struct shk_error *error)
{
    GstMapInfo map;

    if (!gst_memory_map(memory, &map, GST_MAP_READ)) {
        *error = (struct shk_error){SHK_ERROR_BUSY, "somebody has it mapped for writing"};
        return SHK_ERROR_BUSY;
    }
    guint8 *start = map.data - memory->offset;
    gst_memory_unmap(memory, &map);
    return shk_memory_import_host(device, start, size, imported, error);
}

static const char *refusal(enum shk_status status)
{
    switch (status) {
    case SHK_ERROR_UNSUPPORTED:
        return "the device cannot import such memory";
    case SHK_ERROR_INVALID_ARGUMENT:
        return "is not what it says it is";
    case SHK_ERROR_OUT_OF_HOST_MEMORY:
    case SHK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "there was no room to import it";
    default:
        return "importing it failed";
    }
}

/* TRUE: it is this thread's to import. Else *known is the memory, or NULL and *reason says why there is none.
 */
static gboolean claim(GstMemory *memory, struct shk_device *device, gboolean at_once,
                      struct shk_memory **known, const char **reason)
{
    gboolean mine = FALSE;

    G_LOCK(imports);
    struct import *import = find(memory, device);
    *known = import ? import->memory : NULL;
    if (!import) {
        *reason = "too many devices read it";
    } else if (!*known) {
        mine = import->reason == seen_once || (!import->reason && at_once);
        *reason = import->reason ? import->reason : seen_once;
        import->reason = mine ? being_imported : *reason;
    }
    G_UNLOCK(imports);
    return mine;
}

static struct shk_memory *get_import(GstMemory *memory, struct shk_device *device, gsize size,
                                     gboolean at_once, frame_import_function import_it, const char **reason)
{
    struct shk_memory *imported = NULL;
    struct shk_error error;

    if (!claim(memory, device, at_once, &imported, reason))
        return imported;
    enum shk_status status = import_it(memory, device, size, &imported, &error);
    if (status != SHK_OK) {
        GST_INFO("frames in memory %p are copied: %s", memory, error.message);
        *reason = refusal(status);
    }
    G_LOCK(imports);
    struct import *import = find(memory, device);
    import->memory = imported;
    import->reason = status == SHK_ERROR_BUSY ? seen_once : *reason; /* later, perhaps */
    G_UNLOCK(imports);
    return imported;
}

/* The driver does not wait for whoever writes a dma-buf; poll() does. */
static gboolean wait_for_writer(GstMemory *memory)
{
    struct pollfd poll_fd = {.fd = gst_dmabuf_memory_get_fd(memory), .events = POLLIN};
    return poll(&poll_fd, 1, DMABUF_TIMEOUT_MS) == 1 && poll_fd.revents & POLLIN;
}

static struct shk_memory *own_memory(GstMemory *memory, struct shk_device *device, gsize *offset,
                                     const char **reason)
{
    struct shk_memory_info info;
    struct shk_memory *own = frame_memory_peek(memory, offset);

    shk_memory_get_info(own, &info);
    if (info.device == device)
        return own;
    *reason = info.device ? "is in the memory of another device" : "the device had no room for it";
    return NULL;
}

struct shk_memory *frame_import(GstBuffer *buffer, struct shk_device *device, gsize *offset,
                                const char **reason)
{
    struct shk_device_info info = {.external_memory_host = TRUE};

    if (gst_buffer_n_memory(buffer) != 1) {
        *reason = "the buffer has not one memory";
        return NULL;
    }
    GstMemory *memory = gst_buffer_peek_memory(buffer, 0);
    GstMemory *whole = memory->parent ? memory->parent : memory;
    if (gst_memory_is_type(memory, FRAME_MEMORY_TYPE))
        return own_memory(memory, device, offset, reason);
    *offset = memory->offset;
    if (gst_is_dmabuf_memory(memory) && device) {
        struct shk_memory *imported = get_import(whole, device, whole->maxsize, TRUE, import_dmabuf, reason);
        if (!imported || wait_for_writer(memory))
            return imported;
        *reason = "the writer of the dma-buf has not finished in time";
        return NULL;
    }
    if (!gst_memory_is_type(memory, GST_ALLOCATOR_SYSMEM)) {
        *reason = "memory of a kind that cannot be imported";
        return NULL;
    }
    if (device)
        shk_device_get_info(device, &info);
    if (!info.external_memory_host) {
        *reason = "the device cannot import memory of the host";
        return NULL;
    }
    return get_import(whole, device, whole->maxsize, FALSE, import_system, reason);
}

struct shk_memory *frame_import_by(GstMemory *memory, struct shk_device *device, gsize size,
                                   frame_import_function import_it, const char **reason)
{
    return get_import(memory, device, size, TRUE, import_it, reason);
}
