/* What `shrike bench` measures (bench.c) and prints (bench_report.c); --batch is another program (bench_batch.c).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_H
#define BENCH_H

#include "cli.h"

/* --batch and what belongs to it. */
struct bench_batch_options {
    gboolean enabled, every;
    int max;          /* 0: not given */
    double budget_ms; /* 0: none */
    char *plot;       /* a path, or NULL */
};

struct bench {
    struct cli cli;
    struct bench_batch_options batch;
    unsigned width, height;
    int max_frames, in_flight;
    double seconds;

    uint8_t *pixels;
    struct shk_frame_format format;
    struct shk_frame frame;
    GPtrArray *tensors; /* instead of the frame, where the model's input is no picture */

    uint64_t device_ns, load_ns, session_ns, first_ns;
    uint64_t to_first_ns; /* from before the model is opened until its first result is there */
    uint32_t frames;      /* in the steady state */
    uint64_t *stages[SHK_STAGE_COUNT]; /* sorted durations of those frames */
    double frames_per_second;
    uint64_t *op_ns; /* median per op */
    uint64_t steady_allocations; /* device memory allocations in the steady state */
    struct shk_session_info info;
    struct shk_memory_stats memory;
};

/* bench_batch.c: refuses options that make no sense, and files that cannot be written; measures and prints. */
int bench_batch_check(const struct bench_batch_options *options);
int bench_batch(struct bench *bench, bool json);

void bench_print_text(const struct bench *bench);
void bench_print_json(const struct bench *bench);

#endif
