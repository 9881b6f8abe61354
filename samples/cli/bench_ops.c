/* What an op achieves, and what the device could do.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include "roofline.h"
#include "table.h"

const char *bench_bound_string(enum bench_bound bound)
{
    static const char *const names[] = {"", "mac", "bytes", "dispatch"};
    return names[bound];
}

static bool is_first(const uint32_t *tensors, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (tensors[i] == tensors[index])
            return false;
    return true;
}

static uint64_t tensor_bytes(const struct shk_model *model, const uint32_t *tensors, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct shk_tensor_info info;
        if (tensors[i] == SHK_TENSOR_NONE || !is_first(tensors, i))
            continue;
        shk_model_get_tensor(model, tensors[i], &info);
        sum += info.bytes;
    }
    return sum;
}

/* The least time that the ceilings leave it. Small tensors stay in the caches from one layer to the next. */
static void find_roof(const struct shk_ceiling *ceiling, struct bench_op *op)
{
    double rate = op->bytes <= ceiling->cached_bytes
                      ? MAX(ceiling->cached_bytes_per_second, ceiling->copy_bytes_per_second)
                      : ceiling->copy_bytes_per_second;
    double macs = op->macs * 1e9 / ceiling->macs_per_second[ceiling->mac_way], bytes = op->bytes * 1e9 / rate;
    if (op->ns == 0)
        return;
    op->roof_ns = ceiling->dispatch_ns;
    op->bound = BENCH_BOUND_DISPATCH;
    if (bytes > op->roof_ns) {
        op->roof_ns = bytes;
        op->bound = BENCH_BOUND_BYTES;
    }
    if (macs > op->roof_ns) {
        op->roof_ns = macs;
        op->bound = BENCH_BOUND_MACS;
    }
}

int bench_rate_ops(struct bench *bench)
{
    const struct shk_model *model = bench->cli.model;
    struct shk_ceiling_params params = SHK_CEILING_PARAMS_DEFAULT;
    struct shk_error error;
    params.cache_dir = bench->cli.cache_dir[0] ? bench->cli.cache_dir : NULL;
    params.log = cli_log(&bench->cli);
    if (shk_measure_ceiling(bench->cli.device, &params, &bench->ceiling, &error))
        return cli_fail_status(&error);
    for (uint32_t i = 0; i < shk_model_op_count(model); i++) {
        struct bench_op *op = &bench->ops[i], *total = &bench->op_total;
        struct shk_op_info info;
        shk_model_get_op(model, i, &info);
        op->macs = info.macs;
        op->bytes = tensor_bytes(model, info.inputs, info.input_count) +
                    tensor_bytes(model, info.outputs, info.output_count);
        find_roof(&bench->ceiling, op);
        total->ns += op->ns;
        total->macs += op->macs;
        total->bytes += op->bytes;
        total->roof_ns += op->roof_ns;
    }
    return CLI_OK;
}

int bench_write_roofline(const struct bench *bench)
{
    const struct shk_model *model = bench->cli.model;
    uint32_t count = shk_model_op_count(model);
    struct shk_device_info device;
    shk_device_get_info(bench->cli.device, &device);
    struct roofline_point *points = g_new0(struct roofline_point, count);
    guint n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct bench_op *op = &bench->ops[i];
        struct shk_op_info info;
        shk_model_get_op(model, i, &info);
        if (op->roof_ns > 0)
            points[n++] =
                (struct roofline_point){i, info.kernel, (double)op->macs, (double)op->bytes, op->ns / 1e9};
    }
    char *name = g_path_get_basename(shk_model_name(model));
    char *raw_title = g_strdup_printf("%s on %s", name, device.name), *title = table_printable(raw_title);
    const struct roofline roofline = {title, &bench->ceiling, points, n};
    GError *error = NULL;
    int code = CLI_OK;
    if (!roofline_write(&roofline, bench->roofline, &error))
        code = cli_fail_gerror(CLI_FAILED, error);
    g_free(title);
    g_free(raw_title);
    g_free(name);
    g_free(points);
    return code;
}
