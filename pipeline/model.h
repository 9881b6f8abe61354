/* The inside of a shk_model.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_MODEL_INTERNAL_H
#define SHK_MODEL_INTERNAL_H

#include <stdatomic.h>

#include "graph.h"

struct shk_model {
    atomic_uint refs;
    struct shk_graph *graph;
};

#endif
