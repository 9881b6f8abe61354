/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "epilogue.h"

#include <string.h>

#include "fuse.h"
#include "ops/elementwise.h"

struct parameters {
    struct shk_epilogue_add add;
    int32_t before[256], after[256];
};
_Static_assert(sizeof(struct shk_epilogue_add) == SHK_EPILOGUE_BEFORE_AT * 4, "tables follow the sum's constants");

static void widen(const int8_t *table, int32_t words[256])
{
    for (uint32_t i = 0; table && i < 256; i++)
        words[i] = table[i];
}

struct shk_epilogue shk_epilogue_lower(struct shk_lowering *lowering, const struct shk_op *op)
{
    const struct shk_fused_op *fused = shk_lower_fused(lowering);
    struct shk_epilogue epilogue = {
        .steps = (fused->before ? SHK_EPILOGUE_BEFORE : 0u) | (fused->add ? SHK_EPILOGUE_ADD : 0u) |
                 (fused->after ? SHK_EPILOGUE_AFTER : 0u),
    };
    if (!epilogue.steps)
        return epilogue;
    struct parameters p = {.add = {0}};
    if (fused->add) {
        uint32_t residual = op->inputs[SHK_FUSED_RESIDUAL];
        struct shk_view view = shk_lower_view(lowering, residual);
        p.add = shk_add_describe(shk_lower_model(lowering), fused->add, fused->add->inputs[0] == residual);
        p.add.residual_offset = view.offset;
        p.add.residual_stride = view.stride;
    }
    widen(fused->before, p.before);
    widen(fused->after, p.after);
    size_t bytes = fused->after    ? sizeof(p)
                   : fused->before ? offsetof(struct parameters, after)
                                   : offsetof(struct parameters, before);
    epilogue.params = shk_lower_params(lowering, &p, bytes, 16) / 4;
    return epilogue;
}
