/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "op_case.h"

static struct op_case from_float(const char *label, float scale, int32_t zero_point, bool u8, uint32_t rank,
                                 const int32_t *dims)
{
    struct op_case c = op_case("QUANTIZE", label);
    op_case_input(&c, SHK_DTYPE_FLOAT32, rank, dims, 0.0f, 0);
    op_case_output(&c, u8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, rank, dims, scale, zero_point);
    return c;
}

START_TEST(floats)
{
    static const float scales[] = {1.0f / 127.5f, 0.0625f, 0.1f, 1e-5f, 3e4f, 1e-30f};
    for (int i = 0; i < 6; i++) {
        struct op_case c = from_float("image", scales[i], -1, false, OP_SHAPE(1, 17, 13, 3));
        op_case_run(&c);
        c = from_float("uint8", scales[i], 200, true, OP_SHAPE(1, 5, 7, 8));
        op_case_run(&c);
    }
}
END_TEST

/* Every boundary between two results, floats on either side of it, and what is no number. */
START_TEST(boundaries)
{
    static float values[255 * 5 + 6];
    static const float scales[] = {0.0078431377f, 0.1f, 0.3f, 7.7f};
    int n = 0;
    for (int k = -127; k <= 127; k++) {
        float edge = ((float)k - 0.5f) * scales[_i];
        values[n++] = edge;
        values[n++] = nextafterf(edge, -INFINITY);
        values[n++] = nextafterf(edge, INFINITY);
        values[n++] = nextafterf(nextafterf(edge, -INFINITY), -INFINITY);
        values[n++] = nextafterf(nextafterf(edge, INFINITY), INFINITY);
    }
    const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, -0.0f, 1e-42f};
    for (int i = 0; i < 6; i++)
        values[n++] = odd[i];
    struct op_case c = from_float("boundaries", scales[_i], 0, false, 1, &n);
    c.inputs[0].values = values;
    op_case_run(&c);
}
END_TEST

static void verify_halves(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    static const int expected[] = {1, -1, 2, -2, 127, -128, 0};
    for (int i = 0; i < 7 && ((const float *)inputs[0])[0] == 0.25f; i++)
        ck_assert_int_eq(((const int8_t *)outputs[0])[i], expected[i]);
}

START_TEST(halves)
{
    static const float values[] = {0.25f, -0.25f, 0.75f, -0.75f, 1e9f, -1e9f, 0.2499f};
    struct op_case c = from_float("halves", 0.5f, 0, false, OP_SHAPE(7));
    c.inputs[0].values = values;
    c.verify = verify_halves;
    op_case_run(&c);
}
END_TEST

static void verify_shifted(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    for (int i = 0; i < 33; i++)
        ck_assert_int_eq(((const int8_t *)outputs[0])[i], ((const uint8_t *)inputs[0])[i] - 128);
}

START_TEST(requantize)
{
    static const float scales[] = {0.02f, 0.019f, 0.5f, 1e-4f};
    for (int i = 0; i < 4; i++)
        for (int types = 0; types < 4; types++) {
            struct op_case c = op_case("QUANTIZE", "requantize");
            bool in8 = types & 1, out8 = types & 2;
            op_case_input(&c, in8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, OP_SHAPE(2, 3, 11), 0.02f,
                          in8 ? 128 : 0);
            op_case_output(&c, out8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, OP_SHAPE(2, 3, 11), scales[i],
                           out8 ? 128 : 0);
            if (i == 0 && in8 && !out8)
                c.verify = verify_shifted;
            op_case_run(&c);
        }
}
END_TEST

START_TEST(refused)
{
    struct op_case c = from_float("shape", 0.1f, 0, false, OP_SHAPE(4));
    c.outputs[0].desc.shape.dims[0] = 3;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "computes 4");
    c = from_float("type", 0.1f, 0, false, OP_SHAPE(4));
    c.inputs[0].desc.dtype = SHK_DTYPE_INT32;
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "int32");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantize");
    TCase *t = tcase_create("quantize");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, floats);
    tcase_add_loop_test(t, boundaries, 0, 4);
    tcase_add_test(t, halves);
    tcase_add_test(t, requantize);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
