# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frames and boxes from the scene generator."""
import struct
import subprocess

import numpy as np


class Scenes:
    """Reads the records of `shrike-scenes --stream` one batch at a time."""

    def __init__(self, program, seed, first, count, width, height):
        self.size = (height, width, 3)
        self.process = subprocess.Popen(
            [program, "--stream", "--seed", str(seed), "--first", str(first), "--count", str(count),
             "--size", f"{width}x{height}"], stdout=subprocess.PIPE, bufsize=1 << 20)

    def read(self, size):
        data = self.process.stdout.read(size)
        if len(data) != size:
            raise EOFError("the scene generator ended early")
        return data

    def frame(self):
        """One frame: H,W,3 uint8 and M,5 float32 of class, x_min, y_min, x_max, y_max."""
        count, = struct.unpack("=I", self.read(4))
        record = np.frombuffer(self.read(20 * count), dtype=[("c", "=u4"), ("b", "=f4", 4)])
        objects = np.concatenate([record["c"][:, None].astype(np.float32), record["b"]], 1)
        pixels = np.frombuffer(self.read(int(np.prod(self.size))), np.uint8).reshape(self.size)
        return pixels, objects

    def batch(self, count):
        frames = [self.frame() for _ in range(count)]
        return np.stack([f[0] for f in frames]), [f[1] for f in frames]

    def close(self):
        self.process.stdout.close()
        self.process.terminate()
        self.process.wait()
