/* Shrike: write .tflite files. The other direction of shk_model_load_*(): for training scripts, the toolbox
 * (quantization, pruning, search) and tests. Plain C arguments throughout, so that ctypes can call it.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     b = shk_builder_create(); x = shk_builder_tensor(b, ...); ... shk_builder_op(b, "CONV_2D", ...);
 *     shk_builder_set_inputs(b, ...); shk_builder_set_outputs(b, ...); shk_builder_save(b, "model.tflite", &err)
 *
 * The first error sticks: later calls do nothing, and shk_builder_save() or _serialize() reports it. Not thread
 * safe. Every array is copied. */
#ifndef SHRIKE_BUILDER_H
#define SHRIKE_BUILDER_H

#include <shrike/model.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shk_builder;

/* NULL only when out of memory. */
SHK_API struct shk_builder *shk_builder_create(void);
SHK_API void shk_builder_destroy(struct shk_builder **builder);

/* Adds a tensor and returns its index, or -1. `data` NULL: an activation; else `bytes` bytes of constant data,
 * which must be the dense size. quant_count 0: not quantized; 1: per tensor; else one scale and zero point per
 * index of dimension `quant_axis`. */
SHK_API int32_t shk_builder_tensor(struct shk_builder *builder, const char *name, enum shk_dtype dtype,
                                   uint32_t rank, const int32_t *dims, uint32_t quant_count, const float *scales,
                                   const int32_t *zero_points, uint32_t quant_axis, const void *data,
                                   size_t bytes);

/* Appends an op. `name` as TensorFlow Lite spells it ("CONV_2D", "TFLite_Detection_PostProcess"); input -1: an
 * optional input that is absent. `attributes`: "key=value" separated by spaces, keys as in the TFLite schema's
 * options table, or the custom op's options; values are integers, numbers with a point, true or false, names of
 * enumerators, or integers separated by commas ("stride_h=2 stride_w=2 padding=SAME
 * fused_activation_function=RELU6", "alpha=0.1", "keep_dims=true", "new_shape=1,-1"). What is not named has the
 * schema's default; unknown keys are an error that lists the known ones. NULL: all defaults. */
SHK_API void shk_builder_op(struct shk_builder *builder, const char *name, const int32_t *inputs,
                            uint32_t input_count, const int32_t *outputs, uint32_t output_count,
                            const char *attributes);

SHK_API void shk_builder_set_inputs(struct shk_builder *builder, const int32_t *tensors, uint32_t count);
SHK_API void shk_builder_set_outputs(struct shk_builder *builder, const int32_t *tensors, uint32_t count);

/* The file's bytes, to be freed with free(). The result is checked by loading it: what Shrike writes, Shrike
 * reads. Errors: those of shk_model_load_memory(), SHK_ERROR_INVALID_ARGUMENT for a call gone wrong before. */
SHK_API enum shk_status shk_builder_serialize(struct shk_builder *builder, void **data, size_t *size,
                                              struct shk_error *error);
SHK_API enum shk_status shk_builder_save(struct shk_builder *builder, const char *path, struct shk_error *error);

#ifdef __cplusplus
}
#endif
#endif
