/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "table.h"

int inspect_memory_load(struct inspect_memory *memory, const struct shk_model *model, uint32_t no_fusion)
{
    struct shk_error error;
    *memory = (struct inspect_memory){.model = model, .step_count = shk_model_op_count(model) + 2};
    memory->alive = g_new0(uint64_t, memory->step_count);
    if (shk_model_get_memory(model, no_fusion, &memory->report, &error) ||
        shk_model_get_memory_blocks(model, no_fusion, NULL, &memory->block_count, &error))
        return cli_fail_status(&error);
    memory->blocks = g_new0(struct shk_memory_block, memory->block_count);
    if (shk_model_get_memory_blocks(model, no_fusion, memory->blocks, &memory->block_count, &error))
        return cli_fail_status(&error);
    for (uint32_t i = 0; i < memory->block_count; i++)
        for (uint32_t step = memory->blocks[i].first; step <= memory->blocks[i].last; step++)
            memory->alive[step] += memory->blocks[i].bytes;
    for (uint32_t step = 0; step < memory->step_count; step++)
        if (memory->alive[step] > memory->alive[memory->fullest])
            memory->fullest = step;
    return CLI_OK;
}

void inspect_memory_clear(struct inspect_memory *memory)
{
    g_free(memory->blocks);
    g_free(memory->alive);
    *memory = (struct inspect_memory){0};
}

const char *inspect_memory_kind(const struct inspect_memory *memory, const struct shk_memory_block *block)
{
    struct shk_tensor_info info;
    if (block->tensor == SHK_TENSOR_NONE)
        return "scratch";
    shk_model_get_tensor(memory->model, block->tensor, &info);
    if (info.constant)
        return "constant";
    if (block->first == 0)
        return "input";
    return block->last + 1 == memory->step_count ? "output" : "";
}

char *inspect_memory_step(const struct inspect_memory *memory, uint32_t step)
{
    struct shk_op_info op;
    if (step == 0 || step + 1 >= memory->step_count)
        return g_strdup(step ? "outputs" : "inputs");
    shk_model_get_op(memory->model, step - 1, &op);
    char *name = table_printable(op.name), *text = g_strdup_printf("op %u %s", step - 1, name);
    g_free(name);
    return text;
}

char *inspect_memory_name(const struct inspect_memory *memory, const struct shk_memory_block *block)
{
    struct shk_tensor_info info;
    if (block->tensor == SHK_TENSOR_NONE)
        return inspect_memory_step(memory, block->first);
    shk_model_get_tensor(memory->model, block->tensor, &info);
    if (info.name[0])
        return table_printable(info.name);
    return g_strdup_printf("tensor %u", block->tensor);
}

/* From the bottom of the arena, then in the order of time. */
static int by_offset(const void *a, const void *b)
{
    const struct shk_memory_block *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static void print_blocks(const struct inspect_memory *memory)
{
    struct table *table = table_new(">offset|>bytes|from|to|what|>tensors|name");
    struct shk_memory_block *sorted = g_new(struct shk_memory_block, memory->block_count);
    for (uint32_t i = 0; i < memory->block_count; i++)
        sorted[i] = memory->blocks[i];
    qsort(sorted, memory->block_count, sizeof(*sorted), by_offset);
    for (uint32_t i = 0; i < memory->block_count; i++) {
        table_cell(table, "%" G_GUINT64_FORMAT, sorted[i].offset);
        table_cell(table, "%" G_GUINT64_FORMAT, sorted[i].bytes);
        table_take(table, inspect_memory_step(memory, sorted[i].first));
        table_take(table, inspect_memory_step(memory, sorted[i].last));
        table_cell(table, "%s", inspect_memory_kind(memory, &sorted[i]));
        table_cell(table, "%u", sorted[i].tensor_count);
        table_take(table, inspect_memory_name(memory, &sorted[i]));
    }
    table_finish(table);
    g_free(sorted);
}

void inspect_memory_print(const struct inspect_memory *memory)
{
    char *step = inspect_memory_step(memory, memory->fullest);
    print_blocks(memory);
    printf("\nmost is alive in %s: %" G_GUINT64_FORMAT " bytes, the lower bound, of\n", step,
           memory->alive[memory->fullest]);
    for (uint32_t i = 0; i < memory->block_count; i++) {
        const struct shk_memory_block *block = &memory->blocks[i];
        if (memory->fullest < block->first || memory->fullest > block->last)
            continue;
        char *name = inspect_memory_name(memory, block);
        const char *kind = inspect_memory_kind(memory, block);
        printf("  %10" G_GUINT64_FORMAT "  %s%s%s\n", block->bytes, kind, kind[0] ? " " : "", name);
        g_free(name);
    }
    g_free(step);
}

void inspect_memory_json(JsonBuilder *b, const struct inspect_memory *memory)
{
    json_open_array(b, "blocks");
    for (uint32_t i = 0; i < memory->block_count; i++) {
        const struct shk_memory_block *block = &memory->blocks[i];
        char *name = inspect_memory_name(memory, block);
        json_open_object(b, NULL);
        json_string(b, "name", name);
        json_string(b, "what", inspect_memory_kind(memory, block));
        if (block->tensor != SHK_TENSOR_NONE)
            json_integer(b, "tensor", block->tensor);
        json_integer(b, "tensors", block->tensor_count);
        json_integer(b, "offset", block->offset);
        json_integer(b, "bytes", block->bytes);
        json_integer(b, "first_step", block->first);
        json_integer(b, "last_step", block->last);
        json_builder_end_object(b);
        g_free(name);
    }
    json_builder_end_array(b);
    json_open_array(b, "alive");
    for (uint32_t step = 0; step < memory->step_count; step++)
        json_builder_add_int_value(b, (gint64)memory->alive[step]);
    json_builder_end_array(b);
}
