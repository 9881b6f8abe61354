/* shrike bench --batch: what batches of each size take, and which of them to use.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "chart.h"
#include "json.h"
#include "plot.h"
#include "random.h"
#include "table.h"

struct batch_bench {
    struct bench *bench;
    uint64_t budget_ns; /* 0: none */
    struct shk_batch_point points[SHK_MAX_BATCH_SIZE];
    uint32_t count;
    uint32_t best, fastest; /* indices */
    gint64 told;            /* about progress, microseconds */
};

int bench_batch_check(const struct bench_batch_options *options)
{
    if (!options->enabled &&
        (options->plot || options->every || options->max != 0 || options->budget_ms != 0))
        return cli_fail(CLI_USAGE, "--plot, --latency-budget, --max-batch and --every-batch are for --batch");
    if (options->max < 0 || options->max > SHK_MAX_BATCH_SIZE)
        return cli_fail(CLI_USAGE, "--max-batch %d is outside 1 to %d", options->max, SHK_MAX_BATCH_SIZE);
    if (!(options->budget_ms >= 0 && options->budget_ms <= 1e6))
        return cli_fail(CLI_USAGE, "--latency-budget %g is outside 0 to 1000000 milliseconds",
                        options->budget_ms);
    return chart_check("--plot", options->plot);
}

static void tell(void *user, uint32_t batch, uint32_t run)
{
    struct batch_bench *b = user;
    gint64 now = g_get_monotonic_time();
    if (now - b->told < 2 * G_USEC_PER_SEC)
        return;
    b->told = now;
    if (run == 0)
        fprintf(stderr, "batch %u\n", batch);
    else
        fprintf(stderr, "batch %u, run %u\n", batch, run);
}

static bool within(const struct batch_bench *b, uint32_t index)
{
    return b->budget_ns == 0 || b->points[index].latency_ns <= b->budget_ns;
}

static int search(struct batch_bench *b)
{
    struct bench *bench = b->bench;
    struct shk_batch_search_params params = SHK_BATCH_SEARCH_PARAMS_DEFAULT;
    params.session = cli_session_params(&bench->cli);
    params.session.frames_in_flight = bench->in_flight;
    params.session.detections_only = true;
    params.every_batch = bench->batch.every;
    params.max_batch = bench->batch.max ? bench->batch.max : SHK_MAX_BATCH_SIZE;
    params.latency_budget_ns = b->budget_ns;
    params.runs = bench->max_frames;
    params.time_ns = bench->seconds * 1e9;
    params.inputs = (const void *const *)bench->tensors->pdata;
    params.user = b;
    if (isatty(STDERR_FILENO))
        params.progress = tell;
    b->told = g_get_monotonic_time();
    b->count = SHK_MAX_BATCH_SIZE;
    struct shk_error error;
    uint32_t best;
    if (shk_batch_search(bench->cli.device, bench->cli.model, &params, b->points, &b->count, &best, &error))
        return cli_fail_status(&error);
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->points[i].batch == best)
            b->best = i;
        if (within(b, i) && b->points[i].frames_per_second > b->points[b->fastest].frames_per_second)
            b->fastest = i;
    }
    return CLI_OK;
}

/* What the table does not say by itself. */
static void print_findings(const struct batch_bench *b)
{
    const struct shk_batch_point *best = &b->points[b->best], *fastest = &b->points[b->fastest];
    uint32_t last = b->points[b->count - 1].batch, wanted = b->bench->batch.max;
    if (!within(b, 0)) {
        printf("\nnot even a single frame is within %g ms: it takes %.3f ms\n", b->budget_ns / 1e6,
               best->latency_ns / 1e6);
        return;
    }
    printf("\n* batch %u: the largest that costs no latency, %.3f ms\n", best->batch, best->latency_ns / 1e6);
    printf("+ batch %u: the most frames per second%s, %.1f\n", fastest->batch,
           b->budget_ns ? " within the budget" : "", fastest->frames_per_second);
    if (last >= (wanted ? wanted : SHK_MAX_BATCH_SIZE))
        return;
    if (b->budget_ns && b->points[b->count - 1].latency_ns / 2 > b->budget_ns)
        printf("larger batches than %u were not tried: they take longer\n", last);
    else
        printf("larger batches than %u do not fit on the device (--verbose says why)\n", last);
}

static void print_text(const struct batch_bench *b)
{
    struct shk_device_info device;
    shk_device_get_info(b->bench->cli.device, &device);
    printf("%s on %s, raw tensors, one batch after the other\n\n", shk_model_name(b->bench->cli.model),
           device.name);
    struct table *table = table_new(">batch|>median ms|>ms per frame|>frames/s|>batches/s|");
    for (uint32_t i = 0; i < b->count; i++) {
        const struct shk_batch_point *point = &b->points[i];
        table_cell(table, "%u", point->batch);
        table_cell(table, "%.3f", point->latency_ns / 1e6);
        table_cell(table, "%.3f", point->latency_ns / 1e6 / point->batch);
        table_cell(table, "%.1f", point->frames_per_second);
        table_cell(table, "%.1f", point->frames_per_second / point->batch);
        if (within(b, i))
            table_cell(table, "%s%s", i == b->best ? "*" : "", i == b->fastest ? "+" : "");
        else
            table_cell(table, "over the budget");
    }
    table_finish(table);
    print_findings(b);
}

static JsonBuilder *report(const struct batch_bench *b)
{
    struct shk_device_info device;
    shk_device_get_info(b->bench->cli.device, &device);
    JsonBuilder *json = json_builder_new();
    json_open_object(json, NULL);
    json_string(json, "model", shk_model_name(b->bench->cli.model));
    json_string(json, "device", device.name);
    json_integer(json, "latency_budget_ns", b->budget_ns);
    json_bool(json, "within_budget", within(b, 0));
    json_integer(json, "best_batch", b->points[b->best].batch);
    json_integer(json, "fastest_batch", b->points[b->fastest].batch);
    json_open_array(json, "points");
    for (uint32_t i = 0; i < b->count; i++) {
        json_open_object(json, NULL);
        json_integer(json, "batch", b->points[i].batch);
        json_integer(json, "latency_ns", b->points[i].latency_ns);
        json_number(json, "frames_per_second", b->points[i].frames_per_second);
        json_bool(json, "within_budget", within(b, i));
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
    json_builder_end_object(json);
    return json;
}

static int save(const struct batch_bench *b, const char *path)
{
    GError *error = NULL;
    return json_write(report(b), path, &error) ? CLI_OK : cli_fail_gerror(CLI_FAILED, error);
}

static int write_plot(const struct batch_bench *b, const char *path)
{
    double x[SHK_MAX_BATCH_SIZE], latency[SHK_MAX_BATCH_SIZE], rate[SHK_MAX_BATCH_SIZE];
    struct shk_device_info device;
    shk_device_get_info(b->bench->cli.device, &device);
    for (uint32_t i = 0; i < b->count; i++) {
        x[i] = b->points[i].batch;
        latency[i] = b->points[i].latency_ns / 1e6;
        rate[i] = b->points[i].frames_per_second;
    }
    char *name = g_path_get_basename(shk_model_name(b->bench->cli.model));
    char *raw_title = g_strdup_printf("%s on %s", name, device.name), *title = table_printable(raw_title);
    char *best = g_strdup_printf("batch %u: %s", b->points[b->best].batch,
                                 within(b, b->best) ? "largest that costs no latency" : "over the budget");
    char *fastest = g_strdup_printf("batch %u: most frames per second", b->points[b->fastest].batch);
    char *limit = g_strdup_printf("budget, %g ms", b->budget_ns / 1e6);
    struct plot plot = {
        .title = title,
        .x_name = "frames in a batch",
        .count = b->count,
        .x = x,
        .curve_count = 2,
        .curves = {{"latency of the batch, ms (median)", latency}, {"throughput, frames per second", rate}},
        .mark_count = 2,
        .marks = {{b->best, 0, best}, {b->fastest, 1, fastest}},
        .limit = b->budget_ns / 1e6,
        .limit_name = limit,
    };
    GError *error = NULL;
    int code = plot_write(&plot, path, &error) ? CLI_OK : cli_fail_gerror(CLI_FAILED, error);
    g_free(name);
    g_free(raw_title);
    g_free(title);
    g_free(best);
    g_free(fastest);
    g_free(limit);
    return code;
}

int bench_batch(struct bench *bench, bool json)
{
    struct batch_bench b = {.bench = bench, .budget_ns = bench->batch.budget_ms * 1e6};
    int code = cli_open_device(&bench->cli, false);
    if (!code)
        code = cli_open_model(&bench->cli, bench->cli.args[0]);
    if (code)
        return code;
    bench->tensors = random_inputs(bench->cli.model, 1);
    code = search(&b);
    if (!code && bench->batch.plot)
        code = write_plot(&b, bench->batch.plot);
    if (!code && bench->save)
        code = save(&b, bench->save);
    if (!code && json)
        json_finish(report(&b));
    else if (!code)
        print_text(&b);
    return code;
}
