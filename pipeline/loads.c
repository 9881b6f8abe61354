/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "loads.h"

#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "notes.h"

SHK_SHADER_DECLARE(loads);

#define LOCAL       64
#define INVOCATIONS 8192u
#define WORDS       65536u /* of the arena */
#define RUNS        12

static const char *const notes[2] = {"loads\tstorage", "loads\ttexels"};

/* The best of some runs, in turns, the first of which only warm up. */
static enum shk_status race(struct shk_measure *measure, uint64_t ns[2], struct shk_error *error)
{
    enum shk_status status = SHK_OK;
    ns[0] = ns[1] = UINT64_MAX;
    for (uint32_t i = 0; i < 2 * (RUNS + 1) && !status; i++) {
        const struct shk_loads_push push = {.words = WORDS};
        struct shk_dispatch dispatch = {.shader = &shk_shader_loads, .push = &push, .push_size = sizeof(push)};
        struct shk_lowered lowered;
        uint64_t took = 0;
        shk_dispatch_linear(&dispatch, INVOCATIONS, LOCAL);
        shk_lowered_from(&lowered, &dispatch);
        lowered.spec[SHK_SPEC_TEXELS] = i % 2;
        status = shk_measure_record(measure, &lowered, 1, error);
        if (!status)
            status = shk_measure_run(measure, &took, error);
        if (i >= 2)
            ns[i % 2] = SHK_MIN(ns[i % 2], took);
    }
    return status;
}

static enum shk_status measure_loads(struct shk_device *device, const char *cache_dir, const struct shk_log *log,
                                     uint64_t ns[2], struct shk_error *error)
{
    struct shk_buffer arena = {0};
    struct shk_measure measure = {0};
    enum shk_status status =
        shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, WORDS * 4, SHK_TEXEL_ALIGNMENT, &arena, error);
    if (status)
        return status;
    status = shk_measure_begin(&measure, device, &arena, cache_dir, log, error);
    if (!status)
        status = race(&measure, ns, error);
    if (!status)
        shk_kernels_save_cache(&measure.kernels, log);
    shk_measure_end(&measure);
    shk_pool_free(device->pool, &arena);
    return status;
}

bool shk_loads_are_texels(struct shk_device *device, const char *cache_dir, const struct shk_log *log, bool *measured)
{
    const char *forced = getenv("SHRIKE_FORCE_LOADS");
    struct shk_error error;
    uint64_t ns[2];
    *measured = false;
    if (forced)
        return strcmp(forced, "texels") == 0;
    for (uint32_t texels = 0; texels < 2; texels++)
        if (shk_notes_has(device, notes[texels]))
            return texels;
    if (measure_loads(device, cache_dir, log, ns, &error)) {
        shk_log(log, SHK_LOG_WARNING, "'%s': how activations are read best was not measured: %s", device->info.name,
                error.message);
        return false;
    }
    bool texels = ns[1] < ns[0];
    shk_log(log, SHK_LOG_INFO, "'%s': activations are read by %s buffer: %llu ns, %llu ns by the other",
            device->info.name, texels ? "texel" : "storage", (unsigned long long)ns[texels],
            (unsigned long long)ns[!texels]);
    shk_notes_add(device, notes[texels]);
    *measured = true;
    return texels;
}
