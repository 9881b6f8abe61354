/* shrike bench: where the time and the memory go.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "chart.h"
#include "random.h"

static const struct cli_help help = {
    .name = "bench",
    .usage = "MODEL",
    .summary = "Measures loading, planning, pipeline creation, the first frame, the steady state (latency of one\n"
               "frame at a time, and throughput with several in flight), the time of every op on the device, what\n"
               "the device could do at best (copies and multiply-accumulates), and memory. The input is a noise\n"
               "picture of --size in RGB; raw tensors for a model whose input is no picture.\n\n"
               "With --batch: how long batches of 1, 2, 4 ... frames take, the largest one that costs no latency,\n"
               "and the one that gives the most frames per second. The input is raw tensors of noise.",
    .description =
        "Device times come from timestamp queries. Ops are timed in a session of their own, so that the\n"
        "queries do not slow the other numbers; an op whose output is an alias of its input takes no time.\n"
        "Bytes of an op are those of the tensors that it reads and writes, weights included. Its roof is the\n"
        "least time that the measured ceilings leave it, in per cent of what it takes, and what sets it:\n"
        "multiply-accumulates (mac), bytes (of a copy within caches if they are few), or the dispatch alone.\n"
        "p95 of fewer than 20 frames is the slowest one.\n\n"
        "Of batches whose rates differ by 3 % or less the largest counts as the fastest. Batches that do not fit\n"
        "into the device's memory are left out.\n\n" CLI_HELP_TAIL,
};

static uint64_t now_ns(void)
{
    return (uint64_t)g_get_monotonic_time() * 1000;
}

static int submit(struct bench *bench, struct shk_session *session)
{
    struct shk_error error;
    enum shk_status status;
    if (bench->tensors)
        status = shk_session_submit_tensors(session, (const void *const *)bench->tensors->pdata, bench->tensors->len,
                                            NULL, NULL, &error);
    else
        status = shk_session_submit(session, &bench->frame, NULL, &error);
    return status ? cli_fail_status(&error) : CLI_OK;
}

static int wait_frame(struct shk_session *session, struct shk_result *result)
{
    struct shk_error error;
    return shk_session_wait(session, UINT64_MAX, result, &error) ? cli_fail_status(&error) : CLI_OK;
}

/* One frame from submit to result, released again. */
static int one_frame(struct bench *bench, struct shk_session *session, struct shk_result *result)
{
    int code = submit(bench, session);
    if (!code)
        code = wait_frame(session, result);
    if (!code)
        shk_session_release(session, result->ticket);
    return code;
}

static int open_session(struct bench *bench, bool profile, struct shk_session **session)
{
    struct shk_session_params params = cli_session_params(&bench->cli);
    params.frames_in_flight = profile ? 1 : bench->in_flight;
    params.profile_ops = profile;
    params.detections_only = true;
    struct shk_error error;
    if (shk_session_create(bench->cli.device, bench->cli.model, &params, session, &error))
        return cli_fail_status(&error);
    if (!bench->tensors && shk_session_configure(*session, &bench->format, &error)) {
        if (error.status != SHK_ERROR_UNSUPPORTED)
            return cli_fail_status(&error);
        bench->tensors = random_inputs(bench->cli.model, 1);
    }
    return CLI_OK;
}

static void make_frame(struct bench *bench)
{
    size_t size = (size_t)bench->width * bench->height * 3;
    uint64_t state = 1;
    bench->pixels = g_malloc(size);
    random_bytes(bench->pixels, size, &state);
    bench->format = (struct shk_frame_format){SHK_FORMAT_RGB, bench->width, bench->height};
    bench->frame = (struct shk_frame){
        .plane = {bench->pixels}, .plane_size = {size}, .stride = {bench->width * 3},
    };
}

/* At least three frames, at most --frames, and no new one after --seconds. */
static bool more(const struct bench *bench, uint32_t done, uint64_t start)
{
    return done < 3 || (done < (uint32_t)bench->max_frames && now_ns() - start < bench->seconds * 1e9);
}

static int measure_latency(struct bench *bench, struct shk_session *session)
{
    struct shk_result result;
    for (int i = 0; i < 2; i++) {
        int code = one_frame(bench, session, &result);
        if (code)
            return code;
    }
    struct shk_memory_stats before, after;
    shk_device_memory_stats(bench->cli.device, &before);
    uint64_t start = now_ns();
    for (bench->frames = 0; more(bench, bench->frames, start); bench->frames++) {
        int code = one_frame(bench, session, &result);
        if (code)
            return code;
        for (int stage = 0; stage < SHK_STAGE_COUNT; stage++)
            bench->stages[stage][bench->frames] = result.stages[stage].duration;
    }
    shk_device_memory_stats(bench->cli.device, &after);
    bench->steady_allocations = after.total_driver_allocations - before.total_driver_allocations;
    for (int stage = 0; stage < SHK_STAGE_COUNT; stage++)
        cli_sort(bench->stages[stage], bench->frames);
    return CLI_OK;
}

static int measure_throughput(struct bench *bench, struct shk_session *session)
{
    uint32_t submitted = 0, done = 0;
    uint64_t start = now_ns();
    int code = CLI_OK;
    while (!code && (done < submitted || more(bench, submitted, start))) {
        if (submitted - done < (uint32_t)bench->in_flight && more(bench, submitted, start)) {
            code = submit(bench, session);
            submitted++;
            continue;
        }
        struct shk_result result;
        code = wait_frame(session, &result);
        if (!code)
            shk_session_release(session, result.ticket);
        done++;
    }
    bench->frames_per_second = done * 1e9 / (now_ns() - start);
    return code;
}

static int measure_ops(struct bench *bench)
{
    uint32_t ops = shk_model_op_count(bench->cli.model);
    uint64_t *samples = g_new(uint64_t, (size_t)ops * bench->frames), *column = g_new(uint64_t, bench->frames);
    uint64_t *one = g_new(uint64_t, ops);
    uint32_t *into = g_new(uint32_t, ops);
    struct shk_session *session = NULL;
    struct shk_error error;
    struct shk_result warm_up;
    bench->ops = g_new0(struct bench_op, ops);
    int code = open_session(bench, true, &session);
    for (int i = 0; i < 2 && !code; i++)
        code = one_frame(bench, session, &warm_up);
    for (uint32_t i = 0; i < bench->frames && !code; i++) {
        struct shk_result result;
        code = submit(bench, session);
        if (!code)
            code = wait_frame(session, &result);
        if (code)
            break;
        if (shk_session_op_times(session, result.ticket, one, ops, &error))
            code = cli_fail_status(&error);
        for (uint32_t op = 0; op < ops; op++)
            samples[(size_t)op * bench->frames + i] = one[op];
        shk_session_release(session, result.ticket);
    }
    for (uint32_t op = 0; op < ops && !code; op++) {
        column = memcpy(column, samples + (size_t)op * bench->frames, bench->frames * sizeof(*column));
        cli_sort(column, bench->frames);
        bench->ops[op].ns = cli_percentile(column, bench->frames, 50);
    }
    if (!code && shk_session_get_fusion(session, into, ops, &error))
        code = cli_fail_status(&error);
    for (uint32_t op = 0; op < ops && !code; op++)
        bench->ops[op].into = into[op];
    g_free(into);
    shk_session_destroy(&session);
    g_free(samples);
    g_free(column);
    g_free(one);
    return code;
}

static int measure(struct bench *bench)
{
    struct shk_session *session = NULL;
    struct shk_result first;
    uint64_t start = now_ns();
    int code = cli_open_device(&bench->cli, false);
    bench->device_ns = now_ns() - start;
    if (code)
        return code;
    start = now_ns();
    code = cli_open_model(&bench->cli, bench->cli.args[0]);
    bench->load_ns = now_ns() - start;
    if (!code && bench->old)
        code = bench_old_check(bench->old, bench->cli.model);
    if (!code)
        code = open_session(bench, false, &session);
    bench->session_ns = now_ns() - start - bench->load_ns;
    if (!code)
        code = one_frame(bench, session, &first);
    if (!code) {
        bench->to_first_ns = now_ns() - start;
        bench->first_ns = first.stages[SHK_STAGE_TOTAL].duration;
        code = measure_latency(bench, session);
    }
    if (!code)
        code = measure_throughput(bench, session);
    if (!code) {
        shk_session_get_info(session, &bench->info);
        shk_device_memory_stats(bench->cli.device, &bench->memory);
    }
    shk_session_destroy(&session);
    if (!code)
        code = measure_ops(bench);
    return code ? code : bench_rate_ops(bench);
}

static int check_options(struct bench *bench, const char *size)
{
    if (size && sscanf(size, "%ux%u", &bench->width, &bench->height) != 2)
        return cli_fail(CLI_USAGE, "--size %s is not WIDTHxHEIGHT, for example 1280x720", size);
    if (bench->width < 1 || bench->width > 16384 || bench->height < 1 || bench->height > 16384)
        return cli_fail(CLI_USAGE, "--size %ux%u is outside 1x1 to 16384x16384", bench->width, bench->height);
    if (bench->max_frames < 3 || bench->max_frames > 100000)
        return cli_fail(CLI_USAGE, "--frames %d is outside 3 to 100000", bench->max_frames);
    if (!(bench->seconds <= 3600)) /* or no number */
        return cli_fail(CLI_USAGE, "--seconds %g is outside 0 to 3600", bench->seconds);
    if (bench->in_flight < 1 || bench->in_flight > 16)
        return cli_fail(CLI_USAGE, "--in-flight %d is outside 1 to 16", bench->in_flight);
    if (bench->batch.enabled && (bench->compare_path || bench->roofline))
        return cli_fail(CLI_USAGE, "--compare and --roofline are not for --batch");
    int code = chart_check("--roofline", bench->roofline);
    if (!code)
        code = cli_check_output("--save", bench->save);
    if (!code && bench->compare_path)
        code = bench_old_load(bench->compare_path, &bench->old);
    return code;
}

/* What the command line asks for. `size`: text to be freed. */
static int parse(struct bench *bench, char **argv, char **size, gboolean *json)
{
    struct bench_batch_options *batch = &bench->batch;
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, json, "Print JSON instead of tables", NULL},
        {"save", 0, 0, G_OPTION_ARG_FILENAME, &bench->save, "Write the JSON to a file as well", "FILE.json"},
        {"frames", 'n', 0, G_OPTION_ARG_INT, &bench->max_frames,
         "Most frames, or batches, per measurement (default 100)", "N"},
        {"seconds", 't', 0, G_OPTION_ARG_DOUBLE, &bench->seconds,
         "Most seconds per measurement (default 5; 1 for each size with --batch)", "S"},
        {"size", 's', 0, G_OPTION_ARG_STRING, size, "Size of the picture (default 640x480)", "WxH"},
        {"in-flight", 'f', 0, G_OPTION_ARG_INT, &bench->in_flight,
         "Frames in flight for throughput (default 2)", "N"},
        {"compare", 'c', 0, G_OPTION_ARG_FILENAME, &bench->compare_path,
         "Print this run beside an earlier one: a file that --json wrote", "OLD.json"},
        {"roofline", 'r', 0, G_OPTION_ARG_FILENAME, &bench->roofline,
         "Draw every op under the device's ceilings into FILE.svg or FILE.png", "FILE"},
        {"batch", 'b', 0, G_OPTION_ARG_NONE, &batch->enabled, "Measure batches instead", NULL},
        {"latency-budget", 0, 0, G_OPTION_ARG_DOUBLE, &batch->budget_ms,
         "Longest that a batch may take, milliseconds (default 0: any time)", "MS"},
        {"max-batch", 0, 0, G_OPTION_ARG_INT, &batch->max, "Largest batch (default 32)", "N"},
        {"every-batch", 0, 0, G_OPTION_ARG_NONE, &batch->every, "Measure batches of 1, 2, 3, 4 ... frames",
         NULL},
        {"plot", 'p', 0, G_OPTION_ARG_FILENAME, &batch->plot,
         "Draw a chart of batches into FILE.svg or FILE.png", "FILE"},
        CLI_NO_FUSION,
        {NULL},
    };
    int code = cli_parse(&bench->cli, argv, &help, entries, 1, 1);
    if (!code)
        code = bench_batch_check(batch);
    if (bench->seconds < 0)
        bench->seconds = batch->enabled ? 1 : 5;
    return code ? code : check_options(bench, *size);
}

static int bench_frames(struct bench *bench, bool json)
{
    for (int stage = 0; stage < SHK_STAGE_COUNT; stage++)
        bench->stages[stage] = g_new0(uint64_t, bench->max_frames);
    make_frame(bench);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "measuring: up to %g s\n", 3 * bench->seconds);
    int code = measure(bench);
    if (!code && bench->roofline)
        code = bench_write_roofline(bench);
    if (!code && bench->save)
        code = bench_save_json(bench, bench->save);
    if (!code)
        (json ? bench_print_json : bench_print_text)(bench);
    return code;
}

int cmd_bench(char **argv)
{
    struct bench bench = {.width = 640, .height = 480, .max_frames = 100, .in_flight = 2, .seconds = -1};
    char *size = NULL;
    gboolean json = FALSE;
    int code = parse(&bench, argv, &size, &json);
    if (!code)
        code = bench.batch.enabled ? bench_batch(&bench, json) : bench_frames(&bench, json);
    for (int stage = 0; stage < SHK_STAGE_COUNT; stage++)
        g_free(bench.stages[stage]);
    if (bench.tensors)
        g_ptr_array_unref(bench.tensors);
    g_free(bench.ops);
    g_free(bench.pixels);
    g_free(bench.batch.plot);
    g_free(bench.compare_path);
    g_free(bench.roofline);
    g_free(bench.save);
    bench_old_free(bench.old);
    g_free(size);
    return cli_close(&bench.cli, code);
}
