/* Label files. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shrike/model.h>

#include "support.h"

static char path[] = "/tmp/shrike-labels-XXXXXX";

static void write_labels(const void *text, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void create_file(void)
{
    strcpy(path, "/tmp/shrike-labels-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void remove_file(void)
{
    unlink(path);
}

static struct shk_labels *load(const char *text, uint32_t class_count)
{
    struct shk_labels *labels = NULL;
    struct shk_error error;
    write_labels(text, strlen(text));
    test_ok(shk_labels_load_file(path, class_count, &labels, &error), &error);
    return labels;
}

static void refuse(const void *text, size_t size, uint32_t class_count, const char *part)
{
    struct shk_labels *labels = NULL;
    struct shk_error error = {0};
    write_labels(text, size);
    ck_assert_int_eq(shk_labels_load_file(path, class_count, &labels, &error), SHK_ERROR_BAD_MODEL);
    ck_assert_ptr_null(labels);
    ck_assert_msg(strstr(error.message, part) != NULL, "'%s' is not in: %s", part, error.message);
    ck_assert_ptr_nonnull(strstr(error.message, path));
}

START_TEST(lines_are_classes)
{
    static const char *const texts[] = {"cat\ndog\n", "cat\ndog", "cat\r\ndog\r\n\r\n\n",
                                        "\xEF\xBB\xBF"
                                        "cat\ndog\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct shk_labels *labels = load(texts[i], 2);
        ck_assert_uint_eq(shk_labels_count(labels), 2);
        ck_assert_str_eq(shk_labels_get(labels, 0), "cat");
        ck_assert_str_eq(shk_labels_get(labels, 1), "dog");
        ck_assert_ptr_null(shk_labels_get(labels, 2));
        shk_labels_destroy(&labels);
        ck_assert_ptr_null(labels);
    }
}
END_TEST

START_TEST(utf8_and_empty_names_are_kept)
{
    struct shk_labels *labels = load("caf\xC3\xA9\n\n \xF0\x9F\x90\xB1\n", 0);
    ck_assert_uint_eq(shk_labels_count(labels), 3);
    ck_assert_str_eq(shk_labels_get(labels, 0), "caf\xC3\xA9");
    ck_assert_str_eq(shk_labels_get(labels, 1), "");
    ck_assert_str_eq(shk_labels_get(labels, 2), " \xF0\x9F\x90\xB1");
    shk_labels_destroy(&labels);
}
END_TEST

START_TEST(wrong_counts_are_refused)
{
    refuse("a\nb\n", 4, 3, "2 labels, the model has 3 classes");
    refuse("a\nb\nc\nd\n", 8, 3, "4 labels, the model has 3 classes");
    refuse("", 0, 0, "no labels");
    refuse("\r\n\n\n", 4, 0, "no labels");
}
END_TEST

START_TEST(bad_text_is_refused)
{
    static const char *const bad[] = {
        "\xFF",
        "\x80",
        "caf\xC3",
        "\xC0\x80",
        "\xE0\x9F\xBF",
        "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "a\tb",
        "\x1B[31m",
        "\xC3(",
        "\x7F",
    };
    char text[64];
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(text, sizeof(text), "good\n%s\n", bad[i]);
        refuse(text, strlen(text), 0, "line 2");
    }
    refuse("a\0b\n", 4, 0, "line 1");
}
END_TEST

START_TEST(large_files_are_refused)
{
    size_t size = ((size_t)1 << 20) + 1;
    char *text = malloc(size);
    struct shk_labels *labels = NULL;
    struct shk_error error;
    memset(text, '\n', size);
    text[size - 1] = text[size - 2] = 'x';
    refuse(text, size, 0, "at most 1048576");
    write_labels(text, size - 1);
    test_ok(shk_labels_load_file(path, 0, &labels, &error), &error);
    ck_assert_uint_eq(shk_labels_count(labels), 1 << 20);
    shk_labels_destroy(&labels);
    free(text);
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
    static const char *const paths[] = {"/nonexistent/labels.txt", "/", "/dev/null", ""};
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        struct shk_labels *labels = NULL;
        struct shk_error error = {0};
        ck_assert_int_eq(shk_labels_load_file(paths[i], 0, &labels, &error), SHK_ERROR_IO);
        ck_assert_int_eq(error.status, SHK_ERROR_IO);
        ck_assert_ptr_nonnull(strstr(error.message, paths[i]));
    }
    struct shk_labels *none = NULL;
    shk_labels_destroy(NULL);
    shk_labels_destroy(&none);
    ck_assert_ptr_null(shk_labels_get(NULL, 0));
}
END_TEST

/* The default model and its labels come together or not at all. */
START_TEST(default_labels_fit_the_default_model)
{
    struct shk_model *model = NULL;
    struct shk_labels *labels = NULL;
    struct shk_error error = {0};
    enum shk_status status = shk_model_load_default(&model, &error);
    ck_assert_int_eq(shk_labels_load_default(&labels, &error), status);
    if (status) {
        ck_assert_int_eq(status, SHK_ERROR_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(error.message, "no default model"));
        return;
    }
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_SSD);
    ck_assert_uint_eq(shk_labels_count(labels), shk_model_class_count(model));
    shk_labels_destroy(&labels);
    shk_model_destroy(&model);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("labels");
    TCase *tc = tcase_create("labels");
    tcase_add_checked_fixture(tc, create_file, remove_file);
    tcase_add_test(tc, lines_are_classes);
    tcase_add_test(tc, utf8_and_empty_names_are_kept);
    tcase_add_test(tc, wrong_counts_are_refused);
    tcase_add_test(tc, bad_text_is_refused);
    tcase_add_test(tc, large_files_are_refused);
    tcase_add_test(tc, files_that_cannot_be_read);
    tcase_add_test(tc, default_labels_fit_the_default_model);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
