/* The public builder: what it refuses and how it says so.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models.h"
#include "op.h"

static const int32_t shape[] = {1, 4, 4, 2};
static const float scale = 0.5f;
static const int32_t zero;

/* An input, an output, nothing between them yet. */
struct fixture {
    struct shk_builder *builder;
    int32_t in, out;
};

static struct fixture start(void)
{
    struct fixture f = {.builder = shk_builder_create()};
    ck_assert_ptr_nonnull(f.builder);
    f.in = shk_builder_tensor(f.builder, "in", SHK_DTYPE_INT8, 4, shape, 1, &scale, &zero, 0, NULL, 0);
    f.out = shk_builder_tensor(f.builder, "out", SHK_DTYPE_INT8, 4, shape, 1, &scale, &zero, 0, NULL, 0);
    ck_assert_int_eq(f.in, 0);
    ck_assert_int_eq(f.out, 1);
    return f;
}

static void pool(struct fixture *f, const char *attributes)
{
    shk_builder_op(f->builder, "MAX_POOL_2D", &f->in, 1, &f->out, 1, attributes);
    shk_builder_set_inputs(f->builder, &f->in, 1);
    shk_builder_set_outputs(f->builder, &f->out, 1);
}

#define GOOD "padding=SAME stride_w=1 stride_h=1 filter_width=3 filter_height=3"

static void expect(struct fixture *f, enum shk_status status, const char *part)
{
    void *data = (void *)"unchanged";
    size_t size = 77;
    struct shk_error error = {0};
    ck_assert_int_eq(shk_builder_serialize(f->builder, &data, &size, &error), status);
    ck_assert_int_eq(error.status, status);
    ck_assert_msg(strstr(error.message, part) != NULL, "'%s' is not in: %s", part, error.message);
    ck_assert_str_eq(data, "unchanged");
    ck_assert_uint_eq(size, 77);
    ck_assert_int_eq(shk_builder_serialize(f->builder, &data, &size, NULL), status);
    shk_builder_destroy(&f->builder);
}

START_TEST(destroy_takes_null)
{
    struct shk_builder *none = NULL;
    shk_builder_destroy(NULL);
    shk_builder_destroy(&none);
}
END_TEST

START_TEST(attributes_are_checked)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"stride=1", "has no attribute 'stride'; it has: padding"},
        {"stride_w", "expected key=value"},
        {"=1", "expected key=value"},
        {"stride_w=", "stride_w is '', expected an integer"},
        {"stride_w=1x", "expected an integer"},
        {"stride_w=99999999999", "expected an integer"},
        {"padding=same", "padding is 'same', expected SAME, VALID"},
        {"padding=0", "expected SAME, VALID"},
        {"fused_activation_function=GELU", "NONE, RELU"},
        {"stride_w=0", "stride"},
    };
    for (size_t i = 0; i < SHK_ARRAY_LEN(cases); i++) {
        struct fixture f = start();
        char text[128];
        snprintf(text, sizeof(text), GOOD " %s", cases[i].text);
        pool(&f, text);
        expect(&f,
               strcmp(cases[i].text, "stride_w=0") == 0 ? SHK_ERROR_BAD_MODEL : SHK_ERROR_INVALID_ARGUMENT,
               cases[i].part);
    }
}
END_TEST

static const struct shk_op *only_op(struct fixture *f, struct shk_model **model)
{
    void *data = NULL;
    size_t size = 0;
    struct shk_error error;
    test_ok(shk_builder_serialize(f->builder, &data, &size, &error), &error);
    test_ok(shk_model_load_memory(data, size, "made", model, &error), &error);
    free(data);
    return &shk_model_graph(*model)->ops[0];
}

START_TEST(attributes_arrive)
{
    struct fixture f = start();
    struct shk_model *model = NULL;
    double value = 0;
    pool(&f, " stride_h=1\tstride_w=1 filter_height=5  filter_width=3 fused_activation_function=RELU6\n");
    const struct shk_op *op = only_op(&f, &model);
    ck_assert(shk_op_get_attr(op, "filter_height", &value));
    ck_assert(value == 5.0);
    ck_assert(shk_op_get_attr(op, "fused_activation_function", &value));
    ck_assert(value == SHK_ACTIVATION_RELU6);
    ck_assert(shk_op_get_attr(op, "padding", &value));
    ck_assert(value == SHK_PADDING_SAME);
    ck_assert(!shk_op_get_attr(op, "nothing", &value));
    shk_model_destroy(&model);
    shk_builder_destroy(&f.builder);
}
END_TEST

/* Python and GTK set the locale of the process, in which a number may have a comma. */
START_TEST(numbers_have_a_point_in_every_locale)
{
    struct fixture f = start();
    struct shk_model *model = NULL;
    double value = 0;
    setlocale(LC_ALL, "de_DE.UTF-8");
    shk_builder_op(f.builder, "LEAKY_RELU", &f.in, 1, &f.out, 1, "alpha=0.1");
    shk_builder_set_inputs(f.builder, &f.in, 1);
    shk_builder_set_outputs(f.builder, &f.out, 1);
    const struct shk_op *op = only_op(&f, &model);
    setlocale(LC_ALL, "C");
    ck_assert(shk_op_get_attr(op, "alpha", &value));
    ck_assert(value == (double)0.1f);
    shk_model_destroy(&model);
    shk_builder_destroy(&f.builder);
}
END_TEST

START_TEST(a_wrong_call_sticks)
{
    struct fixture f = start();
    int32_t axis_dims[] = {1, 4, 4, 0};
    ck_assert_int_eq(
        shk_builder_tensor(f.builder, "bad", SHK_DTYPE_INT8, 4, axis_dims, 1, &scale, &zero, 0, NULL, 0), -1);
    ck_assert_int_eq(
        shk_builder_tensor(f.builder, "fine", SHK_DTYPE_INT8, 4, shape, 1, &scale, &zero, 0, NULL, 0), -1);
    pool(&f, GOOD);
    expect(&f, SHK_ERROR_INVALID_ARGUMENT, "'bad'");
}
END_TEST

/* One bad tensor per case, by `i`. */
static int32_t bad_tensor(struct shk_builder *b, int i)
{
    const float nan_scale = 0.0f / 0.0f, scales[] = {1, 2, 3};
    const int32_t far = 128;
    const int8_t data[32] = {0};
    switch (i) {
    case 0:
        return shk_builder_tensor(b, "t", SHK_DTYPE_INT8, 7, shape, 0, NULL, NULL, 0, NULL, 0);
    case 1:
        return shk_builder_tensor(b, "t", SHK_DTYPE_INT8, 4, NULL, 0, NULL, NULL, 0, NULL, 0);
    case 2:
        return shk_builder_tensor(b, "t", (enum shk_dtype)99, 4, shape, 0, NULL, NULL, 0, NULL, 0);
    case 3:
        return shk_builder_tensor(b, "\xFF", SHK_DTYPE_INT8, 4, shape, 0, NULL, NULL, 0, NULL, 0);
    case 4:
        return shk_builder_tensor(b, "t", SHK_DTYPE_INT8, 4, shape, 1, NULL, NULL, 0, NULL, 0);
    case 5:
        return shk_builder_tensor(b, "t", SHK_DTYPE_INT8, 4, shape, 1, &nan_scale, NULL, 0, NULL, 0);
    case 6:
        return shk_builder_tensor(b, "t", SHK_DTYPE_INT8, 4, shape, 1, &scale, &far, 0, NULL, 0);
    case 7:
        return shk_builder_tensor(b, "t", SHK_DTYPE_INT8, 4, shape, 3, scales, NULL, 3, NULL, 0);
    case 8:
        return shk_builder_tensor(b, "t", SHK_DTYPE_INT8, 4, shape, 1, &scale, NULL, 0, data, 31);
    default:
        return shk_builder_tensor(b, "t", SHK_DTYPE_INT8, 4, (int32_t[]){65536, 65536, 65536, 65536}, 0, NULL,
                                  NULL, 0, NULL, 0);
    }
}

START_TEST(bad_tensors_are_refused)
{
    for (int i = 0; i < 10; i++) {
        struct fixture f = start();
        ck_assert_int_eq(bad_tensor(f.builder, i), -1);
        expect(&f, SHK_ERROR_INVALID_ARGUMENT, "tensor");
    }
}
END_TEST

START_TEST(wrong_graphs_are_refused)
{
    struct fixture f = start();
    shk_builder_op(f.builder, "MAX_POOL_3D", &f.in, 1, &f.out, 1, NULL);
    expect(&f, SHK_ERROR_INVALID_ARGUMENT, "no op 'MAX_POOL_3D'; supported: ");

    f = start();
    shk_builder_op(f.builder, "MAX_POOL_2D", (int32_t[]){7}, 1, &f.out, 1, GOOD);
    expect(&f, SHK_ERROR_INVALID_ARGUMENT, "not one of the model's 2 tensors");

    f = start();
    shk_builder_op(f.builder, "MAX_POOL_2D", &f.in, 1, (int32_t[]){-1}, 1, GOOD);
    expect(&f, SHK_ERROR_INVALID_ARGUMENT, "not one of the model's 2 tensors");

    f = start();
    expect(&f, SHK_ERROR_INVALID_ARGUMENT, "no inputs or no outputs");

    f = start();
    shk_builder_set_inputs(f.builder, NULL, 0);
    expect(&f, SHK_ERROR_INVALID_ARGUMENT, "0 inputs");

    f = start();
    pool(&f, GOOD);
    pool(&f, GOOD);
    expect(&f, SHK_ERROR_BAD_MODEL, "written twice");

    f = start();
    shk_builder_op(f.builder, "MAX_POOL_2D", &f.out, 1, &f.out, 1, GOOD);
    shk_builder_set_inputs(f.builder, &f.in, 1);
    shk_builder_set_outputs(f.builder, &f.out, 1);
    expect(&f, SHK_ERROR_BAD_MODEL, "neither constant nor written by an earlier op");
}
END_TEST

START_TEST(files_are_saved)
{
    struct fixture f = start();
    struct shk_error error;
    struct shk_model *model = NULL;
    char path[] = "/tmp/shrike-builder-XXXXXX", in_folder[64];
    ck_assert_ptr_nonnull(mkdtemp(path));
    snprintf(in_folder, sizeof(in_folder), "%s/model.tflite", path);
    pool(&f, GOOD);
    test_ok(shk_builder_save(f.builder, in_folder, &error), &error);
    test_ok(shk_builder_save(f.builder, in_folder, &error), &error); /* over the old one */
    test_ok(shk_model_load_file(in_folder, &model, &error), &error);
    ck_assert_str_eq(shk_model_name(model), in_folder);
    shk_model_destroy(&model);

    ck_assert_int_eq(shk_builder_save(f.builder, path, &error), SHK_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, path));
    ck_assert_int_eq(shk_builder_save(f.builder, "/nonexistent/model.tflite", &error), SHK_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "No such file"));
    shk_builder_destroy(&f.builder);
    ck_assert_int_eq(unlink(in_folder), 0);
    ck_assert_int_eq(rmdir(path), 0); /* nothing else was left in it */
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("builder");
    TCase *tc = tcase_create("builder");
    tcase_add_test(tc, destroy_takes_null);
    tcase_add_test(tc, attributes_are_checked);
    tcase_add_test(tc, attributes_arrive);
    tcase_add_test(tc, numbers_have_a_point_in_every_locale);
    tcase_add_test(tc, a_wrong_call_sticks);
    tcase_add_test(tc, bad_tensors_are_refused);
    tcase_add_test(tc, wrong_graphs_are_refused);
    tcase_add_test(tc, files_are_saved);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
