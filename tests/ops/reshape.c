/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "op_case.h"

static void verify_copy(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    size_t bytes = shk_dtype_size(c->inputs[0].desc.dtype) * shk_shape_elements(&c->inputs[0].desc.shape);
    ck_assert_mem_eq(inputs[0], outputs[0], bytes);
}

static struct op_case reshape(const char *op, const char *label, enum shk_dtype dtype, uint32_t rank_in,
                              const int32_t *in, uint32_t rank_out, const int32_t *out)
{
    struct op_case c = op_case(op, label);
    op_case_input(&c, dtype, rank_in, in, 0.1f, 3);
    op_case_output(&c, dtype, rank_out, out, 0.1f, 3);
    c.verify = verify_copy;
    return c;
}

START_TEST(shapes)
{
    static const enum shk_dtype dtypes[] = {SHK_DTYPE_INT8, SHK_DTYPE_UINT8, SHK_DTYPE_INT32,
                                            SHK_DTYPE_FLOAT32};
    enum shk_dtype dtype = dtypes[_i];
    struct op_case c = reshape("RESHAPE", "same rows", dtype, OP_SHAPE(1, 4, 5, 7), OP_SHAPE(20, 7));
    op_case_run(&c);
    c = reshape("RESHAPE", "whole words", dtype, OP_SHAPE(1, 3, 5, 24), OP_SHAPE(1, 45, 8));
    op_case_run(&c);
    c = reshape("RESHAPE", "detector head", dtype, OP_SHAPE(1, 5, 5, 6), OP_SHAPE(1, 50, 1, 3));
    op_case_run(&c);
    c = reshape("RESHAPE", "to one row", dtype, OP_SHAPE(3, 5, 7), OP_SHAPE(105));
    op_case_run(&c);
    c = reshape("RESHAPE", "from one row", dtype, OP_SHAPE(66), OP_SHAPE(2, 3, 11));
    op_case_run(&c);
    c = reshape("RESHAPE", "columns", dtype, OP_SHAPE(9, 1), OP_SHAPE(1, 9));
    op_case_run(&c);
    c = reshape("RESHAPE", "to columns", dtype, OP_SHAPE(1, 9), OP_SHAPE(9, 1));
    op_case_run(&c);
    c = reshape("SQUEEZE", "all", dtype, OP_SHAPE(1, 1, 1, 10), OP_SHAPE(10));
    op_case_run(&c);
}
END_TEST

START_TEST(shape_input)
{
    static const int32_t shape[] = {-1, 6}, axis = -2;
    struct op_case c = reshape("RESHAPE", "shape input", SHK_DTYPE_INT8, OP_SHAPE(2, 3, 4), OP_SHAPE(4, 6));
    op_case_constant(&c, SHK_DTYPE_INT32, OP_SHAPE(2), 0, NULL, NULL, 0, shape);
    op_case_run(&c);
    c = reshape("EXPAND_DIMS", "axis -2", SHK_DTYPE_INT8, OP_SHAPE(2, 3, 5), OP_SHAPE(2, 3, 1, 5));
    op_case_constant(&c, SHK_DTYPE_INT32, 0, NULL, 0, NULL, NULL, 0, &axis);
    op_case_run(&c);
}
END_TEST

START_TEST(refused)
{
    static const int32_t shape[] = {4, 6}, axis = 7;
    struct op_case c = reshape("RESHAPE", "count", SHK_DTYPE_INT8, OP_SHAPE(2, 3, 4), OP_SHAPE(5, 5));
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "numbers of elements differ");
    c = reshape("RESHAPE", "shape input", SHK_DTYPE_INT8, OP_SHAPE(2, 3, 4), OP_SHAPE(6, 4));
    op_case_constant(&c, SHK_DTYPE_INT32, OP_SHAPE(2), 0, NULL, NULL, 0, shape);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "the op computes 4x6");
    c = reshape("RESHAPE", "shape not constant", SHK_DTYPE_INT8, OP_SHAPE(2, 3, 4), OP_SHAPE(6, 4));
    op_case_input(&c, SHK_DTYPE_INT32, OP_SHAPE(2), 0.0f, 0);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "must be a constant");
    c = reshape("RESHAPE", "type", SHK_DTYPE_INT8, OP_SHAPE(2, 3, 4), OP_SHAPE(6, 4));
    c.outputs[0].desc.dtype = SHK_DTYPE_UINT8;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "uint8");
    c = reshape("EXPAND_DIMS", "axis", SHK_DTYPE_INT8, OP_SHAPE(2, 3), OP_SHAPE(2, 1, 3));
    op_case_constant(&c, SHK_DTYPE_INT32, 0, NULL, 0, NULL, NULL, 0, &axis);
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "axis 7");
    c = reshape("SQUEEZE", "not ones", SHK_DTYPE_INT8, OP_SHAPE(1, 3, 1, 4), OP_SHAPE(1, 3, 4));
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "the op computes 3x4");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reshape");
    TCase *t = tcase_create("reshape");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, shapes, 0, 4);
    tcase_add_test(t, shape_input);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
