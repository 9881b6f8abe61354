/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "op_case.h"

/* A 2x6x12 tensor in `count` parts along `axis`. */
static struct op_case split(enum shk_dtype dtype, const int32_t *axis, int32_t count)
{
    struct op_case c = op_case("SPLIT", "2x6x12");
    int32_t dims[3] = {2, 6, 12};
    op_case_constant(&c, SHK_DTYPE_INT32, 0, NULL, 0, NULL, NULL, 0, axis);
    op_case_input(&c, dtype, 3, dims, 0.1f, 3);
    dims[*axis < 0 ? *axis + 3 : *axis] /= count;
    for (int32_t i = 0; i < count; i++)
        op_case_output(&c, dtype, 3, dims, 0.1f, 3);
    op_case_attr(&c, "num_splits", count);
    return c;
}

START_TEST(equal_parts)
{
    static const enum shk_dtype dtypes[] = {SHK_DTYPE_INT8, SHK_DTYPE_UINT8, SHK_DTYPE_FLOAT32};
    static const int32_t axes[] = {0, 1, 2, -1};
    for (int i = 0; i < 3; i++)
        for (int a = 0; a < 4; a++)
            for (int32_t count = 2; count <= 6; count += a ? 1 : 5) {
                struct op_case c = split(dtypes[i], &axes[a], count);
                if (c.outputs[0].desc.shape.dims[axes[a] < 0 ? 2 : axes[a]] * count == (a == 0   ? 2
                                                                                        : a == 1 ? 6
                                                                                                 : 12))
                    op_case_run(&c);
            }
}
END_TEST

static void verify_parts(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *x = inputs[0];
    for (int row = 0; row < 4; row++, x += 11) {
        ck_assert_mem_eq((const int8_t *)outputs[0] + row * 3, x, 3);
        ck_assert_mem_eq((const int8_t *)outputs[1] + row * 7, x + 3, 7);
        ck_assert_mem_eq((const int8_t *)outputs[2] + row, x + 10, 1);
    }
}

START_TEST(sizes)
{
    static const int32_t values[] = {3, -1, 1}, axis = -1;
    struct op_case c = op_case("SPLIT_V", "4x11");
    op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(4, 11), 0.1f, 3);
    op_case_constant(&c, SHK_DTYPE_INT32, OP_SHAPE(3), 0, NULL, NULL, 0, values);
    op_case_constant(&c, SHK_DTYPE_INT32, 0, NULL, 0, NULL, NULL, 0, &axis);
    op_case_output(&c, SHK_DTYPE_INT8, OP_SHAPE(4, 3), 0.1f, 3);
    op_case_output(&c, SHK_DTYPE_INT8, OP_SHAPE(4, 7), 0.1f, 3);
    op_case_output(&c, SHK_DTYPE_INT8, OP_SHAPE(4, 1), 0.1f, 3);
    c.verify = verify_parts;
    op_case_run(&c);
    c.outputs[1].desc.shape.dims[1] = 6;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "add up to 10");
    c.outputs[0].desc.shape.dims[1] = 4;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "output 0 of 3");
}
END_TEST

START_TEST(unpack)
{
    for (int32_t axis = 0; axis < 3; axis++) {
        struct op_case c = op_case("UNPACK", "3x2x5");
        int32_t dims[3] = {3, 2, 5}, num = dims[axis];
        op_case_input(&c, SHK_DTYPE_INT8, 3, dims, 0.1f, 3);
        memmove(dims + axis, dims + axis + 1, (size_t)(2 - axis) * sizeof(*dims));
        for (int32_t i = 0; i < num; i++)
            op_case_output(&c, SHK_DTYPE_INT8, 2, dims, 0.1f, 3);
        op_case_attr(&c, "num", num);
        op_case_attr(&c, "axis", axis - 3);
        op_case_run(&c);
    }
}
END_TEST

START_TEST(refused)
{
    static const int32_t axis = 3, channels = 2;
    struct op_case c = split(SHK_DTYPE_INT8, &channels, 3);
    c.inputs[0].desc.data = &axis;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "no dimension of the input");
    c = split(SHK_DTYPE_INT8, &channels, 3);
    c.outputs[1].desc.shape.dims[2] = 3;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "output 1 of 3");
    c = split(SHK_DTYPE_INT8, &channels, 3);
    c.output_count = 2;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "output 0 of 2");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("split");
    TCase *t = tcase_create("split");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, equal_parts);
    tcase_add_test(t, sizes);
    tcase_add_test(t, unpack);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
