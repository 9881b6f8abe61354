/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_model.h"

#include <stdlib.h>

#include "support.h"

static int32_t activation(struct shk_builder *b, const char *name, int32_t size)
{
    const float scale = 1.0f / 128.0f;
    const int32_t zero_point = 0, dims[] = {1, size, size, CHANNELS};
    return shk_builder_tensor(b, name, SHK_DTYPE_INT8, 4, dims, 1, &scale, &zero_point, 0, NULL, 0);
}

struct shk_model *make_model_of(int32_t image)
{
    struct shk_builder *b = shk_builder_create();
    struct shk_model *model = NULL;
    struct shk_error error;
    void *data;
    size_t size;
    int32_t x = activation(b, "x", image), y = activation(b, "y", image / 2),
            z = activation(b, "z", image / 2);
    shk_builder_op(b, "MAX_POOL_2D", &x, 1, &y, 1,
                   "stride_w=2 stride_h=2 filter_width=2 filter_height=2 padding=SAME");
    shk_builder_op(b, "ADD", (int32_t[]){y, y}, 2, &z, 1, NULL);
    shk_builder_set_inputs(b, &x, 1);
    shk_builder_set_outputs(b, (int32_t[]){y, z}, 2);
    test_ok(shk_builder_serialize(b, &data, &size, &error), &error);
    test_ok(shk_model_load_memory(data, size, "pool-add", &model, &error), &error);
    shk_builder_destroy(&b);
    free(data);
    return model;
}

struct shk_model *make_model(void)
{
    return make_model_of(SIZE);
}
