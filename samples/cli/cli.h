/* What the subcommands of `shrike` share: options, messages, exit codes, model and device.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CLI_H
#define CLI_H

#include <glib.h>
#include <shrike/shrike.h>

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,     /* a file cannot be read or written, out of memory, driver failure */
    CLI_USAGE = 2,      /* unknown option, missing or extra argument */
    CLI_BAD_INPUT = 3,  /* the model, label file, picture or tensor is corrupt or not supported */
    CLI_NO_DEVICE = 4,  /* no Vulkan device, or none that --device matches */
    CLI_DIFFERENT = 5,  /* verify: the device and the reference disagree */
};

struct cli {
    /* options that every subcommand has */
    char *device_name;
    char *cache_dir;
    gboolean validation;
    gboolean verbose;
    uint32_t no_fusion; /* bits of enum shk_fusion; CLI_NO_FUSION */
    char **args; /* what is left of the command line, NULL-terminated */

    struct shk_device *device;
    struct shk_model *model;
    struct shk_labels *labels;
};

/* One subcommand's --help: `usage` follows "shrike <name>", the texts frame the list of options. */
struct cli_help {
    const char *name;
    const char *usage;
    const char *summary;
    const char *description;
};

/* What ends every --help. */
#define CLI_HELP_EXIT                                                                                            \
    "Exit status:\n"                                                                                             \
    "  0  success\n"                                                                                             \
    "  1  a file cannot be read or written, out of memory, a driver failed\n"                                    \
    "  2  wrong usage\n"                                                                                         \
    "  3  a model, label file, picture or tensor is corrupt or not supported\n"                                  \
    "  4  no Vulkan device, or none that --device matches\n"                                                     \
    "  5  (verify) the device and the reference disagree\n"
/* The same for a subcommand with a MODEL argument. */
#define CLI_HELP_TAIL                                                                                            \
    "MODEL is a .tflite file, or the word default for the small detector that is built in.\n\n" CLI_HELP_EXIT

int cmd_inspect(char **argv);
int cmd_run(char **argv);
int cmd_bench(char **argv);
int cmd_devices(char **argv);
int cmd_tune(char **argv);
int cmd_verify(char **argv);

/* Prints "shrike: ..." and a newline on stderr and returns `code`. */
int cli_fail(int code, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The same for a failed library call; the exit code follows from the status. */
int cli_fail_status(const struct shk_error *error);
/* Prints the message, frees the error, returns `code`. */
int cli_fail_gerror(int code, GError *error);

/* The option --no-fusion[=LIST], for the entries of a subcommand. */
#define CLI_NO_FUSION                                                                                                  \
    {                                                                                                                  \
        "no-fusion", 0, 0, G_OPTION_ARG_CALLBACK, cli_parse_no_fusion,                                                 \
            "Give ops dispatches of their own that others could do: all, or those of a list "                          \
            "(pad,add,table,reshape,input,pair,inverted,heads,parts)",                                                 \
            "LIST"                                                                                                     \
    }
gboolean cli_parse_no_fusion(const char *option, const char *list, gpointer data, GError **error);

/* Parses argv (argv[0] is the subcommand) with `entries` and the options of every subcommand. `min` and `max`
 * bound the number of arguments that remain. */
int cli_parse(struct cli *cli, char **argv, const struct cli_help *help, const GOptionEntry *entries, guint min,
              guint max);

/* `name` is a path or "default". */
int cli_open_model(struct cli *cli, const char *name);
/* Opens the device that --device names. With reference, does nothing: cli->device stays NULL. */
int cli_open_device(struct cli *cli, bool reference);
/* `path` NULL: the default model's own labels, or none. */
int cli_open_labels(struct cli *cli, const char *path);
/* "dog", or "class 17" in `buffer` where there is no label. */
const char *cli_label(const struct cli *cli, uint32_t class_id, char buffer[32]);
/* Releases everything. Turns `code` into CLI_FAILED if the validation layer had anything to say. */
int cli_close(struct cli *cli, int code);
/* To pass on to the library: warnings always, the rest with --verbose. */
struct shk_log cli_log(const struct cli *cli);
/* The defaults, with the log and the cache folder that the options ask for. */
struct shk_session_params cli_session_params(const struct cli *cli);

/* What is fused into what (shk_model_get_fusion), to be freed with g_free(). */
int cli_fusion(const struct cli *cli, uint32_t **into);

/* "in op 12", "in preprocess", or nothing. In JSON it is the member fused_into, -1 for preprocess. */
struct table;
void cli_fused_cell(struct table *table, uint32_t into, uint32_t op);

/* Refuses a file that cannot be written, with a message that names the option, before anything is measured. `path`
 * NULL is fine. */
int cli_check_output(const char *option, const char *path);

/* Reads one file per model input and checks the sizes. Free with g_ptr_array_unref(). */
int cli_read_inputs(const struct cli *cli, char **paths, GPtrArray **inputs);

/* "1x300x300x3" */
char *cli_shape(const struct shk_tensor_info *tensor);
/* "uint8 1x300x300x3" */
char *cli_tensor(const struct shk_tensor_info *tensor);
/* Nearest-rank percentile of a sorted array, 0 if it is empty. */
uint64_t cli_percentile(const uint64_t *sorted, size_t count, unsigned percent);
void cli_sort(uint64_t *values, size_t count);

#endif
