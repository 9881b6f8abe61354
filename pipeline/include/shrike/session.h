/* Shrike: sessions. A session is one model planned, packed and recorded for one device, with a fixed number of
 * slots. A slot takes one frame, or a batch of frames that the device works on together. Frames go in through
 * shk_session_submit*(), come out through shk_session_wait() in the same order, and give their slot back with
 * shk_session_release().
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One stream of video, copied to the device by submit:
 *     shk_device_create -> shk_model_load_file -> shk_session_create -> shk_session_configure
 *         -> { shk_session_submit -> shk_session_wait -> use the result -> shk_session_release } ...
 *
 * Any number of streams that share one session, frames where the device can read them (shrike/memory.h), batches:
 *     ... -> shk_session_create (batch_size) -> shk_stream_create for each format
 *         -> { shk_session_submit_batch -> shk_session_wait -> shk_session_get_frame ... -> shk_session_release } ...
 *
 * Planning, packing, pipeline creation and recording happen in shk_session_create() (and, for a new frame
 * format, in shk_session_configure() and shk_stream_create()): nothing is allocated per frame after that.
 *
 * A lost device (SHK_ERROR_DEVICE_LOST) stays lost: from then on submit and wait of every session on it say so at once.
 * The way on is a new device with new sessions. What was in flight has no result; its memory is the caller's again when
 * shk_session_destroy() has returned.
 *
 * Threads: one thread may submit while another waits and releases, and others create, check with and destroy streams.
 * Two threads must not submit at once, nor wait at once; create, configure and destroy of the session may not race
 * with anything. Sessions are independent. */
#ifndef SHRIKE_SESSION_H
#define SHRIKE_SESSION_H

#include <shrike/device.h>
#include <shrike/memory.h>
#include <shrike/model.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shk_session;
struct shk_stream;

/* Video frames. Names and memory layouts are those of GStreamer's GstVideoFormat. */
enum shk_pixel_format {
    SHK_FORMAT_RGB,
    SHK_FORMAT_BGR,
    SHK_FORMAT_RGBA,
    SHK_FORMAT_BGRA,
    SHK_FORMAT_RGBX,
    SHK_FORMAT_BGRX,
    SHK_FORMAT_GRAY8,
    SHK_FORMAT_NV12,
    SHK_FORMAT_I420,
    SHK_FORMAT_YUY2,
    SHK_FORMAT_COUNT,
};

/* Y'CbCr matrix and range of NV12, I420 and YUY2 frames (ITU-R BT.601 / BT.709); GRAY8 uses the range only. */
enum shk_yuv_matrix { SHK_YUV_BT601, SHK_YUV_BT709 };
enum shk_yuv_range { SHK_YUV_LIMITED, SHK_YUV_FULL };

/* Letterbox keeps the aspect ratio: the frame in the middle of the model's input, grey (level 114) around it. */
enum shk_resize { SHK_RESIZE_STRETCH, SHK_RESIZE_LETTERBOX };
/* Bilinear takes four pixels per model pixel; area the mean over all that it covers. */
enum shk_filter { SHK_FILTER_BILINEAR, SHK_FILTER_AREA };

#define SHK_MAX_FRAME_SIDE 16384 /* pixels */

/* What every frame of a stream has in common. */
struct shk_frame_format {
    enum shk_pixel_format format;
    uint32_t width; /* pixels, 1 to SHK_MAX_FRAME_SIDE; odd sizes are fine: chroma planes round up */
    uint32_t height;
    enum shk_yuv_matrix matrix;
    enum shk_yuv_range range;
};

/* Pixels. */
struct shk_rect {
    uint32_t x, y, width, height;
};

/* One frame. Planes: RGB*, GRAY8, YUY2: 1; NV12: Y, CbCr; I420: Y, Cb, Cr. `stride` is the distance of rows in
 * bytes and at least the bytes of one row. `plane_size` is what may be read behind each pointer. */
struct shk_frame {
    const uint8_t *plane[3];
    size_t plane_size[3];
    uint32_t stride[3];
    struct shk_rect crop; /* {0}: the whole frame. Else inside the frame and not empty. */
    void *user;           /* comes back in the result */
    /* shk_session_submit_batch() only: the memory that the planes are in, of the session's own device, and the byte in
     * it where each begins (`plane` and `plane_size` are then not used). Offsets and strides must be multiples of 4. The
     * session takes no reference: memory and contents stay as they are until the frame has been waited for. */
    struct shk_memory *memory;
    size_t offset[3];
};

struct shk_session_params {
    uint32_t frames_in_flight; /* slots, 1 to 16 */
    uint32_t batch_size;       /* most frames per slot, 1 to 32; activations take so many times the memory */
    enum shk_resize resize;
    enum shk_filter filter;
    bool bgr;              /* the model wants blue first; so does one whose sidecar says so (caps) */
    /* Real input value of an 8 bit level p: (p - mean[c]) / std[c]. With std[0] == 0 (default): as the model's sidecar
     * says (ranges); else integer inputs take the level itself (uint8: p, int8: p - 128), float inputs take
     * (p - 127.5) / 127.5. */
    float mean[3], std[3];
    /* Detections below it are not reported. Negative: the model's own, else 0.5. 0: the model's
     * own, else all. */
    float score_threshold;
    /* For non-maximum suppression, at most 1. Not above 0: the model's own, else 0.5. */
    float iou_threshold;
    /* 0: the model's own, else 100. At most 1000; a model's output tensor may hold fewer. */
    uint32_t max_detections;
    bool keep_tensors;     /* no memory is reused, so that shk_session_read_tensor() can read every tensor; no fusion */
    uint32_t no_fusion;    /* bits of enum shk_fusion that are switched off */
    /* Outputs are not going to be read (shk_session_read_output). YOLO and SSD heads (of 64 KB or more
     * together, and up to 65536 boxes) are then decoded and suppressed on the device, so that only detections are read
     * back. They are the same. */
    bool detections_only;
    bool profile_ops;      /* timestamps around every op (shk_session_op_times) */
    const char *cache_dir; /* where to keep the driver's pipeline cache, created if needed; NULL: nowhere */
    struct shk_log log;
};
#define SHK_SESSION_PARAMS_DEFAULT                                                                               \
    ((struct shk_session_params){                                                                                \
        .frames_in_flight = 2, .batch_size = 1, .score_threshold = -1.0f, .iou_threshold = -1.0f})

/* Plans, packs, builds pipelines, uploads and records. `device` NULL runs the plain C reference on the CPU
 * instead: same bytes, slow. Holds a reference to device and model. `params` may be NULL.
 * Errors: SHK_ERROR_INVALID_ARGUMENT (a parameter out of its range), SHK_ERROR_UNSUPPORTED (an op that this
 * device cannot run: op, index, reason; a batch size whose activations the device cannot bind, with the largest that it
 * can), out of memory (with the numbers), SHK_ERROR_DRIVER. */
SHK_API enum shk_status shk_session_create(struct shk_device *device, struct shk_model *model,
                                           const struct shk_session_params *params, struct shk_session **session,
                                           struct shk_error *error);

/* Waits for the frames on the device, then frees everything and sets *session to NULL. NULL is fine. */
SHK_API void shk_session_destroy(struct shk_session **session);

/* Sets the format of the frames to come. Needed once before shk_session_submit() and whenever the stream
 * changes; no frame may be in flight. Errors: SHK_ERROR_INVALID_ARGUMENT (size), SHK_ERROR_UNSUPPORTED (the
 * model's input is not an image: rank 4, batch 1, 1 or 3 channels), SHK_ERROR_BUSY (frames in flight). */
SHK_API enum shk_status shk_session_configure(struct shk_session *session, const struct shk_frame_format *format,
                                              struct shk_error *error);

/* Copies the frame into the next free slot and sends it to the device. The planes may be reused when the call
 * returns. *ticket (may be NULL) numbers the frames from 1. Never blocks on the device.
 * Errors: SHK_ERROR_BUSY (no free slot), SHK_ERROR_INVALID_ARGUMENT (not configured; a plane too small for
 * its stride, crop outside the frame or empty), SHK_ERROR_DEVICE_LOST, SHK_ERROR_DRIVER. */
SHK_API enum shk_status shk_session_submit(struct shk_session *session, const struct shk_frame *frame,
                                           uint64_t *ticket, struct shk_error *error);

/* The frames of one format. `session` must outlive it. Errors: as shk_session_configure(), but for BUSY. */
SHK_API enum shk_status shk_stream_create(struct shk_session *session, const struct shk_frame_format *format,
                                          struct shk_stream **stream, struct shk_error *error);
/* Sets *stream to NULL; NULL is fine. No frame of it may be between submit and wait. */
SHK_API void shk_stream_destroy(struct shk_stream **stream);
/* Whether shk_session_submit_batch() would take the frame; the same errors. */
SHK_API enum shk_status shk_stream_check(const struct shk_stream *stream, const struct shk_frame *frame,
                                         struct shk_error *error);

struct shk_batch_frame {
    const struct shk_stream *stream;
    struct shk_frame frame; /* with `memory` */
};

/* Sends 1 to batch_size frames, of any streams of this session, to the device in one go: every layer of the network is
 * one dispatch for all of them. Copies no pixels and never blocks on the device. After a failure nothing was sent and the
 * slot is free; if one of the frames is refused, the message names it.
 *
 * Errors: SHK_ERROR_BUSY (no free slot), SHK_ERROR_INVALID_ARGUMENT (count; a plane that leaves its memory, a crop
 * outside the frame or empty), SHK_ERROR_UNSUPPORTED (memory of another device, an offset or stride that is no multiple
 * of 4, more memory than this device can bind: copy the frame into memory of shk_memory_alloc()),
 * SHK_ERROR_DEVICE_LOST, SHK_ERROR_DRIVER. */
SHK_API enum shk_status shk_session_submit_batch(struct shk_session *session, const struct shk_batch_frame *frames,
                                                 uint32_t count, uint64_t *ticket, struct shk_error *error);

/* The same with raw input tensors: `inputs[i]` holds exactly shk_tensor_info.bytes bytes of model input i. For a batch
 * of n the n * (inputs of the model) tensors of one frame follow those of the other, up to batch_size. */
SHK_API enum shk_status shk_session_submit_tensors(struct shk_session *session, const void *const *inputs,
                                                   uint32_t input_count, void *user, uint64_t *ticket,
                                                   struct shk_error *error);

/* One found object. Coordinates are normalised to the whole frame: 0 is its left or top edge, 1 its right or
 * bottom; inside [0, 1], min <= max. Frames from shk_session_submit_tensors(): to the model's input. */
struct shk_detection {
    uint32_t class_id;
    float confidence; /* 0 to 1 */
    float x_min, y_min, x_max, y_max;
};

/* Where the time of a frame went, in order. */
enum shk_stage {
    SHK_STAGE_QUEUE,      /* from shk_session_submit() being called until the device starts, minus upload */
    SHK_STAGE_UPLOAD,     /* copying the frame to memory the device reads */
    SHK_STAGE_PREPROCESS, /* on the device */
    SHK_STAGE_INFERENCE,  /* on the device */
    SHK_STAGE_READBACK,   /* copying the outputs to memory the CPU reads */
    SHK_STAGE_DECODE,     /* outputs to detections */
    SHK_STAGE_TOTAL,      /* from submit being called until shk_session_wait() returns; more than the sum of the others
                             by as long as the finished frame waited for that call */
    SHK_STAGE_COUNT,
};
/* "queue", "upload", "preprocess", "inference", "readback", "decode", "total". */
SHK_API const char *shk_stage_string(enum shk_stage stage);

/* Nanoseconds; `start` on CLOCK_MONOTONIC. Device stages come from timestamp queries, mapped by
 * VK_EXT_calibrated_timestamps where there is one and bracketed by submit and wait where there is not. */
struct shk_stage_time {
    uint64_t start;
    uint64_t duration;
};

/* Device stages are those of the whole batch; with shk_session_submit_batch() the upload stage is empty. */
struct shk_result {
    uint64_t ticket;
    uint32_t frame_count; /* of the batch; the members below are those of frame 0 */
    void *user;
    const struct shk_detection *detections; /* highest confidence first; valid until release */
    uint32_t detection_count;
    struct shk_stage_time stages[SHK_STAGE_COUNT];
};

/* Waits for the oldest frame that has not been waited for. timeout_ns 0: ask only; UINT64_MAX: for ever. A failure
 * leaves it the oldest: the next call is about the same frame.
 * Errors: SHK_ERROR_TIMEOUT (call again), SHK_ERROR_INVALID_ARGUMENT (nothing was submitted),
 * SHK_ERROR_DEVICE_LOST, SHK_ERROR_DRIVER. */
SHK_API enum shk_status shk_session_wait(struct shk_session *session, uint64_t timeout_ns,
                                         struct shk_result *result, struct shk_error *error);

/* Between wait and release: the result of frame `frame` of a batch, 0 first. `ticket`, `frame_count` and the
 * device stages are those of shk_session_wait(). */
SHK_API enum shk_status shk_session_get_frame(struct shk_session *session, uint64_t ticket, uint32_t frame,
                                              struct shk_result *result, struct shk_error *error);

/* Between wait and release: copies output `index` of frame `frame` as dense bytes of the model's own type.
 * `size` must be shk_tensor_info.bytes. Errors: SHK_ERROR_INVALID_ARGUMENT (no such frame or output, another size, a
 * session with detections_only). */
SHK_API enum shk_status shk_session_read_output(struct shk_session *session, uint64_t ticket, uint32_t frame,
                                                uint32_t index, void *bytes, size_t size, struct shk_error *error);

/* Between wait and release, before the next submit, with keep_tensors: any activation of frame 0, as dense bytes of
 * the type that the file gives it. */
SHK_API enum shk_status shk_session_read_tensor(struct shk_session *session, uint64_t ticket, uint32_t tensor,
                                                void *bytes, size_t size, struct shk_error *error);

/* Which op every op of the model is fused into in this session, as shk_model_get_fusion() says it, pairs included; on the
 * CPU nothing is. Errors: SHK_ERROR_INVALID_ARGUMENT (`count` is not shk_model_op_count()). */
SHK_API enum shk_status shk_session_get_fusion(const struct shk_session *session, uint32_t *into, uint32_t count,
                                               struct shk_error *error);

/* Between wait and release, with profile_ops: device nanoseconds of every op of the model, in order. 0: it needs no
 * dispatch, as its output is an alias of its input, or it is fused into another op (shk_session_get_fusion). */
SHK_API enum shk_status shk_session_op_times(struct shk_session *session, uint64_t ticket, uint64_t *ns,
                                             uint32_t count, struct shk_error *error);

/* Gives the slot of a waited-for frame back. Oldest first. */
SHK_API void shk_session_release(struct shk_session *session, uint64_t ticket);

/* What creating the session took, and what it holds. Nanoseconds and bytes. */
struct shk_session_info {
    uint64_t plan_ns, pack_ns, pipelines_ns, upload_ns, record_ns;
    uint32_t pipelines;  /* compiled */
    uint32_t dispatches; /* per frame, preprocess excluded */
    uint32_t barriers;   /* per frame, between these; with profile_ops there is one before each op */
    struct shk_memory_report memory;
    /* memory.parameter_bytes were on the device already, for another session of the model; sessions that pack the same
     * parameters (whatever their batch_size) use one copy of them, which goes with the last */
    bool parameters_shared;
    uint64_t staging_bytes; /* all slots together */
};
SHK_API void shk_session_get_info(const struct shk_session *session, struct shk_session_info *info);

#ifdef __cplusplus
}
#endif
#endif
