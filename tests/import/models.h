/* Models for the import suites, made with the public builder, and graphs compared.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_IMPORT_MODELS_H
#define TEST_IMPORT_MODELS_H

#include <shrike/builder.h>

#include "graph.h"
#include "support.h"

/* A small model with every kind of thing a file has: constants, quantization per tensor and per channel, integer,
 * enumeration, list, float and custom options. `dtype` is INT8 or UINT8. Malloc'd. */
uint8_t *sample_model(enum shk_dtype dtype, size_t *size);

/* NULL if the graphs are equal but for their names; else what differs first, in a static buffer. */
const char *graph_difference(const struct shk_graph *a, const struct shk_graph *b);

#endif
