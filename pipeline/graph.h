/* The graph IR: tensors and ops in execution order. Built by the importer or the builder, read by everything.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Legacy uint8: a tensor that the file stores as UINT8 is INT8 here, with 128 subtracted from its values and
 * zero points (NUMERICS: the mapping keeps every result). `legacy_uint8` remembers it for the ops whose
 * arithmetic differs and for the edges of the model, where the file's type and values come back. */
#ifndef SHK_GRAPH_H
#define SHK_GRAPH_H

#include <shrike/model.h>

#include "util.h"

struct shk_op_def;
struct shk_op_spelling;

struct shk_shape {
    uint32_t rank; /* 0: a scalar */
    int32_t dims[SHK_MAX_RANK];
};

struct shk_quant {
    uint32_t count; /* 0: not quantized; 1: per tensor; else the size of dimension `axis` */
    uint32_t axis;
    float *scales;
    int32_t *zero_points;      /* of the values as stored here */
    int32_t *file_zero_points; /* as the file has them */
};

struct shk_tensor {
    const char *name;
    enum shk_dtype dtype; /* never SHK_DTYPE_UINT8 */
    bool legacy_uint8;
    struct shk_shape shape;
    struct shk_quant quant;
    size_t bytes;        /* dense */
    const uint8_t *data; /* constants: dense, aligned to 16, legacy_uint8 already mapped; else NULL */
};

struct shk_op {
    const struct shk_op_def *def;
    const struct shk_op_spelling *spelling;
    void *attrs; /* the def's own struct */
    uint32_t *inputs; /* SHK_TENSOR_NONE for an absent optional one */
    uint32_t *outputs;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t file_index;
    bool dense_output; /* fused (fuse.h): the planner leaves no gaps between the rows of output 0 */
};

struct shk_graph {
    char *name; /* for messages */
    struct shk_tensor *tensors;
    struct shk_op *ops;
    uint32_t *inputs;
    uint32_t *outputs;
    uint32_t tensor_count, op_count, input_count, output_count;
    uint32_t tensor_capacity, op_capacity;
    void *memory; /* everything above and below lives in chunks that go with the graph */
};

struct shk_graph *shk_graph_create(const char *name);
void shk_graph_destroy(struct shk_graph **graph);

/* Zeroed, aligned to 16, freed with the graph. NULL when out of memory. */
void *shk_graph_alloc(struct shk_graph *graph, size_t bytes);
/* Takes room for so many bytes at once, which are expected to be needed. A hint: failure shows in shk_graph_alloc(). */
void shk_graph_expect(struct shk_graph *graph, size_t bytes);
/* A NUL-terminated copy of `length` bytes. */
char *shk_graph_strndup(struct shk_graph *graph, const char *text, size_t length);

/* A new tensor from the file's point of view: dtype and zero points as in the file. `data` is copied (and
 * mapped if UINT8). *index is the new tensor's. Errors: SHK_ERROR_BAD_MODEL (rank, dimensions below 1 or a size that
 * overflows, `data_bytes` not the dense size, quantization that does not fit the shape, scale not finite and
 * positive (a constant's channel may have 0), zero point outside the type), out of memory. */
struct shk_tensor_desc {
    const char *name;
    enum shk_dtype dtype;
    struct shk_shape shape;
    uint32_t quant_count, quant_axis;
    const float *scales;
    const int32_t *zero_points; /* NULL: all 0 */
    const void *data;           /* NULL: an activation */
    size_t data_bytes;
};
enum shk_status shk_graph_add_tensor(struct shk_graph *graph, const struct shk_tensor_desc *desc, uint32_t *index,
                                     struct shk_error *error);

/* Changes the shape of an activation. Errors as above, and SHK_ERROR_BAD_MODEL for a constant. */
enum shk_status shk_graph_set_shape(struct shk_graph *graph, uint32_t tensor, const struct shk_shape *shape,
                                    struct shk_error *error);

/* A new op with default attributes (in *op, to be filled in by the caller through the spelling's table).
 * Indices are checked against the tensors there are. */
enum shk_status shk_graph_add_op(struct shk_graph *graph, const struct shk_op_spelling *spelling,
                                 const uint32_t *inputs, uint32_t input_count, const uint32_t *outputs,
                                 uint32_t output_count, struct shk_op **op, struct shk_error *error);

/* At least one each. */
enum shk_status shk_graph_set_inputs(struct shk_graph *graph, const uint32_t *tensors, uint32_t count,
                                     struct shk_error *error);
enum shk_status shk_graph_set_outputs(struct shk_graph *graph, const uint32_t *tensors, uint32_t count,
                                      struct shk_error *error);
enum shk_status shk_graph_set_io(struct shk_graph *graph, const uint32_t *inputs, uint32_t input_count,
                                 const uint32_t *outputs, uint32_t output_count, struct shk_error *error);

/* The checks that need the whole graph: every activation is a graph input or written once, before it is read;
 * no constant is written; every op's own check() passes. Call once, after the last change. */
enum shk_status shk_graph_check(struct shk_graph *graph, struct shk_error *error);

/* A model that owns the graph (also on failure: *graph is NULL afterwards). */
enum shk_status shk_model_from_graph(struct shk_graph **graph, struct shk_model **model, struct shk_error *error);
const struct shk_graph *shk_model_graph(const struct shk_model *model);

size_t shk_shape_elements(const struct shk_shape *shape);
bool shk_shape_equal(const struct shk_shape *a, const struct shk_shape *b);
/* "1x19x19x273" into `text`, which is returned. */
const char *shk_shape_string(const struct shk_shape *shape, char text[64]);
/* Dimension i of the shape seen as NHWC: leading ones are added up to rank 4. Rank must be <= 4. */
int32_t shk_shape_nhwc(const struct shk_shape *shape, uint32_t i);

static inline const struct shk_tensor *shk_op_input(const struct shk_graph *graph, const struct shk_op *op,
                                                    uint32_t i)
{
    if (i >= op->input_count || op->inputs[i] == SHK_TENSOR_NONE)
        return NULL;
    return &graph->tensors[op->inputs[i]];
}

static inline const struct shk_tensor *shk_op_output(const struct shk_graph *graph, const struct shk_op *op,
                                                     uint32_t i)
{
    return &graph->tensors[op->outputs[i]];
}

#endif
