/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_IMPORT_EVERY_OP_H
#define TEST_IMPORT_EVERY_OP_H

#include <shrike/builder.h>

void make_every_op(struct shk_builder *builder);

#endif
