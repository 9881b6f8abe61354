/* What an ADD calculates. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_OPS_ELEMENTWISE_H
#define SHK_OPS_ELEMENTWISE_H

#include "abi.h"
#include "op.h"

bool shk_op_is_add(const struct shk_op *op);
/* `op` is one, and checked. Operand a is the op's input `first`, 0 or 1; b is the other. */
struct shk_epilogue_add shk_add_describe(const struct shk_graph *graph, const struct shk_op *op, uint32_t first);

#endif
