/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "tflite_schema.h"
#include "utf8.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)

enum shk_status shk_import_intact(const struct shk_import *im)
{
    if (!im->fb.corrupt)
        return SHK_OK;
    return shk_import_fail(im, SHK_ERROR_BAD_MODEL, "the file is corrupt: %s (byte %zu of %zu)",
                           im->fb.corrupt, im->fb.corrupt_at, im->fb.size);
}

enum shk_status shk_import_charge(struct shk_import *im, size_t bytes)
{
    if (bytes > im->budget)
        return shk_import_fail(im, SHK_ERROR_BAD_MODEL,
                               "the file of %zu bytes is corrupt: it repeats its content too often",
                               im->fb.size);
    im->budget -= bytes;
    return SHK_OK;
}

enum shk_status shk_import_scratch(struct shk_import *im, size_t bytes)
{
    enum shk_status status = shk_import_charge(im, bytes);
    if (status || bytes <= im->scratch_size)
        return status;
    void *moved = realloc(im->scratch, bytes);
    if (!moved)
        return shk_fail_oom(im->error, bytes, im->graph->name);
    im->scratch = moved;
    im->scratch_size = bytes;
    return SHK_OK;
}

void shk_import_string(const struct shk_fb_vector *string, char *text, size_t size)
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

void shk_import_indices(const struct shk_fb_vector *vector, uint32_t *indices)
{
    for (uint32_t i = 0; i < vector->count; i++)
        indices[i] = (uint32_t)shk_fb_vector_int(vector, i, 4);
}

/* Shapes that are known only when the model runs; the batch is taken as the file's shape has it. */
static enum shk_status check_static(struct shk_import *im, const struct shk_fb_table *subgraph,
                                    uint32_t tensor)
{
    struct shk_fb_vector tensors = shk_fb_vector(subgraph, SUBGRAPH_TENSORS, 4);
    if (tensor >= tensors.count)
        return SHK_OK;
    struct shk_fb_table table = shk_fb_vector_table(&tensors, tensor);
    struct shk_fb_vector signature = shk_fb_vector(&table, TENSOR_SHAPE_SIGNATURE, 4);
    for (uint32_t i = 1; i < signature.count; i++)
        if (shk_fb_vector_int(&signature, i, 4) < 0)
            return shk_import_fail(im, SHK_ERROR_UNSUPPORTED,
                                   "dimension %u of the input '%s' is dynamic; convert the model with "
                                   "a fixed input shape",
                                   i, im->graph->tensors[tensor].name);
    return shk_import_intact(im);
}

static enum shk_status import_edges(struct shk_import *im, const struct shk_fb_table *subgraph)
{
    struct shk_fb_vector inputs = shk_fb_vector(subgraph, SUBGRAPH_INPUTS, 4);
    struct shk_fb_vector outputs = shk_fb_vector(subgraph, SUBGRAPH_OUTPUTS, 4);
    enum shk_status status = shk_import_intact(im);
    if (!status)
        status =
            shk_import_scratch(im, ((size_t)SHK_MAX(inputs.count, outputs.count) + 1) * sizeof(uint32_t));
    if (status)
        return status;
    shk_import_indices(&inputs, im->scratch);
    status = shk_graph_set_inputs(im->graph, im->scratch, inputs.count, im->error);
    for (uint32_t i = 0; i < inputs.count && !status; i++)
        status = check_static(im, subgraph, im->graph->inputs[i]);
    if (status)
        return status;
    shk_import_indices(&outputs, im->scratch);
    return shk_graph_set_outputs(im->graph, im->scratch, outputs.count, im->error);
}

static enum shk_status import_model(struct shk_import *im)
{
    if (!shk_fb_has_identifier(&im->fb, TFLITE_IDENTIFIER))
        return shk_import_fail(im, SHK_ERROR_BAD_MODEL,
                               "this is not a TensorFlow Lite model: %zu bytes without the identifier "
                               "%s",
                               im->fb.size, TFLITE_IDENTIFIER);
    struct shk_fb_table model = shk_fb_root(&im->fb);
    struct shk_fb_vector subgraphs = shk_fb_vector(&model, MODEL_SUBGRAPHS, 4);
    uint32_t version = (uint32_t)shk_fb_int(&model, MODEL_VERSION, 4, 0);
    im->codes = shk_fb_vector(&model, MODEL_OPERATOR_CODES, 4);
    im->buffers = shk_fb_vector(&model, MODEL_BUFFERS, 4);
    enum shk_status status = shk_import_intact(im);
    if (status)
        return status;
    if (version != TFLITE_VERSION)
        return shk_import_fail(im, SHK_ERROR_UNSUPPORTED, "schema version %u, expected %d", version,
                               TFLITE_VERSION);
    if (subgraphs.count == 0)
        return shk_import_fail(im, SHK_ERROR_BAD_MODEL, "%s", "the model is empty: it has no subgraph");
    /* only control flow, which is not supported, refers to the other subgraphs */
    struct shk_fb_table subgraph = shk_fb_vector_table(&subgraphs, 0);
    status = shk_import_tensors(im, &subgraph);
    if (!status)
        status = shk_import_ops(im, &subgraph);
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
    struct shk_import im = {
        .fb = {.data = data, .size = size},
        .graph = shk_graph_create(shown),
        .error = error,
        .budget = 16 * size + ((size_t)16 << 20),
    };
    if (!im.graph)
        return shk_fail_oom(error, sizeof(*im.graph), shown);
    shk_graph_expect(im.graph, size + size / 8); /* the weights are nearly all of the file */
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
    struct shk_model *m = NULL;
    status = shk_model_load_memory(data, size, path, &m, error);
    free(data);
    if (!status)
        status = shk_model_read_sidecar(m, path, error);
    if (status)
        shk_model_destroy(&m);
    else
        *model = m;
    return status;
}
