/* shrike: the command-line tool. One file per subcommand; only the public headers of libshrike are used.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct {
    const char *name;
    int (*run)(char **argv);
    const char *brief;
} commands[] = {
    {"inspect", cmd_inspect, "layers, shapes, quantization, arithmetic and memory of a model"},
    {"run", cmd_run, "run a model on a picture or on raw tensors"},
    {"bench", cmd_bench, "how long loading, the first frame, the steady state and every op take"},
    {"devices", cmd_devices, "list the Vulkan devices"},
    {"tune", cmd_tune, "measure which kernels are fastest here, and remember it"},
    {"verify", cmd_verify, "compare a device with the CPU reference, layer by layer"},
};

static void print_usage(FILE *out)
{
    fprintf(out, "Usage: shrike COMMAND [OPTION...] [ARGUMENT...]\n\n"
                 "Int8 object detectors on Vulkan compute.\n\nCommands:\n");
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].brief);
    fprintf(out, "\nshrike COMMAND --help describes a command; shrike --version prints the version.\n"
                 "\nExample:\n  shrike run default picture.png --annotate boxes.png\n");
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("shrike %s\n", SHRIKE_VERSION);
        return CLI_OK;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argv + 1);
    return cli_fail(CLI_USAGE, "there is no command '%s'; shrike --help lists them", argv[1]);
}
