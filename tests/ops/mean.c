/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include <shrike/session.h>

#include "device.h"
#include "op_case.h"
#include "support.h"

/* The mean of a tensor over the dimensions in `mask`. */
static struct op_case mean(uint32_t rank, const int32_t *dims, uint32_t mask, bool keep_dims, bool u8,
                           float out_scale)
{
    static int32_t axes[SHK_MAX_RANK];
    struct op_case c = op_case("MEAN", keep_dims ? "keeping dimensions" : "dropping dimensions");
    int32_t out[SHK_MAX_RANK], count = 0;
    uint32_t out_rank = 0;
    for (uint32_t k = 0; k < rank; k++) {
        if (mask >> k & 1)
            axes[count++] = k % 2 ? (int32_t)k : (int32_t)k - (int32_t)rank;
        if (!(mask >> k & 1) || keep_dims)
            out[out_rank++] = mask >> k & 1 ? 1 : dims[k];
    }
    op_case_input(&c, u8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, rank, dims, 0.1f, u8 ? 118 : -10);
    op_case_constant(&c, SHK_DTYPE_INT32, 1, &count, 0, NULL, NULL, 0, axes);
    op_case_output(&c, u8 ? SHK_DTYPE_UINT8 : SHK_DTYPE_INT8, out_rank, out, out_scale, u8 ? 133 : 5);
    op_case_attr(&c, "keep_dims", keep_dims);
    return c;
}

/* Every set of dimensions. */
START_TEST(dimensions)
{
    static const int32_t odd[] = {2, 3, 4, 7}, words[] = {2, 5, 3, 8};
    for (int keep = 0; keep < 2; keep++)
        for (int u8 = 0; u8 < 2; u8++) {
            struct op_case c = mean(4, odd, (uint32_t)_i, keep, u8, 0.07f);
            op_case_run(&c);
            c = mean(4, words, (uint32_t)_i, keep, u8, 0.11f);
            op_case_run(&c);
        }
}
END_TEST

START_TEST(six_dimensions)
{
    static const int32_t dims[] = {2, 3, 2, 2, 3, 5};
    static const uint32_t masks[] = {21, 42, 63, 33, 53};
    for (int i = 0; i < 5; i++) {
        struct op_case c = mean(6, dims, masks[i], i % 2, false, 0.1f);
        op_case_run(&c);
    }
}
END_TEST

static void verify_real(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *x = inputs[0], *y = outputs[0];
    for (int k = 0; k < 16; k++) {
        double sum = 0;
        for (int i = 0; i < 49; i++)
            sum += 0.1 * (x[i * 16 + k] + 10);
        double steps = fmin(fmax(sum / 49 / 0.06 + 5, -128), 127);
        ck_assert_msg(fabs(steps - y[k]) <= 0.51, "%g is %d", steps, y[k]);
    }
}

START_TEST(meaning)
{
    struct op_case c = mean(OP_SHAPE(1, 7, 7, 16), 6, false, false, 0.06f);
    c.verify = verify_real;
    op_case_run(&c);
    c = mean(OP_SHAPE(1, 150, 160, 3), 6, true, false, 0.003f);
    op_case_run(&c);
}
END_TEST

static void refused_by(struct shk_device *device, const struct op_case *c)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL;
    struct shk_model *model = NULL;
    struct shk_error error;
    test_ok(op_case_model(c, &model, &error), &error);
    ck_assert_int_eq(shk_session_create(device, model, &params, &session, &error), SHK_ERROR_UNSUPPORTED);
    ck_assert_msg(strstr(error.message, "op 0 MEAN") && strstr(error.message, "ends loops after"), "%s", error.message);
    test_ok(shk_session_create(NULL, model, &params, &session, &error), &error);
    shk_session_destroy(&session);
    shk_model_destroy(&model);
}

/* A driver that ends loops early does not get to compute what it would compute wrongly. */
START_TEST(as_long_as_loops_last)
{
    struct op_case c = mean(OP_SHAPE(1, 255, 255, 8), 6, true, false, 0.003f);
    uint32_t refusing = 0;
    op_case_run(&c);
    c = mean(OP_SHAPE(1, 257, 256, 8), 6, true, false, 0.003f);
    for (uint32_t i = 0; i < op_device_count(); i++)
        if (op_device(i)->max_iterations < 257 * 256) {
            refused_by(op_device(i), &c);
            refusing++;
        }
    if (refusing == 0)
        op_case_run(&c);
}
END_TEST

START_TEST(refused)
{
    static const int32_t outside[] = {1, 4};
    struct op_case c = mean(OP_SHAPE(1, 7, 7, 16), 6, false, false, 0.06f);
    c.inputs[1].desc.data = outside;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "an axis is no dimension");
    c = mean(OP_SHAPE(1, 7, 7, 16), 6, false, false, 0.06f);
    c.outputs[0].desc.shape.dims[1] = 15;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "computes 1x16");
    c = mean(OP_SHAPE(1, 4096, 4096, 2), 6, false, false, 0.06f);
    op_case_refused(&c, SHK_ERROR_UNSUPPORTED, "a mean of 16777216");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mean");
    TCase *t = tcase_create("mean");
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, dimensions, 1, 15);
    tcase_add_test(t, six_dimensions);
    tcase_add_test(t, meaning);
    tcase_add_test(t, as_long_as_loops_last);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
