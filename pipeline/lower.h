/* Lowering: what an op's lower() uses to turn itself into dispatches.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_LOWER_H
#define SHK_LOWER_H

#include "abi.h"
#include "device.h"
#include "op.h"
#include "shader.h"
#include "variant.h"

struct shk_fused_op;

/* Where a tensor lives in the arena, in words. Element (row, c) of an INT8 tensor is byte c % 4 of word
 * offset + row * stride + c / 4; of a 32-bit tensor word offset + row * stride + c. Rows are all dimensions
 * but the last, flattened. `stride` may be more than `words`: a tensor can be a slice of a concatenation. */
struct shk_view {
    uint32_t offset;
    uint32_t stride;
    uint32_t rows;
    uint32_t channels; /* elements per row */
    uint32_t words;    /* per row: channels / 4 rounded up, or channels */
};

/* Workgroups that every device dispatches in each dimension. */
#define SHK_MAX_GROUPS 65535u

struct shk_dispatch {
    const struct shk_shader *shader;
    /* Specialization constants SHK_SPEC_FIRST.. (abi.h); the workgroup size has its own. */
    uint32_t spec[SHK_MAX_SPEC];
    uint32_t spec_count;
    uint32_t local_size[3];
    uint32_t groups[3]; /* each at most SHK_MAX_GROUPS; see shk_dispatch_linear */
    const void *push;
    uint32_t push_size; /* multiple of 4, at most 128 */
    uint64_t iterations;     /* at most, of all loops of an invocation together; 0: too few to matter */
    uint32_t uniform_offset; /* bytes into the parameter buffer at which binding SHK_BINDING_UNIFORM starts */
    /* NULL, or the shader that computes several dispatches like this one in one (join.h), as that variant does. */
    const struct shk_shader *joined;
    const struct shk_variant *joined_variant;
};

/* Fused (fuse.h). */
const struct shk_graph *shk_lower_graph(const struct shk_lowering *lowering);
const struct shk_device *shk_lower_device(const struct shk_lowering *lowering);
/* What the session was created with (thresholds that override the model's). Never NULL. */
const struct shk_session_params *shk_lower_session_params(const struct shk_lowering *lowering);

/* The graph as the model has it, for struct shk_fused_op. */
const struct shk_graph *shk_lower_model(const struct shk_lowering *lowering);
/* What else the op that is being lowered does, for ops that it absorbed (fuse.h). */
const struct shk_fused_op *shk_lower_fused(const struct shk_lowering *lowering);

/* The view of a tensor that is an activation or a constant not named in parameter_inputs (those sit in the
 * arena too). */
struct shk_view shk_lower_view(const struct shk_lowering *lowering, uint32_t tensor);
/* First word of the op's scratch. */
uint32_t shk_lower_scratch(const struct shk_lowering *lowering);

/* Appends to the parameter buffer (bindings SHK_BINDING_PARAMS and SHK_BINDING_UNIFORM see the same bytes).
 * Returns the offset in bytes, a multiple of `alignment` (a power of two, at least 4; SHK_UNIFORM_ALIGNMENT for what
 * is bound as uniform), or UINT32_MAX when out of memory or above the device's storage range; finish anyway:
 * the error sticks in the lowering. */
uint32_t shk_lower_params(struct shk_lowering *lowering, const void *data, size_t bytes, size_t alignment);

/* Whether the next `bytes` of parameters, aligned to 16, can be read as texels, too (SHK_BINDING_WEIGHTS). */
bool shk_lower_fits_texels(const struct shk_lowering *lowering, size_t bytes);

/* The variant that computes the op which is being lowered; its def has variants. */
const struct shk_variant *shk_lower_variant(struct shk_lowering *lowering);

/* A variant wanted by name (tests), or NULL: the op's own choice. The environment variable SHRIKE_FORCE_VARIANT, read
 * once per shk_session_create(), names one for every op; an op that has no such variant ignores it. */
const char *shk_lower_forced_variant(const struct shk_lowering *lowering);

void shk_lower_dispatch(struct shk_lowering *lowering, const struct shk_dispatch *dispatch);

/* Several dispatches of one op that do not depend on each other run without a barrier between them; call this
 * between those that do. Between ops there is a barrier where one touches what the other writes (hazards.h): of the
 * arena, dispatches read nothing but the op's inputs and scratch, and write nothing but its outputs and scratch. */
void shk_lower_barrier(struct shk_lowering *lowering);

/* Fills local_size and groups for `items` invocations in one dimension, `local` per workgroup; x wraps into y
 * above SHK_MAX_GROUPS workgroups, so the shader computes its index with shk_linear_index() (common.glsl) and returns
 * if it is not below `items`. */
void shk_dispatch_linear(struct shk_dispatch *dispatch, uint32_t items, uint32_t local);

#endif
