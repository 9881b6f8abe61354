/* A graph as the bytes of a .tflite file, which shk_model_load_memory() and TensorFlow Lite read back.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_EXPORT_TFLITE_H
#define SHK_EXPORT_TFLITE_H

#include "graph.h"

/* The graph must have inputs and outputs. *data is malloc'd. Errors: SHK_ERROR_OUT_OF_HOST_MEMORY,
 * SHK_ERROR_UNSUPPORTED (more than 1 GiB). */
enum shk_status shk_export_tflite(const struct shk_graph *graph, void **data, size_t *size,
                                  struct shk_error *error);

#endif
