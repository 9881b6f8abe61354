/* Loads the bytes as a model and, if that succeeds, looks at all of it and writes it again.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export_tflite.h"
#include "fuzz.h"
#include "utf8.h"

#define require(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static void look_at(const struct shk_model *model)
{
    struct shk_tensor_info tensor;
    struct shk_op_info op;
    for (uint32_t i = 0; i < shk_model_tensor_count(model); i++) {
        shk_model_get_tensor(model, i, &tensor);
        require(tensor.rank <= SHK_MAX_RANK && tensor.bytes > 0);
        require(shk_utf8_is_line(tensor.name, strlen(tensor.name)));
    }
    for (uint32_t i = 0; i < shk_model_op_count(model); i++) {
        shk_model_get_op(model, i, &op);
        for (uint32_t k = 0; k < op.output_count; k++)
            require(op.outputs[k] < shk_model_tensor_count(model));
    }
    require((shk_model_decoder(model) == SHK_DECODER_NONE) == (shk_model_class_count(model) == 0));
}

static void write_again(const struct shk_model *model)
{
    void *data = NULL;
    size_t size = 0;
    struct shk_model *again = NULL;
    struct shk_error error;
    require(shk_export_tflite(shk_model_graph(model), &data, &size, &error) == SHK_OK);
    if (shk_model_load_memory(data, size, "again", &again, &error)) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    require(shk_model_op_count(again) == shk_model_op_count(model));
    shk_model_destroy(&again);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shk_model *model = NULL;
    struct shk_error error = {0};
    enum shk_status status = shk_model_load_memory(data, size, "fuzz", &model, &error);
    if (status) {
        require(!model && error.status == status);
        require(status == SHK_ERROR_BAD_MODEL || status == SHK_ERROR_UNSUPPORTED);
        require(strncmp(error.message, "fuzz: ", 6) == 0);
        require(shk_utf8_is_line(error.message, strlen(error.message)));
        return 0;
    }
    look_at(model);
    write_again(model);
    shk_model_destroy(&model);
    return 0;
}
