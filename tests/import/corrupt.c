/* Damaged files: cut short, with flipped bits, with wrong counts and offsets everywhere. Each must load or
 * end in a message; the address sanitizer's build sees whether anything outside was touched.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/fuzz.h"
#include "flexbuffer.h"
#include "models.h"

/* In a buffer of exactly this size, so that the sanitizer sees the end. */
static void try(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

START_TEST(cut_short_anywhere)
{
    size_t size;
    struct shk_model *model = NULL;
    uint8_t *data = sample_model((enum sample)_i, &size);
    for (size_t length = 0; length < size; length++)
        try(data, length);
    /* the constants come last in the file, so that without its last 16 bytes it is not whole */
    ck_assert_int_eq(shk_model_load_memory(data, size - 16, "cut", &model, NULL), SHK_ERROR_BAD_MODEL);
    free(data);
}
END_TEST

START_TEST(every_bit_flipped)
{
    size_t size;
    uint8_t *data = sample_model((enum sample)_i, &size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        try(data, size);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(data);
}
END_TEST

/* Counts, offsets, indices, dimensions: all are words somewhere in the file. */
START_TEST(every_word_replaced)
{
    static const uint32_t words[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFC, 0x10000000, 65536};
    size_t size;
    uint8_t *data = sample_model((enum sample)_i, &size), saved[4];
    for (size_t at = 0; at + 4 <= size; at += 2) {
        memcpy(saved, data + at, 4);
        for (size_t i = 0; i < SHK_ARRAY_LEN(words); i++) {
            memcpy(data + at, &words[i], 4);
            try(data, size);
        }
        memcpy(data + at, saved, 4);
    }
    free(data);
}
END_TEST

START_TEST(kit_models_damaged)
{
    static const char *const names[] = {"person_detect", "qeng_detect", "ssd_slim", "mcunet_detection"};
    struct test_rng rng = {2026};
    for (size_t i = 0; i < SHK_ARRAY_LEN(names); i++) {
        size_t size = 0;
        const char *path = test_kit("models/%s.tflite", names[i]);
        uint8_t *data = path ? test_read_file(path, &size) : NULL;
        if (!data)
            return;
        for (int k = 0; k < 60; k++)
            try(data, test_random_below(&rng, (uint32_t)size));
        for (int k = 0; k < 60; k++) {
            size_t at = test_random_below(&rng, (uint32_t)size);
            uint8_t saved = data[at];
            data[at] = (uint8_t)test_random(&rng);
            try(data, size);
            data[at] = saved;
        }
        free(data);
    }
}
END_TEST

START_TEST(custom_options_damaged)
{
    struct shk_flex_entry entries[] = {{"num_classes", SHK_FLEX_INT, 7},
                                       {"y_scale", SHK_FLEX_FLOAT, 2.5},
                                       {"a_flag", SHK_FLEX_BOOL, 1},
                                       {"max_detections", SHK_FLEX_INT, -3}};
    struct shk_flex_map map;
    struct test_rng rng = {5};
    size_t size;
    double value = 0;
    uint8_t *good = shk_flex_map_write(entries, SHK_ARRAY_LEN(entries), &size);
    ck_assert(shk_flex_map_open(good, size, &map));
    for (size_t i = 0; i < SHK_ARRAY_LEN(entries); i++) {
        ck_assert_int_eq(shk_flex_map_number(&map, entries[i].key, &value), SHK_FLEX_FOUND);
        ck_assert(value == entries[i].value);
    }
    ck_assert_int_eq(shk_flex_map_number(&map, "max", &value), SHK_FLEX_ABSENT);
    for (int k = 0; k < 50000; k++) {
        size_t length = k % 4 ? size : test_random_below(&rng, (uint32_t)size + 1);
        uint8_t *bad = malloc(length ? length : 1);
        memcpy(bad, good, length);
        for (uint32_t flips = 1 + test_random_below(&rng, 3); length && flips; flips--)
            bad[test_random_below(&rng, (uint32_t)length)] = (uint8_t)test_random(&rng);
        if (shk_flex_map_open(bad, length, &map))
            shk_flex_map_number(&map, "y_scale", &value);
        free(bad);
    }
    free(good);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("corrupt");
    TCase *tc = tcase_create("corrupt");
    tcase_set_timeout(tc, 250);
    tcase_add_loop_test(tc, cut_short_anywhere, 0, SAMPLE_COUNT);
    tcase_add_loop_test(tc, every_bit_flipped, 0, SAMPLE_COUNT);
    tcase_add_loop_test(tc, every_word_replaced, 0, SAMPLE_COUNT);
    tcase_add_test(tc, kit_models_damaged);
    tcase_add_test(tc, custom_options_damaged);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
