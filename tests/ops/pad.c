/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op_case.h"

struct padding {
    const char *label;
    struct shk_shape in;
    int32_t pairs[2 * SHK_MAX_RANK];
};

static const struct padding paddings[] = {
    {"spatial", {4, {1, 5, 6, 8}}, {0, 0, 1, 1, 1, 1, 0, 0}},
    {"spatial odd", {4, {2, 4, 3, 5}}, {0, 0, 0, 1, 2, 0, 0, 0}},
    {"channels", {4, {1, 3, 3, 5}}, {0, 0, 0, 0, 0, 0, 1, 2}},
    {"channels by words", {4, {1, 3, 3, 8}}, {0, 0, 0, 0, 1, 0, 4, 4}},
    {"everything", {4, {2, 3, 2, 7}}, {1, 2, 3, 1, 0, 2, 3, 6}},
    {"nothing", {4, {1, 3, 3, 6}}, {0}},
    {"rank 1", {1, {7}}, {3, 4}},
    {"rank 5", {5, {1, 2, 2, 3, 6}}, {1, 0, 0, 1, 1, 1, 0, 2, 2, 1}},
};

static struct op_case pad(const char *op, const struct padding *p, enum shk_dtype dtype)
{
    struct op_case c = op_case(op, p->label);
    int32_t zero_point = dtype == SHK_DTYPE_UINT8 ? 131 : -5;
    float scale = dtype == SHK_DTYPE_FLOAT32 ? 0.0f : 0.02f;
    int32_t shape[2] = {(int32_t)p->in.rank, 2}, out[SHK_MAX_RANK];
    for (uint32_t k = 0; k < p->in.rank; k++)
        out[k] = p->in.dims[k] + p->pairs[2 * k] + p->pairs[2 * k + 1];
    op_case_input(&c, dtype, p->in.rank, p->in.dims, scale, zero_point);
    op_case_constant(&c, SHK_DTYPE_INT32, 2, shape, 0, NULL, NULL, 0, p->pairs);
    op_case_output(&c, dtype, p->in.rank, out, scale, zero_point);
    return c;
}

START_TEST(shapes)
{
    static const int8_t value = 77;
    static const float scale = 0.02f, number = -1.5f;
    for (int dtype = SHK_DTYPE_INT8; dtype <= SHK_DTYPE_UINT8; dtype++) {
        struct op_case c = pad("PAD", &paddings[_i], dtype);
        op_case_run(&c);
        c = pad("PADV2", &paddings[_i], dtype);
        op_case_constant(&c, dtype, OP_SHAPE(1), 1, &scale, NULL, 0, &value);
        op_case_run(&c);
    }
    struct op_case c = pad("PAD", &paddings[_i], SHK_DTYPE_FLOAT32);
    op_case_run(&c);
    c = pad("PADV2", &paddings[_i], SHK_DTYPE_FLOAT32);
    op_case_constant(&c, SHK_DTYPE_FLOAT32, OP_SHAPE(1), 0, NULL, NULL, 0, &number);
    op_case_run(&c);
}
END_TEST

static void verify_border(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *x = inputs[0], *y = outputs[0];
    for (int i = 0; i < 14; i++)
        ck_assert_int_eq(y[i], i >= 3 && i < 10 ? x[i - 3] : -5);
}

START_TEST(meaning)
{
    struct op_case c = pad("PAD", &paddings[6], SHK_DTYPE_INT8);
    c.verify = verify_border;
    op_case_run(&c);
}
END_TEST

START_TEST(refused)
{
    static const struct padding negative = {"negative", {2, {4, 4}}, {0, 0, -1, 1}};
    static const struct padding huge = {"huge", {2, {4, 4}}, {0, 0, 0, 0}};
    int32_t pairs[4] = {0, INT32_MAX, 0, 0};
    struct op_case c = pad("PAD", &negative, SHK_DTYPE_INT8);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "padding by -1 and 1");
    c = pad("PAD", &huge, SHK_DTYPE_INT8);
    c.inputs[1].desc.data = pairs;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "padding by 0");
    c = pad("PAD", &huge, SHK_DTYPE_INT8);
    c.inputs[1].desc.shape.dims[0] = 1;
    c.inputs[1].desc.data_bytes = 8;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "a pair for each");
    c = pad("PADV2", &huge, SHK_DTYPE_INT8);
    op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(1), 0.02f, 0);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "must be a constant");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pad");
    TCase *t = tcase_create("pad");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, shapes, 0, SHK_ARRAY_LEN(paddings));
    tcase_add_test(t, meaning);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
