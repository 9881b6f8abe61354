/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "utf8.h"

size_t shk_utf8_character(const char *text, size_t size)
{
    const unsigned char *b = (const unsigned char *)text;
    size_t length = b[0] < 0x80   ? 1
                    : b[0] < 0xC2 ? 0
                    : b[0] < 0xE0 ? 2
                    : b[0] < 0xF0 ? 3
                    : b[0] < 0xF5 ? 4
                                  : 0;
    if (length > size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((b[i] & 0xC0) != 0x80)
            return 0;
    /* overlong forms, surrogates, beyond U+10FFFF */
    if ((b[0] == 0xE0 && b[1] < 0xA0) || (b[0] == 0xED && b[1] > 0x9F) || (b[0] == 0xF0 && b[1] < 0x90) ||
        (b[0] == 0xF4 && b[1] > 0x8F))
        return 0;
    return length;
}

bool shk_utf8_is_line(const char *text, size_t size)
{
    for (size_t at = 0, length; at < size; at += length) {
        length = shk_utf8_character(text + at, size - at);
        if (length == 0 || (unsigned char)text[at] < 0x20 || text[at] == 0x7F)
            return false;
    }
    return true;
}
