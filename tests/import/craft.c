/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "craft.h"

#include <string.h>

#include "flatbuffer_write.h"
#include "tflite_schema.h"

struct craft craft_defaults(void)
{
    return (struct craft){
        .identifier = TFLITE_IDENTIFIER,
        .version = TFLITE_VERSION,
        .subgraphs = 1,
        .deprecated_builtin = 22, /* RESHAPE */
        .builtin = 22,
        .op_version = 1,
        .signature = 4,
        .name = "odd",
        .type = TFLITE_INT32,
        .rank = 1,
        .dims = {4},
        .scale = 0.5f,
        .repeats = 1,
    };
}

#define SCALAR(field, size, v)                                                                               \
    {                                                                                                        \
        .id = (field), .bytes = (size), .value = (uint64_t)(v)                                               \
    }
#define CHILD(field, s)                                                                                      \
    {                                                                                                        \
        .id = (field), .slot = &(s)                                                                          \
    }

static size_t write_slots(struct shk_fbw *w, size_t slot, uint32_t count)
{
    return shk_fbw_vector(w, slot, NULL, count, 4, 4);
}

static void write_edge_tensor(struct shk_fbw *w, size_t slot, int32_t signature)
{
    const int32_t shape[] = {1, 4, 4, 2}, signatures[] = {-1, 4, signature, 2};
    const float scale = 0.5f;
    size_t s = 0, q = 0, sig = 0, scales = 0;
    const struct shk_fbw_field fields[] = {CHILD(TENSOR_SHAPE, s), SCALAR(TENSOR_TYPE, 1, TFLITE_INT8),
                                           CHILD(TENSOR_QUANTIZATION, q), CHILD(TENSOR_SHAPE_SIGNATURE, sig)};
    const struct shk_fbw_field quant = CHILD(QUANT_SCALE, scales);
    shk_fbw_table(w, slot, fields, SHK_ARRAY_LEN(fields));
    shk_fbw_vector(w, s, shape, 4, 4, 4);
    shk_fbw_vector(w, sig, signatures, 4, 4, 4);
    shk_fbw_table(w, q, &quant, 1);
    shk_fbw_vector(w, scales, &scale, 1, 4, 4);
}

static void write_odd_quant(struct shk_fbw *w, size_t slot, const struct craft *c)
{
    size_t scales = 0, zero_points = 0;
    const struct shk_fbw_field fields[] = {CHILD(QUANT_SCALE, scales), CHILD(QUANT_ZERO_POINT, zero_points),
                                           SCALAR(QUANT_DIMENSION, 4, c->axis),
                                           SCALAR(QUANT_DETAILS_TYPE, 1, c->custom_quantization)};
    shk_fbw_table(w, slot, fields, SHK_ARRAY_LEN(fields));
    size_t at = shk_fbw_vector(w, scales, NULL, c->scales, 4, 4);
    for (uint32_t i = 0; i < c->scales; i++)
        memcpy(w->bytes + at + 4 * i, &c->scale, 4);
    at = shk_fbw_vector(w, zero_points, NULL, c->zero_points, 8, 8);
    for (uint32_t i = 0; i < c->zero_points; i++)
        memcpy(w->bytes + at + 8 * i, &c->zero_point, 8);
}

/* Fills the slots from `first` on with offsets of the one tensor. */
static void write_odd_tensor(struct shk_fbw *w, size_t first, const struct craft *c)
{
    size_t shape = 0, name = 0, quant = 0, sparsity = 0;
    const struct shk_fbw_field fields[] = {
        CHILD(TENSOR_SHAPE, shape),          SCALAR(TENSOR_TYPE, 1, c->type),
        SCALAR(TENSOR_BUFFER, 4, c->buffer), CHILD(TENSOR_NAME, name),
        CHILD(TENSOR_QUANTIZATION, quant),   SCALAR(TENSOR_IS_VARIABLE, 1, c->variable),
        CHILD(TENSOR_SPARSITY, sparsity),
    };
    shk_fbw_table(w, first, fields, SHK_ARRAY_LEN(fields) - (c->sparse ? 0 : 1));
    uint32_t offset;
    memcpy(&offset, w->bytes + first, 4);
    for (uint32_t i = 1; i < c->repeats; i++) {
        uint32_t shorter = offset - 4 * i;
        memcpy(w->bytes + first + 4 * (size_t)i, &shorter, 4);
    }
    shk_fbw_vector(w, shape, c->dims, c->rank, 4, 4);
    shk_fbw_string(w, name, c->name);
    write_odd_quant(w, quant, c);
    if (c->sparse)
        shk_fbw_table(w, sparsity, NULL, 0);
}

static void write_subgraph(struct shk_fbw *w, size_t slot, const struct craft *c)
{
    const int32_t in = 0, out = 1;
    size_t tensors = 0, inputs = 0, outputs = 0, ops = 0, op_inputs = 0, op_outputs = 0, options = 0;
    const struct shk_fbw_field fields[] = {CHILD(SUBGRAPH_TENSORS, tensors), CHILD(SUBGRAPH_INPUTS, inputs),
                                           CHILD(SUBGRAPH_OUTPUTS, outputs), CHILD(SUBGRAPH_OPERATORS, ops)};
    const struct shk_fbw_field op[] = {SCALAR(OPERATOR_CODE_INDEX, 4, c->code_index),
                                       CHILD(OPERATOR_INPUTS, op_inputs), CHILD(OPERATOR_OUTPUTS, op_outputs),
                                       SCALAR(OPERATOR_OPTIONS_TYPE, 1, c->options_type),
                                       CHILD(OPERATOR_OPTIONS, options)};
    shk_fbw_table(w, slot, fields, SHK_ARRAY_LEN(fields));
    size_t slots = write_slots(w, tensors, 2 + c->repeats);
    write_edge_tensor(w, slots, c->signature);
    write_edge_tensor(w, slots + 4, 4);
    if (c->repeats)
        write_odd_tensor(w, slots + 8, c);
    shk_fbw_vector(w, inputs, &in, 1, 4, 4);
    shk_fbw_vector(w, outputs, &out, 1, 4, 4);
    shk_fbw_table(w, write_slots(w, ops, 1), op, SHK_ARRAY_LEN(op));
    shk_fbw_vector(w, op_inputs, &c->op_input, 1, 4, 4);
    shk_fbw_vector(w, op_outputs, &out, 1, 4, 4);
    shk_fbw_table(w, options, NULL, 0);
}

static void write_code(struct shk_fbw *w, size_t slot, const struct craft *c)
{
    size_t custom = 0;
    const struct shk_fbw_field fields[] = {
        SCALAR(CODE_DEPRECATED_BUILTIN, 1, c->deprecated_builtin), SCALAR(CODE_BUILTIN, 4, c->builtin),
        SCALAR(CODE_VERSION, 4, c->op_version), CHILD(CODE_CUSTOM, custom)};
    shk_fbw_table(w, slot, fields, SHK_ARRAY_LEN(fields));
    shk_fbw_string(w, custom, c->custom ? c->custom : "");
}

uint8_t *craft_file(const struct craft *c, size_t *size)
{
    struct shk_fbw w;
    size_t codes = 0, subgraphs = 0, buffers = 0, data = 0;
    const struct shk_fbw_field fields[] = {SCALAR(MODEL_VERSION, 4, c->version),
                                           CHILD(MODEL_OPERATOR_CODES, codes),
                                           CHILD(MODEL_SUBGRAPHS, subgraphs), CHILD(MODEL_BUFFERS, buffers)};
    const struct shk_fbw_field buffer[] = {CHILD(BUFFER_DATA, data),
                                           SCALAR(BUFFER_OFFSET, 8, c->external_offset)};
    shk_fbw_start(&w, c->identifier);
    shk_fbw_table(&w, 0, fields, SHK_ARRAY_LEN(fields));
    write_code(&w, write_slots(&w, codes, 1), c);
    size_t slots = write_slots(&w, subgraphs, c->subgraphs);
    for (uint32_t i = 0; i < c->subgraphs; i++)
        write_subgraph(&w, slots + 4 * (size_t)i, c);
    slots = write_slots(&w, buffers, 2);
    shk_fbw_table(&w, slots, NULL, 0);
    shk_fbw_table(&w, slots + 4, buffer, SHK_ARRAY_LEN(buffer));
    shk_fbw_vector(&w, data, NULL, c->data_bytes, 1, TFLITE_BUFFER_ALIGNMENT);
    ck_assert(!w.failed);
    *size = w.size;
    return w.bytes;
}
