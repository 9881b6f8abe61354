/* Runs an entry point without libFuzzer: on the samples of the import suites and the files named, then on
 * seeded mutations of them. Built with FUZZ_TEXT, for entries that read text: without those samples.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * usage: fuzz-NAME [-n MUTATIONS] [-s SEED] [FILE...] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "models.h"

#define MAX_SEEDS 64

struct corpus {
    uint8_t *data[MAX_SEEDS];
    size_t size[MAX_SEEDS];
    uint32_t count;
};

static uint32_t below(struct test_rng *rng, size_t bound)
{
    return test_random_below(rng, bound < UINT32_MAX ? (uint32_t)bound : UINT32_MAX);
}

/* Most of a model is weights, which mean nothing: half of the changes go into the first and last 2 KiB. */
static size_t position(struct test_rng *rng, size_t size)
{
    size_t edge = size < 2048 ? size : 2048;
    switch (below(rng, 4)) {
    case 0:
        return below(rng, edge);
    case 1:
        return size - 1 - below(rng, edge);
    default:
        return below(rng, size);
    }
}

static void change(struct test_rng *rng, uint8_t *data, size_t size)
{
#ifdef FUZZ_TEXT
    static const char marks[] = "[]=;,|#\n\r\t .-0123456789e\xc3\x80";
    if (below(rng, 2)) {
        data[position(rng, size)] = (uint8_t)marks[below(rng, sizeof(marks) - 1)];
        return;
    }
#endif
    static const uint32_t words[] = {0, 1, 4, 127, 128, 255, 65535, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    size_t at = position(rng, size), from = position(rng, size);
    size_t length = 1 + below(rng, 16);
    switch (below(rng, 4)) {
    case 0:
        data[at] ^= (uint8_t)(1u << below(rng, 8));
        break;
    case 1:
        data[at] = (uint8_t)test_random(rng);
        break;
    case 2:
        at &= ~(size_t)3;
        memcpy(data + at, &words[below(rng, 10)], size - at < 4 ? size - at : 4);
        break;
    default:
        if (at + length <= size && from + length <= size)
            memmove(data + at, data + from, length);
    }
}

static void mutate(struct test_rng *rng, const struct corpus *corpus)
{
    uint32_t seed = below(rng, corpus->count);
    size_t size = corpus->size[seed];
    if (below(rng, 8) == 0)
        size = below(rng, size + 1);
    uint8_t *data = malloc(size ? size : 1);
    if (!data)
        abort();
    memcpy(data, corpus->data[seed], size);
    for (uint32_t n = 1 + below(rng, 2) * below(rng, 5); size && n; n--)
        change(rng, data, size);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

int main(int argc, char **argv)
{
    struct corpus corpus = {.count = 0};
    struct test_rng rng = {1};
    unsigned long mutations = 0;
    for (int option; (option = getopt(argc, argv, "n:s:")) != -1;) {
        if (option == 'n')
            mutations = strtoul(optarg, NULL, 10);
        else if (option == 's')
            rng.state = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
#ifndef FUZZ_TEXT
    for (int i = 0; i < SAMPLE_COUNT; i++, corpus.count++)
        corpus.data[corpus.count] = sample_model((enum sample)i, &corpus.size[corpus.count]);
#endif
    for (; optind < argc && corpus.count < MAX_SEEDS; optind++) {
        uint32_t i = corpus.count;
        corpus.data[i] = test_read_file(argv[optind], &corpus.size[i]);
        if (corpus.data[i])
            corpus.count++;
        else
            fprintf(stderr, "%s: cannot be read\n", argv[optind]);
    }
    if (corpus.count == 0)
        return 2;
    for (uint32_t i = 0; i < corpus.count; i++)
        LLVMFuzzerTestOneInput(corpus.data[i], corpus.size[i]);
    for (unsigned long i = 0; i < mutations; i++)
        mutate(&rng, &corpus);
    for (uint32_t i = 0; i < corpus.count; i++)
        free(corpus.data[i]);
    printf("%u files, %lu mutations\n", corpus.count, mutations);
    return 0;
}
