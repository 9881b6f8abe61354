/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op_case.h"

static struct op_case two(const char *op, const char *label, enum shk_dtype dtype, uint32_t rank_a,
                          const int32_t *a, uint32_t rank_b, const int32_t *b, uint32_t rank,
                          const int32_t *out)
{
    bool u8 = dtype == SHK_DTYPE_UINT8;
    struct op_case c = op_case(op, label);
    op_case_input(&c, dtype, rank_a, a, 0.0231f, u8 ? 125 : -3);
    op_case_input(&c, dtype, rank_b, b, 0.0117f, u8 ? 0 : 17);
    op_case_output(&c, dtype, rank, out, 0.0301f, u8 ? 140 : 12);
    return c;
}

static const char *const names[] = {"ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"};

START_TEST(same_shape)
{
    for (int dtype = SHK_DTYPE_INT8; dtype <= SHK_DTYPE_UINT8; dtype++) {
        struct op_case c = two(names[_i], "1x5x7x16", dtype, OP_SHAPE(1, 5, 7, 16), OP_SHAPE(1, 5, 7, 16),
                               OP_SHAPE(1, 5, 7, 16));
        op_case_run(&c);
        c = two(names[_i], "2x3x5x7", dtype, OP_SHAPE(2, 3, 5, 7), OP_SHAPE(2, 3, 5, 7),
                OP_SHAPE(2, 3, 5, 7));
        op_case_run(&c);
    }
}
END_TEST

START_TEST(broadcast)
{
    static const struct {
        const char *label;
        struct shk_shape a, b, out;
    } cases[] = {
        {"channels", {4, {1, 4, 3, 10}}, {4, {1, 1, 1, 10}}, {4, {1, 4, 3, 10}}},
        {"one channel", {4, {2, 4, 3, 9}}, {4, {2, 4, 3, 1}}, {4, {2, 4, 3, 9}}},
        {"lower rank", {1, {6}}, {3, {5, 2, 6}}, {3, {5, 2, 6}}},
        {"scalar", {4, {1, 2, 3, 5}}, {0, {0}}, {4, {1, 2, 3, 5}}},
        {"scalar first", {1, {1}}, {2, {4, 6}}, {2, {4, 6}}},
        {"both", {4, {1, 4, 1, 5}}, {4, {3, 1, 2, 1}}, {4, {3, 4, 2, 5}}},
        {"rank 6", {6, {2, 1, 3, 1, 2, 4}}, {6, {1, 2, 1, 3, 1, 4}}, {6, {2, 2, 3, 3, 2, 4}}},
    };
    for (size_t i = 0; i < SHK_ARRAY_LEN(cases); i++) {
        struct op_case c = two(names[_i], cases[i].label, SHK_DTYPE_INT8, cases[i].a.rank, cases[i].a.dims,
                               cases[i].b.rank, cases[i].b.dims, cases[i].out.rank, cases[i].out.dims);
        op_case_run(&c);
    }
}
END_TEST

START_TEST(activations)
{
    for (int op = 0; op < 3; op++)
        for (int activation = 0; activation <= SHK_ACTIVATION_RELU6; activation++) {
            struct op_case c = two(names[op], shk_activation_names[activation], SHK_DTYPE_INT8,
                                   OP_SHAPE(1, 3, 3, 6), OP_SHAPE(1, 3, 3, 6), OP_SHAPE(1, 3, 3, 6));
            op_case_attr(&c, "fused_activation_function", activation);
            op_case_run(&c);
        }
}
END_TEST

/* Scales far apart reach every shift of the multipliers. */
START_TEST(scales)
{
    static const float values[] = {1e-6f, 0.0039f, 1.0f, 300.0f};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            struct op_case c = op_case(names[_i], "scales");
            op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(4, 9), values[i], -128);
            op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(4, 9), values[j], 127);
            op_case_output(&c, SHK_DTYPE_INT8, OP_SHAPE(4, 9), SHK_MAX(values[i], values[j]) / 7.0f, 3);
            op_case_run(&c);
        }
}
END_TEST

static void verify_add(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *a = inputs[0], *b = inputs[1], *y = outputs[0];
    for (int i = 0; i < 12; i++) {
        double real = 0.5 * (a[i] - 3) + 0.25 * (b[i] + 4);
        ck_assert_double_le(SHK_MAX(real - 2.0 * y[i], 2.0 * y[i] - real), 1.001);
    }
}

/* The reference against real arithmetic. */
START_TEST(meaning)
{
    struct op_case c = op_case("ADD", "meaning");
    op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(12), 0.5f, 3);
    op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(12), 0.25f, -4);
    op_case_output(&c, SHK_DTYPE_INT8, OP_SHAPE(12), 2.0f, 0);
    c.verify = verify_add;
    op_case_run(&c);
}
END_TEST

START_TEST(prelu)
{
    static const float alpha_scale = 0.0021f;
    static const int32_t alpha_zero = -40;
    int8_t alpha[10];
    uint64_t seed = 5;
    op_random_int8(&seed, alpha, 10);
    struct op_case c = op_case("PRELU", "alpha per channel");
    op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(1, 4, 5, 10), 0.02f, 7);
    op_case_constant(&c, SHK_DTYPE_INT8, OP_SHAPE(1, 1, 10), 1, &alpha_scale, &alpha_zero, 0, alpha);
    op_case_output(&c, SHK_DTYPE_INT8, OP_SHAPE(1, 4, 5, 10), 0.018f, -9);
    op_case_run(&c);
}
END_TEST

START_TEST(refused)
{
    struct op_case c = two("ADD", "shapes", SHK_DTYPE_INT8, OP_SHAPE(1, 3), OP_SHAPE(1, 4), OP_SHAPE(1, 4));
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "do not broadcast");
    c = two("ADD", "output shape", SHK_DTYPE_INT8, OP_SHAPE(1, 4), OP_SHAPE(3, 4), OP_SHAPE(1, 4));
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "computes 3x4");
    c = two("PRELU", "grows", SHK_DTYPE_INT8, OP_SHAPE(1, 4), OP_SHAPE(3, 4), OP_SHAPE(3, 4));
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "do not broadcast");
    c = two("MUL", "float", SHK_DTYPE_FLOAT32, OP_SHAPE(4), OP_SHAPE(4), OP_SHAPE(4));
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "float32");
    c = two("ADD", "mixed types", SHK_DTYPE_INT8, OP_SHAPE(4), OP_SHAPE(4), OP_SHAPE(4));
    c.inputs[1].desc.dtype = SHK_DTYPE_UINT8;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "mix int8 and uint8");
    c = two("ADD", "TANH", SHK_DTYPE_INT8, OP_SHAPE(4), OP_SHAPE(4), OP_SHAPE(4));
    op_case_attr(&c, "fused_activation_function", SHK_ACTIVATION_TANH);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "fused activation");
    c = op_case("ADD", "tiny output scale");
    op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(4), 1.0f, 0);
    op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(4), 1.0f, 0);
    op_case_output(&c, SHK_DTYPE_INT8, OP_SHAPE(4), 1e-7f, 0);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "too small");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("elementwise");
    TCase *t = tcase_create("elementwise");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, same_shape, 0, 5);
    tcase_add_loop_test(t, broadcast, 0, 5);
    tcase_add_loop_test(t, scales, 0, 5);
    tcase_add_test(t, activations);
    tcase_add_test(t, meaning);
    tcase_add_test(t, prelu);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
