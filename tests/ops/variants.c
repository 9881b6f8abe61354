/* Which kernel variant a session takes: the tuner's choice, only what computes correctly, whatever the files say.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/tune.h>

#include "notes.h"
#include "op_case.h"
#include "probe.h"
#include "support.h"
#include "tuned.h"

#define CHANNELS 8
#define FILTERS  12

static char dir[64];
static struct shk_device *device;
static struct shk_model *model;
static char logged[4096];

static void take_log(void *user, enum shk_log_level level, const char *message)
{
    (void)user;
    if (level <= SHK_LOG_WARNING)
        snprintf(logged + strlen(logged), sizeof(logged) - strlen(logged), "%s\n", message);
}

static const struct shk_log own_log = {.fn = take_log};

static void make_model(void)
{
    static const float scale = 0.01f;
    static int8_t weights[FILTERS * CHANNELS];
    static int32_t bias[FILTERS];
    struct shk_error error;
    uint64_t state = 7;
    op_random_int8(&state, weights, sizeof(weights));
    struct op_case c = op_case("CONV_2D", "variants");
    op_case_input(&c, SHK_DTYPE_INT8, 4, (int32_t[]){1, 9, 7, CHANNELS}, 0.1f, 3);
    op_case_constant(&c, SHK_DTYPE_INT8, 4, (int32_t[]){FILTERS, 1, 1, CHANNELS}, 1, &scale, NULL, 0, weights);
    op_case_constant(&c, SHK_DTYPE_INT32, 1, (int32_t[]){FILTERS}, 0, NULL, NULL, 0, bias);
    op_case_output(&c, SHK_DTYPE_INT8, 4, (int32_t[]){1, 9, 7, FILTERS}, 0.5f, 3);
    op_case_attr(&c, "stride_h", 1);
    op_case_attr(&c, "stride_w", 1);
    if (op_case_model(&c, &model, &error))
        ck_abort_msg("%s", error.message);
}

static void setup(void)
{
    struct shk_error error;
    snprintf(dir, sizeof(dir), "/tmp/shrike-variants-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    logged[0] = '\0';
    make_model();
    device = NULL;
    if (op_device_count() && shk_device_create(NULL, &device, &error))
        ck_abort_msg("%s", error.message);
}

static void teardown(void)
{
    test_remove_folder(dir);
    shk_model_destroy(&model);
    shk_device_destroy(&device);
}

static const struct shk_op_def *def(void)
{
    return shk_model_graph(model)->ops[0].def;
}

/* The variant that a session takes; its output must be the reference's. */
static const char *used_by_session(const char *cache_dir)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL, *reference = NULL;
    struct shk_error error;
    int8_t input[9 * 7 * CHANNELS], found[9 * 7 * FILTERS], expected[sizeof(found)];
    params.cache_dir = cache_dir;
    params.log = own_log;
    params.profile_ops = true;
    shk_probe_fill(input, sizeof(input), 2);
    if (shk_session_create(device, model, &params, &session, &error) ||
        shk_session_create(NULL, model, &params, &reference, &error) ||
        shk_probe_run(session, input, found, NULL, &error) || shk_probe_run(reference, input, expected, NULL, &error))
        ck_abort_msg("%s", error.message);
    ck_assert_mem_eq(found, expected, sizeof(found));
    const char *name = session->lowering.used[0]->name;
    shk_session_destroy(&session);
    shk_session_destroy(&reference);
    return name;
}

static void choose(const char *name)
{
    struct shk_tuned tuned = {.variant = shk_variant_find(def(), name), .default_ns = 2, .ns = 1};
    shk_probe_key(shk_model_graph(model), &shk_model_graph(model)->ops[0], tuned.key);
    shk_tuned_write(device, dir, &tuned, 1, &own_log);
}

/* Of notes of that kind. */
static void write_file(const char *kind, const char *text)
{
    char *path = shk_notes_path(device, dir, kind);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    free(path);
}

START_TEST(test_choice_is_taken)
{
    if (!device)
        return;
    ck_assert_str_eq(used_by_session(dir), "uniform");
    choose("int-8x2");
    ck_assert_str_eq(used_by_session(dir), "int-8x2");
    ck_assert_str_eq(used_by_session(NULL), "uniform");
    choose("float-8x4"); /* in place of the other */
    ck_assert_str_eq(used_by_session(dir), "float-8x4");
    ck_assert_str_eq(logged, "");
}
END_TEST

/* The parameters of one variant are packed wrongly: it must never be used, now or later, nor asked for again. */
START_TEST(test_wrong_variant_is_dropped)
{
    static const char *const names[] = {"uniform", "int-8x2"}; /* the rule of thumb; a choice */
    if (!device)
        return;
    choose(names[_i]);
    setenv("SHRIKE_BREAK_VARIANT", names[_i], 1);
    const char *used = used_by_session(dir);
    unsetenv("SHRIKE_BREAK_VARIANT");
    ck_assert_str_ne(used, names[_i]);
    ck_assert_ptr_nonnull(strstr(logged, "wrongly with kernel"));
    ck_assert_ptr_nonnull(strstr(logged, names[_i]));
    logged[0] = '\0';
    ck_assert_str_ne(used_by_session(NULL), names[_i]);
    shk_device_destroy(&device);
    struct shk_error error;
    if (shk_device_create(NULL, &device, &error))
        ck_abort_msg("%s", error.message);
    ck_assert_str_ne(used_by_session(dir), names[_i]); /* the file knows */
    ck_assert_str_eq(logged, "");
}
END_TEST

START_TEST(test_damaged_files_are_ignored)
{
    static const char *const kinds[] = {"tuned", "checked"};
    static const char *const texts[] = {"", "x", "shrike-notes 1 of another device\nuse\tall\tint-8x2\t1\t1\n",
                                        "shrike-notes 1 \001\n", "\n\n\n", "use\t\t\t\t"};
    if (!device)
        return;
    for (size_t k = 0; k < SHK_ARRAY_LEN(kinds); k++)
        for (size_t i = 0; i < SHK_ARRAY_LEN(texts); i++) {
            logged[0] = '\0';
            write_file(kinds[k], texts[i]);
            ck_assert_str_eq(used_by_session(dir), "uniform");
            ck_assert_ptr_nonnull(strstr(logged, "going on without"));
        }
}
END_TEST

/* Right title, lines that are none of ours. */
START_TEST(test_strange_lines_are_ignored)
{
    static const char *const ends[] = {"", "\t", "\tint-8x2", "\tno-such-variant\t1\t1", "\tint-8x2\tx\t-1",
                                       "\tint-8x2\t99999999999999999999999\t1"};
    char key[SHK_PROBE_KEY], lines[2 * SHK_PROBE_KEY];
    struct shk_tuned tuned;
    if (!device)
        return;
    char *path = shk_notes_path(device, dir, "tuned");
    shk_probe_key(shk_model_graph(model), &shk_model_graph(model)->ops[0], key);
    for (size_t i = 0; i < SHK_ARRAY_LEN(ends); i++) {
        snprintf(lines, sizeof(lines), "\nuse\nuse\t\nnonsense\nuse\t%s%s\n", key, ends[i]);
        shk_notes_write(device, dir, path, lines, &own_log);
        char *found = shk_tuned_read(device, dir, &own_log);
        bool known = shk_tuned_find(found, key, def(), &tuned);
        free(found);
        ck_assert(!known || tuned.ns > 0);
        const char *used = used_by_session(dir);
        ck_assert(strcmp(used, "uniform") == 0 || strcmp(used, "int-8x2") == 0);
    }
    free(path);
}
END_TEST

static bool stop(void *user, uint32_t done, uint32_t total, const char *layer)
{
    (void)layer;
    ck_assert_uint_lt(done, total);
    ++*(int *)user;
    return false;
}

START_TEST(test_tune)
{
    struct shk_tune_params params = {.mode = SHK_TUNE_OFF, .cache_dir = dir, .log = own_log};
    struct shk_tune_report report;
    struct shk_error error;
    int calls = 0;
    if (!device)
        return;
    ck_assert_int_eq(shk_tune(NULL, model, &params, &report, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(shk_tune(device, model, &params, &report, &error), SHK_OK);
    ck_assert_uint_eq(report.count, 0);
    params.mode = SHK_TUNE_FULL;
    params.progress = stop;
    params.user = &calls;
    ck_assert_int_eq(shk_tune(device, model, &params, &report, &error), SHK_OK);
    ck_assert_int_eq(calls, 1);
    ck_assert_uint_eq(report.layers[0].candidates, 0);
    shk_tune_report_free(&report);
    params.progress = NULL;
    ck_assert_int_eq(shk_tune(device, model, &params, &report, &error), SHK_OK);
    ck_assert_uint_eq(report.count, 1);
    ck_assert_uint_gt(report.layers[0].candidates, 3);
    ck_assert_uint_le(report.layers[0].ns, report.layers[0].rule_ns);
    ck_assert_str_eq(used_by_session(dir), report.layers[0].variant);
    shk_tune_report_free(&report);
    params.mode = SHK_TUNE_FAST; /* known by now */
    ck_assert_int_eq(shk_tune(device, model, &params, &report, &error), SHK_OK);
    ck_assert_uint_eq(report.layers[0].candidates, 0);
    ck_assert_str_eq(used_by_session(dir), report.layers[0].variant);
    shk_tune_report_free(&report);
    shk_tune_report_free(&report);
    ck_assert_str_eq(logged, "");
}
END_TEST

/* What the tuner finds out to be wrong it does not choose. */
START_TEST(test_tune_drops_wrong_variants)
{
    struct shk_tune_params params = {.mode = SHK_TUNE_FULL, .cache_dir = dir, .log = own_log};
    struct shk_error error;
    if (!device)
        return;
    setenv("SHRIKE_BREAK_VARIANT", "int-16x2", 1);
    ck_assert_int_eq(shk_tune(device, model, &params, NULL, &error), SHK_OK);
    unsetenv("SHRIKE_BREAK_VARIANT");
    ck_assert(shk_variant_is_dropped(shk_variant_find(def(), "int-16x2"), def(), device));
    ck_assert_ptr_nonnull(strstr(logged, "int-16x2"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("variants");
    TCase *tcase = tcase_create("variants");
    tcase_set_timeout(tcase, 0);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_choice_is_taken);
    tcase_add_loop_test(tcase, test_wrong_variant_is_dropped, 0, 2);
    tcase_add_test(tcase, test_damaged_files_are_ignored);
    tcase_add_test(tcase, test_strange_lines_are_ignored);
    tcase_add_test(tcase, test_tune);
    tcase_add_test(tcase, test_tune_drops_wrong_variants);
    suite_add_tcase(suite, tcase);
    return op_case_main(suite);
}
