/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "move.h"

#include <string.h>

SHK_SHADER_DECLARE(move);

uint32_t shk_move_locate(const struct shk_lowering *lowering, uint32_t tensor, uint32_t steps[SHK_MAX_RANK])
{
    const struct shk_tensor *t = &shk_lower_graph(lowering)->tensors[tensor];
    struct shk_view view = shk_lower_view(lowering, tensor);
    uint32_t per_word = t->dtype == SHK_DTYPE_INT8 ? 4 : 1;
    for (uint32_t k = 0; k + 1 < t->shape.rank; k++)
        steps[k] = shk_grid_row_step(&t->shape, &view, k) * per_word;
    if (t->shape.rank > 0)
        steps[t->shape.rank - 1] = 1;
    return view.offset * per_word;
}

struct shk_move shk_move_between(const struct shk_lowering *lowering, uint32_t to, uint32_t from)
{
    const struct shk_tensor *t = &shk_lower_graph(lowering)->tensors[to];
    struct shk_move move = {
        .element_bytes = (uint32_t)shk_dtype_size(t->dtype),
        .rank = t->shape.rank,
        .whole_rows = true,
    };
    for (uint32_t k = 0; k < t->shape.rank; k++)
        move.n[k] = (uint32_t)t->shape.dims[k];
    move.dst = shk_move_locate(lowering, to, move.dst_steps);
    move.src = shk_move_locate(lowering, from, move.src_steps);
    return move;
}

/* Whole words of the source become whole words of the destination. */
static bool copies_words(const struct shk_move *move)
{
    uint32_t last = move->rank - 1;
    if (move->element_bytes == 4)
        return true;
    if (move->dst % 4 || move->src % 4 || (move->src_steps[last] != 1 && move->n[last] != 1))
        return false;
    for (uint32_t k = 0; k < last; k++)
        if (move->src_steps[k] % 4 && move->n[k] != 1)
            return false;
    return move->n[last] % 4 == 0 || move->whole_rows;
}

static uint32_t fill_words(struct shk_move_push *push, struct shk_grid *grid, const struct shk_move *move)
{
    uint32_t per_word = 4 / move->element_bytes, last = move->rank - 1;
    for (uint32_t k = 0; k < last; k++)
        shk_grid_push(grid, move->n[k], move->dst_steps[k] / per_word,
                      (uint32_t)((int32_t)move->src_steps[k] / (int32_t)per_word),
                      move->dst_steps[k] / per_word);
    shk_grid_push(grid, shk_div_round_up(move->n[last], per_word), 1,
                  move->element_bytes == 4 ? move->src_steps[last] : 1, 1);
    shk_grid_collapse(grid);
    push->dst = move->dst / per_word;
    push->src = move->src / per_word;
    push->items = shk_grid_items(grid);
    return SHK_MOVE_WORDS;
}

static uint32_t fill_bytes(struct shk_move_push *push, struct shk_grid *grid, const struct shk_move *move)
{
    uint32_t last = move->rank - 1;
    for (uint32_t k = 0; k < last; k++)
        shk_grid_push(grid, move->n[k], move->dst_steps[k] / 4, move->src_steps[k], 0);
    shk_grid_collapse(grid);
    push->dst = move->dst / 4;
    push->src = move->src;
    push->lead = move->dst % 4;
    push->count = move->n[last];
    push->src_step = move->src_steps[last];
    push->words = shk_divisor_of((push->lead + push->count + 3) / 4);
    push->items = shk_grid_items(grid) * push->words.n;
    return SHK_MOVE_BYTES;
}

/* What the uniform window shows the shader. */
struct move_uniform {
    struct shk_grid grid;
    uint32_t table[256][4];
};

/* Drivers for CPUs read uniform buffers far faster than storage buffers; GPUs serialize a uniform buffer's
 * loads where neighbours look up different entries. */
static uint32_t choose_table(const struct shk_lowering *lowering)
{
    static const char *const names[] = {"storage", "uniform"};
    const char *forced = shk_lower_forced_variant(lowering);
    bool uniform = shk_lower_device(lowering)->info.type == SHK_DEVICE_CPU;
    if (forced && (strcmp(forced, names[0]) == 0 || strcmp(forced, names[1]) == 0))
        uniform = strcmp(forced, names[1]) == 0;
    return uniform ? SHK_TABLE_UNIFORM : SHK_TABLE_STORAGE;
}

static uint32_t upload_words(struct shk_lowering *lowering, const int8_t *table)
{
    uint32_t words[256];
    for (uint32_t i = 0; i < 256; i++)
        words[i] = (uint8_t)table[i];
    return shk_lower_params(lowering, words, sizeof(words), 4) / 4;
}

static uint32_t upload_uniform(struct shk_lowering *lowering, struct move_uniform *uniform,
                               const int8_t *table)
{
    for (uint32_t i = 0; table && i < 256; i++)
        for (uint32_t byte = 0; byte < 4; byte++)
            uniform->table[i][byte] = (uint32_t)(uint8_t)table[i] << byte * 8;
    return shk_lower_params(lowering, uniform, table ? sizeof(*uniform) : sizeof(uniform->grid),
                            SHK_UNIFORM_ALIGNMENT);
}

bool shk_move_is_in_place(const struct shk_move *move)
{
    if (move->src != move->dst)
        return false;
    for (uint32_t k = 0; k < move->rank; k++)
        if (move->n[k] > 1 && move->src_steps[k] != move->dst_steps[k])
            return false;
    return true;
}

void shk_move_emit(struct shk_lowering *lowering, const struct shk_move *move)
{
    struct shk_move m = *move;
    if (m.rank == 0) {
        m.rank = 1;
        m.n[0] = m.dst_steps[0] = m.src_steps[0] = 1;
    }
    struct shk_move_push push = {0};
    struct move_uniform uniform = {0};
    uint32_t kind =
        copies_words(&m) ? fill_words(&push, &uniform.grid, &m) : fill_bytes(&push, &uniform.grid, &m);
    uint32_t table = m.table ? choose_table(lowering) : SHK_TABLE_NONE;
    if (table == SHK_TABLE_STORAGE)
        push.table = upload_words(lowering, m.table);
    struct shk_dispatch dispatch = {
        .shader = &shk_shader_move,
        .spec = {shk_grid_spec(&uniform.grid), kind, table},
        .spec_count = 3,
        .push = &push,
        .push_size = sizeof(push),
        .uniform_offset = upload_uniform(lowering, &uniform, table == SHK_TABLE_UNIFORM ? m.table : NULL),
    };
    shk_dispatch_linear(&dispatch, push.items, 64);
    shk_lower_dispatch(lowering, &dispatch);
}

enum shk_status shk_move_check_types(const struct shk_graph *graph, const struct shk_op *op,
                                     uint32_t first_input, uint32_t count, struct shk_error *error)
{
    const struct shk_tensor *out = shk_op_output(graph, op, 0);
    if (out->dtype == SHK_DTYPE_INT64)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "tensor '%s' is int64; supported are int8, uint8, int32 and float32", out->name);
    for (uint32_t i = 0; i < count + op->output_count; i++) {
        const struct shk_tensor *t =
            i < count ? shk_op_input(graph, op, first_input + i) : shk_op_output(graph, op, i - count);
        if (!t)
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "input %u is missing", first_input + i);
        if (t->dtype != out->dtype || t->legacy_uint8 != out->legacy_uint8)
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "'%s' is %s, but '%s' is %s", t->name,
                               shk_dtype_string(t->legacy_uint8 ? SHK_DTYPE_UINT8 : t->dtype), out->name,
                               shk_dtype_string(out->legacy_uint8 ? SHK_DTYPE_UINT8 : out->dtype));
    }
    return SHK_OK;
}

int32_t shk_const_int(const struct shk_tensor *tensor, size_t i)
{
    int64_t wide;
    int32_t narrow;
    if (tensor->dtype == SHK_DTYPE_INT64) {
        memcpy(&wide, tensor->data + i * sizeof(wide), sizeof(wide));
        return (int32_t)SHK_CLAMP(wide, INT32_MIN, INT32_MAX);
    }
    memcpy(&narrow, tensor->data + i * sizeof(narrow), sizeof(narrow));
    return narrow;
}

enum shk_status shk_check_const_ints(const struct shk_graph *graph, const struct shk_op *op, uint32_t input,
                                     uint32_t *count, struct shk_error *error)
{
    enum shk_status status = shk_check_constant(graph, op, input, error);
    if (status)
        return status;
    const struct shk_tensor *t = shk_op_input(graph, op, input);
    if ((t->dtype != SHK_DTYPE_INT32 && t->dtype != SHK_DTYPE_INT64) || t->shape.rank > 1)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "input %u ('%s') is %s with %u dimensions, expected a vector of int32", input,
                           t->name, shk_dtype_string(t->dtype), t->shape.rank);
    *count = (uint32_t)shk_shape_elements(&t->shape);
    return SHK_OK;
}

int32_t shk_normalize_axis(int32_t axis, uint32_t rank)
{
    int32_t n = (int32_t)rank;
    if (axis < -n || axis >= n)
        return -1;
    return axis < 0 ? axis + n : axis;
}
