/* Kernel variants: several ways to compute one op, all of them with the same bytes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An op that has variants lists them in its shk_op_def: a row is a name and what the kernel is specialized with, no
 * code. Row 0 is the op's rule of thumb; it runs everywhere and computes every op that check() lets through. Which of
 * the others computes an op is up to, in this order: SHRIKE_FORCE_VARIANT (a name, for tests), the choice that the
 * tuner made for this device, the rule of thumb. One that does not fit the op or the device, or that was found to
 * compute wrong bytes on this driver, is passed over. */
#ifndef SHK_VARIANT_H
#define SHK_VARIANT_H

#include "device.h"
#include "op.h"

/* Where the kernel reads weights from. */
enum shk_weights_from {
    SHK_WEIGHTS_UNIFORM,   /* the uniform window, as large as the device binds */
    SHK_WEIGHTS_UNIFORM16, /* likewise, 16 KiB */
    SHK_WEIGHTS_STORAGE,
    SHK_WEIGHTS_TEXELS, /* the storage buffer as texels, if the device can address that many; else as it is */
};

/* How it multiplies. */
enum shk_arithmetic {
    SHK_ARITHMETIC_INT,       /* bytes taken out of words, 32 bit integers */
    SHK_ARITHMETIC_FLOAT,     /* the same in 32 bit floats: exact while no sum can exceed 2^24 */
    SHK_ARITHMETIC_DOT,       /* VK_KHR_shader_integer_dot_product */
    SHK_ARITHMETIC_DOT_MIXED, /* likewise, of unsigned inputs and signed weights */
    SHK_ARITHMETIC_MATRIX,    /* VK_KHR_cooperative_matrix */
};

/* What only the op itself knows. */
enum shk_variant_form {
    SHK_FORM_PLAIN,
    SHK_FORM_SPLIT,    /* conv2d: weights as sums of three bytes, as legacy models with groups need it */
    SHK_FORM_ANY,      /* depthwise: the kernel for every dilation and multiplier */
    SHK_FORM_SUBGROUP, /* conv2d: a subgroup loads weights once for all of its invocations */
    SHK_FORM_ROWS,     /* conv2d: inputs are kept in registers for all windows that they lie in */
    SHK_FORM_JOINED,   /* conv2d: the rule of thumb's tile, by the shader that computes several small layers (join.h) */
    SHK_FORM_SHARED,   /* conv2d: a workgroup keeps a tile of inputs and weights in shared memory */
    SHK_FORM_PAIR,     /* conv2d: with the depthwise convolution in front of it, if and only if it absorbed one */
    SHK_FORM_INVERTED, /* conv2d: with these two in front of it: one that expands, a depthwise one; likewise */
    SHK_FORM_MATRIX,   /* conv2d: as SHK_FORM_SHARED, which subgroups multiply as cooperative matrices */
};

/* Convolutions in front of a CONV_2D that its kernel computes as well. */
enum shk_chain {
    SHK_CHAIN_NONE,
    SHK_CHAIN_PAIR,     /* the depthwise one that it reads */
    SHK_CHAIN_INVERTED, /* and the pointwise one that this reads: an inverted residual */
};

struct shk_variant {
    const char *name;
    /* Of the output, per invocation; 0: rule of thumb. SHK_FORM_SHARED: per workgroup; SHK_FORM_MATRIX: blocks of as
     * many as a matrix has columns and rows, per subgroup; SHK_FORM_PAIR and SHK_FORM_INVERTED: per workgroup, channels
     * 0: all. */
    uint8_t channels, pixels;
    uint8_t weights;          /* enum shk_weights_from */
    uint8_t arithmetic;       /* enum shk_arithmetic */
    uint8_t form;             /* enum shk_variant_form */
    /* What is tried when an op is tuned. The others only take part in tests. */
    bool fast, full;
    uint8_t rows; /* depthwise, SHK_FORM_ROWS: of pixels, per invocation; 0: one, or with pixels 0 the rule of thumb */
};

/* Bytes of weights that a kernel of the variant sees at once on the device; SIZE_MAX: any number. */
size_t shk_variant_weight_bytes(const struct shk_variant *variant, const struct shk_device *device);

/* Whether it takes VK_KHR_shader_integer_dot_product. */
bool shk_variant_is_dot(const struct shk_variant *variant);

/* What the kernel is for; NULL: SHK_CHAIN_NONE. */
enum shk_chain shk_variant_chain(const struct shk_variant *variant);

/* The op's variant of that name, or NULL. `name` may be NULL. */
const struct shk_variant *shk_variant_find(const struct shk_op_def *def, const char *name);

/* Whether the variant computes the op on the device. */
bool shk_variant_fits(const struct shk_variant *variant, const struct shk_graph *graph, const struct shk_op *op,
                      const struct shk_device *device);

/* Found to compute wrong bytes on this driver. */
bool shk_variant_is_dropped(const struct shk_variant *variant, const struct shk_op_def *def, struct shk_device *device);
void shk_variant_drop(const struct shk_variant *variant, const struct shk_op_def *def, struct shk_device *device);

#endif
