/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op_case.h"

struct geometry {
    const char *label;
    int32_t in[4], out[4];
    int32_t filter_h, filter_w, stride_h, stride_w, padding;
};

static const struct geometry geometries[] = {
    {"2x2 stride 2", {1, 8, 8, 16}, {1, 4, 4, 16}, 2, 2, 2, 2, SHK_PADDING_VALID},
    {"5x5 SAME", {1, 10, 10, 8}, {1, 10, 10, 8}, 5, 5, 1, 1, SHK_PADDING_SAME},
    {"3x2 stride 2x3, odd", {2, 9, 11, 5}, {2, 5, 4, 5}, 3, 2, 2, 3, SHK_PADDING_SAME},
    {"global", {1, 7, 7, 10}, {1, 1, 1, 10}, 7, 7, 7, 7, SHK_PADDING_VALID},
    {"larger than the image", {1, 3, 4, 1}, {1, 3, 4, 1}, 9, 9, 1, 1, SHK_PADDING_SAME},
    {"batch", {3, 4, 5, 3}, {3, 2, 3, 3}, 3, 3, 1, 1, SHK_PADDING_VALID},
    {"stride over filter", {1, 12, 12, 6}, {1, 3, 3, 6}, 1, 2, 5, 5, SHK_PADDING_VALID},
};

static struct op_case pool(const char *op, const struct geometry *g, enum shk_dtype dtype)
{
    int32_t zero_point = dtype == SHK_DTYPE_UINT8 ? 100 : -11;
    struct op_case c = op_case(op, g->label);
    op_case_input(&c, dtype, 4, g->in, 0.05f, zero_point);
    op_case_output(&c, dtype, 4, g->out, 0.05f, zero_point);
    op_case_attr(&c, "filter_height", g->filter_h);
    op_case_attr(&c, "filter_width", g->filter_w);
    op_case_attr(&c, "stride_h", g->stride_h);
    op_case_attr(&c, "stride_w", g->stride_w);
    op_case_attr(&c, "padding", g->padding);
    return c;
}

static const char *const names[] = {"MAX_POOL_2D", "AVERAGE_POOL_2D"};

START_TEST(shapes)
{
    for (int op = 0; op < 2; op++)
        for (int dtype = SHK_DTYPE_INT8; dtype <= SHK_DTYPE_UINT8; dtype++) {
            struct op_case c = pool(names[op], &geometries[_i], dtype);
            op_case_run(&c);
            op_case_attr(&c, "fused_activation_function", SHK_ACTIVATION_RELU6);
            op_case_run(&c);
        }
}
END_TEST

static void verify_halves(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *x = inputs[0], *y = outputs[0];
    int sum = x[0] + x[1];
    bool up = c->inputs[0].desc.dtype == SHK_DTYPE_UINT8 || sum > 0;
    ck_assert_int_eq(c->inputs[0].desc.dtype == SHK_DTYPE_UINT8
                         ? (((const uint8_t *)x)[0] + ((const uint8_t *)x)[1] + 1) / 2
                         : sum / 2 + (sum % 2 ? (up ? 1 : -1) : 0),
                     c->inputs[0].desc.dtype == SHK_DTYPE_UINT8 ? ((const uint8_t *)y)[0] : y[0]);
}

/* The mean of two: int8 rounds halves away from zero, uint8 upwards. */
START_TEST(halves)
{
    static const struct geometry two = {"two taps", {1, 1, 2, 1},     {1, 1, 1, 1}, 1, 2, 1,
                                        1,          SHK_PADDING_VALID};
    for (int dtype = SHK_DTYPE_INT8; dtype <= SHK_DTYPE_UINT8; dtype++)
        for (uint64_t seed = 1; seed < 20; seed++) {
            struct op_case c = pool("AVERAGE_POOL_2D", &two, dtype);
            c.seed = seed;
            c.verify = verify_halves;
            op_case_run(&c);
        }
}
END_TEST

START_TEST(refused)
{
    struct op_case c = pool("MAX_POOL_2D", &geometries[0], SHK_DTYPE_INT8);
    c.outputs[0].scale = 0.1f;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "same type, scale");
    c = pool("MAX_POOL_2D", &geometries[0], SHK_DTYPE_INT8);
    op_case_attr(&c, "stride_h", 0);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "at least 1");
    c = pool("AVERAGE_POOL_2D", &geometries[0], SHK_DTYPE_INT8);
    op_case_attr(&c, "filter_height", 9);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "the op computes");
    c = pool("AVERAGE_POOL_2D", &geometries[1], SHK_DTYPE_INT8);
    op_case_attr(&c, "filter_height", INT32_MAX);
    op_case_attr(&c, "filter_width", INT32_MAX);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "too large");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *t = tcase_create("pool");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, shapes, 0, SHK_ARRAY_LEN(geometries));
    tcase_add_test(t, halves);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
