/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_CONV2D_H
#define SHK_CONV2D_H

#include "op.h"

bool shk_op_is_conv2d(const struct shk_op *op);

#endif
