/* The memory plan, by running it: an arena of bytes in which made-up ops write rows where the plan says and every
 * read must find what was written. Sharing, lifetimes and offsets cannot be wrong without a read that differs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

static enum shk_status check_nothing(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    (void)graph;
    (void)op;
    (void)error;
    return SHK_OK;
}

static uint64_t some_scratch(const struct shk_graph *graph, const struct shk_op *op)
{
    (void)graph;
    return op->file_index % 5 == 4 ? 100 + op->file_index * 8 : 0;
}

static const struct shk_op_def work_def = {.name = "work", .check = check_nothing, .scratch = some_scratch};
static const struct shk_op_def view_def = {.name = "view", .check = check_nothing, .is_view = true};
static const struct shk_op_def concat_def = {.name = "concat", .check = check_nothing};
static uint32_t first_input(const struct shk_op *op)
{
    (void)op;
    return 0;
}

static const struct shk_op_def map_def = {.name = "map", .check = check_nothing, .in_place_inputs = 1};
static const struct shk_op_def split_def = {.name = "split", .check = check_nothing, .split_input = first_input};
static const struct shk_op_spelling map = {.def = &map_def, .name = "MAP", .builtin = 1001};
static const struct shk_op_spelling split = {.def = &split_def, .name = "SPLIT", .builtin = 49};
static const struct shk_op_spelling work = {.def = &work_def, .name = "WORK", .builtin = 1000};
static const struct shk_op_spelling view = {.def = &view_def, .name = "RESHAPE", .builtin = 22};
static const struct shk_op_spelling concat = {
    .def = &concat_def, .name = "CONCATENATION", .builtin = SHK_BUILTIN_CONCATENATION};

static uint32_t add_tensor(struct shk_graph *graph, struct shk_shape shape, const void *data)
{
    const float scale = 0.5f;
    uint32_t index;
    struct shk_error error;
    struct shk_tensor_desc desc = {.name = "t",
                                   .dtype = SHK_DTYPE_INT8,
                                   .shape = shape,
                                   .quant_count = 1,
                                   .scales = &scale,
                                   .data = data,
                                   .data_bytes = data ? shk_shape_elements(&shape) : 0};
    test_ok(shk_graph_add_tensor(graph, &desc, &index, &error), &error);
    return index;
}

static void add_op(struct shk_graph *graph, const struct shk_op_spelling *spelling, const uint32_t *inputs,
                   uint32_t count, uint32_t output)
{
    struct shk_op *op;
    struct shk_error error;
    test_ok(shk_graph_add_op(graph, spelling, inputs, count, &output, 1, &op, &error), &error);
}

static struct shk_shape random_shape(struct test_rng *rng)
{
    static const int32_t channels[] = {1, 2, 3, 4, 6, 8, 12, 16};
    return (struct shk_shape){4,
                              {1, 1 + (int32_t)test_random_below(rng, 4), 1 + (int32_t)test_random_below(rng, 4),
                               channels[test_random_below(rng, SHK_ARRAY_LEN(channels))]}};
}

/* Something that RESHAPE may do: rows regrouped, or rows cut into other lengths. */
static struct shk_shape reshaped(struct test_rng *rng, const struct shk_shape *shape)
{
    int32_t elements = (int32_t)shk_shape_elements(shape), last = shape->dims[shape->rank - 1];
    if (test_random_below(rng, 2) && elements % 4 == 0)
        last = 4;
    else if (test_random_below(rng, 4) == 0)
        last = 1;
    return (struct shk_shape){3, {1, elements / last, last}};
}

/* A concatenation of `first` with itself or with tensors of its shape, along the last or an outer dimension. */
static void add_concat(struct shk_graph *graph, struct test_rng *rng, uint32_t first)
{
    uint32_t parts[4] = {first}, count = 1;
    struct shk_shape shape = graph->tensors[first].shape;
    uint32_t axis = test_random_below(rng, 2) ? shape.rank - 1 : 1;
    int32_t sum = shape.dims[axis];
    for (uint32_t t = 0; t < graph->tensor_count && count < 4; t++) {
        struct shk_shape other = graph->tensors[t].shape;
        int32_t size = other.rank == shape.rank ? other.dims[axis] : 0;
        other.dims[axis] = shape.dims[axis];
        if (size && shk_shape_equal(&other, &shape) && test_random_below(rng, 2)) {
            parts[count++] = t;
            sum += size;
        }
    }
    shape.dims[axis] = sum;
    add_op(graph, &concat, parts, count, add_tensor(graph, shape, NULL));
}

/* In two or three, along the last or an outer dimension. */
static void add_split(struct shk_graph *graph, struct test_rng *rng, uint32_t in)
{
    struct shk_shape shape = graph->tensors[in].shape;
    uint32_t axis = test_random_below(rng, 2) ? shape.rank - 1 : 1, outputs[3], count = 2 + test_random_below(rng, 2);
    struct shk_error error;
    struct shk_op *op;
    int32_t rest = shape.dims[axis];
    if (rest < (int32_t)count)
        return;
    for (uint32_t i = 0; i < count; i++) {
        int32_t most = rest - (int32_t)(count - 1 - i);
        shape.dims[axis] = i + 1 == count ? rest : 1 + (int32_t)test_random_below(rng, (uint32_t)most);
        if (i + 1 < count && most > 4 && test_random_below(rng, 2))
            shape.dims[axis] = 4;
        rest -= shape.dims[axis];
        outputs[i] = add_tensor(graph, shape, NULL);
    }
    test_ok(shk_graph_add_op(graph, &split, &in, 1, outputs, count, &op, &error), &error);
}

static struct shk_graph *random_graph(struct test_rng *rng, uint32_t ops)
{
    static const uint8_t constant[1024];
    struct shk_graph *graph = shk_graph_create("random");
    struct shk_error error;
    uint32_t inputs[2] = {add_tensor(graph, random_shape(rng), NULL), add_tensor(graph, random_shape(rng), NULL)};
    add_tensor(graph, random_shape(rng), constant);
    for (uint32_t i = 0; i < ops; i++) {
        /* Mostly recent tensors, so that lifetimes end. */
        uint32_t back = test_random_below(rng, test_random_below(rng, 3) ? 3 : graph->tensor_count);
        uint32_t from[2] = {graph->tensor_count - 1 - SHK_MIN(back, graph->tensor_count - 1),
                            test_random_below(rng, graph->tensor_count)};
        uint32_t kind = test_random_below(rng, 7);
        if (kind == 0)
            add_op(graph, &view, from, 1, add_tensor(graph, reshaped(rng, &graph->tensors[from[0]].shape), NULL));
        else if (kind == 1)
            add_concat(graph, rng, from[0]);
        else if (kind == 2)
            add_split(graph, rng, from[0]);
        else if (kind <= 4)
            add_op(graph, &map, from, 1 + test_random_below(rng, 2),
                   add_tensor(graph, graph->tensors[from[0]].shape, NULL));
        else
            add_op(graph, &work, from, 1 + test_random_below(rng, 2), add_tensor(graph, random_shape(rng), NULL));
    }
    uint32_t outputs[2] = {graph->tensor_count - 1, graph->tensor_count - 2};
    test_ok(shk_graph_set_io(graph, inputs, 2, outputs, 2, &error), &error);
    return graph;
}

struct simulation {
    const struct shk_graph *graph;
    const struct shk_plan *plan;
    uint8_t *arena;
    uint8_t **dense; /* per tensor: what it must hold */
    struct test_rng rng;
};

/* Writes a tensor as a kernel may: its elements, and anything behind them in the words of the row. */
static void write_rows(struct simulation *s, uint32_t tensor)
{
    const struct shk_view *v = &s->plan->views[tensor];
    for (uint32_t r = 0; r < v->rows; r++) {
        uint8_t *row = s->arena + ((size_t)v->offset + (size_t)r * v->stride) * 4;
        ck_assert_uint_le((size_t)(row - s->arena) + v->words * 4, s->plan->arena_bytes);
        memcpy(row, s->dense[tensor] + r * v->channels, v->channels);
        for (uint32_t c = v->channels; c < v->words * 4; c++)
            row[c] = (uint8_t)test_random(&s->rng);
    }
}

static bool row_holds(const struct simulation *s, uint32_t tensor, uint32_t r)
{
    const struct shk_view *v = &s->plan->views[tensor];
    return memcmp(s->arena + ((size_t)v->offset + (size_t)r * v->stride) * 4, s->dense[tensor] + r * v->channels,
                  v->channels) == 0;
}

static void expect_rows(const struct simulation *s, uint32_t tensor, uint32_t op)
{
    for (uint32_t r = 0; r < s->plan->views[tensor].rows; r++)
        ck_assert_msg(row_holds(s, tensor, r), "op %u reads row %u of tensor %u, which something else has overwritten",
                      op, r, tensor);
}

/* A part that lies in what was split may not be written: its last words may be others' as well. */
static void write_part(struct simulation *s, uint32_t tensor)
{
    for (uint32_t r = 0; r < s->plan->views[tensor].rows; r++)
        if (!row_holds(s, tensor, r)) {
            write_rows(s, tensor);
            return;
        }
}

static void concat_dense(struct simulation *s, const struct shk_op *op)
{
    const struct shk_shape *out = &s->graph->tensors[op->outputs[0]].shape;
    const struct shk_shape *first = &s->graph->tensors[op->inputs[0]].shape;
    uint32_t axis = first->dims[out->rank - 1] != out->dims[out->rank - 1] ? out->rank - 1 : 1;
    size_t outer = 1, inner = 1, at = 0;
    for (uint32_t d = 0; d < out->rank; d++)
        *(d < axis ? &outer : &inner) *= d == axis ? 1 : (size_t)out->dims[d];
    for (uint32_t i = 0; i < op->input_count; i++) {
        size_t run = (size_t)s->graph->tensors[op->inputs[i]].shape.dims[axis] * inner;
        for (size_t o = 0; o < outer; o++)
            memcpy(s->dense[op->outputs[0]] + o * (size_t)out->dims[axis] * inner + at,
                   s->dense[op->inputs[i]] + o * run, run);
        at += run;
    }
}

static void simulate_split(struct simulation *s, const struct shk_op *op)
{
    const struct shk_shape *in = &s->graph->tensors[op->inputs[0]].shape;
    uint32_t axis =
        s->graph->tensors[op->outputs[0]].shape.dims[in->rank - 1] != in->dims[in->rank - 1] ? in->rank - 1 : 1;
    size_t outer = 1, inner = 1, at = 0;
    for (uint32_t d = 0; d < in->rank; d++)
        *(d < axis ? &outer : &inner) *= d == axis ? 1 : (size_t)in->dims[d];
    for (uint32_t i = 0; i < op->output_count; i++) {
        size_t run = (size_t)s->graph->tensors[op->outputs[i]].shape.dims[axis] * inner;
        for (size_t o = 0; o < outer; o++)
            memcpy(s->dense[op->outputs[i]] + o * run,
                   s->dense[op->inputs[0]] + o * (size_t)in->dims[axis] * inner + at, run);
        at += run;
        write_part(s, op->outputs[i]);
    }
}

/* Every word of input 0 is read before the one of the output is written; the rest is there until the end. */
static void simulate_map(struct simulation *s, uint32_t i)
{
    const struct shk_op *op = &s->graph->ops[i];
    uint32_t in = op->inputs[0], out = op->outputs[0];
    const struct shk_view *a = &s->plan->views[in], *b = &s->plan->views[out];
    for (size_t k = 0; k < s->graph->tensors[out].bytes; k++)
        s->dense[out][k] = s->dense[in][k] ^ 0x55;
    write_rows(s, out);
    for (uint32_t k = 0; k < op->input_count; k++)
        if (k > 0 || a->offset != b->offset || a->stride != b->stride)
            expect_rows(s, op->inputs[k], i);
}

static void simulate_op(struct simulation *s, uint32_t i)
{
    const struct shk_op *op = &s->graph->ops[i];
    uint32_t out = op->outputs[0];
    for (uint32_t k = 0; k < op->input_count; k++)
        expect_rows(s, op->inputs[k], i);
    if (op->def == &split_def) {
        simulate_split(s, op);
        return;
    }
    if (op->def == &map_def) {
        simulate_map(s, i);
        return;
    }
    if (op->def == &concat_def)
        concat_dense(s, op);
    else if (op->def == &view_def)
        memcpy(s->dense[out], s->dense[op->inputs[0]], s->graph->tensors[out].bytes);
    else
        test_random_bytes(&s->rng, s->dense[out], s->graph->tensors[out].bytes);
    if (op->def->scratch)
        memset(s->arena + (size_t)s->plan->scratch[i] * 4, 0xa5, op->def->scratch(s->graph, op));
    if (op->def == &work_def) /* nothing it reads may lie where it writes */
        for (uint32_t k = 0; k < op->input_count; k++)
            expect_rows(s, op->inputs[k], i);
    write_rows(s, out);
    if (op->def == &work_def)
        for (uint32_t k = 0; k < op->input_count; k++)
            expect_rows(s, op->inputs[k], i);
}

static void simulate_sharing(const struct shk_graph *graph, bool keep, bool parts)
{
    struct shk_error error;
    struct shk_plan *plan = NULL;
    test_ok(shk_plan_create(graph, keep, parts, &plan, &error), &error);
    ck_assert_uint_le(plan->report.lower_bound, plan->report.arena_peak);
    if (!keep)
        ck_assert_uint_le(plan->report.lower_bound, plan->report.no_reuse + 1000 * graph->op_count);
    struct simulation s = {graph, plan, malloc(plan->arena_bytes + 16), NULL, {graph->op_count}};
    s.dense = calloc(graph->tensor_count, sizeof(*s.dense));
    test_random_bytes(&s.rng, s.arena, plan->arena_bytes);
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        s.dense[t] = calloc(1, graph->tensors[t].bytes);
        test_random_bytes(&s.rng, s.dense[t], graph->tensors[t].bytes);
    }
    for (uint32_t i = 0; i < plan->constant_count; i++)
        write_rows(&s, plan->constants[i]);
    for (uint32_t i = 0; i < graph->input_count; i++) {
        ck_assert_uint_eq(plan->views[graph->inputs[i]].stride, plan->views[graph->inputs[i]].words);
        write_rows(&s, graph->inputs[i]);
    }
    for (uint32_t i = 0; i < graph->op_count; i++)
        simulate_op(&s, i);
    for (uint32_t i = 0; i < graph->output_count; i++)
        expect_rows(&s, graph->outputs[i], graph->op_count);
    for (uint32_t t = 0; keep && t < graph->tensor_count; t++)
        if (plan->views[t].words)
            expect_rows(&s, t, graph->op_count);
    for (uint32_t t = 0; t < graph->tensor_count; t++)
        free(s.dense[t]);
    free(s.dense);
    free(s.arena);
    shk_plan_destroy(&plan);
}

static void simulate(const struct shk_graph *graph, bool keep)
{
    simulate_sharing(graph, keep, true);
    simulate_sharing(graph, keep, false);
}

/* The blocks are the plan: none in the way of another, the peak where the last one ends, every tensor in one. */
static void check_blocks(const struct shk_graph *graph)
{
    struct shk_error error;
    struct shk_plan *plan;
    uint64_t end = 0, most = 0;
    uint32_t tensors = 0, expected = 0;
    test_ok(shk_plan_create(graph, false, true, &plan, &error), &error);
    for (uint32_t i = 0; i < plan->block_count; i++) {
        const struct shk_memory_block *a = &plan->blocks[i];
        end = SHK_MAX(end, a->offset + a->bytes);
        tensors += a->tensor_count;
        ck_assert(a->bytes > 0 && a->first <= a->last && a->last <= graph->op_count + 1);
        ck_assert_uint_eq(a->tensor_count == 0, a->tensor == SHK_TENSOR_NONE);
        for (uint32_t j = 0; j < i; j++) {
            const struct shk_memory_block *b = &plan->blocks[j];
            if (a->first <= b->last && b->first <= a->last)
                ck_assert(a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
        }
    }
    for (uint32_t step = 0; step <= graph->op_count + 1; step++) {
        uint64_t alive = 0;
        for (uint32_t i = 0; i < plan->block_count; i++)
            if (plan->blocks[i].first <= step && step <= plan->blocks[i].last)
                alive += plan->blocks[i].bytes;
        most = SHK_MAX(most, alive);
    }
    for (uint32_t t = 0; t < graph->tensor_count; t++)
        expected += plan->views[t].words > 0;
    ck_assert_uint_eq(end, plan->report.arena_peak);
    ck_assert_uint_eq(most, plan->report.lower_bound);
    ck_assert_uint_eq(tensors, expected);
    shk_plan_destroy(&plan);
}

START_TEST(test_random_graphs)
{
    struct test_rng rng = {(uint64_t)_i + 1};
    for (int k = 0; k < 60; k++) {
        struct shk_graph *graph = random_graph(&rng, 3 + test_random_below(&rng, 30));
        simulate(graph, false);
        simulate(graph, true);
        check_blocks(graph);
        shk_graph_destroy(&graph);
    }
}
END_TEST

/* Inputs of a concatenation that start on a word lie inside it, nothing is copied and nothing counted twice. */
START_TEST(test_concat_is_free)
{
    struct shk_graph *graph = shk_graph_create("concat");
    struct shk_error error;
    struct shk_plan *plan;
    struct shk_shape part = {4, {1, 4, 4, 8}}, whole = {4, {1, 4, 4, 16}};
    uint32_t in = add_tensor(graph, part, NULL);
    uint32_t parts[2] = {add_tensor(graph, part, NULL), add_tensor(graph, part, NULL)};
    uint32_t out = add_tensor(graph, whole, NULL);
    add_op(graph, &work, &in, 1, parts[0]);
    add_op(graph, &work, &in, 1, parts[1]);
    add_op(graph, &concat, parts, 2, out);
    test_ok(shk_graph_set_io(graph, &in, 1, &out, 1, &error), &error);
    test_ok(shk_plan_create(graph, false, true, &plan, &error), &error);
    ck_assert_uint_eq(plan->views[parts[0]].offset, plan->views[out].offset);
    ck_assert_uint_eq(plan->views[parts[1]].offset, plan->views[out].offset + 2);
    ck_assert_uint_eq(plan->views[parts[1]].stride, 4);
    ck_assert_uint_eq(plan->report.arena_peak, 3 * 128);
    ck_assert_uint_eq(plan->report.lower_bound, 3 * 128);
    ck_assert_uint_eq(plan->report.no_reuse, 5 * 128);
    ck_assert_uint_eq(plan->block_count, 2);
    ck_assert_uint_eq(plan->blocks[0].tensor, in);
    ck_assert_uint_eq(plan->blocks[0].tensor_count, 1);
    ck_assert_uint_eq(plan->blocks[1].tensor, out);
    ck_assert_uint_eq(plan->blocks[1].tensor_count, 3);
    ck_assert_uint_eq(plan->blocks[1].first, 1);
    ck_assert_uint_eq(plan->blocks[1].last, 4);
    shk_plan_destroy(&plan);
    shk_graph_destroy(&graph);
}
END_TEST

/* A chain of maps is one block; what is read again is not written over. */
START_TEST(test_maps_work_in_place)
{
    struct shk_graph *graph = shk_graph_create("maps");
    struct shk_error error;
    struct shk_plan *plan;
    struct shk_shape shape = {4, {1, 4, 4, 8}};
    uint32_t t[6];
    for (int i = 0; i < 6; i++)
        t[i] = add_tensor(graph, shape, NULL);
    for (int i = 0; i < 4; i++)
        add_op(graph, &map, &t[i], 1, t[i + 1]);
    add_op(graph, &map, (uint32_t[]){t[4], t[1]}, 2, t[5]);
    test_ok(shk_graph_set_io(graph, &t[0], 1, &t[5], 1, &error), &error);
    test_ok(shk_plan_create(graph, false, true, &plan, &error), &error);
    ck_assert_uint_eq(plan->block_count, 2);
    ck_assert_uint_eq(plan->report.arena_peak, 2 * 128);
    ck_assert_uint_eq(plan->views[t[0]].offset, plan->views[t[1]].offset);
    ck_assert_uint_eq(plan->views[t[2]].offset, plan->views[t[5]].offset);
    ck_assert_uint_ne(plan->views[t[1]].offset, plan->views[t[2]].offset);
    shk_plan_destroy(&plan);
    shk_graph_destroy(&graph);
}
END_TEST

START_TEST(test_split_is_free)
{
    struct shk_graph *graph = shk_graph_create("split");
    struct shk_error error;
    struct shk_plan *plan;
    struct shk_op *op;
    struct shk_shape whole = {4, {1, 4, 4, 11}}, parts[2] = {{4, {1, 4, 4, 8}}, {4, {1, 4, 4, 3}}};
    uint32_t in = add_tensor(graph, whole, NULL), out[4];
    for (int i = 0; i < 4; i++)
        out[i] = add_tensor(graph, parts[i % 2], NULL);
    test_ok(shk_graph_add_op(graph, &split, &in, 1, out, 2, &op, &error), &error);
    add_op(graph, &work, &out[0], 1, out[2]);
    add_op(graph, &work, &out[1], 1, out[3]);
    test_ok(shk_graph_set_io(graph, &in, 1, out + 2, 2, &error), &error);
    test_ok(shk_plan_create(graph, false, true, &plan, &error), &error);
    ck_assert_uint_eq(plan->views[out[0]].offset, plan->views[in].offset);
    ck_assert_uint_eq(plan->views[out[1]].offset, plan->views[in].offset + 2);
    ck_assert_uint_eq(plan->views[out[1]].stride, 3);
    ck_assert_uint_eq(plan->block_count, 3);
    shk_plan_destroy(&plan);
    shk_graph_destroy(&graph);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("plan");
    TCase *tests = tcase_create("plan");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_random_graphs, 0, 20);
    tcase_add_test(tests, test_concat_is_free);
    tcase_add_test(tests, test_maps_work_in_place);
    tcase_add_test(tests, test_split_is_free);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
