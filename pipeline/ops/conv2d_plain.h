/* CONV_2D by invocations that each compute some channels of some neighbouring pixels: the variants of forms
 * SHK_FORM_PLAIN, SHK_FORM_SPLIT, SHK_FORM_SUBGROUP and SHK_FORM_JOINED, the rule of thumb among them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_CONV2D_PLAIN_H
#define SHK_CONV2D_PLAIN_H

#include "conv2d_filters.h"

static inline bool shk_conv2d_is_plain(const struct shk_variant *variant)
{
    return variant->form == SHK_FORM_PLAIN || variant->form == SHK_FORM_SPLIT || variant->form == SHK_FORM_SUBGROUP ||
           variant->form == SHK_FORM_JOINED;
}

/* What an invocation computes. */
struct shk_conv2d_tile {
    uint32_t channels, pixels;
    bool subgroup; /* weights are loaded once for a subgroup */
};

/* Whether such a variant computes the op. */
bool shk_conv2d_plain_fits(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device,
                           const struct shk_variant *variant);

/* How the op that is being lowered is cut into slices, and its tile: the variant's or, where it leaves that open, what
 * costs least. */
struct shk_filters shk_conv2d_plain_plan(const struct shk_lowering *lowering, const struct shk_variant *variant,
                                         struct shk_conv2d_tile *tile);

/* The dispatches. `out`: pixels, with all of their words in one row. */
void shk_conv2d_plain_emit(struct shk_lowering *lowering, const struct shk_filters *filters,
                           const struct shk_variant *variant, const struct shk_conv2d_tile *tile, struct shk_view in,
                           struct shk_view out, const struct shk_epilogue *epilogue, const uint8_t *packed);

#endif
