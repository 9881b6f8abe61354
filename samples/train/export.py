# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the integer detector as a .tflite file, through libshrike's builder."""
import ctypes
import os

import numpy as np

import network

MAX_DETECTIONS, SCORE_THRESHOLD, NMS_IOU = 20, 0.4, 0.5
INT8, INT32, FLOAT32 = 0, 2, 4  # enum shk_dtype
CHANNELS = {row[0]: row[2] for row in network.BACKBONE}


class Error(ctypes.Structure):
    """struct shk_error"""
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 480)]


def load_library(path):
    lib = ctypes.CDLL(path)
    pointer, i32, u32, text = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint32, ctypes.c_char_p
    lib.shk_builder_create.restype = pointer
    lib.shk_builder_create.argtypes = []
    lib.shk_builder_destroy.restype = None
    lib.shk_builder_destroy.argtypes = [ctypes.POINTER(pointer)]
    lib.shk_builder_tensor.restype = i32
    lib.shk_builder_tensor.argtypes = [pointer, text, ctypes.c_int, u32, pointer, u32, pointer, pointer, u32, pointer,
                                       ctypes.c_size_t]
    lib.shk_builder_op.restype = None
    lib.shk_builder_op.argtypes = [pointer, text, pointer, u32, pointer, u32, text]
    for name in ("shk_builder_set_inputs", "shk_builder_set_outputs"):
        getattr(lib, name).restype = None
        getattr(lib, name).argtypes = [pointer, pointer, u32]
    lib.shk_builder_save.restype = ctypes.c_int
    lib.shk_builder_save.argtypes = [pointer, text, ctypes.POINTER(Error)]
    return lib


def address(array):
    return None if array is None else array.ctypes.data


class Builder:
    def __init__(self, library):
        self.lib = load_library(library)
        self.handle = ctypes.c_void_p(self.lib.shk_builder_create())

    def tensor(self, name, dtype, dims, scales=None, zeros=None, axis=0, data=None):
        dims = np.asarray(dims, np.int32)
        scales = None if scales is None else np.asarray(scales, np.float32).reshape(-1)
        zeros = None if scales is None else np.broadcast_to(np.asarray(zeros or 0, np.int32), scales.shape).copy()
        data = None if data is None else np.ascontiguousarray(data)
        return self.lib.shk_builder_tensor(self.handle, name.encode(), dtype, len(dims), address(dims),
                                           0 if scales is None else len(scales), address(scales), address(zeros),
                                           axis, address(data), 0 if data is None else data.nbytes)

    def op(self, name, inputs, outputs, **attributes):
        inputs, outputs = np.asarray(inputs, np.int32), np.asarray(outputs, np.int32)
        text = " ".join(f"{key}={value}" for key, value in attributes.items())
        self.lib.shk_builder_op(self.handle, name.encode(), address(inputs), len(inputs), address(outputs),
                                len(outputs), text.encode())

    def save(self, path, inputs, outputs):
        inputs, outputs, error = np.asarray(inputs, np.int32), np.asarray(outputs, np.int32), Error()
        self.lib.shk_builder_set_inputs(self.handle, address(inputs), len(inputs))
        self.lib.shk_builder_set_outputs(self.handle, address(outputs), len(outputs))
        status = self.lib.shk_builder_save(self.handle, os.fsencode(path), ctypes.byref(error))
        self.lib.shk_builder_destroy(ctypes.byref(self.handle))
        if status != 0:
            raise RuntimeError(error.message.decode(errors="replace"))


def add_conv(b, layer, source, height, width):
    """Returns the output tensor and its height and width."""
    height, width = -(-height // layer.stride), -(-width // layer.stride)
    weight = layer.weight.transpose(3, 1, 2, 0) if layer.depthwise else layer.weight
    axis = 3 if layer.depthwise else 0
    channels = len(layer.weight)
    w = b.tensor(f"{layer.name}/weight", INT8, weight.shape, layer.scales, 0, axis, weight)
    bias = b.tensor(f"{layer.name}/bias", INT32, [channels], layer.in_scale * layer.scales, 0, 0, layer.bias)
    y = b.tensor(layer.name, INT8, [1, height, width, channels], layer.out_scale, layer.out_zero)
    extra = {"depth_multiplier": 1} if layer.depthwise else {}
    b.op("DEPTHWISE_CONV_2D" if layer.depthwise else "CONV_2D", [source, w, bias], [y], padding="SAME",
         stride_h=layer.stride, stride_w=layer.stride,
         fused_activation_function="RELU6" if layer.relu6 else "NONE", **extra)
    return y, height, width


def join(b, values, layer):
    """The tensor that the layer reads, and its height and width. Made once for all layers that read the same."""
    if layer.sources not in values:
        first, height, width = values[layer.sources[:1]]
        parts, names = [first], layer.sources[1:]
        for name in names:
            small, _, _ = values[(name,)]
            size = b.tensor(f"{name}/size", INT32, [2], data=np.array([height, width], np.int32))
            large = b.tensor(f"{name}/large", INT8, [1, height, width, CHANNELS[name]], layer.in_scale, layer.in_zero)
            b.op("RESIZE_NEAREST_NEIGHBOR", [small, size], [large])
            parts.append(large)
        channels = sum(CHANNELS[name] for name in layer.sources)
        y = b.tensor("+".join(layer.sources), INT8, [1, height, width, channels], layer.in_scale, layer.in_zero)
        b.op("CONCATENATION", parts, [y], axis=3)
        values[layer.sources] = y, height, width
    return values[layer.sources]


def flatten(b, layer, tensor, height, width, depth):
    count = height * width * len(layer.weight) // depth
    shape = b.tensor(f"{layer.name}/shape", INT32, [3], data=np.array([1, count, depth], np.int32))
    y = b.tensor(f"{layer.name}/flat", INT8, [1, count, depth], layer.out_scale, layer.out_zero)
    b.op("RESHAPE", [tensor, shape], [y])
    return y


def stack(b, name, tensors, count, depth, scale):
    y = b.tensor(name, INT8, [1, count, depth], scale, 0)
    b.op("CONCATENATION", tensors, [y], axis=1)
    return y


def write(layers, path, library):
    b = Builder(library)
    places = network.anchors()
    count, classes = len(places), len(network.CLASSES)
    image = b.tensor("image", INT8, [1, network.HEIGHT, network.WIDTH, 3], network.INPUT_SCALE, network.INPUT_ZERO)
    values, heads = {("image",): (image, network.HEIGHT, network.WIDTH)}, {"logits": [], "boxes": []}
    for layer in layers:
        y = add_conv(b, layer, *join(b, values, layer))
        kind = layer.name.partition("/")[2]
        if kind:
            heads[kind].append(flatten(b, layer, *y, classes if kind == "logits" else 4))
        else:
            values[(layer.name,)] = y
    boxes = stack(b, "boxes", heads["boxes"], count, 4, network.BOX_SCALE)
    logits = stack(b, "logits", heads["logits"], count, classes, network.LOGIT_SCALE)
    scores = b.tensor("scores", INT8, [1, count, classes], 1 / 256, -128)
    b.op("LOGISTIC", [logits], [scores])
    float_boxes = b.tensor("boxes/float", FLOAT32, [1, count, 4])
    float_scores = b.tensor("scores/float", FLOAT32, [1, count, classes])
    b.op("DEQUANTIZE", [boxes], [float_boxes])
    b.op("DEQUANTIZE", [scores], [float_scores])
    anchors = b.tensor("anchors", FLOAT32, places.shape, data=places)
    outputs = [b.tensor(f"detection_{name}", FLOAT32, dims) for name, dims in
               (("boxes", [1, MAX_DETECTIONS, 4]), ("classes", [1, MAX_DETECTIONS]), ("scores", [1, MAX_DETECTIONS]),
                ("count", [1]))]
    b.op("TFLite_Detection_PostProcess", [float_boxes, float_scores, anchors], outputs,
         max_detections=MAX_DETECTIONS, max_classes_per_detection=1, detections_per_class=100,
         use_regular_nms="false", nms_score_threshold=SCORE_THRESHOLD, nms_iou_threshold=NMS_IOU,
         num_classes=classes, y_scale=network.CENTRE_SCALE, x_scale=network.CENTRE_SCALE,
         h_scale=network.SIZE_SCALE, w_scale=network.SIZE_SCALE)
    b.save(path, [image], outputs)
