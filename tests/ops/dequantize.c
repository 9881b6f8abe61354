/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op_case.h"

static struct op_case dequantize(bool u8, uint32_t rank, const int32_t *dims)
{
    struct op_case c = op_case("DEQUANTIZE", u8 ? "uint8" : "int8");
    op_case_input(&c, u8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, rank, dims, 0.1f, u8 ? 200 : -5);
    op_case_output(&c, SHK_DTYPE_FLOAT32, rank, dims, 0.0f, 0);
    return c;
}

static void verify_values(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    for (int i = 0; i < 3 * 7; i++) {
        float want = (float)((double)0.1f * (((const int8_t *)inputs[0])[i] + 5));
        ck_assert(((const float *)outputs[0])[i] == want);
    }
}

START_TEST(shapes)
{
    struct op_case c = dequantize(_i, OP_SHAPE(1, 5, 3, 8));
    op_case_run(&c);
    c = dequantize(_i, OP_SHAPE(3, 7));
    c.verify = _i ? NULL : verify_values;
    op_case_run(&c);
    c = dequantize(_i, OP_SHAPE(5, 1));
    op_case_run(&c);
}
END_TEST

START_TEST(refused)
{
    struct op_case c = dequantize(false, OP_SHAPE(4));
    c.outputs[0].desc.dtype = SHK_DTYPE_INT32;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "expected float32");
    c = dequantize(false, OP_SHAPE(4));
    c.outputs[0].desc.shape.dims[0] = 3;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "computes 4");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dequantize");
    TCase *t = tcase_create("dequantize");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, shapes, 0, 2);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
