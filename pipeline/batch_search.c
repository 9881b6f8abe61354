/* What batches of each size take, and which of them to use.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <shrike/batch.h>

#include <stdlib.h>

#include "util.h"

#define LEAST_RUNS 3
/* A quick search asks for a session that is so many times as large as the batch at hand. */
#define QUICK_GROWTH 4

struct search {
    struct shk_device *device;
    struct shk_model *model;
    const struct shk_batch_search_params *params;
    struct shk_session *session;
    uint32_t capacity; /* frames in a batch of `session`; 0: there is none */
    uint32_t limit;    /* more did not fit */
    uint32_t input_count;
    void **zeros;         /* input_count, where the caller brings no inputs */
    const void **tensors; /* input_count for each frame of the largest batch */
    uint64_t *samples;    /* params->runs */
};

static enum shk_status check_params(const struct shk_batch_search_params *p, uint32_t room,
                                    struct shk_error *error)
{
    if (p->max_batch < 1 || p->max_batch > SHK_MAX_BATCH_SIZE)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "max_batch is %u, but must be 1 to %d",
                        p->max_batch, SHK_MAX_BATCH_SIZE);
    if (p->runs < 1 || p->runs > 100000)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "runs is %u, but must be 1 to 100000", p->runs);
    if (!(p->tolerance >= 0.0f && p->tolerance <= 1.0f))
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "tolerance is %g, but must be 0 to 1",
                        (double)p->tolerance);
    uint32_t most = 1;
    for (uint32_t batch = 1; batch < p->max_batch; most++)
        batch = p->every_batch ? batch + 1 : batch * 2;
    if (room < most)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "there is room for %u points, but batches up to %u make %u: pass room for %d", room,
                        p->max_batch, most, SHK_MAX_BATCH_SIZE);
    return SHK_OK;
}

static enum shk_status create_tensors(struct search *search, struct shk_error *error)
{
    uint32_t inputs = search->input_count = shk_model_input_count(search->model);
    size_t count = (size_t)inputs * search->params->max_batch;
    search->zeros = calloc(inputs, sizeof(*search->zeros));
    search->tensors = calloc(count, sizeof(*search->tensors));
    search->samples = calloc(search->params->runs, sizeof(*search->samples));
    if (!search->zeros || !search->tensors || !search->samples)
        return shk_fail_oom(error, count * sizeof(*search->tensors), "tensors of a batch");
    for (uint32_t i = 0; i < inputs && !search->params->inputs; i++) {
        struct shk_tensor_info info;
        shk_model_get_tensor(search->model, shk_model_input(search->model, i), &info);
        if (!(search->zeros[i] = calloc(1, info.bytes)))
            return shk_fail_oom(error, info.bytes, "model inputs");
    }
    for (size_t i = 0; i < count; i++)
        search->tensors[i] =
            search->params->inputs ? search->params->inputs[i % inputs] : search->zeros[i % inputs];
    return SHK_OK;
}

static void clear(struct search *search)
{
    shk_session_destroy(&search->session);
    for (uint32_t i = 0; search->zeros && i < search->input_count; i++)
        free(search->zeros[i]);
    free(search->zeros);
    free(search->tensors);
    free(search->samples);
}

/* Whether a smaller batch may do. An op that the device cannot run is refused at any size. */
static bool too_large(enum shk_status status)
{
    return status == SHK_ERROR_OUT_OF_DEVICE_MEMORY || status == SHK_ERROR_OUT_OF_HOST_MEMORY ||
           status == SHK_ERROR_UNSUPPORTED;
}

/* A session for batches of `batch` frames and more, or of as many as fit; none if that is no more than
 * `measured`. */
static enum shk_status open_session(struct search *search, uint32_t batch, uint32_t measured,
                                    struct shk_error *error)
{
    struct shk_session_params params = search->params->session;
    struct shk_error details = {.status = SHK_OK};
    enum shk_status status;
    shk_session_destroy(&search->session);
    search->capacity = search->limit;
    if (search->params->quick)
        search->capacity = SHK_MIN(search->limit, batch * QUICK_GROWTH);
    for (;;) {
        params.batch_size = search->capacity;
        status = shk_session_create(search->device, search->model, &params, &search->session, &details);
        if (!status || !too_large(status) || search->capacity == 1)
            break;
        shk_log(&params.log, SHK_LOG_INFO, "no batches of %u frames: %s", search->capacity, details.message);
        search->capacity /= 2;
        search->limit = search->capacity;
        if (search->capacity <= measured)
            return SHK_OK;
    }
    if (status && error)
        *error = details;
    return status;
}

static enum shk_status run(struct search *search, uint32_t batch, uint64_t *latency_ns,
                           struct shk_error *error)
{
    struct shk_result result;
    enum shk_status status = shk_session_submit_tensors(search->session, search->tensors,
                                                        search->input_count * batch, NULL, NULL, error);
    if (!status)
        status = shk_session_wait(search->session, UINT64_MAX, &result, error);
    if (status)
        return status;
    *latency_ns = result.stages[SHK_STAGE_TOTAL].duration;
    shk_session_release(search->session, result.ticket);
    return SHK_OK;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static enum shk_status measure(struct search *search, uint32_t batch, struct shk_batch_point *point,
                               struct shk_error *error)
{
    const struct shk_batch_search_params *p = search->params;
    uint32_t done = 0, least = SHK_MIN(LEAST_RUNS, p->runs);
    uint64_t start = 0, warm_up;
    while (done < p->runs) {
        if (p->progress)
            p->progress(p->user, batch, start ? done + 1 : 0);
        enum shk_status status = run(search, batch, start ? &search->samples[done] : &warm_up, error);
        if (status)
            return status;
        if (start)
            done++;
        else
            start = shk_time_ns();
        if (done >= least && shk_time_ns() - start >= p->time_ns)
            break;
    }
    qsort(search->samples, done, sizeof(*search->samples), compare);
    uint64_t median = SHK_MAX(search->samples[(done - 1) / 2], 1u);
    *point = (struct shk_batch_point){batch, median, batch * 1e9 / (double)median};
    return SHK_OK;
}

/* Larger batches than that of the last point would take too long. */
static bool is_enough(const struct shk_batch_search_params *p, const struct shk_batch_point *points,
                      uint32_t count)
{
    uint64_t latency = points[count - 1].latency_ns, budget = p->latency_budget_ns,
             first = points[0].latency_ns;
    if (p->quick && latency > first && latency - first > first / 2)
        return true;
    return budget && (p->quick ? latency : latency / 2) > budget;
}

static enum shk_status measure_all(struct search *search, struct shk_batch_point *points, uint32_t *count,
                                   struct shk_error *error)
{
    const struct shk_batch_search_params *p = search->params;
    enum shk_status status = SHK_OK;
    uint32_t batch = 1, measured = 0, done = 0;
    search->limit = p->max_batch;
    while (measured < search->limit) {
        if (batch > search->capacity)
            status = open_session(search, batch, measured, error);
        batch = SHK_MIN(batch, search->limit);
        if (!status && batch > measured)
            status = measure(search, batch, &points[done++], error);
        if (status)
            return status;
        measured = batch;
        if (is_enough(p, points, done))
            break;
        batch = SHK_MIN(p->every_batch ? batch + 1 : batch * 2, search->limit);
    }
    *count = done;
    return SHK_OK;
}

enum shk_status shk_batch_search(struct shk_device *device, struct shk_model *model,
                                 const struct shk_batch_search_params *params, struct shk_batch_point *points,
                                 uint32_t *count, uint32_t *best, struct shk_error *error)
{
    struct shk_batch_search_params defaults = SHK_BATCH_SEARCH_PARAMS_DEFAULT;
    struct search search = {.device = device, .model = model, .params = params ? params : &defaults};
    if (!model || !points || !count || !best)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_batch_search: model, points, count and best must not be NULL");
    enum shk_status status = check_params(search.params, *count, error);
    if (status)
        return status;
    status = create_tensors(&search, error);
    if (!status)
        status = measure_all(&search, points, count, error);
    if (!status)
        *best = shk_batch_choose(points, *count, search.params->latency_budget_ns, search.params->tolerance);
    clear(&search);
    return status;
}

static double rate(const struct shk_batch_point *point)
{
    return point->frames_per_second / point->batch;
}

uint32_t shk_batch_choose(const struct shk_batch_point *points, uint32_t count, uint64_t latency_budget_ns,
                          float tolerance)
{
    double highest = 0;
    uint32_t best = 1;
    for (uint32_t i = 0; i < count; i++)
        if ((!latency_budget_ns || points[i].latency_ns <= latency_budget_ns) && rate(&points[i]) > highest)
            highest = rate(&points[i]);
    for (uint32_t i = 0; i < count; i++)
        if ((!latency_budget_ns || points[i].latency_ns <= latency_budget_ns) && points[i].batch > best &&
            rate(&points[i]) >= highest * (1.0 - (double)tolerance))
            best = points[i].batch;
    return best;
}
