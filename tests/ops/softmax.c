/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "op_case.h"

static struct op_case softmax(const char *label, bool u8, float scale, float beta, uint32_t rank,
                              const int32_t *dims)
{
    struct op_case c = op_case("SOFTMAX", label);
    op_case_input(&c, u8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, rank, dims, scale, u8 ? 130 : 4);
    op_case_output(&c, u8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, rank, dims, 1.0f / 256.0f, u8 ? 0 : -128);
    op_case_attr(&c, "beta", (double)beta);
    return c;
}

START_TEST(shapes)
{
    static const float scales[] = {0.0721f, 0.3f, 1e-3f, 12.0f};
    struct op_case c = softmax("2 classes", _i & 1, scales[_i], 1.0f, OP_SHAPE(1, 300, 2));
    op_case_run(&c);
    c = softmax("5 classes", _i & 1, scales[_i], 0.5f, OP_SHAPE(2, 3, 4, 5));
    op_case_run(&c);
    c = softmax("1001 classes", _i & 1, scales[_i], 1.0f, OP_SHAPE(1, 1001));
    op_case_run(&c);
    c = softmax("one class", _i & 1, scales[_i], 1.0f, OP_SHAPE(7, 1));
    op_case_run(&c);
}
END_TEST

static void verify_real(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *x = inputs[0], *y = outputs[0];
    for (int row = 0; row < 40; row++, x += 10, y += 10) {
        double sum = 0;
        for (int i = 0; i < 10; i++)
            sum += exp(0.1 * x[i]);
        for (int i = 0; i < 10; i++) {
            double steps = fmin(256.0 * exp(0.1 * x[i]) / sum, 255);
            ck_assert_msg(fabs(steps - 128 - y[i]) <= 0.6, "%g is %d", steps, y[i]);
        }
    }
}

START_TEST(meaning)
{
    struct op_case c = softmax("10 classes", false, 0.1f, 1.0f, OP_SHAPE(40, 10));
    c.verify = verify_real;
    op_case_run(&c);
}
END_TEST

START_TEST(refused)
{
    struct op_case c = softmax("scale", false, 0.1f, 1.0f, OP_SHAPE(4));
    c.outputs[0].scale = 1.0f / 255.0f;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "must be 1/256");
    c = softmax("zero point", true, 0.1f, 1.0f, OP_SHAPE(4));
    c.outputs[0].zero_point = 1;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "zero point 1");
    c = softmax("beta", false, 0.1f, 0.0f, OP_SHAPE(4));
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "beta 0");
    c = softmax("beta", false, 0.1f, NAN, OP_SHAPE(4));
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "no number");
    c = softmax("channels", false, 0.1f, 1.0f, OP_SHAPE(1, 8192));
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "at most 8191");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("softmax");
    TCase *t = tcase_create("softmax");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, shapes, 0, 4);
    tcase_add_test(t, meaning);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
