/* Frames that other Vulkan elements made, searched on the GPU that they are on: the device that those
 * elements have becomes the engine's, and their images and buffers become memory that a session reads.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * All of it is there in any build; without gstreamer-vulkan-1.0 vulkan_share_supported() is FALSE, and
 * nothing that needs a device works.
 *
 * What an element does:
 *
 *   class_init      If vulkan_share_supported(): the sink and source templates get, behind video/x-raw,
 *                       video/x-raw(memory:VulkanImage), format=VULKAN_SHARE_IMAGE_FORMATS, ...
 *                       video/x-raw(memory:VulkanBuffer), format=VULKAN_SHARE_BUFFER_FORMATS, ...
 *                   The meta:GstVideoOverlayComposition variants are not needed: the frame passes through.
 *   init            vulkan_share_new(element), and vulkan_share_free() in finalize.
 *   set_context     vulkan_share_set_context(), then the parent class's. An application gives its device this
 *                   way.
 *   query           On both pads, GST_QUERY_CONTEXT: if vulkan_share_answer() says TRUE, so does the pad;
 *                   else gst_pad_query_default(). ALLOCATION with these features: propose nothing, as
 *                   upstream's own pools make the right memory.
 *   CAPS event      With one of these features (vulkan_share_wanted()): waits until the frames before it are
 *                   done, as vulkan_share_open() may forget the device that they are on. It finds upstream's
 *                   device, which is known no earlier: elements upstream go to PAUSED after this one.
 *                   engine_move() takes what it returns and gives an engine that runs there, or refuses, and
 *                   so does the event. A second CAPS event may come with the same device: it is then the same
 *                   shk_device, and the engine stays.
 *   buffer          After such caps: vulkan_share_frame() instead of frame_import(). The layout that the
 *                   element has of the buffer (offsets, strides) is not that of the memory, which is in
 *                   *pixels; nor are an image's bytes counted in the size of the buffer. On
 *                   SHK_ERROR_UNSUPPORTED a VulkanBuffer may still be copied by the CPU (gst_video_frame_map
 *                   works where it is host visible, as those of GStreamer's pool are); an image never can be,
 *                   so *reason belongs into the error. pixels->memory is a reference for the frame:
 *                   shk_memory_unref() when it has been waited for. Keep the GstBuffer until then, too.
 *   flush           Frames that have not reached the session: vulkan_share_finish() before their buffers go,
 *                   as the device may still be copying. A thread that must not wait takes no frame back.
 *   PAUSED->READY   vulkan_share_close(), when no frame is under way. The engine's reference of the device is
 *                   the engine's.
 *
 * The device that came this way reads system memory as well, so that caps may change back: the engine stays
 * on it until the element goes to READY.
 *
 * Order on the GPU. GStreamer's elements record what they do to a frame and push it at once, before the GPU
 * has done it; whoever comes next submits to the same queue, or waits for the frame's timeline semaphore
 * (GStreamer 1.24). vulkan_share_frame() does the same: it submits the copy (or, where nothing is copied, a
 * barrier) to upstream's queue behind what upstream submitted, and what the session submits later comes
 * behind that. The CPU never waits. Downstream gets a frame when its result is there, so that it may do to
 * the frame what it likes.
 *
 * A lost device stays lost: it is GStreamer's, and the elements upstream are as broken. Report it as an
 * error.
 *
 * memory:DMABuf needs nothing from here: frame_import() reads dma-bufs on any device that can, and elements
 * map them where it cannot. See frame_drm.h for caps.
 *
 * Threads: set_context and answer from any; the others from the streaming thread of the sink pad, finish and
 * close also from a thread that flushes or changes the state while no streaming thread runs. */
#ifndef SHRIKE_GST_VULKAN_SHARE_H
#define SHRIKE_GST_VULKAN_SHARE_H

#include <gst/video/video.h>
#include <shrike/session.h>

G_BEGIN_DECLS

#define VULKAN_SHARE_BUFFER_FEATURE "memory:VulkanBuffer"
#define VULKAN_SHARE_IMAGE_FEATURE  "memory:VulkanImage"
/* 24-bit pixels are missing: few devices have such images, and GStreamer 1.22 crashes where they are not
 * there. */
#define VULKAN_SHARE_BUFFER_FORMATS "{ NV12, I420, YUY2, RGBx, BGRx, RGBA, BGRA, GRAY8 }"
#define VULKAN_SHARE_IMAGE_FORMATS  "{ NV12, I420, YUY2, RGBx, BGRx, RGBA, BGRA, GRAY8 }"

struct vulkan_share;

/* Whether the plugin was built with gstreamer-vulkan-1.0. */
gboolean vulkan_share_supported(void);
/* Whether frames with these caps are in Vulkan memory. */
gboolean vulkan_share_wanted(const GstCaps *caps);

/* `element` is borrowed: for context queries and log lines. */
struct vulkan_share *vulkan_share_new(GstElement *element);
void vulkan_share_free(struct vulkan_share *share); /* NULL is fine */

void vulkan_share_set_context(struct vulkan_share *share, GstContext *context);
/* Answers a GST_QUERY_CONTEXT for the instance, the device or the queue, once they are known. */
gboolean vulkan_share_answer(struct vulkan_share *share, GstQuery *query);

/* Asks what is upstream of `pad` for its device (and its queue, so that both submit under one lock), else
 * takes the one that set_context gave. *device is a reference for the caller. `frames`, 1 to 64: most frames
 * whose memory has not been dropped yet; one more than there are places for. `log` must not need the element:
 * memory that upstream keeps keeps the device, and may go after the element.
 *
 * The device has no optional feature as far as anybody can know, and of extensions what was enabled on the
 * GstVulkanDevice: with GStreamer 1.22 none, and one queue. So kernels without dot products are what runs
 * there.
 *
 * Errors: SHK_ERROR_NO_DEVICE (nobody has said which device; built without gstreamer-vulkan),
 * SHK_ERROR_UNSUPPORTED (no queue that computes, Vulkan below 1.1), and those of shk_device_adopt(). */
enum shk_status vulkan_share_open(struct vulkan_share *share, GstPad *pad, guint frames, struct shk_log log,
                                  struct shk_device **device, struct shk_error *error);
/* Waits for the copies. To be called before buffers go whose frames the session was never given or has not
 * been waited for: the device may be reading them. NULL or not open is fine. */
void vulkan_share_finish(struct vulkan_share *share);
/* Forgets the device, after its copies are done. Memory that was handed out lives on. NULL or not open is
 * fine. */
void vulkan_share_close(struct vulkan_share *share);

/* Fills memory (a new reference), offset and stride of *pixels, and nothing else of it: a frame of `info`'s
 * format and, unless a GstVideoMeta says otherwise, of its size. A buffer with
 * VK_BUFFER_USAGE_STORAGE_BUFFER_BIT and all planes in one memory is read where it is (its origin is then
 * SHK_ORIGIN_BUFFER); everything else is copied on the device. Nothing is allocated per frame, but once for
 * each GstMemory of upstream's pool that is read where it is, and once for each size of frames that are
 * copied.
 *
 * SHK_ERROR_UNSUPPORTED: such a frame cannot be read or copied by the device; *reason says why, a static
 * string. Else *reason is NULL. Other errors, with *error: SHK_ERROR_INVALID_ARGUMENT (not open; planes that
 * are not in the buffer), SHK_ERROR_BUSY (more frames than vulkan_share_open() was told),
 * SHK_ERROR_DEVICE_LOST, SHK_ERROR_DRIVER, out of memory. */
enum shk_status vulkan_share_frame(struct vulkan_share *share, const GstVideoInfo *info, GstBuffer *buffer,
                                   struct shk_frame *pixels, const char **reason, struct shk_error *error);

G_END_DECLS
#endif
