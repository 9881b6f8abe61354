/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_text.h"

#include <math.h>

static void separate(GString *out)
{
    char last = out->len ? out->str[out->len - 1] : '{';
    if (last != '{' && last != '[' && last != ':')
        g_string_append_c(out, ',');
}

void json_text_member(GString *out, const char *name)
{
    separate(out);
    json_text_string(out, name);
    g_string_append_c(out, ':');
}

void json_text_open(GString *out, char bracket)
{
    separate(out);
    g_string_append_c(out, bracket);
}

static void append_escape(GString *out, char character)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    for (guint i = 0; plain[i]; i++) {
        if (character == plain[i]) {
            g_string_append_c(out, '\\');
            g_string_append_c(out, letters[i]);
            return;
        }
    }
    char code[8];
    g_snprintf(code, sizeof(code), "\\u%04x", (guint)(guchar)character);
    g_string_append(out, code);
}

/* From `text` to `end` it is UTF-8. */
static void append_valid(GString *out, const char *text, const char *end)
{
    const char *plain = text;
    for (const char *p = text; p < end; p++) {
        if ((guchar)*p >= 0x20 && *p != '"' && *p != '\\')
            continue;
        g_string_append_len(out, plain, p - plain);
        append_escape(out, *p);
        plain = p + 1;
    }
    g_string_append_len(out, plain, end - plain);
}

void json_text_string(GString *out, const char *text)
{
    const char *end;
    if (!text) {
        json_text_null(out);
        return;
    }
    g_string_append_c(out, '"');
    while (!g_utf8_validate(text, -1, &end)) {
        append_valid(out, text, end);
        g_string_append(out, "\xef\xbf\xbd");
        text = end + 1;
    }
    append_valid(out, text, end);
    g_string_append_c(out, '"');
}

void json_text_uint(GString *out, guint64 value)
{
    char text[24];
    g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, value);
    g_string_append(out, text);
}

void json_text_int(GString *out, gint64 value)
{
    char text[24];
    g_snprintf(text, sizeof(text), "%" G_GINT64_FORMAT, value);
    g_string_append(out, text);
}

void json_text_double(GString *out, double value)
{
    char text[32];
    if (!isfinite(value)) {
        json_text_null(out);
        return;
    }
    g_string_append(out, g_ascii_formatd(text, sizeof(text), "%.6g", value));
}

void json_text_null(GString *out)
{
    g_string_append(out, "null");
}
