# SPDX-License-Identifier: LGPL-2.1-or-later
"""The detector in integers: what the file holds, and what TensorFlow Lite's reference kernels make of it.

The simulation lets the training script measure the final model by itself; the library is the judge (shrike-evaluate).
"""
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

import network
from network import same_padding, weight_scales


@dataclass
class Conv:
    name: str
    sources: tuple       # the layers it reads: side by side, smaller ones enlarged to the first
    weight: np.ndarray   # int8, output channel, row, column, input channel of the group
    scales: np.ndarray   # float32 per output channel
    bias: np.ndarray     # int32 in units of input scale * weight scale
    stride: int
    groups: int
    relu6: bool
    in_scale: np.float32
    in_zero: int
    out_scale: np.float32
    out_zero: int

    @property
    def depthwise(self):
        return self.groups == len(self.weight) and self.groups > 1


def make_conv(name, sources, module, relu6, in_quant, out_quant):
    scales = weight_scales(module.weight).numpy().astype(np.float32)
    weight = module.weight.detach().numpy() / scales.reshape(-1, 1, 1, 1)
    unit = np.float64(np.float32(in_quant[0])) * scales.astype(np.float64)
    return Conv(name, sources, np.clip(np.rint(weight), -127, 127).astype(np.int8).transpose(0, 2, 3, 1), scales,
                np.rint(module.bias.detach().numpy() / unit).astype(np.int32), module.stride[0], module.groups,
                relu6, np.float32(in_quant[0]), in_quant[1], np.float32(out_quant[0]), out_quant[1])


def from_detector(model):
    """The layers in the order in which they run; every head gives "<layer>/logits" and "<layer>/boxes"."""
    relu6 = (network.RELU6_SCALE, network.RELU6_ZERO)
    layers = []
    for name, sources, *_ in network.BACKBONE:
        in_quant = (network.INPUT_SCALE, network.INPUT_ZERO) if sources == ("image",) else relu6
        layers.append(make_conv(name, sources, model.backbone[name].conv, True, in_quant, relu6))
    for sources, *_ in network.HEADS:
        head = model.heads[sources[0]]
        layers.append(make_conv(f"{sources[0]}/logits", sources, head.logits, False, relu6, (network.LOGIT_SCALE, 0)))
        layers.append(make_conv(f"{sources[0]}/boxes", sources, head.boxes, False, relu6, (network.BOX_SCALE, 0)))
    return layers


def quantize_multiplier(real):
    mantissa, shift = np.frexp(real)
    fixed = np.floor(mantissa * 2.0**31 + 0.5).astype(np.int64)
    carry = fixed == 1 << 31
    return np.where(carry, fixed // 2, fixed), shift + carry


def multiply(acc, fixed, shift):
    """MultiplyByQuantizedMultiplier on int64 arrays."""
    product = (acc << np.maximum(shift, 0)) * fixed
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    right = np.maximum(-shift, 0)
    mask = (np.int64(1) << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


def run_conv(layer, x):
    """x: int8 N,C,H,W. The sums are exact in float64."""
    weight = torch.from_numpy(layer.weight.astype(np.float64).transpose(0, 3, 1, 2).copy())
    x = same_padding(torch.from_numpy(x.astype(np.float64) - layer.in_zero), weight.shape[2], layer.stride)
    acc = F.conv2d(x, weight, torch.from_numpy(layer.bias.astype(np.float64)), layer.stride, groups=layer.groups)
    real = np.float64(layer.in_scale) * layer.scales.astype(np.float64) / np.float64(layer.out_scale)
    fixed, shift = (v.reshape(1, -1, 1, 1) for v in quantize_multiplier(real))
    y = multiply(acc.numpy().astype(np.int64), fixed, shift) + layer.out_zero
    low, high = -128, 127
    if layer.relu6:
        low = max(low, layer.out_zero)
        high = min(high, layer.out_zero + int(np.floor(np.float32(6) / layer.out_scale + 0.5)))
    return np.clip(y, low, high).astype(np.int8)


def join(values, sources):
    first = values[sources[0]]
    parts = [first]
    for name in sources[1:]:
        factor = first.shape[2] // values[name].shape[2]
        parts.append(values[name].repeat(factor, 2).repeat(factor, 3))
    return np.concatenate(parts, 1)


def logistic(q):
    values = np.arange(-128, 128).astype(np.float32) * np.float32(network.LOGIT_SCALE)
    real = np.float32(1) / (np.float32(1) + np.exp(-values))
    table = np.clip(np.floor(real * np.float32(256) + np.float32(0.5)) - 128, -128, 127).astype(np.int8)
    return table[q.astype(np.int16) + 128]


def run(layers, pixels):
    """pixels: uint8 N,H,W,3. Returns scores N,A,classes and encoded boxes N,A,4, as float32."""
    values = {"image": (pixels.astype(np.int16) - 128).astype(np.int8).transpose(0, 3, 1, 2)}
    logits, boxes = [], []
    for layer in layers:
        y = run_conv(layer, join(values, layer.sources))
        values[layer.name] = y
        if layer.name.endswith("/logits"):
            logits.append(y.transpose(0, 2, 3, 1).reshape(len(y), -1, len(network.CLASSES)))
        elif layer.name.endswith("/boxes"):
            boxes.append(y.transpose(0, 2, 3, 1).reshape(len(y), -1, 4))
    scores = (logistic(np.concatenate(logits, 1)).astype(np.float32) + 128) / 256
    return scores, np.concatenate(boxes, 1).astype(np.float32) * np.float32(network.BOX_SCALE)
