/* Frames of random bytes in every format, laid out as nobody would but somebody may: rows longer than their
 * pixels, planes anywhere. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_PICTURES_H
#define TEST_PICTURES_H

#include <shrike/shrike.h>

struct picture {
    struct shk_frame_format format;
    struct shk_rect crop;
    uint8_t *bytes; /* what no pixel covers is random, too */
    size_t size;    /* ends with the last pixel */
    size_t offset[3];
    uint32_t stride[3];
};

/* 1 to `limit` pixels wide and high, some with a crop. */
struct picture picture_make(const struct shk_model *model, enum shk_pixel_format format, uint32_t limit,
                            uint64_t seed);
void picture_free(struct picture *picture);

/* By pointers, for shk_session_submit(). */
struct shk_frame picture_by_pointers(const struct picture *picture);
/* In memory that has the picture's bytes, for shk_session_submit_batch(). */
struct shk_frame picture_in(const struct picture *picture, struct shk_memory *memory);

/* Memory of the device (or NULL) with its bytes. */
struct shk_memory *picture_upload(const struct picture *picture, struct shk_device *device);

/* What a session of its own makes of it: output 0 and 1 of image_model.h's model. */
void picture_run_alone(const struct picture *picture, struct shk_session *session, uint8_t *outputs);

#endif
