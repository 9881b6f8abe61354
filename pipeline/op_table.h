/* Every op, in the order of the `ops` list in meson.build, then NULL. Generated from op_table.c.in.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_OP_TABLE_H
#define SHK_OP_TABLE_H

#include "op.h"

extern const struct shk_op_def *const shk_op_table[];

#endif
