/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "table.h"

struct kernel_time {
    const char *kernel;
    uint32_t ops;
    struct bench_op sum;
};

/* Sums per kernel, slowest first. */
static GArray *by_kernel(const struct bench *bench)
{
    GArray *list = g_array_new(FALSE, TRUE, sizeof(struct kernel_time));
    for (uint32_t i = 0; i < shk_model_op_count(bench->cli.model); i++) {
        struct shk_op_info op;
        shk_model_get_op(bench->cli.model, i, &op);
        guint k = 0;
        while (k < list->len && strcmp(g_array_index(list, struct kernel_time, k).kernel, op.kernel) != 0)
            k++;
        if (k == list->len)
            g_array_append_val(list, ((struct kernel_time){op.kernel}));
        struct kernel_time *sum = &g_array_index(list, struct kernel_time, k);
        sum->ops++;
        sum->sum.ns += bench->ops[i].ns;
        sum->sum.macs += bench->ops[i].macs;
        sum->sum.bytes += bench->ops[i].bytes;
        sum->sum.roof_ns += bench->ops[i].roof_ns;
    }
    return list;
}

static int slower(const void *a, const void *b)
{
    const struct kernel_time *x = a, *y = b;
    return (x->sum.ns < y->sum.ns) - (x->sum.ns > y->sum.ns);
}

static void rate_cell(struct table *table, uint64_t amount, const struct bench_op *op)
{
    if (amount > 0 && op->roof_ns > 0)
        table_cell(table, "%.2f", (double)amount / op->ns);
    else
        table_cell(table, "%s", "");
}

/* ms, share, GMAC/s, GB/s, roof. */
static void time_cells(struct table *table, const struct bench_op *op, uint64_t total_ns)
{
    table_cell(table, "%.3f", op->ns / 1e6);
    table_cell(table, "%.1f %%", total_ns ? 100.0 * op->ns / total_ns : 0.0);
    rate_cell(table, op->macs, op);
    rate_cell(table, op->bytes, op);
    if (op->roof_ns > 0)
        table_cell(table, "%.0f %%", 100 * op->roof_ns / op->ns);
    else
        table_cell(table, "%s", "");
}

static void print_kernels(const struct bench *bench)
{
    GArray *kernels = by_kernel(bench);
    g_array_sort(kernels, slower);
    struct table *table = table_new("kernel|>ops|>ms|>share|>GMAC/s|>GB/s|>roof");
    for (guint k = 0; k < kernels->len; k++) {
        const struct kernel_time *time = &g_array_index(kernels, struct kernel_time, k);
        table_cell(table, "%s", time->kernel);
        table_cell(table, "%u", time->ops);
        time_cells(table, &time->sum, bench->op_total.ns);
    }
    table_cell(table, "total");
    table_cell(table, "%u", shk_model_op_count(bench->cli.model));
    time_cells(table, &bench->op_total, bench->op_total.ns);
    table_finish(table);
    g_array_unref(kernels);
}

static void print_ops(const struct bench *bench)
{
    struct table *table = table_new(">op|name|kernel|output|>ms|>share|>GMAC/s|>GB/s|>roof|by");
    for (uint32_t i = 0; i < shk_model_op_count(bench->cli.model); i++) {
        struct shk_op_info op;
        struct shk_tensor_info out;
        shk_model_get_op(bench->cli.model, i, &op);
        shk_model_get_tensor(bench->cli.model, op.outputs[0], &out);
        table_cell(table, "%u", i);
        table_cell(table, "%s", op.name);
        table_cell(table, "%s", op.kernel);
        table_take(table, cli_tensor(&out));
        time_cells(table, &bench->ops[i], bench->op_total.ns);
        if (bench->ops[i].into == i)
            table_cell(table, "%s", bench_bound_string(bench->ops[i].bound));
        else
            cli_fused_cell(table, bench->ops[i].into, i);
    }
    table_finish(table);
    printf("\n");
    print_kernels(bench);
}

static void print_ceiling(const struct shk_ceiling *ceiling)
{
    printf("\nceilings of the device: copy %.2f GB/s, within caches (%.0f MiB) %.2f GB/s; ",
           ceiling->copy_bytes_per_second / 1e9, ceiling->cached_bytes / 1048576.0,
           ceiling->cached_bytes_per_second / 1e9);
    for (int way = 0; way < SHK_MAC_WAY_COUNT; way++)
        if (ceiling->macs_per_second[way] > 0)
            printf("%s %.2f GMAC/s, ", shk_mac_way_string(way), ceiling->macs_per_second[way] / 1e9);
    printf("an empty dispatch %.2f us\n", ceiling->dispatch_ns / 1e3);
}

static void print_setup(const struct bench *bench)
{
    const struct shk_session_info *info = &bench->info;
    const struct {
        const char *what;
        uint64_t ns;
    } rows[] = {
        {"open the device", bench->device_ns}, {"load the model", bench->load_ns},
        {"create the session", bench->session_ns}, {"  plan", info->plan_ns},
        {"  pack weights", info->pack_ns}, {"  create pipelines", info->pipelines_ns},
        {"  upload", info->upload_ns}, {"  record", info->record_ns},
        {"first frame", bench->first_ns}, {"load to first result", bench->to_first_ns},
    };
    struct table *table = table_new("setup|>ms");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        table_cell(table, "%s", rows[i].what);
        table_cell(table, "%.2f", rows[i].ns / 1e6);
    }
    table_finish(table);
}

static void print_stages(const struct bench *bench)
{
    struct table *table = table_new("stage|>median ms|>p95 ms|>p99 ms");
    for (int stage = 0; stage < SHK_STAGE_COUNT; stage++) {
        table_cell(table, "%s", shk_stage_string(stage));
        for (unsigned k = 0; k < 3; k++)
            table_cell(table, "%.3f",
                       cli_percentile(bench->stages[stage], bench->frames, (const unsigned[]){50, 95, 99}[k]) / 1e6);
    }
    table_finish(table);
}

void bench_print_text(const struct bench *bench)
{
    struct shk_device_info device;
    const struct shk_memory_report *report = &bench->info.memory;
    shk_device_get_info(bench->cli.device, &device);
    printf("%s on %s, ", shk_model_name(bench->cli.model), device.name);
    if (bench->tensors)
        printf("raw tensors\n\n");
    else
        printf("%ux%u RGB frames\n\n", bench->width, bench->height);
    print_setup(bench);
    printf("\n%u frames, one at a time\n", bench->frames);
    print_stages(bench);
    printf("\nthroughput with %d in flight: %.1f frames per second\n\n", bench->in_flight, bench->frames_per_second);
    print_ops(bench);
    print_ceiling(&bench->ceiling);
    printf("\nactivations: arena peak %" G_GUINT64_FORMAT ", lower bound %" G_GUINT64_FORMAT
           " bytes; parameters %" G_GUINT64_FORMAT ", staging %" G_GUINT64_FORMAT " bytes\n",
           report->arena_peak, report->lower_bound, report->parameter_bytes, bench->info.staging_bytes);
    printf("device memory: reserved %" G_GUINT64_FORMAT ", used %" G_GUINT64_FORMAT ", peak %" G_GUINT64_FORMAT
           " bytes in %u blocks\n", bench->memory.reserved, bench->memory.used, bench->memory.peak_used,
           bench->memory.blocks);
    printf("device memory allocations: %" G_GUINT64_FORMAT " in all, %" G_GUINT64_FORMAT " in the steady state; "
           "%u pipelines, %u dispatches, %u barriers per frame\n", bench->memory.total_driver_allocations,
           bench->steady_allocations, bench->info.pipelines, bench->info.dispatches, bench->info.barriers);
    if (bench->old)
        bench_old_print(bench);
}

static void json_stages(JsonBuilder *b, const struct bench *bench)
{
    json_open_object(b, "steady");
    json_integer(b, "frames", bench->frames);
    json_number(b, "frames_per_second", bench->frames_per_second);
    json_integer(b, "in_flight", bench->in_flight);
    for (int stage = 0; stage < SHK_STAGE_COUNT; stage++) {
        json_open_object(b, shk_stage_string(stage));
        json_integer(b, "median_ns", cli_percentile(bench->stages[stage], bench->frames, 50));
        json_integer(b, "p95_ns", cli_percentile(bench->stages[stage], bench->frames, 95));
        json_integer(b, "p99_ns", cli_percentile(bench->stages[stage], bench->frames, 99));
        json_builder_end_object(b);
    }
    json_builder_end_object(b);
}

static void json_time(JsonBuilder *b, const struct bench_op *op)
{
    json_integer(b, "macs", op->macs);
    json_integer(b, "bytes", op->bytes);
    json_integer(b, "ns", op->ns);
    if (op->roof_ns > 0) {
        json_number(b, "macs_per_second", op->macs * 1e9 / op->ns);
        json_number(b, "bytes_per_second", op->bytes * 1e9 / op->ns);
        json_number(b, "roof_ns", op->roof_ns);
    }
}

static void json_ops(JsonBuilder *b, const struct bench *bench)
{
    json_open_array(b, "ops");
    for (uint32_t i = 0; i < shk_model_op_count(bench->cli.model); i++) {
        struct shk_op_info op;
        shk_model_get_op(bench->cli.model, i, &op);
        json_open_object(b, NULL);
        json_integer(b, "index", i);
        json_string(b, "name", op.name);
        json_string(b, "kernel", op.kernel);
        json_time(b, &bench->ops[i]);
        if (bench->ops[i].bound)
            json_string(b, "bound", bench_bound_string(bench->ops[i].bound));
        if (bench->ops[i].into != i)
            json_integer(b, "fused_into", (gint32)bench->ops[i].into);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    json_open_object(b, "total");
    json_time(b, &bench->op_total);
    json_builder_end_object(b);
}

static void json_ceiling(JsonBuilder *b, const struct shk_ceiling *ceiling)
{
    json_open_object(b, "ceiling");
    json_number(b, "copy_bytes_per_second", ceiling->copy_bytes_per_second);
    json_integer(b, "copy_bytes", ceiling->copy_bytes);
    json_number(b, "cached_bytes_per_second", ceiling->cached_bytes_per_second);
    json_integer(b, "cached_bytes", ceiling->cached_bytes);
    json_open_object(b, "macs_per_second");
    for (int way = 0; way < SHK_MAC_WAY_COUNT; way++)
        if (ceiling->macs_per_second[way] > 0)
            json_number(b, shk_mac_way_string(way), ceiling->macs_per_second[way]);
    json_builder_end_object(b);
    json_string(b, "mac_way", shk_mac_way_string(ceiling->mac_way));
    json_number(b, "dispatch_ns", ceiling->dispatch_ns);
    json_builder_end_object(b);
}

static void json_memory(JsonBuilder *b, const struct bench *bench)
{
    json_open_object(b, "memory");
    json_integer(b, "arena_peak", bench->info.memory.arena_peak);
    json_integer(b, "lower_bound", bench->info.memory.lower_bound);
    json_integer(b, "no_reuse", bench->info.memory.no_reuse);
    json_integer(b, "parameter_bytes", bench->info.memory.parameter_bytes);
    json_integer(b, "staging_bytes", bench->info.staging_bytes);
    json_integer(b, "reserved", bench->memory.reserved);
    json_integer(b, "used", bench->memory.used);
    json_integer(b, "peak_used", bench->memory.peak_used);
    json_integer(b, "blocks", bench->memory.blocks);
    json_integer(b, "driver_allocations", bench->memory.total_driver_allocations);
    json_integer(b, "steady_driver_allocations", bench->steady_allocations);
    json_builder_end_object(b);
}

static JsonBuilder *report(const struct bench *bench)
{
    struct shk_device_info device;
    const struct shk_session_info *info = &bench->info;
    shk_device_get_info(bench->cli.device, &device);
    JsonBuilder *b = json_builder_new();
    json_open_object(b, NULL);
    json_string(b, "model", shk_model_name(bench->cli.model));
    json_string(b, "device", device.name);
    json_open_object(b, "setup");
    json_integer(b, "device_ns", bench->device_ns);
    json_integer(b, "load_ns", bench->load_ns);
    json_integer(b, "session_ns", bench->session_ns);
    json_integer(b, "plan_ns", info->plan_ns);
    json_integer(b, "pack_ns", info->pack_ns);
    json_integer(b, "pipelines_ns", info->pipelines_ns);
    json_integer(b, "upload_ns", info->upload_ns);
    json_integer(b, "record_ns", info->record_ns);
    json_integer(b, "first_frame_ns", bench->first_ns);
    json_integer(b, "load_to_first_result_ns", bench->to_first_ns);
    json_integer(b, "pipelines", info->pipelines);
    json_integer(b, "dispatches", info->dispatches);
    json_integer(b, "barriers", info->barriers);
    json_builder_end_object(b);
    json_stages(b, bench);
    json_ops(b, bench);
    json_ceiling(b, &bench->ceiling);
    json_memory(b, bench);
    if (bench->old)
        bench_old_json(b, bench);
    json_builder_end_object(b);
    return b;
}

void bench_print_json(const struct bench *bench)
{
    json_finish(report(bench));
}

int bench_save_json(const struct bench *bench, const char *path)
{
    GError *error = NULL;
    return json_write(report(bench), path, &error) ? CLI_OK : cli_fail_gerror(CLI_FAILED, error);
}
