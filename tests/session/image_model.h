/* A small model that takes frames, what the session suites run.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_IMAGE_MODEL_H
#define TEST_IMAGE_MODEL_H

#include <shrike/shrike.h>

/* Of the model's input, SIZE x SIZE, 3 bytes a pixel. Its outputs have a quarter of that. */
#define SIZE     16
#define CHANNELS 3
#define BYTES    (SIZE * SIZE * CHANNELS)

/* x -> max pool -> y; y + y -> z. Outputs y and z. */
struct shk_model *make_model(void);
/* The same for images of another size, an even number. */
struct shk_model *make_model_of(int32_t image);

#endif
