/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "table.h"

int cli_fail(int code, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    char *text = g_strdup_vprintf(format, ap);
    va_end(ap);
    fprintf(stderr, "shrike: %s\n", text);
    g_free(text);
    return code;
}

int cli_fail_gerror(int code, GError *error)
{
    cli_fail(code, "%s", error->message);
    g_error_free(error);
    return code;
}

static int exit_code(enum shk_status status)
{
    switch (status) {
    case SHK_OK:
        return CLI_OK;
    case SHK_ERROR_INVALID_ARGUMENT:
        return CLI_USAGE;
    case SHK_ERROR_BAD_MODEL:
    case SHK_ERROR_UNSUPPORTED:
        return CLI_BAD_INPUT;
    case SHK_ERROR_NO_DEVICE:
        return CLI_NO_DEVICE;
    default:
        return CLI_FAILED;
    }
}

int cli_fail_status(const struct shk_error *error)
{
    return cli_fail(exit_code(error->status), "%s", error->message);
}

static void print_log(void *user, enum shk_log_level level, const char *message)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    const struct cli *cli = user;
    if (level <= SHK_LOG_WARNING || cli->verbose)
        fprintf(stderr, "shrike: %s: %s\n", names[level], message);
}

struct shk_log cli_log(const struct cli *cli)
{
    return (struct shk_log){print_log, (void *)cli};
}

struct shk_session_params cli_session_params(const struct cli *cli)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    params.log = cli_log(cli);
    params.cache_dir = cli->cache_dir[0] ? cli->cache_dir : NULL;
    params.no_fusion = cli->no_fusion;
    return params;
}

gboolean cli_parse_no_fusion(const char *option, const char *list, gpointer data, GError **error)
{
    static const struct {
        const char *name;
        uint32_t bits;
    } kinds[] = {
        {"all", SHK_FUSION_ALL},     {"pad", SHK_FUSION_PAD},           {"add", SHK_FUSION_ADD},
        {"table", SHK_FUSION_TABLE}, {"reshape", SHK_FUSION_RESHAPE},   {"input", SHK_FUSION_INPUT},
        {"pair", SHK_FUSION_PAIR},   {"inverted", SHK_FUSION_INVERTED}, {"heads", SHK_FUSION_HEADS},
        {"parts", SHK_FUSION_PARTS},
    };
    struct cli *cli = data;
    char **names = g_strsplit(list, ",", -1);
    bool good = true;
    for (guint i = 0; names[i] && good; i++) {
        good = false;
        for (guint k = 0; k < G_N_ELEMENTS(kinds); k++)
            if (strcmp(names[i], kinds[k].name) == 0) {
                cli->no_fusion |= kinds[k].bits;
                good = true;
            }
        if (!good)
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "%s=%s: '%s' is no kind of fusion; there are pad, add, table, reshape, input, pair, inverted, "
                        "heads, parts, and all",
                        option, list, names[i]);
    }
    g_strfreev(names);
    return good;
}

/* GLib takes the argument behind an option with an optional value for that value: say what is meant. */
static char **name_optional_values(char **argv)
{
    char **args = g_strdupv(argv);
    for (guint i = 1; args[i] && strcmp(args[i], "--") != 0; i++)
        if (strcmp(args[i], "--no-fusion") == 0) {
            g_free(args[i]);
            args[i] = g_strdup("--no-fusion=all");
        }
    return args;
}

int cli_parse(struct cli *cli, char **argv, const struct cli_help *help, const GOptionEntry *entries, guint min,
              guint max)
{
    const GOptionEntry common[] = {
        {"device", 'd', 0, G_OPTION_ARG_STRING, &cli->device_name,
         "Vulkan device: index, UUID or part of the name as `shrike devices` lists them", "DEVICE"},
        {"cache-dir", 0, 0, G_OPTION_ARG_FILENAME, &cli->cache_dir,
         "Where compiled pipelines are kept; '' for nowhere (default: ~/.cache/shrike)", "DIR"},
        {"validation", 0, 0, G_OPTION_ARG_NONE, &cli->validation,
         "Turn the Khronos validation layer on; any message from it fails the command", NULL},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &cli->verbose, "Print what the library logs", NULL},
        {NULL},
    };
    GOptionContext *context = g_option_context_new(help->usage);
    g_option_context_set_summary(context, help->summary);
    g_option_context_set_description(context, help->description);
    GOptionGroup *group = g_option_group_new(NULL, NULL, NULL, cli, NULL); /* callbacks want the cli */
    if (entries)
        g_option_group_add_entries(group, entries);
    g_option_group_add_entries(group, common);
    g_option_context_set_main_group(context, group);

    char *program = g_strconcat("shrike ", help->name, NULL);
    g_set_prgname(program);
    GError *error = NULL;
    int code = CLI_OK;
    char **args = name_optional_values(argv);
    if (!g_option_context_parse_strv(context, &args, &error)) {
        code = cli_fail(CLI_USAGE, "%s; see %s --help", error->message, program);
        g_error_free(error);
    } else if (g_strv_length(args) < min + 1) {
        code = cli_fail(CLI_USAGE, "missing argument: usage is %s %s; see %s --help", program, help->usage, program);
    } else if (g_strv_length(args) > max + 1) {
        code = cli_fail(CLI_USAGE, "unexpected argument '%s'; see %s --help", args[max + 1], program);
    } else {
        cli->args = g_strdupv(args + 1);
        if (!cli->cache_dir)
            cli->cache_dir = g_build_filename(g_get_user_cache_dir(), "shrike", NULL);
    }
    g_strfreev(args);
    g_free(program);
    g_option_context_free(context);
    return code;
}

int cli_open_model(struct cli *cli, const char *name)
{
    struct shk_error error;
    enum shk_status status = strcmp(name, "default") == 0 ? shk_model_load_default(&cli->model, &error)
                                                          : shk_model_load_file(name, &cli->model, &error);
    return status ? cli_fail_status(&error) : CLI_OK;
}

int cli_open_device(struct cli *cli, bool reference)
{
    if (reference)
        return CLI_OK;
    struct shk_device_params params = SHK_DEVICE_PARAMS_DEFAULT;
    params.select = cli->device_name;
    params.validation = cli->validation;
    params.log = cli_log(cli);
    struct shk_error error;
    return shk_device_create(&params, &cli->device, &error) ? cli_fail_status(&error) : CLI_OK;
}

int cli_open_labels(struct cli *cli, const char *path)
{
    struct shk_error error;
    enum shk_status status = SHK_OK;
    if (path)
        status = shk_labels_load_file(path, shk_model_class_count(cli->model), &cli->labels, &error);
    else if (strcmp(shk_model_name(cli->model), "default") == 0)
        status = shk_labels_load_default(&cli->labels, &error);
    return status ? cli_fail_status(&error) : CLI_OK;
}

const char *cli_label(const struct cli *cli, uint32_t class_id, char buffer[32])
{
    const char *label = shk_labels_get(cli->labels, class_id);
    if (label)
        return label;
    snprintf(buffer, 32, "class %u", class_id);
    return buffer;
}

int cli_close(struct cli *cli, int code)
{
    uint64_t messages = cli->device ? shk_device_validation_messages(cli->device) : 0;
    shk_labels_destroy(&cli->labels);
    shk_model_destroy(&cli->model);
    shk_device_destroy(&cli->device);
    g_free(cli->device_name);
    g_free(cli->cache_dir);
    g_strfreev(cli->args);
    if (messages > 0 && code == CLI_OK)
        return cli_fail(CLI_FAILED, "the validation layer sent %" G_GUINT64_FORMAT " messages", messages);
    return code;
}

int cli_fusion(const struct cli *cli, uint32_t **into)
{
    uint32_t count = shk_model_op_count(cli->model);
    struct shk_error error;
    *into = g_new0(uint32_t, count + 1);
    return shk_model_get_fusion(cli->model, cli->no_fusion, *into, count, &error) ? cli_fail_status(&error) : CLI_OK;
}

void cli_fused_cell(struct table *table, uint32_t into, uint32_t op)
{
    if (into == UINT32_MAX)
        table_cell(table, "in preprocess");
    else
        table_cell(table, into == op ? "" : "in op %u", into);
}

int cli_check_output(const char *option, const char *path)
{
    if (!path)
        return CLI_OK;
    char *folder = g_path_get_dirname(path);
    int code = CLI_OK;
    if (g_file_test(path, G_FILE_TEST_IS_DIR))
        code = cli_fail(CLI_FAILED, "%s %s is a folder", option, path);
    else if (g_access(folder, W_OK) != 0)
        code = cli_fail(CLI_FAILED, "%s %s cannot be written: %s: %s", option, path, folder, g_strerror(errno));
    g_free(folder);
    return code;
}

int cli_read_inputs(const struct cli *cli, char **paths, GPtrArray **inputs)
{
    guint wanted = shk_model_input_count(cli->model), given = g_strv_length(paths);
    if (given != wanted)
        return cli_fail(CLI_USAGE, "%s has %u inputs, but --input was given %u times", shk_model_name(cli->model),
                        wanted, given);
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < given; i++) {
        GError *error = NULL;
        char *bytes;
        gsize size;
        if (!g_file_get_contents(paths[i], &bytes, &size, &error)) {
            g_ptr_array_unref(list);
            return cli_fail_gerror(CLI_FAILED, error);
        }
        g_ptr_array_add(list, bytes);
        struct shk_tensor_info info;
        shk_model_get_tensor(cli->model, shk_model_input(cli->model, i), &info);
        if (size != info.bytes) {
            char *tensor = cli_tensor(&info);
            cli_fail(CLI_BAD_INPUT, "%s has %zu bytes, but input %u of %s (%s) takes %zu", paths[i], (size_t)size, i,
                     shk_model_name(cli->model), tensor, info.bytes);
            g_free(tensor);
            g_ptr_array_unref(list);
            return CLI_BAD_INPUT;
        }
    }
    *inputs = list;
    return CLI_OK;
}

char *cli_shape(const struct shk_tensor_info *tensor)
{
    GString *text = g_string_new(NULL);
    for (uint32_t d = 0; d < tensor->rank; d++)
        g_string_append_printf(text, "%s%d", d ? "x" : "", tensor->dims[d]);
    if (tensor->rank == 0)
        g_string_append(text, "scalar");
    return g_string_free(text, FALSE);
}

char *cli_tensor(const struct shk_tensor_info *tensor)
{
    char *shape = cli_shape(tensor);
    char *text = g_strconcat(shk_dtype_string(tensor->dtype), " ", shape, NULL);
    g_free(shape);
    return text;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void cli_sort(uint64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_u64);
}

uint64_t cli_percentile(const uint64_t *sorted, size_t count, unsigned percent)
{
    if (count == 0)
        return 0;
    size_t rank = (count * percent + 99) / 100;
    return sorted[rank ? rank - 1 : 0];
}
