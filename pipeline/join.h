/* Small dispatches that do not depend on each other, as the heads of a detector are, made one: a dispatch by itself costs
 * more than they compute, and leaves most of the device idle. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Dispatches without a barrier between them, of one `joined` shader and with the same specialization, become parts of the
 * first of them, whose shader finds their push constants among the parameters (abi.h, struct shk_joined_push). */
#ifndef SHK_JOIN_H
#define SHK_JOIN_H

#include "lowering.h"

/* After everything is lowered. With SHK_FUSION_HEADS switched off only ops that are computed by the `joined_variant` as
 * their own; these also one by one. */
void shk_lowering_join(struct shk_lowering *lowering);

#endif
