/* Loads the bytes as a model and, if it is a small one, plans it and runs it on the CPU reference: what an
 * op's check lets through must be safe to run. Built with FUZZ_DEVICE it runs on the best Vulkan device as
 * well, under the validation layer, and the outputs must be equal. SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/session.h>

#include "fuzz.h"
#include "support.h"
#include "validation.h"

#define MAX_BYTES (1u << 20)
#define MAX_MACS  4000000u

/* One for the life of the process. */
static struct shk_device *get_device(void)
{
    static struct shk_device *device;
#ifdef FUZZ_DEVICE
    struct shk_error error;
    const struct shk_device_params params = {.validation = test_validation(), .log = test_log()};
    if (!device && shk_device_create(&params, &device, &error)) {
        fprintf(stderr, "skipped: %s\n", error.message);
        exit(TEST_SKIP);
    }
#endif
    return device;
}

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

static void *allocate(size_t bytes)
{
    void *p = calloc(1, bytes);
    if (!p)
        abort();
    return p;
}

static void require_ok(enum shk_status status, const struct shk_error *error)
{
    if (status) {
        fprintf(stderr, "%s\n", error->message);
        abort();
    }
}

/* Outputs one after the other in `outputs`. False if the session cannot be created. */
static bool run(struct shk_device *device, struct shk_model *model, const void *const *inputs,
                uint8_t *outputs)
{
    struct shk_session *session;
    struct shk_error error;
    struct shk_result result;
    struct shk_tensor_info tensor;
    uint64_t ticket;
    if (shk_session_create(device, model, NULL, &session, NULL))
        return false;
    require_ok(
        shk_session_submit_tensors(session, inputs, shk_model_input_count(model), NULL, &ticket, &error),
        &error);
    require_ok(shk_session_wait(session, UINT64_MAX, &result, &error), &error);
    for (uint32_t i = 0; i < shk_model_output_count(model); i++) {
        shk_model_get_tensor(model, shk_model_output(model, i), &tensor);
        require_ok(shk_session_read_output(session, ticket, 0, i, outputs, tensor.bytes, &error), &error);
        outputs += tensor.bytes;
    }
    shk_session_release(session, ticket);
    shk_session_destroy(&session);
    return true;
}

static size_t output_bytes(const struct shk_model *model)
{
    size_t bytes = 1;
    struct shk_tensor_info tensor;
    for (uint32_t i = 0; i < shk_model_output_count(model); i++) {
        shk_model_get_tensor(model, shk_model_output(model, i), &tensor);
        bytes += tensor.bytes;
    }
    return bytes;
}

static void run_everywhere(struct shk_model *model)
{
    uint32_t count = shk_model_input_count(model);
    size_t bytes = output_bytes(model);
    const void **inputs = allocate(count * sizeof(*inputs));
    uint8_t *input = allocate(MAX_BYTES), *expected = allocate(bytes), *found = allocate(bytes);
    for (uint32_t i = 0; i < MAX_BYTES; i++)
        input[i] = (uint8_t)(i * 37 + (i >> 8));
    for (uint32_t i = 0; i < count; i++)
        inputs[i] = input;
    bool ran = run(NULL, model, inputs, expected);
    if (ran && get_device() && run(get_device(), model, inputs, found) &&
        ((shk_model_decoder(model) != SHK_DECODER_SSD && memcmp(expected, found, bytes) != 0) ||
         test_validation_messages())) {
        fprintf(stderr,
                "the device's outputs differ from the reference's, or the validation layer objects\n");
        abort();
    }
    free(inputs);
    free(input);
    free(expected);
    free(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shk_model *model = NULL;
    struct shk_memory_report report;
    if (shk_model_load_memory(data, size, "fuzz", &model, NULL))
        return 0;
    if (is_small(model) && !shk_model_get_memory(model, 0, &report, NULL))
        run_everywhere(model);
    shk_model_destroy(&model);
    return 0;
}
