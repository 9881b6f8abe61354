/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "op_case.h"

struct unary {
    const char *op;
    float in_scale, out_scale;
    int32_t in_zero, out_zero; /* int8 */
    float alpha;
};

static const struct unary cases[] = {
    {"LOGISTIC", 0.0472f, 1.0f / 256.0f, 11, -128, 0},
    {"LOGISTIC", 0.9f, 1.0f / 256.0f, -128, -128, 0},
    {"TANH", 0.031f, 1.0f / 128.0f, -7, 0, 0},
    {"ELU", 0.02f, 0.015f, 5, -60, 0},
    {"HARD_SWISH", 0.0472f, 0.027f, -10, -114, 0},
    {"HARD_SWISH", 0.004f, 0.003f, 3, -20, 0},
    {"HARD_SWISH", 1.7f, 1.6f, 0, -128, 0},
    {"LEAKY_RELU", 0.05f, 0.041f, 20, -90, 0.1f},
    {"LEAKY_RELU", 0.05f, 0.051f, -20, -60, 0.3f},
    {"RELU", 0.05f, 0.03f, 10, -128, 0},
    {"RELU6", 0.05f, 0.0235f, 10, -128, 0},
    {"RELU_N1_TO_1", 0.02f, 0.0078f, 10, 2, 0},
    {"ABS", 0.05f, 0.02f, -40, -128, 0},
    {"ABS", 0.05f, 0.05f, 40, -128, 0},
};

static double real_value(const struct unary *u, double x)
{
    switch (u->op[0]) {
    case 'T':
        return tanh(x);
    case 'E':
        return x < 0 ? exp(x) - 1 : x;
    case 'H':
        return x * fmin(fmax(x + 3, 0), 6) / 6;
    case 'A':
        return fabs(x);
    case 'R':
        return u->op[4] == '6' ? fmin(fmax(x, 0), 6) : u->op[4] == '_' ? fmin(fmax(x, -1), 1) : fmax(x, 0);
    default:
        return u->op[1] == 'O' ? 1 / (1 + exp(-x)) : x < 0 ? x * (double)u->alpha : x;
    }
}

static const struct unary *current;

/* One step, and two for HARD_SWISH's 16-bit arithmetic. */
static void verify_real(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *x = inputs[0], *y = outputs[0];
    for (int i = 0; i < 7 * 37; i++) {
        double want = real_value(current, (double)current->in_scale * (x[i] - current->in_zero));
        double steps = fmin(fmax(want / (double)current->out_scale + current->out_zero, -128), 127);
        ck_assert_msg(fabs(steps - y[i]) <= (current->op[0] == 'H' ? 2.0 : 1.0), "%s of %d is %d, not %g",
                      current->op, x[i], y[i], steps);
    }
}

static struct op_case unary(const struct unary *u, bool u8, uint32_t rank, const int32_t *dims)
{
    static const char *const variants[] = {"storage", "uniform", NULL};
    struct op_case c = op_case(u->op, u8 ? "uint8" : "int8");
    c.variants = variants;
    op_case_input(&c, u8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, rank, dims, u->in_scale,
                  u->in_zero + (u8 ? 128 : 0));
    op_case_output(&c, u8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, rank, dims, u->out_scale,
                   u->out_zero + (u8 ? 128 : 0));
    if (u->alpha != 0.0f)
        op_case_attr(&c, "alpha", (double)u->alpha);
    return c;
}

START_TEST(values)
{
    current = &cases[_i];
    struct op_case c = unary(current, false, OP_SHAPE(7, 37));
    c.verify = verify_real;
    op_case_run(&c);
    c = unary(current, true, OP_SHAPE(1, 5, 3, 6));
    op_case_run(&c);
    c = unary(current, false, OP_SHAPE(1, 4, 4, 16));
    op_case_run(&c);
}
END_TEST

START_TEST(refused)
{
    struct op_case c = unary(&cases[0], false, OP_SHAPE(4));
    c.outputs[0].scale = 1.0f / 128.0f;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "must be 1/256");
    c = unary(&cases[0], false, OP_SHAPE(4));
    c.outputs[0].desc.dtype = SHK_DTYPE_UINT8;
    c.outputs[0].zero_point = 0;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "uint8");
    c = unary(&cases[0], false, OP_SHAPE(4));
    c.outputs[0].desc.shape.dims[0] = 5;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "computes 4");
    c = unary(&cases[7], false, OP_SHAPE(4));
    c.attrs[0].value = -1.0;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "alpha is -1");
    c = unary(&cases[9], false, OP_SHAPE(4));
    c.inputs[0].scale = 1e6f;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "too small");
    c = unary(&cases[4], false, OP_SHAPE(4));
    c.inputs[0].scale = 1e6f;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "ratio must be at most 128");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unary");
    TCase *t = tcase_create("unary");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, values, 0, SHK_ARRAY_LEN(cases));
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
