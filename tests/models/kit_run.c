/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kit_run.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hazard_check.h"
#include "support.h"

static void *read_input(const char *folder, uint32_t index, size_t expected)
{
    char path[512];
    size_t size = 0;
    snprintf(path, sizeof(path), "%s/in_%u.bin", folder, index);
    uint8_t *bytes = test_read_file(path, &size);
    if (!bytes) {
        snprintf(path, sizeof(path), "%s/in.bin", folder);
        bytes = test_read_file(path, &size);
    }
    if (!bytes || size != expected)
        ck_abort_msg("%s: %zu bytes, the model's input %u needs %zu", path, bytes ? size : 0, index,
                     expected);
    return bytes;
}

static size_t tensor_bytes(const struct shk_model *model, uint32_t tensor)
{
    struct shk_tensor_info info;
    shk_model_get_tensor(model, tensor, &info);
    return info.bytes;
}

/* One frame of each folder. */
static void submit(struct kit_run *run, const char *const *folders, uint32_t frames)
{
    struct shk_error error;
    struct shk_result result;
    void *inputs[KIT_BATCH * KIT_MAX_TENSORS];
    uint32_t per_frame = shk_model_input_count(run->model), count = frames * per_frame;
    ck_assert_uint_le(count, KIT_BATCH * KIT_MAX_TENSORS);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = k % per_frame;
        inputs[k] = read_input(folders[k / per_frame], i, tensor_bytes(run->model, shk_model_input(run->model, i)));
    }
    test_ok(shk_session_submit_tensors(run->session, (const void *const *)inputs, count, NULL, &run->ticket,
                                       &error),
            &error);
    test_ok(shk_session_wait(run->session, UINT64_MAX, &result, &error), &error);
    for (uint32_t k = 0; k < count; k++)
        free(inputs[k]);
}

static void read_outputs(struct kit_run *run, uint32_t frame)
{
    struct shk_error error;
    for (uint32_t i = 0; i < run->output_count; i++)
        test_ok(shk_session_read_output(run->session, run->ticket, frame, i, run->outputs[i], run->output_bytes[i],
                                        &error),
                &error);
}

static struct kit_run open_run(const char *model_path, struct shk_device *device,
                               const struct shk_session_params *params)
{
    struct kit_run run = {0};
    struct shk_error error;
    test_ok(shk_model_load_file(model_path, &run.model, &error), &error);
    test_ok(shk_session_create(device, run.model, params, &run.session, &error), &error);
    hazard_check(run.session);
    run.output_count = shk_model_output_count(run.model);
    ck_assert_uint_le(run.output_count, KIT_MAX_TENSORS);
    for (uint32_t i = 0; i < run.output_count; i++) {
        run.output_bytes[i] = tensor_bytes(run.model, shk_model_output(run.model, i));
        run.outputs[i] = malloc(run.output_bytes[i]);
    }
    return run;
}

struct kit_run kit_run(const char *model_path, const char *folder, struct shk_device *device,
                       bool keep_tensors)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    params.keep_tensors = keep_tensors;
    struct kit_run run = open_run(model_path, device, &params);
    submit(&run, &folder, 1);
    read_outputs(&run, 0);
    return run;
}

void kit_run_check_batch(const char *model_path, char folders[KIT_BATCH][512], struct shk_device *device)
{
    const char *const list[KIT_BATCH] = {folders[0], folders[1], folders[2]};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    params.batch_size = KIT_BATCH;
    struct kit_run run = open_run(model_path, device, &params);
    submit(&run, list, KIT_BATCH);
    for (uint32_t frame = 0; frame < KIT_BATCH; frame++) {
        read_outputs(&run, frame);
        for (uint32_t i = 0; i < run.output_count; i++)
            kit_run_check_output(&run, folders[frame], i, kit_where(device));
    }
    kit_run_finish(&run);
}

void kit_run_finish(struct kit_run *run)
{
    shk_session_release(run->session, run->ticket);
    shk_session_destroy(&run->session);
    shk_model_destroy(&run->model);
    for (uint32_t i = 0; i < run->output_count; i++)
        free(run->outputs[i]);
}

static bool is_detection(const struct shk_model *model)
{
    struct shk_op_info info;
    shk_model_get_op(model, shk_model_op_count(model) - 1, &info);
    return strcmp(info.name, "TFLite_Detection_PostProcess") == 0;
}

/* Distance in representable numbers; both are finite. */
static int64_t ulps(float a, float b)
{
    int32_t bits[2];
    memcpy(&bits[0], &a, 4);
    memcpy(&bits[1], &b, 4);
    for (int i = 0; i < 2; i++)
        if (bits[i] < 0)
            bits[i] = INT32_MIN - bits[i];
    return llabs((int64_t)bits[0] - bits[1]);
}

static void check_detection(const struct kit_run *run, const float *want, uint32_t index, const char *folder,
                            const char *where)
{
    const float *found = run->outputs[index];
    size_t rows = (size_t)((const float *)run->outputs[3])[0];
    size_t count = index == 3 ? 1 : index == 0 ? rows * 4 : rows;
    int64_t limit = index == 0 || index == 2 ? 1 : 0;
    ck_assert_uint_le(count * 4, run->output_bytes[index]);
    for (size_t i = 0; i < count; i++)
        if (ulps(found[i], want[i]) > limit)
            ck_abort_msg("%s on %s: output %u[%zu] is %.9g, expected %.9g", folder, where, index, i,
                         (double)found[i], (double)want[i]);
}

void kit_run_check_output(const struct kit_run *run, const char *folder, uint32_t index, const char *where)
{
    char path[512];
    size_t size = 0, at = 0, wrong = 0;
    snprintf(path, sizeof(path), "%s/out_%u.bin", folder, index);
    uint8_t *want = test_read_file(path, &size);
    const uint8_t *found = run->outputs[index];
    if (!want || size != run->output_bytes[index])
        ck_abort_msg("%s: %zu bytes, the model's output %u has %zu", path, want ? size : 0, index,
                     run->output_bytes[index]);
    if (is_detection(run->model)) {
        check_detection(run, (const float *)(const void *)want, index, folder, where);
    } else {
        for (size_t i = size; i-- > 0;)
            if (found[i] != want[i]) {
                wrong++;
                at = i;
            }
        if (wrong)
            ck_abort_msg(
                "%s on %s: output %u differs in %zu of %zu bytes, first at byte %zu: %d, expected %d", folder,
                where, index, wrong, size, at, (int8_t)found[at], (int8_t)want[at]);
    }
    free(want);
}

const char *kit_where(struct shk_device *device)
{
    static char name[sizeof(((struct shk_device_info *)0)->name)];
    struct shk_device_info info;
    if (!device)
        return "the reference";
    shk_device_get_info(device, &info);
    snprintf(name, sizeof(name), "%s", info.name);
    return name;
}
