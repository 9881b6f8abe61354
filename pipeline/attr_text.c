/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attr_text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACES " \t\r\n"

/* One "key=value", cut out of the text. */
struct assignment {
    char key[64];
    char value[128];
};

static bool parse_int(const char *text, char **end, int32_t *value)
{
    errno = 0;
    long long v = strtoll(text, end, 10);
    *value = (int32_t)v;
    return *end != text && errno == 0 && v >= INT32_MIN && v <= INT32_MAX;
}

/* With a point whatever the process's locale is. */
static bool parse_float(const char *text, float *value)
{
    char *end;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return false;
    locale_t before = uselocale(c);
    *value = strtof(text, &end);
    uselocale(before);
    freelocale(c);
    return end != text && *end == '\0' && isfinite(*value);
}

static bool parse_bool(const char *text, bool *value)
{
    *value = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *value || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

static bool parse_enum(const char *text, const char *const *names, int32_t *value)
{
    for (int32_t i = 0; names[i]; i++)
        if (strcmp(text, names[i]) == 0) {
            *value = i;
            return true;
        }
    return false;
}

/* "1,-1,10"; nothing is the empty list. */
static bool parse_list(const char *text, struct shk_int32_list *list)
{
    char *end = (char *)text;
    list->count = 0;
    while (*end) {
        if (list->count == SHK_ARRAY_LEN(list->values) ||
            !parse_int(text, &end, &list->values[list->count]) || (*end && *end != ','))
            return false;
        list->count++;
        text = end + 1;
        if (*end && !*text)
            return false;
        end += *end == ',';
    }
    return true;
}

static bool parse_value(const struct shk_attr *attr, const char *text, unsigned char *at)
{
    char *end;
    switch (attr->type) {
    case SHK_ATTR_INT32:
        return parse_int(text, &end, (int32_t *)(void *)at) && *end == '\0';
    case SHK_ATTR_FLOAT:
        return parse_float(text, (float *)(void *)at);
    case SHK_ATTR_BOOL:
        return parse_bool(text, (bool *)at);
    case SHK_ATTR_ENUM:
        return parse_enum(text, attr->enum_names, (int32_t *)(void *)at);
    case SHK_ATTR_LIST:
        return parse_list(text, (struct shk_int32_list *)(void *)at);
    }
    return false;
}

static void list_keys(const struct shk_op_spelling *spelling, char *text, size_t size)
{
    size_t at = 0;
    snprintf(text, size, "none");
    for (uint32_t i = 0; i < spelling->attr_count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, i ? ", %s" : "%s", spelling->attrs[i].name);
}

static void list_values(const struct shk_attr *attr, char *text, size_t size)
{
    static const char *const kinds[] = {
        [SHK_ATTR_INT32] = "an integer",
        [SHK_ATTR_FLOAT] = "a finite number",
        [SHK_ATTR_BOOL] = "true or false",
        [SHK_ATTR_LIST] = "integers separated by commas",
    };
    size_t at = 0;
    if (attr->type != SHK_ATTR_ENUM)
        snprintf(text, size, "%s", kinds[attr->type]);
    for (uint32_t i = 0; attr->type == SHK_ATTR_ENUM && attr->enum_names[i] && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, i ? ", %s" : "%s", attr->enum_names[i]);
}

static enum shk_status set(const struct shk_op_spelling *spelling, void *attrs, const struct assignment *a,
                           struct shk_error *error)
{
    char expected[400];
    for (uint32_t i = 0; i < spelling->attr_count; i++) {
        const struct shk_attr *attr = &spelling->attrs[i];
        if (strcmp(attr->name, a->key) != 0)
            continue;
        if (parse_value(attr, a->value, (unsigned char *)attrs + attr->offset))
            return SHK_OK;
        list_values(attr, expected, sizeof(expected));
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%s: attribute %s is '%s', expected %s",
                        spelling->name, a->key, a->value, expected);
    }
    list_keys(spelling, expected, sizeof(expected));
    return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "%s has no attribute '%s'; it has: %s", spelling->name,
                    a->key, expected);
}

enum shk_status shk_attrs_from_text(const struct shk_op_spelling *spelling, void *attrs, const char *text,
                                    struct shk_error *error)
{
    for (text = text ? text + strspn(text, SPACES) : ""; *text; text += strspn(text, SPACES)) {
        struct assignment a;
        size_t key = strcspn(text, "=" SPACES), length = strcspn(text, SPACES);
        if (text[key] != '=' || key == 0 || key >= sizeof(a.key) || length - key - 1 >= sizeof(a.value))
            return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                            "%s: '%.*s' in the attributes, expected key=value", spelling->name,
                            (int)SHK_MIN(length, sizeof(a.value)), text);
        snprintf(a.key, sizeof(a.key), "%.*s", (int)key, text);
        snprintf(a.value, sizeof(a.value), "%.*s", (int)(length - key - 1), text + key + 1);
        enum shk_status status = set(spelling, attrs, &a, error);
        if (status)
            return status;
        text += length;
    }
    return SHK_OK;
}
