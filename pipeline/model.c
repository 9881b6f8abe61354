/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "op.h"

#define MAX_SIDECAR_BYTES ((size_t)64 << 10)

size_t shk_dtype_size(enum shk_dtype dtype)
{
    switch (dtype) {
    case SHK_DTYPE_INT8:
    case SHK_DTYPE_UINT8:
        return 1;
    case SHK_DTYPE_INT32:
    case SHK_DTYPE_FLOAT32:
        return 4;
    case SHK_DTYPE_INT64:
        return 8;
    }
    return 0;
}

const char *shk_dtype_string(enum shk_dtype dtype)
{
    switch (dtype) {
    case SHK_DTYPE_INT8:
        return "int8";
    case SHK_DTYPE_UINT8:
        return "uint8";
    case SHK_DTYPE_INT32:
        return "int32";
    case SHK_DTYPE_INT64:
        return "int64";
    case SHK_DTYPE_FLOAT32:
        return "float32";
    }
    return "unknown";
}

enum shk_status shk_model_from_graph(struct shk_graph **graph, struct shk_model **model, struct shk_error *error)
{
    enum shk_status status = shk_graph_check(*graph, error);
    struct shk_model *m = NULL;
    if (!status && !(m = calloc(1, sizeof(*m))))
        status = shk_fail_oom(error, sizeof(*m), "model");
    if (status) {
        shk_graph_destroy(graph);
        return status;
    }
    atomic_init(&m->refs, 1);
    m->graph = *graph;
    shk_detector_init(&m->detector, m->graph, &(struct shk_modelinfo){.path = NULL}, NULL);
    *graph = NULL;
    *model = m;
    return SHK_OK;
}

static enum shk_status apply_sidecar(struct shk_model *model, char *text, size_t size, const char *path,
                                     struct shk_error *error)
{
    struct shk_modelinfo info;
    enum shk_status status = shk_modelinfo_parse(text, size, path, model->graph, &info, error);
    if (!status)
        status = shk_detector_init(&model->detector, model->graph, &info, error);
    if (status)
        return status;
    memcpy(model->mean, info.mean, sizeof(model->mean));
    memcpy(model->std, info.std, sizeof(model->std));
    model->bgr = info.bgr;
    return SHK_OK;
}

enum shk_status shk_model_read_sidecar(struct shk_model *model, const char *path, struct shk_error *error)
{
    char *sidecar;
    uint8_t *text = NULL;
    size_t size;
    enum shk_status status = shk_modelinfo_find(path, &sidecar, error);
    if (sidecar)
        status = shk_file_read(sidecar, MAX_SIDECAR_BYTES, &text, &size, error);
    if (sidecar && !status)
        status = apply_sidecar(model, (char *)text, size, sidecar, error);
    free(text);
    free(sidecar);
    return status;
}

const struct shk_graph *shk_model_graph(const struct shk_model *model)
{
    return model->graph;
}

struct shk_model *shk_model_ref(struct shk_model *model)
{
    atomic_fetch_add(&model->refs, 1);
    return model;
}

void shk_model_destroy(struct shk_model **model)
{
    if (!model || !*model)
        return;
    if (atomic_fetch_sub(&(*model)->refs, 1) == 1) {
        shk_graph_destroy(&(*model)->graph);
        free(*model);
    }
    *model = NULL;
}

const char *shk_model_name(const struct shk_model *model)
{
    return model->graph->name;
}

uint32_t shk_model_input_count(const struct shk_model *model)
{
    return model->graph->input_count;
}

uint32_t shk_model_output_count(const struct shk_model *model)
{
    return model->graph->output_count;
}

uint32_t shk_model_tensor_count(const struct shk_model *model)
{
    return model->graph->tensor_count;
}

uint32_t shk_model_op_count(const struct shk_model *model)
{
    return model->graph->op_count;
}

uint32_t shk_model_input(const struct shk_model *model, uint32_t i)
{
    return model->graph->inputs[i];
}

uint32_t shk_model_output(const struct shk_model *model, uint32_t i)
{
    return model->graph->outputs[i];
}

void shk_model_get_tensor(const struct shk_model *model, uint32_t index, struct shk_tensor_info *info)
{
    const struct shk_tensor *t = &model->graph->tensors[index];
    *info = (struct shk_tensor_info){
        .name = t->name,
        .dtype = t->legacy_uint8 ? SHK_DTYPE_UINT8 : t->dtype,
        .rank = t->shape.rank,
        .bytes = t->bytes,
        .constant = t->data != NULL,
        .quant_count = t->quant.count,
        .quant_axis = t->quant.axis,
        .scales = t->quant.scales,
        .zero_points = t->quant.file_zero_points,
    };
    memcpy(info->dims, t->shape.dims, sizeof(info->dims));
}

/* "stride_h 2 padding SAME": every attribute, as the schema spells it. */
static void describe_attrs(const struct shk_op *op, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < op->spelling->attr_count && at < size; i++) {
        const struct shk_attr *a = &op->spelling->attrs[i];
        const struct shk_int32_list *list = (const void *)((const unsigned char *)op->attrs + a->offset);
        double value = 0.0;
        shk_op_get_attr(op, a->name, &value);
        at += (size_t)snprintf(text + at, size - at, i ? " %s" : "%s", a->name);
        if (a->type == SHK_ATTR_ENUM && at < size)
            at += (size_t)snprintf(text + at, size - at, " %s", a->enum_names[(int)value]);
        else if (a->type != SHK_ATTR_LIST && at < size)
            at += (size_t)snprintf(text + at, size - at, " %g", value);
        for (uint32_t k = 0; a->type == SHK_ATTR_LIST && k < list->count && at < size; k++)
            at += (size_t)snprintf(text + at, size - at, k ? ",%d" : " %d", list->values[k]);
    }
}

void shk_model_get_op(const struct shk_model *model, uint32_t index, struct shk_op_info *info)
{
    const struct shk_graph *graph = model->graph;
    const struct shk_op *op = &graph->ops[index];
    *info = (struct shk_op_info){
        .name = op->spelling->name,
        .kernel = op->def->name,
        .inputs = op->inputs,
        .input_count = op->input_count,
        .outputs = op->outputs,
        .output_count = op->output_count,
        .macs = op->def->macs ? op->def->macs(graph, op) : 0,
    };
    info->flops = 2 * info->macs;
    if (info->macs == 0 && !op->def->is_view && op->output_count > 0)
        info->flops = shk_shape_elements(&shk_op_output(graph, op, 0)->shape);
    for (uint32_t i = 0; i < op->input_count; i++) {
        const struct shk_tensor *t = shk_op_input(graph, op, i);
        if (t && t->data && op->def->macs)
            info->parameters += shk_shape_elements(&t->shape);
    }
    if (op->def->describe)
        op->def->describe(graph, op, info->attributes, sizeof(info->attributes));
    else
        describe_attrs(op, info->attributes, sizeof(info->attributes));
}

enum shk_decoder shk_model_decoder(const struct shk_model *model)
{
    return model->detector.def ? model->detector.def->decoder : SHK_DECODER_NONE;
}

uint32_t shk_model_class_count(const struct shk_model *model)
{
    return model->detector.class_count;
}
