/* Keys of sidecars that are GStreamer's: the version, and what a tensor is.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "detect.h"
#include "modelinfo_parser.h"

#define VERSION_MAJOR 1

/* ---- [modelinfo] ---- */

static enum shk_status read_version(struct shk_parser *p, const char *value)
{
    unsigned major, minor;
    int length = -1;
    if (sscanf(value, "%5u.%5u%n", &major, &minor, &length) != 2 || value[length] || major != VERSION_MAJOR)
        return shk_parser_fail_value(p, "1.0 or another 1.x", value);
    p->has_version = true;
    return SHK_OK;
}

static enum shk_status read_decoder(struct shk_parser *p, const char *value)
{
    char names[128];
    if (!shk_decoder_by_name(value, &p->info->decoder))
        return shk_parser_fail_value(p, shk_decoder_names(names, sizeof(names)), value);
    p->info->has_decoder = true;
    return SHK_OK;
}

static enum shk_status read_free_text(struct shk_parser *p, const char *value)
{
    (void)p;
    (void)value;
    return SHK_OK;
}

/* ---- a tensor, as GStreamer describes it ---- */

static enum shk_status read_dir(struct shk_parser *p, const char *value)
{
    const char *dir = p->section == SHK_SECTION_INPUT ? "input" : "output";
    return strcmp(value, dir) == 0 ? SHK_OK : shk_parser_fail_value(p, dir, value);
}

static enum shk_status read_type(struct shk_parser *p, const char *value)
{
    const char *type = p->tensor->legacy_uint8 ? "uint8" : shk_dtype_string(p->tensor->dtype);
    return strcmp(value, type) == 0 ? SHK_OK : shk_parser_fail_value(p, type, value);
}

/* Negative ones stand for anything. */
static enum shk_status read_dims(struct shk_parser *p, const char *value)
{
    const struct shk_shape *shape = &p->tensor->shape;
    const char *at = value;
    bool equal = true;
    for (uint32_t i = 0; i < shape->rank && equal; i++) {
        float dim;
        equal = (i == 0 || shk_parser_take(&at, ',')) && shk_parser_number(&at, &dim) &&
                (dim < 0.0f || dim == (float)shape->dims[i]);
    }
    if (equal && !*at)
        return SHK_OK;
    char expected[64] = "no dimension";
    for (uint32_t i = 0, length = 0; i < shape->rank && length < sizeof(expected); i++)
        length += (uint32_t)snprintf(expected + length, sizeof(expected) - length, i ? ",%d" : "%d",
                                     shape->dims[i]);
    return shk_parser_fail_value(p, expected, value);
}

/* A .tflite file leaves no choice: whatever it is called, the last dimension is contiguous. */
static enum shk_status read_dims_order(struct shk_parser *p, const char *value)
{
    if (strcmp(value, "row-major") == 0 || strcmp(value, "col-major") == 0)
        return SHK_OK;
    return shk_parser_fail_value(p, "row-major or col-major", value);
}

/* Names from the tensor id registry that stand for one of our decoders; others mean nothing here. Of a
 * model's several outputs, those choose that no other kind of model has. */
static enum shk_status read_id(struct shk_parser *p, const char *value)
{
    static const struct {
        const char *id;
        enum shk_decoder decoder;
        enum shk_boxes boxes;
        enum shk_scores scores;
        bool is_ultra_light_boxes;
    } ids[] = {
        {"ssd-mobilenet-v1-variant-1-out-classes", .decoder = SHK_DECODER_SSD},
        {"ssd-mobilenet-v1-variant-1-out-scores", .decoder = SHK_DECODER_SSD},
        {"classification-generic-out", .decoder = SHK_DECODER_CLASSIFICATION, .scores = SHK_SCORES_SOFTMAX},
        {"classification-generic-softmaxed-out", .decoder = SHK_DECODER_CLASSIFICATION},
        {"yolox-out", .decoder = SHK_DECODER_YOLOX},
        {"yolo-v8-out", .decoder = SHK_DECODER_YOLOV8, .boxes = SHK_BOXES_PIXELS},
        {"yolo-v8-out-normalized", .decoder = SHK_DECODER_YOLOV8, .boxes = SHK_BOXES_NORMALIZED},
        {"ultra-lightweight-face-detection-rfb-320-v1-variant-1-out-boxes-without-postproc",
         .decoder = SHK_DECODER_SSD_ANCHORS, .is_ultra_light_boxes = true},
    };
    for (size_t i = 0; p->section == SHK_SECTION_OUTPUT && i < SHK_ARRAY_LEN(ids); i++) {
        struct shk_output_info *output = shk_parser_output(p);
        if (strcmp(value, ids[i].id) != 0)
            continue;
        p->id_chooses = true;
        p->id_decoder = ids[i].decoder;
        output->is_ultra_light_boxes = ids[i].is_ultra_light_boxes;
        if (output->boxes == SHK_BOXES_UNSAID)
            output->boxes = ids[i].boxes;
        if (output->scores == SHK_SCORES_UNSAID)
            output->scores = ids[i].scores;
    }
    return SHK_OK;
}

/* "0,255" or one pair for each channel: what the levels 0 and 255 become. */
static enum shk_status read_ranges(struct shk_parser *p, const char *value)
{
    static const char expected[] =
        "min,max pairs with min below max, one or as many as the input has channels "
        "(0,1 or -1,1;-1,1;-1,1)";
    const struct shk_shape *shape = &p->tensor->shape;
    uint32_t channels = shape->rank ? (uint32_t)shape->dims[shape->rank - 1] : 0, count = 0;
    const char *at = value;
    do {
        float min, max;
        if (count == 3 || !shk_parser_number(&at, &min) || !shk_parser_take(&at, ',') ||
            !shk_parser_number(&at, &max) || !(min < max))
            return shk_parser_fail_value(p, expected, value);
        p->info->std[count] = 255.0f / (max - min);
        p->info->mean[count] = -min * p->info->std[count];
        if (!isfinite(p->info->mean[count]) || !(p->info->std[count] > 0.0f))
            return shk_parser_fail_value(p, expected, value);
        count++;
    } while (shk_parser_take(&at, ';'));
    if (*at || (count != 1 && count != channels))
        return shk_parser_fail_value(p, expected, value);
    for (uint32_t c = count; c < 3; c++) {
        p->info->mean[c] = p->info->mean[0];
        p->info->std[c] = p->info->std[0];
    }
    p->info->has_ranges = true;
    return SHK_OK;
}

/* Caps say more than is of use here: the frame's format decides the rest. */
static enum shk_status read_caps(struct shk_parser *p, const char *value)
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
        return shk_parser_fail_value(
            p, gray ? "video/x-raw,format=GRAY8" : "video/x-raw,format=RGB or format=BGR", value);
    p->info->bgr = format[0] == 'B';
    return SHK_OK;
}

const struct shk_parser_key shk_parser_tensor_keys[] = {
    {"version", SHK_SECTION_MODEL, read_version, 0},
    {"group-id", SHK_SECTION_MODEL, read_free_text, 0},
    {"decoder", SHK_SECTION_MODEL, read_decoder, 0},
    {"dir", SHK_SECTION_INPUT | SHK_SECTION_OUTPUT, read_dir, 0},
    {"type", SHK_SECTION_INPUT | SHK_SECTION_OUTPUT, read_type, 0},
    {"dims", SHK_SECTION_INPUT | SHK_SECTION_OUTPUT, read_dims, 0},
    {"dims-order", SHK_SECTION_INPUT | SHK_SECTION_OUTPUT, read_dims_order, 0},
    {"id", SHK_SECTION_INPUT | SHK_SECTION_OUTPUT, read_id, 0},
    {"ranges", SHK_SECTION_INPUT, read_ranges, 0},
    {"caps", SHK_SECTION_INPUT, read_caps, 0},
    {NULL, 0, NULL, 0},
};
