/* One op of a graph as a model of its own, to be measured or checked.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_PROBE_H
#define SHK_PROBE_H

#include "session.h"
#include "variant.h"

#define SHK_PROBE_KEY 256

/* What makes two ops the same work: op, shapes, attributes, types. Printable, no tabs, at most SHK_PROBE_KEY. */
void shk_probe_key(const struct shk_graph *graph, const struct shk_op *op, char key[SHK_PROBE_KEY]);

/* The op with its weights, alone. `small`: of pictures no more than a few pixels, so that the C reference is quick.
 * Errors: out of memory. */
enum shk_status shk_probe_model(const struct shk_graph *graph, const struct shk_op *op, bool small,
                                struct shk_model **model, struct shk_error *error);

/* A CONV_2D with the depthwise convolution in front of it: what makes two pairs the same work, and the two alone. Keys of
 * pairs begin with SHK_PROBE_PAIR, those of ops do not. */
#define SHK_PROBE_PAIR "PAIR "
void shk_probe_pair_key(const struct shk_graph *graph, const struct shk_op *depthwise, const struct shk_op *op,
                        char key[SHK_PROBE_KEY]);
enum shk_status shk_probe_pair_model(const struct shk_graph *graph, const struct shk_op *depthwise,
                                     const struct shk_op *op, bool small, struct shk_model **model,
                                     struct shk_error *error);

/* Fills for the model's input: the smallest and the largest value in turn, in two orders, and random ones. */
#define SHK_PROBE_FILLS 3
void shk_probe_fill(int8_t *values, size_t count, uint32_t fill);

/* A session of the model whose op is computed by `variant`; profiled; one slot. */
enum shk_status shk_probe_session(struct shk_device *device, struct shk_model *model,
                                  const struct shk_variant *variant, const char *cache_dir, const struct shk_log *log,
                                  struct shk_session **session, struct shk_error *error);

/* Runs it, with `input` for every input of the model (as many bytes as the largest of them has), and fills `output`
 * (dense, may be NULL). *ns (may be NULL): of all ops, by timestamps, else by the clock. */
enum shk_status shk_probe_run(struct shk_session *session, const void *input, void *output, uint64_t *ns,
                              struct shk_error *error);

/* Whether the variant gives the C reference's bytes for a small form of the op, with the like of what it absorbed behind
 * it. Errors: of sessions. */
enum shk_status shk_probe_check(struct shk_device *device, const struct shk_fused *fused, uint32_t op,
                                const struct shk_variant *variant, const char *cache_dir, const struct shk_log *log,
                                bool *equal, struct shk_error *error);

#endif
