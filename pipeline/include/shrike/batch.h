/* Shrike: how many frames to send to the device at once. More of them keep a wide device busier, and take
 * longer: this measures how much, on the device and with the model that are at hand.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_BATCH_H
#define SHRIKE_BATCH_H

#include <shrike/session.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHK_MAX_BATCH_SIZE 32

/* What batches of `batch` frames take: medians of one batch after the other, never two at a time. */
struct shk_batch_point {
    uint32_t batch;
    uint64_t latency_ns;      /* from submit being called until shk_session_wait() returns with all results */
    double frames_per_second; /* batch / latency */
};

struct shk_batch_search_params {
    /* Of the session to be: it is tried out with these. batch_size is not used. With more than one frame in
     * flight the memory is that of all slots. */
    struct shk_session_params session;
    uint32_t max_batch; /* 1 to SHK_MAX_BATCH_SIZE */
    bool every_batch;   /* measure 1, 2, 3, 4 ... instead of 1, 2, 4, 8 ... (and max_batch) */
    /* Longest that a batch may take; 0: any time. What takes more than twice as long ends the search. */
    uint64_t latency_budget_ns;
    uint32_t runs;    /* most batches per point, 1 to 100000 */
    uint64_t time_ns; /* no new batch of a point begins after this time, once there are three */
    /* Two batch sizes cost the same if the rates of batches differ by no more than this share, noise: 0 to 1. */
    float tolerance;
    /* For a start that somebody waits for: the first batch over latency_budget_ns ends the search, or that
     * takes half as long again as a single frame, as larger ones take no less; and memory for large batches
     * is not asked for before the smaller ones have shown that they are worth a try. */
    bool quick;
    /* One tensor for each input of the model, of shk_tensor_info.bytes, for every frame; NULL: zeros. */
    const void *const *inputs;
    /* Before each batch that is sent: run 0 warms up. From the calling thread. May be NULL. */
    void (*progress)(void *user, uint32_t batch, uint32_t run);
    void *user;
};
#define SHK_BATCH_SEARCH_PARAMS_DEFAULT                                                                      \
    ((struct shk_batch_search_params){.session = SHK_SESSION_PARAMS_DEFAULT,                                 \
                                      .max_batch = SHK_MAX_BATCH_SIZE,                                       \
                                      .runs = 100,                                                           \
                                      .time_ns = 1000000000u,                                                \
                                      .tolerance = 0.03f})
#define SHK_BATCH_SEARCH_PARAMS_QUICK                                                                        \
    ((struct shk_batch_search_params){.session = SHK_SESSION_PARAMS_DEFAULT,                                 \
                                      .max_batch = SHK_MAX_BATCH_SIZE,                                       \
                                      .runs = 9,                                                             \
                                      .time_ns = 100000000u,                                                 \
                                      .tolerance = 0.03f,                                                    \
                                      .quick = true})

/* Creates a session, tries batches of growing size, and destroys it. `device` NULL measures the C reference.
 *
 * *best is the batch with the highest rate of batches, frames_per_second / batch, of those within the budget;
 * of several that cost the same (see tolerance) the largest. So it is the largest batch that costs no
 * latency: larger ones may give more frames per second, which the points tell. 1 if not even a single frame
 * is within the budget.
 *
 * Batches that do not fit into memory, or that the device cannot bind, are left out: half as large is tried
 * then, and the log says so (SHK_LOG_INFO). On input *count is the room in `points` (SHK_MAX_BATCH_SIZE is
 * always enough), on output how many there are, smallest batch first, at least one.
 *
 * Blocks while it measures; each point takes up to `runs` batches or `time_ns`, and at least three batches
 * and one to warm up. Other work on the same device meanwhile counts as latency. Threads: as
 * shk_session_create().
 * Errors: SHK_ERROR_INVALID_ARGUMENT (a parameter out of its range, too little room), and those of
 * shk_session_create(), shk_session_submit_tensors() and shk_session_wait(). */
SHK_API enum shk_status shk_batch_search(struct shk_device *device, struct shk_model *model,
                                         const struct shk_batch_search_params *params,
                                         struct shk_batch_point *points, uint32_t *count, uint32_t *best,
                                         struct shk_error *error);

/* The choice alone, from points of whatever origin: *best as above. `count` at least 1. */
SHK_API uint32_t shk_batch_choose(const struct shk_batch_point *points, uint32_t count,
                                  uint64_t latency_budget_ns, float tolerance);

#ifdef __cplusplus
}
#endif
#endif
