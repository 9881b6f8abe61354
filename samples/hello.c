/* The smallest program that embeds libshrike: one picture in, detections out. No GStreamer, no GLib.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     cc hello.c $(pkg-config --cflags --libs shrike) -o hello
 *     ./hello [model.tflite|default [picture.ppm]]
 *
 * Without a picture it looks at one that it draws itself: a bright disc on a dark ground. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/shrike.h>

static void draw_disc(uint8_t *rgb, int width, int height)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int dx = x - width / 2, dy = y - height / 2, inside = dx * dx + dy * dy < height * height / 16;
            memcpy(rgb + 3 * (y * width + x), inside ? "\xe6\xc8\x3c" : "\x28\x32\x3c", 3);
        }
}

/* A binary PPM (P6) without comments, such as `convert picture.jpg picture.ppm` writes. */
static uint8_t *read_ppm(const char *path, uint32_t *width, uint32_t *height)
{
    FILE *file = fopen(path, "rb");
    uint8_t *rgb = NULL;
    unsigned max;
    if (file && fscanf(file, "P6 %u %u %u%*c", width, height, &max) == 3 && max == 255 && *width - 1 < 8192 &&
        *height - 1 < 8192) {
        size_t size = (size_t)*width * *height * 3;
        rgb = malloc(size);
        if (rgb && fread(rgb, 1, size, file) != size) {
            free(rgb);
            rgb = NULL;
        }
    }
    if (file)
        fclose(file);
    if (!rgb)
        fprintf(stderr, "%s: not a readable P6 picture of at most 8192x8192\n", path);
    return rgb;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "default";
    uint32_t width = 640, height = 480;
    uint8_t *rgb = argc > 2 ? read_ppm(argv[2], &width, &height) : malloc((size_t)width * height * 3);
    if (!rgb)
        return 1;
    if (argc <= 2)
        draw_disc(rgb, width, height);

    struct shk_device *device = NULL;
    struct shk_model *model = NULL;
    struct shk_session *session = NULL;
    struct shk_labels *labels = NULL;
    struct shk_error error;
    struct shk_result result;
    const struct shk_frame_format format = {.format = SHK_FORMAT_RGB, .width = width, .height = height};
    const struct shk_frame frame = {
        .plane = {rgb}, .plane_size = {(size_t)width * height * 3}, .stride = {width * 3},
    };
    int rc = 1;
    if (shk_device_create(NULL, &device, &error))
        goto fail;
    if (strcmp(path, "default") == 0) {
        if (shk_model_load_default(&model, &error) || shk_labels_load_default(&labels, &error))
            goto fail;
    } else if (shk_model_load_file(path, &model, &error)) {
        goto fail;
    }
    if (shk_session_create(device, model, NULL, &session, &error) ||
        shk_session_configure(session, &format, &error) || shk_session_submit(session, &frame, NULL, &error) ||
        shk_session_wait(session, UINT64_MAX, &result, &error))
        goto fail;
    for (uint32_t i = 0; i < result.detection_count; i++) {
        const struct shk_detection *d = &result.detections[i];
        const char *label = shk_labels_get(labels, d->class_id);
        printf("%s %u: %.2f at %.0f,%.0f to %.0f,%.0f\n", label ? label : "class", d->class_id, d->confidence,
               d->x_min * width, d->y_min * height, d->x_max * width, d->y_max * height);
    }
    printf("%u found in %.1f ms\n", result.detection_count, result.stages[SHK_STAGE_TOTAL].duration / 1e6);
    shk_session_release(session, result.ticket);
    rc = 0;
fail:
    if (rc)
        fprintf(stderr, "%s\n", error.message);
    shk_session_destroy(&session);
    shk_labels_destroy(&labels);
    shk_model_destroy(&model);
    shk_device_destroy(&device);
    free(rgb);
    return rc;
}
