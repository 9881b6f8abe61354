/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tuned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse.h"
#include "notes.h"

static bool is_line_of(const char *line, const char *key)
{
    size_t length = strlen(key);
    return strncmp(line, "use\t", 4) == 0 && strncmp(line + 4, key, length) == 0 && line[4 + length] == '\t';
}

/* The line of `key`, or NULL. */
static const char *find(const char *lines, const char *key)
{
    for (const char *at = lines; at && *at; at = strchr(at, '\n'), at += at != NULL)
        if (is_line_of(at, key))
            return at;
    return NULL;
}

static const struct shk_variant *variant_of(const char *line, const char *key, const struct shk_op_def *def)
{
    char name[64];
    const char *from = line + 4 + strlen(key) + 1;
    size_t length = strcspn(from, "\t\n");
    if (length >= sizeof(name))
        return NULL;
    memcpy(name, from, length);
    name[length] = '\0';
    return shk_variant_find(def, name);
}

char *shk_tuned_read(struct shk_device *device, const char *dir, const struct shk_log *log)
{
    char *path = shk_notes_path(device, dir, "tuned");
    char *lines = path ? shk_notes_read(device, path, log) : NULL;
    free(path);
    return lines;
}

void shk_tuned_choose(const char *lines, const struct shk_graph *graph, const struct shk_variant **choices)
{
    char key[SHK_PROBE_KEY];
    for (uint32_t i = 0; lines && i < graph->op_count; i++) {
        const struct shk_op *op = &graph->ops[i];
        if (!op->def->variants)
            continue;
        shk_probe_key(graph, op, key);
        const char *line = find(lines, key);
        if (line)
            choices[i] = variant_of(line, key, op->def);
    }
}

/* Those of chains, which count for the op that would absorb the ones before it. */
static void choose_chains(const char *lines, const struct shk_fused *fused, const struct shk_variant **choices)
{
    char key[SHK_PROBE_KEY];
    for (uint32_t i = 0; i < fused->own->op_count; i++) {
        enum shk_chain wanted = shk_fused_chain(fused, i);
        struct shk_probe_chain chain = shk_probe_chain_of(fused, i);
        if (wanted == SHK_CHAIN_NONE)
            continue;
        shk_probe_chain_key(fused->own, &chain, key);
        const char *line = find(lines, key);
        const struct shk_variant *variant = line ? variant_of(line, key, fused->own->ops[i].def) : NULL;
        if (shk_variant_chain(variant) == wanted)
            choices[i] = variant;
    }
}

enum shk_status shk_tuned_choose_chains(const char *lines, const struct shk_graph *graph, uint32_t without,
                                        const struct shk_variant **choices, struct shk_error *error)
{
    /* the longer ones last: they were measured against the others */
    static const enum shk_chain kinds[] = {SHK_CHAIN_PAIR, SHK_CHAIN_INVERTED};
    static const char *const prefixes[] = {"\t" SHK_PROBE_PAIR, "\t" SHK_PROBE_INVERTED};
    enum shk_status status = SHK_OK;
    for (uint32_t k = 0; k < SHK_ARRAY_LEN(kinds) && !status; k++) {
        struct shk_fused *fused = NULL;
        if (!lines || !strstr(lines, prefixes[k]))
            continue;
        status = shk_fuse_chains(graph, without, kinds[k], &fused, error);
        if (!status)
            choose_chains(lines, fused, choices);
        shk_fuse_destroy(&fused);
    }
    return status;
}

bool shk_tuned_find(const char *lines, const char *key, const struct shk_op_def *def, struct shk_tuned *tuned)
{
    const char *line = find(lines, key);
    unsigned long long default_ns, ns;
    *tuned = (struct shk_tuned){.variant = line ? variant_of(line, key, def) : NULL};
    snprintf(tuned->key, sizeof(tuned->key), "%s", key);
    bool found =
        tuned->variant && sscanf(line + 4 + strlen(key) + 1, "%*[^\t\n]\t%18llu\t%18llu", &default_ns, &ns) == 2;
    if (found) {
        tuned->default_ns = default_ns;
        tuned->ns = ns;
    }
    return found;
}

static bool is_replaced(const char *line, const struct shk_tuned *tuned, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (is_line_of(line, tuned[i].key))
            return true;
    return false;
}

void shk_tuned_write(struct shk_device *device, const char *dir, const struct shk_tuned *tuned, uint32_t count,
                     const struct shk_log *log)
{
    char *path = shk_notes_path(device, dir, "tuned");
    char *old = shk_tuned_read(device, dir, log);
    size_t size = (old ? strlen(old) : 0) + (size_t)count * (SHK_PROBE_KEY + 128) + 1, at = 0;
    char *lines = path ? malloc(size) : NULL;
    for (const char *line = old; lines && line && *line; line = strchr(line, '\n') + 1) /* every line has one */
        if (!is_replaced(line, tuned, count))
            at += (size_t)snprintf(lines + at, size - at, "%.*s\n", (int)strcspn(line, "\n"), line);
    for (uint32_t i = 0; lines && i < count; i++)
        at += (size_t)snprintf(lines + at, size - at, "use\t%s\t%s\t%llu\t%llu\n", tuned[i].key, tuned[i].variant->name,
                               (unsigned long long)tuned[i].default_ns, (unsigned long long)tuned[i].ns);
    if (lines)
        shk_notes_write(device, dir, path, lines, log);
    free(lines);
    free(old);
    free(path);
}
