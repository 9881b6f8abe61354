/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "slot.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

static struct shk_error error;

/* Straight into memory that the CPU sees, and (_i) through staging, as where it does not. */
START_TEST(test_write_read)
{
    struct shk_device *device = test_device();
    struct test_rng rng = {1};
    const size_t size = (9 << 20) + 5; /* three chunks of staging, the last one odd */
    uint8_t *in = malloc(size), *out = malloc(size);
    struct shk_buffer buffer;

    test_random_bytes(&rng, in, size);
    test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, size, 0, &buffer, &error), &error);
    struct shk_buffer whole = buffer;
    if (_i)
        buffer.map = NULL;
    test_ok(shk_buffer_write(device, &buffer, 0, in, size, &error), &error);
    test_ok(shk_buffer_read(device, &buffer, 0, out, size, &error), &error);
    ck_assert_mem_eq(in, out, size);

    test_ok(shk_buffer_write(device, &buffer, 7, in, 3, &error), &error);
    memcpy(in + 7, in, 3);
    test_ok(shk_buffer_read(device, &buffer, 1, out, 100, &error), &error);
    ck_assert_mem_eq(in + 1, out, 100);
    test_ok(shk_buffer_write(device, &buffer, size, in, 0, &error), &error);

    ck_assert_int_eq(shk_buffer_write(device, &buffer, 6, in, size - 5, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_buffer_read(device, &buffer, UINT64_MAX, out, 2, &error),
                     SHK_ERROR_INVALID_ARGUMENT);
    shk_pool_free(device->pool, &whole);
    free(in);
    free(out);
}
END_TEST

/* Command buffers of a slot, replayed, with timestamps around the copies: the first one and either variant of the
 * second, of which one copies less. */
START_TEST(test_replay)
{
    struct shk_device *device = test_device();
    struct test_rng rng = {2};
    uint8_t bytes[4096];
    struct shk_buffer middle;
    struct shk_slot slot;

    test_ok(shk_slot_init(device, sizeof(bytes), sizeof(bytes), 4, 2, &slot, &error), &error);
    test_ok(shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, sizeof(bytes), 0, &middle, &error), &error);
    for (uint32_t which = 0; which < SHK_COMMANDS_INFERENCE + 2; which++) {
        const struct shk_buffer *from = which ? &middle : &slot.input;
        const struct shk_buffer *to = which ? &slot.output : &middle;
        const VkBufferCopy region = {from->offset, to->offset, which < 2 ? sizeof(bytes) : 100};
        VkCommandBuffer commands = slot.commands[which];
        uint32_t query = which ? 2 : 0;
        test_ok(shk_slot_begin(device, &slot, which, &error), &error);
        if (slot.queries) {
            vkCmdResetQueryPool(commands, slot.queries, query, 2);
            vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, slot.queries, query);
        }
        vkCmdCopyBuffer(commands, from->buffer, to->buffer, 1, &region);
        shk_cmd_barrier(commands);
        if (slot.queries)
            vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, slot.queries, query + 1);
        test_ok(shk_slot_end(device, &slot, which, &error), &error);
    }
    for (int round = 0; round < 5; round++) {
        uint64_t ticks[4];
        const uint32_t which[] = {SHK_COMMANDS_PREPROCESS, SHK_COMMANDS_INFERENCE + (uint32_t)round % 2};
        const size_t size = round % 2 ? 100 : sizeof(bytes);
        test_random_bytes(&rng, bytes, sizeof(bytes));
        memcpy(slot.input.map, bytes, sizeof(bytes));
        test_ok(shk_buffer_flush(device, &slot.input, 0, sizeof(bytes), &error), &error);
        test_ok(shk_slot_submit(device, &slot, which, 2, &error), &error);
        test_ok(shk_slot_wait(device, &slot, UINT64_MAX, &error), &error);
        test_ok(shk_buffer_invalidate(device, &slot.output, 0, sizeof(bytes), &error), &error);
        ck_assert_mem_eq(slot.output.map, bytes, size);
        if (round % 2)
            ck_assert_mem_ne(slot.output.map, bytes, sizeof(bytes));
        bool timed = shk_slot_timestamps(device, &slot, 0, 4, ticks);
        ck_assert_int_eq(timed, device->info.timestamps);
        if (timed)
            ck_assert_uint_le(ticks[0], ticks[3]);
        ck_assert(!shk_slot_timestamps(device, &slot, 1, 4, ticks));
    }
    shk_pool_free(device->pool, &middle);
    shk_slot_finish(device, &slot);
}
END_TEST

/* The second command buffer alone reads what the first one left. */
START_TEST(test_submit_from_second)
{
    struct shk_device *device = test_device();
    struct shk_slot slot;

    test_ok(shk_slot_init(device, 16, 16, 0, 1, &slot, &error), &error);
    ck_assert_ptr_null(slot.queries);
    const VkBufferCopy region = {slot.input.offset, slot.output.offset, 16};
    test_ok(shk_slot_begin(device, &slot, SHK_COMMANDS_INFERENCE, &error), &error);
    vkCmdCopyBuffer(slot.commands[SHK_COMMANDS_INFERENCE], slot.input.buffer, slot.output.buffer, 1, &region);
    shk_cmd_barrier(slot.commands[SHK_COMMANDS_INFERENCE]);
    test_ok(shk_slot_end(device, &slot, SHK_COMMANDS_INFERENCE, &error), &error);
    memcpy(slot.input.map, "0123456789abcdef", 16);
    test_ok(shk_buffer_flush(device, &slot.input, 0, 16, &error), &error);
    test_ok(shk_slot_submit(device, &slot, (uint32_t[]){SHK_COMMANDS_INFERENCE}, 1, &error), &error);
    test_ok(shk_slot_wait(device, &slot, UINT64_MAX, &error), &error);
    test_ok(shk_buffer_invalidate(device, &slot.output, 0, 16, &error), &error);
    ck_assert_mem_eq(slot.output.map, "0123456789abcdef", 16);
    shk_slot_finish(device, &slot);
}
END_TEST

START_TEST(test_wait_times_out)
{
    struct shk_device *device = test_device();
    struct shk_slot slot;
    struct shk_memory_stats before, after;

    shk_pool_stats(device->pool, &before);
    test_ok(shk_slot_init(device, 100, 100, 2, 1, &slot, &error), &error);
    ck_assert_int_eq(shk_slot_wait(device, &slot, 0, &error), SHK_ERROR_TIMEOUT); /* nothing was submitted */
    shk_slot_finish(device, &slot);
    shk_slot_finish(device, &slot);
    shk_pool_stats(device->pool, &after);
    ck_assert_uint_eq(before.used, after.used);
    ck_assert_uint_eq(before.allocations, after.allocations);
}
END_TEST

START_TEST(test_init_is_all_or_nothing)
{
    struct shk_device *device = test_device();
    struct shk_slot slot = {.query_count = 77};
    struct shk_memory_stats before, after;

    shk_pool_stats(device->pool, &before);
    ck_assert_int_eq(shk_slot_init(device, 100, UINT64_MAX / 4, 2, 1, &slot, &error),
                     SHK_ERROR_OUT_OF_DEVICE_MEMORY);
    ck_assert_uint_eq(slot.query_count, 77);
    shk_pool_stats(device->pool, &after);
    ck_assert_uint_eq(before.used, after.used);
}
END_TEST

static Suite *slot_suite(void)
{
    Suite *suite = suite_create("slot");
    TCase *tc = tcase_create("slot");
    tcase_add_loop_test(tc, test_write_read, 0, 2);
    tcase_add_test(tc, test_replay);
    tcase_add_test(tc, test_submit_from_second);
    tcase_add_test(tc, test_wait_times_out);
    tcase_add_test(tc, test_init_is_all_or_nothing);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return test_run_on_devices(slot_suite);
}
