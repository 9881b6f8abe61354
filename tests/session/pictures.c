/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pictures.h"

#include <stdlib.h>
#include <string.h>

#include "image_model.h"
#include "model.h"
#include "preprocess.h"
#include "support.h"

static struct shk_error error;

static struct shk_rect random_crop(struct test_rng *rng, uint32_t width, uint32_t height)
{
    struct shk_rect crop = {.width = 1 + test_random_below(rng, width),
                            .height = 1 + test_random_below(rng, height)};
    crop.x = test_random_below(rng, width - crop.width + 1);
    crop.y = test_random_below(rng, height - crop.height + 1);
    return test_random_below(rng, 2) ? crop : (struct shk_rect){0};
}

struct picture picture_make(const struct shk_model *model, enum shk_pixel_format format, uint32_t limit,
                            uint64_t seed)
{
    struct test_rng rng = {seed * 16 + format};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_preprocess p;
    struct picture picture = {.format = {.format = format}};
    picture.format.width = 1 + test_random_below(&rng, limit);
    picture.format.height = 1 + test_random_below(&rng, limit);
    picture.format.matrix = (enum shk_yuv_matrix)test_random_below(&rng, 2);
    picture.format.range = (enum shk_yuv_range)test_random_below(&rng, 2);
    picture.crop = random_crop(&rng, picture.format.width, picture.format.height);
    test_ok(shk_preprocess_init(&p, shk_model_graph(model), &params, &picture.format, &error), &error);
    for (uint32_t i = 0; i < p.plane_count; i++) {
        const struct shk_frame_plane *plane = &p.planes[i];
        picture.stride[i] = plane->stride + 4 * test_random_below(&rng, 6);
        picture.offset[i] = shk_align_up(picture.size, 4) + 4 * test_random_below(&rng, 30);
        picture.size = picture.offset[i] + (size_t)picture.stride[i] * (plane->rows - 1) + plane->row_bytes;
    }
    picture.bytes = malloc(picture.size);
    test_random_bytes(&rng, picture.bytes, picture.size);
    return picture;
}

void picture_free(struct picture *picture)
{
    free(picture->bytes);
    *picture = (struct picture){0};
}

struct shk_frame picture_by_pointers(const struct picture *picture)
{
    struct shk_frame frame = {.crop = picture->crop};
    for (int i = 0; i < 3; i++) {
        frame.plane[i] = picture->bytes + picture->offset[i];
        frame.plane_size[i] = picture->size - picture->offset[i];
        frame.stride[i] = picture->stride[i];
    }
    return frame;
}

struct shk_frame picture_in(const struct picture *picture, struct shk_memory *memory)
{
    struct shk_frame frame = {.crop = picture->crop, .memory = memory, .user = (void *)(uintptr_t)picture};
    for (int i = 0; i < 3; i++) {
        frame.offset[i] = picture->offset[i];
        frame.stride[i] = picture->stride[i];
    }
    return frame;
}

struct shk_memory *picture_upload(const struct picture *picture, struct shk_device *device)
{
    struct shk_memory *memory = NULL;
    struct shk_memory_info info;
    test_ok(shk_memory_alloc(device, picture->size, &memory, &error), &error);
    shk_memory_get_info(memory, &info);
    memcpy(info.map, picture->bytes, picture->size);
    return memory;
}

void picture_run_alone(const struct picture *picture, struct shk_session *session, uint8_t *outputs)
{
    struct shk_frame frame = picture_by_pointers(picture);
    struct shk_result result;
    test_ok(shk_session_configure(session, &picture->format, &error), &error);
    test_ok(shk_session_submit(session, &frame, NULL, &error), &error);
    test_ok(shk_session_wait(session, UINT64_MAX, &result, &error), &error);
    for (uint32_t k = 0; k < 2; k++)
        test_ok(
            shk_session_read_output(session, result.ticket, 0, k, outputs + k * BYTES / 4, BYTES / 4, &error),
            &error);
    shk_session_release(session, result.ticket);
}
