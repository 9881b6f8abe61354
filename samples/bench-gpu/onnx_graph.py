# SPDX-License-Identifier: LGPL-2.1-or-later
"""Times onnxruntime on a model: inputs and outputs stay on the device, so that copies do not count.

usage: onnx_graph.py MODEL.onnx [--runs N] [--save OUT.json]
"""
import argparse
import json
import statistics
import time

import numpy
import onnxruntime

TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8", "tensor(int8)": "int8",
         "tensor(int32)": "int32", "tensor(int64)": "int64"}
WANTED = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "ROCMExecutionProvider", "CPUExecutionProvider")


def bind(session, device):
    """Noise for every input; an open dimension is 1."""
    binding = session.io_binding()
    noise = numpy.random.default_rng(1)
    for tensor in session.get_inputs():
        shape = [side if isinstance(side, int) and side > 0 else 1 for side in tensor.shape]
        data = (noise.random(shape) * 200).astype(TYPES[tensor.type])
        binding.bind_ortvalue_input(tensor.name, onnxruntime.OrtValue.ortvalue_from_numpy(data, device, 0))
    for tensor in session.get_outputs():
        binding.bind_output(tensor.name, device)
    return binding


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--save")
    args = parser.parse_args()
    available = onnxruntime.get_available_providers()
    session = onnxruntime.InferenceSession(args.model, providers=[name for name in WANTED if name in available])
    provider = session.get_providers()[0]
    binding = bind(session, "cpu" if provider.startswith("CPU") else "cuda")
    times = []
    for _ in range(args.runs + 10):
        start = time.perf_counter()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        times.append((time.perf_counter() - start) * 1e3)
    times = times[10:]
    median = statistics.median(times)
    print(f"onnxruntime {onnxruntime.__version__}, {provider}: median {median:.3f} ms of {args.runs}, "
          f"fastest {min(times):.3f} ms")
    if args.save:
        with open(args.save, "w", encoding="utf-8") as file:
            json.dump({"onnxruntime": onnxruntime.__version__, "provider": provider, "runs": args.runs,
                       "fastest_ms": min(times), "median_ms": median}, file, indent=2, separators=(",", " : "))
            file.write("\n")


if __name__ == "__main__":
    main()
