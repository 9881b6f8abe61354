/* What a device can do at best: two kernels, one of memory and one of arithmetic, repeated until a run is
 * long enough to be measured. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <shrike/ceiling.h>

#include "measure.h"

SHK_SHADER_DECLARE(ceiling_copy);
SHK_SHADER_DECLARE(ceiling_mac_int);
SHK_SHADER_DECLARE(ceiling_mac_float);
SHK_SHADER_DECLARE(ceiling_mac_dot);

#define LOCAL        128
#define CACHED_BYTES (UINT64_C(4) << 20)
#define COPY_BYTES   (UINT64_C(256) << 20)
#define COPY_WORD    16 /* bytes: four of them per invocation and repetition */
#define MAC_GROUPS   4096
#define EMPTY        64 /* dispatches in a row */
#define MAX_RUNS     1000
#define MAX_REPEAT   (1u << 20)
/* The ways of mac, two copies and the empty dispatch. */
#define KERNELS (SHK_MAC_WAY_COUNT + 3)

_Static_assert(MAC_GROUPS *LOCAL * 4 <= CACHED_BYTES, "every invocation of ceiling_mac leaves a word");

struct bench {
    struct shk_device *device;
    const struct shk_ceiling_params *params;
    struct shk_buffer arena;
    struct shk_measure measure;
};

const char *shk_mac_way_string(enum shk_mac_way way)
{
    static const char *const names[SHK_MAC_WAY_COUNT] = {"int32", "float32", "dot4"};
    return (unsigned)way < SHK_MAC_WAY_COUNT ? names[way] : "unknown";
}

/* As large as there is room for, and as can be bound; a power of two. */
static enum shk_status create_arena(struct bench *bench, struct shk_error *error)
{
    struct shk_memory_stats stats;
    shk_pool_stats(bench->device->pool, &stats);
    uint64_t room = stats.budget > stats.used ? stats.budget - stats.used : 0, size = COPY_BYTES;
    while (size > CACHED_BYTES && (size > room / 4 || size > bench->device->limits.maxStorageBufferRange))
        size /= 2;
    for (; size > CACHED_BYTES; size /= 2)
        if (!shk_pool_alloc(bench->device->pool, SHK_MEMORY_DEVICE, size, SHK_TEXEL_ALIGNMENT, &bench->arena, NULL))
            return SHK_OK;
    return shk_pool_alloc(bench->device->pool, SHK_MEMORY_DEVICE, size, SHK_TEXEL_ALIGNMENT, &bench->arena, error);
}

static enum shk_status create(struct bench *bench, struct shk_error *error)
{
    enum shk_status status = create_arena(bench, error);
    if (!status)
        status = shk_measure_begin(&bench->measure, bench->device, &bench->arena, bench->params->cache_dir,
                                   &bench->params->log, error);
    return status;
}

static void destroy(struct bench *bench)
{
    if (bench->measure.device)
        shk_measure_end(&bench->measure);
    shk_pool_free(bench->device->pool, &bench->arena);
}

/* Whatever else the machine does can only slow a run down. */
static enum shk_status fastest(struct bench *bench, uint64_t *ns, struct shk_error *error)
{
    *ns = UINT64_MAX;
    for (uint32_t i = 0; i < bench->params->runs; i++) {
        uint64_t took;
        enum shk_status status = shk_measure_run(&bench->measure, &took, error);
        if (status)
            return status;
        *ns = SHK_MIN(*ns, took);
    }
    return SHK_OK;
}

/* Repeats until a run takes its share of the time, a sixteenfold more at most in one step: a driver may end
 * work that takes seconds. Nanoseconds of one repetition. */
static enum shk_status measure(struct bench *bench, struct shk_lowered *dispatch, double *ns,
                               struct shk_error *error)
{
    struct shk_ceiling_push *push = (struct shk_ceiling_push *)dispatch->push;
    uint64_t wanted = bench->params->time_ns * 3 / 4 / KERNELS / (bench->params->runs + 2), took;
    enum shk_status status = SHK_OK;
    for (push->repeat = 1; !status;) {
        status = shk_measure_record(&bench->measure, dispatch, 1, error);
        if (!status)
            status = shk_measure_run(&bench->measure, &took, error); /* warms up */
        if (!status)
            status = shk_measure_run(&bench->measure, &took, error);
        if (status || took >= wanted || push->repeat >= MAX_REPEAT)
            break;
        push->repeat *= (uint32_t)SHK_CLAMP(wanted / took + 1, 2, 16);
    }
    if (!status)
        status = fastest(bench, &took, error);
    if (!status)
        *ns = (double)took / push->repeat;
    return status;
}

static void prepare(struct shk_lowered *lowered, const struct shk_shader *shader,
                    const struct shk_ceiling_push *push, uint32_t items)
{
    struct shk_dispatch dispatch = {.shader = shader, .push = push, .push_size = sizeof(*push)};
    shk_dispatch_linear(&dispatch, items, LOCAL);
    shk_lowered_from(lowered, &dispatch);
}

static enum shk_status measure_copy(struct bench *bench, uint64_t bytes, double *bytes_per_second,
                                    struct shk_error *error)
{
    struct shk_lowered dispatch;
    uint32_t half = (uint32_t)(bytes / 2 / COPY_WORD);
    double ns;
    /* an odd number of workgroups from one repetition to the next */
    struct shk_ceiling_push push = {.half_size = half, .step = LOCAL * 97};
    prepare(&dispatch, &shk_shader_ceiling_copy, &push, half / 4);
    enum shk_status status = measure(bench, &dispatch, &ns, error);
    if (!status)
        *bytes_per_second = (double)bytes * 1e9 / ns;
    return status;
}

static enum shk_status measure_mac(struct bench *bench, enum shk_mac_way way, double *macs_per_second,
                                   struct shk_error *error)
{
    const struct {
        const struct shk_shader *shader;
        struct shk_ceiling_push push;
        uint32_t macs; /* per step of a chain */
    } ways[SHK_MAC_WAY_COUNT] = {
        [SHK_MAC_INT] = {&shk_shader_ceiling_mac_int, {.factor = 77, .term = 13}, 1},
        [SHK_MAC_FLOAT] = {&shk_shader_ceiling_mac_float,
                           {.factor = 0x3f000000, .term = 0x40400000},
                           1}, /* 0.5, 3 */
        [SHK_MAC_DOT] = {&shk_shader_ceiling_mac_dot, {.factor = 0x4d0bf731}, 4},
    };
    struct shk_lowered dispatch;
    double ns;
    prepare(&dispatch, ways[way].shader, &ways[way].push, MAC_GROUPS * LOCAL);
    enum shk_status status = measure(bench, &dispatch, &ns, error);
    if (!status)
        *macs_per_second =
            (double)MAC_GROUPS * LOCAL * SHK_CEILING_CHAINS * SHK_CEILING_STEPS * ways[way].macs * 1e9 / ns;
    return status;
}

static enum shk_status measure_macs(struct bench *bench, struct shk_ceiling *ceiling, struct shk_error *error)
{
    enum shk_status status = SHK_OK;
    for (int way = 0; way < SHK_MAC_WAY_COUNT && !status; way++) {
        if (way == SHK_MAC_DOT && !bench->device->info.integer_dot_product)
            continue;
        status = measure_mac(bench, way, &ceiling->macs_per_second[way], error);
        if (ceiling->macs_per_second[way] > ceiling->macs_per_second[ceiling->mac_way])
            ceiling->mac_way = way;
    }
    return status;
}

/* One workgroup that finds nothing to do, many times. */
static enum shk_status measure_dispatch(struct bench *bench, double *ns, struct shk_error *error)
{
    struct shk_lowered dispatch;
    const struct shk_ceiling_push push = {0};
    uint64_t took;
    prepare(&dispatch, &shk_shader_ceiling_copy, &push, 1);
    enum shk_status status = shk_measure_record(&bench->measure, &dispatch, EMPTY, error);
    if (!status)
        status = shk_measure_run(&bench->measure, &took, error);
    if (!status)
        status = fastest(bench, &took, error);
    if (!status)
        *ns = (double)took / EMPTY;
    return status;
}

/* Clocks of a device that was idle take a while to rise. */
static enum shk_status warm_up(struct bench *bench, struct shk_error *error)
{
    uint64_t start = shk_time_ns();
    const struct shk_ceiling_push push = {.repeat = 1, .factor = 77, .term = 13};
    struct shk_lowered dispatch;
    prepare(&dispatch, &shk_shader_ceiling_mac_int, &push, MAC_GROUPS * LOCAL);
    enum shk_status status = shk_measure_record(&bench->measure, &dispatch, 1, error);
    while (!status && shk_time_ns() - start < bench->params->time_ns / 4) {
        uint64_t took;
        status = shk_measure_run(&bench->measure, &took, error);
    }
    return status;
}

static enum shk_status check_params(const struct shk_device *device, const struct shk_ceiling_params *p,
                                    const struct shk_ceiling *ceiling, struct shk_error *error)
{
    if (!device || !ceiling)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "shk_measure_ceiling: device and ceiling must not be NULL");
    if (p->runs < 1 || p->runs > MAX_RUNS)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "runs is %u, but must be 1 to %d", p->runs,
                        MAX_RUNS);
    if (p->time_ns < 1000000 || p->time_ns > UINT64_C(3600000000000))
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "time_ns is %llu, but must be a millisecond to an hour",
                        (unsigned long long)p->time_ns);
    return SHK_OK;
}

enum shk_status shk_measure_ceiling(struct shk_device *device, const struct shk_ceiling_params *params,
                                    struct shk_ceiling *ceiling, struct shk_error *error)
{
    const struct shk_ceiling_params defaults = SHK_CEILING_PARAMS_DEFAULT;
    enum shk_status status = check_params(device, params ? params : &defaults, ceiling, error);
    if (status)
        return status;
    struct bench bench = {.device = device, .params = params ? params : &defaults};
    struct shk_ceiling found = {.cached_bytes = CACHED_BYTES};
    status = create(&bench, error);
    found.copy_bytes = bench.arena.size;
    if (!status)
        status = warm_up(&bench, error);
    if (!status)
        status = measure_macs(&bench, &found, error);
    if (!status)
        status = measure_copy(&bench, found.copy_bytes, &found.copy_bytes_per_second, error);
    if (!status)
        status = measure_copy(&bench, found.cached_bytes, &found.cached_bytes_per_second, error);
    if (!status)
        status = measure_dispatch(&bench, &found.dispatch_ns, error);
    if (!status) {
        shk_kernels_save_cache(&bench.measure.kernels, &bench.params->log);
        *ceiling = found;
    }
    destroy(&bench);
    return status;
}
