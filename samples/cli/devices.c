/* shrike devices: the Vulkan devices that Shrike can use.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "cli.h"
#include "json.h"
#include "table.h"

static const struct cli_help help = {
    .name = "devices",
    .usage = "",
    .summary = "Lists the Vulkan devices that Shrike can use. The one marked * is what is used when --device is\n"
               "not given (discrete before integrated before virtual before CPU), or what --device selects.",
    .description = "Fast paths are used where the device has them; every model gives the same bytes without them.\n\n"
                   CLI_HELP_EXIT,
};

static void uuid_text(const uint8_t uuid[16], char text[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", uuid[i]);
}

static char *version_text(uint32_t version)
{
    return g_strdup_printf("%u.%u.%u", VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version),
                           VK_API_VERSION_PATCH(version));
}

static char *fast_paths(const struct shk_device_info *info)
{
    GString *text = g_string_new(NULL);
    const struct {
        bool there;
        const char *name;
    } paths[] = {
        {info->integer_dot_product, "integer-dot"}, {info->cooperative_matrix, "coop-matrix"},
        {info->external_memory_host, "host-import"}, {info->dma_buf, "dma-buf"},
        {info->timestamps, "timestamps"},           {info->calibrated_timestamps, "calibrated"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
        if (paths[i].there)
            g_string_append_printf(text, "%s%s", text->len ? " " : "", paths[i].name);
    return g_string_free(text, FALSE);
}

static void print_table(const struct shk_device_info *infos, uint32_t count, uint32_t chosen)
{
    struct table *table = table_new(" |>index|name|type|>memory MiB|Vulkan|driver|fast paths|UUID");
    for (uint32_t i = 0; i < count; i++) {
        char uuid[33];
        uuid_text(infos[i].uuid, uuid);
        table_cell(table, "%s", infos[i].index == chosen ? "*" : "");
        table_cell(table, "%u", infos[i].index);
        table_cell(table, "%s", infos[i].name);
        table_cell(table, "%s", shk_device_type_string(infos[i].type));
        table_cell(table, "%" G_GUINT64_FORMAT, infos[i].memory_bytes >> 20);
        table_take(table, version_text(infos[i].api_version));
        table_cell(table, "%s", infos[i].driver);
        table_take(table, fast_paths(&infos[i]));
        table_cell(table, "%s", uuid);
    }
    table_finish(table);
}

static void print_json(const struct shk_device_info *infos, uint32_t count, uint32_t chosen)
{
    JsonBuilder *b = json_builder_new();
    json_open_array(b, NULL);
    for (uint32_t i = 0; i < count; i++) {
        char uuid[33], *version = version_text(infos[i].api_version);
        uuid_text(infos[i].uuid, uuid);
        json_open_object(b, NULL);
        json_integer(b, "index", infos[i].index);
        json_bool(b, "chosen", infos[i].index == chosen);
        json_string(b, "name", infos[i].name);
        json_string(b, "type", shk_device_type_string(infos[i].type));
        json_string(b, "driver", infos[i].driver);
        json_string(b, "uuid", uuid);
        json_string(b, "api_version", version);
        json_integer(b, "memory_bytes", infos[i].memory_bytes);
        json_bool(b, "integer_dot_product", infos[i].integer_dot_product);
        json_bool(b, "cooperative_matrix", infos[i].cooperative_matrix);
        json_bool(b, "external_memory_host", infos[i].external_memory_host);
        json_bool(b, "dma_buf", infos[i].dma_buf);
        json_bool(b, "timestamps", infos[i].timestamps);
        json_bool(b, "calibrated_timestamps", infos[i].calibrated_timestamps);
        json_builder_end_object(b);
        g_free(version);
    }
    json_builder_end_array(b);
    json_finish(b);
}

int cmd_devices(char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON instead of a table", NULL},
        {NULL},
    };
    struct cli cli = {0};
    struct shk_device_info infos[32], chosen;
    uint32_t count = G_N_ELEMENTS(infos);
    struct shk_error error;
    int code = cli_parse(&cli, argv, &help, entries, 0, 0);
    if (!code && shk_device_list(infos, &count, &error))
        code = cli_fail_status(&error);
    if (!code)
        code = cli_open_device(&cli, false);
    if (!code) {
        count = MIN(count, G_N_ELEMENTS(infos));
        shk_device_get_info(cli.device, &chosen);
        (json ? print_json : print_table)(infos, count, chosen.index);
    }
    return cli_close(&cli, code);
}
