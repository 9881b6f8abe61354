/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op_case.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/session.h>

#include "session.h"
#include "../support/validation.h"

#define BATCH 3

struct op_case op_case(const char *op, const char *label)
{
    return (struct op_case){.op = op, .label = label, .seed = 1};
}

static struct op_case_tensor *add_tensor(struct op_case_tensor *list, uint32_t *count, enum shk_dtype dtype,
                                         uint32_t rank, const int32_t *dims, float scale, int32_t zero_point)
{
    ck_assert_uint_lt(*count, OP_CASE_MAX_TENSORS);
    struct op_case_tensor *t = &list[(*count)++];
    *t = (struct op_case_tensor){.scale = scale, .zero_point = zero_point};
    t->desc.dtype = dtype;
    t->desc.shape.rank = rank;
    for (uint32_t i = 0; i < rank; i++)
        t->desc.shape.dims[i] = dims[i];
    t->desc.quant_count = scale != 0.0f;
    return t;
}

void op_case_input(struct op_case *c, enum shk_dtype dtype, uint32_t rank, const int32_t *dims, float scale,
                   int32_t zero_point)
{
    add_tensor(c->inputs, &c->input_count, dtype, rank, dims, scale, zero_point);
}

void op_case_constant(struct op_case *c, enum shk_dtype dtype, uint32_t rank, const int32_t *dims,
                      uint32_t quant_count, const float *scales, const int32_t *zero_points,
                      uint32_t quant_axis, const void *data)
{
    struct op_case_tensor *t = add_tensor(c->inputs, &c->input_count, dtype, rank, dims, 0.0f, 0);
    t->desc.quant_count = quant_count;
    t->desc.quant_axis = quant_axis;
    t->desc.scales = scales;
    t->desc.zero_points = zero_points;
    t->desc.data = data;
    t->desc.data_bytes = shk_dtype_size(dtype) * shk_shape_elements(&t->desc.shape);
}

void op_case_absent(struct op_case *c)
{
    add_tensor(c->inputs, &c->input_count, SHK_DTYPE_INT8, 0, NULL, 0.0f, 0)->absent = true;
}

void op_case_output(struct op_case *c, enum shk_dtype dtype, uint32_t rank, const int32_t *dims, float scale,
                    int32_t zero_point)
{
    add_tensor(c->outputs, &c->output_count, dtype, rank, dims, scale, zero_point);
}

void op_case_attr(struct op_case *c, const char *name, double value)
{
    ck_assert_uint_lt(c->attr_count, OP_CASE_MAX_ATTRS);
    c->attrs[c->attr_count].name = name;
    c->attrs[c->attr_count++].value = value;
}

/* ---- the model ---- */

static uint32_t add_to_graph(struct shk_graph *graph, const struct op_case_tensor *t, const char *name)
{
    struct shk_error error;
    struct shk_tensor_desc desc = t->desc;
    uint32_t index = SHK_TENSOR_NONE;
    if (t->absent)
        return index;
    desc.name = name;
    if (!desc.scales) {
        desc.scales = &t->scale;
        desc.zero_points = &t->zero_point;
    }
    if (shk_graph_add_tensor(graph, &desc, &index, &error))
        ck_abort_msg("%s", error.message);
    return index;
}

static void set_attr(struct shk_op *op, const char *name, double value)
{
    for (uint32_t i = 0; i < op->spelling->attr_count; i++) {
        const struct shk_attr *a = &op->spelling->attrs[i];
        void *at = (unsigned char *)op->attrs + a->offset;
        if (strcmp(a->name, name) != 0)
            continue;
        if (a->type == SHK_ATTR_FLOAT)
            *(float *)at = (float)value;
        else if (a->type == SHK_ATTR_BOOL)
            *(bool *)at = value != 0.0;
        else
            *(int32_t *)at = (int32_t)value;
        return;
    }
    ck_abort_msg("%s has no attribute '%s'", op->spelling->name, name);
}

enum shk_status op_case_model(const struct op_case *c, struct shk_model **model, struct shk_error *error)
{
    uint32_t in[OP_CASE_MAX_TENSORS], out[OP_CASE_MAX_TENSORS], live[OP_CASE_MAX_TENSORS], live_count = 0;
    struct shk_graph *graph = shk_graph_create(c->label);
    const struct shk_op_spelling *spelling = shk_op_find_name(c->op);
    struct shk_op *op;
    char name[32];
    ck_assert_ptr_nonnull(graph);
    if (!spelling)
        ck_abort_msg("no op is called %s", c->op);
    for (uint32_t i = 0; i < c->input_count; i++) {
        snprintf(name, sizeof(name), "in%u", i);
        in[i] = add_to_graph(graph, &c->inputs[i], name);
        if (in[i] != SHK_TENSOR_NONE && !c->inputs[i].desc.data)
            live[live_count++] = in[i];
    }
    for (uint32_t i = 0; i < c->output_count; i++) {
        snprintf(name, sizeof(name), "out%u", i);
        out[i] = add_to_graph(graph, &c->outputs[i], name);
    }
    enum shk_status status =
        shk_graph_add_op(graph, spelling, in, c->input_count, out, c->output_count, &op, error);
    for (uint32_t i = 0; i < c->attr_count && !status; i++)
        set_attr(op, c->attrs[i].name, c->attrs[i].value);
    if (!status)
        status = shk_graph_set_io(graph, live, live_count, out, c->output_count, error);
    if (!status)
        return shk_model_from_graph(&graph, model, error);
    shk_graph_destroy(&graph);
    return status;
}

void op_case_refused(const struct op_case *c, enum shk_status status, const char *part)
{
    struct shk_model *model = NULL;
    struct shk_error error = {0};
    enum shk_status found = op_case_model(c, &model, &error);
    shk_model_destroy(&model);
    if (found != status || !strstr(error.message, part))
        ck_abort_msg("%s: %s, '%s'; expected %s with '%s' in it", c->label, shk_status_string(found),
                     error.message, shk_status_string(status), part);
}

/* ---- fills ---- */

uint64_t op_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int32_t op_random_range(uint64_t *state, int32_t min, int32_t max)
{
    return (int32_t)(min + (int64_t)(op_random(state) % ((uint64_t)((int64_t)max - min) + 1)));
}

float op_random_float(uint64_t *state, float min, float max)
{
    return min + (max - min) * (float)(op_random(state) >> 40) / 16777216.0f;
}

void op_random_int8(uint64_t *state, int8_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (int8_t)op_random(state);
}

static void fill(const struct op_case *c, const struct op_case_tensor *t, enum op_fill how, uint64_t *state,
                 void *values)
{
    size_t n = shk_shape_elements(&t->desc.shape);
    bool bytes = t->desc.dtype == SHK_DTYPE_INT8 || t->desc.dtype == SHK_DTYPE_UINT8;
    int32_t min = t->desc.dtype == SHK_DTYPE_UINT8 ? 0 : bytes ? INT8_MIN : -1000;
    int32_t max = t->desc.dtype == SHK_DTYPE_UINT8 ? UINT8_MAX : bytes ? INT8_MAX : 1000;
    bool narrowed = how == OP_FILL_RANDOM && c->random_min != c->random_max;
    if (how == OP_FILL_RANDOM && t->values) {
        memcpy(values, t->values, n * shk_dtype_size(t->desc.dtype));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        bool high = how == OP_FILL_MAX || (how == OP_FILL_ALTERNATING && i % 2);
        int32_t q = high ? max : min;
        float f = high ? 1e30f : -1e30f;
        if (how == OP_FILL_ZERO_POINT) {
            q = t->zero_point;
            f = 0.0f;
        } else if (how == OP_FILL_RANDOM) {
            q = op_random_range(state, narrowed ? c->random_min : min, narrowed ? c->random_max : max);
            f = op_random_float(state, -8.0f, 8.0f);
        }
        if (bytes)
            ((uint8_t *)values)[i] = (uint8_t)q;
        else if (t->desc.dtype == SHK_DTYPE_FLOAT32)
            ((float *)values)[i] = f;
        else
            ((int32_t *)values)[i] = q;
    }
}

/* ---- running ---- */

/* Outputs of one session for every fill, one after the other. */
struct op_run {
    void *outputs[OP_FILL_COUNT][OP_CASE_MAX_TENSORS];
};

static size_t tensor_bytes(const struct op_case_tensor *t)
{
    return shk_dtype_size(t->desc.dtype) * shk_shape_elements(&t->desc.shape);
}

/* Inputs of a fill: those that are the model's in `live`, to be freed, and all of the op's in `all`. */
static uint32_t make_inputs(const struct op_case *c, enum op_fill how, void **live, const void **all)
{
    uint64_t state = c->seed * 1000 + (uint64_t)how;
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->input_count; i++) {
        const struct op_case_tensor *t = &c->inputs[i];
        all[i] = t->absent ? NULL : t->desc.data;
        if (t->absent || t->desc.data)
            continue;
        live[count] = malloc(tensor_bytes(t));
        fill(c, t, how, &state, live[count]);
        all[i] = live[count++];
    }
    return count;
}

/* One fill, or several as the frames of a batch. */
static void run_fills(const struct op_case *c, struct shk_session *session, const enum op_fill *fills,
                      uint32_t fill_count, struct op_run *run, bool verify)
{
    void *live[OP_FILL_COUNT * OP_CASE_MAX_TENSORS];
    const void *all[OP_FILL_COUNT][OP_CASE_MAX_TENSORS];
    uint32_t count = 0;
    uint64_t ticket;
    struct shk_result result;
    struct shk_error error;
    for (uint32_t f = 0; f < fill_count; f++)
        count += make_inputs(c, fills[f], live + count, all[f]);
    if (shk_session_submit_tensors(session, (const void *const *)live, count, NULL, &ticket, &error) ||
        shk_session_wait(session, UINT64_MAX, &result, &error))
        ck_abort_msg("%s %s: %s", c->op, c->label, error.message);
    for (uint32_t f = 0; f < fill_count; f++) {
        void **outputs = run->outputs[fills[f]];
        for (uint32_t i = 0; i < c->output_count; i++) {
            size_t bytes = tensor_bytes(&c->outputs[i]);
            outputs[i] = malloc(bytes);
            if (shk_session_read_output(session, ticket, f, i, outputs[i], bytes, &error))
                ck_abort_msg("%s %s: %s", c->op, c->label, error.message);
        }
        if (verify && c->verify)
            c->verify(c, all[f], (const void *const *)outputs);
    }
    shk_session_release(session, ticket);
    for (uint32_t i = 0; i < count; i++)
        free(live[i]);
}

static uint32_t forced_cases, forced_ops; /* with SHRIKE_FORCE_VARIANT set; that took it */

static void note_forced(const struct shk_session *session)
{
    const char *forced = getenv("SHRIKE_FORCE_VARIANT");
    for (uint32_t i = 0; forced && session->device && i < session->graph->op_count; i++)
        forced_ops += session->lowering.used[i] && strcmp(session->lowering.used[i]->name, forced) == 0;
}

static void run_session(const struct op_case *c, struct shk_model *model, struct shk_device *device,
                        uint32_t batch, struct op_run *run)
{
    static const enum op_fill fills[] = {OP_FILL_ALTERNATING, OP_FILL_RANDOM, OP_FILL_MIN, OP_FILL_ZERO_POINT,
                                         OP_FILL_MAX};
    struct shk_session *session = NULL;
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_error error;
    params.batch_size = batch;
    if (shk_session_create(device, model, &params, &session, &error))
        ck_abort_msg("%s %s: %s", c->op, c->label, error.message);
    note_forced(session);
    for (uint32_t i = 0; i < OP_FILL_COUNT; i += batch) /* the last batch is not full */
        run_fills(c, session, fills + i, SHK_MIN(batch, OP_FILL_COUNT - i), run, !device);
    shk_session_destroy(&session);
}

static void free_run(struct op_run *run)
{
    for (int how = 0; how < OP_FILL_COUNT; how++)
        for (uint32_t i = 0; i < OP_CASE_MAX_TENSORS; i++)
            free(run->outputs[how][i]);
}

static void compare(const struct op_case *c, const char *where, const char *variant, uint32_t batch, int how,
                    const struct op_run *expected, const struct op_run *found)
{
    static const char *const fills[OP_FILL_COUNT] = {"random", "minimum", "maximum", "alternating",
                                                     "zero point"};
    for (uint32_t o = 0; o < c->output_count; o++) {
        const uint8_t *want = expected->outputs[how][o], *got = found->outputs[how][o];
        size_t bytes = tensor_bytes(&c->outputs[o]), at = 0, wrong = 0;
        for (size_t i = bytes; i-- > 0;)
            if (want[i] != got[i]) {
                wrong++;
                at = i;
            }
        if (wrong)
            ck_abort_msg(
                "%s %s on %s, variant %s, batch of %u, %s inputs: output %u differs in %zu of %zu bytes, first at "
                "byte %zu (last dimension %d): %d, expected %d",
                c->op, c->label, where, variant ? variant : "default", batch, fills[how], o, wrong, bytes, at,
                c->outputs[o].desc.shape.dims[c->outputs[o].desc.shape.rank - 1], (int8_t)got[at],
                (int8_t)want[at]);
    }
}

/* `variant` is what SHRIKE_FORCE_VARIANT says. */
static void run_forced(const struct op_case *c, struct shk_model *model, struct shk_device *device,
                       const char *variant, uint32_t batch, const struct op_run *expected)
{
    struct op_run found = {0};
    struct shk_device_info info;
    shk_device_get_info(device, &info);
    run_session(c, model, device, batch, &found);
    for (int how = 0; how < OP_FILL_COUNT; how++)
        compare(c, info.name, variant, batch, how, expected, &found);
    free_run(&found);
}

static void run_variant(const struct op_case *c, struct shk_model *model, struct shk_device *device,
                        const char *variant, uint32_t batch, const struct op_run *expected)
{
    if (variant)
        setenv("SHRIKE_FORCE_VARIANT", variant, 1);
    run_forced(c, model, device, variant, batch, expected);
    unsetenv("SHRIKE_FORCE_VARIANT");
}

void op_case_run(const struct op_case *c)
{
    static uint32_t cases;
    struct shk_model *model = NULL;
    struct shk_error error;
    struct op_run expected = {0};
    if (op_case_model(c, &model, &error))
        ck_abort_msg("%s", error.message);
    run_session(c, model, NULL, 1, &expected);
    const char *only = getenv("SHRIKE_FORCE_VARIANT");
    for (uint32_t d = 0; only && d < op_device_count(); d++) {
        forced_cases++;
        run_forced(c, model, op_device(d), only, 1, &expected);
        if (cases % 4 == 0)
            run_forced(c, model, op_device(d), only, BATCH, &expected);
    }
    for (uint32_t d = 0; !only && d < op_device_count(); d++) {
        uint32_t count = 0;
        run_variant(c, model, op_device(d), NULL, 1, &expected);
        run_variant(c, model, op_device(d), NULL, BATCH, &expected);
        for (; c->variants && c->variants[count]; count++)
            run_variant(c, model, op_device(d), c->variants[count], 1, &expected);
        if (count) /* batches of each variant, but not in every case */
            run_variant(c, model, op_device(d), c->variants[cases % count], BATCH, &expected);
    }
    cases++;
    op_device_check_validation();
    free_run(&expected);
    shk_model_destroy(&model);
}

/* ---- devices and main ---- */

#define MAX_DEVICES 8
static struct shk_device *devices[MAX_DEVICES];
static uint32_t device_count;
static bool devices_created;

static void print_log(void *user, enum shk_log_level level, const char *message)
{
    if (level <= SHK_LOG_WARNING)
        fprintf(stderr, "%s\n", message);
}

uint32_t op_device_count(void)
{
    struct shk_device_info infos[MAX_DEVICES];
    uint32_t count = MAX_DEVICES;
    struct shk_error error;
    if (devices_created)
        return device_count;
    devices_created = true;
    /* Never closed: a leak checker can only name, and forgive, what drivers keep while they are loaded. */
    static struct shk_device *keeper;
    (void)shk_device_create(NULL, &keeper, NULL);
    if (shk_device_list(infos, &count, &error))
        return 0;
    for (uint32_t i = 0; i < SHK_MIN(count, (uint32_t)MAX_DEVICES); i++) {
        char select[16];
        snprintf(select, sizeof(select), "%u", infos[i].index);
        struct shk_device_params params = {.select = select, .validation = test_validation(), .log = {.fn = print_log}};
        if (shk_device_create(&params, &devices[device_count], &error))
            ck_abort_msg("device %s: %s", infos[i].name, error.message);
        device_count++;
    }
    return device_count;
}

struct shk_device *op_device(uint32_t index)
{
    return index < op_device_count() ? devices[index] : NULL;
}

void op_device_check_validation(void)
{
    for (uint32_t i = 0; i < device_count; i++) {
        uint64_t messages = shk_device_validation_messages(devices[i]);
        if (messages)
            ck_abort_msg("the validation layer sent %" PRIu64 " messages", messages);
    }
}

int op_case_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    bool skipped = op_device_count() == 0, unused = forced_cases && forced_ops == 0;
    for (uint32_t i = 0; i < device_count; i++)
        shk_device_destroy(&devices[i]);
    if (!failed && skipped)
        fprintf(stderr, "no Vulkan device: only the CPU reference was tested\n");
    if (!failed && unused)
        fprintf(stderr, "no device here has what the variant '%s' needs\n", getenv("SHRIKE_FORCE_VARIANT"));
    return failed ? 1 : skipped || unused ? 77 : 0;
}
