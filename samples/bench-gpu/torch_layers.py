# SPDX-License-Identifier: LGPL-2.1-or-later
"""Times PyTorch on layers of the same shapes as a model's, from what `shrike inspect MODEL --json` prints: half precision,
channels last, CUDA graphs. The weights are random, so only the time means anything.

usage: torch_layers.py INSPECT.json [--batch N] [--runs N] [--device cuda|cpu] [--save OUT.json]
"""
import argparse
import itertools
import json
import re
import statistics
import sys
import time

import torch
from torch.nn import functional as F

ACTIVATIONS = {"RELU": F.relu, "RELU6": F.relu6, "RELU_N1_TO_1": F.hardtanh, "TANH": torch.tanh}


def nchw(shape):
    """Of a tensor as PyTorch has it: NHWC with the channels second, everything else as it is."""
    return [shape[0], shape[3], shape[1], shape[2]] if len(shape) == 4 else list(shape)


def pair(pattern, text, default=(1, 1)):
    found = re.search(pattern + r"(\d+)x(\d+)", text)
    return (int(found[1]), int(found[2])) if found else default


def activation(op):
    word = op["attributes"].split()[-1] if op["attributes"] else ""
    return ACTIVATIONS.get(word, lambda x: x)


def padding(size, out, kernel, stride, dilation):
    """What is missing at the edges, before and after, for one dimension."""
    missing = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return missing // 2, missing - missing // 2


def pad_window(op, kernel, stride, dilation):
    """(left, right, top, bottom), or None where the window fits."""
    _, height, width, _ = op["inputs"][0]["shape"]
    _, out_height, out_width, _ = op["outputs"][0]["shape"]
    top = padding(height, out_height, kernel[0], stride[0], dilation[0])
    left = padding(width, out_width, kernel[1], stride[1], dilation[1])
    return (*left, *top) if any((*left, *top)) else None


class Network:
    def __init__(self, report, batch, device, dtype):
        self.report, self.batch, self.device, self.dtype = report, batch, device, dtype
        self.skipped = {}
        # what no op computes and is no input is a constant
        self.steps = [self.compile(op) for op in report["ops"]]
        self.inputs = {tensor["index"]: self.random(self.shape(tensor)) for tensor in report["inputs"]}

    def shape(self, tensor):
        shape = nchw(tensor["shape"])
        return [self.batch * shape[0], *shape[1:]] if shape else shape

    def random(self, shape):
        x = torch.randn(shape, device=self.device).to(self.dtype) * 0.1
        return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x

    def compile(self, op):
        method = getattr(self, op["op"].lower(), None)
        if method is None:
            self.skipped[op["op"]] = self.skipped.get(op["op"], 0) + 1
            outputs = [torch.zeros(self.shape(tensor), device=self.device, dtype=self.dtype)
                       for tensor in op["outputs"]]
            return op, lambda *_: outputs
        run = method(op)
        return op, lambda *x: (lambda y: y if isinstance(y, (list, tuple)) else [y])(run(*x))

    def run(self):
        values = dict(self.inputs)
        for op, run in self.steps:
            inputs = [values[tensor["index"]] for tensor in op["inputs"] if tensor["index"] in values]
            for tensor, value in zip(op["outputs"], run(*inputs)):
                values[tensor["index"]] = value
        return [values[tensor["index"]] for tensor in self.report["outputs"]]

    def check(self):
        """The shapes are those of the file."""
        values = dict(self.inputs)
        for op, run in self.steps:
            inputs = [values[tensor["index"]] for tensor in op["inputs"] if tensor["index"] in values]
            for tensor, value in zip(op["outputs"], run(*inputs)):
                if list(value.shape) != self.shape(tensor):
                    sys.exit(f"op {op['index']} {op['op']}: {list(value.shape)} here, {self.shape(tensor)} in the file")
                values[tensor["index"]] = value

    # ---- one method per op, which returns a function of its activations ----

    def convolution(self, op, groups, weight_shape):
        text = op["attributes"]
        stride, dilation = pair("stride ", text), pair("dilation ", text)
        weight, bias = self.random(weight_shape), self.random([weight_shape[0]])
        pad, act = pad_window(op, weight_shape[2:], stride, dilation), activation(op)
        same = pad and pad[0] == pad[1] and pad[2] == pad[3]
        inside = (pad[2], pad[0]) if same else (0, 0)

        def run(x):
            if pad and not same:
                x = F.pad(x, pad)
            return act(F.conv2d(x, weight, bias, stride, inside, dilation, groups))
        return run

    def conv_2d(self, op):
        out, height, width, depth = op["inputs"][1]["shape"]
        return self.convolution(op, op["inputs"][0]["shape"][3] // depth, [out, depth, height, width])

    def depthwise_conv_2d(self, op):
        _, height, width, out = op["inputs"][1]["shape"]
        return self.convolution(op, op["inputs"][0]["shape"][3], [out, 1, height, width])

    def fully_connected(self, op):
        out, depth = op["inputs"][1]["shape"]
        weight, bias, act = self.random([out, depth]), self.random([out]), activation(op)
        shape = self.shape(op["outputs"][0])
        return lambda x: act(F.linear(x.reshape(-1, depth), weight, bias)).reshape(shape)

    def pool(self, op, how):
        kernel, stride = pair("^", op["attributes"]), pair("stride ", op["attributes"])
        pad = pad_window(op, kernel, stride, (1, 1))
        return lambda x: how(F.pad(x, pad) if pad else x, kernel, stride)

    def average_pool_2d(self, op):
        return self.pool(op, F.avg_pool2d)

    def max_pool_2d(self, op):
        return self.pool(op, F.max_pool2d)

    def elementwise(self, op, how):
        act, missing = activation(op), self.random(self.shape(op["inputs"][-1]))
        return lambda x, y=missing: act(how(x, y))

    def add(self, op):
        return self.elementwise(op, torch.add)

    def sub(self, op):
        return self.elementwise(op, torch.sub)

    def mul(self, op):
        return self.elementwise(op, torch.mul)

    def concatenation(self, op):
        axis = int(re.search(r"axis (-?\d+)", op["attributes"])[1])
        rank = len(op["outputs"][0]["shape"])
        axis = axis % rank
        return lambda *x: torch.cat(x, (0, 2, 3, 1)[axis] if rank == 4 else axis)

    def pad(self, op):
        before, after = self.shape(op["inputs"][0]), self.shape(op["outputs"][0])
        pads = [n for a, b in reversed(list(zip(before, after))) for n in ((b - a) // 2, b - a - (b - a) // 2)]
        return lambda x, *_: F.pad(x, pads)

    def reshape(self, op):
        def dense(x):
            return x.permute(0, 2, 3, 1) if x.dim() == 4 else x
        shape = op["outputs"][0]["shape"]
        shape = [self.batch * shape[0], *shape[1:]]
        return lambda x, *_: (lambda y: y.permute(0, 3, 1, 2) if y.dim() == 4 else y)(dense(x).reshape(shape))

    def transpose(self, op):
        """The file's order is not in the report: any that gives the shape takes as long."""
        before, after = self.shape(op["inputs"][0]), self.shape(op["outputs"][0])
        orders = [order for order in itertools.permutations(range(len(before)))
                  if [before[i] for i in order] == after]
        order = orders[-1]
        return lambda x, *_: x.permute(order).contiguous()

    def resize_nearest_neighbor(self, op):
        size = self.shape(op["outputs"][0])[2:]
        return lambda x, *_: F.interpolate(x, size=size, mode="nearest")

    def resize_bilinear(self, op):
        size = self.shape(op["outputs"][0])[2:]
        return lambda x, *_: F.interpolate(x, size=size, mode="bilinear")

    def mean(self, op):
        shape = self.shape(op["outputs"][0])
        return lambda x, *_: x.mean(dim=(2, 3), keepdim=True).reshape(shape)

    def leaky_relu(self, op):
        alpha = float(re.search(r"alpha (\S+)", op["attributes"])[1])
        return lambda x: F.leaky_relu(x, alpha)

    def logistic(self, op):
        return torch.sigmoid

    def relu(self, op):
        return F.relu

    def relu6(self, op):
        return F.relu6

    def hard_swish(self, op):
        return F.hardswish

    def tanh(self, op):
        return torch.tanh

    def softmax(self, op):
        return lambda x: F.softmax(x, 1 if x.dim() == 4 else -1)

    def quantize(self, op):  # half precision has nothing to do here
        return lambda x: x

    dequantize = quantize


def time_cuda(network, runs):
    """Milliseconds on the device of each replay of the graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            network.run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network.run()
    for _ in range(20):
        graph.replay()
    torch.cuda.synchronize()
    times = []
    for _ in range(runs):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return times


def time_cpu(network, runs):
    times = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        network.run()
        times.append((time.perf_counter() - start) * 1e3)
    return times[2:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--save")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("skipped: torch finds no CUDA device")
        return
    torch.backends.cudnn.benchmark = True
    with open(args.report, encoding="utf-8") as file:
        report = json.load(file)
    dtype = torch.float16 if args.device == "cuda" else torch.float32
    with torch.inference_mode():
        network = Network(report, args.batch, args.device, dtype)
        network.check()
        times = (time_cuda if args.device == "cuda" else time_cpu)(network, args.runs)
    name = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    median = statistics.median(times)
    how = "float16, channels last, CUDA graph" if args.device == "cuda" else "float32"
    print(f"PyTorch {torch.__version__} on {name}: {how}, batch {args.batch}: median {median:.3f} ms of {args.runs}, "
          f"fastest {min(times):.3f} ms")
    if network.skipped:
        print("left out:", ", ".join(f"{count} {op}" for op, count in network.skipped.items()))
    if args.save:
        with open(args.save, "w", encoding="utf-8") as file:
            json.dump({"torch": torch.__version__, "device": name, "batch": args.batch, "runs": args.runs,
                       "left_out": network.skipped, "fastest_ms": min(times), "median_ms": median}, file, indent=2,
                      separators=(",", " : "))
            file.write("\n")


if __name__ == "__main__":
    main()
