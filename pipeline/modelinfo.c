/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modelinfo.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detect.h"
#include "utf8.h"

#define VERSION_MAJOR 1
#define MAX_ANCHOR    65536.0f /* pixels */
#define MAX_STRIDE    4096.0f

enum section { SECTION_NONE = 0, SECTION_MODEL = 1, SECTION_INPUT = 2, SECTION_OUTPUT = 4 };

struct parser {
    const char *path;
    const struct shk_graph *graph;
    struct shk_modelinfo *info;
    struct shk_error *error;
    uint32_t line; /* from 1 */
    enum section section;
    uint32_t index; /* of the section's input or output */
    const struct shk_tensor *tensor;
    uint32_t seen; /* keys of this section, by index in `keys` */
    bool has_version;
    const char *key;
    bool id_chooses;
    enum shk_decoder id_decoder;
};

static enum shk_status fail(const struct parser *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum shk_status fail(const struct parser *p, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    shk_trim_utf8(text);
    return shk_fail(p->error, SHK_ERROR_BAD_MODEL, "%s:%u: %s", p->path, p->line, text);
}

static enum shk_status fail_value(const struct parser *p, const char *expected, const char *found)
{
    return fail(p, "%s: expected %s, found '%s'", p->key, expected, found);
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

/* Moves *text past a finite number and blanks. */
static bool take_number(const char **text, float *value)
{
    char *end;
    *value = strtof(*text, &end);
    if (end == *text || !isfinite(*value))
        return false;
    *text = end + strspn(end, " \t");
    return true;
}

/* Moves *text past `c` and blanks. */
static bool take(const char **text, char c)
{
    if (**text != c)
        return false;
    *text += 1 + strspn(*text + 1, " \t");
    return true;
}

/* ---- [modelinfo] ---- */

static enum shk_status read_version(struct parser *p, const char *value)
{
    unsigned major, minor;
    int length = -1;
    if (sscanf(value, "%5u.%5u%n", &major, &minor, &length) != 2 || value[length] || major != VERSION_MAJOR)
        return fail_value(p, "1.0 or another 1.x", value);
    p->has_version = true;
    return SHK_OK;
}

static enum shk_status read_decoder(struct parser *p, const char *value)
{
    char names[128];
    if (!shk_decoder_by_name(value, &p->info->decoder))
        return fail_value(p, shk_decoder_names(names, sizeof(names)), value);
    p->info->has_decoder = true;
    return SHK_OK;
}

static enum shk_status read_free_text(struct parser *p, const char *value)
{
    (void)p;
    (void)value;
    return SHK_OK;
}

/* ---- a tensor, as GStreamer describes it ---- */

static enum shk_status read_dir(struct parser *p, const char *value)
{
    const char *dir = p->section == SECTION_INPUT ? "input" : "output";
    return strcmp(value, dir) == 0 ? SHK_OK : fail_value(p, dir, value);
}

static enum shk_status read_type(struct parser *p, const char *value)
{
    const char *type = p->tensor->legacy_uint8 ? "uint8" : shk_dtype_string(p->tensor->dtype);
    return strcmp(value, type) == 0 ? SHK_OK : fail_value(p, type, value);
}

/* Negative ones stand for anything. */
static enum shk_status read_dims(struct parser *p, const char *value)
{
    const struct shk_shape *shape = &p->tensor->shape;
    const char *at = value;
    bool equal = true;
    for (uint32_t i = 0; i < shape->rank && equal; i++) {
        float dim;
        equal = (i == 0 || take(&at, ',')) && take_number(&at, &dim) &&
                (dim < 0.0f || dim == (float)shape->dims[i]);
    }
    if (equal && !*at)
        return SHK_OK;
    char expected[64] = "no dimension";
    for (uint32_t i = 0, length = 0; i < shape->rank && length < sizeof(expected); i++)
        length += (uint32_t)snprintf(expected + length, sizeof(expected) - length, i ? ",%d" : "%d",
                                     shape->dims[i]);
    return fail_value(p, expected, value);
}

/* A .tflite file leaves no choice: whatever it is called, the last dimension is contiguous. */
static enum shk_status read_dims_order(struct parser *p, const char *value)
{
    if (strcmp(value, "row-major") == 0 || strcmp(value, "col-major") == 0)
        return SHK_OK;
    return fail_value(p, "row-major or col-major", value);
}

/* Names from the tensor id registry that stand for one of our decoders; others mean nothing here. */
static enum shk_status read_id(struct parser *p, const char *value)
{
    static const struct {
        const char *id;
        enum shk_decoder decoder;
        enum shk_boxes boxes;
    } ids[] = {
        {"yolox-out", SHK_DECODER_YOLOX, SHK_BOXES_UNSAID},
        {"yolo-v8-out", SHK_DECODER_YOLOV8, SHK_BOXES_PIXELS},
        {"yolo-v8-out-normalized", SHK_DECODER_YOLOV8, SHK_BOXES_NORMALIZED},
    };
    for (size_t i = 0; p->section == SECTION_OUTPUT && i < SHK_ARRAY_LEN(ids); i++) {
        struct shk_output_info *output = &p->info->outputs[p->index];
        if (strcmp(value, ids[i].id) != 0)
            continue;
        p->id_chooses = true;
        p->id_decoder = ids[i].decoder;
        if (output->boxes == SHK_BOXES_UNSAID)
            output->boxes = ids[i].boxes;
    }
    return SHK_OK;
}

/* "0,255" or one pair for each channel: what the levels 0 and 255 become. */
static enum shk_status read_ranges(struct parser *p, const char *value)
{
    static const char expected[] =
        "min,max pairs with min below max, one or as many as the input has channels "
        "(0,1 or -1,1;-1,1;-1,1)";
    const struct shk_shape *shape = &p->tensor->shape;
    uint32_t channels = shape->rank ? (uint32_t)shape->dims[shape->rank - 1] : 0, count = 0;
    const char *at = value;
    do {
        float min, max;
        if (count == 3 || !take_number(&at, &min) || !take(&at, ',') || !take_number(&at, &max) ||
            !(min < max))
            return fail_value(p, expected, value);
        p->info->std[count] = 255.0f / (max - min);
        p->info->mean[count] = -min * p->info->std[count];
        if (!isfinite(p->info->mean[count]) || !(p->info->std[count] > 0.0f))
            return fail_value(p, expected, value);
        count++;
    } while (take(&at, ';'));
    if (*at || (count != 1 && count != channels))
        return fail_value(p, expected, value);
    for (uint32_t c = count; c < 3; c++) {
        p->info->mean[c] = p->info->mean[0];
        p->info->std[c] = p->info->std[0];
    }
    p->info->has_ranges = true;
    return SHK_OK;
}

/* Caps say more than is of use here: the frame's format decides the rest. */
static enum shk_status read_caps(struct parser *p, const char *value)
{
    const struct shk_shape *shape = &p->tensor->shape;
    bool gray = shape->rank && shape->dims[shape->rank - 1] == 1;
    const char *format = strstr(value, "format");
    format = format ? format + strlen("format") + strspn(format + strlen("format"), " =") : "";
    if (strncmp(format, "(string)", 8) == 0)
        format += 8;
    format += strspn(format, " \"");
    size_t length = strcspn(format, " \",;");
    if (gray ? length != 5 || memcmp(format, "GRAY8", 5) != 0
             : length != 3 || (memcmp(format, "RGB", 3) != 0 && memcmp(format, "BGR", 3) != 0))
        return fail_value(p, gray ? "video/x-raw,format=GRAY8" : "video/x-raw,format=RGB or format=BGR",
                          value);
    p->info->bgr = format[0] == 'B';
    return SHK_OK;
}

/* ---- an output, as our decoders need it ---- */

static enum shk_status read_anchors(struct parser *p, const char *value)
{
    struct shk_output_info *output = &p->info->outputs[p->index];
    const char *at = value;
    output->anchor_count = 0;
    do {
        float size[2];
        if (output->anchor_count == SHK_MAX_ANCHORS || !take_number(&at, &size[0]) || !take(&at, ',') ||
            !take_number(&at, &size[1]) || !(size[0] > 0.0f && size[0] <= MAX_ANCHOR) ||
            !(size[1] > 0.0f && size[1] <= MAX_ANCHOR))
            return fail_value(p, "up to 16 width,height pairs in pixels (12,18;37,49;52,132)", value);
        memcpy(output->anchors[output->anchor_count++], size, sizeof(size));
    } while (take(&at, ';'));
    output->keys |= SHK_KEY_ANCHORS;
    return *at ? fail_value(p, "width,height pairs (12,18;37,49;52,132)", value) : SHK_OK;
}

static enum shk_status read_strides(struct parser *p, const char *value)
{
    struct shk_output_info *output = &p->info->outputs[p->index];
    const char *at = value;
    output->stride_count = 0;
    do {
        float stride;
        if (output->stride_count == SHK_MAX_HEADS || !take_number(&at, &stride) ||
            !(stride >= 1.0f && stride <= MAX_STRIDE && stride == floorf(stride)))
            return fail_value(p, "up to 8 whole numbers from 1 to 4096 (8,16,32)", value);
        output->strides[output->stride_count++] = stride;
    } while (take(&at, ','));
    output->keys |= SHK_KEY_STRIDES;
    return *at ? fail_value(p, "whole numbers (8,16,32)", value) : SHK_OK;
}

static enum shk_status read_boxes(struct parser *p, const char *value)
{
    static const char *const names[] = {NULL, "cells", "pixels", "normalized"};
    for (uint32_t i = 1; i < SHK_ARRAY_LEN(names); i++)
        if (strcmp(value, names[i]) == 0) {
            p->info->outputs[p->index].boxes = (enum shk_boxes)i;
            p->info->outputs[p->index].keys |= SHK_KEY_BOXES;
            return SHK_OK;
        }
    return fail_value(p, "cells, pixels or normalized", value);
}

static enum shk_status read_scores(struct parser *p, const char *value)
{
    bool logits = strcmp(value, "logits") == 0;
    if (!logits && strcmp(value, "probabilities") != 0)
        return fail_value(p, "probabilities or logits", value);
    p->info->outputs[p->index].scores = logits ? SHK_SCORES_LOGITS : SHK_SCORES_PROBABILITIES;
    p->info->outputs[p->index].keys |= SHK_KEY_SCORES;
    return SHK_OK;
}

/* ---- lines ---- */

static const struct key {
    const char *name;
    unsigned sections;
    enum shk_status (*read)(struct parser *p, const char *value);
} keys[] = {
    {"version", SECTION_MODEL, read_version},
    {"group-id", SECTION_MODEL, read_free_text},
    {"decoder", SECTION_MODEL, read_decoder},
    {"dir", SECTION_INPUT | SECTION_OUTPUT, read_dir},
    {"type", SECTION_INPUT | SECTION_OUTPUT, read_type},
    {"dims", SECTION_INPUT | SECTION_OUTPUT, read_dims},
    {"dims-order", SECTION_INPUT | SECTION_OUTPUT, read_dims_order},
    {"id", SECTION_INPUT | SECTION_OUTPUT, read_id},
    {"ranges", SECTION_INPUT, read_ranges},
    {"caps", SECTION_INPUT, read_caps},
    {"anchors", SECTION_OUTPUT, read_anchors},
    {"strides", SECTION_OUTPUT, read_strides},
    {"boxes", SECTION_OUTPUT, read_boxes},
    {"scores", SECTION_OUTPUT, read_scores},
};

/* What this section may have, for a message. */
static const char *list_keys(unsigned section, char *text, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < SHK_ARRAY_LEN(keys) && length < size; i++)
        if (keys[i].sections & section)
            length += (size_t)snprintf(text + length, size - length, length ? ", %s" : "%s", keys[i].name);
    return text;
}

static enum shk_status read_key(struct parser *p, char *line)
{
    char *equals = strchr(line, '='), known[160];
    if (!equals)
        return fail(p, "expected [section], key=value or #comment, found '%s'", line);
    *equals = '\0';
    p->key = strip(line);
    if (p->section == SECTION_NONE)
        return fail(p, "a section, such as [modelinfo], must come before the first key, '%s'", p->key);
    for (uint32_t i = 0; i < SHK_ARRAY_LEN(keys); i++) {
        if (strcmp(p->key, keys[i].name) != 0 || !(keys[i].sections & p->section))
            continue;
        if (p->seen & 1u << i)
            return fail(p, "%s is given twice in this section", p->key);
        p->seen |= 1u << i;
        return keys[i].read(p, strip(equals + 1));
    }
    return fail(p, "unknown key; this section may have %s, found '%s'",
                list_keys(p->section, known, sizeof(known)), p->key);
}

static bool find_tensor(struct parser *p, const uint32_t *tensors, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        p->tensor = &p->graph->tensors[tensors[i]];
        p->index = i;
        if (strcmp(p->tensor->name, name) == 0)
            return true;
    }
    return false;
}

static enum shk_status fail_section(struct parser *p, const char *name)
{
    char names[384] = "";
    const struct shk_graph *g = p->graph;
    for (uint32_t i = 0, length = 0; i < g->input_count + g->output_count && length < sizeof(names); i++) {
        uint32_t tensor = i < g->input_count ? g->inputs[i] : g->outputs[i - g->input_count];
        length +=
            (uint32_t)snprintf(names + length, sizeof(names) - length, ", [%s]", g->tensors[tensor].name);
    }
    shk_trim_utf8(names);
    return fail(p, "[%s] is no input or output of the model; expected [modelinfo]%s", name, names);
}

static enum shk_status read_section(struct parser *p, char *line)
{
    char *end = strchr(line, ']');
    if (!end || end[1])
        return fail(p, "expected one ']' at the end of the line, found '%s'", line);
    *end = '\0';
    const char *name = line + 1;
    p->seen = 0;
    if (strcmp(name, "modelinfo") == 0) {
        p->section = SECTION_MODEL;
    } else if (find_tensor(p, p->graph->inputs, p->graph->input_count, name)) {
        p->section = SECTION_INPUT;
    } else if (find_tensor(p, p->graph->outputs, p->graph->output_count, name)) {
        p->section = SECTION_OUTPUT;
        if (p->index >= SHK_MAX_HEADS)
            return fail(p, "only the model's first %d outputs can be described, [%s] is output %u",
                        SHK_MAX_HEADS, name, p->index);
        p->info->outputs[p->index].line = p->line;
    } else {
        return fail_section(p, name);
    }
    return SHK_OK;
}

static enum shk_status read_line(struct parser *p, char *line, size_t length)
{
    if (length && line[length - 1] == '\r')
        line[--length] = '\0';
    for (size_t i = 0; i < length; i++)
        if (line[i] == '\t')
            line[i] = ' ';
    if (!shk_utf8_is_line(line, length))
        return fail(p, "not UTF-8 text");
    line = strip(line);
    if (*line == '\0' || *line == '#')
        return SHK_OK;
    return *line == '[' ? read_section(p, line) : read_key(p, line);
}

static enum shk_status read_lines(struct parser *p, char *text, size_t size)
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
    struct parser p = {.path = path, .graph = graph, .info = info, .error = error};
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
