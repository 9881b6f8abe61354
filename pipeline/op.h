/* What an op is: one const struct shk_op_def per file in pipeline/ops/, found through the table that meson
 * generates from the `ops` list.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout of activations. In C (reference, files, dumps): dense. On the device: 32-bit words; INT8 tensors pack
 * four elements of the last dimension into a word, lowest byte first, and every row of the last dimension
 * starts on a word (bytes past the end of a row may hold anything and must not influence a result);
 * INT32, FLOAT32: one word per element. See struct shk_view. */
#ifndef SHK_OP_H
#define SHK_OP_H

#include "graph.h"

enum shk_attr_type {
    SHK_ATTR_INT32, /* int32_t */
    SHK_ATTR_FLOAT, /* float */
    SHK_ATTR_BOOL,  /* bool */
    SHK_ATTR_ENUM,  /* int32_t here, a byte in the file; enum_names ends with NULL */
    SHK_ATTR_LIST,  /* struct shk_int32_list here, a vector of int32 in the file; empty by default */
};

struct shk_int32_list {
    uint32_t count;
    int32_t values[SHK_MAX_RANK];
};

/* One attribute: how the TFLite schema spells it, where it goes in the op's own attrs struct. */
struct shk_attr {
    const char *name;      /* as in schema.fbs; for a custom op the key of the flexbuffer map */
    enum shk_attr_type type;
    uint32_t tflite_field; /* field number in the options table, first field 0 */
    size_t offset;
    double default_value;
    const char *const *enum_names;
};

/* One TFLite operator that this op implements. */
struct shk_op_spelling {
    const struct shk_op_def *def; /* back pointer: SHK_OP_DECLARE(conv2d) first, then &shk_op_conv2d */
    const char *name;             /* "CONV_2D", or the custom code "TFLite_Detection_PostProcess" */
    int32_t builtin;              /* BuiltinOperator value; SHK_BUILTIN_CUSTOM */
    int32_t options;              /* BuiltinOptions union type; 0: none */
    int32_t kind;                 /* for ops with several spellings: which one this is */
    int32_t max_version;          /* highest operator version that means what we implement */
    const struct shk_attr *attrs;
    uint32_t attr_count;
};
#define SHK_BUILTIN_CONCATENATION 2
#define SHK_BUILTIN_CUSTOM        32

struct shk_session_params;

/* One op to run in C. Dense arrays, one per input and output of the op; NULL for an absent optional input. */
struct shk_reference {
    const struct shk_graph *graph;
    const struct shk_op *op;
    const void *const *inputs;
    void *const *outputs;
    const struct shk_session_params *params; /* thresholds that the session overrides; NULL: none */
};

struct shk_device;
struct shk_lowering;
struct shk_variant;

struct shk_op_def {
    const char *name; /* "conv2d": also the names of the files */
    const struct shk_op_spelling *spellings;
    uint32_t spelling_count;
    size_t attrs_size;
    uint32_t parameter_inputs; /* bit i: input i is a constant that lower() packs by itself (weights, shapes) */

    /* Gives outputs whose shape the file leaves open (rank 0) the shape that the op computes, by
     * shk_graph_set_shape(). Runs before check(), so nothing is certain yet. NULL: files always have shapes. */
    enum shk_status (*infer)(struct shk_graph *graph, const struct shk_op *op, struct shk_error *error);
    /* Types, quantization, constness and shapes of inputs and outputs; the output's shape must be what the op
     * computes. Runs before everything else, so the rest need not check. Messages name the tensor, what was
     * found, what is supported. */
    enum shk_status (*check)(const struct shk_graph *graph, const struct shk_op *op, struct shk_error *error);
    /* The specification. Fails only when out of memory. */
    enum shk_status (*reference)(const struct shk_reference *run, struct shk_error *error);
    /* Packs parameters and emits dispatches. */
    enum shk_status (*lower)(struct shk_lowering *lowering, const struct shk_op *op, struct shk_error *error);
    /* NULL: none. */
    uint64_t (*macs)(const struct shk_graph *graph, const struct shk_op *op);
    /* "stride 2x2 SAME RELU6"; NULL: the attribute table is printed. */
    void (*describe)(const struct shk_graph *graph, const struct shk_op *op, char *text, size_t size);
    /* Bytes of arena that the op needs while it runs; NULL: none. Seen as shk_lower_scratch(). */
    uint64_t (*scratch)(const struct shk_graph *graph, const struct shk_op *op);
    /* Ways to compute the op (variant.h), the rule of thumb first; NULL: one only. lower() asks for the one to use with
     * shk_lower_variant(). */
    const struct shk_variant *variants;
    uint32_t variant_count;
    /* Whether a variant other than the first computes this very op. NULL: all do. */
    bool (*fits)(const struct shk_graph *graph, const struct shk_op *op, const struct shk_device *device,
                 const struct shk_variant *variant);
    /* True if output 0 may share the storage of input `input` at the same (row, element) position with no
     * kernel at all: RESHAPE and friends. The planner decides whether the layout allows it. */
    bool is_view;
    /* The input whose parts the outputs are, one behind the other along one dimension, unchanged. NULL: not such an op. */
    uint32_t (*split_input)(const struct shk_op *op);
    /* Bit i: output 0 may be written in place of input i, if both have one shape and type: the kernel reads every word of
     * it only before it writes the word there, in the same invocation. */
    uint32_t in_place_inputs;

    /* ---- fusion: see fuse.h ---- */

    /* Every output depends on the input at its place only, and both are int8: fills in what becomes of each value, -128
     * first. False: not for this op. NULL: never. */
    bool (*table)(const struct shk_graph *graph, const struct shk_op *op, int8_t values[256]);
    /* Whether reading past the edge of input 0 gives what a border of `value` around it would. NULL: never. */
    bool (*takes_border)(const struct shk_graph *graph, const struct shk_op *op, int8_t value);
    /* SHK_FUSION_ADD, SHK_FUSION_TABLE, SHK_FUSION_RESHAPE: what its kernel does with its output as well. Such an op, and
     * one that takes borders, has at most three inputs, and one output. */
    uint32_t absorbs;
};

/* meson's table expects `const struct shk_op_def shk_op_<name>` in pipeline/ops/<name>.c. */
#define SHK_OP_DECLARE(id) extern const struct shk_op_def shk_op_##id

/* NULL if there is none. */
const struct shk_op_spelling *shk_op_find_builtin(int32_t builtin);
const struct shk_op_spelling *shk_op_find_custom(const char *custom_code);
const struct shk_op_spelling *shk_op_find_name(const char *name);
/* "ADD, AVERAGE_POOL_2D, ..." for messages. */
void shk_op_list_supported(char *text, size_t size);

/* A check() failure, prefixed with the model, the op's index and name:
 * "model.tflite: op 12 CONV_2D: <message>". */
enum shk_status shk_op_fail(const struct shk_graph *graph, const struct shk_op *op, enum shk_status status,
                            struct shk_error *error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The scalar attribute that the schema spells `name`; false if the op has none such. */
bool shk_op_get_attr(const struct shk_op *op, const char *name, double *value);

/* Fills defaults of every attribute. */
void shk_op_default_attrs(const struct shk_op_spelling *spelling, void *attrs);

/* Fused activation functions, TFLite's numbering. */
enum shk_activation {
    SHK_ACTIVATION_NONE,
    SHK_ACTIVATION_RELU,
    SHK_ACTIVATION_RELU_N1_TO_1,
    SHK_ACTIVATION_RELU6,
    SHK_ACTIVATION_TANH,
    SHK_ACTIVATION_SIGN_BIT,
};
extern const char *const shk_activation_names[];
enum shk_padding { SHK_PADDING_SAME, SHK_PADDING_VALID };
extern const char *const shk_padding_names[];

/* ---- checks that many ops share; each fails with shk_op_fail() ---- */
enum shk_status shk_check_counts(const struct shk_graph *graph, const struct shk_op *op, uint32_t min_inputs,
                                 uint32_t max_inputs, uint32_t outputs, struct shk_error *error);
/* INT8 (or legacy uint8) with one scale. */
enum shk_status shk_check_int8(const struct shk_graph *graph, const struct shk_op *op, uint32_t tensor,
                               struct shk_error *error);
/* A constant that is there. */
enum shk_status shk_check_constant(const struct shk_graph *graph, const struct shk_op *op, uint32_t input,
                                   struct shk_error *error);
/* Output 0 has shape `expected`. */
enum shk_status shk_check_output_shape(const struct shk_graph *graph, const struct shk_op *op,
                                       const struct shk_shape *expected, struct shk_error *error);

/* TFLite's SAME / VALID arithmetic for one dimension: output size (0 if the window does not fit) and padding
 * before. Overflow-safe for any int32 arguments >= 1. */
struct shk_window {
    int32_t output;
    int32_t before;
};
struct shk_window shk_window_compute(int32_t input, int32_t kernel, int32_t stride, int32_t dilation,
                                     enum shk_padding padding);

#endif
