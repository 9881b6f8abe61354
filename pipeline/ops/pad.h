/* What a PAD or PADV2 pads. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_OPS_PAD_H
#define SHK_OPS_PAD_H

#include "op.h"

struct shk_pad {
    int32_t before[SHK_MAX_RANK]; /* per dimension */
    uint32_t value;               /* the bits of one element */
};

bool shk_op_is_pad(const struct shk_op *op);
/* `op` is one, and checked. */
struct shk_pad shk_pad_describe(const struct shk_graph *graph, const struct shk_op *op);

#endif
