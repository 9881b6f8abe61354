/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "default_model.h"
#include "file.h"
#include "utf8.h"

#include <shrike/model.h>

#define MAX_LABEL_BYTES ((size_t)1 << 20)

struct shk_labels {
    uint32_t count;
    char *text;          /* the file, with lines ended by NUL */
    const char *names[]; /* into text */
};

static size_t count_lines(const char *text, size_t size)
{
    size_t lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    return lines;
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

/* Cuts `text` (NUL-terminated, `size` long) into lines. *bad_line is the first that is no text, from 1, or 0.
 */
static void split_lines(struct shk_labels *labels, size_t size, size_t *bad_line)
{
    char *line = labels->text, *end = line + size;
    *bad_line = 0;
    if (size >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0)
        line += 3;
    while (line < end && !*bad_line) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        char *next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        if (stop > line && stop[-1] == '\r')
            stop--;
        if (!shk_utf8_is_line(line, (size_t)(stop - line)))
            *bad_line = labels->count + 1;
        *stop = '\0';
        labels->names[labels->count++] = line;
        line = next;
    }
}

/* Takes `text`, malloc'd with room for a NUL after `size` bytes. */
static enum shk_status parse(const char *path, char *text, size_t size, uint32_t class_count,
                             struct shk_labels **labels, struct shk_error *error)
{
    while (size && is_line_end(text[size - 1]))
        size--;
    text[size] = '\0';
    size_t bytes = sizeof(**labels) + count_lines(text, size) * sizeof(char *), bad_line;
    struct shk_labels *l = malloc(bytes);
    if (!l) {
        free(text);
        return shk_fail_oom(error, bytes, path);
    }
    *l = (struct shk_labels){.text = text};
    split_lines(l, size, &bad_line);
    enum shk_status status = SHK_OK;
    if (bad_line)
        status = shk_fail(error, SHK_ERROR_BAD_MODEL,
                          "%s: line %zu is not UTF-8 text; expected one class name per line", path, bad_line);
    else if (l->count == 0)
        status =
            shk_fail(error, SHK_ERROR_BAD_MODEL, "%s: no labels; expected one class name per line", path);
    else if (class_count && l->count != class_count)
        status = shk_fail(error, SHK_ERROR_BAD_MODEL,
                          "%s: %u labels, the model has %u classes; expected one class name per line, in the "
                          "order of the model's classes",
                          path, l->count, class_count);
    if (status)
        shk_labels_destroy(&l);
    else
        *labels = l;
    return status;
}

enum shk_status shk_labels_load_file(const char *path, uint32_t class_count, struct shk_labels **labels,
                                     struct shk_error *error)
{
    uint8_t *data;
    size_t size;
    enum shk_status status = shk_file_read(path, MAX_LABEL_BYTES, &data, &size, error);
    if (status)
        return status;
    return parse(path, (char *)data, size, class_count, labels, error);
}

enum shk_status shk_labels_load_default(struct shk_labels **labels, struct shk_error *error)
{
    const struct shk_default_file *file = &shk_default_labels;
    if (file->size == 0)
        return shk_fail_no_default(error);
    char *text = malloc(file->size + 1);
    if (!text)
        return shk_fail_oom(error, file->size, "labels");
    memcpy(text, file->data, file->size);
    return parse("default labels", text, file->size, 0, labels, error);
}

void shk_labels_destroy(struct shk_labels **labels)
{
    if (!labels || !*labels)
        return;
    free((*labels)->text);
    free(*labels);
    *labels = NULL;
}

uint32_t shk_labels_count(const struct shk_labels *labels)
{
    return labels->count;
}

const char *shk_labels_get(const struct shk_labels *labels, uint32_t class_id)
{
    return labels && class_id < labels->count ? labels->names[class_id] : NULL;
}
