# SPDX-License-Identifier: LGPL-2.1-or-later
"""The default detector: an SSD of depthwise separable and grouped convolutions.

One table describes it for training, quantization and export. Everything is NHWC in the exported file and NCHW here.
"""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

CLASSES = ["ball", "box", "triangle", "star", "ring", "cross"]
WIDTH, HEIGHT = 256, 192
# Encoded boxes are multiples of these, as in the TensorFlow object detection API.
CENTRE_SCALE, SIZE_SCALE = 10.0, 5.0

# name, layers read (more than one: concatenated, the later ones enlarged to the first), output channels, kernel,
# stride, groups
BACKBONE = [
    ("stem", ("image",), 8, 3, 2, 1),
    ("group1", ("stem",), 16, 3, 2, 2),
    ("dw2", ("group1",), 16, 3, 1, 16),
    ("pw2", ("dw2",), 24, 1, 1, 1),
    ("dw3", ("pw2",), 24, 3, 2, 24),
    ("pw3", ("dw3",), 48, 1, 1, 1),
    ("dw4", ("pw3",), 48, 3, 1, 48),
    ("pw4", ("dw4",), 48, 1, 1, 1),
    ("dw5", ("pw4",), 48, 3, 1, 48),
    ("pw5", ("dw5",), 48, 1, 1, 1),
    ("dw6", ("pw5",), 48, 3, 2, 48),
    ("pw6", ("dw6",), 80, 1, 1, 1),
    ("group7", ("pw6",), 80, 3, 1, 10),
    ("pw7", ("group7",), 80, 1, 1, 1),
    ("context", ("pw7",), 32, 1, 1, 1),
    ("dw8", ("pw7",), 80, 3, 2, 80),
    ("pw8", ("dw8",), 96, 1, 1, 1),
    ("dw9", ("pw8",), 96, 3, 1, 96),
    ("pw9", ("dw9",), 96, 1, 1, 1),
]
# layers read, stride, anchor sides in input pixels
HEADS = [
    (("pw5", "context"), 8, (17, 26)),
    (("pw7",), 16, (40, 60)),
    (("pw9",), 32, (88, 128)),
]


def same_padding(x, kernel, stride):
    """TensorFlow's SAME: the odd pixel goes to the right and the bottom."""
    def split(size):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2
    (top, bottom), (left, right) = split(x.shape[2]), split(x.shape[3])
    return F.pad(x, (left, right, top, bottom)) if top or bottom or left or right else x


class ConvUnit(nn.Module):
    """Convolution, batch normalization and RELU6; after fold() a biased convolution and, if asked, fake
    quantization of its weights (int8, one scale per output channel) and of its output (int8 on 0 to 6)."""

    def __init__(self, cin, cout, kernel, stride, groups):
        super().__init__()
        # A symmetric border is cheaper where it means the same
        self.border = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(cin, cout, kernel, stride, self.border, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(cout, momentum=0.03)
        self.quantized = False

    def fold(self):
        gain = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        with torch.no_grad():
            self.conv.weight *= gain.reshape(-1, 1, 1, 1)
            self.conv.bias = nn.Parameter(self.norm.bias - self.norm.running_mean * gain)
        self.norm = None

    def forward(self, x):
        if not self.border:
            x = same_padding(x, self.conv.kernel_size[0], self.conv.stride[0])
        if not self.quantized:
            x = self.conv(x)
            return F.hardtanh(self.norm(x) if self.norm else x, 0, 6, inplace=True)
        x = F.conv2d(x, quantize_weights(self.conv.weight), self.conv.bias, self.conv.stride, self.border,
                     groups=self.conv.groups)
        return torch.fake_quantize_per_tensor_affine(x, RELU6_SCALE, RELU6_ZERO, -128, 127)


# Every activation has a fixed scale: RELU6 outputs fill 0 to 6, the input is (level - 128) / 128, class logits reach
# +-8 and encoded boxes +-8. Training with these scales makes calibration unnecessary.
INPUT_SCALE, INPUT_ZERO = 1 / 128, 0
RELU6_SCALE, RELU6_ZERO = 6 / 255, -128
LOGIT_SCALE, BOX_SCALE = 1 / 16, 1 / 16


def weight_scales(weight):
    return torch.clamp(weight.detach().flatten(1).abs().amax(1), min=1e-6) / 127


def quantize_weights(weight):
    scales = weight_scales(weight)
    return torch.fake_quantize_per_channel_affine(weight, scales, torch.zeros(len(scales), dtype=torch.int32), 0,
                                                  -127, 127)


class Head(nn.Module):
    """A 1x1 convolution each to class logits and encoded boxes."""

    def __init__(self, channels, anchors):
        super().__init__()
        self.logits = nn.Conv2d(channels, anchors * len(CLASSES), 1)
        self.boxes = nn.Conv2d(channels, anchors * 4, 1)
        nn.init.constant_(self.logits.bias, -4.0)
        for conv in (self.logits, self.boxes):
            nn.init.normal_(conv.weight, std=0.01)
        self.quantized = False

    def forward(self, x):
        return [self.run(self.logits, x, LOGIT_SCALE, len(CLASSES)), self.run(self.boxes, x, BOX_SCALE, 4)]

    def run(self, conv, x, scale, depth):
        if self.quantized:
            y = F.conv2d(x, quantize_weights(conv.weight), conv.bias)
            y = torch.fake_quantize_per_tensor_affine(y, scale, 0, -128, 127)
        else:
            y = conv(x)
        return y.permute(0, 2, 3, 1).reshape(len(y), -1, depth)


def join(values, sources):
    """The sources side by side, smaller ones enlarged by repetition to the size of the first."""
    first = values[sources[0]]
    rest = [F.interpolate(values[name], size=first.shape[2:], mode="nearest") for name in sources[1:]]
    return torch.cat([first] + rest, 1) if rest else first


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        channels = {"image": 3}
        self.backbone, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for name, sources, cout, kernel, stride, groups in BACKBONE:
            cin = sum(channels[source] for source in sources)
            self.backbone[name] = ConvUnit(cin, cout, kernel, stride, groups)
            channels[name] = cout
        for sources, _, sides in HEADS:
            self.heads[sources[0]] = Head(sum(channels[source] for source in sources), len(sides))

    def forward(self, x):
        """x: N,3,H,W in -1 to 1. Returns logits N,A,classes and encoded boxes N,A,4 (y, x, h, w)."""
        values = {"image": x}
        for name, sources, *_ in BACKBONE:
            values[name] = self.backbone[name](join(values, sources))
        logits, boxes = zip(*(self.heads[sources[0]](join(values, sources)) for sources, _, _ in HEADS))
        return torch.cat(logits, 1), torch.cat(boxes, 1)

    def fold(self):
        for unit in self.backbone.values():
            unit.fold()

    def quantize(self):
        for unit in list(self.backbone.values()) + list(self.heads.values()):
            unit.quantized = True


def anchors():
    """A,4: centre y, centre x, height, width in fractions of the input; the order of the heads' outputs."""
    rows = []
    for _, stride, sides in HEADS:
        ys, xs, ss = np.meshgrid(np.arange(HEIGHT // stride), np.arange(WIDTH // stride), sides, indexing="ij")
        rows.append(np.stack([(ys + 0.5) * stride / HEIGHT, (xs + 0.5) * stride / WIDTH, ss / HEIGHT, ss / WIDTH],
                             -1).reshape(-1, 4))
    return np.concatenate(rows).astype(np.float32)
