/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "export_tflite.h"

#include <stdlib.h>
#include <string.h>

#include "flatbuffer_write.h"
#include "flexbuffer.h"
#include "op.h"
#include "tflite_schema.h"

struct export
{
    const struct shk_graph *graph;
    struct shk_fbw w;
    const struct shk_op_spelling **codes; /* the file's operator codes */
    uint32_t code_count;
    struct shk_flex_entry *entries; /* scratch for custom options */
};

static struct shk_fbw_field scalar(uint16_t id, uint16_t bytes, int64_t value)
{
    return (struct shk_fbw_field){.id = id, .bytes = bytes, .value = (uint64_t)value};
}

static struct shk_fbw_field child(uint16_t id, size_t *slot)
{
    return (struct shk_fbw_field){.id = id, .slot = slot};
}

static void write_int32s(struct shk_fbw *w, size_t slot, const void *values, uint32_t count)
{
    shk_fbw_vector(w, slot, values, count, 4, 4);
}

/* A vector of `count` tables to come; slot i is at the returned position + 4 * i. */
static size_t write_table_slots(struct shk_fbw *w, size_t slot, uint32_t count)
{
    return shk_fbw_vector(w, slot, NULL, count, 4, 4);
}

static uint32_t find_code(struct export *x, const struct shk_op_spelling *spelling)
{
    for (uint32_t i = 0; i < x->code_count; i++)
        if (x->codes[i] == spelling)
            return i;
    x->codes[x->code_count] = spelling;
    return x->code_count++;
}

static void write_code(struct export *x, size_t slot, const struct shk_op_spelling *spelling)
{
    size_t custom = 0;
    bool is_custom = spelling->builtin == SHK_BUILTIN_CUSTOM;
    struct shk_fbw_field fields[] = {
        scalar(CODE_DEPRECATED_BUILTIN, 1, SHK_MIN(spelling->builtin, TFLITE_CODE_PLACEHOLDER)),
        /* the lowest version: TensorFlow Lite's kernels decide by types and options, not by this */
        scalar(CODE_VERSION, 4, 1),
        scalar(CODE_BUILTIN, 4, spelling->builtin),
        child(CODE_CUSTOM, &custom),
    };
    shk_fbw_table(&x->w, slot, fields, is_custom ? 4 : 3);
    if (is_custom)
        shk_fbw_string(&x->w, custom, spelling->name);
}

static int file_type(const struct shk_tensor *t)
{
    switch (t->dtype) {
    case SHK_DTYPE_INT8:
        return t->legacy_uint8 ? TFLITE_UINT8 : TFLITE_INT8;
    case SHK_DTYPE_UINT8:
        return TFLITE_UINT8;
    case SHK_DTYPE_INT32:
        return TFLITE_INT32;
    case SHK_DTYPE_INT64:
        return TFLITE_INT64;
    case SHK_DTYPE_FLOAT32:
        break;
    }
    return TFLITE_FLOAT32;
}

static void write_quant(struct shk_fbw *w, size_t slot, const struct shk_quant *quant)
{
    size_t scales = 0, zero_points = 0;
    const struct shk_fbw_field fields[] = {
        child(QUANT_SCALE, &scales),
        child(QUANT_ZERO_POINT, &zero_points),
        scalar(QUANT_DIMENSION, 4, quant->axis),
    };
    shk_fbw_table(w, slot, fields, SHK_ARRAY_LEN(fields));
    shk_fbw_vector(w, scales, quant->scales, quant->count, sizeof(float), 4);
    size_t at = shk_fbw_vector(w, zero_points, NULL, quant->count, sizeof(int64_t), 8);
    for (uint32_t i = 0; i < quant->count && !w->failed; i++) {
        int64_t value = quant->file_zero_points[i];
        memcpy(w->bytes + at + i * sizeof(value), &value, sizeof(value));
    }
}

static void write_tensor(struct export *x, size_t slot, const struct shk_tensor *t, uint32_t buffer)
{
    size_t shape = 0, name = 0, quant = 0;
    const struct shk_fbw_field fields[] = {
        child(TENSOR_SHAPE, &shape), scalar(TENSOR_TYPE, 1, file_type(t)), scalar(TENSOR_BUFFER, 4, buffer),
        child(TENSOR_NAME, &name),   scalar(TENSOR_HAS_RANK, 1, 1),        child(TENSOR_QUANTIZATION, &quant),
    };
    shk_fbw_table(&x->w, slot, fields, SHK_ARRAY_LEN(fields) - (t->quant.count ? 0 : 1));
    write_int32s(&x->w, shape, t->shape.dims, t->shape.rank);
    shk_fbw_string(&x->w, name, t->name);
    if (t->quant.count)
        write_quant(&x->w, quant, &t->quant);
}

static void write_options(struct export *x, size_t slot, const struct shk_op *op)
{
    struct shk_fbw_field fields[SHK_FBW_MAX_FIELDS];
    size_t slots[SHK_FBW_MAX_FIELDS];
    const struct shk_op_spelling *spelling = op->spelling;
    for (uint32_t i = 0; i < spelling->attr_count; i++) {
        const struct shk_attr *a = &spelling->attrs[i];
        uint16_t field = (uint16_t)a->tflite_field;
        double value = 0.0;
        shk_op_get_attr(op, a->name, &value);
        if (a->type == SHK_ATTR_LIST) {
            fields[i] = child(field, &slots[i]);
        } else if (a->type == SHK_ATTR_FLOAT) {
            float f = (float)value;
            uint32_t bits;
            memcpy(&bits, &f, sizeof(bits));
            fields[i] = scalar(field, 4, bits);
        } else {
            fields[i] = scalar(field, a->type == SHK_ATTR_INT32 ? 4 : 1, (int64_t)value);
        }
    }
    shk_fbw_table(&x->w, slot, fields, spelling->attr_count);
    for (uint32_t i = 0; i < spelling->attr_count; i++) {
        if (spelling->attrs[i].type != SHK_ATTR_LIST)
            continue;
        const struct shk_int32_list *list =
            (const void *)((const char *)op->attrs + spelling->attrs[i].offset);
        write_int32s(&x->w, slots[i], list->values, list->count);
    }
}

static void write_custom_options(struct export *x, size_t slot, const struct shk_op *op)
{
    for (uint32_t i = 0; i < op->spelling->attr_count; i++) {
        const struct shk_attr *a = &op->spelling->attrs[i];
        struct shk_flex_entry *e = &x->entries[i];
        *e = (struct shk_flex_entry){.key = a->name, .type = SHK_FLEX_INT};
        if (a->type == SHK_ATTR_FLOAT)
            e->type = SHK_FLEX_FLOAT;
        else if (a->type == SHK_ATTR_BOOL)
            e->type = SHK_FLEX_BOOL;
        shk_op_get_attr(op, a->name, &e->value);
    }
    size_t size = 0;
    void *map = shk_flex_map_write(x->entries, op->spelling->attr_count, &size);
    if (map)
        shk_fbw_vector(&x->w, slot, map, size, 1, TFLITE_BUFFER_ALIGNMENT);
    else
        x->w.failed = true;
    free(map);
}

static void write_op(struct export *x, size_t slot, const struct shk_op *op)
{
    const struct shk_op_spelling *spelling = op->spelling;
    bool custom = spelling->builtin == SHK_BUILTIN_CUSTOM;
    size_t inputs = 0, outputs = 0, options = 0;
    const struct shk_fbw_field fields[] = {
        scalar(OPERATOR_CODE_INDEX, 4, find_code(x, spelling)),
        child(OPERATOR_INPUTS, &inputs),
        child(OPERATOR_OUTPUTS, &outputs),
        child(custom ? OPERATOR_CUSTOM_OPTIONS : OPERATOR_OPTIONS, &options),
        scalar(OPERATOR_OPTIONS_TYPE, 1, spelling->options),
    };
    uint32_t count = custom ? 4 : spelling->options ? 5 : 3;
    shk_fbw_table(&x->w, slot, fields, count);
    write_int32s(&x->w, inputs, op->inputs, op->input_count);
    write_int32s(&x->w, outputs, op->outputs, op->output_count);
    if (custom)
        write_custom_options(x, options, op);
    else if (spelling->options)
        write_options(x, options, op);
}

/* Buffer 0 is the empty one of every activation; the constants follow in the order of the tensors. */
static void write_buffers(struct export *x, size_t slot)
{
    const struct shk_graph *graph = x->graph;
    uint32_t count = 1;
    for (uint32_t i = 0; i < graph->tensor_count; i++)
        count += graph->tensors[i].data != NULL;
    size_t slots = write_table_slots(&x->w, slot, count);
    shk_fbw_table(&x->w, slots, NULL, 0);
    for (uint32_t i = 0; i < graph->tensor_count; i++) {
        const struct shk_tensor *t = &graph->tensors[i];
        if (!t->data)
            continue;
        size_t data = 0;
        const struct shk_fbw_field field = child(BUFFER_DATA, &data);
        shk_fbw_table(&x->w, slots += 4, &field, 1);
        size_t at = shk_fbw_vector(&x->w, data, t->data, t->bytes, 1, TFLITE_BUFFER_ALIGNMENT);
        for (size_t k = 0; t->legacy_uint8 && k < t->bytes && !x->w.failed; k++)
            x->w.bytes[at + k] ^= 0x80;
    }
}

static void write_subgraph(struct export *x, size_t slot)
{
    const struct shk_graph *graph = x->graph;
    size_t tensors = 0, inputs = 0, outputs = 0, ops = 0, name = 0;
    const struct shk_fbw_field fields[] = {
        child(SUBGRAPH_TENSORS, &tensors), child(SUBGRAPH_INPUTS, &inputs), child(SUBGRAPH_OUTPUTS, &outputs),
        child(SUBGRAPH_OPERATORS, &ops),   child(SUBGRAPH_NAME, &name),
    };
    shk_fbw_table(&x->w, slot, fields, SHK_ARRAY_LEN(fields));
    size_t slots = write_table_slots(&x->w, tensors, graph->tensor_count);
    uint32_t buffer = 0;
    for (uint32_t i = 0; i < graph->tensor_count; i++)
        write_tensor(x, slots + 4 * (size_t)i, &graph->tensors[i], graph->tensors[i].data ? ++buffer : 0);
    write_int32s(&x->w, inputs, graph->inputs, graph->input_count);
    write_int32s(&x->w, outputs, graph->outputs, graph->output_count);
    slots = write_table_slots(&x->w, ops, graph->op_count);
    for (uint32_t i = 0; i < graph->op_count; i++)
        write_op(x, slots + 4 * (size_t)i, &graph->ops[i]);
    shk_fbw_string(&x->w, name, "main");
}

static void write_model(struct export *x)
{
    size_t codes = 0, subgraphs = 0, description = 0, buffers = 0;
    const struct shk_fbw_field fields[] = {
        scalar(MODEL_VERSION, 4, TFLITE_VERSION), child(MODEL_OPERATOR_CODES, &codes),
        child(MODEL_SUBGRAPHS, &subgraphs),       child(MODEL_DESCRIPTION, &description),
        child(MODEL_BUFFERS, &buffers),
    };
    shk_fbw_start(&x->w, TFLITE_IDENTIFIER);
    shk_fbw_table(&x->w, 0, fields, SHK_ARRAY_LEN(fields));
    shk_fbw_string(&x->w, description, "Shrike");
    write_subgraph(x, write_table_slots(&x->w, subgraphs, 1));
    size_t slots = write_table_slots(&x->w, codes, x->code_count);
    for (uint32_t i = 0; i < x->code_count; i++)
        write_code(x, slots + 4 * (size_t)i, x->codes[i]);
    write_buffers(x, buffers);
}

enum shk_status shk_export_tflite(const struct shk_graph *graph, void **data, size_t *size,
                                  struct shk_error *error)
{
    enum shk_status status = SHK_OK;
    uint32_t most_attrs = 1;
    for (uint32_t i = 0; i < graph->op_count; i++)
        most_attrs = SHK_MAX(most_attrs, graph->ops[i].spelling->attr_count);
    struct export x = {
        .graph = graph,
        .codes = calloc(SHK_MAX(graph->op_count, 1u), sizeof(*x.codes)),
        .entries = calloc(most_attrs, sizeof(*x.entries)),
    };
    if (x.codes && x.entries)
        write_model(&x);
    if (x.w.too_large) {
        status = shk_fail(error, SHK_ERROR_UNSUPPORTED,
                          "%s: a model of more than %zu bytes cannot be written", graph->name, SHK_FBW_MAX);
    } else if (!x.codes || !x.entries || x.w.failed) {
        status = shk_fail_oom(error, x.w.size, graph->name);
    } else {
        *data = x.w.bytes;
        *size = x.w.size;
    }
    if (status)
        free(x.w.bytes);
    free(x.codes);
    free(x.entries);
    return status;
}
