/* Inside the TFLite importer. A file's ops and attributes are found through the tables of op.h: nothing here
 * knows one op from another. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_IMPORT_H
#define SHK_IMPORT_H

#include "flatbuffer.h"
#include "graph.h"

struct shk_import {
    struct shk_fb fb;
    struct shk_graph *graph;
    struct shk_error *error;
    struct shk_fb_vector codes, buffers;
    /* A file may name the same bytes any number of times; what is copied out of it stays in proportion. */
    size_t budget;
    /* One tensor's quantization, or one op's tensors. */
    void *scratch;
    size_t scratch_size;
};

/* shk_fail() with the model's name in front. */
#define shk_import_fail(import, status, format, ...)                                                         \
    shk_fail((import)->error, status, "%s: " format, (import)->graph->name, __VA_ARGS__)

/* SHK_OK if all that was read so far lay where it should. */
enum shk_status shk_import_intact(const struct shk_import *im);
/* Takes `bytes` off the budget. */
enum shk_status shk_import_charge(struct shk_import *im, size_t bytes);
/* Makes `scratch` at least this large, within the budget. */
enum shk_status shk_import_scratch(struct shk_import *im, size_t bytes);
/* A string of the file in `text`: one line of UTF-8, cut at `size`. */
void shk_import_string(const struct shk_fb_vector *string, char *text, size_t size);
/* A vector of int32 as tensor indices; -1 becomes SHK_TENSOR_NONE. */
void shk_import_indices(const struct shk_fb_vector *vector, uint32_t *indices);

enum shk_status shk_import_tensors(struct shk_import *im, const struct shk_fb_table *subgraph);
/* After the tensors. */
enum shk_status shk_import_ops(struct shk_import *im, const struct shk_fb_table *subgraph);

#endif
