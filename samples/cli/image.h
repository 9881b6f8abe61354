/* Pictures for `shrike run`: read PNG, JPEG, BMP, PGM and PPM files, draw boxes, write PNG.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef IMAGE_H
#define IMAGE_H

#include <glib.h>
#include <shrike/shrike.h>

#define IMAGE_MAX_SIDE 16384

struct image {
    uint8_t *rgb; /* width * 3 bytes per row, no padding */
    uint32_t width, height;
};

/* The format is told from the first bytes. False and *error set on failure; free with image_clear(). */
gboolean image_load(const char *path, struct image *image, GError **error);
void image_clear(struct image *image);

/* Allocates the pixels; fails on sizes of 0 and above IMAGE_MAX_SIDE. */
gboolean image_alloc(struct image *image, uint64_t width, uint64_t height, GError **error);

/* Decoders of one format each. `data` is the whole file. */
gboolean image_decode_png(const uint8_t *data, gsize size, struct image *image, GError **error);
gboolean image_decode_jpeg(const uint8_t *data, gsize size, struct image *image, GError **error);
gboolean image_decode_bmp(const uint8_t *data, gsize size, struct image *image, GError **error);
gboolean image_decode_pnm(const uint8_t *data, gsize size, struct image *image, GError **error);

GQuark image_error_quark(void);
gboolean image_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3); /* returns FALSE */

/* Writes the picture with a box and a caption per detection. `captions[i]` belongs to `detections[i]`. */
gboolean image_annotate(const char *path, const struct image *image, const struct shk_detection *detections,
                        char *const *captions, uint32_t count, GError **error);

#endif
