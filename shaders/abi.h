/* The contract between C and GLSL: bindings, specialization constants, push constants. Included by both.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_ABI_H
#define SHK_ABI_H

#ifdef VULKAN /* GLSL */
#define SHK_UINT uint
#define SHK_INT  int
#define SHK_FLOAT float
#else
#include <stdint.h>
#define SHK_UINT uint32_t
#define SHK_INT  int32_t
#define SHK_FLOAT float
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

#endif
