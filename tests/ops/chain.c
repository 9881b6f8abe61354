/* Random graphs of ops that move values: what tests of single ops cannot see, strided views, storage shared
 * by reshapes and concatenations, tensors that are model outputs and inputs of several ops.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/session.h>

#include "attr_text.h"
#include "op_case.h"

#define MAX_TENSORS 64
#define MAX_OPS     14
#define MAX_SIZE    14 /* of height and width */
#define MAX_DEPTH   40
#define MAX_BATCH   2 /* every third graph */

struct chain {
    struct shk_graph *graph;
    uint64_t seed;
    uint32_t live[MAX_TENSORS]; /* activations */
    bool read[MAX_TENSORS];
    uint32_t count;
    char text[2048]; /* the ops, for the failure's message */
};

static int32_t pick(struct chain *c, int32_t min, int32_t max)
{
    return op_random_range(&c->seed, min, max);
}

static const struct shk_shape *shape_of(const struct chain *c, uint32_t i)
{
    return &c->graph->tensors[c->live[i]].shape;
}

static uint32_t new_tensor(struct chain *c, const int32_t dims[4])
{
    static const float scale = 0.05f;
    static const int32_t zero_point = -7;
    struct shk_tensor_desc desc = {
        .name = "t", .dtype = SHK_DTYPE_INT8, .shape = {.rank = 4}, .quant_count = 1};
    struct shk_error error;
    desc.scales = &scale;
    desc.zero_points = &zero_point;
    memcpy(desc.shape.dims, dims, 4 * sizeof(*dims));
    ck_assert_uint_lt(c->count, MAX_TENSORS);
    if (shk_graph_add_tensor(c->graph, &desc, &c->live[c->count], &error))
        ck_abort_msg("%s", error.message);
    return c->count++;
}

static uint32_t new_constant(struct chain *c, uint32_t rank, int32_t first, int32_t second,
                             const int32_t *values)
{
    struct shk_tensor_desc desc = {.name = "c", .dtype = SHK_DTYPE_INT32, .data = values};
    struct shk_error error;
    uint32_t index;
    desc.shape = (struct shk_shape){rank, {first, second}};
    desc.data_bytes = sizeof(*values) * shk_shape_elements(&desc.shape);
    if (shk_graph_add_tensor(c->graph, &desc, &index, &error))
        ck_abort_msg("%s", error.message);
    return index;
}

static void add_op(struct chain *c, const char *name, const char *attributes, const uint32_t *inputs,
                   uint32_t in_count, const uint32_t *outputs, uint32_t out_count)
{
    struct shk_op *op;
    struct shk_error error;
    const struct shk_op_spelling *spelling = shk_op_find_name(name);
    if (shk_graph_add_op(c->graph, spelling, inputs, in_count, outputs, out_count, &op, &error) ||
        shk_attrs_from_text(spelling, op->attrs, attributes, &error))
        ck_abort_msg("%s", error.message);
    size_t at = strlen(c->text);
    snprintf(c->text + at, sizeof(c->text) - at, "\n  %s(%u%s) -> %u", name, inputs[0],
             in_count > 1 ? ", ..." : "", outputs[0]);
}

/* ---- one step each: from activation x to new ones ---- */

static void add_unary(struct chain *c, uint32_t x)
{
    uint32_t y = new_tensor(c, shape_of(c, x)->dims);
    add_op(c, "LEAKY_RELU", "alpha=0.5", &c->live[x], 1, &c->live[y], 1);
}

static void add_sum(struct chain *c, uint32_t x)
{
    uint32_t other = x;
    for (uint32_t i = 0; i < c->count; i++)
        if (shk_shape_equal(shape_of(c, i), shape_of(c, x)) && pick(c, 0, 1))
            other = i;
    c->read[other] = true;
    uint32_t inputs[] = {c->live[x], c->live[other]}, y = new_tensor(c, shape_of(c, x)->dims);
    add_op(c, "ADD", NULL, inputs, 2, &c->live[y], 1);
}

static void add_concat(struct chain *c, uint32_t x, uint32_t axis)
{
    uint32_t inputs[4] = {c->live[x]}, n = 1;
    int32_t dims[4];
    char attributes[16];
    memcpy(dims, shape_of(c, x)->dims, sizeof(dims));
    for (uint32_t i = 0; i < c->count && n < 4; i++) {
        const struct shk_shape *s = shape_of(c, i);
        bool fits = dims[axis] + s->dims[axis] <= (axis == 3 ? MAX_DEPTH : MAX_SIZE);
        for (uint32_t k = 0; k < 4; k++)
            fits = fits && (k == axis || s->dims[k] == dims[k]);
        if (!fits || pick(c, 0, 2) == 0)
            continue;
        inputs[n++] = c->live[i];
        dims[axis] += s->dims[axis];
        c->read[i] = true;
    }
    snprintf(attributes, sizeof(attributes), "axis=%u", axis);
    uint32_t y = new_tensor(c, dims);
    add_op(c, "CONCATENATION", attributes, inputs, n, &c->live[y], 1);
}

static void add_pad(struct chain *c, uint32_t x)
{
    int32_t pairs[8] = {0}, dims[4];
    memcpy(dims, shape_of(c, x)->dims, sizeof(dims));
    for (uint32_t k = 1; k < 4; k++)
        for (uint32_t side = 0; side < 2 && dims[k] < MAX_SIZE; side++) {
            pairs[2 * k + side] = pick(c, 0, 1);
            dims[k] += pairs[2 * k + side];
        }
    uint32_t inputs[] = {c->live[x], new_constant(c, 2, 4, 2, pairs)}, y = new_tensor(c, dims);
    add_op(c, "PAD", NULL, inputs, 2, &c->live[y], 1);
}

static void add_pool(struct chain *c, uint32_t x)
{
    uint32_t y = new_tensor(c, shape_of(c, x)->dims);
    add_op(c, pick(c, 0, 1) ? "MAX_POOL_2D" : "AVERAGE_POOL_2D",
           "filter_height=3 filter_width=2 stride_h=1 stride_w=1 padding=SAME", &c->live[x], 1, &c->live[y],
           1);
}

static void add_slice(struct chain *c, uint32_t x)
{
    int32_t begin[4], size[4];
    for (uint32_t k = 0; k < 4; k++) {
        begin[k] = pick(c, 0, shape_of(c, x)->dims[k] - 1);
        size[k] = pick(c, 1, shape_of(c, x)->dims[k] - begin[k]);
    }
    uint32_t inputs[] = {c->live[x], new_constant(c, 1, 4, 0, begin), new_constant(c, 1, 4, 0, size)};
    uint32_t y = new_tensor(c, size);
    add_op(c, "SLICE", NULL, inputs, 3, &c->live[y], 1);
}

static void add_split(struct chain *c, uint32_t x)
{
    int32_t axis = pick(c, 1, 3), parts = 2, dims[4];
    memcpy(dims, shape_of(c, x)->dims, sizeof(dims));
    if (dims[axis] % 2)
        return add_unary(c, x);
    dims[axis] /= 2;
    uint32_t inputs[] = {new_constant(c, 0, 0, 0, &axis), c->live[x]}, outputs[2];
    for (int32_t i = 0; i < parts; i++)
        outputs[i] = c->live[new_tensor(c, dims)];
    add_op(c, "SPLIT", "num_splits=2", inputs, 2, outputs, 2);
}

static void add_reshape(struct chain *c, uint32_t x)
{
    const int32_t *d = shape_of(c, x)->dims;
    int32_t swapped[] = {1, d[2], d[1], d[3]}, halved[] = {1, d[1], d[2] * 2, d[3] / 2},
            moved[] = {1, d[3], d[1], d[2]};
    bool halves = d[3] % 2 == 0 && d[2] * 2 <= MAX_SIZE, moves = d[3] <= MAX_SIZE;
    const int32_t *dims = halves && pick(c, 0, 1) ? halved : moves && pick(c, 0, 1) ? moved : swapped;
    uint32_t y = new_tensor(c, dims);
    add_op(c, "RESHAPE", NULL, &c->live[x], 1, &c->live[y], 1);
}

static void add_transpose(struct chain *c, uint32_t x)
{
    static const int32_t perms[][4] = {{0, 2, 1, 3}, {0, 3, 1, 2}, {0, 1, 3, 2}, {0, 3, 2, 1}};
    const int32_t *d = shape_of(c, x)->dims, *perm = perms[d[3] <= MAX_SIZE ? pick(c, 0, 3) : 0];
    int32_t dims[] = {d[perm[0]], d[perm[1]], d[perm[2]], d[perm[3]]};
    uint32_t inputs[] = {c->live[x], new_constant(c, 1, 4, 0, perm)}, y = new_tensor(c, dims);
    add_op(c, "TRANSPOSE", NULL, inputs, 2, &c->live[y], 1);
}

static void add_resize(struct chain *c, uint32_t x)
{
    int32_t size[] = {pick(c, 1, MAX_SIZE), pick(c, 1, MAX_SIZE)};
    int32_t dims[] = {1, size[0], size[1], shape_of(c, x)->dims[3]};
    uint32_t inputs[] = {c->live[x], new_constant(c, 1, 2, 0, size)}, y = new_tensor(c, dims);
    add_op(c, pick(c, 0, 1) ? "RESIZE_BILINEAR" : "RESIZE_NEAREST_NEIGHBOR", NULL, inputs, 2, &c->live[y], 1);
}

static void add_step(struct chain *c)
{
    uint32_t x = (uint32_t)pick(c, c->count > 5 ? (int32_t)c->count - 5 : 0, (int32_t)c->count - 1);
    c->read[x] = true;
    switch (pick(c, 0, 13)) {
    case 0:
        return add_sum(c, x);
    case 1:
    case 2:
    case 3:
        return add_concat(c, x, 3);
    case 4:
        return add_concat(c, x, 1);
    case 5:
        return add_pad(c, x);
    case 6:
        return add_pool(c, x);
    case 7:
        return add_slice(c, x);
    case 8:
        return add_split(c, x);
    case 9:
    case 10:
        return add_reshape(c, x);
    case 11:
        return add_transpose(c, x);
    case 12:
        return add_resize(c, x);
    default:
        return add_unary(c, x);
    }
}

/* A model of MAX_OPS steps; what nobody reads is an output, and so are some that are read. */
static struct shk_model *random_model(struct chain *c, uint64_t seed)
{
    struct shk_model *model = NULL;
    struct shk_error error;
    uint32_t outputs[MAX_TENSORS], n = 0;
    *c = (struct chain){.graph = shk_graph_create("chain"), .seed = seed * 7919 + 1};
    new_tensor(c, (int32_t[]){1, pick(c, 1, 8), pick(c, 1, 8), pick(c, 1, 17)});
    for (int i = 0; i < MAX_OPS; i++)
        add_step(c);
    for (uint32_t i = 1; i < c->count; i++)
        if (!c->read[i] || pick(c, 0, 5) == 0)
            outputs[n++] = c->live[i];
    if (shk_graph_set_io(c->graph, &c->live[0], 1, outputs, n, &error) ||
        shk_model_from_graph(&c->graph, &model, &error))
        ck_abort_msg("seed %llu: %s%s", (unsigned long long)seed, error.message, c->text);
    return model;
}

/* The frame is the last of a batch. */
static void run(struct shk_model *model, struct shk_device *device, uint64_t seed, uint32_t batch, void **outputs)
{
    struct shk_session *session = NULL;
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_error error;
    struct shk_result result;
    struct shk_tensor_info info;
    uint64_t ticket;
    shk_model_get_tensor(model, shk_model_input(model, 0), &info);
    int8_t *input = malloc(info.bytes), *other = calloc(1, info.bytes);
    op_random_int8(&seed, input, info.bytes);
    const void *inputs[] = {other, input};
    params.batch_size = batch;
    if (shk_session_create(device, model, &params, &session, &error) ||
        shk_session_submit_tensors(session, inputs + MAX_BATCH - batch, batch, NULL, &ticket, &error) ||
        shk_session_wait(session, UINT64_MAX, &result, &error))
        ck_abort_msg("%s", error.message);
    for (uint32_t i = 0; i < shk_model_output_count(model); i++) {
        shk_model_get_tensor(model, shk_model_output(model, i), &info);
        outputs[i] = malloc(info.bytes);
        if (shk_session_read_output(session, ticket, batch - 1, i, outputs[i], info.bytes, &error))
            ck_abort_msg("%s", error.message);
    }
    shk_session_release(session, ticket);
    shk_session_destroy(&session);
    free(input);
    free(other);
}

START_TEST(random_graphs)
{
    struct chain c;
    uint64_t seed = (uint64_t)_i;
    struct shk_model *model = random_model(&c, seed);
    void *expected[MAX_TENSORS], *found[MAX_TENSORS];
    uint32_t n = shk_model_output_count(model);
    run(model, NULL, seed, 1, expected);
    for (uint32_t d = 0; d < op_device_count(); d++) {
        run(model, op_device(d), seed, seed % 3 ? 1 : MAX_BATCH, found);
        for (uint32_t i = 0; i < n; i++) {
            struct shk_tensor_info info;
            shk_model_get_tensor(model, shk_model_output(model, i), &info);
            if (memcmp(expected[i], found[i], info.bytes) != 0)
                ck_abort_msg("seed %d, device %u: tensor %u differs%s", _i, d, shk_model_output(model, i),
                             c.text);
            free(found[i]);
        }
    }
    op_device_check_validation();
    for (uint32_t i = 0; i < n; i++)
        free(expected[i]);
    shk_model_destroy(&model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chain");
    TCase *t = tcase_create("chain");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, random_graphs, 0, 60);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
