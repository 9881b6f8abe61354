/* One op of a graph as a model of its own, to be measured or checked.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_PROBE_H
#define SHK_PROBE_H

#include "session.h"
#include "variant.h"

#define SHK_PROBE_KEY 256

struct shk_fused;

/* What makes two ops the same work: op, shapes, attributes, types. Printable, no tabs, at most SHK_PROBE_KEY. */
void shk_probe_key(const struct shk_graph *graph, const struct shk_op *op, char key[SHK_PROBE_KEY]);

/* Ops that one kernel computes, in their order: an op alone, or with those in front of it that it absorbed. */
struct shk_probe_chain {
    const struct shk_op *ops[3];
    uint32_t count;
};

/* Those of op `i`'s kernel, as the model has them. */
struct shk_probe_chain shk_probe_chain_of(const struct shk_fused *fused, uint32_t i);

/* What makes two chains the same work. Of an op alone shk_probe_key(); others begin with one of these. */
#define SHK_PROBE_PAIR     "PAIR "
#define SHK_PROBE_INVERTED "INVERTED "
void shk_probe_chain_key(const struct shk_graph *graph, const struct shk_probe_chain *chain, char key[SHK_PROBE_KEY]);

/* A model of the chain alone, with its weights. Errors: out of memory. */
enum shk_status shk_probe_model(const struct shk_graph *graph, const struct shk_probe_chain *chain,
                                struct shk_model **model, struct shk_error *error);

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
