/* Entry points in libFuzzer's form, and what runs them without libFuzzer.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * With clang: CC=clang meson setup ... -Dc_args=-fsanitize=fuzzer-no-link,address, then link an entry's file
 * with -fsanitize=fuzzer. */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Does what its file says with untrusted bytes. Aborts if a promise of the public headers is broken. Returns
 * 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
