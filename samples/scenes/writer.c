/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <png.h>
#include <stdlib.h>

#include "writer.h"

bool write_png(const char *path, const uint8_t *rgb, int width, int height)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION,
        .width = (png_uint_32)width,
        .height = (png_uint_32)height,
        .format = PNG_FORMAT_RGB,
        .flags = PNG_IMAGE_FLAG_FAST,
    };

    return png_image_write_to_file(&image, path, 0, rgb, 0, NULL) != 0;
}

bool write_y4m_header(FILE *to, int width, int height)
{
    return fprintf(to, "YUV4MPEG2 W%d H%d F30:1 Ip A1:1 C420jpeg\n", width, height) > 0;
}

static int luma(const uint8_t *p)
{
    return (66 * p[0] + 129 * p[1] + 25 * p[2] + 128 + (16 << 8)) >> 8;
}

static bool write_chroma(FILE *to, const uint8_t *rgb, int width, int height, const int weight[3])
{
    for (int y = 0; y < height; y += 2) {
        for (int x = 0; x < width; x += 2) {
            int sum = 0;

            for (int i = 0; i < 4; i++) {
                const uint8_t *p = rgb + 3 * ((y + i / 2) * width + x + i % 2);
                sum += weight[0] * p[0] + weight[1] * p[1] + weight[2] * p[2];
            }
            if (putc((sum + 512 + (128 << 10)) >> 10, to) == EOF)
                return false;
        }
    }
    return true;
}

bool write_y4m_frame(FILE *to, const uint8_t *rgb, int width, int height)
{
    static const int cb[3] = {-38, -74, 112}, cr[3] = {112, -94, -18};

    if (fputs("FRAME\n", to) == EOF)
        return false;
    for (int i = 0; i < width * height; i++)
        if (putc(luma(rgb + 3 * i), to) == EOF)
            return false;
    return write_chroma(to, rgb, width, height, cb) && write_chroma(to, rgb, width, height, cr);
}

bool write_labels(FILE *to, uint64_t frame, const struct scene_object *objects, int count)
{
    for (int i = 0; i < count; i++) {
        const struct extent *b = &objects[i].box;

        if (fprintf(to, "%" PRIu64 " %s %.5f %.5f %.5f %.5f\n", frame, scene_class_name(objects[i].class_id),
                    (double)b->x_min, (double)b->y_min, (double)b->x_max, (double)b->y_max) < 0)
            return false;
    }
    return true;
}

bool write_record(FILE *to, const uint8_t *rgb, int width, int height, const struct scene_object *objects,
                  int count)
{
    size_t bytes = (size_t)width * (size_t)height * 3;
    uint32_t number = (uint32_t)count;

    if (fwrite(&number, sizeof number, 1, to) != 1)
        return false;
    for (int i = 0; i < count; i++) {
        uint32_t class_id = (uint32_t)objects[i].class_id;

        if (fwrite(&class_id, sizeof class_id, 1, to) != 1 ||
            fwrite(&objects[i].box, sizeof objects[i].box, 1, to) != 1)
            return false;
    }
    return fwrite(rgb, 1, bytes, to) == bytes;
}
