/* Loads the bytes as a model and, if it is a small one, plans it and runs it on the CPU reference: what an
 * op's check lets through must be safe to run. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/session.h>

#include "fuzz.h"

#define MAX_BYTES (1u << 20)
#define MAX_MACS  4000000u

static bool is_small(const struct shk_model *model)
{
    size_t bytes = 0;
    uint64_t macs = 0;
    struct shk_tensor_info tensor;
    struct shk_op_info op;
    for (uint32_t i = 0; i < shk_model_tensor_count(model) && bytes <= MAX_BYTES; i++) {
        shk_model_get_tensor(model, i, &tensor);
        bytes += tensor.bytes;
    }
    for (uint32_t i = 0; i < shk_model_op_count(model) && macs <= MAX_MACS; i++) {
        shk_model_get_op(model, i, &op);
        macs += op.macs;
    }
    return bytes <= MAX_BYTES && macs <= MAX_MACS;
}

static void run(struct shk_session *session, const struct shk_model *model, const void *bytes)
{
    uint32_t count = shk_model_input_count(model);
    const void **inputs = malloc(count * sizeof(*inputs));
    struct shk_error error;
    struct shk_result result;
    uint64_t ticket;
    if (!inputs)
        abort();
    for (uint32_t i = 0; i < count; i++)
        inputs[i] = bytes;
    if (shk_session_submit_tensors(session, inputs, count, NULL, &ticket, &error) ||
        shk_session_wait(session, UINT64_MAX, &result, &error)) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    shk_session_release(session, ticket);
    free(inputs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shk_model *model = NULL;
    struct shk_session *session = NULL;
    struct shk_memory_report report;
    if (shk_model_load_memory(data, size, "fuzz", &model, NULL))
        return 0;
    if (is_small(model) && !shk_model_get_memory(model, &report, NULL) &&
        !shk_session_create(NULL, model, NULL, &session, NULL)) {
        uint8_t *bytes = malloc(MAX_BYTES);
        if (!bytes)
            abort();
        for (size_t i = 0; i < MAX_BYTES; i++)
            bytes[i] = (uint8_t)(i * 37 + (i >> 8));
        run(session, model, bytes);
        free(bytes);
    }
    shk_session_destroy(&session);
    shk_model_destroy(&model);
    return 0;
}
