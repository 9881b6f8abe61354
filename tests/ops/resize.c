/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op_case.h"

static const int32_t sizes[][4] = {/* from height, width, to height, width */
                                   {5, 5, 10, 10}, {10, 8, 5, 4}, {7, 9, 13, 5}, {1, 1, 4, 3},
                                   {4, 6, 1, 1},   {3, 3, 3, 3},  {6, 5, 31, 2}, {20, 20, 33, 47}};

static struct op_case resize(const char *op, const int32_t size[4], enum shk_dtype dtype, int32_t channels)
{
    static int32_t new_size[2];
    struct op_case c = op_case(op, "");
    int32_t in[4] = {2, size[0], size[1], channels}, out[4] = {2, size[2], size[3], channels};
    new_size[0] = size[2];
    new_size[1] = size[3];
    op_case_input(&c, dtype, 4, in, 0.1f, 3);
    op_case_constant(&c, SHK_DTYPE_INT32, OP_SHAPE(2), 0, NULL, NULL, 0, new_size);
    op_case_output(&c, dtype, 4, out, 0.1f, 3);
    return c;
}

START_TEST(all_sizes)
{
    static const enum shk_dtype dtypes[] = {SHK_DTYPE_INT8, SHK_DTYPE_UINT8, SHK_DTYPE_FLOAT32};
    static const char *const names[] = {"RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"};
    for (int op = 0; op < 2; op++)
        for (int dtype = 0; dtype < 3 - op; dtype++)
            for (int mode = 0; mode < 3; mode++) {
                struct op_case c = resize(names[op], sizes[_i], dtypes[dtype], mode == 1 ? 8 : 5);
                if (mode)
                    op_case_attr(&c, mode == 1 ? "align_corners" : "half_pixel_centers", 1);
                op_case_run(&c);
            }
}
END_TEST

static void verify_doubled(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *x = inputs[0], *y = outputs[0];
    for (int h = 0; h < 10; h++)
        for (int w = 0; w < 10; w++)
            ck_assert_int_eq(y[(h * 10 + w) * 4], x[(h / 2 * 5 + w / 2) * 4]);
}

/* Halfway between two columns: the rounded mean, halves away from zero for int8. */
static void verify_between(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *x = inputs[0], *y = outputs[0];
    for (int w = 0; w < 8; w += 2) {
        int left = x[w / 2], right = x[w / 2 + (w < 6)], sum = left + right;
        ck_assert_int_eq(y[w], left);
        ck_assert_int_eq(y[w + 1], sum > 0 ? (sum + 1) / 2 : (sum - 1) / 2);
    }
}

START_TEST(meaning)
{
    static const int32_t row[] = {1, 4, 1, 8};
    struct op_case c = resize("RESIZE_NEAREST_NEIGHBOR", sizes[0], SHK_DTYPE_INT8, 4);
    c.verify = verify_doubled;
    op_case_run(&c);
    c = resize("RESIZE_BILINEAR", row, SHK_DTYPE_INT8, 1);
    c.verify = verify_between;
    op_case_run(&c);
}
END_TEST

START_TEST(refused)
{
    static const int32_t other[] = {10, 11}, none[] = {0, 10};
    struct op_case c = resize("RESIZE_BILINEAR", sizes[0], SHK_DTYPE_FLOAT32, 4);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "float32");
    c = resize("RESIZE_BILINEAR", sizes[0], SHK_DTYPE_INT8, 4);
    op_case_attr(&c, "align_corners", 1);
    op_case_attr(&c, "half_pixel_centers", 1);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "exclude each other");
    c = resize("RESIZE_NEAREST_NEIGHBOR", sizes[0], SHK_DTYPE_INT8, 4);
    c.inputs[1].desc.data = other;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "computes 2x10x11x4");
    c.inputs[1].desc.data = none;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "to 0");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resize");
    TCase *t = tcase_create("resize");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, all_sizes, 0, SHK_ARRAY_LEN(sizes));
    tcase_add_test(t, meaning);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
