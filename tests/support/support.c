/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "validation.h"

static struct shk_device *current_device;
static uint32_t current_index;
static atomic_uint validation_messages;

static void on_log(void *user, enum shk_log_level level, const char *message)
{
    (void)user;
    if (strncmp(message, "validation: ", 12) == 0)
        atomic_fetch_add(&validation_messages, 1);
    if (level <= SHK_LOG_WARNING)
        fprintf(stderr, "%s\n", message);
}

struct shk_log test_log(void)
{
    return (struct shk_log){.fn = on_log};
}

unsigned test_validation_messages(void)
{
    return atomic_load(&validation_messages);
}

static enum shk_status open_device(uint64_t memory_budget, struct shk_device **device,
                                   struct shk_error *error)
{
    char select[16] = "";
    if (current_device)
        snprintf(select, sizeof(select), "%u", current_index);
    const struct shk_device_params params = {
        .select = select, .validation = test_validation(), .memory_budget = memory_budget, .log = test_log()};
    return shk_device_create(&params, device, error);
}

struct shk_device *test_device(void)
{
    ck_assert_msg(current_device != NULL, "the suite must be run by test_run_on_devices()");
    return current_device;
}

struct shk_device *test_device_open(uint64_t memory_budget)
{
    struct shk_device *device = NULL;
    struct shk_error error;
    test_ok(open_device(memory_budget, &device, &error), &error);
    return device;
}

void test_device_close(struct shk_device **device)
{
    shk_device_destroy(device);
    ck_assert_msg(test_validation_messages() == 0, "%u messages from the validation layer",
                  test_validation_messages());
}

static int run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    /* A device made before fork() is of no use in the child. */
    if (!getenv("CK_FORK"))
        srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

int test_run(Suite *(*make_suite)(void))
{
    return run(make_suite());
}

static int run_on(const struct shk_device_info *info, Suite *(*make_suite)(void))
{
    char select[16];
    struct shk_error error;

    printf("device %u: %s %s\n", info->index, info->name, info->driver);
    snprintf(select, sizeof(select), "%u", info->index);
    const struct shk_device_params params = {.select = select, .validation = test_validation(), .log = test_log()};
    if (shk_device_create(&params, &current_device, &error)) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    current_index = info->index;
    int failed = run(make_suite());
    shk_device_destroy(&current_device);
    if (test_validation_messages()) {
        fprintf(stderr, "%u messages from the validation layer\n", test_validation_messages());
        failed = 1;
    }
    return failed;
}

int test_run_on_devices(Suite *(*make_suite)(void))
{
    struct shk_device_info infos[16];
    uint32_t count = sizeof(infos) / sizeof(infos[0]);
    struct shk_error error = {.message = "no Vulkan device"};

    /* Never closed: a leak checker can only name, and forgive, what drivers and layers keep while they are
     * loaded. */
    static struct shk_device *keeper;
    const struct shk_device_params params = {.validation = test_validation()};
    (void)shk_device_create(&params, &keeper, NULL);

    if (shk_device_list(infos, &count, &error) || count == 0) {
        printf("skipped: %s\n", error.message);
        return TEST_SKIP;
    }
    int failed = 0;
    for (uint32_t i = 0; i < count && i < sizeof(infos) / sizeof(infos[0]); i++)
        failed |= run_on(&infos[i], make_suite);
    return failed;
}

uint64_t test_random(struct test_rng *rng)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t test_random_below(struct test_rng *rng, uint32_t bound)
{
    return (uint32_t)((test_random(rng) >> 32) * bound >> 32);
}

void test_random_bytes(struct test_rng *rng, void *data, size_t size)
{
    uint8_t *bytes = data;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t value = test_random(rng);
        memcpy(bytes + i, &value, size - i < 8 ? size - i : 8);
    }
}

const char *test_kit(const char *format, ...)
{
    static char paths[4][1024];
    static unsigned turn;
    const char *kit = getenv("SHRIKE_KIT");
    struct stat st;

    if (!kit || stat(kit, &st) || !S_ISDIR(st.st_mode)) {
        fprintf(stderr, "skipped: SHRIKE_KIT (%s) is not a folder\n", kit ? kit : "not set");
        return NULL;
    }
    char *path = paths[turn++ % 4];
    int n = snprintf(path, sizeof(paths[0]), "%s/", kit);
    va_list args;
    va_start(args, format);
    vsnprintf(path + n, sizeof(paths[0]) - (size_t)n, format, args);
    va_end(args);
    return path;
}

uint8_t *test_read_file(const char *path, size_t *size)
{
    struct stat st;
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;

    if (!file || fstat(fileno(file), &st) || !S_ISREG(st.st_mode))
        goto out;
    data = malloc((size_t)st.st_size + 1);
    if (data && fread(data, 1, (size_t)st.st_size, file) != (size_t)st.st_size) {
        free(data);
        data = NULL;
    }
    *size = (size_t)st.st_size;
out:
    if (file)
        fclose(file);
    return data;
}

void test_remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    char file[512];
    for (struct dirent *e; folder && (e = readdir(folder));) {
        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        unlink(file);
    }
    if (folder)
        closedir(folder);
    rmdir(path);
}
