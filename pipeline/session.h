/* The inside of a session: slots in a ring, and two ways of running them (device.c's and the reference's).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_SESSION_INTERNAL_H
#define SHK_SESSION_INTERNAL_H

#include <stdatomic.h>

#include <shrike/session.h>

#include "detect.h"
#include "frame_memory.h"
#include "kernel.h"
#include "model.h"
#include "preprocess.h"
#include "slot.h"

#define SHK_MAX_FRAMES_IN_FLIGHT 16
#define SHK_MAX_BATCH            SHK_MAX_VARIANTS

/* Timestamps of one batch, by query index; with profile_ops one more after each op, from QUERY_OPS on. */
enum { QUERY_START, QUERY_PREPROCESSED, QUERY_INFERRED, QUERY_COPIED, QUERY_OPS };

/* Where the model's inputs come from: what the slot's PREPROCESS commands were recorded for. */
enum shk_slot_source { SHK_SOURCE_NONE, SHK_SOURCE_TENSORS, SHK_SOURCE_FRAMES };

struct shk_stream {
    struct shk_session *session;
    struct shk_preprocess preprocess;
    struct shk_lowered dispatch; /* device: of lane 0 */
};

/* A frame of a batch: its place in a slot, and the lane of the arena that it runs in. */
struct shk_lane {
    void *user;
    const struct shk_stream *stream; /* until it was waited for; borrowed */
    struct shk_memory *memory;       /* likewise */
    struct shk_placement placement;
    void **outputs; /* dense, types of struct shk_tensor */
    struct shk_found found;
    struct shk_detection *detections;
    uint32_t detection_count;
    struct shk_stage_time decode;
    void *header; /* what shk_preprocess_write() left; NULL if the model's input is no image */

    /* Device: of preprocessing, with what is bound and what its dispatch was recorded with. */
    VkDescriptorSet set;
    uint64_t bound; /* shk_memory.serial; 0: nothing yet */
    VkPipeline pipeline;
    struct shk_preprocess_push push;

    void **inputs; /* reference: dense */
};

struct shk_frame_slot {
    enum shk_slot_source source; /* of what is in it */
    uint32_t count;              /* frames in it */
    struct shk_lane *lanes;      /* batch_size */
    uint64_t submit_start, upload_start, upload_end; /* CLOCK_MONOTONIC */
    struct shk_stage_time stages[SHK_STAGE_COUNT];   /* of the batch */
    uint64_t *op_ns;            /* per op, with profile_ops */
    struct shk_memory *staging; /* a frame copied by shk_session_submit(); device: or raw input tensors */

    struct shk_slot gpu;
    VkDescriptorSet select_set; /* with a selection: of what is found, and what of that is read back */
    struct shk_buffer headers; /* of all lanes */
    struct {
        enum shk_slot_source source;
        uint32_t count;
        uint64_t staging; /* serial; tensors only */
    } recorded;
};

struct shk_selection;
struct shk_session;

/* How a session runs: on a device (session_device.c) or by the C reference (session_reference.c). */
struct shk_backend {
    enum shk_status (*create)(struct shk_session *session, struct shk_error *error);
    void (*destroy)(struct shk_session *session);
    /* A new stream: its preprocess is ready. May be NULL. From any thread. */
    enum shk_status (*stream)(struct shk_session *session, struct shk_stream *stream, struct shk_error *error);
    /* A new frame format of shk_session_submit(): its stream is ready; make room for its planes in every slot. */
    enum shk_status (*configure)(struct shk_session *session, struct shk_error *error);
    void (*write_tensors)(struct shk_session *session, struct shk_frame_slot *slot, uint32_t lane,
                          const void *const *inputs);
    enum shk_status (*submit)(struct shk_session *session, struct shk_frame_slot *slot, struct shk_error *error);
    /* Fills the lanes' outputs, slot->op_ns and the times of the device stages and readback. */
    enum shk_status (*wait)(struct shk_session *session, struct shk_frame_slot *slot, uint64_t timeout_ns,
                            struct shk_error *error);
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

    /* Batches so far; the slot of ticket t is slots[t % slot_count]. */
    atomic_uint_fast64_t submitted, waited, released;
    struct shk_frame_slot *slots;
    uint32_t slot_count;

    bool image; /* the model takes frames */
    bool configured;
    struct shk_stream stream; /* of shk_session_submit() */
    uint32_t tables[SHK_PREPROCESS_TABLE_WORDS];

    /* Device sessions. */
    const struct shk_variant **choices; /* per op; NULL: the rule of thumb */
    bool look_up;                       /* choices and checks of the cache folder count */
    struct shk_fused *fused; /* what plan and lowering are of */
    struct shk_plan *plan;
    struct shk_lowering lowering;
    uint32_t table_offset;
    struct shk_kernels kernels;
    VkDescriptorPool descriptor_pool;
    VkDescriptorSet set; /* of inference */
    struct shk_buffer arena;
    struct shk_weights *weights; /* parameters */
    uint64_t *input_offsets, *output_offsets; /* bytes in a lane's part of a slot's buffers */
    uint64_t input_bytes, output_bytes;       /* of a lane */
    struct shk_selection *selection;          /* NULL: all outputs are read whole */

    /* Reference sessions. */
    void **tensors; /* per tensor, dense; constants point into the graph */
    void **arguments; /* the arrays of the op that runs */
};

static inline VkDeviceSize shk_session_lane(const struct shk_session *session, uint32_t lane)
{
    return session->arena.offset + lane * session->lowering.lane_bytes;
}

/* As shk_session_create(), but every op that `variant` is a variant of (NULL: none) is computed by it, whatever the tuner
 * chose, and without the check that it computes correctly. */
enum shk_status shk_session_create_chosen(struct shk_device *device, struct shk_model *model,
                                          const struct shk_session_params *params, const struct shk_variant *variant,
                                          struct shk_session **session, struct shk_error *error);

/* ---- session_variants.c ---- */

/* Fills session->choices. */
enum shk_status shk_session_choose(struct shk_session *session, const struct shk_variant *variant,
                                   struct shk_error *error);
/* Which ops are to absorb convolutions in front of them, by their choices. `chains`: per op. */
void shk_session_choose_chains(struct shk_session *session, enum shk_chain *chains);
/* Before lowering: reads what the cache folder knows of the device, and says whether activations are to be read as texels
 * (loads.h). */
bool shk_session_read_notes(struct shk_session *session);
/* After lowering: runs each kernel that has variants and was not checked on this device before against the C reference,
 * and drops variants whose bytes differ. false: one was dropped, so lower again. */
bool shk_session_check_kernels(struct shk_session *session);

/* ---- session_stream.c ---- */

enum shk_status shk_stream_init(struct shk_stream *stream, struct shk_session *session,
                                const struct shk_frame_format *format, struct shk_error *error);

/* ---- session_record.c ---- */

/* Records the slot's PREPROCESS commands for what is in it, unless they were recorded for just that. */
enum shk_status shk_record_source(struct shk_session *session, struct shk_frame_slot *slot,
                                  struct shk_error *error);
/* All INFERENCE commands of the slot: a variant for each number of frames. */
enum shk_status shk_record_inference(struct shk_session *session, struct shk_frame_slot *slot,
                                     struct shk_error *error);

/* ---- rows.c ---- */

/* Copies between a dense array and the rows of a view whose first word is at `words`. Element size 1 or 4. */
void shk_rows_pack(const struct shk_view *view, size_t element, const void *dense, void *words);
void shk_rows_unpack(const struct shk_view *view, size_t element, const void *words, void *dense);
/* UINT8 in the file, INT8 here: flips the top bit of every byte. In place is fine. */
void shk_flip_sign(const void *from, void *to, size_t bytes);

#endif
