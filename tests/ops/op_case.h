/* One op, one test: builds a model of a single op, runs it on the CPU reference and on every Vulkan device in
 * every variant, and compares the outputs byte for byte.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     struct op_case c = op_case("CONV_2D", "3x3 stride 2");
 *     op_case_input(&c, SHK_DTYPE_INT8, 4, (int32_t[]){1, 9, 9, 8}, 0.02f, -3);
 *     op_case_constant(&c, SHK_DTYPE_INT8, 4, (int32_t[]){16, 3, 3, 8}, 1, &scale, NULL, 0, weights);
 *     op_case_output(&c, SHK_DTYPE_INT8, 4, (int32_t[]){1, 5, 5, 16}, 0.05f, 12);
 *     op_case_attr(&c, "stride_h", 2);
 *     op_case_run(&c);
 *
 * Failures end the test through Check, naming the case, the device, the variant, the fill and the first
 * difference. */
#ifndef SHK_TEST_OP_CASE_H
#define SHK_TEST_OP_CASE_H

#include <check.h>

#include "graph.h"
#include "op.h"

#define OP_CASE_MAX_TENSORS 12
#define OP_CASE_MAX_ATTRS   12

/* Rank and dimensions as the two arguments that op_case_input() and its like take. */
#define OP_SHAPE(...) \
    (uint32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)), (int32_t[]){__VA_ARGS__}

/* What the inputs hold. Quantized types go to the ends of their range; floats to +-1e30 and around 0. */
enum op_fill {
    OP_FILL_RANDOM,
    OP_FILL_MIN,
    OP_FILL_MAX,
    OP_FILL_ALTERNATING, /* MIN, MAX, MIN, ... */
    OP_FILL_ZERO_POINT,
    OP_FILL_COUNT,
};

struct op_case_tensor {
    struct shk_tensor_desc desc;
    float scale;
    int32_t zero_point;
    bool absent;
    const void *values; /* of an input under OP_FILL_RANDOM, dense; NULL: drawn from `seed` */
};

struct op_case {
    const char *op;    /* as TensorFlow Lite spells it */
    const char *label; /* for messages */
    struct op_case_tensor inputs[OP_CASE_MAX_TENSORS], outputs[OP_CASE_MAX_TENSORS];
    uint32_t input_count, output_count;
    struct {
        const char *name;
        double value;
    } attrs[OP_CASE_MAX_ATTRS];
    uint32_t attr_count;
    /* Ends with NULL; each is forced in turn after the op's own choice. NULL: the own choice only. A variant
     * that cannot run the case falls back to the op's own choice, as it does in production. */
    const char *const *variants;
    /* Values that random 8-bit and 32-bit inputs are drawn from; both 0: the whole type (INT32: +-1000). */
    int32_t random_min, random_max;
    uint64_t seed;
    /* Called for every fill with the reference's outputs: an independent statement of what is right.
     * NULL: none. */
    void (*verify)(const struct op_case *c, const void *const *inputs, const void *const *outputs);
};

struct op_case op_case(const char *op, const char *label);

/* An activation. scale 0: not quantized. */
void op_case_input(struct op_case *c, enum shk_dtype dtype, uint32_t rank, const int32_t *dims, float scale,
                   int32_t zero_point);
/* A constant. Arrays are used until op_case_run() returns. quant_count 0: not quantized. */
void op_case_constant(struct op_case *c, enum shk_dtype dtype, uint32_t rank, const int32_t *dims,
                      uint32_t quant_count, const float *scales, const int32_t *zero_points,
                      uint32_t quant_axis, const void *data);
/* An optional input that is not there. */
void op_case_absent(struct op_case *c);
void op_case_output(struct op_case *c, enum shk_dtype dtype, uint32_t rank, const int32_t *dims, float scale,
                    int32_t zero_point);
/* Enumerations by their number: shk_padding, shk_activation. */
void op_case_attr(struct op_case *c, const char *name, double value);

/* Reference and every device, every variant, every fill; with the fills one by one and as frames of a batch. Where
 * SHRIKE_FORCE_VARIANT is set from outside, that variant only. */
void op_case_run(const struct op_case *c);

/* The model must be refused with `status` and a message that contains `part`. */
void op_case_refused(const struct op_case *c, enum shk_status status, const char *part);

/* The model alone, for tests that do something else with it. The caller destroys it. */
enum shk_status op_case_model(const struct op_case *c, struct shk_model **model, struct shk_error *error);

/* splitmix64: the same numbers everywhere. */
uint64_t op_random(uint64_t *state);
int32_t op_random_range(uint64_t *state, int32_t min, int32_t max);
/* Uniform in [min, max). */
float op_random_float(uint64_t *state, float min, float max);
void op_random_int8(uint64_t *state, int8_t *values, size_t count);

/* Runs every TCase of the suite without fork (devices are shared between tests) and returns main()'s value:
 * 77 with a message where there is no Vulkan device, or none that can run what SHRIKE_FORCE_VARIANT names, and everything
 * else passed. */
int op_case_main(Suite *suite);

/* The Vulkan devices of this machine with validation on; created at first use, destroyed by op_case_main().
 */
uint32_t op_device_count(void);
struct shk_device *op_device(uint32_t index);
/* Fails the test if the validation layer has said anything. */
void op_device_check_validation(void);

#endif
