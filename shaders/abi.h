/* The contract between C and GLSL: bindings, specialization constants, push constants. Included by both.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_ABI_H
#define SHK_ABI_H

#ifdef VULKAN /* GLSL */
#define SHK_UINT uint
#define SHK_INT  int
#define SHK_FLOAT float
#define SHK_STRUCT(name) name
#else
#include <stdint.h>
#define SHK_UINT uint32_t
#define SHK_INT  int32_t
#define SHK_FLOAT float
#define SHK_STRUCT(name) struct name
#endif

/* One descriptor set for every shader. */
#define SHK_BINDING_ARENA   0 /* storage buffer: uint words[], activations */
#define SHK_BINDING_PARAMS  1 /* storage buffer: uint words[], weights, quantization, tables */
#define SHK_BINDING_UNIFORM 2 /* dynamic uniform buffer: uvec4[], a window into the same parameter bytes */
#define SHK_BINDING_FRAME   3 /* storage buffer: uint words[], the slot's input (preprocess only) */

#define SHK_UNIFORM_ALIGNMENT 256   /* the largest minUniformBufferOffsetAlignment there is */
#define SHK_UNIFORM_MIN       16384 /* every device can bind this many bytes */
#define SHK_UNIFORM_MAX       65536 /* what we ask for where the device can */

/* Specialization constants: 0, 1, 2 are the workgroup size, the rest belongs to the shader. */
#define SHK_SPEC_LOCAL_X 0
#define SHK_SPEC_LOCAL_Y 1
#define SHK_SPEC_LOCAL_Z 2
#define SHK_SPEC_FIRST   3
#define SHK_MAX_SPEC     13

#define SHK_MAX_PUSH_BYTES 128

/* ---- preprocess ---- */

/* How the bytes of a frame are laid out; red and blue are told apart elsewhere. */
#define SHK_LAYOUT_PACKED3 0 /* three bytes per pixel */
#define SHK_LAYOUT_PACKED4 1 /* four, the last ignored */
#define SHK_LAYOUT_GRAY    2
#define SHK_LAYOUT_NV12    3
#define SHK_LAYOUT_I420    4
#define SHK_LAYOUT_YUY2    5

#define SHK_PREPROCESS_WEIGHT_BITS 11 /* of a bilinear weight */
#define SHK_PREPROCESS_VALUE_BITS  6  /* fractional bits of a resampled component */
#define SHK_PREPROCESS_MATRIX_BITS 14 /* fractional bits of a matrix coefficient */

/* First in the slot's input buffer. Behind it: width + 1 words that say where the columns of the rectangle sample,
 * room for the model's width + 1 in all; the same for rows; the planes. */
struct shk_frame_header {
    SHK_UINT left, top, width, height; /* the rectangle of the model's input that shows the frame */
    SHK_UINT crop_x, crop_y;
    SHK_UINT shift_x, shift_y; /* area: fractional bits of the column and row tables */
};

/* R = y' * luma + cr_r * Cr' and so on, with y' = Y - black and Cb', Cr' around 0. */
struct shk_frame_matrix {
    SHK_INT black;
    SHK_INT luma;
    SHK_INT cr_r, cb_g, cr_g, cb_b;
};

struct shk_preprocess_push {
    SHK_UINT output_offset, output_stride; /* words */
    SHK_UINT table; /* words */
    SHK_UINT width, height; /* of the model's input */
    SHK_UINT plane_offset[3], plane_stride[3]; /* words, after the header */
    SHK_STRUCT(shk_frame_matrix) matrix;
};

#endif
