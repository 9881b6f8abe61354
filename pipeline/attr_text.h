/* Attributes of an op from text: "stride_h=2 padding=SAME new_shape=1,10".
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_ATTR_TEXT_H
#define SHK_ATTR_TEXT_H

#include "op.h"

/* Sets the attributes that `text` names in `attrs` (the op's own struct, defaults filled in); NULL and "" set
 * none. Errors: SHK_ERROR_INVALID_ARGUMENT, with the known keys or values. */
enum shk_status shk_attrs_from_text(const struct shk_op_spelling *spelling, void *attrs, const char *text,
                                    struct shk_error *error);

#endif
