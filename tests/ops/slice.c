/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op_case.h"

struct strided {
    const char *label;
    struct shk_shape in, out;
    int32_t count; /* of begin, end and strides */
    int32_t begin[4], end[4], strides[4];
    int32_t begin_mask, end_mask, shrink;
};

static const struct strided cases[] = {
    {"channels by word",
     {4, {1, 4, 4, 12}},
     {4, {1, 4, 4, 8}},
     4,
     {0, 0, 0, 4},
     {1, 4, 4, 12},
     {1, 1, 1, 1},
     0,
     0,
     0},
    {"channels odd",
     {4, {1, 3, 3, 11}},
     {4, {1, 3, 3, 6}},
     4,
     {0, 0, 0, 3},
     {1, 3, 3, 9},
     {1, 1, 1, 1},
     0,
     0,
     0},
    {"every other row",
     {4, {1, 7, 6, 5}},
     {4, {1, 4, 3, 5}},
     4,
     {0, 0, 1, 0},
     {1, 7, 6, 5},
     {1, 2, 2, 1},
     0,
     0,
     0},
    {"backwards",
     {4, {1, 5, 4, 7}},
     {4, {1, 5, 2, 7}},
     4,
     {0, -1, -1, -1},
     {1, -9, -4, -9},
     {1, -1, -2, -1},
     0,
     0,
     0},
    {"masks", {4, {2, 5, 4, 6}}, {4, {2, 3, 4, 2}}, 4, {9, 2, -9, 7}, {-5, 3, 1, 2}, {1, 1, 1, 1}, 9, 7, 0},
    {"every fourth channel", {2, {3, 14}}, {2, {3, 4}}, 2, {0, 1}, {3, 14}, {1, 4}, 0, 0, 0},
    {"shrink a row",
     {4, {2, 3, 4, 6}},
     {3, {2, 4, 6}},
     4,
     {0, -1, 0, 0},
     {0, 0, 0, 0},
     {1, 1, 1, 1},
     13,
     13,
     2},
    {"shrink channels", {3, {3, 6, 5}}, {2, {3, 6}}, 3, {0, 0, 2}, {0, 0, 3}, {1, 1, 1}, 3, 3, 4},
    {"shrink all", {2, {3, 6}}, {0, {0}}, 2, {1, 5}, {2, 6}, {1, 1}, 0, 0, 3},
    {"fewer values", {4, {4, 2, 3, 5}}, {4, {2, 2, 3, 5}}, 1, {1}, {3}, {1}, 0, 0, 0},
    {"clamped", {2, {4, 5}}, {2, {4, 2}}, 2, {-100, 3}, {100, 100}, {1, 1}, 0, 0, 0},
};

static struct op_case strided(const struct strided *s, enum shk_dtype dtype)
{
    struct op_case c = op_case("STRIDED_SLICE", s->label);
    op_case_input(&c, dtype, s->in.rank, s->in.dims, 0.1f, 3);
    op_case_constant(&c, SHK_DTYPE_INT32, 1, &s->count, 0, NULL, NULL, 0, s->begin);
    op_case_constant(&c, SHK_DTYPE_INT32, 1, &s->count, 0, NULL, NULL, 0, s->end);
    op_case_constant(&c, SHK_DTYPE_INT32, 1, &s->count, 0, NULL, NULL, 0, s->strides);
    op_case_output(&c, dtype, s->out.rank, s->out.dims, 0.1f, 3);
    op_case_attr(&c, "begin_mask", s->begin_mask);
    op_case_attr(&c, "end_mask", s->end_mask);
    op_case_attr(&c, "shrink_axis_mask", s->shrink);
    return c;
}

START_TEST(strides)
{
    static const enum shk_dtype dtypes[] = {SHK_DTYPE_INT8, SHK_DTYPE_UINT8, SHK_DTYPE_INT32};
    for (int i = 0; i < 3; i++) {
        struct op_case c = strided(&cases[_i], dtypes[i]);
        op_case_run(&c);
    }
}
END_TEST

static void verify_backwards(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t(*x)[4][7] = inputs[0];
    const int8_t(*y)[2][7] = outputs[0];
    for (int h = 0; h < 5; h++)
        for (int w = 0; w < 2; w++)
            for (int k = 0; k < 7; k++)
                ck_assert_int_eq(y[h][w][k], x[4 - h][3 - 2 * w][6 - k]);
}

START_TEST(meaning)
{
    struct op_case c = strided(&cases[3], SHK_DTYPE_INT8);
    c.verify = verify_backwards;
    op_case_run(&c);
}
END_TEST

START_TEST(slice)
{
    static const int32_t begin[] = {0, 1, 2, 3}, size[] = {-1, 2, 1, 5};
    static const int64_t begin64[] = {0, 1, 2, 3}, size64[] = {-1, 2, 1, 5};
    struct op_case c = op_case("SLICE", "sizes");
    op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(2, 3, 4, 9), 0.1f, 0);
    op_case_constant(&c, SHK_DTYPE_INT32, OP_SHAPE(4), 0, NULL, NULL, 0, begin);
    op_case_constant(&c, SHK_DTYPE_INT32, OP_SHAPE(4), 0, NULL, NULL, 0, size);
    op_case_output(&c, SHK_DTYPE_INT8, OP_SHAPE(2, 2, 1, 5), 0.1f, 0);
    op_case_run(&c);
    c.inputs[1].desc = (struct shk_tensor_desc){
        .dtype = SHK_DTYPE_INT64, .shape = {1, {4}}, .data = begin64, .data_bytes = sizeof(begin64)};
    c.inputs[2].desc = (struct shk_tensor_desc){
        .dtype = SHK_DTYPE_INT64, .shape = {1, {4}}, .data = size64, .data_bytes = sizeof(size64)};
    op_case_run(&c);
    static const int32_t outside[] = {0, 2, 2, 3};
    c.inputs[1].desc = (struct shk_tensor_desc){
        .dtype = SHK_DTYPE_INT32, .shape = {1, {4}}, .data = outside, .data_bytes = sizeof(outside)};
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "dimension 1 of size 3");
}
END_TEST

START_TEST(refused)
{
    struct strided s = cases[0];
    s.strides[2] = 0;
    struct op_case c = strided(&s, SHK_DTYPE_INT8);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "stride of 0");
    s = cases[0];
    s.begin[1] = s.end[1] = 2;
    c = strided(&s, SHK_DTYPE_INT8);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "nothing is left");
    s = cases[6];
    s.begin[1] = INT32_MIN;
    c = strided(&s, SHK_DTYPE_INT8);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "outside");
    c = strided(&cases[0], SHK_DTYPE_INT8);
    op_case_attr(&c, "new_axis_mask", 1);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "new axis mask 1");
    s = cases[0];
    s.strides[1] = INT32_MIN;
    s.begin[1] = INT32_MAX;
    c = strided(&s, SHK_DTYPE_INT8);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "nothing is left");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slice");
    TCase *t = tcase_create("slice");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, strides, 0, SHK_ARRAY_LEN(cases));
    tcase_add_test(t, meaning);
    tcase_add_test(t, slice);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
