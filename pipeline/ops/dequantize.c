/* DEQUANTIZE: float(double(scale) * (q - zero point)); tflite/kernels/internal/reference/dequantize.h. A
 * table of 256 numbers on the device. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "grid.h"

SHK_OP_DECLARE(dequantize);
SHK_SHADER_DECLARE(dequantize);

static enum shk_status check(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error)
{
    enum shk_status status = shk_check_counts(graph, op, 1, 1, 1, error);
    if (!status)
        status = shk_check_int8(graph, op, op->inputs[0], error);
    if (status)
        return status;
    const struct shk_tensor *out = shk_op_output(graph, op, 0);
    if (out->dtype != SHK_DTYPE_FLOAT32)
        return shk_op_fail(graph, op, SHK_ERROR_UNSUPPORTED, error, "output '%s' is %s, expected float32",
                           out->name, shk_dtype_string(out->dtype));
    return shk_check_output_shape(graph, op, &shk_op_input(graph, op, 0)->shape, error);
}

static float dequantize(int32_t q, const struct shk_quant *quant)
{
    return (float)((double)quant->scales[0] * (q - quant->zero_points[0]));
}

static enum shk_status reference(const struct shk_reference *run, struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(run->graph, run->op, 0);
    const int8_t *src = run->inputs[0];
    float *dst = run->outputs[0];
    for (size_t i = 0; i < in->bytes; i++)
        dst[i] = dequantize(src[i], &in->quant);
    return SHK_OK;
}

static enum shk_status lower(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error)
{
    const struct shk_tensor *in = shk_op_input(shk_lower_graph(lowering), op, 0);
    struct shk_view src = shk_lower_view(lowering, op->inputs[0]),
                    dst = shk_lower_view(lowering, op->outputs[0]);
    float table[256];
    for (int32_t q = INT8_MIN; q <= INT8_MAX; q++)
        table[q - INT8_MIN] = dequantize(q, &in->quant);
    struct shk_dequantize_push push = {
        .items = src.rows * src.words,
        .src = src.offset,
        .src_stride = src.stride,
        .dst = dst.offset,
        .dst_stride = dst.stride,
        .words = shk_divisor_of(src.words),
        .channels = src.channels,
        .table = shk_lower_params(lowering, table, sizeof(table), 4) / 4,
    };
    struct shk_dispatch dispatch = {
        .shader = &shk_shader_dequantize, .push = &push, .push_size = sizeof(push)};
    shk_dispatch_linear(&dispatch, push.items, 64);
    shk_lower_dispatch(lowering, &dispatch);
    return SHK_OK;
}

static const struct shk_op_spelling spellings[] = {
    {&shk_op_dequantize, "DEQUANTIZE", 6, 38, 0, 6, NULL, 0},
};

const struct shk_op_def shk_op_dequantize = {
    .name = "dequantize",
    .spellings = spellings,
    .spelling_count = SHK_ARRAY_LEN(spellings),
    .check = check,
    .reference = reference,
    .lower = lower,
};
