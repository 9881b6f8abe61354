/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op_case.h"

static struct op_case transpose(const char *label, enum shk_dtype dtype, uint32_t rank, const int32_t *dims,
                                const int32_t *perm)
{
    struct op_case c = op_case("TRANSPOSE", label);
    int32_t out[SHK_MAX_RANK], count = (int32_t)rank;
    for (uint32_t k = 0; k < rank; k++)
        out[k] = dims[perm[k] >= 0 && perm[k] < (int32_t)rank ? perm[k] : 0];
    op_case_input(&c, dtype, rank, dims, 0.1f, 3);
    op_case_constant(&c, SHK_DTYPE_INT32, 1, &count, 0, NULL, NULL, 0, perm);
    op_case_output(&c, dtype, rank, out, 0.1f, 3);
    return c;
}

/* Every permutation of four dimensions. */
START_TEST(permutations)
{
    static const int32_t odd[] = {2, 3, 5, 7}, words[] = {2, 3, 4, 8};
    for (int code = 0; code < 256; code++) {
        int32_t perm[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6 & 3};
        if ((1 << perm[0] | 1 << perm[1] | 1 << perm[2] | 1 << perm[3]) != 15)
            continue;
        struct op_case c = transpose("odd", SHK_DTYPE_INT8, 4, odd, perm);
        op_case_run(&c);
        c = transpose("words", SHK_DTYPE_INT8, 4, words, perm);
        op_case_run(&c);
        c = transpose("float", SHK_DTYPE_FLOAT32, 4, odd, perm);
        op_case_run(&c);
    }
}
END_TEST

static void verify_matrix(const struct op_case *c, const void *const *inputs, const void *const *outputs)
{
    const int8_t *x = inputs[0], *y = outputs[0];
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 9; j++)
            ck_assert_int_eq(y[j * 5 + i], x[i * 9 + j]);
}

START_TEST(ranks)
{
    static const int32_t matrix[] = {1, 0}, six[] = {5, 3, 1, 0, 4, 2}, same[] = {0};
    struct op_case c = transpose("matrix", SHK_DTYPE_INT8, OP_SHAPE(5, 9), matrix);
    c.verify = verify_matrix;
    op_case_run(&c);
    c = transpose("rank 6", SHK_DTYPE_UINT8, OP_SHAPE(2, 3, 1, 4, 2, 5), six);
    op_case_run(&c);
    c = transpose("vector", SHK_DTYPE_INT8, OP_SHAPE(11), same);
    op_case_run(&c);
}
END_TEST

START_TEST(refused)
{
    static const int32_t twice[] = {0, 0}, outside[] = {0, 2}, negative[] = {0, -1}, fine[] = {1, 0};
    const int32_t *const bad[] = {twice, outside, negative};
    for (int i = 0; i < 3; i++) {
        struct op_case c = transpose("permutation", SHK_DTYPE_INT8, OP_SHAPE(4, 4), bad[i]);
        op_case_refused(&c, SHK_ERROR_BAD_MODEL, "no permutation");
    }
    struct op_case c = transpose("shape", SHK_DTYPE_INT8, OP_SHAPE(4, 5), fine);
    c.outputs[0].desc.shape.dims[0] = 4;
    op_case_refused(&c, SHK_ERROR_BAD_MODEL, "computes 5x4");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transpose");
    TCase *t = tcase_create("transpose");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, permutations);
    tcase_add_test(t, ranks);
    tcase_add_test(t, refused);
    suite_add_tcase(suite, t);
    return op_case_main(suite);
}
