/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "op_case.h"

struct parts {
    const char *label;
    uint32_t rank, axis, count;
    int32_t dims[SHK_MAX_RANK]; /* the axis is taken from `sizes` */
    int32_t sizes[6];
};

static const struct parts all_parts[] = {
    {"channels, whole words", 4, 3, 3, {1, 5, 4, 0}, {8, 4, 12}},
    {"channels, odd", 4, 3, 4, {2, 3, 3, 0}, {5, 3, 2, 7}},
    {"channels, many in a word", 2, 1, 6, {6, 0}, {1, 1, 1, 2, 1, 3}},
    {"channels, odd last", 4, 3, 2, {1, 3, 3, 0}, {8, 3}},
    {"height", 4, 1, 3, {1, 0, 5, 6}, {2, 1, 4}},
    {"height in a batch", 4, 1, 2, {3, 0, 2, 7}, {2, 3}},
    {"width", 4, 2, 2, {2, 3, 0, 8}, {4, 1}},
    {"boxes", 3, 1, 5, {1, 0, 4}, {50, 20, 8, 3, 1}},
    {"batch", 4, 0, 2, {0, 2, 3, 5}, {1, 2}},
    {"one input", 2, 1, 1, {3, 0}, {5}},
    {"vector", 1, 0, 3, {0}, {3, 6, 2}},
    {"rank 6", 6, 4, 2, {2, 1, 2, 2, 0, 3}, {1, 2}},
};

static struct op_case concat(const struct parts *p, enum shk_dtype dtype, float scale)
{
    struct op_case c = op_case("CONCATENATION", p->label);
    int32_t dims[SHK_MAX_RANK], sum = 0;
    memcpy(dims, p->dims, sizeof(dims));
    for (uint32_t i = 0; i < p->count; i++) {
        dims[p->axis] = p->sizes[i];
        sum += p->sizes[i];
        op_case_input(&c, dtype, p->rank, dims, scale, 9);
    }
    dims[p->axis] = sum;
    op_case_output(&c, dtype, p->rank, dims, scale, 9);
    op_case_attr(&c, "axis", (int32_t)p->axis - (p->count % 2 ? (int32_t)p->rank : 0));
    return c;
}

START_TEST(shapes)
{
    struct op_case c = concat(&all_parts[_i], SHK_DTYPE_INT8, 0.1f);
    op_case_run(&c);
    c = concat(&all_parts[_i], SHK_DTYPE_FLOAT32, 0.0f);
    op_case_run(&c);
}
END_TEST

START_TEST(legacy_scales)
{
    struct op_case c = concat(&all_parts[_i], SHK_DTYPE_UINT8, 0.1f);
    for (uint32_t i = 0; i < c.input_count; i += 2) {
        c.inputs[i].scale = 0.037f * (float)(i + 1);
        c.inputs[i].zero_point = 128 - 50 * (int32_t)(i / 2);
    }
    op_case_run(&c);
}
END_TEST

/* round_half_away(q * s + b) + z_out with s = 2, b = -2 * 9 */
static void verify_rescale(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const uint8_t *x = inputs[0], *y = outputs[0];
    for (int i = 0; i < 5; i++) {
        int expected = 2 * x[i] - 18 + 9;
        ck_assert_int_eq(y[i], SHK_CLAMP(expected, 0, 255));
    }
}

START_TEST(rescaled)
{
    struct op_case c = concat(&all_parts[9], SHK_DTYPE_UINT8, 0.25f);
    c.inputs[0].scale = 0.5f;
    c.verify = verify_rescale;
    op_case_run(&c);
}
END_TEST

static void verify_pack(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *a = inputs[0], *b = inputs[1], *y = outputs[0];
    for (int i = 0; i < 15; i++) {
        ck_assert_int_eq(y[2 * i], a[i]);
        ck_assert_int_eq(y[2 * i + 1], b[i]);
    }
}

START_TEST(pack)
{
    for (int32_t axis = -3; axis < 3; axis++) {
        struct op_case c = op_case("PACK", "3x5");
        int32_t out[3] = {3, 5, 0}, at = axis < 0 ? axis + 3 : axis;
        memmove(out + at + 1, out + at, (size_t)(2 - at) * sizeof(*out));
        out[at] = 2;
        op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(3, 5), 0.1f, 0);
        op_case_input(&c, SHK_DTYPE_INT8, OP_SHAPE(3, 5), 0.1f, 0);
        op_case_output(&c, SHK_DTYPE_INT8, 3, out, 0.1f, 0);
        op_case_attr(&c, "values_count", 2);
        op_case_attr(&c, "axis", axis);
        c.verify = at == 2 ? verify_pack : NULL;
        op_case_run(&c);
    }
}
END_TEST

START_TEST(refused)
{
    struct op_case c = concat(&all_parts[0], SHK_DTYPE_INT8, 0.1f);
    c.inputs[1].scale = 0.2f;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "must be equal");
    c = concat(&all_parts[0], SHK_DTYPE_INT8, 0.1f);
    c.attrs[0].value = 4;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "axis 4");
    c = concat(&all_parts[0], SHK_DTYPE_INT8, 0.1f);
    c.inputs[1].desc.shape.dims[3] = 5;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "add up to 25");
    c = concat(&all_parts[0], SHK_DTYPE_INT8, 0.1f);
    c.inputs[1].desc.shape.dims[1] = 2;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "does not fit output");
    c = concat(&all_parts[0], SHK_DTYPE_INT8, 0.1f);
    op_case_attr(&c, "fused_activation_function", SHK_ACTIVATION_RELU);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "fused activation");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("concat");
    TCase *t = tcase_create("concat");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, shapes, 0, SHK_ARRAY_LEN(all_parts));
    tcase_add_loop_test(t, legacy_scales, 0, SHK_ARRAY_LEN(all_parts));
    tcase_add_test(t, rescaled);
    tcase_add_test(t, pack);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
