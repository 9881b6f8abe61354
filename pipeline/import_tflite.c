/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "flatbuffer.h"
#include "flexbuffer.h"
#include "graph.h"
#include "op.h"
#include "tflite_schema.h"
#include "utf8.h"

#define MAX_FILE_BYTES  ((size_t)1 << 30)
#define MAX_TENSORS     65536
#define MAX_OPS         65536
#define MAX_NAME_LENGTH 1024

struct import {
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

#define fail(import, status, format, ...)                                                                    \
    shk_fail((import)->error, status, "%s: " format, (import)->graph->name, __VA_ARGS__)

/* SHK_OK if all that was read so far lay where it should. */
static enum shk_status check_intact(const struct import *im)
{
    if (!im->fb.corrupt)
        return SHK_OK;
    return fail(im, SHK_ERROR_BAD_MODEL, "the file is corrupt: %s (byte %zu of %zu)", im->fb.corrupt,
                im->fb.corrupt_at, im->fb.size);
}

static enum shk_status charge(struct import *im, size_t bytes)
{
    if (bytes > im->budget)
        return fail(im, SHK_ERROR_BAD_MODEL,
                    "the file of %zu bytes is corrupt: it repeats its content too often", im->fb.size);
    im->budget -= bytes;
    return SHK_OK;
}

static enum shk_status reserve_scratch(struct import *im, size_t bytes)
{
    enum shk_status status = charge(im, bytes);
    if (status || bytes <= im->scratch_size)
        return status;
    void *moved = realloc(im->scratch, bytes);
    if (!moved)
        return shk_fail_oom(im->error, bytes, im->graph->name);
    im->scratch = moved;
    im->scratch_size = bytes;
    return SHK_OK;
}

/* A string of the file in `text`: one line of UTF-8, cut at `size`. */
static void read_string(const struct shk_fb_vector *string, char *text, size_t size)
{
    const char *bytes = string->count ? (const char *)string->fb->data + string->at : "";
    size_t to = 0;
    for (size_t at = 0; at < string->count;) {
        size_t length = shk_utf8_character(bytes + at, string->count - at);
        bool valid = length && shk_utf8_is_line(bytes + at, length);
        length = SHK_MAX(length, (size_t)1);
        if (to + length >= size)
            break;
        memcpy(text + to, valid ? bytes + at : "?", valid ? length : 1);
        to += valid ? length : 1;
        at += length;
    }
    text[to] = '\0';
}

/* ---- tensors ---- */

static bool read_dtype(int type, enum shk_dtype *dtype)
{
    switch (type) {
    case TFLITE_FLOAT32:
        *dtype = SHK_DTYPE_FLOAT32;
        return true;
    case TFLITE_INT32:
        *dtype = SHK_DTYPE_INT32;
        return true;
    case TFLITE_UINT8:
        *dtype = SHK_DTYPE_UINT8;
        return true;
    case TFLITE_INT64:
        *dtype = SHK_DTYPE_INT64;
        return true;
    case TFLITE_INT8:
        *dtype = SHK_DTYPE_INT8;
        return true;
    default:
        return false;
    }
}

static enum shk_status read_shape(struct import *im, const struct shk_fb_table *table,
                                  struct shk_tensor_desc *desc)
{
    struct shk_fb_vector shape = shk_fb_vector(table, TENSOR_SHAPE, 4);
    if (shape.count > SHK_MAX_RANK)
        return fail(im, SHK_ERROR_UNSUPPORTED, "tensor '%s' has %u dimensions, at most %d are supported",
                    desc->name, shape.count, SHK_MAX_RANK);
    desc->shape.rank = shape.count;
    for (uint32_t i = 0; i < shape.count; i++)
        desc->shape.dims[i] = (int32_t)shk_fb_vector_int(&shape, i, 4);
    /* an open batch dimension is one image at a time */
    if (shape.count > 1 && desc->shape.dims[0] == -1)
        desc->shape.dims[0] = 1;
    return SHK_OK;
}

/* The index for a per-channel quantization of `count`: the dimension that the file names, or else the only
 * one of that size (biases of converted models may carry the weights' dimension). */
static uint32_t find_axis(const struct shk_shape *shape, int64_t named, uint32_t count)
{
    uint32_t found = SHK_MAX_RANK, matches = 0;
    if (named >= 0 && named < shape->rank && shape->dims[named] == (int64_t)count)
        return (uint32_t)named;
    for (uint32_t i = 0; i < shape->rank; i++)
        if (shape->dims[i] == (int64_t)count) {
            found = i;
            matches++;
        }
    return matches == 1 ? found : SHK_MAX_RANK;
}

static enum shk_status read_quant(struct import *im, const struct shk_fb_table *table,
                                  struct shk_tensor_desc *desc)
{
    struct shk_fb_table quant = shk_fb_child(table, TENSOR_QUANTIZATION);
    struct shk_fb_vector scales = shk_fb_vector(&quant, QUANT_SCALE, 4);
    struct shk_fb_vector zero_points = shk_fb_vector(&quant, QUANT_ZERO_POINT, 8);
    uint32_t n = scales.count;
    if (shk_fb_int(&quant, QUANT_DETAILS_TYPE, 1, 0) != 0)
        return fail(im, SHK_ERROR_UNSUPPORTED, "tensor '%s' has a custom quantization", desc->name);
    if (n == 0)
        return SHK_OK;
    if (zero_points.count != 0 && zero_points.count != n)
        return fail(im, SHK_ERROR_BAD_MODEL, "tensor '%s' has %u quantization scales and %u zero points",
                    desc->name, n, zero_points.count);
    enum shk_status status = reserve_scratch(im, (size_t)n * (sizeof(float) + sizeof(int32_t)));
    if (status)
        return status;

    float *scale = im->scratch;
    int32_t *zero_point = (int32_t *)(void *)(scale + n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t z = zero_points.count ? shk_fb_vector_int(&zero_points, i, 8) : 0;
        if (z < INT32_MIN || z > INT32_MAX)
            return fail(im, SHK_ERROR_BAD_MODEL, "tensor '%s' has the zero point %" PRId64, desc->name, z);
        zero_point[i] = (int32_t)z;
        scale[i] = shk_fb_vector_float(&scales, i);
    }
    desc->quant_count = n;
    desc->quant_axis = n > 1 ? find_axis(&desc->shape, shk_fb_int(&quant, QUANT_DIMENSION, 4, 0), n) : 0;
    desc->scales = scale;
    desc->zero_points = zero_point;
    return SHK_OK;
}

static enum shk_status read_data(struct import *im, const struct shk_fb_table *table,
                                 struct shk_tensor_desc *desc)
{
    uint32_t index = (uint32_t)shk_fb_int(table, TENSOR_BUFFER, 4, 0);
    if (index == 0)
        return SHK_OK;
    if (index >= im->buffers.count)
        return fail(im, SHK_ERROR_BAD_MODEL, "tensor '%s' is in buffer %u of %u", desc->name, index,
                    im->buffers.count);
    struct shk_fb_table buffer = shk_fb_vector_table(&im->buffers, index);
    struct shk_fb_vector data = shk_fb_vector(&buffer, BUFFER_DATA, 1);
    if (shk_fb_int(&buffer, BUFFER_OFFSET, 8, 0) != 0 || shk_fb_int(&buffer, BUFFER_SIZE, 8, 0) != 0)
        return fail(im, SHK_ERROR_UNSUPPORTED,
                    "tensor '%s' is stored outside of the FlatBuffer; convert the model "
                    "again with its buffers inside",
                    desc->name);
    if (data.count == 0)
        return SHK_OK;
    desc->data = im->fb.data + data.at;
    desc->data_bytes = data.count;
    return charge(im, data.count);
}

static enum shk_status import_tensor(struct import *im, struct shk_fb_table table, uint32_t i)
{
    char name[MAX_NAME_LENGTH];
    struct shk_tensor_desc desc = {.name = name};
    struct shk_fb_vector string = shk_fb_vector(&table, TENSOR_NAME, 1);
    int type = (int)shk_fb_int(&table, TENSOR_TYPE, 1, 0);
    uint32_t index;

    read_string(&string, name, sizeof(name));
    if (!read_dtype(type, &desc.dtype))
        return fail(im, SHK_ERROR_UNSUPPORTED,
                    "tensor %u '%s' is %s; only full-integer models run (int8, or legacy "
                    "uint8): convert with post-training integer quantization",
                    i, name, tflite_type_name(type));
    if (shk_fb_int(&table, TENSOR_IS_VARIABLE, 1, 0) != 0)
        return fail(im, SHK_ERROR_UNSUPPORTED, "tensor %u '%s' is a variable; models with state do not run",
                    i, name);
    if (shk_fb_has(&table, TENSOR_SPARSITY))
        return fail(im, SHK_ERROR_UNSUPPORTED,
                    "tensor %u '%s' is sparse; convert the model with dense weights", i, name);
    enum shk_status status = charge(im, sizeof(struct shk_tensor) + strlen(name));
    if (!status)
        status = read_shape(im, &table, &desc);
    if (!status)
        status = read_quant(im, &table, &desc);
    if (!status)
        status = read_data(im, &table, &desc);
    if (!status)
        status = check_intact(im);
    return status ? status : shk_graph_add_tensor(im->graph, &desc, &index, im->error);
}

static enum shk_status import_tensors(struct import *im, const struct shk_fb_table *subgraph)
{
    struct shk_fb_vector tensors = shk_fb_vector(subgraph, SUBGRAPH_TENSORS, 4);
    if (tensors.count > MAX_TENSORS)
        return fail(im, SHK_ERROR_UNSUPPORTED, "%u tensors, at most %d are supported", tensors.count,
                    MAX_TENSORS);
    bool quantized = false;
    for (uint32_t i = 0; i < tensors.count; i++) {
        enum shk_status status = import_tensor(im, shk_fb_vector_table(&tensors, i), i);
        if (status)
            return status;
        quantized |= im->graph->tensors[i].dtype == SHK_DTYPE_INT8;
    }
    if (tensors.count && !quantized)
        return fail(im, SHK_ERROR_UNSUPPORTED,
                    "this is a float model (none of its %u tensors is int8 or uint8); only "
                    "full-integer models run: convert with post-training integer quantization",
                    tensors.count);
    return check_intact(im);
}

/* ---- ops ---- */

static enum shk_status fail_unknown_op(struct import *im, uint32_t i, int32_t builtin, const char *custom)
{
    char supported[700], number[32];
    const char *name = builtin == SHK_BUILTIN_CUSTOM ? custom : tflite_builtin_name(builtin);
    snprintf(number, sizeof(number), "with number %d", builtin);
    shk_op_list_supported(supported, sizeof(supported));
    return fail(im, SHK_ERROR_UNSUPPORTED, "op %u is the %s %s, which is not supported; supported: %s", i,
                builtin == SHK_BUILTIN_CUSTOM ? "custom op" : "op", name ? name : number, supported);
}

static enum shk_status find_spelling(struct import *im, const struct shk_fb_table *op, uint32_t i,
                                     const struct shk_op_spelling **spelling)
{
    uint32_t index = (uint32_t)shk_fb_int(op, OPERATOR_CODE_INDEX, 4, 0);
    if (index >= im->codes.count)
        return fail(im, SHK_ERROR_BAD_MODEL, "op %u has operator code %u of %u", i, index, im->codes.count);
    struct shk_fb_table code = shk_fb_vector_table(&im->codes, index);
    struct shk_fb_vector string = shk_fb_vector(&code, CODE_CUSTOM, 1);
    char custom[128];
    read_string(&string, custom, sizeof(custom));
    /* numbers up to 127 are in the old field, larger ones in the new one, and the other one is then lower */
    int32_t old = (int32_t)shk_fb_int(&code, CODE_DEPRECATED_BUILTIN, 1, 0);
    int32_t builtin = SHK_MAX(old, (int32_t)shk_fb_int(&code, CODE_BUILTIN, 4, 0));
    int32_t version = (int32_t)shk_fb_int(&code, CODE_VERSION, 4, 1);
    enum shk_status status = check_intact(im);
    if (status)
        return status;

    *spelling = builtin == SHK_BUILTIN_CUSTOM ? shk_op_find_custom(custom) : shk_op_find_builtin(builtin);
    if (!*spelling)
        return fail_unknown_op(im, i, builtin, custom);
    if (version > (*spelling)->max_version)
        return fail(im, SHK_ERROR_UNSUPPORTED,
                    "op %u %s has version %d, supported are versions up to %d; convert the "
                    "model for an older runtime",
                    i, (*spelling)->name, version, (*spelling)->max_version);
    return SHK_OK;
}

static enum shk_status read_list(struct import *im, const struct shk_op *op,
                                 const struct shk_fb_table *options, const struct shk_attr *a)
{
    struct shk_int32_list *list = (void *)((unsigned char *)op->attrs + a->offset);
    struct shk_fb_vector values = shk_fb_vector(options, a->tflite_field, 4);
    if (values.count > SHK_ARRAY_LEN(list->values))
        return shk_op_fail(im->graph, op, SHK_ERROR_BAD_MODEL, im->error,
                           "%s has %u values, expected at most %d", a->name, values.count,
                           (int)SHK_ARRAY_LEN(list->values));
    list->count = values.count;
    for (uint32_t k = 0; k < values.count; k++)
        list->values[k] = (int32_t)shk_fb_vector_int(&values, k, 4);
    return SHK_OK;
}

/* A number that the file gives for an attribute, if the attribute's type can hold it. */
static enum shk_status set_number(struct import *im, const struct shk_op *op, const struct shk_attr *a,
                                  double value)
{
    unsigned char *at = (unsigned char *)op->attrs + a->offset;
    int32_t names = 0;
    if (a->type == SHK_ATTR_FLOAT) {
        *(float *)(void *)at = (float)value;
        return SHK_OK;
    }
    if (a->type == SHK_ATTR_BOOL) {
        *(bool *)at = value != 0.0;
        return SHK_OK;
    }
    while (a->type == SHK_ATTR_ENUM && a->enum_names[names])
        names++;
    if (!(value >= INT32_MIN && value <= INT32_MAX) ||
        (a->type == SHK_ATTR_ENUM && !(value >= 0 && value < names)))
        return shk_op_fail(im->graph, op, SHK_ERROR_BAD_MODEL, im->error, "%s is %g, which is no valid value",
                           a->name, value);
    *(int32_t *)(void *)at = (int32_t)value;
    return SHK_OK;
}

static enum shk_status read_options(struct import *im, const struct shk_fb_table *table,
                                    const struct shk_op *op)
{
    const struct shk_op_spelling *spelling = op->spelling;
    int32_t type = (uint8_t)shk_fb_int(table, OPERATOR_OPTIONS_TYPE, 1, 0);
    struct shk_fb_table options = shk_fb_child(table, OPERATOR_OPTIONS);
    if (type == 0 || spelling->attr_count == 0)
        return SHK_OK;
    if (type != spelling->options)
        return shk_op_fail(im->graph, op, SHK_ERROR_BAD_MODEL, im->error,
                           "options of type %d, expected type %d", type, spelling->options);
    for (uint32_t k = 0; k < spelling->attr_count; k++) {
        const struct shk_attr *a = &spelling->attrs[k];
        enum shk_status status = SHK_OK;
        if (a->type == SHK_ATTR_LIST)
            status = read_list(im, op, &options, a);
        else if (a->type == SHK_ATTR_FLOAT)
            status = set_number(im, op, a,
                                (double)shk_fb_float(&options, a->tflite_field, (float)a->default_value));
        else
            status =
                set_number(im, op, a,
                           (double)shk_fb_int(&options, a->tflite_field, a->type == SHK_ATTR_INT32 ? 4 : 1,
                                              (int64_t)a->default_value));
        if (status)
            return status;
    }
    return SHK_OK;
}

static enum shk_status read_custom_options(struct import *im, const struct shk_fb_table *table,
                                           const struct shk_op *op)
{
    struct shk_fb_vector bytes = shk_fb_vector(table, OPERATOR_CUSTOM_OPTIONS, 1);
    struct shk_flex_map map;
    if (shk_fb_int(table, OPERATOR_LARGE_OPTIONS_OFFSET, 8, 0) != 0)
        return shk_op_fail(im->graph, op, SHK_ERROR_UNSUPPORTED, im->error,
                           "its options are stored outside of the FlatBuffer");
    if (bytes.count == 0)
        return SHK_OK;
    if (!shk_flex_map_open(im->fb.data + bytes.at, bytes.count, &map))
        return shk_op_fail(im->graph, op, SHK_ERROR_BAD_MODEL, im->error,
                           "its options are not a FlexBuffer map");
    for (uint32_t k = 0; k < op->spelling->attr_count; k++) {
        const struct shk_attr *a = &op->spelling->attrs[k];
        double value;
        enum shk_status status = SHK_OK;
        enum shk_flex_result found = shk_flex_map_number(&map, a->name, &value);
        if (found == SHK_FLEX_CORRUPT)
            status = shk_op_fail(im->graph, op, SHK_ERROR_BAD_MODEL, im->error,
                                 "its options are corrupt at '%s', expected a number", a->name);
        else if (found == SHK_FLEX_FOUND)
            status = set_number(im, op, a, value);
        if (status)
            return status;
    }
    return SHK_OK;
}

static void read_indices(const struct shk_fb_vector *vector, uint32_t *indices)
{
    for (uint32_t i = 0; i < vector->count; i++)
        indices[i] = (uint32_t)shk_fb_vector_int(vector, i, 4);
}

static enum shk_status import_op(struct import *im, struct shk_fb_table table, uint32_t i)
{
    const struct shk_op_spelling *spelling = NULL;
    struct shk_op *op;
    struct shk_fb_vector inputs = shk_fb_vector(&table, OPERATOR_INPUTS, 4);
    struct shk_fb_vector outputs = shk_fb_vector(&table, OPERATOR_OUTPUTS, 4);
    enum shk_status status = check_intact(im);
    if (!status)
        status = find_spelling(im, &table, i, &spelling);
    if (!status)
        status = charge(im, sizeof(struct shk_op) + spelling->def->attrs_size);
    if (!status)
        status = reserve_scratch(im, ((size_t)inputs.count + outputs.count + 1) * sizeof(uint32_t));
    if (status)
        return status;

    uint32_t *indices = im->scratch;
    read_indices(&inputs, indices);
    read_indices(&outputs, indices + inputs.count);
    status = shk_graph_add_op(im->graph, spelling, indices, inputs.count, indices + inputs.count,
                              outputs.count, &op, im->error);
    if (!status)
        status = spelling->builtin == SHK_BUILTIN_CUSTOM ? read_custom_options(im, &table, op)
                                                         : read_options(im, &table, op);
    return status ? status : check_intact(im);
}

static enum shk_status import_ops(struct import *im, const struct shk_fb_table *subgraph)
{
    struct shk_fb_vector ops = shk_fb_vector(subgraph, SUBGRAPH_OPERATORS, 4);
    if (ops.count > MAX_OPS)
        return fail(im, SHK_ERROR_UNSUPPORTED, "%u ops, at most %d are supported", ops.count, MAX_OPS);
    for (uint32_t i = 0; i < ops.count; i++) {
        enum shk_status status = import_op(im, shk_fb_vector_table(&ops, i), i);
        if (status)
            return status;
    }
    return check_intact(im);
}

/* ---- the model ---- */

/* Shapes that are known only when the model runs; the batch is taken as the file's shape has it. */
static enum shk_status check_static(struct import *im, const struct shk_fb_table *subgraph, uint32_t tensor)
{
    struct shk_fb_vector tensors = shk_fb_vector(subgraph, SUBGRAPH_TENSORS, 4);
    if (tensor >= tensors.count)
        return SHK_OK;
    struct shk_fb_table table = shk_fb_vector_table(&tensors, tensor);
    struct shk_fb_vector signature = shk_fb_vector(&table, TENSOR_SHAPE_SIGNATURE, 4);
    for (uint32_t i = 1; i < signature.count; i++)
        if (shk_fb_vector_int(&signature, i, 4) < 0)
            return fail(im, SHK_ERROR_UNSUPPORTED,
                        "dimension %u of the input '%s' is dynamic; convert the model with "
                        "a fixed input shape",
                        i, im->graph->tensors[tensor].name);
    return check_intact(im);
}

static enum shk_status import_edges(struct import *im, const struct shk_fb_table *subgraph)
{
    struct shk_fb_vector inputs = shk_fb_vector(subgraph, SUBGRAPH_INPUTS, 4);
    struct shk_fb_vector outputs = shk_fb_vector(subgraph, SUBGRAPH_OUTPUTS, 4);
    enum shk_status status = check_intact(im);
    if (!status)
        status = reserve_scratch(im, ((size_t)SHK_MAX(inputs.count, outputs.count) + 1) * sizeof(uint32_t));
    if (status)
        return status;
    read_indices(&inputs, im->scratch);
    status = shk_graph_set_inputs(im->graph, im->scratch, inputs.count, im->error);
    for (uint32_t i = 0; i < inputs.count && !status; i++)
        status = check_static(im, subgraph, im->graph->inputs[i]);
    if (status)
        return status;
    read_indices(&outputs, im->scratch);
    return shk_graph_set_outputs(im->graph, im->scratch, outputs.count, im->error);
}

static enum shk_status import_model(struct import *im)
{
    if (!shk_fb_has_identifier(&im->fb, TFLITE_IDENTIFIER))
        return fail(im, SHK_ERROR_BAD_MODEL,
                    "this is not a TensorFlow Lite model: %zu bytes without the identifier "
                    "%s",
                    im->fb.size, TFLITE_IDENTIFIER);
    struct shk_fb_table model = shk_fb_root(&im->fb);
    struct shk_fb_vector subgraphs = shk_fb_vector(&model, MODEL_SUBGRAPHS, 4);
    uint32_t version = (uint32_t)shk_fb_int(&model, MODEL_VERSION, 4, 0);
    im->codes = shk_fb_vector(&model, MODEL_OPERATOR_CODES, 4);
    im->buffers = shk_fb_vector(&model, MODEL_BUFFERS, 4);
    enum shk_status status = check_intact(im);
    if (status)
        return status;
    if (version != TFLITE_VERSION)
        return fail(im, SHK_ERROR_UNSUPPORTED, "schema version %u, expected %d", version, TFLITE_VERSION);
    if (subgraphs.count == 0)
        return fail(im, SHK_ERROR_BAD_MODEL, "%s", "the model is empty: it has no subgraph");
    /* only control flow, which is not supported, refers to the other subgraphs */
    struct shk_fb_table subgraph = shk_fb_vector_table(&subgraphs, 0);
    status = import_tensors(im, &subgraph);
    if (!status)
        status = import_ops(im, &subgraph);
    if (!status)
        status = import_edges(im, &subgraph);
    return status;
}

enum shk_status shk_model_load_memory(const void *data, size_t size, const char *name,
                                      struct shk_model **model, struct shk_error *error)
{
    const char *shown = name ? name : "model";
    if (!data || size == 0)
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: the file is empty, expected a TensorFlow Lite model",
                        shown);
    if (size > MAX_FILE_BYTES)
        return shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: %zu bytes, expected at most %zu", shown, size,
                        MAX_FILE_BYTES);
    struct import im = {
        .fb = {.data = data, .size = size},
        .graph = shk_graph_create(shown),
        .error = error,
        .budget = 16 * size + ((size_t)16 << 20),
    };
    if (!im.graph)
        return shk_fail_oom(error, sizeof(*im.graph), shown);
    enum shk_status status = import_model(&im);
    free(im.scratch);
    if (status) {
        shk_graph_destroy(&im.graph);
        return status;
    }
    return shk_model_from_graph(&im.graph, model, error);
}

enum shk_status shk_model_load_file(const char *path, struct shk_model **model, struct shk_error *error)
{
    uint8_t *data;
    size_t size;
    enum shk_status status = shk_file_read(path, MAX_FILE_BYTES, &data, &size, error);
    if (status)
        return status;
    status = shk_model_load_memory(data, size, path, model, error);
    free(data);
    return status;
}
