/* Sidecars: the file, its sections and lines. The keys are in modelinfo_tensor.c and modelinfo_decoder.c.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modelinfo_parser.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utf8.h"

enum shk_status shk_parser_fail(const struct shk_parser *p, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    shk_trim_utf8(text);
    return shk_fail(p->error, SHK_ERROR_BAD_MODEL, "%s:%u: %s", p->path, p->line, text);
}

enum shk_status shk_parser_fail_value(const struct shk_parser *p, const char *expected, const char *found)
{
    return shk_parser_fail(p, "%s: expected %s, found '%s'", p->key, expected, found);
}

static char *strip(char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        length--;
    text[length] = '\0';
    return text;
}

bool shk_parser_number(const char **text, float *value)
{
    char *end;
    *value = strtof(*text, &end);
    if (end == *text || !isfinite(*value))
        return false;
    *text = end + strspn(end, " \t");
    return true;
}

bool shk_parser_take(const char **text, char c)
{
    if (**text != c)
        return false;
    *text += 1 + strspn(*text + 1, " \t");
    return true;
}

/* ---- lines ---- */

static const struct shk_parser_key *const tables[] = {shk_parser_tensor_keys, shk_parser_decoder_keys, NULL};

/* What this section may have, for a message. */
static const char *list_keys(unsigned section, char *text, size_t size)
{
    size_t length = 0;
    for (const struct shk_parser_key *const *table = tables; *table; table++)
        for (const struct shk_parser_key *key = *table; key->name && length < size; key++)
            if (key->sections & section)
                length += (size_t)snprintf(text + length, size - length, length ? ", %s" : "%s", key->name);
    return text;
}

/* The key of that name that this section may have, and its index among all; or NULL. */
static const struct shk_parser_key *find_key(const char *name, unsigned section, uint32_t *index)
{
    *index = 0;
    for (const struct shk_parser_key *const *table = tables; *table; table++)
        for (const struct shk_parser_key *key = *table; key->name; key++, ++*index)
            if (strcmp(key->name, name) == 0 && key->sections & section)
                return key;
    return NULL;
}

static enum shk_status read_key(struct shk_parser *p, char *line)
{
    char *equals = strchr(line, '='), known[384];
    uint32_t index;
    if (!equals)
        return shk_parser_fail(p, "expected [section], key=value or #comment, found '%s'", line);
    *equals = '\0';
    p->key = strip(line);
    if (p->section == SHK_SECTION_NONE)
        return shk_parser_fail(p, "a section, such as [modelinfo], must come before the first key, '%s'",
                               p->key);
    const struct shk_parser_key *key = find_key(p->key, p->section, &index);
    if (!key)
        return shk_parser_fail(p, "unknown key; this section may have %s, found '%s'",
                               list_keys(p->section, known, sizeof(known)), p->key);
    if (p->seen & UINT64_C(1) << index)
        return shk_parser_fail(p, "%s is given twice in this section", p->key);
    p->seen |= UINT64_C(1) << index;
    if (key->bit)
        shk_parser_output(p)->keys |= key->bit;
    return key->read(p, strip(equals + 1));
}

const char *shk_modelinfo_key_name(uint32_t bit)
{
    for (const struct shk_parser_key *key = shk_parser_decoder_keys; key->name; key++)
        if (key->bit == bit)
            return key->name;
    return "?";
}

static bool find_tensor(struct shk_parser *p, const uint32_t *tensors, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        p->tensor = &p->graph->tensors[tensors[i]];
        p->index = i;
        if (strcmp(p->tensor->name, name) == 0)
            return true;
    }
    return false;
}

static enum shk_status fail_section(struct shk_parser *p, const char *name)
{
    char names[384] = "";
    const struct shk_graph *g = p->graph;
    for (uint32_t i = 0, length = 0; i < g->input_count + g->output_count && length < sizeof(names); i++) {
        uint32_t tensor = i < g->input_count ? g->inputs[i] : g->outputs[i - g->input_count];
        length +=
            (uint32_t)snprintf(names + length, sizeof(names) - length, ", [%s]", g->tensors[tensor].name);
    }
    shk_trim_utf8(names);
    return shk_parser_fail(p, "[%s] is no input or output of the model; expected [modelinfo]%s", name, names);
}

static enum shk_status read_section(struct shk_parser *p, char *line)
{
    char *end = strchr(line, ']');
    if (!end || end[1])
        return shk_parser_fail(p, "expected one ']' at the end of the line, found '%s'", line);
    *end = '\0';
    const char *name = line + 1;
    p->seen = 0;
    if (strcmp(name, "modelinfo") == 0) {
        p->section = SHK_SECTION_MODEL;
    } else if (find_tensor(p, p->graph->inputs, p->graph->input_count, name)) {
        p->section = SHK_SECTION_INPUT;
    } else if (find_tensor(p, p->graph->outputs, p->graph->output_count, name)) {
        p->section = SHK_SECTION_OUTPUT;
        if (p->index >= SHK_MAX_HEADS)
            return shk_parser_fail(p, "only the model's first %d outputs can be described, [%s] is output %u",
                                   SHK_MAX_HEADS, name, p->index);
        p->info->outputs[p->index].line = p->line;
    } else {
        return fail_section(p, name);
    }
    return SHK_OK;
}

static enum shk_status read_line(struct shk_parser *p, char *line, size_t length)
{
    if (length && line[length - 1] == '\r')
        line[--length] = '\0';
    for (size_t i = 0; i < length; i++)
        if (line[i] == '\t')
            line[i] = ' ';
    if (!shk_utf8_is_line(line, length))
        return shk_parser_fail(p, "not UTF-8 text");
    line = strip(line);
    if (*line == '\0' || *line == '#')
        return SHK_OK;
    return *line == '[' ? read_section(p, line) : read_key(p, line);
}

static enum shk_status read_lines(struct shk_parser *p, char *text, size_t size)
{
    char *line = text, *end = text + size;
    enum shk_status status = SHK_OK;
    *end = '\0';
    while (line < end && !status) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        *stop = '\0';
        p->line++;
        status = read_line(p, line, (size_t)(stop - line));
        line = stop + 1;
    }
    if (!status && !p->has_version)
        status = shk_fail(p->error, SHK_ERROR_BAD_MODEL,
                          "%s: version is missing: expected version=1.0 in a section [modelinfo]", p->path);
    return status;
}

enum shk_status shk_modelinfo_parse(char *text, size_t size, const char *path, const struct shk_graph *graph,
                                    struct shk_modelinfo *info, struct shk_error *error)
{
    struct shk_parser p = {.path = path, .graph = graph, .info = info, .error = error};
    /* numbers have a point whatever the process's locale is */
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return shk_fail_oom(error, 0, "the C locale");
    *info = (struct shk_modelinfo){.path = path};
    locale_t before = uselocale(c);
    enum shk_status status = read_lines(&p, text, size);
    uselocale(before);
    freelocale(c);
    if (!status && !info->has_decoder && p.id_chooses) {
        info->has_decoder = true;
        info->decoder = p.id_decoder;
    }
    return status;
}

enum shk_status shk_modelinfo_find(const char *model_path, char **path, struct shk_error *error)
{
    static const char suffix[] = ".modelinfo";
    size_t length = strlen(model_path);
    char *name = malloc(length + sizeof(suffix));
    *path = NULL;
    if (!name)
        return shk_fail_oom(error, length + sizeof(suffix), "a path");
    memcpy(name, model_path, length);
    memcpy(name + length, suffix, sizeof(suffix));
    const char *dot = strrchr(model_path, '.');
    if (access(name, F_OK) != 0 && dot && !strchr(dot, '/'))
        memcpy(name + (dot - model_path), suffix, sizeof(suffix));
    if (strcmp(name, model_path) != 0 && access(name, F_OK) == 0)
        *path = name;
    else
        free(name);
    return SHK_OK;
}
