# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trains the default detector on generated scenes, quantizes it, measures it and writes it as a .tflite file.

One thread, no data from outside. The same machine gives the same file again; another kind of CPU sums floats in another
order and gives another file that is as good.
"""
import argparse
import time

import numpy as np
import torch

import export
import integer
import metric
from loss import assign, detection_loss
from network import CLASSES, Detector, HEIGHT, WIDTH, anchors
from scenes import Scenes

TRAIN_SEED, TEST_SEED = 1, 2
REPORT_EVERY = 250


def learning_rate(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * (step - warmup) / max(1, steps - warmup))))


def run_phase(name, model, scenes, steps, batch, peak, warmup):
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=1e-4)
    places = torch.from_numpy(anchors())
    started, sums = time.time(), np.zeros(2)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak, warmup)
        pixels, objects = scenes.batch(batch)
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().sub_(128).div_(128)
        target, encoded = assign(places, objects)
        classes, boxes = detection_loss(*model(x), target, encoded)
        optimizer.zero_grad()
        (classes + boxes).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
        sums += classes.item(), boxes.item()
        if (step + 1) % REPORT_EVERY == 0:
            print(f"{name}: step {step + 1} of {steps}, class loss {sums[0] / REPORT_EVERY:.4f}, "
                  f"box loss {sums[1] / REPORT_EVERY:.4f}, {time.time() - started:.0f} s", flush=True)
            sums[:] = 0


def train(args):
    model = Detector()
    scenes = Scenes(args.scenes, TRAIN_SEED, 0, (args.steps + args.fine_steps) * args.batch, WIDTH, HEIGHT)
    run_phase("float", model, scenes, args.steps, args.batch, args.rate, 300)
    model.eval()
    model.fold()
    model.quantize()
    run_phase("quantized", model, scenes, args.fine_steps, args.batch, args.rate / 10, 100)
    scenes.close()
    return model


def restore(path):
    model = Detector().eval()
    model.fold()
    model.load_state_dict(torch.load(path))
    return model


def measure(layers, scenes_program, count, batch=20):
    """Average precision per class of the integer model on scenes that training has not seen."""
    scenes = Scenes(scenes_program, TEST_SEED, 0, count, WIDTH, HEIGHT)
    found, truths, places = [], [], anchors()
    for first in range(0, count, batch):
        pixels, objects = scenes.batch(min(batch, count - first))
        scores, boxes = integer.run(layers, pixels)
        found += [metric.detect(s, b, places, 0.02, export.MAX_DETECTIONS) for s, b in zip(scores, boxes)]
        truths += objects
    scenes.close()
    return metric.average_precision(found, truths)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", default="shrike-scenes", help="the scene generator program")
    parser.add_argument("--library", default="libshrike.so.0", help="libshrike, which writes the file")
    parser.add_argument("--steps", type=int, default=15000, help="float training steps")
    parser.add_argument("--fine-steps", type=int, default=1200, help="quantization-aware steps")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--test", type=int, default=1000, help="held-out scenes to measure on; 0: don't")
    parser.add_argument("--weights", default="weights.pt", help="where the trained weights go")
    parser.add_argument("--restore", action="store_true", help="read the weights instead of training")
    parser.add_argument("out", help="the .tflite file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)

    model = restore(args.weights) if args.restore else train(args)
    torch.save(model.state_dict(), args.weights)
    layers = integer.from_detector(model)
    if args.test:
        results = measure(layers, args.scenes, args.test)
        for name, value in zip(CLASSES, results):
            print(f"{name:10} AP@0.5 {value:.4f}")
        print(f"mAP@0.5 {np.mean(results):.4f} on {args.test} scenes", flush=True)
    export.write(layers, args.out, args.library)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
