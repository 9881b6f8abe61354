/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure.h"

enum { QUERY_BEGIN, QUERY_END, QUERY_COUNT };

enum shk_status shk_measure_begin(struct shk_measure *measure, struct shk_device *device, const struct shk_buffer *arena,
                                  const char *cache_dir, const struct shk_log *log, struct shk_error *error)
{
    *measure = (struct shk_measure){.device = device, .arena = arena};
    /* the layout has a place for parameters, which no kernel here reads */
    enum shk_status status = shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, SHK_UNIFORM_MIN, SHK_UNIFORM_ALIGNMENT,
                                            &measure->window, error);
    if (!status)
        status = shk_kernels_init(device, cache_dir, log, &measure->kernels, error);
    if (!status)
        status = shk_kernels_view_arena(&measure->kernels, arena, error);
    if (!status)
        status = shk_kernels_create_sets(&measure->kernels, 1, &measure->pool, &measure->set, error);
    if (status)
        return status;
    shk_kernels_write_set(&measure->kernels, measure->set, arena, &measure->window, SHK_UNIFORM_MIN);
    return shk_slot_init(device, 0, 0, QUERY_COUNT, 1, &measure->slot, error);
}

void shk_measure_end(struct shk_measure *measure)
{
    shk_slot_finish(measure->device, &measure->slot);
    if (measure->pool)
        vkDestroyDescriptorPool(measure->device->device, measure->pool, NULL);
    shk_kernels_finish(&measure->kernels);
    shk_pool_free(measure->device->pool, &measure->window);
}

static void timestamp(struct shk_measure *measure, VkCommandBuffer commands, uint32_t query)
{
    if (measure->slot.queries)
        vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, measure->slot.queries, query);
}

enum shk_status shk_measure_record(struct shk_measure *measure, struct shk_lowered *dispatch, uint32_t count,
                                   struct shk_error *error)
{
    enum shk_status status = shk_kernels_build(&measure->kernels, dispatch, 1, error);
    if (!status)
        status = shk_slot_begin(measure->device, &measure->slot, SHK_COMMANDS_INFERENCE, error);
    if (status)
        return status;
    VkCommandBuffer commands = measure->slot.commands[SHK_COMMANDS_INFERENCE];
    if (measure->slot.queries)
        vkCmdResetQueryPool(commands, measure->slot.queries, 0, QUERY_COUNT);
    shk_cmd_barrier(commands);
    timestamp(measure, commands, QUERY_BEGIN);
    for (uint32_t i = 0; i < count; i++)
        shk_kernels_record(&measure->kernels, commands, measure->set, dispatch, 1);
    shk_cmd_barrier(commands);
    timestamp(measure, commands, QUERY_END);
    return shk_slot_end(measure->device, &measure->slot, SHK_COMMANDS_INFERENCE, error);
}

enum shk_status shk_measure_run(struct shk_measure *measure, uint64_t *ns, struct shk_error *error)
{
    const uint32_t which = SHK_COMMANDS_INFERENCE;
    uint64_t ticks[QUERY_COUNT], start = shk_time_ns();
    enum shk_status status = shk_slot_submit(measure->device, &measure->slot, &which, 1, error);
    if (!status)
        status = shk_slot_wait(measure->device, &measure->slot, UINT64_MAX, error);
    if (status)
        return status;
    *ns = shk_time_ns() - start;
    if (shk_slot_timestamps(measure->device, &measure->slot, 0, QUERY_COUNT, ticks))
        *ns = shk_ticks_to_ns(measure->device, (ticks[QUERY_END] - ticks[QUERY_BEGIN]) & measure->device->timestamp_mask);
    *ns = SHK_MAX(*ns, 1u);
    return SHK_OK;
}
