/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "variant.h"

#include <stdio.h>
#include <string.h>

#include "abi.h"
#include "notes.h"

size_t shk_variant_weight_bytes(const struct shk_variant *variant, const struct shk_device *device)
{
    if (variant->weights == SHK_WEIGHTS_STORAGE || variant->weights == SHK_WEIGHTS_TEXELS)
        return SIZE_MAX;
    bool small = variant->weights == SHK_WEIGHTS_UNIFORM16 || device->limits.maxUniformBufferRange < SHK_UNIFORM_MAX;
    return small ? SHK_UNIFORM_MIN : SHK_UNIFORM_MAX;
}

bool shk_variant_is_dot(const struct shk_variant *variant)
{
    return variant->arithmetic == SHK_ARITHMETIC_DOT || variant->arithmetic == SHK_ARITHMETIC_DOT_MIXED;
}

enum shk_chain shk_variant_chain(const struct shk_variant *variant)
{
    if (!variant || (variant->form != SHK_FORM_PAIR && variant->form != SHK_FORM_INVERTED))
        return SHK_CHAIN_NONE;
    return variant->form == SHK_FORM_PAIR ? SHK_CHAIN_PAIR : SHK_CHAIN_INVERTED;
}

const struct shk_variant *shk_variant_find(const struct shk_op_def *def, const char *name)
{
    for (uint32_t i = 0; name && i < def->variant_count; i++)
        if (strcmp(def->variants[i].name, name) == 0)
            return &def->variants[i];
    return NULL;
}

bool shk_variant_fits(const struct shk_variant *variant, const struct shk_graph *graph, const struct shk_op *op,
                      const struct shk_device *device)
{
    if (shk_variant_is_dot(variant) && !device->info.integer_dot_product)
        return false;
    return variant == op->def->variants || !op->def->fits || op->def->fits(graph, op, device, variant);
}

static void note(const struct shk_variant *variant, const struct shk_op_def *def, char line[96])
{
    snprintf(line, 96, "bad\t%s\t%s", def->name, variant->name);
}

bool shk_variant_is_dropped(const struct shk_variant *variant, const struct shk_op_def *def, struct shk_device *device)
{
    char line[96];
    note(variant, def, line);
    return shk_notes_has(device, line);
}

void shk_variant_drop(const struct shk_variant *variant, const struct shk_op_def *def, struct shk_device *device)
{
    char line[96];
    note(variant, def, line);
    shk_notes_add(device, line);
}
