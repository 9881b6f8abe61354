/* What a CONCATENATION does with the values of its parts. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_OPS_CONCAT_H
#define SHK_OPS_CONCAT_H

#include "op.h"

/* CONCATENATION, not PACK. */
bool shk_op_is_concat(const struct shk_op *op);
/* Values of `in` are copied as they are. */
bool shk_concat_same_scale(const struct shk_tensor *in, const struct shk_tensor *out);
/* Otherwise: what becomes of each, -128 first. */
void shk_concat_table(const struct shk_tensor *in, const struct shk_tensor *out, int8_t table[256]);

#endif
