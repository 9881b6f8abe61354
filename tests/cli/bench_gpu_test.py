# SPDX-License-Identifier: LGPL-2.1-or-later
"""samples/bench-gpu.sh as its user runs it: packed, unpacked elsewhere, run with an empty environment.

usage: bench_gpu_test.py SCRIPT BUILD_FOLDER
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SCRIPT, BUILD = sys.argv[1:3]
OK, FAILED, USAGE, NO_DEVICE = 0, 1, 2, 4


def run(*args, **env):
    drivers = {name: value for name, value in os.environ.items() if name.startswith("VK_")}
    return subprocess.run([*map(str, args)], capture_output=True, text=True, timeout=550,
                          env={"PATH": os.environ["PATH"], **drivers, **env})


class BenchGpu(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = pathlib.Path(cls.folder.name)
        model = cls.dir / "shapes two.tflite"
        shutil.copy(pathlib.Path(SCRIPT).parent / "models" / "shapes.tflite", model)
        (cls.dir / "shapes two.modelinfo").write_text("[modelinfo]\nversion=1.0\ndecoder=none\n")
        cls.packed = run(SCRIPT, "--pack", cls.dir / "p.tar.gz", "--build", BUILD, model)
        shutil.unpack_archive(cls.dir / "p.tar.gz", cls.dir / "there")
        cls.script = cls.dir / "there" / "shrike-bench" / "bench-gpu.sh"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_what_is_packed(self):
        self.assertEqual(self.packed.returncode, OK, self.packed.stderr)
        names = {path.name for path in self.script.parent.rglob("*")}
        for name in ("shrike", "libshrike.so.0", "shapes two.tflite", "shapes two.modelinfo", "torch_layers.py"):
            self.assertIn(name, names)
        self.assertFalse(any(name.startswith("libvulkan") for name in names))

    def test_report(self):
        out = self.dir / "out"
        result = run(self.script, "--out", out, "--seconds", "0", "--no-tune", PYTHON="/bin/false")
        self.assertEqual(result.returncode, OK, result.stderr)
        report = (out / "report.md").read_text()
        for model in ("default", "shapes_two"):
            self.assertRegex(report, rf"(?m)^\| {model} \| 17\.\d \|  \| \d+\.\d{{3}} \| \d+ % \| \d+\.\d \| "
                                     r"\d+\.\d \(\d+\) \| \d+ \| \d+ \| equal \|  \|  \|$")
            bench = json.loads((out / model / "bench.json").read_text())
            self.assertIn(f"| {bench['steady']['inference']['median_ns'] / 1e6:.3f} | "
                          f"{100 * bench['total']['roof_ns'] / bench['total']['ns']:.0f} % |", report)
            for picture in ("roofline", "batch", "memory"):
                self.assertIn(f"({model}/{picture}.png)", report)
                self.assertEqual((out / model / f"{picture}.png").read_bytes()[1:4], b"PNG")
        self.assertIn("ceilings of the device", report)
        self.assertIn("no Python with torch", result.stderr)
        again = run(self.script, "--out", out, "default")
        self.assertEqual(again.returncode, FAILED)
        self.assertIn("out is not empty", again.stderr)

    def test_a_model_that_is_none(self):
        bad, out = self.dir / "bad.tflite", self.dir / "bad"
        bad.write_bytes(b"no model")
        result = run(self.script, "--out", out, "--seconds", "0", "--no-tune", bad)
        self.assertEqual(result.returncode, FAILED)
        self.assertRegex((out / "report.md").read_text(), r"(?s)\| bad \|.*\| failed \|.*bad\.tflite")

    def test_refused(self):
        for args, code, text in ((("--nonsense",), USAGE, "no option --nonsense"), (("--out",), USAGE, "needs a value"),
                                 (("--device", "no such thing"), NO_DEVICE, "no such thing")):
            result = run(self.script, *args)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(text, result.stderr)
        result = run(SCRIPT, "--pack", self.dir / "q.tar.gz", "--build", self.dir)
        self.assertEqual(result.returncode, FAILED)
        self.assertIn("build Shrike first", result.stderr)
        result = run(SCRIPT, "--pack", self.dir / "q.tar.gz", "--build", BUILD, "missing.tflite")
        self.assertEqual(result.returncode, FAILED)
        self.assertIn("no model missing.tflite", result.stderr)
        self.assertIn("--pack OUT.tar.gz", run(SCRIPT, "--help").stdout)


if __name__ == "__main__":
    if subprocess.run([f"{BUILD}/samples/cli/shrike", "devices"], capture_output=True).returncode == NO_DEVICE:
        print("skipped: no Vulkan device")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
