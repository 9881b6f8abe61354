/* The files that are built into the library: samples/models/shapes.tflite and shapes.txt.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_DEFAULT_MODEL_H
#define SHK_DEFAULT_MODEL_H

#include "util.h"

struct shk_default_file {
    const unsigned char *data;
    size_t size; /* 0: this build has none */
};
extern const struct shk_default_file shk_default_model, shk_default_labels;

enum shk_status shk_fail_no_default(struct shk_error *error);

#endif
