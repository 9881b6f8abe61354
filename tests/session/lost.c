/* Devices that are lost and submissions that fail: this program stands between libshrike and Vulkan and
 * answers for it. SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include <shrike/gather.h>

#include "image_model.h"
#include "support.h"

#define BATCH 3

static struct shk_error error;

/* What the calls say, when it is not VK_SUCCESS, and how often they were made. */
static atomic_int queue_says, fence_says;
static atomic_uint submits, waits, endless_waits;

VKAPI_ATTR VkResult VKAPI_CALL vkQueueSubmit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                                             VkFence fence)
{
    PFN_vkQueueSubmit real = (PFN_vkQueueSubmit)dlsym(RTLD_NEXT, "vkQueueSubmit");
    int says = atomic_load(&queue_says);
    atomic_fetch_add(&submits, 1);
    return says ? (VkResult)says : real(queue, count, infos, fence);
}

/* Waits all the same, as what is in use must not be destroyed: in the end a device that was lost is through
 * with it. */
VKAPI_ATTR VkResult VKAPI_CALL vkWaitForFences(VkDevice device, uint32_t count, const VkFence *fences,
                                               VkBool32 all, uint64_t timeout)
{
    PFN_vkWaitForFences real = (PFN_vkWaitForFences)dlsym(RTLD_NEXT, "vkWaitForFences");
    int says = atomic_load(&fence_says);
    atomic_fetch_add(&waits, 1);
    if (atomic_load(&queue_says) == VK_ERROR_DEVICE_LOST || says == VK_ERROR_DEVICE_LOST)
        atomic_fetch_add(&endless_waits, timeout == UINT64_MAX);
    VkResult result = real(device, count, fences, all, timeout);
    return says ? (VkResult)says : result;
}

/* After that many pipelines more, each one fails; and how many there are. */
static atomic_int pipelines_left = INT_MAX, pipelines;

VKAPI_ATTR VkResult VKAPI_CALL vkCreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                                        const VkComputePipelineCreateInfo *infos,
                                                        const VkAllocationCallbacks *callbacks, VkPipeline *created)
{
    PFN_vkCreateComputePipelines real =
        (PFN_vkCreateComputePipelines)dlsym(RTLD_NEXT, "vkCreateComputePipelines");
    if (atomic_fetch_sub(&pipelines_left, 1) <= 0)
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkResult result = real(device, cache, count, infos, callbacks, created);
    atomic_fetch_add(&pipelines, result == VK_SUCCESS);
    return result;
}

VKAPI_ATTR void VKAPI_CALL vkDestroyPipeline(VkDevice device, VkPipeline pipeline,
                                             const VkAllocationCallbacks *callbacks)
{
    PFN_vkDestroyPipeline real = (PFN_vkDestroyPipeline)dlsym(RTLD_NEXT, "vkDestroyPipeline");
    atomic_fetch_sub(&pipelines, pipeline != VK_NULL_HANDLE);
    real(device, pipeline, callbacks);
}

struct fixture {
    struct shk_device *device;
    struct shk_model *model;
    struct shk_session *session;
    struct shk_stream *stream;
    struct shk_memory *memory;
    struct shk_batch_frame frames[BATCH];
};

static struct fixture setup(void)
{
    struct fixture f = {.device = test_device_open(0), .model = make_model()};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    const struct shk_frame_format format = {SHK_FORMAT_RGB, SIZE, SIZE, SHK_YUV_BT601, SHK_YUV_FULL};
    struct shk_memory_info info;
    params.batch_size = BATCH;
    params.frames_in_flight = 3;
    atomic_store(&queue_says, VK_SUCCESS);
    atomic_store(&fence_says, VK_SUCCESS);
    test_ok(shk_session_create(f.device, f.model, &params, &f.session, &error), &error);
    test_ok(shk_stream_create(f.session, &format, &f.stream, &error), &error);
    test_ok(shk_memory_alloc(f.device, BATCH * BYTES, &f.memory, &error), &error);
    shk_memory_get_info(f.memory, &info);
    test_random_bytes(&(struct test_rng){7}, info.map, BATCH * BYTES);
    for (size_t i = 0; i < BATCH; i++)
        f.frames[i] = (struct shk_batch_frame){
            f.stream, {.memory = f.memory, .offset = {i * BYTES}, .stride = {SIZE * 3}, .user = (void *)i}};
    atomic_store(&endless_waits, 0);
    return f;
}

static void teardown(struct fixture *f)
{
    shk_stream_destroy(&f->stream);
    shk_session_destroy(&f->session);
    shk_memory_unref(&f->memory);
    shk_model_destroy(&f->model);
    ck_assert_uint_eq(atomic_load(&endless_waits), 0);
    atomic_store(&queue_says, VK_SUCCESS);
    atomic_store(&fence_says, VK_SUCCESS);
    test_device_close(&f->device);
}

static enum shk_status submit(struct fixture *f, uint64_t *ticket)
{
    return shk_session_submit_batch(f->session, f->frames, BATCH, ticket, &error);
}

static enum shk_status wait(struct fixture *f, struct shk_result *result)
{
    return shk_session_wait(f->session, UINT64_MAX, result, &error);
}

/* That the frames of a batch are right is for the batch suite to see: here they are what they were the last
 * time. */
static void take(struct fixture *f, uint8_t outputs[BATCH][BYTES / 4])
{
    struct shk_result result;
    test_ok(wait(f, &result), &error);
    for (uint32_t i = 0; i < BATCH; i++)
        test_ok(shk_session_read_output(f->session, result.ticket, i, 0, outputs[i], BYTES / 4, &error),
                &error);
    shk_session_release(f->session, result.ticket);
}

static void expect_lost(enum shk_status status)
{
    ck_assert_msg(status == SHK_ERROR_DEVICE_LOST, "%s", shk_status_string(status));
    ck_assert_msg(strstr(error.message, "VK_ERROR_DEVICE_LOST") && strstr(error.message, "create it again"),
                  "%s", error.message);
}

/* A new device, and everything is as before. */
static void expect_recovery(const uint8_t expected[BATCH][BYTES / 4])
{
    struct fixture f = setup();
    uint8_t outputs[BATCH][BYTES / 4];
    test_ok(submit(&f, NULL), &error);
    take(&f, outputs);
    ck_assert_mem_eq(outputs, expected, sizeof(outputs));
    teardown(&f);
}

START_TEST(test_lost_by_submit)
{
    struct fixture f = setup();
    struct shk_result result;
    uint8_t expected[BATCH][BYTES / 4], pixels[BYTES] = {0};
    const void *inputs[] = {pixels};
    uint64_t ticket = 0;
    test_ok(submit(&f, NULL), &error);
    take(&f, expected);
    test_ok(submit(&f, NULL), &error); /* in flight when it happens */
    atomic_store(&queue_says, VK_ERROR_DEVICE_LOST);
    for (int i = 0; i < 8; i++) /* more often than there are slots: none is taken */
        expect_lost(submit(&f, &ticket));
    ck_assert_uint_eq(ticket, 0);
    atomic_store(&queue_says, VK_SUCCESS); /* a driver that does not stand by it */
    unsigned before = atomic_load(&submits);
    expect_lost(submit(&f, NULL));
    expect_lost(shk_session_submit_tensors(f.session, inputs, 1, NULL, NULL, &error));
    ck_assert_uint_eq(atomic_load(&submits), before);
    for (int i = 0; i < 4; i++)
        expect_lost(wait(&f, &result));
    atomic_store(&queue_says, VK_ERROR_DEVICE_LOST);
    teardown(&f);
    expect_recovery(expected);
}
END_TEST

START_TEST(test_lost_by_wait)
{
    struct fixture f = setup();
    struct shk_result result;
    uint8_t expected[BATCH][BYTES / 4];
    test_ok(submit(&f, NULL), &error);
    take(&f, expected);
    for (int i = 0; i < 3; i++)
        test_ok(submit(&f, NULL), &error);
    atomic_store(&fence_says, VK_ERROR_DEVICE_LOST);
    for (int i = 0; i < 4; i++)
        expect_lost(wait(&f, &result));
    expect_lost(shk_session_wait(f.session, 0, &result, &error));
    atomic_store(&fence_says, VK_SUCCESS);
    atomic_store(&endless_waits, 0); /* the first one could not know */
    expect_lost(wait(&f, &result));  /* what is in the outputs now is no result */
    shk_session_release(f.session, 2);
    ck_assert_int_eq(submit(&f, NULL), SHK_ERROR_BUSY); /* nothing was waited for */
    atomic_store(&fence_says, VK_ERROR_DEVICE_LOST);
    teardown(&f); /* with three batches in flight */
    expect_recovery(expected);
}
END_TEST

/* Another session finds out: what is one's own is as lost. */
START_TEST(test_sessions_share_the_loss)
{
    struct fixture f = setup();
    struct shk_session *other = NULL;
    struct shk_gather *gather = NULL;
    struct shk_memory *memory = NULL;
    struct shk_result result;
    uint8_t pixels[BYTES] = {0};
    const void *inputs[] = {pixels};
    test_ok(shk_session_create(f.device, f.model, NULL, &other, &error), &error);
    test_ok(shk_gather_create(f.device, 2, 0, &gather, &error), &error);
    test_ok(shk_session_submit_tensors(other, inputs, 1, NULL, NULL, &error), &error);
    test_ok(shk_gather_submit(gather, NULL, 0, NULL, 0, &memory, &error), &error);
    atomic_store(&queue_says, VK_ERROR_DEVICE_LOST);
    expect_lost(submit(&f, NULL));
    atomic_store(&queue_says, VK_SUCCESS);
    expect_lost(shk_session_wait(other, UINT64_MAX, &result, &error));
    expect_lost(shk_session_submit_tensors(other, inputs, 1, NULL, NULL, &error));
    for (int i = 0; i < 4; i++)
        expect_lost(shk_gather_submit(gather, NULL, 0, NULL, 0, &memory, &error));
    shk_gather_destroy(&gather);
    shk_session_destroy(&other);
    ck_assert_int_eq(shk_session_create(f.device, f.model, NULL, &other, &error), SHK_ERROR_DEVICE_LOST);
    ck_assert_ptr_null(other);
    teardown(&f);
}
END_TEST

/* A submission that fails for another reason leaves the slot as if it had not been tried. */
START_TEST(test_failed_submit)
{
    struct fixture f = setup();
    struct shk_result result;
    uint8_t expected[BATCH][BYTES / 4], outputs[BATCH][BYTES / 4], pixels[BYTES] = {0};
    const void *inputs[] = {pixels, pixels};
    uint64_t ticket = 0;
    test_ok(submit(&f, NULL), &error);
    take(&f, expected);
    for (uint64_t round = 0; round < 5; round++) {
        atomic_store(&queue_says, VK_ERROR_OUT_OF_HOST_MEMORY);
        ck_assert_int_eq(submit(&f, &ticket), SHK_ERROR_OUT_OF_HOST_MEMORY);
        ck_assert_int_eq(shk_session_submit_tensors(f.session, inputs, 2, NULL, NULL, &error),
                         SHK_ERROR_OUT_OF_HOST_MEMORY);
        ck_assert_int_eq(shk_session_wait(f.session, 0, &result, &error), SHK_ERROR_INVALID_ARGUMENT);
        atomic_store(&queue_says, VK_SUCCESS);
        test_ok(submit(&f, &ticket), &error);
        ck_assert_uint_eq(ticket, round + 2);
        take(&f, outputs);
        ck_assert_mem_eq(outputs, expected, sizeof(outputs));
    }
    atomic_store(&queue_says, VK_ERROR_OUT_OF_HOST_MEMORY);
    ck_assert_int_eq(submit(&f, NULL), SHK_ERROR_OUT_OF_HOST_MEMORY); /* and destroyed in that state */
    teardown(&f);
}
END_TEST

/* As is a wait that fails for another reason: the frame is still the oldest. */
START_TEST(test_failed_wait)
{
    struct fixture f = setup();
    struct shk_result result;
    uint8_t expected[BATCH][BYTES / 4], outputs[BATCH][BYTES / 4];
    test_ok(submit(&f, NULL), &error);
    take(&f, expected);
    test_ok(submit(&f, NULL), &error);
    atomic_store(&fence_says, VK_TIMEOUT);
    ck_assert_int_eq(wait(&f, &result), SHK_ERROR_TIMEOUT);
    ck_assert_uint_eq(result.ticket, 2);
    atomic_store(&fence_says, VK_ERROR_OUT_OF_HOST_MEMORY);
    ck_assert_int_eq(wait(&f, &result), SHK_ERROR_OUT_OF_HOST_MEMORY);
    atomic_store(&fence_says, VK_SUCCESS);
    take(&f, outputs);
    ck_assert_mem_eq(outputs, expected, sizeof(outputs));
    teardown(&f);
}
END_TEST

/* Pipelines are made by several threads: none is left over, whichever fails. */
START_TEST(test_failed_pipelines)
{
    struct shk_device *device = test_device_open(0);
    struct shk_model *model = NULL;
    struct shk_session *session = NULL;
    test_ok(shk_model_load_default(&model, &error), &error);
    test_ok(shk_session_create(device, model, NULL, &session, &error), &error);
    int needed = atomic_load(&pipelines);
    ck_assert_int_gt(needed, 3);
    shk_session_destroy(&session);
    for (int left = 0; left < needed; left++) {
        atomic_store(&pipelines_left, left);
        ck_assert_int_eq(shk_session_create(device, model, NULL, &session, &error),
                         SHK_ERROR_OUT_OF_DEVICE_MEMORY);
        ck_assert_msg(strstr(error.message, "VK_ERROR_OUT_OF_DEVICE_MEMORY") != NULL, "%s", error.message);
        ck_assert_ptr_null(session);
        ck_assert_int_eq(atomic_load(&pipelines), 0);
    }
    atomic_store(&pipelines_left, INT_MAX);
    test_ok(shk_session_create(device, model, NULL, &session, &error), &error);
    ck_assert_int_eq(atomic_load(&pipelines), needed);
    shk_session_destroy(&session);
    ck_assert_int_eq(atomic_load(&pipelines), 0);
    shk_model_destroy(&model);
    test_device_close(&device);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("lost");
    TCase *tests = tcase_create("lost");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_lost_by_submit);
    tcase_add_test(tests, test_lost_by_wait);
    tcase_add_test(tests, test_sessions_share_the_loss);
    tcase_add_test(tests, test_failed_submit);
    tcase_add_test(tests, test_failed_wait);
    tcase_add_test(tests, test_failed_pipelines);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    atomic_store(&submits, 0);
    int status = test_run_on_devices(make_suite);
    if (status == 0 && atomic_load(&submits) == 0) {
        fprintf(stderr, "libshrike's calls of Vulkan do not come by here\n");
        return 1;
    }
    return status;
}
