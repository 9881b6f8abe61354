/* shrike bench --compare: this run beside an earlier one, which is read from what --json printed then.
 * Whoever wrote the file, it ends in a message and not in a crash: it is read strictly, and only where this
 * looks. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "table.h"

#define MAX_BYTES (16u << 20)
#define MAX_DEPTH 32
#define MAX_NS    INT64_C(1000000000000000) /* eleven days */
#define EXPECTED  "expected what `shrike bench MODEL --json` prints"

struct bench_old {
    char *path, *model, *device;
    uint64_t stages[SHK_STAGE_COUNT], to_first_ns; /* medians */
    guint op_count;
    char **names;
    uint64_t *op_ns, total_ns;
};

void bench_old_free(struct bench_old *old)
{
    if (!old)
        return;
    g_free(old->path);
    g_free(old->model);
    g_free(old->device);
    for (guint i = 0; old->names && i < old->op_count; i++)
        g_free(old->names[i]);
    g_free(old->names);
    g_free(old->op_ns);
    g_free(old);
}

static int read_text(const char *path, GString *text)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return cli_fail(CLI_FAILED, "--compare %s: %s", path, g_strerror(errno));
    char buffer[65536];
    size_t n;
    while (text->len <= MAX_BYTES && (n = fread(buffer, 1, sizeof(buffer), file)) > 0)
        g_string_append_len(text, buffer, n);
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    if (failed)
        return cli_fail(CLI_FAILED, "--compare %s: %s", path, g_strerror(failed));
    if (text->len > MAX_BYTES)
        return cli_fail(CLI_BAD_INPUT, "--compare %s: more than %u MiB; " EXPECTED, path, MAX_BYTES >> 20);
    return CLI_OK;
}

/* json-glib calls itself for each level, and takes comments and other things that JSON has not, behind which
 * brackets could hide. */
static gboolean is_harmless(const GString *text)
{
    guint depth = 0;
    gboolean string = FALSE;
    for (gsize i = 0; i < text->len; i++) {
        char c = text->str[i];
        if (string && c == '\\')
            i++;
        else if (c == '"')
            string = !string;
        else if (string)
            continue;
        else if (c == '[' || c == '{')
            depth++;
        else if (c == ']' || c == '}')
            depth--; /* below 0 is beyond MAX_DEPTH, too */
        else if (!g_ascii_isalnum(c) && !(c && strchr(" \t\r\n:,+-.", c)))
            return FALSE;
        if (depth > MAX_DEPTH)
            return FALSE;
    }
    return TRUE;
}

/* NULL: missing, or another type. */
static JsonObject *object_member(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static JsonArray *array_member(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;
    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

static char *text_member(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;
    if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
        return NULL;
    return table_printable(json_node_get_string(node));
}

static gboolean ns_member(JsonObject *object, const char *name, uint64_t *ns)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;
    if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
        return FALSE;
    gint64 value = json_node_get_int(node);
    *ns = (uint64_t)value;
    return value >= 0 && value <= MAX_NS;
}

static int missing(const struct bench_old *old, const char *member, const char *what)
{
    return cli_fail(CLI_BAD_INPUT, "--compare %s: no member %s that is %s; " EXPECTED, old->path, member,
                    what);
}

static int read_ops(JsonObject *root, struct bench_old *old)
{
    JsonArray *ops = array_member(root, "ops");
    if (!ops)
        return missing(old, "ops", "a list");
    old->op_count = json_array_get_length(ops);
    old->names = g_new0(char *, old->op_count + 1);
    old->op_ns = g_new0(uint64_t, old->op_count + 1);
    for (guint i = 0; i < old->op_count; i++) {
        JsonNode *node = json_array_get_element(ops, i);
        JsonObject *op = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        char member[32];
        g_snprintf(member, sizeof(member), "ops[%u].name", i);
        old->names[i] = text_member(op, "name");
        if (!old->names[i])
            return missing(old, member, "a text");
        g_snprintf(member, sizeof(member), "ops[%u].ns", i);
        if (!ns_member(op, "ns", &old->op_ns[i]))
            return missing(old, member, "a time in nanoseconds");
        old->total_ns += old->op_ns[i];
    }
    return CLI_OK;
}

static int read_report(JsonObject *root, struct bench_old *old)
{
    old->model = text_member(root, "model");
    old->device = text_member(root, "device");
    if (!old->model || !old->device)
        return missing(old, old->model ? "device" : "model", "a text");
    if (!ns_member(object_member(root, "setup"), "load_to_first_result_ns", &old->to_first_ns))
        return missing(old, "setup.load_to_first_result_ns", "a time in nanoseconds");
    for (int stage = 0; stage < SHK_STAGE_COUNT; stage++) {
        char member[64];
        const char *name = shk_stage_string(stage);
        g_snprintf(member, sizeof(member), "steady.%s.median_ns", name);
        if (!ns_member(object_member(object_member(root, "steady"), name), "median_ns", &old->stages[stage]))
            return missing(old, member, "a time in nanoseconds");
    }
    return read_ops(root, old);
}

static int parse(const GString *text, struct bench_old *old)
{
    GError *error = NULL;
    JsonParser *parser = json_parser_new();
    int code;
    if (!is_harmless(text)) {
        code = cli_fail(CLI_BAD_INPUT, "--compare %s: not JSON, or nested more than %u deep; " EXPECTED,
                        old->path, MAX_DEPTH);
    } else if (!json_parser_load_from_data(parser, text->str, text->len, &error)) {
        char *reason = table_printable(error->message);
        code = cli_fail(CLI_BAD_INPUT, "--compare %s: not JSON: %s; " EXPECTED, old->path, reason);
        g_free(reason);
        g_error_free(error);
    } else {
        JsonNode *root = json_parser_get_root(parser);
        if (root && JSON_NODE_HOLDS_OBJECT(root))
            code = read_report(json_node_get_object(root), old);
        else
            code = cli_fail(CLI_BAD_INPUT, "--compare %s: %s; " EXPECTED, old->path,
                            root ? "JSON, but no object" : "empty");
    }
    g_object_unref(parser);
    return code;
}

int bench_old_load(const char *path, struct bench_old **out)
{
    struct bench_old *old = g_new0(struct bench_old, 1);
    GString *text = g_string_new(NULL);
    old->path = g_strdup(path);
    int code = read_text(path, text);
    if (!code)
        code = parse(text, old);
    g_string_free(text, TRUE);
    if (code)
        bench_old_free(old);
    else
        *out = old;
    return code;
}

int bench_old_check(const struct bench_old *old, const struct shk_model *model)
{
    uint32_t count = shk_model_op_count(model);
    for (uint32_t i = 0; i < MIN(count, old->op_count); i++) {
        struct shk_op_info op;
        shk_model_get_op(model, i, &op);
        char *name = table_printable(op.name);
        int code = CLI_OK;
        if (strcmp(name, old->names[i]) != 0)
            code = cli_fail(CLI_BAD_INPUT,
                            "--compare %s is about another model (%s): op %u is %s there, and %s in %s",
                            old->path, old->model, i, old->names[i], name, shk_model_name(model));
        g_free(name);
        if (code)
            return code;
    }
    if (count != old->op_count)
        return cli_fail(CLI_BAD_INPUT,
                        "--compare %s is about another model (%s): it has %u ops, and %s has %u", old->path,
                        old->model, old->op_count, shk_model_name(model), count);
    return CLI_OK;
}

static double ratio(uint64_t old, uint64_t new)
{
    return old > 0 ? (double)new / old : 0;
}

static void cells(struct table *table, uint64_t old, uint64_t new)
{
    table_cell(table, "%.3f", old / 1e6);
    table_cell(table, "%.3f", new / 1e6);
    if (old > 0)
        table_cell(table, "%.3f", ratio(old, new));
    else
        table_cell(table, "%s", "");
}

static uint64_t new_stage(const struct bench *bench, int stage)
{
    return cli_percentile(bench->stages[stage], bench->frames, 50);
}

void bench_old_print(const struct bench *bench)
{
    const struct bench_old *old = bench->old;
    struct shk_device_info device;
    shk_device_get_info(bench->cli.device, &device);
    printf("\ncompared with %s, medians; a ratio below 1 is faster now\n", old->path);
    if (strcmp(device.name, old->device) != 0)
        printf("another device: %s then, %s now\n", old->device, device.name);
    struct table *table = table_new(">op|name|kernel|>old ms|>new ms|>ratio");
    for (guint i = 0; i < old->op_count; i++) {
        struct shk_op_info op;
        shk_model_get_op(bench->cli.model, i, &op);
        table_cell(table, "%u", i);
        table_cell(table, "%s", op.name);
        table_cell(table, "%s", op.kernel);
        cells(table, old->op_ns[i], bench->ops[i].ns);
    }
    table_cell(table, "%s", "");
    table_cell(table, "total");
    table_cell(table, "%s", "");
    cells(table, old->total_ns, bench->op_total.ns);
    table_finish(table);
    printf("\n");
    table = table_new("stage|>old ms|>new ms|>ratio");
    for (int stage = 0; stage < SHK_STAGE_COUNT; stage++) {
        table_cell(table, "%s", shk_stage_string(stage));
        cells(table, old->stages[stage], new_stage(bench, stage));
    }
    table_cell(table, "load to first result");
    cells(table, old->to_first_ns, bench->to_first_ns);
    table_finish(table);
}

static void json_pair(JsonBuilder *b, const char *name, uint64_t old, uint64_t new)
{
    json_open_object(b, name);
    json_integer(b, "old_ns", old);
    json_integer(b, "new_ns", new);
    if (old > 0)
        json_number(b, "ratio", ratio(old, new));
    json_builder_end_object(b);
}

void bench_old_json(JsonBuilder *b, const struct bench *bench)
{
    const struct bench_old *old = bench->old;
    json_open_object(b, "compared");
    json_string(b, "file", old->path);
    json_string(b, "model", old->model);
    json_string(b, "device", old->device);
    json_open_array(b, "ops");
    for (guint i = 0; i < old->op_count; i++)
        json_pair(b, NULL, old->op_ns[i], bench->ops[i].ns);
    json_builder_end_array(b);
    json_pair(b, "total", old->total_ns, bench->op_total.ns);
    for (int stage = 0; stage < SHK_STAGE_COUNT; stage++) {
        char name[32];
        g_snprintf(name, sizeof(name), "stage_%s", shk_stage_string(stage));
        json_pair(b, name, old->stages[stage], new_stage(bench, stage));
    }
    json_pair(b, "load_to_first_result", old->to_first_ns, bench->to_first_ns);
    json_builder_end_object(b);
}
