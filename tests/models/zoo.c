/* The kit's models of one op each: reference and every device against the outputs that come with them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit_run.h"
#include "op_case.h"
#include "support.h"

static const char *zoo;
static struct dirent **entries;
static int entry_count;

/* Each has variants that its ops do not know; those run their own choice once more. */
static const char *const variants[] = {NULL, "uniform16", "storage", "split", "any"};

static void run(const char *folder, struct shk_device *device)
{
    char model[512];
    snprintf(model, sizeof(model), "%s/model.tflite", folder);
    struct kit_run r = kit_run(model, folder, device, false);
    for (uint32_t i = 0; i < r.output_count; i++)
        kit_run_check_output(&r, folder, i, kit_where(device));
    kit_run_finish(&r);
}

START_TEST(test_folder)
{
    char folder[512];
    snprintf(folder, sizeof(folder), "%s/%s", zoo, entries[_i]->d_name);
    run(folder, NULL);
    for (uint32_t d = 0; d < op_device_count(); d++)
        for (size_t v = 0; v < SHK_ARRAY_LEN(variants); v++) {
            if (variants[v])
                setenv("SHRIKE_FORCE_VARIANT", variants[v], 1);
            run(folder, op_device(d));
            unsetenv("SHRIKE_FORCE_VARIANT");
        }
    op_device_check_validation();
}
END_TEST

static int is_case(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && !strchr(entry->d_name, '.');
}

int main(void)
{
    zoo = test_kit("zoo");
    if (zoo)
        entry_count = scandir(zoo, &entries, is_case, alphasort);
    if (!zoo || entry_count <= 0) {
        fprintf(stderr, "no models to test: SHRIKE_KIT has no zoo\n");
        return TEST_SKIP;
    }
    Suite *suite = suite_create("zoo");
    TCase *tcase = tcase_create("zoo");
    tcase_set_timeout(tcase, 0);
    tcase_add_loop_test(tcase, test_folder, 0, entry_count);
    suite_add_tcase(suite, tcase);
    int status = op_case_main(suite);
    for (int i = 0; i < entry_count; i++)
        free(entries[i]);
    free(entries);
    return status;
}
