/* The inside of a session: slots in a ring, and two ways of running them (device.c's and the reference's).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_SESSION_INTERNAL_H
#define SHK_SESSION_INTERNAL_H

#include <stdatomic.h>

#include <shrike/session.h>

#include "detect.h"
#include "kernel.h"
#include "model.h"
#include "preprocess.h"
#include "slot.h"

#define SHK_MAX_FRAMES_IN_FLIGHT 16

/* Timestamps of one frame, by query index; with profile_ops one more after each op, from QUERY_OPS on. */
enum { QUERY_START, QUERY_PREPROCESSED, QUERY_INFERRED, QUERY_COPIED, QUERY_OPS };

/* What the slot's PREPROCESS commands were recorded for. */
enum shk_slot_source { SHK_SOURCE_NONE, SHK_SOURCE_TENSORS, SHK_SOURCE_FRAME };

struct shk_frame_slot {
    void *user;
    enum shk_slot_source source; /* of the frame in it */
    struct shk_placement placement;
    uint64_t submit_start, upload_start, upload_end; /* CLOCK_MONOTONIC */
    uint64_t *op_ns;     /* per op, with profile_ops */
    void **outputs;      /* dense, types of struct shk_tensor */
    struct shk_detection *detections;
    uint32_t detection_count;

    struct shk_slot gpu;
    VkDescriptorSet set;
    enum shk_slot_source recorded;

    void *frame;   /* reference: what shk_preprocess_write() left */
    void **inputs; /* reference: dense */
};

struct shk_session;

/* How a session runs: on a device (session_device.c) or by the C reference (session_reference.c). */
struct shk_backend {
    enum shk_status (*create)(struct shk_session *session, struct shk_error *error);
    void (*destroy)(struct shk_session *session);
    /* A new frame format: session->preprocess is ready; make room for its bytes in every slot. */
    enum shk_status (*configure)(struct shk_session *session, struct shk_error *error);
    /* Where shk_preprocess_write() shall put the frame. */
    void *(*frame_memory)(struct shk_session *session, struct shk_frame_slot *slot);
    enum shk_status (*write_tensors)(struct shk_session *session, struct shk_frame_slot *slot,
                                     const void *const *inputs, struct shk_error *error);
    enum shk_status (*submit)(struct shk_session *session, struct shk_frame_slot *slot, struct shk_error *error);
    /* Fills slot->outputs, op_ns and the times of the device stages and readback. */
    enum shk_status (*wait)(struct shk_session *session, struct shk_frame_slot *slot, uint64_t timeout_ns,
                            struct shk_stage_time *stages, struct shk_error *error);
    enum shk_status (*read_tensor)(struct shk_session *session, uint32_t tensor, void *bytes,
                                   struct shk_error *error);
};
extern const struct shk_backend shk_backend_device;
extern const struct shk_backend shk_backend_reference;

struct shk_session {
    const struct shk_backend *backend;
    struct shk_device *device; /* NULL: reference */
    struct shk_model *model;
    const struct shk_graph *graph;
    struct shk_session_params params;
    char *cache_dir;
    struct shk_session_info info;
    const struct shk_detector *detector; /* the model's */
    struct shk_nms *nms;                 /* used by whoever waits */

    /* Frames so far; the slot of ticket t is slots[t % slot_count]. */
    atomic_uint_fast64_t submitted, waited, released;
    struct shk_frame_slot *slots;
    uint32_t slot_count;

    bool configured;
    struct shk_preprocess preprocess;
    uint32_t tables[SHK_PREPROCESS_TABLE_WORDS];

    /* Device sessions. */
    struct shk_plan *plan;
    struct shk_lowering lowering;
    struct shk_lowered preprocess_dispatch;
    uint32_t table_offset;
    struct shk_kernels kernels;
    VkDescriptorPool descriptor_pool;
    struct shk_buffer arena, parameters;
    uint64_t *input_offsets, *output_offsets; /* bytes in a slot's buffers */
    uint64_t input_bytes, output_bytes;

    /* Reference sessions. */
    void **tensors; /* per tensor, dense; constants point into the graph */
    void **arguments; /* the arrays of the op that runs */
};

/* Copies between a dense array and the rows of a view whose first word is at `words`. Element size 1 or 4. */
void shk_rows_pack(const struct shk_view *view, size_t element, const void *dense, void *words);
void shk_rows_unpack(const struct shk_view *view, size_t element, const void *words, void *dense);
/* UINT8 in the file, INT8 here: flips the top bit of every byte. In place is fine. */
void shk_flip_sign(const void *from, void *to, size_t bytes);

#endif
