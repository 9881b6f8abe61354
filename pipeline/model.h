/* The inside of a shk_model.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_MODEL_INTERNAL_H
#define SHK_MODEL_INTERNAL_H

#include <stdatomic.h>

#include "detect.h"

struct shk_model {
    atomic_uint refs;
    struct shk_graph *graph;
    struct shk_detector detector;
    /* From the sidecar, for sessions that do not say otherwise; std[0] 0: it says nothing. */
    float mean[3], std[3];
    bool bgr;
};

/* Applies the sidecar next to `path`, if there is one, to a model that nobody else has yet. Errors:
 * SHK_ERROR_IO, SHK_ERROR_BAD_MODEL (as modelinfo.h and shk_detector_init() say), out of memory. */
enum shk_status shk_model_read_sidecar(struct shk_model *model, const char *path, struct shk_error *error);

#endif
