/* shrike inspect: what is in a model, and what it costs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "chart.h"
#include "cli.h"
#include "inspect_memory.h"
#include "json.h"
#include "table.h"

static const struct cli_help help = {
    .name = "inspect",
    .usage = "MODEL",
    .summary = "Lists the layers of a model with their shapes, quantization, multiply-accumulates (MAC),\n"
               "floating-point-equivalent operations (FLOP = 2 MAC, plus one per output element of an op\n"
               "that calculates without multiply-accumulate) and parameters, and the memory for activations.\n\n"
               "With --memory: how that memory is planned. Every block of it, with its place and the ops from\n"
               "which to which it is alive, and what is alive where most is.",
    .description = "MACs are counted as height*width*C_out*(C_in/groups)*K_h*K_w per image. The arena is the\n"
                   "memory for activations: its peak is what the planner needs, the lower bound is the most that\n"
                   "is alive while one op runs. With --device the model is also prepared for that device, which\n"
                   "adds what it takes there.\n\n" CLI_HELP_TAIL,
};

enum kind { KIND_STANDARD, KIND_GROUPED, KIND_POINTWISE, KIND_DEPTHWISE, KIND_DENSE, KIND_OTHER, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"standard", "grouped", "pointwise", "depthwise", "dense", "other"};

struct totals {
    uint32_t ops[KIND_COUNT];
    uint64_t macs[KIND_COUNT];
    uint64_t flops, parameters;
};

static enum kind op_kind(const struct shk_model *model, const struct shk_op_info *op)
{
    if (strcmp(op->name, "DEPTHWISE_CONV_2D") == 0)
        return KIND_DEPTHWISE;
    if (strcmp(op->name, "FULLY_CONNECTED") == 0)
        return KIND_DENSE;
    if (strcmp(op->name, "CONV_2D") != 0)
        return KIND_OTHER;
    struct shk_tensor_info input, weights;
    shk_model_get_tensor(model, op->inputs[0], &input);
    shk_model_get_tensor(model, op->inputs[1], &weights);
    if (weights.dims[3] != input.dims[3])
        return KIND_GROUPED;
    return weights.dims[1] == 1 && weights.dims[2] == 1 ? KIND_POINTWISE : KIND_STANDARD;
}

static char *quantization(const struct shk_tensor_info *info)
{
    if (info->quant_count == 0)
        return g_strdup("");
    if (info->quant_count > 1)
        return g_strdup_printf("per channel (%u)", info->quant_count);
    return g_strdup_printf("%.6g zp %d", info->scales[0], info->zero_points[0]);
}

static void print_io(const struct shk_model *model, const char *what, uint32_t i, uint32_t index)
{
    struct shk_tensor_info info;
    shk_model_get_tensor(model, index, &info);
    char *tensor = cli_tensor(&info), *quant = quantization(&info), *name = table_printable(info.name);
    printf("%s %u: %s%s%s  \"%s\"\n", what, i, tensor, *quant ? ", scale " : "", quant, name);
    g_free(tensor);
    g_free(quant);
    g_free(name);
}

static void print_header(const struct shk_model *model)
{
    printf("model %s\n", shk_model_name(model));
    for (uint32_t i = 0; i < shk_model_input_count(model); i++)
        print_io(model, "input", i, shk_model_input(model, i));
    for (uint32_t i = 0; i < shk_model_output_count(model); i++)
        print_io(model, "output", i, shk_model_output(model, i));
    enum shk_decoder decoder = shk_model_decoder(model);
    printf("detections: %s", decoder == SHK_DECODER_NONE ? "none: raw tensors; a sidecar can name a decoder"
                                                          : shk_decoder_string(decoder));
    if (shk_model_class_count(model) > 0)
        printf(", %u classes", shk_model_class_count(model));
    printf("\n\n");
}

static void print_ops(const struct shk_model *model, const uint32_t *into, struct totals *totals)
{
    struct table *table = table_new(">#|op|kind|output|quantization|attributes|fused|>MAC|>FLOP|>parameters");
    for (uint32_t i = 0; i < shk_model_op_count(model); i++) {
        struct shk_op_info op;
        struct shk_tensor_info out;
        shk_model_get_op(model, i, &op);
        shk_model_get_tensor(model, op.outputs[0], &out);
        enum kind kind = op_kind(model, &op);
        totals->ops[kind]++;
        totals->macs[kind] += op.macs;
        totals->flops += op.flops;
        totals->parameters += op.parameters;
        table_cell(table, "%u", i);
        table_cell(table, "%s", op.name);
        table_cell(table, "%s", kind == KIND_OTHER ? "" : kind_names[kind]);
        table_take(table, cli_tensor(&out));
        table_take(table, quantization(&out));
        table_cell(table, "%s", op.attributes);
        cli_fused_cell(table, into[i], i);
        table_cell(table, "%" G_GUINT64_FORMAT, op.macs);
        table_cell(table, "%" G_GUINT64_FORMAT, op.flops);
        table_cell(table, "%" G_GUINT64_FORMAT, op.parameters);
    }
    table_finish(table);
}

static uint64_t total_macs(const struct totals *totals)
{
    uint64_t sum = 0;
    for (int kind = 0; kind < KIND_COUNT; kind++)
        sum += totals->macs[kind];
    return sum;
}

static void print_totals(const struct totals *totals)
{
    uint64_t sum = total_macs(totals);
    printf("\n");
    struct table *table = table_new("kind|>ops|>MMAC|>share");
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (totals->ops[kind] == 0)
            continue;
        table_cell(table, "%s", kind_names[kind]);
        table_cell(table, "%u", totals->ops[kind]);
        table_cell(table, "%.3f", totals->macs[kind] / 1e6);
        table_cell(table, "%.1f %%", sum ? 100.0 * totals->macs[kind] / sum : 0.0);
    }
    table_finish(table);
    printf("\nin sum: %.3f MMAC, %.3f MFLOP, %" G_GUINT64_FORMAT " parameters\n", sum / 1e6, totals->flops / 1e6,
           totals->parameters);
}

static void print_memory(const struct shk_memory_report *memory)
{
    printf("activations: arena peak %" G_GUINT64_FORMAT " bytes, lower bound %" G_GUINT64_FORMAT " bytes",
           memory->arena_peak, memory->lower_bound);
    if (memory->arena_peak > memory->lower_bound && memory->lower_bound > 0)
        printf(" (%.1f %% above)", 100.0 * (memory->arena_peak - memory->lower_bound) / memory->lower_bound);
    else
        printf(" (reached)");
    printf(", without reuse %" G_GUINT64_FORMAT " bytes\n", memory->no_reuse);
}

static void print_session(const struct shk_session_info *info)
{
    printf("on the device: %" G_GUINT64_FORMAT " bytes of packed parameters, %" G_GUINT64_FORMAT
           " bytes of staging, %u pipelines, %u dispatches and %u barriers per frame\n",
           info->memory.parameter_bytes, info->staging_bytes, info->pipelines, info->dispatches, info->barriers);
}

static void json_op(JsonBuilder *b, const struct shk_model *model, const uint32_t *into, uint32_t index)
{
    struct shk_op_info op;
    shk_model_get_op(model, index, &op);
    json_open_object(b, NULL);
    json_integer(b, "index", index);
    json_string(b, "op", op.name);
    json_string(b, "kernel", op.kernel);
    json_string(b, "kind", kind_names[op_kind(model, &op)]);
    json_string(b, "attributes", op.attributes);
    if (into[index] != index)
        json_integer(b, "fused_into", (gint32)into[index]);
    json_integer(b, "macs", op.macs);
    json_integer(b, "flops", op.flops);
    json_integer(b, "parameters", op.parameters);
    json_open_array(b, "inputs");
    for (uint32_t i = 0; i < op.input_count; i++)
        if (op.inputs[i] != SHK_TENSOR_NONE)
            json_tensor(b, NULL, model, op.inputs[i]);
    json_builder_end_array(b);
    json_open_array(b, "outputs");
    for (uint32_t i = 0; i < op.output_count; i++)
        json_tensor(b, NULL, model, op.outputs[i]);
    json_builder_end_array(b);
    json_builder_end_object(b);
}

static void json_totals(JsonBuilder *b, const struct shk_model *model)
{
    struct totals totals = {0};
    for (uint32_t i = 0; i < shk_model_op_count(model); i++) {
        struct shk_op_info op;
        shk_model_get_op(model, i, &op);
        totals.macs[op_kind(model, &op)] += op.macs;
        totals.flops += op.flops;
        totals.parameters += op.parameters;
    }
    json_open_object(b, "totals");
    json_integer(b, "macs", total_macs(&totals));
    json_integer(b, "flops", totals.flops);
    json_integer(b, "parameters", totals.parameters);
    json_open_object(b, "macs_by_kind");
    for (int kind = 0; kind < KIND_COUNT; kind++)
        json_integer(b, kind_names[kind], totals.macs[kind]);
    json_builder_end_object(b);
    json_builder_end_object(b);
}

static void print_json(const struct shk_model *model, const uint32_t *into, const struct shk_memory_report *memory,
                       const struct inspect_memory *blocks, const struct shk_session_info *session)
{
    JsonBuilder *b = json_builder_new();
    json_open_object(b, NULL);
    json_string(b, "model", shk_model_name(model));
    json_open_array(b, "inputs");
    for (uint32_t i = 0; i < shk_model_input_count(model); i++)
        json_tensor(b, NULL, model, shk_model_input(model, i));
    json_builder_end_array(b);
    json_open_array(b, "outputs");
    for (uint32_t i = 0; i < shk_model_output_count(model); i++)
        json_tensor(b, NULL, model, shk_model_output(model, i));
    json_builder_end_array(b);
    json_string(b, "decoder", shk_decoder_string(shk_model_decoder(model)));
    json_integer(b, "classes", shk_model_class_count(model));
    json_open_array(b, "ops");
    for (uint32_t i = 0; i < shk_model_op_count(model); i++)
        json_op(b, model, into, i);
    json_builder_end_array(b);
    json_totals(b, model);
    json_open_object(b, "memory");
    json_integer(b, "arena_peak", memory->arena_peak);
    json_integer(b, "lower_bound", memory->lower_bound);
    json_integer(b, "no_reuse", memory->no_reuse);
    if (blocks)
        inspect_memory_json(b, blocks);
    if (session) {
        json_integer(b, "parameter_bytes", session->memory.parameter_bytes);
        json_integer(b, "staging_bytes", session->staging_bytes);
        json_integer(b, "pipelines", session->pipelines);
        json_integer(b, "dispatches", session->dispatches);
        json_integer(b, "barriers", session->barriers);
    }
    json_builder_end_object(b);
    json_builder_end_object(b);
    json_finish(b);
}

/* What only a session knows: fills *info if --device was given. */
static int prepare(struct cli *cli, struct shk_session_info *info)
{
    int code = cli_open_device(cli, cli->device_name == NULL);
    if (code || !cli->device)
        return code;
    struct shk_session_params params = cli_session_params(cli);
    struct shk_session *session;
    struct shk_error error;
    if (shk_session_create(cli->device, cli->model, &params, &session, &error))
        return cli_fail_status(&error);
    shk_session_get_info(session, info);
    shk_session_destroy(&session);
    return CLI_OK;
}

static void print_text(const struct cli *cli, const uint32_t *into, const struct shk_memory_report *memory,
                       const struct inspect_memory *blocks, const struct shk_session_info *session)
{
    struct totals totals = {0};
    print_header(cli->model);
    if (blocks) {
        inspect_memory_print(blocks);
        printf("\n");
    } else {
        print_ops(cli->model, into, &totals);
        print_totals(&totals);
    }
    print_memory(memory);
    if (cli->device)
        print_session(session);
}

static int inspect(struct cli *cli, bool memory, const char *plot, bool json)
{
    struct shk_session_info session;
    struct inspect_memory blocks = {0};
    uint32_t *into = NULL;
    struct shk_memory_report report;
    struct shk_error error;
    int code = cli_open_model(cli, cli->args[0]);
    if (!code && shk_model_get_memory(cli->model, cli->no_fusion, &report, &error))
        code = cli_fail_status(&error);
    if (!code)
        code = prepare(cli, &session);
    if (!code)
        code = cli_fusion(cli, &into);
    if (!code && memory)
        code = inspect_memory_load(&blocks, cli->model, cli->no_fusion);
    if (!code && plot)
        code = inspect_memory_plot(&blocks, plot);
    if (!code && json)
        print_json(cli->model, into, &report, memory ? &blocks : NULL, cli->device ? &session : NULL);
    else if (!code)
        print_text(cli, into, &report, memory ? &blocks : NULL, &session);
    inspect_memory_clear(&blocks);
    g_free(into);
    return code;
}

int cmd_inspect(char **argv)
{
    gboolean json = FALSE, memory = FALSE;
    char *plot = NULL;
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON instead of tables", NULL},
        {"memory", 'm', 0, G_OPTION_ARG_NONE, &memory, "Show how the memory for activations is planned", NULL},
        {"plot", 'p', 0, G_OPTION_ARG_FILENAME, &plot,
         "Draw that memory over time into FILE.svg or FILE.png", "FILE"},
        CLI_NO_FUSION,
        {NULL},
    };
    struct cli cli = {0};
    int code = cli_parse(&cli, argv, &help, entries, 1, 1);
    if (!code && plot && !memory)
        code = cli_fail(CLI_USAGE, "--plot is for --memory");
    if (!code)
        code = chart_check("--plot", plot);
    if (!code)
        code = inspect(&cli, memory, plot, json);
    g_free(plot);
    return cli_close(&cli, code);
}
