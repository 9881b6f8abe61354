/* Shrike: models. Load a .tflite file, look at its tensors, ops, arithmetic and memory.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A shk_model is immutable once loaded, so any number of threads and sessions may share it. It owns a copy of
 * everything it needs: the file may change or go once the load call has returned. */
#ifndef SHRIKE_MODEL_H
#define SHRIKE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shrike/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shk_model;

#define SHK_MAX_RANK 6

enum shk_dtype {
    SHK_DTYPE_INT8,
    SHK_DTYPE_UINT8,
    SHK_DTYPE_INT32,
    SHK_DTYPE_INT64,
    SHK_DTYPE_FLOAT32,
};

/* Bytes per element, and "int8", "uint8", "int32", "int64", "float32". */
SHK_API size_t shk_dtype_size(enum shk_dtype dtype);
SHK_API const char *shk_dtype_string(enum shk_dtype dtype);

/* A tensor as the file describes it. Strings and arrays belong to the model. real = scale * (q - zero_point). */
struct shk_tensor_info {
    const char *name; /* "" if the file names none */
    enum shk_dtype dtype;
    uint32_t rank;
    int32_t dims[SHK_MAX_RANK]; /* outermost first: NHWC */
    size_t bytes;               /* dense size */
    bool constant;              /* weights, biases, anchors, shapes */
    uint32_t quant_count;       /* 0: not quantized; 1: per tensor; else one per index of quant_axis */
    uint32_t quant_axis;
    const float *scales;
    const int32_t *zero_points;
};

struct shk_op_info {
    const char *name;   /* as TensorFlow Lite spells it: "CONV_2D", "TFLite_Detection_PostProcess" */
    const char *kernel; /* the Shrike op that runs it: "conv2d" */
    const uint32_t *inputs; /* tensor indices; SHK_TENSOR_NONE for an optional input that is absent */
    uint32_t input_count;
    const uint32_t *outputs;
    uint32_t output_count;
    uint64_t macs; /* multiply-accumulates: H*W*C_out*(C_in/G)*K*K*N for convolution; 0 where there are none */
    uint64_t flops; /* 2 * macs, plus one per output element for ops that calculate without multiply-accumulate */
    uint64_t parameters; /* elements of the constant weights and biases */
    char attributes[160]; /* human-readable: "stride 2x2 SAME dilation 1x1 groups 4 RELU6" */
};
#define SHK_TENSOR_NONE UINT32_MAX

/* Bytes of device memory for activations. */
struct shk_memory_report {
    uint64_t arena_peak;    /* what the planner needs */
    uint64_t lower_bound;   /* max over ops of the bytes alive while the op runs; shared storage counts once */
    uint64_t no_reuse;      /* sum over all activations: what it would take without planning */
    uint64_t parameter_bytes; /* packed weights, quantization, tables: 0 where no session has packed them yet */
};

/* Reads a TensorFlow Lite FlatBuffer file (schema version 3, subgraph 0) of at most 1 GiB. `path` is UTF-8. The
 * file is untrusted: every offset and size is checked, and memory stays in proportion to the file's size. An
 * open batch dimension is what the file's shape says, or 1. If there is a sidecar next to it, "PATH.modelinfo" or
 * PATH with its extension replaced by ".modelinfo", that says how frames are fed to the model and how its outputs
 * are decoded: the format is GStreamer 1.28's model info with some keys more; the README describes it.
 * Errors: SHK_ERROR_IO, SHK_ERROR_BAD_MODEL (what is corrupt, and where; a sidecar with an unknown key or a wrong
 * value, or one that contradicts the model, with its line), SHK_ERROR_UNSUPPORTED (op, its index, why, what is
 * supported; a float model),
 * SHK_ERROR_OUT_OF_HOST_MEMORY. */
SHK_API enum shk_status shk_model_load_file(const char *path, struct shk_model **model, struct shk_error *error);

/* The same from `size` bytes in memory, without a sidecar. `name` is used in messages ("camera.tflite"). */
SHK_API enum shk_status shk_model_load_memory(const void *data, size_t size, const char *name,
                                              struct shk_model **model, struct shk_error *error);

/* The embedded default model: a small detector of generated shapes, see samples/models/README.md. */
SHK_API enum shk_status shk_model_load_default(struct shk_model **model, struct shk_error *error);

/* Another reference to the same model; each is dropped by shk_model_destroy(). Thread safe. */
SHK_API struct shk_model *shk_model_ref(struct shk_model *model);

/* Drops a reference and sets *model to NULL. NULL and *model == NULL are fine. */
SHK_API void shk_model_destroy(struct shk_model **model);

/* The name given at load: the file's path, or `name`, or "default". */
SHK_API const char *shk_model_name(const struct shk_model *model);

SHK_API uint32_t shk_model_input_count(const struct shk_model *model);
SHK_API uint32_t shk_model_output_count(const struct shk_model *model);
SHK_API uint32_t shk_model_tensor_count(const struct shk_model *model);
SHK_API uint32_t shk_model_op_count(const struct shk_model *model);

/* Tensor index of input or output `i`. `i` must be below the count. */
SHK_API uint32_t shk_model_input(const struct shk_model *model, uint32_t i);
SHK_API uint32_t shk_model_output(const struct shk_model *model, uint32_t i);

/* Indices must be below the counts. Ops come in execution order, as in the file. */
SHK_API void shk_model_get_tensor(const struct shk_model *model, uint32_t index, struct shk_tensor_info *info);
SHK_API void shk_model_get_op(const struct shk_model *model, uint32_t index, struct shk_op_info *info);

/* What makes ops of a model cost no dispatch of their own, with the same bytes. */
enum shk_fusion {
    SHK_FUSION_PAD = 1 << 0, /* PAD: by the convolution or maximum pool behind it, which reads past the edge instead */
    SHK_FUSION_ADD = 1 << 1, /* ADD: by the convolution in front of it, which reads the other operand */
    /* LEAKY_RELU, LOGISTIC, QUANTIZE from int8 and the like, and what a CONCATENATION does to parts with scales of
     * their own: by the convolutions in front, also through RESHAPE and CONCATENATION */
    SHK_FUSION_TABLE = 1 << 2,
    SHK_FUSION_RESHAPE = 1 << 3, /* RESHAPE that cuts channels into rows: by the convolution in front of it */
    SHK_FUSION_INPUT = 1 << 4,   /* QUANTIZE behind the input of a model that takes pictures: by preprocessing */
    /* DEPTHWISE_CONV_2D: by the pointwise CONV_2D behind it, where shk_tune() found that the device is faster so */
    SHK_FUSION_PAIR = 1 << 5,
    /* Small convolutions that do not depend on each other, as the heads of a detector: in one dispatch, on
     * devices that are no CPU; they remain ops of their own */
    SHK_FUSION_HEADS = 1 << 6,
    /* Such a pair and the pointwise CONV_2D in front of it, an inverted residual (MobileNetV2), into the last of the
     * three, where shk_tune() found that the device is faster so */
    SHK_FUSION_INVERTED = 1 << 7,
    /* CONCATENATION, SPLIT and the like: by what writes the parts where they lie in the whole, or reads them there; not
     * where that would take more memory. They are not said to be in another op, but take no dispatch. */
    SHK_FUSION_PARTS = 1 << 8,
    SHK_FUSION_ALL = (1 << 9) - 1,
};

/* into[i]: the op that op i is fused into in a device session with this no_fusion; i itself if it was not fused. An op
 * that goes through a CONCATENATION, into what is in front of that, is said to be in the CONCATENATION. UINT32_MAX:
 * into preprocessing. SHK_FUSION_PAIR and SHK_FUSION_INVERTED, which are the device's choice, do not show here. `count`
 * must be shk_model_op_count(). Errors: SHK_ERROR_INVALID_ARGUMENT (count), out of memory. */
SHK_API enum shk_status shk_model_get_fusion(const struct shk_model *model, uint32_t no_fusion, uint32_t *into,
                                             uint32_t count, struct shk_error *error);

/* Plans the arena as a session with this no_fusion would. Errors: SHK_ERROR_OUT_OF_HOST_MEMORY. */
SHK_API enum shk_status shk_model_get_memory(const struct shk_model *model, uint32_t no_fusion,
                                             struct shk_memory_report *report, struct shk_error *error);

/* A range of that arena, for some of a frame's steps. Step 0 writes the model's inputs, step i + 1 runs op i, and
 * step shk_model_op_count() + 1 reads the model's outputs. Constants that are read like activations live from the first
 * step to the last. */
struct shk_memory_block {
    uint64_t offset;       /* bytes */
    uint64_t bytes;        /* above 0, aligned */
    uint32_t first, last;  /* steps in which it is alive, both included */
    uint32_t tensor;       /* that owns the storage; SHK_TENSOR_NONE: scratch of the op that runs in `first` */
    uint32_t tensor_count; /* that share the storage (parts of a concatenation, reshaped views), that one included;
                              0 for scratch */
};

/* The same plan, block by block: blocks that are alive at the same step do not overlap. On input *count is the room in
 * `blocks` (may be NULL to ask for the number); on output the number of blocks there are, of which at most the given
 * number were written. Errors: as above. */
SHK_API enum shk_status shk_model_get_memory_blocks(const struct shk_model *model, uint32_t no_fusion,
                                                    struct shk_memory_block *blocks, uint32_t *count,
                                                    struct shk_error *error);

/* How a model's outputs become detections. Settled when the model is loaded: by its sidecar, else by its outputs where
 * types, shapes, quantization and the ops behind them leave no doubt. From SHK_DECODER_YOLOX on they are followed by
 * class-aware non-maximum suppression of the 4096 best boxes; the score of a box is that of its best class, times
 * its objectness where the model has one. */
enum shk_decoder {
    SHK_DECODER_NONE,           /* raw tensors only */
    SHK_DECODER_SSD,            /* TFLite_Detection_PostProcess: boxes, classes, scores, count */
    SHK_DECODER_CLASSIFICATION, /* one vector of class scores: one whole-frame result per class above threshold */
    SHK_DECODER_YOLOX,          /* 1 x N x (5 + classes): boxes of cells, objectness and classes as probabilities */
    SHK_DECODER_YOLOV3,         /* 1 x H x W x anchors * (5 + classes), one or more; the anchors from the sidecar */
    SHK_DECODER_YOLOV8,         /* 1 x (4 + classes) x N: boxes decoded by the model, no objectness */
    SHK_DECODER_YOLOV5,         /* as YOLOV3, or 1 x N x (5 + classes): boxes decoded by the model */
    SHK_DECODER_SSD_ANCHORS,    /* 1 x N x 4 and 1 x N x classes: a raw SSD head; the anchors from the sidecar */
};
/* "none", "ssd", "classification", "yolox", "yolov3", "yolov5", "yolov8", "ssd-anchors": as sidecars name them. */
SHK_API const char *shk_decoder_string(enum shk_decoder decoder);
SHK_API enum shk_decoder shk_model_decoder(const struct shk_model *model);

/* Number of classes that the decoder can report; 0 for SHK_DECODER_NONE. */
SHK_API uint32_t shk_model_class_count(const struct shk_model *model);

/* Class names: one per line (LF or CRLF), UTF-8, line i is class i; trailing empty lines are ignored. */
struct shk_labels;

/* Errors: SHK_ERROR_IO, SHK_ERROR_BAD_MODEL (not UTF-8, with the line; no line at all; larger than 1 MiB).
 * `class_count` > 0: fewer lines than that is an error too, and so are more. */
SHK_API enum shk_status shk_labels_load_file(const char *path, uint32_t class_count, struct shk_labels **labels,
                                             struct shk_error *error);
/* The names of the embedded default model. */
SHK_API enum shk_status shk_labels_load_default(struct shk_labels **labels, struct shk_error *error);
SHK_API void shk_labels_destroy(struct shk_labels **labels);
SHK_API uint32_t shk_labels_count(const struct shk_labels *labels);
/* NULL if `labels` is NULL or has no such class. Valid as long as `labels`. */
SHK_API const char *shk_labels_get(const struct shk_labels *labels, uint32_t class_id);

#ifdef __cplusplus
}
#endif
#endif
