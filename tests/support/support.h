/* What every test suite needs: Vulkan devices under the validation layer, random numbers, the kit.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shrike/device.h>

#define TEST_SKIP 77

/* Runs a suite; returns what main() should: 0, or 1 if a test failed. */
int test_run(Suite *(*make_suite)(void));

/* Runs a suite once for every Vulkan device there is. test_device() is that device inside the tests, opened
 * under the Khronos validation layer; any message of the layer fails the run. Prints a message and returns
 * TEST_SKIP where there is no device. Tests run in this process (CK_FORK=yes in the environment forks for
 * each). */
int test_run_on_devices(Suite *(*make_suite)(void));
struct shk_device *test_device(void);

/* One more device of its own (the same Vulkan device as test_device(), or the best where there is none), for
 * tests that need to destroy one. Aborts the test on failure. test_device_close() fails the test if
 * the validation layer had anything to say up to and including the device's end. */
struct shk_device *test_device_open(uint64_t memory_budget);
void test_device_close(struct shk_device **device);

/* Prints warnings and errors and counts those that come from the validation layer. */
struct shk_log test_log(void);
unsigned test_validation_messages(void);

/* SplitMix64 (Steele, Lea, Flood 2014): the same numbers from the same seed everywhere. */
struct test_rng {
    uint64_t state;
};
uint64_t test_random(struct test_rng *rng);
uint32_t test_random_below(struct test_rng *rng, uint32_t bound); /* [0, bound), bound > 0 */
void test_random_bytes(struct test_rng *rng, void *data, size_t size);

/* The path of a file of the kit in a static buffer (one of four, used in turn), or NULL with a message on
 * stderr if SHRIKE_KIT names no folder. The file itself need not exist. */
const char *test_kit(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The whole file in malloc'ed memory, or NULL. */
uint8_t *test_read_file(const char *path, size_t *size);

/* A folder of files only, and what is in it; what is not there is no matter. */
void test_remove_folder(const char *path);

/* Asserts success of a call that takes &error last, and shows its message otherwise:
 * test_ok(shk_model_load(path, &model, &error), &error); */
#define test_ok(call, error)                                                                                 \
    do {                                                                                                     \
        enum shk_status test_status_ = (call);                                                               \
        ck_assert_msg(test_status_ == SHK_OK, "%s: %s: %s", #call, shk_status_string(test_status_),          \
                      (error)->message);                                                                     \
    } while (0)

#endif
