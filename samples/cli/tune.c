/* shrike tune: which kernels are fastest for a model on a device.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "table.h"

static const struct cli_help help = {
    .name = "tune",
    .usage = "MODEL",
    .summary = "Measures, for every kind of layer of a model, the kernel variants that compute it on this device, and\n"
               "remembers the fastest ones in --cache-dir. Elements and commands that use the same folder take them\n"
               "from then on. Results are the same bytes as before.",
    .description =
        "A variant and the rule of thumb run in turns. It is chosen if it won three of four runs or more, and by\n"
        "3 % in the median and in the best run.\n"
        "Keep the machine idle meanwhile. Choices belong to the device, its driver's version and this version of\n"
        "shrike; after an update of either, tune again.\n\n" CLI_HELP_TAIL,
};

struct tune {
    struct cli cli;
    gboolean full, quiet;
};

#define BAR 30

static bool show_progress(void *user, uint32_t done, uint32_t total, const char *layer)
{
    static const char bar[BAR + 1] = "##############################";
    guint filled = total ? BAR * done / total : BAR;
    (void)user;
    fprintf(stderr, "\r[%-*.*s] %u of %u  %-40.40s", BAR, (int)filled, bar, done, total, layer);
    fflush(stderr);
    return true;
}

static void print_report(const struct shk_tune_report *report)
{
    struct table *table = table_new(">op|>times|layer|rule of thumb|>ms|fastest|>ms|>gain");
    double before = 0, after = 0;
    for (uint32_t i = 0; i < report->count; i++) {
        const struct shk_tune_layer *l = &report->layers[i];
        if (!l->rule_ns) /* not measured: given up on layers before it */
            continue;
        bool won = strcmp(l->rule, l->variant) != 0;
        table_cell(table, "%u", l->op);
        table_cell(table, "%u", l->count);
        table_take(table, table_printable(l->layer));
        table_cell(table, "%s", l->rule);
        table_cell(table, "%.3f", l->rule_ns / 1e6);
        table_cell(table, "%s", won ? l->variant : "");
        table_cell(table, "%.3f", l->ns / 1e6);
        table_cell(table, "%.0f %%", l->rule_ns ? 100.0 * (1.0 - (double)l->ns / (double)l->rule_ns) : 0.0);
        if (l->ops == 1) {
            before += (double)l->rule_ns * l->count;
            after += (double)l->ns * l->count;
        } else if (won) { /* whose ops are in the sum by themselves */
            after -= ((double)l->beaten_ns - (double)l->ns) * l->count;
        }
    }
    table_finish(table);
    printf("\nthese layers: %.2f ms by rule of thumb, %.2f ms as tuned\n", before / 1e6, after / 1e6);
}

static int run(struct tune *tune)
{
    struct shk_tune_params params = SHK_TUNE_PARAMS_DEFAULT;
    struct shk_tune_report report;
    struct shk_error error;
    bool bar = isatty(STDERR_FILENO) && !tune->quiet;
    params.mode = tune->full ? SHK_TUNE_FULL : SHK_TUNE_FAST;
    params.cache_dir = cli_session_params(&tune->cli).cache_dir;
    params.progress = bar ? show_progress : NULL;
    params.log = cli_log(&tune->cli);
    gint64 start = g_get_monotonic_time();
    enum shk_status status = shk_tune(tune->cli.device, tune->cli.model, &params, &report, &error);
    if (bar)
        fprintf(stderr, "\r%79s\r", "");
    if (status)
        return cli_fail_status(&error);
    print_report(&report);
    printf("%.1f s; %s%s\n", (g_get_monotonic_time() - start) / 1e6,
           params.cache_dir ? "remembered in " : "not remembered: --cache-dir is ''",
           params.cache_dir ? params.cache_dir : "");
    shk_tune_report_free(&report);
    return CLI_OK;
}

int cmd_tune(char **argv)
{
    struct tune tune = {0};
    const GOptionEntry entries[] = {
        {"full", 'f', 0, G_OPTION_ARG_NONE, &tune.full,
         "Every variant, more runs, and layers that were tuned before, too", NULL},
        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &tune.quiet, "No progress bar", NULL},
        {NULL},
    };
    int code = cli_parse(&tune.cli, argv, &help, entries, 1, 1);
    if (!code)
        code = cli_open_device(&tune.cli, false);
    if (!code)
        code = cli_open_model(&tune.cli, tune.cli.args[0]);
    if (!code)
        code = run(&tune);
    return cli_close(&tune.cli, code);
}
