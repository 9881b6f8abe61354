/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preprocess.h"

#include <math.h>
#include <string.h>

#include "quant.h"

#define MAX_SIZE       SHK_MAX_FRAME_SIDE
#define MAX_AREA_RATIO 2048  /* leaves room for the letterbox to round: sums of weights stay below 2^24 */
#define AREA_WEIGHT    4096u /* the largest sum of one axis' weights */

static const struct {
    const char *name;
    uint32_t layout;
    bool blue_first;
} formats[SHK_FORMAT_COUNT] = {
    [SHK_FORMAT_RGB] = {"RGB", SHK_LAYOUT_PACKED3, false},
    [SHK_FORMAT_BGR] = {"BGR", SHK_LAYOUT_PACKED3, true},
    [SHK_FORMAT_RGBA] = {"RGBA", SHK_LAYOUT_PACKED4, false},
    [SHK_FORMAT_BGRA] = {"BGRA", SHK_LAYOUT_PACKED4, true},
    [SHK_FORMAT_RGBX] = {"RGBx", SHK_LAYOUT_PACKED4, false},
    [SHK_FORMAT_BGRX] = {"BGRx", SHK_LAYOUT_PACKED4, true},
    [SHK_FORMAT_GRAY8] = {"GRAY8", SHK_LAYOUT_GRAY, false},
    [SHK_FORMAT_NV12] = {"NV12", SHK_LAYOUT_NV12, false},
    [SHK_FORMAT_I420] = {"I420", SHK_LAYOUT_I420, false},
    [SHK_FORMAT_YUY2] = {"YUY2", SHK_LAYOUT_YUY2, false},
};

uint32_t shk_preprocess_layout(const struct shk_preprocess *p)
{
    return formats[p->format.format].layout;
}

/* ---- the model's side ---- */

enum shk_status shk_preprocess_check_model(const struct shk_graph *graph, struct shk_error *error)
{
    char shape[64];
    if (graph->input_count != 1)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "%s: the model has %u inputs; frames need one; use raw tensors", graph->name,
                        graph->input_count);
    const struct shk_tensor *t = &graph->tensors[graph->inputs[0]];
    const struct shk_shape *s = &t->shape;
    bool type = t->dtype == SHK_DTYPE_FLOAT32 || (t->dtype == SHK_DTYPE_INT8 && t->quant.count == 1);
    if (type && s->rank == 4 && s->dims[0] == 1 && s->dims[1] <= MAX_SIZE && s->dims[2] <= MAX_SIZE &&
        (s->dims[3] == 1 || s->dims[3] == 3))
        return SHK_OK;
    return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                    "%s: input '%s' is no image but %s %s; frames need int8, uint8 or float32, 1xHxWx3 or "
                    "1xHxWx1; use raw tensors",
                    graph->name, t->name, shk_dtype_string(t->dtype), shk_shape_string(s, shape));
}

size_t shk_preprocess_header_bytes(const struct shk_graph *graph)
{
    const struct shk_shape *s = &graph->tensors[graph->inputs[0]].shape;
    return sizeof(struct shk_frame_header) + ((size_t)s->dims[1] + 1 + (size_t)s->dims[2] + 1) * 4;
}

static uint32_t table_entry(const struct shk_tensor *input, const struct shk_session_params *params,
                            uint32_t channel, int32_t level)
{
    bool own = params->std[0] != 0.0f;
    float real = own ? ((float)level - params->mean[channel]) / params->std[channel]
                     : ((float)level - 127.5f) / 127.5f;
    if (input->dtype == SHK_DTYPE_FLOAT32) {
        uint32_t bits;
        memcpy(&bits, &real, sizeof(bits));
        return bits;
    }
    if (!own)
        return (uint8_t)(level - 128);
    int64_t q =
        (int64_t)shk_round_half_away((double)(real / input->quant.scales[0])) + input->quant.zero_points[0];
    return (uint8_t)SHK_CLAMP(q, INT8_MIN, INT8_MAX);
}

enum shk_status shk_preprocess_tables(const struct shk_graph *graph, const struct shk_session_params *params,
                                      uint32_t tables[SHK_PREPROCESS_TABLE_WORDS], struct shk_error *error)
{
    const struct shk_tensor *input = &graph->tensors[graph->inputs[0]];
    memset(tables, 0, SHK_PREPROCESS_TABLE_WORDS * sizeof(*tables));
    for (uint32_t c = 0; c < (uint32_t)input->shape.dims[3]; c++) {
        bool valid = isfinite(params->mean[c]) && isfinite(params->std[c]) && params->std[c] > 0.0f;
        if (params->std[0] != 0.0f && !valid)
            return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                            "channel %u: mean %g and std %g must be finite, and std positive", c,
                            (double)params->mean[c], (double)params->std[c]);
        for (int32_t level = 0; level < 256; level++)
            tables[c * 256 + (uint32_t)level] = table_entry(input, params, c, level);
    }
    return SHK_OK;
}

/* ---- the frame's side ---- */

static void set_plane(struct shk_preprocess *p, uint32_t rows, uint32_t row_bytes)
{
    p->planes[p->plane_count++] = (struct shk_frame_plane){
        .rows = rows, .row_bytes = row_bytes, .stride = (uint32_t)shk_align_up(row_bytes, 4)};
}

static void set_planes(struct shk_preprocess *p)
{
    uint32_t w = p->format.width, h = p->format.height;
    uint32_t half_w = shk_div_round_up(w, 2), half_h = shk_div_round_up(h, 2);
    switch (shk_preprocess_layout(p)) {
    case SHK_LAYOUT_PACKED3:
        set_plane(p, h, w * 3);
        break;
    case SHK_LAYOUT_PACKED4:
        set_plane(p, h, w * 4);
        break;
    case SHK_LAYOUT_GRAY:
        set_plane(p, h, w);
        break;
    case SHK_LAYOUT_NV12:
        set_plane(p, h, w);
        set_plane(p, half_h, half_w * 2);
        break;
    case SHK_LAYOUT_I420:
        set_plane(p, h, w);
        set_plane(p, half_h, half_w);
        set_plane(p, half_h, half_w);
        break;
    case SHK_LAYOUT_YUY2:
        set_plane(p, h, half_w * 4);
        break;
    }
}

/* False if the staged planes would take 4 GiB or more. */
static bool place_planes(struct shk_preprocess *p)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < p->plane_count; i++) {
        p->planes[i].offset = (uint32_t)bytes;
        bytes += (uint64_t)p->planes[i].stride * p->planes[i].rows;
    }
    p->staged_bytes = (size_t)bytes;
    return bytes <= UINT32_MAX;
}

static int32_t to_fixed(double x)
{
    return shk_round_half_away(x * (1 << SHK_PREPROCESS_MATRIX_BITS));
}

/* Rec. ITU-R BT.601-7 and BT.709-6, items "derivation of luminance" and "quantization". */
static struct shk_frame_matrix yuv_matrix(enum shk_yuv_matrix standard, enum shk_yuv_range range)
{
    double kr = standard == SHK_YUV_BT709 ? 0.2126 : 0.299;
    double kb = standard == SHK_YUV_BT709 ? 0.0722 : 0.114;
    double kg = 1.0 - kr - kb;
    double luma = range == SHK_YUV_LIMITED ? 255.0 / 219.0 : 1.0;
    double chroma = range == SHK_YUV_LIMITED ? 255.0 / 224.0 : 1.0;
    return (struct shk_frame_matrix){
        .black = range == SHK_YUV_LIMITED ? 16 : 0,
        .luma = to_fixed(luma),
        .cr_r = to_fixed(chroma * 2.0 * (1.0 - kr)),
        .cb_g = to_fixed(-chroma * 2.0 * (1.0 - kb) * kb / kg),
        .cr_g = to_fixed(-chroma * 2.0 * (1.0 - kr) * kr / kg),
        .cb_b = to_fixed(chroma * 2.0 * (1.0 - kb)),
    };
}

static enum shk_status check_format(const struct shk_preprocess *p, struct shk_error *error)
{
    const struct shk_frame_format *f = &p->format;
    if ((uint32_t)f->format >= SHK_FORMAT_COUNT || (uint32_t)f->matrix > SHK_YUV_BT709 ||
        (uint32_t)f->range > SHK_YUV_FULL)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "frame format %d, matrix %d or range %d is unknown", (int)f->format, (int)f->matrix,
                        (int)f->range);
    if (f->width < 1 || f->height < 1 || f->width > MAX_SIZE || f->height > MAX_SIZE)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                        "frames of %ux%u: width and height must be 1 to %d", f->width, f->height, MAX_SIZE);
    if (p->filter == SHK_FILTER_AREA &&
        (f->width / MAX_AREA_RATIO >= p->width || f->height / MAX_AREA_RATIO >= p->height))
        return shk_fail(
            error, SHK_ERROR_UNSUPPORTED,
            "frames of %ux%u for a model of %ux%u: the area filter shrinks by less than %d; use bilinear",
            f->width, f->height, p->width, p->height, MAX_AREA_RATIO);
    return SHK_OK;
}

enum shk_status shk_preprocess_init(struct shk_preprocess *p, const struct shk_graph *graph,
                                    const struct shk_session_params *params,
                                    const struct shk_frame_format *format, struct shk_error *error)
{
    enum shk_status status = shk_preprocess_check_model(graph, error);
    if (status)
        return status;
    const struct shk_tensor *input = &graph->tensors[graph->inputs[0]];
    struct shk_preprocess n = {
        .format = *format,
        .resize = params->resize,
        .filter = params->filter,
        .width = (uint32_t)input->shape.dims[2],
        .height = (uint32_t)input->shape.dims[1],
        .channels = (uint32_t)input->shape.dims[3],
        .float_output = input->dtype == SHK_DTYPE_FLOAT32,
        .matrix = yuv_matrix(format->matrix, format->range),
        .header_bytes = shk_preprocess_header_bytes(graph),
    };
    status = check_format(&n, error);
    if (status)
        return status;
    n.swap = formats[format->format].blue_first != (n.channels == 3 && params->bgr);
    set_planes(&n);
    if (!place_planes(&n))
        return shk_fail(error, SHK_ERROR_UNSUPPORTED, "frames of %ux%u %s take 4 GiB or more", format->width,
                        format->height, formats[format->format].name);
    *p = n;
    return SHK_OK;
}

/* ---- one frame ---- */

static enum shk_status check_planes(const struct shk_preprocess *p, const struct shk_frame *frame,
                                    struct shk_error *error)
{
    for (uint32_t i = 0; i < p->plane_count; i++) {
        const struct shk_frame_plane *plane = &p->planes[i];
        uint64_t needed = (uint64_t)frame->stride[i] * (plane->rows - 1) + plane->row_bytes;
        if (!frame->plane[i] || frame->stride[i] < plane->row_bytes || frame->plane_size[i] < needed)
            return shk_fail(
                error, SHK_ERROR_INVALID_ARGUMENT,
                "frame %ux%u %s: plane %u has %zu bytes at stride %u, its %u rows need a stride of at least "
                "%u and then %llu bytes",
                p->format.width, p->format.height, formats[p->format.format].name, i,
                frame->plane[i] ? frame->plane_size[i] : 0, frame->stride[i], plane->rows, plane->row_bytes,
                (unsigned long long)needed);
    }
    return SHK_OK;
}

static enum shk_status check_offsets(const struct shk_preprocess *p, const struct shk_frame *frame, size_t size,
                                     struct shk_error *error)
{
    for (uint32_t i = 0; i < p->plane_count; i++) {
        const struct shk_frame_plane *plane = &p->planes[i];
        size_t offset = frame->offset[i];
        uint64_t needed = (uint64_t)frame->stride[i] * (plane->rows - 1) + plane->row_bytes;
        if (frame->stride[i] < plane->row_bytes || offset > size || needed > size - offset)
            return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                            "frame %ux%u %s: plane %u is at byte %zu of a memory of %zu bytes with stride %u, its %u "
                            "rows need a stride of at least %u and then %llu bytes",
                            p->format.width, p->format.height, formats[p->format.format].name, i, offset, size,
                            frame->stride[i], plane->rows, plane->row_bytes, (unsigned long long)needed);
        if (offset % 4 || frame->stride[i] % 4)
            return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                            "frame %ux%u %s: plane %u is at byte %zu with stride %u, the device reads words: both must "
                            "be multiples of 4; copy the frame",
                            p->format.width, p->format.height, formats[p->format.format].name, i, offset,
                            frame->stride[i]);
    }
    return SHK_OK;
}

static enum shk_status find_crop(const struct shk_preprocess *p, const struct shk_frame *frame,
                                 struct shk_rect *crop, struct shk_error *error)
{
    uint32_t w = p->format.width, h = p->format.height;
    *crop = frame->crop;
    if (!crop->x && !crop->y && !crop->width && !crop->height)
        *crop = (struct shk_rect){0, 0, w, h};
    if (crop->width && crop->height && crop->x < w && crop->y < h && crop->width <= w - crop->x &&
        crop->height <= h - crop->y)
        return SHK_OK;
    return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT,
                    "crop of %ux%u at (%u, %u) is empty or not inside the frame of %ux%u", crop->width,
                    crop->height, crop->x, crop->y, w, h);
}

static uint32_t scale_rounded(uint32_t x, uint32_t numerator, uint32_t denominator, uint32_t max)
{
    uint64_t r = (2 * (uint64_t)x * numerator + denominator) / (2 * (uint64_t)denominator);
    return (uint32_t)SHK_CLAMP(r, 1, max);
}

/* The most fractional bits with which no footprint is wider than AREA_WEIGHT. */
static uint32_t area_shift(uint32_t source, uint32_t target)
{
    uint32_t shift = 0;
    while ((uint64_t)source << (shift + 1) <= (uint64_t)AREA_WEIGHT * target)
        shift++;
    return shift;
}

static struct shk_frame_header make_header(const struct shk_preprocess *p, const struct shk_rect *crop)
{
    struct shk_frame_header h = {
        .width = p->width, .height = p->height, .crop_x = crop->x, .crop_y = crop->y};
    if (p->resize == SHK_RESIZE_LETTERBOX) {
        if ((uint64_t)p->width * crop->height <= (uint64_t)p->height * crop->width)
            h.height = scale_rounded(crop->height, p->width, crop->width, p->height);
        else
            h.width = scale_rounded(crop->width, p->height, crop->height, p->width);
    }
    h.left = (p->width - h.width) / 2;
    h.top = (p->height - h.height) / 2;
    h.shift_x = area_shift(crop->width, h.width);
    h.shift_y = area_shift(crop->height, h.height);
    return h;
}

/* Where `target` pixels sample `source` pixels. Bilinear: the first tap and the weight of the second. Area:
 * `target` + 1 borders. */
static void write_axis(const struct shk_preprocess *p, uint32_t source, uint32_t target, uint32_t shift,
                       uint32_t *table)
{
    const int64_t one = 1 << SHK_PREPROCESS_WEIGHT_BITS;
    if (p->filter == SHK_FILTER_AREA) {
        for (uint32_t i = 0; i <= target; i++)
            table[i] = (uint32_t)((((uint64_t)i * source << (shift + 1)) + target) / (2 * (uint64_t)target));
        return;
    }
    for (uint32_t i = 0; i < target; i++) {
        int64_t centre = ((2 * (int64_t)i + 1) * source * one + target) / (2 * (int64_t)target);
        table[i] = (uint32_t)SHK_CLAMP(centre - one / 2, 0, ((int64_t)source - 1) * one);
    }
}

static void copy_plane(const struct shk_frame_plane *plane, const uint8_t *from, uint32_t stride, uint8_t *to)
{
    if (stride == plane->row_bytes && stride == plane->stride) {
        memcpy(to, from, (size_t)stride * plane->rows);
        return;
    }
    for (uint32_t row = 0; row < plane->rows; row++)
        memcpy(to + (size_t)row * plane->stride, from + (size_t)row * stride, plane->row_bytes);
}

static struct shk_placement find_placement(const struct shk_preprocess *p, const struct shk_frame_header *h,
                                           const struct shk_rect *crop)
{
    double pixel_x = (double)crop->width / h->width, pixel_y = (double)crop->height / h->height;
    return (struct shk_placement){
        .x_offset = (float)((crop->x - h->left * pixel_x) / p->format.width),
        .x_scale = (float)(p->width * pixel_x / p->format.width),
        .y_offset = (float)((crop->y - h->top * pixel_y) / p->format.height),
        .y_scale = (float)(p->height * pixel_y / p->format.height),
    };
}

enum shk_status shk_preprocess_stage(const struct shk_preprocess *p, const struct shk_frame *frame, void *memory,
                                     struct shk_frame *staged, struct shk_error *error)
{
    struct shk_rect crop;
    enum shk_status status = check_planes(p, frame, error);
    if (!status)
        status = find_crop(p, frame, &crop, error);
    if (status)
        return status;
    *staged = (struct shk_frame){.crop = crop, .user = frame->user};
    for (uint32_t i = 0; i < p->plane_count; i++) {
        copy_plane(&p->planes[i], frame->plane[i], frame->stride[i], (uint8_t *)memory + p->planes[i].offset);
        staged->offset[i] = p->planes[i].offset;
        staged->stride[i] = p->planes[i].stride;
    }
    return SHK_OK;
}

enum shk_status shk_preprocess_check(const struct shk_preprocess *p, const struct shk_frame *frame, size_t size,
                                     struct shk_error *error)
{
    struct shk_rect crop;
    enum shk_status status = check_offsets(p, frame, size, error);
    return status ? status : find_crop(p, frame, &crop, error);
}

void shk_preprocess_write(const struct shk_preprocess *p, const struct shk_frame *frame, uint32_t first_word,
                          void *header, struct shk_placement *placement)
{
    struct shk_rect crop = {0};
    (void)find_crop(p, frame, &crop, NULL);
    struct shk_frame_header h = make_header(p, &crop);
    for (uint32_t i = 0; i < p->plane_count; i++) {
        h.plane_offset[i] = first_word + (uint32_t)(frame->offset[i] / 4);
        h.plane_stride[i] = frame->stride[i] / 4;
    }
    memcpy(header, &h, sizeof(h));
    uint32_t *words = (uint32_t *)(void *)((uint8_t *)header + sizeof(h));
    write_axis(p, crop.width, h.width, h.shift_x, words);
    write_axis(p, crop.height, h.height, h.shift_y, words + p->width + 1);
    *placement = find_placement(p, &h, &crop);
}

/* ---- the dispatch ---- */

SHK_SHADER_DECLARE(preprocess);

void shk_preprocess_dispatch(struct shk_preprocess *p, const struct shk_view *input, uint32_t table_offset,
                             struct shk_dispatch *dispatch)
{
    p->push.output_offset = input->offset;
    p->push.output_stride = input->stride;
    p->push.table = table_offset / 4;
    p->push.width = p->width;
    p->push.height = p->height;
    p->push.matrix = p->matrix;
    *dispatch = (struct shk_dispatch){
        .shader = &shk_shader_preprocess,
        .spec = {shk_preprocess_layout(p), p->filter == SHK_FILTER_AREA, p->channels, p->float_output,
                 p->swap},
        .spec_count = 5,
        .local_size = {16, 4, 1},
        .groups = {shk_div_round_up(p->width, 16), shk_div_round_up(p->height, 4), 1},
        .push = &p->push,
        .push_size = sizeof(p->push),
    };
}
