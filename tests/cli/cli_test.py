# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shrike tool as a user runs it: what it prints, what it says about bad input, and its exit codes.

usage: cli_test.py SHRIKE DEFAULT_MODEL      (the kit, if there is one, in SHRIKE_KIT)
"""
import json
import math
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
import zlib

SHRIKE, DEFAULT_MODEL = sys.argv[1:3]
KIT = pathlib.Path(os.environ.get("SHRIKE_KIT", "/nonexistent"))
# Not with sanitizers: support/validation.h says why.
VALIDATION = ["--validation"] if os.environ.get("SHRIKE_VALIDATION") != "0" else []
# Only for a build with sanitizers; see keep_loaded.c.
PRELOAD = os.environ.get("SHRIKE_TEST_PRELOAD")
SANITIZED = {"LD_PRELOAD": PRELOAD, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
             "LSAN_OPTIONS": os.environ.get("LSAN_OPTIONS", "") + ":print_suppressions=0"} if PRELOAD else {}
OK, FAILED, USAGE, BAD_INPUT, NO_DEVICE, DIFFERENT = range(6)


def shrike(*args, env=None):
    return subprocess.run([SHRIKE, *map(str, args)], capture_output=True, text=True, timeout=600,
                          env={**os.environ, **SANITIZED, **(env or {})})


def scene(width=320, height=240):
    """RGB rows of a red disc and a white box on grey."""
    rows = []
    for y in range(height):
        row = bytearray()
        for x in range(width):
            if (x - 90) ** 2 + (y - 100) ** 2 < 45 ** 2:
                row += b"\xe0\x20\x20"
            elif 200 <= x < 280 and 120 <= y < 200:
                row += b"\xf0\xf0\xf0"
            else:
                row += b"\x46\x46\x46"
        rows.append(bytes(row))
    return rows


def png(rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b""))


def ppm(rows):
    return b"P6\n# drawn by a test\n%d %d\n255\n" % (len(rows[0]) // 3, len(rows)) + b"".join(rows)


def bmp(rows):
    width = len(rows[0]) // 3
    pad = b"\0" * (-len(rows[0]) % 4)
    body = b"".join(bytes(row[i] for p in range(0, len(row), 3) for i in (p + 2, p + 1, p)) + pad
                    for row in reversed(rows))
    return (b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, width, len(rows), 1, 24, 0, len(body), 0, 0, 0, 0) + body)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = pathlib.Path(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def write(self, name, data):
        path = self.dir / name
        path.write_bytes(data)
        return path

    def ok(self, *args):
        result = shrike(*args)
        self.assertEqual(result.returncode, OK, result.stderr)
        return result.stdout

    def ok_json(self, *args):
        return json.loads(self.ok(*args, "--json"))

    def fails(self, code, pattern, *args, env=None):
        """One line on stderr that begins with the program's name, nothing on stdout, the exit code."""
        result = shrike(*args, env=env)
        self.assertEqual(result.returncode, code, f"{args}: {result.stdout} {result.stderr}")
        self.assertRegex(result.stderr, r"\Ashrike: [^\n]+\n\Z")
        self.assertRegex(result.stderr, pattern)
        if code != DIFFERENT:
            self.assertEqual(result.stdout, "")


class Usage(Case):
    def test_help(self):
        for command in ("inspect", "run", "bench", "devices", "verify"):
            text = self.ok(command, "--help")
            self.assertIn(f"shrike {command}", text)
            self.assertIn("Exit status:", text)
            self.assertIn("--device", text)
            self.assertIn(command, self.ok("--help"))
        self.assertRegex(self.ok("--version"), r"^shrike \d+\.\d+\.\d+\n$")

    def test_wrong_usage(self):
        self.assertEqual(shrike().returncode, USAGE)
        self.fails(USAGE, "no command 'explode'", "explode")
        self.fails(USAGE, "missing argument", "inspect")
        self.fails(USAGE, "unexpected argument 'b'", "inspect", "a", "b")
        self.fails(USAGE, "--nonsense", "inspect", "--nonsense", "default")
        self.fails(USAGE, "either a picture or --input", "run", "default")
        self.fails(USAGE, "--annotate needs a picture", "run", "default", "--input", "x", "--annotate", "y")
        self.fails(USAGE, "--threshold 1.5 is outside", "run", "default", "x.png", "--threshold", "1.5")
        self.fails(USAGE, "--threshold -1 is outside", "run", "default", "x.png", "--threshold=-1")
        self.fails(USAGE, "--iou 2 is outside", "run", "default", "x.png", "--iou", "2")
        self.fails(USAGE, "--max-detections", "run", "default", "x.png", "--max-detections", "5000")
        self.fails(USAGE, "--frames", "bench", "default", "--frames", "0")
        self.fails(USAGE, "--size 0x5", "bench", "default", "--size", "0x5")
        self.fails(USAGE, "WIDTHxHEIGHT", "bench", "default", "--size", "big")
        self.fails(USAGE, "--runs", "verify", "default", "--runs", "0")


class Inspect(Case):
    def test_default(self):
        text = self.ok("inspect", "default")
        for word in ("input 0:", "output 0:", "arena peak", "lower bound", "MMAC", "grouped", "depthwise"):
            self.assertIn(word, text)

    def check_macs(self, model):
        """Every count against the formula, from the shapes alone."""
        report = self.ok_json("inspect", model)
        total = 0
        for op in report["ops"]:
            if op["op"] in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                n, height, width, out = op["outputs"][0]["shape"]
                _, kh, kw, depth = op["inputs"][1]["shape"]
                channels = op["inputs"][0]["shape"][3]
                taps = kh * kw * (1 if op["op"].startswith("DEPTH") else depth)
                self.assertEqual(op["macs"], n * height * width * out * taps, (model, op["index"]))
                if op["kind"] == "grouped":
                    self.assertGreater(channels // depth, 1)
            self.assertGreaterEqual(op["flops"], 2 * op["macs"])
            total += op["macs"]
        self.assertEqual(report["totals"]["macs"], total)
        self.assertEqual(sum(report["totals"]["macs_by_kind"].values()), total)
        self.assertGreater(total, 0)
        memory = report["memory"]
        self.assertGreaterEqual(memory["arena_peak"], memory["lower_bound"])
        self.assertGreaterEqual(memory["no_reuse"], memory["arena_peak"])
        return report

    def test_macs_of_default(self):
        self.check_macs("default")

    @unittest.skipUnless(KIT.is_dir(), "no kit")
    def test_macs_of_kit(self):
        expected = {"qeng_detect": 728, "ssd_slim": 19, "mcunet_detection": 18, "tf2_mbv2": 301}
        for model, mmac in expected.items():
            with self.subTest(model=model):
                report = self.check_macs(KIT / "models" / f"{model}.tflite")
                self.assertAlmostEqual(report["totals"]["macs"] / 1e6, mmac, delta=1)


class InspectMemory(Case):
    def check_plan(self, model):
        report = self.ok_json("inspect", model, "--memory")
        memory, tensors = report["memory"], set()
        blocks, alive = memory["blocks"], [0] * (len(report["ops"]) + 2)
        for i, a in enumerate(blocks):
            for step in range(a["first_step"], a["last_step"] + 1):
                alive[step] += a["bytes"]
            for b in blocks[:i]:
                if a["first_step"] <= b["last_step"] and b["first_step"] <= a["last_step"]:
                    self.assertTrue(a["offset"] + a["bytes"] <= b["offset"] or b["offset"] + b["bytes"] <= a["offset"])
            if a["what"] != "scratch":
                tensors.add(a["tensor"])
        self.assertEqual(memory["alive"], alive)
        self.assertEqual(max(alive), memory["lower_bound"])
        self.assertEqual(max(block["offset"] + block["bytes"] for block in blocks), memory["arena_peak"])
        self.assertEqual(len(tensors), sum(block["what"] != "scratch" for block in blocks))
        fused = any(op.get("fused_into") == -1 for op in report["ops"])  # the block is then of what that op writes
        for tensor in report["inputs"]:
            self.assertTrue(any((fused or block.get("tensor") == tensor["index"]) and block["what"] == "input"
                                for block in blocks))
        return report

    def test_plan(self):
        report = self.check_plan("default")
        text = self.ok("inspect", "default", "--memory")
        self.assertIn(f"{report['memory']['lower_bound']} bytes, the lower bound, of", text)
        self.assertIn("arena peak", text)
        self.assertRegex(text, r"(?m)^ *0 +\d+ +inputs +op 0 \w+ +input +1 ")

    @unittest.skipUnless(KIT.is_dir(), "no kit")
    def test_plans_of_kit(self):
        for model in sorted((KIT / "models").glob("*.tflite")):
            with self.subTest(model=model.name):
                self.check_plan(model)

    def test_plot(self):
        svg, image = self.dir / "memory.svg", self.dir / "memory.png"
        blocks = self.ok_json("inspect", "default", "--memory", "--plot", svg)["memory"]["blocks"]
        root = xml.etree.ElementTree.parse(svg).getroot()
        paths = sum(1 for _ in root.iter("{http://www.w3.org/2000/svg}path"))
        self.assertGreater(paths, 2 * len(blocks))  # filled and stroked
        self.ok("inspect", "default", "--memory", "--plot", image)
        self.assertEqual(struct.unpack(">II", image.read_bytes()[16:24]), (2080, 1280))
        self.fails(USAGE, "--plot is for --memory", "inspect", "default", "--plot", svg)
        self.fails(USAGE, r"must end in \.svg or \.png", "inspect", "default", "--memory", "--plot", self.dir / "a.pdf")
        missing = self.dir / "missing" / "memory.svg"
        self.fails(FAILED, f"{missing} cannot be written", "inspect", "default", "--memory", "--plot", missing)


class Devices(Case):
    def test_list(self):
        devices = self.ok_json("devices")
        self.assertEqual(sum(device["chosen"] for device in devices), 1)
        for device in devices:
            picked = self.ok_json("devices", "--device", device["uuid"])
            self.assertTrue(any(d["chosen"] and d["uuid"] == device["uuid"] for d in picked))
            self.assertIn(device["name"], self.ok("devices"))

    def test_none(self):
        self.fails(NO_DEVICE, "no such thing", "devices", "--device", "no such thing")
        self.fails(NO_DEVICE, "no such thing", "bench", "default", "--device", "no such thing")
        nowhere = {"VK_DRIVER_FILES": "/nonexistent.json", "VK_ICD_FILENAMES": "/nonexistent.json"}
        self.fails(NO_DEVICE, "mesa-vulkan-drivers", "devices", env=nowhere)
        picture = self.write("a.png", png(scene()))
        self.fails(NO_DEVICE, "mesa-vulkan-drivers", "run", "default", picture, env=nowhere)


class Run(Case):
    def test_formats_agree(self):
        rows = scene()
        found = []
        for name, data in (("a.png", png(rows)), ("a.ppm", ppm(rows)), ("a.bmp", bmp(rows))):
            report = self.ok_json("run", "default", self.write(name, data), *VALIDATION, "--threshold", "0.3")
            self.assertEqual((report["width"], report["height"]), (320, 240))
            found.append(report["detections"])
        self.assertEqual(found[0], found[1])
        self.assertEqual(found[0], found[2])
        self.assertGreaterEqual(len(found[0]), 1)
        for d in found[0]:
            self.assertTrue(0 <= d["x_min"] <= d["x_max"] <= 1 and 0 <= d["y_min"] <= d["y_max"] <= 1, d)
            self.assertTrue(0.3 <= d["confidence"] <= 1, d)
            self.assertNotIn("class ", d["label"])

    def test_table_and_picture(self):
        out = self.dir / "boxes.png"
        text = self.ok("run", "default", self.write("a.png", png(scene())), "--annotate", out)
        self.assertIn("inference", text)
        data = out.read_bytes()
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", data[16:24]), (320, 240))

    def test_reference_gives_the_same_bytes(self):
        report = self.ok_json("inspect", "default")
        inputs = []
        for tensor in report["inputs"]:
            size = {"int8": 1, "uint8": 1, "float32": 4}[tensor["dtype"]]
            for side in tensor["shape"]:
                size *= side
            inputs += ["--input", self.write(f"in_{len(inputs)}.bin", random.Random(3).randbytes(size))]
        self.ok("run", "default", *inputs, "--dump", self.dir / "device", *VALIDATION)
        self.ok("run", "default", *inputs, "--dump", self.dir / "reference", "--reference")
        names = sorted(path.name for path in (self.dir / "device").iterdir())
        self.assertEqual(names, [f"out_{k}.bin" for k in range(len(report["outputs"]))])
        for name in names[:1]:
            self.assertEqual((self.dir / "device" / name).read_bytes(), (self.dir / "reference" / name).read_bytes())

    @unittest.skipUnless(KIT.is_dir(), "no kit")
    def test_goldens(self):
        for model in ("person_detect__tflm_person", "resnet8_int8__cat", "vww_96_int8__grace_hopper"):
            golden = KIT / "goldens" / model
            path = KIT / "models" / (model.split("__")[0] + ".tflite")
            self.ok("run", path, "--input", golden / "in.bin", "--dump", self.dir / model)
            self.assertEqual((self.dir / model / "out_0.bin").read_bytes(), (golden / "out_0.bin").read_bytes())
        golden = KIT / "zoo" / "add_0"
        self.ok("run", golden / "model.tflite", "--input", golden / "in_0.bin", "--input", golden / "in_1.bin",
                "--dump", self.dir / "add")
        self.assertEqual((self.dir / "add" / "out_0.bin").read_bytes(), (golden / "out_0.bin").read_bytes())


class Verify(Case):
    def test_default(self):
        report = self.ok_json("verify", "default", *VALIDATION, "--runs", "2")
        self.assertTrue(report["equal"])
        self.assertEqual(report["differences"], [])
        self.assertGreater(report["elements"], 1000)
        self.assertIn("equal:", self.ok("verify", "default", self.write("a.png", png(scene()))))


class Tune(Case):
    def test_default(self):
        cache = self.dir / "cache"
        text = self.ok("tune", "default", "--cache-dir", cache, *VALIDATION)
        for word in ("rule of thumb", "CONV_2D", "as tuned", str(cache)):
            self.assertIn(word, text)
        files = [path for path in cache.iterdir() if path.name.startswith("shrike-tuned-")]
        self.assertEqual(len(files), 1)
        found = files[0].read_text()
        self.assertIn("use\tCONV_2D", found)
        self.ok("tune", "default", "--cache-dir", cache)  # all known
        self.assertEqual(files[0].read_text(), found)
        self.assertIn("equal:", self.ok("verify", "default", "--cache-dir", cache))
        files[0].write_bytes(b"\xff\x00damaged")
        self.assertIn("equal:", self.ok("verify", "default", "--cache-dir", cache))
        self.assertIn("not remembered", self.ok("tune", "default", "--cache-dir", ""))


class Bench(Case):
    QUICK = ("bench", "default", "--frames", "3", "--seconds", "0")

    def test_default(self):
        cache = self.dir / "cache"
        report = self.ok_json("bench", "default", "--frames", "5", "--cache-dir", cache, *VALIDATION)
        self.assertEqual(report["steady"]["frames"], 5)
        self.assertEqual(report["memory"]["steady_driver_allocations"], 0)
        self.assertGreater(report["steady"]["inference"]["median_ns"], 0)
        self.assertGreater(sum(op["ns"] for op in report["ops"]), 0)
        text = self.ok("bench", "default", "--frames", "3", "--cache-dir", cache)
        for word in ("create pipelines", "first frame", "load to first result", "p95", "throughput", "arena peak"):
            self.assertIn(word, text)


    def test_rates(self):
        """Every number that follows from others does."""
        report = self.ok_json(*self.QUICK, *VALIDATION)
        inspected = self.ok_json("inspect", "default")
        ceiling = report["ceiling"]
        best = max(ceiling["macs_per_second"].values())
        self.assertEqual(ceiling["macs_per_second"][ceiling["mac_way"]], best)
        for op, known in zip(report["ops"], inspected["ops"]):
            sizes = {"int8": 1, "uint8": 1, "int32": 4, "float32": 4}
            tensors = {tensor["index"]: sizes[tensor["dtype"]] * math.prod(tensor["shape"])
                       for tensor in known["inputs"] + known["outputs"]}
            self.assertEqual((op["name"], op["macs"], op["bytes"]),
                             (known["op"], known["macs"], sum(tensors.values())), op)
            if op["ns"] == 0:
                self.assertNotIn("roof_ns", op)
                continue
            self.assertAlmostEqual(op["macs_per_second"], op["macs"] * 1e9 / op["ns"], delta=1)
            self.assertAlmostEqual(op["bytes_per_second"], op["bytes"] * 1e9 / op["ns"], delta=1)
            rate = ceiling["copy_bytes_per_second"]
            if op["bytes"] <= ceiling["cached_bytes"]:
                rate = max(rate, ceiling["cached_bytes_per_second"])
            roofs = {"mac": op["macs"] * 1e9 / best, "bytes": op["bytes"] * 1e9 / rate,
                     "dispatch": ceiling["dispatch_ns"]}
            self.assertAlmostEqual(op["roof_ns"], max(roofs.values()), delta=1)
            self.assertAlmostEqual(roofs[op["bound"]], op["roof_ns"], delta=1)
        for member in ("ns", "macs", "bytes"):
            self.assertEqual(report["total"][member], sum(op[member] for op in report["ops"]))
        self.assertTrue(any(op["ns"] for op in report["ops"]))
        text = self.ok(*self.QUICK)
        self.assertRegex(text, r"(?m)^ceilings of the device: copy \d+\.\d+ GB/s, .* GMAC/s, an empty dispatch \d")
        self.assertRegex(text, r"(?m)^total +%d +\d" % len(report["ops"]))

    def test_roofline(self):
        svg, image = self.dir / "roof.svg", self.dir / "roof.png"
        report = self.ok_json(*self.QUICK, "--roofline", svg)
        root = xml.etree.ElementTree.parse(svg).getroot()
        self.assertTrue(root.tag.endswith("svg"))
        paths = sum(1 for _ in root.iter("{http://www.w3.org/2000/svg}path"))
        self.assertGreater(paths, 2 * sum(op["ns"] > 0 for op in report["ops"]))  # a ring and a disc for each op
        self.ok(*self.QUICK, "--roofline", image)
        self.assertEqual(image.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        self.fails(USAGE, r"--roofline .* must end in \.svg or \.png", *self.QUICK, "--roofline", self.dir / "roof")
        missing = self.dir / "missing" / "roof.svg"
        self.fails(FAILED, f"--roofline {missing} cannot be written", *self.QUICK, "--roofline", missing)
        self.fails(USAGE, "are not for --batch", *self.QUICK, "--batch", "--roofline", svg)

    def test_save(self):
        """The same report, beside the table."""
        path = self.dir / "saved.json"
        text = self.ok(*self.QUICK, "--save", path)
        report = json.loads(path.read_text())
        self.assertIn("ceilings of the device", text)
        self.assertRegex(text, "load to first result +%.2f" % (report["setup"]["load_to_first_result_ns"] / 1e6))
        self.ok(*self.QUICK, "--compare", path)
        text = self.ok(*BenchBatch.QUICK, "--save", path)
        self.assertIn("%.3f" % (json.loads(path.read_text())["points"][0]["latency_ns"] / 1e6), text)
        self.fails(FAILED, "--save .*missing/a.json cannot be written", *self.QUICK, "--save",
                   self.dir / "missing" / "a.json")

    def test_compare(self):
        old = self.ok_json(*self.QUICK)
        del old["ceiling"], old["total"], old["memory"]  # not needed, and not in older files
        for op in old["ops"]:
            op["ns"] = 2000000 + op["index"]
        old["ops"][0]["ns"] = 0
        old["device"] = "another one"
        path = self.write("old.json", json.dumps(old).encode())
        report = self.ok_json(*self.QUICK, "--compare", path)
        compared = report["compared"]
        self.assertEqual((compared["file"], compared["device"]), (str(path), "another one"))
        for pair, before, now in zip(compared["ops"], old["ops"], report["ops"]):
            self.assertEqual((pair["old_ns"], pair["new_ns"]), (before["ns"], now["ns"]))
            if before["ns"]:
                self.assertAlmostEqual(pair["ratio"], now["ns"] / before["ns"], places=6)
        self.assertNotIn("ratio", compared["ops"][0])
        self.assertEqual(compared["total"]["old_ns"], sum(op["ns"] for op in old["ops"]))
        self.assertEqual(compared["stage_total"]["old_ns"], old["steady"]["total"]["median_ns"])
        text = self.ok(*self.QUICK, "--compare", path)
        self.assertIn("another device: another one then, ", text)
        self.assertRegex(text, r"(?m)^ +1 +\S+ +\S+ +2\.000 +\d+\.\d{3} +\d+\.\d{3}$")
        self.assertRegex(text, r"(?m)^ +total +\d+\.\d{3} +\d+\.\d{3} +\d+\.\d{3}$")

    def test_compare_with_what_is_no_report(self):
        good = self.ok_json(*self.QUICK)
        def refused(pattern, data):
            path = self.write("bad.json", data if isinstance(data, bytes) else json.dumps(data).encode())
            self.fails(BAD_INPUT, f"bad.json.*{pattern}", *self.QUICK, "--compare", path)
        refused("empty", b"")
        refused("not JSON", b"no JSON at all")
        refused("not JSON", b"\x00\xff\xfe" * 40)
        refused("not JSON", json.dumps(good).encode()[:-100])
        refused("nested more than 32 deep", b"[" * 1000000)
        refused("not JSON", b'/* " */' + b'{"a":' * 1000000)
        refused("not JSON", b"'\"'" + b"[" * 1000000)
        refused("more than 16 MiB", b" " * (17 << 20))
        refused("no object", b"[1, 2]")
        refused("no object", b"3")
        refused("no member model", {})
        refused("no member model", {**good, "model": 7})
        refused("no member ops that is a list", {**good, "ops": {"a": 1}})
        refused("no member setup.load_to_first", {**good, "setup": []})
        refused("no member steady.queue.median_ns", {**good, "steady": {"queue": 3}})
        refused(r"no member ops\[0\].name", {**good, "ops": [[]]})
        for ns in (-1, 1e300, 10 ** 18, "7", None):
            refused(r"no member ops\[1\].ns", {**good, "ops": [good["ops"][0], {"name": "X", "ns": ns}]})
        refused("another model.*: it has 2 ops", {**good, "ops": good["ops"][:2]})
        refused("another model .*op 0 is EXP. there", {**good, "ops": [{"name": "EXP\n", "ns": 1}]})
        batch = self.ok_json("bench", "default", "--batch", "--max-batch", "1", "--frames", "3", "--seconds", "0")
        refused("no member setup", batch)
        self.fails(FAILED, "missing.json", *self.QUICK, "--compare", self.dir / "missing.json")
        self.fails(FAILED, str(self.dir), *self.QUICK, "--compare", self.dir)
        self.fails(USAGE, "are not for --batch", *self.QUICK, "--batch", "--compare", "x")


class BenchBatch(Case):
    QUICK = ("bench", "default", "--batch", "--frames", "3", "--seconds", "0", "--max-batch", "4")

    def test_json(self):
        report = self.ok_json(*self.QUICK, *VALIDATION)
        self.assertEqual([point["batch"] for point in report["points"]], [1, 2, 4])
        for point in report["points"]:
            self.assertGreater(point["latency_ns"], 0)
            self.assertAlmostEqual(point["frames_per_second"] * point["latency_ns"] / 1e9, point["batch"], delta=0.01)
            self.assertTrue(point["within_budget"])
        rates = {point["batch"]: 1e9 / point["latency_ns"] for point in report["points"]}
        self.assertGreaterEqual(rates[report["best_batch"]], max(rates.values()) * 0.96)
        fastest = max(report["points"], key=lambda point: point["frames_per_second"])
        self.assertEqual(report["fastest_batch"], fastest["batch"])
        every = self.ok_json(*self.QUICK, "--every-batch")
        self.assertEqual([point["batch"] for point in every["points"]], [1, 2, 3, 4])

    def test_table(self):
        text = self.ok(*self.QUICK)
        self.assertRegex(text, r"(?m)^ +1 +\d+\.\d{3} ")
        self.assertRegex(text, r"(?m)^\* batch [124]: the largest that costs no latency, \d+\.\d+ ms$")
        self.assertRegex(text, r"(?m)^\+ batch [124]: the most frames per second, \d+\.\d$")
        self.assertNotIn("do not fit", text)

    def test_budget(self):
        """No device does anything in a nanosecond; all do it within 1000 s."""
        report = self.ok_json(*self.QUICK, "--latency-budget", "0.000001")
        self.assertFalse(report["within_budget"])
        self.assertEqual((report["best_batch"], len(report["points"])), (1, 1))
        self.assertIn("not even a single frame is within 1e-06 ms", self.ok(*self.QUICK, "--latency-budget", "0.000001"))
        report = self.ok_json(*self.QUICK, "--latency-budget", "1000000")
        self.assertEqual((report["latency_budget_ns"], len(report["points"])), (10 ** 12, 3))
        self.assertTrue(report["within_budget"])

    def test_plot(self):
        svg, image = self.dir / "chart.svg", self.dir / "chart.PNG"
        self.ok(*self.QUICK, "--plot", svg, "--latency-budget", "1000")
        root = xml.etree.ElementTree.parse(svg).getroot()
        self.assertTrue(root.tag.endswith("svg"))
        self.assertGreater(sum(1 for _ in root.iter("{http://www.w3.org/2000/svg}path")), 10)
        text = self.ok(*self.QUICK, "--plot", image)
        self.assertIn("costs no latency", text)
        data = image.read_bytes()
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", data[16:24]), (1600, 960))
        self.ok("bench", "default", "--batch", "--max-batch", "1", "--frames", "3", "--plot", svg)

    def test_plot_that_cannot_be_written(self):
        missing = self.dir / "missing" / "chart.svg"
        self.fails(FAILED, f"{missing} cannot be written.*No such file", *self.QUICK, "--plot", missing)
        folder = self.dir / "folder.png"
        folder.mkdir()
        self.fails(FAILED, f"{folder} is a folder", *self.QUICK, "--plot", folder)
        self.fails(FAILED, "proc", *self.QUICK, "--plot", "/proc/chart.svg")

    def test_wrong_usage(self):
        self.fails(USAGE, r"must end in \.svg or \.png", *self.QUICK, "--plot", self.dir / "chart.pdf")
        self.fails(USAGE, "are for --batch", "bench", "default", "--plot", "chart.svg")
        self.fails(USAGE, "are for --batch", "bench", "default", "--latency-budget", "5")
        self.fails(USAGE, "--max-batch 33 is outside 1 to 32", "bench", "default", "--batch", "--max-batch", "33")
        self.fails(USAGE, "--latency-budget -1 is outside", "bench", "default", "--batch", "--latency-budget=-1")
        self.fails(USAGE, "--latency-budget nan is outside", "bench", "default", "--batch", "--latency-budget", "nan")
        self.fails(USAGE, "--seconds nan is outside", "bench", "default", "--batch", "--seconds", "nan")
        self.fails(FAILED, "missing.tflite", "bench", self.dir / "missing.tflite", "--batch")


class Sidecars(Case):
    def test_decoder(self):
        model = self.write("model.tflite", pathlib.Path(DEFAULT_MODEL).read_bytes())
        self.assertEqual(self.ok_json("inspect", model)["decoder"], "ssd")
        self.write("model.modelinfo", b"[modelinfo]\nversion=1.0\ndecoder=none\n")
        self.assertEqual(self.ok_json("inspect", model)["decoder"], "none")
        self.assertIn("a sidecar can name a decoder", self.ok("inspect", model))

    def test_mistakes(self):
        model = self.write("model.tflite", pathlib.Path(DEFAULT_MODEL).read_bytes())
        for text, pattern in ((b"[modelinfo]\nversion=1.0\ndecodr=none\n", r"model\.modelinfo:3: unknown key.*'decodr'"),
                              (b"[modelinfo]\nversion=1.0\ndecoder=yolox\n", r"model\.modelinfo: .*5 \+ classes"),
                              (b"[nothing]\n", r"model\.modelinfo:1: \[nothing\] is no input or output"),
                              (b"\x00" * 100, r"model\.modelinfo:1: not UTF-8")):
            self.write("model.modelinfo", text)
            self.fails(BAD_INPUT, pattern, "inspect", model)


class BadModels(Case):
    def test_files(self):
        whole = pathlib.Path(DEFAULT_MODEL).read_bytes()
        self.fails(FAILED, "missing.tflite", "inspect", self.dir / "missing.tflite")
        self.fails(FAILED, str(self.dir), "inspect", self.dir)
        self.fails(BAD_INPUT, "empty.tflite", "inspect", self.write("empty.tflite", b""))
        self.fails(BAD_INPUT, "text.tflite", "inspect", self.write("text.tflite", b"This is not a model.\n" * 50))
        for size in (1, 7, 8, 64, len(whole) // 3, len(whole) - 1000):
            cut = self.write("cut.tflite", whole[:size])
            self.fails(BAD_INPUT, "cut.tflite", "inspect", cut)
        picture = self.write("a.png", png(scene()))
        cut = self.write("cut.tflite", whole[:len(whole) // 2])
        self.fails(BAD_INPUT, "cut.tflite", "run", cut, picture)
        self.fails(BAD_INPUT, "cut.tflite", "bench", cut)
        self.fails(BAD_INPUT, "cut.tflite", "verify", cut)

    def test_flipped_bits(self):
        """A flipped bit may be harmless (a weight, a name); else it must be an error message."""
        whole = pathlib.Path(DEFAULT_MODEL).read_bytes()
        rng = random.Random(11)
        refused = 0
        for i in range(60):
            data = bytearray(whole)
            for _ in range(1 + i % 4):
                # offsets and tables sit at both ends of the file, weights in between
                at = rng.choice((rng.randrange(len(data)), rng.randrange(64), rng.randrange(len(data) - 4096, len(data))))
                data[at] ^= 1 << rng.randrange(8)
            result = shrike("inspect", self.write("flipped.tflite", data))
            self.assertIn(result.returncode, (OK, BAD_INPUT), (i, result.stderr))
            if result.returncode:
                self.assertRegex(result.stderr, r"\Ashrike: [^\n]+\n\Z")
                refused += 1
        self.assertGreater(refused, 5)


class BadFiles(Case):
    def test_pictures(self):
        good = png(scene())
        cases = {"empty.png": b"", "text.png": b"hello", "cut.png": good[:200], "cut.ppm": ppm(scene())[:5000],
                 "cut.bmp": bmp(scene())[:5000], "head.bmp": b"BM12", "cut.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF",
                 "huge.ppm": b"P6 999999 999999 255\n", "zero.ppm": b"P6 0 10 255\n", "deep.ppm": b"P6 1 1 65535\n123456"}
        for name, data in cases.items():
            with self.subTest(name=name):
                self.fails(BAD_INPUT, name, "run", "default", self.write(name, data))
        self.fails(FAILED, "missing.png", "run", "default", self.dir / "missing.png")

    def test_labels(self):
        picture = self.write("a.png", png(scene()))
        for name, data in {"few.txt": b"one\n", "many.txt": b"x\n" * 500, "latin1.txt": b"caf\xe9\n" * 6,
                           "empty.txt": b""}.items():
            with self.subTest(name=name):
                self.fails(BAD_INPUT, name, "run", "default", picture, "--labels", self.write(name, data))
        self.fails(FAILED, "missing.txt", "run", "default", picture, "--labels", self.dir / "missing.txt")

    def test_tensors(self):
        short = self.write("short.bin", b"123")
        self.fails(BAD_INPUT, "short.bin has 3 bytes", "run", "default", "--input", short)
        self.fails(USAGE, "--input was given 2 times", "run", "default", "--input", short, "--input", short)
        self.fails(FAILED, "missing.bin", "run", "default", "--input", self.dir / "missing.bin")

    def test_outputs(self):
        picture = self.write("a.png", png(scene()))
        self.fails(FAILED, "nowhere", "run", "default", picture, "--annotate", self.dir / "nowhere" / "a.png")
        self.fails(FAILED, "a.png", "run", "default", picture, "--dump", picture)


if __name__ == "__main__":
    if shrike("devices").returncode == NO_DEVICE:
        print("skipped: no Vulkan device")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
