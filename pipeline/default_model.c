/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "default_model.h"

#include <shrike/model.h>

enum shk_status shk_fail_no_default(struct shk_error *error)
{
    return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                    "this build of Shrike has no default model: give a model file, or build again with "
                    "samples/models/shapes.tflite in place");
}

enum shk_status shk_model_load_default(struct shk_model **model, struct shk_error *error)
{
    if (shk_default_model.size == 0)
        return shk_fail_no_default(error);
    return shk_model_load_memory(shk_default_model.data, shk_default_model.size, "default", model, error);
}
