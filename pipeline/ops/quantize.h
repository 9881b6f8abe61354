/* What a QUANTIZE does with a value. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_OPS_QUANTIZE_H
#define SHK_OPS_QUANTIZE_H

#include "op.h"

bool shk_op_is_quantize(const struct shk_op *op);
/* Of float32; from int8, shk_op_def.table says. */
int8_t shk_quantize_float(float x, const struct shk_quant *quant);

#endif
