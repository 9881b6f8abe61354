/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tflite_schema.h"

#define MAX_TENSORS     65536
#define MAX_NAME_LENGTH 1024

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

static enum shk_status read_shape(struct shk_import *im, const struct shk_fb_table *table,
                                  struct shk_tensor_desc *desc)
{
    struct shk_fb_vector shape = shk_fb_vector(table, TENSOR_SHAPE, 4);
    if (shape.count > SHK_MAX_RANK)
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED,
                               "tensor '%s' has %u dimensions, at most %d are supported", desc->name,
                               shape.count, SHK_MAX_RANK);
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

static enum shk_status read_quant(struct shk_import *im, const struct shk_fb_table *table,
                                  struct shk_tensor_desc *desc)
{
    struct shk_fb_table quant = shk_fb_child(table, TENSOR_QUANTIZATION);
    struct shk_fb_vector scales = shk_fb_vector(&quant, QUANT_SCALE, 4);
    struct shk_fb_vector zero_points = shk_fb_vector(&quant, QUANT_ZERO_POINT, 8);
    uint32_t n = scales.count;
    if (shk_fb_int(&quant, QUANT_DETAILS_TYPE, 1, 0) != 0)
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED, "tensor '%s' has a custom quantization",
                               desc->name);
    if (n == 0)
        return SHK_OK;
    if (zero_points.count != 0 && zero_points.count != n)
        return shk_import_fail(im, SHK_ERROR_BAD_MODEL,
                               "tensor '%s' has %u quantization scales and %u zero points", desc->name, n,
                               zero_points.count);
    enum shk_status status = shk_import_scratch(im, (size_t)n * (sizeof(float) + sizeof(int32_t)));
    if (status)
        return status;

    float *scale = im->scratch;
    int32_t *zero_point = (int32_t *)(void *)(scale + n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t z = zero_points.count ? shk_fb_vector_int(&zero_points, i, 8) : 0;
        if (z < INT32_MIN || z > INT32_MAX)
            return shk_import_fail(im, SHK_ERROR_BAD_MODEL, "tensor '%s' has the zero point %" PRId64,
                                   desc->name, z);
        zero_point[i] = (int32_t)z;
        scale[i] = shk_fb_vector_float(&scales, i);
    }
    desc->quant_count = n;
    desc->quant_axis = n > 1 ? find_axis(&desc->shape, shk_fb_int(&quant, QUANT_DIMENSION, 4, 0), n) : 0;
    desc->scales = scale;
    desc->zero_points = zero_point;
    return SHK_OK;
}

static enum shk_status read_data(struct shk_import *im, const struct shk_fb_table *table,
                                 struct shk_tensor_desc *desc)
{
    uint32_t index = (uint32_t)shk_fb_int(table, TENSOR_BUFFER, 4, 0);
    if (index == 0)
        return SHK_OK;
    if (index >= im->buffers.count)
        return shk_import_fail(im, SHK_ERROR_BAD_MODEL, "tensor '%s' is in buffer %u of %u", desc->name,
                               index, im->buffers.count);
    struct shk_fb_table buffer = shk_fb_vector_table(&im->buffers, index);
    struct shk_fb_vector data = shk_fb_vector(&buffer, BUFFER_DATA, 1);
    if (shk_fb_int(&buffer, BUFFER_OFFSET, 8, 0) != 0 || shk_fb_int(&buffer, BUFFER_SIZE, 8, 0) != 0)
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED,
                               "tensor '%s' is stored outside of the FlatBuffer; convert the model "
                               "again with its buffers inside",
                               desc->name);
    if (data.count == 0)
        return SHK_OK;
    desc->data = im->fb.data + data.at;
    desc->data_bytes = data.count;
    return shk_import_charge(im, data.count);
}

static enum shk_status import_tensor(struct shk_import *im, struct shk_fb_table table, uint32_t i)
{
    char name[MAX_NAME_LENGTH];
    struct shk_tensor_desc desc = {.name = name};
    struct shk_fb_vector string = shk_fb_vector(&table, TENSOR_NAME, 1);
    int type = (int)shk_fb_int(&table, TENSOR_TYPE, 1, 0);
    uint32_t index;

    shk_import_string(&string, name, sizeof(name));
    if (!read_dtype(type, &desc.dtype))
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED,
                               "tensor %u '%s' is %s; only full-integer models run (int8, or legacy "
                               "uint8): convert with post-training integer quantization",
                               i, name, shk_tflite_type_name(type));
    if (shk_fb_int(&table, TENSOR_IS_VARIABLE, 1, 0) != 0)
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED,
                               "tensor %u '%s' is a variable; models with state do not run", i, name);
    if (shk_fb_has(&table, TENSOR_SPARSITY))
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED,
                               "tensor %u '%s' is sparse; convert the model with dense weights", i, name);
    enum shk_status status = shk_import_charge(im, sizeof(struct shk_tensor) + strlen(name));
    if (!status)
        status = read_shape(im, &table, &desc);
    if (!status)
        status = read_quant(im, &table, &desc);
    if (!status)
        status = read_data(im, &table, &desc);
    if (!status)
        status = shk_import_intact(im);
    return status ? status : shk_graph_add_tensor(im->graph, &desc, &index, im->error);
}

enum shk_status shk_import_tensors(struct shk_import *im, const struct shk_fb_table *subgraph)
{
    struct shk_fb_vector tensors = shk_fb_vector(subgraph, SUBGRAPH_TENSORS, 4);
    if (tensors.count > MAX_TENSORS)
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED, "%u tensors, at most %d are supported",
                               tensors.count, MAX_TENSORS);
    bool quantized = false;
    for (uint32_t i = 0; i < tensors.count; i++) {
        enum shk_status status = import_tensor(im, shk_fb_vector_table(&tensors, i), i);
        if (status)
            return status;
        quantized |= im->graph->tensors[i].dtype == SHK_DTYPE_INT8;
    }
    if (tensors.count && !quantized)
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED,
                               "this is a float model (none of its %u tensors is int8 or uint8); only "
                               "full-integer models run: convert with post-training integer quantization",
                               tensors.count);
    return shk_import_intact(im);
}
