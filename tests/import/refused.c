/* Well-formed files that do not run here, and wrong ones: one message each, which says why and what to do.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "craft.h"
#include "models.h"
#include "tflite_schema.h"
#include "utf8.h"

static struct shk_model *load(const struct craft *c, enum shk_status expected, struct shk_error *error)
{
    size_t size;
    struct shk_model *model = NULL;
    uint8_t *data = craft_file(c, &size);
    *error = (struct shk_error){0};
    enum shk_status status = shk_model_load_memory(data, size, "file.tflite", &model, error);
    ck_assert_msg(status == expected, "%s, expected %s: %s", shk_status_string(status),
                  shk_status_string(expected), error->message);
    ck_assert((model != NULL) == (status == SHK_OK));
    free(data);
    return model;
}

static void refuse(const struct craft *c, enum shk_status status, const char *part)
{
    struct shk_error error;
    load(c, status, &error);
    ck_assert_int_eq(error.status, status);
    ck_assert_msg(strstr(error.message, part) != NULL, "'%s' is not in: %s", part, error.message);
    ck_assert_msg(strncmp(error.message, "file.tflite: ", 13) == 0, "no file name in: %s", error.message);
}

static struct shk_model *accept(const struct craft *c)
{
    struct shk_error error;
    return load(c, SHK_OK, &error);
}

START_TEST(plain_file_loads)
{
    struct craft c = craft_defaults();
    struct shk_model *model = accept(&c);
    struct shk_tensor_info info;
    ck_assert_str_eq(shk_model_name(model), "file.tflite");
    ck_assert_uint_eq(shk_model_op_count(model), 1);
    ck_assert_uint_eq(shk_model_tensor_count(model), 3);
    shk_model_get_tensor(model, 2, &info);
    ck_assert_str_eq(info.name, "odd");
    shk_model_destroy(&model);

    c.subgraphs = 2; /* the others belong to control flow, and there is none */
    model = accept(&c);
    shk_model_destroy(&model);
}
END_TEST

START_TEST(headers)
{
    struct craft c = craft_defaults();
    c.identifier = "TFL2";
    refuse(&c, SHK_ERROR_BAD_MODEL, "not a TensorFlow Lite model");
    c = craft_defaults();
    c.version = 2;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "schema version 2, expected 3");
    c = craft_defaults();
    c.subgraphs = 0;
    refuse(&c, SHK_ERROR_BAD_MODEL, "no subgraph");
}
END_TEST

START_TEST(ops)
{
    struct craft c = craft_defaults();
    c.deprecated_builtin = c.builtin = 67;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "op 0 is the op TRANSPOSE_CONV, which is not supported; supported: ");
    c.deprecated_builtin = 127;
    c.builtin = 205;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "op 0 is the op with number 205");
    c.deprecated_builtin = c.builtin = 32;
    c.custom = "FlexErf\n";
    refuse(&c, SHK_ERROR_UNSUPPORTED, "op 0 is the custom op FlexErf?, which");
    c = craft_defaults();
    c.op_version = 99;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "op 0 RESHAPE has version 99");
    c = craft_defaults();
    c.code_index = 1;
    refuse(&c, SHK_ERROR_BAD_MODEL, "operator code 1 of 1");
    c = craft_defaults();
    c.op_input = 3;
    refuse(&c, SHK_ERROR_BAD_MODEL, "not one of the model's 3 tensors");
    c.op_input = -2;
    refuse(&c, SHK_ERROR_BAD_MODEL, "not one of the model's 3 tensors");
    c.op_input = 1;
    refuse(&c, SHK_ERROR_BAD_MODEL, "op 0 RESHAPE: input 0 ('') is neither constant nor written");
    c.op_input = -1;
    struct shk_error error;
    ck_assert_ptr_null(load(&c, SHK_ERROR_BAD_MODEL, &error));
    c = craft_defaults();
    c.options_type = 5;
    refuse(&c, SHK_ERROR_BAD_MODEL, "options of type 5, expected type 17");
}
END_TEST

/* Files from before builtin_code existed have 0 in it; those for newer runtimes have 127 in the old field. */
START_TEST(operator_codes_old_and_new)
{
    struct craft c = craft_defaults();
    c.builtin = 0;
    struct shk_model *model = accept(&c);
    shk_model_destroy(&model);
    c.builtin = 22;
    c.deprecated_builtin = 0;
    model = accept(&c);
    shk_model_destroy(&model);
}
END_TEST

START_TEST(tensors)
{
    struct craft c = craft_defaults();
    c.type = 1;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "'odd' is FLOAT16; only full-integer models run");
    c.type = 99;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "an unknown type");
    c = craft_defaults();
    c.variable = true;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "'odd' is a variable");
    c = craft_defaults();
    c.sparse = true;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "'odd' is sparse");
    c = craft_defaults();
    c.rank = 7;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "'odd' has 7 dimensions");
    c = craft_defaults();
    c.dims[0] = 0;
    refuse(&c, SHK_ERROR_BAD_MODEL, "'odd'");
    c.dims[0] = -1;
    refuse(&c, SHK_ERROR_BAD_MODEL, "'odd'");
    c = craft_defaults();
    c.rank = 6;
    for (int i = 0; i < 6; i++)
        c.dims[i] = INT32_MAX;
    refuse(&c, SHK_ERROR_BAD_MODEL, "'odd'");
    c = craft_defaults();
    c.signature = -1;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "dimension 2 of the input '' is dynamic");
}
END_TEST

START_TEST(names_are_made_printable)
{
    struct craft c = craft_defaults();
    struct shk_tensor_info info;
    char long_name[5000];
    c.name = "a\nb\xFF\xC3\xA9";
    struct shk_model *model = accept(&c);
    shk_model_get_tensor(model, 2, &info);
    ck_assert_str_eq(info.name, "a?b?\xC3\xA9");
    shk_model_destroy(&model);

    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    c.name = long_name;
    model = accept(&c);
    shk_model_get_tensor(model, 2, &info);
    ck_assert_uint_lt(strlen(info.name), 1024);
    shk_model_destroy(&model);
}
END_TEST

/* A message that is too long ends between two characters. */
START_TEST(long_messages_stay_utf8)
{
    struct craft c = craft_defaults();
    struct shk_error error;
    char name[1100];
    for (int i = 0; i < 4; i++) {
        size_t at = (size_t)i;
        memset(name, 'x', at);
        for (; at + 4 < sizeof(name); at += 4)
            memcpy(name + at, "\xF0\x9F\x90\xB1", 4);
        name[at] = '\0';
        c.name = name;
        c.variable = true;
        load(&c, SHK_ERROR_UNSUPPORTED, &error);
        ck_assert_uint_gt(strlen(error.message), sizeof(error.message) - 5);
        ck_assert(shk_utf8_is_line(error.message, strlen(error.message)));
    }
}
END_TEST

START_TEST(quantization)
{
    struct craft c = craft_defaults();
    c.scales = 4;
    c.zero_points = 3;
    refuse(&c, SHK_ERROR_BAD_MODEL, "'odd' has 4 quantization scales and 3 zero points");
    c.zero_points = 4;
    c.zero_point = INT64_C(1) << 40;
    refuse(&c, SHK_ERROR_BAD_MODEL, "zero point");
    c = craft_defaults();
    c.scales = 5;
    refuse(&c, SHK_ERROR_BAD_MODEL, "'odd'");
    c = craft_defaults();
    c.custom_quantization = true;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "custom quantization");
    c = craft_defaults();
    c.scales = 1;
    c.type = TFLITE_UINT8;
    c.zero_points = 1;
    c.zero_point = -1;
    refuse(&c, SHK_ERROR_BAD_MODEL, "zero point -1 does not fit uint8");
}
END_TEST

/* A bias of one dimension that names the weights' dimension 3, as converters have written it. */
START_TEST(bias_axis_is_found)
{
    struct craft c = craft_defaults();
    struct shk_tensor_info info;
    c.scales = c.zero_points = 4;
    c.axis = 3;
    struct shk_model *model = accept(&c);
    shk_model_get_tensor(model, 2, &info);
    ck_assert_uint_eq(info.quant_count, 4);
    ck_assert_uint_eq(info.quant_axis, 0);
    shk_model_destroy(&model);

    c.rank = 2; /* which of the two? */
    c.dims[1] = 4;
    refuse(&c, SHK_ERROR_BAD_MODEL, "'odd'");
    c.axis = -1;
    refuse(&c, SHK_ERROR_BAD_MODEL, "'odd'");
}
END_TEST

START_TEST(buffers)
{
    struct craft c = craft_defaults();
    c.buffer = 2;
    refuse(&c, SHK_ERROR_BAD_MODEL, "'odd' is in buffer 2 of 2");
    c.buffer = 1;
    c.data_bytes = 15;
    refuse(&c, SHK_ERROR_BAD_MODEL, "15 bytes of data, its shape needs 16");
    c.external_offset = 4096;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "'odd' is stored outside of the FlatBuffer");
    c.external_offset = 0;
    c.data_bytes = 0; /* an empty buffer is an activation */
    struct shk_model *model = accept(&c);
    shk_model_destroy(&model);
}
END_TEST

/* A file of some 400 KB in which 60000 tensors share one constant of 256 KB. */
START_TEST(repeated_content_is_refused)
{
    struct craft c = craft_defaults();
    c.buffer = 1;
    c.data_bytes = 1 << 18;
    c.dims[0] = 1 << 16;
    c.repeats = 60000;
    refuse(&c, SHK_ERROR_BAD_MODEL, "repeats its content too often");
    c.repeats = 65536;
    refuse(&c, SHK_ERROR_UNSUPPORTED, "65538 tensors, at most 65536");
}
END_TEST

START_TEST(float_models)
{
    struct shk_error error;
    struct shk_model *model = NULL;
    void *data = (void *)"";
    size_t size = 0;
    const int32_t dims[] = {1, 4};
    struct shk_builder *b = shk_builder_create();
    int32_t t[2];
    for (int i = 0; i < 2; i++)
        t[i] = shk_builder_tensor(b, "x", SHK_DTYPE_FLOAT32, 2, dims, 0, NULL, NULL, 0, NULL, 0);
    shk_builder_op(b, "RESHAPE", &t[0], 1, &t[1], 1, NULL);
    shk_builder_set_inputs(b, &t[0], 1);
    shk_builder_set_outputs(b, &t[1], 1);
    ck_assert_int_eq(shk_builder_serialize(b, &data, &size, &error), SHK_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "this is a float model"));
    ck_assert_ptr_null(model);
    shk_builder_destroy(&b);
}
END_TEST

static void refuse_file(const char *path, enum shk_status status, const char *part)
{
    struct shk_model *model = NULL;
    struct shk_error error = {0};
    ck_assert_int_eq(shk_model_load_file(path, &model, &error), status);
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(error.message, path) && strstr(error.message, part), "%s", error.message);
    ck_assert_int_eq(shk_model_load_file(path, &model, NULL), status);
}

START_TEST(files)
{
    char path[] = "/tmp/shrike-import-XXXXXX", pipe[64];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    refuse_file("/nonexistent/model.tflite", SHK_ERROR_IO, "No such file");
    refuse_file("/tmp", SHK_ERROR_IO, "Is a directory");
    refuse_file("/dev/zero", SHK_ERROR_IO, "not a regular file");
    refuse_file(path, SHK_ERROR_BAD_MODEL, "empty");
    ck_assert_int_eq(ftruncate(fd, (off_t)(1 << 30) + 1), 0);
    refuse_file(path, SHK_ERROR_BAD_MODEL, "1073741825 bytes, expected at most 1073741824");
    ck_assert_int_eq(ftruncate(fd, 7), 0);
    refuse_file(path, SHK_ERROR_BAD_MODEL, "not a TensorFlow Lite model");
    close(fd);
    unlink(path);

    snprintf(pipe, sizeof(pipe), "%s.fifo", path);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    refuse_file(pipe, SHK_ERROR_IO, "not a regular file");
    unlink(pipe);
}
END_TEST

START_TEST(memory)
{
    struct shk_model *model = NULL;
    struct shk_error error;
    ck_assert_int_eq(shk_model_load_memory(NULL, 0, "none", &model, &error), SHK_ERROR_BAD_MODEL);
    ck_assert_str_eq(error.message, "none: the file is empty, expected a TensorFlow Lite model");
    ck_assert_int_eq(shk_model_load_memory("", 0, NULL, &model, NULL), SHK_ERROR_BAD_MODEL);
    ck_assert_int_eq(shk_model_load_memory("TFL3TFL3", 8, NULL, &model, &error), SHK_ERROR_BAD_MODEL);
    ck_assert_ptr_nonnull(strstr(error.message, "corrupt"));
    ck_assert_ptr_null(model);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("refused");
    TCase *tc = tcase_create("refused");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, plain_file_loads);
    tcase_add_test(tc, headers);
    tcase_add_test(tc, ops);
    tcase_add_test(tc, operator_codes_old_and_new);
    tcase_add_test(tc, tensors);
    tcase_add_test(tc, names_are_made_printable);
    tcase_add_test(tc, long_messages_stay_utf8);
    tcase_add_test(tc, quantization);
    tcase_add_test(tc, bias_axis_is_found);
    tcase_add_test(tc, buffers);
    tcase_add_test(tc, repeated_content_is_refused);
    tcase_add_test(tc, float_models);
    tcase_add_test(tc, files);
    tcase_add_test(tc, memory);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
