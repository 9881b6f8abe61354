/* What `shrike bench` measures (bench.c, bench_ops.c), compares (bench_compare.c) and prints
 * (bench_report.c); --batch is another program (bench_batch.c).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_H
#define BENCH_H

#include <json-glib/json-glib.h>

#include "cli.h"

/* --batch and what belongs to it. */
struct bench_batch_options {
    gboolean enabled, every;
    int max;          /* 0: not given */
    double budget_ms; /* 0: none */
    char *plot;       /* a path, or NULL */
};

/* What keeps an op from being faster, by the device's ceilings. */
enum bench_bound { BENCH_BOUND_NONE, BENCH_BOUND_MACS, BENCH_BOUND_BYTES, BENCH_BOUND_DISPATCH };

struct bench_op {
    uint64_t ns; /* median */
    uint64_t macs;
    uint64_t bytes; /* of the tensors that it reads and writes, weights included, each once */
    double roof_ns; /* that the ceilings allow it at best; 0: it took no time, or there are no ceilings */
    enum bench_bound bound;
    uint32_t into; /* the op in whose time its own is; itself, if it was not fused */
};

struct bench_old; /* bench_compare.c */

struct bench {
    struct cli cli;
    struct bench_batch_options batch;
    unsigned width, height;
    int max_frames, in_flight;
    double seconds;
    char *compare_path, *roofline, *save; /* or NULL */
    struct bench_old *old;         /* or NULL */

    uint8_t *pixels;
    struct shk_frame_format format;
    struct shk_frame frame;
    GPtrArray *tensors; /* instead of the frame, where the model's input is no picture */

    uint64_t device_ns, load_ns, session_ns, first_ns;
    uint64_t to_first_ns; /* from before the model is opened until its first result is there */
    uint32_t frames;      /* in the steady state */
    uint64_t *stages[SHK_STAGE_COUNT]; /* sorted durations of those frames */
    double frames_per_second;
    struct bench_op *ops;     /* as many as the model has */
    struct bench_op op_total; /* their sums; no bound */
    struct shk_ceiling ceiling;
    uint64_t steady_allocations; /* device memory allocations in the steady state */
    struct shk_session_info info;
    struct shk_memory_stats memory;
};

/* bench_batch.c: refuses options that make no sense, and files that cannot be written; measures and prints. */
int bench_batch_check(const struct bench_batch_options *options);
int bench_batch(struct bench *bench, bool json);

/* bench_ops.c: measures the ceilings, fills in what the ops' times are to be compared with, and sums up. */
int bench_rate_ops(struct bench *bench);
/* "mac", "bytes", "dispatch" or "". */
const char *bench_bound_string(enum bench_bound bound);
int bench_write_roofline(const struct bench *bench);

/* bench_compare.c: reads what an earlier `bench --json` printed. The file is untrusted. */
int bench_old_load(const char *path, struct bench_old **old);
void bench_old_free(struct bench_old *old);
/* Whether it is about this model. */
int bench_old_check(const struct bench_old *old, const struct shk_model *model);
void bench_old_print(const struct bench *bench);
void bench_old_json(JsonBuilder *b, const struct bench *bench); /* member "compared" */

void bench_print_text(const struct bench *bench);
void bench_print_json(const struct bench *bench);
int bench_save_json(const struct bench *bench, const char *path);

#endif
