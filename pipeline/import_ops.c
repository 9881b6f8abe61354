/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <stdio.h>

#include "flexbuffer.h"
#include "op.h"
#include "tflite_schema.h"

#define MAX_OPS 65536

static enum shk_status fail_unknown_op(struct shk_import *im, uint32_t i, int32_t builtin, const char *custom)
{
    char supported[700], number[32];
    const char *name = builtin == SHK_BUILTIN_CUSTOM ? custom : shk_tflite_builtin_name(builtin);
    snprintf(number, sizeof(number), "with number %d", builtin);
    shk_op_list_supported(supported, sizeof(supported));
    return shk_import_fail(
        im, SHK_ERROR_UNSUPPORTED, "op %u is the %s %s, which is not supported; supported: %s", i,
        builtin == SHK_BUILTIN_CUSTOM ? "custom op" : "op", name ? name : number, supported);
}

static enum shk_status find_spelling(struct shk_import *im, const struct shk_fb_table *op, uint32_t i,
                                     const struct shk_op_spelling **spelling)
{
    uint32_t index = (uint32_t)shk_fb_int(op, OPERATOR_CODE_INDEX, 4, 0);
    if (index >= im->codes.count)
        return shk_import_fail(im, SHK_ERROR_BAD_MODEL, "op %u has operator code %u of %u", i, index,
                               im->codes.count);
    struct shk_fb_table code = shk_fb_vector_table(&im->codes, index);
    struct shk_fb_vector string = shk_fb_vector(&code, CODE_CUSTOM, 1);
    char custom[128];
    shk_import_string(&string, custom, sizeof(custom));
    /* numbers up to 127 are in the old field, larger ones in the new one, and the other one is then lower */
    int32_t old = (int32_t)shk_fb_int(&code, CODE_DEPRECATED_BUILTIN, 1, 0);
    int32_t builtin = SHK_MAX(old, (int32_t)shk_fb_int(&code, CODE_BUILTIN, 4, 0));
    int32_t version = (int32_t)shk_fb_int(&code, CODE_VERSION, 4, 1);
    enum shk_status status = shk_import_intact(im);
    if (status)
        return status;

    *spelling = builtin == SHK_BUILTIN_CUSTOM ? shk_op_find_custom(custom) : shk_op_find_builtin(builtin);
    if (!*spelling)
        return fail_unknown_op(im, i, builtin, custom);
    if (version > (*spelling)->max_version)
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED,
                               "op %u %s has version %d, supported are versions up to %d; convert the "
                               "model for an older runtime",
                               i, (*spelling)->name, version, (*spelling)->max_version);
    return SHK_OK;
}

static enum shk_status read_list(struct shk_import *im, const struct shk_op *op,
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
static enum shk_status set_number(struct shk_import *im, const struct shk_op *op, const struct shk_attr *a,
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

static enum shk_status read_options(struct shk_import *im, const struct shk_fb_table *table,
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

static enum shk_status read_custom_options(struct shk_import *im, const struct shk_fb_table *table,
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

static enum shk_status import_op(struct shk_import *im, struct shk_fb_table table, uint32_t i)
{
    const struct shk_op_spelling *spelling = NULL;
    struct shk_op *op;
    struct shk_fb_vector inputs = shk_fb_vector(&table, OPERATOR_INPUTS, 4);
    struct shk_fb_vector outputs = shk_fb_vector(&table, OPERATOR_OUTPUTS, 4);
    enum shk_status status = shk_import_intact(im);
    if (!status)
        status = find_spelling(im, &table, i, &spelling);
    if (!status)
        status = shk_import_charge(im, sizeof(struct shk_op) + spelling->def->attrs_size);
    if (!status)
        status = shk_import_scratch(im, ((size_t)inputs.count + outputs.count + 1) * sizeof(uint32_t));
    if (status)
        return status;

    uint32_t *indices = im->scratch;
    shk_import_indices(&inputs, indices);
    shk_import_indices(&outputs, indices + inputs.count);
    status = shk_graph_add_op(im->graph, spelling, indices, inputs.count, indices + inputs.count,
                              outputs.count, &op, im->error);
    if (!status)
        status = spelling->builtin == SHK_BUILTIN_CUSTOM ? read_custom_options(im, &table, op)
                                                         : read_options(im, &table, op);
    return status ? status : shk_import_intact(im);
}

enum shk_status shk_import_ops(struct shk_import *im, const struct shk_fb_table *subgraph)
{
    struct shk_fb_vector ops = shk_fb_vector(subgraph, SUBGRAPH_OPERATORS, 4);
    if (ops.count > MAX_OPS)
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED, "%u ops, at most %d are supported", ops.count,
                               MAX_OPS);
    for (uint32_t i = 0; i < ops.count; i++) {
        enum shk_status status = import_op(im, shk_fb_vector_table(&ops, i), i);
        if (status)
            return status;
    }
    return shk_import_intact(im);
}
