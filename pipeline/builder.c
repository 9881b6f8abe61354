/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <shrike/builder.h>

#include <stdlib.h>
#include <string.h>

#include "attr_text.h"
#include "export_tflite.h"
#include "file.h"
#include "graph.h"
#include "op.h"
#include "utf8.h"

struct shk_builder {
    struct shk_graph *graph;
    struct shk_error error; /* the first one; status SHK_OK: none yet */
};

struct shk_builder *shk_builder_create(void)
{
    struct shk_builder *builder = calloc(1, sizeof(*builder));
    if (!builder)
        return NULL;
    builder->graph = shk_graph_create("new model");
    if (!builder->graph)
        shk_builder_destroy(&builder);
    return builder;
}

void shk_builder_destroy(struct shk_builder **builder)
{
    if (!builder || !*builder)
        return;
    shk_graph_destroy(&(*builder)->graph);
    free(*builder);
    *builder = NULL;
}

/* What is wrong with the caller's arguments is SHK_ERROR_INVALID_ARGUMENT, also where the graph, which mostly
 * sees files, calls it a bad model. */
static void blame_caller(struct shk_builder *builder)
{
    if (builder->error.status == SHK_ERROR_BAD_MODEL)
        builder->error.status = SHK_ERROR_INVALID_ARGUMENT;
}

int32_t shk_builder_tensor(struct shk_builder *builder, const char *name, enum shk_dtype dtype, uint32_t rank,
                           const int32_t *dims, uint32_t quant_count, const float *scales,
                           const int32_t *zero_points, uint32_t quant_axis, const void *data, size_t bytes)
{
    if (builder->error.status)
        return -1;
    struct shk_tensor_desc desc = {
        .name = name ? name : "",
        .dtype = dtype,
        .shape.rank = rank,
        .quant_count = quant_count,
        .quant_axis = quant_count > 1 ? quant_axis : 0,
        .scales = scales,
        .zero_points = zero_points,
        .data = data,
        .data_bytes = bytes,
    };
    uint32_t index = 0;
    if (!shk_utf8_is_line(desc.name, strlen(desc.name)) || shk_dtype_size(dtype) == 0 ||
        rank > SHK_MAX_RANK || (rank && !dims) || (quant_count && !scales)) {
        shk_fail(&builder->error, SHK_ERROR_INVALID_ARGUMENT,
                 "tensor %u: its name is not one line of UTF-8, its type is unknown, it has more than %d "
                 "dimensions, or an array is missing",
                 builder->graph->tensor_count, SHK_MAX_RANK);
        return -1;
    }
    if (rank)
        memcpy(desc.shape.dims, dims, rank * sizeof(*dims));
    if (shk_graph_add_tensor(builder->graph, &desc, &index, &builder->error)) {
        blame_caller(builder);
        return -1;
    }
    return (int32_t)index;
}

void shk_builder_op(struct shk_builder *builder, const char *name, const int32_t *inputs,
                    uint32_t input_count, const int32_t *outputs, uint32_t output_count,
                    const char *attributes)
{
    struct shk_op *op;
    if (builder->error.status)
        return;
    const struct shk_op_spelling *spelling = shk_op_find_name(name);
    if (!spelling) {
        char supported[800];
        shk_op_list_supported(supported, sizeof(supported));
        shk_fail(&builder->error, SHK_ERROR_INVALID_ARGUMENT, "op %u: there is no op '%s'; supported: %s",
                 builder->graph->op_count, name, supported);
        return;
    }
    /* -1 and SHK_TENSOR_NONE are the same bits */
    if (!shk_graph_add_op(builder->graph, spelling, (const uint32_t *)inputs, input_count,
                          (const uint32_t *)outputs, output_count, &op, &builder->error))
        shk_attrs_from_text(spelling, op->attrs, attributes, &builder->error);
    blame_caller(builder);
}

void shk_builder_set_inputs(struct shk_builder *builder, const int32_t *tensors, uint32_t count)
{
    if (builder->error.status)
        return;
    shk_graph_set_inputs(builder->graph, (const uint32_t *)tensors, count, &builder->error);
    blame_caller(builder);
}

void shk_builder_set_outputs(struct shk_builder *builder, const int32_t *tensors, uint32_t count)
{
    if (builder->error.status)
        return;
    shk_graph_set_outputs(builder->graph, (const uint32_t *)tensors, count, &builder->error);
    blame_caller(builder);
}

enum shk_status shk_builder_serialize(struct shk_builder *builder, void **data, size_t *size,
                                      struct shk_error *error)
{
    const struct shk_graph *graph = builder->graph;
    if (builder->error.status)
        return shk_fail(error, builder->error.status, "%s", builder->error.message);
    if (graph->input_count == 0 || graph->output_count == 0)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%s: no inputs or no outputs are set",
                        graph->name);

    void *bytes;
    size_t length;
    struct shk_model *model;
    enum shk_status status = shk_export_tflite(graph, &bytes, &length, error);
    if (status)
        return status;
    status = shk_model_load_memory(bytes, length, graph->name, &model, error);
    if (status) {
        free(bytes);
        return status;
    }
    shk_model_destroy(&model);
    *data = bytes;
    *size = length;
    return SHK_OK;
}

enum shk_status shk_builder_save(struct shk_builder *builder, const char *path, struct shk_error *error)
{
    void *data;
    size_t size;
    enum shk_status status = shk_builder_serialize(builder, &data, &size, error);
    if (status)
        return status;
    status = shk_file_write(path, data, size, error);
    free(data);
    return status;
}
