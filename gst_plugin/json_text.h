/* JSON text, appended to a GString that the caller reuses.
 *
 * Not json-glib's generator: it (1.6) writes doubles with 17 digits (0.1 is 0.10000000000000001), NaN and
 * infinity as words that no parser takes, and the control character 0x1f and broken UTF-8 as they are; and
 * it allocates a node for every value. The tests read what is written here with json-glib's parser.
 *
 * Nothing here depends on the locale or allocates, apart from a GString that grows.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_JSON_TEXT_H
#define SHRIKE_GST_JSON_TEXT_H

#include <glib.h>

G_BEGIN_DECLS

/* `"name":`, after a comma where the object, or array of objects, has something before it. */
void json_text_member(GString *out, const char *name);

/* Opens a value: '{' or '[', after a comma where an array has something before it. */
void json_text_open(GString *out, char bracket);

/* NULL is written as null. Bytes that are not UTF-8 become U+FFFD. */
void json_text_string(GString *out, const char *text);

void json_text_uint(GString *out, guint64 value);
void json_text_int(GString *out, gint64 value);

/* Six significant digits; null for NaN and infinity. */
void json_text_double(GString *out, double value);

void json_text_null(GString *out);

G_END_DECLS
#endif
