/* Two int8 tensors into one, with numpy's broadcasting.
 * ADD, SUB, MUL, MAXIMUM, MINIMUM: tflite/kernels/{add,sub,mul,maximum_minimum}.cc; PRELU: reference/prelu.h.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elementwise.h"
#include "grid.h"
#include "quant.h"

SHK_OP_DECLARE(elementwise);
SHK_SHADER_DECLARE(elementwise);

struct attrs {
    int32_t activation;
};

static int32_t activation_of(const struct shk_op *op)
{
    return ((const struct attrs *)op->attrs)->activation;
}

/* Dimension k of `shape` seen with `rank` dimensions: ones in front. */
static int32_t broadcast_dim(const struct shk_shape *shape, uint32_t rank, uint32_t k)
{
    uint32_t leading = rank - shape->rank;
    return k < leading ? 1 : shape->dims[k - leading];
}

static enum shk_status check_shapes(const struct shk_graph *graph, const struct shk_op *op,
                                    struct shk_error *error)
{
    const struct shk_shape *a = &shk_op_input(graph, op, 0)->shape, *b = &shk_op_input(graph, op, 1)->shape;
    struct shk_shape expected = {.rank = SHK_MAX(a->rank, b->rank)};
    char text_a[64], text_b[64];
    for (uint32_t k = 0; k < expected.rank; k++) {
        int32_t m = broadcast_dim(a, expected.rank, k), n = broadcast_dim(b, expected.rank, k);
        bool prelu_grows = op->spelling->kind == SHK_ELEMENTWISE_PRELU && n > m;
        if ((m != n && m != 1 && n != 1) || prelu_grows)
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error, "shapes %s and %s do not broadcast",
                               shk_shape_string(a, text_a), shk_shape_string(b, text_b));
        expected.dims[k] = SHK_MAX(m, n);
    }
    return shk_check_output_shape(graph, op, &expected, error);
}

/* The scales' ratios as the reference computes them: double for ADD and SUB, float for the rest. */
struct arithmetic {
    double a, b, out;
};

static struct arithmetic arithmetic_of(const struct shk_graph *graph, const struct shk_op *op)
{
    float a = shk_op_input(graph, op, 0)->quant.scales[0];
    float b = shk_op_input(graph, op, 1)->quant.scales[0];
    float out = shk_op_output(graph, op, 0)->quant.scales[0];
    switch (op->spelling->kind) {
    case SHK_ELEMENTWISE_ADD:
    case SHK_ELEMENTWISE_SUB: {
        double twice_max = 2.0 * (double)SHK_MAX(a, b);
        return (struct arithmetic){a / twice_max, b / twice_max, twice_max / (1048576.0 * (double)out)};
    }
    case SHK_ELEMENTWISE_MUL:
        return (struct arithmetic){0.0, 0.0, (double)(a * b / out)};
    case SHK_ELEMENTWISE_PRELU:
        return (struct arithmetic){(double)(a / out), 0.0, (double)(a * b / out)};
    default:
        return (struct arithmetic){0.0, 0.0, 0.0};
    }
}

static enum shk_status check_arithmetic(const struct shk_graph *graph, const struct shk_op *op,
                                        struct shk_error *error)
{
    struct arithmetic real = arithmetic_of(graph, op);
    bool sum = op->spelling->kind == SHK_ELEMENTWISE_ADD || op->spelling->kind == SHK_ELEMENTWISE_SUB;
    if (sum && real.out >= 1.0)
        return shk_op_fail(
            graph, op, SHK_ERROR_UNSUPPORTED, error,
            "the output's scale %g is too small for the inputs' scales (their ratio must be below "
            "2^19); quantize the model again with representative data",
            (double)shk_op_output(graph, op, 0)->quant.scales[0]);
    /* products of scales can leave float's range */
    if (!(real.a <= 1e9 && real.out <= 1e9))
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "the scales of inputs and output are too far apart (multiplier %g)", real.out);
    return SHK_OK;
}

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    enum shk_status status = shk_check_counts(graph, op, 2, 2, 1, error);
    if (status)
        return status;
    const uint32_t tensors[] = {op->inputs[0], op->inputs[1], op->outputs[0]};
    for (uint32_t i = 0; i < 3; i++) {
        status = shk_check_int8(graph, op, tensors[i], error);
        if (status)
            return status;
        if (graph->tensors[tensors[i]].legacy_uint8 != graph->tensors[tensors[0]].legacy_uint8)
            return shk_op_fail(graph, op, SHK_ERROR_BAD_MODEL, error,
                               "inputs and output mix int8 and uint8; they must have the same type");
    }
    if (activation_of(op) > SHK_ACTIVATION_RELU6)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error,
                           "fused activation %s; supported are NONE, RELU, RELU_N1_TO_1, RELU6",
                           shk_activation_names[activation_of(op)]);
    status = check_arithmetic(graph, op, error);
    return status ? status : check_shapes(graph, op, error);
}

struct constants {
    int32_t kind;
    struct shk_multiplier a, b, out;
    int32_t zero_a, zero_b, zero_out;
    struct shk_range range;
};

static struct constants constants_of(const struct shk_graph *graph, const struct shk_op *op)
{
    struct arithmetic real = arithmetic_of(graph, op);
    const struct shk_tensor *out = shk_op_output(graph, op, 0);
    return (struct constants){
        .kind = op->spelling->kind,
        .a = shk_quantize_multiplier(real.a),
        .b = shk_quantize_multiplier(real.b),
        .out = shk_quantize_multiplier(real.out),
        .zero_a = shk_op_input(graph, op, 0)->quant.zero_points[0],
        .zero_b = shk_op_input(graph, op, 1)->quant.zero_points[0],
        .zero_out = out->quant.zero_points[0],
        .range = shk_activation_range(activation_of(op), out),
    };
}

static int8_t compute(const struct constants *c, int32_t a, int32_t b)
{
    int32_t y = 0, x = a - c->zero_a, w = b - c->zero_b;
    switch (c->kind) {
    case SHK_ELEMENTWISE_MAX:
        return (int8_t)SHK_MAX(a, b);
    case SHK_ELEMENTWISE_MIN:
        return (int8_t)SHK_MIN(a, b);
    case SHK_ELEMENTWISE_ADD:
        y = shk_mbqm(shk_mbqm(x * (1 << 20), c->a) + shk_mbqm(w * (1 << 20), c->b), c->out);
        break;
    case SHK_ELEMENTWISE_SUB:
        y = shk_mbqm(shk_mbqm(x * (1 << 20), c->a) - shk_mbqm(w * (1 << 20), c->b), c->out);
        break;
    case SHK_ELEMENTWISE_MUL:
        y = shk_mbqm(x * w, c->out);
        break;
    case SHK_ELEMENTWISE_PRELU:
        y = x >= 0 ? shk_mbqm(x, c->a) : shk_mbqm(x * w, c->out);
        break;
    }
    int64_t shifted = (int64_t)y + c->zero_out;
    return (int8_t)SHK_CLAMP(shifted, c->range.min, c->range.max);
}

/* Index into `shape` of the output element at `coordinate`. */
static size_t broadcast_index(const struct shk_shape *shape, uint32_t rank, const int32_t *coordinate)
{
    size_t index = 0;
    for (uint32_t k = 0; k < shape->rank; k++) {
        int32_t i = shape->dims[k] == 1 ? 0 : coordinate[rank - shape->rank + k];
        index = index * (size_t)shape->dims[k] + (size_t)i;
    }
    return index;
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    struct constants c = constants_of(run->graph, run->op);
    const struct shk_shape *shape = &shk_op_output(run->graph, run->op, 0)->shape;
    const struct shk_shape *shape_a = &shk_op_input(run->graph, run->op, 0)->shape;
    const struct shk_shape *shape_b = &shk_op_input(run->graph, run->op, 1)->shape;
    const int8_t *a = run->inputs[0], *b = run->inputs[1];
    int8_t *out = run->outputs[0];
    int32_t at[SHK_MAX_RANK] = {0};
    size_t n = shk_shape_elements(shape);
    for (size_t i = 0; i < n; i++) {
        out[i] = compute(&c, a[broadcast_index(shape_a, shape->rank, at)],
                         b[broadcast_index(shape_b, shape->rank, at)]);
        for (uint32_t k = shape->rank; k-- > 0 && ++at[k] == shape->dims[k];)
            at[k] = 0;
    }
    return SHK_OK;
}

bool shk_op_is_add(const struct shk_op *op)
{
    return op->def == &shk_op_elementwise && op->spelling->kind == SHK_ELEMENTWISE_ADD;
}

struct shk_epilogue_add shk_add_describe(const struct shk_graph *graph, const struct shk_op *op, uint32_t first)
{
    struct constants c = constants_of(graph, op);
    struct shk_multiplier a = first ? c.b : c.a, b = first ? c.a : c.b;
    return (struct shk_epilogue_add){
        .zero_a = first ? c.zero_b : c.zero_a,
        .zero_b = first ? c.zero_a : c.zero_b,
        .multiplier_a = a.multiplier,
        .shift_a = a.shift,
        .multiplier_b = b.multiplier,
        .shift_b = b.shift,
        .multiplier_out = c.out.multiplier,
        .shift_out = c.out.shift,
        .zero_out = c.zero_out,
        .min = c.range.min,
        .max = c.range.max,
    };
}

static struct shk_elementwise_uniform uniform_of(const struct constants *c)
{
    return (struct shk_elementwise_uniform){
        .zero_a = c->zero_a,
        .zero_b = c->zero_b,
        .zero_out = c->zero_out,
        .min = c->range.min,
        .max = c->range.max,
        .multiplier_a = c->a.multiplier,
        .shift_a = c->a.shift,
        .multiplier_b = c->b.multiplier,
        .shift_b = c->b.shift,
        .multiplier_out = c->out.multiplier,
        .shift_out = c->out.shift,
    };
}

/* Words that an input moves by along dimension k of the output, all but the last. */
static uint32_t input_step(const struct shk_shape *shape, const struct shk_view *view, uint32_t rank,
                           uint32_t k)
{
    if (broadcast_dim(shape, rank, k) == 1)
        return 0;
    return shk_grid_row_step(shape, view, k - (rank - shape->rank));
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_graph *graph = shk_lower_graph(lowering);
    const struct shk_shape *shape = &shk_op_output(graph, op, 0)->shape;
    const struct shk_shape *shape_a = &shk_op_input(graph, op, 0)->shape;
    const struct shk_shape *shape_b = &shk_op_input(graph, op, 1)->shape;
    struct shk_view out = shk_lower_view(lowering, op->outputs[0]);
    struct shk_view a = shk_lower_view(lowering, op->inputs[0]), b = shk_lower_view(lowering, op->inputs[1]);
    bool splat_a = a.channels < out.channels, splat_b = b.channels < out.channels;
    struct constants c = constants_of(graph, op);
    struct shk_elementwise_uniform uniform = uniform_of(&c);
    struct shk_grid *grid = &uniform.grid;

    struct shk_elementwise_push push = {
        .dst = out.offset,
        .a = a.offset,
        .b = b.offset,
        .splat = (splat_a ? SHK_SPLAT_A : 0u) | (splat_b ? SHK_SPLAT_B : 0u),
    };
    for (uint32_t k = 0; k + 1 < shape->rank; k++)
        shk_grid_push(grid, (uint32_t)shape->dims[k], shk_grid_row_step(shape, &out, k),
                      input_step(shape_a, &a, shape->rank, k), input_step(shape_b, &b, shape->rank, k));
    shk_grid_push(grid, out.words, 1, splat_a ? 0 : 1, splat_b ? 0 : 1);
    shk_grid_collapse(grid);
    push.items = shk_grid_items(grid);

    struct shk_dispatch dispatch = {
        .shader = &shk_shader_elementwise,
        .spec = {shk_grid_spec(grid), (uint32_t)c.kind},
        .spec_count = 2,
        .push = &push,
        .push_size = sizeof(push),
        .uniform_offset = shk_lower_params(lowering, &uniform, sizeof(uniform), SHK_UNIFORM_ALIGNMENT),
    };
    shk_dispatch_linear(&dispatch, push.items, 64);
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}

static const struct shk_attr activation_attr[] = {
    {"fused_activation_function", SHK_ATTR_ENUM, 0, offsetof(struct attrs, activation), 0,
     shk_activation_names},
};
#define WITH_ACTIVATION activation_attr, SHK_ARRAY_LEN(activation_attr)
static const struct shk_op_spelling spellings[] = {
    {&shk_op_elementwise, "ADD", 0, 11, SHK_ELEMENTWISE_ADD, 5, WITH_ACTIVATION},
    {&shk_op_elementwise, "SUB", 41, 28, SHK_ELEMENTWISE_SUB, 5, WITH_ACTIVATION},
    {&shk_op_elementwise, "MUL", 18, 21, SHK_ELEMENTWISE_MUL, 7, WITH_ACTIVATION},
    {&shk_op_elementwise, "MAXIMUM", 55, 39, SHK_ELEMENTWISE_MAX, 4, NULL, 0},
    {&shk_op_elementwise, "MINIMUM", 57, 39, SHK_ELEMENTWISE_MIN, 4, NULL, 0},
    {&shk_op_elementwise, "PRELU", 54, 0, SHK_ELEMENTWISE_PRELU, 1, NULL, 0},
};

const struct shk_op_def shk_op_elementwise = {
    .name = "elementwise",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .attrs_size = sizeof(struct attrs),
    .check = check,
    .reference = reference,
    .lower = lower,
    .in_place_inputs = 1 | 2,
};
