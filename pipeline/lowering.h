/* The inside of a shk_lowering, for lower.c, kernel.c and the session.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_LOWERING_H
#define SHK_LOWERING_H

#include "plan.h"

#define SHK_OP_NONE UINT32_MAX

/* A dispatch as it will be recorded. */
struct shk_lowered {
    const struct shk_shader *shader;
    uint32_t spec[SHK_SPEC_FIRST + SHK_MAX_SPEC]; /* workgroup size first */
    uint32_t spec_count;
    uint32_t groups[3];
    uint32_t push[SHK_MAX_PUSH_BYTES / 4];
    uint32_t push_size;
    uint32_t uniform_offset;
    uint32_t op;         /* SHK_OP_NONE: preprocess */
    bool barrier;        /* wait for everything before */
    bool skipped;        /* an earlier one does it as well (join.h) */
    const struct shk_shader *joined; /* as struct shk_dispatch has them */
    const struct shk_variant *joined_variant;
    VkPipeline pipeline; /* the kernel set's, filled in by shk_kernels_build() */
};

struct shk_fused;

struct shk_lowering {
    const struct shk_graph *graph; /* the fused one */
    const struct shk_fused *fused;
    struct shk_device *device;
    const struct shk_plan *plan;
    const struct shk_session_params *params;
    const char *variant; /* forced */
    /* Per op; NULL, as a whole or one of them: the rule of thumb. Borrowed. */
    const struct shk_variant *const *choices;
    const struct shk_variant **used; /* per op; NULL: the op has no variants */
    uint32_t uniform_range;
    bool texels; /* activations are read as texels */
    uint64_t lane_bytes;  /* of the arena, for one frame of a batch */
    uint32_t lane_stride; /* words; 0: one lane only */

    struct shk_lowered *dispatches;
    uint32_t count, capacity;
    uint8_t *bytes; /* the parameter buffer */
    size_t size, allocated;

    uint32_t op; /* being lowered */
    bool barrier_next;
    bool break_params; /* tests only */
    enum shk_status status; /* first failure */
    struct shk_error error;
};

/* `texels`: activations are read as texels if the device can address all. Errors: SHK_ERROR_UNSUPPORTED (an arena for
 * params->batch_size frames that the device cannot bind). */
enum shk_status shk_lowering_init(struct shk_lowering *lowering, const struct shk_fused *fused,
                                  struct shk_device *device, const struct shk_plan *plan,
                                  const struct shk_session_params *params, bool texels, struct shk_error *error);
void shk_lowering_finish(struct shk_lowering *lowering);

/* The dispatch as it will be recorded: no op, one lane, a barrier before it. */
void shk_lowered_from(struct shk_lowered *lowered, const struct shk_dispatch *dispatch);

/* Lowers every op in order, with barriers where hazards.h wants them; with profile_ops before each op. Errors: the ops',
 * and SHK_ERROR_UNSUPPORTED (more workgroups than the device dispatches). */
enum shk_status shk_lowering_run(struct shk_lowering *lowering, struct shk_error *error);

/* Dispatches that are not skipped, and those with a barrier before them. */
uint32_t shk_lowering_dispatches(const struct shk_lowering *lowering);
uint32_t shk_lowering_barriers(const struct shk_lowering *lowering);

#endif
