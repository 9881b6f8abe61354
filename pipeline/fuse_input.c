/* A QUANTIZE of a model that takes pictures, right behind its input: preprocessing writes what it would write, and raw
 * tensors are quantized as they are copied. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse.h"

#include <string.h>

#include "ops/quantize.h"
#include "preprocess.h"

void shk_fuse_input(struct shk_fused *fused)
{
    const struct shk_graph *own = fused->own;
    if (shk_preprocess_check_model(own, NULL) || fused->users[own->inputs[0]] != 1)
        return;
    for (uint32_t i = 0; i < own->op_count; i++) {
        const struct shk_op *op = &own->ops[i];
        if (!shk_op_is_quantize(op) || op->inputs[0] != own->inputs[0])
            continue;
        fused->quantize = op;
        fused->input = op->outputs[0];
        fused->graph.inputs = &fused->input;
        fused->ops[i].into = SHK_FUSED_INTO_INPUT;
        fused->producer[fused->input] = UINT32_MAX;
    }
}

/* `bits`: of a value of the model's input, as it is on the device. */
static uint8_t quantize(const struct shk_fused *fused, const int8_t table[256], uint32_t bits)
{
    float x;
    if (shk_op_input(fused->own, fused->quantize, 0)->dtype == SHK_DTYPE_INT8)
        return (uint8_t)table[(uint8_t)bits ^ 0x80];
    memcpy(&x, &bits, sizeof(x));
    return (uint8_t)shk_quantize_float(x, &shk_op_output(fused->own, fused->quantize, 0)->quant);
}

void shk_fused_quantize_levels(const struct shk_fused *fused, uint32_t *levels, uint32_t count)
{
    int8_t table[256] = {0};
    if (!fused->quantize)
        return;
    fused->quantize->def->table(fused->own, fused->quantize, table);
    for (uint32_t i = 0; i < count; i++)
        levels[i] = quantize(fused, table, levels[i]);
}

/* Without gaps between the rows, as inputs are. */
void shk_fused_quantize_input(const struct shk_fused *fused, const struct shk_view *view, const void *values,
                              uint8_t *words)
{
    int8_t table[256] = {0};
    fused->quantize->def->table(fused->own, fused->quantize, table);
    const struct shk_tensor *input = shk_op_input(fused->own, fused->quantize, 0);
    bool bytes = input->dtype == SHK_DTYPE_INT8;
    uint8_t flip = input->legacy_uint8 ? 0x80 : 0;
    for (uint32_t row = 0; row < view->rows; row++, words += (size_t)view->stride * 4)
        for (uint32_t c = 0; c < view->channels; c++) {
            size_t at = (size_t)row * view->channels + c;
            uint32_t bits = bytes ? ((const uint8_t *)values)[at] ^ flip : ((const uint32_t *)values)[at];
            words[c] = quantize(fused, table, bits);
        }
}
