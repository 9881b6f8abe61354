/* shrike verify: a device against the plain C reference, layer by layer.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "image.h"
#include "json.h"
#include "output.h"
#include "random.h"
#include "table.h"

static const struct cli_help help = {
    .name = "verify",
    .usage = "MODEL [PICTURE]",
    .summary = "Runs a model on a device and on the CPU reference with the same input, and compares every tensor of\n"
               "every layer. The input is seeded random bytes, a picture, or raw tensors (--input).",
    .description =
        "Every byte must be equal.\n"
        "\n"
        "Examples:\n"
        "  shrike verify default\n"
        "  shrike verify ssd.tflite street.jpg\n"
        "  shrike verify model.tflite --runs 5 --all\n\n" CLI_HELP_TAIL,
};

struct difference {
    uint32_t op, tensor;
    size_t differing, total; /* elements */
    size_t first;            /* the first element that differs */
    double device, reference, largest;
};

struct verify {
    struct cli cli;
    gboolean json, all;
    gint64 seed;
    int runs;
    char **inputs;

    struct shk_session *device, *reference;
    void *a, *b; /* one tensor of each, as large as the largest */
    GArray *differences;
    uint32_t compared; /* runs */
    uint64_t elements;
};

static int open_sessions(struct verify *v)
{
    struct shk_session_params params = cli_session_params(&v->cli);
    struct shk_error error;
    params.frames_in_flight = 1;
    params.keep_tensors = true;
    if (shk_session_create(NULL, v->cli.model, &params, &v->reference, &error) ||
        shk_session_create(v->cli.device, v->cli.model, &params, &v->device, &error))
        return cli_fail_status(&error);
    size_t largest = 1;
    for (uint32_t i = 0; i < shk_model_tensor_count(v->cli.model); i++) {
        struct shk_tensor_info info;
        shk_model_get_tensor(v->cli.model, i, &info);
        largest = MAX(largest, info.bytes);
    }
    v->a = g_malloc(largest);
    v->b = g_malloc(largest);
    return CLI_OK;
}

/* What the model would see of a picture: preprocessed by the reference. */
static int picture_input(struct verify *v, const char *path, GPtrArray **inputs)
{
    struct image image;
    GError *gerror = NULL;
    if (!image_load(path, &image, &gerror))
        return cli_fail_gerror(gerror->domain == G_FILE_ERROR ? CLI_FAILED : CLI_BAD_INPUT, gerror);
    const struct shk_frame_format format = {SHK_FORMAT_RGB, image.width, image.height};
    const struct shk_frame frame = {
        .plane = {image.rgb},
        .plane_size = {(size_t)image.width * image.height * 3},
        .stride = {image.width * 3},
    };
    struct shk_error error;
    struct shk_result result;
    struct shk_tensor_info info;
    uint32_t tensor = shk_model_input(v->cli.model, 0);
    shk_model_get_tensor(v->cli.model, tensor, &info);
    *inputs = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(*inputs, g_malloc(info.bytes));
    bool failed = shk_session_configure(v->reference, &format, &error) ||
                  shk_session_submit(v->reference, &frame, NULL, &error) ||
                  shk_session_wait(v->reference, UINT64_MAX, &result, &error) ||
                  shk_session_read_tensor(v->reference, result.ticket, tensor, (*inputs)->pdata[0], info.bytes, &error);
    if (!failed)
        shk_session_release(v->reference, result.ticket);
    image_clear(&image);
    return failed ? cli_fail_status(&error) : CLI_OK;
}

static void compare_elements(const struct shk_tensor_info *info, const void *a, const void *b,
                             struct difference *d)
{
    size_t size = shk_dtype_size(info->dtype);
    for (size_t i = 0; i < d->total; i++) {
        if (memcmp((const char *)a + i * size, (const char *)b + i * size, size) == 0)
            continue;
        double x = output_raw_value(info, a, i), y = output_raw_value(info, b, i);
        double distance = x > y ? x - y : y - x;
        if (d->differing++ == 0) {
            d->first = i;
            d->device = x;
            d->reference = y;
        }
        d->largest = MAX(d->largest, distance);
    }
}

static int compare_tensor(struct verify *v, const struct shk_result *device, const struct shk_result *reference,
                          uint32_t op_index, uint32_t k)
{
    struct shk_op_info op;
    struct shk_tensor_info info;
    struct shk_error error;
    shk_model_get_op(v->cli.model, op_index, &op);
    uint32_t tensor = op.outputs[k];
    shk_model_get_tensor(v->cli.model, tensor, &info);
    if (shk_session_read_tensor(v->device, device->ticket, tensor, v->a, info.bytes, &error) ||
        shk_session_read_tensor(v->reference, reference->ticket, tensor, v->b, info.bytes, &error))
        return cli_fail_status(&error);
    struct difference d = {.op = op_index, .tensor = tensor, .total = info.bytes / shk_dtype_size(info.dtype)};
    compare_elements(&info, v->a, v->b, &d);
    v->elements += d.total;
    if (d.differing > 0)
        g_array_append_val(v->differences, d);
    return CLI_OK;
}

static int compare_run(struct verify *v, GPtrArray *inputs)
{
    const void *const *data = (const void *const *)inputs->pdata;
    struct shk_result device, reference;
    struct shk_error error;
    if (shk_session_submit_tensors(v->device, data, inputs->len, NULL, NULL, &error) ||
        shk_session_submit_tensors(v->reference, data, inputs->len, NULL, NULL, &error) ||
        shk_session_wait(v->device, UINT64_MAX, &device, &error) ||
        shk_session_wait(v->reference, UINT64_MAX, &reference, &error))
        return cli_fail_status(&error);
    int code = CLI_OK;
    v->compared++;
    for (uint32_t i = 0; i < shk_model_op_count(v->cli.model) && !code; i++) {
        struct shk_op_info op;
        shk_model_get_op(v->cli.model, i, &op);
        for (uint32_t k = 0; k < op.output_count && !code; k++)
            code = compare_tensor(v, &device, &reference, i, k);
    }
    shk_session_release(v->device, device.ticket);
    shk_session_release(v->reference, reference.ticket);
    return code;
}

static char *position(const struct shk_tensor_info *info, size_t element)
{
    GString *text = g_string_new("]");
    for (uint32_t d = info->rank; d-- > 0;) {
        char *number = g_strdup_printf("%s%zu", d ? "," : "[", element % (size_t)info->dims[d]);
        g_string_prepend(text, number);
        g_free(number);
        element /= (size_t)info->dims[d];
    }
    return g_string_free(text, FALSE);
}

static void print_differences(const struct verify *v)
{
    struct table *table = table_new(">op|name|>tensor|type|>differing|>of|>largest|first at|>device|>reference");
    for (guint i = 0; i < v->differences->len && (v->all || i == 0); i++) {
        const struct difference *d = &g_array_index(v->differences, struct difference, i);
        struct shk_op_info op;
        struct shk_tensor_info info;
        shk_model_get_op(v->cli.model, d->op, &op);
        shk_model_get_tensor(v->cli.model, d->tensor, &info);
        table_cell(table, "%u", d->op);
        table_cell(table, "%s", op.name);
        table_cell(table, "%u", d->tensor);
        table_take(table, cli_tensor(&info));
        table_cell(table, "%zu", d->differing);
        table_cell(table, "%zu", d->total);
        table_cell(table, "%g", d->largest);
        table_take(table, position(&info, d->first));
        table_cell(table, "%.9g", d->device);
        table_cell(table, "%.9g", d->reference);
    }
    table_finish(table);
}

static void print_json(const struct verify *v)
{
    JsonBuilder *b = json_builder_new();
    json_open_object(b, NULL);
    json_string(b, "model", shk_model_name(v->cli.model));
    json_bool(b, "equal", v->differences->len == 0);
    json_integer(b, "layers", shk_model_op_count(v->cli.model));
    json_integer(b, "runs", v->compared);
    json_integer(b, "elements", v->elements);
    json_open_array(b, "differences");
    for (guint i = 0; i < v->differences->len && (v->all || i == 0); i++) {
        const struct difference *d = &g_array_index(v->differences, struct difference, i);
        struct shk_op_info op;
        shk_model_get_op(v->cli.model, d->op, &op);
        json_open_object(b, NULL);
        json_integer(b, "op", d->op);
        json_string(b, "name", op.name);
        json_tensor(b, "tensor", v->cli.model, d->tensor);
        json_integer(b, "differing", d->differing);
        json_integer(b, "element", d->first);
        json_number(b, "device", d->device);
        json_number(b, "reference", d->reference);
        json_number(b, "largest", d->largest);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    json_builder_end_object(b);
    json_finish(b);
}

static int report(const struct verify *v)
{
    struct shk_device_info device;
    shk_device_get_info(v->cli.device, &device);
    guint count = v->differences->len;
    if (v->json)
        print_json(v);
    else if (count == 0)
        printf("equal: %s on %s gives the bytes of the reference in all %u layers (inputs tried: %u, elements compared: "
               "%" G_GUINT64_FORMAT ")\n", shk_model_name(v->cli.model), device.name,
               shk_model_op_count(v->cli.model), v->compared, v->elements);
    else
        print_differences(v);
    if (count == 0)
        return CLI_OK;
    const struct difference *d = &g_array_index(v->differences, struct difference, 0);
    struct shk_op_info op;
    struct shk_tensor_info info;
    shk_model_get_op(v->cli.model, d->op, &op);
    shk_model_get_tensor(v->cli.model, d->tensor, &info);
    char *at = position(&info, d->first);
    cli_fail(CLI_DIFFERENT, "%s on %s differs first at op %u %s (%s), tensor %u, element %s: %.9g, the reference "
             "has %.9g; %u of the tensors compared differ", shk_model_name(v->cli.model), device.name, d->op, op.name,
             op.kernel, d->tensor, at, d->device, d->reference, count);
    g_free(at);
    return CLI_DIFFERENT;
}

static int verify_all(struct verify *v)
{
    GPtrArray *inputs = NULL;
    int code = CLI_OK;
    if (v->inputs)
        code = cli_read_inputs(&v->cli, v->inputs, &inputs);
    else if (v->cli.args[1])
        code = picture_input(v, v->cli.args[1], &inputs);
    bool given = inputs != NULL;
    for (int run = 0; run < (given ? 1 : v->runs) && !code; run++) {
        if (!given)
            inputs = random_inputs(v->cli.model, (uint64_t)v->seed + run);
        code = compare_run(v, inputs);
        g_clear_pointer(&inputs, g_ptr_array_unref);
    }
    g_clear_pointer(&inputs, g_ptr_array_unref);
    return code ? code : report(v);
}

int cmd_verify(char **argv)
{
    struct verify v = {.seed = 1, .runs = 1};
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, &v.json, "Print JSON instead of a table", NULL},
        {"all", 0, 0, G_OPTION_ARG_NONE, &v.all, "List every tensor that differs, not only the first", NULL},
        {"seed", 's', 0, G_OPTION_ARG_INT64, &v.seed, "Seed of the random input (default 1)", "N"},
        {"runs", 'n', 0, G_OPTION_ARG_INT, &v.runs, "Compare N random inputs (default 1)", "N"},
        {"input", 'i', 0, G_OPTION_ARG_FILENAME_ARRAY, &v.inputs, "Raw bytes of the next model input", "FILE"},
        {NULL},
    };
    v.differences = g_array_new(FALSE, FALSE, sizeof(struct difference));
    int code = cli_parse(&v.cli, argv, &help, entries, 1, 2);
    if (!code && v.inputs && v.cli.args[1])
        code = cli_fail(CLI_USAGE, "give either a picture or --input, not both");
    if (!code && (v.runs < 1 || v.runs > 10000))
        code = cli_fail(CLI_USAGE, "--runs %d is outside 1 to 10000", v.runs);
    if (!code)
        code = cli_open_model(&v.cli, v.cli.args[0]);
    if (!code)
        code = cli_open_device(&v.cli, false);
    if (!code)
        code = open_sessions(&v);
    if (!code)
        code = verify_all(&v);
    shk_session_destroy(&v.device);
    shk_session_destroy(&v.reference);
    g_free(v.a);
    g_free(v.b);
    g_strfreev(v.inputs);
    g_array_unref(v.differences);
    return cli_close(&v.cli, code);
}
