/* What is loaded and written loads again as the same graph.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export_tflite.h"
#include "models.h"
#include "op_table.h"
#include "tflite_schema.h"

static void check_round_trip(const struct shk_model *model)
{
    struct shk_error error;
    void *data = NULL;
    size_t size = 0;
    struct shk_model *again = NULL;
    test_ok(shk_export_tflite(shk_model_graph(model), &data, &size, &error), &error);
    test_ok(shk_model_load_memory(data, size, "again", &again, &error), &error);
    const char *difference = graph_difference(shk_model_graph(model), shk_model_graph(again));
    ck_assert_msg(!difference, "%s: %s", shk_model_name(model), difference);
    shk_model_destroy(&again);
    free(data);
}

static void check_file(const char *path)
{
    struct shk_error error;
    struct shk_model *model = NULL;
    test_ok(shk_model_load_file(path, &model, &error), &error);
    check_round_trip(model);
    shk_model_destroy(&model);
}

START_TEST(samples_come_back)
{
    struct shk_error error;
    for (int i = 0; i < SAMPLE_COUNT; i++) {
        size_t size;
        struct shk_model *model = NULL;
        uint8_t *data = sample_model((enum sample)i, &size);
        test_ok(shk_model_load_memory(data, size, "sample", &model, &error), &error);
        free(data); /* the model has its own copy of everything */
        check_round_trip(model);
        shk_model_destroy(&model);
    }
}
END_TEST

/* Every model in the folder; each may be a file or a folder with a model.tflite in it. */
static int check_folder(const char *folder, const char *suffix)
{
    int count = 0;
    DIR *dir = folder ? opendir(folder) : NULL;
    if (!dir)
        return -1;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[1024];
        if (e->d_name[0] == '.' || (strchr(e->d_name, '.') != NULL) != (suffix[0] == '\0'))
            continue;
        snprintf(path, sizeof(path), "%s/%s%s", folder, e->d_name, suffix);
        check_file(path);
        count++;
    }
    closedir(dir);
    return count;
}

START_TEST(kit_comes_back)
{
    int models = check_folder(test_kit("models"), ""), zoo = check_folder(test_kit("zoo"), "/model.tflite");
    ck_assert_msg(models == -1 || models >= 10, "%d models in the kit", models);
    ck_assert_msg(zoo == -1 || zoo >= 51, "%d models in the kit's zoo", zoo);
}
END_TEST

static void check_attr(const struct shk_op_spelling *s, uint32_t i)
{
    static const size_t sizes[] = {[SHK_ATTR_INT32] = 4,
                                   [SHK_ATTR_FLOAT] = 4,
                                   [SHK_ATTR_BOOL] = sizeof(bool),
                                   [SHK_ATTR_ENUM] = 4,
                                   [SHK_ATTR_LIST] = sizeof(struct shk_int32_list)};
    const struct shk_attr *a = &s->attrs[i];
    ck_assert_msg(a->offset + sizes[a->type] <= s->def->attrs_size, "%s %s: outside of its struct", s->name,
                  a->name);
    ck_assert_msg((a->type == SHK_ATTR_ENUM) == (a->enum_names != NULL), "%s %s: enum names", s->name,
                  a->name);
    for (uint32_t k = 0; k < i; k++) {
        ck_assert_msg(strcmp(s->attrs[k].name, a->name) != 0, "%s has %s twice", s->name, a->name);
        ck_assert_msg(s->builtin == SHK_BUILTIN_CUSTOM || s->attrs[k].tflite_field != a->tflite_field,
                      "%s: %s and %s have the same field", s->name, a->name, s->attrs[k].name);
    }
}

/* The tables of the ops, which reading and writing rely on. */
START_TEST(op_tables_are_sound)
{
    for (const struct shk_op_def *const *def = shk_op_table; *def; def++)
        for (uint32_t k = 0; k < (*def)->spelling_count; k++) {
            const struct shk_op_spelling *s = &(*def)->spellings[k];
            ck_assert_msg(s->def == *def, "%s points at another op", s->name);
            if (s->builtin != SHK_BUILTIN_CUSTOM) {
                ck_assert_str_eq(s->name, shk_tflite_builtin_name(s->builtin));
                ck_assert_msg(shk_op_find_builtin(s->builtin) == s, "%s is there twice", s->name);
            }
            ck_assert_msg(s->max_version >= 1, "%s has no version", s->name);
            ck_assert_msg(s->options || !s->attr_count || s->builtin == SHK_BUILTIN_CUSTOM,
                          "%s has attributes but no options table", s->name);
            for (uint32_t i = 0; i < s->attr_count; i++)
                check_attr(s, i);
        }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("round trip");
    TCase *tc = tcase_create("models");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, op_tables_are_sound);
    tcase_add_test(tc, samples_come_back);
    tcase_add_test(tc, kit_comes_back);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
