/* Models for the import suites, made with the public builder, and graphs compared.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_IMPORT_MODELS_H
#define TEST_IMPORT_MODELS_H

#include <shrike/builder.h>

#include "graph.h"
#include "support.h"

/* Small models with every kind of thing a file has. Malloc'd. Works outside of Check's tests too. */
enum sample {
    SAMPLE_INT8,  /* constants, quantization per tensor and per channel, integers, enumerations, lists, floats
                   */
    SAMPLE_UINT8, /* the same in legacy uint8 */
    SAMPLE_SSD,   /* a custom op, outputs without shapes */
    SAMPLE_EVERY_OP,
    SAMPLE_COUNT,
};
uint8_t *sample_model(enum sample sample, size_t *size);

/* NULL if the graphs are equal but for their names; else what differs first, in a static buffer. */
const char *graph_difference(const struct shk_graph *a, const struct shk_graph *b);

#endif
