/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"

/* Chunks in a list, newest first: a graph is built once and freed whole. */
struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
};
#define CHUNK_SIZE ((size_t)64 << 10)

static bool add_chunk(struct shk_graph *graph, size_t capacity)
{
    size_t total;
    struct chunk *chunk = NULL;
    if (shk_add_size(capacity, sizeof(*chunk), &total))
        chunk = shk_alloc_large(total);
    if (!chunk)
        return false;
    *chunk = (struct chunk){.size = capacity, .next = graph->memory};
    graph->memory = chunk;
    return true;
}

struct shk_graph *shk_graph_create(const char *name)
{
    struct shk_graph *graph = calloc(1, sizeof(*graph));
    if (!graph)
        return NULL;
    graph->name = shk_graph_strndup(graph, name, strlen(name));
    if (!graph->name)
        shk_graph_destroy(&graph);
    return graph;
}

void shk_graph_destroy(struct shk_graph **graph)
{
    if (!graph || !*graph)
        return;
    struct chunk *chunk = (*graph)->memory;
    while (chunk) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free((*graph)->tensors);
    free((*graph)->ops);
    free(*graph);
    *graph = NULL;
}

void *shk_graph_alloc(struct shk_graph *graph, size_t bytes)
{
    struct chunk *chunk = graph->memory;
    size_t size;
    if (!shk_add_size(bytes, 15, &size))
        return NULL;
    size &= ~(size_t)15;
    if (!chunk || size > chunk->size - chunk->used) {
        if (!add_chunk(graph, SHK_MAX(size, CHUNK_SIZE)))
            return NULL;
        chunk = graph->memory;
    }
    void *p = chunk->bytes + chunk->used;
    chunk->used += size;
    return memset(p, 0, size);
}

void shk_graph_expect(struct shk_graph *graph, size_t bytes)
{
    if (bytes > CHUNK_SIZE)
        (void)add_chunk(graph, bytes); /* else piece by piece */
}

char *shk_graph_strndup(struct shk_graph *graph, const char *text, size_t length)
{
    char *copy = shk_graph_alloc(graph, length + 1);
    if (copy)
        memcpy(copy, text, length);
    return copy;
}

/* Makes room for one more element in a doubling array. */
static void *grow(void *array, uint32_t count, uint32_t *capacity, size_t element)
{
    if (count < *capacity)
        return array;
    uint32_t larger = *capacity ? *capacity * 2 : 64;
    void *moved = realloc(array, larger * element);
    if (moved)
        *capacity = larger;
    return moved;
}

size_t shk_shape_elements(const struct shk_shape *shape)
{
    size_t n = 1;
    for (uint32_t i = 0; i < shape->rank; i++)
        n *= (size_t)shape->dims[i];
    return n;
}

bool shk_shape_equal(const struct shk_shape *a, const struct shk_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (uint32_t i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

const char *shk_shape_string(const struct shk_shape *shape, char text[64])
{
    size_t at = 0;
    strcpy(text, "scalar");
    for (uint32_t i = 0; i < shape->rank && at < 64; i++)
        at += (size_t)snprintf(text + at, 64 - at, i ? "x%d" : "%d", shape->dims[i]);
    return text;
}

int32_t shk_shape_nhwc(const struct shk_shape *shape, uint32_t i)
{
    uint32_t leading = 4 - shape->rank;
    return i < leading ? 1 : shape->dims[i - leading];
}

/* Dense bytes of the shape, or false with no sensible answer: rank, dimension or size out of bounds. The limit
 * keeps every element index, and every byte offset in a padded layout, inside int32. */
static bool dense_bytes(enum shk_dtype dtype, const struct shk_shape *shape, size_t *bytes)
{
    size_t n = shk_dtype_size(dtype);
    if (shape->rank > SHK_MAX_RANK)
        return false;
    for (uint32_t i = 0; i < shape->rank; i++)
        if (shape->dims[i] < 1 || !shk_mul_size(n, (size_t)shape->dims[i], &n) || n > INT32_MAX / 4)
            return false;
    *bytes = n;
    return true;
}

static enum shk_status fail_shape(const struct shk_graph *graph, const char *name, uint32_t rank,
                                  struct shk_error *error)
{
    return shk_fail(error, SHK_ERROR_BAD_MODEL,
                    "%s: tensor '%s': rank %u or a dimension is out of range (at most %d dimensions, each "
                    "at least 1, below 512 MiB together)",
                    graph->name, name, rank, SHK_MAX_RANK);
}

static enum shk_status check_quant(const struct shk_graph *graph, const struct shk_tensor_desc *desc,
                                   struct shk_error *error)
{
    uint32_t n = desc->quant_count;
    if (n == 0)
        return SHK_OK;
    if (n > 1 && (desc->quant_axis >= desc->shape.rank || desc->shape.dims[desc->quant_axis] != (int64_t)n))
        return shk_fail(error, SHK_ERROR_BAD_MODEL,
                        "%s: tensor '%s': %u quantization scales do not match dimension %u of its shape",
                        graph->name, desc->name, n, desc->quant_axis);
    /* Channels that pruning has emptied may have a scale of 0, their biases too. */
    bool eight_bit = desc->dtype == SHK_DTYPE_INT8 || desc->dtype == SHK_DTYPE_UINT8;
    bool may_be_zero = desc->data && (n > 1 || !eight_bit);
    for (uint32_t i = 0; i < n; i++) {
        int32_t zp = desc->zero_points ? desc->zero_points[i] : 0;
        bool fits = desc->dtype == SHK_DTYPE_UINT8  ? zp >= 0 && zp <= 255
                    : desc->dtype == SHK_DTYPE_INT8 ? zp >= -128 && zp <= 127
                                                    : true;
        if (!isfinite(desc->scales[i]) || !(may_be_zero ? desc->scales[i] >= 0.0f : desc->scales[i] > 0.0f))
            return shk_fail(error, SHK_ERROR_BAD_MODEL,
                            "%s: tensor '%s': quantization scale %u is %g, expected a finite value above 0",
                            graph->name, desc->name, i, (double)desc->scales[i]);
        if (!fits)
            return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: tensor '%s': zero point %d does not fit %s",
                            graph->name, desc->name, zp, shk_dtype_string(desc->dtype));
    }
    return SHK_OK;
}

static bool copy_quant(struct shk_graph *graph, const struct shk_tensor_desc *desc, struct shk_quant *quant)
{
    size_t n = desc->quant_count;
    if (n == 0)
        return true;
    quant->count = desc->quant_count;
    quant->axis = desc->quant_axis;
    quant->scales = shk_graph_alloc(graph, n * sizeof(float));
    quant->zero_points = shk_graph_alloc(graph, n * sizeof(int32_t));
    quant->file_zero_points = shk_graph_alloc(graph, n * sizeof(int32_t));
    if (!quant->scales || !quant->zero_points || !quant->file_zero_points)
        return false;
    memcpy(quant->scales, desc->scales, n * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        quant->file_zero_points[i] = desc->zero_points ? desc->zero_points[i] : 0;
        quant->zero_points[i] = quant->file_zero_points[i] - (desc->dtype == SHK_DTYPE_UINT8 ? 128 : 0);
    }
    return true;
}

static bool copy_data(struct shk_graph *graph, const struct shk_tensor_desc *desc, struct shk_tensor *tensor)
{
    if (!desc->data)
        return true;
    uint8_t *data = shk_graph_alloc(graph, tensor->bytes);
    if (!data)
        return false;
    memcpy(data, desc->data, tensor->bytes);
    if (tensor->legacy_uint8)
        for (size_t i = 0; i < tensor->bytes; i++)
            data[i] ^= 0x80;
    tensor->data = data;
    return true;
}

enum shk_status shk_graph_add_tensor(struct shk_graph *graph, const struct shk_tensor_desc *desc, uint32_t *index,
                                     struct shk_error *error)
{
    struct shk_tensor tensor = {.shape = desc->shape};
    if (!dense_bytes(desc->dtype, &desc->shape, &tensor.bytes))
        return fail_shape(graph, desc->name, desc->shape.rank, error);
    if (desc->data && desc->data_bytes != tensor.bytes)
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: tensor '%s': %zu bytes of data, its shape needs %zu",
                        graph->name, desc->name, desc->data_bytes, tensor.bytes);
    enum shk_status status = check_quant(graph, desc, error);
    if (status)
        return status;

    tensor.legacy_uint8 = desc->dtype == SHK_DTYPE_UINT8;
    tensor.dtype = tensor.legacy_uint8 ? SHK_DTYPE_INT8 : desc->dtype;
    tensor.name = shk_graph_strndup(graph, desc->name, strlen(desc->name));
    struct shk_tensor *tensors =
        grow(graph->tensors, graph->tensor_count, &graph->tensor_capacity, sizeof(*graph->tensors));
    if (tensors)
        graph->tensors = tensors;
    if (!tensors || !tensor.name || !copy_quant(graph, desc, &tensor.quant) || !copy_data(graph, desc, &tensor))
        return shk_fail_oom(error, tensor.bytes, desc->name);
    graph->tensors[graph->tensor_count] = tensor;
    *index = graph->tensor_count++;
    return SHK_OK;
}

enum shk_status shk_graph_set_shape(struct shk_graph *graph, uint32_t tensor, const struct shk_shape *shape,
                                    struct shk_error *error)
{
    struct shk_tensor *t = &graph->tensors[tensor];
    if (t->data || t->quant.count > 1)
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: tensor '%s' cannot be an op's output", graph->name, t->name);
    if (!dense_bytes(t->dtype, shape, &t->bytes))
        return fail_shape(graph, t->name, shape->rank, error);
    t->shape = *shape;
    return SHK_OK;
}

static bool indices_fit(const struct shk_graph *graph, const uint32_t *indices, uint32_t count, bool optional)
{
    for (uint32_t i = 0; i < count; i++)
        if (indices[i] >= graph->tensor_count && !(optional && indices[i] == SHK_TENSOR_NONE))
            return false;
    return true;
}

static uint32_t *copy_indices(struct shk_graph *graph, const uint32_t *indices, uint32_t count)
{
    uint32_t *copy = shk_graph_alloc(graph, SHK_MAX(count, 1u) * sizeof(*copy));
    if (copy && count)
        memcpy(copy, indices, count * sizeof(*copy));
    return copy;
}

enum shk_status shk_graph_add_op(struct shk_graph *graph, const struct shk_op_spelling *spelling,
                                 const uint32_t *inputs, uint32_t input_count, const uint32_t *outputs,
                                 uint32_t output_count, struct shk_op **op, struct shk_error *error)
{
    if (!indices_fit(graph, inputs, input_count, true) || !indices_fit(graph, outputs, output_count, false))
        return shk_fail(error, SHK_ERROR_BAD_MODEL,
                        "%s: op %u %s: an input or output is not one of the model's %u tensors", graph->name,
                        graph->op_count, spelling->name, graph->tensor_count);
    struct shk_op *ops = grow(graph->ops, graph->op_count, &graph->op_capacity, sizeof(*graph->ops));
    if (ops)
        graph->ops = ops;
    struct shk_op new_op = {
        .def = spelling->def,
        .spelling = spelling,
        .attrs = shk_graph_alloc(graph, SHK_MAX(spelling->def->attrs_size, (size_t)1)),
        .inputs = copy_indices(graph, inputs, input_count),
        .outputs = copy_indices(graph, outputs, output_count),
        .input_count = input_count,
        .output_count = output_count,
        .file_index = graph->op_count,
    };
    if (!ops || !new_op.attrs || !new_op.inputs || !new_op.outputs)
        return shk_fail_oom(error, sizeof(new_op), spelling->name);
    shk_op_default_attrs(spelling, new_op.attrs);
    graph->ops[graph->op_count] = new_op;
    *op = &graph->ops[graph->op_count++];
    return SHK_OK;
}

static enum shk_status set_edge(struct shk_graph *graph, const char *what, const uint32_t *tensors, uint32_t count,
                                uint32_t **copy, uint32_t *copy_count, struct shk_error *error)
{
    if (count == 0 || !indices_fit(graph, tensors, count, false))
        return shk_fail(error, SHK_ERROR_BAD_MODEL,
                        "%s: the model has %u %s, or one that is not among its %u tensors", graph->name, count,
                        what, graph->tensor_count);
    *copy = copy_indices(graph, tensors, count);
    if (!*copy)
        return shk_fail_oom(error, sizeof(uint32_t) * count, what);
    *copy_count = count;
    return SHK_OK;
}

enum shk_status shk_graph_set_inputs(struct shk_graph *graph, const uint32_t *tensors, uint32_t count,
                                     struct shk_error *error)
{
    return set_edge(graph, "inputs", tensors, count, &graph->inputs, &graph->input_count, error);
}

enum shk_status shk_graph_set_outputs(struct shk_graph *graph, const uint32_t *tensors, uint32_t count,
                                      struct shk_error *error)
{
    return set_edge(graph, "outputs", tensors, count, &graph->outputs, &graph->output_count, error);
}

enum shk_status shk_graph_set_io(struct shk_graph *graph, const uint32_t *inputs, uint32_t input_count,
                                 const uint32_t *outputs, uint32_t output_count, struct shk_error *error)
{
    enum shk_status status = shk_graph_set_inputs(graph, inputs, input_count, error);
    return status ? status : shk_graph_set_outputs(graph, outputs, output_count, error);
}

static enum shk_status check_reads(const struct shk_graph *graph, const struct shk_op *op, const bool *written,
                                   struct shk_error *error)
{
    for (uint32_t i = 0; i < op->input_count; i++) {
        uint32_t t = op->inputs[i];
        if (t != SHK_TENSOR_NONE && !graph->tensors[t].data && !written[t])
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                               "input %u ('%s') is neither constant nor written by an earlier op", i,
                               graph->tensors[t].name);
    }
    return SHK_OK;
}

static enum shk_status check_writes(const struct shk_graph *graph, const struct shk_op *op, bool *written,
                                    struct shk_error *error)
{
    for (uint32_t i = 0; i < op->output_count; i++) {
        uint32_t t = op->outputs[i];
        if (graph->tensors[t].data || written[t])
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                               "output %u ('%s') is a constant, a model input or written twice", i,
                               graph->tensors[t].name);
        written[t] = true;
    }
    return SHK_OK;
}

enum shk_status shk_graph_check(struct shk_graph *graph, struct shk_error *error)
{
    enum shk_status status = SHK_OK;
    bool *written = calloc(SHK_MAX(graph->tensor_count, 1u), sizeof(*written));
    if (!written)
        return shk_fail_oom(error, graph->tensor_count, "graph check");
    for (uint32_t i = 0; i < graph->input_count && !status; i++) {
        uint32_t t = graph->inputs[i];
        if (graph->tensors[t].data || written[t])
            status = shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: model input %u ('%s') is a constant or named twice",
                              graph->name, i, graph->tensors[t].name);
        written[t] = true;
    }
    for (uint32_t i = 0; i < graph->op_count && !status; i++) {
        const struct shk_op *op = &graph->ops[i];
        status = check_reads(graph, op, written, error);
        if (!status)
            status = check_writes(graph, op, written, error);
        /* only now may an op change its outputs: nobody else has seen them */
        if (!status && op->def->infer)
            status = op->def->infer(graph, op, error);
        if (!status)
            status = op->def->check(graph, op, error);
    }
    for (uint32_t i = 0; i < graph->output_count && !status; i++)
        if (!written[graph->outputs[i]])
            status = shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: model output %u ('%s') is written by no op",
                              graph->name, i, graph->tensors[graph->outputs[i]].name);
    free(written);
    return status;
}
