/* Rows of a tensor: dense in C, padded to words and possibly strided on the device.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "session.h"

void shk_rows_pack(const struct shk_view *view, size_t element, const void *dense, void *words)
{
    size_t row = view->channels * element, stride = (size_t)view->stride * 4;
    if (row == stride) {
        memcpy(words, dense, view->rows * row);
        return;
    }
    for (size_t r = 0; r < view->rows; r++)
        memcpy((uint8_t *)words + r * stride, (const uint8_t *)dense + r * row, row);
}

void shk_rows_unpack(const struct shk_view *view, size_t element, const void *words, void *dense)
{
    size_t row = view->channels * element, stride = (size_t)view->stride * 4;
    if (row == stride) {
        memcpy(dense, words, view->rows * row);
        return;
    }
    for (size_t r = 0; r < view->rows; r++)
        memcpy((uint8_t *)dense + r * row, (const uint8_t *)words + r * stride, row);
}

void shk_flip_sign(const void *from, void *to, size_t bytes)
{
    const uint8_t *in = from;
    uint8_t *out = to;
    for (size_t i = 0; i < bytes; i++)
        out[i] = in[i] ^ 0x80;
}
