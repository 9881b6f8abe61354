/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detection_postprocess.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* With halves in this range or 0, all differences of coordinates are 0 or at least 2^-63, so that products of
 * two are normal numbers: devices may flush others. */
#define SMALLEST_HALF 0x1p-38f
#define LARGEST       0x1p30f

/* What a table depends on, and the entry of `refs` that wants it. */
struct want {
    float position, size, scale;
    uint32_t half;
    uint32_t ref;
};

void shk_detection_anchor(const struct shk_tensor *anchors, size_t i, float anchor[4])
{
    if (anchors->dtype == SHK_DTYPE_FLOAT32) {
        memcpy(anchor, anchors->data + i * 4 * sizeof(float), 4 * sizeof(float));
        return;
    }
    struct shk_detection_quant quant = {anchors->quant.scales[0], anchors->quant.zero_points[0]};
    for (size_t k = 0; k < 4; k++)
        anchor[k] = shk_detection_dequantize(quant, (int8_t)anchors->data[i * 4 + k]);
}

float shk_detection_dequantize(struct shk_detection_quant quant, int32_t q)
{
    return (float)(q - quant.zero_point) * quant.scale;
}

float shk_detection_centre(float value, float scale, float anchor_position, float anchor_size)
{
    return (float)((double)value / (double)scale * (double)anchor_size + (double)anchor_position);
}

float shk_detection_half(float value, float scale, float anchor_size)
{
    return (float)(0.5 * exp((double)value / (double)scale) * (double)anchor_size);
}

static int compare_wants(const void *a, const void *b)
{
    return memcmp(a, b, offsetof(struct want, ref));
}

static bool fill(const struct want *want, struct shk_detection_quant boxes, float table[256])
{
    for (int32_t q = -128; q < 128; q++) {
        float value = shk_detection_dequantize(boxes, q);
        float v = want->half ? shk_detection_half(value, want->scale, want->size)
                             : shk_detection_centre(value, want->scale, want->position, want->size);
        float smallest = want->half ? SMALLEST_HALF : FLT_MIN;
        if (!(v == 0.0f || (fabsf(v) >= smallest && fabsf(v) <= LARGEST)))
            return false;
        table[q + 128] = v;
    }
    return true;
}

static void list_wants(const struct shk_detection_attrs *attrs, const struct shk_tensor *anchors,
                       struct want *wants)
{
    uint32_t count = (uint32_t)anchors->shape.dims[0];
    for (uint32_t i = 0; i < count; i++) {
        float a[4];
        shk_detection_anchor(anchors, i, a);
        struct want *w = wants + i * 4;
        w[0] = (struct want){a[0], a[2], attrs->y_scale, 0, i * 4};
        w[1] = (struct want){a[1], a[3], attrs->x_scale, 0, i * 4 + 1};
        w[2] = (struct want){0.0f, a[2], attrs->h_scale, 1, i * 4 + 2};
        w[3] = (struct want){0.0f, a[3], attrs->w_scale, 1, i * 4 + 3};
    }
    qsort(wants, (size_t)count * 4, sizeof(*wants), compare_wants);
}

static enum shk_status fill_tables(struct shk_detection_tables *tables, const struct want *wants,
                                   size_t count, struct shk_detection_quant boxes, struct shk_error *error)
{
    uint32_t distinct = 1;
    for (size_t i = 1; i < count; i++)
        distinct += compare_wants(&wants[i - 1], &wants[i]) != 0;
    tables->values = calloc(distinct, 256 * sizeof(float));
    if (!tables->values)
        return shk_fail_oom(error, distinct * 256 * sizeof(float), "box tables");
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_wants(&wants[i - 1], &wants[i]) != 0) {
            if (!fill(&wants[i], boxes, tables->values + (size_t)tables->count * 256))
                return shk_fail(
                    error, SHK_ERROR_UNSUPPORTED,
                    "box %u can decode to sizes or positions outside 2^-38 to 2^30 (anchor size %g, scale "
                    "%g): not exact on every device; such a model runs on the CPU only",
                    wants[i].ref / 4, (double)wants[i].size, (double)wants[i].scale);
            tables->count++;
        }
        tables->refs[wants[i].ref] = tables->count - 1;
    }
    return SHK_OK;
}

enum shk_status shk_detection_tables_init(struct shk_detection_tables *tables,
                                          const struct shk_detection_attrs *attrs,
                                          const struct shk_tensor *anchors, struct shk_detection_quant boxes,
                                          struct shk_detection_quant scores, struct shk_error *error)
{
    *tables = (struct shk_detection_tables){0};
    for (int32_t q = -128; q < 128; q++) {
        tables->score[q + 128] = shk_detection_dequantize(scores, q);
        if (q > -128 && !(tables->score[q + 128] > tables->score[q + 127]))
            return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                            "the scale %g of the scores is too small or too large", (double)scores.scale);
    }
    size_t count = (size_t)anchors->shape.dims[0] * 4;
    struct want *wants = calloc(count, sizeof(*wants));
    tables->refs = calloc(count, sizeof(*tables->refs));
    enum shk_status status;
    if (wants && tables->refs) {
        list_wants(attrs, anchors, wants);
        status = fill_tables(tables, wants, count, boxes, error);
    } else {
        status = shk_fail_oom(error, count * sizeof(*wants), "anchors");
    }
    free(wants);
    if (status)
        shk_detection_tables_finish(tables);
    return status;
}

void shk_detection_tables_finish(struct shk_detection_tables *tables)
{
    free(tables->values);
    free(tables->refs);
    *tables = (struct shk_detection_tables){0};
}
