/* Epilogues: what a kernel does with its output for ops that it absorbed (fuse.h), as epilogue.glsl sees it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_EPILOGUE_H
#define SHK_EPILOGUE_H

#include "lower.h"

struct shk_epilogue {
    uint32_t steps;  /* SHK_EPILOGUE_*: the shader's specialization constant */
    uint32_t params; /* words into the parameters */
};

/* Of the op that is being lowered; appends its parameters. */
struct shk_epilogue shk_epilogue_lower(struct shk_lowering *lowering, const struct shk_op *op);

#endif
